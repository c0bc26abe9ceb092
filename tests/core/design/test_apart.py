"""Columns that are told apart without a basis: True is certain, False says nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls.core.design import apart as module
from sm_alsgls.core.design.apart import apart
from sm_alsgls.core.design.bases import DependentColumnsError
from sm_alsgls.core.design.spans import bases_of, columns_of, spanned

N = 40


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.integers(0, 3),
    st.floats(-12.0, 0.0),
    st.floats(-12.0, 0.0),
    st.sampled_from([1e-140, 1e-20, 1.0, 1e20, 1e140]),
)
def test_what_is_apart_is_so_by_a_basis(seed, q, c, near, nearly, scale):
    """Instruments that almost depend on each other, regressors that almost lie in their span."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((N, q))
    if q > 1:
        Z[:, -1] = Z[:, 0] + 10.0**near * Z[:, -1]
    X = Z @ rng.standard_normal((q, c)) + 10.0**nearly * rng.standard_normal((N, c))
    if seed % 3 == 0:
        X += 10.0 ** (seed % 8)
    Z, X = Z * scale, X / scale
    places = [(0, i) for i in range(c)]
    if not apart([X], [Z], [places])[0]:
        return
    ((_, basis),) = bases_of([Z], [0])  # raises nothing
    assert not (c and spanned(columns_of([X], places)[None], basis).any())
    unit = np.hstack([Z, X]) / np.linalg.norm(np.hstack([Z, X]), axis=0)
    assert np.linalg.svd(unit, compute_uv=False)[-1] > 0.99e-3


@pytest.mark.parametrize("scale", [1e-140, 1.0, 1e140])
@pytest.mark.parametrize("size", [1, 2**20])
def test_unrelated_columns_are_apart(monkeypatch, scale, size):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(module, "_BYTES", size)
    designs = [rng.standard_normal((N, q)) * scale for q in (2, 3, 2, 4)]
    X = rng.standard_normal((N, 3))
    assert apart([X], designs, [[(0, 1)], [], [(0, 0), (0, 2)], [(0, 1)]]).all()


def test_dependent_tiny_and_many_columns_are_left_open():
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((N, 3))
    zero, twice, tiny = Z.copy(), Z[:, [0, 1, 0]], Z * 1e-160
    zero[:, 1] = 0.0
    wide = rng.standard_normal((400, module._FEW + 1))
    for open_ in (zero, twice, tiny, Z * 1e152, wide):
        assert apart([], [open_, Z], [[], []]).tolist() == [False, True]
    with pytest.raises(DependentColumnsError):
        next(bases_of([twice], [0]))
