"""``LowRankPanel(factors="fixed")``: the core's numbers under labels, and what is refused."""

import copy
import io
import warnings

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel, LowRankSUR
from sm_alsgls.core.interactive.bias import bias
from sm_alsgls.core.interactive.correlated import correlated_fit
from sm_alsgls.core.interactive.covariance import bandwidth, covariance
from sm_alsgls.core.interactive.influence import influence
from sm_alsgls.core.interactive.jackknife import jackknife
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.search import interactive_fit
from sm_alsgls.core.interactive.serial import coloured, whitened
from sm_alsgls.exceptions import (
    DataRemovedError,
    IllegalRankError,
    InsufficientRowsError,
    NoFactorsError,
    NotApplicableError,
    OptionError,
    RankDeficientError,
    UnbalancedPanelError,
    UnknownArgumentError,
)
from sm_alsgls.models.interactive import InteractivePanel
from tests.pages import ROOT

FORMULA = "np.log(sales) ~ np.log(price) + np.log(ndi)"


@pytest.fixture(scope="module")
def cigar():
    return pd.read_csv(ROOT / "tests" / "reference" / "cigar.csv")


def panel_of(data):
    wide = [np.log(data.pivot(index="year", columns="state", values=v)) for v in NAMES]
    Y, *X = (frame.to_numpy() for frame in wide)
    return Panel(Y, np.stack(X))


NAMES = ["sales", "price", "ndi"]


def model(data, rank=2, effects="both", formula=FORMULA, **how):
    return LowRankPanel.from_formula(
        formula, data, rank, entity="state", time="year", effects=effects, factors="fixed", **how
    )


@pytest.fixture(scope="module")
def res(cigar):
    return model(cigar).fit()


@pytest.fixture(scope="module")
def one(cigar):
    """One factor; no test changes it."""
    return model(cigar, 1).fit()


@pytest.fixture(scope="module")
def unweighted(cigar):
    """One factor, and no weights in time."""
    return model(cigar, 1).fit(ar=0)


@pytest.fixture(scope="module")
def core(cigar):
    return correlated_fit(panel_of(cigar), Effects.of(30, 46, unit=True, time=True), 2)


# Bai's estimator by an eigenvalue iteration of another implementation, five digits.
@pytest.mark.parametrize(
    ("rank", "price", "ndi"),
    [(0, -1.0348844, 0.5285428), (1, -0.63784, 0.46077), (2, -0.47879, 0.40202),
     (3, -0.38931, 0.40476)],
)  # fmt: skip
def test_unweighted_estimates_are_those_of_another_implementation(cigar, rank, price, ndi):
    res = model(cigar, rank).fit(weighted=False, bias=None)
    assert np.allclose(res.params, [price, ndi], atol=6e-6)
    assert np.array_equal(res.bias_table["unweighted"], res.params)


@pytest.mark.slow
def test_numbers_are_those_of_the_core(res, core):
    found = influence(core)
    b = core.beta + bias(core, found).total
    assert np.allclose(res.params, b, rtol=1e-8)
    assert res.df_resid == core.df_resid
    assert np.isclose(res.ar, core.rho, rtol=1e-8)
    assert 0.5 < res.ar < 0.95
    by_unit = covariance(found, core.df_resid, "unit")
    assert np.allclose(res.bse, np.sqrt(np.diagonal(by_unit)), rtol=1e-6)
    kinds = {
        "HC2": (covariance(found, core.df_resid), {}),
        "nonrobust": (covariance(found, core.df_resid, "nonrobust"), {}),
        "HAC": (covariance(found, core.df_resid, "serial", 3), {"maxlags": 3}),
        "cluster": (covariance(found, core.df_resid, "period"), {"groups": "time"}),
    }
    for kind, (V, kwds) in kinds.items():
        again = res.get_robustcov_results(kind, **kwds)
        assert np.allclose(again.bse, np.sqrt(np.diagonal(V)), rtol=1e-6)
        assert np.allclose(again.cov_params(), V, rtol=1e-6)
    assert res.get_robustcov_results("HAC").cov_kwds["maxlags"] == bandwidth(30)
    assert res.get_robustcov_results("cluster").df_resid_inference == 45
    assert res.get_robustcov_results("cluster", groups="time").df_resid_inference == 29


@pytest.mark.slow
def test_jackknife_is_that_of_the_core(cigar, core):
    res = model(cigar).fit(bias="jackknife", rng=3)
    rng = np.random.default_rng(3)
    fit = correlated_fit(core.panel, core.effects, 2, rng=rng)
    assert np.allclose(res.params, jackknife(fit, rng=rng), rtol=1e-6)
    assert list(res.bias_table) == ["unweighted", "least_squares", "jackknife", "params"]


