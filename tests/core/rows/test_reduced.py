"""What rows leave, merged in trees of any shape and order, against one factor of all rows."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls.core.rows import compress
from sm_alsgls.core.rows.compress import RowStream
from sm_alsgls.core.rows.reduced import ReducedRows
from sm_alsgls.exceptions import ShapeError
from tests.core.rows.test_compress import assert_products, own


@pytest.fixture
def rng():
    return np.random.default_rng(21)


def reduced(blocks, Y, rows):
    """What some rows leave; an array that equations share stays one array."""
    stream = RowStream()
    parts = {id(X): X[rows] for X in blocks}
    stream.update([parts[id(X)] for X in blocks], Y[rows])
    return stream.reduced()


def merged(parts, rng):
    """Two of them at a time, whichever, in either order, until one is left."""
    parts = list(parts)
    while len(parts) > 1:
        one = parts.pop(rng.integers(len(parts)))
        at = rng.integers(len(parts))
        parts[at] = parts[at].merge(one)
    return parts[0]


def factor_is_of(part, blocks, Y, shift, rtol=1e-10):
    """R'R against the products of the columns less the shift, in units of their lengths."""
    M = np.column_stack(blocks)
    columns = np.ones((len(Y), len(part.R)))
    columns[:, part.places] = M
    columns[:, part.responses] = Y
    columns -= shift
    length = np.sqrt(np.square(columns).sum(axis=0))
    length[length == 0.0] = 1.0
    unit, R = columns / length, part.R / length
    np.testing.assert_allclose(R.T @ R, unit.T @ unit, rtol=0, atol=rtol)
    np.testing.assert_array_equal(part.R, np.triu(part.R))
    assert not part.R[1:, 0].any()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_tree_of_any_parts_of_any_columns(seed):
    """Columns of few values coincide in many parts, and differ in some; parts of no rows, of one,
    and of fewer than columns; columns far from zero."""
    rng = np.random.default_rng(seed)
    N, K = int(rng.integers(1, 90)), int(rng.integers(1, 5))
    pool = (rng.random((N, 4)) < rng.choice([0.02, 0.3, 0.98], 4)) * rng.choice([1.0, 3.0, -0.0], 4)
    pool += rng.choice([0.0, 0.0, 1e6], 4)
    pool = np.column_stack([pool, rng.standard_normal((N, 2)) + rng.choice([0.0, 1e3], 2)])
    blocks = [pool[:, rng.integers(0, 6, rng.integers(1, 4))] for _ in range(K)]
    blocks = [blocks[i] for i in rng.integers(0, K, K)]
    Y = rng.integers(0, 3, (N, K)) + rng.choice([0.0, 1e6], K)
    owner = rng.integers(0, rng.integers(1, 12), N)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compress, "_BLOCK", int(rng.integers(1, 20)))
        patch.setattr(compress, "_FIRST", int(rng.integers(1, 10)))
        parts = [reduced(blocks, Y, owner == part) for part in range(12)]
    assert not parts[-1].n_obs
    made = merged(parts, rng)
    factor_is_of(made, blocks, Y, made.shift)
    assert_products(made.rows(), blocks, Y, rtol=1e-10)
    distinct = {(column + 0.0).tobytes() for X in blocks for column in X.T}
    distinct.add(np.ones(N).tobytes())
    assert len(made.R) == len(distinct) + K
    np.testing.assert_array_equal(made.responses_vary, (Y != Y[0]).any(axis=0))
    for ones, X in zip(made.ones, blocks, strict=True):
        np.testing.assert_array_equal(ones, (X == 1.0).all(axis=0))


def test_merging_is_associative(rng):
    blocks, Y = own(rng, 300), rng.standard_normal((300, 4)) + 1e6
    a, b, c = (reduced(blocks, Y, slice(*at)) for at in ((0, 4), (4, 200), (200, 300)))
    left, right, other = a.merge(b).merge(c), a.merge(b.merge(c)), c.merge(a).merge(b)
    for one in (left, right, other):
        np.testing.assert_array_equal(one.places, left.places)
        assert_products(one.rows(), blocks, Y, rtol=1e-12)
        # Up to the signs of rows; the shift is that of the largest part, whatever the order.
        np.testing.assert_array_equal(one.shift, left.shift)
        scale = np.sqrt(np.square(left.R).sum(axis=0))
        np.testing.assert_allclose(
            np.abs(one.R) / scale, np.abs(left.R) / scale, rtol=0, atol=1e-10
        )


