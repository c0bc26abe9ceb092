"""How well a system fits: R-squared of the whole, and F tests of all slopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
import scipy.linalg
from statsmodels.stats.contrast import ContrastResults

from sm_alsgls.results.coefficients import robust
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.freedom import spanning
from sm_alsgls.results.in_sample import constants, residuals, rsquared, spans_constant
from sm_alsgls.results.joint import joint_test
from sm_alsgls.results.overall import restriction, wald
from sm_alsgls.results.parameter_covariance import ParameterCovariance


@kept
def system_rsquared(estimate: Estimate) -> pd.Series:
    """Four R-squared of a system.

    With residuals E (N, K), responses about their means Yc (the residuals of a regression on
    constants alone, whether or not the equations have one) and |.| the determinant,

        mcelroy    1 - tr(E Sigma^-1 E') / tr(Yc Sigma^-1 Yc')         McElroy (1977)
        berndt     1 - |Sigma| / |Yc'Yc / N|                           Berndt (1991)
        judge      1 - sum_j |e_j|^2 / sum_j |yc_j|^2                  Judge et al. (1988)
        dhrymes    sum_j w_j R2_j,  w_j = |yc_j|^2 / sum_l |yc_l|^2    Dhrymes (1974)

    Returns
    -------
    Series
        Indexed mcelroy, berndt, judge, dhrymes. Berndt's is NaN where Yc'Yc is singular (K >= N,
        responses that add up) and with missing cells, where there is none. The others then sum
        over the cells that there are; weights multiply squares, and means are weighted.

    Notes
    -----
    Judge's and Dhrymes' add squares in the units of the responses, and are one where every
    equation has a constant; McElroy's and Berndt's have no units. Sigma enters through its
    Woodbury form, |Yc'Yc| through a QR factor: no K x K inverse. linearmodels'
    ``system_rsquared`` has the same values at the same Sigma and residuals. Berndt's sets a
    restricted Sigma against an unrestricted one, so it understates the fit, the more so the
    larger K against N; McElroy's does not. Both are NaN where errors follow laws beside Sigma.

    References
    ----------
    McElroy (1977), Journal of Econometrics 6; Berndt (1991), The Practice of Econometrics;
    Judge, Hill, Griffiths, Lütkepohl and Lee (1988), Introduction to the Theory and Practice of
    Econometrics; Dhrymes (1974), Econometrics.
    """
    # Fewer rows than N where they are compressed, with the same sums of squares and products.
    if estimate.laws is not None:
        rows = estimate.sample.model.system.rows
        total = np.square(rows.centred(rows.Y)).sum(axis=0)
        E = np.nan_to_num(residuals(estimate))
        return _table(estimate, np.nan, np.nan, E, total)
    rows, E = estimate.sample.problem.rows, estimate.sample.E
    centred = rows.centred(rows.Y)
    total = np.square(centred).sum(axis=0)
    N, K, sigma = estimate.nobs, estimate.neqs, estimate.row_sigma
    patterns = rows.patterns
    seen = sigma if patterns is None else sigma.seen(patterns)
    berndt = np.nan
    if K < N and estimate.complete:
        scale = np.sqrt(total / N)
        R = np.linalg.qr(centred / (scale * np.sqrt(N)), mode="r")
        # Of a centred column is left what rounding left it; a determinant of that is noise.
        lost = np.sqrt(np.square(rows.Y).sum(axis=0) / total).max()
        spread = np.linalg.svd(R, compute_uv=False)
        if spread[-1] > np.finfo(float).eps * max(centred.shape) * lost * spread[0]:
            logdet = 2.0 * float(np.log(np.abs(np.diagonal(R))).sum() + np.log(scale).sum())
            berndt = -float(np.expm1(sigma.logdet() - logdet))
    return _table(estimate, 1.0 - seen.quad(E) / seen.quad(centred), berndt, E, total)


def _table(
    estimate: Estimate, mcelroy: float, berndt: float, E: np.ndarray, total: np.ndarray
) -> pd.Series:
    values = {
        "mcelroy": mcelroy,
        "berndt": berndt,
        "judge": 1.0 - float(np.square(E).sum() / total.sum()),
        "dhrymes": float(rsquared(estimate) @ total / total.sum()),
    }
    return pd.Series(values, name="system_rsquared")


@kept
def slopes_test(estimate: Estimate) -> ContrastResults:
    """Wald test that all slopes of the system are zero.

    The null is that fitted values are constant: an equation whose design spans a constant keeps
    it, explicit or hidden among dummies; any other has all coefficients tested. With m
    restrictions R beta = 0 and V the covariance of the coefficients,

        F = (R b)' (R V R')^-1 (R b) / m ~ F(m, df),

    df the fewest degrees of freedom among the equations; or m F ~ chi2(m) where ``use_t`` is
    False. With m in the hundreds either is rough.

    Returns
    -------
    statsmodels ContrastResults
        NaN where there are no slopes, or restrictions fix them all. Slopes that restrictions fix
        are not tested; of those that they tie together as many as are free.

    Notes
    -----
    With the model-based covariance and no restrictions nothing larger than the coefficients is
    made: conjugate gradients on H eliminate the constants. Other covariances form R V R', and
    robust ones have the small-sample tests of `LowRankSURResults.wald_test`.
    """
    m = int(np.sum(estimate.p - spans_constant(estimate)))
    operator = covariance(estimate)
    if m and robust(estimate) and estimate.use_t:
        R = _slopes(estimate)
        if len(R):
            return joint_test(estimate, R, np.zeros(len(R)))
    statistic = np.nan
    if m:
        found = _distance(operator, estimate)
        statistic, m = _wald(estimate) if found is None else (found, m)
    if estimate.use_t:
        df = estimate.df.fewest
        return ContrastResults(F=statistic / m if m else np.nan, df_denom=df, df_num=m)
    return ContrastResults(
        chi2=statistic, df_denom=m, statistic=statistic, distribution="chi2", distargs=(m,)
    )


@runtime_checkable
class Measured(ParameterCovariance, Protocol):
    """A covariance that is the inverse of H, perhaps at hand as an operator."""

    def distance(
        self, beta: Sequence[np.ndarray], spared: Sequence[np.ndarray | None]
    ) -> float | None:
        """min over c of x'V^-1 x, x_j = beta_j less c_j spared_j; None where it is not at hand."""
        ...


