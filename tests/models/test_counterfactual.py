"""``counterfactual`` and ``factor_test``: known effects, sizes, forms of the argument."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel
from sm_alsgls.core.interactive.contrast import additive, random
from sm_alsgls.core.interactive.corrected import Correction
from sm_alsgls.core.interactive.counterfactual import (
    Errors,
    Refit,
    bootstrap,
    shifted_pvalue,
)
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.scaled import scaled
from sm_alsgls.core.interactive.search import interactive_fit
from sm_alsgls.core.interactive.serial import coloured
from sm_alsgls.core.interactive.weights import Weights
from sm_alsgls.exceptions import (
    InsufficientRowsError,
    NoFactorsError,
    OptionError,
    RankDeficientError,
    ShapeError,
)

T, N, TREATED, FIRST = 24, 20, 3, 17


def long(M):
    index = pd.MultiIndex.from_product([range(T), range(N)], names=["t", "i"]).swaplevel()
    return pd.Series(np.asarray(M).ravel(), index)


def made(seed=0, effect=1.0, noise=0.5, moving=0.5):
    """Treated units have larger loadings, and factors move the regressor."""
    rng = np.random.default_rng(seed)
    F, L = rng.standard_normal((T, 2)), rng.standard_normal((N, 2))
    L[:TREATED] += 0.8
    x = moving * F @ L.T + rng.standard_normal((T, N))
    y = x + F @ L.T + rng.standard_normal(N) + rng.standard_normal((T, 1))
    y = y + noise * rng.standard_normal((T, N))
    flags = np.zeros((T, N), dtype=bool)
    flags[FIRST:, :TREATED] = True
    return y + effect * flags, x, flags


def fit(y, x, rank=2, effects="both", units=slice(None), **how):
    kept = long(np.broadcast_to(np.isin(np.arange(N), np.arange(N)[units]), (T, N)))
    data = pd.DataFrame({"y": long(y), "x": long(x)})[kept]
    return LowRankPanel(data["y"], data[["x"]], rank, factors="fixed", effects=effects).fit(**how)


fit_of = fit
CASES = dict.fromkeys(range(TREATED), FIRST)


def test_an_effect_without_noise_is_found():
    y, x, flags = made(noise=1e-3, effect=2.0)
    found = fit(y, x).counterfactual(CASES, reps=5)
    assert np.allclose(found.gap.to_numpy()[flags[:, :TREATED]], 2.0, atol=0.02)
    assert abs(found.effect - 2.0) < 0.005
    assert np.allclose(found.untreated + found.gap, y[:, :TREATED])
    assert found.pvalue <= 2 / T
    assert abs(found.params["x"] - 1.0) < 1e-3
    before = found.gap.to_numpy()[:FIRST]
    assert np.abs(before).max() < 0.01


def test_the_response_of_treated_cells_is_not_looked_at():
    """But by the gap, and by the p-value of no effect."""
    y, x, flags = made()
    one, two = (fit(y + more * flags, x).counterfactual(CASES, reps=3) for more in (0.0, 5.0))
    assert np.allclose(one.untreated, two.untreated, atol=1e-6)
    assert two.effect == pytest.approx(one.effect + 5.0, abs=1e-6)
    assert np.allclose(one.draws, two.draws, atol=1e-4)


@pytest.mark.slow
def test_intervals_cover_and_the_test_holds_its_size():
    """A slice of benchmarks/counterfactual.py; bounds are three standard errors from .95 and .1."""
    covered, rejected, effects = [], [], []
    for seed in range(12):
        y, x, flags = made(seed)
        found = fit(y, x, n_starts=1).counterfactual(CASES, reps=39, rng=seed)
        low, high = found.conf_int()
        covered.append(low < 1.0 < high)
        effects.append(found.effect)
        none = fit(y - flags, x, n_starts=1).counterfactual(CASES, reps=2)
        rejected.append(none.pvalue <= 0.1)
    assert np.mean(covered) >= 0.74
    assert np.mean(rejected) <= 0.4
    assert abs(np.mean(effects) - 1.0) < 4 * np.std(effects) / 3


def _core(seen=None, seed=0, weighted=True, **how):
    y, x, flags = made(seed, **how)
    effects = Effects.of(T, N, unit=True, time=True)
    refit = Refit(
        Panel(y, x[None], seen), flags, effects, 2, Weights(weighted), Correction("analytic")
    )
    return refit, refit(), y, x, flags


def test_treated_units_regress_on_what_the_others_have():
    """With dummies: a fit to the others, then each unit's cells before on constant and factors."""
    _, found, y, x, _ = _core()
    others = fit_of(y, x, units=slice(TREATED, N))
    assert np.allclose(found.params, others.params, rtol=1e-8)
    assert np.allclose(found.mean[:, TREATED:], others.fittedvalues, atol=1e-8)
    a = others.effects
    H = np.column_stack([np.ones(T), others.factors])
    for i in range(TREATED):
        explained = x[:, i] * others.params["x"] + a["time"].to_numpy()
        own = np.linalg.lstsq(H[:FIRST], (y[:, i] - explained)[:FIRST], rcond=None)[0]
        assert np.allclose(found.mean[:, i], explained + H @ own, atol=1e-7)
        left = (y[:, i] - explained - H @ own)[:FIRST]
        v = found.fit.variances
        nu = v.nu0 + FIRST - 3
        if np.isinf(nu):
            assert found.d[i] == v.d0
        else:
            assert found.d[i] == pytest.approx((v.nu0 * v.d0 + left @ left) / nu)
        assert found.nu[i] == pytest.approx(nu)


