"""What long computations say of themselves, on standard error, while a user waits.

By default nothing is said for two seconds; then there is a bar of tqdm, or one line where tqdm is
not installed, and nothing at all where standard error is neither a terminal nor a notebook's.
Whoever loops counts:

    for fold in counted(folds, "folds"): ...

and only the outermost loop is shown, so that nobody needs to know who calls whom; loops within
it look at its clock, which makes it speak after two seconds though its first step takes an hour.
What a user asked by ``progress=`` holds for all that is done within `asking`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Self, TypeVar

T = TypeVar("T")
# Seconds of silence, and between two looks of loops within.
_PATIENCE, _LOOK = 2.0, 0.5

_asked: ContextVar[bool | None] = ContextVar("asked", default=None)
_shown: ContextVar[Progress | None] = ContextVar("shown", default=None)


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
        with warnings.catch_warnings():
            # In a notebook without ipywidgets it falls back on text, and need not say so.
            warnings.filterwarnings("ignore", message="IProgress not found")
            from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install tqdm") from error
    return tqdm(**kwargs)


@contextmanager
def asking(progress: bool | None) -> Iterator[None]:
    """What is done within has a bar at once (True), none (False), or what holds outside (None).

    Examples
    --------
    >>> from sm_alsgls.progress import asking, counted
    >>> with asking(False):
    ...     list(counted("abc", "letters"))
    ['a', 'b', 'c']
    """
    before = _asked.get()
    _asked.set(before if progress is None else progress)
    try:
        yield
    finally:
        _asked.set(before)


def silence() -> None:
    """Nothing is said in this process from now on: the one that it works for counts."""
    _asked.set(False)
    _shown.set(None)


def tick() -> None:
    """A sign of life of a step within something that is counted."""
    shown = _shown.get()
    if shown is not None:
        shown.look()


class Progress:
    """How far something is, said once it has taken two seconds, unless something around it is.

    Parameters
    ----------
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
        On entry, where ``progress=True`` was asked for without tqdm.

    Examples
    --------
    >>> from sm_alsgls.progress import Progress
    >>> with Progress("draws", 3) as said:
    ...     for _ in range(3):
    ...         said.update()
    >>> said.n
    3
    """

    def __init__(self, what: str, total: int | None = None, unit: str = "it") -> None:
        self.what, self.total, self.unit, self.n = what, total, unit, 0
        self._bar: Any = None
        self._around: Progress | None = None
        self._waits, self._began, self._looked = False, 0.0, 0.0

    def __enter__(self) -> Self:
        self._around = _shown.get()
        if self._around is not None:
            return self
        asked = _asked.get()
        self._bar = self._open() if asked else None
        self._waits = asked is None and watched()
        if self._bar is not None or self._waits:
            self._began = self._looked = perf_counter()
            _shown.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._waits = False
        if _shown.get() is self:
            _shown.set(None)
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    @property
    def heard(self) -> bool:
        """Whether anybody may get to see it."""
        return self._waits or self._bar is not None

    def update(self, steps: int = 1, **said: str) -> None:
        """``steps`` more are done; ``said`` stands behind the bar."""
        self.n += steps
        if self._around is not None:
            self._around.look()
            return
        if self._waits and perf_counter() - self._began > _PATIENCE:
            self._say()
        if self._bar is None:
            return
        if self.total is not None and self.total > self._bar.total:
            self._bar.total = self.total
        self._bar.update(self.n - self._bar.n)
        if said:
            self._bar.set_postfix(said)

    def look(self) -> None:
        """A step is not done, but time has passed."""
        if not self.heard:
            return
        now = perf_counter()
        if self._waits and now - self._began > _PATIENCE:
            self._say()
        elif self._bar is not None and now - self._looked > _LOOK:
            # Its seconds go on.
            self._looked = now
            self._bar.refresh()

    def through(self, results: Iterable[T]) -> Iterator[T]:
        """The same results, each counted as it comes; closed after the last."""
        with self:
            for result in results:
                self.update()
                yield result

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


def counted(
    steps: Iterable[T], what: str, total: int | None = None, unit: str = "it"
) -> Iterator[T]:
    """The steps of a loop, each counted when its body is through; ``total`` is their number."""
    if total is None and isinstance(steps, Sized):
        total = len(steps)
    with Progress(what, total, unit) as told:
        for step in steps:
            yield step
            told.update()
