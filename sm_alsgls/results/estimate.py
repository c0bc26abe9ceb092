"""``Estimate``: what an estimator found of a system, which everything after it is a function of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import update_wrapper
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from sm_alsgls.core.instruments.three_stage import ThreeStage
from sm_alsgls.core.rows.cells import Usage
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.data.labels import Labels
from sm_alsgls.exceptions import NoLikelihoodError, NotApplicableError
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.degrees import Degrees
from sm_alsgls.results.fitted_laws import FittedLaws
from sm_alsgls.results.freedom import Freedom
from sm_alsgls.results.header import Header
from sm_alsgls.results.maximum import Maximum
from sm_alsgls.results.model import Model
from sm_alsgls.results.sample import Sample

R = TypeVar("R")


class ParameterCovariance(Protocol):
    """A covariance V of the parameters, formed only as far as asked."""

    def variances(self) -> np.ndarray:
        """Diagonal, (P,)."""
        ...

    def block(self, j: int) -> np.ndarray:
        """Block of one equation, (p_j, p_j)."""
        ...

    def combinations(self, R: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """R V other', (m, q)."""
        ...

    def dense(self) -> np.ndarray:
        """The whole, (P, P)."""
        ...


@runtime_checkable
class OwnDegrees(ParameterCovariance, Protocol):
    """A covariance of which every combination has degrees of freedom of its own."""

    def coefficient_df(self) -> np.ndarray:
        """Of each parameter, (P,)."""
        ...

    def df(self, R: np.ndarray) -> np.ndarray:
        """Of R beta, (m,)."""
        ...


class Covariances(Protocol):
    """Makes the covariance of the parameters that a ``cov_type`` stands for, at an estimate."""

    def __call__(self, estimate: Estimate, choice: CovarianceChoice) -> ParameterCovariance:
        """The covariance, whose parts are computed when they are asked for."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Estimate:
    """Coefficients and Sigma of a system, how they were found, and what they rest on.

    Every estimator of systems makes one; tests, tables, predictions and pictures are functions of
    it. It does not say of which class the model is. What is computed from it and kept is in
    ``known``, see `kept`.

    Attributes
    ----------
    model : Model
    labels : Labels
        Equations, regressors, parameters, and where an equation's coefficients are among these.
    beta : tuple of ndarray
        Coefficients of each equation, (p_j,).
    params : ndarray, shape (P,)
    sigma : Covariance
        Covariance of a row's errors, canonical.
    rank : int
        Factors; 0 where there are none, also where Sigma is unrestricted.
    at_bound : ndarray of bool, shape (K,)
        Equations of which a variance parameter is on its bound.
    usage : Usage
        Rows N_j, whether all cells are used and weighted, the weights' log-Jacobian.
    nobs : int
        N.
    df : Degrees
        Of freedom, of each equation.
    df_model : float
        Free parameters.
    freedom : Freedom
        What linear restrictions leave of combinations of the parameters.
    choice : CovarianceChoice
    use_t : bool
        t and F, or normal and chi2.
    covariances : Covariances
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
    refused : mapping of str to str
        Covariance types that mean nothing for such an estimate, and why.
    progress : callable, optional
        Told how far standard errors of many equations are.
    """

    model: Model
    labels: Labels
    beta: tuple[np.ndarray, ...]
    params: np.ndarray
    sigma: Covariance
    rank: int
    at_bound: np.ndarray
    usage: Usage
    nobs: int
    df: Degrees
    df_model: float
    freedom: Freedom
    choice: CovarianceChoice
    use_t: bool
    covariances: Covariances
    sample: Sample
    maximum: Maximum | None
    describe: Callable[[Estimate], Header]
    moments: ThreeStage | None = None
    laws: FittedLaws | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    progress: Callable[[str, int, int], object] | None = None
    known: dict[str, Any] = field(default_factory=dict)

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
        """Cells less parameters."""
        return float(self.n_cells) - self.df_model

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

    def with_covariance(self, choice: CovarianceChoice, use_t: bool) -> Estimate:
        """The same coefficients with another covariance."""
        df = replace(self.df, given=choice.df)
        return replace(self, choice=choice, use_t=use_t, df=df, known={})

    def knowing(self, *functions: Kept[Any] | KeptOfEquation[Any]) -> dict[str, Any]:
        """What is in ``known`` of some functions, to go on with."""
        names = {function.name for function in functions}
        return {key: value for key, value in self.known.items() if key.split(" ")[0] in names}


def estimate_of(results: object) -> Estimate | None:
    """The estimate itself, or the one behind results or statsmodels' wrapper of them; else None."""
    if isinstance(results, Estimate):
        return results
    found = getattr(results, "estimate", None)
    return found if isinstance(found, Estimate) else None


class Kept(Generic[R]):
    """A function of an estimate that is computed once for each, and kept in its ``known``.

    Parameters
    ----------
    function : callable
        Of an `Estimate` alone.
    """

    def __init__(self, function: Callable[[Estimate], R]) -> None:
        self._function, self.name = function, _name(function)
        update_wrapper(self, function)

    def __call__(self, estimate: Estimate) -> R:
        """The value, computed now or before."""
        if self.name not in estimate.known:
            estimate.known[self.name] = self._function(estimate)
        value: R = estimate.known[self.name]
        return value

    def give(self, estimate: Estimate, value: R) -> None:
        """Put a value where it would be kept."""
        estimate.known[self.name] = value

    def is_known(self, estimate: Estimate) -> bool:
        """Whether it was computed."""
        return self.name in estimate.known


class KeptOfEquation(Generic[R]):
    """The same of a function of an estimate and the number of an equation."""

    def __init__(self, function: Callable[[Estimate, int], R]) -> None:
        self._function, self.name = function, _name(function)
        update_wrapper(self, function)

    def __call__(self, estimate: Estimate, j: int) -> R:
        """The value, computed now or before."""
        key = f"{self.name} {j}"
        if key not in estimate.known:
            estimate.known[key] = self._function(estimate, j)
        value: R = estimate.known[key]
        return value


def kept(function: Callable[[Estimate], R]) -> Kept[R]:
    """See `Kept`."""
    return Kept(function)


def kept_of_equation(function: Callable[[Estimate, int], R]) -> KeptOfEquation[R]:
    """See `KeptOfEquation`."""
    return KeptOfEquation(function)


def _name(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
