"""The F F' + D closest to a given covariance: maximum-likelihood factor analysis of a matrix.

With x = log d and F at its best for that d, which is closed-form, the discrepancy

    log|F F' + D| + tr(R (F F' + D)^-1)

of a correlation matrix R (Jöreskog 1967) is a smooth function of K variables.  It is minimised by
L-BFGS-B, then Newton with the exact Hessian (Clarke 1970), from three deterministic starts.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.optimize import minimize

from sm_alsgls.covariance.arrays import Array, first, float_array, real, whole
from sm_alsgls.exceptions import (
    ConvergenceWarning,
    IllegalRankError,
    NonFiniteError,
    ShapeError,
    SystemInputError,
)


def closest(
    Sigma: npt.ArrayLike, r: int, d_floor: float, gtol: float, max_iter: int
) -> tuple[Array, Array]:
    """Loadings F (K, r) and uniquenesses d (K,) closest to Sigma; see ``LowRankDiag.from_dense``.

    It warns on behalf of its caller's caller.
    """
    S = float_array(Sigma, "Sigma")
    if S.ndim != 2 or S.shape[0] != S.shape[1] or not S.size:
        raise ShapeError(f"Sigma must have shape (K, K), got {S.shape}")
    K = S.shape[0]
    if not np.isfinite(S).all():
        raise NonFiniteError(f"Sigma must be finite, got {first(~np.isfinite(S), S, 'Sigma')}")
    if isinstance(r, bool) or not (isinstance(r, int | np.integer) and 0 <= r < K):
        raise IllegalRankError(f"r must be an integer from 0 to K - 1 = {K - 1}, got {r!r}")
    d_floor, gtol = real(d_floor, "d_floor", 0.0, 1.0), real(gtol, "gtol", 0.0, 1e6)
    max_iter = whole(max_iter, "max_iter", 1)
    sd, R = _correlation(S)
    if r == 0:
        return np.empty((K, 0)), S.diagonal()
    best = _best_of_three(R, int(r), d_floor, gtol, max_iter)
    if best.error > gtol:
        warnings.warn(
            f"from_dense stopped where the gradient is {best.error:.2g} > gtol = {gtol:.2g}; raise "
            f"max_iter (now {max_iter}), or lower the rank (now {r}), which may be too high",
            ConvergenceWarning,
            stacklevel=3,
        )
    return sd[:, None] * best.F, S.diagonal() * best.d


def _correlation(S: Array) -> tuple[Array, Array]:
    """Standard deviations (K,) and correlation matrix of S (K, K), which must be a covariance."""
    variances = S.diagonal()
    if not variances.min() > 0:
        bad = np.diag(variances <= 0)
        raise SystemInputError(f"variances must be positive, got {first(bad, S, 'Sigma')}")
    sd = np.sqrt(variances)
    R = S / sd[:, None] / sd
    skew = np.abs(R - R.T) > 1e-8
    if skew.any():
        i, j = map(int, np.argwhere(skew)[0])
        raise SystemInputError(
            f"Sigma must be symmetric, got {first(skew, S, 'Sigma')} and "
            f"Sigma[{j}, {i}] = {float(S[j, i])!r}"
        )
    R = (R + R.T) / 2
    smallest = float(np.linalg.eigvalsh(R)[0])
    if smallest < -1e-8 * S.shape[0]:
        raise SystemInputError(
            "Sigma must be positive semi-definite; its correlation matrix has the eigenvalue "
            f"{smallest:.3g}"
        )
    return sd, R


class _Best(NamedTuple):
    F: Array  # (K, r)
    d: Array  # (K,)
    error: float  # largest derivative with respect to log d_j, over the d_j not held at a bound


def _best_of_three(R: Array, r: int, d_floor: float, gtol: float, max_iter: int) -> _Best:
    """Loadings and uniquenesses closest to the correlation matrix R: best of three starts."""
    K = R.shape[0]
    lower = float(np.log(d_floor))
    spread, axes = np.linalg.eigh(R)
    Y = np.sqrt(np.maximum(spread, 0.0))[:, None] * axes.T
    specific = 1.0 / np.linalg.inv(R + 1e-3 * np.eye(K)).diagonal()
    starts = (
        np.log(np.clip((1.0 - 0.5 * r / K) * specific, d_floor, 1.0)),
        np.full(K, np.log(0.5)),
        # Uneven, so that no symmetry of R can hold the search on a saddle.
        np.log(0.05 + 0.9 * np.modf(0.618033988749895 * np.arange(1, K + 1))[0]),
    )

    def objective(x: Array) -> tuple[float, Array]:
        return concentrated(x, Y, r)[:2]

    finished = []
    for start in starts:
        rough: Any = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(lower, 0.0)] * K,
            options={"maxiter": max_iter, "maxcor": 20, "gtol": 1e-5, "ftol": 1e-13},
        )
        finished.append(_newton(rough.x, Y, r, lower, gtol, max_iter))
    _, x, error = min(finished, key=lambda end: end[0])
    _, _, theta, V, _ = concentrated(x, Y, r)
    d = np.exp(x)
    F = np.sqrt(d)[:, None] * V[:, K - r :] * np.sqrt(np.maximum(theta[K - r :] - 1.0, 0.0))
    return _Best(F, d, error)


def concentrated(
    x: Array, Y: Array, r: int
) -> tuple[float, Array, Array, Array, npt.NDArray[np.bool_]]:
    """Half the discrepancy at d = exp(x) with F at its best, its gradient, theta, V and "top".

    With the eigenpairs (theta_i, v_i) of D^-1/2 R D^-1/2, the top r with theta_i > 1 taken by
    factors ("top") and the others left ("rest"),

        value    = ( sum x + sum_top (1 + log theta_i) + sum_rest theta_i ) / 2
        d/dx_j   = sum_rest (1 - theta_i) v_ij^2 / 2.
    """
    # Singular values of a root Y'Y = R, not eigenvalues of R: their errors are relative to the root
    # of the largest theta, which is 1e8 and more where some d_j is at its floor.
    _, roots, Vt = np.linalg.svd(Y * np.exp(-0.5 * x))
    theta, V = np.square(roots[::-1]), Vt[::-1].T
    top = np.zeros(x.size, dtype=np.bool_)
    top[x.size - r :] = theta[x.size - r :] > 1.0
    value = 0.5 * float(x.sum() + (np.log(theta[top]) + 1.0).sum() + theta[~top].sum())
    gradient = 0.5 * np.square(V[:, ~top]) @ (1.0 - theta[~top])
    return value, gradient, theta, V, top


def hessian(theta: Array, V: Array, top: npt.NDArray[np.bool_]) -> Array:
    """Second derivatives of ``concentrated`` in x = log d (Clarke 1970).

    With P = V_rest V_rest', Theta over the rest, and * elementwise,

        2 H = P * (V_rest Theta V_rest') + sum_{m in rest, n in top}
              (1 - theta_m) (theta_n + theta_m) / (theta_n - theta_m) (v_m v_m') * (v_n v_n').
    """
    rest, low = V[:, ~top], theta[~top]
    H = (rest @ rest.T) * ((rest * low) @ rest.T)
    for n in np.flatnonzero(top):
        gap = np.maximum(theta[n] - low, 1e-12 * theta[n])
        inner = (rest * ((1.0 - low) * (theta[n] + low) / gap)) @ rest.T
        H += inner * np.outer(V[:, n], V[:, n])
    return np.asarray(0.5 * H)


def _newton(
    x: Array, Y: Array, r: int, lower: float, gtol: float, max_iter: int
) -> tuple[float, Array, float]:
    """Projected Newton from x within lower <= x <= 0: (value, x, largest free gradient)."""
    state = concentrated(x, Y, r)
    for _ in range(max_iter):
        value, g, theta, V, top = state
        free = ~(((x <= lower) & (g > 0)) | ((x >= 0) & (g < 0)))
        error = float(np.abs(g[free]).max(initial=0.0))
        if error <= 1e-3 * gtol:
            break
        curvature, Q = eigh(hessian(theta, V, top)[np.ix_(free, free)], check_finite=False)
        # |curvature|: a saddle repels, as a maximum does.
        curvature = np.maximum(np.abs(curvature), 1e-8 * np.abs(curvature).max())
        step = np.zeros_like(x)
        step[free] = -Q @ ((Q.T @ g[free]) / curvature)
        step /= max(1.0, float(np.abs(step).max()) / 2.0)
        t = 1.0
        while t > 1e-6:
            trial = np.clip(x + t * step, lower, 0.0)
            new = concentrated(trial, Y, r)
            descent = float(g @ (trial - x))
            if abs(new[0] - value) <= 1e-13 * (1.0 + abs(value)) * x.size:
                # The difference is rounding error, so the gradient decides.
                better = float(np.abs(new[1][free]).max(initial=0.0)) < error
            else:
                better = new[0] <= value + 1e-4 * min(descent, 0.0)
            if better:
                break
            t *= 0.5
        else:
            break
        x, state = trial, new
    value, g = state[:2]
    free = ~(((x <= lower) & (g > 0)) | ((x >= 0) & (g < 0)))
    return value, x, float(np.abs(g[free]).max(initial=0.0))


def canonical_loadings(F: Array, d: Array) -> Array:
    """Rotation of F (K, r) that ``LowRankDiag.canonical`` describes, as a new array."""
    out = np.zeros(F.shape)
    if F.shape[1]:
        _, s, Vt = np.linalg.svd(F / np.sqrt(d)[:, None], full_matrices=False)
        out[:, : s.size] = F @ Vt.T
    sums, tiny = out.sum(axis=0), 1e-12 * np.abs(out).sum(axis=0)
    for k in np.flatnonzero(tiny > 0):
        sign = sums[k]
        if abs(sign) <= tiny[k]:
            sign = out[np.argmax(np.abs(out[:, k]) > tiny[k]), k]
        if sign < 0:
            out[:, k] *= -1.0
    return out
