"""How many starts a fit of interactive effects runs."""

from __future__ import annotations

from collections.abc import Callable

from sm_alsgls.core.interactive.climb import Climb

#: Starts that are constructed, see `core.interactive.starts`.
CONSTRUCTED = 5


class Limited:
    """Ends the starts at a number of them, or where a callback says so."""

    def __init__(self, limit: int | None, watch: Callable[[Climb], object] | None) -> None:
        self._limit, self._watch, self._seen = limit, watch, 0

    def __call__(self, climb: Climb) -> bool:
        """Whether that was the last."""
        self._seen += 1
        stop = self._watch is not None and bool(self._watch(climb))
        return stop or (self._limit is not None and self._seen >= self._limit)
