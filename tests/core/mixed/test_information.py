"""Information, and what small samples ask, against whole matrices and differences."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from sm_alsgls.core.mixed import information as inf
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.structures import Diagonal, LowRank, Unstructured
from sm_alsgls.exceptions import NotApplicableError
from tests.core.mixed import dense

KINDS = {"low rank": lambda q: LowRank(q, 1), "full": Unstructured}


@functools.cache
def fitted(kind, law="common", reml=True):
    """Data and the fit of them, which no test changes."""
    d = dense.data(seed=11, m=25, law=law, sizes=(3, 9))
    return d, mixed_fit(d.products(), KINDS[kind](3), d.law, reml=reml, n_starts=2)


def variances(d, fit, coordinates):
    """V of all rows as a function of the coordinates."""
    z = fit.products.basis.z

    def of_elements(x):
        G = np.zeros((3, 3))
        G[np.tril_indices(3)] = x[:-1]
        return dense.whole(d, G + np.tril(G, -1).T, x[-1], [])[0]

    def of_relative(x):
        size = fit.structure.size
        root = np.linalg.solve(z, fit.profile.root(x[:size]))
        s2 = np.exp(x[-1])
        return dense.whole(d, s2 * root @ root.T, s2, x[size:-1])[0]

    return of_elements if coordinates == "elements" else of_relative


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("coordinates", ["elements", "relative"])
def test_sums_are_those_of_whole_matrices(kind, coordinates):
    d, fit = fitted(kind)
    made = getattr(inf, coordinates)(fit)
    sums, of = inf.Sums(fit, made), variances(d, fit, coordinates)
    x = made.values
    *_, V, inverse, X, _, _ = dense.gls(d, fit.G, fit.s2, [])
    np.testing.assert_allclose(of(x), V, rtol=1e-9, atol=1e-10)
    dV = [dense.derivative(of, x, a) for a in range(len(x))]
    left = [inverse @ v for v in dV]
    for a in range(len(x)):
        P = -X.T @ left[a] @ inverse @ X
        np.testing.assert_allclose(sums.P[a], P, rtol=1e-6, atol=1e-6 * abs(sums.P).max())
    w = np.random.default_rng(0).standard_normal((len(x), len(x)))
    w = w + w.T
    Q = np.array([[X.T @ a @ b @ inverse @ X for b in left] for a in left])
    total = np.einsum("ab,abjk->jk", w, Q)
    np.testing.assert_allclose(sums.contracted_Q(w), total, rtol=1e-5, atol=1e-6 * abs(Q).max())
    second = np.zeros_like(V)
    h = 1e-3
    for a in range(len(x)):
        for b in range(len(x)):
            ea, eb = h * np.eye(len(x))[a], h * np.eye(len(x))[b]
            cross = of(x + ea + eb) - of(x + ea - eb) - of(x - ea + eb) + of(x - ea - eb)
            second += w[a, b] * cross / (4 * h * h)
    R = X.T @ inverse @ second @ inverse @ X
    found = -sums.with_second(w).P[-1]
    np.testing.assert_allclose(found, R, rtol=1e-4, atol=1e-4 * abs(R).max() + 1e-6)
    for reml in (False, True):
        M = inverse
        if reml:
            M = inverse - inverse @ X @ np.linalg.inv(X.T @ inverse @ X) @ X.T @ inverse
        expected = [[0.5 * np.trace(M @ a @ M @ b) for b in dV] for a in dV]
        np.testing.assert_allclose(
            sums.expected(reml), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max()
        )


@pytest.mark.parametrize("law", ["common", "levels", "ar", "levels ar"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_covariance_of_b_moves_as_differences_do(kind, law):
    d, fit = fitted(kind, law)
    size = fit.structure.size
    x = np.append(fit.point.x, np.log(fit.s2))
    z = fit.products.basis.z

    def cov(x):
        root = np.linalg.solve(z, fit.profile.root(x[:size]))
        s2 = np.exp(x[-1])
        return dense.gls(d, s2 * root @ root.T, s2, x[size:-1])[1]

    slopes = inf.slopes_of_b(fit)
    assert len(slopes) == len(x)
    for a in np.flatnonzero(inf.free(fit)):
        np.testing.assert_allclose(
            slopes[a], dense.derivative(cov, x, a), rtol=1e-5, atol=1e-6 * abs(slopes).max()
        )


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("law", ["common", "levels", "ar", "levels ar"])
def test_the_observed_information_is_that_of_the_dense_likelihood(law, reml):
    d, fit = fitted("full", law, reml)
    size, z = fit.structure.size, fit.products.basis.z
    x = np.append(fit.point.x, np.log(fit.s2))

    def nll(x):
        root = np.linalg.solve(z, fit.profile.root(x[:size]))
        s2 = np.exp(x[-1])
        return -dense.llf(d, s2 * root @ root.T, s2, x[size:-1], reml)

    h, found = 1e-3, inf.observed(fit)
    for a in range(len(x)):
        for b in range(a + 1):
            ea, eb = h * np.eye(len(x))[a], h * np.eye(len(x))[b]
            cross = nll(x + ea + eb) - nll(x + ea - eb) - nll(x - ea + eb) + nll(x - ea - eb)
            assert found[a, b] == pytest.approx(
                cross / (4 * h * h), rel=1e-4, abs=2e-4 * np.abs(found).max()
            )


def test_expected_information_of_dependent_rows_is_of_the_rows():
    _, fit = fitted("full", "ar")
    with pytest.raises(NotApplicableError, match="made of the rows"):
        inf.expected(fit)


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("law", ["common", "levels"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_exact_observed_information_is_that_of_differences(kind, law, reml):
    """Away from the maximum as well, where slopes are part of it."""
    _, fit = fitted(kind, law, reml)
    x = fit.point.x + 0.05 * np.sin(1.0 + np.arange(len(fit.point.x)))
    x = np.clip(x, fit.profile.low, fit.profile.high)
    elsewhere = replace(fit, point=fit.profile.at(x))
    for one in (fit, elsewhere):
        moves = inf.free(one)
        at = np.ix_(moves, moves)
        expected = inf.by_differences(one)[at]
        np.testing.assert_allclose(
            inf.observed(one)[at], expected, rtol=1e-5, atol=1e-5 * abs(expected).max()
        )


def test_steps_of_differences_stay_within_bounds():
    """A uniqueness that is not held, nearer to zero than a step is long."""
    _, fit = fitted("low rank")
    x = fit.point.x.copy()
    x[3] = 1e-5
    near = replace(fit, point=fit.profile.at(x))
    assert inf.free(near).all()
    expected = inf.observed(near)
    np.testing.assert_allclose(
        inf.by_differences(near), expected, rtol=1e-4, atol=1e-4 * abs(expected).max()
    )
    # On the bound with the likelihood falling beyond there is none, and a number would say other.
    x[0], x[3] = 3.0, 0.0
    held = replace(fit, point=fit.profile.at(x))
    moves = inf.free(held)
    found = inf.by_differences(held)
    assert np.isnan(found[~moves]).all()
    assert np.isnan(found[:, ~moves]).all()
    assert np.isfinite(found[np.ix_(moves, moves)]).all()
    assert not moves.all()


def test_sums_of_many_coefficients_are_those_of_few():
    """So many that they go a direction at a time."""
    d = dense.data(seed=3, m=60, q=2, p=201, sizes=(5, 9))
    fit = mixed_fit(d.products(), Diagonal(2), d.law, n_starts=1)
    *_, inverse, X, _, order = dense.gls(d, fit.G, fit.s2, [])
    z = np.linalg.inv(fit.products.basis.z)
    made = inf.absolute(fit)
    same = d.codes[order][:, None] == d.codes[order]
    for a in range(2):
        E = z @ made.E[a] @ z.T
        dV = np.where(same, d.Z[order] @ E @ d.Z[order].T, 0.0)
        P = -X.T @ inverse @ dV @ inverse @ X
        np.testing.assert_allclose(inf.Sums(fit, made).P[a], P, rtol=1e-6, atol=1e-7 * abs(P).max())
