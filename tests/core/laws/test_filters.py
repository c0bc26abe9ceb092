"""Filters of rows against the covariance of all cells in full."""

import numpy as np
import pytest

from sm_alsgls.core.laws import ar as module
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.gaps import gaps_of
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import OptionError, ShapeError
from tests.core.laws import dense

N, K = 9, 4
RHO = np.array([0.7, -0.4, 0.3, 0.9])
TIMES = np.array([0, 1, 2, 5, 6, 8, 9, 10, 14])


def covariance(rng, r=2):
    return LowRankDiag(rng.standard_normal((K, r)), rng.uniform(0.4, 1.5, K))


def holes(rng):
    mask = rng.random((N, K)) > 0.3
    mask[0, 0] = mask[3, 1] = False
    mask[:2, 2] = mask[-1, 3] = False
    return mask


def filters():
    """Every filter with a mask of its cells, or None."""
    rng = np.random.default_rng(3)
    z, cells = rng.standard_normal((N, 2)), rng.standard_normal((N, K, 2))
    mask = holes(rng)
    delta = np.array([0.4, -0.7])
    return {
        "ar": (AR.of(N, np.array([0.6]), K), None),
        "ar negative": (AR.of(N, np.array([-0.6]), K), None),
        "ar zero": (AR.of(N, np.array([0.0]), K, times=TIMES), None),
        "ar each": (AR.of(N, RHO, K), None),
        "ar gaps": (AR.of(N, np.array([0.6]), K, times=TIMES), None),
        "ar each gaps": (AR.of(N, RHO, K, times=TIMES), None),
        "ar holes": (AR.of(N, np.array([0.6]), K, mask=mask), mask),
        "ar each holes": (AR.of(N, RHO, K, mask=mask), mask),
        "scale": (RowScale(z, K, delta), None),
        "scale holes": (RowScale(z, K, delta, mask=mask), mask),
        "cells": (RowScale(cells, K, delta), None),
        "cells holes": (RowScale(cells, K, delta, mask=mask), mask),
        "ar, scale": (Chain([AR.of(N, RHO, K), RowScale(z, K, delta)]), None),
        "scale, ar": (Chain([RowScale(cells, K, delta), AR.of(N, RHO, K)]), None),
        "both holes": (
            Chain([AR.of(N, RHO, K, mask=mask), RowScale(z, K, delta, mask=mask)]),
            mask,
        ),
        "none": (Chain([]), None),
    }


@pytest.fixture(params=list(filters()))
def case(request):
    law, mask = filters()[request.param]
    rng = np.random.default_rng(0)
    E = rng.standard_normal((N, K))
    return law, mask, E if mask is None else np.where(mask, E, np.nan), covariance(rng)


def seen(cov, mask):
    return cov if mask is None else cov.seen(Patterns(mask))


def value(law, E, cov, mask):
    """NLL per row at fixed residuals and Sigma, the Jacobian with it."""
    if mask is None:
        return cov.nll(law.rows(E)) - law.log_jacobian
    return cov.seen(Patterns(mask)).nll(law.rows(E)) - law.log_jacobian


@pytest.mark.parametrize("rho", [0.6, -0.6, 0.95])
@pytest.mark.parametrize("times", [np.arange(N), TIMES])
def test_a_common_rho_is_the_stationary_law_at_any_gaps(rho, times):
    rng = np.random.default_rng(0)
    E, cov = rng.standard_normal((N, K)), covariance(rng)
    law = AR.of(N, np.array([rho]), K, times=times)
    expected = dense.nll(E, dense.stationary(rho, times, cov.to_dense()))
    assert value(law, E, cov, None) == pytest.approx(expected, rel=1e-11)


def test_a_rho_for_each_is_the_recursion():
    rng = np.random.default_rng(1)
    E, cov = rng.standard_normal((N, K)), covariance(rng)
    expected = dense.nll(E, dense.recursion(RHO, N, cov.to_dense()))
    assert value(AR.of(N, RHO, K), E, cov, None) == pytest.approx(expected, rel=1e-11)


