"""What a search found: its best solution, a row for each run, and the rungs it climbed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from sm_alsgls.core.maximise.solution import Solution
from sm_alsgls.core.second_order.curvature import Curvature


class Rung(NamedTuple):
    """The best fit that a climb found at a rank, as NLL per row, and its Heywood cases."""

    nll: float
    heywood: int


class Run(NamedTuple):
    """One row of the table of starts; ``gap`` is its NLL per row above the best."""

    start: str
    nll: float
    gap: float
    sweeps: int
    ended: str


@dataclass(frozen=True)
class Search:
    """The best solution, how the others ended, the curvature at the best, and who searched.

    ``rungs`` are the best fits of ranks 0 to r - 1 on the way, where the search climbed. Where the
    likelihood has no bound at this rank (`core.sigma.bounded`) ``bounded`` is False, and only
    the first start was run unless more were asked for: a better one would be a spike.
    """

    best: Solution
    runs: tuple[Run, ...]
    curvature: Curvature | None = field(default=None, repr=False)
    method: str = "als"
    rungs: tuple[Rung, ...] = field(default=(), repr=False)
    bounded: bool = True
