"""Factors, loadings and effects of a fit whose slopes are given."""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.panel import Panel
from sm_alsgls.core.interactive.search import interactive_fit

Array = np.ndarray


def given_slopes(fit: InteractiveFit, params: Array, gtol: float = 1e-8) -> InteractiveFit:
    """The least squares fit of y - x'params to effects and factors, with the weights of ``fit``.

    It has no regressors of its own; its ``panel.Y`` is y - x'params, filled where cells are
    missing, beginning from the fills of ``fit``: ``params`` are near its slopes.
    """
    panel = fit.panel
    left = panel.Y - np.tensordot(params, panel.X, 1)
    nothing = np.empty((0, *panel.Y.shape))
    return interactive_fit(
        Panel(left, nothing, panel.seen),
        fit.effects,
        fit.rank,
        d=fit.d,
        rho=fit.rho,
        beta=np.empty(0),
        fills=left,
        only_given=True,
        gtol=gtol,
    )
