"""Formulas with instruments: "q ~ x1 + [p ~ z1 + z2]", or lists of instruments beside them.

In brackets stand, as in linearmodels, endogenous regressors and the instruments that are excluded
from the equation. Two formulas are read from it, and each is a formula as any other:

1. "q ~ x1 + p", the equation. Its regressors are those of this formula, in the order in which the
   engine has them: exogenous terms, then endogenous ones, where all are numbers. Predictions for
   new data need it alone.
2. "~ x1 + z1 + z2", all instruments. The constant is the equation's: an intercept in brackets,
   or its absence, says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from sm_alsgls.border.labels import spell
from sm_alsgls.exceptions import FormulaError, InstrumentError
from sm_alsgls.formula.build import build
from sm_alsgls.formula.engine import term_names
from sm_alsgls.formula.sides import Sides
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.formula.text import is_one, read_equations

_TOKEN = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|[()\[\]{}~+-]")


class Bracketed(NamedTuple):
    """What a formula says of instruments."""

    equation: str  # "q ~ x1 + p"
    instruments: str  # "~ x1 + z1 + z2"
    exogenous: str  # "~ x1"
    endogenous: str  # "~ p"; "" without brackets
    excluded: str  # "~ z1 + z2"


def build_instrumented(
    formula: Any,
    data: Any,
    *,
    instruments: Any = None,
    groups: str | None = None,
    time: str | None = None,
    subset: Any = None,
    missing: str = "drop",
    scope: dict[str, Any],
) -> FormulaSystem:
    """Evaluate the formulas of a system and its instruments.

    Parameters
    ----------
    formula : dict, list or str
        As in `sm_alsgls.formula.build.build_system`; with brackets, or with ``instruments``.
    data, groups, time, subset, scope
        As there.
    instruments : str or mapping {equation: str}, optional
        Every instrument, "~ x1 + z1 + z2": one list for all equations, or one for each. The
        constant is there as this formula says.
    missing : {"drop", "raise", "none"}
        "drop" removes rows in which a response, a regressor or an instrument is missing.

    Returns
    -------
    FormulaSystem
        With ``instruments`` and, of brackets, ``endogenous``.

    Raises
    ------
    FormulaError, InstrumentError
        And what `build_system` raises.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.formula.instruments import build_instrumented
    >>> data = pd.DataFrame({"q": [1.0, 2], "p": [3.0, 1], "x": [1.0, 5], "z": [0.0, 1]})
    >>> system = build_instrumented({"food": "q ~ x + [p ~ z]"}, data, scope={})
    >>> list(system.exog[0]), list(system.instruments[0]), system.endogenous
    (['Intercept', 'x', 'p'], ['Intercept', 'x', 'z'], (('p',),))
    """
    read = read_equations(formula, brackets=True)
    said = [split(text) for _, text in read]
    with_brackets = [one for one in said if one.endogenous]
    names = [text.partition("~")[0].strip() if name is None else name for name, text in read]
    if instruments is not None:
        if with_brackets:
            raise FormulaError(
                f"{with_brackets[0].equation!r} has its instruments in brackets, and instruments= "
                "gives others; give one of the two"
            )
        sides = _given(instruments, names[0], len(read))
    elif not with_brackets:
        raise InstrumentError(
            "no formula has instruments: write 'q ~ x + [p ~ z]' for endogenous p, or give all of "
            "them, instruments='~ x + z'; where no regressor is endogenous take LowRankSUR"
        )
    else:
        for name, one in zip(names, said, strict=True):
            _check_terms(name, one)
        texts = tuple(one.instruments for one in said)
        sides = Sides(
            of_formula=texts,
            endogenous=tuple(term_names(one.endogenous) if one.endogenous else [] for one in said),
            owners=dict(zip(reversed(texts), reversed(names), strict=True)),
        )
    return build(
        [(name, one.equation) for (name, _), one in zip(read, said, strict=True)],
        data,
        alone=is_one(formula),
        groups=groups,
        time=time,
        subset=subset,
        missing=missing,
        scope=scope,
        sides=sides,
    )


def _given(instruments: Any, first: str, n_formulas: int) -> Sides:
    """Lists of all instruments, as they are passed beside the formulas."""
    if not isinstance(instruments, Mapping):
        text = _right(instruments, "instruments")
        return Sides(of_formula=(text,) * n_formulas, owners={text: first})
    if not instruments:
        raise InstrumentError("instruments is an empty mapping; give {equation: '~ x + z'}")
    texts = {
        spell(name): _right(text, f"instruments of equation {spell(name)!r}")
        for name, text in instruments.items()
    }
    return Sides(of_equation=texts, owners={text: name for name, text in texts.items()})


def _right(text: Any, what: str) -> str:
    if not isinstance(text, str):
        raise FormulaError(
            f"{what} must be a formula, '~ x + z', or a mapping {{equation: formula}}, got a "
            f"{type(text).__name__}"
        )
    left, tilde, right = text.partition("~")
    if left.strip() or not tilde or not right.strip():
        raise FormulaError(f"{what}: {text!r} must be a formula without a left side, '~ x + z'")
    return "~ " + " ".join(right.split())


def _check_terms(name: str, one: Bracketed) -> None:
    """No endogenous variable among exogenous regressors or instruments of its own equation."""
    endogenous = term_names(one.endogenous) if one.endogenous else []
    for text, what, remedy in (
        (one.exogenous, "an exogenous regressor", "leave it out before the brackets"),
        (one.excluded, "an instrument", "take it out of the right side"),
    ):
        twice = [term for term in endogenous if term in term_names(text)]
        if twice:
            raise InstrumentError(
                f"equation {name!r}: {twice[0]!r} is endogenous in brackets, and {what} as well; "
                f"{remedy}"
            )


def split(text: str) -> Bracketed:
    """Equation and instruments of a formula that may have brackets.

    Raises
    ------
    FormulaError
        Brackets that cannot be read.

    Examples
    --------
    >>> from sm_alsgls.formula.instruments import split
    >>> one = split("q ~ x1 + [p ~ z1 + z2] - 1")
    >>> one.equation, one.instruments
    ('q ~ x1 - 1 + p', '~ x1 - 1 + z1 + z2')
    """
    left, _, right = text.partition("~")
    terms = _terms(right)
    found = [i for i, (_, term) in enumerate(terms) if _is_bracket(term)]
    others = [term for i, term in enumerate(terms) if i not in found]
    if any(_holds_bracket(term) for _, term in others) or any(terms[i][0] == "-" for i in found):
        raise FormulaError(
            f"{text!r}: brackets of instruments are a term by themselves, 'q ~ x + [p ~ z]'"
        )
    if not found:
        return Bracketed(text, f"~{right}", f"~{right}", "", "")
    if len(found) > 1:
        raise FormulaError(
            f"{text!r} has {len(found)} brackets; all endogenous regressors of an equation stand "
            "in one, with all of its instruments: [p1 + p2 ~ z1 + z2 + z3]"
        )
    inside = terms[found[0]][1][1:-1]
    endogenous, excluded = (_without_intercept(side) for side in _at_tilde(inside, text))
    if not endogenous or not excluded:
        raise FormulaError(
            f"{text!r}: brackets hold endogenous regressors and their instruments, [p ~ z]; "
            f"{'the left' if not endogenous else 'the right'} side is empty"
        )
    exogenous = _joined(others)
    return Bracketed(
        f"{left.strip()} ~ {_joined([*others, *endogenous])}",
        f"~ {_joined([*others, *excluded])}",
        f"~ {exogenous or '1'}",
        f"~ 0 + {_joined(endogenous)}",
        f"~ 0 + {_joined(excluded)}",
    )


def _marks(text: str) -> list[tuple[int, str, int]]:
    """Places, characters and depths of brackets, tildes and signs that are no part of a quote."""
    depth, out = 0, []
    for match in _TOKEN.finditer(text):
        if len(match[0]) > 1:
            continue
        if match[0] in ")]}":
            depth -= 1
        out.append((match.start(), match[0], depth))
        if match[0] in "([{":
            depth += 1
    return out


def _terms(side: str) -> list[tuple[str, str]]:
    """Sign and text of each term of a right-hand side."""
    signs = [(at, mark) for at, mark, depth in _marks(side) if depth == 0 and mark in "+-"]
    starts = [(-1, "+"), *signs]
    stops = [at for at, _ in signs] + [len(side)]
    pairs = zip(starts, stops, strict=True)
    terms = [(sign, side[at + 1 : stop].strip()) for (at, sign), stop in pairs]
    return [(sign, term) for sign, term in terms if term]


def _is_bracket(term: str) -> bool:
    if not (term.startswith("[") and term.endswith("]")):
        return False
    marks = _marks(term)
    closed = [at for at, mark, depth in marks if mark == "]" and depth == 0]
    return closed == [len(term) - 1] and any(m == "~" and depth == 1 for _, m, depth in marks)


def _holds_bracket(term: str) -> bool:
    """Whether brackets of instruments stand within a term; x[~mask] is Python's."""
    quoteless = re.sub(r"\"[^\"]*\"|'[^']*'|`[^`]*`", "", term)
    return re.search(r"(?<![\w)\]])\s*\[[^\[\]~]*[^\[\]~\s][^\[\]~]*~", quoteless) is not None


def _at_tilde(inside: str, text: str) -> list[str]:
    at = [place for place, mark, depth in _marks(inside) if mark == "~" and depth == 0]
    if len(at) != 1:
        raise FormulaError(f"{text!r}: brackets have one '~', [p ~ z]")
    return [inside[: at[0]], inside[at[0] + 1 :]]


def _without_intercept(side: str) -> list[tuple[str, str]]:
    return [(sign, term) for sign, term in _terms(side) if term not in ("0", "1")]


def _joined(terms: list[tuple[str, str]]) -> str:
    whole = " ".join(f"{sign} {term}" for sign, term in terms)
    return whole.removeprefix("+ ")
