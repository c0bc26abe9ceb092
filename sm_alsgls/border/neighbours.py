"""Who neighbours whom, as a user has it: a matrix, a graph, a frame, aligned by the units' labels.

What other libraries hand over is told by what it has, and none is imported:

    scipy sparse, arrays    K x K, in the order of the units
    libpysal W              ``neighbors`` and ``weights``, mappings of ids
    libpysal Graph          ``adjacency``, a Series by (focal, neighbor)
    networkx                ``nodes``, ``edges``, ``is_directed``; the attribute "weight", else 1
    mappings                {unit: [its neighbours]} or {unit: {neighbour: weight}}
    DataFrames              K x K with units as rows and as columns; or a pair a row, two columns
                            (unit, neighbour) and a third of weights, if any

Labels decide. Ids 0 to K - 1 that are none of the units', as graphs made of arrays have, are
positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from pandas.api.types import is_hashable

from sm_alsgls.border.arguments import came, flag
from sm_alsgls.border.frames import to_pandas
from sm_alsgls.border.labels import shown, spell
from sm_alsgls.border.names import close, listed
from sm_alsgls.border.numbers import depth, numbers
from sm_alsgls.core.laws.spatial_weights import SpatialWeights, row_standardised
from sm_alsgls.exceptions import ArgumentTypeError, NonFiniteError, OptionError, ShapeError

#: Units, neighbours and weights of pairs, and all ids there are, None where pairs name them all.
Pairs = tuple[list[Any], list[Any], np.ndarray, list[Any] | None]


def neighbours(
    value: Any,
    units: Sequence[Any],
    argument: str = "spatial_error",
    *,
    standardize: Any = True,
) -> SpatialWeights:
    """The weights of some units' neighbours.

    Parameters
    ----------
    value : sparse matrix, array_like, DataFrame, mapping, or a graph of libpysal or networkx
        See the module.
    units : sequence of labels (K,)
        In the order of the result.
    argument : str
        What the caller calls it.
    standardize : bool
        Divide the weights of each unit by their sum.

    Returns
    -------
    SpatialWeights
        Units without neighbours are rows of zeros.

    Raises
    ------
    ArgumentTypeError
        It is none of these.
    ShapeError
        A matrix is not K x K.
    NonFiniteError
        A weight is missing or infinite.
    OptionError
        A label is no unit, a pair comes twice, a unit is its own neighbour, a weight is negative
        and to be standardised, or nobody has a neighbour.

    Examples
    --------
    >>> import pandas as pd
    >>> edges = pd.DataFrame({"from": ["b", "b", "a"], "to": ["a", "c", "b"]})
    >>> neighbours(edges, ["a", "b", "c"]).W.toarray()
    array([[0. , 1. , 0. ],
           [0.5, 0. , 0.5],
           [0. , 0. , 0. ]])
    >>> neighbours({"a": ["b"], "B": ["a"]}, ["a", "b"])
    Traceback (most recent call last):
        ...
    sm_alsgls.exceptions.OptionError: spatial_error: 'B' is no unit (did you mean 'b'?)
    """
    scaled = flag(standardize, "standardize")
    labels = list(units)
    # Weights that were made before have the matrix.
    held = getattr(value, "W", value)
    if scipy.sparse.issparse(held):
        matrix = _positional(held, labels, argument)
    else:
        pairs = _pairs(value, argument)
        if pairs is None:
            matrix = _positional(numbers(value, argument), labels, argument)
        else:
            matrix = _aligned(pairs, labels, argument)
    _check(matrix, labels, argument, scaled)
    if scaled:
        _check_sums(matrix, labels, argument)
        matrix = row_standardised(matrix)
    return SpatialWeights(matrix)


def _pairs(value: Any, argument: str) -> Pairs | None:
    """The pairs of what has labels; None where it is an array."""
    value = to_pandas(value, argument)
    if isinstance(value, pd.DataFrame):
        return _of_frame(value, argument)
    if isinstance(value, np.ndarray) or depth(value) == 2:
        return None
    adjacency = getattr(value, "adjacency", None)
    if isinstance(adjacency, pd.Series) and adjacency.index.nlevels == 2:
        first, second = (list(adjacency.index.get_level_values(i)) for i in (0, 1))
        # Units without neighbours are their own with weight 0 there.
        return first, second, numbers(adjacency, argument), list(dict.fromkeys(first))
    own, weights = getattr(value, "neighbors", None), getattr(value, "weights", None)
    if isinstance(own, Mapping) and isinstance(weights, Mapping):
        ids = list(getattr(value, "id_order", None) or own)
        lists = [(i, own[i], weights[i]) for i in ids]
        return (
            [i for i, near, _ in lists for _ in near],
            [j for _, near, _ in lists for j in near],
            numbers([w for _, _, size in lists for w in size], argument),
            ids,
        )
    if all(hasattr(value, name) for name in ("nodes", "edges", "is_directed")):
        return _of_graph(value, argument)
    if isinstance(value, Mapping):
        return _of_mapping(value, argument)
    raise ArgumentTypeError(
        f"{argument} must be weights of neighbours: a sparse matrix, an array or a DataFrame "
        f"K x K, a frame of pairs, or a graph of libpysal or networkx; got {came(value)}"
    )


def _of_graph(graph: Any, argument: str) -> Pairs:
    found = [(i, j, data.get("weight", 1.0)) for i, j, data in graph.edges(data=True)]
    if not graph.is_directed():
        found += [(j, i, w) for i, j, w in found if i != j]
    size = numbers([w for _, _, w in found], argument)
    return [i for i, _, _ in found], [j for _, j, _ in found], size, list(graph.nodes)


def _of_mapping(value: Mapping[Any, Any], argument: str) -> Pairs:
    first: list[Any] = []
    second: list[Any] = []
    size: list[Any] = []
    for unit, near in value.items():
        if isinstance(near, str) or not isinstance(near, Iterable):
            raise ArgumentTypeError(
                f"{argument}: neighbours of {shown(unit)} must be a list, or a mapping to weights, "
                f"got {came(near)}"
            )
        listed_ = list(near)
        first.extend([unit] * len(listed_))
        second.extend(listed_)
        size.extend(near.values() if isinstance(near, Mapping) else [1.0] * len(listed_))
    return first, second, numbers(size, argument), None


def _of_frame(frame: pd.DataFrame, argument: str) -> Pairs:
    """A matrix where rows and columns have the same labels, else pairs."""
    rows, columns = list(frame.index), list(frame.columns)
    if len(rows) == len(columns) and set(map(spell, rows)) == set(map(spell, columns)):
        for axis, labels in (("row", rows), ("column", columns)):
            _unique(labels, f"{argument}: the {axis}")
        # By what labels are called: a file has columns of text for rows of numbers.
        order = {spell(label): i for i, label in enumerate(columns)}
        size = numbers(frame, argument)[:, [order[spell(label)] for label in rows]]
        at = np.nonzero(size)
        first = [rows[i] for i in at[0]]
        return first, [rows[j] for j in at[1]], size[at], rows
    if frame.shape[1] not in (2, 3):
        raise ShapeError(
            f"{argument} must be K x K with units as rows and as columns, or have two columns of "
            f"units and neighbours and a third of weights, if any; got a DataFrame of shape "
            f"{frame.shape}"
        )
    weights = numbers(frame.iloc[:, 2], argument) if frame.shape[1] == 3 else np.ones(len(frame))
    return list(frame.iloc[:, 0]), list(frame.iloc[:, 1]), weights, None


def _unique(labels: list[Any], what: str) -> None:
    twice = pd.Index(labels).duplicated()
    if twice.any():
        raise OptionError(f"{what} {shown(labels[int(np.argmax(twice))])} is there twice")


def _positional(value: Any, labels: list[Any], argument: str) -> Any:
    """A matrix in the order of the units."""
    K = len(labels)
    if tuple(value.shape) != (K, K):
        raise ShapeError(
            f"{argument} must be {K} x {K}, a row and a column for each unit, got the shape "
            f"{tuple(value.shape)}"
        )
    return scipy.sparse.coo_array(value, dtype=float)


def _aligned(pairs: Pairs, labels: list[Any], argument: str) -> Any:
    """The matrix of pairs, by labels."""
    first, second, size, ids = pairs
    K = len(labels)
    known = _Positions(labels)
    for label in (*first, *second):
        if not is_hashable(label):
            raise OptionError(f"{argument}: {shown(label)} is no unit{close(str(label), labels)}")
    named = list(dict.fromkeys([*(ids or ()), *first, *second]))
    position = {label: known.find(label) for label in named}
    if ids is not None and all(at is None for at in position.values()) and _counted(ids, K):
        position = {label: int(label) for label in named}
    for label, at in position.items():
        if at is None:
            raise OptionError(f"{argument}: {shown(label)} is no unit{close(label, labels)}")
    if ids is not None and len(ids) < K:
        have = {position[label] for label in ids}
        gone = [shown(label) for i, label in enumerate(labels) if i not in have]
        raise OptionError(f"{argument} has no row for {listed(gone)}")
    at = np.array([[position[i] for i in first], [position[j] for j in second]], dtype=int)
    flat = at[0] * K + at[1]
    order = np.argsort(flat, kind="stable")
    again = np.flatnonzero(np.diff(flat[order]) == 0)
    if len(again):
        i = int(order[again[0] + 1])
        raise OptionError(
            f"{argument}: {shown(second[i])} is given twice as a neighbour of {shown(first[i])}"
        )
    return scipy.sparse.coo_array((size, (at[0], at[1])), shape=(K, K))


class _Positions:
    """Where labels stand: as they are, else as they are spelt."""

    def __init__(self, labels: list[Any]) -> None:
        self._own = {label: i for i, label in enumerate(labels)}
        self._spelt = {spell(label): i for i, label in enumerate(labels)}

    def find(self, label: Any) -> int | None:
        found = self._own.get(label)
        return self._spelt.get(spell(label, self._spelt)) if found is None else found


def _counted(ids: list[Any], K: int) -> bool:
    """Whether ids are those that graphs of arrays have."""
    whole = all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in ids)
    return whole and sorted(ids) == list(range(K))


def _check(matrix: Any, labels: list[Any], argument: str, scaled: bool) -> None:
    """Finite weights, of others, not below zero where they are to be standardised."""

    def pair(i: int) -> str:
        return f"of {shown(labels[matrix.coords[0][i]])} and {shown(labels[matrix.coords[1][i]])}"

    bad = np.flatnonzero(~np.isfinite(matrix.data))
    if len(bad):
        at = int(bad[0])
        raise NonFiniteError(f"{argument}: the weight {pair(at)} is {matrix.data[at]:g}")
    own = np.flatnonzero((matrix.coords[0] == matrix.coords[1]) & (matrix.data != 0.0))
    if len(own):
        label = labels[matrix.coords[0][own[0]]]
        raise OptionError(f"{argument}: {shown(label)} is its own neighbour; the diagonal is zero")
    below = np.flatnonzero(matrix.data < 0.0)
    if scaled and len(below):
        raise OptionError(
            f"{argument}: the weight {pair(int(below[0]))} is negative; rows of such weights are "
            "not standardised, use standardize=False"
        )
    if not np.any(matrix.data):
        raise OptionError(f"{argument}: nobody has a neighbour, all weights are zero")


def _check_sums(matrix: Any, labels: list[Any], argument: str) -> None:
    """Of weights of any size, a sum beyond the range of numbers."""
    with np.errstate(over="ignore"):
        total = np.asarray(matrix.tocsr().sum(axis=1)).ravel()
    if not np.isfinite(total).all():
        label = labels[int(np.argmin(np.isfinite(total)))]
        raise NonFiniteError(f"{argument}: weights of {shown(label)} are too large to be summed")
