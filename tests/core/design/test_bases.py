"""Smallest eigenvalues of Gram matrices, as far as they are wanted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls.core.design.bases import least_eigenvalues

ENOUGH = 1e-2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.floats(0.0, 1.0))
def test_what_is_said_of_an_eigenvalue_holds(seed, p, near):
    rng = np.random.default_rng(seed)
    M = rng.standard_normal((5, p, 12))
    M += 10 ** (3 * near) * rng.standard_normal((5, 1, 12))
    M /= np.linalg.norm(M, axis=2)[:, :, None]
    gram = np.matmul(M, M.transpose(0, 2, 1))
    exact = np.linalg.eigvalsh(gram)[:, 0]
    found = least_eigenvalues(gram, ENOUGH)
    assert (found <= exact + 1e-14).all()
    bounds = found >= ENOUGH
    np.testing.assert_allclose(found[~bounds], exact[~bounds], atol=1e-14)


def test_the_bound_is_as_large_as_it_may_be(monkeypatch):
    """All other eigenvalues equal; and clean designs need no eigenvalues."""
    p, least = 6, 0.2
    rest = (p - least) / (p - 1)
    gram = (np.eye(p) * rest + (least - rest) / p)[None]
    assert np.diagonal(gram[0]) == pytest.approx(1.0)
    bound = least_eigenvalues(gram, 0.0)[0]
    assert bound <= np.linalg.eigvalsh(gram)[0, 0]
    assert bound == pytest.approx(least * rest ** (p - 1) / np.e)
    monkeypatch.setattr(np.linalg, "eigvalsh", None)
    assert least_eigenvalues(np.eye(p)[None], ENOUGH)[0] == pytest.approx(1.0 / np.e)
