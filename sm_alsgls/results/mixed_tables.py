"""How a mixed model's fit went, criteria of it, and ``glance``: numbers of the maximum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.core.mixed.climb import Step
from sm_alsgls.core.mixed.maximise import SAME, lowest_curvature_at
from sm_alsgls.core.mixed.structures import Structure
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.table_style import GLANCE, presented


def aic(estimate: MixedEstimate) -> float:
    """-2 llf + 2 df_model, as lme4's.

    Restricted likelihoods compare covariances of the same regressors, not regressors.
    """
    return -2.0 * estimate.llf + 2.0 * estimate.df_model


def bic(estimate: MixedEstimate) -> float:
    """-2 llf + log(n) df_model, as lme4's; see `aic`."""
    return -2.0 * estimate.llf + float(np.log(estimate.nobs)) * estimate.df_model


def trace(estimate: MixedEstimate) -> pd.DataFrame:
    """One row per step of the winning start."""
    return pd.DataFrame(estimate.fit.trace, columns=Step._fields).set_index("step")


def retvals(estimate: MixedEstimate) -> dict[str, Any]:
    """What `mle_retvals` holds."""
    fit = estimate.fit
    starts = pd.DataFrame(fit.runs)
    return {
        "converged": fit.converged,
        "message": fit.message,
        "iterations": max(len(fit.trace) - 1, 0),
        "decrement": fit.decrement,
        "nll_trace": [row.nll for row in fit.trace],
        "heywood": np.flatnonzero(fit.at_bound).tolist(),
        "starts": starts,
        "starts_at_best": int((starts["gap"] <= SAME).sum()),
        "worst_gap": float(starts["gap"].max()),
        "lowest_curvature": fit.curvature,
    }


@kept
def curvature(estimate: MixedEstimate) -> float:
    """Smallest curvature of the likelihood in units of the information: of large fits made now."""
    fit = estimate.fit
    found = fit.curvature
    return float(lowest_curvature_at(fit.profile, fit.point)[0] if found is None else found)


def structure_name(estimate: MixedEstimate) -> str:
    """What G is, in words."""
    return structure_words(estimate.fit.structure)


def structure_words(structure: Structure) -> str:
    """What a structure of G is, in words, before there is an estimate as well."""
    own, q, r = bool(np.isfinite(structure.low).any()), structure.q, structure.rank
    if q == 1:
        return "variance"
    if not own and structure.n_free == q * (q + 1) // 2:
        return "unrestricted"
    if not r:
        return "diagonal"
    factors = f"{r} factor{'s' * (r > 1)}"
    return f"{factors} + diagonal" if own else factors


def glance(estimate: MixedEstimate, style: str = "plain", backend: str = "pandas") -> Any:
    """One row for the whole fit.

    Parameters
    ----------
    style : {"plain", "broom"}
        "broom" names the columns as R's broom does: df, df.residual, logLik, AIC, BIC.
    backend : {"pandas", "polars"}
        Whose frame it is; polars has null for NaN.

    Returns
    -------
    DataFrame
        nobs, n_groups, n_effects (q), rank (r, or "full"), n_params (p), sigma (root of
        ``scale``), method ("REML" or "ML"), llf, aic, bic, df_model, df_resid, converged (bool),
        steps (of the winning start), starts, starts_at_best, cov_type.
    """
    fit = retvals(estimate)
    row = {
        "nobs": estimate.nobs,
        "n_groups": len(estimate.groups),
        "n_effects": len(estimate.names_re),
        "rank": "full" if estimate.unrestricted else estimate.rank,
        "n_params": estimate.labels.P,
        "sigma": float(np.sqrt(estimate.scale)),
        "method": "REML" if estimate.reml else "ML",
        "llf": estimate.llf,
        "aic": aic(estimate),
        "bic": bic(estimate),
        "df_model": estimate.df_model,
        "df_resid": estimate.df_resid,
        "converged": estimate.converged,
        "steps": fit["iterations"],
        "starts": len(fit["starts"]),
        "starts_at_best": fit["starts_at_best"],
        "cov_type": estimate.choice.cov_type,
    }
    return presented(pd.DataFrame([row]), GLANCE, style, backend)
