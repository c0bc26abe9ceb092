"""Row compression: the triangle, shared columns by value, and rows that come in blocks."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls.core.design.bases import DependentColumnsError
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows import compress
from sm_alsgls.core.rows.compress import RowStream, compress_rows
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.core.rows.triangle import Triangle
from sm_alsgls.exceptions import OptionError, ShapeError


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 40 rows, so that a few hundred rows are many."""
    monkeypatch.setattr(compress, "_BLOCK", 40)
    monkeypatch.setattr(compress, "_NARROW", 0)
    monkeypatch.setattr(compress, "_FIRST", 10)


def compressed(blocks, Y):
    rows = compress_rows(blocks, Y)
    return rows.blocks, rows.Y


def streamed(blocks, Y, cuts):
    """Chunks that end at ``cuts``; an array that equations share stays one array in a chunk."""
    stream = RowStream()
    for start, stop in zip([0, *cuts], [*cuts, len(Y)], strict=True):
        parts = {id(X): X[start:stop] for X in blocks}
        stream.update([parts[id(X)] for X in blocks], Y[start:stop])
    return stream.finish()


def assert_products(rows, blocks, Y, rtol=1e-12):
    """All cross-products with ones, regressors and responses, in units of column lengths."""
    short = np.column_stack([rows.one, *rows.blocks, rows.Y])
    full = np.column_stack([np.ones(len(Y)), *blocks, Y])
    length = np.sqrt(np.square(full).sum(axis=0))
    length[length == 0.0] = 1.0
    short, full = short / length, full / length
    np.testing.assert_allclose(short.T @ short, full.T @ full, rtol=0, atol=rtol)
    assert rows.n_obs == len(Y)
    for X, varies in zip(blocks, rows.varies, strict=True):
        np.testing.assert_array_equal(varies, (X != X[0]).any(axis=0))


def own(rng, N, K=4):
    return [np.column_stack([np.ones(N), rng.standard_normal((N, 2))]) for _ in range(K)]


# -- triangle -----------------------------------------------------------------------------------


def gram_error(R, A):
    length = np.sqrt(np.square(A).sum(axis=0))
    R, A = R / length, A / length
    return np.abs(R.T @ R - A.T @ A).max()


@pytest.mark.parametrize("power", [50, 100])
def test_triangle_of_many_blocks(rng, power):
    c = 12
    A = rng.standard_normal((3000, c)) @ np.diag(10.0 ** np.linspace(-power, power, c))
    t = Triangle(c)
    for block in np.split(A, range(0, 3000, 150)):
        t.append(np.asfortranarray(block))
    assert not np.tril(t.R, -1).any()
    assert gram_error(t.R, A) < 1e-13


def test_cholesky_keeps_small_singular_values(rng):
    """A Gram matrix would lose everything below 1e-8 of the largest singular value."""
    c = 10
    V = np.linalg.qr(rng.standard_normal((c, c)))[0]
    A = rng.standard_normal((4000, c)) * 10.0 ** -np.arange(c) @ V
    t = Triangle(c)
    fast = 0
    for block in map(np.asfortranarray, np.split(A, 20)):
        if t.R.any() and t._cholesky(block):
            fast += 1
        else:
            t.append(block)
    assert fast == 19
    expected = np.linalg.svd(A, compute_uv=False)
    np.testing.assert_allclose(np.linalg.svd(t.R, compute_uv=False), expected, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.svd(t.R, compute_uv=False)[:5], expected[:5], rtol=1e-10)


