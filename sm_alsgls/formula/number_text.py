"""Columns of numbers that are text: one "." or "1,234.5" in a file makes every value a level."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from sm_alsgls.border.labels import shown
from sm_alsgls.exceptions import NumberTextError
from sm_alsgls.formula.text import mentioned

_THOUSANDS = re.compile(r"\s*[-+]?\d{1,3}(,\d{3})+(\.\d*)?\s*")
_COMMA = re.compile(r"\s*[-+]?\d*,\d+([eE][-+]?\d+)?\s*")
_DRESSED = re.compile(r"\s*[-+(]?\s*[$€£¥]?\s*[\d,.' ]*\d[\d,.' ]*\)?\s*[%€$£¥]?\s*")


# Functions that take a column as it is.
_STANDING = re.compile(
    r"(?:(?:I|lag|lead|diff)\(\s*)*(?:Q\((['\"])(?P<quoted>.+?)\1\)|(?P<name>[^\W\d]\w*))\s*(?:[,)].*)?"
)


def standing(code: str) -> str | None:
    """The column that an expression of a formula uses as it stands, if it is one.

    >>> [standing(code) for code in ("x", "Q('a b')", "lag(x, 1)", "np.log(x)", "C(x)")]
    ['x', 'a b', 'x', None, None]
    """
    found = _STANDING.fullmatch(code)
    return found and (found["quoted"] or found["name"])


def refuse_number_text(names: Iterable[str], frame: pd.DataFrame, labels: pd.Index) -> None:
    """Refuse text in whose place numbers were meant.

    Parameters
    ----------
    names : iterable of str
        Columns that are used as they stand.
    frame : DataFrame (n rows)
        Text is of dtype object.
    labels : Index (n,)
        How rows are called in messages.

    Raises
    ------
    NumberTextError
        More than half of a column's values read as numbers, also with a decimal comma, signs of
        thousands or of a currency, and at least one does not read as a plain one.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.formula.number_text import refuse_number_text
    >>> data = pd.DataFrame({"grade": ["1", "2", "3"], "name": ["a1", "b2", "3"]})
    >>> refuse_number_text(["grade", "name"], data, data.index)  # a code, and names
    """
    for name in names:
        found = number_text(name, frame, labels)
        if found:
            raise NumberTextError(found)


def number_text(name: str, frame: pd.DataFrame, labels: pd.Index) -> str | None:
    """What is wrong with a column, if it is text where numbers were meant."""
    values = frame[name]
    if not pd.api.types.is_object_dtype(values.dtype):
        return None
    known = values.notna().to_numpy()
    plain = pd.to_numeric(values, errors="coerce").notna().to_numpy()
    odd = values[known & ~plain]
    if odd.empty or not odd.map(lambda value: isinstance(value, str)).all():
        return None
    dressed = odd.map(lambda value: bool(_DRESSED.fullmatch(value)))
    like = int(plain.sum()) + int(dressed.sum())
    if 2 * like <= known.sum():
        return None
    first = odd.iloc[0]
    row = shown(labels[int(odd.index[0])])
    more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
    quoted = name if name.isidentifier() else f"Q({name!r})"
    return (
        f"Column {name!r} is text, but {like} of its {known.sum()} values look like numbers; the "
        f"first that is not a plain one is {first!r} in row {row}{more}. {_hint(first, name)} "
        f"If the column is a code, write C({quoted})."
    )


def text_behind(text: str, frame: pd.DataFrame, labels: pd.Index) -> str | None:
    """What is wrong with the first such column that a formula mentions."""
    found = (number_text(name, frame, labels) for name in mentioned(text, frame.columns))
    return next(filter(None, found), None)


def _hint(value: str, name: str) -> str:
    if _THOUSANDS.fullmatch(value):
        return "A separator of thousands? pd.read_csv(..., thousands=',')."
    if _COMMA.fullmatch(value):
        return "A decimal comma? pd.read_csv(..., decimal=',')."
    if _DRESSED.fullmatch(value):
        return "Take the signs off, with data[...].str.replace()."
    return (
        f"A sign for what is missing? pd.read_csv(..., na_values=[{value!r}]), or "
        f"data[{name!r}] = pd.to_numeric(data[{name!r}], errors='coerce')."
    )
