"""Bootstrap of slopes beside fixed factors."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice, count
from sm_alsgls.core.interactive.bootstrap import METHODS, Parent
from sm_alsgls.core.interactive.bootstrap import bootstrap as refits
from sm_alsgls.core.interactive.corrected import Correction
from sm_alsgls.core.interactive.covariance import bandwidth
from sm_alsgls.results.bootstrap import BootstrapResults, asked
from sm_alsgls.results.coefficients import bse
from sm_alsgls.results.interactive_covariance import kind_of
from sm_alsgls.results.interactive_estimate import InteractiveEstimate, influence_of
from sm_alsgls.results.progress import says


@says
def bootstrap(
    estimate: InteractiveEstimate,
    reps: int = 999,
    method: str = "wild",
    *,
    maxlags: int | None = None,
    rng: np.random.Generator | int | None = None,
    progress: bool | None = None,
) -> BootstrapResults:
    """Refit slopes, factors, loadings and weights to responses made like these.

    Parameters
    ----------
    reps : int
    method : {"wild", "dependent"}
        Residuals times random signs, each cell its own; or times random numbers that are
        correlated in time over ``maxlags`` periods, which keeps errors' correlation.
    maxlags : int, optional
        Default 4 (T / 100)^(2/9).
    rng : numpy Generator or int, optional
        Default: a fixed seed.
    progress : bool, optional
        Whether to say how far it is: True with a bar from the start (needs tqdm), False never; by
        default after two seconds, where standard error is a terminal or a notebook.

    Returns
    -------
    BootstrapResults
        std_errors, conf_int (percentile-t), pvalues, and every replicate. Each is corrected for
        bias, and has standard errors, as the fit does.

    Raises
    ------
    DataRemovedError

    References
    ----------
    Goncalves and Perron (2014), Journal of Econometrics 182; Shao (2010), Journal of the American
    Statistical Association 105.
    """
    method, T = choice(method, "method", METHODS), estimate.sizes[0]
    lags = bandwidth(T) if maxlags is None else count(maxlags, "maxlags", 0, T - 1)
    these = asked(reps, 1, rng)
    parent = Parent(
        estimate.fit,
        estimate.at,
        estimate.params,
        influence_of(estimate),
        Correction(estimate.corrected, estimate.serial, estimate.predetermined),
        estimate.weights.by_unit,
        kind_of(estimate.choice),
        estimate.choice.kwds.get("maxlags"),
    )
    drawn, names = list(refits(parent, method, lags, these.seeds)), estimate.labels.params
    return BootstrapResults(
        pd.DataFrame([one.params for one in drawn], columns=names),
        pd.DataFrame([one.bse for one in drawn], columns=names),
        pd.Series(estimate.params, index=names),
        pd.Series(bse(estimate), index=names),
        [],
        np.array([one.converged for one in drawn]),
        method,
    )
