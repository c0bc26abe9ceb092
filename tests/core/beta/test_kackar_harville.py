"""The information of Sigma by its traces, and the correction's parts against its whole."""

import numpy as np
import pytest

from sm_alsgls.core.beta.kackar_harville import KackarHarville, sigma_information
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.problem import ALSOptions, Problem
from sm_alsgls.covariance import LowRankDiag
from tests.core import systems


def derivatives(F, d):
    """Of Sigma in F, row by row, and in log d."""
    K, r = F.shape
    for j in range(K):
        for a in range(r):
            S = np.zeros((K, K))
            S[j] += F[:, a]
            S[:, j] += F[:, a]
            yield S
    for j in range(K):
        yield np.diag(d * (np.arange(K) == j))


@pytest.mark.parametrize(("K", "r"), [(4, 1), (6, 2), (3, 0)])
def test_information_is_half_the_trace_of_two_derivatives(K, r):
    rng = np.random.default_rng(K)
    F, d = rng.standard_normal((K, r)), rng.uniform(0.5, 2.0, K)
    cov = LowRankDiag.from_factors(F, d)
    P, S = np.linalg.inv(cov.to_dense()), list(derivatives(np.array(cov.loadings), d))
    expected = [[0.5 * 37 * np.trace(P @ a @ P @ b) for b in S] for a in S]
    np.testing.assert_allclose(sigma_information(cov, 37), expected, rtol=1e-9, atol=1e-9)


def test_parts_are_those_of_the_whole_and_never_below_the_bread():
    blocks, Y = systems.system(np.random.default_rng(0), 25, 5, 1, [1, 3, 2, 3, 2])
    made = Problem(blocks, Y, ALSOptions())
    solution = als(made, 1)
    bread = made.covariance(solution.cov)
    corrected = KackarHarville(bread, solution.cov, 25)
    V = corrected.dense()
    assert V.shape == corrected.shape == (11, 11)
    np.testing.assert_allclose(corrected.variances(), np.diag(V), rtol=1e-14)
    np.testing.assert_array_equal(np.asarray(corrected), V)
    stop = np.cumsum([1, 3, 2, 3, 2])
    for j in range(5):
        at = slice(stop[j] - blocks[j].shape[1], stop[j])
        np.testing.assert_array_equal(corrected.block(j), V[at, at])
    rng = np.random.default_rng(1)
    R, other = rng.standard_normal((3, 11)), rng.standard_normal((2, 11))
    np.testing.assert_allclose(corrected.combinations(R), R @ V @ R.T, rtol=1e-12)
    np.testing.assert_allclose(corrected.combinations(R, other), R @ V @ other.T, rtol=1e-12)
    gain = V - np.asarray(bread)
    size = np.sqrt(np.diag(V))
    assert np.linalg.eigvalsh(gain / np.outer(size, size)).min() > -1e-12
    # A constant that all equations have is that of OLS whatever Sigma is.
    assert (np.diag(gain)[1:] > 0.0).all()
    assert abs(gain[0, 0]) < 1e-15
    # Where every d_j is on its bound and there are no factors, Sigma is known.
    diagonal = LowRankDiag.diagonal(solution.cov.diag())
    known = made.covariance(diagonal)
    held = KackarHarville(known, diagonal, 25, np.zeros(5, dtype=bool))
    np.testing.assert_allclose(held.dense(), np.asarray(known), rtol=1e-9, atol=1e-12)
