"""Serial correlation and ARCH, for rows in the order of time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from statsmodels.stats.stattools import durbin_watson

from sm_alsgls.core.residuals.pooled_serial import pooled_serial
from sm_alsgls.core.residuals.residual_tests import arch, ljung_box
from sm_alsgls.results.checks.check import Check, family, skipped, verdict
from sm_alsgls.results.checks.tails import tail
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import factor_scores

NAMES = (
    "serial correlation, jointly", "serial correlation, equations",
    "serial correlation, factors", "ARCH, equations",
)  # fmt: skip


def _advice(estimate: Estimate) -> str:
    """No blocks of errors can be drawn around regressors that move with them."""
    said = (
        "if rows are in the order of time: lagged regressors or trends; "
        "get_robustcov_results('HAC') from about a hundred rows, 'HAC' with kernel='cosine' "
    )
    return said + ("or bootstrap('block') below" if estimate.moments is None else "below")


def of_order(
    estimate: Estimate, E: np.ndarray, equations: pd.DataFrame, factors: pd.DataFrame,
    alpha: float, lags: int,
) -> list[Check]:  # fmt: skip
    """Serial correlation of all equations together, of each, and of the factors; ARCH."""
    N, advice = len(E), _advice(estimate)
    corrected, few = tail("ljung_box", N, lags), min(4, max(1, N // 10))
    together = pooled_serial(E, estimate.row_sigma.solve(E), estimate.sample.blocks)
    jointly = Check(
        NAMES[0],
        together.rho,
        together.pvalue,
        verdict(together.pvalue < alpha),
        f"common first-order correlation {together.rho:+.2f} of all {E.shape[1]} equations, and "
        "their errors' covariance taken into account",
        advice,
    )
    statistic, nominal = ljung_box(E, lags)
    equations["durbin_watson"] = durbin_watson(E)
    equations["ljung_box"] = corrected(nominal)
    dw = equations["durbin_watson"]
    own = family(
        NAMES[1], statistic, equations["ljung_box"].to_numpy(),
        equations.index, alpha, advice, "equations",
    )  # fmt: skip
    span = f"; Durbin-Watson from {dw.min():.2f} ({dw.idxmin()!r}) to {dw.max():.2f}"
    checks = [jointly, own._replace(found=own.found + f" (Ljung-Box, {lags} lags)" + span)]
    scores = factor_scores(estimate).to_numpy() if estimate.has_factors else np.empty((N, 0))
    if scores.shape[1]:
        of_factors, p = ljung_box(scores, lags)
        factors["ljung_box"], factors["durbin_watson"] = corrected(p), np.nan
        moves = scores.any(axis=0)  # a factor without loadings has scores of zero
        factors.loc[moves, "durbin_watson"] = durbin_watson(scores[:, moves])
        checks.append(
            family(
                NAMES[2], of_factors, factors["ljung_box"].to_numpy(),
                factors.index, alpha, advice, "factors",
            )
        )  # fmt: skip
    else:
        checks.append(skipped(NAMES[2], "there are no factors"))
    if N < 3 * few + 8:
        equations["arch"] = np.nan
        return [*checks, skipped(NAMES[3], "too few rows")]
    statistic, nominal = arch(E, few)
    equations["arch"] = tail("arch", N, few)(nominal)
    checks.append(
        family(
            NAMES[3], statistic, equations["arch"].to_numpy(), equations.index, alpha,
            "variances change over rows: get_robustcov_results('HC1') or 'HAC'", "equations",
        )
    )  # fmt: skip
    return checks
