"""The effective F: its definition, published critical values, and the size of the test."""

import numpy as np
import pytest
from scipy import stats

from sm_alsgls.core.beta.robust import Clusters, White
from sm_alsgls.core.instruments.effective_f import (
    TAUS,
    critical_value,
    effective_degrees,
    effective_f,
    homoscedastic_critical_value,
    tsls_bias,
)
from sm_alsgls.core.instruments.first_stage import robust_fvalue, strength
from sm_alsgls.core.instruments.partialled import partial_out
from tests.core.instruments.draws import equation


def definition(X, Z, endogenous, groups=None):
    """The paper's: Z orthogonal with Z'Z / N = I, W2 the covariance of Z'v / sqrt(N)."""
    exog, N = X[:, ~endogenous], len(X)
    M = np.eye(N) - exog @ np.linalg.pinv(exog)
    Y, own = M @ X[:, endogenous][:, 0], (M @ Z)[:, exog.shape[1] :]
    own = own @ np.linalg.inv(np.linalg.cholesky(own.T @ own / N)).T
    v = Y - own @ (own.T @ Y) / N
    scores = own * v[:, None]
    if groups is not None:
        scores = np.array([scores[groups == g].sum(axis=0) for g in np.unique(groups)])
    W2 = scores.T @ scores / N
    return (own.T @ Y) @ (own.T @ Y) / N / np.trace(W2), W2


@pytest.mark.parametrize("L", [1, 2, 5])
def test_against_the_definition(L):
    _, X, Z, endogenous = equation(L=L, seed=L, uneven=True)
    part = partial_out(X, Z, endogenous)
    got, S = effective_f(part, White())
    want, W2 = definition(X, Z, endogenous)
    assert got == pytest.approx(want, rel=1e-10)
    assert critical_value(S)[1] == pytest.approx(effective_degrees(W2, 10.0), rel=1e-10)
    groups = np.arange(80) // 4
    got = effective_f(part, Clusters(groups))[0]
    assert got == pytest.approx(definition(X, Z, endogenous, groups)[0], rel=1e-10)
    factor = 80 / part.df
    assert effective_f(part, White(), factor)[0] == pytest.approx(want / factor, rel=1e-10)
    even, S = effective_f(part)
    assert even == pytest.approx(strength(part).fvalue[0], rel=1e-10)
    assert critical_value(S)[1] == pytest.approx(L, rel=1e-10)
    wald = robust_fvalue(part, White())[0]
    # A robust Wald statistic is the effective F with one instrument only.
    assert (wald == pytest.approx(want, rel=1e-6)) == (L == 1)


def test_published_critical_values():
    """Montiel Olea and Pflueger (2013), table 1: one effective degree of freedom."""
    found = [homoscedastic_critical_value(1.0, tau) for tau in TAUS]
    np.testing.assert_allclose(found, [37.42, 23.11, 15.06, 12.05], atol=5e-3)
    # A noncentral chi2 of one degree is the square of a shifted normal: no series needed.
    for tau, value in zip(TAUS, found, strict=True):
        root, shift = np.sqrt(value), np.sqrt(1 / tau)
        assert stats.norm.sf(root - shift) + stats.norm.cdf(-root - shift) == pytest.approx(0.05)


@pytest.mark.parametrize("level", [0.01, 0.05, 0.10])
@pytest.mark.parametrize("K", [1.0, 2.5, 7.0, 30.0])
def test_critical_values_are_quantiles(K, level):
    for tau in TAUS:
        value = homoscedastic_critical_value(K, tau, level)
        assert stats.ncx2.sf(K * value, K, K / tau) == pytest.approx(level, rel=1e-6)
    none = homoscedastic_critical_value(K, 0.1, level, bias=0.0)
    assert stats.chi2.sf(K * none, K) == pytest.approx(level, rel=1e-8)


