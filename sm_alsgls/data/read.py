"""Arrays, frames and mappings become a system of labelled equations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border import held
from sm_alsgls.border.alignment import by_name, check_rows
from sm_alsgls.border.frames import to_pandas
from sm_alsgls.border.labels import spell
from sm_alsgls.border.numbers import depth, numbers
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.data.first_look import first_look
from sm_alsgls.data.seen import FirstLook
from sm_alsgls.data.system import System
from sm_alsgls.data.validity import (
    check_enough_rows,
    check_finite,
    check_missing,
    check_responses_vary,
    responses_vary,
)
from sm_alsgls.exceptions import InsufficientRowsError, ShapeError

_DOUBLE = np.dtype(float)


def build_system(endog: Any, exog: Any, missing: str = "none") -> System:
    """Read ``endog`` and ``exog`` in any of the forms `LowRankSUR` documents.

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, OptionError
    """
    check_missing(missing)
    system = _read_system(endog, exog, missing == "drop", look=True)
    N = system.nobs
    if N == 0:
        if system.n_dropped:
            raise InsufficientRowsError(nothing_left(read_system(endog, exog, False)))
        raise ShapeError(f"the system is empty: 0 rows, {len(system.names)} equations")
    check_finite(system)
    check_enough_rows(system.names, system.columns, N)
    check_responses_vary(system.names, responses_vary(system.Y), N, system.Y[0])
    return system


def nothing_left(system: System, cells: bool = True) -> str:
    """Why dropping rows drops all, with the variable that misses most.

    ``cells`` says whether the system can do without single cells instead.
    """
    counts = [int(gaps) for gaps in np.isnan(system.Y).sum(axis=0)]
    named = [f"the response of equation {name!r}" for name in system.names]
    for argument, blocks, labels in system.designs:
        what = "column" if argument == "exog" else "instrument"
        for name, X, columns in zip(system.names, blocks, labels, strict=True):
            for i, column in enumerate(columns):
                counts.append(int(np.isnan(X[:, i]).sum()))
                named.append(f"{what} {column!r} of equation {name!r}")
    worst = int(np.argmax(counts))
    return (
        f"no row is left of {system.nobs}: every one misses something; {named[worst]} has no value "
        f"in {counts[worst]} rows: drop it"
        + (", or pass missing='fiml', which leaves out cells" if cells else "")
    )


class Designs(NamedTuple):
    """Regressors, or instruments, of K equations as they were read."""

    blocks: list[np.ndarray]  # K arrays (N, p_j); what was one object is one array
    columns: list[list[str]]
    named: tuple[bool, ...]  # whose columns came with names
    index: pd.Index  # of the rows
    labelled: bool  # whether the caller gave it
    seen: FirstLook  # what reading has seen of them


def read_system(endog: Any, exog: Any, drop: bool) -> System:
    """Arrays and labels of ``endog`` and ``exog``, without rows that miss something if ``drop``.

    Any number of rows, of any values.

    Raises
    ------
    ShapeError
    """
    return _read_system(endog, exog, drop, look=False)


def _read_system(endog: Any, exog: Any, drop: bool, look: bool) -> System:
    """`read_system`, which looks at the regressors where one is to."""
    if exog is None:
        pairs = isinstance(endog, Mapping) and any(
            isinstance(value, (Mapping, tuple)) for value in endog.values()
        )
        raise ShapeError(
            "exog is missing; "
            + (
                "from_system() takes responses and regressors in one mapping"
                if pairs
                else "give regressors, at least a constant"
            )
        )
    names, Y, y_index = _responses(_read(endog, "endog"))
    made = read_designs(exog, "exog", names, len(Y), y_index, look=look)
    if Y.shape[1] == 0:
        raise ShapeError(f"the system is empty: {len(Y)} rows, 0 equations")
    source = Provenance(made.index, labelled=made.labelled)
    system = System(
        names,
        made.index,
        Y,
        made.blocks,
        made.columns,
        0,
        made.named,
        source=source,
        seen=made.seen,
    )
    return system.kept(complete_rows(system)) if drop else system


def complete_rows(system: System) -> np.ndarray:
    """Which rows miss nothing, (N,)."""
    keep = np.ones(system.nobs, dtype=bool)
    for A in system.arrays:
        keep &= ~np.isnan(A).any(axis=1)
    return keep


def read_designs(
    value: Any,
    argument: str,
    names: list[str],
    N: int,
    index: pd.Index | None,
    letter: str = "x",
    least: str = "at least a constant",
    look: bool = False,
) -> Designs:
    """The designs of the equations ``names``, in any of the forms `LowRankSUR` documents.

    Parameters
    ----------
    value : object
    argument : str
        What the caller calls it.
    names : list of str (K,)
    N : int
        Rows of the responses.
    index : Index, optional
        Their labels, where they have some.
    letter : str
        Columns without names are const, x1, x2, ...
    least : str
        What to give where a design has no columns.
    look : bool
        Whether to find out if all numbers are finite, while a design is in the cache, and take
        fingerprints of more than `held.COPIED` of them.

    Raises
    ------
    ShapeError
    """
    values = _by_equation(_read(value, argument), names, argument)
    blocks, columns, seen = _designs(values, names, argument, letter, look)
    for name, X in zip(names, blocks, strict=True):
        if len(X) != N:
            raise ShapeError(
                f"equation {name!r}: {argument} has {len(X)} rows but endog has {N}; give both "
                "the same rows"
            )
        if X.shape[1] == 0:
            raise ShapeError(f"equation {name!r}: {argument} has no columns; give {least}")
    common, labelled = _common_index(index, [_index_of(x) for x in values], names, N, argument)
    named = tuple(_has_names(x) for x in values)
    return Designs(blocks, columns, named, common, labelled, seen)


# -- reading -----------------------------------------------------------------------------------


def _read(value: Any, argument: str) -> Any:
    """Frames of other libraries as pandas', also in a mapping or a list; each object once."""
    value = to_pandas(value, argument)
    many = isinstance(value, Mapping)
    if not many and not isinstance(value, (list, tuple)):
        return value
    parts = list(value.values() if many else value)
    if set(map(type, parts)) == {np.ndarray}:  # nothing to ask of each of thousands
        # Not the mapping itself, which may read a file whenever it is asked.
        return dict(zip(value, parts, strict=True)) if many else value
    made = {id(part): to_pandas(part, argument) for part in parts}
    found = [made[id(part)] for part in parts]
    return dict(zip(value, found, strict=True)) if many else found


