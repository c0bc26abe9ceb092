"""The two faces of a design with instruments."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.instruments.design import (
    DependentInstrumentsError,
    Instrumented,
    ManyInstrumentsError,
    UnidentifiedError,
)
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.core.rows.instrumented import instrumented_rows
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import NotApplicableError, ShapeError
from tests.core.instruments.twin import system


@pytest.fixture
def made():
    blocks, instruments, Y, _, _ = system(np.random.default_rng(0))
    return blocks, instruments, Y, Instrumented(blocks, instruments)


def test_faces_and_bases(made):
    blocks, instruments, Y, design = made
    g = np.random.default_rng(1).standard_normal(design.P)
    beta = design.to_beta(g)
    P = [Z @ np.linalg.pinv(Z) for Z in instruments]
    expected = np.column_stack([X @ b for X, b in zip(blocks, beta, strict=True)])
    assert_allclose(design.fitted(g), expected, atol=1e-12)
    assert_allclose(design.left(Y, g), Y - expected, atol=1e-12)
    hats = np.column_stack([p @ X @ b for p, X, b in zip(P, blocks, beta, strict=True)])
    assert_allclose(design.first_stage(g), hats, atol=1e-12)
    assert_allclose(design.hat.fitted(g), hats, atol=1e-12)
    # Transposes of the two.
    v = np.random.default_rng(2).standard_normal(Y.shape)
    assert_allclose(np.sum(v * expected), design.face_project(v) @ g)
    assert_allclose(np.sum(v * hats), design.project(v) @ g)
    for j, X in enumerate(blocks):
        Q, over = design.basis(j), design.over.basis(j)
        assert_allclose(Q.T @ design.face(j), np.eye(design.p[j]), atol=1e-12)
        assert_allclose(over.T @ X, 0.0, atol=1e-10)
        assert_allclose(Q @ Q.T + over @ over.T, P[j], atol=1e-12)
        assert_allclose(design.regressors(j), X, atol=1e-10)
        assert design.exogenous[j].tolist() == [True] * (X.shape[1] - 1) + [False]
    assert design.over.P == design.q.sum() - design.P


def test_compressed_rows_have_the_same_coordinates(made):
    blocks, instruments, Y, _ = made
    blocks = [np.vstack([X] * 3) + np.random.default_rng(9).standard_normal() for X in blocks]
    instruments = [np.vstack([Z] * 3) for Z in instruments]
    Y = np.vstack([Y] * 3)
    instruments = [np.column_stack([np.ones(len(Y)), Z[:, 1:]]) for Z in instruments]
    rows = instrumented_rows(Cells(*Y.shape), blocks, instruments, Y)
    assert len(rows.Y) < len(Y)
    short = Instrumented(rows.blocks, rows.instruments, len(Y))
    whole = short.on_rows(blocks, instruments)
    own = Instrumented(blocks, instruments)
    gamma = short.project(rows.Y)
    assert_allclose(whole.project(Y), gamma, atol=1e-10)
    for one in (short, whole):
        assert_allclose(one.to_params(gamma), own.to_params(own.project(Y)), atol=1e-9)
    assert_allclose(whole.fitted(gamma), own.fitted(own.project(Y)), atol=1e-9)
    assert_allclose(whole.over.project(Y), short.over.project(rows.Y), atol=1e-9)


def test_equal_designs_are_one():
    rng = np.random.default_rng(3)
    Z = rng.standard_normal((30, 4))
    X = Z[:, :2] + rng.standard_normal((30, 2))
    design = Instrumented([X] * 3, [Z] * 3)
    assert design.shared
    assert design.over.shared
    each = Instrumented([X, X.copy() + 0.0, X], [Z, Z[:, ::-1], Z])
    Y = rng.standard_normal((30, 3))
    assert_allclose(
        design.to_params(design.project(Y)), each.to_params(each.project(Y)), atol=1e-10
    )
    assert_allclose(design.on_rows([X] * 3, [Z] * 3).fitted(design.project(Y)),
                    design.fitted(design.project(Y)), atol=1e-12)  # fmt: skip


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_units_do_not_matter(scale, shift, made):
    blocks, instruments, Y, design = made
    moved = [X.copy() for X in blocks]
    moved[1][:, -1] = (moved[1][:, -1] + shift) * scale
    again = Instrumented(moved, [Z * [1.0, *[scale] * (Z.shape[1] - 1)] for Z in instruments])
    beta = design.to_beta(design.project(Y))[1]
    found = again.to_beta(again.project(Y))[1]
    assert_allclose(found[-1] * scale, beta[-1], rtol=1e-7)
    assert not again.exogenous[1][-1]


def test_what_is_not_identified():
    rng = np.random.default_rng(4)
    Z = rng.standard_normal((20, 3))
    X = rng.standard_normal((20, 4))
    good = np.ones((20, 1))
    with pytest.raises(UnidentifiedError) as error:
        Instrumented([good, X], [np.ones((20, 1)), Z])
    assert (error.value.equation, error.value.q, error.value.p) == (1, 3, 4)
    # Two endogenous regressors of which the instruments see one direction.
    x = Z[:, 0] + np.linalg.svd(Z)[0][:, 5]
    two = np.column_stack([Z[:, 1], x, 2.0 * Z[:, 0] + np.linalg.svd(Z)[0][:, 6]])
    with pytest.raises(UnidentifiedError) as error:
        Instrumented([two], [Z])
    assert error.value.equation == 0
    assert set(error.value.columns) | set(error.value.others) == {1, 2}
    twice = np.column_stack([Z, Z[:, 0] - Z[:, 1]])
    with pytest.raises(DependentInstrumentsError) as error:
        Instrumented([Z[:, :1]], [twice])
    assert len(error.value.columns) == 1
    with pytest.raises(ManyInstrumentsError):
        Instrumented([X[:, :1]], [rng.standard_normal((20, 20))])
    with pytest.raises(ManyInstrumentsError):  # of rows that stand for as many as instruments
        Instrumented([X[:, :1]], [rng.standard_normal((20, 5))], 5)
    with pytest.raises(ShapeError):
        Instrumented([X], [Z[:-1]])


def test_a_likelihoods_normal_matrix_is_refused(made):
    *_, design = made
    problem_cov = LowRankDiag.diagonal(np.ones(4))
    for one in (design, Restrictions(np.eye(1, design.P), np.zeros(1)).bind(design)):
        with pytest.raises(NotApplicableError, match="not symmetric"):
            one.normal(problem_cov, 60)
    assert design.hat.normal(problem_cov, 60).apply(np.ones(design.P)).shape == (design.P,)


def test_turned_designs_have_both_faces(made):
    """As common coefficients turn them: own columns first, here the last."""
    blocks, instruments, Y, design = made
    turned = design.turned([np.roll(np.arange(X.shape[1]), 1) for X in blocks])
    beta = [np.arange(1.0, 1.0 + X.shape[1]) for X in blocks]
    g = turned.from_beta(beta)
    want = np.column_stack([X @ b for X, b in zip(blocks, beta, strict=True)])
    assert_allclose(turned.fitted(g), want, atol=1e-10)
    assert_allclose(turned.first_stage(g), design.first_stage(design.from_beta(beta)), atol=1e-10)
    both = [np.concatenate(one.to_beta(one.project(Y))) for one in (turned, design)]
    assert_allclose(*both, rtol=1e-8)
    assert_allclose(turned.over.project(Y), design.over.project(Y), atol=1e-12)
    again = turned.on_rows(blocks, instruments)
    for j in range(design.K):
        assert_allclose(again.basis(j), turned.basis(j), atol=1e-10)
        assert_allclose(again.face(j), turned.face(j), atol=1e-10)
        assert_allclose(turned.basis(j).T @ turned.face(j), np.eye(turned.p[j]), atol=1e-10)
        # The first direction is that of the column which is first in the order.
        R = np.linalg.inv(turned.beta_map(j))
        assert_allclose(R[1:, -1], 0.0, atol=1e-9 * np.abs(R[0, -1]))
    equal = Instrumented([blocks[0]] * 3, [instruments[0]] * 3)
    alike = equal.turned([np.array([1, 0])] * 3)
    assert alike.shared
    assert not equal.turned([np.array([1, 0]), np.array([0, 1]), np.array([0, 1])]).shared
    beta = [np.arange(2.0)] * 3
    assert_allclose(alike.fitted(alike.from_beta(beta)), np.tile(blocks[0][:, [1]], 3), atol=1e-10)


def test_tiles_of_faces_are_those_of_their_equations():
    """Standard errors of many equations take them a few at a time."""
    blocks, instruments, _, _, _ = system(
        np.random.default_rng(5), 30, 7, q=(4, 3, 4, 3, 4, 3, 4), p=(2, 3, 2, 3, 2, 3, 2)
    )
    design = Instrumented(blocks, instruments)
    seen = []
    for equations, _, at in design.tiles(2):
        faces = design.faces_at(at, len(equations))
        for j, face in zip(equations, faces, strict=True):
            assert_allclose(face.T, design.face(int(j)), atol=0.0)
            assert_allclose(face.T @ np.linalg.inv(design.beta_map(int(j))), blocks[j], atol=1e-10)
        seen += list(equations)
    assert sorted(seen) == list(range(7))
    with pytest.raises(IndexError, match="no equation's coefficients"):
        design.faces_at(slice(design.P, design.P + 1), 1)


def test_what_is_told_to_be_exogenous_is_believed():
    blocks, instruments, _, _, _ = system(np.random.default_rng(9))
    found = Instrumented(blocks, instruments)
    told = Instrumented(blocks, instruments, told=found.exogenous)
    for j in range(found.K):
        assert told.exogenous[j].tolist() == found.exogenous[j].tolist()
        assert_allclose(told.face(j), found.face(j), rtol=0, atol=0)
    other = [~which for which in found.exogenous]
    assert Instrumented(blocks, instruments, told=other).exogenous[2].tolist() == other[2].tolist()
