"""The likelihood of rows less their levels: against contrasts that are written out."""

import numpy as np
import pytest

from sm_alsgls.core.errors.within_rows import WithinRows
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.patterns import Patterns

KNOWN = {"floor": np.zeros(4), "near": None, "d": None, "block": None, "gtol": 1e-8}
UNITS = np.array([1.0, 10.0, 0.1, 3.0])


def rows(seed, level=3.0):
    rng = np.random.default_rng(seed)
    E = level * rng.standard_normal((50, 1)) + rng.standard_normal((50, 4))
    mask = rng.random(E.shape) < 0.7
    mask[np.arange(50), rng.integers(4, size=50)] = True
    return np.where(mask, E, 0.0), mask


def dense(E, mask, s, u):
    """By a basis of what is orthogonal to ones, row by row, and log|diag(u)|."""
    out = 0.0
    for e, m in zip(E / u, mask, strict=True):
        T = int(m.sum())
        basis = np.linalg.svd(np.ones((1, T)))[2][1:]
        c = basis @ e[m]
        out += 0.5 * ((T - 1) * np.log(2 * np.pi * s) + c @ c / s) + np.log(u[m]).sum()
    return out / len(E)


@pytest.mark.parametrize("u", [np.ones(4), UNITS])
def test_likelihood_and_its_maximum(u):
    E, mask = rows(0)
    law = WithinRows(Patterns(mask), u)
    for s in (0.5, 2.0):
        cov = LowRankDiag.diagonal(s * u**2)
        assert law.nll(E * u, cov) == pytest.approx(dense(E * u, mask, s, u), rel=1e-12)
    step = law.sigma(E * u, 0, **KNOWN)
    s = float(step.cov.uniquenesses[0] / u[0] ** 2)
    assert step.nll + law.constant == pytest.approx(dense(E * u, mask, s, u), rel=1e-12)
    for other in (0.99 * s, 1.01 * s):
        assert dense(E * u, mask, other, u) > step.nll + law.constant
    assert law.parameters(0) == 1


def test_levels_do_not_matter():
    E, mask = rows(1)
    law = WithinRows(Patterns(mask))
    moved = np.where(mask, E + 1e3 * np.arange(50.0)[:, None], 0.0)
    one, other = law.sigma(E, 0, **KNOWN), law.sigma(moved, 0, **KNOWN)
    assert other.nll == pytest.approx(one.nll, rel=1e-9)


def test_other_units_are_the_same_errors():
    E, mask = rows(2)
    law = WithinRows(Patterns(mask))
    one = law.sigma(E, 0, **KNOWN)
    other = law.rescaled(UNITS)
    step = other.sigma(E / UNITS, 0, **KNOWN)
    np.testing.assert_allclose(step.cov.diag(), one.cov.diag() / UNITS**2, rtol=1e-12)
    shift = float(mask.sum(axis=0) @ np.log(UNITS)) / 50
    assert step.nll == pytest.approx(one.nll - shift, rel=1e-12)


def test_rows_see_contrasts():
    """Their precision is D^-1 without its part along u, also of unequal variances."""
    E, mask = rows(3)
    d = np.array([1.0, 2.0, 0.5, 3.0])
    seen = WithinRows(Patterns(mask), UNITS).seen(LowRankDiag.diagonal(d * UNITS**2))
    got = seen.solve(np.asfortranarray(E))
    for e, w, m in zip(E, got, mask, strict=True):
        P, u = np.diag(1.0 / (d * UNITS**2)[m]), UNITS[m]
        P = P - P @ np.outer(u, u) @ P / (u @ P @ u)
        np.testing.assert_allclose(w[m], P @ e[m], atol=1e-5 * np.abs(e).max())


def test_the_loop_finds_least_squares_within():
    E, mask = rows(4)
    rng = np.random.default_rng(5)
    X = rng.standard_normal((4, 50, 2)) + E.sum(axis=1)[:, None]
    blocks = [np.where(m[:, None], x, np.nan) for x, m in zip(X, mask.T, strict=True)]
    Y = np.where(mask, E + X.sum(axis=2).T, np.nan)
    problem = Problem(blocks, Y, ALSOptions(), mask=mask)
    fit = als(problem.with_errors(WithinRows(Patterns(mask))), 0)
    assert fit.converged
    beta = np.concatenate(problem.design.to_beta(fit.gamma))
    at = np.argwhere(mask)
    J = np.zeros((len(at), 8 + 50))
    for i, (n, j) in enumerate(at):
        J[i, 2 * j : 2 * j + 2], J[i, 8 + n] = X[j, n], 1.0
    expected = np.linalg.lstsq(J, Y[mask])[0][:8]
    np.testing.assert_allclose(beta, expected, rtol=1e-6)


def test_the_floor_holds():
    E, mask = rows(6)
    step = WithinRows(Patterns(mask)).sigma(E, 0, **KNOWN | {"floor": np.full(4, 9.0)})
    assert step.at_bound.all()
    np.testing.assert_allclose(step.cov.diag(), 9.0)
