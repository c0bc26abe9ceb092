"""How to say which names there are, and which of them may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from sm_alsgls.border.labels import shown


def listed(items: Iterable[Any]) -> str:
    """Name the first eight, and how many more there are."""
    texts = [str(item) for item in items]
    return ", ".join(texts[:8]) + (f" and {len(texts) - 8} more" if len(texts) > 8 else "")


def candidates(name: Any, frame: pd.DataFrame) -> str:
    """Columns that may have been meant by a name that is none."""
    return close(name, frame.columns, "the data have")


def close(name: Any, known: Sequence[Any], what: str = "there are") -> str:
    """Those of the known names that may have been meant by one that is none, else all.

    What equations share is called as its variable: of ``equation_variable`` that is the end.
    """
    ends = [label for label in known if str(label) and str(name).endswith(f"_{label}")]
    if ends:
        return f" (did you mean {shown(max(ends, key=lambda label: len(str(label))))}?)"
    texts = {str(label).lower(): shown(label) for label in reversed(known)}
    near = difflib.get_close_matches(str(name).lower(), texts, n=5)
    if near:
        return f" (did you mean {' or '.join(texts[key] for key in near)}?)"
    return f" ({what} {listed(map(shown, known))})"


def is_number(name: str) -> bool:
    """Whether a name reads as a number, so that text that holds it may mean either.

    Examples
    --------
    >>> from sm_alsgls.border.names import is_number
    >>> [is_number(name) for name in ("1", "-1e3", "nan", "x1")]
    [True, True, True, False]
    """
    try:
        float(name)
    except ValueError:
        return False
    return True


def ticked(name: str) -> str:
    """A coefficient's name as text takes it: in backticks where it reads as a number.

    Examples
    --------
    >>> from sm_alsgls.border.names import ticked
    >>> ticked("1"), ticked("x1")
    ('`1`', 'x1')
    """
    return f"`{name}`" if is_number(name) else name
