"""Formulas and a frame of dask in, responses and designs of each of its partitions out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import pandas as pd

from sm_alsgls.border.chunks import in_part
from sm_alsgls.border.dask_inputs import Partitions, partitions
from sm_alsgls.border.dask_tree import merged
from sm_alsgls.exceptions import NonFiniteError, ShapeError, SystemInputError
from sm_alsgls.formula.build import FormulaSystem, build_system
from sm_alsgls.formula.engine import EquationSpec, levels_of
from sm_alsgls.formula.stream import refuse_memories, rows_of
from sm_alsgls.formula.text import mentioned, read_equations

# Rows of which it is learned what formulas mean, and the most levels that are looked for.
_SAMPLE, _LEVELS = 200, 10_000
# Formulaic tells of unseen levels by warnings, whose filters all threads of a process share.
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True)
class FormulaPartitions:
    """Formulas whose variables are partitions of rows.

    Attributes
    ----------
    recipe : FormulaSystem
        What new data, and every partition, need.
    partitions : Partitions
    loose : tuple
        Columns of categories that each partition has its own of.
    """

    recipe: FormulaSystem
    partitions: Partitions
    loose: tuple[Any, ...] = ()


def formula_partitions(
    formula: Any, data: Any, *, missing: str, scope: dict[str, Any], keys: Sequence[Any] = ()
) -> FormulaPartitions:
    """What formulas mean, found in a few rows, and the partitions, to be evaluated by it.

    Formulas must act row by row, as in `sm_alsgls.formula.stream`. Levels of a categorical
    variable are those of its dtype where dask knows them. Those of other variables that formulas
    take for categories (text, ``C(year)``) are found in a first pass over these columns, unless
    there are more than ten thousand.

    Parameters
    ----------
    formula : dict, list or str
        As in `build_system`, but for long panels.
    data : dask DataFrame
    missing : {"drop", "raise", "none"}
    scope : dict
        Variables and functions the formulas may use besides the data.
    keys : sequence
        Columns that partitions keep beside those of the formulas.

    Raises
    ------
    FormulaError
        A transform learns from the data; and what `build_system` raises.
    """
    text = " ".join(text for _, text in read_equations(formula))
    used = mentioned(text, data.columns)
    loose = tuple(
        name
        for name, dtype in data.dtypes.items()
        if name in used and isinstance(dtype, pd.CategoricalDtype) and not data[name].cat.known
    )
    every = partitions([list(data.to_delayed())])
    for one in every:
        sample = merged([one], _Sample(tuple(used), loose), "rows")
        if not len(sample):
            continue
        try:
            built = build_system(formula, sample, missing="drop", scope=scope)
        except NonFiniteError:  # no row of it is whole
            if one is every[-1]:
                raise
            continue
        break
    else:
        raise ShapeError(f"the system is empty: 0 rows in {len(every)} partitions")
    refuse_memories(built.specs)
    unknown = _without_levels(built.specs, data, loose)
    if unknown:
        chosen = partitions([list(data[unknown].to_delayed())])
        levels = merged(chosen, _find_levels, "levels")
        # Rows that have every level, so that an expression of a column has all of its own.
        whole = sample.loc[sample[used].notna().all(axis=1)].iloc[:1]
        sample = pd.concat([sample, *levels.rows(whole)], ignore_index=True)
        built = build_system(formula, sample, missing="drop", scope=scope)
    if used:  # what else is in a file need not be read
        kept = list(dict.fromkeys([*used, *keys]))
        every = partitions([list(data[kept].to_delayed())])
    recipe = built.recipe()
    return FormulaPartitions(recipe, Partitions(every, _Evaluated(recipe, missing, loose)), loose)


def _without_levels(specs: Sequence[EquationSpec], data: Any, loose: Sequence[Any]) -> list[Any]:
    """Columns that categories are made of, and that do not declare which these may be."""
    codes = {
        code
        for spec in specs
        for code, known in levels_of(spec).items()
        if not all(isinstance(level, bool) for level in known)
    }
    declared = {
        name
        for name, dtype in data.dtypes.items()
        if pd.api.types.is_bool_dtype(dtype)
        or (isinstance(dtype, pd.CategoricalDtype) and name not in loose)
    }
    found = {name for code in codes for name in mentioned(code, data.columns)}
    return [name for name in data.columns if name in found - declared]


# -- tasks of a partition --------------------------------------------------------------------------


def _undeclared(data: pd.DataFrame, loose: Iterable[Any]) -> pd.DataFrame:
    """Categories that are the partition's own as the values that they are."""
    return data.astype(dict.fromkeys(loose, object))


@dataclass(frozen=True)
class _Sample:
    """The first rows of a partition that miss nothing; where there are none, its first rows."""

    used: tuple[Any, ...]
    loose: tuple[Any, ...]

    def __call__(self, called: str, start: int, data: Any) -> pd.DataFrame:
        with in_part(called):
            if not isinstance(data, pd.DataFrame):
                raise SystemInputError(
                    f"data must have DataFrames as partitions, got {type(data).__name__}"
                )
        whole = data.loc[data[list(self.used)].notna().all(axis=1).to_numpy()]
        return _undeclared((whole if len(whole) else data).iloc[:_SAMPLE], self.loose)


@dataclass(frozen=True)
class _Evaluated:
    """What formulas make of the rows of a partition; it travels there."""

    recipe: FormulaSystem
    missing: str
    loose: tuple[Any, ...]

    def __call__(self, data: pd.DataFrame) -> tuple[pd.DataFrame, list[pd.DataFrame], int]:
        data = _undeclared(data, self.loose)
        with _ONE_AT_A_TIME:
            return rows_of(self.recipe.specs, data, self.recipe.scope, self.missing)


@dataclass(frozen=True)
class _Levels:
    """Distinct values of columns, None of a column that has too many."""

    values: dict[Any, list[Any] | None]

    def merge(self, other: _Levels) -> _Levels:
        """Those of both."""
        both: dict[Any, list[Any] | None] = {}
        for name, mine in self.values.items():
            others = other.values[name]
            lacking = mine is None or others is None
            both[name] = None if lacking else _few(dict.fromkeys([*(mine or ()), *(others or ())]))
        return _Levels(both)

    def rows(self, whole: pd.DataFrame) -> list[pd.DataFrame]:
        """For each column a frame of the one row ``whole``, repeated with every level of it."""
        made = []
        for name, levels in self.values.items():
            if levels:
                frame = whole.iloc[[0] * len(levels)].reset_index(drop=True)
                frame[name] = pd.Series(levels, dtype=object).infer_objects()
                made.append(frame)
        return made


def _few(values: Iterable[Any]) -> list[Any] | None:
    found = list(values)
    return found if len(found) <= _LEVELS else None


def _find_levels(called: str, start: int, data: pd.DataFrame) -> _Levels:
    """The levels of a partition."""
    return _Levels({name: _few(data[name].dropna().unique().tolist()) for name in data.columns})
