"""``progress=`` of what users call, and what fits say of their starts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sm_alsgls.border.arguments import optional_flag
from sm_alsgls.core.maximise.als import Sweep
from sm_alsgls.progress import Progress, asking

P = ParamSpec("P")
R = TypeVar("R")


def asked_progress(progress: Any) -> bool | None:
    """``progress=`` of a call: True, False, or None, which waits for two seconds."""
    return optional_flag(progress, "progress")


def says(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, whose keyword ``progress`` holds for all that it does.

    Examples
    --------
    >>> from sm_alsgls.progress import counted
    >>> @says
    ... def draw(reps, *, progress=None):
    ...     return [n for n in counted(range(reps), "draws")]
    >>> draw(3, progress=False)
    [0, 1, 2]
    """
    if inspect.signature(function).parameters["progress"].kind.name != "KEYWORD_ONLY":
        raise TypeError(f"{function.__qualname__} must have progress as a keyword only")

    @wraps(function)
    def saying(*args: P.args, **kwargs: P.kwargs) -> R:
        with asking(asked_progress(kwargs.get("progress"))):
            return function(*args, **kwargs)

    return saying


class StartsOfSweeps(Progress):
    """Counts the starts of a fit as its sweeps come, and passes these on.

    Parameters
    ----------
    most : int
        Starts that the fit may run; it may stop earlier.
    """

    def __init__(self, most: int) -> None:
        super().__init__("starts", most, "start")
        self._sweeps = 0

    def watching(
        self, callback: Callable[[Sweep], object] | None
    ) -> Callable[[Sweep], object] | None:
        """A callback that moves the bar and passes each sweep on; the caller's where none is."""
        if not self.heard:
            return callback

        def watch(sweep: Sweep) -> object:
            # Number 0 opens a start; it is no sweep yet.
            opens = sweep.sweep == 0
            self._sweeps += not opens
            if opens and self.n == self.total:
                # Steps off a saddle come on top.
                self.total += 1
            self.update(
                int(opens),
                sweeps=str(self._sweeps),
                NLL=f"{sweep.nll:.8g}",
                score=f"{sweep.score_beta:.1e}",
            )
            return callback(sweep) if callback is not None else None

        return watch
