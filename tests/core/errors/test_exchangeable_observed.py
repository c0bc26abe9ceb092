"""Exchangeable errors of rows seen in part: against direct minimisation of the likelihood."""

import numpy as np
import pytest
import scipy.optimize

from sm_alsgls.core.errors.exchangeable import Exchangeable
from sm_alsgls.core.errors.exchangeable_observed import ObservedExchangeable
from sm_alsgls.covariance.patterns import Patterns
from tests.core import dense_observed

KNOWN = {"near": None, "d": None, "block": None, "gtol": 1e-8}
UNITS = np.array([1.0, 10.0, 0.1, 3.0])


def rows(seed, common, share=0.3):
    rng = np.random.default_rng(seed)
    E = common * rng.standard_normal((40, 1)) + rng.standard_normal((40, 4))
    mask = rng.random(E.shape) > share
    mask[np.arange(40), rng.integers(4, size=40)] = True
    return E, mask


def dense(E, mask, a, s, u):
    return dense_observed.nll(np.where(mask, E, 0.0), mask, (a + s * np.eye(4)) * np.outer(u, u))


@pytest.mark.parametrize("common", [1.5, 0.5])
@pytest.mark.parametrize("u", [np.ones(4), UNITS])
def test_the_step_is_the_minimum(common, u):
    E, mask = rows(0, common)
    law = ObservedExchangeable(Patterns(mask), u)
    step = law.sigma(E * u, 1, floor=np.zeros(4), **KNOWN)
    best = scipy.optimize.minimize(
        lambda x: dense(E * u, mask, np.exp(x[0]), np.exp(x[1]), u),
        [0.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 2000},
    )
    assert step.nll + law.constant == pytest.approx(best.fun, abs=1e-9)
    assert law.nll(np.where(mask, E * u, 0.0), step.cov) == pytest.approx(best.fun, abs=1e-9)
    assert step.gradient < 1e-8
    a, s = np.exp(best.x)
    np.testing.assert_allclose(step.cov.to_dense(), (a + s * np.eye(4)) * np.outer(u, u), rtol=1e-5)


@pytest.mark.parametrize("u", [np.ones(4), UNITS])
def test_one_variance_is_the_mean_square_of_cells(u):
    E, mask = rows(1, 1.0)
    law = ObservedExchangeable(Patterns(mask), u, level=False)
    step = law.sigma(E * u, 0, floor=np.zeros(4), **KNOWN)
    np.testing.assert_allclose(step.cov.to_dense(), np.diag(np.mean(E[mask] ** 2) * u**2))
    assert law.parameters(0) == 1
    assert step.cov.rank == 0


def test_of_whole_rows_it_is_the_other_law():
    E, _ = rows(2, 1.0)
    whole = Exchangeable(4, 40).sigma(E, 1, floor=np.zeros(4), **KNOWN)
    law = ObservedExchangeable(Patterns(np.ones(E.shape, bool)))
    seen = law.sigma(E, 1, floor=np.zeros(4), **KNOWN)
    np.testing.assert_allclose(seen.cov.to_dense(), whole.cov.to_dense(), rtol=1e-8)
    assert seen.nll == pytest.approx(whole.nll, rel=1e-12)


def test_errors_that_repel_have_no_level():
    E, mask = rows(3, 0.0)
    E = E - 0.9 * E.mean(axis=1, keepdims=True)
    step = ObservedExchangeable(Patterns(mask)).sigma(E, 1, floor=np.zeros(4), **KNOWN)
    np.testing.assert_allclose(step.cov.to_dense(), np.mean(E[mask] ** 2) * np.eye(4), atol=1e-9)


def test_the_floor_holds():
    E, mask = rows(4, 1.0)
    step = ObservedExchangeable(Patterns(mask)).sigma(E, 1, floor=np.full(4, 50.0), **KNOWN)
    assert step.at_bound.all()
    np.testing.assert_allclose(step.cov.uniquenesses, 50.0)


def test_other_units_are_the_same_errors():
    E, mask = rows(5, 1.0)
    law = ObservedExchangeable(Patterns(mask))
    step = law.sigma(E, 1, floor=np.zeros(4), **KNOWN)
    other = law.rescaled(UNITS).sigma(E / UNITS, 1, floor=np.zeros(4), **KNOWN)
    expected = step.cov.to_dense() / np.outer(UNITS, UNITS)
    np.testing.assert_allclose(other.cov.to_dense(), expected, rtol=1e-8)