def test_parts_add_up_to_the_response(cigar, res):
    data = panel_of(cigar)
    a = res.effects
    whole = (
        np.tensordot(res.params, data.X, 1)
        + a["entity"].to_numpy()
        + a["time"].to_numpy()[:, None]
        + res.factors.to_numpy() @ res.loadings.to_numpy().T
    )
    assert np.allclose(whole, res.fittedvalues, atol=1e-9)
    assert np.allclose(whole + res.resid, data.Y, atol=1e-9)
    assert np.allclose(res.interactive_effects, res.factors @ res.loadings.T, atol=1e-12)
    assert abs(a["time"].mean()) < 1e-9
    assert list(res.factors.index) == sorted(cigar["year"].unique())
    assert list(res.loadings.index) == [str(s) for s in sorted(cigar["state"].unique())]
    F, L = res.factors.to_numpy(), res.loadings.to_numpy()
    assert np.allclose(F.T @ F / 30, np.eye(2), atol=1e-9)
    G = L.T @ (L / res.error_variances.to_numpy()[:, None])
    assert abs(G[0, 1]) < 1e-8 * G[0, 0]
    assert G[0, 0] > G[1, 1]
    e = res.resid.to_numpy()
    assert np.isclose(res.rsquared, 1 - (e**2).sum() / ((data.Y - data.Y.mean()) ** 2).sum())
    assert 0.0 < res.rsquared_slopes < res.rsquared
    assert res.predict().equals(res.fittedvalues)


def test_given_slopes_factors_are_the_least_squares_ones(res, core, cigar):
    """What is reported beside corrected slopes is a minimum given them."""
    data = panel_of(cigar)
    R = (data.Y - np.tensordot(np.asarray(res.params), data.X, 1)) / np.sqrt(core.d)
    R, L = whitened(R, core.rho), whitened(np.ones((30, 1)), core.rho)
    L, q = L / np.linalg.norm(L), 1.0 / np.sqrt(core.d)[:, None]
    q /= np.linalg.norm(q)
    R = R - L @ (L.T @ R)
    R = R - (R @ q) @ q.T
    rest = np.linalg.svd(R)[1][2:]
    left = whitened(res.resid.to_numpy() / np.sqrt(core.d), core.rho)
    assert np.isclose((rest**2).sum(), (left**2).sum())


def test_arrays_and_formulas_agree_in_any_order(cigar, res):
    shuffled = cigar.sample(frac=1.0, random_state=0)
    long = np.log(shuffled.set_index(["state", "year"])[NAMES])
    again = LowRankPanel(
        long["sales"], long[["price", "ndi"]], 2, factors="fixed", effects="both"
    ).fit()
    assert np.allclose(again.params, res.params, rtol=1e-8)
    assert np.allclose(again.bse, res.bse, rtol=1e-6)
    assert list(again.params.index) == ["price", "ndi"]
    assert again.factors.index.name == "year"


@pytest.mark.slow
def test_missing_cells_are_those_of_the_core(cigar):
    gone = cigar.drop(index=[4, 39, 40, 300, 777, *range(1200, 1210)])
    res = model(gone).fit()
    whole = panel_of(cigar)
    seen = panel_of(gone.assign(sales=gone["sales"])).Y
    core = interactive_fit(
        Panel(whole.Y, whole.X, np.isfinite(seen)), Effects.of(30, 46, unit=True, time=True), 2
    )
    assert res.nobs == len(gone)
    assert np.allclose(res.params, core.beta + bias(core, influence(core)).total, rtol=1e-6)
    assert res.resid.isna().to_numpy().sum() == 15
    assert res.interactive_effects.notna().all(axis=None)
    drop = model(gone, missing="drop").fit(n_starts=1, ar=0)
    whole_years = gone.groupby("year").size().eq(46)
    assert drop.nobs == 46 * whole_years.sum()
    assert drop.model.n_dropped == 30 - whole_years.sum()
    with pytest.raises(UnbalancedPanelError):
        model(gone, missing="raise")


@pytest.mark.slow
def test_lags_of_the_response_are_found_and_corrected_for(cigar, one):
    formula = "np.log(sales) ~ lag(np.log(sales)) + np.log(price) + np.log(ndi)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = model(cigar, 1, formula=formula).fit()
    fit = res.estimate.fit
    parts = bias(fit, influence(fit), predetermined=bandwidth(29))
    assert parts.lags[0] > 0.0
    assert np.allclose(res.params, fit.beta + parts.total)
    assert np.allclose(res.bias_table["lags"], parts.lags)
    assert "that lags of" in str(res.summary())
    other = one
    assert (other.bias_table["lags"] == 0.0).all()
    strict = model(cigar, 1, formula=formula).fit(predetermined=0)
    assert np.allclose(strict.bias_table["lags"], 0.0)