@pytest.mark.parametrize("kind", ["tiny before", "zero before", "dependent before", "not finite"])
def test_cholesky_is_refused_where_rows_are_unlike_those_before(rng, kind):
    c = 6
    first = rng.standard_normal((50, c))
    first[:, 3] *= {"tiny before": 1e-6, "zero before": 0.0}.get(kind, 1.0)
    if kind == "dependent before":
        first[:, 3] = first[:, 2]
    t = Triangle(c)
    t.append(np.asfortranarray(first))
    block = rng.standard_normal((50, c))
    if kind == "not finite":
        block[3, 3] = np.inf
        assert not t._cholesky(np.asfortranarray(block))
        return
    before = t.R.copy()
    assert not t._cholesky(np.asfortranarray(block))
    np.testing.assert_array_equal(t.R, before)
    t.append(np.asfortranarray(block))
    assert (
        gram_error(t.R, np.vstack([first, block])) < 3e-14
    )  # a hundred roundings; 1.03e-14 with NumPy 2.5


def test_a_column_of_zeros_does_not_stop_cholesky(rng):
    c = 5
    A = rng.standard_normal((200, c))
    A[:, 2] = 0.0
    t = Triangle(c)
    t.append(np.asfortranarray(A[:100]))
    assert t._cholesky(np.asfortranarray(A[100:]))
    np.testing.assert_allclose(t.R.T @ t.R, A.T @ A, atol=1e-12)
    assert not t.R[:, 2].any()


@pytest.mark.parametrize("kind", ["orthogonal", "offset", "collinear", "long", "zero", "tiny"])
def test_cross_products_only_of_columns_that_are_nearly_orthogonal(rng, kind):
    c = 6
    first, block = rng.standard_normal((2, 400, c))
    for A in (first, block):
        A[:, 0] = 1.0
        A[:, 3] += {"offset": 1e3}.get(kind, 0.0)
        if kind == "collinear":
            A[:, 3] = A[:, 2] + 1e-3 * A[:, 3]
        A[:, 4] *= {"zero": 0.0, "tiny": 1e-100}.get(kind, 1.0)
    block *= 100.0 if kind == "long" else 1.0
    t = Triangle(c)
    t.append(np.asfortranarray(first))
    before = t.R.copy()
    assert t._gram(np.asfortranarray(block)) == (kind == "orthogonal")
    if kind == "orthogonal":
        assert (
            gram_error(t.R, np.vstack([first, block])) < 3e-14
        )  # a hundred roundings; 1.03e-14 with NumPy 2.5
        assert not np.tril(t.R, -1).any()
    else:
        np.testing.assert_array_equal(t.R, before)


def test_repeated_columns(rng):
    A, B = rng.standard_normal((80, 4)), rng.standard_normal((90, 6))
    t = Triangle(4)
    t.append(np.asfortranarray(A))
    t.repeat([1, 3])
    t.append(np.asfortranarray(B))
    full = np.vstack([A[:, [0, 1, 2, 3, 1, 3]], B])
    assert gram_error(t.R, full) < 3e-14  # a hundred roundings; 1.03e-14 with NumPy 2.5


# -- rows in memory -----------------------------------------------------------------------------


def test_compression_keeps_cross_products_of_residuals(rng):
    N, K = 300, 5
    common = rng.standard_normal((N, 2))
    # Two common columns as copies, one column of its own an equation: q = 2 + K.
    blocks = [np.column_stack([common.copy(), rng.standard_normal(N)]) for _ in range(K)]
    Y = rng.standard_normal((N, K)) + 5.0
    rows, Yc = compressed(blocks, Y)
    assert Yc.shape == (1 + 2 + K + K, K)
    assert all(X.shape == (1 + 2 + K + K, 3) for X in rows)
    for _ in range(5):
        beta = [3 * rng.standard_normal(3) for _ in range(K)]
        E = Y - np.column_stack([X @ b for X, b in zip(blocks, beta, strict=True)])
        Ec = Yc - np.column_stack([X @ b for X, b in zip(rows, beta, strict=True)])
        np.testing.assert_allclose(Ec.T @ Ec, E.T @ E, rtol=0, atol=1e-10 * np.abs(E.T @ E).max())


