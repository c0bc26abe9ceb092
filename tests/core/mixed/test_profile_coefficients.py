"""Profile intervals of coefficients: against lme4, least squares, and fits by whole matrices."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from sm_alsgls.core.mixed import profile_coefficients
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.nested import NoEffects, with_coefficient
from sm_alsgls.core.mixed.profile_coefficients import coefficient_interval
from sm_alsgls.core.mixed.residual_laws import Common
from sm_alsgls.core.mixed.structures import Diagonal, LoadingsOnly, LowRank, Unstructured
from tests.core.mixed import dense
from tests.core.mixed.references import rows, values

Z95 = 1.959963984540054
PROFILED = {name: fit for name, fit in values("lme4").items() if "profile" in fit}


@pytest.mark.parametrize("name", PROFILED)
def test_lme4(name):
    # confint(m, method = "profile") of tests/reference/mixed_lme4.R.
    fit = PROFILED[name]
    data, q = rows(fit), len(fit["cov_re"])
    products = CrossProducts.of_rows(data.Z, data.X, data.y, data.codes, len(data.groups))
    structure = Diagonal(q) if fit["diagonal"] else Unstructured(q)
    found = mixed_fit(products, structure, Common(), reml=False)
    for j, coefficient in enumerate(fit["names"]):
        at = fit["profile"]["names"].index(coefficient)
        made = coefficient_interval(found, j, Z95)
        theirs = fit["profile"]["lower"][at], fit["profile"]["upper"][at]
        np.testing.assert_allclose(made[:2], theirs, rtol=1e-4)
        assert not made.note


@pytest.mark.parametrize("law", ["common", "levels", "ar"])
@pytest.mark.parametrize("p", [1, 3])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_a_coefficient_is_held_in_products(law, p, offset):
    d = dense.data(seed=2, law=law, p=p, weights=law == "levels")
    d.X[:, -1] += offset
    products = d.products()
    for j in range(p):
        made = with_coefficient(products, j, 0.7)
        others = np.delete(np.arange(p), j)
        expected = CrossProducts.of_rows(
            d.Z, d.X[:, others], d.y - 0.7 * d.X[:, j], d.codes, d.m, d.law, d.index, d.weights
        ).in_user_units()
        scale = np.abs(expected).max(axis=(0, 1))
        np.testing.assert_allclose(made.in_user_units() / scale, expected / scale, atol=1e-9)
        np.testing.assert_array_equal(made.pairs, products.pairs)
        np.testing.assert_array_equal(made.rows, products.rows)
        assert made.log_weights == products.log_weights


def test_without_effects_it_is_that_of_least_squares():
    d = dense.data(seed=4, p=2)
    found = mixed_fit(d.products(), NoEffects(3), Common(), reml=False)
    b, rss = np.linalg.lstsq(d.X, d.y, rcond=None)[:2]
    n, x = len(d.y), d.X[:, 1]
    # n log(1 + (c - b)^2 x'Mx / rss) = z^2
    left = x - d.X[:, 0] * (d.X[:, 0] @ x) / (d.X[:, 0] @ d.X[:, 0])
    half = np.sqrt(np.expm1(Z95**2 / n) * rss[0] / (left @ left))
    made = coefficient_interval(found, 1, Z95)
    np.testing.assert_allclose(made[:2], [b[1] - half, b[1] + half], rtol=1e-7)


@pytest.mark.parametrize("law", ["levels", "ar"])
def test_limits_are_where_the_likelihood_of_whole_matrices_is(law):
    d = dense.data(seed=9, m=20, law=law, q=2, sizes=(3, 8))
    found = mixed_fit(d.products(), Diagonal(2), d.law, reml=False)
    low, high = found.profile.law.bounds.T
    start = np.concatenate([np.log(np.diagonal(found.G) + 1e-3), [np.log(found.s2)], found.theta])

    def nll(value):
        shifted = dense.Data(
            d.Z, d.X[:, :1], d.y - value * d.X[:, 1], d.codes, d.m, d.law, d.index, d.weights
        )
        return minimize(
            lambda x: -dense.llf(shifted, np.diag(np.exp(x[:2])), np.exp(x[2]), x[3:], False),
            start, method="L-BFGS-B", bounds=[(-12, 5)] * 3 + list(zip(low, high, strict=True)),
            options={"ftol": 1e-13, "gtol": 1e-8},
        ).fun  # fmt: skip

    made = coefficient_interval(found, 1, Z95)
    for end in made[:2]:
        assert 2.0 * (nll(end) - found.nll) == pytest.approx(Z95**2, abs=1e-4)


@pytest.mark.parametrize("kind", [LowRank(3, 1), LoadingsOnly(3, 2), Unstructured(3)])
def test_ends_are_on_both_sides_and_wider_of_smaller_levels(kind):
    d = dense.data(seed=11, m=25, sizes=(3, 9))
    found = mixed_fit(d.products(), kind, d.law, reml=False)
    narrow, wide = (coefficient_interval(found, 1, z) for z in (1.0, 2.5))
    assert wide.low < narrow.low < found.b[1] < narrow.high < wide.high
    # Of the normal law of large samples they are not far.
    se = np.sqrt(found.cov_b[1, 1])
    np.testing.assert_allclose(narrow[:2], found.b[1] + np.array([-se, se]), atol=0.2 * se)


def test_a_fit_that_is_no_maximum_is_told():
    d = dense.data(seed=11, m=25, sizes=(3, 9))
    best = mixed_fit(d.products(), LowRank(3, 1), d.law, reml=False)
    worse = replace(best, point=replace(best.point, nll=best.nll + 5.0))
    made = coefficient_interval(worse, 1, Z95)
    assert np.isnan(made.low)
    assert "no maximum" in made.note


def test_a_mean_of_few_groups_has_the_ends_that_are_known():
    """Of m means with squares S about theirs, m log(1 + m (c - b)^2 / S) = z^2: far from Wald's."""
    m, z = 4, 3.0
    rng = np.random.default_rng(0)
    codes, one = np.repeat(np.arange(m), 6), np.ones((6 * m, 1))
    y = 5.0 * rng.standard_normal(m)[codes] + rng.standard_normal(6 * m)
    products = CrossProducts.of_rows(one, one, y, codes, m)
    found = mixed_fit(products, Diagonal(1), Common(), reml=False)
    means = np.bincount(codes, y) / 6
    half = np.sqrt(means.var() * np.expm1(z**2 / m))
    made = coefficient_interval(found, 0, z)
    np.testing.assert_allclose(made[:2], means.mean() + np.array([-half, half]), rtol=1e-6)
    assert half > 1.9 * z * np.sqrt(found.cov_b[0, 0])
    assert not made.note


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_fit_on_the_way_that_fails_is_told_of_the_end_it_is_of(side, monkeypatch):
    d = dense.data(seed=11, m=25, sizes=(3, 9))
    fit = mixed_fit(d.products(), LowRank(3, 1), d.law, reml=False)
    values = []

    def watched(products, j, value):
        values.append(value)
        return with_coefficient(products, j, value)

    def failing(*args, **how):
        made = mixed_fit(*args, **how)
        fails = side * (values[-1] - fit.b[1]) > 0.0
        return replace(made, converged=False, message="no step") if fails else made

    expected = coefficient_interval(fit, 1, Z95)
    monkeypatch.setattr(profile_coefficients, "with_coefficient", watched)
    monkeypatch.setattr(profile_coefficients, "mixed_fit", failing)
    made = coefficient_interval(fit, 1, Z95)
    failed, other = (0, 1) if side < 0.0 else (1, 0)
    assert np.isnan(made[failed])
    assert made[other] == expected[other]
    assert made.note.endswith("no step")
    assert "a fit with the coefficient at" in made.note


@pytest.mark.parametrize("unit", [1e-7, 1e7])
def test_ends_are_in_the_units_of_the_response(unit):
    d = dense.data(seed=11, m=25, sizes=(3, 9))
    one, other = (
        coefficient_interval(
            mixed_fit(made.products(), Diagonal(3), d.law, reml=False, n_starts=1), 1, Z95
        )
        for made in (d, replace(d, y=unit * d.y))
    )
    np.testing.assert_allclose(np.array(other[:2]) / unit, one[:2], rtol=1e-5)
    assert not other.note
