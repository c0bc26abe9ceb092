"""Sigma of one or two parameters: against direct minimisation of the likelihood, and nlme."""

import numpy as np
import pytest
import scipy.optimize

from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled import Pooling
from sm_alsgls.core.errors.equal_variances import EqualVariances, equal_variances
from sm_alsgls.core.errors.exchangeable import Exchangeable, exchangeable
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.cell_rows import CellRows
from sm_alsgls.core.rows.compress import compress_rows
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.exceptions import OptionError, ShapeError
from tests.core.laws.grunfeld import grunfeld, references

KNOWN = {"floor": np.zeros(4), "near": None, "d": None, "block": None, "gtol": 1e-8}


def residuals(seed, common):
    rng = np.random.default_rng(seed)
    return common * rng.standard_normal((30, 1)) + rng.standard_normal((30, 4))


def dense(E, a, s, u):
    Sigma = (a + s * np.eye(len(u))) * np.outer(u, u)
    quad = np.einsum("nj,nj->", E, np.linalg.solve(Sigma, E.T).T) / len(E)
    return 0.5 * (np.linalg.slogdet(Sigma)[1] + quad)


@pytest.mark.parametrize("common", [1.5, 0.3])
@pytest.mark.parametrize("u", [np.ones(4), np.array([1.0, 10.0, 0.1, 3.0])])
def test_the_step_is_the_minimum(common, u):
    E = residuals(0, common) * u
    step = Exchangeable(4, 30, u).sigma(E, 0, **KNOWN)
    best = scipy.optimize.minimize(
        lambda x: dense(E, np.exp(x[0]), np.exp(x[1]), u),
        [0.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 2000},
    )
    assert step.nll == pytest.approx(best.fun, abs=1e-9)
    one = EqualVariances(4, 30, u).sigma(E, 0, **KNOWN)
    best = scipy.optimize.minimize_scalar(lambda x: dense(E, 0.0, np.exp(x), u), tol=1e-12)
    assert one.nll == pytest.approx(best.fun, abs=1e-9)
    np.testing.assert_allclose(one.cov.diag(), np.exp(best.x) * u**2, rtol=1e-5)


def test_errors_that_repel_have_no_random_effect():
    E = residuals(1, 0.0)
    E -= 0.9 * E.mean(axis=1, keepdims=True)
    law = Exchangeable(4, 30)
    step = law.sigma(E, 0, **KNOWN)
    np.testing.assert_allclose(step.cov.to_dense(), np.mean(E**2) * np.eye(4), atol=1e-12)
    problem = Problem([np.ones((30, 1))] * 4, E, ALSOptions()).with_errors(law)
    found = search(problem, 0).best
    assert found.converged
    assert found.gradient_d < 1e-12


def test_a_floor_is_kept_and_told():
    floor = np.array([0.1, 0.5, 0.2, 0.3])
    E = 1e-3 * residuals(2, 0.0)
    for law in (Exchangeable(4, 30), EqualVariances(4, 30)):
        step = law.sigma(E, 0, **(KNOWN | {"floor": floor}))
        assert step.cov.diag().min() == pytest.approx(0.5)
        assert step.at_bound.all()
        assert step.nll == pytest.approx(dense(E, 0.0, 0.5, np.ones(4)), rel=1e-10)


def test_balanced_random_effects_are_nlmes():
    """lme(inv ~ value + capital, random = ~ 1 | firm): rows are firms, equations years."""
    nlme = references()["random effects"]
    Y, V, C = (one.T for one in grunfeld())
    blocks = [np.column_stack([np.ones(10), V[:, t], C[:, t]]) for t in range(20)]
    rows, binding = compress_rows(blocks, Y), Pooling(Places([np.arange(3)] * 20))
    problem = Problem.from_rows(rows, ALSOptions(gtol=1e-9), law=exchangeable, binding=binding)
    best = search(problem, 0).best
    assert -best.nll * 10 == pytest.approx(nlme["llf"], abs=1e-6)
    np.testing.assert_allclose(
        problem.design.to_params(best.gamma),
        [nlme[k] for k in ("const", "value", "capital")],
        rtol=1e-6,
    )
    law = EqualVariances(20, 10)
    pooled = search(problem.with_errors(law), 0).best
    X = np.concatenate(blocks)
    y = Y.T.ravel()
    b = np.linalg.lstsq(X, y, rcond=None)[0]
    np.testing.assert_allclose(problem.design.to_params(pooled.gamma), b, rtol=1e-8)
    s = np.mean((y - X @ b) ** 2)
    assert -pooled.nll * 10 == pytest.approx(-100 * (np.log(2 * np.pi * s) + 1), rel=1e-10)


def test_what_cannot_be_is_refused():
    mask = np.ones((4, 2), bool)
    mask[0, 0] = False
    X = [np.ones((4, 1))] * 2
    holes = CellRows(X, np.zeros((4, 2)), 4, mask * 1.0, mask=mask, designs=X)
    for make in (equal_variances, exchangeable):
        with pytest.raises(OptionError, match="whole rows"):
            make(holes)
        assert make(Rows.of(X, np.zeros((4, 2)))).K == 2
    with pytest.raises(ShapeError, match="two equations"):
        Exchangeable(1, 4)
