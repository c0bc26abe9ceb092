"""The largest eigenvalue that factors leave, against a dense one; where there is none to tell."""

import numpy as np
import pytest

from sm_alsgls.core.rank.criteria import largest_root_median, largest_root_pvalue
from sm_alsgls.core.residuals.factors_left import factors_left
from sm_alsgls.covariance import LowRankDiag


def drawn(N, K, r, seed=0):
    rng = np.random.default_rng(seed)
    cov = LowRankDiag.from_factors(rng.standard_normal((K, r)), rng.uniform(0.5, 2.0, K))
    return cov.sample(rng, N), cov


@pytest.mark.parametrize(("N", "K", "r"), [(40, 8, 2), (12, 30, 1), (30, 5, 0)])
def test_is_the_next_eigenvalue_in_units_of_the_uniquenesses(N, K, r):
    E, cov = drawn(N, K, r)
    found = factors_left(E, cov, N, 3 * K)
    Z = E / np.sqrt(cov.uniquenesses)
    assert found.root == pytest.approx(np.linalg.eigvalsh(Z.T @ Z / N)[::-1][r], rel=1e-3)
    n, k = np.array(N - 3.0 - r), np.array(float(K - r))
    assert found.noise == largest_root_median(n, k)
    root = np.array(found.root)
    assert found.pvalue == pytest.approx(float(largest_root_pvalue(root, n, k)), rel=1e-12)


def test_rows_may_be_compressed():
    E, cov = drawn(60, 6, 1)
    R = np.linalg.qr(E, mode="r")
    whole, few = (factors_left(e, cov, 60, 12) for e in (E, R))
    assert few == pytest.approx(whole, rel=1e-3)


@pytest.mark.parametrize(
    ("rows", "N", "K", "r", "P", "tells"),
    [
        (4, 50, 9, 3, 0, True),  # the fourth eigenvalue of four rows, compressed, is the last
        (4, 50, 9, 4, 0, False),
        (20, 20, 5, 3, 5, True),  # two columns left
        (20, 20, 5, 4, 5, False),
        (10, 10, 5, 1, 40, True),  # one row left: 10 - 8 - 1
        (10, 10, 5, 1, 41, False),
    ],
)
def test_where_there_is_too_little_there_is_none(rows, N, K, r, P, tells):
    E, cov = drawn(rows, K, r)
    assert (factors_left(E, cov, N, P) is not None) == tells
