"""The fit of interactive effects, weighted by what errors are correlated in time as well.

1. A weighted fit as if errors were independent (`search`), and rho of its residuals (`serial`).
2. Where rho is further from 0 than chance takes it, 1.96 / f^1/2, f the degrees of freedom: all
   starts again with P of that rho, from the b of step 1 too; from that alone beyond 40,000 cells,
   where factors are told from errors of any correlation.
3. rho of that fit, a climb from its b, and again, until rho moves less than a hundredth of f^-1/2.
   Near 1 it may go to and fro: where it turns, and by more than half of its last move, it goes half
   as far from then on. After 20 rounds any that moves by no more than f^-1/2, its standard error.

A correlated error has larger leading singular values than a white one of the same variance, and
where these reach those of the factors the least sum of squares takes errors for factors. In Bai's
design with errors that are AR(1) of .5, 20 x 20, it does so in one panel of eight, and the root
mean square error is .15; with P of rho .08, and the same as without where errors are independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from sm_alsgls.core.interactive.climb import Climb
from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.search import SMALL, interactive_fit
from sm_alsgls.core.interactive.serial import MOST, beyond_chance

Array = np.ndarray

_CHANCE, _TOL, _MOST_ROUNDS = 1.96, 0.01, 20


def correlated_fit(
    panel: Panel,
    effects: Effects,
    rank: int,
    *,
    n_random: int | None = None,
    most: int | None = None,
    rng: np.random.Generator | None = None,
    beta: Array | None = None,
    only_given: bool = False,
    gtol: float = 1e-8,
    max_iter: int = 500,
    callback: Callable[[Climb], object] | None = None,
) -> InteractiveFit:
    """A weighted fit with rho of its own; with missing cells rho is 0.

    Where rounds of rho end and it would still move by more than chance, the status says so.

    Parameters
    ----------
    panel, effects, rank, n_random, most, rng, beta, only_given, gtol, max_iter, callback
        As `interactive_fit` has them. Starts are run, and told, once without and once with rho,
        ``most`` each time; where ``callback`` ended them without, step 1's b is all with rho.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.interactive.serial import coloured
    >>> rng = np.random.default_rng(0)
    >>> f, a = rng.standard_normal((40, 1)), rng.standard_normal((30, 1))
    >>> X = (f @ a.T + rng.standard_normal((40, 30)))[None]
    >>> Y = 2.0 * X[0] + 3.0 * f @ a.T + coloured(rng.standard_normal((40, 30)), 0.6)
    >>> found = correlated_fit(Panel(Y, X), Effects.of(40, 30), 1)
    >>> bool(abs(found.beta[0] - 2.0) < 0.1), bool(abs(found.rho - 0.6) < 0.08)
    (True, True)
    """
    search = partial(
        interactive_fit, panel, effects, rank,
        n_random=n_random, most=most, rng=rng, gtol=gtol, max_iter=max_iter,
    )  # fmt: skip
    ended = False

    def told(climb: Climb) -> bool:
        nonlocal ended
        ended = callback is not None and bool(callback(climb))
        return ended

    first = search(beta=beta, only_given=only_given, callback=told)
    chance = 1.0 / math.sqrt(max(first.df_resid, 1))
    rho = 0.0 if panel.seen is not None else _rho(first)
    if abs(rho) <= _CHANCE * chance:
        return first
    alone = only_given or ended or panel.Y.size > SMALL
    now = search(rho=rho, beta=first.beta, only_given=alone, callback=told)
    runs = now.runs
    rounds, share, last = 0, 1.0, 0.0
    while abs(move := (there := _rho(now)) - now.rho) > _TOL * chance and rounds < _MOST_ROUNDS:
        if move * last < -0.5 * last**2:
            share *= 0.5
        now = search(rho=there - (1.0 - share) * move, beta=now.beta, only_given=True)
        rounds, last = rounds + 1, move
    status = now.status
    # Between two minima rho may have no place of rest; within its standard error any will do.
    if now.converged and abs(move) > chance:
        status = (
            f"{rounds} rounds of the correlation in time did not suffice, which was {now.rho:.4f} "
            f"and would move by {move:.1g}: give it, ar={now.rho:.2f}"
        )
    return replace(now, bai=first.bai, runs=runs, status=status)


def _rho(fit: InteractiveFit) -> float:
    U = np.column_stack([fit.W.L, fit.at.factors.U])
    rho = fit.rho + beyond_chance(fit.at.E, U)
    return min(max(rho, -MOST), MOST)
