"""When a run among several is ended: it only climbs to where another has been."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sm_alsgls.core.maximise.als import Sweep

# Two runs that end within this NLL per row of one another found the same maximum.
SAME = 1e-6
JOINED = "joined the best"


class Watch:
    """Passes sweeps to the caller, and ends runs: at its wish, or when they join the best.

    A run has joined when it is within ten times ``SAME`` of the best NLL known (for each hundred
    equations) and hardly falls: finishing it would only find the same maximum again. Where there
    are two starts only (``large`` is N) it also has when all its rows together are within 2 of
    the best log-likelihood and no equation's score is half its standard error.
    """

    def __init__(
        self, callback: Callable[[Sweep], object] | None, K: int, large: int | None = None
    ) -> None:
        self._callback, self.stopped = callback, False
        self._close = 0.0 if large is None else 2.0 / large
        self._near = 10 * SAME * max(1.0, K / 100)
        self.best: float | None = None
        self._previous = np.inf

    def __call__(self, sweep: Sweep) -> str:
        """Why the run ends after this sweep; empty where it goes on."""
        if self._callback is not None and self._callback(sweep):
            self.stopped = True
            return "stopped by the callback"
        fell = self._previous - sweep.nll if sweep.sweep > 0 else np.inf
        self._previous = sweep.nll
        if self.best is None:
            return ""
        # A run below the best is on its way to another maximum, however close.
        above = sweep.nll - self.best
        if -1e-9 < above < self._near and fell < 10 * self._near:
            return JOINED
        if -1e-9 < above < self._close and sweep.score_beta < 0.5:
            return JOINED
        return ""
