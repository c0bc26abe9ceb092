"""Dense EM: the baseline that alternating least squares is compared with.

It maximises the same likelihood over (beta, F, d), ridges and lower bounds of d included, with the
factors z_n ~ N(0, I_r) of e_n = F z_n + u_n, u_n ~ N(0, D), as missing data. One iteration, with
P = Sigma^-1 the dense K x K inverse of the current Sigma = F F' + D and S = E'E/N:

    1. beta-step  gamma <- gamma + H^-1 Q' vec(E P),     H_jl = P_jl Q_j' Q_l,  dense P x P
    2. E-step     B = F' P,     Z = E B'  (row n is E[z_n | e_n]),
                  A = sum_n E[z_n z_n' | e_n] = N (I - B F) + Z'Z = N (I - B F + B S B')
    3. M-step     F <- (E'Z) A^-1,     d_j <- max( s_j - f_j' (E'Z)_j / N, floor_j )

Steps 2 and 3 are EM for factor analysis (Rubin and Thayer 1982, Psychometrika 47, eq. 6-8). Step 1
maximises the likelihood itself, not the expected one, so the whole is ECME (Liu and Rubin 1994,
Biometrika 81): no step lets the likelihood fall. A ridge lam_B adds N A_B to H. A ridge lam_F adds
N lam_F I to A in step 3, and the same formula for d: the penalty lam_F |f_j|^2 / d_j is the
ridge of the regression of e_j on z.

What is dense is so on purpose: P, and two P x P arrays (the Q_j' Q_l, made once, and H). The
published baseline of alsgls 0.1 (`em_gls`; later versions have none) forms the same K x K inverse
and P x P normal equations. Its Sigma-step, though, is a least-squares alternation without
posterior variances, which does not climb the likelihood; this one does. An M-step that regresses
y_j - Z f_j on X_j would need no P x P array, and more iterations.

EM converges linearly, at the rate of the missing information: slowly where factors are weak, and
slower than linearly towards a d_j on its bound. Use `als`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg

from sm_alsgls.core.beta.dense_gls import DenseGLS, inverse
from sm_alsgls.core.maximise.loop import iterate
from sm_alsgls.core.maximise.search import CURVATURE_LIMIT, Run, Search, curvature_at
from sm_alsgls.core.maximise.solution import Solution, Start, Sweep
from sm_alsgls.core.maximise.starts import random_start
from sm_alsgls.core.maximise.units import in_units
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import OptionError

Array = np.ndarray

__all__ = ["em", "em_search"]


class _Point(NamedTuple):
    gamma: Array
    E: Array
    cov: LowRankDiag
    at_bound: Array
    nll_beta: float
    nll: float
    size: Stationarity
    drop: float = math.inf


def em(
    problem: Problem,
    rank: int,
    start: Start | None = None,
    *,
    max_sweeps: int | None = None,
    callback: Callable[[Sweep], object] | None = None,
) -> Solution:
    """Maximise the likelihood over (beta, F, d) from one start, by dense EM.

    Parameters
    ----------
    problem : Problem
        Its options' rel_tol, gtol, max_sweeps (here iterations), d_floor and ridges apply;
        cg_tol and cg_maxit have nothing to do.
    rank : int
        Number of factors r.
    start : Start, optional
        Default: OLS residuals, uniquenesses of half their variances, principal components.
    max_sweeps : int, optional
        Overrides the options'.
    callback : callable, optional
        As in `als`.

    Returns
    -------
    Solution
        Converged under the criteria of `als`.

    Raises
    ------
    OptionError
        Restrictions on coefficients, or dense arrays of more than 4 GiB.

    Notes
    -----
    An iteration costs P^3/3 + K^3 + n (P + K^2); memory 8 (2 P^2 + 3 K^2) bytes besides a few
    (n, K) arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.maximise.als import als
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((80, 2)) for _ in range(6)]
    >>> Y = rng.standard_normal((80, 1)) + rng.standard_normal((80, 6))
    >>> problem = Problem(X, Y, ALSOptions())
    >>> slow, fast = em(problem, 1), als(problem, 1)
    >>> bool(slow.converged and abs(slow.nll - fast.nll) < 1e-9)
    True
    >>> len(slow.trace) > 3 * len(fast.trace)
    True
    """
    limit = problem.options.max_sweeps if max_sweeps is None else max_sweeps
    return iterate(EM(problem, rank, start or Start()), limit, callback)


class EM:
    """The method of the module, for `iterate`."""

    def __init__(self, problem: Problem, rank: int, start: Start) -> None:
        if not (problem.errors.whole and problem.errors.climbs):
            raise OptionError("EM is of the low-rank law of whole rows; use method='als'")
        self._problem, self._rank, self._start = problem, rank, start
        self._beta_step = DenseGLS(problem.design, problem.n_obs, problem.ridge)

    def init(self) -> _Point:
        """The first point, with closed-form loadings of d where the start brings no Sigma."""
        problem, start, rank = self._problem, self._start, self._rank
        gamma = problem.gamma_ols if start.gamma is None else start.gamma
        E = problem.residuals(gamma)
        cov = None if start.cov is None else start.cov.low_rank
        if cov is None:
            S = E.T @ E / problem.n_obs
            d = np.maximum(0.5 * np.diagonal(S) if start.d is None else start.d, problem.floor)
            root, K = np.sqrt(d), problem.K
            F = np.empty((K, 0))
            if rank > 0:
                S /= root[:, None] * root
                theta, V = scipy.linalg.eigh(S, subset_by_index=(K - rank, K - 1))
                # Not (theta - 1)_+: a column of zeros stays zero for ever.
                F = root[:, None] * V * np.sqrt(np.maximum(theta - 1.0, 0.01))
        else:
            F, d = cov.loadings, cov.uniquenesses
        first = LowRankDiag.from_factors(F, d)
        return self._measured(gamma, E, first, np.zeros(problem.K, dtype=bool), math.nan)

    def _measured(
        self, gamma: Array, E: Array, cov: LowRankDiag, at_bound: Array, nll_beta: float
    ) -> _Point:
        problem = self._problem
        size = problem.stationarity(gamma, E, cov, at_bound)
        return _Point(gamma, E, cov, at_bound, nll_beta, problem.objective(gamma, E, cov), size)

    def done(self, state: _Point) -> str:
        """Under the criteria of `als`."""
        options = self._problem.options
        # Half: the last beta-step moves the gradient in d a little.
        at_rest = max(state.size.score_beta, 2.0 * state.size.gradient_d) <= options.gtol
        if at_rest and state.drop <= options.rel_tol * max(1.0, abs(state.nll)):
            return "stationary"
        return ""

    def step(self, state: _Point) -> _Point:
        """One iteration; numbers as in the module's docstring."""
        problem = self._problem
        N, lam_F = problem.n_obs, problem.options.lam_F
        precision = inverse(state.cov)
        # 1. beta-step
        gamma, E = self._moved(state, precision)
        nll_beta = problem.objective(gamma, E, state.cov)
        # 2. E-step
        F = state.cov.loadings
        B = F.T @ precision
        Z = E @ B.T
        A = N * (np.eye(F.shape[1]) - B @ F) + Z.T @ Z
        # 3. M-step
        EZ = E.T @ Z
        F = np.linalg.solve(A + N * lam_F * np.eye(F.shape[1]), EZ.T).T
        s = np.vecdot(E.T, E.T) / N
        d = s - np.einsum("kr,kr->k", F, EZ) / N
        at_bound = d < problem.floor
        cov = LowRankDiag.from_factors(F, np.maximum(d, problem.floor))
        point = self._measured(gamma, E, cov, at_bound, nll_beta)
        return point._replace(drop=state.nll - point.nll)

    def _moved(self, state: _Point, precision: Array) -> tuple[Array, Array]:
        """Coefficients and residuals of GLS."""
        gamma = self._beta_step(state.gamma, state.E, precision)
        return gamma, self._problem.residuals(gamma)

    def stuck(self, state: _Point) -> str:
        """Never: it only is slow."""
        return ""

    def exhausted(self, limit: int) -> str:
        """The knob, and the remedy."""
        return (
            f"max_sweeps={limit} iterations of EM reached; raise max_sweeps, "
            "or fit with method='als'"
        )

    def row(self, number: int, state: _Point, seconds: float) -> Sweep:
        """A line of the trace."""
        size = state.size
        return Sweep(
            number, state.nll_beta, state.nll, 1.0, 0, 1, size.gradient_d, size.score_beta, seconds
        )

    def close(self, state: _Point, status: str, trace: tuple[Sweep, ...]) -> Solution:
        """The point; where it is stationary with the coefficients of its Sigma, as in `als`."""
        if status == "stationary":
            gamma, E = self._moved(state, inverse(state.cov))
            state = self._measured(gamma, E, state.cov, state.at_bound, state.nll_beta)
        return Solution(
            state.gamma,
            state.E,
            state.cov,
            state.nll,
            status == "stationary" and max(state.size) <= self._problem.options.gtol,
            status,
            trace,
            state.at_bound,
            state.size.gradient_d,
            state.size.score_beta,
            self._start.label,
        )


