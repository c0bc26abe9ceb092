"""The beta-step against the stacked system, formed whole."""

import tracemalloc

import numpy as np
import pytest

from sm_alsgls.core.beta.gls import conjugate_gradients, gls
from sm_alsgls.core.design import normal as module
from sm_alsgls.core.design.normal import NormalEquations
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.restricted import RestrictedDesign
from sm_alsgls.covariance import LowRankDiag
from tests.core import dense, systems

SHAPES = {
    "K < N": (40, 6, 2, 3),
    "K > N": (9, 14, 2, 2),
    "ragged": (25, 6, 1, (1, 4, 2, 2, 5, 1)),
    "one equation": (20, 1, 0, 3),
    "one equation, one factor": (20, 1, 1, 3),
    "diagonal": (25, 5, 0, (2, 3, 2, 4, 1)),
    "many factors": (25, 5, 5, 2),
}


def case(name, seed=1):
    N, K, r, p = SHAPES[name]
    rng = np.random.default_rng(seed)
    blocks, Y = systems.system(rng, N, K, max(r, 1), p)
    cov = LowRankDiag.from_factors(rng.standard_normal((K, r)), rng.uniform(0.2, 2.0, K))
    return rng, blocks, Y, cov


def flat(beta):
    return np.concatenate(beta)


@pytest.mark.parametrize("name", SHAPES)
def test_equals_stacked_gls(name):
    _, blocks, Y, cov = case(name)
    design = Design(blocks)
    fit = gls(design, Y, cov, cg_tol=1e-13)
    expected = dense.gls(blocks, Y, dense.sigma(cov.loadings, cov.uniquenesses))
    np.testing.assert_allclose(flat(design.to_beta(fit.gamma)), flat(expected), rtol=0, atol=1e-9)
    np.testing.assert_allclose(fit.E, dense.residuals(blocks, Y, expected), rtol=0, atol=1e-9)
    assert fit.cg.converged


@pytest.mark.parametrize("name", SHAPES)
def test_ridge_equals_stacked_ridge(name):
    rng, blocks, Y, cov = case(name)
    design = Design(blocks)
    weights = [rng.uniform(0.0, 0.5, X.shape[1]) for X in blocks]
    n_obs = 3 * len(Y)
    Sigma = dense.sigma(cov.loadings, cov.uniquenesses)
    for N in (None, n_obs):
        fit = gls(design, Y, cov, ridge=design.ridge(weights), n_obs=N, cg_tol=1e-13)
        expected = dense.gls(blocks, Y, Sigma, weights, N)
        np.testing.assert_allclose(
            flat(design.to_beta(fit.gamma)), flat(expected), rtol=0, atol=1e-9
        )


@pytest.mark.parametrize("start", ["zero", "far"])
def test_does_not_depend_on_the_start(start):
    rng, blocks, Y, cov = case("ragged")
    design = Design(blocks)
    gamma = np.zeros(design.P) if start == "zero" else 50 * rng.standard_normal(design.P)
    kept = gamma.copy()
    weights = [np.full(X.shape[1], 0.1) for X in blocks]
    for ridge, w in ((None, None), (design.ridge(weights), weights)):
        fit = gls(design, Y, cov, gamma=gamma, ridge=ridge, cg_tol=1e-13)
        expected = dense.gls(blocks, Y, dense.sigma(cov.loadings, cov.uniquenesses), w)
        np.testing.assert_allclose(
            flat(design.to_beta(fit.gamma)), flat(expected), rtol=0, atol=1e-9
        )
    np.testing.assert_array_equal(gamma, kept)


def test_equal_designs_are_ols_without_a_step():
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((30, 3)), rng.standard_normal((30, 7))
    cov = LowRankDiag.from_factors(rng.standard_normal((7, 2)), rng.uniform(0.1, 1, 7))
    design = Design([X.copy() for _ in range(7)])
    fit = gls(design, Y, cov)
    assert fit.cg.iterations == 0
    ols = np.linalg.lstsq(X, Y, rcond=None)[0]
    np.testing.assert_allclose(np.array(design.to_beta(fit.gamma)).T, ols, rtol=0, atol=1e-12)


def test_a_diagonal_covariance_is_ols_without_a_step():
    _, blocks, Y, cov = case("diagonal")
    fit = gls(Design(blocks), Y, cov)
    assert fit.cg.iterations == 0


