"""Progress bars, for what takes longer than a user likes to wait in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sm_alsgls.core.als import Sweep


def bar(iterable: Iterable[Any] | None = None, **kwargs: Any) -> Any:
    """A tqdm bar; ImportError with the command to install it."""
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install tqdm") from error
    return tqdm(iterable, **kwargs)


class ProgressBars:
    """Bars of a fit's sweeps, and of the standard errors of its results.

    Raises
    ------
    ImportError
        Without tqdm.
    """

    def __init__(self) -> None:
        self._bar: Any = bar(desc="sweeps", unit="")
        self._start = 0

    def watching(self, callback: Callable[[Sweep], object] | None) -> Callable[[Sweep], object]:
        """A callback that moves the bar and passes each sweep on."""

        def watch(sweep: Sweep) -> object:
            # Number 0 opens a start; it is no sweep yet.
            self._start += sweep.sweep == 0
            self._bar.set_postfix(
                {
                    "start": self._start,
                    "NLL": f"{sweep.nll:.8g}",
                    "score": f"{sweep.score_beta:.1e}",
                }
            )
            self._bar.update(int(sweep.sweep > 0))
            return callback(sweep) if callback is not None else None

        return watch

    def close(self) -> None:
        """End the bar that is open, if any."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __call__(self, what: str, done: int, of: int) -> None:
        """``done`` of ``of`` equations are through with ``what``."""
        if self._bar is None:
            self._bar = bar(desc=what, total=of, unit="eq")
        self._bar.update(done - self._bar.n)
        if done == of:
            self.close()
