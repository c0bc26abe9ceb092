"""What restrictions leave free, and the tests of fits that have some."""

import pickle

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy import stats

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import DataRemovedError, OptionError, RestrictionError
from sm_alsgls.results.freedom import Freedom
from tests.systems import simulate

N, COLUMNS = 60, ["const", "a", "b", "c"]
TYPES = {"nonrobust": {}, "KH": {}, "sandwich": {}, "HC1": {}, "HAC": {"maxlags": 2}}
TYPES["cluster"] = {"groups": np.arange(N) // 4}


@pytest.fixture(scope="module")
def model():
    X, Y, _ = simulate(N, 4, 4, 1, seed=2)
    # Units far apart: rounding errors of one coefficient are larger than variances of another.
    scale = np.array([1.0, 1e-6, 1.0, 1e5])
    return LowRankSUR(Y, [pd.DataFrame(x * scale, columns=COLUMNS) for x in X], rank=1)


@pytest.fixture(scope="module", params=TYPES)
def bound(request, model):
    """y1: b fixed to 0. y2: all slopes fixed. y3: a and b tied. y3 and y4: c equal."""
    return model.fit_constrained(
        "y1_b = 0, y2_a = 0, y2_b = 0.5, y2_c = 1e-6, y3_a = 1e6 * y3_b, y3_c = y4_c",
        cov_type=request.param,
        cov_kwds=TYPES[request.param],
    )


def wald_over_m(res, free):
    """b' V^-1 b / m of coefficients that determine one another in no way, in their units."""
    b, se = res.params[free], res.bse[free]
    V = res.cov_params().loc[free, free] / np.outer(se, se)
    return float((b / se) @ np.linalg.solve(V, b / se)) / len(free)


def f_of(res, free):
    """F and p-value that the free coefficients are zero, by the law of the covariance."""
    if res.cov_type in ("nonrobust", "KH"):
        F = wald_over_m(res, free)
        df = min(res.estimate.df.t[int(name[1]) - 1] for name in free)
        return F, stats.f.sf(F, len(free), df)
    R = np.zeros((len(free), len(res.params)))
    for i, name in enumerate(free):
        R[i, res.params.index.get_loc(name)] = 1.0
    assert res.wald_test(R / np.abs(R @ res.bse)[:, None], use_f=False).statistic == pytest.approx(
        len(free) * wald_over_m(res, free), rel=1e-6
    )
    test = res.f_test(R)
    return float(test.fvalue), float(test.pvalue)


def test_equation_fvalue_tests_what_is_free(bound):
    for name, free in {
        "y1": ["y1_a", "y1_c"],
        "y3": ["y3_b", "y3_c"],
        "y4": ["y4_a", "y4_b", "y4_c"],
    }.items():
        view = bound.equations[name]
        assert (view.fvalue, view.f_pvalue) == pytest.approx(f_of(bound, free), rel=1e-5)
        assert view.df_model == len(free)
    nothing = bound.equations["y2"]
    assert np.isnan(nothing.fvalue)
    assert np.isnan(nothing.f_pvalue)
    assert nothing.df_model == 0


def test_system_fvalue_tests_what_is_free(bound):
    free = ["y1_a", "y1_c", "y3_a", "y3_c", "y4_a", "y4_b"]
    assert (bound.fvalue, bound.f_pvalue) == pytest.approx(f_of(bound, free), rel=1e-5)


def test_a_fixed_coefficient_has_no_variance(bound):
    fixed = ["y1_b", "y2_a", "y2_b", "y2_c"]
    V = bound.cov_params()
    assert (bound.bse[fixed] == 0.0).all()
    assert (bound.bse.drop(fixed) > 0.0).all()
    assert bound.tvalues[fixed].isna().all()
    assert (V.loc[fixed] == 0.0).all(axis=None)
    assert bound.cov_params(column="y1_b") == 0.0
    again = bound.get_robustcov_results(bound.cov_type, **TYPES[bound.cov_type])
    fresh = again.equations["y1"]
    assert fresh.bse["b"] == 0.0  # of the equation's block: the system has not been asked
    assert np.isnan(fresh.tvalues["b"])
    assert (fresh.cov_params()["b"] == 0.0).all()
    assert fresh.t_test("b = 0").sd == 0.0
    tied = bound.equations["y3"]
    assert tied.t_test("a = 1e6 * b").sd == 0.0
    assert (tied.cov_params([1, 1, 0, 0], other=[[0, 1, -1e6, 0]]) == 0.0).all()
    R = np.eye(16)[[bound.params.index.get_loc(name) for name in ("y1_b", "y1_a")]]
    assert (bound.cov_params(R[:1], other=R) == 0.0).all()
    assert (bound.cov_params(R, other=R[:1]) == 0.0).all()
    assert bound.t_test("y3_a = 1e6 * y3_b").sd == 0.0
    assert bound.t_test("y1_b + y1_a").sd == pytest.approx(bound.bse["y1_a"], rel=1e-8)


def test_joint_tests_leave_out_what_is_fixed(bound):
    both = bound.f_test("y1_b = 0, y1_a = 0")
    assert both.df_num == 1
    assert float(both.fvalue) == pytest.approx(bound.tvalues["y1_a"] ** 2, rel=1e-7)
    own = bound.equations["y1"].f_test("b = 0, a = 0")
    assert own.df_num == 1
    assert float(own.fvalue) == pytest.approx(bound.tvalues["y1_a"] ** 2, rel=1e-7)
    with pytest.raises(RestrictionError, match="fix everything that is to be tested"):
        bound.f_test("y1_b = 0")
    with pytest.raises(RestrictionError, match="fix everything"):
        bound.equations["y2"].wald_test("a = 1")
    assert bound.test_across("c").df_num == 2  # y1, and y3 = y4; y2 is fixed
    table = bound.wald_test_terms().table
    assert table["df_constraint"].to_dict() == {"const": 4, "a": 3, "b": 2, "c": 2}


def test_a_term_that_is_fixed_everywhere_has_no_row(model):
    res = model.fit_constrained([f"y{j}_b = 0" for j in range(1, 5)])
    assert res.wald_test_terms().table.index.tolist() == ["const", "a", "c"]
    with pytest.raises(RestrictionError, match="fix everything"):
        res.test_across("b")


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning")
def test_all_slopes_fixed(model):
    fixed = [f"y{j}_{x} = 0" for j in range(1, 5) for x in "abc"]
    for kwds in ({}, {"debiased": False}):
        res = model.fit_constrained(fixed, **kwds)
        assert np.isnan(res.fvalue)
        assert np.isnan(res.f_pvalue)


def test_common_coefficients():
    X, Y, _ = simulate(N, 4, 3, 1, seed=2)
    res = LowRankSUR(Y, X, rank=0, common=["x1", "x2"]).fit()
    assert res.fvalue == pytest.approx(wald_over_m(res, ["x1", "x2"]), rel=1e-7)
    assert float(res.test_across("x1").fvalue) == pytest.approx(res.tvalues["x1"] ** 2)
    with pytest.raises(OptionError, match="restriction_tests"):
        res.test_across("x1", null="equal")


class TestFreedom:
    Q = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1e5, -1.0]])

    def test_fixed(self):
        freedom = Freedom(self.Q)
        R = np.array([[0, 3.0, 0, 0], [0, 1, 1e5, -1], [0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
        assert freedom.fixed(R).tolist() == [True, True, False, False, True]
        assert freedom.fixed_coefficients(4).tolist() == [False, True, False, False]

    def test_independent(self):
        freedom = Freedom(self.Q)
        kept = freedom.independent(np.eye(4)).tolist()
        assert kept in ([0, 2], [0, 3])
        assert freedom.independent(self.Q).tolist() == []
        assert freedom.independent(np.empty((0, 4))).tolist() == []

    def test_without_restrictions_all_is_free(self):
        freedom = Freedom(None)
        assert freedom.independent(np.ones((3, 4))).tolist() == [0, 1, 2]
        assert not freedom.fixed(np.eye(4)).any()
        assert not freedom.fixed_coefficients(4).any()

    def test_part(self):
        part = Freedom(self.Q).of(slice(1, 3))
        assert part.fixed(np.eye(2)).tolist() == [True, False]
        assert part.independent(np.eye(2)).tolist() == [1]


@pytest.mark.parametrize("round_trip", ["pickle", "cloudpickle", "save"])
def test_constrained_fits_pickle(bound, round_trip, tmp_path):
    if round_trip == "save":
        bound.save(tmp_path / "fit.pickle")
        again = sm.load(tmp_path / "fit.pickle")
    else:
        module = {"pickle": pickle, "cloudpickle": cloudpickle}[round_trip]
        again = module.loads(module.dumps(bound))
    pd.testing.assert_series_equal(again.bse, bound.bse)
    assert again.fvalue == bound.fvalue
    assert again.df_model == bound.df_model
    refitted = again.model.fit()
    assert refitted.params["y3_a"] == pytest.approx(1e6 * refitted.params["y3_b"], rel=1e-10)


@pytest.mark.parametrize("looked", [True, False])
def test_constrained_fits_lose_their_data(bound, looked):
    bare = pickle.loads(pickle.dumps(bound))
    if looked:
        bare.summary()
    bare.remove_data()
    again = pickle.loads(pickle.dumps(bare))
    for one in (bare, again):
        pd.testing.assert_frame_equal(one.cov_params(), bound.cov_params(), rtol=1e-10)
        pd.testing.assert_series_equal(one.bse, bound.bse, rtol=1e-10)
        assert one.fvalue == pytest.approx(bound.fvalue, rel=1e-7)
        for name in ("y1", "y2", "y3"):
            assert_allclose(one.equations[name].fvalue, bound.equations[name].fvalue, rtol=1e-7)
        if bound.cov_type in ("nonrobust", "KH", "HAC"):
            assert one.test_across("c").df_num == 2
        else:
            with pytest.raises(DataRemovedError, match="joint test"):
                one.test_across("c")
        assert one.summary().tables[1].as_text() == bound.summary().tables[1].as_text()
        for needs_data in (one.restriction_tests, one.bootstrap, one.model.fit):
            with pytest.raises(DataRemovedError, match="remove_data"):
                needs_data()


def test_bootstrap_results_pickle_and_need_no_data(model):
    res = model.fit_constrained("y1_b = 0, y3_a = 1e6 * y3_b", n_starts=1)
    boot = res.bootstrap(5, rng=1, statistic=None)
    frame = boot.summary_frame()
    assert frame.loc["y1_b", "boot std err"] < 1e-12
    assert np.isnan(boot.pvalues["y1_b"])
    assert boot.pvalues.drop("y1_b").between(1 / 6, 1.0).all()
    assert_allclose(boot.conf_int().loc["y1_b"], 0.0, atol=1e-12)
    assert_allclose(boot.pvalues["y3_a"], boot.pvalues["y3_b"])
    res.remove_data()
    for module in (pickle, cloudpickle):
        again = module.loads(module.dumps(boot))
        pd.testing.assert_frame_equal(again.summary_frame(), frame)
        np.testing.assert_array_equal(again.converged, boot.converged)


def test_a_normal_test_stays_normal_whatever_the_degrees_of_freedom():
    """Equations with degrees of freedom of their own, and use_t=False of the fit or the test."""
    X, Y, _ = simulate(60, 6, 4, 1, seed=3)
    X = [x[:, : 2 + j % 3] for j, x in enumerate(X)]
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    R = np.eye(len(res.params))[[1, -1]]
    normal, own = res.t_test(R, use_t=False), res.t_test(R)
    assert (normal.distribution, own.distribution) == ("norm", "t")
    np.testing.assert_allclose(normal.pvalue, 2 * stats.norm.sf(np.abs(normal.tvalue)), rtol=1e-12)
    assert len(np.unique(own.df_denom)) == 2
    expected = 2 * stats.t.sf(np.abs(own.tvalue), own.df_denom)
    np.testing.assert_allclose(own.pvalue, expected, rtol=1e-12)


def test_a_covariance_that_is_given_may_have_its_labels_in_any_order():
    X, Y, _ = simulate(60, 5, 3, 1, seed=3)
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    V = res.cov_params() * 1.7
    order = np.random.default_rng(0).permutation(len(V))
    R = np.eye(len(V))[[1, -1]]
    plain, mixed = (res.t_test(R, cov_p=W) for W in (V, V.iloc[order, order]))
    np.testing.assert_allclose(mixed.sd, plain.sd, rtol=1e-12)
    np.testing.assert_allclose(
        np.ravel(plain.sd)[[0, -1]], np.sqrt(np.diag(V)[[1, -1]]), rtol=1e-12
    )
