import numpy as np
import pytest

from sm_alsgls.core.beta.cosine_weights import Cosines, default_terms


def test_dense_twin():
    N, B = 13, 4
    U = np.random.default_rng(0).standard_normal((N, 3))
    C = np.array(
        [
            [np.sqrt(2) * np.cos(np.pi * b * (n - 0.5) / N) for n in range(1, N + 1)]
            for b in range(1, B + 1)
        ]
    )
    np.testing.assert_allclose(C @ C.T, N * np.eye(B), atol=1e-12)
    np.testing.assert_allclose(C.sum(axis=1), 0.0, atol=1e-12)
    M = U.T @ C.T @ C @ U / B
    weights = Cosines(N, B)
    reduced = weights.reduce(U).T
    np.testing.assert_allclose(weights.inner(reduced, reduced), M)
    np.testing.assert_allclose(weights.diagonal(reduced), np.diag(M))
    np.testing.assert_allclose(weights.inner(reduced[:1], reduced), M[:1])


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_unbiased_for_the_long_run_variance_and_t_with_B(rho):
    """Means of an AR(1): the share of |t| above t(B)'s quantile, with 3 standard errors."""
    from scipy import stats

    rng = np.random.default_rng(1)
    N, reps = 100, 1500
    e = rng.standard_normal((N + 50, reps))
    for n in range(1, N + 50):
        e[n] += rho * e[n - 1]
    e = e[50:]
    B = default_terms(N)
    weights = Cosines(N, B)
    centred = e - e.mean(axis=0)
    variance = np.square(weights.reduce(centred)).sum(axis=0)
    if rho == 0.0:
        assert variance.mean() == pytest.approx(N, rel=0.05)
    t = e.sum(axis=0) / np.sqrt(variance)
    share = np.mean(np.abs(t) > stats.t.ppf(0.975, B))
    assert share == pytest.approx(0.05 if rho == 0 else 0.06, abs=0.02)
