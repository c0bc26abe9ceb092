"""Shared coefficients held once: the stacked design S theta is the dense twin."""

import numpy as np
import pytest

from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled import PooledDesign, Pooling

N = 30
SHARES = {
    "mixed": [[-1, 0, 1], [0, -1], [1, 0, -1, -1], [-1, -1], [1], [1, 0]],
    "nothing own": [[0, 1, 2]] * 5,
    "nothing shared by some": [[0, -1], [-1, 0], [-1, -1, -1]],
    "one": [[0, -1]] * 4,
}


def made(kind, seed=0, equal=False, scale=True):
    rng = np.random.default_rng(seed)
    shares = [np.array(share) for share in SHARES[kind]]
    blocks = []
    for share in shares:
        X = rng.standard_normal((N, len(share)))
        blocks.append(X * 10.0 ** rng.integers(-3, 4, len(share)) if scale else X)
    if equal:
        blocks = [blocks[0]] * len(shares)
    return blocks, Places(shares)


def stacked(blocks, places):
    """The regressors of vec(Y), equation by equation: (n K, P)."""
    out = np.zeros((len(blocks) * N, places.P))
    for j, X in enumerate(blocks):
        for i, at in enumerate(places.columns[j]):
            out[j * N : (j + 1) * N, at] = X[:, i]
    return out


def flat(M):
    return M.T.ravel()


@pytest.fixture(params=list(SHARES))
def both(request):
    blocks, places = made(request.param)
    return blocks, places, PooledDesign(Design(blocks), places)


def test_parameters_are_counted_and_placed():
    places = Places([np.array([-1, 1]), np.array([0, -1, 1])])
    assert (places.m, places.P) == (2, 4)
    assert [at.tolist() for at in places.columns] == [[2, 1], [0, 3, 1]]
    np.testing.assert_array_equal(np.concatenate(places.columns)[places.first], np.arange(4))
    assert places.first.tolist() == [2, 1, 0, 3]


def test_fitted_values_are_those_of_the_stacked_design(both):
    blocks, places, design = both
    theta = np.random.default_rng(1).standard_normal(places.P)
    g = design.from_params(theta)
    want = stacked(blocks, places) @ theta
    np.testing.assert_allclose(flat(design.fitted(g)), want, atol=1e-13 * np.abs(want).max())
    np.testing.assert_allclose(design.to_params(g), theta, rtol=1e-11)
    for at, b in zip(places.columns, design.to_beta(g), strict=True):
        np.testing.assert_allclose(b, theta[at], rtol=1e-10)
    np.testing.assert_allclose(design.from_beta(design.to_beta(g)), g, rtol=1e-10, atol=1e-12)


def test_coordinates_are_orthonormal_and_span_the_stacked_design(both):
    blocks, places, design = both
    unit = np.eye(places.P)
    basis = np.column_stack([flat(design.fitted(e)) for e in unit])
    np.testing.assert_allclose(basis.T @ basis, unit, atol=1e-13)
    G = stacked(blocks, places)
    np.testing.assert_allclose((basis @ (basis.T @ G) - G) / np.abs(G).max(axis=0), 0, atol=1e-12)
    M = np.random.default_rng(2).standard_normal((N, len(blocks)))
    np.testing.assert_allclose(design.project(M), basis.T @ flat(M), atol=1e-13)


def test_combinations_of_parameters_in_the_coordinates(both):
    _, places, design = both
    L = np.column_stack([design.to_params(e) for e in np.eye(places.P)])
    R = np.random.default_rng(3).standard_normal((4, places.P)) / np.abs(L).max(axis=1)
    np.testing.assert_allclose(design.on_flat(R), (R @ L).T, atol=1e-11)


def test_lift_and_drop_are_transposes_of_one_isometry(both):
    _, places, design = both
    B = design.lift(np.eye(places.P))
    np.testing.assert_allclose(B.T @ B, np.eye(places.P), atol=1e-13)
    V = np.random.default_rng(4).standard_normal((design.free.P, 3))
    np.testing.assert_allclose(design.drop(V), B.T @ V, atol=1e-13)
    v = np.random.default_rng(5).uniform(1, 2, design.K)
    want = np.diag(B.T @ np.diag(design.free.expand(v)) @ B)
    np.testing.assert_allclose(design.diagonal(v), want, atol=1e-13)


