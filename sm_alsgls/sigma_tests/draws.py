"""Statistics of systems drawn under the null, and what one is among them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sm_alsgls.core.maximise.als import Start, als
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance.base import factors_of
from sm_alsgls.progress import counted
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.in_sample import used_fitted


def diagonal_nll(problem: Problem) -> float:
    """NLL per row of rank 0, OLS equation by equation."""
    each = math.log(2.0 * math.pi) + 1.0 + np.log(problem.s_ols)
    return 0.5 * float(problem.counts @ each) / problem.n_obs


def ratio_of(problem: Problem, low: int, high: int) -> float:
    """2 N (nll_low - nll_high), both from one start, the larger from the smaller."""
    if low == 0:
        nll, start = diagonal_nll(problem), None
    else:
        small = als(problem, low)
        nll = small.nll
        start = Start("one more", gamma=small.gamma, d=factors_of(small.cov).uniquenesses)
    return 2.0 * problem.n_obs * (nll - als(problem, high, start).nll)


def draws_of(
    estimate: Estimate, statistic: Callable[[Problem], float], rank: int
) -> Callable[[np.random.Generator], float]:
    """The statistic of a system drawn from the null: diagonal (rank 0), or the fitted one."""
    sample, problem = estimate.sample, estimate.sample.problem
    fitted = used_fitted(estimate)
    # Compressed rows know the responses they were made from.
    design = sample.whole_design

    def draw(rng: np.random.Generator) -> float:
        if rank == 0:
            # Pivotal: neither coefficients nor variances matter.
            Y = rng.standard_normal(fitted.shape)
        else:
            Y = fitted + estimate.row_sigma.sample(rng, len(fitted))
        return statistic(problem.with_responses(Y, design))

    return draw


def all_rows(estimate: Estimate) -> Problem:
    """The system on the rows of its data, not on compressed ones."""
    sample = estimate.sample
    Y, problem = sample.responses, sample.problem
    return problem.with_responses(Y, sample.whole_design)


def monte_carlo(
    statistic: float,
    draw: Callable[[np.random.Generator], float],
    reps: int,
    rng: np.random.Generator | None,
) -> float:
    """P-value of a statistic among ``reps`` draws, (1 + #{as extreme}) / (1 + reps)."""
    draws = np.random.default_rng(0) if rng is None else rng
    # The data are one draw of reps + 1 (Barnard 1963); rounding must not break a tie.
    level = statistic - 1e-9 * max(1.0, abs(statistic))
    exceed = sum(draw(draws) >= level for _ in counted(range(reps), "draws", unit="draw"))
    return (1 + exceed) / (1 + reps)
