"""``Estimate``: what an estimator found of a system, which everything after it is a function of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from sm_alsgls.core.instruments.three_stage import ThreeStage
from sm_alsgls.core.rows.cells import Usage
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.data.removed import in_place_of
from sm_alsgls.exceptions import NoLikelihoodError, NotApplicableError
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.degrees import Degrees
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.fitted_laws import FittedLaws
from sm_alsgls.results.header import Header
from sm_alsgls.results.maximum import Maximum
from sm_alsgls.results.model import Model
from sm_alsgls.results.sample import Sample


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Estimate(Fitted):
    """Coefficients and Sigma of a system, how they were found, and what they rest on.

    Every estimator of systems makes one; tests, tables, predictions and pictures are functions of
    it. It does not say of which class the model is. What it has beside a `Fitted`:

    Attributes
    ----------
    model : Model
    beta : tuple of ndarray
        Coefficients of each equation, (p_j,).
    sigma : Covariance
        Covariance of a row's errors, canonical.
    rank : int
        Factors; 0 where there are none, also where Sigma is unrestricted.
    at_bound : ndarray of bool, shape (K,)
        Equations of which a variance parameter is on its bound.
    usage : Usage
        Rows N_j, whether all cells are used and weighted, the weights' log-Jacobian.
    df : Degrees
        Of freedom, of each equation.
    sample : Sample
        The data; every use raises where they are gone or were changed.
    maximum : Maximum or None
        Of the likelihood; None where nothing was maximised.
    describe : callable
        What the estimator says of this in a summary.
    moments : ThreeStage or None
        How moments with instruments were solved; None where nothing was instrumented.
    laws : FittedLaws or None
        What else the errors follow; None where rows are independent draws of Sigma.
    """

    model: Model
    beta: tuple[np.ndarray, ...]
    sigma: Covariance
    rank: int
    at_bound: np.ndarray
    usage: Usage
    df: Degrees
    sample: Sample
    maximum: Maximum | None
    describe: Callable[[Estimate], Header]
    moments: ThreeStage | None = None
    laws: FittedLaws | None = None

    @property
    def row_sigma(self) -> Covariance:
        """Covariance of the rows that the likelihood sees: `sigma`, but for spatial errors."""
        filtered = None if self.laws is None else self.laws.row_sigma
        return self.sigma if filtered is None else filtered

    @property
    def has_factors(self) -> bool:
        """Whether Sigma is low rank plus diagonal, though it may be of rank 0."""
        return self.sigma.low_rank is not None

    @property
    def equations(self) -> list[str]:
        """Names of the equations (K,)."""
        return self.labels.equations

    @property
    def neqs(self) -> int:
        """K."""
        return self.labels.K

    @property
    def p(self) -> np.ndarray:
        """Regressors of each equation, (K,)."""
        return self.labels.p

    @property
    def counts(self) -> np.ndarray:
        """Rows N_j, (K,)."""
        return self.usage.counts

    @property
    def complete(self) -> bool:
        """Whether no cell is missing."""
        return self.usage.complete

    @property
    def n_cells(self) -> int:
        """Cells in use."""
        return int(self.usage.counts.sum())

    @property
    def debiased(self) -> bool:
        """Whether variances have degrees of freedom in place of rows."""
        return self.df.debiased

    @property
    def df_resid(self) -> float:
        """Cells less parameters, and less levels of rows that are swept out of them."""
        return float(self.n_cells - self.df.swept) - self.df_model

    @property
    def df_inference(self) -> float:
        """Of tests about several equations: the fewest among all."""
        return self.df.fewest

    @property
    def df_t(self) -> np.ndarray:
        """Of the t test of each coefficient (P,): its equation's."""
        return self.labels.least(self.df.t).astype(float)

    @property
    def identified(self) -> dict[str, Sequence[str] | np.ndarray]:
        """Equation and term of each parameter."""
        return {"equation": np.array(self.labels.owners, dtype=object), "term": self.labels.terms}

    @property
    def likelihood(self) -> Maximum:
        """The maximum of the likelihood.

        Raises
        ------
        NoLikelihoodError
        """
        if self.maximum is None:
            raise NoLikelihoodError(
                "the estimator of this model maximises no likelihood, so there is none to compare, "
                "to differentiate or to base a criterion on; wald_test(R) compares nested models"
            )
        return self.maximum

    @property
    def instrumented(self) -> ThreeStage:
        """How moments with instruments were solved.

        Raises
        ------
        NotApplicableError
        """
        if self.moments is None:
            raise NotApplicableError(
                "this estimate has no instruments, so there are no first stages and no moments "
                "beside those that coefficients solve; see LowRank3SLS"
            )
        return self.moments

    def with_covariance(self, choice: CovarianceChoice, use_t: bool) -> Self:
        """The same coefficients with another covariance."""
        df = replace(self.df, given=choice.df)
        return replace(super().with_covariance(choice, use_t), df=df)

    def without_data(self) -> Self:
        """The same without the rows."""
        maximum, moments = self.maximum, self.moments
        return replace(
            super().without_data(),
            sample=self.sample.without_data(),
            maximum=None if maximum is None else maximum.without_data(),
            moments=None if moments is None else moments.without_data(in_place_of("residuals")),
        )


def estimate_of(results: object) -> Estimate | None:
    """The estimate itself, or the one behind results or statsmodels' wrapper of them; else None."""
    if isinstance(results, Estimate):
        return results
    found = getattr(results, "estimate", None)
    return found if isinstance(found, Estimate) else None
