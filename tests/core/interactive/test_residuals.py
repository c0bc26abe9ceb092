"""Correlation of residuals in time and between units, against whole matrices and simulation."""

import numpy as np
import pytest
import scipy.linalg

from sm_alsgls.core.interactive.residuals import across, following, unit_bases

T, N = 18, 24


def _basis(rng, rows, k):
    return scipy.linalg.orth(rng.standard_normal((rows, k)))


def _draw(rng, share=0.0, rho=0.0):
    """z, seen, H, V: independent errors (or correlated in time) less what a fit takes of them."""
    H, V = rng.standard_normal((T, 3)), _basis(rng, N, 2)
    e = rng.standard_normal((T, N))
    for t in range(1, T):
        e[t] = rho * e[t - 1] + np.sqrt(1.0 - rho**2) * e[t]
    seen = rng.random((T, N)) >= share
    z = np.zeros((T, N))
    for i in range(N):
        rows = seen[:, i]
        B = scipy.linalg.orth(H[rows])
        z[rows, i] = e[rows, i] - B @ (B.T @ e[rows, i])
    if not share:
        z = z - (z @ V) @ V.T
    return z, seen, H, V


def test_bases_span_what_a_unit_regresses_on():
    rng = np.random.default_rng(0)
    _, seen, H, _ = _draw(rng, 0.3)
    for i, B in enumerate(unit_bases(H, seen)):
        rows = seen[:, i]
        assert not B[~rows].any()
        projection = H[rows] @ np.linalg.pinv(H[rows])
        assert np.allclose(B[rows] @ B[rows].T, projection, atol=1e-10)
    assert unit_bases(np.empty((T, 0)), seen)[0].shape == (T, 0)


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_first_order_correlation_is_that_of_loops(share):
    rng = np.random.default_rng(1)
    z, seen, H, _ = _draw(rng, share, 0.3)
    found = following(z, seen, unit_bases(H, seen))
    q, ratio, size = [], [], []
    for i in range(N):
        rows = np.flatnonzero(seen[:, i])
        B = scipy.linalg.orth(H[rows])
        M = np.eye(len(rows)) - B @ B.T
        S = 0.5 * (np.abs(rows[:, None] - rows) == 1)
        e = z[rows, i]
        kappa = np.trace(S @ M) / np.trace(M)
        q.append(e @ S @ e - kappa * e @ e)
        ratio.append(q[-1] / (e @ e))
        size.append(e @ e * np.sum(np.diff(rows) == 1) / len(rows))
    q = np.array(q)
    assert np.allclose(found.of_units, ratio, atol=1e-12)
    assert found.statistic == pytest.approx(q.mean() / (q.std(ddof=1) / np.sqrt(N)), rel=1e-10)
    assert found.rho == pytest.approx(q.sum() / np.sum(size), rel=1e-10)
    assert found.df == N - 1


@pytest.mark.parametrize("share", [0.0, 0.2])
@pytest.mark.slow
def test_sizes_and_power_of_correlation_in_time(share):
    shares = {}
    # Power, of .85 and more, is seen in fewer draws than sizes.
    for rho, draws in ((0.0, 200), (0.3, 60)):
        joint, own = [], []
        for seed in range(draws):
            z, seen, H, _ = _draw(np.random.default_rng([2, seed]), share, rho)
            found = following(z, seen, unit_bases(H, seen))
            joint.append(found.pvalue < 0.05)
            own.append(np.mean(found.pvalues < 0.05))
        shares[rho] = np.mean(joint), np.mean(own)
    # 200 draws: .05 has a standard error of .015, of 4,800 units' tests of .003.
    assert shares[0.0][0] < 0.1
    assert 0.02 < shares[0.0][1] < 0.07
    assert shares[0.3][0] > 0.85


def test_correlation_between_units_is_that_of_loops():
    rng = np.random.default_rng(3)
    z, seen, _, V = _draw(rng, 0.2)
    f = 15.0
    found = across(z, seen, V, f, np.random.default_rng(4))
    R = -V @ V.T
    R /= np.sqrt(np.outer(1 + np.diag(R), 1 + np.diag(R)))
    R -= R * (1 - R**2) / (2 * f)
    np.fill_diagonal(R, 0.0)
    signs = np.random.default_rng(4).integers(0, 2, (30, N)) * 2.0 - 1.0
    rho, own = np.zeros((N, N)), np.zeros((N, N))
    cd, plus = 0.0, 0.0
    for i in range(N):
        for j in range(N):
            both = seen[:, i] & seen[:, j]
            if i != j:
                a, b = z[both, i], z[both, j]
                rho[i, j] = a @ b / np.sqrt((a @ a) * (b @ b))
                own[i, j] = np.sqrt(both.sum() / T)
            if i < j:
                cd += np.sqrt(both.sum()) * rho[i, j]
                least = 2.0 * np.sqrt(np.log(N) / (both.sum() * f / T))
                plus += abs(rho[i, j]) * (abs(rho[i, j]) > least)

    def statistic(w):
        a = N + w @ R @ w
        return (w @ (own * (rho - R)) @ w) / a * np.sqrt(f / 2.0)

    assert found.cd == pytest.approx(cd * np.sqrt(2.0 / (N * (N - 1))))
    assert found.corrected == pytest.approx(statistic(np.ones(N)))
    mean = sum(statistic(w) for w in signs) / np.sqrt(30)
    assert found.weighted == pytest.approx(mean + plus)
    assert np.allclose(found.correlations, rho)


def test_sizes_and_power_of_correlation_between_units():
    """Loadings of one sign: CD itself is far below zero, less its mean it is not."""
    plain, corrected, weighted, power = [], [], [], []
    for seed in range(200):
        rng = np.random.default_rng([5, seed])
        V = scipy.linalg.orth(np.column_stack([1.0 + rng.standard_normal(N), np.arange(N)]))
        e = rng.standard_normal((T, N))
        seen = np.ones((T, N), dtype=bool)
        z = e - (e @ V) @ V.T
        found = across(z, seen, V, float(T), rng)
        plain.append(found.cd)
        if np.isfinite(found.corrected):
            corrected.append(found.corrected)
        weighted.append(found.weighted)
        left = rng.standard_normal((T, 1)) @ rng.standard_normal((1, N))
        both = e + left
        power.append(abs(across(both - (both @ V) @ V.T, seen, V, float(T), rng).weighted) > 1.96)
    assert np.mean(plain) < -1.2
    assert len(corrected) > 100
    assert abs(np.mean(corrected)) < 0.3
    assert np.mean(np.abs(corrected) > 1.96) < 0.1
    assert abs(np.mean(weighted)) < 0.3
    assert np.mean(np.abs(weighted) > 1.96) < 0.1
    assert np.mean(power) > 0.4
