"""Multipliers and Satterthwaite degrees of freedom of one equation, against arrays of all units."""

import numpy as np
import pytest

from sm_alsgls.core.beta.small_sample import Units, own_moments

N, P = 24, 3


def dense(X, r, code, power):
    """A_g and df by their definition: Theta = [A_g a_g' (I - H)_gh a_h A_h], G x G."""
    H = X @ np.linalg.solve(X.T @ X, X.T)
    a = X @ np.linalg.solve(X.T @ X, r)
    D = np.equal.outer(np.unique(code), code) * a
    theta = D @ (np.eye(len(X)) - H) @ D.T
    A = (np.diag(theta) / np.square(D).sum(axis=1)) ** -power
    theta = A[:, None] * theta * A
    return A, np.trace(theta) ** 2 / np.square(theta).sum()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("groups", [None, 4, 7])
def test_definition(power, groups):
    rng = np.random.default_rng(2)
    X = np.column_stack([np.ones(N), rng.standard_normal((N, P - 1)) * [1e4, 1e-3]])
    X[0, 1] = 9e4
    code = None if groups is None else np.r_[np.arange(groups), rng.integers(0, groups, N - groups)]
    Q, T = np.linalg.qr(X)
    R = rng.standard_normal((5, P))
    found = own_moments(Q, np.linalg.solve(T.T, R.T), Units(N, code), power)
    for i, r in enumerate(R):
        A, df = dense(X, r, np.arange(N) if code is None else code, power)
        np.testing.assert_allclose(found.multipliers[:, i], A, rtol=1e-8)
        np.testing.assert_allclose(found.df[i], df, rtol=1e-8)
    assert not found.lost.any()


def test_one_unit_alone():
    """A dummy of one group: nothing tells its variance, and nothing becomes infinite."""
    code = np.repeat(np.arange(6), 4)
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(N), code == 2, rng.standard_normal(N)])
    Q, T = np.linalg.qr(X)
    found = own_moments(Q, np.linalg.solve(T.T, np.eye(3)), Units(N, code), 0.5)
    assert np.isfinite(found.multipliers).all()
    assert (found.df >= 1.0).all()
    row = np.arange(N) == 5
    Q, T = np.linalg.qr(np.column_stack([X[:, [0, 2]], row]))
    found = own_moments(Q, np.linalg.solve(T.T, np.eye(3)), Units(N), 1.0)
    assert np.isfinite(found.multipliers).all()
    np.testing.assert_allclose(found.multipliers[5], 1.0)


def test_t_of_two_samples():
    """The difference of two means with unequal n: Bell and McCaffrey's df, in closed form."""
    n, m = 5, 19
    X = np.column_stack([np.ones(n + m), np.arange(n + m) < n])
    Q, T = np.linalg.qr(X)
    found = own_moments(Q, np.linalg.solve(T.T, np.eye(2)), Units(n + m), 0.5)
    expected = (1 / n + 1 / m) ** 2 / (1 / n**2 / (n - 1) + 1 / m**2 / (m - 1))
    np.testing.assert_allclose(found.df[1], expected, rtol=1e-10)
