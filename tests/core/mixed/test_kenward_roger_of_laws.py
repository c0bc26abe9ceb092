"""Kenward-Roger with a residual law, against whole matrices whose derivatives are exact."""

import numpy as np
import pytest

from sm_alsgls.core.mixed import information as inf
from sm_alsgls.core.mixed.kenward_roger import KenwardRogerCovariance
from sm_alsgls.core.mixed.law_moves import LawMoves
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.residual_laws import Levels
from sm_alsgls.core.mixed.structures import Diagonal, LoadingsOnly, LowRank, Unstructured
from sm_alsgls.core.mixed.sums import Sums
from sm_alsgls.exceptions import NotApplicableError
from tests.core.mixed import dense, dense_mixed

KINDS = {"low rank": LowRank(3, 1), "full": Unstructured(3), "diagonal": Diagonal(3)}
LAWS = ["levels", "ar", "levels ar"]


def fitted(kind, law, weights=False):
    d = dense.data(seed=11, m=25, law=law, weights=weights, sizes=(3, 9))
    return d, mixed_fit(d.products(), KINDS.get(kind, kind), d.law, n_starts=2)


def rows_of(d):
    return None if isinstance(d.law, Levels) else d.mixed_rows


def residual(d, theta, at):
    """R of rows ``at`` with its first and second derivatives in theta, by formulas."""
    R = dense.residual_covariance(d, theta, at)
    L = len(theta) - (not isinstance(d.law, Levels))
    levels = None if L == 0 else (d.index if d.index.ndim == 1 else d.index[:, 1])[at]
    half = [0.5 * ((levels == k + 1)[:, None] * 1.0 + (levels == k + 1)) for k in range(L)]
    first = [h * R for h in half]
    second = [[one * other * R for other in half] for one in half]
    if len(theta) > L:
        t = (d.index if d.index.ndim == 1 else d.index[:, 0])[at].astype(float)
        lag = abs(t[:, None] - t)
        in_rho = R * lag / theta[-1]
        first.append(in_rho)
        second = [[*row, h * in_rho] for row, h in zip(second, half, strict=True)]
        last = [h * in_rho for h in half]
        second.append([*last, R * lag * (lag - 1.0) / theta[-1] ** 2])
    return R, first, second


def whole(d, fit, coordinates):
    """V and its derivatives in coordinates (phi or elements of G, law, s2), and X, y."""
    s2, theta, size = fit.s2, fit.theta, len(coordinates.c) - fit.law.size - 1
    order = dense.groups(d)
    n, k = len(d.y), len(coordinates.c)
    back = np.linalg.inv(fit.products.basis.z)
    in_G = back @ coordinates.E[:size] @ back.T
    V, dV, d2V = np.zeros((n, n)), np.zeros((k, n, n)), np.zeros((k, k, n, n))
    for at in order:
        block, Z = np.ix_(at, at), d.Z[at]
        R, first, second = residual(d, theta, at)
        V[block] = Z @ fit.G @ Z.T + s2 * R
        for a in range(size):
            dV[a][block] = Z @ in_G[a] @ Z.T
            for b in range(size):
                w = np.zeros((k, k))
                w[a, b] += 0.5
                w[b, a] += 0.5
                E = coordinates.second(w).E
                d2V[a, b][block] = Z @ back @ E @ back.T @ Z.T
        if isinstance(d.law, Levels):
            for level in range(fit.law.size + 1):
                own = np.where(
                    d.index[at] == level, np.diag(R) / np.exp(np.append(0, theta))[level], 0
                )
                dV[size + level - 1 if level else k - 1][block] = np.diag(own)
            continue
        dV[-1][block] = R
        for a, one in enumerate(first, size):
            dV[a][block] = s2 * one
            d2V[a, -1][block] = d2V[-1, a][block] = one
            for b in range(len(first)):
                d2V[a, size + b][block] = s2 * second[a - size][b]
    return V, dV, d2V


def tangent(V, dV, d2V, X, W):
    """The part of sum W_ab d2V_ab along the family, in the metric of REML's information."""
    D = np.einsum("ab,abij->ij", W, d2V)
    M = dense_mixed.estimate(X, np.zeros(len(X)), V)[2]
    t = np.array([0.5 * np.sum((M @ D) * (M @ one).T) for one in dV])
    return np.tensordot(W @ t, dV, 1)


