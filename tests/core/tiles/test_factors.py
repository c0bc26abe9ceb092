"""Factors of a shard's equations, beside those of Sigma as a value."""

import numpy as np
import pytest

from sm_alsgls.core.across import ALONE
from sm_alsgls.core.beta.estimated_sigma import EstimatedSigma
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.tiles.factors import Factors
from sm_alsgls.covariance import LowRankDiag
from tests.core.tiles.shards import in_shards


def _sigma(seed=0, K=12, r=3, strength=1.0):
    rng = np.random.default_rng(seed)
    return strength * rng.standard_normal((K, r)), rng.uniform(0.5, 1.5, K)


@pytest.mark.parametrize("strength", [1.0, 30.0])
def test_inverse_and_inflation_are_those_of_the_value(strength):
    F, d = _sigma(strength=strength)
    cov = LowRankDiag(F, d)
    rng = np.random.default_rng(1)
    design = Design([rng.standard_normal((20, 2)) for _ in d])

    def program(at, across):
        own = Factors(F[at], d[at], across)
        return own.H, own.inflation(20), own.variances()

    for cuts in ([slice(0, 12)], [slice(0, 5), slice(5, 12)]):
        parts = zip(*in_shards(program, cuts), strict=True)
        H, omega, variances = (np.concatenate(part) for part in parts)
        inverse = (np.eye(12) - H @ H.T) / np.sqrt(np.outer(d, d))
        assert np.abs(inverse @ cov.to_dense() - np.eye(12)).max() < 1e-11
        assert np.abs(omega / EstimatedSigma(design, cov, 20).inflation - 1.0).max() < 1e-9
        assert np.abs(variances / cov.diag() - 1.0).max() < 1e-14


def test_columns_that_are_nearly_one_lose_nothing():
    """One Cholesky factor leaves H'H + R^-T R^-1 off the identity by the condition number of C."""
    F, d = _sigma(K=40, r=2)
    F[:, 1] = F[:, 0] + 1e-6 * F[:, 1]
    made = Factors(1e4 * F, d, ALONE)
    inverse = np.linalg.inv(made.R)
    gap = made.H.T @ made.H + inverse.T @ inverse - np.eye(2)
    assert np.abs(gap).max() < 1e-13


def test_factors_that_are_none_count_for_nothing():
    F, d = _sigma(r=2)
    F[:, 1] = 0.0
    both, one = Factors(F, d, ALONE), Factors(F[:, :1], d, ALONE)
    assert both.left.shape == (1,)
    assert np.abs(both.inflation(30) - one.inflation(30)).max() < 1e-14