@in_units
def em_search(
    problem: Problem,
    rank: int,
    *,
    n_starts: int | None = None,
    rng: np.random.Generator | None = None,
    first: Start | None = None,
    callback: Callable[[Sweep], object] | None = None,
    after_first: Callable[[Problem, Solution], object] | None = None,
) -> Search:
    """Run EM from ``first`` and from ``n_starts`` - 1 random starts, each to its end.

    One start by default, as every EM baseline: what finds the best of many maxima is `search`,
    whose random starts these are. The curvature is computed, as there, for small systems, but
    at converged points only, and nothing is done about a saddle.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    solutions: list[Solution] = []
    stopped = False

    def watch(sweep: Sweep) -> object:
        nonlocal stopped
        answer = callback(sweep) if callback is not None else None
        stopped = stopped or bool(answer)
        return answer

    start = first
    limit = 1 if n_starts is None or rank == 0 else n_starts
    for index in range(limit):
        if index > 0:
            start = random_start(problem, rank, rng, index - 1)
        if index == 1 and after_first is not None:
            after_first(problem, solutions[0])
        solutions.append(em(problem, rank, start, callback=watch))
        if stopped:
            break
    best = min(solutions, key=lambda s: s.nll)
    small = problem.design.n * problem.K <= CURVATURE_LIMIT
    curvature = curvature_at(problem, best) if best.converged and rank > 0 and small else None
    runs = tuple(
        Run(s.label, s.nll, s.nll - best.nll, len(s.trace) - 1, s.status) for s in solutions
    )
    return Search(best, runs, curvature, method="em")
