"""The Sigma-step without restrictions: the maximum-likelihood Sigma of given residuals.

Complete rows have a closed form, Sigma = E'E / N, at which tr(E Sigma^-1 E') / N = K. With missing
cells the likelihood of the rows of `sm_alsgls.covariance.observed_unrestricted`,

    f(Sigma) = ( sum_n log|Sigma_n| + e_n' Sigma_n^-1 e_n ) / (2 N),

is minimised. With W the rows Sigma_n^-1 e_n and Sigma = R'R, a change of the root R -> (I + X) R,
X upper triangular, its diagonal in logs, moves it by sum_{i<=j} Gamma_ij X_ij,

    Gamma = R ( sum_n Sigma_n^-1 - W'W ) R' / N .

EM (Dempster, Laird and Rubin 1977, section 4.1.3; Little and Rubin 2002, chapter 8) is
Sigma <- R'(I - Gamma) R, which to first order is the step X_ij = -Gamma_ij, X_ii = -Gamma_ii / 2:
the Newton step of complete rows, too short where pairs are seldom seen together. So each step is
that of EM divided by the share of rows in which a pair is seen, corrected by the secant pairs of
the steps before (limited-memory BFGS), and shortened until f falls. Coordinates follow Sigma: X is
always relative to the present R, where every curvature is near 1 or 2 in any units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.unrestricted import Unrestricted, of_triangle, triangle

Array = np.ndarray

_PAIRS = 15
# Steps in a row that change f by rounding only.
_MOST_FLAT = 12
# Largest step of a log-diagonal, and of another element.
_LONGEST = 1.0
# Least eigenvalue of the correlations that a search begins with.
_LEAST = 0.1
# No variance is below this.
_SMALLEST = 1e-300


@dataclass(frozen=True)
class UnrestrictedStep:
    """What the Sigma-step returns.

    Attributes
    ----------
    cov : Unrestricted
    nll : float
        f per row, without its constant.
    gradient : float
        Largest element of Gamma's upper triangle, but for what is on its floor.
    at_bound : ndarray of bool, shape (K,)
        Equations of which those before them leave no more than the floor.
    evaluations : int
    converged : bool
    memory : SecantMemory
        Curvature, to start the next Sigma-step with.
    """

    cov: Unrestricted
    nll: float
    gradient: float
    at_bound: Array
    evaluations: int
    converged: bool
    memory: SecantMemory = field(repr=False)


def on_floor(E: Array, n_obs: int, floor: Array) -> tuple[Unrestricted, Array]:
    """Sigma = E'E / N of complete residuals E (n, K), each R_jj^2 raised to ``floor`` (K,).

    Also where that was needed, (K,) of bool: the equations whose residuals are, nearly, a
    combination of those before them.

    Examples
    --------
    >>> import numpy as np
    >>> E = np.random.default_rng(0).standard_normal((30, 3))
    >>> cov, low = on_floor(E, 30, np.full(3, 1e-8))
    >>> bool(np.allclose(cov.to_dense(), E.T @ E / 30)), low.any()
    (True, np.False_)
    """
    R = triangle(E)
    R /= np.sqrt(n_obs)
    least = np.sqrt(np.maximum(floor, _SMALLEST))
    low = ~(np.abs(np.diagonal(R)) >= least)
    if low.any():
        at = np.flatnonzero(low)
        R[at, at] = np.copysign(least[at], R[at, at])
    return of_triangle(R), low


def free_of_bounds(gap: Array, at_bound: Array) -> Array:
    """Elements (K, K) of rows and columns that are not on their bound; the others are 0."""
    if not at_bound.any():
        return gap
    return np.where(at_bound[:, None] | at_bound, 0.0, gap)


def triangular(cov: Covariance) -> Unrestricted:
    """``cov`` by its triangular root, for a law that has no other."""
    root = cov.root
    return Unrestricted.from_dense(cov.to_dense()) if root is None else of_triangle(root)


def fit_observed_unrestricted(
    E: Array,
    patterns: Patterns,
    start: Unrestricted,
    floor: Array,
    *,
    gtol: float = 1e-8,
    max_iter: int = 500,
    memory: SecantMemory | None = None,
    likelihood: ObservedLikelihood | None = None,
) -> UnrestrictedStep:
    """Maximum-likelihood Sigma of residuals observed in part.

    Parameters
    ----------
    E : ndarray, shape (N, K)
        Residuals, zero in missing cells.
    patterns : Patterns
        Every pair of equations is seen together in some row, or Sigma is not identified.
    start : Unrestricted
    floor : ndarray, shape (K,)
        What R_jj^2 ends no lower than.
    gtol : float
        Bound on Gamma's elements.
    max_iter : int
        Evaluations of f.
    memory : SecantMemory, optional
        Of an earlier Sigma-step at nearby residuals.
    likelihood : ObservedLikelihood, optional
        f of these residuals, where cells are made of several rows' innovations.

    Returns
    -------
    UnrestrictedStep
        f is never above f at ``start``.

    Notes
    -----
    An evaluation costs 4/3 G K^3 + 2 N K^2 flops with G patterns.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(3)
    >>> E = rng.standard_normal((400, 1)) + rng.standard_normal((400, 4))
    >>> mask = rng.random(E.shape) < 0.7
    >>> patterns = Patterns(mask)
    >>> start = available_pairs(E * mask, patterns)
    >>> fit = fit_observed_unrestricted(E * mask, patterns, start, np.full(4, 1e-8))
    >>> fit.converged, fit.gradient < 1e-8, fit.evaluations < 20
    (True, True, True)
    """
    memory = SecantMemory(_PAIRS) if memory is None else memory
    likelihood = ObservedLikelihood(E, patterns) if likelihood is None else likelihood
    least = 0.5 * np.log(np.maximum(floor, _SMALLEST))
    point, flat = likelihood(start), 0
    while True:
        low = point.on(least)
        done = point.size(low) <= gtol
        if done or likelihood.evaluations >= max_iter or flat > _MOST_FLAT:
            break
        trial = _line_search(likelihood, point, least, low, max_iter, memory)
        if trial is not None:
            flat = flat + 1 if trial.nll >= point.nll - point.rounding else 0
            point = trial
        elif len(memory):
            memory.clear()
        else:
            break
    return UnrestrictedStep(
        point.cov, point.nll, point.size(low), low, likelihood.evaluations, done, memory
    )


def available_pairs(E: Array, patterns: Patterns) -> Unrestricted:
    """A first Sigma for residuals E (N, K), zero in missing cells: from the rows of each pair.

    Correlations over the rows that have both, 0 where there are none; their eigenvalues are kept
    from zero, below which they may lie.
    """
    mask = patterns.mask.astype(float)
    s = np.sqrt(np.vecdot(E.T, E.T) / patterns.rows)
    s = np.where(s > 0.0, s, 1.0)
    Z = E / s
    S = (Z.T @ Z) / np.maximum(mask.T @ mask, 1.0)
    values, vectors = np.linalg.eigh(S)
    R = triangle(np.sqrt(np.maximum(values, _LEAST))[:, None] * vectors.T)
    return of_triangle(R * s)


@dataclass(frozen=True)
class ObservedPoint:
    """A Sigma with its f and ``whitened``, Gamma (K, K)."""

    cov: Unrestricted
    nll: float
    whitened: Array
    rounding: float

    @property
    def gradient(self) -> Array:
        """Gamma's upper triangle, flat."""
        return self.whitened[np.triu_indices(self.cov.K)]

    def size(self, at_bound: Array) -> float:
        """Largest element of the gradient, but for what is on its bound."""
        return float(np.abs(free_of_bounds(self.whitened, at_bound)).max())

    def on(self, least: Array) -> Array:
        """Where log R_jj is at its least and would fall further, (K,) of bool."""
        low = np.log(np.diagonal(self.cov.root)) <= least + 1e-6
        return low & (np.diagonal(self.whitened) > 0.0)

    def moved(self, step: Array, least: Array) -> Unrestricted:
        """Sigma of the root T R, T = I + X above the diagonal and exp(X) on it.

        Diagonal elements go no lower than their ``least`` logs (K,).
        """
        K, size = self.cov.K, np.diagonal(self.cov.root)
        T = np.zeros((K, K))
        T[np.triu_indices(K)] = step
        T.ravel()[:: K + 1] = np.exp(np.maximum(np.diagonal(T), least - np.log(size)))
        return of_triangle(T @ self.cov.root)


