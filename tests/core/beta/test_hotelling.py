"""Moments of joint tests against arrays of all rows, equations and pairs of units."""

import numpy as np
import pytest
from scipy.linalg import block_diag, sqrtm

from sm_alsgls.core.beta.hotelling import JointMoments, System, sandwich_eta
from sm_alsgls.core.beta.small_sample import Units
from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.covariance import LowRankDiag

N, K = 18, 5


def build(kind, seed=0):
    """A system (bread, used designs, residuals), whole, with holes, weights or restrictions."""
    rng = np.random.default_rng(seed)
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, 1 + j % 2))]) for j in range(K)]
    Y = rng.standard_normal((N, 1)) + rng.standard_normal((N, K))
    mask = weights = restrictions = None
    if kind == "holes":
        mask = rng.random((N, K)) > 0.15
    if kind == "weights":
        weights = rng.uniform(0.5, 1.5, (N, K))
    if kind == "tied":
        P = sum(x.shape[1] for x in X)
        stop = np.cumsum([x.shape[1] for x in X])
        R = np.zeros((K - 1, P))
        for j in range(1, K):
            R[j - 1, 1], R[j - 1, stop[j - 1] + 1] = 1.0, -1.0
        restrictions = R, np.zeros(K - 1)
    cells = Cells(N, K, mask, weights)
    binding = None if restrictions is None else Restrictions(*restrictions)
    problem = Problem.from_rows(cells.rows(X, Y), ALSOptions(), binding=binding)
    sigma = LowRankDiag.from_factors(rng.standard_normal((K, 1)), rng.uniform(0.5, 1.5, K))
    blocks = [
        np.where((np.ones((N, K), bool) if mask is None else mask)[:, [j]], x, 0.0)
        for j, x in enumerate(cells.used_blocks(X))
    ]
    E = cells.used(rng.standard_normal((N, K)))
    return System(problem.covariance(sigma), blocks, E, cells, sigma), restrictions


class Dense:
    """Everything of the module's docstring, row by row, with K x K and P x P arrays."""

    def __init__(self, system, restrictions, R, code, power=0.5):
        X, sigma, mask = system.blocks, system.sigma.to_dense(), system.cells.mask
        P = [np.zeros((K, K)) for _ in range(N)]
        for n in range(N):
            seen = np.flatnonzero(np.ones(K, bool) if mask is None else mask[n])
            P[n][np.ix_(seen, seen)] = np.linalg.inv(sigma[np.ix_(seen, seen)])
        x = [block_diag(*[X[j][n : n + 1] for j in range(K)]) for n in range(N)]
        H = sum(x[n].T @ P[n] @ x[n] for n in range(N))
        V = np.linalg.inv(H)
        if restrictions is not None:
            C = restrictions[0]
            V = V - V @ C.T @ np.linalg.solve(C @ V @ C.T, C @ V)
            cheap = V
        else:
            maps = []
            for j in range(K):
                seen = np.ones(N, bool) if mask is None else mask[:, j]
                own = np.mean([P[n][j, j] for n in np.flatnonzero(seen)])
                maps.append(np.linalg.inv(X[j].T @ X[j]) / own)
            cheap = block_diag(*maps)
        T = V @ R.T
        Omega = T.T @ H @ T
        root = np.real(np.linalg.inv(sqrtm(Omega)))
        T = T @ root
        G = code.max() + 1
        q = len(R)
        self.gamma = np.zeros((G, q, q))
        b = np.zeros((G, V.shape[0], q))
        self.v = np.zeros((G, q))
        for n in range(N):
            z = x[n] @ T
            self.gamma[code[n]] += z.T @ P[n] @ z
            b[code[n]] += x[n].T @ P[n] @ z
            self.v[code[n]] += z.T @ P[n] @ system.E[n]
        self.delta = np.einsum("gpa,pr,hrb->ghab", b, cheap, b)
        A, theta = [], []
        for g in range(G):
            values, U = np.linalg.eigh(self.gamma[g])
            U, values = U[:, values > 1e-10], values[values > 1e-10]
            half, down = (U * np.sqrt(values)) @ U.T, (U / np.sqrt(values)) @ U.T
            share, turn = np.linalg.eigh(down @ self.delta[g, g] @ down)
            A.append(half @ (turn * (1 - share) ** -power) @ turn.T @ down)
            theta.append(A[g] @ (self.gamma[g] - self.delta[g, g]) @ A[g].T)
        self.A, self.theta = np.array(A), np.array(theta)
        total = sum(np.trace(t) ** 2 + np.trace(t @ t) for t in theta)
        for g in range(G):
            for h in range(G):
                if g != h:
                    tau = np.trace(A[g] @ self.delta[g, h] @ A[h].T)
                    total += (1 + 1 / q) * tau**2
        self.eta = q * (q + 1) / total
        self.root = root