@pytest.mark.parametrize("with_ridge", [False, True])
def test_every_cut_short_solve_descends(with_ridge):
    rng, blocks, Y, cov = case("K > N")
    design = Design(blocks)
    weights = [rng.uniform(0.0, 0.1, X.shape[1]) for X in blocks] if with_ridge else None
    ridge = design.ridge(weights) if with_ridge else None
    Sigma = dense.sigma(cov.loadings, cov.uniquenesses)
    start = 3 * rng.standard_normal(design.P)
    values = []
    for steps in range(9):
        fit = gls(design, Y, cov, gamma=start, ridge=ridge, cg_tol=1e-15, cg_maxit=steps)
        assert fit.cg.iterations == steps
        beta = design.to_beta(fit.gamma)
        penalty = 0.5 * np.concatenate(weights) @ flat(beta) ** 2 if with_ridge else 0.0
        values.append(dense.nll(dense.residuals(blocks, Y, beta), Sigma) + penalty)
    assert np.all(np.diff(values) < 0)


@pytest.mark.parametrize("with_ridge", [False, True])
def test_normal_equations_are_their_dense_matrix(with_ridge):
    rng, blocks, Y, cov = case("ragged")
    design = Design(blocks)
    weights = [rng.uniform(0.0, 0.5, X.shape[1]) for X in blocks]
    normal = NormalEquations(design, cov, 31, design.ridge(weights) if with_ridge else None)
    P_inv = np.linalg.inv(dense.sigma(cov.loadings, cov.uniquenesses))
    H = np.empty((design.P, design.P))
    score = np.empty(design.P)
    g = rng.standard_normal(design.P)
    E = Y - design.fitted(g)
    for j in range(design.K):
        for el in range(design.K):
            cross = design.basis(j).T @ design.basis(el)
            H[design.equation_slice(j), design.equation_slice(el)] = P_inv[j, el] * cross
        score[design.equation_slice(j)] = design.basis(j).T @ (E @ P_inv)[:, j]
        if with_ridge:
            B = design.beta_map(j)
            A = 31 * B.T @ np.diag(weights[j]) @ B
            H[design.equation_slice(j), design.equation_slice(j)] += A
            score[design.equation_slice(j)] -= A @ g[design.equation_slice(j)]
    applied = np.array([normal.apply(unit) for unit in np.eye(design.P)]).T
    np.testing.assert_allclose(applied, H, rtol=0, atol=1e-11)
    np.testing.assert_allclose(normal.diagonal, np.diag(H), rtol=1e-11)
    np.testing.assert_allclose(normal.score(E, g), score, rtol=0, atol=1e-11)
    unit = score / np.sqrt(np.diag(H))
    expected = max(np.linalg.norm(unit[design.equation_slice(j)]) for j in range(design.K))
    assert normal.score_size(score) == pytest.approx(expected, rel=1e-12)


def test_conjugate_gradients_report_their_residual():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((12, 12))
    H, b = A @ A.T + np.eye(12), rng.standard_normal(12)
    for tol, most in ((1e-10, 200), (1e-3, 200), (1e-12, 3)):
        cg = conjugate_gradients(lambda v: H @ v, b, np.diag(H), tol=tol, max_iter=most)
        left = b - H @ cg.x
        size = np.sqrt(left @ (left / np.diag(H)))
        assert cg.residual == pytest.approx(size, rel=1e-4, abs=1e-13)
        assert cg.converged == (size <= tol)
        assert cg.iterations <= most
    assert conjugate_gradients(lambda v: H @ v, b, np.diag(H), tol=1e-10, max_iter=200).converged
    np.testing.assert_array_equal(
        conjugate_gradients(lambda v: H @ v, b, np.diag(H), tol=1e9, max_iter=5).x, 0.0
    )


