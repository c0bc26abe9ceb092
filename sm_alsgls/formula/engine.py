"""One formula at a time through patsy or formulaic, and again on new data.

The engine is reached through statsmodels' ``FormulaManager``, but for one call that it cannot make.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from statsmodels.formula._manager import FormulaManager

from sm_alsgls import exceptions as exc
from sm_alsgls.border.labels import shown
from sm_alsgls.border.names import listed
from sm_alsgls.formula.errors import FAILURES, engine_error, first_line
from sm_alsgls.formula.lags import Rows, within
from sm_alsgls.formula.text import mentioned


@dataclass(frozen=True)
class EquationSpec:
    """What one equation's design was made from, enough to make it again from new data."""

    name: str  #: equation label
    formula: str  #: as given
    rhs: Any  #: the engine's right-hand side: a patsy DesignInfo or a formulaic ModelSpec
    engine: str  #: "patsy" or "formulaic"
    columns: tuple[str, ...]  #: names of the design's columns
    lhs: Any = None  #: the engine's left-hand side, as `rhs`
    key: Any = None  #: `panel.RowKey` of a long panel whose formula has lags

    def __deepcopy__(self, memo: dict[int, Any]) -> EquationSpec:
        return self  # what engines memorised is never changed, and patsy's cannot be copied


class Data(NamedTuple):
    """What the caller passed, as the engines want it."""

    frame: pd.DataFrame  # rows numbered 0..n-1: labels may repeat, and engines drop rows
    labels: pd.Index
    scope: dict[str, Any]
    rows: np.ndarray  # positions in the caller's data
    panel: Rows | None = None  # groups and times of the rows, where formulas have lags


class Part(NamedTuple):
    """What one formula makes of the data: its complete rows or, cell by cell, all of them."""

    lhs: pd.DataFrame  # the index holds the rows' positions
    rhs: pd.DataFrame
    complete: np.ndarray  # (n,) bool
    text: str
    rhs_spec: Any
    lhs_spec: Any
    engine: str
    lhs_specs: dict[str, Any] | None = None  # of each response, cell by cell

    def spec(self, name: str, column: str, key: Any = None) -> EquationSpec:
        """Describe the equation ``name`` of this formula, whose response is ``column``."""
        columns = tuple(self.rhs.columns)
        left = self.lhs_spec if self.lhs_specs is None else self.lhs_specs[column]
        return EquationSpec(name, self.text, self.rhs_spec, self.engine, columns, left, key)


def factors(text: str) -> list[str]:
    """The Python expressions that a formula is made of, each once; none where it cannot be read."""
    manager = FormulaManager()
    try:
        desc = manager.get_spec(text)
        if manager.engine == "patsy":
            terms = [*desc.lhs_termlist, *desc.rhs_termlist]
            found = [factor.name() for term in terms for factor in term.factors]
        else:
            terms = [*getattr(desc, "lhs", ()), *getattr(desc, "rhs", desc)]
            found = [str(factor) for term in terms for factor in term.factors]
    except FAILURES:
        return []  # the engine says what is wrong when it evaluates the formula
    return list(dict.fromkeys(found))


def evaluate(name: str | None, text: str, data: Data, missing: str) -> Part:
    """Evaluate the formula of equation ``name`` on all rows, and keep the complete ones.

    Raises FormulaError where the engine fails or a response is not numeric, NonFiniteError where
    something is missing and ``missing`` is not "drop".
    """
    label = text.partition("~")[0].strip() if name is None else name
    manager = FormulaManager()

    def matrices(frame: pd.DataFrame, **how: Any) -> Any:
        action = manager.get_na_action("drop", **how)
        with within(data.panel):
            return manager.get_matrices(text, frame, eval_env=data.scope, na_action=action)

    try:
        lhs, rhs = matrices(data.frame)
    except FAILURES as error:
        raise engine_error(label, text, error, data.frame, data.labels, matrices) from error
    left = manager.get_model_spec(lhs)
    _check_left(label, text, manager, left, lhs)
    complete = _complete(label, text, rhs, data, missing)
    return Part(_floats(lhs), _floats(rhs), complete, text, manager.spec, left, manager.engine)


