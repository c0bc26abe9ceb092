"""``factors=`` of `LowRankPanel`: which model is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sm_alsgls.border.arguments import choice

if TYPE_CHECKING:
    from sm_alsgls.models.cce import CCEPanel
    from sm_alsgls.models.interactive import InteractivePanel

#: Factors are independent of the regressors, and in the covariance of the errors.
RANDOM = "random"


def model_of(factors: Any) -> type[InteractivePanel] | type[CCEPanel] | None:
    """The model of factors that are parameters, imported now; None of random ones.

    Raises
    ------
    OptionError
    """
    kind = choice(factors, "factors", (RANDOM, "fixed", "cce"), said="; rank= is their number")
    if kind == "fixed":
        from sm_alsgls.models.interactive import InteractivePanel

        return InteractivePanel
    if kind == "cce":
        from sm_alsgls.models.cce import CCEPanel

        return CCEPanel
    return None


class ByFactors:
    """Mixin of `LowRankPanel`: with other factors than random ones another model is made."""

    def __new__(cls, *args: Any, factors: Any = RANDOM, **kwargs: Any) -> Any:
        """The model that ``factors`` stands for, made; an empty one of random factors."""
        model = model_of(factors)
        return super().__new__(cls) if model is None else model(*args, **kwargs)
