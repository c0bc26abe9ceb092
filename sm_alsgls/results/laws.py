"""Tables of the parameters of laws that errors follow beside Sigma."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import level
from sm_alsgls.core.laws.estimated import BAYES, ML
from sm_alsgls.data.error_laws import AR_NAME, ERROR_NAME, LAG_NAME, SCALE_NAME
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted_laws import FittedLaws

#: What models call each law.
_ARGUMENTS = {
    AR_NAME: "ar=",
    SCALE_NAME: "row_scale= or cell_scale=",
    ERROR_NAME: "spatial_error=",
    LAG_NAME: "spatial_lag=",
}


def laws_of(estimate: Estimate) -> FittedLaws:
    """What errors follow beside Sigma.

    Raises
    ------
    NotApplicableError
    """
    if estimate.laws is None:
        said = ", ".join(_ARGUMENTS.values())
        raise NotApplicableError(f"errors follow no law beside Sigma; make the model with {said}")
    return estimate.laws


def law_params(
    estimate: Estimate, alpha: float = 0.05, *, of: tuple[str, ...] | None = None
) -> pd.DataFrame:
    """Estimates of the laws' parameters, with normal tests of zero and intervals.

    Parameters
    ----------
    alpha : float
        Level of the intervals.
    of : tuple of str, optional
        "ar", "scale", "spatial_error" or "spatial_lag"; default all.

    Returns
    -------
    DataFrame (m, 6)
        coef, std err, z, P>|z| and the interval; standard errors are NaN where a value is on a
        bound. ``attrs["how"]`` says how they were estimated.

    Raises
    ------
    NotApplicableError
        Errors follow no such law.
    """
    laws, alpha = laws_of(estimate), level(alpha)
    wanted = tuple(laws.places) if of is None else of
    at = [np.arange(len(laws.values))[laws.places[name]] for name in wanted if name in laws.places]
    if not at:
        said = " or ".join(_ARGUMENTS[name] for name in wanted)
        raise NotApplicableError(f"errors follow no such law; make the model with {said}")
    chosen = np.concatenate(at)
    value, se = laws.values[chosen], np.sqrt(np.diagonal(laws.cov)[chosen])
    with np.errstate(invalid="ignore", divide="ignore"):
        z = value / se
    half = stats.norm.ppf(1.0 - alpha / 2.0) * se
    table = pd.DataFrame(
        {
            "coef": value,
            "std err": se,
            "z": z,
            "P>|z|": 2.0 * stats.norm.sf(np.abs(z)),
            f"[{alpha / 2:g}": value - half,
            f"{1 - alpha / 2:g}]": value + half,
        },
        index=pd.Index([laws.names[i] for i in chosen], name="parameter"),
    )
    table.attrs["how"] = laws.how
    return table


def ar(estimate: Estimate) -> pd.DataFrame:
    """Autoregressive coefficients; see `law_params`."""
    return law_params(estimate, of=(AR_NAME,))


def scale(estimate: Estimate, cells: bool) -> pd.DataFrame:
    """Coefficients delta of exp(z'delta), of rows or of cells."""
    laws = laws_of(estimate)
    if SCALE_NAME in laws.places and laws.cells is not cells:
        known, asked = ("cell", "row") if laws.cells else ("row", "cell")
        raise NotApplicableError(f"scales are of {known}s: see {known}_scale, not {asked}_scale")
    return law_params(estimate, of=(SCALE_NAME,))


def spatial(estimate: Estimate) -> pd.DataFrame:
    """lambda of spatial errors and rho of a spatial lag, of those that there are."""
    return law_params(estimate, of=(ERROR_NAME, LAG_NAME))


def without(laws: FittedLaws) -> set[str]:
    """What results have not because these laws are not all."""
    scaled = SCALE_NAME in laws.places
    found = {
        "ar": AR_NAME in laws.places,
        "row_scale": scaled and not laws.cells,
        "cell_scale": scaled and laws.cells,
        "spatial": ERROR_NAME in laws.places or LAG_NAME in laws.places,
        "spatial_effects": laws.lag is not None,
    }
    return {name for name, there in found.items() if not there}


def about_laws(estimate: Estimate) -> list[str]:
    """What a summary says of the laws: the model, and how its parameters were estimated."""
    laws = estimate.laws
    if laws is None:
        return []
    said = [_MODELS[name] for name in _MODELS if name in laws.places]
    how = laws.how
    more = ""
    if how != ML:
        more = "; log-likelihood, AIC and BIC are those of the maximum"
    if how == BAYES:
        more = "; the log-likelihood is that at these values"
    if laws.uncorrected:
        how += f", without restricted likelihood ({laws.uncorrected})"
    return [f"{'; '.join(said)}; what is left is independent between rows. By {how}{more}."]


_MODELS = {
    LAG_NAME: "Spatial lag y = spatial_lag W y + X b + e",
    ERROR_NAME: "Spatial errors e = spatial_error W e + u",
    AR_NAME: "Errors follow an AR(1) over rows",
    SCALE_NAME: "Error variances are exp(z'scale) times those of a mean row",
}