def test_single_missing_cells_are_exact_where_equations_are_not_correlated():
    rng = np.random.default_rng(2)
    E, cov, mask = (
        rng.standard_normal((N, K)),
        LowRankDiag.diagonal([0.5, 1.0, 2.0, 0.7]),
        holes(rng),
    )
    law = AR.of(N, RHO, K, mask=mask)
    expected = sum(
        dense.nll(E[:, [j]], dense.stationary(RHO[j], np.arange(N), np.atleast_2d(d)), mask[:, [j]])
        for j, d in enumerate(cov.uniquenesses)
    )
    assert value(law, E, cov, mask) == pytest.approx(expected, rel=1e-11)


def test_scales_of_rows_and_of_cells():
    rng = np.random.default_rng(3)
    E, cov = rng.standard_normal((N, K)), covariance(rng)
    Omega = np.kron(np.eye(N), cov.to_dense())
    delta = np.array([0.4, -0.7])
    for z in (rng.standard_normal((N, 2)), rng.standard_normal((N, K, 2))):
        law = RowScale(z + 5.0, K, delta)
        centred = z - z.reshape(-1, 2).mean(axis=0)
        h = np.exp(centred @ delta)
        root = np.sqrt(np.broadcast_to(h.reshape(N, -1), (N, K)))
        expected = dense.nll(E, dense.scaled(root, Omega))
        assert value(law, E, cov, None) == pytest.approx(expected, rel=1e-11)


def test_innovations_of_scale_after_ar():
    rng = np.random.default_rng(4)
    E, cov, z = rng.standard_normal((N, K)), covariance(rng), rng.standard_normal((N, 1))
    law = Chain([AR.of(N, np.array([0.5]), K), RowScale(z, K, np.array([0.8]))])
    root = np.sqrt(np.exp(0.8 * (z - z.mean())))
    # T of the AR part in full, by rows of cells.
    T = np.eye(N)
    T[0, 0] = np.sqrt(1 - 0.25)
    T[np.arange(1, N), np.arange(N - 1)] = -0.5
    U = dense.scaled(np.broadcast_to(root, (N, K)), np.kron(np.eye(N), cov.to_dense()))
    back = np.kron(np.linalg.inv(T), np.eye(K))
    expected = dense.nll(E, back @ U @ back.T)
    assert value(law, E, cov, None) == pytest.approx(expected, rel=1e-11)


def test_gradient_is_that_of_differences(case):
    law, mask, E, cov = case
    TE = law.rows(E)
    found = law.gradient(np.nan_to_num(E), TE, seen(cov, mask).solve(TE))

    def f(values):
        return value(law.at(values), E, cov, mask)

    np.testing.assert_allclose(found, dense.differences(f, law.values), rtol=1e-8, atol=1e-9)


def test_back_is_the_transpose_of_rows(case):
    law, mask, _, _ = case
    rng = np.random.default_rng(5)
    A, B = rng.standard_normal((2, N, K))
    if mask is not None:
        A, B = np.where(mask, A, 0.0), np.where(mask, B, 0.0)
    assert np.vdot(law.rows(A), B) == pytest.approx(np.vdot(A, law.back(B)), rel=1e-12)


def test_designs_are_filtered_as_their_fitted_values_are(case):
    law = case[0]
    rng = np.random.default_rng(6)
    blocks = [rng.standard_normal((N, 2)) for _ in range(K)]
    blocks[1] = blocks[0]
    beta = rng.standard_normal((K, 2))
    fitted = np.column_stack([X @ b for X, b in zip(blocks, beta, strict=True)])
    through = np.column_stack([X @ b for X, b in zip(law.blocks(blocks), beta, strict=True)])
    np.testing.assert_allclose(through, law.rows(fitted), atol=1e-12)


def test_designs_of_other_widths_and_more_than_go_together_are_filtered(case, monkeypatch):
    law, rng = case[0], np.random.default_rng(7)
    monkeypatch.setattr(module, "_CHUNK", 2 * N)
    blocks = [rng.standard_normal((N, p)) for p in (2, 1, 1, 1)]
    fitted = np.column_stack([X.sum(axis=1) for X in blocks])
    through = np.column_stack([X.sum(axis=1) for X in law.blocks(blocks)])
    np.testing.assert_allclose(through, law.rows(fitted), atol=1e-12)


def test_equal_designs_stay_one_array_where_the_filter_is_one():
    X = np.random.default_rng(0).standard_normal((N, 2))
    one = Chain([AR.of(N, np.array([0.6]), K), RowScale(X[:, :1], K, np.ones(1))])
    assert len({id(B) for B in one.blocks([X] * K)}) == 1
    assert len({id(B) for B in AR.of(N, RHO, K).blocks([X] * K)}) == K


