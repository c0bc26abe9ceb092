"""Standard errors of very many equations: computed when they are first asked for, and kept.

By passes over the data in all shards, minutes at a million equations, of which ``progress`` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from scipy import stats

from sm_alsgls.border.provenance import Provenance
from sm_alsgls.core.beta.robust import Clusters, RowWeights, White
from sm_alsgls.core.beta.small_sample import Moments, Units, own_moments
from sm_alsgls.core.design.bases import bases_of_rows
from sm_alsgls.core.tiles.inference import degrees, intervals, model_based, robust, stretches
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.progress import asking
from sm_alsgls.results.coefficients import Law
from sm_alsgls.results.cov_types import CovarianceChoice, choose
from sm_alsgls.results.covariance import weights_of_time
from sm_alsgls.results.many.estimate import ManyEstimate

Array = np.ndarray
R = TypeVar("R")

# Numbers of covariances within equations that are kept: 0.5 GB. Beyond, variances alone are.
WHOLE = 2**26
_SQUARE = "its meat is the K x K covariance of the residuals"
#: Covariance types that are not there, and why.
REFUSED = {"sandwich": _SQUARE, "KH": "it needs P x P arrays", "pcse": _SQUARE}


def choice_of(
    cov_type: str, cov_kwds: Mapping[str, Any], debiased: bool, rows: Provenance
) -> CovarianceChoice:
    """A covariance type with its options, checked; see `results.cov_types.choose`.

    Raises
    ------
    OptionError, ShapeError, NonFiniteError
    NotApplicableError
        Two groupings of clusters.
    """
    made = choose(cov_type, cov_kwds, debiased, rows, refused=REFUSED)
    if len(made.kwds.get("codes", ())) > 1:
        raise NotApplicableError(
            "groups hold two groupings, which equations in tiles cannot be clustered by; cluster "
            "by the coarser one"
        )
    return made


def _once(estimate: ManyEstimate, name: str, make: Callable[[], R]) -> R:
    """What is computed when it is first asked for, and told of as the fit was asked to."""
    if name not in estimate.known:
        with asking(estimate.progress):
            estimate.known[name] = make()
    made: R = estimate.known[name]
    return made


def sigma_inference(estimate: ManyEstimate) -> LowRankDiag:
    """The error covariance behind "nonrobust", as `results.covariance.sigma_inference`."""
    if not estimate.df.debiased:
        return estimate.sigma
    return _once(estimate, "sigma_inference", lambda: _of_intervals(estimate))


def _of_intervals(estimate: ManyEstimate) -> LowRankDiag:
    runner = estimate.held.runner
    each = estimate.in_shards(runner.equations)
    parts = runner.run(intervals, estimate.ending.options, each=each, what="Sigma of intervals")
    F, d = (np.concatenate(part) for part in zip(*parts, strict=True))
    return LowRankDiag.from_factors(F, d)


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
            f"{int(np.square(estimate.labels.p).sum())} numbers, and more than {WHOLE} are not "
            "kept; bse and conf_int() are there"
        )
    p = int(estimate.labels.p[j])
    stop = int(_stops(estimate)[j])
    return np.asarray(whole[stop - p * p : stop].reshape(p, p))


def law(estimate: ManyEstimate, at: slice | Array = slice(None)) -> Law:
    """The distribution of the t statistics of some coefficients."""
    return stats.t(coefficient_df(estimate)[at]) if estimate.use_t else stats.norm


def coefficient_df(estimate: ManyEstimate) -> Array:
    """Degrees of freedom of each t statistic (P,): Satterthwaite's of rows and clusters."""
    power = estimate.choice.power
    if power is None:
        return np.repeat(estimate.df.t.astype(float), estimate.labels.p)

    def make() -> Array:
        runner, units = estimate.held.runner, _units(estimate)
        each = [(estimate.params[estimate.labels.flat(at)],) for at in runner.equations]
        return np.concatenate(
            runner.run(degrees, units, power, each=each, what="degrees of freedom")
        )

    return _once(estimate, "degrees", make)


