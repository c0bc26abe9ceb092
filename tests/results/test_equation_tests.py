"""Hypotheses about one equation's own coefficients."""

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import OptionError, RestrictionError
from sm_alsgls.results.covariance import covariance
from tests.systems import simulate

TEXTS = ["value = capital", "value = 0.1, capital = 0", "2*value - capital = 1"]


def grunfeld(rank=2, data=None):
    data = load_grunfeld() if data is None else data
    return LowRankSUR.from_formula(
        "invest ~ value + capital", data, groups="firm", time="year", rank=rank
    )


@pytest.fixture(scope="module", params=["nonrobust", "HC1", "cluster", "HAC"])
def res(request):
    kwds = {"cluster": {"groups": np.arange(20) // 2}, "HAC": {"maxlags": 2}}
    return grunfeld().fit(cov_type=request.param, cov_kwds=kwds.get(request.param))


@pytest.fixture(scope="module")
def uneven():
    """Equations with 2, 3 and 4 coefficients, so that degrees of freedom differ."""
    X, Y, _ = simulate(40, 3, 4, 0, seed=3)
    return LowRankSUR(Y, [x[:, : 2 + j] for j, x in enumerate(X)], rank=0).fit()


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
def test_strings_in_the_equations_own_names(engine, monkeypatch):
    monkeypatch.setattr(statsmodels.formula.options, "formula_engine", engine)
    res = grunfeld().fit()
    ibm = res.equations["IBM"]
    for text in TEXTS:
        own = text.replace("value", "IBM_value").replace("capital", "IBM_capital")
        mine, of_system = ibm.t_test(text), res.t_test(own)
        assert_allclose(mine.effect, of_system.effect)
        assert_allclose(mine.tvalue, of_system.tvalue)
        assert_allclose(mine.pvalue, of_system.pvalue)
        f, of_system = ibm.f_test(text), res.f_test(own)
        assert float(f.fvalue) == pytest.approx(float(of_system.fvalue))
        assert (f.df_num, f.df_denom) == (of_system.df_num, 15)


def test_the_covariance_type_is_the_fits(res):
    ibm = res.equations["IBM"]
    R, q = np.array([[0.0, 1.0, -1.0], [1.0, 0.0, 2.0]]), np.array([0.0, 0.5])
    b = res.params[["IBM_Intercept", "IBM_value", "IBM_capital"]].to_numpy()
    labels = [f"IBM_{name}" for name in ibm.params.index]
    V = res.cov_params().loc[labels, labels].to_numpy()
    gap = R @ b - q
    expected = gap @ np.linalg.solve(R @ V @ R.T, gap)
    f = ibm.f_test((R, q))
    if res.cov_type == "nonrobust":
        assert float(f.fvalue) == pytest.approx(expected / 2, rel=1e-7)
    else:  # a small-sample law of its own, tests/results/test_joint.py
        whole = np.zeros((2, len(res.params)))
        whole[:, [res.params.index.get_loc(label) for label in labels]] = R
        assert float(f.pvalue) == pytest.approx(float(res.f_test((whole, q)).pvalue), rel=1e-7)
    assert ibm.wald_test((R, q), use_f=False).statistic == pytest.approx(expected, rel=1e-7)
    assert_allclose(ibm.t_test((R, q)).sd, np.sqrt(np.diag(R @ V @ R.T)), rtol=1e-8)
    assert_allclose(ibm.t_test(np.eye(3)).pvalue, ibm.pvalues, rtol=1e-7)
    assert ibm.f_test(np.eye(3)[1:]).fvalue == pytest.approx(ibm.fvalue, rel=1e-6)


def test_rank_0_is_ols():
    data = load_grunfeld()
    res = grunfeld(0).fit()
    ols = smf.ols("invest ~ value + capital", data[data["firm"] == "IBM"]).fit()
    for text in TEXTS:
        mine, theirs = res.equations["IBM"].f_test(text), ols.f_test(text)
        assert float(mine.fvalue) == pytest.approx(float(theirs.fvalue), rel=1e-7)
        assert float(mine.pvalue) == pytest.approx(float(theirs.pvalue), rel=1e-6)
        mine, theirs = res.equations["IBM"].t_test(text), ols.t_test(text)
        assert_allclose(mine.conf_int(), theirs.conf_int(), rtol=1e-7)


def test_degrees_of_freedom_are_the_equations(uneven):
    assert [uneven.equations[name].f_test("x1 = 0").df_denom for name in ("y1", "y2", "y3")] == [
        38,
        37,
        36,
    ]
    assert uneven.equations["y1"].t_test("x1 = 0").df_denom == 38
    normal = uneven.model.fit(use_t=False).equations["y1"]
    assert normal.wald_test("x1 = 0").distribution == "chi2"
    assert normal.t_test("x1 = 0").distribution == "norm"


def test_another_covariance(uneven):
    view = uneven.equations["y2"]
    V = np.diag([1.0, 4.0, 9.0])
    tested = view.t_test("x1 = x2", cov_p=V)
    assert tested.sd.item() == pytest.approx(np.sqrt(13.0))
    assert_allclose(view.cov_params(r_matrix=[[0, 1, 1]], cov_p=V), [[13.0]])


def test_only_its_own_block_is_computed(uneven, monkeypatch):
    fresh = uneven.model.fit()
    asked = []
    kind = type(covariance(fresh.estimate))
    block = kind.block
    monkeypatch.setattr(kind, "block", lambda self, j: asked.append(j) or block(self, j))
    for other in ("dense", "variances", "combinations"):
        monkeypatch.setattr(kind, other, lambda self, *args: pytest.fail("other equations"))
    view = fresh.equations["y3"]
    view.t_test("x1 = x2")
    view.f_test("x1 = x2, x3 = 0")
    view.cov_params(column="x1")
    assert set(asked) == {2}


def test_after_remove_data_and_pickling():
    full = grunfeld().fit()
    bare = pickle.loads(pickle.dumps(full))
    bare.remove_data()
    for view in (bare.equations["IBM"], pickle.loads(pickle.dumps(bare.equations["IBM"]))):
        for text in TEXTS:
            assert_allclose(
                view.f_test(text).fvalue, full.equations["IBM"].f_test(text).fvalue, rtol=1e-10
            )


def test_errors_speak_of_the_equations_columns(uneven):
    view = uneven.equations["y2"]
    with pytest.raises(RestrictionError, match="the columns of the equation, for example 'const'"):
        view.t_test("y2_x1 = 0")
    with pytest.raises(RestrictionError, match="4 columns for 3 coefficients"):
        view.f_test(np.eye(4))


def test_conf_int_and_cov_params_by_name(uneven):
    view = uneven.equations["y3"]
    V = view.cov_params()
    assert V.index.tolist() == ["const", "x1", "x2", "x3"]
    pd.testing.assert_frame_equal(view.conf_int(cols=["x2", 0]), view.conf_int().iloc[[2, 0]])
    pd.testing.assert_frame_equal(view.cov_params(column=["x3", "x1"]), V.iloc[[3, 1], [3, 1]])
    assert view.cov_params(column="x3") == V.iloc[3, 3]
    with pytest.raises(OptionError, match="column: no coefficient is called 'y3_x3'.*'x3'"):
        view.cov_params(column="y3_x3")
