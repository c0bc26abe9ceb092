"""The criterion of the default rank, of equations in tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sm_alsgls.core.across import Across
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.rank.default import EXACT, bic, is_past
from sm_alsgls.core.rank.path import path_gtol
from sm_alsgls.core.sigma.block_spectrum import widened
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.core.tiles.problem import TiledProblem
from sm_alsgls.core.tiles.source import TileSource


@on_one_thread
def rank_part(
    source: TileSource, across: Across, ranks: Sequence[int], options: ALSOptions
) -> dict[int, float]:
    """2 n nll_r(E_ols) + m(r) log n of each candidate, as `core.rank.default` has it, as a program.

    One Sigma-step a candidate from that of the last, of three to six passes, until the criterion
    is past its lowest. What a second start of small systems finds is not looked for.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.across import ALONE
    >>> from sm_alsgls.core.tiles.source import ArraySource
    >>> rng = np.random.default_rng(0)
    >>> F = rng.standard_normal((80, 2))
    >>> Y = rng.standard_normal((50, 2)) @ F.T + rng.standard_normal((50, 80))
    >>> found = rank_part(ArraySource(np.ones((80, 50, 1)), Y), ALONE, range(6), ALSOptions())
    >>> list(found), min(found, key=found.get)
    ([0, 1, 2, 3], 2)
    """
    problem = TiledProblem(source, options, across)
    E, constant = problem.E_ols, problem.errors.constant
    n = problem.n_obs - problem.n_coefficients / problem.K
    gtol = min(EXACT, path_gtol(problem.n_obs))
    found: dict[int, float] = {}
    last = None
    for rank in ranks:
        # A diagonal Sigma's d say nothing of a factor.
        start: dict[str, Any] = {}
        if last is not None:
            block = widened(last.block, problem.s_ols, E.n, rank, E.first, across)
            start = {"d": last.cov.uniquenesses, "block": block}
        step = problem.sigma_step(E, rank, gtol=gtol, **start)
        found[rank] = bic(rank, step.nll + constant, n, problem.K)
        if is_past(found, n, problem.K):
            break
        last = step if rank > 0 else None
    return found
