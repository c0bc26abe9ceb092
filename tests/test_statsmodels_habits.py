"""The habits of a statsmodels user, typed on Grunfeld's panel, one a test."""

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.iolib.summary2 import summary_col

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.diagnostics import diagonality_test, rank_test, sufficiency_test
from sm_alsgls.exceptions import DataRemovedError, HeywoodWarning, NotApplicableError

PERIODS = np.arange(20) // 2
COVARIANCES = {name: {} for name in ("nonrobust", "KH", "sandwich", "HC0", "HC1")}
COVARIANCES |= {"cluster": {"groups": PERIODS}, "HAC": {"maxlags": 2}}
HYPOTHESES = "GM_value = USS_value, GM_capital = 0.5"


def make_model(data, **kwds):
    return LowRankSUR.from_formula(
        "invest ~ value + capital", data, groups="firm", time="year", rank=2, **kwds
    )


@pytest.fixture(scope="module")
def data():
    short = {"General Motors": "GM", "US Steel": "USS"}
    panel = load_grunfeld().replace({"firm": short})
    return panel.assign(firm=panel["firm"].str.replace(" ", ""))


@pytest.fixture(scope="module")
def res(data):
    return make_model(data).fit()


@pytest.fixture(scope="module")
def matrix(res):
    """HYPOTHESES as (R, q)."""
    R = pd.DataFrame(0.0, index=range(2), columns=res.params.index)
    R.loc[0, ["GM_value", "USS_value"]] = 1.0, -1.0
    R.loc[1, "GM_capital"] = 1.0
    return R.to_numpy(), np.array([0.0, 0.5])


@pytest.fixture(params=["patsy", "formulaic"])
def in_engine(request, data, monkeypatch):
    """The model fitted while statsmodels uses one formula engine, and after."""
    monkeypatch.setattr(statsmodels.formula.options, "formula_engine", request.param)
    return make_model(data).fit()


def wald(res, R, q):
    gap = R @ res.params.to_numpy() - q
    return float(gap @ np.linalg.solve(R @ res.cov_params().to_numpy() @ R.T, gap))


def test_params_are_a_labelled_series(res):
    assert res.params.index[:3].tolist() == ["GM_Intercept", "GM_value", "GM_capital"]
    assert res.params["GM_value"] == pytest.approx(0.10728, abs=1e-5)
    for other in (res.bse, res.tvalues, res.pvalues):
        assert other.index.equals(res.params.index)
    assert_allclose(res.tvalues, res.params / res.bse)
    assert_allclose(res.pvalues, 2 * stats.t(15).sf(res.tvalues.abs()))


@pytest.mark.parametrize(("cov_type", "kwds"), COVARIANCES.items())
def test_cov_type_at_fit_or_afterwards(res, cov_type, kwds):
    again = res.get_robustcov_results(cov_type, **kwds)
    fitted = res.model.fit(cov_type=cov_type, cov_kwds=kwds)
    assert again.cov_type == fitted.cov_type == cov_type
    assert_allclose(again.bse, fitted.bse, rtol=1e-10)
    np.testing.assert_array_equal(again.params, res.params)
    assert_allclose(np.sqrt(np.diag(again.cov_params())), again.bse)
    assert np.allclose(again.bse, res.bse) == (cov_type == "nonrobust")


def test_robust_types_follow_from_score_obs_and_information(res):
    scores = res.model.score_obs(res.params, res.sigma)
    bread = np.linalg.inv(res.model.information(res.params, res.sigma))
    hc0 = res.get_robustcov_results("HC0").cov_params()
    hc1 = res.get_robustcov_results("HC1").cov_params()
    assert_allclose(hc0, bread @ (scores.T @ scores) @ bread, rtol=1e-6)
    assert_allclose(hc1, hc0 * 20 / 15, rtol=1e-10)
    alone = res.get_robustcov_results("cluster", groups=np.arange(20), use_correction=False)
    assert_allclose(alone.cov_params(), hc0)