def evaluate_right(label: str, text: str, data: Data, missing: str) -> Part:
    """As `evaluate`, of a formula without a left side, "~ x1 + x2"; ``label`` is its equation."""
    manager = FormulaManager()

    def matrix(frame: pd.DataFrame, **how: Any) -> Any:
        action = manager.get_na_action("drop", **how)
        with within(data.panel):
            return manager.get_matrices(text, frame, eval_env=data.scope, na_action=action)

    try:
        made = matrix(data.frame)
    except FAILURES as error:
        raise engine_error(label, text, error, data.frame, data.labels, matrix) from error
    complete = _complete(label, text, made, data, missing)
    spec = manager.get_model_spec(made)
    return Part(pd.DataFrame(), _floats(made), complete, text, spec, None, manager.engine)


def _complete(label: str, text: str, made: Any, data: Data, missing: str) -> np.ndarray:
    """Which rows a formula could make (n,); where it must be all, that it is so."""
    complete = np.isin(np.arange(len(data.frame)), made.index)
    if missing != "drop" and not complete.all():
        gaps = data.frame.loc[~complete]
        named = [c for c in mentioned(text, gaps) if gaps[c].isna().any()]
        raise exc.NonFiniteError(
            f"Equation {label!r}: {len(gaps)} rows have missing values in "
            f"{listed(named) or f'what {text!r} computes from complete columns'}, first rows "
            f"{listed(data.labels[~complete])}; fill them, or use missing='drop'."
        )
    return complete


def term_names(text: str) -> list[str]:
    """Terms of a formula without a left side, but the intercept; none where it cannot be read."""
    manager = FormulaManager()
    try:
        desc = manager.get_spec(text)
        terms = desc.rhs_termlist if manager.engine == "patsy" else list(desc)
    except FAILURES:
        return []  # as `factors`
    return [name for term in terms if (name := _term_name(term)) not in ("Intercept", "1")]


def columns_of(spec: EquationSpec, terms: list[str]) -> tuple[str, ...]:
    """The columns of an equation's design that belong to some of its terms."""
    slices = {_term_name(term): at for term, at in spec.rhs.term_slices.items()}
    found = (name for term in terms if term in slices for name in spec.columns[slices[term]])
    return tuple(found)


def _term_name(term: Any) -> str:
    return term.name() if hasattr(term, "name") else str(term)


def evaluate_cells(name: str | None, text: str, data: Data) -> Part:
    """As `evaluate`, but every row is kept, and each response and the regressors by themselves.

    A row of the regressors is NaN where one of them is missing, whatever the responses do.
    """
    label = text.partition("~")[0].strip() if name is None else name
    manager = FormulaManager()
    frame = data.frame

    def matrix(side: str) -> Any:
        def matrices(frame: pd.DataFrame, **how: Any) -> Any:
            action = manager.get_na_action("drop", **how)
            with within(data.panel):
                return manager.get_matrices(side, frame, eval_env=data.scope, na_action=action)

        try:
            return matrices(frame)
        except FAILURES as error:
            raise engine_error(label, side, error, frame, data.labels, matrices) from error

    try:
        desc = manager.get_spec(text)
        terms = desc.lhs_termlist if manager.engine == "patsy" else list(desc.lhs)
    except Exception:
        # Whatever the engine has to say of the formula, it says of the whole.
        return evaluate(name, text, data, "drop")
    lhs, lhs_specs = {}, {}
    for term in terms:
        side = f"0 + {term.name() if manager.engine == 'patsy' else term}"
        one = matrix(side)
        spec = manager.get_model_spec(one)
        _check_left(label, text, manager, spec, one)
        for column in one:
            lhs[str(column)] = pd.Series(one[column].to_numpy(), one.index).reindex(frame.index)
            lhs_specs[str(column)] = spec
    if not lhs:
        raise exc.FormulaError(f"Equation {label!r}: the left side of {text!r} is empty.")
    made = matrix("~" + text.partition("~")[2])
    rhs_spec = manager.get_model_spec(made)
    rhs = _floats(made).reindex(frame.index)
    left = pd.DataFrame(lhs).astype(float)
    complete = left.notna().any(axis=1).to_numpy() & frame.index.isin(made.index)
    only = next(iter(lhs_specs.values()))
    return Part(left, rhs, complete, text, rhs_spec, only, manager.engine, lhs_specs)


