"""Standard errors of very many equations: computed when they are first asked for, and kept.

By passes over the data in all shards, minutes at a million equations, of which ``progress`` tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from sm_alsgls.border.provenance import Provenance
from sm_alsgls.core.beta.robust import Clusters, RowWeights, White
from sm_alsgls.core.errors.loading_prior import GTOL, prior_ridge, under_prior, with_whole_variances
from sm_alsgls.core.tiles.inference import model_based, ridged_step, robust
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.progress import asking
from sm_alsgls.results.coefficients import Law
from sm_alsgls.results.cov_types import CovarianceChoice, choose
from sm_alsgls.results.covariance import weights_of_time
from sm_alsgls.results.many.estimate import ManyEstimate

Array = np.ndarray

# Numbers of covariances within equations that are kept: 0.5 GB. Beyond, variances alone are.
_WHOLE = 2**26
_LEVERAGE = "its multipliers need the leverage of every row in all equations together"
#: Covariance types that are not there, and why.
REFUSED = {
    "HC2": _LEVERAGE,
    "HC3": _LEVERAGE,
    "sandwich": "its meat is the K x K covariance of the residuals",
    "KH": "it needs P x P arrays",
    "pcse": "its meat is the K x K covariance of the residuals",
}


def choice_of(
    cov_type: str, cov_kwds: Mapping[str, Any], debiased: bool, rows: Provenance
) -> CovarianceChoice:
    """A covariance type with its options, checked; see `results.cov_types.choose`.

    Clusters have the correction "CR1" unless another is asked for, and t tests the degrees of
    freedom N - p_j - r, or G - 1: Satterthwaite's need the leverage.

    Raises
    ------
    OptionError, ShapeError, NonFiniteError
    """
    kwds = dict(cov_kwds)
    if cov_type == "cluster" and not {"correction", "use_correction"} & kwds.keys():
        kwds["correction"] = "CR1"
    made = choose(cov_type, kwds, debiased, rows, refused=REFUSED)
    if cov_type == "cluster":
        if made.power:
            raise NotApplicableError(
                f"correction={made.kwds['correction']!r}: {_LEVERAGE}; of equations in tiles there "
                "are 'CR1' and 'CR0'"
            )
        if len(made.kwds["codes"]) > 1:
            raise NotApplicableError(
                "groups hold two groupings, which equations in tiles cannot be clustered by; "
                "cluster by the coarser one"
            )
    ours = "t has G - 1 degrees of freedom" if made.df else "t has N - p - r degrees of freedom"
    said = made.description.replace("degrees of freedom by Satterthwaite", ours)
    return replace(made, description=said, power=None)


def sigma_inference(estimate: ManyEstimate) -> LowRankDiag:
    """The error covariance behind "nonrobust", as `results.covariance.sigma_inference`."""
    if not estimate.df.debiased:
        return estimate.sigma
    if "sigma_inference" not in estimate.known:
        with asking(estimate.progress):
            estimate.known["sigma_inference"] = _ridged(estimate).scaled(estimate.df.correction)
    made: LowRankDiag = estimate.known["sigma_inference"]
    return made


def _ridged(estimate: ManyEstimate) -> LowRankDiag:
    """Loadings under the prior that they show, `core.errors.loading_prior`, in shards."""
    cov, df = estimate.sigma, estimate.df
    ridge = prior_ridge(cov, df.counts, df.p, estimate.nobs)
    if not ridge > 0.0:
        return cov
    runner, start = estimate.held.runner, under_prior(cov, ridge)
    each = [
        (estimate.params[estimate.labels.flat(at)], start.loadings[at], start.uniquenesses[at])
        for at in runner.equations
    ]
    options = replace(estimate.ending.options)
    parts = runner.run(ridged_step, options, GTOL, ridge, each=each, what="Sigma of intervals")
    F, d = (np.concatenate(part) for part in zip(*parts, strict=True))
    return with_whole_variances(LowRankDiag.from_factors(F, d), ridge).canonical()


def variances(estimate: ManyEstimate) -> Array:
    """Variances of the coefficients (P,)."""
    return _computed(estimate)["variances"]


def bse(estimate: ManyEstimate) -> Array:
    """Standard errors (P,)."""
    return np.sqrt(variances(estimate))


def block(estimate: ManyEstimate, j: int) -> Array:
    """Covariance of the coefficients of equation j, (p_j, p_j).

    Raises
    ------
    NotApplicableError
        They are too many to be kept.
    """
    whole = _computed(estimate).get("blocks")
    if whole is None:
        raise NotApplicableError(
            f"covariances within {estimate.neqs} equations are "
            f"{int(np.square(estimate.labels.p).sum())} numbers, and more than {_WHOLE} are not "
            "kept; bse and conf_int() are there"
        )
    p = int(estimate.labels.p[j])
    stop = int(_stops(estimate)[j])
    return np.asarray(whole[stop - p * p : stop].reshape(p, p))


def law(estimate: ManyEstimate, at: slice | Array = slice(None)) -> Law:
    """The distribution of the t statistics of some coefficients."""
    return stats.t(estimate.df_t[at]) if estimate.use_t else stats.norm


def _stops(estimate: ManyEstimate) -> Array:
    p = estimate.labels.p
    return np.cumsum(p * p)


def _computed(estimate: ManyEstimate) -> dict[str, Array]:
    known = estimate.known
    if "covariance" not in known:
        whole = int(np.square(estimate.labels.p).sum()) <= _WHOLE
        with asking(estimate.progress):
            found = _in_shards(estimate, whole)
        if whole:
            p, stop = estimate.labels.p, _stops(estimate)
            # Diagonals of the blocks, one after another.
            first = np.repeat(stop - p * p, p)
            place = np.arange(estimate.labels.P) - np.repeat(estimate.labels.stop - p, p)
            known["covariance"] = {
                "variances": found[first + place * (np.repeat(p, p) + 1)],
                "blocks": found,
            }
        else:
            known["covariance"] = {"variances": found}
    made: dict[str, Array] = known["covariance"]
    return made


def _in_shards(estimate: ManyEstimate, whole: bool) -> Array:
    """Variances, or covariances within equations, of all shards one after another."""
    runner, choice, what = estimate.held.runner, estimate.choice, "standard errors"
    if choice.cov_type == "nonrobust":
        sigma, estimated = sigma_inference(estimate), estimate.df.debiased
        own = [(sigma.loadings[at], sigma.uniquenesses[at]) for at in runner.equations]
        return np.concatenate(runner.run(model_based, estimated, whole, each=own, what=what))
    each = estimate.in_shards(runner.equations)
    parts = runner.run(robust, _weights(choice, estimate.nobs), whole, each=each, what=what)
    factor = np.square(_factor(estimate))
    p = estimate.labels.p
    return np.concatenate(parts) * np.repeat(factor, p * p if whole else p)


def _weights(choice: CovarianceChoice, n: int) -> RowWeights:
    """Of the meat."""
    if choice.cov_type == "HAC":
        return weights_of_time(choice.kwds, n)
    if choice.cov_type == "cluster":
        return Clusters(choice.kwds["codes"][0], debias=choice.kwds["correction"] == "CR1")
    return White()


def _factor(estimate: ManyEstimate) -> Array:
    """Small-sample factor of each equation's robust standard errors, (K,)."""
    kwds, df = estimate.choice.kwds, estimate.df
    corrected = kwds.get("correction", estimate.choice.cov_type) not in ("HC0", "CR0")
    if not (corrected and kwds.get("use_correction", True)):
        return np.ones(estimate.neqs)
    taken = df.p + (df.taken if kwds["dof"] == "p+r" else 0)
    return np.sqrt(df.counts / (df.counts - taken))
