"""Leading eigenpairs of a matrix near the last one, against those of LAPACK."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls.core.errors.complete import CompleteErrors
from sm_alsgls.core.sigma import spectrum as module
from sm_alsgls.core.sigma.factor import fit_factor
from sm_alsgls.core.sigma.followed import followed
from sm_alsgls.core.sigma.spectrum import DenseSpectrum
from tests.core import systems


def matrix(rng, m, r, strength=1.0):
    E = strength * rng.standard_normal((2 * m, r)) @ rng.standard_normal((r, m))
    E += rng.standard_normal((2 * m, m))
    return E.T @ E / (2 * m)


def near(rng, V, apart):
    return np.linalg.qr(V + apart * rng.standard_normal(V.shape) / np.sqrt(len(V)))[0]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(8, 90),
    st.integers(1, 4),
    st.sampled_from([0.0, 1e-8, 1e-3, 0.3, 3.0]),
    st.floats(0.0, 3.0),
    st.integers(0, 10**6),
)
def test_exact_or_not_at_all(m, r, apart, strength, seed):
    """Whatever the start and however weak the factors: what is found is what LAPACK finds."""
    rng = np.random.default_rng(seed)
    A = matrix(rng, m, r, strength)
    values, vectors = np.linalg.eigh(A)
    values, vectors = values[::-1][:r], vectors[:, ::-1][:, :r]
    found = followed(A, near(rng, vectors, apart))
    if found is None:
        return
    theta, V = found
    np.testing.assert_allclose(theta, values, rtol=1e-13)
    np.testing.assert_allclose(V @ V.T, vectors @ vectors.T, rtol=0, atol=1e-11)
    np.testing.assert_allclose(V.T @ V, np.eye(r), rtol=0, atol=1e-13)


@pytest.mark.parametrize("apart", [1e-9, 1e-4, 0.05])
def test_found_where_factors_are_strong(apart):
    rng = np.random.default_rng(1)
    A = matrix(rng, 100, 3)
    V = np.linalg.eigh(A)[1][:, ::-1][:, :3]
    assert followed(A, near(rng, V, apart)) is not None


def test_other_eigenvectors_are_not_taken_for_the_leading_ones():
    """Exact eigenvectors, but not of the largest values."""
    A = matrix(np.random.default_rng(2), 80, 3)
    V = np.linalg.eigh(A)[1][:, ::-1]
    assert followed(A, V[:, :3]) is not None
    assert followed(A, V[:, [0, 1, 3]]) is None
    assert followed(A, V[:, 1:4]) is None
    # Only the norm tells these, as 60 looks like the end of the others' law.
    A = np.diag([100.0, 60.0, 50.0, *np.ones(77)])
    assert followed(A, np.eye(80)[:, :2]) is not None
    assert followed(A, np.eye(80)[:, [0, 2]]) is None


@pytest.mark.parametrize("bad", [np.nan, 0.0])
def test_no_matrix_is_believed_that_has_no_such_values(bad):
    assert followed(np.full((70, 70), bad), np.eye(70)[:, :2]) is None


@pytest.mark.parametrize(("n", "K"), [(300, 100), (100, 300)])
def test_a_fit_takes_the_same_way(monkeypatch, n, K):
    rng = np.random.default_rng(3)
    E = np.asfortranarray(systems.factor_data(rng, n, K, 2))
    used = []

    def counted(A, V):
        used.append(followed(A, V) is not None)
        return followed(A, V)

    monkeypatch.setattr(module, "followed", counted)
    fit = fit_factor(E, 2)
    assert sum(used) >= fit.evaluations - 4
    monkeypatch.setattr(module, "FOLLOWED_FROM", 10**6)
    plain = fit_factor(E, 2)
    assert plain.evaluations == fit.evaluations
    np.testing.assert_allclose(fit.d, plain.d, rtol=1e-11)


def test_a_sigma_nearby_tells_where_the_vectors_are(monkeypatch):
    """A step from a Sigma has no eigenvectors to find afresh; any start ends at the same."""
    rng = np.random.default_rng(5)
    E = np.asfortranarray(systems.factor_data(rng, 300, 100, 2))
    law, floor = CompleteErrors(100, 300), np.full(100, 1e-8)
    plain = law.sigma(E, 2, floor=floor, near=None, d=None, block=None, gtol=1e-9)
    afresh = []

    def counted(A, r):
        afresh.append(r)
        return leading(A, r)

    leading = module.leading
    monkeypatch.setattr(module, "leading", counted)
    moved = np.asfortranarray(E + 0.02 * rng.standard_normal(E.shape))
    near = law.sigma(moved, 2, floor=floor, near=plain.cov, d=None, block=None, gtol=1e-9)
    assert near.converged
    assert not afresh
    far = fit_factor(moved, 2, d=near.d, block=np.eye(100)[:, :2], floor=floor, gtol=1e-9)
    none = fit_factor(moved, 2, d=near.d, block=np.zeros((100, 2)), floor=floor, gtol=1e-9)
    for other in (far, none):
        np.testing.assert_allclose(other.cov.to_dense(), near.cov.to_dense(), rtol=1e-7, atol=1e-9)


def test_weak_factors_are_found_afresh(monkeypatch):
    """Without separated values nothing is tried."""

    def never(A, V):
        raise AssertionError

    monkeypatch.setattr(module, "followed", never)
    E = np.random.default_rng(4).standard_normal((120, 90))
    source = DenseSpectrum(E, 120, 3)
    for d in (np.full(90, 0.5), np.full(90, 0.6)):
        source.pairs(d)
