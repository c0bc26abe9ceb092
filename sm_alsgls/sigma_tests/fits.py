"""The fit that a test is of: what it must be, and its Sigma in words."""

from __future__ import annotations

from sm_alsgls.border.arguments import came
from sm_alsgls.core.laws.estimated import ML
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.maximise import maximise_from
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.estimate import Estimate, estimate_of


def tested(results: object) -> Estimate:
    """The estimate of results.

    Raises
    ------
    OptionError
    """
    found = estimate_of(results)
    if found is None:
        raise OptionError(f"expected the results of LowRankSUR.fit, got {came(results)}")
    return found


def need_complete(estimate: Estimate, what: str, instead: str) -> None:
    """Raise where cells are missing, of which ``what`` needs all; ``instead`` needs none.

    Raises
    ------
    OptionError
    """
    if not estimate.complete:
        raise OptionError(
            f"{what} needs the residuals of every cell, and this fit has missing ones "
            f"(missing='fiml'); use {instead}"
        )


def need_unpenalised(estimate: Estimate) -> None:
    """Raise where a ridge has moved the fit off the maximum of its likelihood.

    Raises
    ------
    OptionError
    """
    options = estimate.likelihood.options
    if estimate.likelihood.ridged:
        raise OptionError(
            f"the fit has a ridge (lam_F={options.lam_F}, lam_B={options.lam_B}), so its "
            "likelihood is not the maximum a likelihood ratio needs; fit without"
        )


def at_maximum(estimate: Estimate) -> LawFit:
    """The fit at the maximum of the likelihood, also where other values are reported."""
    fit, laws = estimate.sample.law_fit, estimate.laws
    assert laws is not None
    return fit if laws.how == ML else maximise_from(fit, estimate.sample.raw, estimate.rank)


def structure(r: int, has_factors: bool = True) -> str:
    """What Sigma is, in words."""
    if not has_factors:
        return "an unrestricted Sigma"
    return f"{r} factor{'s' * (r != 1)} plus a diagonal"