@pytest.mark.slow
def test_bootstrap_keeps_what_it_says(one, unweighted):
    res = one
    boot = res.bootstrap(20, rng=1)
    assert boot.converged.all()
    assert boot.params.shape == (20, 2)
    # A standard deviation of 20 draws has a standard error of 16 %.
    assert ((boot.std_errors / res.bse).between(0.6, 1.6)).all()
    assert ((boot.params.mean() - res.params).abs() < res.bse).all()
    assert boot.params[:3].equals(res.bootstrap(3, rng=1).params)
    res = unweighted
    boot, dependent = res.bootstrap(30, rng=1), res.bootstrap(30, "dependent", rng=1)
    # Errors are correlated in time, and so their sums over time are less certain.
    assert (dependent.std_errors > boot.std_errors).all()
    assert dependent.conf_int().shape == (2, 2)


def test_bootstrap_of_nearly_exact_data_is_nearly_exact():
    rng = np.random.default_rng(0)
    f, a = rng.standard_normal((12, 1)), rng.standard_normal((10, 1))
    x = f @ a.T + rng.standard_normal((12, 10))
    index = pd.MultiIndex.from_product([range(12), range(10)], names=["t", "i"]).swaplevel()
    noise = 1e-3 * rng.standard_normal((12, 10))
    y = pd.Series((2.0 * x + 3.0 * f @ a.T + noise).ravel(), index, name="y")
    frame = pd.DataFrame({"x": x.ravel()}, index)
    res = LowRankPanel(y, frame, 1, factors="fixed").fit()
    assert abs(res.params["x"] - 2.0) < 1e-3
    assert np.allclose(res.bootstrap(3).params, 2.0, atol=1e-3)


@pytest.mark.slow
def test_rank_is_chosen_by_name(cigar):
    found = model(cigar, "ed")
    assert found.rank_method == "ed"
    assert found.rank == found.rank_selection.rank == found.rank_selection.choices["ed"]
    table = found.rank_selection.table
    assert list(table.index) == list(range(9))
    assert table["ic2"].idxmin() == found.rank_selection.choices["ic2"]
    auto = model(cigar, "auto")
    assert auto.rank == found.rank
    assert "Onatski" in str(auto.rank_selection)
    assert "Factors:" in str(found.fit(n_starts=1).summary())


@pytest.mark.slow
def test_rank_by_blocks_finds_the_number_of_factors():
    rng = np.random.default_rng(2)
    F, L = rng.standard_normal((24, 2)), rng.standard_normal((20, 2))
    x = F @ L.T + rng.standard_normal((24, 20))
    y = x + 2.0 * F @ L.T + 0.5 * rng.standard_normal((24, 20))
    index = pd.MultiIndex.from_product([range(24), range(20)], names=["t", "i"]).swaplevel()
    made = LowRankPanel(
        pd.Series(y.ravel(), index), pd.DataFrame({"x": x.ravel()}, index), 2, factors="fixed"
    )
    chosen = made.select_rank("cv", 4, rng=0)
    assert chosen.rank == 2
    assert chosen.table["cv"].idxmin() == 2
    assert {"cv_se", "ed", "pc1"} <= set(chosen.table)
    with pytest.raises(OptionError, match="leaves out a block"):
        made.select_rank("cv", 4, folds=15)


def test_regressors_without_a_slope_are_named(cigar):
    data = cigar.assign(size=cigar["state"] * 1.5, era=cigar["year"] ** 2.0)
    for term, words in (("size", "constant over time"), ("era", "constant over units")):
        with pytest.raises(RankDeficientError, match=f"'{term}' is {words}"):
            model(data, 1, None, f"{FORMULA} + {term}")
    with pytest.raises(RankDeficientError, match="'size:era'"):
        model(data, 1, "both", f"{FORMULA} + size:era")
    with pytest.raises(RankDeficientError, match="combination"):
        model(cigar, 1, "both", FORMULA + " + np.log(price * ndi)")
    with pytest.raises(RankDeficientError, match="no regressor"):
        model(cigar, 1, "both", "sales ~ 1")