def _responses(endog: Any) -> tuple[list[str], np.ndarray, pd.Index | None]:
    if isinstance(endog, Mapping):
        if not endog:
            raise ShapeError("endog is an empty mapping; give at least one equation")
        names = [spell(key) for key in endog]
        _check_unique(names)
        vectors = {}
        index: pd.Index | None = None
        for name, value in zip(names, endog.values(), strict=True):
            y = _numbers(value, "endog", name)
            # A single row is still a vector.
            y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
            vectors[name] = np.squeeze(y) if y.ndim > 1 else y
            if vectors[name].ndim != 1:
                raise ShapeError(
                    f"equation {name!r}: endog must be one vector, got shape {y.shape}"
                )
            index = index if index is not None else _index_of(value)
            if isinstance(value, (pd.Series, pd.DataFrame)) and index is not None:
                _same_index(value.index, index, f"endog of equation {name!r}")
        lengths = {len(v) for v in vectors.values()}
        if len(lengths) > 1:
            raise ShapeError(
                "equations have different numbers of rows: "
                + ", ".join(f"{k!r} {len(v)}" for k, v in list(vectors.items())[:8])
                + "; align them on common rows"
            )
        return names, np.asfortranarray(np.column_stack(list(vectors.values()))), index
    Y = _numbers(endog, "endog", None)
    if Y.ndim == 1:
        Y = Y[:, None]
    if Y.ndim != 2:
        raise ShapeError(f"endog must be (N, K), got {Y.ndim} dimensions")
    if isinstance(endog, pd.DataFrame):
        names = [spell(c) for c in endog.columns]
    elif isinstance(endog, pd.Series):
        names = [spell(endog.name) if endog.name is not None else "y"]
    else:
        names = [f"y{j}" for j in range(1, Y.shape[1] + 1)] if Y.shape[1] > 1 else ["y"]
    _check_unique(names)
    return names, Y, _index_of(endog)


