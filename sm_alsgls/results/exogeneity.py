"""Do the factors move with the regressors? Mundlak's question, asked of a fitted system."""

from __future__ import annotations

import numpy as np
from scipy import stats

from sm_alsgls.exceptions import InsufficientRowsError, NotApplicableError, OptionError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import factors
from sm_alsgls.results.in_sample import used_residuals
from sm_alsgls.results.outcome import CovarianceTest

# Part of a direction that the model's own regressors leave, below which it says nothing new.
_NEW = 1e-8


def exogeneity_test(estimate: Estimate) -> CovarianceTest:
    """Score test that the factors are unrelated to the regressors.

    The model takes factors, like all errors, as independent of the regressors. Where they move
    together (Bai 2009), coefficients are biased: in his design, with common slopes on 50
    equations and rows, by +.04 with 95 % intervals that cover 33 %. As in Mundlak (1978), the
    alternative lets the factors have a mean that moves with the regressors',

        f_n = A xbar_n + u_n,      xbar_n the equations' means of each regressor at row n,

    so that y_nj gains the regressors F_j' A xbar_n; the score of A at A = 0 is
    xbar' E Sigma^-1 F, its variance that of GLS with the model's own regressors taken out.

    Returns
    -------
    CovarianceTest
        With ``use_t`` the F form of Pillai's trace, else chi2 with r degrees of freedom for
        each regressor that has a name in several equations and differs between them.

    Raises
    ------
    OptionError
        Rank 0; missing cells; or regressors that are the same in all equations, with which
        nothing tells factors that move from factors that do not.
    NotApplicableError
        The equations have instruments.

    Notes
    -----
    Of systems with exogenous regressors 2 to 5 % are rejected at 5 % (300 draws of nine
    designs, docs/measured/checks.md). In Bai's design at (50, 20) it rejects 39 % with slopes
    of each equation's own, and always with common ones.

    References
    ----------
    Mundlak (1978), Econometrica 46. Pesaran (2006), Econometrica 74. Bai (2009), Econometrica
    77.

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> res = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=1
    ... ).fit()
    >>> print(f"{res.exogeneity_test().pvalue:.3f}")  # the factor moves with the regressors
    0.014
    """
    if estimate.moments is not None:
        raise NotApplicableError(
            "exogeneity_test asks whether regressors move with the errors, and with instruments "
            "they may: j_test() and sargan() ask whether the instruments do"
        )
    # As they reach rows, through neighbours if these are part of Sigma.
    F = estimate.sample.through_neighbours(factors(estimate).loadings.T).T
    if estimate.rank == 0:
        raise OptionError(
            "the fit has rank 0, so it has no factors that could move with regressors"
        )
    if not estimate.complete:
        raise OptionError(
            "exogeneity_test needs complete rows, and this fit has missing cells (missing='fiml'); "
            "fit the complete rows with missing='drop'"
        )
    sample = estimate.sample
    blocks, weights = sample.blocks, sample.cells.weights
    if weights is not None and weights.ndim == 2:
        raise OptionError(
            "exogeneity_test takes weights of rows, and this fit has weights of cells, which make "
            "even constants differ between the equations"
        )
    before = list(sample.model.system.blocks)
    means, names = regressor_means(estimate.labels.regressors, before, weights)
    if names and estimate.laws is not None:
        means = sample.through_filters(means)
        means = means / np.sqrt(np.square(means).sum(axis=0))
    if not names:
        raise OptionError(
            "no regressor differs between the equations, so nothing tells factors that move with "
            "regressors from factors that do not"
        )
    sigma = estimate.row_sigma
    E = used_residuals(estimate)
    PF = sigma.solve(F.T).T
    score = means.T @ (E @ PF)
    whole = np.kron(means.T @ means, F.T @ PF)
    # X'PZ in the coefficients, a column for each mean and factor.
    each = np.concatenate([np.kron(X.T @ means, PF[j]) for j, X in enumerate(blocks)])
    cross = estimate.labels.gather(each.T)
    variance = whole - estimate.sample.problem.covariance(sigma).combinations(cross)
    # Of unit size where the model's own regressors take nothing.
    size = np.sqrt(np.diagonal(whole))
    # A factor that loads on nothing has no score.
    scale = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0.0)
    share, directions = np.linalg.eigh(variance * np.outer(scale, scale))
    new = share > _NEW
    if not new.any():
        raise OptionError(
            "the equations' means of the regressors are combinations of every equation's own "
            "regressors, so nothing tells factors that move with them from factors that do not"
        )
    along = directions[:, new].T @ (scale * score.ravel())
    statistic, q = float(np.sum(along**2 / share[new])), int(new.sum())
    pvalue, law = float(stats.chi2.sf(statistic, q)), "chi2"
    if estimate.use_t:
        statistic, pvalue, law = _pillai(statistic / estimate.nobs, q, estimate)
    listed = ", ".join(map(repr, names[:6])) + (", ..." if len(names) > 6 else "")
    return CovarianceTest(
        "Score test of exogenous regressors",
        "factors are unrelated to the regressors",
        f"factors move with the equations' mean of {listed}",
        statistic,
        pvalue,
        law,
        q,
        "" if pvalue >= 0.05 else _NOTE,
    )


