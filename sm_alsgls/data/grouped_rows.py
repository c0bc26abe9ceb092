"""Arrays, frames and labels become `Grouped` rows: read, aligned, checked, sorted.

1. *Read.* The response, regressors, labels of groups, times, levels and weights, aligned by their
   labels where they have some.
2. *Drop.* What misses anything is dropped and counted (``missing="drop"``), or refused by its
   label; so is a weight of zero dropped.
3. *Check.* Finite numbers whose squares are floats, two groups, more rows than regressors,
   regressors that are independent and do not fit the response exactly.
4. *Sort*, stably, by group and by time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice
from sm_alsgls.border.frames import to_pandas
from sm_alsgls.border.held import read_only
from sm_alsgls.border.labels import shown
from sm_alsgls.border.names import listed
from sm_alsgls.border.numbers import depth, numbers
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.data.grouped import Grouped, Levels, Names
from sm_alsgls.data.grouped_checks import (
    check_finite,
    check_groups,
    check_labels,
    check_regressors,
    check_response,
)
from sm_alsgls.data.read import read_designs, read_system
from sm_alsgls.data.weights import check_weights
from sm_alsgls.exceptions import (
    FormulaError,
    InsufficientRowsError,
    NonFiniteError,
    OptionError,
    ShapeError,
    UnbalancedPanelError,
)
from sm_alsgls.formula.panel import by_value
from sm_alsgls.formula.time_axis import Axis

Array = np.ndarray

#: What ``missing=`` may say.
MISSING = ("none", "drop", "raise")
#: What a random intercept is called where none was asked for, as in statsmodels' MixedLM.
INTERCEPT = "Group"


@dataclass(frozen=True, eq=False)
class Read:
    """Rows as they were read, in the caller's order; anything may be missing.

    Attributes
    ----------
    names : Names
    y : ndarray (n,)
    X : ndarray (n, p)
    Z : ndarray (n, q)
    groups : Series (n,)
        Labels of any type.
    source : Provenance
    time, levels : Series (n,), optional
        Labels of any type; of ``levels`` codes, -1 where missing, where ``level_names`` are given.
    weights : ndarray (n,), optional
    level_names : list of str, optional
    n_dropped : int
        Rows that formulas dropped before.
    """

    names: Names
    y: Array
    X: Array
    Z: Array
    groups: pd.Series
    source: Provenance
    time: pd.Series | None = None
    levels: pd.Series | None = None
    weights: Array | None = None
    level_names: list[str] | None = None
    n_dropped: int = 0


def read_groups(
    endog: Any,
    exog: Any,
    groups: Any,
    exog_re: Any = None,
    *,
    time: Any = None,
    levels: Any = None,
    weights: Any = None,
    ordered: bool = False,
    missing: str = "none",
) -> Grouped:
    """The checked rows of what a user hands in.

    Parameters
    ----------
    endog : array_like (n,), Series or DataFrame of one column
    exog : array_like (n, p), Series or DataFrame
    groups : array_like (n,) or Series
        A label for each row.
    exog_re : array_like (n, q), Series or DataFrame, optional
        Default: a constant, called Group.
    time, levels : array_like (n,) or Series, optional
    weights : array_like (n,) or Series, optional
    ordered : bool
        Whether times are needed as steps, one row each within a group, and not for sorting alone;
        without ``time`` rows of a group are then taken as equally spaced in their order.
    missing : {"none", "drop", "raise"}

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, RankDeficientError,
    UnbalancedPanelError, OptionError
    """
    missing = choice(missing, "missing", MISSING)
    made = read_arrays(endog, exog, groups, exog_re, time=time, levels=levels, weights=weights)
    return grouped(made, ordered=ordered, missing=missing)


def read_arrays(
    endog: Any,
    exog: Any,
    groups: Any,
    exog_re: Any = None,
    *,
    time: Any = None,
    levels: Any = None,
    weights: Any = None,
) -> Read:
    """Rows of arrays, aligned by their labels; see `read_groups`."""
    if groups is None:
        raise ShapeError("groups is missing: give a label for each row, which says whose it is")
    system = read_system(endog, exog, drop=False)
    if len(system.names) != 1:
        raise ShapeError(
            f"endog has {len(system.names)} columns ({listed(map(repr, system.names))}) where a "
            "mixed model has one response; stack several below each other, with the name of each "
            "in residual=, or take LowRankSUR"
        )
    n, source = system.nobs, system.provenance
    if exog_re is None:
        Z, columns_re, named_re = np.ones((n, 1)), [INTERCEPT], True
    else:
        index = source.index if source.labelled else None
        made = read_designs(
            to_pandas(exog_re, "exog_re"), "exog_re", system.names, n, index, "x_re"
        )
        Z, columns_re, named_re = made.blocks[0], made.columns[0], made.named[0]
        if not source.labelled and made.labelled:
            source = replace(source, index=made.index, labelled=True)
    if not source.labelled:
        # The first that has row labels gives them to the others.
        each = (to_pandas(v, "groups") for v in (groups, time, levels, weights) if v is not None)
        sides = [v.index for v in each if isinstance(v, pd.Series | pd.DataFrame) and len(v) == n]
        source = replace(source, index=sides[0], labelled=True) if sides else source
    label = per_row(groups, "groups", source)
    called = "groups" if label.name is None else str(label.name)
    times = None if time is None else per_row(time, "time", source)
    names = Names(
        system.names[0],
        system.columns[0],
        columns_re,
        called,
        "time" if times is None or times.name is None else str(times.name),
        (system.named[0], named_re),
    )
    return Read(
        names,
        system.Y[:, 0],
        system.blocks[0],
        Z,
        label,
        source,
        times,
        None if levels is None else per_row(levels, "residual", source),
        None if weights is None else weights_of(weights, source),
    )


def per_row(value: Any, argument: str, source: Provenance) -> pd.Series:
    """One label for each row, missing ones as None or NaN.

    Raises
    ------
    ShapeError, OptionError
    """
    value = to_pandas(value, argument)
    found = source.per_cell(value, argument)
    if len(found) != 1:
        raise OptionError(
            f"{argument} is one variable, got {len(found)}"
            + (CROSSED if argument == "groups" else "")
        )
    name = value.name if isinstance(value, pd.Series) else None
    if isinstance(value, str):
        name = value
    if isinstance(value, pd.DataFrame):
        name = value.columns[0]
    return pd.Series(found[0], name=name)


#: What to say of more than one variable of groups.
CROSSED = (
    ": crossed or nested random effects are not what this model has, whose groups are independent "
    "(lme4 and statsmodels' vc_formula have them). If one lies within the other, take the outer "
    "one as groups and dummies of the inner one among the random effects, re_formula='~ C(inner)'"
)


def weights_of(weights: Any, source: Provenance) -> Array:
    """Weights of the rows (n,).

    Raises
    ------
    OptionError, ShapeError
    """
    weights = to_pandas(weights, "weights")
    if depth(weights) == 0 and not isinstance(weights, str):
        raise OptionError(f"weights must be a column of the data or a vector, got {weights!r}")
    return numbers(per_row(weights, "weights", source), "weights", OptionError)


def complete_rows(read: Read, missing: str) -> Array:
    """Positions of the rows that miss nothing and have a weight above zero.

    Raises
    ------
    NonFiniteError
        Something is missing, and ``missing`` is not "drop".
    OptionError
        A weight is negative.
    """
    index = read.source.index
    keep = np.ones(len(read.y), dtype=bool)
    for what, gaps in _gaps(read):
        if missing != "drop" and gaps.any():
            raise NonFiniteError(
                f"{what} is missing in {int(gaps.sum())} rows, the first is "
                f"{shown(index[int(np.argmax(gaps))])}; drop or fill such rows, or pass "
                "missing='drop'"
            )
        keep &= ~gaps
    if read.weights is not None:
        check_weights(read.weights, keep[:, None], [read.names.response], index)
        keep &= read.weights > 0.0
    return np.flatnonzero(keep)


def grouped(read: Read, *, ordered: bool = False, missing: str = "none") -> Grouped:
    """Rows without what is missing, checked and sorted; see the module.

    Raises
    ------
    NonFiniteError, InsufficientRowsError, DegenerateResponseError, RankDeficientError,
    UnbalancedPanelError
    """
    n, names = len(read.y), read.names
    if n == 0:
        raise ShapeError("the model is empty: 0 rows")
    kept = complete_rows(read, missing)
    if not len(kept):
        worst = max(_gaps(read), key=lambda pair: int(pair[1].sum()))
        why = "every one has weight 0"
        if worst[1].any():
            why = (
                f"every one misses something or has weight 0; {worst[0]} is missing in "
                f"{int(worst[1].sum())} rows"
            )
        raise InsufficientRowsError(f"no row is left of {n}: {why}")
    y, X, Z = read.y[kept], read.X[kept], read.Z[kept]
    source = read.source if len(kept) == n else read.source.kept(kept)
    check_finite(names, y, X, Z, source.index)
    codes, labels = coded(read.groups.iloc[kept].reset_index(drop=True), "groups", names.group)
    check_groups(names, len(labels), len(kept))
    levels = None if read.levels is None else levels_of(read, kept)
    times = _times(read, kept, codes, labels, ordered)
    order = np.lexsort((np.arange(len(kept)), codes) if times is None else (times, codes))
    y, X, Z, codes = y[order], X[order], Z[order], codes[order]
    weights = None
    if read.weights is not None:
        weights = read.weights[kept][order]
        weights = None if (weights == weights[0]).all() else weights / weights.mean()
    check_response(names, y)
    check_regressors(names, y, X)
    return Grouped(
        names,
        pd.Index(labels, name=names.group),
        read_only(y),
        read_only(X),
        read_only(Z),
        read_only(codes),
        read_only(order),
        source.index,
        weights,
        None if times is None else times[order],
        None if levels is None else Levels(levels.codes[order], levels.names),
        read.n_dropped + n - len(kept),
        source=source,
    )


def _gaps(read: Read) -> list[tuple[str, Array]]:
    """Variables and the rows (n,) that miss them."""
    names = read.names
    out = [(f"endog ({names.response!r})", np.isnan(read.y))]
    for argument, M, columns in (
        ("exog", read.X, names.columns),
        ("exog_re", read.Z, names.columns_re),
    ):
        missing = np.isnan(M)
        which = np.flatnonzero(missing.any(axis=0))
        out += [(f"{argument}: column {columns[j]!r}", missing[:, j]) for j in which]
    out.append((f"the label of groups ({names.group!r})", read.groups.isna().to_numpy()))
    if read.time is not None:
        out.append((f"time ({names.time!r})", read.time.isna().to_numpy()))
    if read.levels is not None:
        gaps = read.levels == -1 if read.level_names is not None else read.levels.isna()
        out.append(("the level of residual=", gaps.to_numpy()))
    if read.weights is not None:
        out.append(("weights", np.isnan(read.weights)))
    return out


def coded(column: pd.Series, argument: str, name: str = "") -> tuple[Array, Any]:
    """Codes and labels of rows, see `by_value`.

    Raises
    ------
    ShapeError
        Labels that cannot be compared, or 1 beside "1".
    """
    called = f"{argument} ({name!r})" if name else argument
    try:
        codes, labels = by_value(column)
    except TypeError as error:
        raise ShapeError(f"{called}: labels are numbers, text, dates or tuples ({error})") from None
    check_labels(labels, f"{called}: labels")
    return codes, labels


def levels_of(read: Read, kept: Array) -> Levels:
    """Levels of the residual variance that have rows."""
    column = read.levels.iloc[kept].reset_index(drop=True)  # type: ignore[union-attr]
    if read.level_names is None:
        codes, found = coded(column, "residual")
        return Levels(codes, [str(label) for label in found])
    used, codes = np.unique(column.to_numpy(dtype=int), return_inverse=True)
    return Levels(codes, [read.level_names[i] for i in used])


def _times(read: Read, kept: Array, codes: Array, labels: Any, ordered: bool) -> Array | None:
    """Times of the rows: steps where the law of the errors needs them, else ranks."""
    if read.time is None:
        return pd.Series(codes).groupby(codes).cumcount().to_numpy() if ordered else None
    column = read.time.iloc[kept].infer_objects().reset_index(drop=True)
    name = read.names.time
    if not ordered:
        try:
            return pd.factorize(column, sort=True)[0]
        except TypeError as error:
            raise ShapeError(f"time={name!r} has no order ({error})") from error
    steps = steps_of(column, name)
    again = pd.DataFrame({"g": codes, "t": steps}).duplicated().to_numpy()
    if again.any():
        i = int(np.argmax(again))
        raise UnbalancedPanelError(
            f"{again.sum()} rows repeat a time of their group, the first {read.names.group}="
            f"{shown(labels[codes[i]])}, {name}={shown(column.iloc[i])} in row "
            f"{shown(read.source.index[kept[i]])}; errors that follow time within groups need one "
            "row for each time"
        )
    return steps


def steps_of(column: pd.Series, name: str) -> Array:
    """Times as steps; numbers that have no regular step as they are.

    Raises
    ------
    FormulaError
    """
    try:
        return Axis.of(column, name).positions(column)
    except FormulaError:
        if not pd.api.types.is_numeric_dtype(column.dtype):
            raise
        return np.asarray(column, dtype=float)
