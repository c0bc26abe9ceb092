"""A system with instruments: every equation's regressors, and the variables that tell them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import flag
from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.design.bases import DependentColumnsError, TinyColumnsError
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.core.rows.instrumented import InstrumentedRows, instrumented_rows
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.data import identified
from sm_alsgls.data.columns import dependent, tiny
from sm_alsgls.data.common_instruments import common_instruments as union_of
from sm_alsgls.data.held_system import HeldSystem, hold
from sm_alsgls.data.identified import Kinds
from sm_alsgls.data.read import complete_rows, nothing_left, read_designs, read_system
from sm_alsgls.data.system import System
from sm_alsgls.data.validity import (
    check_enough_rows,
    check_finite,
    check_responses_vary,
    missing_by_rows,
    responses_vary,
)
from sm_alsgls.data.weights import check_weights, normalised, read_weights
from sm_alsgls.exceptions import (
    InstrumentError,
    InsufficientRowsError,
    OptionError,
    ShapeError,
    SystemInputError,
)


@dataclass(frozen=True)
class InstrumentedSystem(System):
    """A `System` whose ``blocks`` are every regressor, and which has instruments beside them.

    Attributes
    ----------
    instruments : sequence of ndarray
        K arrays (N, q_j): every instrument of an equation, its exogenous regressors among them.
        Equal ones may be one object.
    instrument_columns : list of list of str
        Their names.
    told : Kinds, optional
        `kinds`, where they are known.
    """

    DESIGNS: ClassVar[tuple[str, ...]] = ("blocks", "instruments")

    instruments: Sequence[np.ndarray] = field(kw_only=True)
    instrument_columns: list[list[str]] = field(kw_only=True)
    told: Kinds | None = field(default=None, kw_only=True)

    @property
    def designs(self) -> list[tuple[str, Sequence[np.ndarray], list[list[str]]]]:
        """See `System.designs`."""
        return [*super().designs, ("instruments", self.instruments, self.instrument_columns)]

    def rows_of(self, Y: np.ndarray, designs: dict[str, list[np.ndarray]]) -> Rows:
        """See `System.rows_of`; with the instruments."""
        return instrumented_rows(self.cells, designs["blocks"], designs["instruments"], Y)

    def free_design(self, rows: Rows) -> PerEquation:
        """See `System.free_design`: of two faces, so that least squares are two-stage ones."""
        made = cast(InstrumentedRows, rows)
        told = None if self.told is None else [~which for which in self.told.endogenous]
        return Instrumented(made.blocks, made.instruments, made.n_obs, told)

    def whole_design(self, free: PerEquation) -> PerEquation:
        """See `System.whole_design`; in the same coordinates."""
        if free.n == self.nobs:
            return free
        return cast(Instrumented, free).on_rows(self.used_blocks, self.used_instruments)

    @property
    def least_squares(self) -> str:
        """See `System.least_squares`."""
        return "2SLS"

    @property
    def exogenous_variables(self) -> tuple[Sequence[np.ndarray], list[list[str]]]:
        """See `System.exogenous_variables`: the instruments."""
        return self.used_instruments, self.instrument_columns

    @cached_property
    def used_instruments(self) -> Sequence[np.ndarray]:
        """The instruments times the roots of the weights."""
        return self.cells.used_blocks(self.instruments)

    def drawn(self, rows: np.ndarray) -> InstrumentedSystem:
        """The system of some rows, each as often as it is in ``rows`` (n,), for bootstraps.

        Weights are drawn with the rows, and normalised to the mean 1 that those of a system have.
        """
        n, K = len(rows), len(self.names)
        used = None
        if self.cells.weights is not None:
            w = normalised(self.cells.weights[rows], np.ones((n, 1), dtype=bool))
            used = Cells(n, K, None, w)
        made = {id(A): np.asarray(A)[rows] for A in self.arrays}
        return InstrumentedSystem(
            self.names,
            pd.RangeIndex(n),
            made[id(self.Y)],
            [made[id(X)] for X in self.blocks],
            self.columns,
            named=self.named,
            used=used,
            instruments=[made[id(Z)] for Z in self.instruments],
            instrument_columns=self.instrument_columns,
            told=self.kinds,
        )

    # -- which variable is what ------------------------------------------------------------

    @cached_property
    def kinds(self) -> Kinds:
        """Which regressors are endogenous, and which instruments excluded."""
        return _kinds(self, common=False) if self.told is None else self.told

    @property
    def endogenous(self) -> Sequence[np.ndarray]:
        """K arrays of bool (p_j,): regressors that are no combination of their instruments."""
        return self.kinds.endogenous

    @property
    def excluded(self) -> Sequence[np.ndarray]:
        """K arrays of bool (q_j,): instruments that are no regressors of their equation."""
        return self.kinds.excluded

    @property
    def instrument_names(self) -> dict[str, list[str]]:
        """Every instrument of each equation."""
        return dict(zip(self.names, map(list, self.instrument_columns), strict=True))

    @property
    def excluded_names(self) -> dict[str, list[str]]:
        """Instruments of each equation that are no regressors of it."""
        return self._chosen(self.instrument_columns, self.excluded)

    @property
    def endogenous_names(self) -> dict[str, list[str]]:
        """Endogenous regressors of each equation."""
        return self._chosen(self.columns, self.endogenous)

    @property
    def exogenous_names(self) -> dict[str, list[str]]:
        """Exogenous regressors of each equation."""
        return self._chosen(self.columns, [~which for which in self.endogenous])

    def _chosen(
        self, columns: list[list[str]], which: Sequence[np.ndarray]
    ) -> dict[str, list[str]]:
        return {
            name: list(compress(labels, flags.tolist()))
            for name, labels, flags in zip(self.names, columns, which, strict=True)
        }


class HeldInstruments(HeldSystem, InstrumentedSystem):
    """An `InstrumentedSystem` of which the data are in the caller's memory, and watched."""

    CALLED: ClassVar[dict[str, str]] = {"blocks": "exog", "instruments": "instruments"}
    OWN: ClassVar[type[System]] = InstrumentedSystem

    if not TYPE_CHECKING:  # a field of an InstrumentedSystem, which the constructor sets

        @property
        def instruments(self) -> Sequence[np.ndarray]:
            """K arrays (N, q_j), each compared with what it was when it is taken."""
            return self._guarded["instruments"]

        @instruments.setter
        def instruments(self, value: Sequence[np.ndarray]) -> None:
            self._given["instruments"] = list(value)

        @property
        def used_instruments(self) -> Sequence[np.ndarray]:
            """The instruments times the roots of the weights."""
            return self._guard(self.cells.used_blocks(list(self.instruments)))


