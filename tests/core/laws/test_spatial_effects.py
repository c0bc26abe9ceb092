"""Effects of a lag and the expected information, against dense inverses and differences."""

import numpy as np
import pytest

from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled import Pooling
from sm_alsgls.core.laws.row_weights import RowWeights
from sm_alsgls.core.laws.spatial_effects import multipliers, spatial_effects
from sm_alsgls.core.laws.spatial_information import expected_covariance
from sm_alsgls.core.laws.spatial_tests import spatial_tests
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.exceptions import OptionError
from tests.core.laws.test_spatial_weights import KINDS, lattice, mutual


@pytest.fixture(params=KINDS)
def weights(request):
    return SpatialWeights(KINDS[request.param](np.random.default_rng(5)))


def by_inverse(weights, rho, b):
    """Direct, indirect, total of each coefficient: means of the matrix of derivatives."""
    inverse = np.linalg.inv(np.eye(weights.K) - rho * weights.W.toarray())
    out = []
    for one in b:
        S = one * inverse
        direct, total = np.mean(np.diag(S)), S.sum() / len(S)
        out.append([direct, total - direct, total])
    return np.array(out).T


@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.4, 0.9])
def test_effects_are_means_of_the_derivatives(weights, rho):
    b = np.array([1.5, -0.5])
    found = spatial_effects(weights, rho, b, np.eye(3))
    expected = by_inverse(weights, rho, b)
    for got, want in zip(found[:3], expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("method", ["eigen", "lu"])
def test_their_covariance_is_that_of_the_linear_map(weights, method):
    rng = np.random.default_rng(0)
    rho, b = 0.5, np.array([1.5, -0.5])
    root = rng.standard_normal((3, 3))
    cov = root @ root.T
    weights = SpatialWeights(weights.W, method)
    found = spatial_effects(weights, rho, b, cov)
    h = 1e-6
    J = np.array(
        [
            np.subtract(*(by_inverse(weights, rho + t * v[2], b + t * v[:2]) for t in (1, -1)))
            .ravel() / (2 * h)
            for v in h * np.eye(3)
        ]
    ).T  # fmt: skip
    np.testing.assert_allclose(found.cov, J @ cov @ J.T, rtol=1e-6)
    direct, indirect, total = found.se
    np.testing.assert_allclose(np.r_[direct, indirect, total] ** 2, np.diag(found.cov), rtol=1e-12)


def test_rows_that_sum_to_one_have_the_total_of_a_series():
    found = multipliers(SpatialWeights(mutual(np.random.default_rng(0), 9)), 0.75)
    assert found.total == pytest.approx(4.0, rel=1e-12)
    assert found.total_slope == pytest.approx(16.0, rel=1e-10)


def expected_by_moments(X, b, s2, W, rho, M, lam):
    """Fisher information of N(mean, V) by dense derivatives of both, n = len(X)."""
    n, p = X.shape

    def moments(t):
        A, B = np.eye(n) - t[p] * W, np.eye(n) - t[p + 1] * M
        inverse = np.linalg.inv(A)
        V = t[-1] * inverse @ np.linalg.inv(B) @ np.linalg.inv(B).T @ inverse.T
        return inverse @ X @ t[:p], V

    theta, h = np.r_[b, rho, lam, s2], 1e-5
    P = np.linalg.inv(moments(theta)[1])
    slopes = []
    for step in h * np.eye(len(theta)):
        up, down = moments(theta + step), moments(theta - step)
        slopes.append([(u - d) / (2 * h) for u, d in zip(up, down, strict=True)])
    return np.array(
        [[m @ P @ o + 0.5 * np.trace(P @ V @ P @ U) for o, U in slopes] for m, V in slopes]
    )


@pytest.mark.parametrize("laws", ["lag", "error", "both"])
def test_the_expected_information_is_that_of_the_normal(laws):
    rng = np.random.default_rng(0)
    n, p, s2 = 12, 3, 1.7
    X, b = rng.standard_normal((n, p)), np.array([1.0, -2.0, 0.5])
    W = KINDS["nearest"](np.random.default_rng(1)).toarray()
    M = KINDS["mutual"](np.random.default_rng(2)).toarray()
    rho = 0.4 if laws != "error" else 0.0
    lam = -0.3 if laws != "lag" else 0.0
    whole = expected_by_moments(X, b, s2, W, rho, M, lam)
    keep = [0, 1, 2, *([3] if laws != "error" else []), *([4] if laws != "lag" else []), 5]
    expected = np.linalg.inv(whole[np.ix_(keep, keep)])
    found = expected_covariance(
        X,
        b,
        s2,
        lag=None if laws == "error" else (W, rho),
        error=None if laws == "lag" else (M, lam),
    )
    np.testing.assert_allclose(found.params, expected[:p, :p], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.values, expected[p:-1, p:-1], rtol=1e-6)
    np.testing.assert_allclose(found.both, expected[:p, p:-1], rtol=1e-5, atol=1e-8)


def test_what_is_refused():
    with pytest.raises(OptionError, match="give the lag's weights"):
        expected_covariance(np.ones((3, 1)), np.ones(1), 1.0)
    rng = np.random.default_rng(0)
    few = Problem([rng.standard_normal((40, 1))] * 9, rng.standard_normal((40, 9)), ALSOptions())
    weights = SpatialWeights(lattice(3))
    with pytest.raises(OptionError, match="not compressed"):
        spatial_tests(few, weights)
    # Constants alone: their neighbours' are constants, and nothing tells a lag from errors.
    ones = Rows.of([np.ones((5, 1))] * 9, rng.standard_normal((5, 9)))
    with pytest.raises(OptionError, match="regressors explain all"):
        spatial_tests(Problem.from_rows(ones, ALSOptions()), weights)


def test_tests_of_a_panel_are_those_of_its_cells_in_one_row():
    """Five periods of nine units: W on each, as one cross section of 45 with W on the diagonal."""
    rng = np.random.default_rng(1)
    weights = SpatialWeights(KINDS["nearest"](rng))
    X, Y = rng.standard_normal((5, 12, 2)), rng.standard_normal((5, 12))
    wide = Problem.from_rows(
        Rows.of([X[:, j] for j in range(12)], Y),
        ALSOptions(),
        binding=Pooling(Places([np.arange(2)] * 12)),
    )
    tall = Problem.from_rows(Rows.of([X.reshape(-1, 2)], Y.reshape(-1, 1)), ALSOptions())
    for one, other in zip(
        spatial_tests(wide, weights), spatial_tests(tall, RowWeights(weights, 1)), strict=True
    ):
        assert one == pytest.approx(other, rel=1e-9)
