"""Linear hypotheses about coefficients, from strings or arrays, alike in both formula engines."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.formula._manager import FormulaManager

from sm_alsgls.border.alignment import by_coefficient, by_name, nameless
from sm_alsgls.border.frames import to_pandas
from sm_alsgls.border.labels import spell
from sm_alsgls.border.names import close, is_number, listed, ticked
from sm_alsgls.border.numbers import numbers
from sm_alsgls.exceptions import RestrictionError


def read_constraints(
    constraints: Any, names: list[str], called: str = "equation_variable"
) -> tuple[np.ndarray, np.ndarray]:
    """R (m, P) and q (m,) of R beta = q.

    Parameters
    ----------
    constraints : str, list of str, array_like, DataFrame, Series or tuple
        ``"a = b, c = 0"``, chains ``"a = b = c"``, a matrix R (q = 0) or a pair (R, q). The
        columns of a DataFrame, and the labels of a Series, which is one row, are names of
        coefficients, in any order; those that are left out have 0. Where R and q both have
        labels of hypotheses q goes by them. Names in strings may
        hold spaces, commas or brackets, and may stand in backticks: they are replaced by plain
        ones before the engine reads them, and a chain becomes its pairs, which formulaic would
        misread. A name that is a number, ``"1"``, must stand in them: a bare number is a number.
    names : list of str
        Coefficients, P of them.
    called : str
        How coefficients are named, for messages.

    Raises
    ------
    RestrictionError
    """
    if isinstance(constraints, str) or (
        isinstance(constraints, list)
        and len(constraints) > 0
        and all(isinstance(c, str) for c in constraints)
    ):
        return _from_text(constraints, names, called)
    if isinstance(constraints, tuple) and len(constraints) != 2:
        raise RestrictionError(
            f"hypotheses as a tuple are a pair (R, q); got {len(constraints)} items"
        )
    R, q = constraints if isinstance(constraints, tuple) else (constraints, 0.0)
    R, q = to_pandas(R, "R"), to_pandas(q, "q")
    both = isinstance(q, pd.Series) and isinstance(R, pd.DataFrame)
    if both and not nameless(R.index) and not nameless(q.index):
        hypotheses = [spell(label) for label in R.index]
        q = q.iloc[by_name(q.index, hypotheses, "q", RestrictionError, noun="row")]
    R = by_coefficient(R, names, "R", RestrictionError)
    said = "; hypotheses are strings, a matrix R or a pair (R, q)"
    # A copy: the caller may write into his.
    R = np.atleast_2d(np.array(numbers(R, "R", RestrictionError, said)))
    q = numbers(q, "q", RestrictionError, said).ravel()
    if q.size not in (1, len(R)):
        raise RestrictionError(f"q holds {q.size} numbers for {len(R)} rows of R")
    q = np.broadcast_to(q, (len(R),)).copy()
    if R.ndim != 2 or R.shape[1] != len(names):
        raise RestrictionError(f"R has {R.shape[-1]} columns for {len(names)} coefficients")
    if not (np.isfinite(R).all() and np.isfinite(q).all()):
        raise RestrictionError("hypotheses hold missing or infinite numbers")
    return R, q


def _from_text(
    constraints: str | list[str], names: list[str], called: str
) -> tuple[np.ndarray, np.ndarray]:
    whole = constraints if isinstance(constraints, str) else ", ".join(constraints)
    # Engines space the terms of formulas as they like: I(x1**2) is called I(x1 ** 2).
    squeezed = _without_spaces(whole)
    alike: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if (tight := _without_spaces(name)) and tight in squeezed:
            alike.setdefault(tight, []).append(i)
    used: list[int] = []

    def plain(found: re.Match[str]) -> str:
        i = _named(found, names, alike, whole)
        if i not in used:
            used.append(i)
        return f"b{used.index(i)}_"

    longest = sorted(alike, key=len, reverse=True)
    text = whole
    if longest:
        every = _one_of(longest)
        # A bare number is a number, whatever coefficients are called.
        bare = _one_of([name for name in longest if not is_number(name)])
        pattern = rf"`(?P<ticked>\s*(?:{every})\s*)`|(?<![\w.])(?P<bare>{bare})(?!\w)"
        text = re.sub(pattern, plain, whole)
    if found := re.search(r"[<>!]=?|==", text):
        raise RestrictionError(
            f"cannot read the hypothesis {whole!r}: {found[0]!r} is not for hypotheses, which are "
            "equations, 'a = b, c = 0'. The p-value of a one-sided alternative is half that of "
            "t_test where the estimate is on its side; inequalities as restrictions of a fit are "
            "not there"
        )
    pairs = []
    for part in text.split(","):
        sides = part.split("=")
        pairs += [f"{a} = {b}" for a, b in pairwise(sides)] if len(sides) > 2 else [part]
    short = [f"b{k}_" for k in range(len(used))]
    try:
        parsed = FormulaManager().get_linear_constraints(", ".join(pairs), short)
        values = np.asarray(parsed.constraint_matrix, dtype=float)
        if not used:  # formulaic takes 2 = 2
            raise ValueError("no coefficient is in it")
    except Exception as error:
        raise RestrictionError(
            f"cannot read the hypothesis {whole!r}; coefficients are named {called}, for "
            f"example {ticked(names[0])!r}{_unknown(text, names)}"
        ) from error
    R = np.zeros((len(values), len(names)))
    R[:, used] = values
    return R, np.asarray(parsed.constraint_values, dtype=float).ravel()


def _one_of(squeezed: list[str]) -> str:
    """A pattern of names, spaced anyhow; of no names one that nothing matches."""
    return "|".join(r"\s*".join(map(re.escape, name)) for name in squeezed) or "(?!)"


def _named(found: re.Match[str], names: list[str], alike: dict[str, list[int]], whole: str) -> int:
    """Which coefficient a hypothesis names: as it is written, else the one that differs in spaces.

    Spaces around what is not in backticks are the hypothesis' own, and tell no names apart.
    """
    text = found["ticked"] or found["bare"]
    group = alike[_without_spaces(text)]
    if found["ticked"]:
        exact = [i for i in group if names[i] == text]
    else:
        exact = [i for i in group if names[i].strip() == text]
    chosen = exact or group
    if len(chosen) > 1:
        raise RestrictionError(
            f"{text!r} in the hypothesis {whole!r} may be any of the coefficients "
            f"{listed(repr(names[i]) for i in chosen)}, whose names differ in spaces; write the "
            f"one that is meant in backticks, '`{names[chosen[0]]}` = 0', or pass a matrix R"
        )
    return chosen[0]


def _without_spaces(text: str) -> str:
    return "".join(text.split())


def _unknown(text: str, names: list[str]) -> str:
    """What in a hypothesis, whose names of coefficients were replaced, is none, and the nearest."""
    for word in re.findall(r"[^\W\d]\w*(?:[.:]\w+|\([^()]*\)|\[[^\]]*\])*", text):
        if re.fullmatch(r"b\d+_", word) or word in names:
            continue
        return f"; no coefficient is called {word!r}{close(word, names)}"
    numbers_too = [name for name in names if is_number(_without_spaces(name))]
    if numbers_too:
        one = max(numbers_too, key=lambda name: len(name) if name in text else 0)
        return f"; names that are numbers stand in backticks, '`{one}` = 0'"
    return ""
