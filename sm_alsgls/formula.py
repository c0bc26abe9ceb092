"""Formulas and a data frame in, one response and one design matrix per equation out.

Formulas are read by statsmodels' ``FormulaManager`` alone: whatever the engine chosen in
``statsmodels.formula.options`` understands is understood here, and nothing else is.
"""

from __future__ import annotations

import difflib
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from statsmodels.formula._manager import FormulaManager

from sm_alsgls import exceptions as exc

_WORD = re.compile(r"[^\W\d]\w*")
_BRACED = re.compile(r"\s*\{.*\}\s*", re.DOTALL)
_QUOTE_OR_BRACE = re.compile(r"\"[^\"]*\"|'[^']*'|[{}]")
_LABEL = re.compile(r"\s*([^~:()\[\]\"'`]+?)\s*:(.*~.*)", re.DOTALL)
# Two spellings of an unknown name that do not fill in NameError.name: Q() of patsy, formulaic.
_UNKNOWN = re.compile(r"no data named ['\"](?P<q>.+)['\"] found|`(?P<f>.+)` is not present")


@dataclass(frozen=True)
class EquationSpec:
    """What one equation's design was made from, enough to make it again from new data."""

    name: str  #: equation label
    formula: str  #: as given
    rhs: Any  #: the engine's right-hand side: a patsy DesignInfo or a formulaic ModelSpec
    engine: str  #: "patsy" or "formulaic"
    columns: tuple[str, ...]  #: names of the design's columns


@dataclass(frozen=True)
class FormulaSystem:
    """The matrices of a system of K equations on N rows."""

    endog: pd.DataFrame  #: (N, K), columns are the equations' names
    exog: tuple[pd.DataFrame, ...]  #: K designs (N, p_j) with the index of `endog`
    specs: tuple[EquationSpec, ...]  #: K, for `replay` and `replay_panel`
    n_dropped: int  #: rows of the system (periods, for a long panel) dropped for missing values
    groups: str | None  #: column that tells the equations of a long panel apart
    time: str | None  #: column that labels the rows of a long panel


class _Data(NamedTuple):
    frame: pd.DataFrame  # rows numbered 0..n-1: labels may repeat, and engines drop rows
    labels: pd.Index
    scope: dict[str, Any]


class _Part(NamedTuple):
    lhs: pd.DataFrame  # the complete rows; the index holds their positions
    rhs: pd.DataFrame
    complete: np.ndarray  # (n,) bool
    text: str
    rhs_spec: Any
    engine: str

    def spec(self, name: str) -> EquationSpec:
        return EquationSpec(name, self.text, self.rhs_spec, self.engine, tuple(self.rhs.columns))


