"""Sigma seen through holes equals its dense twin, one covariance block per row."""

import numpy as np
import pytest

from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.observed import ObservedCovariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import ShapeError
from tests.core import dense_observed as dense

CASES = {
    "K=4": (30, 4, 1, 0.7),
    "K=8": (60, 8, 2, 0.5),
    "K > N": (12, 20, 3, 0.6),
    "no factor": (25, 5, 0, 0.6),
    "one equation": (20, 1, 0, 0.8),
    "complete": (20, 6, 2, 1.0),
}


def case(name, seed=0, heywood=()):
    N, K, r, share = CASES[name]
    rng = np.random.default_rng(seed)
    mask = dense.holes(rng, N, K, share)
    F, d = rng.standard_normal((K, r)), rng.uniform(0.2, 1.5, K)
    d[list(heywood)] = 1e-8
    cov = LowRankDiag.from_factors(F, d)
    E = np.where(mask, cov.sample(rng, N), 0.0)
    return np.asfortranarray(E), mask, cov


@pytest.mark.parametrize("name", CASES)
def test_equals_the_dense_twin(name):
    E, mask, cov = case(name)
    observed, Sigma = ObservedCovariance(cov, Patterns(mask)), cov.to_dense()
    W = dense.solve(E, mask, Sigma)
    inverse = dense.inverses(mask, Sigma)
    cells = np.einsum("njj->nj", inverse)
    close = {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(observed.solve(E), W, **close)
    np.testing.assert_allclose(observed.precision_cells(), cells, **close)
    np.testing.assert_allclose(
        observed.precision_diag(), cells.sum(axis=0) / mask.sum(axis=0), **close
    )
    assert observed.logdet() == pytest.approx(dense.logdet(mask, Sigma), rel=1e-12)
    assert observed.quad(E) == pytest.approx(np.sum(E * W), rel=1e-12)
    assert observed.nll(E) == pytest.approx(dense.nll(E, mask, Sigma), rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_cells_given_the_others_of_their_row(name):
    E, mask, cov = case(name)
    observed, Sigma = ObservedCovariance(cov, Patterns(mask)), cov.to_dense()
    mean, variance = dense.conditional(E, mask, Sigma)
    given = observed.conditional(E)
    np.testing.assert_allclose(given.mean, mean, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(given.variance, variance, rtol=1e-10)
    rows, equations = (v.ravel() for v in np.indices(E.shape))
    weights = observed.weights(rows, equations)
    np.testing.assert_allclose(
        np.einsum("mk,mk->m", weights, E[rows]), mean.ravel(), rtol=1e-9, atol=1e-11
    )
    assert not weights[~mask[rows]].any()
    assert not weights[np.arange(len(rows)), equations].any()


@pytest.mark.parametrize("rows_at_a_time", [1, 7, 1000])
@pytest.mark.parametrize("name", ["K=8", "K > N", "no factor"])
def test_information_is_the_sum_over_rows(name, rows_at_a_time, monkeypatch):
    _, mask, cov = case(name)
    N, K = mask.shape
    rng = np.random.default_rng(3)
    # What designs hold in missing cells does not count.
    blocks = [rng.standard_normal((N, 1 + j % 3)) for j in range(K)]
    P = sum(X.shape[1] for X in blocks)
    chunk = 8 * P * max(cov.rank, 1) * rows_at_a_time
    monkeypatch.setattr("sm_alsgls.covariance.observed._CHUNK_BYTES", chunk)
    inverse = dense.inverses(mask, cov.to_dense())
    owner = np.repeat(np.arange(K), [X.shape[1] for X in blocks])
    x = np.concatenate(blocks, axis=1)
    expected = sum(inverse[n][np.ix_(owner, owner)] * np.outer(x[n], x[n]) for n in range(N))
    found = ObservedCovariance(cov, Patterns(mask)).information(blocks)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_left_out_residuals_are_scaled_solves():
    """e_nj - E[e_nj | the rest of row n] = w_nj / (Sigma_n^-1)_jj."""
    E, mask, cov = case("K=8")
    observed = ObservedCovariance(cov, Patterns(mask))
    left_out = (E - observed.conditional(E).mean)[mask]
    ratio = observed.solve(E)[mask] / observed.precision_cells()[mask]
    np.testing.assert_allclose(left_out, ratio, rtol=1e-10, atol=1e-12)


def test_a_row_with_nothing_observed_predicts_the_mean():
    E, mask, cov = case("K=8")
    mask[3], E[3] = False, 0.0
    observed = ObservedCovariance(cov, Patterns(mask))
    given = observed.conditional(E)
    np.testing.assert_array_equal(given.mean[3], 0.0)
    np.testing.assert_allclose(given.variance[3], cov.diag(), rtol=1e-12)


@pytest.mark.parametrize("heywood", [(), (1, 4)])
def test_filtered_factors(heywood):
    E, mask, cov = case("K=8", heywood=heywood)
    means, spread = ObservedCovariance(cov, Patterns(mask)).factors(E)
    F, d = cov.loadings, cov.uniquenesses
    for n, m in enumerate(mask):
        core = np.linalg.inv(np.eye(2) + F[m].T @ (F[m] / d[m, None]))
        np.testing.assert_allclose(spread[n], core, rtol=0, atol=1e-7)
        np.testing.assert_allclose(means[n], core @ F[m].T @ (E[n, m] / d[m]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("heywood", [(2,), (1, 4), (0, 3, 5)])
def test_heywood_cases_keep_their_digits(heywood):
    E, mask, cov = case("K > N", heywood=heywood)
    observed = ObservedCovariance(cov, Patterns(mask))
    value, _, _ = dense.nll_gradient_mp(E, mask, cov.loadings, cov.uniquenesses)
    assert observed.nll(E) == pytest.approx(value, abs=1e-9)
    # One digit in eight of 1 - h is lost in such a cell; the cells are right to the rest.
    with np.errstate(divide="ignore"):
        cells = np.einsum("njj->nj", dense.inverses(mask, cov.to_dense()))
    np.testing.assert_allclose(observed.precision_cells(), cells, rtol=1e-7)


@pytest.mark.parametrize("tilt", [0.0, 5e-4])
def test_heywood_cases_of_one_direction_keep_their_digits(tilt):
    """Two equations without an error of their own whose loadings are parallel, or nearly."""
    E, mask, cov = case("K > N")
    F, d = np.array(cov.loadings), np.array(cov.uniquenesses)
    F[4] = 2.0 * F[1] + tilt
    d[[1, 4]] = 1e-8
    E[:, 4] = np.where(mask[:, 4], 2.0 * E[:, 1], 0.0)
    cov = LowRankDiag.from_factors(F, d)
    assert (mask[:, 1] & mask[:, 4]).any()
    assert (mask[:, 1] ^ mask[:, 4]).any()
    observed = ObservedCovariance(cov, Patterns(mask))
    value, _, _ = dense.nll_gradient_mp(E, mask, cov.loadings, cov.uniquenesses)
    assert observed.nll(E) == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize("m", [1, 3])
def test_pieces_are_the_solve(m):
    _, mask, cov = case("K=8")
    rng = np.random.default_rng(5)
    N, K = mask.shape
    many = rng.standard_normal((m, N, K)) * mask
    observed = ObservedCovariance(cov, Patterns(mask))
    pieces = observed.piecewise(N * m)
    # Columns of a right-hand side are innermost, as NormalEquations lays them out.
    flat = many.transpose(2, 1, 0).reshape(K, -1)
    first, second = np.arange(3), np.arange(3, K)
    for equations in (first, second):
        pieces.read(equations, flat[equations])
    for equations in (second, first):
        taken = pieces.taken(equations, np.empty((len(equations), N * m)))
        solved = flat[equations] * pieces.scale(equations)[:, None] - taken
        solved = solved.reshape(len(equations), N, m).transpose(2, 1, 0) * mask[:, equations]
        for i in range(m):
            expected = observed.solve(many[i])[:, equations]
            np.testing.assert_allclose(solved[i], expected, rtol=0, atol=1e-12)


# -- patterns -----------------------------------------------------------------------------------


def test_patterns_are_grouped_or_not():
    rng = np.random.default_rng(0)
    few = rng.random((4, 12)) < 0.6
    few[:, 0] = True
    grouped = Patterns(few[rng.integers(4, size=50)])
    assert grouped.G == 4
    assert grouped.counts.sum() == 50
    alone = Patterns(rng.random((50, 12)) < 0.6)
    assert alone.G == 50
    for patterns in (grouped, alone):
        np.testing.assert_array_equal(patterns.to_rows(patterns.cells).T, patterns.mask)
        v = rng.standard_normal((3, 50))
        np.testing.assert_allclose(
            patterns.cells @ patterns.sums(v).T, patterns.mask.T @ v.T, rtol=1e-12, atol=1e-12
        )
    assert Patterns(np.ones((9, 3), bool)).complete


def test_grouping_changes_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    few = rng.random((4, 6)) < 0.6
    few[:, 0] = True
    mask = few[rng.integers(4, size=40)]
    cov = LowRankDiag.from_factors(rng.standard_normal((6, 2)), rng.uniform(0.3, 1, 6))
    E = np.asfortranarray(rng.standard_normal((40, 6)) * mask)
    grouped = ObservedCovariance(cov, Patterns(mask))
    monkeypatch.setattr("sm_alsgls.covariance.patterns._WORTH_GROUPING", 0.0)
    alone = ObservedCovariance(cov, Patterns(mask))
    assert (grouped.patterns.G, alone.patterns.G) == (4, 40)
    np.testing.assert_allclose(grouped.solve(E), alone.solve(E), rtol=0, atol=1e-13)
    assert grouped.nll(E) == pytest.approx(alone.nll(E), rel=1e-14)
    np.testing.assert_allclose(grouped.precision_diag(), alone.precision_diag(), rtol=1e-13)


@pytest.mark.parametrize("mask", [np.ones((3, 2)), np.ones(3, bool)])
def test_a_mask_is_two_dimensional_bool(mask):
    with pytest.raises(ShapeError, match="mask"):
        Patterns(mask)