def read_instrumented(
    endog: Any,
    exog: Any,
    instruments: Any,
    missing: str = "none",
    weights: Any = None,
    common_instruments: bool = False,
) -> InstrumentedSystem:
    """The checked system of what a user hands in, in any of the forms `LowRank3SLS` documents.

    1. Labels decide, as in `read_system`; rows of weight zero are dropped, and with "drop" those
       in which any response, regressor or instrument of any equation is missing.
    2. With ``common_instruments`` every equation gets the distinct instruments of all.
    3. Every equation needs fewer instruments than rows, as many as it has regressors, and none
       that is a combination of the others, or its own response.

    Raises
    ------
    ShapeError, NonFiniteError, OptionError, InsufficientRowsError, DegenerateResponseError
    InstrumentError, UnderidentifiedError, RankDeficientError

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.data.instrumented import read_instrumented
    >>> y, p, z = np.random.default_rng(0).standard_normal((3, 20))
    >>> one = np.ones(20)
    >>> exog, instruments = np.column_stack([one, p]), np.column_stack([one, z, z**2])
    >>> system = read_instrumented({"a": y}, exog, instruments)
    >>> system.instrument_names, system.endogenous_names, system.excluded_names
    ({'a': ['const', 'z1', 'z2']}, {'a': ['x1']}, {'a': ['z1', 'z2']})
    """
    missing = missing_by_rows(missing)
    common = flag(common_instruments, "common_instruments")
    if isinstance(endog, Iterator):
        raise ShapeError(
            "endog is an iterator of chunks, which only LowRankSUR reads; pass arrays, which may "
            "be memory-mapped"
        )
    if instruments is None:
        raise InstrumentError(
            "instruments is missing; give every instrument of each equation, its exogenous "
            "regressors among them; where no regressor is endogenous take LowRankSUR"
        )
    system, named = _read(endog, exog, instruments)
    system = _chosen_rows(system, missing == "drop", weights)
    check_enough_rows(system.names, system.columns, system.nobs)
    check_responses_vary(system.names, responses_vary(system.Y), system.nobs, system.Y[0])
    identified.check_fewer_than_rows(system.names, system.instruments, common=False)
    alone = None
    if common:
        alone = _kinds(system, common=False)
        U, labels = union_of(system.names, system.instruments, system.instrument_columns, named)
        K = len(system.names)
        system = replace(system, instruments=[U] * K, instrument_columns=[labels] * K)
        identified.check_fewer_than_rows(system.names, system.instruments, common=True)
    names, Z, labels_of = system.names, system.instruments, system.instrument_columns
    identified.check_order(names, system.blocks, system.columns, Z, labels_of)
    identified.check_no_response(names, system.Y, Z, labels_of)
    told = _kinds(system, common)
    if alone is not None:
        identified.check_still_endogenous(names, system.columns, alone.endogenous, told.endogenous)
    return hold(replace(system, told=told), HeldInstruments)