@pytest.mark.slow
def test_weak_factors_before_treatment_do_no_harm():
    """Where treated cells were holes the sum of squares had no minimum here: effects of 45,325."""
    rng = np.random.default_rng([31, 109])
    L, a, g = rng.standard_normal((40, 2)), rng.standard_normal(40), rng.standard_normal((16, 1))
    F, e = (rng.standard_normal((36, k)) for k in (2, 40))
    for M in (F, e):
        for t in range(1, 36):
            M[t] = 0.5 * M[t - 1] + np.sqrt(0.75) * M[t]
    F, e = F[20:], e[20:]
    x = a + g + 0.5 * F @ L.T + rng.standard_normal((16, 40))
    y = x + a + g + F @ L.T + e * rng.uniform(0.5, 1.5, 40)
    index = pd.MultiIndex.from_product([range(16), range(40)], names=["t", "i"]).swaplevel()
    y, X = pd.Series(y.ravel(), index), pd.DataFrame({"x": x.ravel()}, index)
    res = LowRankPanel(y, X, 2, factors="fixed", effects="both").fit(n_starts=1)
    found = res.counterfactual(dict.fromkeys(range(5), 8), reps=39)
    low, high = found.conf_int()
    assert abs(found.effect) < 3.0
    assert 0.5 < high - low < 10.0
    assert found.std_error < 3.0


def test_draws_are_gaps_of_panels_without_an_effect():
    refit, found, _, x, flags = _core()
    (draw,) = bootstrap(refit, found, [np.random.SeedSequence(5)])
    rng = np.random.default_rng(np.random.SeedSequence(5))
    star = found.mean + Errors(found).draw(rng)
    gap = star - refit(star, found).mean
    assert np.allclose(draw, gap[flags], atol=1e-10)
    # Refits are of the least squares of these responses, with these weights, from anywhere.
    never = Panel(star[:, TREATED:], x[None, :, TREATED:])
    left = interactive_fit(never, found.fit.effects, 2, d=found.fit.d, beta=np.array([0.9]))
    assert abs(left.beta[0] - refit(star, found).fit.beta[0]) < 1e-4


def test_drawn_errors_are_of_the_size_of_those_that_were():
    """Of mean square one before units' variances; scales of units with few periods are wide."""
    _, found, _, _, _ = _core(noise=np.linspace(0.2, 2.0, N))
    errors, at, d = Errors(found), found.at, found.fit.d
    assert np.isfinite(found.fit.variances.nu0)
    square = np.square(errors.series).sum(axis=0) / (T - 3)
    V, Q = at.at.factors.V, at.W.Q
    own = np.square(at.E).sum(axis=0) / d
    own = own / (T - 3) / (1.0 - np.square(V).sum(axis=1) - np.square(Q).sum(axis=1))
    assert np.allclose(square / own, (square / own)[0])
    drawn = np.stack([errors.draw(np.random.default_rng(k)) for k in range(400)])
    unit = drawn[:, :, TREATED:] / np.sqrt(d)
    # Scales are drawn too: the mean of nu / chi2(nu).
    nu = found.nu[TREATED:]
    wide = np.mean(nu / (nu - 2.0))
    assert np.isclose(np.mean(unit**2), wide * np.mean(errors.series**2), rtol=0.1)
    over = np.einsum("ktn,ksn->ts", unit, unit) / unit.shape[2] / 400 / wide
    assert np.abs(over - errors.series @ errors.series.T / (N - TREATED)).max() < 0.3
    # A unit's size differs from draw to draw, the more the fewer its periods.
    size = np.log(np.square(drawn).mean(axis=1)).std(axis=0)
    assert size[:TREATED].mean() > size[TREATED:].mean()


