"""Many right-hand sides at once, against H applied one by one and its dense inverse."""

import numpy as np
import pytest

from sm_alsgls.core.beta.two_level import ManyRightHandSides
from sm_alsgls.core.design.normal import NormalEquations
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import IterationError


def normal_equations(heywood=False, ridge=False, constant=True, K=40, N=30, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((N, 1 + j % 3)) for j in range(K)]
    if constant:
        X = [np.column_stack([np.ones(N), x]) for x in X]
    d = rng.uniform(0.5, 1.5, K)
    if heywood:
        d[[3, 7]] = 1e-9, 1e-7
    cov = LowRankDiag(3.0 * rng.standard_normal((K, 3)), d)
    design = Design(X)
    weights = [rng.uniform(0.1, 1.0, x.shape[1]) for x in X]
    return NormalEquations(design, cov, N, design.ridge(weights) if ridge else None), cov


def dense(normal):
    return np.column_stack([normal.apply(e) for e in np.eye(normal.design.P)])


@pytest.mark.parametrize("heywood", [False, True])
@pytest.mark.parametrize("ridge", [False, True])
def test_many_products_are_the_products_one_by_one(heywood, ridge):
    normal, _ = normal_equations(heywood, ridge)
    B = np.random.default_rng(1).standard_normal((normal.design.P, 5))
    scale = np.sqrt(normal.diagonal)
    one_by_one = np.column_stack([normal.apply(b) for b in (B / scale[:, None]).T])
    at_once = normal.apply_many(B / scale[:, None])
    np.testing.assert_allclose(
        at_once / scale[:, None], one_by_one / scale[:, None], rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("heywood", [False, True])
@pytest.mark.parametrize("ridge", [False, True])
@pytest.mark.parametrize("constant", [False, True])
def test_solutions_equal_the_dense_inverse(heywood, ridge, constant):
    normal, cov = normal_equations(heywood, ridge, constant)
    scale = np.sqrt(normal.diagonal)
    H = dense(normal) / np.outer(scale, scale)
    B = np.random.default_rng(1).standard_normal((normal.design.P, 70))
    X = ManyRightHandSides(normal, normal.design, cov).solve(B * scale[:, None], 1e-12, 1000)
    np.testing.assert_allclose(X * scale[:, None], np.linalg.solve(H, B), rtol=0, atol=1e-8)


def test_a_zero_column_has_the_solution_zero():
    normal, cov = normal_equations()
    B = np.zeros((normal.design.P, 2))
    B[4, 1] = 1.0
    X = ManyRightHandSides(normal, normal.design, cov).solve(B, 1e-12, 1000)
    assert not X[:, 0].any()
    np.testing.assert_allclose(normal.apply(X[:, 1]), B[:, 1], atol=1e-10)


def test_the_constant_that_all_designs_share_is_found():
    normal, cov = normal_equations(K=300)
    S = ManyRightHandSides(normal, normal.design, cov).shared
    one = np.full(30, 30**-0.5)
    assert np.linalg.norm(S.T @ one) == pytest.approx(1.0, abs=1e-6)


def test_the_coarse_level_saves_most_iterations():
    normal, cov = normal_equations(K=400, N=200)
    B = np.random.default_rng(1).standard_normal((normal.design.P, 3))
    many, plain = (
        ManyRightHandSides(normal, normal.design, cov),
        ManyRightHandSides(normal, normal.design, cov),
    )
    plain.__dict__["_coarse"] = None
    many.solve(B, 1e-10, 1000)
    plain.solve(B, 1e-10, 1000)
    assert many.iterations <= 8 < 14 <= plain.iterations


def test_too_few_iterations_are_an_error():
    normal, cov = normal_equations()
    with pytest.raises(IterationError, match="Heywood"):
        ManyRightHandSides(normal, normal.design, cov).solve(
            np.ones((normal.design.P, 1)), 1e-12, 1
        )