def test_use_t_false_takes_normal_quantiles(res):
    normal = res.model.fit(use_t=False)
    assert_allclose(normal.bse, res.bse)
    assert_allclose(normal.pvalues, 2 * stats.norm.sf(res.tvalues.abs()))
    assert normal.wald_test(np.eye(33)[1], scalar=True).distribution == "chi2"


def test_conf_int(res):
    half = stats.t(15).ppf(0.95) * res.bse
    interval = res.conf_int(alpha=0.1)
    assert_allclose(interval, np.column_stack([res.params - half, res.params + half]))
    assert interval.index.equals(res.params.index)
    pd.testing.assert_frame_equal(res.conf_int(0.1, cols=[1, 4]), interval.iloc[[1, 4]])
    names = ["GM_value", "USS_value"]
    pd.testing.assert_frame_equal(res.conf_int(0.1, cols=names), interval.loc[names])


def test_cov_params_variants(res, matrix):
    V, R = res.cov_params(), matrix[0]
    assert V.columns.equals(res.params.index)
    plug_in = np.linalg.inv(res.model.information(res.params, res.sigma))
    assert_allclose(res.model.fit(debiased=False).cov_params(), plug_in, rtol=1e-6)
    assert (np.diag(V) > np.diag(plug_in) * 20 / 15).all()
    assert_allclose(res.cov_params(column=[1, 4]), V.iloc[[1, 4], [1, 4]])
    assert res.cov_params(column=1) == pytest.approx(V.iloc[1, 1])
    assert res.cov_params(column="GM_value") == pytest.approx(V.iloc[1, 1])
    assert_allclose(res.cov_params(R), R @ V @ R.T)
    assert_allclose(res.cov_params(R, other=R[:1]), R @ V @ R[:1].T)
    assert_allclose(res.cov_params(R, cov_p=np.eye(33)), R @ R.T)


def test_t_test_strings_and_matrices(in_engine, matrix):
    res, (R, q) = in_engine, matrix
    effect, sd = R @ res.params, np.sqrt(np.diag(R @ res.cov_params() @ R.T))
    for tested in (res.t_test(HYPOTHESES), res.t_test((R, q))):
        assert_allclose(tested.effect, effect)
        assert_allclose(tested.sd, sd)
        assert_allclose(tested.tvalue, (effect - q) / sd)
        assert_allclose(tested.pvalue, 2 * stats.t(15).sf(np.abs(effect - q) / sd))
    assert_allclose(res.t_test(np.eye(33)).tvalue, res.tvalues)
    assert res.t_test("GM_value").pvalue == pytest.approx(res.pvalues["GM_value"])
    assert res.t_test("2*GM_value = 3*USS_value").effect == pytest.approx(
        2 * res.params["GM_value"] - 3 * res.params["USS_value"]
    )


def test_wald_and_f_tests_strings_and_matrices(in_engine, matrix):
    res, statistic = in_engine, wald(in_engine, *matrix)
    for hypotheses in (HYPOTHESES, matrix):
        f = res.f_test(hypotheses)
        assert float(f.fvalue) == pytest.approx(statistic / 2)
        assert (f.df_num, f.df_denom) == (2, 15)
        assert float(f.pvalue) == pytest.approx(stats.f(2, 15).sf(statistic / 2))
        chi2 = res.wald_test(hypotheses, use_f=False, scalar=True)
        assert chi2.statistic == pytest.approx(statistic)
        assert chi2.pvalue == pytest.approx(stats.chi2(2).sf(statistic))


def test_wald_test_terms(in_engine):
    table = in_engine.wald_test_terms(combine_terms=["a"]).table
    assert table["df_constraint"].tolist() == [11, 11, 11, 22]
    R = np.eye(33)[1::3]
    assert table.loc["value", "statistic"] == pytest.approx(wald(in_engine, R, 0.0) / 11)
    arrays = in_engine.wald_test_terms(scalar=False).table
    assert set(arrays[["statistic", "pvalue"]].dtypes.astype(str)) == {"object"}
    numbers = in_engine.wald_test_terms(scalar=True).table
    assert set(numbers[["statistic", "pvalue"]].dtypes.astype(str)) == {"float64"}
    assert float(arrays.loc["value", "statistic"].item()) == numbers.loc["value", "statistic"]


