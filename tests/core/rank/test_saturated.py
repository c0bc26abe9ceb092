"""The likelihood of an unrestricted Sigma: iterated SUR written out with Kronecker products."""

import numpy as np
import pytest
from scipy.linalg import block_diag

from sm_alsgls.core.problem import ALSOptions, Problem
from sm_alsgls.core.rank.saturated import (
    CrossProductCovariance,
    fit_unrestricted,
    regressor_rank,
    saturated_nll,
)
from tests.core import dense, systems


def test_cross_products_as_a_covariance():
    rng = np.random.default_rng(0)
    E = rng.standard_normal((30, 5)) * np.geomspace(1e-3, 1e3, 5)
    S = E.T @ E / 42
    cov, M = CrossProductCovariance(E, 42), rng.standard_normal((7, 5))
    P, size = np.linalg.inv(S), np.sqrt(np.diag(np.linalg.inv(S)))
    np.testing.assert_allclose(cov.solve(M) / size, M @ P / size, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(cov.precision_diag(), np.diag(P), rtol=1e-10)
    assert cov.logdet() == pytest.approx(np.linalg.slogdet(S)[1], abs=1e-10)
    assert saturated_nll(E, 42) == pytest.approx(dense.nll(E, S, 42), rel=1e-12)


@pytest.mark.parametrize(("N", "K", "p"), [(60, 4, 3), (40, 3, 2), (50, 2, [1, 4])])
def test_the_maximum_is_that_of_iterated_sur(N, K, p):
    blocks, Y = systems.system(np.random.default_rng(K), N, K, 1, p)
    problem = Problem(blocks, Y, ALSOptions())
    found = fit_unrestricted(problem, problem.gamma_ols)
    Z, y = block_diag(*blocks), Y.T.ravel()
    b = np.linalg.lstsq(Z, y, rcond=None)[0]
    for _ in range(300):
        E = (y - Z @ b).reshape(K, N).T
        W = np.kron(np.linalg.inv(E.T @ E / N), np.eye(N))
        b = np.linalg.solve(Z.T @ W @ Z, Z.T @ W @ y)
    E = (y - Z @ b).reshape(K, N).T
    assert found.nll == pytest.approx(dense.nll(E, E.T @ E / N), abs=1e-10)
    assert found.converged
    assert 2 < found.iterations < 200
    stopped = fit_unrestricted(problem, problem.gamma_ols, max_iter=1)
    assert (stopped.iterations, stopped.converged) == (1, False)
    assert found.nll < stopped.nll


def test_equal_designs_are_least_squares_at_once():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 3)), rng.standard_normal((40, 4))
    problem = Problem([X] * 4, Y, ALSOptions())
    found = fit_unrestricted(problem, problem.gamma_ols)
    E = Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]
    assert found.nll == pytest.approx(dense.nll(E, E.T @ E / 40), abs=1e-11)
    assert found.iterations == 1
    assert regressor_rank(problem) == 3


@pytest.mark.parametrize(("N", "shared"), [(50, 0), (50, 2), (9, 0)])
def test_rank_of_all_regressors(N, shared):
    rng = np.random.default_rng(1)
    common = rng.standard_normal((N, 4))
    blocks = [np.column_stack([common[:, :shared], rng.standard_normal((N, 3))]) for _ in range(4)]
    problem = Problem(blocks, rng.standard_normal((N, 4)), ALSOptions())
    assert regressor_rank(problem) == np.linalg.matrix_rank(np.column_stack(blocks))