def test_compression_finds_a_column_at_different_positions(rng):
    N = 100
    a, b, c = rng.standard_normal((3, N))
    blocks = [np.column_stack([a, b]), np.column_stack([c, a]), np.column_stack([b])]
    rows, Y = compressed(blocks, rng.standard_normal((N, 3)))
    assert len(Y) == 1 + 3 + 3
    np.testing.assert_array_equal(rows[0][:, 0], rows[1][:, 1])
    np.testing.assert_array_equal(rows[0][:, 1], rows[2][:, 0])


def test_compression_of_one_design_object(rng):
    X = rng.standard_normal((90, 3))
    rows, Y = compressed([X] * 4, rng.standard_normal((90, 4)))
    assert Y.shape == (1 + 7, 4)
    assert Design(rows).shared


@pytest.mark.parametrize("N", [14, 27, 28])
def test_compression_only_where_it_halves(rng, N):
    # q + K = 8 + 6 = 14.
    common = rng.standard_normal((N, 2))
    blocks = [np.column_stack([common, rng.standard_normal(N)]) for _ in range(6)]
    Y = rng.standard_normal((N, 6))
    rows, Yc = compressed(blocks, Y)
    if N < 28:
        assert Yc is Y
        assert all(X is old for X, old in zip(rows, blocks, strict=True))
    else:
        assert len(Yc) == 1 + 14


def test_compression_counts_columns_that_agree_on_the_probed_rows(rng):
    # Dummies: almost all their rows agree, the columns do not.
    N, K = 200, 4
    blocks = []
    for j in range(K):
        dummy = np.zeros(N)
        dummy[10 + j] = 1.0
        blocks.append(np.column_stack([np.ones(N), dummy]))
    Y = rng.standard_normal((N, K))
    rows, Yc = compressed(blocks, Y)
    assert len(Yc) == (1 + K) + K
    E = np.column_stack([y - X @ [1.0, 2.0] for y, X in zip(Y.T, blocks, strict=True)])
    Ec = np.column_stack([y - X @ [1.0, 2.0] for y, X in zip(Yc.T, rows, strict=True)])
    np.testing.assert_allclose(Ec.T @ Ec, E.T @ E, rtol=0, atol=1e-10 * N)


def test_compression_keeps_a_slope_under_an_offset(rng):
    N, K = 500, 3
    blocks, centred = [], []
    for _ in range(K):
        x = 1e8 + rng.standard_normal(N)
        blocks.append(np.column_stack([np.ones(N), x]))
        centred.append((x - 1e8) - (x - 1e8).mean())
    Y = np.column_stack([2.0 * c for c in centred]) + rng.standard_normal((N, K))
    rows, Yc = compressed(blocks, Y)
    assert len(Yc) == 1 + K + K
    design = Design(rows)
    for j, beta in enumerate(design.to_beta(design.project(Yc))):
        c = centred[j]
        assert beta[1] == pytest.approx(c @ Y[:, j] / (c @ c), rel=1e-6)


def test_compression_survives_wild_scales(rng):
    N, K = 120, 3
    X = rng.standard_normal((N, 3)) * 10.0 ** np.array([-100, 0, 100])
    Y = rng.standard_normal((N, K)) * 10.0 ** np.array([-8, 0, 8])
    rows, Yc = compressed([X] * K, Y)
    full, short = Design([X] * K), Design(rows)
    E = Y - full.fitted(full.project(Y))
    Ec = Yc - short.fitted(short.project(Yc))
    scale = 10.0 ** np.array([-8, 0, 8])
    np.testing.assert_allclose(
        Ec.T @ Ec / np.outer(scale, scale), E.T @ E / np.outer(scale, scale), rtol=0, atol=1e-10 * N
    )
    for b, bc in zip(full.to_beta(full.project(Y)), short.to_beta(short.project(Yc)), strict=True):
        np.testing.assert_allclose(bc, b, rtol=1e-9)


