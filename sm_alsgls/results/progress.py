"""Progress bars, for what takes longer than a user likes to wait in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sm_alsgls.core.maximise.als import Sweep


def bar(iterable: Iterable[Any] | None = None, **kwargs: Any) -> Any:
    """A tqdm bar; ImportError with the command to install it."""
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install tqdm") from error
    return tqdm(iterable, **kwargs)


class ProgressBars:
    """Bars of a fit's starts, and of the standard errors of its results.

    Parameters
    ----------
    most : int
        Starts that the fit may run; it may stop earlier.

    Raises
    ------
    ImportError
        Without tqdm.
    """

    def __init__(self, most: int) -> None:
        self._bar: Any = bar(desc="starts", unit="start", total=most)
        self._sweeps = 0

    def watching(self, callback: Callable[[Sweep], object] | None) -> Callable[[Sweep], object]:
        """A callback that moves the bar and passes each sweep on."""

        def watch(sweep: Sweep) -> object:
            # Number 0 opens a start; it is no sweep yet.
            opens = sweep.sweep == 0
            self._sweeps += not opens
            if opens and self._bar.n == self._bar.total:
                # Steps off a saddle come on top.
                self._bar.total += 1
            self._bar.update(int(opens))
            self._bar.set_postfix(
                {
                    "sweeps": self._sweeps,
                    "NLL": f"{sweep.nll:.8g}",
                    "score": f"{sweep.score_beta:.1e}",
                }
            )
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
