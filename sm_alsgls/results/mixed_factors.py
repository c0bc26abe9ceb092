"""What the covariance of the random effects says: deviations, correlations, factors."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice, flag
from sm_alsgls.core.mixed.information import free, relative
from sm_alsgls.core.mixed.satterthwaite import inverse_information
from sm_alsgls.core.sigma.rotation import METHODS
from sm_alsgls.exceptions import NoFactorsError, UnrestrictedSigmaError
from sm_alsgls.results.factors import factor_names, turned
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.mixed_estimate import MixedEstimate


def named(estimate: MixedEstimate) -> pd.Index:
    """Names of the random effects, as labels of a table."""
    return pd.Index(estimate.names_re, name="effect")


def sd(estimate: MixedEstimate) -> np.ndarray:
    """Standard deviations of the random effects (q,)."""
    return np.sqrt(np.maximum(np.diagonal(estimate.cov_re), 0.0))


def correlations(estimate: MixedEstimate) -> pd.DataFrame:
    """Correlations of the random effects (q, q); NaN of one whose variance is zero."""
    root = sd(estimate)
    with np.errstate(divide="ignore", invalid="ignore"):
        made = estimate.cov_re / np.outer(root, root)
    made[~(root > 0.0)] = made[:, ~(root > 0.0)] = np.nan
    made[np.diag_indices_from(made)] = np.where(root > 0.0, 1.0, np.nan)
    return pd.DataFrame(made, index=estimate.names_re, columns=estimate.names_re)


def need_lambda(estimate: MixedEstimate, verb: str) -> np.ndarray:
    """Lambda (q, r).

    Raises
    ------
    UnrestrictedSigmaError
        G is unrestricted.
    """
    if estimate.unrestricted:
        raise UnrestrictedSigmaError(
            f"no factors to {verb}: the covariance of the random effects is unrestricted "
            "(rank='full'), see cov_re and corr_re; fit with a number as the rank for factors"
        )
    return estimate.loadings


def loadings(estimate: MixedEstimate) -> pd.DataFrame:
    """Lambda (q, r) in the units of the random effects; canonical."""
    L = need_lambda(estimate, "load")
    return pd.DataFrame(L, index=named(estimate), columns=factor_names(estimate))


def uniquenesses(estimate: MixedEstimate) -> pd.Series:
    """Psi (q,), the variances that the factors leave; zero without Psi."""
    need_lambda(estimate, "take off")
    return pd.Series(estimate.uniquenesses, index=named(estimate), name="uniqueness")


def communalities(estimate: MixedEstimate) -> pd.Series:
    """Share 1 - psi_j / g_jj of each variance that the factors explain (q,); NaN of zero."""
    need_lambda(estimate, "explain with")
    variance = np.diagonal(estimate.cov_re)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(variance > 0.0, 1.0 - estimate.uniquenesses / variance, np.nan)
    return pd.Series(share, index=named(estimate), name="communality")


def rotated_loadings(
    estimate: MixedEstimate, method: str = "varimax", standardized: bool = True
) -> pd.DataFrame:
    """Loadings after a rotation.

    Parameters
    ----------
    method : {"varimax", "quartimax", "biquartimax", "parsimax", "parsimony", "promax", \
"quartimin", "biquartimin"}
        The last three are oblique: their factors are correlated, ``attrs["correlation"]``.
    standardized : bool
        In standard deviations of the random effects, which is what is rotated; else in their
        units.

    Returns
    -------
    DataFrame (q, r)
        Columns ``varimax1``, ...; ``attrs``: method, oblique, correlation.

    Raises
    ------
    OptionError, NoFactorsError

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls import LowRankMixedLM
    >>> rng = np.random.default_rng(0)
    >>> groups, Z = np.repeat(np.arange(80), 10), rng.standard_normal((800, 4))
    >>> slopes = rng.standard_normal((80, 1)) + 0.5 * rng.standard_normal((80, 4))
    >>> y = (Z * slopes[groups]).sum(axis=1) + rng.standard_normal(800)
    >>> res = LowRankMixedLM(y, Z, groups, Z, rank=1).fit()
    >>> res.rotated_loadings().shape
    (4, 1)
    """
    method = choice(method, "method", METHODS)
    standardized = flag(standardized, "standardized")
    L = need_lambda(estimate, "rotate")
    if not estimate.rank:
        raise NoFactorsError(
            "no factors to rotate: the random effects are uncorrelated (rank='diagonal'); fit with "
            "rank >= 1"
        )
    return turned(L, sd(estimate), named(estimate), method, standardized)


def heywood(estimate: MixedEstimate) -> list[str]:
    """Random effects whose uniqueness (variance, at rank 0) is zero, with none below it better."""
    return [estimate.names_re[j] for j in np.flatnonzero(estimate.fit.at_bound)]


def re_table(estimate: MixedEstimate) -> pd.DataFrame:
    """One row a random effect: variance, sd; of a low rank uniqueness, communality, heywood."""
    root = sd(estimate)
    table = pd.DataFrame({"variance": root**2, "sd": root}, index=named(estimate))
    if not estimate.unrestricted:
        table["uniqueness"] = estimate.uniquenesses
        table["communality"] = communalities(estimate)
        table["heywood"] = np.array(estimate.fit.at_bound)
    return table


def element_names(estimate: MixedEstimate) -> list[str]:
    """What MixedLM calls the elements of G: "Group Var", "Group x Days Cov", row by row."""
    names = estimate.names_re
    return [
        f"{names[k]} Var" if j == k else f"{names[j]} x {names[k]} Cov"
        for k in range(len(names))
        for j in range(k + 1)
    ]


@kept
def moved_by(estimate: MixedEstimate) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of G in what is free of (phi, theta, log s2), (size, q, q), and their covariance.

    Theta moves G's relative size not at all: its slopes are zero. Of a Heywood case nothing is
    free.
    """
    fit = estimate.fit
    back = np.linalg.inv(fit.products.basis.z)
    E = relative(fit).E[:-1]
    slopes = np.concatenate([back @ E @ back.T, fit.G[None]])
    return slopes[free(fit)], inverse_information(fit)


def bse_re(estimate: MixedEstimate) -> pd.Series:
    """Standard errors of the elements of G by rows of its lower triangle, by the delta method.

    From the observed information. The law of a variance is skewed: `conf_int_re` has intervals. A
    Heywood case's uniqueness is taken as known.
    """
    slopes, A = moved_by(estimate)
    q = len(estimate.names_re)
    at = [(j, k) for k in range(q) for j in range(k + 1)]
    g = np.array([[S[j, k] for S in slopes] for j, k in at])
    se = np.sqrt(np.maximum(np.einsum("ea,ab,eb->e", g, A, g), 0.0))
    return pd.Series(se, index=element_names(estimate))
