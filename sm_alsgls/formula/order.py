"""Terms whose value in a row comes from its neighbours: refused in a long panel.

The rows of a long panel are stacked: a row's neighbour may be of another group, and in a shuffled
file it always is. What a term does is not known from its text, so it is evaluated on the rows in
another order as well; only calls that are not known to work row by row are.
"""

from __future__ import annotations

import ast
import random
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.formula._manager import FormulaManager

from sm_alsgls.border.names import listed
from sm_alsgls.exceptions import FormulaError
from sm_alsgls.formula.engine import Data, factors
from sm_alsgls.formula.errors import FAILURES
from sm_alsgls.formula.lags import called, within
from sm_alsgls.formula.text import mentioned

# Of both engines and of Python: row by row, or from moments of all rows together.
_KNOWN = (
    {"C", "I", "Q", "Treatment", "Sum", "Helmert", "Poly", "Diff", "contr", "hashed"}
    | {"center", "standardize", "scale", "bs", "cr", "cc", "cs", "te", "poly"}
    | {"log", "log10", "log2", "exp", "exp10", "exp2", "abs", "round", "pow", "float"}
)
_KNOWN_OF_NUMPY = {"where", "clip", "round", "around", "isin", "nan_to_num", "float64", "pi", "e"}
# A rounding of moments moves values by less than this share of the largest one.
_ROUNDING = 1e-7


def refuse_order(label: str, text: str, data: Data, groups: str, time: str | None) -> None:
    """Refuse terms of a long panel's formula that depend on the order of its rows.

    Costs nothing where every call of the formula is known, else two evaluations of each term that
    is not, on all rows (a sample would change the moments that ``center`` takes of them).

    Raises
    ------
    FormulaError
        The terms are named, with what to write instead.
    """
    unknown = [code for code in factors(text) if not _row_by_row(code, data.scope)]
    if not unknown or len(data.frame) < 2:
        return
    with _randomness_kept(data.scope):
        moved = [code for code in unknown if _moves(code, data)]
    if moved:
        column = next(iter(mentioned(moved[0], data.frame.columns)), "x")
        x = column if column.isidentifier() else f'Q("{column}")'
        ordered = f".sort_values({time!r})" if time else ""
        raise FormulaError(
            f"Equation {label!r}: {listed(moved)} of {text!r} takes its value in a row from other "
            "rows by their order, but those of a long panel are of several groups. Write "
            f"lag({x}, 1), lead({x}, 1) or diff({x}, 1), which go by groups= and "
            "time=, or make the column before: "
            f"data['new'] = data{ordered}.groupby({groups!r})[{column!r}].shift(1)"
        )


def _row_by_row(code: str, scope: Mapping[str, Any]) -> bool:
    """Whether an expression's value in a row surely comes from that row and moments of all."""
    ours = called(code, scope)
    try:
        tree = ast.parse(re.sub("`[^`]*`", "_", code.strip()), mode="eval")
    except SyntaxError:
        return "(" not in code
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if not _is_elementwise(node, scope):
                return False
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else None
            own = name in ours or (name in _KNOWN and name not in scope)
            if not own and not isinstance(node.func, ast.Attribute):
                return False
        elif isinstance(node, ast.Subscript | ast.Lambda | ast.comprehension | ast.NamedExpr):
            return False
    return True


def _is_elementwise(node: ast.Attribute, scope: Mapping[str, Any]) -> bool:
    """Whether this is ``np.log``, or another function of NumPy's that works row by row."""
    if not isinstance(node.value, ast.Name) or scope.get(node.value.id, np) is not np:
        return False
    if node.value.id not in scope and node.value.id != "np":
        return False
    return isinstance(getattr(np, node.attr, None), np.ufunc) or node.attr in _KNOWN_OF_NUMPY


def _moves(code: str, data: Data) -> bool:
    """Whether a term's value in a row changes with the order of the rows."""
    n = len(data.frame)
    order = np.random.default_rng(0).permutation(n)
    if (order == np.arange(n)).all():
        order = order[::-1]
    try:
        there = _evaluate(code, data)
    except FAILURES:
        return False  # not by itself: what the engine says of the whole formula is said elsewhere
    try:
        moved = _evaluate(code, _reordered(data, order))
    except FAILURES:
        return True
    if _same(there[order], moved):
        return False
    return _same(there, _evaluate(code, data))  # else it draws at random, in any order


def _evaluate(code: str, data: Data) -> np.ndarray:
    """Columns (n, m) of a term, NaN where it misses something."""
    manager = FormulaManager()
    frame = data.frame[mentioned(code, data.frame.columns)]
    action = manager.get_na_action("drop")
    with warnings.catch_warnings(), within(data.panel):
        warnings.simplefilter("ignore")
        made = manager.get_matrices(f"0 + {code}", frame, eval_env=data.scope, na_action=action)
    values = np.full((len(frame), made.shape[1]), np.nan)
    values[np.asarray(made.index)] = np.asarray(made, dtype=float)
    return values


def _reordered(data: Data, order: np.ndarray) -> Data:
    numbered = data.frame.index

    def follow(value: Any) -> Any:
        if isinstance(value, pd.Series | pd.DataFrame) and value.index.equals(numbered):
            return value.iloc[order].set_axis(numbered)
        if isinstance(value, np.ndarray) and value.shape[:1] == (len(order),):
            return value[order]  # the caller's, one for each row of the data
        return value

    return data._replace(
        frame=data.frame.iloc[order].set_axis(numbered),
        scope={name: follow(value) for name, value in data.scope.items()},
        panel=None if data.panel is None else data.panel.take(order),
    )


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape:
        return False
    with np.errstate(all="ignore"):
        size = np.nanmax(np.abs(np.where(np.isinf(a), np.nan, a)), initial=0.0, axis=0)
        close = (a == b) | (np.abs(a - b) <= _ROUNDING * size)
    return bool((close | (np.isnan(a) & np.isnan(b))).all())


@contextmanager
def _randomness_kept(scope: Mapping[str, Any]) -> Iterator[None]:
    """Leave generators as they were: a formula that draws is evaluated more often than it says."""
    # np.random.seed() is what such formulas use, so its state is the one to keep.
    before, plain = np.random.get_state(), random.getstate()  # noqa: NPY002
    own = [v for v in scope.values() if isinstance(v, np.random.Generator)]
    states = [generator.bit_generator.state for generator in own]
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
        random.setstate(plain)
        for generator, state in zip(own, states, strict=True):
            generator.bit_generator.state = state
