"""Regressors whose slopes factors and effects take away.

A regressor that is constant over time is c_i' xi_t of one loading that is known, one that is
constant over units f_t' lambda_i of one known factor: matrices of rank one. As long as there are
factors they are not told apart from these without more assumptions (Bai 2009, section 9, has
some); with effects they are gone altogether. So is a regressor of rank up to r beside the effects,
as the sum of the two is, or the product of a trend and a unit's size, and so is a combination of
such.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg

from sm_alsgls.core.interactive.holes import filled
from sm_alsgls.core.interactive.leading import leading
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.scaled import scaled

Array = np.ndarray

_NOTHING = 1e-8

OVER_TIME = "constant over time"
OVER_UNITS = "constant over units"
EFFECTS = "nothing but the effects"
LOW_RANK = "of no more dimensions than the factors"
COLLINEAR = "a combination of other regressors, beside the effects"


class Unidentified(NamedTuple):
    """A regressor without a slope, and why."""

    column: int
    reason: str
    others: tuple[int, ...] = ()  #: of a combination, the other regressors


class Scarce(NamedTuple):
    """Units and periods with fewer observed cells than they have loadings or factors."""

    units: Array
    periods: Array


def unidentified(panel: Panel, effects: Effects, rank: int) -> tuple[Unidentified, ...]:
    """Every regressor that is to be refused, in order; empty where all slopes are told.

    Parameters
    ----------
    panel : Panel
    effects : Effects
    rank : int

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.interactive.panel import Effects, Panel
    >>> rng = np.random.default_rng(0)
    >>> size = np.broadcast_to(rng.standard_normal(6), (9, 6))
    >>> panel = Panel(rng.standard_normal((9, 6)), np.stack([rng.standard_normal((9, 6)), size]))
    >>> unidentified(panel, Effects.of(9, 6, unit=True), 1)
    (Unidentified(column=1, reason='constant over time', others=()),)
    """
    whole = filled(panel)
    seen = np.ones(panel.Y.shape, dtype=bool) if panel.seen is None else panel.seen
    W = scaled(whole, effects, np.ones(panel.n))
    found: list[Unidentified] = []
    left: list[int] = []
    for j in range(panel.p):
        reason = _reason(whole.X[j], seen, W.X[j], rank, effects)
        if reason:
            found.append(Unidentified(j, reason))
        else:
            left.append(j)
    return tuple(sorted([*found, *_collinear(W.A, left)]))


def scarce(panel: Panel, effects: Effects, rank: int) -> Scarce:
    """Units with at most kL + r periods, and periods with at most kC + r units."""
    seen = np.ones(panel.Y.shape, dtype=bool) if panel.seen is None else panel.seen
    return Scarce(
        np.flatnonzero(seen.sum(axis=0) <= effects.L.shape[1] + rank),
        np.flatnonzero(seen.sum(axis=1) <= effects.C.shape[1] + rank),
    )


def _reason(X: Array, seen: Array, A: Array, rank: int, effects: Effects) -> str:
    size = np.abs(X[seen]).max(initial=0.0)
    any_effects = bool(effects.L.shape[1] + effects.C.shape[1])
    if rank or any_effects:
        lowest = np.where(seen, X, np.inf)
        highest = np.where(seen, X, -np.inf)
        if (highest.max(axis=0) - lowest.min(axis=0)).max() <= _NOTHING * size and (
            rank or effects.L.shape[1]
        ):
            return OVER_TIME
        if (highest.max(axis=1) - lowest.min(axis=1)).max() <= _NOTHING * size and (
            rank or effects.C.shape[1]
        ):
            return OVER_UNITS
    length = float(np.linalg.norm(A))
    if length <= _NOTHING * float(np.linalg.norm(X)):
        return EFFECTS
    # Fills of holes have no more dimensions than two, which is no proof of what was observed.
    if rank and seen.all():
        top = leading(A, min(rank, *A.shape))
        if float(np.linalg.norm(A - top.product())) <= _NOTHING * length:
            return LOW_RANK
    return ""


def _collinear(A: Array, left: list[int]) -> list[Unidentified]:
    """Of regressors that are told alone, those that others span."""
    found: list[Unidentified] = []
    kept: list[int] = []
    for j in left:
        if kept:
            others = A[kept] / np.linalg.norm(A[kept], axis=1)[:, None]
            mine = A[j] / np.linalg.norm(A[j])
            weights = scipy.linalg.lstsq(others @ others.T, others @ mine)[0]
            if np.linalg.norm(mine - weights @ others) <= _NOTHING:
                used = tuple(k for k, w in zip(kept, weights, strict=True) if abs(w) > _NOTHING)
                found.append(Unidentified(j, COLLINEAR, used))
                continue
        kept.append(j)
    return found
