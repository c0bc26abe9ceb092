"""What estimating Sigma adds: each term against sums over K x K arrays, the whole against KH."""

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core.beta.estimated_sigma import EstimatedSigma
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.shared_directions import shared_directions
from sm_alsgls.covariance import LowRankDiag
from tests.core.systems import system


def estimated(N=40, K=8, r=2, p=3, seed=0, free=None):
    rng = np.random.default_rng(seed)
    design = Design(system(rng, N, K, r, p)[0])
    cov = LowRankDiag(rng.standard_normal((K, r)), rng.uniform(0.4, 1.6, K))
    return EstimatedSigma(design, cov, N, free), design, cov


@pytest.mark.parametrize("held", [(), (2, 5)])
def test_inflation_is_the_sum_of_its_four_terms(held):
    """Moments of the parts of Sigma-hat - Sigma, written out with K x K arrays."""
    N, K = 40, 8
    free = np.ones(K, dtype=bool)
    free[list(held)] = False
    made, _, cov = estimated(free=free)
    F, d = cov.loadings, cov.uniquenesses
    P = np.linalg.inv(cov.to_dense())
    B = P @ F
    M = F.T @ B
    W = [np.linalg.inv(M) / (N * P[j, j]) for j in range(K)]
    e = np.eye(K)
    own = sum(np.outer(e[j], e[j]) * np.trace(M @ W[j]) for j in range(K))
    # Cov(f_l) weighted by P_ll, seen through the other equations.
    others = F @ sum(P[j, j] * W[j] for j in range(K)) @ F.T
    both = sum(np.outer(e[j], F @ W[j] @ B[j]) for j in range(K))
    d_error = np.diag(np.where(free, 2.0 / (N * np.diag(P) ** 2), 0.0) * np.diag(P))
    moment = own + others + both + both.T
    expected = np.diag(P @ moment @ P) / np.diag(P)
    # The own terms only: P_jj^2 tr(M W_j); what other equations' own errors add is of order 1/K.
    expected -= np.diag(P @ own @ P) / np.diag(P) - np.diag(own) * np.diag(P)
    expected -= np.diag(P @ (both + both.T) @ P) / np.diag(P) - 2 * np.array(
        [P[j, j] * (B[j] @ W[j] @ B[j]) / P[j, j] for j in range(K)]
    )
    from_d = np.diag(P @ d_error @ P) - np.diag(P) ** 2 * np.diag(d_error)
    expected += from_d / np.diag(P)
    assert d.min() > 0.0
    np.testing.assert_allclose(made.inflation, expected, rtol=1e-9)


def test_stretch_by_its_definition():
    made, design, cov = estimated()
    F, d, G = cov.loadings, cov.uniquenesses, cov.precision_factor
    w = d * (G * G).sum(axis=1)
    S = sum(w[j] * design.basis(j) @ design.basis(j).T for j in range(8)) / w.sum()
    C = np.eye(2) + F.T @ (F / d[:, None])
    eye = np.eye(len(S))
    phi = np.mean(
        [
            c * np.linalg.inv(eye - (1 - c) * S) @ S  # iota = 1 / eigenvalue of C
            for c in 1.0 / np.linalg.eigvalsh(C)
        ],
        axis=0,
    )
    for j in (0, 7):
        Q = design.basis(j)
        expected = np.eye(3) + made.inflation[j] / 2 * (np.eye(3) - Q.T @ phi @ Q)
        np.testing.assert_allclose(made.stretch(j), expected, atol=1e-10)


