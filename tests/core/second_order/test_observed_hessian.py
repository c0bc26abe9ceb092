"""The second-order check with missing cells: products are the dense ones, saddles show."""

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.second_order.curvature import LikelihoodHessian, lowest_curvature
from sm_alsgls.core.second_order.observed_hessian import ObservedHessian
from sm_alsgls.covariance import LowRankDiag
from tests.core import dense_observed as dense
from tests.core import systems


def problem_of(share, seed=0):
    rng = np.random.default_rng(seed)
    blocks, Y = systems.system(rng, 50, 6, 2, (1, 3, 2, 2, 1, 2))
    mask = dense.holes(rng, 50, 6, share, least=8)
    return Problem(blocks, Y, ALSOptions(d_floor=1e-3), mask=mask), blocks, Y, mask


def hessian_of(problem, gamma, cov, free=None):
    E = problem.residuals(gamma)
    return ObservedHessian(problem.design, problem.errors.patterns, gamma, E, cov, free)


def test_products_are_the_complete_ones_without_holes():
    problem, *_ = problem_of(1.0)
    fit = als(problem, 2)
    rng = np.random.default_rng(1)
    ours = hessian_of(problem, fit.gamma, fit.cov)
    complete = LikelihoodHessian(problem.design, fit.E, fit.cov, problem.n_obs)
    assert ours.size == complete.size
    for v in rng.standard_normal((5, ours.size)):
        np.testing.assert_allclose(ours.apply(v), complete.apply(v), rtol=0, atol=1e-6)


def test_products_are_the_dense_ones():
    problem, blocks, Y, mask = problem_of(0.6)
    rng = np.random.default_rng(2)
    cov = LowRankDiag.from_factors(rng.standard_normal((6, 2)), rng.uniform(0.3, 1, 6))
    hessian = hessian_of(problem, problem.gamma_ols, cov)
    full = dense.FullLikelihood(blocks, Y, mask, 2)
    beta = np.concatenate(problem.design.to_beta(problem.gamma_ols))
    theta = np.r_[beta, cov.loadings.ravel(), np.log(cov.uniquenesses)]
    u, v = rng.standard_normal((2, hessian.size))
    steps = []
    for w in (u, v):
        gamma, dF, dx = hessian.split(w)
        steps.append(np.r_[np.concatenate(problem.design.to_beta(gamma)), dF.ravel(), dx])
    h = 1e-4
    change = (full(theta + h * steps[1])[1] - full(theta - h * steps[1])[1]) / (2 * h)
    assert u @ hessian.apply(v) == pytest.approx(steps[0] @ change, abs=1e-6)
    assert v @ hessian.apply(u) == pytest.approx(u @ hessian.apply(v), abs=1e-6)


def test_a_maximum_has_no_negative_curvature_and_a_saddle_has():
    problem, *_ = problem_of(0.7, seed=3)
    fit = als(problem, 1)
    assert fit.converged
    assert not lowest_curvature(hessian_of(problem, fit.gamma, fit.cov, ~fit.at_bound)).is_saddle
    none = als(problem, 0)
    flat = LowRankDiag.from_factors(np.zeros((6, 1)), none.cov.uniquenesses)
    # Without loadings every gradient vanishes, and a factor would help.
    found = lowest_curvature(hessian_of(problem, none.gamma, flat))
    assert found.is_saddle
    assert np.abs(found.F).max() > 0.1
