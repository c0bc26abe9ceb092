"""Profile and Wald intervals against lme4, other parameters of the same G, and a penalty."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from sm_alsgls.core.mixed import profile_intervals
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.profile_intervals import (
    Opened,
    Quantity,
    estimate_of,
    profile_interval,
    wald_interval,
)
from sm_alsgls.core.mixed.residual_laws import Common
from sm_alsgls.core.mixed.structures import Diagonal, LoadingsOnly, LowRank, Unstructured
from tests.core.mixed import dense
from tests.core.mixed.references import rows, values

Z95 = 1.959963984540054
PROFILED = {name: fit for name, fit in values("lme4").items() if "profile" in fit}
QUANTITIES = {
    "sd_(Intercept)|Subject": Quantity("sd", 0),
    "sd_Days|Subject": Quantity("sd", 1),
    "cor_Days.(Intercept)|Subject": Quantity("correlation", 0, 1),
    "sigma": Quantity("sigma"),
}


@pytest.mark.parametrize("name", PROFILED)
def test_lme4(name):
    fit = PROFILED[name]
    data, q = rows(fit), len(fit["cov_re"])
    products = CrossProducts.of_rows(data.Z, data.X, data.y, data.codes, len(data.groups))
    structure = Diagonal(q) if fit["diagonal"] else Unstructured(q)
    opened = Opened(mixed_fit(products, structure, Common(), reml=False))
    ends = np.column_stack([fit["profile"]["lower"], fit["profile"]["upper"]])
    found = dict(zip(fit["profile"]["names"], ends, strict=True))
    assert set(QUANTITIES) & set(found)
    for which in set(QUANTITIES) & set(found):
        made = profile_interval(opened, QUANTITIES[which], Z95)
        np.testing.assert_allclose(made[:2], found[which], rtol=5e-4, atol=5e-4)
        assert not made.note


def opened(kind, law="common", reml=True, **how):
    d = dense.data(**{"seed": 11, "m": 25, "law": law, "sizes": (3, 9), **how})
    return d, Opened(mixed_fit(d.products(), kind, d.law, reml=reml, n_starts=2))


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("law", ["common", "levels", "ar"])
@pytest.mark.slow
def test_the_opened_likelihood_and_its_slopes(law, reml):
    d, made = opened(LowRank(3, 1), law, reml)
    x = made.x + 0.05 * np.random.default_rng(0).standard_normal(len(made.x))
    x = np.clip(x, made.low + 1e-2, made.high)
    expected = -dense.llf(d, made.G(x), np.exp(x[-1]), x[made.size : -1], reml)
    np.testing.assert_allclose(made.nll(x)[0], expected, rtol=1e-10)
    slope = [dense.derivative(lambda x: made.nll(x)[0], x, a) for a in range(len(x))]
    np.testing.assert_allclose(made.nll(x)[1], slope, rtol=1e-5, atol=1e-4)
    some = [Quantity("sd", 1), Quantity("correlation", 0, 2), Quantity("sigma")]
    for quantity in some + [Quantity("theta", 0)] * (law != "common"):
        of = lambda x, quantity=quantity: made.value(quantity, x)[0]  # noqa: E731
        slope = [dense.derivative(of, x, a) for a in range(len(x))]
        np.testing.assert_allclose(made.value(quantity, x)[1], slope, rtol=1e-6, atol=1e-8)


def test_other_parameters_of_the_same_covariance():
    """Rotations of loadings, left aside, take nothing away."""
    one, two = opened(Unstructured(3))[1], opened(LoadingsOnly(3, 3))[1]
    for quantity in (Quantity("sd", 0), Quantity("correlation", 1, 2), Quantity("sigma")):
        expected = profile_interval(one, quantity, Z95)
        np.testing.assert_allclose(
            profile_interval(two, quantity, Z95)[:2], expected[:2], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            wald_interval(two, quantity, Z95)[:2], wald_interval(one, quantity, Z95)[:2], rtol=1e-4
        )


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.slow
def test_limits_of_low_rank_are_where_the_profile_likelihood_is_lower(rank):
    """The likelihood is maximised with a penalty on the distance from the limit."""
    q = 3 * rank
    _, made = opened(LowRank(q, rank), q=q, m=40, sizes=(8, 14))
    bounds = list(zip(made.low, made.high, strict=True))
    for quantity in (Quantity("sd", 1), Quantity("correlation", 0, 1)):
        limits = profile_interval(made, quantity, Z95)
        assert limits.low < estimate_of(made, quantity) < limits.high
        for limit in limits[:2]:
            aim = limit**2 if quantity.kind == "sd" else limit

            def penalised(x, aim=aim, quantity=quantity):
                value, slope = made.nll(x)
                at, of = made.value(quantity, x)
                return value + 1e5 * (at - aim) ** 2, slope + 2e5 * (at - aim) * of

            best = minimize(
                penalised, made.x, jac=True, bounds=bounds, options={"maxiter": 5000, "ftol": 1e-13}
            )
            assert best.fun - made.fit.nll == pytest.approx(0.5 * Z95**2, abs=3e-3)


@pytest.mark.slow
def test_variances_that_may_be_zero():
    codes = np.repeat(np.arange(12), 4)
    Z = np.column_stack([np.ones(48), np.tile(np.arange(4.0), 12)])
    zeros = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        y = rng.standard_normal(12)[codes] + 2.0 * rng.standard_normal(48)
        products = CrossProducts.of_rows(Z, Z, y, codes, 12)
        for kind in (Diagonal(2), Unstructured(2)):
            made = Opened(mixed_fit(products, kind, Common(), reml=False))
            low, high, note = profile_interval(made, Quantity("sd", 1), Z95)
            zeros += low == 0.0
            assert low <= estimate_of(made, Quantity("sd", 1)) < high < 2.0
            assert not note
            if kind == Unstructured(2):
                low, high, note = profile_interval(made, Quantity("correlation", 0, 1), Z95)
                assert low < high <= 1.0
                assert not note
    assert zeros > 4


def test_limits_away_from_an_edge_are_found_from_every_direction():
    """An estimate of -1: all around the edge is flat, and searches had ended on it, "at" -1."""
    codes = np.repeat(np.arange(12), 4)
    Z = np.column_stack([np.ones(48), np.tile(np.arange(4.0), 12)])
    rng = np.random.default_rng(1)
    y = rng.standard_normal(12)[codes] + 2.0 * rng.standard_normal(48)
    fit = mixed_fit(
        CrossProducts.of_rows(Z, Z, y, codes, 12), Unstructured(2), Common(), reml=False
    )
    opened, correlation = Opened(fit), Quantity("correlation", 0, 1)
    assert estimate_of(opened, correlation) == pytest.approx(-1.0)
    slope = opened.value(correlation, opened.x)[1]
    search = profile_intervals._Search(opened, correlation, Z95, 1.0)
    ways = profile_intervals._directions(opened, correlation, slope)
    ends = [search.along(way) for way in ways]
    assert len(ends) >= 4
    assert {note for _, note in ends} == {""}
    np.testing.assert_allclose([end for end, _ in ends], -0.28501, atol=1e-4)


def test_a_variance_that_is_zero_has_no_interval_of_wald():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(12), 4)
    one = np.ones((48, 1))
    y = rng.standard_normal(48)
    y -= np.bincount(codes, y)[codes] / 4
    fit = mixed_fit(CrossProducts.of_rows(one, one, y, codes, 12), Diagonal(1), Common())
    assert fit.G[0, 0] == 0.0
    made = wald_interval(Opened(fit), Quantity("sd", 0), Z95)
    assert np.isnan(made.high)
    assert "zero" in made.note
    low, high, _ = profile_interval(Opened(fit), Quantity("sd", 0), Z95)
    assert low == 0.0
    assert 0.0 < high < 1.0


@pytest.mark.parametrize("seed", [60, 86, 191])
def test_limits_of_a_singular_covariance_are_the_farthest(seed):
    """There ends are found from several sides; the first is up to a tenth short of the farthest."""
    rng, m, T = np.random.default_rng(seed), 12, 5
    codes, z = np.repeat(np.arange(m), T), np.column_stack([np.ones(T), np.arange(T)])
    Z = np.tile(z, (m, 1))
    y = rng.standard_normal(m)[codes] * (1.0 + 0.3 * Z[:, 1]) + 1.5 * rng.standard_normal(m * T)
    fit = mixed_fit(CrossProducts.of_rows(Z, Z, y, codes, m), Unstructured(2), Common(), reml=False)
    made = Opened(fit)
    assert made.singular
    # Groups are of the same rows: GLS is least squares.
    gap = (y - Z @ np.linalg.lstsq(Z, y, rcond=None)[0]).reshape(m, T)

    def nll(x, sd):
        r, other = np.tanh(x[0]), np.exp(x[1])
        G = np.array([[sd**2, r * sd * other], [r * sd * other, other**2]])
        V = z @ G @ z.T + np.exp(x[2]) * np.eye(T)
        log = np.log(2.0 * np.pi) * T + np.linalg.slogdet(V)[1]
        return 0.5 * (m * log + np.sum(gap @ np.linalg.inv(V) * gap))

    def lowest(sd):
        starts = [[r, -1.0, np.log(fit.s2)] for r in (-1.5, 0.0, 1.5)]
        return min(minimize(nll, x, (sd,), "BFGS").fun for x in starts)

    high = profile_interval(made, Quantity("sd", 0), Z95).high
    assert lowest(np.sqrt(fit.G[0, 0])) == pytest.approx(fit.nll, abs=1e-4)
    assert lowest(high) - fit.nll == pytest.approx(0.5 * Z95**2, abs=1e-3)
    assert lowest(high + 0.02) - fit.nll > 0.5 * Z95**2 + 1e-3


@pytest.mark.parametrize("kind", [Unstructured(3), LowRank(3, 1)])
@pytest.mark.slow
def test_near_the_estimate_ends_of_wald_are_those_of_the_profile(kind):
    d = dense.data(seed=11, m=60, law="levels", sizes=(3, 9))
    both = 1.5 * np.random.default_rng(0).standard_normal(60)[d.codes] * d.Z[:, :2].sum(axis=1)
    made = Opened(mixed_fit(replace(d, y=d.y + both).products(), kind, d.law, n_starts=2))
    assert estimate_of(made, Quantity("correlation", 0, 1)) > 0.5
    z = 0.05
    for quantity in (
        Quantity("sd", 0), Quantity("correlation", 0, 1), Quantity("sigma"), Quantity("theta", 0),
    ):  # fmt: skip
        at = estimate_of(made, quantity)
        wald, found = wald_interval(made, quantity, z), profile_interval(made, quantity, z)
        np.testing.assert_allclose(np.array(wald[:2]) - at, np.array(found[:2]) - at, rtol=0.03)
