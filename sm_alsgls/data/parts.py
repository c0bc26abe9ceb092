"""Parts of the rows of a system: what each leaves, and the system that all together are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sm_alsgls.border.chunks import in_part
from sm_alsgls.border.names import listed
from sm_alsgls.core.rows.compress import RowStream
from sm_alsgls.core.rows.reduced import ReducedRows
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.data.read import numbered, read_system
from sm_alsgls.data.removed import READ_AS_STREAM, Reason, in_place_of
from sm_alsgls.data.system import System
from sm_alsgls.data.validity import check_enough_rows, check_finite, check_responses_vary
from sm_alsgls.exceptions import ShapeError


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


@dataclass(frozen=True)
class PartLabels:
    """Equations and regressors of a part, which all others must have.

    Attributes
    ----------
    called : str
        Which part it is, as messages about others say: "the first chunk".
    names : list of str
        Equations.
    columns : list of list of str
    named : tuple of bool
        Whose regressors came with names.
    """

    called: str
    names: list[str]
    columns: list[list[str]]
    named: tuple[bool, ...]

    @classmethod
    def of(cls, part: System, called: str) -> PartLabels:
        """Those of a part that was read."""
        return cls(called, part.names, part.columns, part.named)

    def check(self, part: PartLabels) -> None:
        """Whether another part has the same.

        Raises
        ------
        ShapeError
        """
        every = "give all parts the same, in the same order"
        if part.names != self.names:
            raise ShapeError(
                f"its equations are {_listed(part.names)}, those of {self.called} "
                f"{_listed(self.names)}; {every}"
            )
        known = zip(self.names, self.columns, self.named, part.columns, part.named, strict=True)
        for name, old, old_named, new, new_named in known:
            # The names of nameless columns depend on the values that a part happens to have.
            if len(old) != len(new) or (old_named and new_named and old != new):
                raise ShapeError(
                    f"exog of equation {name!r} has {len(new)} columns ({_listed(new)}), that of "
                    f"{self.called} {len(old)} ({_listed(old)}); {every}"
                )


def _listed(names: list[str]) -> str:
    return listed(map(repr, names))


@dataclass(frozen=True, eq=False)
class Part:
    """What one part of the rows has left, or several that were merged; it can be pickled.

    Attributes
    ----------
    labels : PartLabels
        Of the first of them.
    n_dropped : int
        Rows dropped for missing values.
    rows : ReducedRows
    """

    labels: PartLabels
    n_dropped: int
    rows: ReducedRows

    def merge(self, other: Part) -> Part:
        """What both have left, in either order but for whose labels are the first.

        Raises
        ------
        ShapeError
            The other has other equations or regressors.
        """
        with in_part(other.labels.called):
            self.labels.check(other.labels)
        dropped = self.n_dropped + other.n_dropped
        return Part(self.labels, dropped, self.rows.merge(other.rows))

    def system(self, parts: str, reason: Reason = READ_AS_STREAM) -> StreamedSystem:
        """The system of all rows.

        Parameters
        ----------
        parts : str
            How many parts there were, "3 chunks".
        reason : Reason
            Why there are no rows.

        Raises
        ------
        ShapeError, InsufficientRowsError, DegenerateResponseError
        """
        if self.rows.n_obs == 0:
            raise ShapeError(f"the system is empty: 0 rows in {parts}")
        rows, first = self.rows.rows(), self.labels
        columns = [
            labels if named else numbered(ones)
            for labels, named, ones in zip(first.columns, first.named, self.rows.ones, strict=True)
        ]
        check_enough_rows(first.names, columns, rows.n_obs)
        varies = self.rows.responses_vary
        check_responses_vary(first.names, varies, rows.n_obs, rows.mean(rows.Y))
        return StreamedSystem(
            first.names,
            in_place_of("row labels", reason),
            in_place_of("responses", reason),
            in_place_of("regressors", reason),
            columns,
            self.n_dropped,
            first.named,
            compressed=rows,
        )


def read_part(
    made: Callable[[], tuple[Any, Any, int]], missing: str, called: str, start: int = 0
) -> Part:
    """What one part of the rows leaves; errors about it begin with what it is called.

    Parameters
    ----------
    made : callable () -> (endog, exog, n_dropped)
        In any of the forms `LowRankSUR` documents, and the number of rows dropped on the way.
    missing : {"none", "drop", "raise"}
    called : str
    start : int
        Number of its first row, by which errors call rows that have no labels.

    Raises
    ------
    ShapeError, NonFiniteError, SystemInputError
    """
    with in_part(called):
        endog, exog, dropped = made()
        read = read_system(endog, exog, missing == "drop")
        if start and not read.provenance.labelled:
            read = replace(read, index=read.index + start)
        stream = RowStream()
        with np.errstate(over="ignore", invalid="ignore"):
            stream.update(read.blocks, read.Y)
            rows = stream.reduced()
        # What is not finite, or too large, is seen in the factor, without a pass of its own.
        if not rows.sound:
            check_finite(read, cells=False)
    return Part(PartLabels.of(read, called), dropped + read.n_dropped, rows)
