"""A system read as a stream of chunks of rows, of which only cross-products are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sm_alsgls.border.chunks import in_chunk
from sm_alsgls.core.rows.compress import RowStream
from sm_alsgls.data.parts import Part, PartLabels, StreamedSystem
from sm_alsgls.data.read import read_system
from sm_alsgls.data.validity import check_finite, check_missing
from sm_alsgls.exceptions import AlsglsError, CallableError, OptionError, ShapeError

_END = object()


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
                first = PartLabels.of(part, "the first chunk")
            first.check(PartLabels.of(part, "the first chunk"))
            check_finite(part, cells=False)
        dropped += part.n_dropped
        stream.update(part.blocks, part.Y)
        del chunk, part
    if first is None:
        raise ShapeError(
            "the iterator of chunks is empty; was it used up before? Chunks are read once, when "
            "the model is made"
        )
    return Part(first, dropped, stream.reduced()).system(f"{number} chunks")


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
