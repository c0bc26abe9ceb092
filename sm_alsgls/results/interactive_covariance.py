"""``cov_type`` of interactive effects: what there is, what each takes, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sm_alsgls.border.arguments import choice, count, mapping, unknown
from sm_alsgls.border.held import own
from sm_alsgls.core.interactive.covariance import bandwidth, covariance
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.dense_covariance import DenseCovariance
from sm_alsgls.results.interactive_estimate import InteractiveEstimate, influence_of

COV_TYPES = ("cluster", "nonrobust", "HC2", "HAC")
_KWDS: dict[str, list[str]] = {"HAC": ["maxlags"], "cluster": ["groups"]}
_SAID = {
    "nonrobust": "Standard errors assume errors that are independent, of one variance within a "
    "unit.",
    "HC2": "Standard errors are robust to any variances of independent errors (HC2).",
    "HAC": "Standard errors are robust to any variances, and to correlation in time over {} lags.",
    "cluster": "Standard errors are robust to any variances, and to any correlation within {}; t "
    "has {} degrees of freedom.",
}


def choose_interactive(
    cov_type: Any, cov_kwds: Mapping[str, Any] | None, sizes: tuple[int, int]
) -> CovarianceChoice:
    """Check a covariance type and its options.

    Parameters
    ----------
    cov_type : {"cluster", "nonrobust", "HC2", "HAC"}
    cov_kwds : mapping, optional
        ``maxlags`` of "HAC", default 4 (T / 100)^(2/9); ``groups`` of "cluster", "entity" (default)
        or "time".
    sizes : tuple of int
        Periods T and units n.

    Raises
    ------
    OptionError, UnknownArgumentError
    """
    kwds = own(mapping({} if cov_kwds is None else cov_kwds, "cov_kwds", "{'maxlags': 3}"))
    cov_type = choice(cov_type, "cov_type", COV_TYPES, after=_near(cov_type))
    taken = _KWDS.get(cov_type, [])
    unknown([name for name in kwds if name not in taken], taken, f"cov_type={cov_type!r}")
    T, n = sizes
    said, df = _SAID[cov_type], None
    if cov_type == "HAC":
        lags = kwds.get("maxlags")
        kwds["maxlags"] = bandwidth(T) if lags is None else count(lags, "maxlags", 0, T - 1)
        said = said.format(kwds["maxlags"])
    elif cov_type == "cluster":
        groups = choice(kwds.get("groups", "entity"), "groups", ("entity", "time"))
        kwds["groups"] = groups
        df = float((n if groups == "entity" else T) - 1)
        said = said.format("units" if groups == "entity" else "periods", f"{df:.0f}")
    return CovarianceChoice(cov_type, kwds, said, df)


def _near(cov_type: Any) -> str:
    if isinstance(cov_type, str) and cov_type.lower() in ("hc0", "hc1", "hc3", "robust", "white"):
        return "; residuals are enlarged by what loadings and factors take of them, which is HC2"
    return ""


def kind_of(choice: CovarianceChoice) -> str:
    """What `core.interactive.covariance` calls a type."""
    if choice.cov_type == "cluster":
        return "unit" if choice.kwds["groups"] == "entity" else "period"
    return {"nonrobust": "nonrobust", "HC2": "hetero", "HAC": "serial"}[choice.cov_type]


def build_interactive(estimate: InteractiveEstimate, choice: CovarianceChoice) -> DenseCovariance:
    """The covariance of the slopes."""
    found, lags = influence_of(estimate), choice.kwds.get("maxlags")
    return DenseCovariance(covariance(found, estimate.df_resid, kind_of(choice), lags))