def test_a_rescaling_of_equations_changes_nothing():
    made, design, cov = estimated()
    scale = 10.0 ** np.linspace(-3, 3, 8)
    again = EstimatedSigma(design, cov.scaled(scale), 40)
    np.testing.assert_allclose(again.inflation, made.inflation, rtol=1e-8)
    np.testing.assert_allclose(again.stretch(3), made.stretch(3), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", ["shared", "no factor", "a dead factor"])
def test_nothing_to_add(kind):
    rng = np.random.default_rng(1)
    X = [rng.standard_normal((30, 2)) for _ in range(5)]
    if kind == "shared":
        X = [X[0]] * 5
    F = np.zeros((5, 0 if kind == "no factor" else 2))
    if kind == "shared":
        F = rng.standard_normal((5, 2))
    made = EstimatedSigma(Design(X), LowRankDiag(F, np.ones(5)), 30)
    np.testing.assert_array_equal(made.stretch(2), np.eye(2))


def test_a_dead_factor_counts_as_none():
    _, design, cov = estimated(r=1)
    padded = LowRankDiag(np.column_stack([cov.loadings, np.zeros(8)]), cov.uniquenesses)
    one, two = EstimatedSigma(design, cov, 40), EstimatedSigma(design, padded, 40)
    np.testing.assert_allclose(two.inflation, one.inflation, rtol=1e-10)
    np.testing.assert_allclose(two.stretch(4), one.stretch(4), rtol=1e-10)


@pytest.mark.parametrize(("N", "K", "r"), [(40, 10, 1), (40, 10, 2), (40, 40, 3), (150, 12, 2)])
@pytest.mark.parametrize("common", [False, True])
def test_close_to_kackar_harville(N, K, r, common):
    rng = np.random.default_rng([N, K, r])
    blocks, Y = system(rng, N, K, r, 3)
    if common:
        market = blocks[0][:, 1]
        for X in blocks:
            X[:, 1] = market + 0.5 * X[:, 1]
    res = LowRankSUR(Y, blocks, rank=r).fit(n_starts=1)
    assert not res.mle_retvals["heywood"]
    exact = res.get_robustcov_results("KH").bse
    np.testing.assert_allclose(res.bse, exact, rtol=0.02 if common else 0.01)
    slopes = np.arange(3 * K) % 3 == 2
    plain = np.sqrt(
        res.estimate.sample.problem.covariance(
            res.sigma.scaled(res.estimate.df.correction)
        ).variances()
    )
    added, expected = (res.bse / plain)[slopes] - 1, (exact / plain)[slopes] - 1
    np.testing.assert_allclose(added.mean(), expected.mean(), rtol=0.15)
    assert expected.mean() > 0.4 * r / N


def test_positive_and_the_same_by_every_way():
    rng = np.random.default_rng(3)
    blocks, Y = system(rng, 60, 9, 2, 3)
    res = LowRankSUR(Y, blocks, rank=2).fit(n_starts=1)
    V = res.cov_params().to_numpy()
    assert np.linalg.eigvalsh(V).min() > 0.0
    np.testing.assert_allclose(np.sqrt(np.diag(V)), res.bse, rtol=1e-9)
    np.testing.assert_allclose(res.equations["y4"].cov_params(), V[9:12, 9:12], rtol=1e-9)
    R = rng.standard_normal((2, 27))
    np.testing.assert_allclose(res.cov_params(R), R @ V @ R.T, rtol=1e-9)


def test_restricted_coefficients_obey():
    rng = np.random.default_rng(4)
    blocks, Y = system(rng, 30, 5, 1, 3)
    R = np.zeros((2, 15))
    R[0, [1, 4]], R[1, 8] = (1.0, -1.0), 1.0
    res = LowRankSUR(Y, blocks, rank=1).fit_constrained(R, n_starts=1)
    V = res.cov_params().to_numpy()
    np.testing.assert_allclose(R @ V, 0.0, atol=1e-12)
    plain = res.estimate.sample.problem.covariance(
        res.sigma.scaled(res.estimate.df.correction)
    ).variances()
    assert (np.diag(V) >= plain * (1 - 1e-9)).all()


class TestSharedDirections:
    def designs(self, shared, K=30, N=60, seed=0):
        rng = np.random.default_rng(seed)
        common = rng.standard_normal((N, shared))
        return Design([np.column_stack([common, rng.standard_normal((N, 2))]) for _ in range(K)])

    @pytest.mark.parametrize("shared", [1, 5, 20])
    def test_both_ways_find_what_all_share(self, shared):
        design, weights = self.designs(shared), np.random.default_rng(1).uniform(0.5, 2.0, 30)
        exact = shared_directions(design, weights, exact=True)
        quick = shared_directions(design, weights)
        for vectors, share in (exact, quick):
            np.testing.assert_allclose(share[-shared:], 1.0, atol=1e-9)
            np.testing.assert_allclose(
                design.basis(0)[:, :shared].T @ vectors[:, -shared:] @ vectors[:, -shared:].T,
                design.basis(0)[:, :shared].T,
                atol=1e-5,
            )
        np.testing.assert_allclose(exact[1].sum(), shared + 2, rtol=1e-9)

    def test_mean_projection(self):
        design, weights = self.designs(2), np.arange(1.0, 31.0)
        vectors, share = shared_directions(design, weights, exact=True)
        mean = sum(weights[j] * design.basis(j) @ design.basis(j).T for j in range(30))
        np.testing.assert_allclose((vectors * share) @ vectors.T, mean / weights.sum(), atol=1e-12)
