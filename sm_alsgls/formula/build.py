"""Formulas and a data frame in, one response and one design matrix per equation out.

Formulas are read by statsmodels' ``FormulaManager`` alone: whatever the engine chosen in
``statsmodels.formula.options`` understands is understood here, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls import exceptions as exc
from sm_alsgls.border.frames import table
from sm_alsgls.border.held import own
from sm_alsgls.border.names import listed
from sm_alsgls.formula import panel
from sm_alsgls.formula.data import entity_and_time, read_data
from sm_alsgls.formula.engine import (
    Data,
    EquationSpec,
    Part,
    evaluate,
    evaluate_cells,
    factors,
    redesign,
    respond,
)
from sm_alsgls.formula.lags import called
from sm_alsgls.formula.number_text import refuse_number_text, standing
from sm_alsgls.formula.order import refuse_order
from sm_alsgls.formula.pickling import used_names
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.formula.text import caller_scope, is_one, mentioned, read_equations, words

__all__ = [
    "EquationSpec",
    "FormulaSystem",
    "build_system",
    "caller_scope",
    "replay",
    "replay_panel",
    "replay_responses",
]


def build_system(
    formula: Any,
    data: Any,
    *,
    groups: str | None = None,
    time: str | None = None,
    subset: Any = None,
    missing: str | None = None,
    scope: dict[str, Any] | None = None,
) -> FormulaSystem:
    """Evaluate the formulas of a system.

    Parameters
    ----------
    formula : dict, list or str
        One of ``{equation: formula}``; a list of formulas, named by their left sides; a string
        ``"{GM: y1 ~ x1} {US: y2 ~ x2}"``, whose names are optional; one formula with several
        responses, ``"y1 + y2 ~ x"``, whose equations share one design (the same object K times);
        or, with `groups`, one formula with one response.
    data : DataFrame
        One row per row of the system or, with `groups`, per (group, time) cell. Never changed.
        Of any library that `sm_alsgls.border.frames.to_pandas` knows.
    groups, time : str, optional
        Columns of a long panel, or levels of its index. Data of one formula with one response
        whose index has two levels are such a panel, groups first, when neither is given. The
        formula is evaluated once over all groups, so that levels and transforms such as
        ``center`` are common to them, then split: one equation per group, one row per sorted
        time. Groups that are numbers or dates come in their order, others as they appear first.
        Without `time` the groups' rows are matched by their order, hence must be equally many.
        With it formulas know ``lag``, ``lead`` and ``diff``, see `sm_alsgls.formula.lags`.
    subset : array_like, optional
        Rows to use, ``data.loc[subset]``.
    missing : {"drop", "fiml", "raise", "none"}, optional
        "drop" removes a row from all equations when one of them misses something. "fiml" keeps
        rows, with NaN where a response or a regressor is missing; of a panel, also where a cell
        (group, time) is absent. Others refuse missing values. Default: "fiml" for long panels
        with a time column, else "drop". A panel loses a period when it is missing in every group.
    scope : dict, optional
        Variables and functions the formulas may use besides the data; default the caller's.

    Returns
    -------
    FormulaSystem

    Raises
    ------
    FormulaError
        A formula cannot be read, a name is unknown, a response is not one numeric variable, or,
        in a long panel, a term depends on the order of rows.
    NumberTextError
        A column is text though most of its values are numbers.
    NonFiniteError
        Missing values that were not to be dropped, or in the group or time column, or everywhere.
    UnbalancedPanelError
        A (group, time) cell occurs twice; unless ``missing`` is "fiml", is absent or has missing
        values.
    OptionError, SystemInputError
        `missing` is unknown; `data` is no DataFrame, or `subset` does not fit it.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.formula.build import build_system
    >>> data = pd.DataFrame({"y1": [1.0, 2, 4], "y2": [3.0, 1, 2], "x": [1.0, None, 3]})
    >>> system = build_system({"a": "y1 ~ x", "b": "y2 ~ 1"}, data)
    >>> system.endog
         a    b
    0  1.0  3.0
    2  4.0  2.0
    >>> [list(design) for design in system.exog], system.n_dropped
    ([['Intercept', 'x'], ['Intercept']], 1)
    """
    data = table(data)
    if groups is None and time is None and is_one(formula):
        groups, time = entity_and_time(formula, data)
    if missing is None:
        missing = "fiml" if groups is not None and time is not None else "drop"
    if missing not in ("drop", "raise", "none", "fiml"):
        raise exc.OptionError(
            f"missing must be 'drop', 'fiml', 'raise' or 'none', got {missing!r}."
        )
    scope = caller_scope(1, formula) if scope is None else scope
    equations = read_equations(formula)
    everything = " ".join(text for _, text in equations)
    # New data are evaluated with these values later, whatever the caller writes into his.
    scope = scope | {name: own(scope[name]) for name in words(everything) if name in scope}
    for name, argument in ((groups, "groups"), (time, "time")):
        panel.check_name(name, argument)
    used = read_data(data, everything, scope, subset, keys=(groups, time))
    alone = is_one(formula)
    if groups is None and time is not None:
        raise exc.FormulaError("time= labels the rows of a long panel and needs groups=.")
    if groups is not None and not alone:
        raise exc.FormulaError(
            "groups= makes one equation per group from one formula, 'y ~ x1 + x2'; dictionaries, "
            "lists and braces name equations themselves. Give one of the two."
        )
    lags = called(everything, scope)
    used = used._replace(scope=used.scope | lags)
    key = None
    if lags and groups is not None and time is not None:
        key = panel.RowKey.of(used.frame, used.labels, groups, time, everything)
        used = used._replace(panel=key.rows(used.frame, used.labels))
    _refuse_number_text(equations, used, time)
    by_cell = missing == "fiml"
    parts = [
        evaluate_cells(name, text, used) if by_cell else evaluate(name, text, used, missing)
        for name, text in equations
    ]
    several = [part for part in parts if part.lhs.shape[1] > 1]
    if several and (groups is not None or not alone):
        raise exc.FormulaError(
            f"{several[0].text!r} has {several[0].lhs.shape[1]} responses "
            f"({listed(several[0].lhs)}) where one is needed; 'y1 + y2 ~ x' stands alone, without "
            "groups=, and not in a dict, list or braces."
        )
    both = np.logical_or if by_cell else np.logical_and
    complete = both.reduce([part.complete for part in parts])
    if not complete.any():
        empty = [repr(part.text) for part in parts if not part.complete.any()]
        gone = used.frame.columns[used.frame.isna().all().to_numpy()]
        columns = mentioned(" ".join(part.text for part in parts), gone)
        raise exc.NonFiniteError(
            f"No row is left; formulas without any complete row: {listed(empty) or 'none'}. "
            + (f"Columns without any value: {listed(map(repr, columns))}. " if columns else "")
            + "In "
            "center(), standardize() and splines one missing value makes all values missing: "
            "remove such rows first, with data.dropna()"
            + (", and lag what they make, lag(center(x))." if lags else ".")
        )
    if groups is not None:
        label = str(parts[0].lhs.columns[0])
        refuse_order(label, parts[0].text, used, groups, time)
        names = used_names(scope, [parts[0].text], used.frame.columns)
        return replace(_long(parts[0], used, groups, time, by_cell, key), scope=names)
    kept = np.flatnonzero(complete)
    # pandas 2 makes numbers, 8 bytes a row, of a part of a range, be it all of it.
    index = used.labels if complete.all() else used.labels[kept]
    endog, exog, specs = {}, [], []
    for (name, _), part in zip(equations, parts, strict=True):
        design = part.rhs.loc[kept].set_axis(index)
        for column in part.lhs:
            label = column if name is None else name
            if label in endog:
                raise exc.FormulaError(
                    f"Two equations are named {label!r}; give names with a dict {{name: formula}}."
                )
            endog[label] = part.lhs.loc[kept, column].to_numpy()
            exog.append(design)
            specs.append(part.spec(label, column))
    n_dropped = len(complete) - kept.size
    names = used_names(scope, (part.text for part in parts), used.frame.columns)
    return FormulaSystem(
        pd.DataFrame(endog, index),
        tuple(exog),
        tuple(specs),
        n_dropped,
        None,
        None,
        names,
        used.rows[kept],
    )


def replay(
    system_specs: Sequence[EquationSpec], data: Any, scope: dict[str, Any] | None = None
) -> list[pd.DataFrame]:
    """Design matrices of new wide data, with the levels and transforms of the old data.

    Parameters
    ----------
    system_specs : sequence of EquationSpec
    data : DataFrame
        n rows, with the variables of the right-hand sides; responses are not needed.
    scope : dict, optional
        As in `build_system`.

    Returns
    -------
    list of DataFrame
        One (n, p_j) per spec, indexed like `data`; a row that misses something is NaN throughout.
        Specs that share a right-hand side share the object.

    Raises
    ------
    UnseenLevelError
        A categorical variable has a level that the old data did not have.
    FormulaError
        A variable is missing, or the formula fails on the new data.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.formula.build import build_system, replay
    >>> old = pd.DataFrame({"y": [1.0, 2, 4], "x": [1.0, 2, 3], "s": ["a", "b", "c"]})
    >>> system = build_system("y ~ center(x) + s", old)
    >>> replay(system.specs, pd.DataFrame({"x": [2.0, None], "s": ["c", "a"]}))[0]
       Intercept  s[T.b]  s[T.c]  center(x)
    0        1.0     0.0     1.0        0.0
    1        NaN     NaN     NaN        NaN
    """
    texts = [spec.formula for spec in system_specs]
    scope = caller_scope(1, texts) if scope is None else scope
    new = read_data(data, " ".join(texts), scope, keys=_keys(system_specs))
    if system_specs and system_specs[0].key is not None:  # of one equation of a long panel
        new = _placed(new, system_specs[0], [system_specs[0].name] * len(new.frame))
    made: dict[int, pd.DataFrame] = {}
    for spec in system_specs:
        if id(spec.rhs) not in made:
            made[id(spec.rhs)] = redesign(spec, new)
    return [made[id(spec.rhs)] for spec in system_specs]


def replay_panel(
    specs: Sequence[EquationSpec], data: Any, groups: str, scope: dict[str, Any] | None = None
) -> list[tuple[str, np.ndarray, pd.DataFrame]]:
    """Design matrices of new long data, group by group.

    Parameters
    ----------
    specs : sequence of EquationSpec
        Those of a system built with `groups`.
    data : DataFrame
        Long; any number of rows per group, groups may be absent.
    groups : str
        Column that names the group of each row.
    scope : dict, optional
        As in `build_system`.

    Returns
    -------
    list of (name, positions, design)
        For each group in `data`, in the order of `specs`: the positions (n_g,) of its rows and
        their design (n_g, p), NaN where something is missing.

    Raises
    ------
    UnseenLevelError
        A group or level that the old data did not have.
    FormulaError, NonFiniteError
        A variable is missing; the group column has missing values.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.formula.build import build_system, replay_panel
    >>> old = pd.DataFrame({"g": list("bbaa"), "t": [1, 2, 1, 2], "y": 1.0, "x": [1.0, 2, 3, 4]})
    >>> system = build_system("y ~ 0 + x", old, groups="g", time="t")
    >>> new = pd.DataFrame({"g": list("aba"), "x": [5.0, 6, 7]})
    >>> for name, rows, design in replay_panel(system.specs, new, "g"):
    ...     print(name, rows, design["x"].to_numpy())
    b [1] [6.]
    a [0 2] [5. 7.]
    """
    scope = caller_scope(1, [spec.formula for spec in specs]) if scope is None else scope
    keys = (groups, *_keys(specs))
    new = read_data(data, " ".join({spec.formula for spec in specs}), scope, keys=keys)
    known = {spec.name for spec in specs}
    labels = panel.key(new.frame, new.labels, groups, "groups")
    names = panel.equation_names(labels, known).to_numpy()
    unseen = [repr(name) for name in sorted(set(names) - known)]
    if unseen:
        raise exc.UnseenLevelError(f"{groups}: the system has no equation for {listed(unseen)}.")
    new = _placed(new, specs[0], names)
    design = redesign(specs[0], new)  # all groups of a panel share one right-hand side
    found = ((spec.name, np.flatnonzero(names == spec.name)) for spec in specs)
    return [(name, rows, design.iloc[rows]) for name, rows in found if rows.size]


def replay_responses(
    specs: Sequence[EquationSpec], data: Any, scope: dict[str, Any]
) -> list[np.ndarray | None]:
    """Responses of new data, one (n,) a spec; None where the data do not have its variables.

    For a long panel pass one spec: groups share the left side.
    """
    texts = " ".join({spec.formula for spec in specs})
    new = read_data(data, texts, scope, keys=_keys(specs))
    out: list[np.ndarray | None] = []
    for spec in specs:
        try:
            placed = _placed(new, spec)._replace(frame=new.frame)  # responses are not made up
            out.append(respond(spec, placed))
        except exc.FormulaError:
            out.append(None)
    return out


def _keys(specs: Sequence[EquationSpec]) -> list[str]:
    """Columns, or levels of the index, that lags of formulas go by."""
    key = next((spec.key for spec in specs if spec.key is not None), None)
    return [] if key is None else [key.groups, key.time]


def _placed(new: Data, spec: EquationSpec, names: Any = None) -> Data:
    """New data with what lags of the right side need; ``names`` are the equations of the rows."""
    if spec.key is None:
        return new
    return new._replace(
        frame=spec.key.filled(new.frame, spec.formula.partition("~")[2]),
        scope=new.scope | called(spec.formula, new.scope),
        panel=spec.key.rows(new.frame, new.labels, names),
    )


def _refuse_number_text(
    equations: list[tuple[str | None, str]], used: Data, time: str | None
) -> None:
    """Text in place of numbers, among the columns that formulas use as they stand."""
    dtypes = used.frame.dtypes.items()
    texts = [name for name, dtype in dtypes if pd.api.types.is_object_dtype(dtype)]
    names = dict.fromkeys(
        name
        for _, text in equations
        if (mine := mentioned(text, texts))  # else it need not be read once more
        for code in factors(text)
        if (name := standing(code.strip("`"))) in mine
    )
    if isinstance(time, str) and time in texts:
        names[time] = time
    refuse_number_text(names, used.frame, used.labels)


def _long(
    part: Part,
    data: Data,
    groups: str,
    time: str | None,
    by_cell: bool,
    key: panel.RowKey | None,
) -> FormulaSystem:
    cells = panel.arrange(data.frame, data.labels, part.complete, groups, time, by_cell)
    y = part.lhs.iloc[:, 0]
    # A cell that is absent is at -1, which no row is called.
    endog = {
        name: y.reindex(at).to_numpy() for name, at in zip(cells.names, cells.rows, strict=True)
    }
    return FormulaSystem(
        pd.DataFrame(endog, cells.times),
        tuple(part.rhs.reindex(at).set_axis(cells.times) for at in cells.rows),
        tuple(part.spec(name, str(y.name), key) for name in cells.names),
        cells.n_dropped,
        groups,
        time,
        rows=np.where(cells.rows >= 0, data.rows[cells.rows], -1),
    )
