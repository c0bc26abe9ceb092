"""Where missing cells leave the likelihood without a bound, and starts with missing cells."""

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import Start, als
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.joint_rows import JointRows, fewest_joint_rows
from sm_alsgls.core.sigma.observed_start import union_residuals
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.patterns import Patterns
from tests.core import dense_observed as dense
from tests.core import systems


def test_pairs_that_share_few_rows_are_found_with_one_factor():
    mask = np.ones((50, 5), bool)
    mask[:24, 1] = mask[27:, 3] = False
    p = np.full(5, 2)
    found = fewest_joint_rows(Patterns(mask), 1, p)
    assert found == JointRows((1, 3), 3)
    # r + sum p = 5 rows are the limit.
    mask[24:30, 3] = True
    assert fewest_joint_rows(Patterns(mask), 1, p) is None
    mask[29, 3] = False
    assert fewest_joint_rows(Patterns(mask), 1, p) == JointRows((1, 3), 5)
    # Two factors need three equations, and every row of these two is one of all.
    assert fewest_joint_rows(Patterns(mask), 2, p).rows == 5
    assert set(fewest_joint_rows(Patterns(mask), 2, p).equations) > {1, 3}


def test_pairs_that_never_meet_are_no_danger():
    mask = np.ones((60, 4), bool)
    mask[:30, 0] = mask[30:, 1] = False
    assert fewest_joint_rows(Patterns(mask), 1, np.full(4, 3)) is None
    assert fewest_joint_rows(Patterns(mask), 0, np.full(4, 3)) is None
    assert fewest_joint_rows(Patterns(np.ones((9, 3), bool)), 1, np.full(3, 4)).rows == 9


def test_there_the_likelihood_rises_without_end_as_d_falls():
    rng = np.random.default_rng(0)
    blocks, Y = systems.system(rng, 60, 4, 1, 2)
    mask = np.ones(Y.shape, bool)
    mask[:29, 0] = mask[30:, 1] = False
    assert fewest_joint_rows(Patterns(mask), 1, np.full(4, 2)) == JointRows((0, 1), 1)
    problem = Problem(blocks, Y, ALSOptions(), mask=mask)
    # The one joint row lies on the factor's line, and other rows see the variances only.
    e, s = problem.E_ols[29], problem.s_ols
    F = np.zeros((4, 1))
    F[:2, 0] = e[:2] * np.sqrt(np.sqrt(s[0] * s[1]) / abs(e[0] * e[1]))
    levels = []
    for share in (1e-5, 1e-7, 1e-9, 1e-11):
        d = np.where(np.arange(4) < 2, share * s, s)
        cov = LowRankDiag.from_factors(F, d)
        levels.append(problem.nll(problem.E_ols, cov))
    np.testing.assert_allclose(-60 * np.diff(levels), 0.5 * np.log(100), atol=0.1)


def test_union_residuals_are_those_of_all_regressors_on_own_rows():
    rng = np.random.default_rng(1)
    blocks, Y = systems.system(rng, 80, 4, 1, 3)
    mask = dense.holes(rng, 80, 4, 0.7)
    patterns = Patterns(mask)
    E = union_residuals(blocks, np.where(mask, Y, 0.0), patterns, 1)
    Z = np.concatenate(blocks, axis=1)
    for j, seen in enumerate(mask.T):
        b = np.linalg.lstsq(Z[seen], Y[seen, j], rcond=None)[0]
        np.testing.assert_allclose(E[seen, j], Y[seen, j] - Z[seen] @ b, atol=1e-9)
        assert not E[~seen, j].any()
    # Equal regressors: nothing but OLS residuals.
    tall = [np.concatenate([x] * 12) for x in blocks]
    many = Patterns(np.concatenate([mask] * 12))
    again = union_residuals(tall, np.concatenate([np.where(mask, Y, 0.0)] * 12), many, 1)
    np.testing.assert_allclose(again[: len(E)], E, atol=1e-10)
    assert union_residuals([blocks[0]] * 4, np.where(mask, Y, 0.0), patterns, 1) is None
    few = mask.copy()
    few[8:, 2] = False
    assert union_residuals(blocks, np.where(few, Y, 0.0), Patterns(few), 1) is None


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.slow
def test_search_runs_every_kind_of_start_and_checks_curvature(seed):
    rng = np.random.default_rng(seed)
    blocks, Y = systems.system(rng, 70, 8, 2, 3)
    mask = dense.holes(rng, 70, 8, 0.75)
    problem = Problem(blocks, Y, ALSOptions(d_floor=1e-3), mask=mask)
    found = search(problem, 2, n_starts=8)
    assert found.best.converged
    kinds = {run.start for run in found.runs}
    assert {"ols", "union", "grow", "random beta", "random Sigma"} <= kinds
    # What the default constructs finds the same.
    assert search(problem, 2).best.nll <= found.best.nll + 1e-6
    assert found.curvature is not None
    assert not found.curvature.is_saddle
    alone = als(problem, 2)
    assert found.best.nll <= alone.nll + 1e-9


def test_a_saddle_is_left():
    """Without loadings every gradient vanishes; the search steps off."""
    rng = np.random.default_rng(3)
    blocks, Y = systems.system(rng, 80, 6, 1, 2)
    mask = dense.holes(rng, 80, 6, 0.8)
    problem = Problem(blocks, Y, ALSOptions(d_floor=1e-3), mask=mask)
    none = als(problem, 0)
    cov = type(none.cov).from_factors(np.zeros((6, 1)), none.cov.uniquenesses)
    first = Start("flat", gamma=none.gamma, near=cov)
    stuck = als(problem, 1, first)
    assert stuck.nll == pytest.approx(none.nll, abs=1e-9)
    found = search(problem, 1, n_starts=1, first=first)
    assert "off a saddle" in {run.start for run in found.runs}
    assert found.best.nll < none.nll - 1e-3
    assert not found.curvature.is_saddle


def test_a_complete_problem_answers_as_before():
    rng = np.random.default_rng(0)
    blocks, Y = systems.system(rng, 90, 6, 1, 2)
    problem = Problem(blocks, Y, ALSOptions())
    cov = problem.union(1)
    Z = np.concatenate(blocks, axis=1)
    E = Y - Z @ np.linalg.lstsq(Z, Y, rcond=None)[0]
    np.testing.assert_allclose(cov.diag(), np.square(E).mean(axis=0), rtol=1e-2)
    block = als(problem, 1).block
    assert problem.errors.elsewhere(block) is block
