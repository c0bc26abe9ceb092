"""Units in which variances are near 1: powers of two, so that nothing but exponents changes.

The likelihood of Y diag(1/c) is that of Y but for the Jacobian, and all that belongs to a fit is
carried over: gamma_j / c_j, E diag(1/c), Sigma_jl / (c_j c_l), and the NLL per row less
sum_j (N_j / N) log c_j. Products of two variances, of which curvatures and corrections are full,
leave the range of doubles where responses are of size 1e-77 or 1e77; in these units they do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np

from sm_alsgls.core.maximise.found import Search
from sm_alsgls.core.maximise.solution import Solution, Start, Sweep
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.second_order.curvature import Curvature
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.units import units

Array = np.ndarray

# OLS variances outside of this are standardised: their fourth powers must stay in range, with
# uniquenesses down to 1e-12 of them.
_LEAST, _MOST = 1e-60, 1e60
# No uniqueness is returned below this.
_SMALLEST = 1e-307


def units_of(problem: Problem) -> Array | None:
    """Units (K,) of a problem whose residual variances are extreme, None of any other.

    Where coefficients are tied all equations have one unit, as far as that will do: least squares
    of restricted equations, from which two-step estimators start, weighs them by their units.
    """
    s = problem.s_ols
    if _ordinary(s):
        return None
    if problem.design.restricted:
        one = units(np.sqrt(np.full(len(s), s.min())) * np.sqrt(s.max()))
        if _ordinary(s / one**2):
            return one
    return units(s)


def _ordinary(variances: Array) -> bool:
    return bool(np.all(variances > _LEAST) and np.all(variances < _MOST))


def in_units(searcher: Callable[..., Search]) -> Callable[..., Search]:
    """A search that runs on standardised responses where theirs are extreme.

    What comes back is in the units of the problem that was given.
    """

    @wraps(searcher)
    def search(problem: Problem, rank: int, **kwds: Any) -> Search:
        c = units_of(problem)
        if c is None:
            return searcher(problem, rank, **kwds)
        scale = _Scale(problem, c)
        first, callback = kwds.pop("first", None), kwds.pop("callback", None)
        found = searcher(
            scale.inner,
            rank,
            first=None if first is None else scale.start(first),
            callback=None if callback is None else lambda sweep: callback(scale.sweep(sweep)),
            **kwds,
        )
        return scale.found(found)

    return search


def curvature_in_units(
    curvature_of: Callable[..., Curvature | None],
) -> Callable[..., Curvature | None]:
    """The lowest curvature at a solution, found as `in_units` searches."""

    @wraps(curvature_of)
    def curvature(problem: Problem, solution: Solution) -> Curvature | None:
        c = units_of(problem)
        if c is None:
            return curvature_of(problem, solution)
        scale = _Scale(problem, c)
        found = curvature_of(scale.inner, scale.inward(solution))
        return None if found is None else scale.curvature(found)

    return curvature


class _Scale:
    """A problem in other units, and what is found there in those of the problem."""

    def __init__(self, problem: Problem, c: Array) -> None:
        self._problem, self._c = problem, c
        self._shift = float(problem.counts @ np.log(c)) / problem.n_obs
        self.inner = problem.rescaled(c)

    def _carried(self, gamma: Array, back: bool = False) -> Array:
        here, there = self._problem.design, self.inner.design
        if back:
            return there.carried(gamma, 1.0 / self._c, here)
        return here.carried(gamma, self._c, there)

    def start(self, start: Start) -> Start:
        """A start of the caller's in the units of the search."""
        back = 1.0 / self._c
        return replace(
            start,
            gamma=None if start.gamma is None else self._carried(start.gamma, back=True),
            cov=None if start.cov is None else start.cov.scaled(back),
            near=None if start.near is None else start.near.scaled(back),
            d=None if start.d is None else start.d * back * back,
            block=None,
        )

    def inward(self, solution: Solution) -> Solution:
        """A solution of the problem in the units of the search."""
        back = 1.0 / self._c
        return replace(
            solution,
            gamma=self._carried(solution.gamma, back=True),
            E=solution.E * back,
            cov=solution.cov.scaled(back),
            nll=solution.nll - self._shift,
            block=None,
        )

    def sweep(self, row: Sweep) -> Sweep:
        """A row of the trace with the Jacobian."""
        return row._replace(nll_beta=row.nll_beta + self._shift, nll=row.nll + self._shift)

    def found(self, found: Search) -> Search:
        """All of a search."""
        shift = self._shift
        return replace(
            found,
            best=self._solution(found.best),
            runs=tuple(run._replace(nll=run.nll + shift) for run in found.runs),
            curvature=None if found.curvature is None else self.curvature(found.curvature),
            rungs=tuple(rung._replace(nll=rung.nll + shift) for rung in found.rungs),
        )

    def _solution(self, best: Solution) -> Solution:
        gamma = self._carried(best.gamma)
        return replace(
            best,
            gamma=gamma,
            E=self._problem.residuals(gamma),
            cov=self._covariance(best.cov),
            nll=best.nll + self._shift,
            trace=tuple(self.sweep(row) for row in best.trace),
            block=None,
        )

    def _covariance(self, cov: Covariance) -> Covariance:
        low = cov.low_rank
        if low is not None:
            # 1 / d must be finite, which a Heywood case of a response of 1e-150 is not by itself.
            d = low.uniquenesses * self._c * self._c
            if (d < _SMALLEST).any():
                F = low.loadings * self._c[:, None]
                return LowRankDiag.from_factors(F, np.maximum(d, _SMALLEST))
        return cov.scaled(self._c)

    def curvature(self, curvature: Curvature) -> Curvature:
        """A direction in the units of the problem."""
        return replace(
            curvature,
            gamma=self._carried(curvature.gamma) - self._carried(np.zeros_like(curvature.gamma)),
            F=curvature.F * self._c[:, None],
        )
