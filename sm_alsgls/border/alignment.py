"""Two sides with labels: which position of one belongs to which of the other.

Labels decide where both sides have them; position is for what has none. Names that do not match
are an error that says which, and what may have been meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.dtypes import plain_index
from sm_alsgls.border.labels import shown, spell
from sm_alsgls.border.names import close, listed
from sm_alsgls.border.numbers import numbers
from sm_alsgls.exceptions import SystemInputError


def by_name(
    given: Iterable[Any],
    known: Sequence[str],
    what: str,
    error: type[SystemInputError],
    *,
    noun: str = "column",
    some: bool = False,
    others: bool = False,
) -> np.ndarray:
    """Where each of the names in ``known`` stands among the labels ``given``.

    Parameters
    ----------
    given : iterable of labels (m,)
    known : sequence of str (p,)
        Names as `spell` writes them.
    what : str
        What has the labels, for the message: the name of the argument.
    error : type
        Of the exception.
    noun : str
        What a label names.
    some, others : bool
        Whether ``given`` may leave out some of ``known``, or have others beside them.

    Returns
    -------
    ndarray of int (p,)
        -1 for a name that is left out.

    Examples
    --------
    >>> from sm_alsgls.border.alignment import by_name
    >>> from sm_alsgls.exceptions import ShapeError
    >>> by_name(["x", "const"], ["const", "x"], "exog", ShapeError)
    array([1, 0])
    >>> by_name(["X", "const"], ["const", "x"], "exog", ShapeError)
    Traceback (most recent call last):
    sm_alsgls.exceptions.ShapeError: exog lacks column 'x'; it has 'X' (did you mean 'x'?)
    """
    names = [spell(label, known) for label in given]
    where = {name: i for i, name in enumerate(names)}
    if len(where) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        if others is False or twice in known:
            raise error(f"{what} has two {noun}s named {twice!r}; names must be unique")
    lacking = [] if some else [name for name in known if name not in where]
    strange = [name for name in where if name not in set(known)]
    if lacking or (strange and not others):
        near = close(strange[0], lacking or known, "known are") if strange else ""
        if not lacking:
            raise error(f"{what}: there is no {noun} {listed(map(repr, strange))}{near}")
        said = f"{what} lacks {noun} {listed(map(repr, lacking))}"
        if strange:
            near = near if "did you mean" in near else ""
            said += f"; it has {listed(map(repr, strange))}{near}"
        raise error(said)
    return np.array([where.get(name, -1) for name in known], dtype=np.intp)


def by_coefficient(
    value: Any, names: Sequence[str], what: str, error: type[SystemInputError], rows: bool = False
) -> Any:
    """Numbers of coefficients in the order of ``names``, where they are labelled; else as given.

    Parameters
    ----------
    value : object
        A Series (P,) is a row; the columns of a DataFrame (m, P) are coefficients.
        Labels may leave out coefficients, whose numbers are then 0, unless ``rows``.
    names : sequence of str (P,)
    what, error
        As in `by_name`.
    rows : bool
        Whether the rows of a DataFrame are coefficients as well, as in a covariance (P, P).

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.border.alignment import by_coefficient
    >>> from sm_alsgls.exceptions import ShapeError
    >>> by_coefficient(pd.Series({"b": 2.0}), ["a", "b"], "R", ShapeError)
    array([0., 2.])
    """
    if not isinstance(value, (pd.Series, pd.DataFrame)):
        return value
    labels = value.index if isinstance(value, pd.Series) else value.columns
    values = numbers(value, what, error)
    if nameless(labels):
        return values
    at = by_name(labels, names, what, error, noun="coefficient", some=not rows)
    out = np.where(at >= 0, values[..., at], 0.0)
    if rows and isinstance(value, pd.DataFrame) and not nameless(value.index):
        out = out[by_name(value.index, names, f"{what} (rows)", error, noun="coefficient")]
    return out


def nameless(labels: pd.Index) -> bool:
    """Whether labels are the numbers 0, 1, ... that pandas writes where there are none."""
    return (
        isinstance(labels, pd.RangeIndex)
        and labels.start == 0
        and labels.step == 1
        and labels.name is None
    )


def same_labels(one: pd.Index, other: pd.Index) -> np.ndarray:
    """Which of two sequences of labels of one length are the same, whatever their dtypes; (n,).

    The same instant in two time zones is the same label, Arrow's text is that of objects, and a
    missing label is as good as another.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.border.alignment import same_labels
    >>> same_labels(pd.Index(["a", None]), pd.Index(["a", float("nan")], dtype=object))
    array([ True,  True])
    """
    if one is other or one.equals(other):
        return np.ones(len(one), dtype=bool)
    if one.nlevels != other.nlevels:
        return np.zeros(len(one), dtype=bool)
    if one.nlevels > 1:
        levels = range(one.nlevels)
        pairs = ((one.get_level_values(i), other.get_level_values(i)) for i in levels)
        return np.logical_and.reduce([same_labels(*pair) for pair in pairs])
    a, b = plain_index(one), plain_index(other)
    missing = a.isna() & b.isna()
    try:
        equal = np.asarray(a == b)
    except (TypeError, ValueError):  # times with and without a zone, periods of two frequencies
        equal = np.zeros(len(a), dtype=bool)
    return equal | missing


def equal_labels(one: pd.Index, other: pd.Index) -> bool:
    """Whether both sides have the same labels in the same order."""
    return len(one) == len(other) and bool(same_labels(one, other).all())


def check_rows(one: pd.Index, other: pd.Index, what: str, error: type[SystemInputError]) -> None:
    """The same labels in the same order, of two sides of one length.

    Raises
    ------
    error
        It names ``what``, and the first row that differs.
    """
    same = same_labels(one, other)
    if not same.all():
        i = int(np.argmin(same))
        a, b = shown(one[i]), shown(other[i])
        if a == b:
            a, b = (f"{text} of {labels.dtype}" for text, labels in ((a, one), (b, other)))
        raise error(
            f"row labels of {what} differ from the others', first at position {i} ({a} against "
            f"{b}); align them before, for example with reindex"
        )


def rows_by_label(
    given: pd.Index, rows: pd.Index, what: str, error: type[SystemInputError]
) -> np.ndarray | None:
    """Where each of the labels ``rows`` stands in ``given``; None where they are the same.

    Raises
    ------
    error
        A label is not there, or labels repeat and are not the same ones in the same order.
    """
    if equal_labels(given, rows):
        return None
    if not rows.is_unique or not given.is_unique:
        raise error(f"{what}: row labels repeat, so they cannot be aligned; pass a plain array")
    a, b = plain_index(given), plain_index(rows)
    try:
        at = a.get_indexer(b)
    except (TypeError, ValueError):
        at = np.full(len(b), -1)
    if (at < 0).any():
        lacking = rows[at < 0]
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        has = f"; it has {listed(map(shown, given[:3]))}, ..." if len(given) else ""
        raise error(f"{what} has no label for row {shown(lacking[0])}{more}{has}")
    return at
