"""Formulas as text: the forms a system may be given in, and the words in them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sm_alsgls import exceptions as exc
from sm_alsgls.border.labels import spell

_WORD = re.compile(r"[^\W\d]\w*")
_BRACED = re.compile(r"\s*\{.*\}\s*", re.DOTALL)
_QUOTE_OR_BRACE = re.compile(r"\"[^\"]*\"|'[^']*'|[{}]")
_LABEL = re.compile(r"\s*([^~:()\[\]\"'`]+?)\s*:(.*~.*)", re.DOTALL)


def is_one(formula: Any) -> bool:
    """Whether this is a single formula, 'y ~ x', and not a dict, a list or braces."""
    return isinstance(formula, str) and not _BRACED.fullmatch(formula)


def read_equations(formula: Any, brackets: bool = False) -> list[tuple[str | None, str]]:
    """(name or None, formula) per equation; ``brackets`` of instruments are refused, or let be."""
    pairs: list[tuple[str | None, Any]]
    if isinstance(formula, Mapping):
        pairs = [(spell(name), text) for name, text in formula.items()]
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
        _refuse_foreign(what, text, brackets)
    return [(name, re.sub(r"\s*\n\s*", " ", text.strip())) for name, text in pairs]


def _refuse_foreign(what: str, text: str, brackets: bool) -> None:
    """Parts of formulas of other packages."""
    # Only what stands outside of quotes and brackets; inside | and ~ are Python's.
    outside = re.sub(r"\"[^\"]*\"|'[^']*'|`[^`]*`", "", text)
    if not brackets and re.search(r"\[[^\[\]]*~[^\[\]]*\]", outside):
        raise exc.FormulaError(
            f"{what} has instruments, [x ~ z], which LowRankSUR does not know: take LowRank3SLS, "
            "which does."
        )
    while (inner := re.sub(r"[(\[{][^()\[\]{}]*[)\]}]", "", outside)) != outside:
        outside = inner
    if "|" in outside:
        raise exc.FormulaError(
            f"{what} has a part after '|', where other packages name fixed effects or "
            "instruments: write C(x) for dummies of x. With groups= every group has an intercept "
            "of its own, which is its fixed effect."
        )


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


def words(text: str) -> set[str]:
    """Everything in the text that may be a name."""
    return set(_WORD.findall(text))


def mentioned(text: str, columns: Iterable[Any]) -> list[str]:
    """Those of the columns that the text mentions."""
    found = words(text)
    names = (name for name in columns if isinstance(name, str))
    return [name for name in names if (name in found if name.isidentifier() else name in text)]


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
    >>> from sm_alsgls.formula.text import caller_scope
    >>> shift, other = 3.0, 4.0
    >>> caller_scope(0, "y ~ I(x + shift)")
    {'shift': 3.0}
    """
    texts = list(formula.values()) if isinstance(formula, Mapping) else formula
    caller = sys._getframe(depth + 1)
    names = words(str(texts))
    spaces = (caller.f_globals, caller.f_locals)  # in this order the local name wins
    return {word: space[word] for space in spaces for word in names if word in space}
