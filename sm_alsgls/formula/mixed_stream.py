"""Formulas of a mixed model and a stream of data frames in, matrices of each frame out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd

from sm_alsgls.border.frames import table
from sm_alsgls.exceptions import FormulaError, SystemInputError
from sm_alsgls.formula.data import read_data
from sm_alsgls.formula.lags import called
from sm_alsgls.formula.mixed import of_groups
from sm_alsgls.formula.stream import of_chunk, refuse_memories
from sm_alsgls.formula.system import FormulaSystem


class MixedStream:
    """Formulas whose variables come in chunks of rows; see `sm_alsgls.formula.stream`.

    What a formula means is fixed by the first chunk that has rows: levels, columns of the designs.

    Parameters
    ----------
    build : callable
        Makes a `FormulaSystem` of the first chunk; as `build_mixed` with its formulas.
    scope : dict
        Variables and functions the formulas may use besides the data.
    """

    def __init__(
        self, build: Callable[[pd.DataFrame], FormulaSystem], scope: dict[str, Any]
    ) -> None:
        self._build, self._scope = build, scope
        self._first: FormulaSystem | None = None

    def recipe(self) -> FormulaSystem:
        """What new data need; known once a chunk was read."""
        if self._first is None:
            raise SystemInputError("no chunk was read")
        return self._first

    def matrices(self, data: Any) -> tuple[FormulaSystem, pd.DataFrame]:
        """Response and designs of a chunk, and its columns.

        Rows of later chunks that miss something are NaN; the first leaves them out.

        Raises
        ------
        UnseenLevelError, FormulaError, NonFiniteError, SystemInputError
        """
        frame = table(data)
        if self._first is None:
            built = self._build(frame)
            refuse_memories(built.specs)
            texts = " ".join(spec.formula for spec in built.specs)
            if called(texts, self._scope):
                raise FormulaError(
                    "lag(), lead() and diff() do not go with an iterator of chunks: the row before "
                    "may be in another chunk; make the columns before, or pass one DataFrame"
                )
            self._first = built.recipe()
            return built, frame
        first = self._first
        new = read_data(frame, " ".join(spec.formula for spec in first.specs), self._scope)
        left = of_chunk(replace(first.specs[0], rhs=first.specs[0].lhs), new)
        right = [of_chunk(spec, new) for spec in first.specs]
        made = replace(
            first,
            endog=left.set_axis(list(first.endog), axis=1),
            exog=(right[0], of_groups(right[1]), *right[2:]),
            rows=new.rows,
            n_dropped=0,
        )
        return made, frame
