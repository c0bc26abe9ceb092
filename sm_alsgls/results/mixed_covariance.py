"""``cov_type`` of a mixed model: what there is, what each takes, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from sm_alsgls.border.arguments import choice, flag, mapping, unknown
from sm_alsgls.border.held import own
from sm_alsgls.core.mixed.cluster import KINDS, ClusterCovariance
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.kenward_roger import (
    VARIANTS,
    KenwardRogerCovariance,
    check_kenward_roger,
    is_quick,
)
from sm_alsgls.core.mixed.satterthwaite import SatterthwaiteCovariance
from sm_alsgls.data.grouped import Grouped
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.parameter_covariance import ParameterCovariance

MIXED_COV_TYPES = ("nonrobust", "kenward-roger", "cluster")
# Other names that a type goes by, and the options they stand for.
_ALIASES: dict[str, tuple[str, dict[str, str]]] = {
    "satterthwaite": ("nonrobust", {}),
    "kr": ("kenward-roger", {}),
    "kenward-rogers": ("kenward-roger", {}),
    **{kind.lower(): ("cluster", {"correction": kind}) for kind in KINDS},
}
_KWDS: dict[str, tuple[str, ...]] = {
    "nonrobust": (),
    "kenward-roger": ("variant",),
    "cluster": ("correction", "use_correction"),
}
# What is said where nothing was asked for and the problem is large.
_LEFT_OUT = (
    " Kenward and Roger's correction takes long here and was left out: cov_type='kenward-roger'."
)
_SAID = {
    "nonrobust": "Standard errors assume the covariance of random effects and residuals; degrees "
    "of freedom by Satterthwaite.",
    "kenward-roger": "Standard errors assume the covariance of random effects and residuals, "
    "corrected for its estimation, with degrees of freedom by Kenward and Roger.",
    "cluster": "Standard errors are robust to any covariance within groups ({}), and assume "
    "independent groups; degrees of freedom by Bell and McCaffrey.",
}


class HasFit(Protocol):
    """What a covariance is made of."""

    @property
    def fit(self) -> MixedFit:
        """The maximum."""
        ...

    @property
    def rows(self) -> Grouped:
        """The rows; DataRemovedError where they are gone."""
        ...


def choose_mixed(
    cov_type: str, cov_kwds: Mapping[str, Any] | None, fit: MixedFit
) -> CovarianceChoice:
    """Check a covariance type and its options against a fit.

    Parameters
    ----------
    cov_type : {"nonrobust", "kenward-roger", "cluster"}
        "satterthwaite" is "nonrobust", "kr" is "kenward-roger", "CR0" to "CR3" are "cluster" with
        that ``correction``.
    cov_kwds : mapping, optional
        Of "cluster": ``correction``, "CR2" (default), "CR0", "CR1" or "CR3"; or statsmodels'
        ``use_correction``, which is CR1 or CR0. Of "kenward-roger": ``variant``, "positive"
        (default), "2009", "1997" or "first-order", see `core.mixed.kenward_roger`.
    fit : MixedFit

    Raises
    ------
    OptionError, UnknownArgumentError, NotApplicableError
    """
    cov_type, kwds = _asked(cov_type, cov_kwds)
    if cov_type == "kenward-roger":
        check_kenward_roger(fit)
    said = _SAID[cov_type].format(kwds.get("correction", ""))
    if cov_type == "nonrobust" and fit.at_bound.any():
        said += " Uniquenesses that are zero are unknown in them as others are."
    return CovarianceChoice(cov_type, kwds, said)


def _asked(cov_type: str, cov_kwds: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """A covariance type by its own name, with its options: what is to be checked of the words."""
    kwds = own(mapping(cov_kwds, "cov_kwds", "{'correction': 'CR1'}"))
    if isinstance(cov_type, str) and cov_type.lower() in _ALIASES:
        cov_type, stands_for = _ALIASES[cov_type.lower()]
        for name, value in stands_for.items():
            if kwds.setdefault(name, value) != value:
                raise OptionError(
                    f"cov_type={value!r} is {name}={value!r}, and {name}={kwds[name]!r} was given "
                    "as well: leave one out"
                )
    cov_type = choice(cov_type, "cov_type", MIXED_COV_TYPES, after=_elsewhere(cov_type))
    if "groups" in kwds:
        raise OptionError(
            "cov_kwds: clusters are the groups of the model, which are what is independent in it; "
            "leave groups= out"
        )
    taken = _KWDS[cov_type]
    unknown([name for name in kwds if name not in taken], taken, f"cov_type={cov_type!r}")
    if cov_type == "kenward-roger":
        kwds["variant"] = choice(str(kwds.get("variant", "positive")), "variant", VARIANTS)
    if cov_type == "cluster":
        kwds["correction"] = _correction(kwds)
    return cov_type, kwds


def check_words(cov_type: str | None, cov_kwds: Mapping[str, Any] | None) -> None:
    """Refuse before a fit what `choose_or_usual` would refuse of any fit.

    Raises
    ------
    OptionError
        Also options of no type.
    UnknownArgumentError
    """
    if cov_type is not None:
        _asked(cov_type, cov_kwds)
    elif own(mapping(cov_kwds, "cov_kwds", "{'correction': 'CR1'}")):
        raise OptionError("cov_kwds are options of a cov_type: give cov_type= as well")


def choose_or_usual(
    cov_type: str | None, cov_kwds: Mapping[str, Any] | None, fit: MixedFit, use_t: bool
) -> CovarianceChoice:
    """As `choose_mixed`, and what a fit has where no type is asked for.

    Kenward and Roger's, whose intervals cover with few groups where Satterthwaite's do not, of REML
    where it is quick (`core.mixed.kenward_roger.is_quick`); else "nonrobust", and so with normal
    quantiles, which are MixedLM's.

    Raises
    ------
    OptionError
        Also options of no type.
    UnknownArgumentError, NotApplicableError
    """
    check_words(cov_type, cov_kwds)
    if cov_type is not None:
        return choose_mixed(cov_type, cov_kwds, fit)
    if not (use_t and fit.reml):
        return choose_mixed("nonrobust", None, fit)
    if is_quick(fit):
        return choose_mixed("kenward-roger", None, fit)
    made = choose_mixed("nonrobust", None, fit)
    return replace(made, description=made.description + _LEFT_OUT)


def _elsewhere(cov_type: Any) -> str:
    """What to use in place of a type of other models."""
    text = str(cov_type).lower()
    if text in ("kh", "kackar-harville"):
        return "; use 'kenward-roger'"
    if text in ("robust", "clustered", "hc0", "hc1", "hc2", "hc3", "sandwich", "hac"):
        return "; use 'cluster': groups are what is independent"
    return "; use bootstrap(), a method of the results" if text == "bootstrap" else ""


def _correction(kwds: dict[str, Any]) -> str:
    named = kwds.get("correction")
    if named is not None:
        named = choice(named, "correction", KINDS)
    if "use_correction" not in kwds:
        return named or "CR2"
    kwds["use_correction"] = flag(kwds["use_correction"], "use_correction")
    asked = "CR1" if kwds["use_correction"] else "CR0"
    if named not in (None, asked):
        raise OptionError(
            f"use_correction={kwds['use_correction']} is correction={asked!r}; "
            f"correction={named!r} was given as well: leave one out"
        )
    return asked


def build_mixed(estimate: HasFit, choice: CovarianceChoice) -> ParameterCovariance:
    """The covariance of the coefficients that a choice stands for."""
    if choice.cov_type == "kenward-roger":
        variant = choice.kwds["variant"]
        return KenwardRogerCovariance(estimate.fit, variant, lambda: estimate.rows.mixed())
    if choice.cov_type == "cluster":
        return ClusterCovariance(estimate.fit, choice.kwds["correction"])
    return SatterthwaiteCovariance(estimate.fit)