def near_diagonal(size, P=400, seed=0):
    """H with eigenvalues within ``size`` of those of its diagonal, as a dense matrix, and b."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((P, P)))[0]
    C = (turn * rng.uniform(-size, size, P)) @ turn.T
    np.fill_diagonal(C, 0.0)
    root = np.sqrt(rng.uniform(0.1, 10.0, P))
    return root[:, None] * (np.eye(P) + C) * root, rng.standard_normal(P)


@pytest.mark.parametrize(
    ("size", "share", "spent"),
    # Products of a first solve, of one that knows what the first left, and of one that measures.
    [
        (1e-3, 0.05, (1, 0, 1)),
        (1e-3, 1e-4, (1, 1, 2)),
        (1e-3, 1e-10, (3, 3, 4)),
        (1e-2, 0.05, (1, 0, 1)),
        (1e-2, 1e-4, (1, 1, 2)),
        (0.3, 1e-4, (6, 6, 6)),
        (0.9, 0.05, (7, 7, 7)),
    ],
)
def test_a_last_step_is_foreseen_where_it_is_sure(size, share, spent):
    H, b = near_diagonal(size)
    diagonal = H.diagonal().copy()
    tol = share * np.sqrt(b @ (b / diagonal))
    found, leaves = [], 1.0
    for may in (True, True, False):
        products = []
        solved = conjugate_gradients(
            lambda v, products=products: products.append(1) or H @ v,
            b,
            diagonal,
            tol=tol,
            max_iter=500,
            leaves=leaves if may else None,
        )
        found.append(len(products))
        leaves = solved.leaves
        left = b - H @ solved.x
        assert solved.converged
        assert np.sqrt(left @ (left / diagonal)) <= tol
        assert len(products) == solved.iterations or (may and len(products) < solved.iterations)
    assert tuple(found) == spent


def test_nothing_is_foreseen_unless_it_may_be():
    H, b = near_diagonal(1e-3)
    products = []
    found = conjugate_gradients(
        lambda v: products.append(1) or H @ v, b, H.diagonal(), tol=1e-6, max_iter=50
    )
    assert len(products) == found.iterations > 1
    r = b - H @ found.x
    assert found.residual == pytest.approx(np.sqrt(r @ (r / H.diagonal())), rel=1e-3)


def test_responses_are_not_changed():
    _, blocks, Y, cov = case("K < N")
    kept = Y.copy()
    gls(Design(blocks), Y, cov)
    np.testing.assert_array_equal(Y, kept)


def test_no_large_matrix_is_formed():
    K, N, p, r = 3000, 20, 2, 3
    rng = np.random.default_rng(0)
    blocks = list(rng.standard_normal((K, N, p)))
    Y = rng.standard_normal((N, K))
    cov = LowRankDiag.from_factors(rng.standard_normal((K, r)), np.ones(K))
    design = Design(blocks)
    tracemalloc.start()
    try:
        fit = gls(design, Y, cov)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert fit.cg.converged
    # A dozen arrays of the size of Y or of the loadings; K x K would be 72 MB, P x P 288 MB.
    assert peak < 12 * 8 * K * N


# A ridge is refused together with restrictions.
@pytest.mark.parametrize(
    ("restricted", "with_ridge"), [(False, False), (False, True), (True, False)]
)
@pytest.mark.parametrize("kind", ["plain", "heywood", "diagonal"])
def test_tiles_do_what_whole_arrays_do(monkeypatch, kind, with_ridge, restricted):
    rng = np.random.default_rng(3)
    n, K = 21, 17
    blocks = [rng.standard_normal((n, 1 + j % 3)) for j in range(K)]
    d = rng.uniform(0.2, 1.0, K)
    if kind == "heywood":
        d[[4, 9]] = 1e-9
    r = 0 if kind == "diagonal" else 2
    cov = LowRankDiag.from_factors(rng.standard_normal((K, r)), d)
    design = Design(blocks)
    weights = [rng.uniform(0.0, 0.5, X.shape[1]) for X in blocks]
    ridge = design.ridge(weights) if with_ridge else None
    if restricted:
        design = RestrictedDesign(design, rng.standard_normal((3, design.P)), np.zeros(3))
    monkeypatch.setattr(module, "_TILE_BYTES", 16 * n * 4)  # four equations a tile
    plain = NormalEquations(design, cov, n, ridge)
    monkeypatch.setattr(module, "_LARGE", 0)
    tiled = NormalEquations(design, cov, n, ridge)
    g = rng.standard_normal(design.P) / np.sqrt(plain.diagonal)
    E = np.asfortranarray(rng.standard_normal((n, K)) * np.sqrt(d))
    size = np.sqrt(plain.diagonal)
    np.testing.assert_allclose(tiled.apply(g) / size, plain.apply(g) / size, rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        tiled.score(E, g) / size, plain.score(E, g) / size, rtol=0, atol=1e-10
    )
    W = np.empty((K, n))
    for equations, _, _, Wt in tiled.solved(E):
        assert len(equations) <= 4
        W[equations] = Wt
    scale = np.sqrt(cov.precision_diag())
    np.testing.assert_allclose(W.T / scale, cov.solve(E) / scale, rtol=0, atol=1e-10)
