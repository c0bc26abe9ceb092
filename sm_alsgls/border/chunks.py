"""Errors about one chunk of a stream, or another part of the data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sm_alsgls.exceptions import SystemInputError


@contextmanager
def in_chunk(number: int) -> Iterator[None]:
    """Begin the message of an input error with the chunk that it is about, counted from 1.

    Examples
    --------
    >>> from sm_alsgls.border.chunks import in_chunk
    >>> from sm_alsgls.exceptions import ShapeError
    >>> with in_chunk(3):
    ...     raise ShapeError("exog has 2 columns")
    Traceback (most recent call last):
        ...
    sm_alsgls.exceptions.ShapeError: chunk 3: exog has 2 columns
    """
    with in_part(f"chunk {number}"):
        yield


@contextmanager
def in_part(called: str) -> Iterator[None]:
    """Begin the message of an input error with what the part that it is about is called."""
    try:
        yield
    except SystemInputError as error:
        raise type(error)(f"{called}: {error}") from error
