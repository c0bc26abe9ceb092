"""A system of labelled equations: what every accepted form of input becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from sm_alsgls.border.provenance import Provenance
from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.design.per_equation import Design, of_rows
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.data.labels import Labels
from sm_alsgls.data.seen import FirstLook


@dataclass(frozen=True)
class System:
    """K labelled equations on N labelled rows.

    Attributes
    ----------
    names : list of str
        Equations.
    index : pandas.Index
        Rows.
    Y : ndarray, shape (N, K)
    blocks : sequence of ndarray
        K designs (N, p_j). Equal designs may be one object. In missing cells either has a NaN.
    columns : list of list of str
        Regressor names, equation by equation.
    n_dropped : int
        Rows dropped for missing values.
    named : tuple of bool
        Whose regressors came with names; others are called const, x1, x2, ...
    used : Cells, optional
        Which cells are used, and their weights. Default: all, with none.
    source : Provenance, optional
        Which of the rows that were handed in these are. Default: all.
    seen : FirstLook, optional
        What reading has seen of the designs, until something is made of them.
    """

    #: Fields that hold K designs each.
    DESIGNS: ClassVar[tuple[str, ...]] = ("blocks",)

    names: list[str]
    index: pd.Index
    Y: np.ndarray
    blocks: Sequence[np.ndarray]
    columns: list[list[str]]
    n_dropped: int = 0
    named: tuple[bool, ...] = ()
    used: Cells | None = field(default=None, kw_only=True)
    source: Provenance | None = field(default=None, kw_only=True)
    seen: FirstLook | None = field(default=None, kw_only=True, compare=False, repr=False)

    @cached_property
    def cells(self) -> Cells:
        """Which cells are used, and their weights."""
        return Cells(self.nobs, len(self.names)) if self.used is None else self.used

    @property
    def designs(self) -> list[tuple[str, Sequence[np.ndarray], list[list[str]]]]:
        """What the caller calls each list of designs, these, and their columns' names."""
        return [("exog", self.blocks, self.columns)]

    @property
    def arrays(self) -> list[np.ndarray]:
        """Responses and designs, those that are one object once."""
        lists = [getattr(self, name) for name in self.DESIGNS]
        return list({id(A): A for A in (self.Y, *(X for one in lists for X in one))}.values())

    def mapped(self, change: Callable[[np.ndarray], np.ndarray], **others: Any) -> Self:
        """The same system with every array changed; what was one object stays one.

        ``others`` are fields that change as well.
        """
        made = {id(A): change(A) for A in self.arrays}
        for name in self.DESIGNS:
            others[name] = [made[id(X)] for X in getattr(self, name)]
        return replace(self, Y=made[id(self.Y)], seen=None, **others)

    def kept(self, keep: np.ndarray) -> Self:
        """The same system on the rows where ``keep`` (N,) is true."""
        if keep.all():
            return self
        source = self.provenance.kept(np.flatnonzero(keep))
        dropped = self.n_dropped + int((~keep).sum())
        return self.mapped(lambda A: A[keep], source=source, index=source.index, n_dropped=dropped)

    @property
    def provenance(self) -> Provenance:
        """Which of the rows that were handed in these are."""
        return Provenance(self.index) if self.source is None else self.source

    @property
    def keeps_rows(self) -> bool:
        """Whether the rows are at hand, or cross-products of rows that are gone."""
        return True

    @property
    def nobs(self) -> int:
        """N."""
        return len(self.Y)

    @cached_property
    def rows(self) -> Rows:
        """The rows as the likelihood sees them; one pass over the data, when first asked for."""
        return self.rows_of(self.Y, {name: list(getattr(self, name)) for name in self.DESIGNS})

    def rows_of(self, Y: np.ndarray, designs: dict[str, list[np.ndarray]]) -> Rows:
        """The same of responses and designs that are handed in: those of the fields `DESIGNS`."""
        return self.cells.rows(designs["blocks"], Y)

    @cached_property
    def sizes(self) -> np.ndarray:
        """Largest absolute value of each response, (K,)."""
        return largest_values(self.Y)

    @cached_property
    def used_blocks(self) -> Sequence[np.ndarray]:
        """The designs times the roots of the weights, zero where they miss something."""
        return self.cells.used_blocks(self.blocks)

    def free_design(self, rows: Rows) -> PerEquation:
        """The design of these rows, or of some like them, whose coefficients nothing ties."""
        return of_rows(rows)

    def whole_design(self, free: PerEquation) -> PerEquation:
        """``free``, which may be of compressed rows, on all N rows."""
        return free if free.n == self.nobs else Design(self.used_blocks)

    @property
    def exogenous_variables(self) -> tuple[Sequence[np.ndarray], list[list[str]]]:
        """What errors do not move with, of each equation, times the roots of the weights; names."""
        return self.used_blocks, self.columns

    @property
    def least_squares(self) -> str:
        """What least squares of an equation are called."""
        return "OLS"

    def check_rows(self) -> None:
        """Whether the data behind `rows` are what they were; here they are this system's own.

        Raises
        ------
        DataChangedError
        """

    @property
    def scarcest(self) -> tuple[int, int, str]:
        """Rows and regressors of the equation with the fewest degrees of freedom, and its name.

        Where all have all rows none is named.
        """
        p = np.array([len(columns) for columns in self.columns])
        j = int(np.argmin(self.cells.counts - p))
        name = "" if self.cells.complete else f"in equation {self.names[j]!r}, "
        return int(self.cells.counts[j]), int(p[j]), name

    @cached_property
    def labels(self) -> Labels:
        """Names of equations, regressors and coefficients."""
        return Labels.of_own(self.names, self.columns, self.named)

    @property
    def param_names(self) -> list[str]:
        """``equation_variable`` for each coefficient."""
        return self.labels.params


def largest_values(Y: np.ndarray) -> np.ndarray:
    """Largest absolute value of each column of ``Y`` (N, K), which may have missing cells."""
    return np.fmax(np.fmax.reduce(Y, axis=0), -np.fmin.reduce(Y, axis=0))
