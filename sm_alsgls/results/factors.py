"""What factors of the errors say: loadings, communalities, scores, rotations, one too many or few.

There are factors where ``sigma`` is low rank plus diagonal. Of an unrestricted Sigma everything
here raises `UnrestrictedSigmaError`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice, flag
from sm_alsgls.core.errors.words import FULL
from sm_alsgls.core.rank.excess import LastFactor, spare_factor
from sm_alsgls.core.residuals.factors_left import FactorsLeft
from sm_alsgls.core.residuals.factors_left import factors_left as left_by_factors
from sm_alsgls.core.sigma.rotation import METHODS, ORTHOGONAL, rotate
from sm_alsgls.covariance.base import LowRank
from sm_alsgls.exceptions import NoFactorsError, UnrestrictedSigmaError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.in_sample import by_equation, innovations
from sm_alsgls.results.maximum import Messages


class HasRank(Protocol):
    """Whatever was estimated with factors."""

    @property
    def rank(self) -> int:
        """Their number."""
        ...


def factors(estimate: Estimate) -> LowRank:
    """F and D of Sigma = F F' + D.

    Raises
    ------
    UnrestrictedSigmaError
        Sigma is another.
    """
    found = estimate.sigma.low_rank
    if found is None:
        raise UnrestrictedSigmaError(
            "a fit with rank='full' has no factors, loadings or communalities: its Sigma is "
            "unrestricted, see res.sigma; fit with a number as the rank for factors"
        )
    return found


def rank_of(estimate: Estimate) -> int | str:
    """What users call the rank: the number of factors, or "full"."""
    return estimate.rank if estimate.has_factors else FULL


def factor_names(estimate: HasRank, stem: str = "factor") -> list[str]:
    """factor1, factor2, ..."""
    return [f"{stem}{i}" for i in range(1, estimate.rank + 1)]


def need_factors(estimate: Estimate, verb: str) -> LowRank:
    """The factors, of which there is one at least.

    Raises
    ------
    NoFactorsError
    """
    found = factors(estimate)
    if not estimate.rank:
        raise NoFactorsError(f"no factors to {verb}: the fit has rank 0; fit with rank >= 1")
    return found


def loadings(estimate: Estimate) -> pd.DataFrame:
    """F (K, r) in the units of the responses; canonical: F' D^-1 F diagonal, descending."""
    return pd.DataFrame(
        factors(estimate).loadings,
        index=pd.Index(estimate.equations, name="equation"),
        columns=factor_names(estimate),
    )


def uniquenesses(estimate: Estimate) -> pd.Series:
    """The variances d (K,) that the factors leave."""
    return by_equation(estimate, factors(estimate).uniquenesses, "uniqueness")


def communalities(estimate: Estimate) -> pd.Series:
    """Share |f_j|^2 / sigma_jj of each error variance that the factors explain (K,)."""
    share = 1.0 - factors(estimate).uniquenesses / estimate.sigma.diag()
    return by_equation(estimate, share, "communality")


@kept
def factor_scores(estimate: Estimate) -> pd.DataFrame:
    """Posterior means E Sigma^-1 F of the factors (N, r), given the cells that a row has.

    Residuals of weighted cells are multiplied by the roots of their weights.
    """
    low_rank, cells = factors(estimate), estimate.sample.cells
    U = innovations(estimate)
    # Means of whole rows given what is observed have the means of the factors.
    whole = estimate.sample.fills
    scores = low_rank.solve(U) @ low_rank.loadings if whole else cells.factors(U, low_rank)
    return pd.DataFrame(scores, index=estimate.sample.index, columns=factor_names(estimate))


def heywood(estimate: Estimate) -> list[str]:
    """Equations whose uniqueness is on its lower bound; of an unrestricted Sigma those that the
    equations before them determine.
    """
    return [estimate.equations[j] for j in np.flatnonzero(estimate.at_bound)]


@kept
def last_factor(estimate: Estimate) -> LastFactor | None:
    """The last factor beside noise; None without factors or maximum, or with rows in part."""
    if estimate.maximum is None:
        return None
    return spare_factor(estimate.sample.problem, estimate.likelihood.search.best, estimate.rank)


@kept
def factors_left(estimate: Estimate) -> FactorsLeft | None:
    """Whether the factors leave correlation; None without factors, or of rows seen in part."""
    if not estimate.complete or not estimate.has_factors:
        return None
    sample = estimate.sample
    E = sample.without_neighbours(sample.E)
    return left_by_factors(E, factors(estimate), sample.problem.n_obs, estimate.labels.P)


def rotated_loadings(
    estimate: Estimate, method: str = "varimax", standardized: bool = True
) -> pd.DataFrame:
    """Loadings after a rotation.

    Parameters
    ----------
    method : {"varimax", "quartimax", "biquartimax", "parsimax", "parsimony", "promax", \
"quartimin", "biquartimin"}
        The last three are oblique: their factors are correlated, ``attrs["correlation"]``.
    standardized : bool
        In standard deviations of the equations' errors, f_j / sigma_jj^1/2, which is what is
        rotated whatever the units of the responses; else in their units.

    Returns
    -------
    DataFrame (K, r)
        Columns ``varimax1``, ...; ``attrs``: method, oblique (bool), and correlation of the
        factors (r lists of r numbers).

    Raises
    ------
    OptionError, NoFactorsError

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR, simulate_sur
    >>> s = simulate_sur(200, 8, 2, 2, rng=0)
    >>> res = LowRankSUR(s.endog, s.exog, rank=2).fit()
    >>> res.rotated_loadings("promax").columns.tolist()
    ['promax1', 'promax2']
    """
    method = choice(method, "method", METHODS)
    standardized = flag(standardized, "standardized")
    low_rank = need_factors(estimate, "rotate")
    root = np.sqrt(estimate.sigma.diag())
    rows = pd.Index(estimate.equations, name="equation")
    return turned(low_rank.loadings, root, rows, method, standardized)


def turned(
    loadings: np.ndarray, root: np.ndarray, rows: pd.Index, method: str, standardized: bool
) -> pd.DataFrame:
    """Loadings (K, r) after a rotation of them in units of ``root`` (K,); see `rotated_loadings`.

    A row whose ``root`` is zero has loadings of zero.
    """
    scale = np.where(root > 0.0, root, 1.0)[:, None]
    L, correlation = rotate(loadings / scale, method)
    names = [f"{method}{i}" for i in range(1, L.shape[1] + 1)]
    out = pd.DataFrame(L if standardized else L * scale, index=rows, columns=names)
    # Lists, not DataFrames: pandas compares attrs when it combines tables.
    out.attrs = {
        "method": method,
        "oblique": method not in ORTHOGONAL,
        "correlation": correlation.tolist(),
    }
    return out


def warnings_of(estimate: Estimate) -> list[str]:
    """What a reader of the estimates must know, as the summary prints it."""
    messages = Messages(estimate.rank, estimate.has_factors)
    return estimate.likelihood.warnings(estimate.equations, messages, last_factor(estimate))