def test_largest_norm_does_not_depend_on_coordinates():
    blocks, places = made("mixed", scale=False)
    design = PooledDesign(Design(blocks), places)
    v = np.random.default_rng(7).standard_normal(places.P)
    own = np.split(v[2:], np.cumsum([len(at) for at in places.own])[:-1])
    want = max(np.linalg.norm(part) for part in [v[:2], *own])
    assert design.largest_norm(v) == pytest.approx(want, rel=1e-14)


def test_rescaled_responses_have_the_same_shared_coefficients(both):
    """y_j / c_j on Z_j / c_j and W_j: c stays, b_j / c_j."""
    _, places, design = both
    c = 10.0 ** np.random.default_rng(8).uniform(-2, 2, design.K)
    theta = np.random.default_rng(9).standard_normal(places.P)
    binding = Pooling(places).rescaled(c, design.free)
    other = binding.bind(design.free)
    here = design.from_params(theta)
    there = other.carried(here, 1.0 / c, design)
    np.testing.assert_allclose(
        flat(other.fitted(there)), flat(design.fitted(here) / c), rtol=1e-10, atol=1e-10
    )
    np.testing.assert_allclose(design.carried(there, c, other), here, rtol=1e-9, atol=1e-9)
    units = Pooling(places).units(c, design.p)
    np.testing.assert_allclose(other.to_params(there) * units, theta, rtol=1e-8)
    E = np.random.default_rng(10).standard_normal((N, design.K))
    near = other.fitted(other.project(E))
    np.testing.assert_allclose(other.project(near), other.project(E), atol=1e-12)
    # Back in the units of the first.
    again = binding.rescaled(1.0 / c, other.free).bind(other.free)
    np.testing.assert_allclose(
        again.to_params(design.project(E)), design.to_params(design.project(E))
    )


def test_a_stretched_design_is_that_of_stretched_bases():
    blocks, places = made("mixed", scale=False)
    design = PooledDesign(Design(blocks), places)
    rng = np.random.default_rng(11)
    A = [np.eye(len(at)) + 0.1 * np.diag(rng.uniform(size=len(at))) for at in places.columns]
    stretched = design.stretched(lambda j: A[j])
    theta = rng.standard_normal(places.P)
    fitted = stretched.fitted(stretched.from_params(theta))
    for j, at in enumerate(places.columns):
        Q, R = design.free.basis(j), np.linalg.inv(design.free.beta_map(j))
        np.testing.assert_allclose(
            fitted[:, j], Q @ np.linalg.solve(A[j], R @ theta[at]), atol=1e-12
        )


def test_the_own_design_has_the_bases_of_the_free_one(both):
    blocks, places, design = both
    own = design.own_design
    assert own.p.tolist() == [len(at) for at in places.own]
    assert own.P == places.P - places.m
    beta = [np.arange(1.0, len(at) + 1) for at in places.own]
    fitted = own.fitted(own.from_beta(beta))
    for j, at in enumerate(places.own):
        want = blocks[j][:, at] @ beta[j]
        np.testing.assert_allclose(fitted[:, j], want, atol=1e-12 * max(1.0, np.abs(want).max()))


def test_own_designs_that_are_equal_are_known_to_be():
    blocks, places = made("one", equal=True)
    design = PooledDesign(Design(blocks), places)
    assert design.free.shared
    assert design.own_design.shared
    assert not design.shared


def test_equal_blocks_with_unlike_shares_are_not_taken_for_equal():
    X = np.random.default_rng(12).standard_normal((N, 2))
    places = Places([np.array([-1, 0]), np.array([0, -1])])
    design = PooledDesign(Design([X, X]), places)
    theta = np.array([2.0, 3.0, 5.0])
    fitted = design.fitted(design.from_params(theta))
    np.testing.assert_allclose(fitted, np.column_stack([X @ [3.0, 2.0], X @ [2.0, 5.0]]))


def test_an_order_changes_bases_and_not_fitted_values():
    X = [np.random.default_rng(15).standard_normal((N, 3)) for _ in range(3)]
    order = [np.array([2, 0, 1]), np.array([0, 1, 2]), np.array([1, 2, 0])]
    plain = Design(X)
    turned = plain.turned(order)
    beta = [np.random.default_rng(16).standard_normal(3) for _ in X]
    np.testing.assert_allclose(
        turned.fitted(turned.from_beta(beta)), plain.fitted(plain.from_beta(beta)), atol=1e-13
    )
    for j, at in enumerate(order):
        first = X[j][:, at[:1]]
        Q = turned.basis(j)[:, :1]
        np.testing.assert_allclose(Q @ (Q.T @ first), first, atol=1e-13)
        np.testing.assert_allclose(X[j] @ turned.beta_map(j), turned.basis(j), atol=1e-13)