def _read(endog: Any, exog: Any, instruments: Any) -> tuple[InstrumentedSystem, tuple[bool, ...]]:
    """All rows as they were given, and whose instruments came with names."""
    plain = read_system(endog, exog, drop=False)
    index = plain.index if plain.provenance.labelled else None
    made = read_designs(
        instruments,
        "instruments",
        plain.names,
        plain.nobs,
        index,
        letter="z",
        least="every instrument, the equation's exogenous regressors among them",
    )
    source = replace(plain.provenance, index=made.index, labelled=made.labelled)
    system = InstrumentedSystem(
        plain.names,
        made.index,
        plain.Y,
        plain.blocks,
        plain.columns,
        named=plain.named,
        source=source,
        instruments=made.blocks,
        instrument_columns=made.columns,
    )
    return system, made.named


def _chosen_rows(system: InstrumentedSystem, drop: bool, weights: Any) -> InstrumentedSystem:
    """The rows that have a weight and, with ``drop``, miss nothing; all must be numbers."""
    N, K = system.Y.shape
    if N == 0:
        raise ShapeError(f"the system is empty: 0 rows, {K} equations")
    keep, w = np.ones(N, dtype=bool), None
    complete = complete_rows(system) if drop else keep
    if weights is not None:
        w = read_weights(weights, system.names, system.provenance)
        if w.ndim == 2:
            raise OptionError(
                f"weights: a system with instruments has one weight a row, got {w.shape[1]} "
                f"columns for its {N} rows; give a vector"
            )
        check_weights(w, complete[:, None], system.names, system.index)
        with np.errstate(invalid="ignore"):
            keep = w > 0.0
    keep = keep & complete
    if not keep.any():
        raise InsufficientRowsError(
            nothing_left(system, cells=False)
            if not complete.any()
            else f"no row is left of {N}: every one misses something or has weight 0"
        )
    system = system.kept(keep)
    check_finite(system, cells=False)
    if w is None:
        return system
    w = normalised(w[keep], np.ones((system.nobs, 1), dtype=bool))
    return system if (w == 1.0).all() else replace(system, used=Cells(system.nobs, K, None, w))


def _kinds(system: InstrumentedSystem, common: bool) -> Kinds:
    """Which variables are what; errors name the instruments that depend on others.

    Raises
    ------
    RankDeficientError, SystemInputError
    """

    def where(j: int) -> tuple[str, list[str], str]:
        what = identified.UNION if common else f"equation {system.names[j]!r}"
        return what, system.instrument_columns[j], "instruments"

    said: SystemInputError
    try:
        return identified.kinds(list(system.blocks), list(system.instruments))
    except DependentColumnsError as error:
        said = dependent(error, *where(error.equation))
    except TinyColumnsError as error:
        said = tiny(error, *where(error.equation))
    raise said
