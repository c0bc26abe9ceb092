"""The low-rank law of whole rows: what it says of itself, in dense arrays."""

import numpy as np
import pytest

from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.errors.complete import union_residuals
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from tests.core import systems

N, K = 40, 5


def made(shared=False, lam_B=0.0, binding=None, p=3, rows=N):
    rng = np.random.default_rng(0)
    blocks, Y = systems.system(rng, rows, K, 1, p)
    blocks = [blocks[0]] * K if shared else blocks
    return Problem(blocks, Y, ALSOptions(lam_B=lam_B), binding=binding), blocks, Y


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("lam_B", [0.0, 0.1])
def test_equal_designs_leave_sigma_alone_unless_coefficients_are_shrunk(shared, lam_B):
    problem, *_ = made(shared, lam_B)
    alone = problem.errors.sigma_alone(problem.design, problem.ridge)
    assert alone == (shared and lam_B == 0.0) == problem.sigma_alone


def test_where_there_is_a_bound():
    problem, *_ = made(p=7, rows=12)
    errors, design = problem.errors, problem.design
    assert errors.bounded(design, 0, 0.0)
    assert not errors.bounded(design, 2, 0.0)
    # Loadings that are shrunk, and tied coefficients, of which nobody counts directions.
    assert errors.bounded(design, 2, 0.01)
    R = np.eye(7 * K)[:1]
    tied, *_ = made(p=7, rows=12, binding=Restrictions(R, np.zeros(1)))
    assert tied.errors.bounded(tied.design, 2, 0.0)


def test_moments_are_columns_of_the_cross_products():
    problem, *_ = made()
    E = problem.E_ols
    at = np.array([3, 0])
    found = problem.errors.moments(E, at)
    np.testing.assert_allclose(found, E.T @ E[:, at] / N, rtol=1e-12)


def test_union_residuals_are_those_of_all_regressors_in_one_regression():
    problem, blocks, Y = made()
    Z = np.column_stack(blocks)
    expected = Y - Z @ np.linalg.lstsq(Z, Y, rcond=None)[0]
    E = union_residuals(problem.design, problem.Y, problem.s_ols, N, 1)
    # On compressed rows: the same cross-products.
    np.testing.assert_allclose(E.T @ E, expected.T @ expected, rtol=1e-8, atol=1e-8)
    rows, design = problem.rows.seen_blocks, problem.design
    cov = problem.errors.union(rows, design, problem.Y, problem.s_ols, 1)
    np.testing.assert_allclose(cov.diag(), np.square(expected).mean(axis=0), rtol=1e-3)
    equal, *_ = made(shared=True)
    assert union_residuals(equal.design, equal.Y, equal.s_ols, N, 1) is None
    few, *_ = made(p=7, rows=12)
    assert union_residuals(few.design, few.Y, few.s_ols, 12, 1) is None


def test_it_has_whole_rows_and_climbs():
    errors = made()[0].errors
    assert errors.whole
    assert errors.climbs
