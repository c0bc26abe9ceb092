"""A filter of the errors, at a size that its tiles divide, and what it refuses."""

import numpy as np
import pytest
import scipy.sparse

from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.filtered import Filtered
from sm_alsgls.exceptions import NonFiniteError, ShapeError, SystemInputError
from tests.core.systems import ring


def made(K=150):
    rng = np.random.default_rng(0)
    inner = LowRankDiag.from_factors(rng.standard_normal((K, 2)), rng.uniform(0.5, 1.5, K))
    A = np.eye(K) - 0.6 * ring(K)
    inverse = np.linalg.inv(A)
    return Filtered(inner, scipy.sparse.csr_array(A)), inverse @ inner.to_dense() @ inverse.T


def test_diagonals_tile_by_tile():
    cov, Sigma = made()
    np.testing.assert_allclose(cov.diag(), np.diag(Sigma), rtol=1e-12)
    np.testing.assert_allclose(cov.precision_diag(), np.diag(np.linalg.inv(Sigma)), rtol=1e-10)


def test_variances_form_no_dense_sigma(monkeypatch):
    cov, _ = made()
    monkeypatch.setattr(Filtered, "to_dense", None)
    assert cov.diag().shape == (150,)


def test_a_change_of_units_leaves_the_jacobian():
    cov, Sigma = made(8)
    c = np.geomspace(1e-3, 1e3, 8)
    again = cov.scaled(c)
    np.testing.assert_allclose(again.to_dense(), Sigma * np.outer(c, c), rtol=1e-10)
    assert again.log_jacobian == pytest.approx(cov.log_jacobian, abs=1e-12)
    assert again.logdet() == pytest.approx(cov.logdet() + 2.0 * np.log(c).sum(), abs=1e-9)


def test_is_a_value_of_its_own():
    A = scipy.sparse.csc_array(np.eye(3))
    cov = Filtered(LowRankDiag.diagonal(np.ones(3)), A)
    A.data[:] = 7.0
    np.testing.assert_array_equal(cov.to_dense(), np.eye(3))
    np.testing.assert_array_equal(cov.solve(np.eye(3)), np.eye(3))


def test_refusals():
    inner = LowRankDiag.diagonal(np.ones(3))
    with pytest.raises(ShapeError, match="3 x 3"):
        Filtered(inner, np.eye(4))
    with pytest.raises(SystemInputError, match="no inverse"):
        Filtered(inner, np.ones((3, 3)))
    with pytest.raises(NonFiniteError, match="filter"):
        Filtered(inner, np.diag([1.0, np.nan, 1.0]))


def test_marginal_is_that_part_of_sigma():
    rng = np.random.default_rng(0)
    A = np.eye(5) - 0.4 * rng.random((5, 5))
    cov = Filtered(LowRankDiag.from_factors(rng.standard_normal((5, 1)), np.ones(5)), A)
    for idx in ([3, 0], np.array([True, False, True, True, False])):
        at = np.arange(5)[idx]
        part = cov.marginal(idx).to_dense()
        np.testing.assert_allclose(part, cov.to_dense()[np.ix_(at, at)], rtol=1e-12)


@pytest.mark.parametrize("d", [1.0, 1e-9, 1e-13])
def test_diagonal_of_the_precision_also_where_a_variance_is_nearly_none(d):
    rng = np.random.default_rng(0)
    A = np.eye(5) - 0.4 * rng.random((5, 5))
    F = rng.standard_normal((5, 1))
    own = np.array([1.0, d, 1.0, 2.0, 1.0])
    cov = Filtered(LowRankDiag.from_factors(F, own), A)
    expected = np.diag(A.T @ np.linalg.inv(F @ F.T + np.diag(own)) @ A)
    np.testing.assert_allclose(cov.precision_diag(), expected, rtol=1e-6)


def test_over_another_covariance():
    A = np.eye(3) - 0.4 * ring(3)
    first = Filtered(LowRankDiag.diagonal([1.0, 2.0, 3.0]), A)
    inner = LowRankDiag.from_factors(np.ones((3, 1)), [1.0, 1.0, 2.0])
    np.testing.assert_allclose(first.over(inner).to_dense(), Filtered(inner, A).to_dense())
    np.testing.assert_allclose(first.to_dense(), Filtered(first.inner, A).to_dense())
