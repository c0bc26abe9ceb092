"""An unrestricted Sigma through holes, row by row against dense NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.unrestricted import Unrestricted


def system(seed, N, K, share, units=0.0):
    rng = np.random.default_rng(seed)
    mask = rng.random((N, K)) < share
    mask[np.arange(N), rng.integers(0, K, N)] = True
    c = 10.0 ** rng.uniform(-units, units, K)
    root = rng.standard_normal((2 * K, K)) * c
    E = np.where(mask, rng.standard_normal((N, 2 * K)) @ root, 0.0)
    cov = Unrestricted.from_residuals(root)
    return cov, cov.seen(Patterns(mask)), E


CASES = {
    "few patterns": lambda: system(0, 60, 3, 0.7),
    "a pattern a row": lambda: system(1, 90, 9, 0.6),
    "complete": lambda: system(2, 20, 4, 2.0),
    "wide units": lambda: system(3, 50, 5, 0.6, units=8.0),
    "one equation": lambda: system(4, 10, 1, 1.0),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return CASES[request.param]()


def dense(cov, observed, n):
    seen = np.flatnonzero(observed.patterns.mask[n])
    Sigma = cov.to_dense()
    return seen, np.linalg.inv(Sigma[np.ix_(seen, seen)]), Sigma


def test_both_ways_through_the_patterns_are_taken():
    assert CASES["few patterns"]()[1].patterns.G <= 8
    assert CASES["a pattern a row"]()[1].patterns.G > 64


def test_solve_whiten_precision(case):
    cov, observed, E = case
    W, white, cells = observed.solve(E), observed.whiten(E), observed.precision_cells()
    want, diag = np.zeros_like(E), np.zeros_like(E)
    total = np.zeros((cov.K, cov.K))
    sd = np.sqrt(cov.diag())
    for n in range(len(E)):
        seen, inverse, _ = dense(cov, observed, n)
        want[n, seen] = inverse @ E[n, seen]
        diag[n, seen] = np.diagonal(inverse)
        total[np.ix_(seen, seen)] += inverse
    assert_allclose(W * sd, want * sd, rtol=1e-9, atol=1e-10)
    assert_array_equal(W[~observed.patterns.mask], 0.0)
    assert_allclose(np.square(white).sum(axis=1), (want * E).sum(axis=1), rtol=1e-9)
    assert_allclose(cells * sd**2, diag * sd**2, rtol=1e-9)
    assert_allclose(observed.precision_diag(), diag.sum(axis=0) / observed.patterns.rows, rtol=1e-9)
    scale = np.outer(sd, sd)
    assert_allclose(observed.total_precision() * scale, total * scale, rtol=1e-8, atol=1e-8)


def test_likelihood_is_that_of_normal_rows(case):
    cov, observed, E = case
    sd = np.sqrt(cov.diag())
    total = 0.0
    for n in range(len(E)):
        seen, _, Sigma = dense(cov, observed, n)
        R = Sigma[np.ix_(seen, seen)] / np.outer(sd[seen], sd[seen])
        total += multivariate_normal(cov=R).logpdf(E[n, seen] / sd[seen]) - np.log(sd[seen]).sum()
    assert_allclose(observed.nll(E), -total / len(E), rtol=1e-10)


def test_conditional_and_weights(case):
    cov, observed, E = case
    got = observed.conditional(E)
    N, K = E.shape
    rows, equations = np.divmod(np.arange(N * K), K)
    weights = observed.weights(rows, equations)
    sd = np.sqrt(cov.diag())
    for i, (n, j) in enumerate(zip(rows, equations, strict=True)):
        others = np.flatnonzero(observed.patterns.mask[n] & (np.arange(K) != j))
        Sigma = cov.to_dense()
        b = np.linalg.solve(Sigma[np.ix_(others, others)], Sigma[others, j])
        want = np.zeros(K)
        want[others] = b
        assert_allclose(weights[i] * sd / sd[j], want * sd / sd[j], rtol=1e-7, atol=1e-9)
        assert_allclose(got.mean[n, j] / sd[j], b @ E[n, others] / sd[j], rtol=1e-8, atol=1e-9)
        left = (Sigma[j, j] - b @ Sigma[others, j]) / Sigma[j, j]
        assert_allclose(got.variance[n, j] / Sigma[j, j], left, rtol=1e-8, atol=1e-12)


def test_nearly_dependent_equations_keep_their_digits():
    """Columns 1e-7 apart: Sigma's own Cholesky would have two digits left of the difference."""
    rng = np.random.default_rng(5)
    base = rng.standard_normal(50)
    E = np.column_stack([base, base + 1e-7 * rng.standard_normal(50), rng.standard_normal(50)])
    cov = Unrestricted.from_residuals(E)
    mask = np.ones((50, 3), dtype=bool)
    mask[::2, 2] = False
    observed = cov.seen(Patterns(mask))
    pair = Unrestricted.from_residuals(E[:, :2])
    assert_allclose(observed.precision_cells()[0, :2], pair.precision_diag(), rtol=1e-7)