class ObservedLikelihood:
    """f and Gamma of residuals E (N, K) that are zero in missing cells."""

    def __init__(self, E: Array, patterns: Patterns) -> None:
        self._E, self.patterns, self.evaluations = E, patterns, 0
        self.upper = np.triu_indices(patterns.K)

    def __call__(self, cov: Unrestricted) -> ObservedPoint:
        """Evaluate at Sigma."""
        self.evaluations += 1
        observed, N = cov.seen(self.patterns), self.patterns.N
        W = observed.solve(self._E)
        quad, logdet = float(np.vdot(W, self._E)), observed.logdet()
        R, WR = cov.root, W @ cov.root.T
        Gamma = (R @ observed.total_precision() @ R.T - WR.T @ WR) / N
        rounding = 1e-15 * (self.patterns.n_cells + abs(logdet) + quad) / N
        return ObservedPoint(cov, 0.5 * (logdet + quad) / N, Gamma, rounding)

    @cached_property
    def inverse(self) -> Array:
        """The step of EM for each element of Gamma, over the share of rows that see the pair."""
        mask = self.patterns.mask.astype(float)
        share = np.maximum(mask.T @ mask, 1.0) / self.patterns.N
        curvature = share * (1.0 + np.eye(self.patterns.K))
        return 1.0 / curvature[self.upper]


def _line_search(
    likelihood: ObservedLikelihood,
    point: ObservedPoint,
    least: Array,
    low: Array,
    max_iter: int,
    memory: SecantMemory,
) -> ObservedPoint | None:
    """The next point, its pair stored; None where no step lowers f."""
    gradient = free_of_bounds(point.whitened, low)[likelihood.upper]
    direction = memory.direction(gradient, lambda q: likelihood.inverse * q)
    if not float(direction @ gradient) < 0.0:
        memory.clear()
        direction = -likelihood.inverse * gradient
    largest = float(np.abs(direction).max())
    if largest > _LONGEST:
        direction = direction * (_LONGEST / largest)
    slope, step = float(direction @ gradient), 1.0
    while True:
        trial = likelihood(point.moved(step * direction, least))
        if trial.nll <= point.nll + 1e-4 * step * slope + point.rounding:
            break
        if likelihood.evaluations >= max_iter or step < 1e-6:
            return None
        curvature = 2.0 * (trial.nll - point.nll - step * slope)
        step *= min(0.5, max(0.1, -slope * step / curvature)) if curvature > 0.0 else 0.1
    memory.push(step * direction, trial.gradient - point.gradient, step * slope)
    return trial
