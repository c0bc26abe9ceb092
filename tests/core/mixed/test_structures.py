"""Derivatives of structures, their parameters and starts, one by one."""

import numpy as np
import pytest

from sm_alsgls.core.mixed.structures import Diagonal, LoadingsOnly, LowRank, Unstructured

KINDS = [LowRank(7, 2), Diagonal(4), LoadingsOnly(5, 3), Unstructured(4)]


def point(kind, seed=0):
    rng = np.random.default_rng(seed)
    phi = rng.standard_normal(kind.size)
    return np.where(np.isfinite(kind.low), np.abs(phi) + 0.1, phi)


def gamma(kind, phi):
    root = kind.root(phi)
    return root @ root.T


@pytest.mark.parametrize("kind", KINDS)
def test_second_is_the_derivative_of_pull(kind):
    rng = np.random.default_rng(1)
    S = rng.standard_normal((kind.q, kind.q))
    S = S + S.T
    phi = point(kind)
    by_step = np.array(
        [kind.pull(phi + step, S) - kind.pull(phi - step, S) for step in 0.5 * np.eye(kind.size)]
    )
    np.testing.assert_allclose(kind.second(S), by_step, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_information_is_of_pairs_of_directions(kind):
    """The sum over groups of tr(W dGamma_a W dGamma_b)."""
    phi = point(kind)
    W = np.random.default_rng(1).standard_normal((5, kind.q, kind.q))
    W = W + W.transpose(0, 2, 1)
    moved = np.einsum("ijk,akl->aijl", W, kind.directions(phi))
    expected = np.einsum("aijk,bikj->ab", moved, moved)
    found = kind.information(phi, W)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * abs(expected).max())


@pytest.mark.parametrize("kind", KINDS)
def test_contracted_is_the_derivative_of_directions(kind):
    w = np.random.default_rng(2).standard_normal((kind.size, kind.size))
    w = w + w.T
    phi = point(kind)
    by_step = np.array(
        [kind.directions(phi + s) - kind.directions(phi - s) for s in 0.5 * np.eye(kind.size)]
    )
    expected = np.einsum("ab,abjk->jk", w, by_step)
    np.testing.assert_allclose(kind.contracted(w), expected, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_parameters_are_free_as_directions_of_gamma(kind):
    flat = kind.directions(point(kind)).reshape(kind.size, -1)
    assert np.linalg.matrix_rank(flat) == kind.n_free
    assert kind.rotations(point(kind)).shape == (kind.size, kind.size - kind.n_free)


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_of_what_a_structure_can_say_is_that(kind):
    wanted = gamma(kind, point(kind, 3))
    np.testing.assert_allclose(gamma(kind, kind.nearest(wanted)), wanted, atol=2e-3)
