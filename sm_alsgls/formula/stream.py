"""Formulas and a stream of data frames in, responses and designs of each frame out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.chunks import in_chunk
from sm_alsgls.border.frames import to_pandas
from sm_alsgls.border.names import listed
from sm_alsgls.exceptions import FormulaError, NonFiniteError, SystemInputError, UnseenLevelError
from sm_alsgls.formula.build import FormulaSystem, build_system
from sm_alsgls.formula.data import read_data
from sm_alsgls.formula.engine import Data, EquationSpec, redesign

_END = object()


class FormulaStream:
    """Formulas whose variables come in chunks of rows.

    What a formula means is fixed by the first chunk that has a complete row: levels of
    categorical variables, columns of the designs. Formulas must act row by row. Transforms that
    learn from the data, ``center`` and splines among them, are refused; a function of a whole
    column that does not tell the engine, ``x - np.mean(x)``, cannot be seen, and would be of each
    chunk by itself.

    Parameters
    ----------
    formula : dict, list or str
        As in `build_system`, but for long panels.
    chunks : iterator of DataFrame
        Read once.
    missing : {"drop", "raise", "none"}
    scope : dict
        Variables and functions the formulas may use besides the data.

    Attributes
    ----------
    n_dropped : int
        Rows dropped for missing values so far.
    """

    def __init__(
        self, formula: Any, chunks: Iterator[Any], *, missing: str, scope: dict[str, Any]
    ) -> None:
        self._formula, self._chunks = formula, chunks
        self._missing, self._scope = missing, scope
        self._system: FormulaSystem | None = None
        self.n_dropped = 0

    def recipe(self) -> FormulaSystem:
        """What new data need; known once a chunk was read."""
        if self._system is None:
            raise SystemInputError("no chunk was read")
        return self._system

    def __iter__(self) -> Iterator[tuple[pd.DataFrame, list[pd.DataFrame]]]:
        """Responses (n, K) and K designs (n, p_j) of each chunk.

        Raises
        ------
        UnseenLevelError
            A categorical variable has a level that the first chunk did not have, and that its
            dtype did not declare.
        FormulaError, NonFiniteError, SystemInputError
            Those about a chunk begin with its number, counted from 1.
        """
        number = 0
        while (data := next(self._chunks, _END)) is not _END:
            number += 1
            with in_chunk(number):
                data = to_pandas(data)
                if not isinstance(data, pd.DataFrame):
                    raise SystemInputError(
                        f"data must be an iterator of DataFrames, got {type(data).__name__}"
                    )
                made = None
                if len(data):
                    made = self._first(data) if self._system is None else self._next(data)
            del data
            if made is not None:
                yield made
                del made

    def _first(self, data: pd.DataFrame) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
        built = build_system(self._formula, data, missing=self._missing, scope=self._scope)
        refuse_memories(built.specs)
        self._system = built.recipe()
        self.n_dropped = built.n_dropped
        return built.endog, list(built.exog)

    def _next(self, data: pd.DataFrame) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
        endog, exog, dropped = rows_of(self.recipe().specs, data, self._scope, self._missing)
        self.n_dropped += dropped
        return endog, exog


def rows_of(
    specs: Sequence[EquationSpec], data: pd.DataFrame, scope: dict[str, Any], missing: str
) -> tuple[pd.DataFrame, list[pd.DataFrame], int]:
    """Responses (n, K), K designs (n, p_j), and how many rows were dropped, of later rows.

    Parameters
    ----------
    specs : sequence of EquationSpec
        What formulas mean, from other rows.
    data : DataFrame
    scope : dict
    missing : {"drop", "raise", "none"}

    Raises
    ------
    UnseenLevelError, FormulaError, NonFiniteError
    """
    new = read_data(data, " ".join({spec.formula for spec in specs}), scope)
    left: dict[int, pd.DataFrame] = {}
    right: dict[int, pd.DataFrame] = {}
    for spec in specs:
        if id(spec.lhs) not in left:
            left[id(spec.lhs)] = of_chunk(replace(spec, rhs=spec.lhs), new)
        if id(spec.rhs) not in right:
            right[id(spec.rhs)] = of_chunk(spec, new)
    complete = np.ones(len(data), dtype=bool)
    for frame in (*left.values(), *right.values()):
        complete &= ~np.isnan(frame.to_numpy()).any(axis=1)
    if not complete.all():
        if missing != "drop":
            raise NonFiniteError(
                f"{(~complete).sum()} rows have missing values, first rows "
                f"{listed(new.labels[~complete])}; fill them, or use missing='drop'."
            )
        left = {key: frame.loc[complete] for key, frame in left.items()}
        right = {key: frame.loc[complete] for key, frame in right.items()}
    endog = {
        # "y1 + y2 ~ x": equations are named by their responses.
        spec.name: y[spec.name] if (y := left[id(spec.lhs)]).shape[1] > 1 else y.iloc[:, 0]
        for spec in specs
    }
    columns = [values.to_numpy() for values in endog.values()]
    return (
        pd.DataFrame(np.column_stack(columns), new.labels[complete], list(endog)),
        [right[id(spec.rhs)] for spec in specs],
        int((~complete).sum()),
    )


def of_chunk(spec: EquationSpec, new: Data) -> pd.DataFrame:
    """The design of a spec from a later chunk; see `sm_alsgls.formula.engine.redesign`.

    Raises
    ------
    UnseenLevelError, FormulaError
    """
    try:
        return redesign(spec, new)
    except UnseenLevelError as error:
        raise UnseenLevelError(
            f"{error} Declare all levels in every chunk, with "
            "pd.Categorical(values, categories=[...])."
        ) from error


def refuse_memories(specs: Sequence[EquationSpec]) -> None:
    """Transforms that remember something of the data would remember the first chunk alone.

    Raises
    ------
    FormulaError
    """
    for spec in specs:
        for side in (spec.rhs, spec.lhs):
            if side is None:  # of "~ x"
                continue
            if spec.engine == "patsy":
                infos = side.factor_infos.values()
                found = [f.factor.name() for f in infos if (f.state or {}).get("transforms")]
            else:
                found = list(map(str, side.transform_state))
            if found:
                raise FormulaError(
                    f"Equation {spec.name!r}: {listed(found)} of {spec.formula!r} learns from the "
                    "data, and rows that are read in parts would show it the first part only; "
                    "compute such columns before, or pass one DataFrame."
                )
