"""What every law of the errors promises (`sm_alsgls.core.errors.base`), against brute force."""

import numpy as np
import pytest

from sm_alsgls.core.errors.nuisance import NO_NUISANCE
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.exceptions import OptionError
from tests.contracts.inhabitants import LAWS
from tests.core import dense_observed


@pytest.fixture(scope="module", params=LAWS, ids=lambda name: name.replace(" ", "-"))
def made(request):
    """A problem of the law; no test changes it."""
    return LAWS[request.param]()


@pytest.fixture(scope="module")
def fitted(made):
    return made, als(made.problem, made.order)


def numbers(made, beta, Sigma):
    """NLL per row of coefficients (stacked) and Sigma, by rows of their own."""
    parts = np.split(beta, np.cumsum([X.shape[1] for X in made.blocks])[:-1])
    fitted = np.column_stack([X @ b for X, b in zip(made.blocks, parts, strict=True)])
    return dense_observed.nll(np.where(made.mask, made.Y - fitted, 0.0), made.mask, Sigma)


def another(problem, E, order, size):
    """A Sigma of the law, ``size`` from that of residuals E."""
    noise = np.random.default_rng(9).standard_normal(problem.K)
    return problem.sigma_step(E * np.exp(size * noise), order, gtol=1e-6).cov


class TestLikelihood:
    def test_at_any_point(self, fitted):
        made, fit = fitted
        problem, rng = made.problem, np.random.default_rng(0)
        for _ in range(3):
            gamma = fit.gamma + rng.standard_normal(problem.design.P)
            cov = another(problem, fit.E, made.order, 0.5)
            beta = np.concatenate(problem.design.to_beta(gamma))
            got = problem.nll(problem.residuals(gamma), cov)
            assert got == pytest.approx(numbers(made, beta, cov.to_dense()), rel=1e-9)

    def test_the_fit_says_its_likelihood(self, fitted):
        made, fit = fitted
        beta = np.concatenate(made.problem.design.to_beta(fit.gamma))
        assert fit.nll == pytest.approx(numbers(made, beta, fit.cov.to_dense()), rel=1e-9)

    def test_a_step_says_its_objective(self, made):
        problem = made.problem
        step = problem.sigma_step(problem.E_ols, made.order, gtol=1e-8)
        whole = step.nll + problem.errors.constant
        assert whole == pytest.approx(problem.nll(problem.E_ols, step.cov), rel=1e-9)
        assert step.gradient <= 1e-7
        assert step.at_bound.shape == (problem.K,)
        assert step.evaluations >= 1

    def test_holes_are_zero(self, made):
        M = np.random.default_rng(1).standard_normal(made.Y.shape)
        np.testing.assert_array_equal(made.problem.errors.masked(M) != 0.0, made.mask)
        np.testing.assert_array_equal(made.problem.errors.counts, made.mask.sum(axis=0))
        assert made.problem.errors.n_obs == len(M)


class TestMaximum:
    def test_stationary_and_lower_than_any_neighbour(self, fitted):
        made, fit = fitted
        assert fit.converged
        problem, rng = made.problem, np.random.default_rng(2)
        for size in (1e-2, 1e-3):
            for _ in range(5):
                noise = rng.standard_normal(problem.design.P)
                gamma = fit.gamma + size * noise / np.sqrt(problem.normal(fit.cov).diagonal)
                cov = another(problem, fit.E, made.order, size)
                assert problem.objective(gamma, problem.residuals(gamma), cov) > fit.nll

    def test_the_gradient_of_beta_by_complex_step(self, fitted):
        """Of the NLL at a point off the maximum, row by row with Sigma_n^-1 by brute force."""
        made, fit = fitted
        problem = made.problem
        gamma = fit.gamma + np.random.default_rng(3).standard_normal(problem.design.P)
        E = problem.residuals(gamma)
        score = problem.normal(fit.cov).score(E, gamma)
        mask = made.mask if len(E) == len(made.mask) else np.ones(E.shape, bool)
        inverse = dense_observed.inverses(mask, fit.cov.to_dense())
        for i in range(problem.design.P):
            moved = E - 1e-30j * problem.design.fitted(np.eye(problem.design.P)[i])
            quad = np.einsum("nj,njk,nk->", moved, inverse, moved)
            assert score[i] == pytest.approx(-0.5 * quad.imag / 1e-30, rel=1e-7, abs=1e-7)

    def test_measures_are_those_of_the_point(self, fitted):
        made, fit = fitted
        problem = made.problem
        at = problem.stationarity(fit.gamma, fit.E, fit.cov, fit.at_bound)
        assert max(at) <= problem.options.gtol
        gamma = fit.gamma + 1.0 / np.sqrt(problem.normal(fit.cov).diagonal)
        off = problem.stationarity(gamma, problem.residuals(gamma), fit.cov, fit.at_bound)
        assert off.score_beta > 0.1
        spread = another(problem, fit.E, made.order, 0.3)
        assert problem.stationarity(fit.gamma, fit.E, spread, fit.at_bound).gradient_d > 1e-3

    def test_curvature_is_that_of_the_likelihood(self, fitted):
        made, fit = fitted
        problem = made.problem
        hessian = problem.hessian(fit.gamma, fit.E, fit.cov)
        if hessian is None:
            return
        rng = np.random.default_rng(4)
        v, w = rng.standard_normal((2, hessian.size))
        assert v @ hessian.apply(w) == pytest.approx(w @ hessian.apply(v), abs=1e-5)
        if hessian.size == problem.design.P:
            return  # Sigma follows beta: of the profile likelihood, with tests of its own
        # In beta alone it is H / N.
        gamma = np.zeros(hessian.size)
        gamma[: problem.design.P] = 1.0
        moved, *_ = hessian.split(gamma)
        normal = problem.normal(fit.cov)
        expected = moved @ normal.apply(moved) / problem.n_obs
        assert gamma @ hessian.apply(gamma) == pytest.approx(expected, rel=1e-5)

    def test_searching_is_no_worse(self, fitted):
        made, fit = fitted
        found = search(made.problem, made.order)
        assert found.best.nll <= fit.nll + 1e-9
        assert found.best.converged

    def test_units_do_not_matter(self, fitted):
        made, fit = fitted
        c = np.array([1e3, 1.0, 1e-3, 5.0, 0.1])
        other = als(made.problem.rescaled(c), made.order)
        shift = made.problem.counts @ np.log(c) / made.problem.n_obs
        assert other.nll == pytest.approx(fit.nll - shift, rel=1e-8)


