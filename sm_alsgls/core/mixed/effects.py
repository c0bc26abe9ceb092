"""Predicted effects of groups (BLUPs), and how uncertain they are.

With Gamma = G / s2, C = s2 H^-1 the covariance of b, and v_i, B_i, Gamma*_i of `likelihood`,

    bhat_i = Gamma v_i
    var(b_i | y_i, b)       = s2 Gamma*_i                            statsmodels' random_effects_cov
    var(bhat_i - b_i)       = s2 Gamma*_i + Gamma B_i C B_i' Gamma   b estimated (Henderson 1975)
    cov(bhat - b, bhat_i - b_i) = -C B_i' Gamma                      bhat here of the coefficients

The same holds of a new group given some rows of its own, which were not used for b: what is new is
independent of b's error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.likelihood import Profile, estimated, half_solved, shrunken

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects of m groups, in the user's units.

    Attributes
    ----------
    mean : ndarray, shape (m, q)
        bhat_i.
    conditional : ndarray, shape (m, q, q)
        var(b_i | y_i) at known coefficients.
    cov : ndarray, shape (m, q, q)
        var(bhat_i - b_i), coefficients estimated.
    with_b : ndarray, shape (m, p, q)
        Covariance of the errors of coefficients and of effects.
    """

    mean: Array
    conditional: Array
    cov: Array
    with_b: Array


def effects(fit: MixedFit, products: CrossProducts | None = None) -> Effects:
    """Effects of the groups of a fit, or of others given their own rows.

    Parameters
    ----------
    fit : MixedFit
    products : CrossProducts, optional
        Of other groups, of the same columns and law, in any basis. A group without rows has mean 0
        and covariance G.

    Notes
    -----
    O(m q^2 (q + p)); arrays of m q^2.
    """
    own = products is None
    profile = fit.profile
    if products is not None:
        changed = products.rebased(fit.products.basis)
        profile = Profile(changed, fit.structure, fit.law, fit.reml, fit.mix)
    point, A = fit.point, profile.root(fit.point.phi)
    q, p, m = profile.q, profile.p, profile.products.m
    Zs, _ = profile.weighted(point.theta)
    z, x = profile.products.basis.z, profile.products.basis.x
    back = solve_triangular(z, np.eye(q))
    D = point.D if own else np.empty((m, q, p + 1))
    shrunk = np.empty((m, q, q))
    for at in profile.pieces(A.shape[1]):
        shrunk[at] = back @ shrunken(A, Zs[at]) @ back.T
        if not own:
            U, _ = half_solved(A, Zs[at])
            D[at] = Zs[at, :, q:] - np.matmul(U[:, :, :q].transpose(0, 2, 1), U[:, :, q:])
    gamma = back @ A @ A.T
    mean = (D[:, :, p] - D[:, :, :p] @ point.b) @ gamma.T
    GB = gamma @ D[:, :, :p] @ x
    with_b = -np.matmul(fit.cov_b, GB.transpose(0, 2, 1))
    conditional = fit.s2 * shrunk
    return Effects(mean, conditional, conditional - np.matmul(GB, with_b), with_b)


def left_of_change(fit: MixedFit, products: CrossProducts | None = None) -> Array:
    """K_i = I - W_i Gamma, (m, q, q): what rows of a group leave of a change of G.

    With weights of a predictor of z'b_i held at the best ones, its mean squared error moves with G
    as (K_i z)'dG (K_i z): by what the rows do not say of b_i.

    Parameters
    ----------
    fit : MixedFit
    products : CrossProducts, optional
        As of `effects`.
    """
    profile = fit.profile
    if products is not None:
        changed = products.rebased(fit.products.basis)
        profile = Profile(changed, fit.structure, fit.law, fit.reml, fit.mix)
    A = profile.root(fit.point.phi)
    Zs, _ = profile.weighted(fit.point.theta)
    q, z = profile.q, profile.products.basis.z
    back = solve_triangular(z, np.eye(q))
    out = np.empty((profile.products.m, q, q))
    for at in profile.pieces(A.shape[1]):
        seen = np.matmul(Zs[at, :, :q], shrunken(A, Zs[at]))
        out[at] = np.eye(q) - z.T @ seen @ back.T
    return out


def moved_by_law(
    fit: MixedFit, groups: Array, products: CrossProducts | None = None
) -> tuple[Array, Array]:
    """How theta of the residual law moves the error of a predictor of z'b_i, by the group's rows.

    With dR = -R (sum_k dw_k E_k) R the group's own part of the predictor's weights, held at the
    best ones, V_i^-1 ( X_i C a + Z_i G z ), has

        d mse = 2 a'C cross z + s2 z'own z,   cross = M_xz Gamma,  own = Gamma M_zz Gamma,
        M = [Z X]'Vbar^-1 dR Vbar^-1 [Z X] = -sum_k dw_k E'C_ik E,
        E = [I - Gamma* ZZ, -Gamma* ZX; 0, I]

    beside a'dC a. Of a law whose rows are dependent as well.

    Parameters
    ----------
    fit : MixedFit
    groups : ndarray of int, shape (g,)
    products : CrossProducts, optional
        Whose groups these are, as of `effects`.

    Returns
    -------
    cross : ndarray, shape (g, size, p, q)
    own : ndarray, shape (g, size, q, q)
    """
    made = (fit.products if products is None else products).taken(groups)
    made = made.rebased(fit.products.basis)
    profile = Profile(made, fit.structure, fit.law, fit.reml, fit.mix)
    theta, q, p, size = fit.point.theta, profile.q, profile.p, fit.law.size
    slopes = fit.law.slopes(theta)
    A, basis = profile.root(fit.point.phi), made.basis
    gamma = A @ A.T @ solve_triangular(basis.z, np.eye(q)).T
    Zs, _ = profile.weighted(theta)
    cross, own = np.empty((made.m, size, p, q)), np.empty((made.m, size, q, q))
    for at in profile.pieces(max(1, size) * (q + p)):
        shrunk = shrunken(A, Zs[at])
        of_z = np.zeros((len(shrunk), q + p, q))
        of_z[:, :q] = np.eye(q) - np.matmul(shrunk, Zs[at, :, :q])
        of_z = of_z @ gamma
        moved = -np.einsum("tk,mkab->mtab", slopes, made.C[at, :, :-1, :-1], optimize=True)
        moved = np.matmul(moved, of_z[:, None])
        of_x = estimated(shrunk, Zs[at], p) @ basis.x
        cross[at] = np.matmul(of_x.transpose(0, 2, 1)[:, None], moved)
        own[at] = np.matmul(of_z.transpose(0, 2, 1)[:, None], moved)
    return cross, own
