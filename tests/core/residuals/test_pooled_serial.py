import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from sm_alsgls.core.residuals.pooled_serial import pooled_serial


def draw(N, widths, seed=0):
    rng = np.random.default_rng(seed)
    blocks = [
        np.column_stack([np.ones(N), np.cumsum(rng.standard_normal((N, p)), 0)]) for p in widths
    ]
    return rng, blocks


def annihilator(X):
    return np.eye(len(X)) - X @ np.linalg.pinv(X)


def test_dense_twin():
    """Moments of z'MLMz for white z, written out, and the ratio that the statistic is."""
    N, widths = 23, [1, 2, 4]
    rng, blocks = draw(N, widths)
    Z = rng.standard_normal((N, 3))
    M = [annihilator(X) for X in blocks]
    E = np.column_stack([m @ z for m, z in zip(M, Z.T, strict=True)])
    d = np.array([0.5, 2.0, 1.0])
    W = E / d
    L = np.eye(N, k=-1)  # (L z)_n = z_{n-1}
    S = L + L.T
    mean = sum(0.5 * np.trace(m @ S) for m in M)
    variance = sum(0.5 * np.trace(m @ S @ m @ S) for m in M)
    c = 1 - sum(X.shape[1] for X in blocks) / (3 * N)
    G = c * sum(E[n - 1] @ W[n] for n in range(1, N))
    h = c * sum(E[n - 1] @ W[n - 1] for n in range(1, N))
    found = pooled_serial(E, W, blocks)
    assert found.statistic == pytest.approx((G - mean) ** 2 / variance, rel=1e-10)
    assert found.rho == pytest.approx((G - mean) / h, rel=1e-10)
    assert found.pvalue == pytest.approx(stats.chi2.sf(found.statistic, 1))


def test_moments_are_those_of_draws():
    N, widths = 15, [1, 3]
    rng, blocks = draw(N, widths, 1)
    M = [annihilator(X) for X in blocks]
    values = []
    for _ in range(4000):
        E = np.column_stack([m @ rng.standard_normal(N) for m in M])
        values.append(float(np.vdot(E[:-1], E[1:])))
    S = np.eye(N, k=1) + np.eye(N, k=-1)
    mean = sum(0.5 * np.trace(m @ S) for m in M)
    sd = np.sqrt(sum(0.5 * np.trace(m @ S @ m @ S) for m in M))
    assert np.mean(values) == pytest.approx(mean, abs=4 * sd / np.sqrt(4000))
    assert np.std(values) == pytest.approx(sd, rel=0.06)


def test_one_equation_is_breusch_and_godfrey_for_large_N():
    rng = np.random.default_rng(3)
    N = 4000
    X = np.column_stack([np.ones(N), rng.standard_normal(N)])
    e = rng.standard_normal(N)
    e[1:] += 0.05 * e[:-1]
    fit = sm.OLS(e, X).fit()
    E = fit.resid[:, None]
    found = pooled_serial(E, E / np.mean(E**2), [X])
    lagged = np.concatenate([[0.0], fit.resid[:-1]])
    theirs = N * sm.OLS(fit.resid, np.column_stack([X, lagged])).fit().rsquared
    # They differ by terms of order 1 / sqrt(N).
    assert found.statistic == pytest.approx(theirs, rel=0.05)
    assert found.rho == pytest.approx(0.05, abs=4 / np.sqrt(N))


@pytest.mark.parametrize("seed", [0, 1])
def test_size_and_power(seed):
    """5 % of white draws reject, under slow regressors too; nearly all at rho = .3."""
    rng, blocks = draw(20, [2] * 15, seed)
    M = [annihilator(X) for X in blocks]
    rejected = {0.0: 0, 0.3: 0}
    for rho in rejected:
        for _ in range(300 if rho == 0 else 60):
            e = rng.standard_normal((20, 15))
            for n in range(1, 20):
                e[n] += rho * e[n - 1]
            E = np.column_stack([m @ x for m, x in zip(M, e.T, strict=True)])
            rejected[rho] += pooled_serial(E, E / np.mean(E**2, axis=0), blocks).pvalue < 0.05
    assert 4 <= rejected[0.0] <= 27  # three standard errors about 15
    assert rejected[0.3] >= 57