class TestRidges:
    @pytest.fixture(params=LAWS, ids=lambda name: name.replace(" ", "-"))
    def shrunk(self, request):
        return LAWS[request.param](ALSOptions(lam_F=0.1, lam_B=0.2))

    def test_a_step_says_its_objective(self, shrunk):
        problem = shrunk.problem
        step = problem.sigma_step(problem.E_ols, shrunk.order, gtol=1e-8)
        whole = problem.nll(problem.E_ols, step.cov) + problem.errors.penalty(step.cov, 0.1)
        assert step.nll + problem.errors.constant == pytest.approx(whole, rel=1e-9)

    def test_the_objective_is_the_likelihood_and_both(self, shrunk):
        problem = shrunk.problem
        fit = als(problem, shrunk.order)
        # N lam_B / s_j times the mean square of each slope's regressor over the equation's rows.
        slopes = 0.0
        beta = problem.design.to_beta(fit.gamma)
        for X, b, m, s in zip(shrunk.blocks, beta, shrunk.mask.T, problem.s_ols, strict=True):
            X = X[m]
            slopes += 0.1 / s * np.sum(b**2 * (X != X[0]).any(axis=0) * (X**2).sum(axis=0))
        expected = problem.nll(fit.E, fit.cov) + problem.errors.penalty(fit.cov, 0.1)
        assert fit.converged
        assert fit.nll == pytest.approx(expected + slopes / problem.n_obs, rel=1e-10)

    def test_the_score_is_its_slope(self, shrunk):
        problem = shrunk.problem
        fit = als(problem, shrunk.order)
        normal = problem.normal(fit.cov)
        assert normal.score_size(normal.score(fit.E, fit.gamma)) <= problem.options.gtol
        gamma = fit.gamma + 1.0 / np.sqrt(normal.diagonal)
        score = normal.score(problem.residuals(gamma), gamma)
        for i, h in enumerate(1e-3 / np.sqrt(normal.diagonal)):
            move = h * np.eye(len(gamma))[i]
            up, down = (
                problem.objective(g, problem.residuals(g), fit.cov)
                for g in (gamma + move, gamma - move)
            )
            slope = -problem.n_obs * (up - down) / (2 * h)
            assert score[i] == pytest.approx(slope, rel=1e-5, abs=1e-5 / h * 1e-3)


class TestInference:
    def test_standard_errors(self, fitted):
        made, fit = fitted
        V = made.problem.covariance(fit.cov)
        H = dense_observed.information(made.blocks, made.mask, fit.cov.to_dense())
        np.testing.assert_allclose(V.variances(), np.diag(np.linalg.inv(H)), rtol=1e-7)
        np.testing.assert_allclose(V.dense(), np.linalg.inv(H), rtol=1e-6, atol=1e-10)

    def test_sigma_of_intervals(self, fitted):
        made, fit = fitted
        cov = made.problem.interval_sigma(fit.E, fit.cov)
        assert cov.K == made.problem.K
        # It says more of the errors' size than the maximum does, or the same.
        assert np.median(cov.diag() / fit.cov.diag()) > 0.95

    def test_parameters_are_the_dimension_of_sigma(self, fitted):
        """The rank of how Sigma moves with the residuals, and the law's own parameters."""
        made, fit = fitted
        problem, rng = made.problem, np.random.default_rng(6)
        at = np.tril_indices(problem.K)
        sd = np.sqrt(fit.cov.diag())

        def sigma(size):
            E = fit.E * (1.0 + size * rng.standard_normal(fit.E.shape))
            near = problem.sigma_step(E, made.order, near=fit.cov, gtol=1e-10).cov
            return (near.to_dense() / np.outer(sd, sd))[at]

        middle = sigma(0.0)
        moves = np.array([sigma(1e-5) - middle for _ in range(40)])
        size = np.linalg.svd(moves, compute_uv=False)
        own = getattr(problem.errors, "nuisance", NO_NUISANCE)
        expected = np.count_nonzero(size > 1e-3 * size[0]) + len(own.names)
        assert problem.errors.parameters(made.order) == expected
        assert problem.errors.taken(made.order) == made.taken

    def test_seen_is_row_by_row(self, fitted):
        made, fit = fitted
        E = np.where(made.mask, np.random.default_rng(5).standard_normal(made.Y.shape), 0.0)
        try:
            seen = made.problem.errors.seen(fit.cov)
        except OptionError:
            return
        expected = dense_observed.solve(E, made.mask, fit.cov.to_dense())
        got = np.where(made.mask, seen.solve(np.asfortranarray(E)), 0.0)
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-9)

    def test_moments(self, made):
        E = made.problem.E_ols
        both = made.mask.astype(float).T @ made.mask
        if len(E) != len(made.Y):
            both[:] = len(made.Y)
        got = made.problem.errors.moments(E, np.array([0, 2]))
        np.testing.assert_allclose(got, (E.T @ E / both)[:, [0, 2]], rtol=1e-10)
