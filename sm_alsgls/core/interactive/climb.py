"""Newton's method on b, from one start.

The Hessian H is turned into one of descent in the metric of the regressors, B = 2 tr A_j'A_k: with
H v = h B v the step is -sum v (v'g) / max(|h|, 1e-3), halved until S falls enough (Armijo). It ends
where the step is short in standard errors,

    (step' (H/2) step) / (S / f) <= gtol^2,       f = (T - kL - r)(n - kC - r) - p,

the left side being what the step is in the metric of b's covariance, S/f (H/2)^-1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from sm_alsgls.core.interactive.profile import Point, gauss_newton, hessian, point
from sm_alsgls.core.interactive.scaled import Scaled

Array = np.ndarray

STATIONARY = "stationary"
# Least eigenvalue that a step divides by, and the share of a regressor's products that rounding is.
_FLAT, _NOTHING = 1e-2, 2e-8
_HALVINGS = 30


@dataclass(frozen=True)
class Climb:
    """Where one start ended.

    Attributes
    ----------
    label : str
        Of the start.
    at : Point
    steps : int
    status : str
        "stationary", or why not.
    """

    label: str
    at: Point
    steps: int
    status: str

    @property
    def converged(self) -> bool:
        """Whether it is stationary."""
        return self.status == STATIONARY


def freedom(W: Scaled, rank: int) -> float:
    """f, the degrees of freedom of whole rows, at least 1."""
    T, n = W.y.shape
    left = (T - W.L.shape[1] - rank) * (n - W.Q.shape[1] - rank) - W.p
    return float(max(left, 1))


def climb(
    W: Scaled,
    rank: int,
    beta: Array,
    label: str = "given",
    *,
    gtol: float = 1e-9,
    max_iter: int = 100,
    block: Array | None = None,
) -> Climb:
    """Minimise S from ``beta``.

    Parameters
    ----------
    W : Scaled
    rank : int
    beta : ndarray, shape (p,)
    label : str
    gtol : float
        Length of the last step, in standard errors.
    max_iter : int
    block : ndarray, optional
        A subspace to begin from, see `leading`.
    """
    at = point(W, rank, beta, block)
    if W.p == 0:
        return Climb(label, at, 0, STATIONARY)
    f = freedom(W, rank)
    # A sum of squares that is rounding has no gradient.
    nothing = 1e-28 * float(np.vdot(W.y, W.y))
    for steps in range(max_iter):
        if at.S <= nothing:
            return Climb(label, at, steps, STATIONARY)
        step = -inverse_curvature(W, at) @ at.gradient
        length = -0.5 * float(at.gradient @ step) / (at.S / f)
        if length <= gtol**2:
            return Climb(label, at, steps, STATIONARY)
        new = _searched(W, rank, at, step)
        if new is None:
            # Rounding of S hides what the step would gain: 1e-16 of S is 1e-8 f^1/2 errors.
            near = length <= 1e-12 * f
            return Climb(label, at, steps, STATIONARY if near else "no step goes down")
        at = new
    return Climb(label, at, max_iter, f"{max_iter} steps did not suffice: raise max_iter")


def inverse_curvature(W: Scaled, at: Point) -> Array:
    """sum v v' / max(|h|, 1e-2), positive definite, shape (p, p); H^-1 where H is.

    Eigenvalues h are relative to what is left of the regressors beside the factors: of their whole
    products a factor may take nearly all, where nothing is demeaned, and every h would be small.
    """
    left = gauss_newton(W, at) + _NOTHING * W.gram
    h, v = scipy.linalg.eigh(hessian(W, at), left)
    return np.asarray((v / np.maximum(np.abs(h), _FLAT)) @ v.T)


def _searched(W: Scaled, rank: int, at: Point, step: Array) -> Point | None:
    slope = float(at.gradient @ step)
    share = 1.0
    for _ in range(_HALVINGS):
        new = point(W, rank, at.beta + share * step, at.factors.block)
        if new.S <= at.S + 1e-4 * share * slope:
            return new
        # Near the end the fall is less than the rounding of S: then a smaller gradient decides.
        if abs(new.S - at.S) <= 1e-13 * at.S and np.abs(new.gradient @ step) < 0.5 * abs(slope):
            return new
        share *= 0.5
    return None
