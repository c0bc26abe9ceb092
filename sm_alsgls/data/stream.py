"""A system read as a stream of chunks of rows, of which only cross-products are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sm_alsgls.border.chunks import in_chunk
from sm_alsgls.border.names import listed
from sm_alsgls.core.rows.compress import RowStream
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.data.read import numbered, read_system
from sm_alsgls.data.removed import READ_AS_STREAM, in_place_of
from sm_alsgls.data.system import System
from sm_alsgls.data.validity import (
    check_enough_rows,
    check_finite,
    check_missing,
    check_responses_vary,
)
from sm_alsgls.exceptions import AlsglsError, CallableError, OptionError, ShapeError

_END = object()


@dataclass(frozen=True)
class StreamedSystem(System):
    """A `System` whose N rows are gone: index, Y and blocks raise `DataRemovedError` when used.

    Attributes
    ----------
    compressed : Rows
    """

    compressed: Rows = field(kw_only=True)

    @property
    def keeps_rows(self) -> bool:
        """No."""
        return False

    @property
    def nobs(self) -> int:
        """N."""
        return self.compressed.n_obs

    @property
    def sizes(self) -> np.ndarray:
        """Root mean square of each response, (K,)."""
        return np.abs(self.compressed.Y).max(axis=0) / np.sqrt(self.nobs)

    @property
    def rows(self) -> Rows:
        """The rows as the likelihood sees them."""
        return self.compressed


def read_stream(chunks: Iterator[Any], missing: str) -> StreamedSystem:
    """Read chunks of rows, one after another, in memory that does not depend on their number.

    Parameters
    ----------
    chunks : iterator of pairs (endog, exog)
        Each in any of the forms `LowRankSUR` documents, with the same equations and columns in
        the same order. A chunk may have any number of rows, also none.
    missing : {"none", "drop", "raise"}

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, OptionError
        Those about a chunk begin with its number, counted from 1.
    """
    check_missing(missing)
    if missing == "fiml":
        raise OptionError(
            "missing='fiml' needs the rows themselves, of which a stream keeps cross-products "
            "only; give arrays (memory-mapped ones will do) or a DataFrame, or missing='drop'"
        )
    stream, first, number, dropped = RowStream(), None, 0, 0
    # Not a for loop over enumerate(): it holds on to a chunk while the next one is made.
    while (chunk := _next(chunks, number + 1)) is not _END:
        number += 1
        with in_chunk(number):
            if not isinstance(chunk, (tuple, list)) or len(chunk) != 2:
                raise ShapeError(f"expected a pair (endog, exog), got {type(chunk).__name__}")
            part = read_system(chunk[0], chunk[1], missing == "drop")
            if first is None:
                first = _Labels(part.names, part.columns, part.named)
            first.check(part)
            check_finite(part)
        dropped += part.n_dropped
        stream.update(part.blocks, part.Y)
        del chunk, part
    if first is None:
        raise ShapeError(
            "the iterator of chunks is empty; was it used up before? Chunks are read once, when "
            "the model is made"
        )
    if stream.n_obs == 0:
        raise ShapeError(f"the system is empty: 0 rows in {number} chunks")
    rows = stream.finish()
    columns = [
        labels if named else numbered(ones)
        for labels, named, ones in zip(first.columns, first.named, stream.ones, strict=True)
    ]
    check_enough_rows(first.names, columns, rows.n_obs)
    check_responses_vary(first.names, stream.responses_vary, rows.n_obs, rows.mean(rows.Y))
    return StreamedSystem(
        first.names,
        in_place_of("row labels", READ_AS_STREAM),
        in_place_of("responses", READ_AS_STREAM),
        in_place_of("regressors", READ_AS_STREAM),
        columns,
        dropped,
        first.named,
        compressed=rows,
    )


def _next(chunks: Iterator[Any], number: int) -> Any:
    """The next chunk; what an iterator raises on the way is chained, with the chunk's number."""
    try:
        return next(chunks, _END)
    except AlsglsError:
        raise
    except Exception as error:
        raise CallableError(
            f"chunk {number}: the iterator of chunks raised {type(error).__name__} ({error})"
        ) from error


@dataclass(frozen=True)
class _Labels:
    """Equations and regressors of the first chunk, which all others must have."""

    names: list[str]
    columns: list[list[str]]
    named: tuple[bool, ...]

    def check(self, part: System) -> None:
        """Whether a chunk has the same."""
        if part.names != self.names:
            raise ShapeError(
                f"its equations are {_listed(part.names)}, those of the first chunk "
                f"{_listed(self.names)}; give every chunk the same, in the same order"
            )
        known = zip(self.names, self.columns, self.named, part.columns, part.named, strict=True)
        for name, old, old_named, new, new_named in known:
            # The names of nameless columns depend on the values that a chunk happens to have.
            if len(old) != len(new) or (old_named and new_named and old != new):
                raise ShapeError(
                    f"exog of equation {name!r} has {len(new)} columns ({_listed(new)}), that of "
                    f"the first chunk {len(old)} ({_listed(old)}); give every chunk the same, in "
                    "the same order"
                )


def _listed(names: list[str]) -> str:
    return listed(map(repr, names))
