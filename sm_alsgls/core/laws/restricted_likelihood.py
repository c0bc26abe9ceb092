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
from sm_alsgls.core.laws.rows_of_design import coordinate_products
from sm_alsgls.core.threads import on_one_thread

Array = np.ndarray

# Newton's steps at most, the one that ends them and that of differences, in standard errors.
_STEPS, _TOL, _H = 25, 1e-5, 0.02


@on_one_thread
def restricted_likelihood(fit: LawFit, rank: int) -> LawFit:
    """A fit at the values of the largest restricted likelihood, from one at the maximum.

    Parameters
    ----------
    fit : LawFit
        With a covariance of its values, so with none on a bound.
    rank : int

    Returns
    -------
    LawFit
        Coefficients and Sigma are those given the values; ``gradient`` is psi', not zero; the NLL
        is psi. Where the values are on a bound already, or run to one, it says so.

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
    return _Restricted(fit, rank).run()


class _Restricted:
    """Newton's steps; ``point`` is where they are."""

    def __init__(self, fit: LawFit, rank: int) -> None:
        self._fit, self._rank = fit, rank
        self._n = len(fit.system.Y)
        self._slopes: Array | None = fit.slopes
        problem = fit.system.problem(compress=False).with_floor(fit.problem.floor)
        self._floor = problem.floor
        best = fit.found.best
        self.point = self._moved(point_of(fit.system, fit.problem, best), best.nuisance.values)

    def run(self) -> LawFit:
        values, bounds = self.point.values, self.point.system.bounds(self.point.problem.errors)
        cov = self._fit.found.best.nuisance.cov
        status = "the restricted likelihood has no maximum within the bounds of the law's values"
        for steps in range(1, _STEPS + 1):  # noqa: B007
            # Not positive where the curvature is not: no maximum near by.
            with np.errstate(invalid="ignore"):
                size = np.sqrt(np.diagonal(cov))
            if not np.isfinite(size).all():
                cov = np.full(cov.shape, np.nan)
                break
            slope, J = self._derivatives(_H * size)
            cov = np.linalg.inv(J)
            step = -cov @ slope
            # No further than two standard errors, nor than half the way to a bound.
            room = np.where(step > 0.0, bounds[:, 1] - values, values - bounds[:, 0])
            longest = np.max(np.abs(step) / np.minimum(2.0 * size, 0.5 * room))
            step = step / max(1.0, float(longest))
            values = values + step
            self.point = self._moved(self.point, values)
            if np.max(np.abs(step) / size) <= _TOL:
                status = ""
                break
        return self._at(cov, status, steps)

    def _derivatives(self, h: Array) -> tuple[Array, Array]:
        """N psi_R' and N psi_R'' at the point."""
        point, n = self.point, self._n
        middle, m = self._log_det(point), len(h)
        slope, J = n * point.gradient, np.empty((m, m))
        bend, G = np.empty(m), np.empty((point.problem.design.P, m))
        for i in range(m):
            step = h[i] * (np.arange(m) == i)
            up, down = (self._moved(point, point.values + s * step) for s in (1.0, -1.0))
            logs = self._log_det(up), self._log_det(down)
            params = [one.problem.design.to_params(one.solution.gamma) for one in (up, down)]
            G[:, i] = (params[0] - params[1]) / (2.0 * h[i])
            slope[i] += 0.25 * (logs[0] - logs[1]) / h[i]
            bend[i] = 0.5 * (logs[0] - 2.0 * middle + logs[1]) / h[i] ** 2
            J[i] = n * (up.gradient - down.gradient) / (2.0 * h[i])
        self._slopes = G
        return slope, 0.5 * (J + J.T) + np.diag(bend)

    def _log_det(self, point: Point) -> float:
        """log|H| of the parameters; of those that restrictions leave, up to what never moves."""
        design = point.problem.design
        H = coordinate_products(point.problem, point.solution.cov)[0]
        back = np.column_stack([design.to_params(g) for g in np.eye(design.P)])
        back -= design.to_params(np.zeros(design.P))[:, None]
        if not design.restricted:
            return float(np.linalg.slogdet(H)[1] - 2.0 * np.linalg.slogdet(back)[1])
        # Directions that restrictions leave: parameters move in the same space at any value of the
        # law's, where the volume of ``back`` stands for its determinant.
        N = _left(design)
        volume = np.log(np.abs(np.diagonal(np.linalg.qr(back @ N, mode="r")))).sum()
        return float(np.linalg.slogdet(N.T @ H @ N)[1] - 2.0 * volume)

    def _moved(self, point: Point, values: Array) -> Point:
        return point_from(
            point.problem,
            point.solution,
            point.system.at(values),
            self._rank,
            self._floor,
            compress=False,
        )

    def _at(self, cov: Array, status: str, steps: int) -> LawFit:
        point, found = self.point, self._fit.found
        errors = point.problem.errors
        jacobian = point.system.beside + own_parameters(errors).log_jacobian
        nuisance = Nuisance(point.system.names(errors), point.values, cov, jacobian)
        best = replace(point.solution, nll=point.nll, nuisance=nuisance, label=found.best.label)
        if status:
            best = replace(best, converged=False, status=status)
        return LawFit(
            replace(found, best=best),
            point.system,
            point.problem,
            point.gradient,
            steps,
            slopes=self._slopes,
        )


def _left(design: Linear) -> Array:
    """An orthonormal basis (P, q) of the coordinates that restrictions leave free."""
    origin = design.from_beta(design.to_beta(np.zeros(design.P)))
    inside = np.column_stack(
        [design.from_beta(design.to_beta(g)) - origin for g in np.eye(design.P)]
    )
    share, vectors = np.linalg.eigh(0.5 * (inside + inside.T))
    return np.asarray(vectors[:, share > 0.5])
