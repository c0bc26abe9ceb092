"""The checks behind `CCEPanelResults.diagnostics`."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from sm_alsgls.border.arguments import level
from sm_alsgls.core.interactive.residuals import unit_bases
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.results.cce_estimate import CCEEstimate
from sm_alsgls.results.checks.check import Check, verdict
from sm_alsgls.results.checks.panel import (
    Advice,
    Left,
    PanelDiagnostics,
    named,
    report,
    with_errors,
)

Array = np.ndarray

_ADVICE = Advice(
    "averages do not stand for all factors: more regressors whose averages join, or "
    "factors='fixed'",
    "lags of the response or regressors; standard errors allow for it in any case",
    "estimates and standard errors do without normal errors; see which cells are outlying, take a "
    "response in logarithms",
    "standard errors allow for it; a response in logarithms may be more precise",
)


@on_one_thread
def diagnostics(estimate: CCEEstimate, alpha: float = 0.05) -> PanelDiagnostics:
    """What is doubtful about this fit, by name, and what to do about it.

    Units without slopes of their own; correlation of residuals between units (Juodis and Reese's:
    beside averages residuals add up to about zero in each period, and Pesaran's CD says nothing)
    and in time; normality; variances that move with regressors; outlying cells. All allow for what
    constants and averages take of residuals, and for missing cells. Units that are fitted exactly
    have no part in them.

    Parameters
    ----------
    alpha : float
        Level of each check: that of the smallest p-value among n units or all cells, by Holm.

    Returns
    -------
    PanelDiagnostics
        ``table``, ``units``, ``pairs``, ``cells``, ``across``, ``summary()``.

    Raises
    ------
    DegenerateResponseError
        All units are fitted exactly.

    Notes
    -----
    As `InteractivePanelResults.diagnostics`.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls import LowRankPanel
    >>> from sm_alsgls.datasets import load_cigarettes
    >>> model = LowRankPanel.from_formula(
    ...     "np.log(sales) ~ np.log(price / cpi) + np.log(ndi / cpi)", load_cigarettes(),
    ...     entity="state", time="year", factors="cce",
    ... )
    >>> model.fit().diagnostics().table.loc["cross-section dependence", "verdict"]
    '-'
    """
    alpha = level(alpha)
    fit, own = estimate.fit, estimate.model.heterogeneous
    E = fit.E_mean_group if own else fit.E_pooled
    seen = fit.used & ~fit.singular if own else fit.used
    E = np.where(seen, E, 0.0)
    bases = _of_units(estimate, seen) if own else unit_bases(fit.averages, seen)
    nu = seen.sum(axis=0) - np.array([B.shape[1] for B in bases], dtype=float)
    # A unit that has as many averages as periods, or is explained by them, tells no variance.
    told = (nu > 0.0) & with_errors(np.where(nu > 0.0, E, 0.0), estimate.cells.panel.Y, seen)
    seen, nu = seen & told, np.maximum(nu, 1.0)
    d = np.where(told, np.square(E).sum(axis=0) / nu, np.nan)
    root = np.sqrt(np.where(told, d, 0.0))
    left = Left(
        cells=estimate.cells,
        seen=seen,
        z=np.where(told, E, 0.0) / np.where(told, root, 1.0),
        d=d,
        nu=nu,
        bases=bases,
        # Residuals add up to zero over units, and nearly so in units of the errors.
        taken=scipy.linalg.orth(np.column_stack([root / np.linalg.norm(root), np.ones(len(root))])),
        freedom=float(np.median(nu[told])),
        advice=_ADVICE,
    )
    return report(left, [_singular(estimate)], alpha)


def _of_units(estimate: CCEEstimate, seen: Array) -> list[Array]:
    """Averages and the unit's own regressors."""
    H, X = estimate.fit.averages, estimate.cells.panel.X
    return [
        unit_bases(np.column_stack([H, X[:, :, i].T]), seen[:, i : i + 1])[0]
        for i in range(seen.shape[1])
    ]


def _singular(estimate: CCEEstimate) -> Check:
    bad, units = np.flatnonzero(estimate.fit.singular), estimate.cells.units
    return Check(
        "units without slopes",
        float(len(bad)),
        np.nan,
        verdict(len(bad) > 0),
        f"{len(bad)} of {len(units)} units do not tell slopes of their own{named(units, bad)}",
        "they have no part in means of units' slopes: leave regressors or lags out, or pool",
    )