def test_series_with_holes_have_cells_of_others():
    seen = np.random.default_rng(1).random((T, N)) > 0.1
    refit, found, y, x, flags = _core(seen)
    errors = Errors(found)
    z = errors.series[seen[:, TREATED:]]
    assert (np.abs(errors.series) > 1e-12).all()
    assert np.isin(errors.series[~seen[:, TREATED:]], z).all()
    (draw,) = bootstrap(refit, found, [np.random.SeedSequence(5)])
    assert np.isfinite(draw).all()
    told = fit_of(np.where(seen, y, np.nan), x).counterfactual(CASES, reps=20)
    low, high = told.conf_int()
    assert low < told.effect < high
    assert told.draws.shape == (20, int((flags & seen).sum()))


@pytest.mark.slow
def test_tables_add_up():
    y, x, _ = made()
    found = fit(y, x).counterfactual(CASES, reps=20, rng=1)
    by = found.by_period()
    assert list(by.index) == list(range(T - FIRST))
    assert (by["units"] == TREATED).all()
    assert by["effect"].mean() == pytest.approx(found.effect)
    units = found.by_unit()
    assert list(units.index) == ["0", "1", "2"]
    assert units["effect"].mean() == pytest.approx(found.effect)
    frame = found.summary_frame()
    assert frame.loc["average", "effect"] == pytest.approx(found.effect)
    assert frame.loc["average"].iloc[2:4].tolist() == pytest.approx(list(found.conf_int()))
    assert frame.loc["average", "std_error"] == pytest.approx(found.std_error)
    assert np.array_equal(found.draws, fit(y, x).counterfactual(CASES, reps=20, rng=1).draws)
    plt = pytest.importorskip("matplotlib.pyplot")
    assert "since treatment" in found.plot().get_xlabel()
    plt.close("all")


def test_forms_of_the_argument_agree():
    y, x, flags = made()
    res = fit(y, x)
    one = res.counterfactual(CASES, reps=2).effect
    assert res.counterfactual(long(flags), reps=2).effect == one
    assert res.counterfactual(long(flags).swaplevel().sample(frac=1), reps=2).effect == one
    assert res.counterfactual(pd.DataFrame(flags), reps=2).effect == one
    assert res.counterfactual(pd.DataFrame(flags).iloc[:, :4].astype(int), reps=2).effect == one


@pytest.mark.slow
def test_what_cannot_be_treated_is_named():
    y, x, flags = made()
    res = fit(y, x)
    with pytest.raises(OptionError, match="no unit 'Ohio'"):
        res.counterfactual({"Ohio": 3})
    with pytest.raises(OptionError, match="does not compare"):
        res.counterfactual({0: "late"})
    with pytest.raises(OptionError, match="no cell"):
        res.counterfactual({0: 99})
    with pytest.raises(InsufficientRowsError, match="units '0'"):
        res.counterfactual({0: 2})
    with pytest.raises(InsufficientRowsError, match="never treated"):
        res.counterfactual(dict.fromkeys(range(16), FIRST))
    with pytest.raises(ShapeError, match="no row is a period"):
        res.counterfactual(pd.DataFrame(flags, index=[f"p{t}" for t in range(T)]))
    with pytest.raises(OptionError, match="flags are"):
        res.counterfactual(pd.DataFrame(flags * 2))
    late = flags & (np.arange(T)[:, None] >= [FIRST + 2 * (i % 3) for i in range(N)])
    X = pd.DataFrame({"x": long(x), "d": long(late).astype(float)})
    with_d = LowRankPanel(long(y), X, 2, factors="fixed", effects="both").fit()
    with pytest.raises(RankDeficientError, match="'d' is the treatment.*without it"):
        with_d.counterfactual(long(late))
    # One that is constant among the others only is no treatment.
    season = long(np.broadcast_to(np.arange(T)[:, None] % 2, (T, N)))
    for d, over in ((X["d"] * X["x"], "time"), (X["d"] + season, "units")):
        other = LowRankPanel(long(y), X.assign(d=d), 2, factors="fixed").fit(n_starts=1)
        with pytest.raises(RankDeficientError, match=f"'d' is constant over {over}"):
            other.counterfactual(long(late))


def test_the_pvalue_counts_shifts():
    rng = np.random.default_rng(0)
    E, at = rng.standard_normal((9, 4)), np.zeros((9, 4), dtype=bool)
    at[6:, 1] = at[7:, 2] = True
    means = []
    for s in range(9):
        moved = np.array([E[(t - s) % 9] for t in range(9)])
        means.append(np.abs(moved[at]).mean())
    assert shifted_pvalue(E, at) == np.mean(np.array(means) >= means[0])


# -- factor_test -----------------------------------------------------------------------------------