def test_information_of_each_rho_is_that_of_single_columns(case):
    law, mask, E, cov = case
    if "ar" not in repr(law).lower() or len(law.values) < K:
        return
    E = np.nan_to_num(E)
    found = law.information(E, seen(cov, mask))
    for j in range(len(law.values)):
        unit = np.eye(len(law.values))[j]
        np.testing.assert_allclose(law.solve(E, seen(cov, mask), found[:, j]), unit, atol=1e-8)


def test_information_is_the_expected_curvature(case):
    """The mean over draws of the square of the gradient is information / N."""
    law, mask, _, cov = case
    if law.values.size == 0:
        assert law.information(np.ones((N, K)), cov).shape == (0, 0)
        return
    rng = np.random.default_rng(7)
    T = np.array([law.rows(e.reshape(N, K)).ravel() for e in np.eye(N * K)]).T
    at = np.arange(N * K) if mask is None else np.flatnonzero(mask.ravel())
    back = np.linalg.inv(T[np.ix_(at, at)])
    draws, total, squares, sees = 1500, 0.0, 0.0, seen(cov, mask)
    for i, U in enumerate(cov.sample(rng, N * draws).reshape(draws, N * K)):
        E = np.zeros(N * K)
        E[at] = back @ U[at]
        E = E.reshape(N, K)
        TE = law.rows(E)
        g = law.gradient(E, TE, sees.solve(TE))
        squares = squares + np.outer(g, g) * N / draws
        if i % 5 == 0:  # which varies little
            total = total + law.information(E, sees) * 5 / draws
    # 1,500 draws of a square: .04 of each, .1 at the most of sixteen; AR's first row and
    # crossed blocks are the expected parts only.
    scale = np.sqrt(np.outer(np.diag(squares), np.diag(squares)))
    tolerance = 0.35 if "AR" in repr(law) else 0.12
    assert np.abs(total - squares).max() / scale.max() < tolerance


def test_solve_is_with_the_information(case):
    law, mask, E, cov = case
    if law.values.size == 0:
        return
    E, sees = np.nan_to_num(E), seen(cov, mask)
    v = np.random.default_rng(8).standard_normal(len(law.values))
    expected = np.linalg.solve(law.information(E, sees), v)
    np.testing.assert_allclose(law.solve(E, sees, v), expected, rtol=1e-7)


def test_guesses_find_what_is_there():
    rng = np.random.default_rng(9)
    n, k = 400, 6
    z = rng.standard_normal((n, 1))
    truth = Chain([AR.of(n, np.array([0.6]), k), RowScale(z, k, np.array([0.8]))])
    U = rng.standard_normal((n, k)) * np.sqrt(truth.filters[1].scale)
    E = np.empty_like(U)
    E[0] = U[0] / 0.8
    for i in range(1, n):
        E[i] = 0.6 * E[i - 1] + U[i]
    found = truth.at(np.zeros(2)).guess(E)
    np.testing.assert_allclose(found.values, [0.6, 0.8], atol=0.12)  # three standard errors
    each = AR.of(n, np.zeros(k), k).guess(E)
    np.testing.assert_allclose(each.values, 0.6, atol=0.15)
    cells = np.broadcast_to(z[:, None], (n, k, 1))
    assert RowScale(cells, k, np.zeros(1)).guess(U).values[0] == pytest.approx(0.8, abs=0.15)


def test_what_cannot_be_is_refused():
    with pytest.raises(OptionError, match="rows 1 and 2 are at 3 and 3"):
        gaps_of(np.array([1, 3, 3]))
    with pytest.raises(OptionError, match="whole periods"):
        gaps_of(np.array([1.0, 2.5]))
    with pytest.raises(ShapeError, match="2 rows for 3 times"):
        gaps_of(np.arange(3), np.ones((2, 2), dtype=bool))
    with pytest.raises(ShapeError, match="one rho for all"):
        AR.of(3, np.zeros(2), 3)
    with pytest.raises(ShapeError, match="z must be"):
        RowScale(np.ones((3, 2, 1)), 3, np.zeros(1))
    with pytest.raises(ShapeError, match="1 columns"):
        RowScale(np.ones((3, 1)), 3, np.zeros(2))