def test_too_few_cells_are_named(cigar):
    gone = cigar[(cigar["state"] != 3) | (cigar["year"] < 66)]
    with pytest.raises(InsufficientRowsError, match="units '3' were"):
        model(gone, 2)
    assert model(gone, 1, None).fit(gtol=1e-6, n_starts=1).converged
    with pytest.raises(IllegalRankError, match="at most"):
        model(cigar, 40)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("independent", "time"), ("mundlak", True), ("weights", "pop"), ("ar", "common"),
        ("row_scale", "~ price"), ("cell_scale", "~ price"), ("spatial_error", np.eye(46)),
        ("spatial_lag", np.eye(46)), ("heterogeneous", ["np.log(price)"]),
        ("heterogeneous", True), ("standardize", False),
    ],
)  # fmt: skip
def test_what_goes_with_random_factors_only_is_refused_by_name(cigar, name, value):
    with pytest.raises(OptionError, match=f"{name}= with factors='fixed'"):
        model(cigar, 1, **{name: value})


def test_other_options_are_refused(cigar, res):
    with pytest.raises(OptionError, match="factors must be"):
        LowRankPanel.from_formula(FORMULA, cigar, entity="state", time="year", factors=2)
    with pytest.raises(UnknownArgumentError, match="rank="):
        LowRankSUR(np.ones((5, 2)), np.ones((5, 2, 1)), factors=2)
    with pytest.raises(UnknownArgumentError, match="wieghts"):
        model(cigar, 1, wieghts=1)
    with pytest.raises(OptionError, match="which is HC2"):
        model(cigar, 1).fit(cov_type="HC1")
    with pytest.raises(UnknownArgumentError, match="lags"):
        model(cigar, 1).fit(cov_type="HC2", cov_kwds={"lags": 2})
    with pytest.raises(OptionError, match="bias must be"):
        model(cigar, 1).fit(bias="bootstrap")
    with pytest.raises(NotApplicableError, match="new periods"):
        res.predict(cigar)
    with pytest.raises(NotApplicableError, match="no additive effects"):
        _ = model(cigar, 1, None).fit(gtol=1e-6, n_starts=1).effects
    with pytest.raises(NoFactorsError):
        model(cigar, 0).fit().plot_factors()


def test_pickles_and_removes_data(one):
    res = copy.deepcopy(one)
    file = io.BytesIO()
    res.save(file)
    file.seek(0)
    again = type(res).load(file)
    assert np.array_equal(again.params, res.params)
    assert np.array_equal(again.factors, res.factors)
    bse, table = res.bse, res.tidy()
    res.remove_data()
    assert np.array_equal(res.bse, bse)
    assert res.tidy().equals(table)
    assert res.rank == 1
    with pytest.raises(DataRemovedError):
        _ = res.factors
    assert one.resid.shape == (30, 46)


def test_summary_says_what_was_done(cigar, res):
    text = str(res.summary())
    for words in ("Weighted LS", "units, periods", "analytic", "state, units:", "The constant"):
        assert words in text
    assert "Bai 2009" in str(model(cigar, 1).fit(weighted=False, bias=None).summary())
    assert repr(res) == (
        "<InteractivePanelResults: 46 units x 30 periods, 2 fixed factors, effects: both, "
        "converged>"
    )
    assert "46 units x 30 periods" in repr(model(cigar, 1))
    assert "np.log(price)" in model(cigar, 1)._repr_html_()


@pytest.mark.slow
def test_starts_are_counted_and_told(cigar):
    seen = []
    res = model(cigar, 1).fit(n_starts=2, callback=lambda climb: seen.append(climb.label))
    # Once without correlation in time and once with it, from what the first found as well.
    assert seen == ["ols", "cce", "given", "ols", "cce"]
    assert len(res.mle_retvals["starts"]) == 3
    seen.clear()
    res = model(cigar, 1).fit(n_starts=2, ar=0, callback=lambda climb: seen.append(climb.label))
    assert seen == ["ols", "cce"]
    assert len(res.mle_retvals["starts"]) == 2
    stopped = model(cigar, 1).fit(callback=lambda climb: True)
    assert len(stopped.mle_retvals["starts"]) == 1
    given = model(cigar, 1).fit(start_params=[-0.6, 0.4], n_starts=1)
    assert given.mle_retvals["starts"]["start"].tolist() == ["given"]
    seen.clear()
    # The user's end holds for both searches.
    model(cigar, 1).fit(callback=lambda climb: seen.append(climb.label) or climb.label == "cce")
    assert seen == ["ols", "cce", "given"]