def test_degrees():
    assert effective_degrees(np.eye(7), 10.0) == pytest.approx(7.0)
    spread = np.diag([1.0, 1e-9, 1e-9])
    assert effective_degrees(spread, 10.0) == pytest.approx(1.0, abs=1e-6)
    rng = np.random.default_rng(0)
    root = rng.standard_normal((4, 4))
    # Patnaik's: the mean and the variance of c'c along the worst direction are those of
    # tr(S) chi2_K(xK) / K.
    S, x = root @ root.T, 10.0
    K = effective_degrees(S, x)
    mean = np.trace(S) * (1 + x)
    variance = 2 * np.trace(S @ S) + 4 * x * np.trace(S) * np.linalg.eigvalsh(S)[-1]
    first, second = stats.ncx2.stats(K, x * K, moments="mv")
    assert np.trace(S) * first / K == pytest.approx(mean)
    assert (np.trace(S) / K) ** 2 * second == pytest.approx(variance)


@pytest.mark.parametrize("spectrum", [[1.0], [1.0, 1.0, 1.0], [9.0, 1.0, 0.5], [5.0] + 9 * [1.0]])
def test_size_at_the_boundary(spectrum):
    """c ~ N(mu, S), mu'mu = x tr(S) in the worst direction: 40,000 draws, standard error .0011."""
    S, x = np.diag(spectrum), 10.0
    rng = np.random.default_rng(1)
    mu = np.zeros(len(spectrum))
    mu[0] = np.sqrt(x * np.trace(S))
    c = mu + rng.standard_normal((40_000, len(spectrum))) * np.sqrt(spectrum)
    F = (c * c).sum(axis=1) / np.trace(S)
    size = np.mean(F > critical_value(S)[0])
    # Patnaik's two moments miss the tail by as much as .003 here.
    assert 0.045 < size < 0.0545


def brute(S11, S12, S22, draws, rng):
    """The largest Nagar bias over its benchmark, of drawn directions and a grid of b."""
    c = rng.standard_normal((draws, len(S22)))
    c /= np.linalg.norm(c, axis=1)[:, None]
    mixed = (S12 + S12.T) / 2
    # tr(S) - 2 c'S c of S = mixed - b S22 is linear in b.
    first, slope = (np.trace(S) - 2 * np.einsum("ni,ij,nj->n", c, S, c) for S in (mixed, S22))
    best = 0.0
    for b in np.tan(np.linspace(-np.pi / 2 + 1e-4, np.pi / 2 - 1e-4, 2001)):
        t1 = np.trace(S11) - 2 * b * np.trace(mixed) + b * b * np.trace(S22)
        best = max(best, np.abs(first - b * slope).max() / np.sqrt(t1 * np.trace(S22)))
    return best


@pytest.mark.parametrize(("L", "seed"), [(1, 0), (2, 0), (3, 0), (3, 1)])
def test_bias_of_tsls(L, seed):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((2 * L, 2 * L + 3))
    S = root @ root.T
    S11, S12, S22 = S[:L, :L], S[:L, L:], S[L:, L:]
    got, want = tsls_bias(S11, S12, S22), brute(S11, S12, S22, 4000, rng)
    # 2,001 coefficients and 4,000 directions come within a hundredth of the supremum.
    assert want <= got * (1 + 1e-9)
    assert got == pytest.approx(want, rel=1e-2)
    # With the other sign of the response coefficients turn theirs, and the eigenvalues.
    assert tsls_bias(S11, -S12, S22) == pytest.approx(got, rel=1e-8)
    units = tsls_bias(1e16 * S11, 1e8 * S12, S22)
    assert units == pytest.approx(got, rel=1e-8)


@pytest.mark.parametrize("L", [1, 2, 3, 8])
def test_bias_of_tsls_where_rows_have_one_variance(L):
    eye = np.eye(L)
    assert tsls_bias(2.0 * eye, 0.7 * eye, 3.0 * eye) == pytest.approx(abs(1 - 2 / L), abs=1e-7)
