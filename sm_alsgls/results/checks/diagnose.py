"""The checks behind `LowRankSURResults.diagnostics`; numbers come from `core`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sm_alsgls.border.arguments import count, level
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.exceptions import DataRemovedError
from sm_alsgls.results.checks import fit, serial
from sm_alsgls.results.checks import rows as rows_
from sm_alsgls.results.checks.check import skipped
from sm_alsgls.results.checks.report import Diagnostics


@on_one_thread
def diagnose(results: Any, alpha: float = 0.05, lags: int | None = None) -> Diagnostics:
    """Every check; see `LowRankSURResults.diagnostics`."""
    alpha = level(alpha)
    N, K, names = results.nobs, results.neqs, pd.Index(results.model.equations, name="equation")
    most = max(1, N // 5)
    lags = min(10, most) if lags is None else lags
    lags = count(lags, "lags", 1, N // 2 - 1)
    equations = pd.DataFrame(index=names)
    checks = [
        fit.convergence(results),
        fit.curvature(results),
        *fit.heywood(results, equations),
        fit.condition(results, equations),
    ]
    why = None if results._complete else "cells are missing; it needs complete rows"
    if why is None:
        left, pairs = fit.left_over(results, alpha)
        checks += [*fit.rank(results, alpha), *left]
    else:
        checks += [skipped(name, why) for name in _OF_SIGMA]
        pairs = pd.DataFrame(columns=fit.PAIR)
    checks.append(fit.exogeneity(results, alpha))
    E = None
    try:
        E = results.model._system.cells.used(results._residuals)
    except DataRemovedError:
        why = "the rows were read in chunks and not kept"
    factors = pd.DataFrame(index=pd.Index(results._factor_names, name="factor"))
    rows = pd.DataFrame(columns=["distance", "pvalue", "leverage"], dtype=float)
    if why is not None:
        checks += [skipped(name, why) for name in _OF_ROWS if E is None or name != rows_.OUTLYING]
        if E is not None:
            outlying, rows = rows_.outlying_rows(results, E, alpha)
            checks.append(outlying)
    else:
        checks += rows_.of_normality(results, E, equations, alpha)
        checks += serial.of_order(results, E, equations, factors, alpha, lags)
        checks += rows_.of_variance(results, E, equations, alpha)
        influence, rows = rows_.influence(results, E, alpha)
        checks += influence
    table = pd.DataFrame(checks).set_index("check")
    return Diagnostics(table, equations, factors, rows, pairs, alpha, lags, N, K)


_OF_SIGMA = ("last factor", "factors left", "residual correlation")
_OF_ROWS = (
    *rows_.NORMALITY, *serial.NAMES, *rows_.VARIANCE, rows_.OUTLYING, rows_.LEVERAGE,
)  # fmt: skip
