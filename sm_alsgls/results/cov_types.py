"""``cov_type`` and its options: what there is, what each takes, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice, count, flag, nearest, number
from sm_alsgls.border.held import own
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.core.beta.cosine_weights import default_terms
from sm_alsgls.data.removed import Removed
from sm_alsgls.exceptions import OptionError, ShapeError, UnknownArgumentError
from sm_alsgls.results.familiar import familiar_cov_type

COV_TYPES = (
    "nonrobust", "sandwich", "HC0", "HC1", "HC2", "HC3", "cluster", "HAC", "KH", "pcse",
)  # fmt: skip

_KWDS = {
    "nonrobust": set(),
    "sandwich": {"dof"},
    "HC0": set(),
    "HC1": {"dof"},
    "HC2": {"dof"},
    "HC3": {"dof"},
    "cluster": {"groups", "correction", "use_correction", "dof"},
    "HAC": {"maxlags", "kernel", "terms", "use_correction", "dof"},
    "KH": set(),
    "pcse": set(),
}

_WITHIN = (
    "rows of a long panel's system are periods, so clusters are clusters of periods; correlation "
    "between the equations of a period needs none, all covariance types allow for it"
)

# What needs one Sigma for all rows, and why.
_COMPLETE_ONLY = {
    "KH": "its correction is that of one Sigma for all rows, and these differ by what they miss",
    "sandwich": "its meat is the residuals' covariance E'E / N, which needs every cell",
    "pcse": "it is made of the residuals' covariance E'E / N, which needs every cell",
}

# Powers k of the multipliers (1 - leverage)^-k; see `core.beta.small_sample`.
_POWERS = {"HC0": 0.0, "HC1": 0.0, "HC2": 0.5, "HC3": 1.0}
_CORRECTIONS = {"CR0": 0.0, "CR1": 0.0, "CR2": 0.5, "CR3": 1.0}

_KERNELS = {
    "bartlett": "bartlett",
    "newey-west": "bartlett",
    "parzen": "parzen",
    "quadratic-spectral": "quadratic-spectral",
    "qs": "quadratic-spectral",
    "cosine": "cosine",
}


@dataclass(frozen=True)
class CovarianceChoice:
    """A validated ``cov_type`` with its options.

    Attributes
    ----------
    cov_type : str
    kwds : dict
        Options with defaults filled in.
    description : str
        For the summary.
    df : float or None
        Degrees of freedom of t where they do not follow from the equations; clusters have G - 1
        at most.
    power : float or None
        Of the multipliers of rows or clusters; None where degrees of freedom are no
        coefficient's own.
    """

    cov_type: str
    kwds: dict[str, Any]
    description: str
    df: float | None = None
    power: float | None = None

    def without_rows(self, N: int) -> CovarianceChoice:
        """The same without options that have a value for each of N rows."""
        kwds = {
            name: Removed(name) if _has_rows(value, N) or _is_long(value, N) else value
            for name, value in self.kwds.items()
        }
        return replace(self, kwds=kwds)


def _has_rows(value: Any, N: int) -> bool:
    if isinstance(value, (np.ndarray, pd.DataFrame, pd.Series)):
        return value.shape[:1] == (N,)
    if isinstance(value, (list, tuple)):
        return any(_has_rows(item, N) for item in value)
    return False


def _is_long(value: Any, N: int) -> bool:
    return isinstance(value, (list, tuple, pd.Index)) and len(value) == N


def choose(
    cov_type: str,
    cov_kwds: Mapping[str, Any] | None,
    debiased: bool,
    rows: Provenance,
    complete: bool = True,
    has_factors: bool = True,
    refused: Mapping[str, str] | None = None,
) -> CovarianceChoice:
    """Check a covariance type and its options against the rows of the system.

    ``complete`` says whether no cell is missing, ``has_factors`` whether Sigma is low rank plus
    diagonal, ``refused`` which types mean nothing for the estimator, and why.

    Raises
    ------
    OptionError, ShapeError, NonFiniteError
    """
    if not isinstance(cov_type, str) or cov_type not in COV_TYPES:
        known = familiar_cov_type(cov_type, COV_TYPES) if isinstance(cov_type, str) else ""
        choice(cov_type, "cov_type", COV_TYPES, after=known)
    if not complete and cov_type in _COMPLETE_ONLY:
        raise OptionError(
            f"cov_type={cov_type!r} is not defined with missing cells: {_COMPLETE_ONLY[cov_type]}; "
            "use 'nonrobust', 'HC0' to 'HC3', 'cluster' or 'HAC'"
        )
    if refused and cov_type in refused:
        left = ", ".join(repr(name) for name in COV_TYPES if name not in refused)
        raise OptionError(f"cov_type={cov_type!r}: {refused[cov_type]}; use one of {left}")
    kwds = own(dict(cov_kwds or {}))
    _check_options(cov_type, kwds)
    if "dof" in _KWDS[cov_type]:
        kwds["dof"] = choice(kwds.get("dof", "p+r"), "dof", ("p", "p+r"))
    if "use_correction" in kwds:
        kwds["use_correction"] = flag(kwds["use_correction"], "use_correction")
    if cov_type in _POWERS or cov_type in ("cluster", "HAC"):
        len(rows.index)  # rows that were not kept say so before the fit
    if cov_type == "cluster":
        return _clustered(kwds, rows)
    if cov_type == "HAC":
        return _kernel(kwds, len(rows.index))
    said = _DESCRIPTIONS if has_factors else {**_DESCRIPTIONS, **_UNRESTRICTED}
    text = said[cov_type][debiased]
    return CovarianceChoice(cov_type, kwds, text, power=_POWERS.get(cov_type))


def check_least_squares(rank: int | str, lam_B: float) -> None:
    """Panel-corrected standard errors are those of least squares.

    Raises
    ------
    OptionError
    """
    if rank != 0 or lam_B > 0.0:
        what = f"rank {rank}" if rank else "the ridge lam_B"
        raise OptionError(
            "cov_type='pcse' (Beck and Katz) is the covariance of least-squares coefficients, and "
            f"this fit has {what}; make the model with rank=0, or use cov_type='sandwich', the "
            "same idea about GLS"
        )


def check_instrumented(choice: CovarianceChoice, tied: bool) -> None:
    """Multipliers and groupings that instruments have, ``tied`` or free coefficients.

    Raises
    ------
    OptionError
    """
    if choice.power and tied:
        raise OptionError(
            f"cov_type={choice.cov_type!r} with multipliers of the leverage is not defined with "
            "restrictions or common coefficients and instruments; use 'HC1', or 'cluster' with "
            "correction='CR1'"
        )
    if choice.cov_type == "cluster" and len(choice.kwds["codes"]) > 1:
        raise OptionError(
            "cov_type='cluster' with two groupings is not there with instruments; cluster by the "
            "coarser one"
        )


_ASSUMES = "Standard errors assume independent rows and that Sigma = F F' + D holds"
_DESCRIPTIONS = {
    "nonrobust": {
        True: f"{_ASSUMES}, with N - p - r degrees of freedom and corrections for its estimation.",
        False: f"{_ASSUMES} and known.",
    },
    "KH": {
        True: f"{_ASSUMES}, corrected for its estimation (Kackar-Harville); N - p - r degrees "
        "of freedom.",
        False: f"{_ASSUMES}, corrected for its estimation (Kackar-Harville).",
    },
    "sandwich": dict.fromkeys(
        (True, False),
        "Sigma is a working covariance; standard errors use the residuals' own covariance and "
        "assume independent rows of one distribution.",
    ),
    **{
        kind: dict.fromkeys(
            (True, False),
            "Standard errors are robust to heteroscedasticity and to any correlation within a row, "
            f"and assume independent rows ({kind}); degrees of freedom by Satterthwaite.",
        )
        for kind in _POWERS
    },
    "pcse": dict.fromkeys(
        (True, False),
        "Panel-corrected standard errors of least squares (Beck and Katz): they use the residuals' "
        "own covariance between equations and assume independent rows of one distribution.",
    ),
}

_OF_ONE = "Standard errors assume independent rows of one distribution"
_UNRESTRICTED = {
    "nonrobust": {
        True: f"{_OF_ONE}, with N - p degrees of freedom and corrections for the estimation of "
        "Sigma.",
        False: f"{_OF_ONE}, and that Sigma is known.",
    },
    "KH": {
        True: f"{_OF_ONE}, corrected for the estimation of Sigma (Kackar-Harville, Kenward-Roger);"
        " N - p degrees of freedom.",
        False: f"{_OF_ONE}, corrected for the estimation of Sigma (Kackar-Harville).",
    },
}


def _check_options(cov_type: str, kwds: dict[str, Any]) -> None:
    """Whether a covariance type has these options; what others call them is translated."""
    mine = sorted(_KWDS[cov_type])
    for name in kwds:
        if name in mine:
            continue
        where = [other for other in COV_TYPES if name in _KWDS[other]]
        said = f"cov_type={cov_type!r} does not take {name!r}"
        if name in _FAMILIAR:
            said += f"; use {_FAMILIAR[name]}"
        elif where:
            said += f", which is of {' and '.join(map(repr, where))}"
        elif mine:
            said += nearest(str(name), mine)
        raise UnknownArgumentError(f"{said}; its options are: {', '.join(mine) or 'none'}")


# What others call the options.
_FAMILIAR = {
    **dict.fromkeys(("bandwidth", "nlags", "lags", "nw_lags"), "maxlags"),
    **dict.fromkeys(("weights_func", "kernel_type"), "kernel"),
    **dict.fromkeys(("clusters", "cluster", "group", "time"), "groups"),
    **dict.fromkeys(("debiased", "small", "df_correction"), "use_correction, or debiased= of fit"),
    "cov_type": "cov_type= beside cov_kwds=",
}


def _clustered(kwds: dict[str, Any], rows: Provenance) -> CovarianceChoice:
    if kwds.get("groups") is None:
        raise OptionError(
            "cov_type='cluster' needs groups=: one or two labels for each row, for example a "
            "column of the data by its name"
        )
    kept, codes = clusters(kwds["groups"], rows)
    # What the rows have, not what the caller passed: that may be of other rows, and may change.
    kwds["groups"] = kept[0] if len(kept) == 1 else np.column_stack(kept)
    sizes = [int(code.max()) + 1 for code in codes]
    correction = _correction(kwds)
    kwds["correction"] = correction
    ways = "two-way " if len(codes) == 2 else ""
    counts = " and ".join(map(str, sizes))
    text = (
        f"Standard errors are robust to {ways}cluster correlation ({counts} clusters of rows, "
        f"{correction}); degrees of freedom by Satterthwaite."
    )
    if len(codes) == 2:
        text += " Where V_a + V_b - V_ab is not positive the larger of V_a and V_b is taken."
    return CovarianceChoice(
        "cluster",
        {**kwds, "codes": codes},
        text,
        float(min(sizes) - 1),
        _CORRECTIONS[correction],
    )


def clusters(groups: Any, rows: Provenance, most: int = 2) -> tuple[list[Any], list[np.ndarray]]:
    """Labels of the rows of the system, and their codes from 0, for each grouping.

    Raises
    ------
    ShapeError
        More than ``most`` groupings.
    OptionError, NonFiniteError
    """
    labels = rows.per_row(groups, "groups", within=_WITHIN)
    if not 1 <= len(labels) <= most:
        several = "one or two groupings" if most > 1 else "one grouping"
        raise ShapeError(f"groups may hold {several}, got {len(labels)}")
    codes = [pd.factorize(label)[0] for label in labels]
    if any(int(code.max()) < 1 for code in codes):
        raise OptionError("groups: one cluster only; clustered errors need two or more")
    return [label.to_numpy() for label in labels], codes


def _correction(kwds: dict[str, Any]) -> str:
    """The name of the small-sample correction; statsmodels' flag is CR1 or CR0."""
    named = kwds.get("correction")
    if named is not None:
        named = choice(named, "correction", _CORRECTIONS)
    if "use_correction" not in kwds:
        return "CR2" if named is None else named
    asked = "CR1" if kwds["use_correction"] else "CR0"
    if named not in (None, asked):
        raise OptionError(
            f"use_correction={kwds['use_correction']} is correction={asked!r}; "
            f"correction={named!r} was given as well: leave one out"
        )
    return asked


