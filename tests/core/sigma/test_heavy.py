"""Eigenpairs where an equation's uniqueness is next to nothing, against many digits."""

import mpmath
import numpy as np
import pytest

from sm_alsgls.core.sigma.eigenpairs import leading
from sm_alsgls.core.sigma.factor import fit_factor
from sm_alsgls.core.sigma.heavy import pairs_apart
from sm_alsgls.covariance import LowRankDiag


def rows(seed, n, K, heavy, share=1e-8):
    """Standardised rows Z whose columns ``heavy`` are 1 / share times as large as the others."""
    rng = np.random.default_rng(seed)
    E = rng.standard_normal((n, 2)) @ rng.standard_normal((2, K)) + rng.standard_normal((n, K))
    d = 0.5 * np.einsum("nk,nk->k", E, E) / n
    d[heavy] *= share
    marked = np.zeros(K, dtype=bool)
    marked[heavy] = True
    return E / np.sqrt(n * d), marked


def exact(Z, r):
    """The r leading eigenpairs of Z'Z in 50 digits."""
    with mpmath.workdps(50):
        M = mpmath.matrix(Z.tolist())
        values, V = mpmath.eigsy(M.T * M)
        K = len(values)
        return (
            np.array([float(values[K - 1 - i]) for i in range(r)]),
            np.array([[float(V[j, K - 1 - i]) for i in range(r)] for j in range(K)]),
        )


@pytest.mark.parametrize(
    ("n", "K", "heavy", "r"),
    [(7, 10, [3], 3), (7, 10, [9, 1], 2), (7, 10, [0, 5], 4), (9, 9, [8], 1)],
)
def test_pairs_to_rounding(n, K, heavy, r):
    Z, marked = rows(1, n, K, heavy)
    values, V = exact(Z, r)
    found = pairs_apart(Z, marked, r)
    np.testing.assert_allclose(found[0], values, rtol=2e-14)
    np.testing.assert_allclose(found[1].T @ found[1], np.eye(r), atol=1e-14)
    turned = found[1] * np.sign((found[1] * V).sum(axis=0))
    np.testing.assert_allclose(turned, V, atol=1e-10)
    # What this is there for.
    if r > len(heavy):
        plain = leading(Z @ Z.T, r)[0]
        assert np.abs(plain / values - 1.0).max() > 1e-12


def test_more_than_factors_or_dependent_ones_are_left_to_others():
    Z, marked = rows(2, 7, 8, [1, 4])
    assert pairs_apart(Z, marked, 1) is None
    Z[:, 4] = 2.0 * Z[:, 1]
    assert pairs_apart(Z, marked, 3) is None


@pytest.mark.parametrize(("n", "K"), [(40, 12), (12, 14), (20, 48), (60, 100)])
def test_a_heywood_case_converges_as_others_do(n, K):
    """f at its end is that of the dense Sigma to rounding, and takes no hundred evaluations.

    Eigenvalues that rounding of the largest leaves wrong put f 1e-10 to 1e-9 off; gradients of
    1e-7 are below that, and steps were tried until none was left.
    """
    rng = np.random.default_rng(3 if n == 60 else 0)
    E = rng.standard_normal((n, 1)) + rng.standard_normal((n, K))
    E[:, 0] = rng.standard_normal(n)
    E[:, 4 : K // 3] += E[:, [0]]
    s = np.einsum("nk,nk->k", E, E) / n
    near = fit_factor(E, 2, d=np.where(np.arange(K) == 0, 1e-8, 0.5) * s, gtol=1e-3)
    fit = fit_factor(E, 2, d=near.d, gtol=1e-8)
    assert fit.converged
    assert fit.at_bound[0]
    assert fit.evaluations < 25
    cov = LowRankDiag(fit.F, fit.d)
    dense = cov.nll(E) - 0.5 * K * np.log(2.0 * np.pi)
    assert fit.nll == pytest.approx(dense, abs=1e-12)
