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
# Of the environment: names of their own, and within GLIBC_TUNABLES, which glibc prefers.
_SETS_TRIM = ("MALLOC_TRIM_THRESHOLD_", "glibc.malloc.trim_threshold")
_SETS_MMAP = ("MALLOC_MMAP_THRESHOLD_", "glibc.malloc.mmap_threshold")

_lock = threading.Lock()
_programs = 0


@contextmanager
def memory_kept() -> Iterator[None]:
    """While somebody is in it, glibc keeps memory as it does where nobody has set a threshold.

    It keeps more where it was told to keep more, and who has set the threshold from which arrays
    have pages of their own is left alone.

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
            _thresholds(_LEARNT_MMAP, kept=True)


def _leave() -> None:
    global _programs
    with _lock:
        _programs -= 1
        if _programs == 0:
            _thresholds(_DEFAULT, kept=False)


def _thresholds(mmap: int, kept: bool) -> None:
    """Set both, where another has set the one and nobody the other, and the library is glibc."""
    trim = _told(_SETS_TRIM)
    if not trim.isdecimal() or _told(_SETS_MMAP):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_MMAP, mmap)
    # A larger one stays as it is; it may be more than mallopt, which takes an int, can say.
    if int(trim) < _LEARNT_TRIM:
        mallopt(_TRIM, _LEARNT_TRIM if kept else int(trim))


def _told(names: tuple[str, str]) -> str:
    """What the environment says of a threshold; empty where it says nothing."""
    name, tunable = names
    said = os.environ.get(name, "")
    for one in os.environ.get("GLIBC_TUNABLES", "").split(":"):
        key, _, value = one.partition("=")
        said = value if key == tunable and value else said
    return said
