"""``EquationColumns``: a table (N, K) that is made a tile of equations at a time, never whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import file_name
from sm_alsgls.border.arguments import names as names_of
from sm_alsgls.core.tiles.passes import over_tiles
from sm_alsgls.core.tiles.source import Tile, TileSource
from sm_alsgls.data.many.labels import ManyLabels
from sm_alsgls.exceptions import OptionError, UnknownAttributeError
from sm_alsgls.progress import counted
from sm_alsgls.results.shown import one_line

Array = np.ndarray


class EquationColumns:
    """Residuals or fitted values of very many equations, computed as they are asked for.

    * ``columns["y7"]`` is a Series (N,), ``columns[["y7", "y9"]]`` and ``columns[100:200]``
      (positions of equations) DataFrames;
    * ``for names, values in columns`` yields an Index (m,) and an array (N, m), tile after tile;
    * ``columns.to_memmap(path)`` writes all of them to a file.

    Parameters
    ----------
    what : str
        What it is a table of.
    source : TileSource
    labels : ManyLabels
    rows : Index (N,)
    make : callable
        ``make(equations, tile)`` is their rows (m, N), new ones.

    Attributes
    ----------
    shape : tuple of int
        (N, K).
    """

    def __init__(
        self,
        what: str,
        source: TileSource,
        labels: ManyLabels,
        rows: pd.Index,
        make: Callable[[slice, Tile], Array],
    ) -> None:
        self._what, self._source, self._labels = what, source, labels
        self._rows, self._make = rows, make
        self.shape = len(rows), labels.K

    def __repr__(self) -> str:
        N, K = self.shape
        return one_line(self._what, [f"N={N}", f"K={K}", "made a tile at a time"])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(pd.DataFrame, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise UnknownAttributeError(
            f"{name} is of DataFrames, and this is a table of {self.shape[0]} rows and "
            f"{self.shape[1]} equations that is made a tile at a time; take some equations, "
            "[['y1', 'y2']] or [0:100], or go through it, `for names, values in ...`",
            name=name,
            obj=self,
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.to_numpy(), dtype=dtype)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def columns(self) -> pd.Index:
        """Names of the equations (K,)."""
        return self._labels.equations

    @property
    def index(self) -> pd.Index:
        """Labels of the rows (N,)."""
        return self._rows

    def _blocks(self) -> Iterator[tuple[slice, Array]]:
        bounds = self._source.bounds

        def work(t: int, tile: Tile) -> Array:
            return self._make(bounds[t], tile)

        told = counted(over_tiles(self._source, work), self._what, len(bounds), "tile")
        yield from zip(bounds, told, strict=False)

    def __iter__(self) -> Iterator[tuple[pd.Index, Array]]:
        for at, block in self._blocks():
            yield self._labels.names(at), block.T

    def __getitem__(self, which: Any) -> pd.Series | pd.DataFrame:
        if isinstance(which, str):
            j = self._labels.position(which)
            return pd.Series(self._of([j])[0], index=self._rows, name=self._labels.name(j))
        if isinstance(which, slice):
            numbers = self._sliced(which)
        else:
            asked = names_of(which, "equations", "['y1', 'y2']")
            numbers = [self._labels.position(name) for name in asked]
        columns = pd.Index([self._labels.name(j) for j in numbers], name="equation")
        values = self._of(numbers)
        return pd.DataFrame(values.T, index=self._rows, columns=columns)

    def _sliced(self, which: slice) -> list[int]:
        ends = (which.start, which.stop, which.step)
        if not all(end is None or isinstance(end, (int, np.integer)) for end in ends):
            raise OptionError(
                f"a slice of equations has their positions, columns[100:200], got {which!r}"
            )
        return list(range(*which.indices(self.shape[1])))

    def _of(self, numbers: list[int]) -> Array:
        """Rows (m, N) of some equations, each tile read once."""
        out = np.empty((len(numbers), self.shape[0]))
        starts = np.array([at.start for at in self._source.bounds])
        tiles = np.searchsorted(starts, numbers, side="right") - 1
        for t in np.unique(tiles).tolist():
            of = np.flatnonzero(tiles == t)
            at = self._source.bounds[t]
            block = self._make(at, self._source.read(t))
            out[of] = block[np.array(numbers)[of] - at.start]
        return out

    def to_memmap(self, path: Any) -> np.memmap:
        """Write the table to a file of NumPy's format, equation after equation.

        Parameters
        ----------
        path : str or Path
            ``numpy.load(path, mmap_mode="r").T`` reads it again.

        Returns
        -------
        memmap, shape (N, K)
        """
        name, order = file_name(path, "path"), np.dtype(float)
        form = {"descr": order.str, "fortran_order": False, "shape": self.shape[::-1]}
        # Written and not mapped: pages of a map would count as this process's memory.
        with name.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, form)
            for _, block in self._blocks():
                file.write(np.ascontiguousarray(block, dtype=order).tobytes())
        made: np.memmap = np.load(name, mmap_mode="r").T
        return made

    def to_numpy(self) -> Array:
        """All of it (N, K), 8 N K bytes."""
        return np.concatenate([block for _, block in self._blocks()]).T
