"""Formulas on new data: designs and responses with what engines memorised of the old."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls import exceptions as exc
from sm_alsgls.border.names import listed
from sm_alsgls.formula import panel
from sm_alsgls.formula.data import read_data
from sm_alsgls.formula.engine import Data, EquationSpec, redesign, respond
from sm_alsgls.formula.lags import called
from sm_alsgls.formula.text import caller_scope


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
        As in `sm_alsgls.formula.build.build_system`.

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
    >>> from sm_alsgls.formula.build import build_system
    >>> from sm_alsgls.formula.replay import replay
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
        As in `sm_alsgls.formula.build.build_system`.

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
    >>> from sm_alsgls.formula.build import build_system
    >>> from sm_alsgls.formula.replay import replay_panel
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
        panel=spec.key.rows(new.frame, new.labels, names if spec.key.equations else None),
    )
