"""How well a system fits: R-squared of the whole, and F tests of all slopes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.linalg
from statsmodels.stats.contrast import ContrastResults

from sm_alsgls.results.joint import joint_test
from sm_alsgls.results.overall import _restriction, wald


class SystemFit:
    """Mixin of `LowRankSURResults`."""

    @cached_property
    def system_rsquared(self) -> pd.Series:
        """R-squared of the system by McElroy, Berndt, Judge and Dhrymes.

        See `sm_alsgls.results.system_fit.system_rsquared` for the formulas.
        """
        return system_rsquared(self)

    @cached_property
    def _slopes_test(self) -> ContrastResults:
        return slopes_test(self)

    @property
    def fvalue(self) -> float:
        """F statistic of the system: every fitted value is constant, that is all slopes are zero.

        The Wald statistic over the number of slopes of all equations; NaN without slopes. That
        of an equation is ``equations[name].fvalue``.
        """
        test = self._slopes_test
        if test.distribution == "F":
            return float(test.fvalue)
        return float(test.statistic) / test.df_denom if test.df_denom else np.nan

    @property
    def f_pvalue(self) -> float:
        """p-value of `fvalue`: F with `df_resid_inference`, or chi-squared where not use_t."""
        return float(self._slopes_test.pvalue)


def system_rsquared(results: Any) -> pd.Series:
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
    larger K against N; McElroy's does not.

    References
    ----------
    McElroy (1977), Journal of Econometrics 6; Berndt (1991), The Practice of Econometrics;
    Judge, Hill, Griffiths, Lütkepohl and Lee (1988), Introduction to the Theory and Practice of
    Econometrics; Dhrymes (1974), Econometrics.
    """
    # Fewer rows than N where they are compressed, with the same sums of squares and products.
    rows, E = results._problem.rows, results._found.best.E
    centred = rows.centred(rows.Y)
    total = np.square(centred).sum(axis=0)
    N, K, sigma = results.nobs, results.neqs, results._problem.observed(results.sigma)
    berndt = np.nan
    if K < N and results._complete:
        scale = np.sqrt(total / N)
        R = np.linalg.qr(centred / (scale * np.sqrt(N)), mode="r")
        # Of a centred column is left what rounding left it; a determinant of that is noise.
        lost = np.sqrt(np.square(rows.Y).sum(axis=0) / total).max()
        spread = np.linalg.svd(R, compute_uv=False)
        if spread[-1] > np.finfo(float).eps * max(centred.shape) * lost * spread[0]:
            logdet = 2.0 * float(np.log(np.abs(np.diagonal(R))).sum() + np.log(scale).sum())
            berndt = -float(np.expm1(results.sigma.logdet() - logdet))
    values = {
        "mcelroy": 1.0 - sigma.quad(E) / sigma.quad(centred),
        "berndt": berndt,
        "judge": 1.0 - float(np.square(E).sum() / total.sum()),
        "dhrymes": float(results._rsquared @ total / total.sum()),
    }
    return pd.Series(values, name="system_rsquared")


def slopes_test(results: Any) -> ContrastResults:
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
    m = int(np.sum(results._p - results._spans_constant))
    covariance = results._covariance
    if m and results._robust and results.use_t:
        R = _slopes(results)
        if len(R):
            return joint_test(results, R, np.zeros(len(R)))
    statistic = np.nan
    measure = getattr(covariance, "distance", None) if m else None
    measured = None if measure is None else measure(results._beta, results._constants)
    if measured is not None:
        statistic = measured
    elif m:
        statistic, m = _wald(results)
    if results.use_t:
        df = float(results.df_resid_inference)
        return ContrastResults(F=statistic / m if m else np.nan, df_denom=df, df_num=m)
    return ContrastResults(
        chi2=statistic, df_denom=m, statistic=statistic, distribution="chi2", distargs=(m,)
    )


def _slopes(results: Any) -> np.ndarray:
    """Independent rows R of R beta = 0 where fitted values are constant."""
    parts = zip(results._constants, results._p, strict=True)
    R = scipy.linalg.block_diag(*[_restriction(a, int(p)) for a, p in parts])
    return R[results._freedom.independent(R)]


def _wald(results: Any) -> tuple[float, int]:
    R = _slopes(results)
    if not len(R):
        return np.nan, 0
    return wald(R @ results.params, results._covariance.combinations(R)), len(R)
