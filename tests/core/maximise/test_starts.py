"""Constructed and random starts are what their docstrings say, in dense arrays."""

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.starts import (
    common_start,
    continued,
    nearby_start,
    random_start,
    union_start,
)
from sm_alsgls.core.problem import ALSOptions, Problem
from tests.core import systems


def problem(N=80, K=6, p=3, seed=0, constant=True):
    blocks, Y = systems.system(np.random.default_rng(seed), N, K, 2, p, constant)
    return Problem(blocks, Y, ALSOptions()), blocks, Y


def fitted(made, gamma):
    return made.residuals(np.zeros_like(gamma)) - made.residuals(gamma)


def test_common_start_fits_what_all_equations_share():
    made, _, Y = problem()
    start = common_start(made)
    # They share the constant only.
    whole = np.broadcast_to(Y.mean(axis=0), Y.shape)
    E = made.residuals(start.gamma)
    assert np.square(E).sum() == pytest.approx(np.square(Y - whole).sum(), rel=1e-9)
    assert start.cov is None


def test_common_start_is_none_where_nothing_or_all_is_shared():
    assert common_start(problem(constant=False)[0]) is None
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((50, 3)), rng.standard_normal((50, 4))
    assert common_start(Problem([X] * 4, Y, ALSOptions())) is None
    # The same span in other columns: all is shared, and nobody can tell by the arrays.
    turned = [X @ rng.standard_normal((3, 3)) for _ in range(4)]
    assert common_start(Problem(turned, Y, ALSOptions())) is None


@pytest.mark.parametrize("rank", [1, 2])
def test_union_start_is_sigma_of_residuals_on_all_regressors(rank):
    made, blocks, Y = problem()
    start = union_start(made, rank)
    Z = np.column_stack(blocks)
    E = Y - Z @ np.linalg.lstsq(Z, Y, rcond=None)[0]
    assert start.cov.rank == rank
    # Factor analysis leaves variances alone.
    np.testing.assert_allclose(start.cov.diag(), np.square(E).mean(axis=0), rtol=1e-3)


def test_random_starts():
    made, _, _ = problem()
    s = made.s_ols
    rng = np.random.default_rng(2)
    far, near = (random_start(made, 2, rng, index) for index in (0, 1))
    error = np.sqrt(made.n_obs / made.design.diagonal(1.0 / s))
    wide, narrow = (np.std((one.gamma - made.gamma_ols) / error) for one in (far, near))
    # Eighteen draws of ten and of one.
    assert 5.0 < wide < 18.0
    assert 0.5 < narrow < 1.8
    for one in (random_start(made, 2, rng, 2), nearby_start(made, 2, rng, None)):
        np.testing.assert_allclose(one.cov.diag(), s, rtol=1e-12)
        assert one.cov.rank == 2
        assert one.gamma is None
    share = np.concatenate(
        [1.0 - nearby_start(made, 2, rng, None).cov.uniquenesses / s for _ in range(60)]
    )
    assert 0.2 <= share.min() < 0.22
    assert 0.78 < share.max() <= 0.8
    left = np.concatenate([random_start(made, 1, rng, 2).cov.uniquenesses / s for _ in range(60)])
    assert 1e-3 <= left.min() < 1.5e-3
    assert 0.4 < left.max() <= 10.0**-0.3
    assert np.mean(np.log10(left)) == pytest.approx(-1.65, abs=0.15)


def test_missing_cells_have_the_same_kinds_of_starts():
    """Two kinds of coefficients, then a random Sigma."""
    blocks, Y = systems.system(np.random.default_rng(0), 60, 5, 1, 2)
    mask = np.random.default_rng(1).random(Y.shape) < 0.8
    made = Problem(blocks, Y, ALSOptions(), mask=mask)
    rng = np.random.default_rng(2)
    kinds = [random_start(made, 1, rng, index).cov is None for index in range(6)]
    assert kinds == [True, True, False, True, True, False]


def test_equal_designs_start_from_a_random_sigma():
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((50, 3)), rng.standard_normal((50, 4))
    made = Problem([X] * 4, Y, ALSOptions())
    for index in range(4):
        assert random_start(made, 1, rng, index).cov is not None


def test_continued_goes_on_from_where_a_fit_ended():
    made, _, _ = problem()
    solution = als(made, 2)
    start = continued(solution)
    assert start.label == solution.label
    assert continued(solution, "again").label == "again"
    again = als(made, 2, start)
    assert again.nll == pytest.approx(solution.nll, abs=1e-9)
    assert len(again.trace) <= 3
