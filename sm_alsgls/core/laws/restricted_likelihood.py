"""Parameters of laws by restricted likelihood: without the bias that estimated coefficients leave.

What coefficients take out of the residuals makes the likelihood's rho too small (by (1 + 3 rho) / T
and more where every unit has a constant of its own; Kendall 1954, Biometrika 41) and delta too
large, and where units share a value, their number makes the bias many standard errors. The
restricted likelihood (Patterson and Thompson 1971, Biometrika 58; Cox and Reid 1987) has beside psi

    psi_R(theta) = psi(theta) + log|H(theta)| / (2 N),      H = X'T'(Sigma^-1 x I) T X

of the parameters, Sigma at its maximum given theta. Newton's steps solve psi_R' = 0: psi' is the
envelope's, what log|H| adds comes by differences along the profile, Sigma moving with it, and so
does the curvature, whose inverse is the covariance. For one equation this is REML.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.errors.nuisance import Nuisance
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.point import Point, point_from, point_of
from sm_alsgls.core.laws.raw_system import own_parameters
from sm_alsgls.core.laws.rows_of_design import own_products
from sm_alsgls.core.threads import on_one_thread

Array = np.ndarray

# Newton's steps at most, how often one is shortened, the one that ends them, the one that may be
# left where inner runs go no further, and that of differences, in standard errors.
_STEPS, _SHORTER, _TOL, _AT_REST, _H = 25, 6, 1e-5, 1e-3, 0.02
# Rounding of N psi_R, relative, and how far within the bounds values stay, of their width.
_ROUNDING, _INSIDE = 1e-11, 1e-6


@on_one_thread
def restricted_likelihood(fit: LawFit, rank: int, cov: Array | None = None) -> LawFit:
    """A fit at the values of the largest restricted likelihood, from one at the maximum.

    Parameters
    ----------
    fit : LawFit
        With a covariance of its values, so with none on a bound. Values that its system holds stay.
    rank : int
    cov : ndarray, shape (m, m), optional
        Covariance to begin with in the place of the fit's.

    Returns
    -------
    LawFit
        Coefficients and Sigma are those given the values; ``gradient`` is psi', not zero; the NLL
        is psi, ``restricted`` is psi_R. Where the values are on a bound already, or run to one, it
        says so.

    Notes
    -----
    Cost: 2 m + 1 continued runs for each of some four steps, and O(N P^2 + P^3) for each of these.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.laws.ar import AR
    >>> from sm_alsgls.core.laws.maximise import maximise
    >>> from sm_alsgls.core.laws.raw_system import RawSystem
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> E = rng.standard_normal((20, 30))
    >>> for n in range(1, 20):
    ...     E[n] += 0.6 * E[n - 1]
    >>> raw = RawSystem(E, [np.ones((20, 1))] * 30, AR.of(20, np.zeros(1), 30), ALSOptions())
    >>> ml = maximise(raw, 0)
    >>> reml = restricted_likelihood(ml, 0)
    >>> bool(ml.found.best.nuisance.values[0] < reml.found.best.nuisance.values[0])
    True
    """
    return _Restricted(fit, rank, fit.found.best.nuisance.cov if cov is None else cov).run()


class _Restricted:
    """Newton's steps; ``point`` is where they are."""

    def __init__(self, fit: LawFit, rank: int, cov: Array) -> None:
        self._fit, self._rank, self._cov = fit, rank, cov
        self._n = len(fit.system.Y)
        self._slopes: Array | None = fit.slopes
        self._last: tuple[Point, float] | None = None
        problem = fit.system.problem(compress=False).with_floor(fit.problem.floor)
        self._floor = problem.floor
        best = fit.found.best
        self.point = self._moved(point_of(fit.system, fit.problem, best), best.nuisance.values)

    def run(self) -> LawFit:
        bounds = self.point.system.bounds(self.point.problem.errors)
        held = self.point.system.held
        free = np.flatnonzero(np.ones(len(bounds)) if held is None else np.isnan(held))
        cov = self._cov[np.ix_(free, free)]
        if not len(free):
            return self._at(free, cov, "", 0)
        bounds = bounds[free]
        width = bounds[:, 1] - bounds[:, 0]
        low, high = bounds[:, 0] + _INSIDE * width, bounds[:, 1] - _INSIDE * width
        size = np.sqrt(np.maximum(np.diagonal(cov), 0.0))
        size = np.where(np.isfinite(size) & (size > 0.0), size, 0.05 * width)
        status = "the restricted likelihood has no maximum within the bounds of the law's values"
        left = np.inf
        for steps in range(1, _STEPS + 1):  # noqa: B007
            at = self.point.values[free]
            room = np.minimum(at - bounds[:, 0], bounds[:, 1] - at)
            slope, J = self._derivatives(free, np.minimum(_H * size, 0.5 * room))
            # A value on a bound, towards which the likelihood rises, stays.
            moves = ~(((at <= low) & (slope > 0.0)) | ((at >= high) & (slope < 0.0)))
            step = np.where(moves, _newton(slope * moves, J, size), 0.0)
            longest = max(1.0, 0.5 * float(np.max(np.abs(step) / size)))
            step = np.clip(at + step / longest, low, high) - at
            last, left = left, float(np.max(np.abs(step) / size))
            rests = left <= _TOL or (left <= _AT_REST and left > 0.5 * last)
            if rests or not self._line(free, step):
                cov = _inverse(J, moves)
                if moves.all() and left <= _AT_REST:
                    status = ""
                break
        return self._at(free, cov, status, steps)

    def _line(self, free: Array, step: Array) -> bool:
        """Move along a step, shortened until psi_R does not rise."""
        before = self._value(self.point)
        for t in 0.25 ** np.arange(_SHORTER):
            values = self.point.values.copy()
            values[free] += t * step
            there = self._moved(self.point, values)
            if self._value(there) <= before + _ROUNDING * max(1.0, abs(before)):
                self.point = there
                return True
        return False

    def _value(self, point: Point) -> float:
        """N psi_R."""
        return self._n * point.nll + 0.5 * self._log_det(point)

    def _derivatives(self, free: Array, h: Array) -> tuple[Array, Array]:
        """N psi_R' and N psi_R'' at the point, in the values ``free`` by steps h."""
        point, n = self.point, self._n
        middle, m = self._log_det(point), len(h)
        slope, J = n * point.gradient[free], np.empty((m, m))
        bend, G = np.empty(m), np.empty((point.problem.design.P, m))
        for i in range(m):
            step = h[i] * (np.arange(len(point.values)) == free[i])
            up, down = (self._moved(point, point.values + s * step) for s in (1.0, -1.0))
            logs = self._log_det(up), self._log_det(down)
            params = [one.problem.design.to_params(one.solution.gamma) for one in (up, down)]
            G[:, i] = (params[0] - params[1]) / (2.0 * h[i])
            slope[i] += 0.25 * (logs[0] - logs[1]) / h[i]
            bend[i] = 0.5 * (logs[0] - 2.0 * middle + logs[1]) / h[i] ** 2
            J[i] = n * (up.gradient - down.gradient)[free] / (2.0 * h[i])
        self._slopes = G if len(free) == len(point.values) else None
        return slope, 0.5 * (J + J.T) + np.diag(bend)

    def _log_det(self, point: Point) -> float:
        """log|H| at a point, worked out once."""
        if self._last is None or self._last[0] is not point:
            H = own_products(point.problem, point.solution.cov)
            self._last = point, float(_log_det(point.problem.design, H))
        return self._last[1]

    def _moved(self, point: Point, values: Array) -> Point:
        return point_from(
            point.problem,
            point.solution,
            point.system.at(values),
            self._rank,
            self._floor,
            compress=False,
        )

    def _at(self, free: Array, found_cov: Array, status: str, steps: int) -> LawFit:
        point, found, m = self.point, self._fit.found, len(self.point.values)
        cov = np.full((m, m), np.nan)
        cov[np.ix_(free, free)] = found_cov
        restricted = self._value(point) / self._n
        errors = point.problem.errors
        jacobian = point.system.beside + own_parameters(errors).log_jacobian
        nuisance = Nuisance(point.system.names(errors), point.values, cov, jacobian)
        best = replace(point.solution, nll=point.nll, nuisance=nuisance, label=found.best.label)
        if status:
            best = replace(best, converged=False, status=status)
        found = replace(found, best=best)
        return LawFit(
            found, point.system, point.problem, point.gradient, steps,
            slopes=self._slopes, restricted=restricted,
        )  # fmt: skip


