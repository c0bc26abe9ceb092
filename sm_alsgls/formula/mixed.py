"""Formulas of a mixed model: fixed effects, random effects, and levels of the residual variance.

Each right-hand side is one formula through the engine, evaluated on all rows, so that transforms
such as ``center`` learn from all groups; a row is used where all of them are there. What new data
need is kept as of any other model, see `sm_alsgls.formula.replay`.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.frames import table
from sm_alsgls.border.held import own
from sm_alsgls.border.names import listed
from sm_alsgls.exceptions import FormulaError
from sm_alsgls.formula import panel
from sm_alsgls.formula.data import read_data
from sm_alsgls.formula.engine import Part, evaluate, evaluate_right
from sm_alsgls.formula.lags import called
from sm_alsgls.formula.order import refuse_order
from sm_alsgls.formula.pickling import used_names
from sm_alsgls.formula.replay import replay
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.formula.text import read_equations, words
from sm_alsgls.formula.whole_rows import check_left, refuse_texts

#: What the right-hand sides are called in messages, in the order of the designs.
SIDES = ("formula", "re_formula", "residual")
# The formula of a random intercept.
_INTERCEPT = "~ 1"


def build_mixed(
    formula: Any,
    data: Any,
    re_formula: Any = None,
    residual: str | None = None,
    *,
    groups: str | None = None,
    time: str | None = None,
    subset: Any = None,
    missing: str = "drop",
    scope: dict[str, Any] | None = None,
) -> FormulaSystem:
    """Evaluate the formulas of a mixed model.

    Parameters
    ----------
    formula : str
        "y ~ x1 + x2".
    data : DataFrame
        Of any library that `sm_alsgls.border.frames.to_pandas` knows; never changed.
    re_formula : str, optional
        "~ x1": random effects, with those of the constant unless "~ 0 + x1"; default "~ 1".
    residual : str, optional
        "~ 0 + taxon": indicators of levels.
    groups, time : str, optional
        Columns, for ``lag(x)`` and its like.
    subset : array_like, optional
        Rows to use, ``data.loc[subset]``.
    missing : {"drop", "raise", "none"}
    scope : dict, optional
        Variables and functions the formulas may use besides the data.

    Returns
    -------
    FormulaSystem
        ``endog`` (n, 1), and ``exog``, ``specs``: regressors (n, p), those of random effects
        (n, q) and, where asked, indicators of levels (n, L).

    Raises
    ------
    FormulaError, NumberTextError, NonFiniteError, SystemInputError

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.formula.mixed import build_mixed
    >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [1.0, None, 3], "g": list("aab")})
    >>> built = build_mixed("y ~ x", data, "~ x", groups="g")
    >>> [list(design) for design in built.exog], built.n_dropped
    ([['Intercept', 'x'], ['Group', 'x']], 1)
    """
    scope = {} if scope is None else scope
    texts = _texts(formula, re_formula, residual)
    data = table(data)
    everything = " ".join(texts)
    # New data are evaluated with these values later, whatever the caller writes into his.
    scope = scope | {name: own(scope[name]) for name in words(everything) if name in scope}
    used = read_data(data, everything, scope, subset, keys=(groups, time))
    lags, key = called(everything, scope), None
    used = used._replace(scope=used.scope | lags)
    if lags and groups is not None and time is not None:
        key = panel.RowKey.of(used.frame, used.labels, time, groups, everything, units=True)
        used = used._replace(panel=key.rows(used.frame, used.labels))
    refuse_texts(texts, used, time)
    first = evaluate(None, texts[0], used, missing)
    if first.lhs.shape[1] != 1:
        raise FormulaError(
            f"{texts[0]!r} has {first.lhs.shape[1]} responses ({listed(first.lhs)}) where a mixed "
            "model has one: stack them below each other, with the name of each in a column, "
            "residual='~ 0 + that'"
        )
    beside = zip(SIDES[1:], texts[1:], strict=False)
    parts = [first, *(evaluate_right(side, text, used, missing) for side, text in beside)]
    _check_columns(parts)
    complete = np.logical_and.reduce([part.complete for part in parts])
    check_left(complete, parts, used, bool(lags))
    for text in texts:
        refuse_order(str(first.lhs.columns[0]), text, used, groups or "groups", time)
    kept = np.flatnonzero(complete)
    index = used.labels if complete.all() else used.labels[kept]
    designs = [part.rhs.loc[kept].set_axis(index) for part in parts]
    designs[1] = of_groups(designs[1])
    response = str(first.lhs.columns[0])
    return FormulaSystem(
        pd.DataFrame({response: first.lhs.loc[kept].iloc[:, 0].to_numpy()}, index),
        tuple(designs),
        tuple(
            part.spec(response if i == 0 else SIDES[i], response, key)
            for i, part in enumerate(parts)
        ),
        len(complete) - kept.size,
        groups,
        time,
        used_names(scope, texts, used.frame.columns),
        used.rows[kept],
    )


def of_groups(design: pd.DataFrame) -> pd.DataFrame:
    """The design of random effects, whose constant is called as statsmodels' MixedLM calls it."""
    return design.rename(columns={"Intercept": "Group"})


