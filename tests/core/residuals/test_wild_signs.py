import numpy as np
import pytest

from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.residuals.correlation import robust_squares
from sm_alsgls.core.residuals.wild_signs import evened, turned, wild_pvalue


def dense_robust(E):
    K = E.shape[1]
    total = 0.0
    for j in range(K):
        for m in range(j + 1, K):
            total += (E[:, j] @ E[:, m]) ** 2 / np.sum(E[:, j] ** 2 * E[:, m] ** 2) - 1.0
    return total


@pytest.mark.parametrize("K", [2, 7, 300])
def test_robust_squares_are_those_of_pairs(K):
    E = np.random.default_rng(0).standard_normal((12, K)) * np.logspace(-5, 5, K)
    assert robust_squares(E) == pytest.approx(dense_robust(E), rel=1e-9)


def test_signs_alone_are_drawn_and_leverages_taken_out():
    rng = np.random.default_rng(1)
    blocks = [np.column_stack([np.ones(9), rng.standard_normal(9)]) for _ in range(3)]
    E = rng.standard_normal((9, 3))
    even = evened(E, Design(blocks))
    for j, X in enumerate(blocks):
        h = np.diag(X @ np.linalg.pinv(X))
        np.testing.assert_allclose(even[:, j], E[:, j] / np.sqrt(1 - h))
    np.testing.assert_array_equal(np.abs(turned(even, rng)), np.abs(even))
    signs = np.sign(turned(np.ones((2000, 2)), rng))
    assert abs(signs.mean()) < 0.1
    assert abs(np.mean(signs[:, 0] * signs[:, 1])) < 0.1


@pytest.mark.slow
def test_size_where_rows_share_a_scale():
    """Multivariate t(3), diagonal Sigma: the scale of a row is that of all equations."""
    rejected = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        N, K = 30, 12
        blocks = [np.column_stack([np.ones(N), rng.standard_normal((N, 2))]) for _ in range(K)]
        Y = rng.standard_normal((N, K)) / np.sqrt(rng.chisquare(3, (N, 1)) / 3)
        design = Design(blocks)
        E = Y - design.fitted(design.project(Y))
        rejected += wild_pvalue(robust_squares, E, design, 39, seed)[1] <= 0.05
    assert rejected <= 11