def _kernel(kwds: dict[str, Any], N: int) -> CovarianceChoice:
    name = kwds.get("kernel", "bartlett")
    name = choice(name.lower() if isinstance(name, str) else name, "kernel", _KERNELS)
    name = _KERNELS[name]
    lags, terms = kwds.pop("maxlags", None), kwds.pop("terms", None)
    kwds.setdefault("use_correction", True)
    if name == "cosine":
        if lags is not None:
            raise OptionError("kernel='cosine' has no lags: give terms= in place of maxlags=")
        terms = default_terms(N) if terms is None else count(terms, "terms", least=1, most=N - 1)
        return CovarianceChoice(
            "HAC",
            {**kwds, "kernel": name, "terms": terms},
            "Standard errors are heteroscedasticity, autocorrelation and cross-equation robust "
            f"({terms} cosines), with as many degrees of freedom.",
            float(terms),
        )
    if terms is not None:
        raise OptionError(f"terms= is of kernel='cosine'; kernel={name!r} has maxlags=")
    if lags is None:
        # Newey and West (1994, Review of Economic Studies 61), the non-random part of their rule.
        power = {"bartlett": 2 / 9, "parzen": 4 / 25, "quadratic-spectral": 2 / 25}[name]
        lags = int(np.floor(4.0 * (N / 100.0) ** power))
    # Not whole ones only: of the quadratic-spectral kernel it is a bandwidth.
    said = f"a number between 0 and N - 1 = {N - 1}"
    lags = _whole(number(lags, "maxlags", least=0, most=N - 1, what=said))
    return CovarianceChoice(
        "HAC",
        {**kwds, "kernel": name, "maxlags": lags},
        "Standard errors are heteroscedasticity, autocorrelation and cross-equation robust "
        f"(Driscoll-Kraay, {name} kernel, {lags:g} lags).",
    )


def _whole(value: float) -> float | int:
    return int(value) if value.is_integer() else value
