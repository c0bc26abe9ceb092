"""Which cells rows lack: patterns of equal size side by side, to be worked on at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray


class Group(NamedTuple):
    """G patterns that lack m equations each, and have c rows each.

    Attributes
    ----------
    rows : ndarray of int, shape (G, c)
    missing : ndarray of int, shape (G, m)
    """

    rows: Array
    missing: Array


def groups(patterns: Patterns) -> list[Group]:
    """The rows that lack something, as rectangles.

    Examples
    --------
    >>> mask = np.array([[True, True, False], [True, True, True], [True, True, False]])
    >>> groups(Patterns(mask))
    [Group(rows=array([[0, 2]]), missing=array([[2]]))]
    """
    of = patterns.to_rows(np.arange(patterns.G))
    order = np.argsort(of, kind="stable")
    stop = np.cumsum(patterns.counts).astype(np.intp)
    lacks = patterns.cells == 0.0
    alike: dict[tuple[int, int], list[int]] = {}
    for g in np.flatnonzero(lacks.any(axis=0)):
        alike.setdefault((int(lacks[:, g].sum()), int(patterns.counts[g])), []).append(int(g))
    return [
        Group(
            np.stack([order[stop[g] - c : stop[g]] for g in these]),
            np.stack([np.flatnonzero(lacks[:, g]) for g in these]),
        )
        for (_, c), these in alike.items()
    ]
