"""One problem of rows, design, law of the errors: what changes with each, and who must match."""

import numpy as np
import pytest

from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.errors.complete import CompleteErrors
from sm_alsgls.core.errors.observed import ObservedErrors
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import OptionError, ShapeError
from tests.core import dense, systems
from tests.core.systems import ring
from tests.worked.law import SpatialErrors

K = 4


def sample(N=60, lam=0.4):
    rng = np.random.default_rng(0)
    blocks, Y = systems.system(rng, N, K, 1, 2)
    return blocks, Y @ np.linalg.inv(np.eye(K) - lam * ring(K)).T


def binding():
    R = np.zeros((2, 2 * K))
    R[0, [1, 3]] = 1.0, -1.0
    R[1, 0] = 1.0
    return Restrictions(R, np.array([0.0, 0.5]))


class TestAnotherLaw:
    def test_of_other_rows_or_equations_is_refused(self):
        blocks, Y = sample(600)
        problem = Problem(blocks, Y, ALSOptions())
        n = problem.design.n
        assert n < 600
        for law in (CompleteErrors(K, n), CompleteErrors(K + 1, 600)):
            with pytest.raises(ShapeError, match="600 rows of 4"):
                problem.with_errors(law)
            with pytest.raises(ShapeError, match="600 rows of 4"):
                Problem.from_rows(problem.rows, ALSOptions(), law=lambda rows, law=law: law)

    def test_that_needs_every_row_is_refused_where_rows_were_compressed(self):
        blocks, Y = sample(600)
        law = ObservedErrors(Patterns(np.ones(Y.shape, bool)))
        with pytest.raises(OptionError, match="compressed to"):
            Problem(blocks, Y, ALSOptions()).with_errors(law)
        # Of the rows themselves it is the same likelihood.
        rows = Problem.from_rows(Rows.of(blocks, Y), ALSOptions()).with_errors(law)
        assert als(rows, 1).nll == pytest.approx(als(Problem(blocks, Y, ALSOptions()), 1).nll)

    def test_of_whole_rows_is_refused_where_cells_are_missing(self):
        blocks, Y = sample()
        mask = np.ones(Y.shape, bool)
        mask[3, 1] = False
        problem = Problem(blocks, Y, ALSOptions(), mask=mask)
        with pytest.raises(OptionError, match="whole rows"):
            problem.with_errors(CompleteErrors(K, len(Y)))

    @pytest.mark.parametrize("N", [60, 600])
    @pytest.mark.parametrize("bound", [False, True])
    def test_is_that_of_filtered_responses(self, N, bound):
        """Compressed rows or not, restricted or not: the NLL is that of a dense Sigma."""
        blocks, Y = sample(N)
        problem = Problem(blocks, Y, ALSOptions(), binding=binding() if bound else None)
        fit = als(problem.with_errors(SpatialErrors(K, N, ring(K), 0.4)), 1)
        beta = problem.design.to_beta(fit.gamma)
        E = Y - np.column_stack([X @ b for X, b in zip(blocks, beta, strict=True)])
        assert fit.converged
        assert fit.nll == pytest.approx(dense.nll(E, fit.cov.to_dense()), rel=1e-10)
        if bound:
            assert beta[0][0] == pytest.approx(0.5)
            assert beta[0][1] == pytest.approx(beta[1][1])


@pytest.mark.parametrize("bound", [False, True])
def test_a_law_between_equations_takes_part_in_their_units(bound):
    blocks, Y = sample()
    law = SpatialErrors(K, len(Y), ring(K), 0.4)
    c = np.array([1e4, 1.0, 1e-3, 7.0])
    problem = Problem(blocks, Y, ALSOptions(), binding=binding() if bound else None)
    fit = als(problem.with_errors(law), 1)
    other = problem.with_errors(law).rescaled(c)
    again = als(other, 1)
    assert again.nll == pytest.approx(fit.nll - np.log(c).sum(), rel=1e-10)
    beta = zip(other.design.to_beta(again.gamma), problem.design.to_beta(fit.gamma), c, strict=True)
    for b, a, v in beta:
        np.testing.assert_allclose(b * v, a, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("holes", [False, True])
def test_what_residuals_have_in_their_own_regressors_is_the_way_to_ols(holes):
    blocks, Y = sample()
    mask = np.random.default_rng(1).random(Y.shape) < 0.9 if holes else None
    problem = Problem(blocks, Y, ALSOptions(), mask=mask)
    gamma = problem.gamma_ols + np.random.default_rng(2).standard_normal(problem.design.P)
    expected = problem.design.project(problem.residuals(gamma))
    np.testing.assert_allclose(problem.own(gamma), expected, rtol=0, atol=1e-12)
    tied = Problem(blocks, Y, ALSOptions(), mask=mask, binding=binding())
    assert tied.own(tied.gamma_ols) is None


def test_scores_of_many_equations_are_those_of_whole_products():
    """From 200,000 residuals on they are made of what is known; holes do not know F'D^-1 E'."""
    blocks, Y = systems.system(np.random.default_rng(0), 500, 401, 2, 2)
    for mask in (None, np.random.default_rng(1).random(Y.shape) < 0.95):
        problem = Problem(blocks, Y, ALSOptions(), mask=mask)
        gamma = problem.gamma_ols + 0.1
        E = problem.residuals(gamma)
        cov = (
            CompleteErrors(401, 500)
            .sigma(E, 2, floor=problem.floor, near=None, d=None, block=None, gtol=1e-2)
            .cov
        )
        got = problem.normal(cov).score(E, gamma, problem.own(gamma))
        expected = problem.design.project(problem.observed(cov).solve(E))
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10 * np.abs(expected).max())