def _log_det(design: Linear, H: Array) -> float:
    """log|H| of the parameters; of those that restrictions leave, up to what never moves.

    Parameters theta = B g move in one space at any value of the law's, where the volume of B stands
    for its determinant. With M the orthogonal projection on the g that restrictions leave,
    H + (I - M) and [B ; I - M] have the determinant and the volume of H and B there.
    """
    eye = np.eye(design.P)
    B, lost = design.on_flat(np.eye(design.P)).T, eye - design.inside(eye)
    if not lost.any():
        return float(np.linalg.slogdet(H)[1] - 2.0 * np.linalg.slogdet(B)[1])
    R = np.linalg.qr(np.concatenate([B, lost]), mode="r")
    volume = np.log(np.abs(np.diagonal(R))).sum()
    return float(np.linalg.slogdet(H + lost)[1] - 2.0 * volume)


def _newton(slope: Array, J: Array, size: Array) -> Array:
    """The step to the minimum; where J is not positive, downhill by the size of its curvature."""
    values, V = np.linalg.eigh(J * np.multiply.outer(size, size))
    return -size * (V @ ((V.T @ (slope * size)) / np.maximum(np.abs(values), 0.05)))


def _inverse(J: Array, moves: Array) -> Array:
    """The covariance of values within bounds; NaN of others, and where J is not positive."""
    cov, at = np.full(J.shape, np.nan), np.ix_(moves, moves)
    if moves.any() and np.linalg.eigvalsh(J[at])[0] > 0.0:
        cov[at] = np.linalg.inv(J[at])
    return cov
