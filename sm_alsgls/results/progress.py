"""What long computations say of themselves, on standard error, while a user waits.

By default (``progress=None``) nothing is said for two seconds; then there is a bar of tqdm, or one
line where tqdm is not installed, and nothing at all where standard error is neither a terminal nor
a notebook's. ``progress=True`` has a bar from the start, ``progress=False`` never one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any, TypeVar

from sm_alsgls.border.arguments import optional_flag
from sm_alsgls.core.maximise.als import Sweep

T = TypeVar("T")
# Seconds of silence.
_PATIENCE = 2.0


def watched() -> bool:
    """Whether somebody looks at standard error: a terminal, or a notebook."""
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def bar(**kwargs: Any) -> Any:
    """A tqdm bar; ImportError with the command to install it."""
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install tqdm") from error
    return tqdm(**kwargs)


class Progress:
    """How far something is, said once it has taken two seconds.

    Parameters
    ----------
    progress : bool or None
        As users give it: True at once, False never, None after two seconds where somebody looks.
    what : str
        What is done.
    total : int, optional
        Of how many steps; None where nobody knows.
    unit : str
        What a step is.

    Attributes
    ----------
    n : int
        Steps that are done.

    Raises
    ------
    ImportError
        ``progress=True`` without tqdm.

    Examples
    --------
    >>> from sm_alsgls.results.progress import Progress
    >>> with Progress(False, "draws", 3) as said:
    ...     for _ in range(3):
    ...         said.update()
    >>> said.n
    3
    """

    def __init__(
        self, progress: bool | None, what: str, total: int | None = None, unit: str = "it"
    ) -> None:
        self.what, self.total, self.unit, self.n = what, total, unit, 0
        self._bar: Any = self._open() if progress else None
        self._waits = progress is None and watched()
        self._began = perf_counter()

    def _open(self) -> Any:
        return bar(desc=self.what, total=self.total, unit=self.unit, initial=self.n)

    def _say(self) -> None:
        """Two seconds are over."""
        self._waits = False
        try:
            self._bar = self._open()
        except ImportError:
            of = "" if self.total is None else f" of {self.total}"
            print(
                f"{self.what}: {self.n}{of} ({self.unit}) after {_PATIENCE:.0f} seconds; "
                "progress=False does not say so, tqdm shows a bar",
                file=sys.stderr,
            )

    def update(self, steps: int = 1, **said: str) -> None:
        """``steps`` more are done; ``said`` stands behind the bar."""
        self.n += steps
        if self._waits and perf_counter() - self._began > _PATIENCE:
            self._say()
        if self._bar is None:
            return
        if self.total is not None and self.total > self._bar.total:
            self._bar.total = self.total
        self._bar.update(self.n - self._bar.n)
        if said:
            self._bar.set_postfix(said)

    def through(self, steps: Iterable[T]) -> Iterator[T]:
        """The same steps, each counted as it comes; closed after the last."""
        with self:
            for step in steps:
                self.update()
                yield step

    def before(self, callback: Callable[[T], object] | None) -> Callable[[T], object]:
        """A callback of steps that counts them, and returns what the caller's returns."""

        def count(step: T) -> object:
            self.update()
            return None if callback is None else callback(step)

        return count

    def close(self) -> None:
        """End the bar, if there is one."""
        self._waits = False
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def asked_progress(progress: Any) -> bool | None:
    """``progress=`` of a call: True, False, or None, which waits for two seconds."""
    return optional_flag(progress, "progress")


class ProgressBars:
    """What a fit says of its starts, and its results of their standard errors.

    Parameters
    ----------
    most : int
        Starts that the fit may run; it may stop earlier.
    progress : bool or None
        See `Progress`.

    Raises
    ------
    ImportError
        ``progress=True`` without tqdm.
    """

    def __init__(self, most: int, progress: bool | None = True) -> None:
        self._progress = progress
        self._now: Progress | None = Progress(progress, "starts", most, "start")
        self._sweeps = 0

    @classmethod
    def asked(cls, most: int, progress: bool | None) -> ProgressBars | None:
        """None where nothing will be said, so that nobody counts."""
        return cls(most, progress) if progress or (progress is None and watched()) else None

    def watching(self, callback: Callable[[Sweep], object] | None) -> Callable[[Sweep], object]:
        """A callback that moves the bar and passes each sweep on."""

        def watch(sweep: Sweep) -> object:
            # Number 0 opens a start; it is no sweep yet.
            opens = sweep.sweep == 0
            self._sweeps += not opens
            now = self._now
            if now is not None:
                if opens and now.n == now.total:
                    # Steps off a saddle come on top.
                    now.total += 1
                now.update(
                    int(opens),
                    sweeps=str(self._sweeps),
                    NLL=f"{sweep.nll:.8g}",
                    score=f"{sweep.score_beta:.1e}",
                )
            return callback(sweep) if callback is not None else None

        return watch

    def close(self) -> None:
        """End the bar that is open, if any."""
        if self._now is not None:
            self._now.close()
            self._now = None

    def __call__(self, what: str, done: int, of: int) -> None:
        """``done`` of ``of`` equations are through with ``what``."""
        if self._now is None:
            self._now = Progress(self._progress, what, of, "eq")
        self._now.update(done - self._now.n)
        if done == of:
            self.close()


class StartsOfSteps:
    """Counts the starts of a climb by the names that come with its steps, and passes steps on.

    Parameters
    ----------
    progress : bool or None
        See `Progress`.
    most : int
        Starts that there may be.
    callback : callable, optional
        Of the caller; a true value of it ends the climb.
    """

    def __init__(
        self, progress: bool | None, most: int, callback: Callable[[Any], object] | None
    ) -> None:
        self._told, self._callback = Progress(progress, "starts", most, "start"), callback
        self._label: str | None = None

    def __call__(self, label: str, step: Any) -> object:
        """A step of the start that is called ``label``."""
        self._told.update(int(label != self._label))
        self._label = label
        return None if self._callback is None else self._callback(step)

    def __enter__(self) -> StartsOfSteps:
        return self

    def __exit__(self, *_: object) -> None:
        self._told.close()
