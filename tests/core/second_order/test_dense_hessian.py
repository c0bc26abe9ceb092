"""The formed Hessian is the operator applied to every unit vector."""

import numpy as np
import pytest

from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.restricted import RestrictedDesign, Restrictions
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.second_order.curvature import LikelihoodHessian, lowest_curvature
from sm_alsgls.core.second_order.dense_hessian import DenseHessian, hessian_at
from sm_alsgls.covariance import LowRankDiag
from tests.core import systems


def point(N, K, r, p, seed=0):
    """Design, residuals and Sigma at no special point."""
    rng = np.random.default_rng(seed)
    blocks, Y = systems.system(rng, N, K, max(r, 1), p)
    design = Design(blocks)
    gamma = design.project(Y) + 0.3 * rng.standard_normal(design.P)
    cov = LowRankDiag.from_factors(rng.standard_normal((K, r)), rng.uniform(0.5, 1.5, K))
    return design, Y - design.fitted(gamma), cov


def operated(hessian):
    return np.column_stack([hessian.apply(v) for v in np.eye(hessian.size)])


@pytest.mark.parametrize("n_obs", [None, 77])
@pytest.mark.parametrize(
    ("N", "K", "r", "p"),
    [(30, 5, 2, 3), (8, 12, 3, 2), (25, 4, 1, (1, 3, 2, 2)), (20, 4, 0, 2), (20, 1, 1, 2)],
)
def test_equals_the_operator(N, K, r, p, n_obs):
    design, E, cov = point(N, K, r, p)
    free = np.arange(K) != K - 1
    H = DenseHessian(design, E, cov, n_obs or N, free).matrix
    expected = operated(LikelihoodHessian(design, E, cov, n_obs or N, free))
    np.testing.assert_allclose(H, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(H, H.T, rtol=0, atol=1e-13 * np.abs(H).max())


def test_shared_designs_and_restrictions():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((30, 2))
    _, E, cov = point(30, 5, 2, 2)
    shared = Design([X] * 5)
    separate, _, _ = point(30, 5, 2, 2)
    bound = RestrictedDesign(separate, rng.standard_normal((2, 10)), np.zeros(2))
    for design in (shared, bound):
        H = DenseHessian(design, E, cov, 30).matrix
        expected = operated(LikelihoodHessian(design, E, cov, 30))
        np.testing.assert_allclose(H, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_a_heywood_case():
    """Sigma^-1 has an entry of 1e10, and an equation that is eliminated last."""
    design, E, cov = point(30, 5, 2, 2)
    d = cov.uniquenesses.copy()
    d[1] = 1e-10
    cov = LowRankDiag.from_factors(cov.loadings, d)
    free = np.arange(5) != 1
    H = DenseHessian(design, E, cov, 30, free).matrix
    expected = operated(LikelihoodHessian(design, E, cov, 30, free))
    np.testing.assert_allclose(H, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_chosen_by_size_and_ridges():
    design, E, cov = point(30, 5, 2, 2)
    assert isinstance(hessian_at(design, E, cov, 30), DenseHessian)
    ridged = hessian_at(design, E, cov, 30, lam_F=0.1)
    assert isinstance(ridged, LikelihoodHessian)
    assert ridged.apply(np.ones(ridged.size)) == pytest.approx(
        LikelihoodHessian(design, E, cov, 30, lam_F=0.1).apply(np.ones(ridged.size))
    )
    large = point(30, 40, 2, 2)
    assert isinstance(hessian_at(*large, 30), LikelihoodHessian)


def test_same_lowest_curvature():
    design, E, cov = point(30, 5, 2, 3)
    dense, operator = DenseHessian(design, E, cov, 30), LikelihoodHessian(design, E, cov, 30)
    for steps in (1, 4, 8, dense.size):
        assert lowest_curvature(dense, steps).lowest == pytest.approx(
            lowest_curvature(operator, steps).lowest, rel=1e-10, abs=1e-10
        )


class TestNewton:
    """The step of gamma is that of the likelihood in all its parameters."""

    def near(self, K=6, r=2, restricted=False):
        rng = np.random.default_rng(4)
        blocks, Y = systems.system(rng, 80, K, r, 3)
        tie = Restrictions(np.eye(3 * K)[[1]] - np.eye(3 * K)[[4]], np.zeros(1))
        binding = tie if restricted else None
        problem = Problem(blocks, Y, ALSOptions(gtol=1e-9), binding=binding)
        best = als(problem, r)
        assert best.converged
        assert not best.at_bound.any()
        return problem, best

    @pytest.mark.parametrize("restricted", [False, True])
    def test_error_squares(self, restricted):
        problem, best = self.near(restricted=restricted)
        rng = np.random.default_rng(5)
        errors, z = [], problem.design.lift(rng.standard_normal(problem.design.P))
        w = rng.standard_normal(problem.K)
        for size in (1e-2, 1e-3):
            gamma = best.gamma + size * z
            E = problem.residuals(gamma)
            # An inexact Sigma-step: F is best for its d, and d is not best.
            d = best.cov.uniquenesses * np.exp(size * w)
            factor = problem.sigma_step(E, 2, d=d, gtol=1.0)
            cov = LowRankDiag.from_factors(factor.F, factor.d)
            assert factor.gradient > 0.01 * size
            score = problem.normal(cov).score(E, gamma)
            step = DenseHessian(problem.design, E, cov, problem.n_obs).newton(score)[0]
            errors.append(np.linalg.norm(gamma + step - best.gamma) / np.linalg.norm(size * z))
        assert errors[0] < 0.1
        # Quadratic: ten times nearer, the error falls a hundred times, and so relative to it ten.
        assert errors[1] < 0.2 * errors[0]

    def test_no_step_where_the_likelihood_bends_the_other_way(self):
        design, E, cov = point(30, 5, 2, 3)
        hessian = DenseHessian(design, 0.2 * E, cov, 30)
        lowest = np.linalg.eigvalsh(hessian.matrix)[0]
        assert lowest < -1e-3
        assert hessian.newton(np.ones(design.P)) is None

    def test_sweeps_converge_quadratically(self):
        _, best = self.near()
        scores = [sweep.score_beta for sweep in best.trace]
        assert len(scores) <= 6
        assert scores[-1] < 10.0 * scores[-2] ** 1.5
