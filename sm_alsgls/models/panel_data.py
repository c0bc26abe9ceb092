"""What `LowRankPanel` does with its arguments before there is a system."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice
from sm_alsgls.border.arguments import names as names_of
from sm_alsgls.border.frames import level_names, to_pandas
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.core.errors.law import Law, law_of
from sm_alsgls.core.errors.words import EXCHANGEABLE, SPHERICAL, WITHIN
from sm_alsgls.data.error_laws import ErrorLaws
from sm_alsgls.data.panel_layout import PanelLayout, default_independent
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import (
    FormulaError,
    InsufficientRowsError,
    OptionError,
    SystemInputError,
)
from sm_alsgls.formula.build import FormulaSystem
from sm_alsgls.formula.engine import columns_of
from sm_alsgls.formula.panel import key
from sm_alsgls.models.laws import AskedLaws, read_laws

_INDEPENDENT = ("time", "entity")


def which_rows(independent: Any, frame: pd.DataFrame, entity: str, time: str) -> str:
    """The dimension of the rows, chosen by the sizes where it is not given."""
    if independent is not None:
        return choice(independent, "independent", _INDEPENDENT)
    sizes = [key(frame, frame.index, name, name).nunique() for name in (entity, time)]
    return default_independent(*sizes)


def keys_of(data: pd.DataFrame, entity: Any, time: Any) -> tuple[str, str]:
    """Columns, or levels of the index, of units and periods."""
    levels = level_names(data.index)
    found = []
    for i, (argument, name) in enumerate((("entity", entity), ("time", time))):
        if name is None:
            if len(levels) != 2:
                raise FormulaError(
                    f"{argument}= is missing: name the column, or give data whose index has the "
                    "levels entity and time"
                )
            name = levels[i]
        if name not in levels:
            key(data, data.index, name, argument)
        found.append(name)
    if found[0] == found[1]:
        raise FormulaError(f"entity= and time= are both {found[0]!r}; name two columns")
    return found[0], found[1]


def used_rows(data: pd.DataFrame, subset: Any) -> pd.DataFrame:
    """The rows of a subset, with the levels of the index as columns."""
    if subset is not None:
        try:
            positions = pd.Series(np.arange(len(data)), index=data.index)
            data = data.iloc[np.atleast_1d(positions.loc[to_pandas(subset, "subset")])]
        except Exception as error:
            raise SystemInputError(f"data.loc[subset] fails: {error}") from error
    levels = [name for name in level_names(data.index) if name is not None]
    extra = {n: data.index.get_level_values(i) for i, n in enumerate(levels) if n not in data}
    return data.assign(**{str(name): values for name, values in extra.items()})


def asked(heterogeneous: Any) -> list[str] | bool:
    """Names of heterogeneous regressors, or whether all are."""
    if isinstance(heterogeneous, (bool, np.bool_)):
        return bool(heterogeneous)
    return names_of(heterogeneous, "heterogeneous", "['x1', 'x2'], or True")


def with_own(formula: str, named: list[str] | bool, data: pd.DataFrame) -> str:
    """The formula and those columns of the data with slopes of the units that it does not name."""
    if isinstance(named, bool):
        return formula
    right = formula.partition("~")[2]
    words = set(re.findall(r"[^\W\d][\w.]*", right))
    added = [n for n in named if str(n).isidentifier() and n in data.columns and n not in words]
    return " + ".join([formula, *added])


def as_columns(named: list[str] | bool, built: FormulaSystem) -> list[str] | bool:
    """Terms of the formula as the columns that they have."""
    if isinstance(named, bool):
        return named
    spec = built.specs[0]
    found: list[str] = []
    for name in named:
        found += [name] if name in spec.columns else list(columns_of(spec, [name])) or [name]
    return found


def complete(endog: pd.DataFrame, designs: list[pd.DataFrame]) -> np.ndarray:
    """Rows that have every cell, (N,)."""
    keep = endog.notna().all(axis=1).to_numpy()
    for X in designs:
        keep = keep & X.notna().all(axis=1).to_numpy()
    if not keep.any():
        raise InsufficientRowsError(
            f"no row is left of {len(keep)}: every one misses a cell; missing='fiml' uses those "
            "that are there"
        )
    return np.asarray(keep)


def with_cells(built: FormulaSystem) -> np.ndarray:
    """Equations that have a cell, (K,)."""
    rows = built.endog.notna().to_numpy().T
    return np.array(
        [(y & X.notna().all(axis=1)).any() for y, X in zip(rows, built.exog, strict=True)]
    )


def of_equations(built: FormulaSystem, there: np.ndarray) -> FormulaSystem:
    """The system of some of its equations."""
    kept = np.flatnonzero(there)
    return replace(
        built,
        endog=built.endog.iloc[:, kept],
        exog=tuple(built.exog[j] for j in kept),
        specs=tuple(built.specs[j] for j in kept) if built.specs else (),
        rows=None if built.rows is None else built.rows[kept],
    )


def laws_of(
    asked: AskedLaws, system: System, source: Provenance, layout: PanelLayout
) -> ErrorLaws | None:
    """What errors follow beside Sigma."""
    if asked.given and layout.swept:
        raise OptionError(
            f"{asked.given[0]}= with effects={layout.effects!r}: deviations of errors that "
            "follow a law follow none; use effects of the equations, or mundlak=True"
        )
    units = layout.independent == "entity"
    return read_laws(
        asked, system, source, "entity", units=units, time=None if units else layout.time
    )


def of_two_variances(rank: Any, layout: PanelLayout) -> Law | None:
    """The law of a name of one or two variances; deviations have no level. Else None."""
    if not isinstance(rank, str) or rank not in (EXCHANGEABLE, SPHERICAL):
        return None
    if layout.swept:
        return law_of(WITHIN if layout.level else SPHERICAL)
    return law_of(rank)


def unmade(layout: PanelLayout) -> str:
    """Why the formula does not make designs of new data."""
    if layout.swept:
        return (
            f"effects={layout.effects!r} were swept out, and this model predicts what is left of "
            "them: add x'params and res.effects by hand, or pass designs as model.exog has them, "
            "with transform=False"
        )
    return (
        "mundlak=True adds means over the periods of a unit, which new data do not tell: put the "
        "means into columns of the data and the formula, or pass designs with transform=False"
    )
