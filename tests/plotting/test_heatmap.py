import numpy as np
import pandas as pd

from sm_alsgls.plotting.heatmap import grouped_correlation


def drawn(N=50, K=12, r=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, K)) @ rng.standard_normal((K, K)), 0.3 * rng.standard_normal(
        (K, r)
    )


def test_means_of_dense_blocks():
    E, L = drawn()
    Z = E / np.sqrt(np.square(E).mean(axis=0))
    R = Z.T @ Z / len(E)
    left = R - L @ L.T
    edges = np.array([0, 5, 10])
    got, got_left = grouped_correlation(E, L, edges)
    groups = np.split(np.arange(12), edges[1:])
    for dense, found in ((R, got), (left, got_left)):
        for a, rows in enumerate(groups):
            for b, columns in enumerate(groups):
                block = dense[np.ix_(rows, columns)]
                keep = ~np.eye(len(rows), dtype=bool) if a == b else np.ones(block.shape, bool)
                np.testing.assert_allclose(found[a, b], block[keep].mean(), atol=1e-12)


def test_groups_of_one_are_the_correlations():
    E, L = drawn()
    got, left = grouped_correlation(E, L, np.arange(12))
    norm = np.sqrt(np.square(E).sum(axis=0))
    R = E.T @ E / np.outer(norm, norm)
    np.testing.assert_allclose(got, R, atol=1e-12)
    off = ~np.eye(12, dtype=bool)
    np.testing.assert_allclose(left[off], (R - L @ L.T)[off], atol=1e-12)


def test_missing_cells_are_left_out_pair_by_pair():
    E, L = drawn()
    E[np.random.default_rng(1).random(E.shape) < 0.3] = np.nan
    E[:, 3] = np.where(np.arange(50) < 25, E[:, 3], np.nan)
    E[:, 4] = np.where(np.arange(50) < 25, np.nan, E[:, 4])
    Z = pd.DataFrame(E / np.sqrt(np.nanmean(np.square(E), axis=0)))
    got, _ = grouped_correlation(E, L, np.arange(12))
    np.testing.assert_allclose(got[0, 7], (Z[0] * Z[7]).mean(), atol=1e-12)
    assert np.isnan(got[3, 4])  # no row has both
