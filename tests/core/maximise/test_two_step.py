"""Zellner's two steps against dense GLS, for both laws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sm_alsgls.core.errors.unrestricted import unrestricted
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.maximise.two_step import two_step
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from tests.core import dense, dense_observed, systems


def system(seed=0, N=60, K=5):
    return systems.system(np.random.default_rng(seed), N, K, 1, (2, 3, 2, 3, 2))


def ols_residuals(blocks, Y):
    return np.column_stack(
        [y - X @ np.linalg.lstsq(X, y, rcond=None)[0] for X, y in zip(blocks, Y.T, strict=True)]
    )


def test_unrestricted_is_zellners():
    blocks, Y = system()
    problem = Problem.from_rows(
        Problem(blocks, Y, ALSOptions()).rows, ALSOptions(), law=unrestricted
    )
    found = two_step(problem, 0)
    E = ols_residuals(blocks, Y)
    Sigma = E.T @ E / len(Y)
    assert_allclose(found.best.cov.to_dense(), Sigma, rtol=1e-10)
    beta = np.concatenate(problem.design.to_beta(found.best.gamma))
    assert_allclose(beta, np.concatenate(dense.gls(blocks, Y, Sigma)), rtol=1e-9)
    fitted = np.column_stack(
        [X @ b for X, b in zip(blocks, problem.design.to_beta(found.best.gamma), strict=True)]
    )
    nll = dense_observed.nll(Y - fitted, np.ones(Y.shape, bool), Sigma)
    assert found.best.nll == pytest.approx(nll, rel=1e-11)
    assert found.best.converged


def test_of_factors_it_is_gls_with_the_factor_analysis_of_ols_residuals():
    blocks, Y = system(1)
    problem = Problem(blocks, Y, ALSOptions())
    found = two_step(problem, 1)
    Sigma = found.best.cov.to_dense()
    step = problem.sigma_step(problem.E_ols, 1, gtol=1e-10)
    assert_allclose(Sigma, step.cov.to_dense(), rtol=1e-5)
    beta = np.concatenate(problem.design.to_beta(found.best.gamma))
    assert_allclose(beta, np.concatenate(dense.gls(blocks, Y, Sigma)), rtol=1e-8)
    # It is near the maximum, and no better.
    best = search(problem, 1).best
    assert best.nll < found.best.nll < best.nll + 0.05


def test_missing_cells():
    blocks, Y = system(2)
    mask = dense_observed.holes(np.random.default_rng(3), *Y.shape, 0.8, least=15)
    rows = Problem(blocks, Y, ALSOptions(), mask=mask).rows
    found = two_step(Problem.from_rows(rows, ALSOptions(), law=unrestricted), 0)
    assert found.best.converged
    design = found.best.gamma
    problem = Problem.from_rows(rows, ALSOptions(), law=unrestricted)
    H = dense_observed.information(blocks, mask, found.best.cov.to_dense())
    # beta solves the normal equations of that Sigma.
    E = problem.residuals(design)
    W = dense_observed.solve(E, mask, found.best.cov.to_dense())
    score = np.concatenate(
        [(X * m[:, None]).T @ w for X, m, w in zip(blocks, mask.T, W.T, strict=True)]
    )
    assert_allclose(score / np.sqrt(np.diag(H)), 0.0, atol=1e-8)


def test_a_callback_gets_the_one_sweep():
    blocks, Y = system(4)
    seen = []
    two_step(Problem(blocks, Y, ALSOptions()), 1, callback=seen.append)
    assert len(seen) == 1
    assert seen[0].nll <= seen[0].nll_beta


def test_extreme_units():
    blocks, Y = system(5)
    rows = Problem(blocks, Y, ALSOptions()).rows
    one = two_step(Problem.from_rows(rows, ALSOptions(), law=unrestricted), 0)
    rows = Problem(blocks, Y * 1e-70, ALSOptions()).rows
    other = two_step(Problem.from_rows(rows, ALSOptions(), law=unrestricted), 0)
    assert_allclose(other.best.gamma * 1e70, one.best.gamma, rtol=1e-8)
    assert_allclose(other.best.cov.corr().to_dense(), one.best.cov.corr().to_dense(), atol=1e-9)
