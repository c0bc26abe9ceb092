"""Fits of every candidate rank, each from the one before: what they report, dense."""

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.problem import ALSOptions, Problem
from sm_alsgls.core.rank.path import factor_steps, rank_path, residual_path, residual_steps
from sm_alsgls.core.sigma.factor import fit_factor
from tests.core import dense, systems


def problem(N=70, K=9, r=2, seed=0):
    blocks, Y = systems.system(np.random.default_rng(seed), N, K, r)
    return Problem(blocks, Y, ALSOptions())


@pytest.mark.parametrize("n_starts", [1, 3])
def test_each_fit_is_a_maximum_and_says_what_it_leaves(n_starts):
    made = problem()
    fits = rank_path(made, [0, 1, 2, 3], n_starts=n_starts)
    assert [fit.rank for fit in fits] == [0, 1, 2, 3]
    for fit in fits:
        E = made.residuals(fit.gamma)
        assert fit.nll == pytest.approx(dense.nll(E, fit.cov.to_dense(), 70), rel=1e-9)
        assert fit.nll <= als(made, fit.rank).nll + 1e-4
        Z = E / np.sqrt(fit.cov.uniquenesses)
        assert fit.root == pytest.approx(np.linalg.eigvalsh(Z.T @ Z / 70)[::-1][fit.rank], rel=0.02)
        assert fit.converged
        assert (fit.starts > 1) == (n_starts > 1 and fit.rank > 0)
    assert (np.diff([fit.nll for fit in fits]) < 0.0).all()


def test_a_lone_candidate_is_the_fit_of_the_loop():
    made = problem()
    fit = rank_path(made, [2], n_starts=1)[0]
    alone = als(made, 2)
    assert (fit.starts, fit.sweeps) == (1, len(alone.trace) - 1)
    assert fit.nll == pytest.approx(alone.nll, rel=1e-14, abs=0)
    assert fit.status == alone.status


def test_where_no_eigenvalue_is_left_there_is_none():
    fits = rank_path(problem(70, 3, 1), [0, 1], n_starts=1)
    assert np.isfinite([fit.root for fit in fits]).all()
    blocks, Y = systems.system(np.random.default_rng(1), 4, 9, 1, p=2)
    few = Problem(blocks, Y, ALSOptions())
    assert np.isnan(rank_path(few, [few.design.n], n_starts=1)[0].root)


def test_residual_path_is_factor_analysis_of_each_rank():
    made = problem(90, 8)
    path = residual_path(made, [0, 1, 3])
    for value, rank in zip(path, [0, 1, 3], strict=True):
        alone = fit_factor(made.E_ols, rank, n_obs=90, gtol=1e-8)
        # What the tolerance of a path leaves of 2 N nll is within 2 N K gtol^2 = K.
        assert 2 * 90 * abs(value - alone.nll - 4 * np.log(2 * np.pi)) < 0.1
    few = list(factor_steps(made.E_ols, [1, 2], n_obs=90, floor=made.floor, gtol=1e-8))
    assert [fit.F.shape[1] for fit in few] == [1, 2]


def test_a_second_start_is_run_where_it_is_said_to_be_worth_it():
    made = problem(90, 8)
    asked = []

    def again(worth):
        def answer(rank, nll):
            asked.append((rank, nll))
            return worth

        return answer

    first = list(residual_steps(made, [0, 1, 2, 3], again=again(False)))
    # Rank 0 has one maximum, and rank 1 no other start yet.
    assert asked == [(2, first[2]), (3, first[3])]
    both = list(residual_steps(made, [0, 1, 2, 3], again=again(True)))
    assert both == list(residual_path(made, [0, 1, 2, 3]))
    assert all(b <= f for b, f in zip(both, first, strict=True))