def test_test_across(res):
    R = np.eye(33)[1::3]
    assert float(res.test_across("value").fvalue) == pytest.approx(wald(res, R, 0.0) / 11)
    equal = res.test_across("value", null="equal")
    assert float(equal.fvalue) == pytest.approx(wald(res, R[1:] - R[0], 0.0) / 10)


def test_fit_constrained(in_engine, matrix):
    free = in_engine
    one = free.model.fit_constrained("GM_value = USS_value, GM_capital = 0.4")
    two = free.model.fit_constrained((matrix[0], [0.0, 0.4]))
    assert_allclose(one.params, two.params)
    assert one.params["GM_value"] == pytest.approx(one.params["USS_value"], rel=1e-12)
    assert one.params["GM_capital"] == pytest.approx(0.4, rel=1e-12)
    assert one.bse["GM_capital"] == 0.0
    assert one.llf < free.llf
    assert one.df_model == free.df_model - 2


def test_compare_lr(res):
    restricted = res.model.fit_constrained("GM_value = USS_value")
    statistic, pvalue, df = res.compare_lr(restricted, debiased=False)
    assert df == 1
    assert statistic == pytest.approx(2 * (res.llf - restricted.llf))
    assert pvalue == pytest.approx(stats.chi2(1).sf(statistic))
    assert res.compare_lr(restricted).statistic == pytest.approx(statistic * 15 / 20)


def test_common_coefficients(data, res):
    with pytest.warns(HeywoodWarning, match="'IBM'"):
        common = make_model(data, common=["capital"]).fit()
    assert common.params.index[0] == "capital"
    assert len(common.params) == len(res.params) - 10
    assert common.df_model == res.df_model - 10
    assert common.llf < res.llf


def test_diagnostics(data, res):
    E = np.column_stack(
        [
            sm.OLS(one["invest"], sm.add_constant(one[["value", "capital"]])).fit().resid
            for _, one in data.groupby("firm", sort=False)
        ]
    )
    C = np.corrcoef(E.T)[np.triu_indices(11, 1)]
    lm, cd = diagonality_test(res), diagonality_test(res, "cd")
    assert (lm.statistic, lm.df) == (pytest.approx(20 * C @ C), 55)
    assert lm.pvalue == pytest.approx(stats.chi2(55).sf(lm.statistic))
    assert cd.statistic == pytest.approx(np.sqrt(2 * 20 / 110) * C.sum())
    assert diagonality_test(res, "lr").df == rank_test(res).df + 12 == 21
    S = np.cov(res.resid.T, bias=True) + np.outer(res.resid.mean(), res.resid.mean())
    plain = sufficiency_test(res, "residuals", correction=False)
    saturated = -10 * (11 * np.log(2 * np.pi) + np.linalg.slogdet(S)[1] + 11)
    assert plain.statistic == pytest.approx(2 * (saturated - res.llf))
    assert plain.df == 34


def test_system_rsquared(data, res):
    Y, E = res.model.endog, res.resid.to_numpy()
    Yc, inverse = Y - Y.mean(axis=0), np.linalg.inv(res.sigma.to_dense())
    mcelroy = 1 - np.trace(E @ inverse @ E.T) / np.trace(Yc @ inverse @ Yc.T)
    assert res.system_rsquared["mcelroy"] == pytest.approx(mcelroy)
    assert res.system_rsquared["judge"] == pytest.approx(1 - (E**2).sum() / (Yc**2).sum())