def test_no_rows_are_the_neutral_element(rng):
    blocks, Y = own(rng, 30), rng.standard_normal((30, 4))
    some, none = reduced(blocks, Y, slice(0, 30)), reduced(blocks, Y, slice(0, 0))
    assert none.merge(some) is some
    assert some.merge(none) is some
    assert ReducedRows.empty().merge(none).n_obs == 0
    with pytest.raises(ShapeError, match="no rows"):
        none.merge(none).rows()


def test_an_offset_is_kept_through_a_thousand_merges(rng):
    """At 1e8 slopes are those of centred columns, however the parts are merged."""
    N = 20_000
    x, e = rng.standard_normal((2, N))
    X = np.column_stack([np.ones(N), x + 2.0**27])
    x = X[:, 1] - 2.0**27
    Y = (3.0 * x + e)[:, None] + 2.0**27
    y = Y[:, 0] - 2.0**27
    slope = np.cov(x, y)[0, 1] / np.var(x, ddof=1)
    parts = [reduced([X], Y, slice(at, at + 20)) for at in range(0, N, 20)]
    in_order = parts[0]
    for part in parts[1:]:
        in_order = in_order.merge(part)
    for made in (in_order, merged(parts, rng)):
        # A part of 20 rows is shifted by a value of its own, so nothing far from zero is left.
        assert np.abs(made.R[0, 1:] / made.R[0, 0]).max() < 10.0
        R = made.R
        assert R[1, 2] / R[1, 1] == pytest.approx(slope, rel=1e-12)


def test_columns_that_are_ones_in_one_part_only(rng):
    x = np.r_[np.ones(50), rng.standard_normal(50) + 1e6]
    blocks, Y = [np.column_stack([np.ones(100), x])], rng.standard_normal((100, 1))
    one, other = reduced(blocks, Y, slice(0, 50)), reduced(blocks, Y, slice(50, 100))
    assert (len(one.R), len(other.R)) == (2, 3)
    for made in (one.merge(other), other.merge(one)):
        assert made.places.tolist() == [0, 1]
        assert_products(made.rows(), blocks, Y)


def test_systems_that_differ_do_not_merge(rng):
    Y = rng.standard_normal((9, 2))
    one, two = np.ones((9, 1)), np.ones((9, 2))
    with pytest.raises(ShapeError, match=r"2 equations with \[1, 2\].* of 2 with \[2, 1\]"):
        reduced([one, two], Y, slice(0, 9)).merge(reduced([two, one], Y, slice(0, 9)))


def test_it_travels(rng):
    blocks, Y = own(rng, 5000), rng.standard_normal((5000, 4))
    parts = [reduced(blocks, Y, at) for at in (slice(0, 2500), slice(2500, 5000))]
    content = pickle.dumps(parts)
    assert len(content) < 2 * (8 * (13 + 3) ** 2 + 2_000)
    one, other = pickle.loads(content)
    np.testing.assert_array_equal(one.merge(other).R, parts[0].merge(parts[1]).R)


def test_a_stream_that_was_reduced_begins_anew(rng):
    blocks, Y = own(rng, 100), rng.standard_normal((100, 4))
    stream = RowStream()
    stream.update(blocks, Y)
    first = stream.reduced()
    kept = first.R.copy()
    stream.update([X[:50, :2] for X in blocks], Y[:50])
    second = stream.reduced()
    assert (first.n_obs, second.n_obs, len(second.R)) == (100, 50, 1 + 4 + 4)
    np.testing.assert_array_equal(first.R, kept)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e151, -1e160])
@pytest.mark.parametrize("row", [0, 150, 5_000, 20_999])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_number_that_has_no_square_is_seen_in_the_factor(rng, value, row, offset):
    """In the first block, in one whose products are added, in the last; shifted columns, too."""
    N = 21_000
    X, Y = rng.standard_normal((N, 3)), rng.standard_normal((N, 2)) + offset
    X[:, 0] = 1.0
    assert reduced([X, X], Y, slice(0, N)).sound
    for A, column in ((X, 0), (X, 1), (Y, 1)):
        was, A[row, column] = A[row, column], value
        with np.errstate(over="ignore", invalid="ignore"):
            assert not reduced([X, X], Y, slice(0, N)).sound
            assert not reduced([X, X.copy()], Y, slice(0, N)).sound
        A[row, column] = was
    Y[:] = 1e155  # a column that is far from zero
    assert not reduced([X, X], Y, slice(0, N)).sound