def own_degrees(estimate: ManyEstimate, j: int, combinations: Array) -> Array:
    """The same of combinations (m, p_j) of the coefficients of equation j, (m,).

    Its tile is read.
    """
    source = estimate.held.runner.whole
    starts = [at.start for at in source.bounds]
    t = int(np.searchsorted(starts, j, side="right")) - 1
    Xt = source.read(t).Xt[j - starts[t]][None]
    basis, to_beta = bases_of_rows(Xt, np.array([j]))
    weights = to_beta[0].T @ combinations.T
    found: Moments = own_moments(
        basis[0].T, weights, _units(estimate), float(estimate.choice.power or 0.0)
    )
    return found.df


def _stops(estimate: ManyEstimate) -> Array:
    p = estimate.labels.p
    return np.cumsum(p * p)


def _computed(estimate: ManyEstimate) -> dict[str, Array]:
    return _once(estimate, "covariance", lambda: _compute(estimate))


def _compute(estimate: ManyEstimate) -> dict[str, Array]:
    p, stop = estimate.labels.p, _stops(estimate)
    whole = int(stop[-1]) <= WHOLE
    found = _in_shards(estimate, whole)
    factor = _factor(estimate)
    if not whole:
        return {"variances": found if factor is None else found * np.square(factor)}
    # Of coefficient i of an equation the row of its block begins at the block's place + i p.
    place = np.arange(estimate.labels.P) - np.repeat(estimate.labels.stop - p, p)
    row = np.repeat(stop - p * p, p) + place * np.repeat(p, p)
    if factor is not None:
        found *= np.repeat(factor, np.repeat(p, p))
        # And by those of the columns: each equation's own, once for each of its rows.
        first = np.repeat(np.repeat(estimate.labels.stop - p, p), np.repeat(p, p))
        column = np.arange(len(found)) - np.repeat(row, np.repeat(p, p))
        found *= factor[first + column]
    return {"variances": found[row + place], "blocks": found}


def _in_shards(estimate: ManyEstimate, whole: bool) -> Array:
    """Variances, or covariances within equations, of all shards one after another."""
    runner, choice, what = estimate.held.runner, estimate.choice, "standard errors"
    if choice.cov_type == "nonrobust":
        sigma, estimated = sigma_inference(estimate), estimate.df.debiased
        own = [(sigma.loadings[at], sigma.uniquenesses[at]) for at in runner.equations]
        return np.concatenate(runner.run(model_based, estimated, whole, each=own, what=what))
    each = estimate.in_shards(runner.equations)
    args = _weights(estimate), _units(estimate), choice.power or 0.0, whole
    return np.concatenate(runner.run(robust, *args, each=each, what=what))


def _weights(estimate: ManyEstimate) -> RowWeights:
    """Of the meat."""
    choice = estimate.choice
    if choice.cov_type == "HAC":
        return weights_of_time(choice.kwds, estimate.nobs)
    if choice.cov_type == "cluster":
        # G / (G - 1) is what multipliers of the leverage are in place of.
        return Clusters(choice.kwds["codes"][0], debias=choice.kwds["correction"] == "CR1")
    return White()


def _units(estimate: ManyEstimate) -> Units:
    codes = estimate.choice.kwds.get("codes")
    return Units(estimate.nobs, None if codes is None else codes[0])


def _factor(estimate: ManyEstimate) -> Array | None:
    """Small-sample factor of each robust standard error (P,), as `results.covariance` has it."""
    choice, df = estimate.choice, estimate.df
    kwds, p = choice.kwds, estimate.labels.p
    if choice.cov_type == "nonrobust":
        return None
    taken = df.taken if kwds.get("dof", "p+r") == "p+r" else 0
    if choice.power:
        factor = np.repeat(np.sqrt((df.counts - p) / (df.counts - p - taken)), p)
        return factor * _stretched(estimate) if df.debiased and estimate.rank else factor
    corrected = kwds.get("correction", choice.cov_type) not in ("HC0", "CR0")
    if not (corrected and kwds.get("use_correction", True)):
        return None
    return np.repeat(np.sqrt(df.counts / (df.counts - p - taken)), p)


def _stretched(estimate: ManyEstimate) -> Array:
    sigma, runner = sigma_inference(estimate), estimate.held.runner
    own = [(sigma.loadings[at], sigma.uniquenesses[at]) for at in runner.equations]
    return np.concatenate(runner.run(stretches, each=own, what="standard errors"))
