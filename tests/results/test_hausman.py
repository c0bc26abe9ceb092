"""Hausman's comparison against brute force at K N x K N arrays, with factors and without."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.linalg import block_diag

from sm_alsgls import LowRank3SLS


def system(K=4, N=80, seed=0):
    rng = np.random.default_rng(seed)
    E = rng.standard_normal((N, 1)) + rng.standard_normal((N, K))
    Z = [np.column_stack([np.ones(N), rng.standard_normal((N, 2 + j % 2))]) for j in range(K)]
    W = np.column_stack([z[:, 1:].sum(axis=1) for z in Z]) + 0.5 * E
    W += rng.standard_normal((N, K))
    return W + E, [np.column_stack([np.ones(N), w]) for w in W.T], Z


def weights(X, Z, Sigma, method):
    """A (P, K N) with b = A y, at a Sigma."""
    N, face = len(X[0]), block_diag(*X)
    W = block_diag(*[np.linalg.qr(z)[0] for z in Z])
    fitted = W @ (W.T @ face)
    if method == "2sls":
        return np.linalg.solve(fitted.T @ face, fitted.T)
    if method == "iv":
        left = fitted.T @ np.kron(np.linalg.inv(Sigma), np.eye(N))
        return np.linalg.solve(left @ face, left)
    G = np.linalg.solve(W.T @ np.kron(Sigma, np.eye(N)) @ W, W.T @ face)
    return np.linalg.solve(G.T @ W.T @ face, G.T @ W.T)


@pytest.mark.parametrize("method", ["iv", "gmm"])
@pytest.mark.parametrize("rank", [1, "full"])
def test_the_statistic_is_that_of_brute_force(method, rank):
    Y, X, Z = system()
    res = LowRank3SLS(Y, X, Z, rank=rank).fit(method=method)
    found = res.hausman()
    used = res.estimate.instrumented.first_cov.to_dense()
    own, system_weights = weights(X, Z, None, "2sls"), weights(X, Z, used, method)
    apart = own - system_weights
    # The errors' covariance is that of 2SLS residuals, not the one that made the weights.
    b = np.split(own @ Y.T.ravel(), len(X))
    E = Y - np.column_stack([x @ b_j for x, b_j in zip(X, b, strict=True)])
    Sigma = E.T @ E / (len(Y) - 2)
    V = apart @ np.kron(Sigma, np.eye(len(Y))) @ apart.T
    delta = own @ Y.T.ravel() - res.params.to_numpy()
    assert_allclose(found.coefficients["difference"], delta, atol=1e-10)
    assert_allclose(found.coefficients["std_err"], np.sqrt(np.diag(V)), rtol=1e-8, atol=1e-10)
    for name, at in {"y2": slice(2, 4), "all": slice(None)}.items():
        values, vectors = np.linalg.eigh(V[at, at])
        there = values > 1e-8 * values.max()
        c = vectors[:, there].T @ delta[at]
        assert found.table.loc[name, "df"] == there.sum()
        assert found.table.loc[name, "statistic"] == pytest.approx(
            c @ (c / values[there]), rel=1e-6
        )


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")
def test_it_rejects_as_often_as_it_says():
    """Means of chi2 over its degrees of freedom, where everything that 3SLS asks is so."""
    ratios = []
    for seed in range(30):
        test = LowRank3SLS(*system(seed=seed), rank=1).fit().hausman().table
        ratios.append(test.loc["all", "statistic"] / test.loc["all", "df"])
    df = int(test.loc["all", "df"])
    low, high = stats.chi2.ppf([0.001, 0.999], 30 * df) / (30 * df)
    assert low < np.mean(ratios) < 1.15 * high
