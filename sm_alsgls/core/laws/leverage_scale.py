"""Harvey's delta without its bias of small samples: a Gamma regression with leverages.

Given (beta, Sigma) the likelihood's equation for delta is sum_n z_n q_n = 0, q_n the squares of
filtered rows, (T e)_n' Sigma^-1 (T e)_n. Rows whose regressors weigh much have smaller residuals,
l_n = tr(Sigma^-1 X_n V X_n') off K, and rows of small h weigh most: delta comes out too large. With

    y_n = q_n / (K - l_n),        sum_n z_n (y_n / mean(y) - 1) = 0,

(beta, Sigma) estimated again at each delta, its bias goes. y_n / mean is chi-square over its
degrees, so that the left-hand side has the variance (2 / K) sum z z'; with -J its derivative in
delta times K / 2, J^-1 is the covariance of delta (J is less than the information by what (beta,
Sigma) take).
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from sm_alsgls.core.errors.nuisance import Nuisance
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.point import point_from
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.laws.rows_of_design import leverages
from sm_alsgls.core.maximise.solution import Solution
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.exceptions import ShapeError

Array = np.ndarray

# Rounds of Broyden's method, the move that ends them and the step of differences, in standard
# errors.
_ROUNDS, _TOL, _H = 40, 1e-5, 0.5


@on_one_thread
def leverage_scale(fit: LawFit, rank: int) -> LawFit:
    """A fit at the corrected delta, from one at the maximum.

    Parameters
    ----------
    fit : LawFit
        Its filter is a `RowScale` of whole rows, alone.
    rank : int

    Returns
    -------
    LawFit
        Its nuisance has delta and J^-1; the gradient of the profile is not zero there.

    Raises
    ------
    ShapeError
        Scales are of cells.

    Notes
    -----
    Cost: some five continued runs and 2 m more, and leverages, O(N P^2 + P^3), at each.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.laws.maximise import maximise
    >>> from sm_alsgls.core.laws.raw_system import RawSystem
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> z, X = rng.standard_normal((30, 1)), [rng.standard_normal((30, 3)) for _ in range(5)]
    >>> Y = np.exp(0.5 * z) * rng.standard_normal((30, 5))
    >>> raw = RawSystem(Y, X, RowScale(z, 5, np.zeros(1)), ALSOptions())
    >>> ml = maximise(raw, 0)
    >>> found = leverage_scale(ml, 0)
    >>> bool(found.found.best.nuisance.values[0] < ml.found.best.nuisance.values[0])
    True
    """
    return _Regression(fit, rank).run()


class _Regression:
    """The equation in delta; ``system``, ``problem`` and ``solution`` are those of the last one."""

    def __init__(self, fit: LawFit, rank: int) -> None:
        z = cast(RowScale, fit.system.filter).z
        if z.shape[1] != 1:
            raise ShapeError("leverages are of rows, and these scales are of cells")
        self._fit, self._rank, self._z = fit, rank, z[:, 0]
        self.system, self.problem = fit.system, fit.problem
        self.solution: Solution = fit.found.best
        self._gradient = fit.gradient

    def run(self) -> LawFit:
        fit, K = self._fit, self.problem.K
        values = np.array(fit.found.best.nuisance.values)
        inverse = np.linalg.inv(self._z.T @ self._z)
        size = np.sqrt(2.0 / K * np.diagonal(inverse))
        left = self._left(values)
        status = "the equation of delta was not solved"
        for steps in range(1, _ROUNDS + 1):  # noqa: B007
            step = inverse @ left
            values = values + step
            if np.max(np.abs(step) / size) <= _TOL:
                status = ""
                break
            then = self._left(values)
            # Broyden (1965): the inverse of minus the derivative, changed by rank one.
            got = inverse @ (left - then)
            inverse = inverse + np.outer(step - got, step @ inverse) / float(step @ got)
            left = then
        J = 0.5 * K * self._derivative(values, size)
        self._left(values)
        return self._at(values, np.linalg.inv(0.5 * (J + J.T)), status, steps)

    def _left(self, values: Array) -> Array:
        """The equation's left-hand side at (beta, Sigma) of these values."""
        at = point_from(
            self.problem,
            self.solution,
            self.system.at(values),
            self._rank,
            self._fit.problem.floor,
            compress=False,
        )
        self.system, self.problem, self.solution = at.system, at.problem, at.solution
        self._gradient = at.gradient
        problem, solution = at.problem, at.solution
        q = np.einsum("nk,nk->n", solution.E, solution.cov.solve(solution.E))
        y = q / (problem.K - leverages(problem, solution.cov))
        return self._z.T @ (y / y.mean() - 1.0)

    def _derivative(self, values: Array, size: Array) -> Array:
        """Of minus that, (m, m), by central differences."""
        columns = []
        for i, h in enumerate(_H * size):
            step = h * (np.arange(len(values)) == i)
            columns.append((self._left(values - step) - self._left(values + step)) / (2.0 * h))
        return np.array(columns).T

    def _at(self, values: Array, cov: Array, status: str, steps: int) -> LawFit:
        system, problem, solution = self.system, self.problem, self.solution
        jacobian = system.filter.log_jacobian
        nuisance = Nuisance(system.filter.names, values, cov, jacobian)
        best = replace(
            solution,
            nll=solution.nll - jacobian,
            nuisance=nuisance,
            label=self._fit.found.best.label,
        )
        if status:
            best = replace(best, converged=False, status=status)
        found = replace(self._fit.found, best=best)
        return LawFit(found, system, problem, self._gradient, steps)
