"""The unrestricted law of whole rows: what it says of itself, in dense arrays."""

import numpy as np
import pytest

from sm_alsgls.core.errors.unrestricted import UnrestrictedErrors
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance.unrestricted import Unrestricted
from tests.core import dense, systems

N, K = 40, 4


def made():
    blocks, Y = systems.system(np.random.default_rng(0), N, K, 1, 3)
    law = UnrestrictedErrors(K, N)
    return Problem(blocks, Y, ALSOptions()).with_errors(law), law


def test_stationarity_is_how_far_sigma_is_from_the_residuals_and_the_score_of_beta():
    problem, law = made()
    E = np.random.default_rng(1).standard_normal((len(problem.Y), K))
    S = E.T @ E / N
    free = np.zeros(K, dtype=bool)
    for factor in (1.0, 2.0, 0.25):
        cov = Unrestricted.from_dense(factor * S)
        normal = problem.design.normal(cov, N, None)
        size, score = law.stationarity(normal, problem.gamma_ols, E, cov, free, 0.0)
        # W' S W = I / factor, whichever root W is.
        assert size == pytest.approx(abs(1.0 / factor - 1.0), abs=1e-12)
        expected = normal.score_size(normal.score(E, problem.gamma_ols))
        assert score == pytest.approx(expected, rel=1e-12)


def test_moments_counts_and_the_likelihood():
    problem, law = made()
    E, at = problem.E_ols, np.array([2, 0])
    np.testing.assert_allclose(law.moments(E, at), E.T @ E[:, at] / N, rtol=1e-12)
    np.testing.assert_array_equal(law.counts, np.full(K, N))
    assert law.parameters(0) == law.parameters(2) == K * (K + 1) // 2
    S = E.T @ E / N
    assert law.nll(E, Unrestricted.from_dense(S)) == pytest.approx(dense.nll(E, S, N), rel=1e-12)
    assert law.whole
    assert not law.climbs
