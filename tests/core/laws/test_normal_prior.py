"""The prior's pieces against matrices: coordinates B, precision A, and B'(H + A) B."""

import numpy as np
import pytest

from sm_alsgls.core.laws.normal_prior import NormalPrior

M, AT = 6, slice(1, 5)


@pytest.mark.parametrize("t2", [0.0, 0.3])
def test_pieces_are_those_of_matrices(t2):
    rng = np.random.default_rng(0)
    prior, v = NormalPrior(AT, M, t2), rng.standard_normal(M)
    root = rng.standard_normal((M, M))
    H = root @ root.T
    A, B = np.zeros((M, M)), np.eye(M)
    if t2:
        A[AT, AT] = (np.eye(4) - 0.25) / t2
    else:
        B = np.zeros((M, 3))
        B[AT, 0] = 1.0
        B[0, 1] = B[5, 2] = 1.0
    x = rng.standard_normal(B.shape[1])
    np.testing.assert_allclose(prior.up(x), B @ x)
    np.testing.assert_array_equal(prior.up(x)[prior.pick], x)
    np.testing.assert_allclose(prior.down(v), B.T @ v)
    np.testing.assert_allclose(prior.gradient(v), A @ v, atol=1e-14)
    np.testing.assert_allclose(prior.curved(H.copy()), B.T @ (H + A) @ B)


def test_the_nearest_values_share_their_mean():
    v = np.arange(6.0)
    np.testing.assert_allclose(NormalPrior(AT, M, 0.0).nearest(v), [0, 2.5, 2.5, 2.5, 2.5, 5])
