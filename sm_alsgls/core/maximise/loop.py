"""One loop for every method that maximises by sweeps: init, done, step.

A method knows what a state is; the loop knows when to stop, what to tell and what to note.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from sm_alsgls.core.maximise.solution import Solution, Sweep
from sm_alsgls.progress import tick

S = TypeVar("S")


class Method(Protocol[S]):
    """A way to maximise, as the loop asks for it."""

    def init(self) -> S:
        """The state that sweep 0 ends with."""
        ...

    def done(self, state: S) -> str:
        """Why the loop ends here, "stationary" for one; empty where it goes on."""
        ...

    def step(self, state: S) -> S:
        """The state after one more sweep."""
        ...

    def stuck(self, state: S) -> str:
        """Why no sweep from here would do better; empty where one may."""
        ...

    def exhausted(self, limit: int) -> str:
        """What to say after so many sweeps."""
        ...

    def row(self, number: int, state: S, seconds: float) -> Sweep:
        """What the trace notes of a state."""
        ...

    def close(self, state: S, status: str, trace: tuple[Sweep, ...]) -> Solution:
        """What is returned."""
        ...


def iterate(
    method: Method[S], limit: int, callback: Callable[[Sweep], object] | None = None
) -> Solution:
    """Sweeps until the method is done, ``limit`` is reached, or a callback stops it.

    Parameters
    ----------
    method : Method
    limit : int
        Sweeps at most, beside sweep 0.
    callback : callable, optional
        Called with each `Sweep`; a true return value stops the run, and a string among them
        becomes its status.
    """
    began = time.perf_counter()
    state = method.init()
    rows = [method.row(0, state, time.perf_counter() - began)]
    status = _asked_to_stop(callback, rows[0])
    while not status:
        status = method.done(state)
        if status:
            break
        if len(rows) > limit:
            status = method.exhausted(limit)
            break
        state = method.step(state)
        tick()
        rows.append(method.row(len(rows), state, time.perf_counter() - began))
        answer = _asked_to_stop(callback, rows[-1])
        status = method.stuck(state) or answer
    return method.close(state, status, tuple(rows))


def _asked_to_stop(callback: Callable[[Sweep], object] | None, sweep: Sweep) -> str:
    answer = callback(sweep) if callback is not None else None
    return answer if isinstance(answer, str) else "stopped by the callback" if answer else ""
