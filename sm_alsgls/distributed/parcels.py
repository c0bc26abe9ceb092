"""Bytes that go to another process: functions by value where need be, memory maps by their file."""

from __future__ import annotations

import io
import mmap
import pickle
from typing import Any
from weakref import WeakSet

import numpy as np

from sm_alsgls.exceptions import SystemInputError

# Files of arrays that came in parcels.
_maps: WeakSet[Any] = WeakSet()


def packed(value: Any) -> bytes:
    """A value as bytes; of a memory-mapped array what file it is, and no number.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from sm_alsgls.distributed.parcels import packed, unpacked
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     mapped = np.memmap(file.name, float, "w+", shape=(1000, 50))
    ...     mapped[7] = np.arange(50.0)
    ...     parcel = packed(mapped[5:, ::2])
    ...     there = unpacked(parcel)
    >>> len(parcel) < 1000, there.shape, float(there[2, 3])
    (True, (995, 25), 6.0)
    """
    from cloudpickle import CloudPickler

    class Pickler(CloudPickler):
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, np.memmap) and (where := _place(obj)) is not None:
                return _mapped, where
            return super().reducer_override(obj)

    file = io.BytesIO()
    Pickler(file, protocol=5).dump(value)
    return file.getvalue()


def unpacked(parcel: bytes) -> Any:
    """The value; memory maps are read-only.

    Raises
    ------
    SystemInputError
        A file that is not there: the message names it.
    """
    return pickle.loads(parcel)


def _place(array: np.memmap) -> tuple[Any, ...] | None:
    """File, offset, dtype, shape and strides of a memory map or a view; None where it has none."""
    root: Any = array
    while isinstance(root.base, np.memmap):
        root = root.base
    # A copy of a memory map is of its class, but has no file.
    if not isinstance(root.base, mmap.mmap) or root.filename is None:
        return None
    apart = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return str(root.filename), root.offset + apart, array.dtype, array.shape, array.strides


def _mapped(
    name: str, offset: int, dtype: np.dtype, shape: tuple[int, ...], strides: tuple[int, ...]
) -> np.memmap:
    try:
        whole = np.memmap(name, np.uint8, "r")
    except (OSError, ValueError) as error:
        raise SystemInputError(
            f"{name} cannot be read where a worker runs ({error}); memory-mapped arrays are "
            "sent to workers by the name of their file: put it where all of them see it, or "
            "persist() the arrays on the cluster"
        ) from error
    _maps.add(whole.base)
    # A memmap like the one that was sent: who reads the file itself asks it where.
    return np.ndarray.__new__(np.memmap, shape, dtype, buffer=whole, offset=offset, strides=strides)


def let_go() -> None:
    """Give back the memory of files that came in parcels; what reads them again finds it.

    Pages that were read count as this process's, and a nanny ends a process that has too many.
    """
    for one in list(_maps):
        if not one.closed:
            one.madvise(mmap.MADV_DONTNEED)