def test_predict_new_data(data, res):
    new = data.tail(5)[["firm", "value", "capital"]]
    firm = new["firm"].iloc[0]
    a, b, c = res.params[[f"{firm}_Intercept", f"{firm}_value", f"{firm}_capital"]]
    assert_allclose(res.predict(new), a + b * new["value"] + c * new["capital"])
    pd.testing.assert_frame_equal(res.predict(), res.fittedvalues)
    assert_allclose(res.fittedvalues + res.resid, res.model.endog)


def test_model_predict(data, res):
    pd.testing.assert_frame_equal(res.model.predict(res.params), res.fittedvalues)
    new = data.tail(5)
    assert_allclose(res.model.predict(2 * res.params, new), 2 * res.predict(new))
    merged = res.model.predict(res.params.sort_index())  # by name
    assert_allclose(merged, res.fittedvalues)


def test_get_prediction_summary_frame(data, res):
    new = data[(data["firm"] == "IBM") & (data["year"] > 1950)]
    frame = res.get_prediction(new).summary_frame(alpha=0.1)
    assert_allclose(frame["mean"], res.predict(new))
    X = np.column_stack([np.ones(len(new)), new[["value", "capital"]]])
    variance = np.einsum("ni,ij,nj->n", X, res.equations["IBM"].cov_params(), X)
    assert_allclose(frame["mean_se"], np.sqrt(variance))
    error = res.sigma.diag()[res.model.equations.index("IBM")] * 20 / 15
    upper = frame["mean"] + stats.t(15).ppf(0.95) * np.sqrt(variance + error)
    assert_allclose(frame["obs_ci_upper"], upper)


def test_save_load_and_pickle(data, res, tmp_path):
    res.save(tmp_path / "fit.pickle")
    for back in (sm.load(tmp_path / "fit.pickle"), pickle.loads(pickle.dumps(res))):
        pd.testing.assert_series_equal(back.params, res.params)
        pd.testing.assert_frame_equal(back.cov_params(), res.cov_params())
        np.testing.assert_array_equal(back.predict(data), res.predict(data))
        assert back.model.fit().llf == pytest.approx(res.llf, rel=1e-12)


def test_remove_data(data, res):
    bare = pickle.loads(pickle.dumps(res))
    bare.remove_data()
    assert len(pickle.dumps(bare)) < len(pickle.dumps(res))
    assert_allclose(bare.bse, res.bse)
    assert_allclose(bare.predict(data), res.predict(data))
    assert bare.summary().tables[1].as_text() == res.summary().tables[1].as_text()
    with pytest.raises(DataRemovedError, match="remove_data"):
        _ = bare.resid


@pytest.mark.parametrize("form", ["as_text", "as_latex", "as_html"])
def test_summary(res, form):
    text = getattr(res.summary(), form)()
    assert "Equation: GM" in text
    assert f"{res.llf:.4f}" in text
    for number in (res.params["GM_value"], *res.conf_int().loc["GM_capital"]):
        assert f"{number:.3f}" in text


def test_summary_col(res):
    hc1 = res.get_robustcov_results("HC1")
    table = summary_col([res, hc1], model_names=["plain", "HC1"], float_format="%.5f").tables[0]
    at = table.index.get_loc("GM_value")
    assert table.iloc[at, 0].startswith("0.10728")
    assert table.iloc[at + 1].tolist() == [f"({r.bse['GM_value']:.5f})" for r in (res, hc1)]


def test_tidy_glance_augment(res):
    tidy, glance, augment = res.tidy(), res.glance(), res.augment()
    np.testing.assert_array_equal(tidy["std_error"], res.bse)
    assert (tidy["equation"] + "_" + tidy["term"]).tolist() == res.params.index.tolist()
    assert glance.loc[0, "aic"] == pytest.approx(-2 * res.llf + 2 * 65)
    assert len(augment) == 220
    assert_allclose(augment["resid"], augment["observed"] - augment["fitted"])
    sums = (augment["resid"] ** 2).groupby(augment["equation"]).sum()
    assert_allclose(sums[res.model.equations], (res.resid**2).sum())


