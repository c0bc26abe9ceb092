"""One chunk of equations, as it was handed in."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border.frames import to_pandas
from sm_alsgls.core.tiles.source import ArraySource
from sm_alsgls.data.many.tiled import Names, check_shapes
from sm_alsgls.data.read import read_system
from sm_alsgls.exceptions import ShapeError

Array = np.ndarray


class Chunk(NamedTuple):
    """Some consecutive equations.

    Attributes
    ----------
    runs : list of ArraySource
        Equations with equally many regressors in a row.
    names : list of str or None
        Of the equations, where they came with some.
    columns : list of tuple of str or None
        Of each equation; None where they came without.
    rows : Index (N,) or None
        Where they were labelled.
    """

    runs: list[ArraySource]
    names: list[str] | None
    columns: list[Names | None]
    rows: pd.Index | None

    @property
    def n(self) -> int:
        """Rows."""
        return self.runs[0].n

    @property
    def shape(self) -> tuple[tuple[int, int], ...]:
        """Equations and regressors of each run."""
        return tuple((run.K, int(run.p[0])) for run in self.runs)

    @property
    def mark(self) -> float:
        """What tells that the same chunk came again: the sum of its responses, unit by unit."""
        return float(sum(np.asarray(run.endog, dtype=float).sum() for run in self.runs))


def read_chunk(value: Any, number: int) -> Chunk:
    """A chunk of a pair (endog, exog), checked as far as shapes and types go.

    Parameters
    ----------
    value : tuple
        endog (N, m), and exog (m, N, p) or anything that `LowRankSUR` takes for m equations.
    number : int
        Of the chunk, for messages.

    Raises
    ------
    ShapeError, SystemInputError

    Examples
    --------
    >>> import numpy as np
    >>> read_chunk((np.ones((9, 4)), np.ones((4, 9, 2))), 0).shape
    ((4, 2),)
    """
    where = f"chunk {number}: "
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ShapeError(
            f"{where}a chunk of equations is a pair (endog, exog), got {type(value).__name__}"
        )
    endog, exog = value
    if isinstance(exog, np.ndarray) and exog.ndim == 3 and isinstance(endog, np.ndarray):
        shapes = check_shapes(endog, exog, where)
        return Chunk([ArraySource(exog, endog)], None, [None] * shapes.K, None)
    endog = to_pandas(endog, "endog")
    if isinstance(exog, np.ndarray) and exog.ndim == 3:
        exog = list(exog)
    try:
        system = read_system(endog, exog, False)
    except ShapeError as error:
        raise ShapeError(where + str(error)) from error
    if not system.nobs:
        raise ShapeError(f"{where}the system is empty: 0 rows, {len(system.names)} equations")
    has_names = isinstance(endog, (pd.DataFrame, Mapping))
    columns = [
        tuple(one) if known else None
        for one, known in zip(system.columns, system.named, strict=True)
    ]
    runs, start = [], 0
    for _, same in groupby(system.blocks, key=lambda X: X.shape[1]):
        blocks = list(same)
        at = slice(start, start + len(blocks))
        runs.append(ArraySource(np.stack(blocks), system.Y[:, at]))
        start = at.stop
    rows = system.index if system.provenance.labelled else None
    return Chunk(runs, list(system.names) if has_names else None, columns, rows)