# Weights beside every law and every kind, and none beside each.
@pytest.mark.parametrize(
    ("kind", "law", "weights"),
    [(kind, law, (i + j) % 2 == 1) for i, kind in enumerate(KINDS) for j, law in enumerate(LAWS)],
)
def test_kenward_roger_of_a_law_is_that_of_whole_matrices(kind, law, weights):
    d, fit = fitted(kind, law, weights)
    rows = rows_of(d)
    coordinates = inf.elements(fit) if kind == "full" else inf.absolute(fit)
    V, dV, d2V = whole(d, fit, coordinates)
    X, y = d.X, d.y
    moves = np.ones(len(dV), dtype=bool) if kind == "full" else inf.free(fit)
    some = np.flatnonzero(moves)
    W = np.linalg.inv(dense_mixed.expected_information(X, V, dV[some]))
    inverse = np.linalg.inv(V)
    sums = Sums(fit, coordinates, LawMoves(fit, rows and rows()))
    found = sums.expected(True)
    expected = dense_mixed.expected_information(X, V, dV)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * abs(expected).max())
    P = np.array(dense_mixed.phi_derivatives(X, V, dV))
    np.testing.assert_allclose(sums.P, P, rtol=1e-8, atol=1e-8 * abs(P).max())
    adjusted = {}
    nothing = np.zeros_like(d2V[np.ix_(some, some)])
    adjusted["first-order"], _ = dense_mixed.kenward_roger_covariance(X, V, dV[some], nothing)
    bent = d2V[np.ix_(some, some)]
    adjusted["1997"], _ = dense_mixed.kenward_roger_covariance(X, V, dV[some], bent)
    along = tangent(V, dV[some], bent, X, W)
    C = np.linalg.inv(X.T @ inverse @ X)
    back = 0.5 * C @ X.T @ inverse @ along @ inverse @ X @ C
    adjusted["2009"] = adjusted["1997"] + back
    for variant, expected in adjusted.items():
        made = KenwardRogerCovariance(fit, variant, rows)
        np.testing.assert_allclose(made.dense(), expected, rtol=1e-8, atol=1e-10, err_msg=variant)
    # Degrees of freedom: what is zero is unknown in them.
    F, m, _ = dense_mixed.kenward_roger(X, y, V, dV, np.eye(2), None, adjusted["2009"])
    test = made.joint(np.eye(2), fit.b)
    np.testing.assert_allclose(test[:3], [F, 2.0, m], rtol=1e-7)
    one = [dense_mixed.kenward_roger(X, y, V, dV, row, None, C)[1] for row in np.eye(2)]
    np.testing.assert_allclose(made.coefficient_df(), one, rtol=1e-7)


def test_the_positive_one_is_2009_where_that_is_near():
    """And positive where rows depend on each other, whatever G is."""
    d, fit = fitted("full", "ar")
    two = [KenwardRogerCovariance(fit, kind, d.mixed_rows).dense() for kind in ("positive", "2009")]
    gap, step = two[0] - two[1], two[1] - fit.cov_b
    assert 0.0 < abs(gap).max() < abs(step).max() ** 2 / abs(fit.cov_b).min()


def test_loadings_of_full_rank_have_what_any_covariance_has():
    """The same V in other parameters: what is left of its curvature is none of theirs."""
    d, full = fitted("full", "levels ar")
    _, other = fitted(LoadingsOnly(3, 3), "levels ar")
    np.testing.assert_allclose(full.llf, other.llf, atol=1e-8)
    one, two = (KenwardRogerCovariance(fit, rows=d.mixed_rows) for fit in (full, other))
    np.testing.assert_allclose(two.dense(), one.dense(), rtol=1e-5)
    np.testing.assert_allclose(two.coefficient_df(), one.coefficient_df(), rtol=1e-5)


def test_rows_that_are_gone():
    _, fit = fitted("full", "ar")
    with pytest.raises(NotApplicableError, match="keep them"):
        KenwardRogerCovariance(fit)