def test_many_blocks_are_as_one(rng, small_blocks):
    blocks, Y = own(rng, 700), rng.standard_normal((700, 4)) + 3.0
    rows = compress_rows(blocks, Y)
    assert len(rows.Y) == 1 + 8 + 4
    assert_products(rows, blocks, Y)


def test_it_gives_up_when_columns_turn_out_to_differ(rng, small_blocks):
    N, K = 100, 20
    X = rng.standard_normal((N, 2))
    blocks = [X.copy() for _ in range(K)]
    assert len(compress_rows(blocks, np.ones((N, K))).Y) == 1 + 2 + K
    for j, copy in enumerate(blocks):
        copy[60:90, :] += j  # not one of the three rows that are probed first
    Y = rng.standard_normal((N, K))
    rows = compress_rows(blocks, Y)
    assert rows.Y is Y
    assert all(X is old for X, old in zip(rows.blocks, blocks, strict=True))
    assert_products(rows, blocks, Y)


def test_orders_of_memory(rng, small_blocks):
    blocks, Y = own(rng, 300), rng.standard_normal((300, 4))
    expected = compress_rows(blocks, Y)
    wide = np.repeat(np.column_stack(blocks), 2, axis=1)
    for change in (
        lambda X: np.asfortranarray(X),
        lambda X: X[::-1].copy()[::-1],
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    ):
        rows = compress_rows([change(X) for X in blocks], change(Y))
        np.testing.assert_allclose(rows.Y, expected.Y, rtol=1e-12, atol=1e-12)
    rows = compress_rows([wide[:, 6 * j : 6 * j + 6 : 2] for j in range(4)], Y)
    np.testing.assert_allclose(rows.blocks[3], expected.blocks[3], rtol=1e-12, atol=1e-12)


# -- rows that come in chunks -------------------------------------------------------------------


@pytest.mark.parametrize(
    "cuts",
    [[], [1], [1, 2, 3], [100, 100, 100], [39, 41, 300], list(range(1, 330)), [299]],
    ids=["whole", "one row", "three", "empty", "uneven", "every row", "last"],
)
def test_chunks_do_not_matter(rng, small_blocks, cuts):
    common = rng.standard_normal((331, 2))
    blocks = [np.column_stack([common, x]) for x in rng.standard_normal((5, 331))]
    blocks[3] = blocks[1]
    Y = rng.standard_normal((331, 5)) + 7.0
    rows = streamed(blocks, Y, cuts)
    assert len(rows.Y) == 1 + 2 + 4 + 5
    assert rows.blocks[3] is rows.blocks[1]
    assert_products(rows, blocks, Y)


