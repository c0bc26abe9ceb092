"""Where the likelihood of a system with missing cells has no bound.

Let r + 1 equations J be observed together in n_J > 0 rows. With d_j = 0 in all of them Sigma_JJ is
singular, and those rows have an infinite likelihood if their residuals lie in the span of the r
factors: always where n_J <= r, and as every coefficient can turn one residual, where

    n_J <= r + sum_{j in J} p_j.

Rows that have only some of J stay regular. Complete data meet this only where N is that small; with
holes a single pair that shares one row will do (r = 1). A lower bound of d keeps the likelihood
finite and its maximum away from such points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

# Equations, those with the fewest rows, that a search for J starts from.
_SEEDS = 200


class JointRows(NamedTuple):
    """r + 1 equations that meet, and the number of rows in which they do."""

    equations: tuple[int, ...]
    rows: int


def fewest_joint_rows(patterns: Patterns, rank: int, p: Array) -> JointRows | None:
    """Equations J that factors and coefficients may fit exactly in all rows that they share.

    From each equation with few rows, those that leave the fewest joint rows are added one by one:
    greedy, so that one may be missed; what is found is there.

    Parameters
    ----------
    patterns : Patterns
    rank : int
        r.
    p : ndarray of int, shape (K,)

    Returns
    -------
    JointRows or None

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.ones((40, 3), dtype=bool)
    >>> mask[:19, 0] = mask[20:, 1] = False  # the first two meet in one row
    >>> fewest_joint_rows(Patterns(mask), 1, np.array([2, 2, 2]))
    JointRows(equations=(0, 1), rows=1)
    """
    if rank == 0:
        return None  # one equation with no more rows than regressors is refused where data are read
    seeds = np.argsort(patterns.rows, kind="stable")[:_SEEDS]
    cells = patterns.cells
    sets = seeds[:, None]
    shared = cells[seeds] * patterns.counts
    for _ in range(rank):
        joint = shared @ cells.T
        joint[joint == 0.0] = np.inf
        np.put_along_axis(joint, sets, np.inf, axis=1)
        nearest = joint.argmin(axis=1)
        meet = np.isfinite(joint[np.arange(len(joint)), nearest])
        sets = np.column_stack([sets, nearest])[meet]
        shared = shared[meet] * cells[nearest[meet]]
    rows = shared.sum(axis=1)
    short = np.flatnonzero(rows <= rank + p[sets].sum(axis=1))
    if not len(short):
        return None
    first = short[rows[short].argmin()]
    return JointRows(tuple(sorted(int(j) for j in sets[first])), round(float(rows[first])))
