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
from sm_alsgls.border.names import close
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
        misread.
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
    position = {name: i for i, name in enumerate(names)}
    used: list[int] = []
    # Engines space the terms of formulas as they like: I(x1**2) is called I(x1 ** 2).
    squeezed = _without_spaces(whole)
    longest = sorted((n for n in names if _without_spaces(n) in squeezed), key=len, reverse=True)
    spaced = {_without_spaces(name): position[name] for name in longest}

    def plain(found: re.Match[str]) -> str:
        i = position.get(found[1], spaced[_without_spaces(found[1])])
        if i not in used:
            used.append(i)
        return f"b{used.index(i)}_"

    if longest:
        known = "|".join(r"\s*".join(map(re.escape, _without_spaces(name))) for name in longest)
        text = re.sub(rf"`?(?<!\w)({known})(?!\w)`?", plain, whole)
    else:
        text = whole
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
    except Exception as error:
        raise RestrictionError(
            f"cannot read the hypothesis {whole!r}; coefficients are named {called}, for "
            f"example {names[0]!r}{_unknown(text, names)}"
        ) from error
    R = np.zeros((len(values), len(names)))
    R[:, used] = values
    return R, np.asarray(parsed.constraint_values, dtype=float).ravel()


def _without_spaces(text: str) -> str:
    return "".join(text.split())


def _unknown(text: str, names: list[str]) -> str:
    """What in a hypothesis, whose names of coefficients were replaced, is none, and the nearest."""
    for word in re.findall(r"[^\W\d]\w*(?:[.:]\w+|\([^()]*\)|\[[^\]]*\])*", text):
        if not re.fullmatch(r"b\d+_", word):
            return f"; no coefficient is called {word!r}{close(word, names)}"
    return ""