def test_contrasts_are_differences_of_the_estimators():
    y, x, _ = made(moving=0.5)
    res = fit(y, x, bias=None)
    core = res.estimate.fit
    W = scaled(core.panel, core.effects, core.d)
    assert np.allclose(additive(core, core.beta).other, W.least_squares(), atol=1e-7)
    _, s, V, _ = core.at.factors
    # Generalised least squares with the covariance written out.
    Sigma = np.eye(N) + (V * (s**2 / T)) @ V.T
    C, A = np.linalg.inv(Sigma), W.X[0]
    b = np.sum(A * (W.y @ C)) / np.sum(A * (A @ C))
    assert np.allclose(random(core, core.beta, 0).other, b, atol=1e-7)
    table = res.factor_test().coefficients
    assert np.allclose(table["additive"], W.least_squares(), atol=1e-7)
    assert table.loc["x", "fixed"] == res.params["x"]


@pytest.mark.parametrize("effects", [None, "entity", "both"])
def test_contrasts_of_observed_cells_are_differences_of_the_estimators(effects):
    """With dummies of effects, and generalised least squares of the cells there are."""
    y, x, _ = made()
    seen = np.random.default_rng(3).random((T, N)) > 0.15
    res = fit(np.where(seen, y, np.nan), x, 1, effects, bias=None)
    core = res.estimate.fit
    t, i = np.nonzero(seen)
    root = np.sqrt(core.d[i])
    parts = [x[seen][:, None]]
    if effects:
        parts.append(np.eye(N)[i])
    if effects == "both":
        parts.append(np.eye(T)[t])
    Z, v = np.column_stack(parts) / root[:, None], y[seen] / root
    least = np.linalg.lstsq(Z, v, rcond=None)[0][0]
    assert np.allclose(additive(core, core.beta).other, least, atol=1e-6)
    _, s, V, _ = core.at.factors
    Sigma = np.eye(len(v)) + (t[:, None] == t) * (((V * (s**2 / T)) @ V.T)[np.ix_(i, i)])
    half = np.linalg.cholesky(np.linalg.inv(Sigma)).T
    b = np.linalg.lstsq(half @ Z, half @ v, rcond=None)[0][0]
    found = random(core, core.beta, 0)
    assert np.allclose(found.other, b, atol=1e-6)
    assert abs(found.difference[0]) > 1e-3


@pytest.mark.slow
def test_sizes_and_power_of_factor_test():
    """More than benchmarks/interactive_tests.py has at its edge fails here."""
    rejected = {moving: [] for moving in (0.0, 0.7)}
    for moving, found in rejected.items():
        for seed in range(30):
            y, x, _ = made(seed, 0.0, moving=moving)
            found.append(fit(y, x, n_starts=1).factor_test().table["pvalue"] < 0.05)
    null, moved = (pd.DataFrame(found).mean() for found in rejected.values())
    assert (null <= 0.2).all()
    assert (moved > 0.7).all()


def test_what_factor_test_needs():
    y, x, _ = made()
    with pytest.raises(NoFactorsError):
        fit(y, x, 0).factor_test()
    table = fit(y, x).factor_test().table
    assert list(table.index) == ["additive", "random"]
    assert table["df_denom"].tolist() == [N - 1, T - 1]


def test_replicates_are_turned_as_the_fit_was():
    y, x, flags = made(0)
    e = np.random.default_rng(1).standard_normal((T, N))
    for t in range(1, T):
        e[t] = 0.7 * e[t - 1] + 0.7 * e[t]
    effects = Effects.of(T, N, unit=True, time=True)
    how = Weights(rho=None), Correction("analytic")
    refit = Refit(Panel(y + e, x[None]), flags, effects, 2, *how)
    found = refit()
    assert found.fit.rho > 0.2
    assert refit(found.mean + e, found).fit.rho == found.fit.rho


def test_responses_are_those_that_were_given():
    """With ``near`` or without: a tenfold response has tenfold slopes."""
    refit, found, y, _, _ = _core()
    tenfold = refit(10.0 * y)
    assert np.allclose(tenfold.params, 10.0 * found.params, rtol=1e-6)
    assert np.allclose(tenfold.mean, 10.0 * found.mean, atol=1e-4)
    assert np.allclose(tenfold.d, 100.0 * found.d, rtol=1e-5)
    assert np.allclose(refit(y + 1.0, found).params, refit(y + 1.0).params, atol=1e-4)


@pytest.mark.parametrize(
    "asked", [{"weighted": False}, {"ar": 0.5}, {"ar": 0.3, "weighted": False}, {"ar": 0}, {}]
)
def test_units_never_treated_are_weighted_as_was_asked(asked):
    """Their slopes are those of a fit to them alone, which is asked for the same."""
    y, x, _ = made(0)
    e = coloured(np.random.default_rng(1).standard_normal((T, N)), 0.7)
    y = y + e * np.linspace(0.3, 2.0, N)
    found = fit_of(y, x, **asked).counterfactual(CASES, reps=2)
    alone = fit_of(y, x, units=slice(TREATED, N), **asked)
    assert alone.ar == asked.get("ar", 0.0 if asked else alone.ar)
    assert np.allclose(found.params, alone.params, rtol=1e-7)