def build_system(
    formula: Any,
    data: Any,
    *,
    groups: str | None = None,
    time: str | None = None,
    subset: Any = None,
    missing: str = "drop",
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
    groups, time : str, optional
        Columns of a long panel. The formula is evaluated once over all groups, so that levels and
        transforms such as ``center`` are common to them, then split: one equation per group, in
        order of first appearance, one row per sorted time. Without `time` the groups' rows are
        matched by their order, hence must be equally many.
    subset : array_like, optional
        Rows to use, ``data.loc[subset]``.
    missing : {"drop", "raise", "none"}
        "drop" removes a row from all equations when one of them misses something. A panel loses
        a period only when it is missing in every group. Both others refuse missing values.
    scope : dict, optional
        Variables and functions the formulas may use besides the data; default the caller's.

    Returns
    -------
    FormulaSystem

    Raises
    ------
    FormulaError
        A formula cannot be read, a name is unknown, or a response is not one numeric variable.
    NonFiniteError
        Missing values that were not to be dropped, or in the group or time column, or everywhere.
    UnbalancedPanelError
        A (group, time) cell is absent, has missing values, or occurs twice.
    OptionError, SystemInputError
        `missing` is unknown; `data` is no DataFrame, or `subset` does not fit it.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.formula import build_system
    >>> data = pd.DataFrame({"y1": [1.0, 2, 4], "y2": [3.0, 1, 2], "x": [1.0, None, 3]})
    >>> system = build_system({"a": "y1 ~ x", "b": "y2 ~ 1"}, data)
    >>> system.endog
         a    b
    0  1.0  3.0
    2  4.0  2.0
    >>> [list(design) for design in system.exog], system.n_dropped
    ([['Intercept', 'x'], ['Intercept']], 1)
    """
    if missing not in ("drop", "raise", "none"):
        raise exc.OptionError(f"missing must be 'drop', 'raise' or 'none', got {missing!r}.")
    scope = caller_scope(1, formula) if scope is None else scope
    equations = _equations(formula)
    used = _read(data, " ".join(text for _, text in equations), scope, subset)
    alone = isinstance(formula, str) and not _BRACED.fullmatch(formula)
    if groups is None and time is not None:
        raise exc.FormulaError("time= labels the rows of a long panel and needs groups=.")
    if groups is not None and not alone:
        raise exc.FormulaError(
            "groups= makes one equation per group from one formula, 'y ~ x1 + x2'; dictionaries, "
            "lists and braces name equations themselves. Give one of the two."
        )
    parts = [_evaluate(name, text, used, missing) for name, text in equations]
    several = [part for part in parts if part.lhs.shape[1] > 1]
    if several and (groups is not None or not alone):
        raise exc.FormulaError(
            f"{several[0].text!r} has {several[0].lhs.shape[1]} responses "
            f"({_listed(several[0].lhs)}) where one is needed; 'y1 + y2 ~ x' stands alone, without "
            "groups=, and not in a dict, list or braces."
        )
    complete = np.logical_and.reduce([part.complete for part in parts])
    if not complete.any():
        empty = [repr(part.text) for part in parts if not part.complete.any()]
        raise exc.NonFiniteError(
            f"No row is left; formulas without any complete row: {_listed(empty) or 'none'}. In "
            "center(), standardize() and splines one missing value makes all values missing: "
            "remove such rows first, with data.dropna()."
        )
    if groups is not None:
        return _panel(parts[0], used, groups, time)
    kept = np.flatnonzero(complete)
    index = used.labels[kept]
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
            specs.append(part.spec(label))
    n_dropped = len(complete) - kept.size
    return FormulaSystem(
        pd.DataFrame(endog, index), tuple(exog), tuple(specs), n_dropped, None, None
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
    >>> from sm_alsgls.formula import build_system, replay
    >>> old = pd.DataFrame({"y": [1.0, 2, 4], "x": [1.0, 2, 3], "s": ["a", "b", "c"]})
    >>> system = build_system("y ~ center(x) + s", old)
    >>> replay(system.specs, pd.DataFrame({"x": [2.0, None], "s": ["c", "a"]}))[0]
       Intercept  s[T.b]  s[T.c]  center(x)
    0        1.0     0.0     1.0        0.0
    1        NaN     NaN     NaN        NaN
    """
    texts = [spec.formula for spec in system_specs]
    scope = caller_scope(1, texts) if scope is None else scope
    new = _read(data, " ".join(texts), scope)
    made: dict[int, pd.DataFrame] = {}
    for spec in system_specs:
        if id(spec.rhs) not in made:
            made[id(spec.rhs)] = _redesign(spec, new)
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
    >>> from sm_alsgls.formula import build_system, replay_panel
    >>> old = pd.DataFrame({"g": list("bbaa"), "t": [1, 2, 1, 2], "y": 1.0, "x": [1.0, 2, 3, 4]})
    >>> system = build_system("y ~ 0 + x", old, groups="g", time="t")
    >>> new = pd.DataFrame({"g": list("aba"), "x": [5.0, 6, 7]})
    >>> for name, rows, design in replay_panel(system.specs, new, "g"):
    ...     print(name, rows, design["x"].to_numpy())
    b [1] [6.]
    a [0 2] [5. 7.]
    """
    scope = caller_scope(1, [spec.formula for spec in specs]) if scope is None else scope
    new = _read(data, " ".join({spec.formula for spec in specs}), scope)
    names = _key(new, groups, "groups").map(str).to_numpy()
    unseen = [repr(name) for name in sorted(set(names) - {spec.name for spec in specs})]
    if unseen:
        raise exc.UnseenLevelError(f"{groups}: the system has no equation for {_listed(unseen)}.")
    design = _redesign(specs[0], new)  # all groups of a panel share one right-hand side
    found = ((spec.name, np.flatnonzero(names == spec.name)) for spec in specs)
    return [(name, rows, design.iloc[rows]) for name, rows in found if rows.size]


def caller_scope(depth: int, formula: Any) -> dict[str, Any]:
    """Names of a calling frame that a formula mentions, with their values.

    Parameters
    ----------
    depth : int
        0 for the function that calls `caller_scope`, 1 for that function's caller, and so on.
    formula : str, list of str or dict
        Any form that `build_system` takes.

    Returns
    -------
    dict
        Only the names that occur: the whole frame would keep the caller's data alive.

    Examples
    --------
    >>> from sm_alsgls.formula import caller_scope
    >>> shift, other = 3.0, 4.0
    >>> caller_scope(0, "y ~ I(x + shift)")
    {'shift': 3.0}
    """
    texts = list(formula.values()) if isinstance(formula, Mapping) else formula
    caller = sys._getframe(depth + 1)
    words = set(_WORD.findall(str(texts)))
    spaces = (caller.f_globals, caller.f_locals)  # in this order the local name wins
    return {word: space[word] for space in spaces for word in words if word in space}


# ---- what the caller passed -----------------------------------------------------------------


def _equations(formula: Any) -> list[tuple[str | None, str]]:
    """(name or None, formula) per equation."""
    pairs: list[tuple[str | None, Any]]
    if isinstance(formula, Mapping):
        pairs = [(str(name), text) for name, text in formula.items()]
    elif isinstance(formula, list | tuple):
        pairs = [(None, text) for text in formula]
    elif isinstance(formula, str) and _BRACED.fullmatch(formula):
        pairs = list(_braced(formula))
    else:
        pairs = [(None, formula)]
    if not pairs:
        raise exc.FormulaError("formula has no equations.")
    for name, text in pairs:
        what = f"The formula {text!r}" + ("" if name is None else f" of equation {name!r}")
        if not isinstance(text, str):
            raise exc.FormulaError(f"{what} must be a string, got {type(text).__name__}.")
        left, tilde, _ = text.partition("~")
        if not tilde or not left.strip():
            raise exc.FormulaError(f"{what} has no left side; write 'response ~ regressors'.")
    return [(name, re.sub(r"\s*\n\s*", " ", text.strip())) for name, text in pairs]


def _braced(formula: str) -> Iterator[tuple[str | None, str]]:
    depth, start, end = 0, 0, 0
    for match in _QUOTE_OR_BRACE.finditer(formula):
        if match[0] not in "{}":
            continue
        if depth == 0 and (match[0] == "}" or formula[end : match.start()].strip()):
            break
        if depth == 0:
            start = match.end()
        depth, end = depth + (1 if match[0] == "{" else -1), match.end()
        if depth == 0:
            chunk = formula[start : match.start()]
            label = _LABEL.fullmatch(chunk)
            yield (label[1], label[2]) if label else (None, chunk)
    if depth != 0 or formula[end:].strip():
        raise exc.FormulaError(
            "Braces do not pair up, or text stands outside of them, near "
            f"{formula[end:].strip()!r}; write '{{name: y1 ~ x1}} {{name: y2 ~ x2}}'."
        )


def _read(data: Any, text: str, scope: dict[str, Any], subset: Any = None) -> _Data:
    if not isinstance(data, pd.DataFrame | Mapping):
        raise exc.SystemInputError(f"data must be a pandas DataFrame, got {type(data).__name__}.")
    try:
        data = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
        positions = pd.Series(np.arange(len(data)), index=data.index)
        rows = np.atleast_1d(positions if subset is None else positions.loc[subset])
    except Exception as error:
        what = "data cannot be made a DataFrame" if subset is None else "data.loc[subset] fails"
        raise exc.SystemInputError(f"{what}: {error}") from error
    again = data.columns.duplicated()
    if twice := _mentioned(text, data.columns[again]):
        raise exc.FormulaError(f"The data have more than one column {twice[0]!r}; rename one.")
    numbered = pd.RangeIndex(rows.size)
    # Rows are taken from a shallow copy; columns are replaced in it, never written to.
    frame = data.loc[:, ~again].iloc[rows].set_axis(numbered).copy(deep=False)
    for name, dtype in frame.dtypes.items():
        # Engines know NumPy's types: pd.NA and string types become NaN, numbers and objects.
        gaps = frame[name].isna().to_numpy()
        if isinstance(dtype, pd.StringDtype) or (dtype == "boolean" and gaps.any()):
            frame[name] = frame[name].astype(object).mask(gaps, np.nan)
        elif pd.api.types.is_extension_array_dtype(dtype) and pd.api.types.is_numeric_dtype(dtype):
            plain = float if gaps.any() else getattr(dtype, "numpy_dtype", float)
            frame[name] = frame[name].to_numpy(plain, na_value=np.nan)
    # Series of the caller's that are indexed like the data follow the data's new row numbers.
    aligned = {
        name: value.iloc[rows].set_axis(numbered)
        for name, value in scope.items()
        if isinstance(value, pd.Series | pd.DataFrame) and value.index.equals(data.index)
    }
    return _Data(frame, data.index[rows], scope | aligned)


def _key(data: _Data, name: str, argument: str) -> pd.Series:
    if name not in data.frame:
        near = _candidates(name, data.frame)
        raise exc.FormulaError(f"{argument}={name!r} is not a column of the data{near}.")
    gaps = data.frame[name].isna().to_numpy()
    if gaps.any():
        raise exc.NonFiniteError(
            f"{argument}={name!r} has {gaps.sum()} missing values, first rows "
            f"{_listed(data.labels[gaps])}; every row of a long panel needs one."
        )
    return data.frame[name]


# ---- the engines ----------------------------------------------------------------------------


def _evaluate(name: str | None, text: str, data: _Data, missing: str) -> _Part:
    label = text.partition("~")[0].strip() if name is None else name
    manager = FormulaManager()

    def matrices(frame: pd.DataFrame, **how: Any) -> Any:
        action = manager.get_na_action("drop", **how)
        return manager.get_matrices(text, frame, eval_env=data.scope, na_action=action)

    try:
        lhs, rhs = matrices(data.frame)
    except Exception as error:
        raise _engine_error(label, text, error, data.frame, matrices) from error
    left = manager.get_model_spec(lhs)
    if manager.engine == "patsy":
        categorical = any(info.type == "categorical" for info in left.factor_infos.values())
    else:
        categorical = bool(left.factor_contrasts)
    if categorical or not lhs.shape[1]:
        what = "not numeric; convert the response" if categorical else "empty"
        raise exc.FormulaError(f"Equation {label!r}: the left side of {text!r} is {what}.")
    complete = np.isin(np.arange(len(data.frame)), rhs.index)
    if missing != "drop" and not complete.all():
        gaps = data.frame.loc[~complete]
        named = [c for c in _mentioned(text, gaps) if gaps[c].isna().any()]
        raise exc.NonFiniteError(
            f"Equation {label!r}: {len(gaps)} rows have missing values in "
            f"{_listed(named) or f'what {text!r} computes from complete columns'}, first rows "
            f"{_listed(data.labels[~complete])}; fill them, or use missing='drop'."
        )
    return _Part(_floats(lhs), _floats(rhs), complete, text, manager.spec, manager.engine)


def _redesign(spec: EquationSpec, data: _Data) -> pd.DataFrame:
    def matrices(frame: pd.DataFrame) -> Any:
        if spec.engine == "formulaic":
            # Not through FormulaManager: it cannot read a ModelSpec unless options.ordering is
            # "legacy". A level that is not known must be an error: it would become a row of zeros.
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message="Data has categories outside")
                warnings.filterwarnings("error", message="Constructing a Categorical")
                return spec.rhs.get_model_matrix(frame, context=data.scope, na_action="drop")
        manager = FormulaManager("patsy")
        action = manager.get_na_action("drop")
        return manager.get_matrices(spec.rhs, frame, eval_env=data.scope, na_action=action)

    frame = data.frame
    try:
        try:
            made = matrices(frame)
        except Exception as error:
            # Both engines dislike a Categorical that declares other levels, even if its values are
            # known ones: try again with the values alone.
            if not re.search("levels|categor", str(error), re.IGNORECASE):
                raise
            declared = frame.select_dtypes("category").columns
            made = matrices(frame.astype(dict.fromkeys(declared, object)))
    except Exception as error:
        if re.search("expected levels|outside of the nominated levels", str(error)):
            raise exc.UnseenLevelError(
                f"Equation {spec.name!r}: levels that the model's own data do not have: "
                f"{'; '.join(_unseen(spec, frame)) or _first_line(error)}."
            ) from error
        raise _engine_error(spec.name, spec.formula, error, frame, matrices) from error
    return _floats(made).reindex(frame.index).set_axis(data.labels)


def _floats(matrix: Any) -> pd.DataFrame:
    # A plain frame: formulaic's is a proxy with integer columns, patsy's carries its DesignInfo.
    columns = [str(column) for column in matrix.columns]
    return pd.DataFrame(np.array(matrix, dtype=float), index=matrix.index, columns=columns)


# ---- the long panel -------------------------------------------------------------------------


def _panel(part: _Part, data: _Data, groups: str, time: str | None) -> FormulaSystem:
    g, values = pd.factorize(_key(data, groups, "groups"))
    names = [str(value) for value in values]
    if len(set(names)) < len(names):
        raise exc.FormulaError(f"groups={groups!r} has two values that print alike: {names}.")
    if time is None:
        # Counted before rows are dropped: dropping first would match rows that do not belong.
        t = pd.Series(g).groupby(g).cumcount().to_numpy()
        times = pd.RangeIndex(t.max() + 1)
    else:
        t, values = pd.factorize(_key(data, time, "time"), sort=True)
        times = pd.Index(values, name=time)
    again = pd.DataFrame({"g": g, "t": t}).duplicated().to_numpy()
    if again.any():
        raise exc.UnbalancedPanelError(
            f"{again.sum()} rows repeat a (group, time) cell, first {groups}={names[g[again][0]]!r}"
            f", {time}={times[t[again][0]]}; keep one row per cell."
        )
    at = np.full((len(names), len(times)), -1)  # the row of the data that fills a cell
    at[g, t] = np.arange(g.size)
    full = (at >= 0) & part.complete[at]
    kept = np.flatnonzero(full.any(axis=0))
    index, at, full = times[kept], at[:, kept], full[:, kept]
    if not full.all():
        absent = (at < 0).sum(axis=1)
        gaps = (~full).sum(axis=1) - absent
        each = [
            f"{name} ({a} absent, {m} with missing values)"
            for name, a, m in zip(names, absent, gaps, strict=True)
            if a + m
        ]
        raise exc.UnbalancedPanelError(
            f"The panel is not balanced: of {len(names)} groups x {kept.size} periods, "
            f"{absent.sum()} cells are absent and {gaps.sum()} have missing values: "
            f"{_listed(each)}. {full.all(axis=0).sum()} periods are complete in all groups and "
            f"{full.all(axis=1).sum()} groups in all periods: restrict the data to either with "
            f"subset=, e.g. subset=data[{time or groups!r}].isin([...])."
        )
    y = part.lhs.iloc[:, 0]
    endog = {name: y.loc[rows].to_numpy() for name, rows in zip(names, at, strict=True)}
    exog = tuple(part.rhs.loc[rows].set_axis(index) for rows in at)
    specs = tuple(part.spec(name) for name in names)
    n_dropped = len(times) - kept.size
    return FormulaSystem(pd.DataFrame(endog, index), exog, specs, n_dropped, groups, time)


# ---- the messages ---------------------------------------------------------------------------


def _listed(items: Iterable[Any]) -> str:
    texts = [str(item) for item in items]
    return ", ".join(texts[:8]) + (f" and {len(texts) - 8} more" if len(texts) > 8 else "")


def _mentioned(text: str, columns: Iterable[Any]) -> list[str]:
    words = set(_WORD.findall(text))
    names = (name for name in columns if isinstance(name, str))
    return [name for name in names if (name in words if name.isidentifier() else name in text)]


def _candidates(name: Any, frame: pd.DataFrame) -> str:
    columns = {str(column).lower(): repr(column) for column in reversed(frame.columns)}
    close = difflib.get_close_matches(str(name).lower(), columns, n=5)
    if close:
        return f" (did you mean {' or '.join(columns[key] for key in close)}?)"
    return f" (the data have {_listed(map(repr, frame.columns))})"


def _first_line(error: BaseException) -> str:
    # formulaic colours its messages with terminal escapes.
    return re.sub(r"\x1b\[[\d;]*m|[⧛⧚]", "", str(error)).strip().partition("\n")[0]


def _unknown_name(error: BaseException | None, columns: pd.Index) -> str | None:
    while error is not None:
        if isinstance(error, NameError):
            match = _UNKNOWN.search(str(error))
            return (match["q"] or match["f"]) if match else error.name
        if isinstance(error, KeyError) and error.args and error.args[0] not in columns:
            return str(error.args[0])  # formulaic's Q()
        error = error.__cause__ or error.__context__
    return None


def _engine_error(
    label: str, text: str, error: Exception, frame: pd.DataFrame, matrices: Callable[..., Any]
) -> exc.FormulaError:
    """Name every unknown variable or, if there is none, repeat what the engine said."""
    unknown: list[str] = []
    trial = frame.copy(deep=False)
    name = _unknown_name(error, frame.columns)
    while name is not None and name not in unknown:
        # Engines stop at the first unknown name; a column of NaN in its place shows the next.
        unknown.append(name)
        trial[name] = np.nan
        name = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                matrices(trial)
        except Exception as next_error:
            name = _unknown_name(next_error, trial.columns)
    if not unknown:
        return exc.FormulaError(f"Equation {label!r}: {text!r} fails: {_first_line(error)}")
    what = ", ".join(f"{name!r}{_candidates(name, frame)}" for name in sorted(unknown))
    return exc.FormulaError(f"Equation {label!r}: {text!r} uses unknown variables: {what}.")


def _unseen(spec: EquationSpec, frame: pd.DataFrame) -> Iterator[str]:
    if spec.engine == "patsy":
        levels = {f.name(): info.categories for f, info in spec.rhs.factor_infos.items()}
    else:
        levels = {str(f): s.get("categories") for f, (_, s) in spec.rhs.encoder_state.items()}
    for code, known in levels.items():
        for column in _mentioned(code, frame) if known is not None else ():
            new = [value for value in frame[column].dropna().unique() if value not in known]
            if new:
                yield f"{column!r} {_listed(map(repr, new))} (known: {_listed(map(repr, known))})"
