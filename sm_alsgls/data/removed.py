"""What stands where data were."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from sm_alsgls.exceptions import DataRemovedError


class Reason(NamedTuple):
    """Why there are no data: for ``repr``, and what an error says."""

    short: str
    why: str


BY_THE_USER = Reason(
    "removed by remove_data()",
    "remove_data() was called; fit the model again, or save the results before calling it",
)
READ_AS_STREAM = Reason(
    "not kept of a stream",
    "the data were read as a stream, of which cross-products are kept and no rows; make the "
    "model from arrays (memory-mapped ones will do) or a DataFrame",
)
READ_BY_DASK = Reason(
    "not kept of dask's partitions",
    "the data were read partition by partition, of which cross-products are kept and no rows; make "
    "the model from what .compute() returns where one memory has enough for it",
)


def gone(what: str, reason: Reason = BY_THE_USER) -> NoReturn:
    """Say that data are gone.

    Raises
    ------
    DataRemovedError
    """
    raise DataRemovedError(f"this needs the {what}, but {reason.why}")


def in_place_of(what: str, reason: Reason = BY_THE_USER) -> Any:
    """A `Removed`, for a type checker whatever the data were."""
    return Removed(what, reason)


class Removed:
    """Stands where data were; keeps some attributes, and every other use raises.

    Parameters
    ----------
    what : str
        The data.
    reason : Reason
    **kept
        Attributes.

    Raises
    ------
    DataRemovedError
    """

    def __init__(self, what: str, reason: Reason = BY_THE_USER, **kept: Any) -> None:
        self.__dict__.update(kept, _what=what, _reason=reason)

    def __repr__(self) -> str:
        return f"<{self._what}: {self._reason.short}>"

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        what = self.__dict__.get("_what", "data")
        reason = self.__dict__.get("_reason", BY_THE_USER)
        gone(what, reason)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse()

    __array__ = __getitem__ = __len__ = __iter__ = __call__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __matmul__ = __rmatmul__ = _refuse
    __array_ufunc__ = _refuse
