"""Formulas and a data frame in, one response and one design matrix per equation out.

Formulas are read by statsmodels' ``FormulaManager`` alone: whatever the engine chosen in
``statsmodels.formula.options`` understands is understood here, and nothing else is.
"""

from __future__ import annotations

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
    evaluate_right,
)
from sm_alsgls.formula.lags import called
from sm_alsgls.formula.order import refuse_order
from sm_alsgls.formula.pickling import used_names
from sm_alsgls.formula.sides import Sides
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.formula.text import caller_scope, is_one, read_equations, words
from sm_alsgls.formula.whole_rows import check_left, refuse_texts

__all__ = ["EquationSpec", "FormulaSystem", "build", "build_system", "caller_scope"]


def build_system(
    formula: Any,
    data: Any,
    *,
    groups: str | None = None,
    time: str | None = None,
    subset: Any = None,
    missing: str | None = None,
    scope: dict[str, Any] | None = None,
    units: bool = False,
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
    units : bool
        The rows are the units of a long panel, `time` names them, and the equations, `groups`,
        are its times: ``lag`` and its like go by time within units all the same.

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
    scope = caller_scope(1, formula) if scope is None else scope
    return build(
        read_equations(formula),
        data,
        alone=is_one(formula),
        groups=groups,
        time=time,
        subset=subset,
        missing=missing,
        scope=scope,
        units=units,
    )


def build(
    equations: list[tuple[str | None, str]],
    data: Any,
    *,
    alone: bool,
    groups: str | None,
    time: str | None,
    subset: Any,
    missing: str | None,
    scope: dict[str, Any],
    sides: Sides | None = None,
    units: bool = False,
) -> FormulaSystem:
    """As `build_system`, of formulas that were read, and of right-hand sides beside them.

    Parameters
    ----------
    equations : list of (name or None, formula)
    data : DataFrame
    alone : bool
        Whether it was a single formula, and no dict, list or braces.
    groups, time, subset, missing, scope, units
        As in `build_system`.
    sides : Sides, optional
        Instruments of each equation: evaluated on the same rows, so that "drop" removes those
        that miss any. Not with "fiml".
    """
    data = table(data)
    if groups is None and time is None and alone:
        groups, time = entity_and_time(equations[0][1], data)
    if missing is None:
        missing = "fiml" if groups is not None and time is not None else "drop"
    if missing not in ("drop", "raise", "none", "fiml"):
        raise exc.OptionError(
            f"missing must be 'drop', 'fiml', 'raise' or 'none', got {missing!r}."
        )
    beside = () if sides is None else sides.texts
    of_model = " ".join(text for _, text in equations)
    everything = " ".join((of_model, *beside))
    # New data are evaluated with these values later, whatever the caller writes into his.
    scope = scope | {name: own(scope[name]) for name in words(everything) if name in scope}
    for name, argument in ((groups, "groups"), (time, "time")):
        panel.check_name(name, argument)
    used = read_data(data, everything, scope, subset, keys=(groups, time))
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
        key = panel.RowKey.of(used.frame, used.labels, groups, time, of_model, units=units)
        used = used._replace(panel=key.rows(used.frame, used.labels))
    refuse_texts([text for _, text in equations] + list(beside), used, time)
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
    # Of groups with lists of their own each list is asked of its groups only.
    how = "drop" if groups is not None and len(beside) > 1 else missing
    right = (
        {}
        if sides is None
        else {text: evaluate_right(sides.owner(text), text, used, how) for text in beside}
    )
    if groups is not None:
        return _long(parts[0], right, sides, used, groups, time, missing, key, scope, units)
    both = np.logical_or if by_cell else np.logical_and
    complete = both.reduce([part.complete for part in (*parts, *right.values())])
    check_left(complete, [*parts, *right.values()], used, bool(lags))
    kept = np.flatnonzero(complete)
    # pandas 2 makes numbers, 8 bytes a row, of a part of a range, be it all of it.
    index = used.labels if complete.all() else used.labels[kept]
    endog, exog, specs, formulas = {}, [], [], []
    for number, ((name, _), part) in enumerate(zip(equations, parts, strict=True)):
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
            formulas.append(number)
    system = FormulaSystem(
        pd.DataFrame(endog, index),
        tuple(exog),
        tuple(specs),
        len(complete) - kept.size,
        None,
        None,
        used_names(scope, (part.text for part in parts), used.frame.columns),
        used.rows[kept],
    )
    if sides is None:
        return system
    own_rows = {text: side.rhs.loc[kept].set_axis(index) for text, side in right.items()}
    made = tuple(own_rows[text] for text in sides.of(list(endog), formulas))
    return sides.told(replace(system, instruments=made), formulas)


def _long(
    part: Part,
    right: dict[str, Part],
    sides: Sides | None,
    data: Data,
    groups: str,
    time: str | None,
    missing: str,
    key: panel.RowKey | None,
    scope: dict[str, Any],
    units: bool,
) -> FormulaSystem:
    complete, chosen = part.complete.copy(), []
    if sides is not None:
        codes, known = panel.groups_of(data.frame, data.labels, groups)
        chosen = sides.of(known, [0] * len(known))
        for text, side in right.items():
            mine = np.array([one == text for one in chosen])[codes]
            complete &= side.complete | ~mine
        if missing != "drop" and not complete.all():
            raise exc.NonFiniteError(
                f"{(~complete).sum()} rows have missing values in the instruments of their groups, "
                f"first rows {listed(data.labels[~complete])}; fill them, or use missing='drop'."
            )
    check_left(complete, [part, *right.values()], data, bool(called(part.text, scope)))
    for text in (part.text, *right):
        unit, period = (time or groups, groups) if units else (groups, time)
        refuse_order(str(part.lhs.columns[0]), text, data, unit, period)
    how = {"holes": missing == "fiml", "whole": sides is not None}
    cells = panel.arrange(data.frame, data.labels, complete, groups, time, **how)
    y = part.lhs.iloc[:, 0]
    # A cell that is absent is at -1, which no row is called.
    endog = {
        name: y.reindex(at).to_numpy() for name, at in zip(cells.names, cells.rows, strict=True)
    }
    system = FormulaSystem(
        pd.DataFrame(endog, cells.times),
        tuple(part.rhs.reindex(at).set_axis(cells.times) for at in cells.rows),
        tuple(part.spec(name, str(y.name), key) for name in cells.names),
        cells.n_dropped,
        groups,
        time,
        used_names(scope, [part.text], data.frame.columns),
        rows=np.where(cells.rows >= 0, data.rows[cells.rows], -1),
        units=units,
    )
    if sides is None:
        return system
    made = tuple(
        right[text].rhs.reindex(at).set_axis(cells.times)
        for text, at in zip(chosen, cells.rows, strict=True)
    )
    return sides.told(replace(system, instruments=made), [0] * len(chosen))
