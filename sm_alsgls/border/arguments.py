"""What a caller passed, read once: one validator a kind of argument, used at every border.

Each takes a value and what the caller calls it, and returns it in the one type that the code
wants. What does not fit raises an error that names the argument, what is allowed and what came;
where words are allowed, the nearest one. Arrays of numbers are read by `sm_alsgls.border.numbers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.labels import shown
from sm_alsgls.border.names import close
from sm_alsgls.border.numbers import depth
from sm_alsgls.exceptions import ArgumentTypeError, OptionError, UnknownArgumentError

#: Of starts, replicates, processes: more than anybody waits for.
MANY = 10**9


def came(value: Any) -> str:
    """A value as a message shows it, on one line: containers by their shape, the rest by repr.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.border.arguments import came
    >>> came(np.array([1, 2])), came("x"), came(np.float64(0.5)), came(came)
    ('an array of shape (2,)', "'x'", '0.5', 'a function')
    """
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    if isinstance(value, (pd.Series, pd.DataFrame, pd.Index)):
        return f"a {type(value).__name__} of shape {value.shape}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if callable(value):
        return "a function" if hasattr(value, "__name__") else f"a {type(value).__name__}"
    text = " ".join(shown(value).split())
    return text if len(text) <= 80 else f"{text[:76]} ..."


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays without dimensions as what they hold."""
    scalar = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0)
    return value.item() if scalar else value


def flag(value: Any, argument: str) -> bool:
    """True or False, and nothing that merely is true.

    Examples
    --------
    >>> from sm_alsgls.border.arguments import flag
    >>> flag("no", "debiased")
    Traceback (most recent call last):
        ...
    sm_alsgls.exceptions.ArgumentTypeError: debiased must be True or False, got 'no'
    """
    plain = _plain(value)
    if not isinstance(plain, bool):
        raise ArgumentTypeError(f"{argument} must be True or False, got {came(value)}")
    return plain


def optional_flag(value: Any, argument: str) -> bool | None:
    """True, False or None, the default."""
    if value is not None and not isinstance(_plain(value), bool):
        raise ArgumentTypeError(f"{argument} must be True, False or None, got {came(value)}")
    return None if value is None else bool(value)


def number(
    value: Any,
    argument: str,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
    what: str = "",
) -> float:
    """A finite real number within bounds; ``what`` says them in words."""
    plain = _plain(value)
    fits = isinstance(plain, (int, float)) and not isinstance(plain, bool)
    if fits:
        fits = least <= plain <= most and above < plain < below and abs(plain) <= 1.7e308
    if not fits:
        raise OptionError(f"{argument} must be {what or 'a finite number'}, got {came(value)}")
    return float(plain)


def level(value: Any, argument: str = "alpha") -> float:
    """The level of a test, or one less that of an interval: between 0 and 1.

    Examples
    --------
    >>> from sm_alsgls.border.arguments import level
    >>> level("0.05")
    Traceback (most recent call last):
        ...
    sm_alsgls.exceptions.OptionError: alpha must be a number between 0 and 1, got '0.05'
    """
    return number(value, argument, above=0.0, below=1.0, what="a number between 0 and 1")


def count(value: Any, argument: str, least: int = 1, most: int = MANY, said: str = "") -> int:
    """A whole number; True is none, nor is 2.0.

    ``said`` is appended to the bounds in the message, to say where they come from.
    """
    plain = _plain(value)
    whole = isinstance(plain, int) and not isinstance(plain, bool)
    if not whole or not least <= plain <= most:
        bound = f">= {least}" if most == MANY and (not whole or plain < least) else None
        bound = bound or f"from {least} to {most}"
        raise OptionError(f"{argument} must be a whole number {bound}{said}, got {came(value)}")
    return plain


def optional_count(
    value: Any, argument: str, least: int = 1, most: int = MANY, said: str = ""
) -> int | None:
    """A whole number, or None."""
    return None if value is None else count(value, argument, least, most, said)


def starts(value: Any, argument: str = "n_starts") -> int | None:
    """The limit of starts behind ``n_starts``; None is "auto"."""
    if isinstance(value, str) and value == "auto":
        return None
    plain = _plain(value)
    if not isinstance(plain, int) or isinstance(plain, bool) or not 1 <= plain <= MANY:
        raise OptionError(
            f"{argument} must be 'auto' or a whole number >= 1"
            + f" and at most {MANY}" * (isinstance(plain, int) and plain > MANY)
            + f", got {came(value)}"
        )
    return plain


def generator(value: Any, argument: str = "rng") -> np.random.Generator | None:
    """The generator behind a seed; None stays None.

    What NumPy's ``default_rng`` takes but None and lists: a Generator, a BitGenerator, a
    SeedSequence or a whole number that is not negative.
    """
    if value is None or isinstance(value, np.random.Generator):
        return value
    if isinstance(value, (np.random.BitGenerator, np.random.SeedSequence)):
        return np.random.default_rng(value)
    plain = _plain(value)
    if isinstance(plain, int) and not isinstance(plain, bool) and plain >= 0:
        return np.random.default_rng(plain)
    raise OptionError(
        f"{argument} must be a numpy Generator, a seed (a whole number >= 0) or None, got "
        + came(value)
        + "; numpy.random.default_rng(seed) makes one" * isinstance(value, np.random.RandomState)
    )


