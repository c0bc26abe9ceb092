"""What rows know of constants and means, whole, compressed and cell by cell."""

import numpy as np
import pytest

from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.core.rows.compress import compress_rows
from sm_alsgls.core.rows.same_products import Rows

N, K = 40, 4


def data(seed=0):
    rng = np.random.default_rng(seed)
    group = np.arange(N) % 2 == 0
    x = rng.standard_normal((N, 3))
    blocks = [
        np.column_stack([np.full(N, 5.0), x[:, 0]]),  # explicit, of another size
        np.column_stack([x[:, 1], group, ~group]).astype(float),  # hidden among dummies
        np.column_stack([x[:, 2], x[:, 0] + 1e3]),  # none, however far from zero
        np.column_stack([x[:, 2] + 7.0, x[:, 1] * 1e-8]),
    ]
    return blocks, rng.standard_normal((N, K)) + 100.0


@pytest.mark.parametrize("kind", ["whole", "compressed"])
def test_constants_and_which_columns_vary(kind):
    blocks, Y = data()
    rows = Rows.of(blocks, Y) if kind == "whole" else compress_rows(blocks, Y)
    assert rows.n_obs == N
    assert [v.tolist() for v in rows.varies] == [
        [False, True],
        [True, True, True],
        [True, True],
        [True, True],
    ]
    found = rows.constants
    np.testing.assert_allclose(found[0], [0.2, 0.0], atol=1e-12)
    np.testing.assert_allclose(found[1], [0.0, 1.0, 1.0], atol=1e-9)
    assert found[2] is None
    assert found[3] is None
    for X, a in zip(rows.blocks[:2], found[:2], strict=True):
        np.testing.assert_allclose(X @ a, rows.one, atol=1e-9)


@pytest.mark.parametrize("kind", ["whole", "compressed"])
def test_means_and_centred_sums_of_squares(kind):
    blocks, Y = data()
    rows = Rows.of(blocks, Y) if kind == "whole" else compress_rows(blocks, Y)
    np.testing.assert_allclose(rows.mean(rows.Y), Y.mean(axis=0), rtol=1e-12)
    C = rows.centred(rows.Y)
    np.testing.assert_allclose(np.square(C).sum(axis=0), np.square(Y - Y.mean(axis=0)).sum(axis=0))
    np.testing.assert_allclose(rows.Y.T @ rows.Y, Y.T @ Y, rtol=1e-12)
    for X, whole in zip(rows.blocks, blocks, strict=True):
        np.testing.assert_allclose(X.T @ rows.Y, whole.T @ Y, rtol=1e-10, atol=1e-9)


def test_equal_blocks_are_looked_at_once_and_answered_alike():
    blocks, Y = data()
    rows = Rows.of([blocks[1]] * K, Y)
    assert rows.constants[0] is rows.constants[3]
    assert rows.varies[0] is rows.varies[3]
    assert rows.patterns is None
    assert rows.seen_blocks[2] is blocks[1]


def test_cells_have_ones_and_means_of_their_own():
    blocks, Y = data()
    rng = np.random.default_rng(1)
    mask = rng.random((N, K)) < 0.7
    weights = rng.uniform(0.5, 2.0, (N, K))
    cells = Cells(N, K, mask, weights)
    rows = cells.rows(blocks, np.where(mask, Y, np.nan))
    np.testing.assert_array_equal(rows.counts, mask.sum(axis=0))
    np.testing.assert_array_equal(rows.patterns.mask, mask)
    for j, X in enumerate(rows.seen_blocks):
        assert not X[~mask[:, j]].any()
        seen = mask[:, j]
        if rows.constants[j] is not None:
            np.testing.assert_allclose(
                X[seen] @ rows.constants[j], rows.one[seen, j], rtol=1e-9, atol=1e-9
            )
    assert [a is not None for a in rows.constants] == [True, True, False, False]
    w = np.square(rows.one)
    expected = (w * np.where(mask, Y, 0.0)).sum(axis=0) / w.sum(axis=0)
    np.testing.assert_allclose(rows.mean(rows.Y), expected, rtol=1e-12)
    C = rows.centred(rows.Y)
    deviations = w * np.square(np.where(mask, Y - expected, 0.0))
    np.testing.assert_allclose(np.square(C).sum(axis=0), deviations.sum(axis=0), rtol=1e-10)
    # A column that varies in other equations' rows only.
    late = blocks[0].copy()
    late[:, 1] = np.where(mask[:, 0], 3.0, late[:, 1])
    again = cells.rows([late, *blocks[1:]], np.where(mask, Y, np.nan))
    assert again.varies[0].tolist() == [False, False]
