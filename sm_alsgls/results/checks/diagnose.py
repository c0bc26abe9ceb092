"""The checks behind `LowRankSURResults.diagnostics`; numbers come from `core`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import count, level
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.exceptions import DataRemovedError
from sm_alsgls.results.checks import fit, instruments, serial
from sm_alsgls.results.checks import rows as rows_
from sm_alsgls.results.checks.check import skipped
from sm_alsgls.results.checks.report import Diagnostics
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import factor_names
from sm_alsgls.results.in_sample import used_residuals


@on_one_thread
def diagnostics(estimate: Estimate, alpha: float = 0.05, lags: int | None = None) -> Diagnostics:
    """What is doubtful about this fit, by name, and what to do about it.

    Convergence and curvature; Heywood cases; condition numbers of designs; the rank; what
    correlation the factors leave; whether factors move with the regressors; normality, serial
    correlation, ARCH and heteroscedasticity of every equation, of all together and of the
    factors; outlying rows and rows of high leverage. With instruments, in place of curvature and of
    whether factors move with the regressors: weak instruments, over-identification, and what the
    system asks beyond 2SLS.

    Parameters
    ----------
    alpha : float
        Level of each check: that of the smallest p-value among K equations or N rows, by
        Holm. No allowance is made for there being several checks.
    lags : int, optional
        Of Ljung-Box. Default min(10, N/5).

    Returns
    -------
    Diagnostics
        ``table``, ``equations``, ``factors``, ``rows``, ``pairs``, ``summary()``.

    Notes
    -----
    Formulas are in `core.residuals.residual_tests`; p-values are corrected for small N by
    simulation of white noise with a fixed seed, since with K equations 0.05/K decides, where
    chi2 is wrong. Of clean systems (40 to 200 draws each, N=30..200, K=3..500) a test of
    normality, serial correlation or ARCH looks at 2 to 8 %; "factors left" and "outlying
    rows", whose residuals the fit has bent to itself, at 0 to 3 %. "serial correlation,
    jointly" looks at 1 to 5 % of clean systems (300 draws each of ten designs, N=17..100,
    K=10..50; docs/measured/checks.md) and at 88 % of those with rho=.2 (N=40, K=10);
    "heteroscedasticity, rows" at 3 to 8 %, "equations" at 4 to 9 %, under t(3) rows too. Small
    clean systems do have Heywood cases (15 % at N=30, K=8; 37 % at N=60, K=3), and "last
    factor" looks at 13 % of three equations, 5 % of eight.

    Cost O(N K (K + lags)), no K x K array beyond 256 equations: 0.8 s at N=200, K=500 with
    half a second for the simulation. Of rows read in chunks only the checks that need no rows
    are made.

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> res = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
    ... ).fit()
    >>> res.diagnostics().table["verdict"].value_counts().to_dict()
    {'ok': 15, 'look': 4}
    """
    alpha = level(alpha)
    N, K, names = estimate.nobs, estimate.neqs, pd.Index(estimate.equations, name="equation")
    most = max(1, N // 5)
    lags = min(10, most) if lags is None else lags
    lags = count(lags, "lags", 1, N // 2 - 1)
    equations = pd.DataFrame(index=names)
    solved = estimate.moments is not None
    checks = [
        fit.convergence(estimate),
        *([] if solved else [fit.curvature(estimate)]),
        *fit.heywood(estimate, equations),
        fit.condition(estimate, equations),
    ]
    why = None if estimate.complete else "cells are missing; it needs complete rows"
    if why is None:
        left, pairs = fit.left_over(estimate, alpha)
        # That the last factor is spare is read off the likelihood.
        checks += [*fit.rank(estimate, alpha)[solved:], *left]
    else:
        checks += [skipped(name, why) for name in _OF_SIGMA]
        pairs = pd.DataFrame(columns=fit.PAIR)
    if solved:
        checks += instruments.checks(estimate, equations, alpha)
    else:
        checks.append(fit.exogeneity(estimate, alpha))
    E: np.ndarray | None = None
    try:
        E = used_residuals(estimate)
    except DataRemovedError:
        why = "the rows were read in chunks and not kept"
    factors = pd.DataFrame(index=pd.Index(factor_names(estimate), name="factor"))
    rows = pd.DataFrame(columns=["distance", "pvalue", "leverage"], dtype=float)
    if why is not None:
        checks += [skipped(name, why) for name in _OF_ROWS if E is None or name != rows_.OUTLYING]
        if E is not None:
            outlying, rows = rows_.outlying_rows(estimate, E, alpha)
            checks.append(outlying)
    elif E is not None:
        checks += rows_.of_normality(estimate, E, equations, alpha)
        checks += serial.of_order(estimate, E, equations, factors, alpha, lags)
        checks += rows_.of_variance(estimate, E, equations, alpha)
        influence, rows = rows_.influence(estimate, E, alpha)
        checks += influence
    table = pd.DataFrame(checks).set_index("check")
    return Diagnostics(
        table=table, equations=equations, factors=factors, rows=rows, pairs=pairs, alpha=alpha,
        lags=lags, nobs=N, neqs=K,
    )  # fmt: skip


_OF_SIGMA = ("last factor", "factors left", "residual correlation")
_OF_ROWS = (
    *rows_.NORMALITY, *serial.NAMES, *rows_.VARIANCE, rows_.OUTLYING, rows_.LEVERAGE,
)  # fmt: skip
