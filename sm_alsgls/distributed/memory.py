"""Memory of passes over tiles, which stays with a worker's process while a program runs.

A pass makes arrays of some megabytes a thousand times over. glibc learns from the first that is
freed to keep such memory, until somebody sets one of its thresholds: dask's nanny does, so that
workers give memory back (``MALLOC_TRIM_THRESHOLD_``). Then every array is new pages, which the
system clears one by one as they are touched: four to six times the time of a fit where this was
measured, K = 20,000 and N = 500 in a virtual machine.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Of malloc.h: names of thresholds, glibc's defaults, and what it would have learnt at most.
_TRIM, _MMAP, _DEFAULT = -1, -3, 2**17
_LEARNT_MMAP = 2**25
_LEARNT_TRIM = 2 * _LEARNT_MMAP
_SET, _OURS = "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"

_lock = threading.Lock()
_programs = 0


@contextmanager
def memory_kept() -> Iterator[None]:
    """While somebody is in it, glibc keeps memory as it does where nobody has set a threshold.

    Examples
    --------
    >>> from sm_alsgls.distributed.memory import memory_kept
    >>> with memory_kept():
    ...     made = sum(range(10))
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _programs
    with _lock:
        _programs += 1
        if _programs == 1:
            _thresholds(_LEARNT_MMAP, _LEARNT_TRIM)


def _leave() -> None:
    global _programs
    with _lock:
        _programs -= 1
        if _programs == 0:
            _thresholds(_DEFAULT, _set_by_others())


def _set_by_others() -> int:
    """The threshold of the environment; 0 where it has none."""
    value = os.environ.get(_SET, "")
    return int(value) if value.isdecimal() else 0


def _thresholds(mmap: int, trim: int) -> None:
    """Set both, where another has set the one and nobody the other, and the library is glibc."""
    if not _set_by_others() or _OURS in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP, mmap)
        mallopt(_TRIM, trim)
