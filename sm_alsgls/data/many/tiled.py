"""``Tiled``: equations that are read a tile at a time, with what came of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border.labels import spell
from sm_alsgls.core.tiles.mapped import MappedSource
from sm_alsgls.core.tiles.source import TileSource
from sm_alsgls.data.many.labels import kinds_of
from sm_alsgls.exceptions import ShapeError, SystemInputError

Array = np.ndarray
Names = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Tiled:
    """A source of tiles, and labels.

    Attributes
    ----------
    source : TileSource
    rows : Index (N,)
    labelled : bool
        Whether the caller gave it.
    names : Index (K,) or None
        Of the equations.
    columns : tuple (kinds, code) or None
        Distinct lists of regressors' names, and which each equation's is (K,), -1 where columns
        came without names; None where none has any.
    spooled : int
        Bytes of a temporary file that holds them.
    chunks : tuple of int or None
        Equations of each chunk of dask, where they come in such.
    """

    source: TileSource
    rows: pd.Index
    labelled: bool = False
    names: pd.Index | None = None
    columns: tuple[tuple[Names, ...], Array] | None = None
    spooled: int = 0
    chunks: tuple[int, ...] | None = None

    def where(self, j: int) -> str:
        """Which chunk has equation j, to begin a message with; nothing where there are none.

        >>> Tiled(None, pd.RangeIndex(9), chunks=(4, 4, 2)).where(5)
        'chunk 1 of 0 to 2: '
        """
        if self.chunks is None:
            return ""
        ends = np.cumsum(self.chunks)
        number = int(np.searchsorted(ends, j, side="right"))
        return f"chunk {number} of 0 to {len(ends) - 1}: "


class Shapes(NamedTuple):
    """N rows, K equations and p regressors that two arrays have."""

    N: int
    K: int
    p: int


def is_tiled(exog: Any) -> bool:
    """Whether regressors are those of many equations in a memory map.

    Examples
    --------
    >>> import numpy as np
    >>> is_tiled(np.ones((3, 20, 2)))
    False
    """
    return isinstance(exog, np.memmap) and exog.ndim == 3


def read_mapped(endog: Any, exog: Any) -> Tiled:
    """Equations of a memory map.

    Parameters
    ----------
    endog : memmap, ndarray or DataFrame, shape (N, K)
        Columns of a frame name the equations.
    exog : memmap, shape (K, N, p)

    Raises
    ------
    ShapeError, SystemInputError
    """
    names = rows = None
    values = endog
    if isinstance(endog, pd.DataFrame):
        names, rows = named(endog.columns), endog.index
        values = endog.to_numpy()
    elif not isinstance(endog, np.ndarray):
        raise ShapeError(
            "beside a memory-mapped exog (K, N, p), endog must be an array, a memory map or a "
            f"DataFrame (N, K), got {type(endog).__name__}"
        )
    shapes = check_shapes(values, exog)
    source = MappedSource(exog, values)
    index = pd.RangeIndex(shapes.N) if rows is None else rows
    return Tiled(source, index, rows is not None, names)


def check_shapes(endog: Array, exog: Array, where: str = "") -> Shapes:
    """Shapes and types of endog (N, K) and exog (K, N, p) that fit together.

    ``where`` begins messages.

    Raises
    ------
    ShapeError, SystemInputError
    """
    for name, value in (("endog", endog), ("exog", exog)):
        if value.dtype.kind not in "fiub":
            raise SystemInputError(
                f"{where}{name} is of dtype {value.dtype}, which holds no real numbers; convert it "
                "to float64 or float32"
            )
    if endog.ndim != 2:
        raise ShapeError(f"{where}endog must be (N, K), got shape {endog.shape}")
    N, K = endog.shape
    if exog.shape[:2] != (K, N):
        said = f"{where}endog (N, K) has shape {endog.shape}, so exog (K, N, p) must begin with "
        said += f"({K}, {N}), got {exog.shape}"
        if exog.shape[0] == K and exog.shape[2] == N:
            said += "; of a file of (K, p, N) give exog.transpose(0, 2, 1)"
        elif exog.shape[:2] == (N, K):
            said += "; of a file of (K, N) give endog.T"
        raise ShapeError(said)
    p = int(exog.shape[2])
    if not K or not N:
        raise ShapeError(f"{where}the system is empty: {N} rows, {K} equations")
    if not p:
        raise ShapeError(f"{where}exog has no columns; give at least a constant")
    return Shapes(N, K, p)


def named(columns: Sequence[Any] | pd.Index) -> pd.Index:
    """Names of equations as they are spelt.

    Raises
    ------
    ShapeError
        Some is there twice.
    """
    names = pd.Index([spell(c) for c in columns], dtype=object)
    if not names.is_unique:
        twice = names[names.duplicated()][0]
        raise ShapeError(f"equation names must be unique, {twice!r} is repeated")
    return names


def columns_of(lists: list[Names | None]) -> tuple[tuple[Names, ...], Array] | None:
    """`Tiled.columns` of one list of names, or None, an equation."""
    if all(one is None for one in lists):
        return None
    kinds, code = kinds_of([() if one is None else one for one in lists])
    if () in kinds:
        code = np.where(code == kinds.index(()), -1, code).astype(np.int32)
    return kinds, code
