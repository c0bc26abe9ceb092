"""Equations of dask arrays: tiles that are computed where they are read, here or on workers."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.dask_inputs import client_of, is_dask
from sm_alsgls.border.dask_tree import kept
from sm_alsgls.core.tiles.runner import LocalRunner, Runner
from sm_alsgls.data.many.tiled import Names, Tiled, named
from sm_alsgls.distributed.dask_tiles import equation_shards, tiles_here
from sm_alsgls.distributed.runner import ShardRunner, shards_for
from sm_alsgls.exceptions import ShapeError
from sm_alsgls.formula.dask_panel import PanelChunks


@dataclass(frozen=True, eq=False)
class Dasked:
    """Equations of dask arrays that are chunked along equations.

    Attributes
    ----------
    endog, exog : dask array, shapes (N, K), (K, N, p)
        With the same chunks along equations, and in one along everything else.
    tiled : Tiled
    runner : Runner
        The workers of dask's client; this process where there is none.
    """

    endog: Any
    exog: Any
    tiled: Tiled
    runner: Runner


def read_dask(endog: Any, exog: Any) -> Dasked:
    """Responses and regressors, of which nothing is computed yet.

    Parameters
    ----------
    endog : dask array, array or DataFrame, shape (N, K)
        Columns of a frame name the equations.
    exog : dask array, shape (K, N, p), or dask array or array, shape (N, p), for all equations

    Raises
    ------
    ShapeError
        Shapes or chunks do not fit together, or are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> from sm_alsgls.data.many.dasked import read_dask
    >>> made = read_dask(da.ones((20, 10), chunks=(20, 4)), da.ones((20, 3)))
    >>> made.exog.chunks, made.tiled.source.K
    (((4, 4, 2), (20,), (3,)), 10)
    """
    names = rows = None
    if isinstance(endog, pd.DataFrame):
        names, rows = named(endog.columns), endog.index
    return _dasked(*_collections(endog, exog), names, rows)


def read_panel(panel: PanelChunks) -> Dasked:
    """Equations of a long panel, evaluated and kept where dask computes, each chunk once.

    Raises
    ------
    SystemInputError
        What evaluating a formula in a partition raised.
    """
    da: Any = import_module("dask.array")
    N, p = len(panel.times), len(panel.columns)
    pairs = list(zip(panel.chunks, panel.sizes, strict=True))
    Y = [da.from_delayed(chunk[0], (N, m), float) for chunk, m in pairs]
    X = [da.from_delayed(chunk[1], (m, N, p), float) for chunk, m in pairs]
    endog, exog = kept(da.concatenate(Y, axis=1), da.concatenate(X, axis=0))
    code = np.zeros(sum(panel.sizes), dtype=np.int32)
    columns = (panel.columns,), code
    return _dasked(endog, exog, named(panel.names), panel.times, columns)


def _dasked(
    endog: Any,
    exog: Any,
    names: pd.Index | None,
    rows: pd.Index | None,
    columns: tuple[tuple[Names, ...], np.ndarray] | None = None,
) -> Dasked:
    client = client_of(endog, exog)
    source = tiles_here(endog, exog)
    n = endog.shape[0]
    tiled = Tiled(
        source,
        pd.RangeIndex(n) if rows is None else rows,
        rows is not None,
        names,
        columns,
        chunks=tuple(int(m) for m in endog.chunks[1]),
    )
    runner: Runner
    if client is None:
        runner = LocalRunner(source)
    else:
        runner = ShardRunner(equation_shards(endog, exog, shards_for(client)), source, client)
    return Dasked(endog, exog, tiled, runner)


def _collections(endog: Any, exog: Any) -> tuple[Any, Any]:
    """Both as dask arrays with the same chunks along equations, and whole rows."""
    da: Any = import_module("dask.array")

    if getattr(exog, "ndim", 0) == 3 and not is_dask(exog):
        raise ShapeError(
            f"endog is a dask array, and exog (K, N, p) a {type(exog).__name__}; make it one as "
            "well, chunked as endog is: dask.array.from_array(exog, chunks=(endog.chunks[1], -1, "
            "-1)), or map_blocks of a function that reads a file where a worker runs"
        )
    if not is_dask(endog):
        values = np.asarray(endog)
        if values.ndim != 2:
            raise ShapeError(f"endog must be (N, K), got shape {values.shape}")
        endog = da.from_array(values, chunks=(-1, exog.chunks[0]))
    if not hasattr(exog, "ndim") or exog.ndim not in (2, 3):
        raise ShapeError(
            "beside a dask endog that is chunked along equations, exog is a dask array (K, N, p), "
            f"or an array (N, p) for all equations, got {_what(exog)}"
        )
    if exog.ndim == 2:
        exog = _shared(endog, exog)
    return endog, exog


def _shared(endog: Any, exog: Any) -> Any:
    """Regressors (N, p) of all equations as (K, N, p), of which each chunk is a view."""
    da: Any = import_module("dask.array")

    whole = da.asarray(exog).rechunk(-1)
    N, K = endog.shape
    if whole.shape[0] != N:
        raise ShapeError(f"exog has {whole.shape[0]} rows but endog has {N}; give both the same")
    chunks = (endog.chunks[1], (N,), (whole.shape[1],))
    return da.broadcast_to(whole[None], (K, N, whole.shape[1]), chunks=chunks)


def _what(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"one of shape {shape}"
