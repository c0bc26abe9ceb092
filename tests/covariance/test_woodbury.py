"""The block factorisation of F F' + D and every kernel on it, against exact arithmetic."""

from functools import cache

import mpmath
import numpy as np
import pytest

from sm_alsgls.covariance import woodbury as w

CASES = {
    "tame": (7, 2, {}),
    "one factor": (5, 1, {}),
    "as many factors as equations": (4, 4, {}),
    "spread rows": (9, 3, {"spread": 1e5, "owned": [0]}),
    "parallel loadings": (8, 2, {"parallel": 1e-7}),
    "one Heywood case": (8, 2, {"heywood": [3]}),
    "two Heywood cases": (9, 3, {"heywood": [1, 6]}),
    "all directions owned": (6, 2, {"heywood": [0, 5]}),
}


def drawn(name):
    K, r, kind = CASES[name]
    rng = np.random.default_rng(K + r)
    F, d = rng.standard_normal((K, r)), rng.uniform(0.3, 1.5, K)
    if "spread" in kind:
        F *= np.geomspace(1.0, kind["spread"], K)[:, None]
        d *= np.geomspace(1.0, kind["spread"], K) ** 2
        F[0] *= 300.0
    if "parallel" in kind:
        F[:, 1] = F[:, 0] * 40.0 + kind["parallel"] * F[:, 1]
    d[kind.get("heywood", [])] = 1e-6
    return F, d, rng.standard_normal((11, K))


@cache
def exact(name):
    """Sigma^-1 and log|Sigma| in 60 digits."""
    F, d, _ = drawn(name)
    with mpmath.workdps(60):
        S = mpmath.matrix(F.tolist()) * mpmath.matrix(F.tolist()).T
        for j, value in enumerate(d):
            S[j, j] += mpmath.mpf(value)
        inverse = np.array((S**-1).tolist(), dtype=float).reshape(S.rows, S.cols)
        return inverse, float(mpmath.log(mpmath.det(S)))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", CASES)
def test_every_kernel_is_the_dense_one(name, order):
    F, d, M = drawn(name)
    M = np.asarray(M, order=order)
    P, logdet = exact(name)
    f = w.factorise(F, d)
    kind = CASES[name][2]
    assert f.J.tolist() == kind.get("owned", kind.get("heywood", []))
    scale = np.sqrt(np.diag(P))
    solved = w.solve(M, f)
    np.testing.assert_allclose(solved / scale, M @ P / scale, rtol=1e-8, atol=1e-9)
    assert solved.flags[f"{order}_CONTIGUOUS"]
    assert w.logdet(d, f) == pytest.approx(logdet, abs=1e-9)
    np.testing.assert_allclose(w.precision_diag(f), np.diag(P), rtol=1e-8)
    np.testing.assert_allclose(
        w.precision(f) / np.outer(scale, scale), P / np.outer(scale, scale), atol=1e-9
    )
    assert w.quad(M, f) == pytest.approx(np.vdot(M @ P, M), rel=1e-8)
    G = w.precision_factor(F, d, f)
    # 1/d - |g|^2 cancels where d is small: that is what J is for.
    np.testing.assert_allclose((G @ G.T) * d, np.diag(1.0 / d) * d - P * d, atol=1e-7)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", CASES)
def test_roots(name, order):
    F, d, M = drawn(name)
    M = np.asarray(M, order=order)
    f = w.factorise(F, d)
    root = w.root_of(f)
    Sigma, (P, _) = F @ F.T + np.diag(d), exact(name)
    size, scale = np.sqrt(np.diag(Sigma)), np.sqrt(np.diag(P))
    W = w.whiten(np.asarray(np.eye(len(d)), order=order), f, root)
    np.testing.assert_allclose(
        W @ W.T / np.outer(scale, scale), P / np.outer(scale, scale), atol=1e-8
    )
    sd = np.where(f.scale > 0.0, np.sqrt(d), 0.0)
    back = w.colorize(np.asarray(np.eye(len(d)), order=order), f, root, sd)
    np.testing.assert_allclose(
        back.T @ back / np.outer(size, size), Sigma / np.outer(size, size), atol=1e-9
    )
    np.testing.assert_allclose(w.colorize(w.whiten(M, f, root), f, root, sd), M, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_pieces_in_any_order(name):
    F, d, M = drawn(name)
    f, K = w.factorise(F, d), len(d)
    expected = w.solve(M, f)
    pieces = w.PiecewiseSolve(f, len(M))
    for part in np.array_split(np.random.default_rng(0).permutation(K), 3):
        pieces.read(part, np.ascontiguousarray(M.T[part]))
    for part in np.array_split(np.arange(K), 2):
        taken = pieces.taken(part, np.empty((len(part), len(M))))
        got = M.T[part] * pieces.scale(part)[:, None] - taken
        size = np.abs(expected).max(axis=0)[part, None]
        np.testing.assert_allclose(got / size, expected.T[part] / size, atol=1e-10)


def test_quad_of_rows_that_the_factors_explain_does_not_cancel():
    rng = np.random.default_rng(0)
    F, d = 1e4 * rng.standard_normal((30, 2)), np.full(30, 1e-2)
    M = rng.standard_normal((5, 2)) @ F.T
    with mpmath.workdps(60):
        S = mpmath.matrix(F.tolist()) * mpmath.matrix(F.tolist()).T
        for j in range(30):
            S[j, j] += mpmath.mpf(d[j])
        rows = [mpmath.matrix(row.tolist()) for row in M]
        value = sum((mpmath.lu_solve(S, row).T * row)[0] for row in rows)
    assert w.quad(M, w.factorise(F, d)) == pytest.approx(float(value), rel=1e-7)


def test_without_factors():
    d = np.array([0.5, 2.0])
    f = w.uncorrelated(d)
    np.testing.assert_array_equal(f.scale, 1.0 / d)
    assert f.Gt.shape == f.Qt.shape == (0, 2)
    assert not f.J.size


def test_a_triangle_is_upper_with_a_positive_diagonal():
    for name in CASES:
        F, d, _ = drawn(name)
        A = F / np.sqrt(d)[:, None]
        R, perm, Qt = w.triangle(A)
        at = np.arange(F.shape[1]) if perm is None else perm
        C = (np.eye(F.shape[1]) + A.T @ A)[np.ix_(at, at)]
        size = np.sqrt(np.diag(C))
        np.testing.assert_allclose(
            R.T @ R / np.outer(size, size), C / np.outer(size, size), atol=1e-12
        )
        np.testing.assert_array_equal(R, np.triu(R))
        assert (R.diagonal() > 0.0).all()
        np.testing.assert_allclose(R.T @ Qt / size[:, None], A[:, at].T / size[:, None], atol=1e-12)


def test_products_in_place():
    rng = np.random.default_rng(0)
    T, B = rng.standard_normal((4, 2)), rng.standard_normal((2, 5))
    for order in "CF":
        out = np.asarray(rng.standard_normal((4, 5)), order=order)
        expected = out - T @ B
        w.add_product(out, -1.0, T, B)
        np.testing.assert_allclose(out, expected, atol=1e-14)
    w.add_product(np.empty((0, 5)), 1.0, np.empty((0, 2)), B)