def test_loglike_score_hessian_information(res):
    model, sigma, at = res.model, res.sigma, res.params * 1.01
    assert model.loglike(res.params, sigma) == pytest.approx(res.llf)
    density = stats.multivariate_normal(cov=sigma.to_dense())
    assert density.logpdf(res.resid).sum() == pytest.approx(res.llf)
    score, H = model.score(at, sigma), model.hessian(at, sigma)
    assert_allclose(model.score_obs(at, sigma).sum(axis=0), score)
    np.testing.assert_array_equal(H, -model.information(at, sigma))
    # Quadratic in the coefficients: one Newton step is the maximum, a difference is exact.
    assert_allclose(at - np.linalg.solve(H, score), res.params, rtol=1e-6)
    step = 1e-3 * res.params.to_numpy()
    rise = model.loglike(at + step, sigma) - model.loglike(at - step, sigma)
    assert rise == pytest.approx(2 * step @ score, rel=1e-6)


def test_bootstrap(res):
    boot = res.bootstrap(reps=9, rng=1)
    pd.testing.assert_frame_equal(boot.params, res.bootstrap(reps=9, rng=1).params)
    assert_allclose(boot.std_errors, boot.params.std())
    assert 0.3 < (boot.std_errors / res.bse).median() < 2.0
    assert boot.pvalues.between(0.1, 1.0).all()
    assert_allclose(boot.conf_int().mean(axis=1), res.params)


def test_an_equation_is_results(res):
    ibm, names = res.equations["IBM"], ["IBM_Intercept", "IBM_value", "IBM_capital"]
    np.testing.assert_array_equal(ibm.params, res.params[names])
    np.testing.assert_array_equal(ibm.conf_int(), res.conf_int().loc[names])
    assert_allclose(ibm.cov_params(), res.cov_params().loc[names, names])
    y = ibm.fittedvalues + ibm.resid
    assert ibm.rsquared == pytest.approx(1 - (ibm.resid**2).sum() / ((y - y.mean()) ** 2).sum())
    assert f"{ibm.rsquared:.3f}" in ibm.summary().as_text()


def test_hypotheses_about_an_equation(in_engine):
    ibm, res = in_engine.equations["IBM"], in_engine
    t = ibm.t_test("value = capital")
    assert t.effect == pytest.approx(ibm.params["value"] - ibm.params["capital"])
    assert t.pvalue == pytest.approx(res.t_test("IBM_value = IBM_capital").pvalue)
    assert float(ibm.f_test("value = 0, capital = 0").fvalue) == pytest.approx(ibm.fvalue)
    chi2 = ibm.wald_test(np.eye(3)[1:], use_f=False)
    assert chi2.statistic == pytest.approx(2 * ibm.fvalue)


def test_fvalue_of_a_restricted_fit(res):
    bound = res.model.fit_constrained("IBM_capital = 0")
    ibm = bound.equations["IBM"]
    assert ibm.fvalue == pytest.approx(ibm.tvalues["value"] ** 2)
    assert ibm.f_pvalue == pytest.approx(ibm.pvalues["value"])


def test_t_test_pairwise_says_what_to_use(res):
    with pytest.raises(NotApplicableError, match=r'test_across\(.*t_test\("a = b"\)'):
        res.t_test_pairwise("value")


def test_foreign_keywords_name_ours(res):
    with pytest.raises(TypeError, match="'maxiter'; use max_sweeps="):
        res.model.fit(maxiter=100)


def test_disp_prints_how_the_fit_ended(res, capsys):
    res.model.fit(disp=True)
    assert f"Current function value: {res.nll_per_row:.6f}" in capsys.readouterr().out


def test_callback_sees_every_sweep(res):
    seen = []
    again = res.model.fit(start_params=res.params, n_starts=1, callback=seen.append)
    assert len(seen) >= again.mle_retvals["iterations"] > 0
    assert seen[-1].nll == pytest.approx(res.nll_per_row, rel=1e-6)


def test_wald_test_terms_calls_the_intercept_by_one_name(in_engine):
    assert in_engine.wald_test_terms().table.index[0] == "Intercept"
