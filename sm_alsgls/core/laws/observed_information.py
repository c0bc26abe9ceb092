"""Standard errors from the observed curvature of the profile likelihood.

H, the information of GLS at the estimated Sigma and laws, takes these as known, and in panels of
few periods its intervals cover .89 for .95. The profile likelihood knows better: at beta_k moved by
a standard error to either side everything else is estimated again, rho and Sigma with it, and

    J = - (S(+) - S(-)) / (2 step),      V = J^-1 H J^-1,

S the efficient scores of the coefficients ``which`` at the points, H^-1 their covariance by GLS. J
is smaller than H by what the residuals bend Sigma to beta, an observed analogue of Kenward and
Roger (1997, Biometrics 53); the scores' variance stays H. V is scaled by N / (N - p), p the mean
over equations of their own coefficients, a shared one counting 1/K. For one coefficient the
standard error is (H_k^1/2 / J_k) (N / (N - p))^1/2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.beta.gls import conjugate_gradients
from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.progress import counted

Array = np.ndarray
#: Fits a system that was changed, from the fit of what it was.
Refit = Callable[[LawFit, RawSystem], LawFit]

# Of the refits: their scores' error is of its square.
_GTOL = 1e-4
_CG_TOL = 1e-9


class ObservedCovariance(NamedTuple):
    """Covariance of some coefficients.

    Attributes
    ----------
    cov : ndarray, shape (q, q)
        V, scaled.
    observed, expected : ndarray, shape (q, q)
        J and H, efficient in these coefficients.
    """

    cov: Array
    observed: Array
    expected: Array


@on_one_thread
def observed_covariance(fit: LawFit, which: Array, refit: Refit) -> ObservedCovariance:
    """V of the parameters ``which``, as the module says.

    Parameters
    ----------
    fit : LawFit
    which : ndarray of int, shape (q,)
        Positions among the parameters of the design.
    refit : callable
        `maximise_from` or its like, of the same rank.

    Raises
    ------
    NotApplicableError
        Coefficients obey restrictions already.

    Notes
    -----
    Cost: 2 q refits.

    Examples
    --------
    >>> import numpy as np
    >>> from functools import partial
    >>> from sm_alsgls.core.laws.chain import Chain
    >>> from sm_alsgls.core.laws.maximise import maximise, maximise_from
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((60, 1)) for _ in range(3)]
    >>> raw = RawSystem(rng.standard_normal((60, 3)), X, Chain([]), ALSOptions())
    >>> fit = maximise(raw, 0)
    >>> found = observed_covariance(fit, np.arange(3), partial(maximise_from, rank=0))
    >>> bool((found.observed.diagonal() <= found.expected.diagonal()).all())  # H (1 - 2 t^2 / N)
    True
    """
    problem, best = fit.problem, fit.found.best
    if problem.design.origin is not None:
        raise NotApplicableError("coefficients that obey restrictions have no profile of their own")
    which = np.asarray(which, dtype=np.intp)
    R = np.eye(problem.design.P)[which]
    expected = _efficient(problem, best.cov, R)[0]
    params = problem.design.to_params(best.gamma)[which]
    loose = replace(fit.system.options, gtol=max(_GTOL, fit.system.options.gtol))
    step = 1.0 / np.sqrt(np.diagonal(expected))
    J = np.empty_like(expected)
    for k, h in enumerate(counted(step, "standard errors", unit="coefficient")):
        sides = []
        for sign in (1.0, -1.0):
            q = params.copy()
            q[k] += sign * h
            binding = Restrictions(R, q, fit.system.binding)
            moved = refit(fit, replace(fit.system, binding=binding, options=loose))
            sides.append(_score(moved, fit.system, R))
        J[:, k] = -(sides[0] - sides[1]) / (2.0 * h)
    J = 0.5 * (J + J.T)
    inverse = np.linalg.inv(J)
    n = problem.n_obs
    p = problem.design.P / problem.K
    return ObservedCovariance(inverse @ expected @ inverse * (n / (n - p)), J, expected)


def _efficient(problem: Problem, cov: Covariance, R: Array) -> tuple[Array, Array, Array]:
    """Efficient information of R theta, H^-1 C, and C, the rows of R on the coordinates."""
    C = problem.design.on_flat(R)
    normal = problem.normal(cov)
    solved = np.empty_like(C)
    for k, c in enumerate(C.T):
        size = float(np.sqrt(c @ (c / normal.diagonal)))
        solved[:, k] = conjugate_gradients(
            normal.apply, c, normal.diagonal, tol=_CG_TOL * size, max_iter=1000
        ).x
    return np.linalg.inv(C.T @ solved), solved, C


def _score(moved: LawFit, system: RawSystem, R: Array) -> Array:
    """Efficient scores (q,) of R theta at a restricted fit, without the restriction."""
    at = replace(moved.system, binding=system.binding)
    problem = at.problem()
    best = moved.found.best
    gamma = problem.design.from_beta(moved.problem.design.to_beta(best.gamma))
    information, solved, _ = _efficient(problem, best.cov, R)
    score = problem.normal(best.cov).score(problem.residuals(gamma), gamma)
    return np.asarray(information @ (solved.T @ score))
