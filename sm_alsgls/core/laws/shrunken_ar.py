"""AR coefficients of many equations, drawn to their mean by empirical Bayes.

Estimates of K coefficients from T rows each are noisy (standard errors of T^-1/2), and what they
miss shows in the slopes. With P = Sigma^-1 and L the residuals of the rows before, the information
in rho at given (beta, Sigma) is H = P o L'L, and V = H^-1 the covariance of the maximum rho_ML.
Taking

    rho_j ~ N(mu, t2),    rho_ML | rho ~ N(rho, V),    W = (V + t2 I)^-1,

mu = 1'W rho_ML / 1'W 1, t2 maximises the marginal likelihood, and the estimate is the posterior
mean rho = mu + t2 W (rho_ML - mu) (Efron and Morris 1973, Journal of the American Statistical
Association 68; Swamy 1970, Econometrica 38, for coefficients of panels). Where equations do not
differ t2 is 0 and there is one rho. At given t2 the estimates are S rho_ML,

    S = 1 w' + t2 W (I - 1 w'),    w = W 1 / 1'W 1,
    tr S = 1 + t2 (tr W - 1'W W 1 / 1'W 1),

which counts the parameters that they are (Hodges and Sargent 2001, Biometrika 88): 1 of the mean,
whose own weight the others' lack, at t2 = 0, and K where t2 is large. With variances v of all
estimates alike it is 1 + (K - 1) t2 / (t2 + v). (beta, Sigma) are those of the maximum given rho,
and both are repeated until neither moves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.linalg
from scipy.linalg import lapack

from sm_alsgls.core.errors.nuisance import Nuisance
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.normal_prior import NormalPrior
from sm_alsgls.core.laws.point import Point, point_from, point_of
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.maximise.found import Search
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.core.threads import on_one_thread

Array = np.ndarray

# Variances of rho between equations: finer near 0, and .2 is a standard deviation of .45.
GRID = np.concatenate([[0.0], np.geomspace(1e-4, 0.2, 60)])
# Beyond, rows of differences have next to nothing of levels.
_MOST = 0.97
# Values of t2 at most, steps for each, how often one is shortened.
_ROUNDS, _STEPS, _SHORTER = 12, 60, 8
# The decrement, in standard errors of each value, that ends the steps, and that of a stop without
# descent.
_TOL, _AT_REST, _ROUNDING = 2e-4, 3e-3, 1e-12


class Shrunken(NamedTuple):
    """Posterior mean, and the prior that the estimates show.

    Attributes
    ----------
    values : ndarray, shape (K,)
    mean, variance : float
        mu and t2.
    cov : ndarray, shape (K, K)
        Of the posterior, mu's estimation with it.
    df : float
        tr S, between 1 and K.
    """

    values: Array
    mean: float
    variance: float
    cov: Array
    df: float


def shrunken(estimates: Array, V: Array) -> Shrunken:
    """Empirical Bayes of estimates (K,) of covariance V (K, K); O(K^3).

    Examples
    --------
    >>> import numpy as np
    >>> shrunken(np.array([0.5, 0.6, 0.7]), np.eye(3)).values.round(3)  # no more than noise
    array([0.6, 0.6, 0.6])
    >>> shrunken(np.array([-0.6, 0.0, 0.9]), 1e-4 * np.eye(3)).values.round(2)
    array([-0.6,  0. ,  0.9])
    """
    return _Evidence(estimates, np.linalg.inv(V)).shrunken()


class _Evidence(NamedTuple):
    """Estimates y of covariance H^-1.

    With H = Q T Q' tridiagonal, W = Q T (I + t2 T)^-1 Q' and |W^-1| = |I + t2 T| / |T|, so that a
    value of t2 costs O(K) once T is there, which takes less than half of what eigenvalues take.
    """

    y: Array
    H: Array

    def prior(self) -> tuple[float, float]:
        """mu and t2."""
        d, e, turned = _tridiagonal(self.H)
        both = turned(np.column_stack([self.y, np.ones_like(self.y)]))
        seen = d[:, None] * both
        seen[:-1] += e[:, None] * both[1:]
        seen[1:] += e[:, None] * both[:-1]
        best, found = np.inf, (0.0, 0.0)
        for t2 in GRID.tolist():
            band = np.vstack([1.0 + t2 * d, np.append(t2 * e, 0.0)])
            L = scipy.linalg.cholesky_banded(band, lower=True, check_finite=False)
            M = both.T @ scipy.linalg.cho_solve_banded((L, True), seen, check_finite=False)
            mu = float(M[0, 1] / M[1, 1])
            value = float(M[0, 0] - mu * M[0, 1] + 2.0 * np.log(L[0]).sum())
            if value < best:
                best, found = value, (mu, t2)
        return found

    def shrunken(self) -> Shrunken:
        """The posterior, by C = (H + I / t2)^-1, its covariance at given mu: t2 W = I - C / t2."""
        (mean, t2), K = self.prior(), len(self.y)
        if t2 == 0.0:
            cov = np.full((K, K), 1.0 / self.H.sum())
            return Shrunken(np.full(K, mean), mean, t2, cov, 1.0)
        C = _inverse_of(self.H + np.eye(K) / t2)
        left = self.y - mean
        values = mean + left - C @ left / t2
        carried = C.sum(axis=1) / t2
        weight = (1.0 - carried) / t2
        # Of rho given mu, and of what mu carries into each.
        cov = C + np.outer(carried, carried) / weight.sum()
        own = t2 * float(weight @ weight) / float(weight.sum())
        df = 1.0 + K - float(np.trace(C)) / t2 - own
        return Shrunken(values, mean, t2, cov, df)


def _tridiagonal(H: Array) -> tuple[Array, Array, Callable[[Array], Array]]:
    """Diagonal (K,) and what is beside it (K - 1,) of Q'HQ, and what multiplies by Q'."""
    K = len(H)
    if K < 3:
        return np.diagonal(H).copy(), np.diagonal(H, 1).copy(), np.asarray
    work = int(lapack.dsytrd_lwork(K, lower=1)[0])
    made, d, e, tau, _ = lapack.dsytrd(H, lower=1, lwork=work)
    reflectors = np.asfortranarray(made[1:, :-1])

    def turned(M: Array) -> Array:
        below = np.asfortranarray(M[1:])
        out, _, _ = lapack.dormqr("L", "T", reflectors, tau, below, lwork=64 * M.shape[1])
        return np.vstack([M[:1], out])

    return d, e, turned


def _inverse_of(A: Array) -> Array:
    """A^-1 of a positive definite A."""
    L = scipy.linalg.cho_factor(A, lower=True, check_finite=False)[0]
    inverse = np.tril(lapack.dpotri(L, lower=1)[0])
    return np.asarray(inverse + np.tril(inverse, -1).T)


@dataclass(frozen=True, eq=False)
class ShrunkenFit(LawFit):
    """A `LawFit` at shrunken values; its ``gradient`` is not zero.

    Attributes
    ----------
    prior : Shrunken
    """

    prior: Shrunken


@on_one_thread
def shrunken_ar(
    system: RawSystem,
    rank: int,
    *,
    at: slice | None = None,
    n_starts: int | None = None,
    rng: np.random.Generator | None = None,
) -> ShrunkenFit:
    """(beta, Sigma) and the shrunken values of the filter.

    Parameters
    ----------
    system : RawSystem
        Its filter has an AR coefficient for each equation, its law no parameters of its own.
    rank : int
    at : slice, optional
        Which values are these coefficients; others go to their maximum. Default all.
    n_starts, rng
        Of the search at the filter's guess.

    Notes
    -----
    Cost: one search, some ten to twenty continued runs, and O(K^3) a few times.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.laws.ar import AR
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> E = rng.standard_normal((40, 1)) + rng.standard_normal((40, 8))
    >>> for n in range(1, 40):
    ...     E[n] += 0.6 * E[n - 1]
    >>> X = [rng.standard_normal((40, 1)) for _ in range(8)]
    >>> fit = shrunken_ar(RawSystem(E, X, AR.of(40, np.zeros(8), 8), ALSOptions()), 1)
    >>> fit.prior.variance < 0.01 and abs(fit.prior.mean - 0.6) < 0.2
    True
    """
    at = at or slice(0, len(system.filter.values))
    guess = system.filter.guess(system.unfiltered().E_ols)
    # A common value to begin with: single ones are what has to be shrunk.
    values = guess.values.copy()
    values[at] = np.median(values[at])
    system = system.at(values)
    problem = system.problem()
    found = search(problem, rank, n_starts=n_starts, rng=rng)
    rounds = _Rounds(point_of(system, problem, found.best), rank, at)
    prior, cov = rounds.run()
    return rounds.fit(found, prior, cov)


@on_one_thread
def shrunken_from(
    fit: ShrunkenFit, system: RawSystem, rank: int, at: slice | None = None
) -> ShrunkenFit:
    """The same of a system that was changed, from the fit of what it was, with its t2."""
    at = at or slice(0, len(system.filter.values))
    best = fit.found.best
    system = system.at(best.nuisance.values)
    point = point_from(fit.problem, best, system, rank, fit.problem.floor)
    rounds = _Rounds(point, rank, at)
    rounds.settle(fit.prior.variance)
    rho = rounds.point.values[at]
    prior = fit.prior._replace(values=rho, mean=float(rho.mean()))
    return rounds.fit(Search(best, ()), prior, best.nuisance.cov)


@on_one_thread
def moved_as_common(
    fit: ShrunkenFit, ml: LawFit, reml: LawFit, rank: int, at: slice | None = None
) -> ShrunkenFit:
    """A fit whose values are moved by what the restricted likelihood moves a common one.

    What coefficients take out of the residuals pulls all values the same way, of which drawing them
    to their mean knows nothing.

    Parameters
    ----------
    fit : ShrunkenFit
    ml, reml : LawFit
        Of the same system with its filter ``tied``, by either likelihood.
    rank : int
    at : slice, optional
        As of `shrunken_ar`.
    """
    at = at or slice(0, len(fit.system.filter.values))
    best, one, other = fit.found.best, ml.found.best.nuisance, reml.found.best.nuisance
    m, K = len(best.nuisance.values), len(best.nuisance.values[at])
    # Which of the tied values each value is.
    which = np.arange(m)
    which[at] = at.start
    which[at.start + K :] -= K - 1
    values = best.nuisance.values + (other.values - one.values)[which]
    values[at] = np.clip(values[at], -_MOST, _MOST)
    cov, more = best.nuisance.cov, other.cov - one.cov
    if fit.prior.variance == 0.0:
        cov = other.cov[np.ix_(which, which)]
    elif np.linalg.eigvalsh(more)[0] >= 0.0:
        cov = cov + more[np.ix_(which, which)]
    point = point_from(fit.problem, best, fit.system.at(values), rank, fit.problem.floor)
    rho = values[at]
    prior = fit.prior._replace(values=rho, mean=float(rho.mean()), cov=cov[at, at])
    made = _Rounds(point, rank, at).fit(fit.found, prior, cov)
    if best.converged and reml.found.best.converged:
        return made
    status = reml.found.best.status if best.converged else best.status
    ended = replace(made.found.best, converged=False, status=status)
    return replace(made, found=replace(made.found, best=ended))


class _Rounds:
    """The loop of the module; ``point`` is its last point."""

    def __init__(self, point: Point, rank: int, at: slice) -> None:
        self.point, self._rank, self._at = point, rank, at
        self._floor, self._n = point.problem.floor, len(point.E)
        self._steps, self._status = 0, ""

    def fit(self, found: Search, prior: Shrunken, cov: Array) -> ShrunkenFit:
        """What was found, at the last point."""
        point = self.point
        system = point.system
        nuisance = Nuisance(system.filter.names, point.values, cov, system.beside)
        best = replace(point.solution, nll=point.nll, nuisance=nuisance, label=found.best.label)
        if self._status:
            best = replace(best, converged=False, status=self._status)
        return ShrunkenFit(
            replace(found, best=best), system, point.problem, point.gradient, self._steps, prior
        )

    def run(self) -> tuple[Shrunken, Array]:
        """t2 and values in turn, until t2 is one that was there before; the values' covariance."""
        at, tried = self._at, list[float]()
        for _ in range(_ROUNDS):
            H = self._information()
            estimates = self._estimates(H)
            t2 = estimates.prior()[1]
            if t2 in tried[-1:]:
                break
            self.settle(t2)
            if t2 in tried:
                break  # Neighbours on the grid that lead to each other.
            tried.append(t2)
        else:
            self._status = "the prior of the law's values still moves; give one rho for all"
        prior = estimates.shrunken()
        cov = np.linalg.inv(H) if len(H) > len(prior.values) else np.empty_like(H)
        cov[at, at] = prior.cov
        return prior, cov

    def _estimates(self, H: Array) -> _Evidence:
        """A Newton step of psi from this point, whose covariance is the inverse of H.

        Other values are orthogonal to these in the information (`sm_alsgls.core.laws.chain`).
        """
        point, at = self.point, self._at
        own = H[at, at]
        solved = scipy.linalg.cho_solve(
            scipy.linalg.cho_factor(own, check_finite=False), self._n * point.gradient[at]
        )
        return _Evidence(point.values[at] - solved, own)

    def _information(self) -> Array:
        point = self.point
        sees = point.problem.observed(point.solution.cov)
        return self._n * point.system.filter.information(point.E, sees)

    def settle(self, t2: float) -> None:
        """Minimise N psi + sum_j (rho_j - mean)^2 / (2 t2), as `core.laws.maximise` does psi.

        At its minimum rho = mu + t2 W (rho_ML - mu), rho_ML a Newton step of psi away. t2 = 0
        leaves one value for all.
        """
        prior = NormalPrior(self._at, len(self.point.values), t2)
        if t2 == 0.0:
            self.point = self._moved(prior.nearest(self.point.values))
        limits = np.array(self.point.system.filter.bounds)
        limits[self._at] = [-_MOST, _MOST]
        limits = limits[prior.pick]
        memory = SecantMemory(20)
        for _ in range(_STEPS):
            point = self.point
            x = point.values[prior.pick]
            g = prior.down(self._n * point.gradient + prior.gradient(point.values))
            # What is on a bound stays there, be it the gradient or the step that leads outwards.
            low, high = x <= limits[:, 0], x >= limits[:, 1]
            free = ~((low & (g > 0.0)) | (high & (g < 0.0)))
            # That of the first point would be too small in units that are far from the others:
            # every second step was too long, 42 evaluations of psi for 14 at 1,000 units.
            metric = prior.curved(self._information())
            inverse = _inverse(metric, free)
            decrement = float((g * free) @ inverse(g * free))
            if decrement <= _TOL**2 * len(g):
                return
            while True:
                direction = np.where(free, memory.direction(g * free, inverse, free), 0.0)
                outwards = free & ((low & (direction < 0.0)) | (high & (direction > 0.0)))
                if not outwards.any():
                    break
                free &= ~outwards
                inverse = _inverse(metric, free)
            if not self._line(prior, direction, g * free, memory, limits):
                if not len(memory):
                    break
                memory.clear()
            self._steps += 1
        if decrement > _AT_REST**2 * len(g):
            self._status = "no descent in the law's values; lower gtol"

    def _line(
        self, prior: NormalPrior, direction: Array, g: Array, memory: SecantMemory, limits: Array
    ) -> bool:
        point, t, n = self.point, 1.0, self._n
        x = point.values[prior.pick]

        def objective(at: Point) -> float:
            return n * at.nll + 0.5 * float(at.values @ prior.gradient(at.values))

        before = objective(point)
        for _ in range(_SHORTER):
            there = np.clip(x + t * direction, limits[:, 0], limits[:, 1])
            step, trial = there - x, self._moved(prior.up(there))
            if objective(trial) <= before + _ROUNDING * max(1.0, abs(before)):
                change = n * (trial.gradient - point.gradient)
                change = prior.down(change + prior.gradient(trial.values - point.values))
                memory.push(step, change, float(step @ g))
                self.point = trial
                return True
            t *= 0.25
        return False

    def _moved(self, values: Array) -> Point:
        point = self.point
        system = point.system.at(values)
        return point_from(point.problem, point.solution, system, self._rank, self._floor)


def _inverse(metric: Array, free: Array) -> Callable[[Array], Array]:
    """The inverse of the metric of coordinates that are free."""
    at = np.flatnonzero(free)
    part = metric if len(at) == len(metric) else metric[np.ix_(at, at)]
    factor = scipy.linalg.cho_factor(part) if len(at) else None

    def apply(v: Array) -> Array:
        out = np.zeros(len(v))
        if factor is not None:
            out[at] = scipy.linalg.cho_solve(factor, v[at])
        return out

    return apply
