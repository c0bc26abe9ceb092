"""Methods of results that are functions of an estimate, with their signatures and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sm_alsgls.progress import asking
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import Fitted

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound=Fitted)
Held = TypeVar("Held", bound=Fitted, covariant=True)


class HasEstimate(Protocol[Held]):
    """Results."""

    @property
    def estimate(self) -> Held:
        """What was estimated."""
        ...


def method(
    function: Callable[Concatenate[E, P], R],
) -> Callable[Concatenate[HasEstimate[E], P], R]:
    """The method ``self.name(...)`` that is ``function(self.estimate, ...)``.

    What the fit was asked to say of itself holds, unless the method is asked itself.
    """

    def call(self: HasEstimate[E], /, *args: P.args, **kwargs: P.kwargs) -> R:
        with asking(self.estimate.progress):
            return function(self.estimate, *args, **kwargs)

    _presented(call, function, 1)
    return call


class OfEquation(HasEstimate[Estimate], Protocol):
    """Results of one equation of a system."""

    position: int


def of_equation(
    function: Callable[Concatenate[Estimate, int, P], R],
) -> Callable[Concatenate[OfEquation, P], R]:
    """The method that is ``function(self.estimate, self.position, ...)``."""

    def call(self: OfEquation, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with asking(self.estimate.progress):
            return function(self.estimate, self.position, *args, **kwargs)

    _presented(call, function, 2)
    return call


def _presented(call: Callable[..., object], function: Callable[..., object], taken: int) -> None:
    """Name, docstring and signature of the function, whose first parameters become ``self``."""
    update_wrapper(call, function)
    whole = inspect.signature(function)
    parameters = list(whole.parameters.values())
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    vars(call)["__signature__"] = whole.replace(parameters=[first, *parameters[taken:]])
