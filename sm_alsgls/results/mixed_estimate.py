"""``MixedEstimate``: what a mixed model's fit found, which everything after it is a function of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd

from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.core.mixed.structures import Structure
from sm_alsgls.data.grouped import Grouped
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.model import CoefficientModel

Array = np.ndarray


class MixedModel(CoefficientModel, Protocol):
    """A mixed model, as far as its results ask.

    Attributes
    ----------
    group_labels : Index (m,)
    n_dropped : int
    formula_system : FormulaSystem or None
        What formulas make of new data.
    ar : str or None
    named : tuple of bool
        Whether regressors, and those of random effects, came with names.
    rank_method : str or None
        The rule that chose the rank.
    structure : Structure
    law : ResidualLaw
    """

    group_labels: pd.Index
    n_dropped: int
    formula_system: FormulaSystem | None
    ar: str | None
    named: tuple[bool, bool]
    rank_method: str | None
    rank_selection: Any
    structure: Structure
    law: ResidualLaw

    @property
    def exog_re_names(self) -> list[str]:
        """Names of the random effects (q,)."""
        ...

    @property
    def counts(self) -> pd.Series:
        """Rows of each group (m,)."""
        ...

    @property
    def has_data(self) -> bool:
        """Whether `rows` are there."""
        ...

    @property
    def rows(self) -> Grouped:
        """The checked rows; DataRemovedError where they are gone."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class MixedEstimate(Fitted):
    """p fixed effects, the covariance of q random ones, and the maximum they were found at.

    Rows are the model's, where it still has them; random effects of the groups, and whatever is of
    the variances, are of the products of groups in ``fit``, which outlive the rows.

    Attributes
    ----------
    fit : MixedFit
        In the user's units.
    groups : Index (m,)
        Labels of the groups.
    names_re : list of str (q,)
        Names of the random effects.
    """

    model: MixedModel
    fit: MixedFit
    groups: pd.Index
    names_re: list[str]

    @property
    def products(self) -> CrossProducts:
        """What is kept of the rows."""
        return self.fit.products

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self.fit.reml

    @property
    def rank(self) -> int:
        """Factors r of G; q where it is unrestricted."""
        return self.fit.structure.rank

    @property
    def has_uniquenesses(self) -> bool:
        """Whether G has a diagonal Psi beside its factors."""
        return bool(np.isfinite(self.fit.structure.low).any())

    @property
    def unrestricted(self) -> bool:
        """Whether G is any covariance: there are no factors to tell from one another."""
        q = len(self.names_re)
        return not self.has_uniquenesses and self.fit.structure.n_free == q * (q + 1) // 2

    @property
    def df_resid(self) -> float:
        """Rows less regressors, as MixedLM's."""
        return float(self.nobs) - self.labels.P

    @property
    def cov_re(self) -> Array:
        """G (q, q)."""
        return self.fit.G

    @property
    def loadings(self) -> Array:
        """Lambda (q, r), canonical."""
        return self.fit.loadings

    @property
    def uniquenesses(self) -> Array:
        """Psi (q,)."""
        return self.fit.uniquenesses

    @property
    def scale(self) -> float:
        """Residual variance s2: of the first level, where levels have their own."""
        return self.fit.s2

    @property
    def theta(self) -> Array:
        """Parameters of the residual law."""
        return self.fit.theta

    @property
    def llf(self) -> float:
        """Log-likelihood, restricted where ``reml``, of all rows."""
        return self.fit.llf

    @property
    def converged(self) -> bool:
        """Whether the best point is stationary."""
        return self.fit.converged

    @property
    def rows(self) -> Grouped:
        """The rows; DataRemovedError where they are gone."""
        return self.model.rows

    def with_covariance(self, choice: CovarianceChoice, use_t: bool) -> Self:
        """The same coefficients with another covariance; what it has no part in is kept."""
        again = super().with_covariance(choice, use_t)
        known = {key: value for key, value in self.known.items() if key.startswith(_APART)}
        return replace(again, known=known)


# Functions whose values no covariance of the coefficients changes.
_APART = ("sm_alsgls.results.mixed_effects.", "sm_alsgls.results.mixed_factors.")


def mixed_estimate_of(results: object) -> MixedEstimate | None:
    """The estimate of results of a mixed model; None of what is none."""
    estimate = getattr(results, "estimate", None)
    return estimate if isinstance(estimate, MixedEstimate) else None
