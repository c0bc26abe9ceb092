"""From a panel to results: which fit it is, and what is made of it."""

from __future__ import annotations

import copy
from typing import Any

from sm_alsgls.border.arguments import number
from sm_alsgls.core.interactive.corrected import Corrected, Correction
from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.given import given_slopes
from sm_alsgls.core.interactive.panel import Panel
from sm_alsgls.core.interactive.serial import MOST
from sm_alsgls.core.interactive.weights import Weights
from sm_alsgls.data.labels import Labels
from sm_alsgls.exceptions import OptionError
from sm_alsgls.models.cells import CellsPanel
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.interactive import InteractivePanelResults, InteractivePanelResultsWrapper
from sm_alsgls.results.interactive_covariance import build_interactive
from sm_alsgls.results.interactive_estimate import InteractiveEstimate, influence_of


def rho_of(ar: Any, weighted: bool, lagged: bool, panel: Panel) -> float | None:
    """The correlation in time that was asked for; None is that of the residuals.

    Parameters
    ----------
    ar : "auto" or float
    weighted, lagged : bool
        Whether weights are estimated, and whether a regressor follows errors, as a lag of the
        response: errors that are correlated move it, and no weights help.
    panel : Panel

    Raises
    ------
    OptionError
    """
    if isinstance(ar, str) and ar == "auto":
        return 0.0 if lagged or not weighted or panel.seen is not None else None
    rho = number(
        ar, "ar", least=-MOST, most=MOST, what=f"'auto' or a number from -{MOST} to {MOST}"
    )
    if rho and panel.seen is not None:
        raise OptionError(
            f"ar={ar}: errors are filtered where no cell is missing; use ar=0, with standard "
            "errors that allow for correlation in time (cov_type='cluster', the default)"
        )
    return rho


def results(
    model: CellsPanel,
    found: InteractiveFit,
    made: Corrected,
    how: Correction,
    weights: Weights,
    chosen: CovarianceChoice,
    use_t: bool,
    progress: bool | None,
) -> InteractivePanelResultsWrapper:
    """Results of a model, which stays as it is."""
    model, panel = copy.copy(model), found.panel
    model.data = copy.copy(model.data)
    estimate = InteractiveEstimate(
        model=model,
        labels=Labels.of_one(model.endog_names, model.exog_names),
        params=made.params,
        nobs=model.nobs,
        df_model=float(model.nobs - found.df_resid),
        choice=chosen,
        use_t=use_t,
        covariances=build_interactive,
        progress=progress,
        cells=model.cells,
        fit=found,
        at=given_slopes(found, made.params),
        weights=weights,
        corrected=how.kind,
        bias=made.bias,
        serial=how.serial,
        predetermined=how.predetermined,
        sizes=(panel.T, panel.n),
        rank=found.rank,
        freedom_left=found.df_resid,
        converged=found.converged,
    )
    influence_of.give(estimate, made.influence)
    return InteractivePanelResultsWrapper(InteractivePanelResults(model, estimate))
