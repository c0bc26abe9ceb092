"""Fitted values of very many equations, in the rows of the fit or in new ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.core.tiles.inference import scores
from sm_alsgls.core.tiles.mapped import MappedSource
from sm_alsgls.core.tiles.source import Tile, TileSource
from sm_alsgls.data.many.chunks import read_chunks
from sm_alsgls.exceptions import OptionError, ShapeError
from sm_alsgls.results.many.columns import EquationColumns
from sm_alsgls.results.many.estimate import ManyEstimate

Array = np.ndarray


def fitted(estimate: ManyEstimate, equations: slice, Xt: Array) -> Array:
    """X_j beta_j of consecutive equations as rows (m, N), of regressors Xt (m, p, N)."""
    b = estimate.params[estimate.labels.flat(equations)].reshape(len(Xt), 1, -1)
    return np.asarray(np.matmul(b, Xt)[:, 0, :])


def factor_scores(estimate: ManyEstimate) -> Array:
    """E Sigma^-1 F (N, r), added up in shards."""
    runner = estimate.held.runner
    each = estimate.in_shards(runner.equations)
    made: Array = runner.run(scores, each=each, what="factor scores")[0]
    return made


def of_rows(estimate: ManyEstimate, what: str) -> EquationColumns:
    """The "residuals" or "fitted values" (N, K) of the fit."""
    resid = what == "residuals"

    def make(equations: slice, tile: Tile) -> Array:
        values = fitted(estimate, equations, tile.Xt)
        return np.subtract(tile.Yt, values) if resid else values

    return EquationColumns(what, estimate.held.runner.whole, estimate.labels, estimate.rows, make)


def predicted(estimate: ManyEstimate, exog: Any) -> EquationColumns:
    """Fitted values (M, K) of new rows.

    Raises
    ------
    ShapeError, OptionError
    """
    source, rows = _source(estimate, exog)
    if not np.array_equal(source.p, estimate.labels.p):
        raise ShapeError(_misfit(estimate, source))

    def make(equations: slice, tile: Tile) -> Array:
        return fitted(estimate, equations, tile.Xt)

    return EquationColumns("predictions", source, estimate.labels, rows, make)


def _source(estimate: ManyEstimate, exog: Any) -> tuple[TileSource, pd.Index]:
    if isinstance(exog, np.ndarray):
        if exog.ndim != 3 or exog.dtype.kind not in "fiub":
            raise ShapeError(
                "exog must be numbers (K, M, p), or chunks (m, M, p) of equations; got shape "
                f"{exog.shape} of {exog.dtype}"
            )
        nothing = np.broadcast_to(0.0, (exog.shape[1], exog.shape[0]))
        return MappedSource(exog, nothing), pd.RangeIndex(exog.shape[1])
    if callable(exog):
        made = read_chunks(lambda: _without_responses(exog()))
    elif isinstance(exog, Iterator):
        made = read_chunks(_without_responses(exog))
    elif isinstance(exog, (list, tuple)):
        made = read_chunks(lambda: _without_responses(iter(exog)))
    else:
        raise OptionError(
            "exog must be an array (K, M, p), a memory map, or chunks (m, M, p) of equations, got "
            f"{type(exog).__name__}"
        )
    return made.source, made.rows


def _without_responses(chunks: Iterator[Any]) -> Iterator[tuple[Array, Any]]:
    """Pairs of zeros and regressors."""
    for exog in chunks:
        m = len(exog)
        if not m:
            raise ShapeError("exog: a chunk has no equations")
        yield np.zeros((len(exog[0]), m)), exog


def _misfit(estimate: ManyEstimate, source: TileSource) -> str:
    if source.K != estimate.neqs:
        return f"exog has {source.K} equations, and the fit {estimate.neqs}"
    j = int(np.flatnonzero(source.p != estimate.labels.p)[0])
    return (
        f"exog of equation {estimate.labels.name(j)!r} has {source.p[j]} columns, and the fit has "
        f"{estimate.labels.p[j]} regressors"
    )