def _check_unique(names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = min(name for name in names if names.count(name) > 1)
        raise ShapeError(f"equation names must be unique, {twice!r} is repeated")


def _by_equation(given: Any, names: list[str], argument: str) -> list[Any]:
    """The design of each equation, as it was given."""
    if isinstance(given, Mapping):
        at = by_name(given, names, argument, ShapeError, noun="equation")
        values = list(given.values())
        return [values[i] for i in at]
    if isinstance(given, (list, tuple)) and (len(given) == 0 or depth(given[0]) > 0):
        if len(given) != len(names):
            raise ShapeError(
                f"{argument} lists {len(given)} designs for {len(names)} equations; give one per "
                "equation, or a single array that all share"
            )
        return list(given)
    return [given] * len(names)


def _designs(
    values: list[Any], names: list[str], argument: str, letter: str, look: bool
) -> tuple[list[np.ndarray], list[list[str]], FirstLook]:
    """Blocks and column names of each equation's design, and what was seen of them."""
    known: dict[int, np.ndarray] = {}
    given: dict[int, list[str] | None] = {}
    for name, value in zip(names, values, strict=True):
        if id(value) in known:
            continue
        X = _numbers(value, argument, name)
        X = X[:, None] if X.ndim == 1 else X
        if X.ndim != 2:
            raise ShapeError(
                f"equation {name!r}: {argument} must be (N, p), got {X.ndim} dimensions"
            )
        known[id(value)], given[id(value)] = X, _given_names(value, name, argument, letter)
    nameless = [key for key, labels in given.items() if labels is None]
    looked = list(known) if look else nameless
    many = look and sum(X.size for X in known.values()) > held.COPIED
    seen = first_look([known[key] for key in looked], look, many)
    ones = dict(zip(looked, seen.ones, strict=True))
    made: dict[tuple[bool, ...], list[str]] = {}
    labelled = {key: labels for key, labels in given.items() if labels is not None}
    for key in nameless:
        if ones[key] not in made:
            made[ones[key]] = numbered(ones[key], letter)
        labelled[key] = made[ones[key]]
    keys = [id(value) for value in values]
    return [known[key] for key in keys], [labelled[key] for key in keys], seen


def _numbers(value: Any, argument: str, name: str | None) -> np.ndarray:
    """A float array, missing values as NaN; no copy when it is a float array already."""
    if type(value) is np.ndarray and value.dtype is _DOUBLE:
        return value
    return numbers(value, f"{argument} of equation {name!r}" if name else argument)


def _index_of(value: Any) -> pd.Index | None:
    return value.index if isinstance(value, (pd.Series, pd.DataFrame)) else None


def _has_names(value: Any) -> bool:
    if isinstance(value, pd.Series):
        return value.name is not None
    return isinstance(value, pd.DataFrame)


def _given_names(value: Any, name: str, argument: str, letter: str) -> list[str] | None:
    """Names of columns that came with some; None for those of an array."""
    if isinstance(value, pd.DataFrame):
        labels = [spell(c) for c in value.columns]
        if len(set(labels)) < len(labels):
            twice = next(c for c in labels if labels.count(c) > 1)
            raise ShapeError(f"equation {name!r}: {argument} has two columns named {twice!r}")
        return labels
    if isinstance(value, pd.Series):
        return [spell(value.name) if value.name is not None else f"{letter}1"]
    return None


def numbered(ones: Iterable[bool], letter: str = "x", taken: Collection[str] = ()) -> list[str]:
    """Names of columns that have none, const, x1, x2, ...; ``ones`` (p_j,) says which hold 1s.

    Those that are ``taken`` are left out.
    """
    labels: list[str] = []
    free = (label for i in count(1) if (label := f"{letter}{i}") not in taken)
    for is_one in ones:
        constant = is_one and "const" not in labels and "const" not in taken
        labels.append("const" if constant else next(free))
    return labels


def _common_index(
    y_index: pd.Index | None,
    x_index: list[pd.Index | None],
    names: list[str],
    N: int,
    argument: str,
) -> tuple[pd.Index, bool]:
    """Labels of the rows, and whether the caller gave them."""
    index = y_index
    for name, other in zip(names, x_index, strict=True):
        if other is not None:
            if index is None:
                index = other
            elif other is not index:
                _same_index(other, index, f"{argument} of equation {name!r}")
    return (pd.RangeIndex(N), False) if index is None else (index, True)


def _same_index(one: pd.Index, other: pd.Index, what: str) -> None:
    if len(one) == len(other):
        check_rows(one, other, what, ShapeError)