def _pillai(trace: float, q: int, estimate: Estimate) -> tuple[float, float, str]:
    """F of Pillai's trace of r factor scores on q / r means (Pillai 1954; Muirhead 1982, 10.6)."""
    r = estimate.rank
    m = max(1.0, q / r)
    left = estimate.nobs - float(np.mean(estimate.p)) - m
    s = min(float(r), m)
    one, two = s * (abs(m - r) + s), s * (left - r + s)
    if two <= 0.0:
        raise InsufficientRowsError(
            f"exogeneity_test with {estimate.nobs} rows leaves no degrees of freedom beside "
            f"{r} factors and {m:.3g} means of regressors; fit with fewer factors, or see the "
            "chi2 of fit(use_t=False)"
        )
    # Scores have the variance of the model, not their own: their trace may reach its bound.
    share = min(trace / s, 1.0)
    value = share / (1.0 - share) * two / one if share < 1.0 else np.inf
    return value, float(stats.f.sf(value, one, two)), f"F({one:.4g}, {two:.4g})"


_NOTE = (
    "Coefficients are biased where factors move with regressors: add the equations' means of the "
    "regressors to every equation (Pesaran 2006), or instrument them."
)


def regressor_means(
    columns: list[list[str]], blocks: list[np.ndarray], weights: np.ndarray | None = None
) -> tuple[np.ndarray, list[str]]:
    """Means over the equations of the regressors that have one name and are not one column.

    About their means over the rows, so that they are the same wherever a regressor has its zero;
    with ``weights`` (N,) those are weighted, and the rows times their roots.

    Returns
    -------
    means : ndarray, shape (N, m)
        Of unit length.
    names : list of str
    """
    first: dict[str, np.ndarray] = {}
    total: dict[str, np.ndarray] = {}
    count: dict[str, int] = {}
    differs: set[str] = set()
    for labels, X in zip(columns, blocks, strict=True):
        for i, name in enumerate(labels):
            x = X[:, i]
            if name not in first:
                first[name], total[name], count[name] = x, np.zeros(len(x)), 0
            elif name not in differs and not np.array_equal(x, first[name]):
                differs.add(name)
            total[name] += x
            count[name] += 1
    kept, found = [], []
    for name in first:
        if name not in differs:
            continue
        mean = total[name] / count[name]
        about = mean - np.average(mean, weights=weights)
        if weights is not None:
            about *= np.sqrt(weights)
        size = float(np.linalg.norm(about))
        if size > 1e-10 * float(np.linalg.norm(mean)):
            kept.append(name)
            found.append(about / size)
    return (np.column_stack(found) if found else np.empty((len(blocks[0]), 0))), kept