def test_as_many_starts_as_by_default_are_the_default():
    """With AR(1) of .6; the search with rho had ended after its first climb, at 1.544."""
    rng = np.random.default_rng(15)
    f, a = rng.standard_normal((20, 2)), rng.standard_normal((20, 2))
    x = f @ a.T + rng.standard_normal((20, 20))
    y = x + f @ a.T + 2 * coloured(rng.standard_normal((20, 20)), 0.6)
    index = pd.MultiIndex.from_product([range(20), range(20)], names=["unit", "time"])
    made = LowRankPanel(
        pd.Series(y.T.ravel(), index), pd.DataFrame({"x": x.T.ravel()}, index), 2, factors="fixed"
    )
    whole, few = made.fit(), made.fit(n_starts=7)
    assert len(few.mle_retvals["starts"]) >= 7
    assert few.params["x"] == pytest.approx(whole.params["x"], rel=1e-9)
    assert abs(whole.params["x"] - 1.0) < 0.1
    assert abs(made.fit(n_starts=20).params["x"] - 1.0) < 0.1
    given = made.fit(start_params=[0.5], n_starts=7).mle_retvals["starts"]["start"]
    assert given.tolist()[:2] == ["given", "ols"]
    assert len(given) == 7


def test_correlation_in_time_is_estimated_given_or_left_out(cigar, one, unweighted):
    res = one
    assert f"{res.ar:.3f}" in str(res.summary())
    assert model(cigar, 1).fit(ar=res.ar).params.round(6).equals(res.params.round(6))
    none = unweighted
    assert none.ar == model(cigar, 1).fit(weighted=False).ar == 0.0
    assert (none.params - res.params).abs().max() > 1e-3
    lagged = model(cigar, 1, formula=f"{FORMULA} + lag(np.log(sales))")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert lagged.fit().ar == 0.0
    holes = model(cigar.drop(index=[700]), 1)
    assert holes.fit(gtol=1e-6).ar == 0.0
    with pytest.raises(OptionError, match="no cell is missing"):
        holes.fit(ar=0.5)
    for value in (1.0, "common", True):
        with pytest.raises(OptionError, match="ar must be 'auto' or a number"):
            model(cigar, 1).fit(ar=value)


def test_pictures_have_their_units(res):
    plt = pytest.importorskip("matplotlib.pyplot")
    ax = res.plot_factors()
    assert ax.get_title() == "Factors"
    loadings = res.plot_loadings()
    assert "correlation" in loadings.figure.axes[-1].get_ylabel() + loadings.get_xlabel()
    plt.close("all")


def test_the_constructor_hands_over(cigar):
    long = np.log(cigar.set_index(["state", "year"])[NAMES])
    made = LowRankPanel(long["sales"], long[["price", "ndi"]], 1, factors="fixed")
    assert type(made) is InteractivePanel
    random = LowRankPanel(long["sales"], long[["price", "ndi"]], 1, factors="random")
    assert type(random) is LowRankPanel


def test_lags_of_the_response_and_holes_turn_weights_in_time_off(cigar, one):
    names = "np.log(sales) ~ lag(np.log(sales)) + np.log(price)"
    lagged = model(cigar, 1, formula=names)
    # Whatever the bias terms are asked for: with predetermined=0 it had been .55.
    for predetermined in ("auto", 0, 2):
        assert lagged.fit(predetermined=predetermined, n_starts=1).ar == 0.0
    assert lagged.fit(predetermined=0, n_starts=1, ar=0.2).ar == 0.2
    assert model(cigar, 1).fit(predetermined=2, n_starts=1).ar == 0.0
    assert model(cigar.drop(index=[40, 700]), 1).fit().ar == 0.0
    assert one.ar > 0.3


def test_data_have_the_names_of_the_response_and_the_regressors(res):
    data = res.model.data
    assert data.orig_endog.name == data.ynames == res.model.endog_names
    assert list(data.orig_exog.columns) == data.xnames == list(res.params.index)
    assert data.orig_exog.index.equals(data.orig_endog.index)


def test_a_correlation_in_time_at_its_bound_is_told_in_the_summary():
    """Errors that are random walks; one that is given is at no bound."""
    rng = np.random.default_rng(20)
    x = rng.standard_normal((30, 20))
    y = 2.0 * x + np.cumsum(rng.standard_normal((30, 20)), axis=0)
    index = pd.MultiIndex.from_product([range(20), range(30)], names=["unit", "time"])
    made = LowRankPanel(
        pd.Series(y.T.ravel(), index), pd.DataFrame({"x": x.T.ravel()}, index), 1, factors="fixed"
    )
    res = made.fit(n_starts=1)
    said = "The correlation of errors in time is at its bound, 0.98"
    assert res.converged
    assert res.ar == 0.98
    assert said in str(res.summary())
    assert said not in str(made.fit(ar=0.98, n_starts=1).summary())
