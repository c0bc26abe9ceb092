"""The two-loop rule against the dense BFGS matrix it stands for."""

import numpy as np
import pytest

from sm_alsgls.core.sigma.secant import SecantMemory


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def positive_definite(rng, m):
    A = rng.standard_normal((m, m))
    return A @ A.T + np.eye(m)


def dense_bfgs(H, pairs):
    """Inverse Hessian after the updates, H <- (I - rho s y') H (I - rho y s') + rho s s'."""
    for s, y in pairs:
        rho = 1 / (s @ y)
        left = np.eye(len(s)) - rho * np.outer(s, y)
        H = left @ H @ left.T + rho * np.outer(s, s)
    return H


@pytest.mark.parametrize("pairs", [0, 1, 4])
def test_is_the_bfgs_matrix(rng, pairs):
    m = 7
    A, H0 = positive_definite(rng, m), positive_definite(rng, m)
    memory, kept = SecantMemory(10), []
    for _ in range(pairs):
        s = rng.standard_normal(m)
        assert memory.push(s, A @ s, -1.0)
        kept.append((s, A @ s))
    g = rng.standard_normal(m)
    expected = -dense_bfgs(H0, kept) @ g
    np.testing.assert_allclose(memory.direction(g, lambda q: H0 @ q), expected, rtol=1e-9)
    assert len(memory) == pairs


def test_keeps_only_the_last_pairs(rng):
    m = 6
    A = positive_definite(rng, m)
    memory, kept = SecantMemory(3), []
    for _ in range(8):
        s = rng.standard_normal(m)
        memory.push(s, A @ s, -1.0)
        kept.append((s, A @ s))
    g = rng.standard_normal(m)
    expected = -dense_bfgs(np.eye(m), kept[-3:]) @ g
    np.testing.assert_allclose(memory.direction(g, np.copy), expected, rtol=1e-9)


def test_the_newest_secant_equation_holds(rng):
    m = 6
    A = positive_definite(rng, m)
    memory = SecantMemory(10)
    for _ in range(4):
        s = rng.standard_normal(m)
        memory.push(s, A @ s, -1.0)
    np.testing.assert_allclose(memory.direction(A @ s, np.copy), -s, rtol=1e-9)


@pytest.mark.parametrize("change", [-1.0, 0.0, 1e-12])
def test_pairs_without_positive_curvature_are_refused(change):
    memory = SecantMemory(5)
    s = np.array([1.0, 0.0])
    assert not memory.push(s, np.array([change, 1.0]), -1.0)
    assert not memory.push(np.zeros(2), np.zeros(2), -1.0)
    assert len(memory) == 0
    np.testing.assert_array_equal(memory.direction(s, np.copy), -s)


def test_the_refusal_has_no_units(rng):
    s, y = rng.standard_normal(4), rng.standard_normal(4)
    y = y if s @ y > 0 else -y
    assert SecantMemory(5).push(1e-150 * s, 1e-150 * y, -1e-300)
    assert not SecantMemory(5).push(1e150 * s, -1e150 * y, -1e300)


def test_frozen_coordinates_leave_the_problem(rng):
    m = 6
    A = positive_definite(rng, m)
    free = np.array([True, True, False, True, False, True])
    memory, kept = SecantMemory(10), []
    for _ in range(3):
        s = rng.standard_normal(m)
        memory.push(s, A @ s, -1.0)
        restricted = (s[free], (A @ s)[free])
        if restricted[0] @ restricted[1] > 0:
            kept.append(restricted)
    assert kept
    g = rng.standard_normal(m) * free
    step = memory.direction(g, lambda q: 2 * q, free)
    expected = -dense_bfgs(2 * np.eye(free.sum()), kept) @ g[free]
    np.testing.assert_allclose(step[free], expected, rtol=1e-9)
    np.testing.assert_array_equal(step[~free], 0.0)


def test_restricted_pairs_that_curve_down_are_skipped():
    memory = SecantMemory(5)
    # Positive curvature in all coordinates, negative in the first alone.
    assert memory.push(np.array([1.0, 2.0]), np.array([-1.0, 2.0]), -1.0)
    step = memory.direction(np.array([1.0, 0.0]), np.copy, np.array([True, False]))
    np.testing.assert_array_equal(step, [-1.0, 0.0])


def test_clear_and_inputs(rng):
    A = positive_definite(rng, 4)
    memory = SecantMemory(5)
    s = rng.standard_normal(4)
    y = A @ s
    copies = s.copy(), y.copy()
    memory.push(s, y, -1.0)
    g = rng.standard_normal(4)
    kept = g.copy()
    memory.direction(g, lambda q: q, np.array([True, True, False, True]))
    np.testing.assert_array_equal(g, kept)
    np.testing.assert_array_equal((s, y), copies)
    memory.clear()
    assert len(memory) == 0
    np.testing.assert_array_equal(memory.direction(g, np.copy), -g)


def test_solves_a_quadratic_in_as_many_exact_steps_as_dimensions(rng):
    m = 8
    A, b = positive_definite(rng, m), rng.standard_normal(m)
    x, memory = np.zeros(m), SecantMemory(20)
    for _ in range(m):
        g = A @ x - b
        p = memory.direction(g, np.copy)
        assert p @ g < 0
        p = -(g @ p) / (p @ A @ p) * p
        memory.push(p, A @ p, float(g @ p))
        x = x + p
    np.testing.assert_allclose(A @ x, b, rtol=0, atol=1e-8 * np.abs(b).max())
