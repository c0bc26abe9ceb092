"""The second-order check of an unrestricted Sigma with holes, against differences of the NLL."""

import numpy as np
from numpy.testing import assert_allclose

from sm_alsgls.core.errors.unrestricted import unrestricted
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.search import curvature_at
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance.unrestricted import Unrestricted
from tests.core import dense_observed, systems


def fitted():
    blocks, Y = systems.system(np.random.default_rng(0), 50, 3, 1, (2, 1, 2))
    mask = dense_observed.holes(np.random.default_rng(1), *Y.shape, 0.7, least=12)
    rows = Problem(blocks, Y, ALSOptions(), mask=mask).rows
    problem = Problem.from_rows(rows, ALSOptions(gtol=1e-9), law=unrestricted)
    return problem, als(problem, 0)


def nll(problem, fit, theta):
    """At gamma + theta[:P], and R moved by X: written out, not taken from the module."""
    P, K = problem.design.P, problem.K
    X = np.zeros((K, K))
    X[np.triu_indices(K)] = theta[P:]
    T = X - np.diag(np.diag(X)) + np.diag(np.exp(np.diag(X)))
    cov = Unrestricted(T @ fit.cov.root)
    gamma = fit.gamma + theta[:P]
    return problem.nll(problem.residuals(gamma), cov)


def test_products_are_second_differences():
    problem, fit = fitted()
    hessian = problem.hessian(fit.gamma, fit.E, fit.cov)
    size, P = hessian.size, problem.design.P
    assert size == P + 6
    got = np.array([hessian.apply(v) for v in np.eye(size)])
    h = 1e-4
    # The scale of gamma is told by ``split``; that of X by the gradient's step of EM.
    scale = np.concatenate([hessian.split(np.ones(size))[0], hessian.scale_of_sigma])
    want = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            want[i, j] = sum(
                s * t * nll(problem, fit, scale * h * (s * np.eye(size)[i] + t * np.eye(size)[j]))
                for s in (1, -1)
                for t in (1, -1)
            ) / (4 * h * h)
    # Second differences of an NLL of size 5 by h = 1e-4.
    assert_allclose(got, want, rtol=0, atol=2e-6)
    assert_allclose(got, got.T, rtol=0, atol=1e-6)
    lowest = curvature_at(problem, fit).lowest
    assert abs(lowest - np.linalg.eigvalsh(0.5 * (got + got.T))[0]) < 0.05