def new_designs(
    recipe: FormulaSystem, data: Any, scope: dict[str, Any] | None = None, *, random: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Regressors of new data and, if ``random``, those of random effects; NaN where one misses.

    Parameters
    ----------
    recipe : FormulaSystem
        Of `build_mixed`, without matrices.
    data : DataFrame
        Responses, groups and levels are not needed; groups and times are for lags.
    scope : dict, optional
        Default: the values that the caller had when the model was made.
    random : bool

    Raises
    ------
    UnseenLevelError, FormulaError

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.formula.mixed import build_mixed, new_designs
    >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [1.0, 2, 3], "g": list("aab")})
    >>> built = build_mixed("y ~ center(x)", data, "~ x", groups="g")
    >>> X, Z = new_designs(built.recipe(), pd.DataFrame({"x": [5.0]}))
    >>> X.iloc[0].tolist(), Z.iloc[0].tolist()
    ([1.0, 3.0], [1.0, 5.0])
    """
    specs = recipe.specs[: 2 if random else 1]
    made = replay(specs, data, recipe.scope if scope is None else scope)
    return made[0], of_groups(made[1]) if random else None


def indicated(levels: pd.DataFrame, text: str) -> tuple[np.ndarray, list[str]]:
    """Of which level each row is (n,), and their names (L,), of indicators (n, L).

    Raises
    ------
    FormulaError
        A row has not exactly one 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.formula.mixed import indicated
    >>> indicated(pd.DataFrame({"t[a]": [1.0, 0.0], "t[b]": [0.0, 1.0]}), "~ 0 + t")
    (array([0, 1]), ['a', 'b'])
    """
    values = levels.to_numpy(dtype=float)
    if not ((values == 0.0) | (values == 1.0)).all() or not (values.sum(axis=1) == 1.0).all():
        raise FormulaError(
            f"residual={text!r} does not say of which level each row is: it makes the columns "
            f"{listed(map(repr, levels))}, of which every row must have one that is 1 and others "
            "that are 0; write '~ 0 + C(column)', with one categorical variable (a variance that "
            "changes with a number has no level)"
        )
    names = [str(name) for name in levels]
    short = [re.fullmatch(r"[^\[\]]*\[(?:T\.)?([^\[\]]*)\]", name) for name in names]
    if all(short):
        plain = [match[1] for match in short if match]
        names = plain if len(set(plain)) == len(plain) else names
    return values.argmax(axis=1), names


def _texts(formula: Any, re_formula: Any, residual: str | None) -> list[str]:
    """The formulas as text, each of its side; what other packages write is explained."""
    if isinstance(formula, str):
        _refuse_bars(formula)
    if not isinstance(formula, str):
        raise FormulaError(
            f"the formula of a mixed model is one string, 'y ~ x1 + x2', got "
            f"{type(formula).__name__}; several responses are stacked below each other"
        )
    texts = [read_equations(formula)[0][1]]
    if re_formula is None:
        re_formula = _INTERCEPT
    for side, text in zip(SIDES[1:], (re_formula, residual), strict=True):
        if text is None:
            continue
        if not isinstance(text, str):
            raise FormulaError(f"{side} is a string, '~ x', got {type(text).__name__}")
        left, tilde, right = text.partition("~")
        if side == "re_formula" and not tilde:
            left, right = "", text  # statsmodels' MixedLM takes "x" as well
        if left.strip() or not right.strip():
            raise FormulaError(
                f"{side}={text!r} must be a formula without a left side, such as "
                + ("'~ 0 + taxon'" if side == "residual" else "'~ x1 + x2'")
            )
        _refuse_bars(f"{side} ~ {right}")
        texts.append(f"~ {right.strip()}")
    return texts


# A term of lme4's, (1 + x | g): not the parentheses of a call, whose | is Python's.
_BARS = re.compile(
    r"(?<![\w.)\]])\(\s*([^()|]*(?:\([^()]*\)[^()|]*)*?)\s*(\|\|?)\s*([^()|]+?)\s*\)"
)


def _refuse_bars(text: str) -> None:
    """Explain lme4's random effects, "(1 + x | g)".

    Raises
    ------
    FormulaError
    """
    found = _BARS.findall(text.partition("~")[2])
    if not found:
        return
    terms = [f"({left.strip()} {bar} {group})" for left, bar, group in found]
    whose = list(dict.fromkeys(group for _, _, group in found))
    said = f"{listed(terms)} {'is' if len(terms) == 1 else 'are'} lme4's way of random effects"
    if len(whose) > 1 or re.search(r"[/:]", whose[0]):
        raise FormulaError(
            f"{said}, of {listed(map(repr, whose))}: crossed or nested ones are not what this "
            "model has, whose groups are independent; lme4 has them, and statsmodels' MixedLM as "
            "vc_formula. If one lies within the other take the outer one as groups=, and "
            "re_formula='~ C(inner)'"
        )
    left = " + ".join(left.strip() for left, _, _ in found) or "1"
    rank = ", rank='diagonal'" if len(found) > 1 or found[0][1] == "||" else ""
    raise FormulaError(
        f"{said}; write re_formula='~ {left}', groups={whose[0]!r}{rank} beside the formula of the "
        "fixed effects"
    )


def _check_columns(parts: list[Part]) -> None:
    """Designs that have columns."""
    for side, part in zip(SIDES, parts, strict=False):
        if not part.rhs.shape[1]:
            raise FormulaError(
                f"{side}: {part.text!r} makes no column; "
                + ("give at least a constant, 'y ~ 1'" if side == "formula" else "leave it out")
            )
