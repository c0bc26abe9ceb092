"""Columns that two designs share, and columns in the span of a design: many equations at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls.core.design import spans
from sm_alsgls.core.design.bases import DependentColumnsError
from sm_alsgls.core.design.spans import (
    bases_of,
    columns_of,
    shared_columns,
    spanned,
    spanned_columns,
)

N = 30
# What a batch holds at most: one design or pair of columns, a few, all.
SIZES = [1, 2000, 2**20]


def basis_of(Z):
    ((_, basis),) = bases_of([Z], [0])
    return spans.Basis(basis.rows[0], basis.conditions[0])


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return np.column_stack([np.ones(N), rng.standard_normal((N, 3))])


# ---- columns that are the same ----------------------------------------------------------------


def test_columns_that_differ_in_one_row_are_not_shared():
    for row in range(100):
        X = np.zeros((100, 1))
        X[row] = 1.0
        (left,), (right,) = shared_columns([X], [np.zeros((100, 1))])
        assert not left.any()
        assert not right.any()


def plain(X, Z):
    """The columns of a pair one by one."""
    same = np.array([[bool((x == z).all()) for z in Z.T] for x in X.T])
    return same.any(axis=1), same.any(axis=0)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=9),
    st.sampled_from(SIZES),
    st.sampled_from("CF"),
)
def test_shared_columns_are_those_of_a_plain_loop(seed, n, shapes, size, order):
    """Also columns that are there twice, zeros of both signs, NaN, and arrays that are one."""
    rng = np.random.default_rng(seed)
    values = np.array([0.0, -0.0, 1.0, np.nan]) if seed % 2 else np.array([0.0, -0.0])
    pool = rng.choice(
        values, (n, 3), p=[0.45, 0.45, 0.05, 0.05][: len(values)] if seed % 2 else None
    )
    made = {}

    def design(p):
        """Some columns of the pool, or an array that was there before."""
        if p not in made or rng.random() < 0.6:
            made[p] = np.array(pool[:, rng.integers(0, 3, p)], order=order)
            made[p][rng.integers(n)] *= rng.choice([1.0, -1.0, 2.0])
        return made[p]

    left, right = ([design(p) for p in widths] for widths in zip(*shapes, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "_BYTES", size)
        found = shared_columns(left, right)
    for X, Z, of_X, of_Z in zip(left, right, *found, strict=True):
        expected = plain(X, Z)
        assert of_X.tolist() == expected[0].tolist()
        assert of_Z.tolist() == expected[1].tolist()


def test_columns_of_blocks_are_rows(data):
    A, B = data, np.asfortranarray(data[:, 1:])
    np.testing.assert_array_equal(columns_of([A, B], [(1, 0), (0, 3)]), [B[:, 0], A[:, 3]])


# ---- spans ------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
def test_spans_have_no_unit(data, scale, offset):
    Z, p = data[:, :3], data[:, 3]
    X = np.column_stack([Z @ [1.0, 2.0, -3.0], p + offset, np.zeros(N)]) * scale
    assert spanned(X.T, basis_of(Z)).tolist() == [True, False, True]
    dense = np.linalg.norm(X / scale - Z @ np.linalg.lstsq(Z, X / scale, rcond=None)[0], axis=0)
    assert (dense > 1e-6).tolist() == [False, True, False]


def test_spans_of_many_columns_are_found():
    """Rounding of wide and badly conditioned instruments is no endogeneity."""
    rng = np.random.default_rng(4)
    Z = rng.standard_normal((1000, 60)) + 1e6
    Z[:, 1] = Z[:, 0] + 1e-3 * Z[:, 1]
    X = Z @ rng.standard_normal((60, 50))
    assert spanned(X.T, basis_of(Z)).all()
    X[:, 7] += 1e-3 * rng.standard_normal(1000)
    assert np.flatnonzero(~spanned(X.T, basis_of(Z))).tolist() == [7]


@pytest.mark.parametrize("size", SIZES)
def test_bases_are_those_of_each_design_alone(monkeypatch, size):
    rng = np.random.default_rng(1)
    blocks = [rng.standard_normal((N, q)) for q in (2, 2, 2, 3, 2, 3, 3)]
    monkeypatch.setattr(spans, "_BYTES", size)
    seen = []
    for places, basis in bases_of(blocks, range(7)):
        for place, rows, condition in zip(places, *basis, strict=True):
            alone = basis_of(blocks[place])
            np.testing.assert_array_equal(rows, alone.rows)
            np.testing.assert_array_equal(condition, alone.conditions)
            seen.append(place)
    assert seen == list(range(7))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=8),
    st.sampled_from(SIZES),
)
def test_spanned_columns_are_those_of_a_plain_loop(seed, wanted, size):
    """Designs of any widths in any order, each asked for any number of columns of any block."""
    rng = np.random.default_rng(seed)
    designs = [rng.standard_normal((N, q)) for q, _ in wanted]
    blocks = [np.hstack([Z @ rng.standard_normal((Z.shape[1], 2)), rng.standard_normal((N, 1))])
              for Z in designs]  # fmt: skip
    asked = [
        [
            (int(rng.integers(len(blocks))) if rng.random() < 0.3 else m, int(i))
            for i in rng.choice(3, c, replace=False)
        ]
        for m, (_, c) in enumerate(wanted)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "_BYTES", size)
        found = list(spanned_columns(blocks, designs, range(len(designs)), asked))
    expected = [
        (place, bool(spanned(columns_of(blocks, [place]), basis_of(Z))[0]))
        for Z, places in zip(designs, asked, strict=True)
        for place in places
    ]
    assert sorted(found) == sorted(expected)


def test_a_dependent_design_carries_its_number(data):
    good, bad = data[:, :2], data[:, [1, 1]]
    with pytest.raises(DependentColumnsError) as caught:
        list(spanned_columns([data], [good, bad], [4, 7], [[(0, 3)], []]))
    assert caught.value.equation == 7