@pytest.mark.parametrize("cuts", [[], [60], [200], [10, 20, 60, 61, 205], list(range(1, 400, 3))])
def test_columns_that_part(rng, small_blocks, cuts):
    """Equal to row 60, to row 200, to the last; ones up to row 210; copies in equal memory."""
    N = 400
    x = rng.standard_normal(N)
    early, late, last, ones = x.copy(), x.copy(), x.copy(), np.ones(N)
    early[60:] = rng.standard_normal(N - 60)
    late[200:] = early[200:] + (np.arange(200) > 50)
    last[-1] += 1.0
    ones[210:] = rng.standard_normal(N - 210)
    one = np.column_stack([np.ones(N), ones, x, early])
    two = np.column_stack([late, last, x, ones, early])
    blocks = [one, two, one, two.copy(), np.column_stack([early, np.full(N, 2.5)])]
    Y = rng.standard_normal((N, 5))
    rows = streamed(blocks, Y, cuts)
    # 1, ones, x, early, late, last, the constant, and the responses.
    assert len(rows.Y) == 7 + 5
    assert_products(rows, blocks, Y)
    np.testing.assert_array_equal(rows.blocks[0], rows.blocks[2])
    np.testing.assert_array_equal(rows.blocks[1], rows.blocks[3])
    np.testing.assert_array_equal(rows.blocks[0][:, 3], rows.blocks[4][:, 0])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_chunks_of_any_columns(data):
    """Columns of few values: many coincide for a while, and part anywhere."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    N, K = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 4))
    pool = (rng.random((N, 4)) < rng.choice([0.02, 0.3, 0.98], 4)) * rng.choice([1.0, 3.0, -0.0], 4)
    blocks = [pool[:, rng.integers(0, 4, rng.integers(1, 4))] for _ in range(K)]
    blocks = [blocks[i] for i in rng.integers(0, K, K)]
    Y = rng.integers(0, 3, (N, K)).astype(float)
    cuts = sorted(rng.integers(0, N + 1, rng.integers(0, 8)).tolist())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compress, "_BLOCK", int(rng.integers(1, 20)))
        patch.setattr(compress, "_FIRST", int(rng.integers(1, 10)))
        rows = streamed(blocks, Y, cuts)
    assert_products(rows, blocks, Y, rtol=1e-11)
    distinct = {(column + 0.0).tobytes() for X in blocks for column in X.T} | {np.ones(N).tobytes()}
    assert len(rows.Y) <= len(distinct) + K


def test_arrays_shared_in_one_chunk_and_copied_in_the_next(rng, small_blocks):
    x = rng.standard_normal((200, 2))
    y = rng.standard_normal((200, 2))
    stream = RowStream()
    a, b = x[:100], x[100:]
    stream.update([a, a, a], np.zeros((100, 3)) + y[:100, :1])
    stream.update([b, b.copy(), y[100:]], np.zeros((100, 3)) + y[100:, :1])
    rows = stream.finish()
    third = np.vstack([a, y[100:]])
    assert_products(rows, [x, x, third], np.repeat(y[:, :1], 3, axis=1))
    assert rows.blocks[0] is rows.blocks[1]


def test_rows_of_nothing():
    stream = RowStream()
    stream.update([np.ones((0, 1))], np.ones((0, 1)))
    with pytest.raises(ShapeError, match="no rows"):
        stream.finish()


def test_an_offset_is_not_rounded_block_by_block(rng):
    """At 1e8 the products of centred columns keep 1e-10; through raw sums they would be lost."""
    N, K = 60_000, 3
    blocks = own(rng, N, K)
    Y = np.column_stack([X[:, 1] - X[:, 2] for X in blocks]) + rng.standard_normal((N, K))
    offset = np.array([0.0, 2.0**27, -(2.0**26)])
    moved = [X + offset for X in blocks]
    rows = compress_rows(moved, Y + 2.0**27)
    # Rounded to the grid that numbers of this size have, so that deviations are the same.
    blocks, Y = [X - offset for X in moved], (Y + 2.0**27) - 2.0**27
    expected = compress_rows(blocks, Y)
    for X, old in zip(rows.blocks, expected.blocks, strict=True):
        X, old = rows.centred(X), expected.centred(old)
        np.testing.assert_allclose(X.T @ X, old.T @ old, rtol=1e-10, atol=1e-10 * N)
        np.testing.assert_allclose(
            X.T @ rows.centred(rows.Y), old.T @ expected.centred(expected.Y), rtol=0, atol=1e-9 * N
        )


def test_dependent_columns_are_found_after_many_blocks(rng):
    N = 100_000
    groups = np.eye(4)[rng.integers(0, 4, N)]
    for dependent in (
        np.column_stack([np.ones(N), groups]),
        np.column_stack([groups[:, :2], 1e3 * groups[:, 0] - groups[:, 1] + 0.0, np.ones(N)]),
    ):
        rows = compress_rows([dependent, groups], rng.standard_normal((N, 2)) + 1e6)
        with pytest.raises(DependentColumnsError):
            Design(rows.blocks)
    Design(compress_rows([groups, groups[:, :2]], rng.standard_normal((N, 2))).blocks)


def test_memory_does_not_grow_with_rows(rng):
    def peak(N):
        stream = RowStream()
        rows = rng.standard_normal((1000, 30))
        tracemalloc.start()
        for _ in range(N // 1000):
            stream.update([rows[:, 2 * j : 2 * j + 2] for j in range(10)], rows[:, 20:])
        stream.finish()
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    # A buffer, 6,000 rows of 31 columns.
    assert peak(20_000) < 2.5e6
    # As many rows are left over.
    assert peak(98_000) < 1.05 * peak(20_000)


# -- what is built from rows --------------------------------------------------------------------


def test_ones(rng, small_blocks):
    blocks, Y = own(rng, 500), rng.standard_normal((500, 4)) + 3.0
    for rows in (compress_rows(blocks, Y), Rows.of(blocks, Y)):
        np.testing.assert_allclose(rows.mean(rows.Y), Y.mean(axis=0), rtol=1e-12)
        centred = rows.centred(rows.Y)
        expected = Y - Y.mean(axis=0)
        np.testing.assert_allclose(centred.T @ centred, expected.T @ expected, atol=1e-10)


@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_constants(rng, small_blocks, offset):
    N = 300
    dummies = np.eye(3)[np.arange(N) % 3]
    x = rng.standard_normal(N) + offset
    blocks = [
        np.column_stack([x, np.full(N, 2.5)]),
        np.column_stack([dummies, x]),
        np.column_stack([dummies[:, :2], x]),
        x[:, None],
        np.column_stack([np.ones(N), x]),
    ]
    for rows in (compress_rows(blocks, rng.standard_normal((N, 5))), Rows.of(blocks, blocks[0])):
        a, b, c, d, e = rows.constants
        np.testing.assert_allclose(a, [0.0, 0.4], rtol=1e-13)
        np.testing.assert_allclose(b, [1.0, 1.0, 1.0, 0.0], atol=1e-12)
        assert c is None
        assert d is None
        np.testing.assert_allclose(e, [1.0, 0.0], rtol=1e-13)


def test_a_problem_of_rows_is_that_of_the_data(rng, small_blocks):
    blocks, Y = own(rng, 400), rng.standard_normal((400, 4))
    options = ALSOptions(lam_B=0.1)
    one = Problem(blocks, Y, options)
    other = Problem.from_rows(streamed(blocks, Y, [7, 300]), options)
    uncompressed = Problem.from_rows(Rows.of(blocks, Y), options)
    for problem in (other, uncompressed):
        assert problem.n_obs == 400
        np.testing.assert_allclose(problem.s_ols, one.s_ols, rtol=1e-12)
        np.testing.assert_allclose(
            np.concatenate(problem.design.to_beta(problem.gamma_ols)),
            np.concatenate(one.design.to_beta(one.gamma_ols)),
            rtol=1e-10,
        )
        beta = [np.arange(1.0, 4.0)] * 4
        assert problem.ridge.value(problem.design.from_beta(beta)) == pytest.approx(
            one.ridge.value(one.design.from_beta(beta)), rel=1e-11
        )


def test_a_restricted_problem_of_rows(rng):
    blocks, Y = own(rng, 400), rng.standard_normal((400, 4))
    R = np.zeros((1, 12))
    R[0, [1, 4]] = 1.0, -1.0
    q = np.array([0.3])
    rows = streamed(blocks, Y, [50])
    one = Problem(blocks, Y, ALSOptions(), binding=Restrictions(R, q))
    other = Problem.from_rows(rows, ALSOptions(), binding=Restrictions(R, q))
    np.testing.assert_allclose(other.s_ols, one.s_ols, rtol=1e-12)
    beta = np.concatenate(other.design.to_beta(other.gamma_ols))
    assert R @ beta == pytest.approx(q)
    with pytest.raises(OptionError, match="lam_B"):
        Problem.from_rows(rows, ALSOptions(lam_B=1.0), binding=Restrictions(R, q))