KINDS = ["whole", "holes", "weights", "tied"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("groups", [None, 6])
@pytest.mark.parametrize("q", [1, 3])
def test_moments(kind, groups, q):
    system, restrictions = build(kind)
    rng = np.random.default_rng(1)
    R = rng.standard_normal((q, system.bread.shape[0]))
    code = np.arange(N) if groups is None else np.r_[np.arange(6), rng.integers(0, 6, N - 6)]
    found = JointMoments(system, R, Units(N, None if groups is None else code))
    dense = Dense(system, restrictions, R, code)
    np.testing.assert_allclose(found.root, dense.root, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.scores, dense.v, rtol=1e-8, atol=1e-10)
    diagonal = dense.delta[np.arange(len(dense.A)), np.arange(len(dense.A))]
    np.testing.assert_allclose(found.taken, diagonal, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.multipliers, dense.A, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.theta, dense.theta, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.eta, dense.eta, rtol=1e-7)
    if q == 1:
        # Satterthwaite: (E V)^2 over half its variance, pairs of units included.
        own = dense.theta[:, 0, 0]
        tau = np.einsum("gab,ghbc,hdc->ghad", dense.A, dense.delta, dense.A)[:, :, 0, 0]
        spread = np.square(own).sum() + np.square(tau).sum() - np.square(np.diag(tau)).sum()
        assert found.df == pytest.approx(max(1.0, own.sum() ** 2 / spread), rel=1e-7)
    gap = rng.standard_normal(q)
    adjusted = np.einsum("gab,gb->ga", dense.A, dense.v)
    b = dense.root @ gap
    expected = b @ np.linalg.solve(adjusted.T @ adjusted, b)
    np.testing.assert_allclose(found.quadratic(gap), expected, rtol=1e-7)
    # CR2 is unbiased under the working model: E V = Omega, normalised to I.
    if not found.lost:
        np.testing.assert_allclose(found.theta.sum(axis=0), np.eye(q), atol=1e-8)


@pytest.mark.parametrize("kind", ["whole", "tied"])
def test_nothing_depends_on_the_basis_of_the_hypotheses(kind):
    system, _ = build(kind)
    rng = np.random.default_rng(1)
    R, C = rng.standard_normal((3, system.bread.shape[0])), rng.standard_normal((3, 3))
    gap = rng.standard_normal(3)
    one, other = (JointMoments(system, M, Units(N)) for M in (R, C @ R))
    np.testing.assert_allclose(one.eta, other.eta, rtol=1e-9)
    np.testing.assert_allclose(one.quadratic(gap), other.quadratic(C @ gap), rtol=1e-9)


def test_sampled_pairs(monkeypatch):
    """Beyond a size the sum over pairs is over some of the rows."""
    system, _ = build("whole")
    R = np.random.default_rng(1).standard_normal((3, system.bread.shape[0]))
    whole = JointMoments(system, R, Units(N)).eta
    monkeypatch.setattr("sm_alsgls.core.beta.hotelling._PAIRS", N * N * 6.0 * K / 2)
    sampled = JointMoments(system, R, Units(N)).eta
    assert sampled != whole
    np.testing.assert_allclose(sampled, whole, rtol=0.1)


@pytest.mark.parametrize("shared", [True, False])
def test_sandwich_eta(shared):
    system, _ = build("whole")
    rng = np.random.default_rng(4)
    if shared:
        X = [system.blocks[1]] * K
        cells = Cells(N, K)
        problem = Problem.from_rows(cells.rows(X, system.E), ALSOptions())
        system = System(problem.covariance(system.sigma), X, system.E, cells, system.sigma)
    P = system.bread.shape[0]
    R = np.zeros((3, P))
    if shared:
        p = X[0].shape[1]
        for i, c in enumerate(rng.standard_normal((3, K))):
            R[i] = np.kron(c, np.arange(1.0, p + 1.0))
    else:
        R = rng.standard_normal((3, P))
    nu = 11.0
    eta = sandwich_eta(system, R, nu)
    if shared:  # Hotelling
        np.testing.assert_allclose(eta, nu, rtol=1e-10)
    half = np.real(sqrtm(np.linalg.inv(system.sigma.to_dense())))
    V = np.asarray(system.bread)
    z = [half @ block_diag(*[x[n : n + 1] for x in system.blocks]) @ V @ R.T for n in range(N)]
    root = np.real(np.linalg.inv(sqrtm(sum(a.T @ a for a in z))))
    z = [a @ root for a in z]
    f = sum(np.trace(a.T @ b) ** 2 for a in z for b in z)
    s = sum(np.trace(a.T @ b @ a.T @ b) for a in z for b in z)
    np.testing.assert_allclose(eta, 12 * nu / (f + s), rtol=1e-9)