def _check_left(label: str, text: str, manager: Any, spec: Any, lhs: Any) -> None:
    if manager.engine == "patsy":
        categorical = any(info.type == "categorical" for info in spec.factor_infos.values())
    else:
        categorical = bool(spec.factor_contrasts)
    if categorical or not lhs.shape[1]:
        what = "not numeric; convert the response" if categorical else "empty"
        raise exc.FormulaError(f"Equation {label!r}: the left side of {text!r} is {what}.")


def redesign(spec: EquationSpec, data: Data) -> pd.DataFrame:
    """Make the design of a spec from new data; rows that miss something are NaN throughout."""

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
            with within(data.panel):
                made = matrices(frame)
        except FAILURES as error:
            # Both engines dislike a Categorical that declares other levels, even if its values are
            # known ones: try again with the values alone.
            if not re.search("levels|categor", str(error), re.IGNORECASE):
                raise
            declared = frame.select_dtypes("category").columns
            with within(data.panel):
                made = matrices(frame.astype(dict.fromkeys(declared, object)))
    except FAILURES as error:
        if re.search("expected levels|outside of the nominated levels", str(error)):
            raise exc.UnseenLevelError(
                f"Equation {spec.name!r}: levels that the model's own data do not have: "
                f"{'; '.join(_unseen(spec, frame)) or first_line(error)}."
            ) from error
        raise engine_error(spec.name, spec.formula, error, frame, data.labels, matrices) from error
    return _floats(made).reindex(frame.index).set_axis(data.labels)


def respond(spec: EquationSpec, data: Data) -> np.ndarray:
    """Make the response (n,) of a spec from new data, NaN where it misses something."""
    return redesign(replace(spec, rhs=_own_response(spec)), data).iloc[:, 0].to_numpy()


def _own_response(spec: EquationSpec) -> Any:
    """The left-hand side of this equation alone, so that other responses may be missing.

    Of "y1 + y2 ~ x", whose equations are named by their responses.
    """
    left = spec.lhs
    if len(left.column_names) == 1:
        return left
    slices = left.term_slices
    term = next(t for t, at in slices.items() if spec.name in left.column_names[at])
    return left.subset([term] if spec.engine == "patsy" else f"0 + {term}")


def levels_of(spec: EquationSpec) -> dict[str, Any]:
    """Of each categorical expression on the right-hand side, by its code, the levels it has."""
    if spec.engine == "patsy":
        levels = {f.name(): info.categories for f, info in spec.rhs.factor_infos.items()}
    else:
        levels = {str(f): s.get("categories") for f, (_, s) in spec.rhs.encoder_state.items()}
    return {code: known for code, known in levels.items() if known is not None}


def _unseen(spec: EquationSpec, frame: pd.DataFrame) -> Iterator[str]:
    for code, known in levels_of(spec).items():
        for column in mentioned(code, frame):
            new = [value for value in frame[column].dropna().unique() if value not in known]
            if new:
                yield f"{column!r} {listed(map(shown, new))} (known: {listed(map(shown, known))})"


def _floats(matrix: Any) -> pd.DataFrame:
    # A plain frame: formulaic's is a proxy with integer columns, patsy's carries its DesignInfo.
    columns = [str(column) for column in matrix.columns]
    return pd.DataFrame(np.array(matrix, dtype=float), index=matrix.index, columns=columns)
