"""Bases, translations between coefficients and rank checks."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls.core.design import stacks
from sm_alsgls.core.design.bases import DependentColumnsError, TinyColumnsError
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.rows.compress import compress_rows
from sm_alsgls.exceptions import ShapeError

RAGGED = (1, 4, 2, 4, 3, 1)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def ragged(rng, n=15, p=RAGGED):
    return [rng.standard_normal((n, m)) for m in p]


def shared(rng, n=15, p=3, K=5):
    X = rng.standard_normal((n, p))
    return [X.copy() for _ in range(K)]


def equal_widths(rng, n=15):
    return ragged(rng, n, p=(3,) * 5)


def stacked_basis(design):
    """Q of all equations, (K n, P), in the order of the flat coefficient vector."""
    Q = np.zeros((design.K, design.n, design.P))
    for j in range(design.K):
        Q[j, :, design.equation_slice(j)] = design.basis(j)
    return Q.reshape(design.K * design.n, design.P)


LAYOUTS = pytest.mark.parametrize("make", [ragged, shared, equal_widths])


@LAYOUTS
def test_project_is_the_transpose_of_fitted(rng, make):
    design = Design(make(rng))
    g, M = rng.standard_normal(design.P), rng.standard_normal((design.n, design.K))
    assert np.vdot(design.fitted(g), M) == pytest.approx(g @ design.project(M), rel=1e-13)
    Q = stacked_basis(design)
    np.testing.assert_allclose(design.fitted(g).T.ravel(), Q @ g, rtol=0, atol=1e-13)
    np.testing.assert_allclose(design.project(M), Q.T @ M.T.ravel(), rtol=0, atol=1e-13)


@LAYOUTS
def test_project_takes_rows_in_either_memory_order(rng, make):
    design = Design(make(rng))
    M = rng.standard_normal((design.n, design.K))
    np.testing.assert_allclose(
        design.project(np.asfortranarray(M)),
        design.project(np.ascontiguousarray(M)),
        rtol=0,
        atol=1e-14,
    )


@LAYOUTS
def test_fitted_values_are_those_of_the_columns(rng, make):
    blocks = make(rng)
    design = Design(blocks)
    beta = [rng.standard_normal(X.shape[1]) for X in blocks]
    fitted = design.fitted(design.from_beta(beta))
    for j, (X, b) in enumerate(zip(blocks, beta, strict=True)):
        np.testing.assert_allclose(fitted[:, j], X @ b, rtol=0, atol=1e-12)


@LAYOUTS
@pytest.mark.parametrize("n", [15, 700])
@pytest.mark.parametrize("into", ["new", "given", "its own"])
def test_what_fitted_values_leave(rng, make, n, into, monkeypatch):
    """In tiles of two equations of 700 rows, and into memory that is given."""
    monkeypatch.setattr(stacks, "_TILE_BYTES", 16 * 700)
    design = Design(make(rng, n))
    g, M = rng.standard_normal(design.P), np.asfortranarray(rng.standard_normal((n, design.K)))
    before = M.copy()
    given = np.full((n, design.K), np.nan, order="F")
    out = {"new": None, "given": given, "its own": M}[into]
    left = design.left(M, g, out)
    np.testing.assert_allclose(left, before - design.fitted(g), rtol=0, atol=1e-14)
    assert left.flags.f_contiguous
    assert out is None or np.shares_memory(left, out)
    if into != "its own":
        np.testing.assert_array_equal(M, before)


@LAYOUTS
def test_translations_invert_each_other(rng, make):
    blocks = make(rng)
    design = Design(blocks)
    g = rng.standard_normal(design.P)
    np.testing.assert_allclose(design.from_beta(design.to_beta(g)), g, rtol=0, atol=1e-12)
    for j, b in enumerate(design.to_beta(g)):
        np.testing.assert_allclose(
            design.beta_map(j) @ g[design.equation_slice(j)], b, rtol=0, atol=1e-12
        )
        np.testing.assert_allclose(
            blocks[j] @ design.beta_map(j), design.basis(j), rtol=0, atol=1e-12
        )


@LAYOUTS
def test_expand_and_cross_blocks(rng, make):
    design = Design(make(rng))
    v = rng.standard_normal(design.K)
    out = design.expand(v)
    for j in range(design.K):
        assert np.all(out[design.equation_slice(j)] == v[j])
        assert design.basis(j).shape == (design.n, design.p[j])
    np.testing.assert_allclose(design.cross_block(1, 3), design.basis(1).T @ design.basis(3))


def test_slices_partition_the_coefficients(rng):
    design = Design(ragged(rng))
    positions = np.concatenate([np.arange(design.P)[design.equation_slice(j)] for j in range(6)])
    assert sorted(positions) == list(range(design.P))
    assert design.P == sum(RAGGED)


def test_shared_design_is_recognised_by_value(rng):
    blocks = shared(rng)
    assert Design(blocks).shared
    blocks[2] = blocks[2].copy()
    blocks[2][7, 0] = np.nextafter(blocks[2][7, 0], np.inf)
    assert not Design(blocks).shared
    assert not Design([blocks[0], blocks[0][:, :2]]).shared


@pytest.mark.parametrize("condition", ["well", "1e4", "1e6", "offset", "scaled", "extreme"])
@pytest.mark.parametrize("layout", ["own", "shared"])
def test_bases_are_orthonormal(rng, condition, layout):
    n, p, K = 40, 4, 6
    blocks = []
    for _ in range(K):
        X = rng.standard_normal((n, p))
        if condition in ("1e4", "1e6"):
            U, _, Vt = np.linalg.svd(X, full_matrices=False)
            X = U * np.geomspace(1, 1 / float(condition), p) @ Vt
        elif condition == "offset":
            X[:, 0], X[:, 1] = 1.0, 1e8 + X[:, 1]
        elif condition == "scaled":
            X *= 10.0 ** np.array([-8, 8, 0, -3])
        elif condition == "extreme":
            X *= 10.0 ** np.array([-150, 200, 0, -100])
        blocks.append(X)
    if layout == "shared":
        blocks = [blocks[0]] * K
    design = Design(blocks)
    for j in range(K):
        Q = design.basis(j)
        np.testing.assert_allclose(Q.T @ Q, np.eye(p), rtol=0, atol=1e-12)
        if condition in ("well", "1e4"):
            # Condition number times epsilon; one pass alone would leave its square.
            np.testing.assert_allclose(blocks[j] @ design.beta_map(j), Q, rtol=0, atol=1e-11)
        # Q spans X: what a projection leaves of each column is rounding beside its length.
        length = np.abs(blocks[j]).max(axis=0)
        unit = blocks[j] / length
        assert np.abs(unit - Q @ (Q.T @ unit)).max() < 1e-13


def test_slope_of_a_regressor_with_a_large_offset(rng):
    x = rng.standard_normal(60)
    X = np.column_stack([np.ones(60), 1e8 + x])
    x = X[:, 1] - 1e8
    y = 3.0 * x + rng.standard_normal(60)
    design = Design([X])
    slope = design.to_beta(design.project(y[:, None]))[0][1]
    centred = x - x.mean()
    # Condition number 1e8 times epsilon, and Q is good to epsilon beside 1e8.
    assert slope == pytest.approx(centred @ y / (centred @ centred), rel=1e-6)


def test_dependent_columns_are_named(rng):
    good = rng.standard_normal((30, 4))
    bad = rng.standard_normal((30, 4))
    bad[:, 2] = 2 * bad[:, 0] - bad[:, 3]
    with pytest.raises(DependentColumnsError) as caught:
        Design([good, good[:, :3], bad])
    error = caught.value
    assert error.equation == 2
    assert len(error.columns) == 1
    assert set(error.columns) | set(error.others) == {0, 2, 3}
    assert not set(error.columns) & set(error.others)


def test_a_zero_column_is_named(rng):
    X = rng.standard_normal((30, 3))
    X[:, 1] = 0.0
    with pytest.raises(DependentColumnsError) as caught:
        Design([rng.standard_normal((30, 3)), X])
    assert (caught.value.equation, caught.value.columns, caught.value.others) == (1, (1,), ())


def test_dependence_through_a_large_offset_and_bad_scale_is_found(rng):
    X = rng.standard_normal((50, 3))
    X[:, 2] = 1e-9 * (X[:, 0] + X[:, 1])
    with pytest.raises(DependentColumnsError) as caught:
        Design([X])
    assert set(caught.value.columns) | set(caught.value.others) == {0, 1, 2}


def test_more_columns_than_rows(rng):
    with pytest.raises(DependentColumnsError) as caught:
        Design([rng.standard_normal((3, 5))])
    assert len(caught.value.columns) == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-150, 250), min_size=3, max_size=3), st.integers(0, 2**32 - 1))
def test_scale_alone_never_raises(exponents, seed):
    X = np.random.default_rng(seed).standard_normal((12, 3))
    design = Design([X * 10.0 ** np.array(exponents), X[:, :2]])
    Q = design.basis(0)
    np.testing.assert_allclose(Q.T @ Q, np.eye(3), rtol=0, atol=1e-12)


def test_columns_whose_squares_are_no_doubles_are_named(rng):
    X = rng.standard_normal((12, 3)) * 10.0 ** np.array([0, -153, -200])
    with pytest.raises(TinyColumnsError) as caught:
        Design([X[:, :1], X])
    assert (caught.value.equation, caught.value.columns) == (1, (1, 2))


def test_blocks_of_unequal_length(rng):
    with pytest.raises(ShapeError):
        Design([rng.standard_normal((5, 2)), rng.standard_normal((6, 2))])


@LAYOUTS
def test_inputs_are_not_changed(rng, make):
    blocks = make(rng)
    Y = rng.standard_normal((15, len(blocks)))
    kept = [X.copy() for X in blocks]
    before = Y.copy()
    compress_rows(blocks, Y)
    Design(blocks)
    for X, old in zip(blocks, kept, strict=True):
        np.testing.assert_array_equal(X, old)
    np.testing.assert_array_equal(Y, before)


@LAYOUTS
def test_ridge_is_its_dense_matrix(rng, make):
    blocks = make(rng)
    design = Design(blocks)
    weights = [rng.uniform(0, 2, X.shape[1]) for X in blocks]
    ridge = design.ridge(weights)
    # beta = B gamma with B built column by column from to_beta.
    columns = [np.concatenate(design.to_beta(unit)) for unit in np.eye(design.P)]
    B = np.array(columns).T
    A = B.T @ np.diag(np.concatenate(weights)) @ B
    g = rng.standard_normal(design.P)
    np.testing.assert_allclose(ridge.apply(g), A @ g, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(ridge.diagonal(), np.diag(A), rtol=1e-12)
    assert ridge.value(g) == pytest.approx(0.5 * g @ A @ g, rel=1e-12)


def test_gram_of_the_stack_is_the_identity_for_every_equation(rng):
    design = Design(ragged(rng))
    Q = stacked_basis(design)
    np.testing.assert_allclose(Q.T @ Q, np.eye(design.P), rtol=0, atol=1e-13)
    Z = scipy.linalg.block_diag(*ragged(np.random.default_rng(20)))
    np.testing.assert_allclose(Q @ (Q.T @ Z), Z, rtol=0, atol=1e-12)


@pytest.mark.parametrize("equal", [False, True])
def test_combinations_on_flat(equal):
    rng = np.random.default_rng(11)
    X = [rng.standard_normal((20, 2 + (not equal) * (j % 3))) for j in range(7)]
    design = Design([X[0]] * 7 if equal else X)
    R = rng.standard_normal((3, design.P))
    g = rng.standard_normal(design.P)
    np.testing.assert_allclose(design.on_flat(R).T @ g, R @ design.to_params(g), rtol=1e-12)


@LAYOUTS
@pytest.mark.parametrize("n", [15, 700])
def test_least_squares_are_projections_and_what_they_leave(rng, make, n, monkeypatch):
    """In tiles of two equations of 700 rows."""
    monkeypatch.setattr(stacks, "_TILE_BYTES", 16 * 700)
    design = Design(make(rng, n))
    M = np.asfortranarray(rng.standard_normal((n, design.K)))
    g, left = design.least_squares(M)
    np.testing.assert_allclose(g, design.project(M), rtol=0, atol=1e-13)
    np.testing.assert_allclose(left, M - design.fitted(g), rtol=0, atol=1e-14)
    np.testing.assert_allclose(design.project(left), 0.0, rtol=0, atol=1e-12)
    assert left.flags.f_contiguous