def _distance(operator: ParameterCovariance, estimate: Estimate) -> float | None:
    """The Wald statistic of all slopes without R V R'; None where that is not at hand."""
    if not isinstance(operator, Measured):
        return None
    return operator.distance(estimate.beta, constants(estimate))


def _slopes(estimate: Estimate) -> np.ndarray:
    """Independent rows R of R beta = 0 where fitted values are constant."""
    labels = estimate.labels
    parts = [restriction(a, int(p)) for a, p in zip(constants(estimate), labels.p, strict=True)]
    R = labels.gather(scipy.linalg.block_diag(*parts))
    if not labels.own:
        R = _spanning(R, labels.common)
    return R[estimate.freedom.independent(R)]


def _spanning(R: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Rows that say all that R says, of which several may say the same of common coefficients.

    Where none is about both kinds, those without common coefficients are independent of all.
    """
    shared = np.asarray(R[:, common].any(axis=1), dtype=bool).reshape(len(R))
    if np.delete(R[shared], common, axis=1).any():
        shared[:] = True
    some = np.unique(R[shared], axis=0)
    if len(some):
        some = some[spanning(some[:, some.any(axis=0)])]
    return np.concatenate([some, R[~shared]])


def _wald(estimate: Estimate) -> tuple[float, int]:
    R = _slopes(estimate)
    if not len(R):
        return np.nan, 0
    return wald(R @ estimate.params, covariance(estimate).combinations(R)), len(R)


def fvalue(estimate: Estimate) -> float:
    """F statistic of the system: every fitted value is constant, that is all slopes are zero."""
    test = slopes_test(estimate)
    if test.distribution == "F":
        return float(test.fvalue)
    return float(test.statistic) / test.df_denom if test.df_denom else np.nan
