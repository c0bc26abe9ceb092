"""Directions that all designs contain, and what is beside them, against dense projections."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sm_alsgls.core.design import per_equation
from sm_alsgls.core.design.beside import Beside, common_directions
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.instruments.beside import BesideFaces
from sm_alsgls.core.instruments.design import Instrumented


def designs(m, own, n=24, seed=0):
    """Blocks of m common columns, turned together with own ones, and the common ones."""
    rng = np.random.default_rng(seed)
    common, blocks = rng.standard_normal((n, m)), []
    for width in own:
        X = np.column_stack([common, rng.standard_normal((n, width))])
        # Nothing that makes columns nearly dependent: rounding would then part what is common.
        blocks.append(X @ np.linalg.qr(rng.standard_normal((m + width,) * 2))[0])
    return Design(blocks), common


shapes = st.tuples(
    st.integers(0, 3), st.lists(st.integers(0, 3), min_size=2, max_size=5), st.integers(0, 99)
).filter(lambda s: s[0] + min(s[1]) > 0)


@given(shapes)
@settings(max_examples=40, deadline=None)
def test_they_are_the_intersection_of_all_spans(shape):
    m, own, seed = shape
    design, _ = designs(m, own, seed=seed)
    projections = [design.basis(j) @ design.basis(j).T for j in range(design.K)]
    values, vectors = np.linalg.eigh(np.mean(projections, axis=0))
    expected = vectors[:, values > 1.0 - 1e-9]
    found = common_directions(design)
    assert found.shape == expected.shape
    assert_allclose(found @ found.T, expected @ expected.T, atol=1e-9)


@given(shapes, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_what_is_beside_them(shape, size):
    m, own, seed = shape
    design, _ = designs(m, own, seed=seed)
    C = common_directions(design)
    parts = Beside(design, C)
    assert_allclose(parts.p, design.p - C.shape[1])
    rows, owner = parts.rows(), parts.expand(np.arange(design.K))
    assert rows.shape == (parts.P, parts.n)
    seen = []
    for equations, basis, at in parts.tiles(size):
        assert_allclose(rows[at], basis.reshape(rows[at].shape), atol=0.0)
        assert_allclose(owner[at], np.repeat(equations, basis.shape[1]))
        for j, B in zip(equations, basis, strict=True):
            both = np.column_stack([C, B.T])
            assert_allclose(both.T @ both, np.eye(both.shape[1]), atol=1e-12)
            assert_allclose(both @ both.T, design.basis(j) @ design.basis(j).T, atol=1e-12)
        seen += list(equations)
    assert sorted(seen) == list(range(design.K))


@given(shapes)
@settings(max_examples=40, deadline=None)
def test_inverses_fall_apart(shape):
    """Blocks of (s_jl Q_j'Q_l)^-1 from S^-1 and the inverse beside."""
    m, own, seed = shape
    design, _ = designs(m, own, seed=seed)
    A = np.random.default_rng(seed).standard_normal((design.K, 2 * design.K))
    S = A @ A.T
    stacked = design.stacked
    expected = np.linalg.inv(stacked.spread(S))
    parts = Beside(design, common_directions(design))
    rows, owner = parts.rows(), parts.expand(np.arange(design.K))
    inner = np.linalg.inv((rows @ rows.T) * S[np.ix_(owner, owner)])
    for equations, at in parts.places():
        p = parts.p[equations[0]]
        blocks = np.stack([
            inner[at, at][i * p : (i + 1) * p, i * p : (i + 1) * p] for i in range(len(equations))
        ])  # fmt: skip
        whole = parts.whole(equations, blocks, np.diag(np.linalg.inv(S))[equations])
        for j, block in zip(equations, whole, strict=True):
            own_place = design.equation_slice(int(j))
            assert_allclose(block, expected[own_place, own_place], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("off", "common"), [(0.0, 1), (1e-9, 0), (1e-3, 0)])
def test_nearly_common_is_not_common(off, common):
    """An angle of 1e-9 has a cosine of 1 in doubles."""
    rng = np.random.default_rng(1)
    blocks = []
    for j in range(6):
        constant = np.ones(30) + (off * rng.standard_normal(30) if j == 4 else 0.0)
        blocks.append(np.column_stack([constant, rng.standard_normal((30, 2))]))
    assert common_directions(Design(blocks)).shape == (30, common)


def test_equal_designs_have_nothing_beside():
    X = np.random.default_rng(2).standard_normal((20, 3))
    parts = Beside(Design([X] * 4), common_directions(Design([X] * 4)))
    assert (parts.P, parts.p.tolist()) == (0, [0] * 4)
    for equations, _ in parts.places():
        own = np.arange(1.0, 5.0)[equations]
        whole = parts.whole(equations, np.empty((len(equations), 0, 0)), own)
        assert_allclose(whole, own[:, None, None] * np.eye(3), atol=1e-12)


def test_both_faces_of_instruments_and_their_hats_are_looked_at_once(monkeypatch):
    rng, one = np.random.default_rng(0), np.ones((30, 1))
    Z = [np.hstack([one, rng.standard_normal((30, 2))]) for _ in range(4)]
    X = [np.hstack([one, z[:, 1:].sum(axis=1)[:, None] + rng.standard_normal((30, 1))]) for z in Z]
    design, found = Instrumented(X, Z), []

    def counted(of):
        found.append(common_directions(of))
        return found[-1]

    monkeypatch.setattr(per_equation, "common_directions", counted)
    parts = BesideFaces(design)
    assert parts.P == design.P - 4
    (once,) = found
    assert design.hat.in_all is once
    assert len(found) == 1
