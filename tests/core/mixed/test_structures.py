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
def test_as_many_parameters_are_free_as_directions_of_gamma(kind):
    flat = kind.directions(point(kind)).reshape(kind.size, -1)
    assert np.linalg.matrix_rank(flat) == kind.n_free
    assert kind.rotations(point(kind)).shape == (kind.size, kind.size - kind.n_free)


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_of_what_a_structure_can_say_is_that(kind):
    wanted = gamma(kind, point(kind, 3))
    np.testing.assert_allclose(gamma(kind, kind.nearest(wanted)), wanted, atol=2e-3)
