"""Which line a warning is about: the caller's, whatever stands between."""

from __future__ import annotations

import sys

# Wrappers of statsmodels and kept properties stand between the caller and us.
_BETWEEN = ("sm_alsgls", "statsmodels", "functools")


def caller(at_least: int = 2) -> int:
    """The ``stacklevel`` of a warning that says so of the first line outside the package.

    Of the function that calls this, and warns.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and (
        level < at_least or frame.f_globals.get("__name__", "").split(".")[0] in _BETWEEN
    ):
        level, frame = level + 1, frame.f_back
    return level
