"""What to say when a formula cannot be evaluated: the names it lacks, and their likely spelling."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls import exceptions as exc
from sm_alsgls.border.names import candidates
from sm_alsgls.formula.number_text import text_behind

# Two spellings of an unknown name that do not fill in NameError.name: Q() of patsy, formulaic.
_UNKNOWN = re.compile(r"no data named ['\"](?P<q>.+)['\"] found|`(?P<f>.+)` is not present")

# What formulas may raise: they are code, and ``exit()`` in one must not end the process.
FAILURES = (Exception, SystemExit)


def first_line(error: BaseException) -> str:
    """First line of what an engine said."""
    # formulaic colours its messages with terminal escapes.
    return re.sub(r"\x1b\[[\d;]*m|[⧛⧚]", "", str(error)).strip().partition("\n")[0]


def engine_error(
    label: str,
    text: str,
    error: BaseException,
    frame: pd.DataFrame,
    rows: pd.Index,
    matrices: Callable[..., Any],
) -> exc.SystemInputError:
    """Name every unknown variable or, if there is none, repeat what the engine said.

    ``rows`` are the caller's labels of the rows of ``frame``.
    """
    own = _own_error(error)
    if own is not None:
        # The engine would put its own name and the kind of error before what we say.
        return type(own)(f"Equation {label!r}: {text!r}: {own}")
    if _exits(error):
        return exc.FormulaError(
            f"Equation {label!r}: {text!r} asks to end the process (exit, SystemExit); a formula "
            "only computes columns"
        )
    unknown: list[str] = []
    trial = frame.copy(deep=False)
    name = _unknown_name(error, frame.columns)
    while name is not None and name not in unknown:
        # Engines stop at the first unknown name; a column of NaN in its place shows the next.
        unknown.append(name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # also that of pandas, of a column more to many
                trial[name] = np.nan
                name = None
                matrices(trial)
        except FAILURES as next_error:
            name = _unknown_name(next_error, trial.columns)
    if not unknown:
        numbers = text_behind(text, frame, rows)
        if numbers:
            return exc.NumberTextError(f"Equation {label!r}: {text!r} fails. {numbers}")
        return exc.FormulaError(f"Equation {label!r}: {text!r} fails: {first_line(error)}")
    what = ", ".join(f"{name!r}{candidates(name, frame)}" for name in sorted(unknown))
    elsewhere = "".join(said for name in sorted(unknown) if (said := _elsewhere(name, text)))
    return exc.FormulaError(
        f"Equation {label!r}: {text!r} uses unknown variables: {what}.{elsewhere}"
    )


def _elsewhere(name: str, text: str) -> str:
    """What a name of other packages is called here."""
    name = name.partition(".")[0]  # formulaic names L.x whole
    if name in ("EntityEffects", "FixedEffects"):
        return " With groups= every group has an intercept of its own."
    if name in ("TimeEffects", "OtherEffects"):
        return (
            " Effects of periods are what the errors of a system share, its factors; there is no "
            "dummy for them."
        )
    code = re.escape(name)
    if re.fullmatch(r"[LFDS]\d*", name) and re.search(rf"\b{code}\.", text):
        return " Stata's L.x, F.x and D.x are lag(x, 1), lead(x, 1) and diff(x, 1)."
    if name in ("l", "f", "d", "shift", "L", "F", "D") and re.search(rf"\b{code}\s*\(", text):
        return " Lags are lag(x, 1), lead(x, 1) and diff(x, 1)."
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _own_error(error: BaseException) -> exc.SystemInputError | None:
    """What a function of this package, a lag, said under the engine."""
    return next((e for e in _chain(error) if isinstance(e, exc.SystemInputError)), None)


def _exits(error: BaseException) -> bool:
    return any(isinstance(e, SystemExit) for e in _chain(error))


def _unknown_name(error: BaseException | None, columns: pd.Index) -> str | None:
    while error is not None:
        if isinstance(error, NameError):
            match = _UNKNOWN.search(str(error))
            return (match["q"] or match["f"]) if match else error.name
        if isinstance(error, KeyError) and error.args and error.args[0] not in columns:
            return str(error.args[0])  # formulaic's Q()
        error = error.__cause__ or error.__context__
    return None