def choice(value: Any, argument: str, words: Iterable[str], said: str = "", after: str = "") -> str:
    """One of the words; the message suggests the nearest, or says ``after`` at its end.

    Examples
    --------
    >>> from sm_alsgls.border.arguments import choice
    >>> choice("parametrc", "method", ["parametric", "wild"])
    Traceback (most recent call last):
        ...
    sm_alsgls.exceptions.OptionError: method must be 'parametric' or 'wild'; got 'parametrc' \
(did you mean 'parametric'?)
    """
    known = list(words)
    plain = _plain(value)
    if isinstance(plain, str) and plain in known:
        return str(plain)
    texts = [repr(word) for word in known]
    allowed = " or ".join(texts) if len(texts) < 3 else f"one of {', '.join(texts)}"
    raise OptionError(
        f"{argument} must be {allowed}{said}; got {came(value)}"
        + (after or (nearest(plain, known) if isinstance(plain, str) else ""))
    )


def nearest(name: str, known: Sequence[str]) -> str:
    """' (did you mean ...?)', or nothing where no word is near."""
    said = close(name, known)
    return said if said.startswith(" (did you mean") else ""


def names(value: Any, argument: str, example: str = "['a', 'b']") -> list[Any]:
    """A label, or several, as a list: from a string, or a list, Index, Series or array of labels.

    Which names there are is for the caller to say.
    """
    plain = _plain(value)
    if (
        isinstance(plain, (str, int, float, date))
        and not isinstance(plain, bool)
        and plain is not pd.NaT
    ):
        return [plain]
    flat = isinstance(value, (list, tuple, pd.Index, pd.Series)) or depth(value) == 1
    items = list(value) if flat else []
    if not flat or any(not is_label(item) for item in items):
        raise OptionError(
            f"{argument} must be a name or a list of names, such as {example}; got {came(value)}"
        )
    return items


def is_label(item: Any) -> bool:
    """Whether something can be the name of a column, a row or an equation."""
    if isinstance(item, (list, dict, set, np.ndarray, pd.Series, pd.DataFrame)):
        return False
    try:
        hash(item)
    except TypeError:
        return False
    return item is not None and item is not pd.NA and item is not pd.NaT


def text(value: Any, argument: str) -> str | None:
    """A string, or None."""
    if value is not None and not isinstance(value, str):
        raise OptionError(f"{argument} must be a string, got {came(value)}")
    return value


def mapping(value: Any, argument: str, example: str) -> dict[str, Any]:
    """A mapping with strings as keys, copied; None is empty."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise OptionError(f"{argument} must be a mapping such as {example}, got {came(value)}")
    return dict(value)


def function(value: Any, argument: str, of: str) -> Callable[..., Any] | None:
    """Something that can be called with ``of``, or None."""
    if value is not None and not callable(value):
        raise ArgumentTypeError(f"{argument} must be a function of {of}, got {came(value)}")
    return value


def iterator(value: Any, argument: str, of: str) -> Iterator[Any]:
    """What a list or an iterator yields; text and mappings are none."""
    try:
        items = None if isinstance(value, (str, bytes, Mapping)) else iter(value)
    except TypeError:
        items = None
    if items is None:
        raise ArgumentTypeError(
            f"{argument} must be an iterator or a list of {of}, got {came(value)}"
        )
    return items


def path(value: Any, argument: str, method: str) -> Any:
    """The name of a file, or an open one that has ``method``."""
    if not (isinstance(value, (str, PathLike)) or callable(getattr(value, method, None))) or (
        isinstance(value, str) and not value
    ):
        raise ArgumentTypeError(
            f"{argument} must be a file name, a path or an open file, got {came(value)}"
        )
    return value


def file_name(value: Any, argument: str) -> Path:
    """The name of a file; no open one.

    >>> file_name("a.csv", "path").suffix
    '.csv'
    """
    if not isinstance(value, (str, PathLike)) or not str(value):
        raise ArgumentTypeError(f"{argument} must be a file name or a path, got {came(value)}")
    return Path(value)


def unknown(
    given: Iterable[str],
    known: Iterable[str],
    called: str,
    familiar: Mapping[str, str] | None = None,
) -> None:
    """Say what does the work of keywords that ``called`` does not have.

    Parameters
    ----------
    given, known : iterable of str
    called : str
        As "fit()".
    familiar : mapping, optional
        What others call our arguments, and what to use.

    Raises
    ------
    UnknownArgumentError
        Unless nothing is given.
    """
    have = list(known)
    said = []
    for name in given:
        text = f"{called} has no argument {name!r}"
        if familiar is not None and name in familiar:
            text += f"; use {familiar[name].format(name=name)}"
        else:
            text += close(name, have, "it has")
        said.append(text)
    if said:
        raise UnknownArgumentError("; ".join(said))
