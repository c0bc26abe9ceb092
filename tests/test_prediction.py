"""Predictions: against OLS, against their formulas, in every layout, and their coverage."""

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    FormulaError,
    OptionError,
    ShapeError,
    SystemInputError,
    UnseenLevelError,
)
from sm_alsgls.results.coefficients import df_coefficients
from tests.systems import simulate

FRAME = ["mean", "mean_se", "mean_ci_lower", "mean_ci_upper", "obs_ci_lower", "obs_ci_upper"]


@pytest.fixture(scope="module")
def arrays():
    X, Y, _ = simulate(50, 5, 3, 1, seed=4)
    X = [x[:, : 2 + j % 2] for j, x in enumerate(X)]
    return X, LowRankSUR(Y, X, rank=1).fit()


@pytest.fixture(scope="module")
def data():
    return load_grunfeld()


@pytest.fixture(scope="module")
def panel(data):
    return LowRankSUR.from_formula(
        "invest ~ value + capital", data, groups="firm", time="year", rank=2
    ).fit()


def replayable():
    """Three positive responses with a common factor, a regressor and a grouping."""
    rng = np.random.default_rng(3)
    common = rng.uniform(0, 2, (40, 1))
    frame = pd.DataFrame(1 + common + rng.uniform(0, 1, (40, 3)), columns=["a", "b", "c"])
    frame["x"] = rng.uniform(1, 2, 40)
    frame["g"] = np.array(["p", "q", "r"])[np.arange(40) % 3]
    return frame


@pytest.fixture(scope="module")
def mixed():
    """Categoricals and stateful transforms, two equations that share a variable."""
    frame = replayable()
    formulas = {"A": "a ~ center(x) + C(g)", "B": "np.log(b) ~ x", "C": "c ~ standardize(x) + g"}
    return frame, LowRankSUR.from_formula(formulas, frame, rank=1).fit(n_starts=1)


@pytest.fixture(scope="module")
def both():
    """Three equations without factors, and statsmodels' OLS of each."""
    X, Y, _ = simulate(30, 3, 3, 1, seed=1)
    X = [x[:, : 1 + j] for j, x in enumerate(X)]
    ols = [sm.OLS(Y[:, j], X[j]).fit() for j in range(3)]
    return X, LowRankSUR(Y, X, rank=0).fit(), ols


class TestLimitIsOLS:
    """r = 0: every number of every equation is statsmodels'."""

    @pytest.mark.parametrize("j", range(3))
    @pytest.mark.parametrize("new", [False, True])
    def test_one_equation(self, both, j, new):
        X, res, ols = both
        at = X[j][:4] * 1.7 - 0.3 if new else None
        got, want = res.equations[f"y{j + 1}"].get_prediction(at), ols[j].get_prediction(at)
        for name in ("predicted_mean", "var_pred_mean", "se_mean", "se_obs"):
            np.testing.assert_allclose(getattr(got, name), getattr(want, name), rtol=1e-10)
        np.testing.assert_allclose(got.var_resid, want.var_resid, rtol=1e-10)
        for obs in (False, True):
            np.testing.assert_allclose(
                got.conf_int(obs=obs, alpha=0.2), want.conf_int(obs=obs, alpha=0.2), rtol=1e-10
            )
        theirs = want.summary_frame(alpha=0.1)
        ours = got.summary_frame(alpha=0.1)
        assert list(ours) == list(theirs) == FRAME
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)
        np.testing.assert_allclose(
            res.equations[f"y{j + 1}"].predict(at), ols[j].predict(at), rtol=1e-10
        )

    def test_one_row_and_one_column(self, both):
        X, res, ols = both
        row = X[2][3]
        np.testing.assert_allclose(
            res.equations["y3"].get_prediction(row).summary_frame(),
            ols[2].get_prediction(row).summary_frame(),
            rtol=1e-10,
        )
        column = np.array([1.0, 2.0])
        np.testing.assert_allclose(
            res.equations["y1"].get_prediction(column).summary_frame(),
            ols[0].get_prediction(column).summary_frame(),
            rtol=1e-10,
        )

    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.OneEquationWarning")
    def test_formula(self, data):
        one = data[data["firm"] == "IBM"].set_index("year")
        res = LowRankSUR.from_formula("invest ~ value + capital", one, rank=0).fit()
        ols = smf.ols("invest ~ value + capital", one).fit()
        got = res.equations["invest"].get_prediction(one.tail(3)).summary_frame()
        pd.testing.assert_frame_equal(
            got, ols.get_prediction(one.tail(3)).summary_frame(), rtol=1e-10
        )

    def test_plain_maximum_likelihood(self, both):
        X, res, _ = both
        plain = res.model.fit(debiased=False)
        made = plain.equations["y3"].get_prediction(X[2][:5])
        s2 = np.square(res.resid["y3"]).mean()
        V = s2 * np.linalg.inv(X[2].T @ X[2])
        variance = np.einsum("np,pq,nq->n", X[2][:5], V, X[2][:5])
        np.testing.assert_allclose(made.var_pred_mean, variance, rtol=1e-10)
        np.testing.assert_allclose(made.var_obs, variance + s2, rtol=1e-10)
        half = stats.norm.ppf(0.975) * np.sqrt(variance + s2)
        np.testing.assert_allclose(
            made.conf_int(obs=True)["upper"], made.predicted_mean + half, rtol=1e-10
        )


class TestNumbers:
    @pytest.mark.parametrize("cov_type", ["nonrobust", "HC1", "sandwich"])
    def test_definition(self, arrays, cov_type):
        X, fitted = arrays
        res = fitted.get_robustcov_results(cov_type)
        new = [x[:6] + 0.5 for x in X]
        made = res.get_prediction(new)
        V, sigma = res.cov_params(), res.sigma.to_dense()
        for j, name in enumerate(res.model.equations):
            own = [n for n in V if n.startswith(f"{name}_")]
            variance = np.diag(new[j] @ V.loc[own, own].to_numpy() @ new[j].T)
            df = 50 - new[j].shape[1] - 1
            resid = sigma[j, j] * 50 / df
            t_df = (
                df
                if cov_type != "HC1"
                else df_coefficients(res.estimate)[[n in own for n in V]].min()
            )
            half = stats.t(t_df).ppf(0.95) * np.sqrt(variance + resid)
            mean = new[j] @ res.params[own]
            np.testing.assert_allclose(made.predicted_mean[name], mean, rtol=1e-12)
            np.testing.assert_allclose(made.var_pred_mean[name], variance, rtol=1e-9)
            np.testing.assert_allclose(made.se_mean[name], np.sqrt(variance), rtol=1e-9)
            np.testing.assert_allclose(made.var_resid[name], resid, rtol=1e-12)
            np.testing.assert_allclose(made.var_obs[name], variance + resid, rtol=1e-9)
            interval = made.conf_int(obs=True, alpha=0.1)[name]
            np.testing.assert_allclose(interval["lower"], mean - half, rtol=1e-9)
            np.testing.assert_allclose(interval["upper"], mean + half, rtol=1e-9)

    def test_clusters_have_their_own_quantiles(self, arrays):
        X, fitted = arrays
        res = fitted.get_robustcov_results("cluster", groups=np.arange(50) // 5)
        made = res.get_prediction([x[:2] for x in X])
        width = made.conf_int()["y2"]["upper"] - made.predicted_mean["y2"]
        # The fewest among the equation's coefficients, of ten clusters.
        df = [float(res.t_test(f"{name} = 0").df_denom) for name in res.params.index[2:5]]
        assert 1.0 <= min(df) < 9.0
        half = stats.t(min(df)).ppf(0.975) * made.se_mean["y2"]
        np.testing.assert_allclose(width, half, rtol=1e-10)

    def test_covariance_between_equations(self, arrays):
        X, res = arrays
        new = [pd.DataFrame(x[:3], index=list("uvw")) for x in X]
        made = res.get_prediction(new)
        R = np.zeros((5, len(res.params)))
        start = 0
        for j, x in enumerate(X):
            R[j, start : start + x.shape[1]] = x[1]
            start += x.shape[1]
        got = made.cov_mean("v")
        np.testing.assert_allclose(got, R @ res.cov_params().to_numpy() @ R.T, rtol=1e-9)
        np.testing.assert_allclose(np.diag(got), made.var_pred_mean.loc["v"], rtol=1e-9)
        assert list(got) == list(got.index) == res.model.equations
        some = res.get_prediction(new[3:1:-1], equations=["y4", "y3"]).cov_mean("v")
        pd.testing.assert_frame_equal(some, got.loc[["y4", "y3"], ["y4", "y3"]], rtol=1e-9)
        with pytest.raises(OptionError, match="no row 'z'; rows are 'u', 'v', 'w'"):
            made.cov_mean("z")
        twice = res.get_prediction([frame.set_axis(list("uuw")) for frame in new])
        with pytest.raises(OptionError, match="several rows are labelled 'u'"):
            twice.cov_mean("u")

    def test_old_rows(self, arrays, panel):
        for res in (arrays[1], panel):
            made = res.get_prediction()
            pd.testing.assert_frame_equal(made.predicted_mean, res.fittedvalues, rtol=1e-10)
            one = res.model.equations[1]
            own = res.equations[one].get_prediction()
            np.testing.assert_allclose(own.se_obs, made.se_obs[one], rtol=1e-12)
            pd.testing.assert_series_equal(
                res.equations[one].predict(), res.fittedvalues[one], rtol=1e-10
            )


class TestLayouts:
    def test_wide(self, arrays):
        X, res = arrays
        made = res.get_prediction({name: x[:3] for name, x in zip(res.equations, X, strict=True)})
        frame = made.summary_frame(alpha=0.1)
        assert list(frame) == FRAME
        assert frame.index.names == [None, "equation"]
        assert list(frame.index[:6]) == [(0, f"y{j}") for j in range(1, 6)] + [(1, "y1")]
        interval = made.conf_int(obs=True, alpha=0.1)
        for name in res.equations:
            part = frame.xs(name, level="equation")
            np.testing.assert_array_equal(part["mean"], made.predicted_mean[name])
            np.testing.assert_array_equal(part["mean_se"], made.se_mean[name])
            np.testing.assert_array_equal(part["obs_ci_lower"], interval[name]["lower"])
            np.testing.assert_array_equal(part["obs_ci_upper"], interval[name]["upper"])
        assert "3 rows, 5 equations" in repr(made)

    def test_row_labels_of_several_levels(self, arrays):
        X, res = arrays
        index = pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["s", "t"])
        new = [pd.DataFrame(x[:2], index=index) for x in X]
        frame = res.get_prediction(new).summary_frame()
        assert frame.index.nlevels == 2
        assert frame.index[5] == (("a", 2), "y1")
        assert res.get_prediction(new).cov_mean(("a", 2)).shape == (5, 5)

    def test_long(self, panel, data):
        new = data.sample(frac=0.3, random_state=1)
        made = panel.get_prediction(new)
        pd.testing.assert_series_equal(
            made.predicted_mean, panel.predict(new), check_names=False, rtol=1e-12
        )
        whole = panel.get_prediction()
        cells = list(zip(new["year"], new["firm"], strict=True))
        for name in ("se_mean", "se_obs", "var_obs"):
            wide = getattr(whole, name).stack()
            np.testing.assert_allclose(getattr(made, name), [wide[c] for c in cells], rtol=1e-9)
        frame = made.summary_frame()
        assert frame.index.equals(new.index)
        upper = whole.summary_frame()["obs_ci_upper"]
        np.testing.assert_allclose(frame["obs_ci_upper"], [upper[c] for c in cells], rtol=1e-9)
        assert list(made.conf_int()) == ["lower", "upper"]

    def test_rows_of_the_system_in_a_long_panel(self, panel, data):
        new = data[data["year"].isin([1940, 1950])].sample(frac=1.0, random_state=0)
        got = panel.get_prediction(new).cov_mean(1950)
        want = panel.get_prediction().cov_mean(1950)
        pd.testing.assert_frame_equal(got.loc[want.index, want.index], want, rtol=1e-8)
        with pytest.raises(OptionError, match="time="):
            panel.get_prediction(new.drop(columns="year")).cov_mean(1950)
        with pytest.raises(OptionError, match="several rows"):
            panel.get_prediction(pd.concat([new, new])).cov_mean(1950)

    def test_answers_cannot_be_changed_through_what_they_return(self, arrays):
        X, res = arrays
        made = res.get_prediction([x[:3] for x in X])
        first = made.predicted_mean
        first.iloc[0, 0] = 1e9
        assert made.predicted_mean.iloc[0, 0] != 1e9
        with pytest.raises(AttributeError):
            made._df = None
        again = pickle.loads(pickle.dumps(made))
        pd.testing.assert_frame_equal(again.summary_frame(), made.summary_frame())

    def test_level_is_checked(self, arrays):
        made = arrays[1].get_prediction()
        for method in (made.conf_int, made.summary_frame):
            with pytest.raises(OptionError, match="alpha"):
                method(alpha=5)


class TestEquations:
    def test_wide_formulas(self, mixed):
        frame, res = mixed
        whole = res.predict(frame.head(4))
        pd.testing.assert_frame_equal(res.predict(frame.head(4), equations=["C", "A"]),
                                      whole[["C", "A"]])  # fmt: skip
        pd.testing.assert_frame_equal(res.predict(frame.head(4), equations="B"), whole[["B"]])
        pd.testing.assert_frame_equal(
            res.predict(equations=["C", "A"]), res.fittedvalues[["C", "A"]], rtol=1e-10
        )
        made = res.get_prediction(frame.head(4), equations=["C", "A"])
        pd.testing.assert_frame_equal(
            made.se_obs, res.get_prediction(frame.head(4)).se_obs[["C", "A"]]
        )

    def test_only_what_is_asked_for_is_evaluated(self, mixed):
        frame, res = mixed
        only_x = frame[["x"]].head(3)
        assert res.predict(only_x, equations="B").notna().all(axis=None)
        with pytest.raises(FormulaError, match="'g'"):
            res.predict(only_x)
        assert res.equations["B"].get_prediction(only_x).se_mean.notna().all()

    def test_arrays(self, arrays):
        X, res = arrays
        whole = res.predict([x[:4] for x in X])
        listed = res.predict([X[3][:4], X[1][:4]], equations=["y4", "y2"])
        pd.testing.assert_frame_equal(listed, whole[["y4", "y2"]])
        mapped = res.predict({"y2": X[1][:4], "y4": X[3][:4]}, equations=["y4", "y2"])
        pd.testing.assert_frame_equal(mapped, whole[["y4", "y2"]])
        pd.testing.assert_frame_equal(res.predict(X[3][:4], equations="y4"), whole[["y4"]])

    def test_long(self, panel, data):
        new = data[data["year"] > 1950]
        whole = panel.predict(new)
        rows = new["firm"].isin(["IBM", "US Steel"])
        got = panel.predict(new, equations=["US Steel", "IBM"])
        pd.testing.assert_series_equal(got, whole[rows])
        # Rows of other groups are not looked at, known or not.
        odd = pd.concat([new, new.head(2).assign(firm="Ford", value=np.nan)])
        pd.testing.assert_series_equal(panel.predict(odd, equations="IBM"),
                                       whole[new["firm"] == "IBM"])  # fmt: skip
        with pytest.raises(ShapeError, match="no row of 'IBM' in 'firm'"):
            panel.predict(new[~rows], equations="IBM")

    def test_one_equation_of_a_panel_takes_every_row(self, panel, data):
        new = data[data["firm"] != "IBM"].head(3).drop(columns="firm")
        got = panel.equations["IBM"].predict(new)
        b = panel.equations["IBM"].params
        want = b["Intercept"] + b["value"] * new["value"] + b["capital"] * new["capital"]
        pd.testing.assert_series_equal(got, want, check_names=False)

    @pytest.mark.parametrize("method", ["predict", "get_prediction"])
    def test_unknown_names(self, panel, data, method):
        with pytest.raises(OptionError, match="no equation 'Ford' .it has 'General Motors', 'US"):
            getattr(panel, method)(data, equations=["IBM", "Ford"])
        with pytest.raises(OptionError, match="twice"):
            getattr(panel, method)(data, equations=["IBM", "IBM"])
        with pytest.raises(OptionError, match="empty"):
            getattr(panel, method)(data, equations=[])


class TestReplay:
    @pytest.fixture
    def made(self, engine):
        frame = replayable()

        def twice(values):  # the caller's own, out of reach of `predict`
            return 2.0 * values

        formulas = {"A": "a ~ center(x) + C(g)", "B": "b ~ twice(x)", "C": "c ~ x + g"}
        return frame, LowRankSUR.from_formula(formulas, frame, rank=1).fit(n_starts=1)

    def test_transforms_keep_what_they_learnt(self, made):
        frame, res = made
        some = frame.iloc[5:9]
        got, whole = res.get_prediction(some), res.get_prediction()
        for name in ("predicted_mean", "se_mean", "se_obs"):
            pd.testing.assert_frame_equal(
                getattr(got, name), getattr(whole, name).iloc[5:9], rtol=1e-9
            )

    @pytest.mark.parametrize("kind", ["str", "category"])
    def test_a_subset_of_the_levels(self, made, kind):
        frame, res = made
        some = frame[frame["g"] == "q"].astype({"g": object if kind == "str" else "category"})
        got = res.get_prediction(some).se_mean
        pd.testing.assert_frame_equal(got, res.get_prediction().se_mean.loc[some.index], rtol=1e-9)

    def test_an_unseen_level(self, made):
        frame, res = made
        with pytest.raises(UnseenLevelError, match=r"'g' 'z' \(known: 'p', 'q', 'r'\)"):
            res.get_prediction(frame.head(2).assign(g="z"))
        with pytest.raises(UnseenLevelError, match=r"'C'.*'g' 'z'"):
            res.equations["C"].get_prediction(frame.head(2).assign(g="z"))
        assert res.get_prediction(frame.head(2).assign(g="z"), equations="B").se_obs.shape == (2, 1)

    def test_missing_values_give_missing_rows(self, made):
        frame, res = made
        new = frame.head(4).copy()
        new.loc[1, "x"] = np.nan
        new.loc[2, "g"] = None
        made = res.get_prediction(new)
        want = pd.DataFrame({"A": [0, 1, 1, 0], "B": [0, 1, 0, 0], "C": [0, 1, 1, 0]}, dtype=bool)
        for name in ("predicted_mean", "var_pred_mean", "se_mean", "se_obs"):
            pd.testing.assert_frame_equal(getattr(made, name).isna(), want)
        gaps = made.summary_frame().isna()
        assert (gaps.all(axis=1) == want.stack().to_numpy()).all()
        assert (gaps.any(axis=1) == gaps.all(axis=1)).all()
        known = made.cov_mean(2)
        assert np.isfinite(known.loc["B", "B"])
        assert known.isna().to_numpy().sum() == 8
        assert made.cov_mean(1).isna().all(axis=None)


class TestDesigns:
    """transform=False, and models without formulas."""

    def test_designs_of_a_formula_model(self, mixed):
        frame, res = mixed
        designs = [pd.DataFrame(X[:3], frame.index[:3]) for X in res.model.exog]
        pd.testing.assert_frame_equal(
            res.get_prediction(designs, transform=False).summary_frame(),
            res.get_prediction(frame.head(3)).summary_frame(),
        )
        own = res.equations["A"].get_prediction(designs[0], transform=False)
        pd.testing.assert_frame_equal(
            own.summary_frame(), res.equations["A"].get_prediction(frame.head(3)).summary_frame()
        )

    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning")
    def test_columns_go_by_name(self):
        X, Y, _ = simulate(40, 3, 3, 1, seed=1)
        frame = pd.DataFrame(X[0], columns=["one", "u", "v"])
        res = LowRankSUR(Y, frame, rank=1).fit()
        mixed_up = frame[["v", "one", "u"]].assign(other=1.0).head(3)
        pd.testing.assert_frame_equal(res.predict(mixed_up), res.predict(frame.head(3)))

    def test_gaps(self, arrays):
        X, res = arrays
        new = [x[:3].copy() for x in X]
        new[1][2, 0] = np.nan
        se = res.get_prediction(new).se_obs
        assert se.isna().to_numpy().sum() == 1
        assert np.isnan(se.loc[2, "y2"])
        nullable = pd.DataFrame(X[1][:3]).astype("Float64").mask(np.eye(3, 3, 2) > 0)
        assert list(res.equations["y2"].predict(nullable).isna()) == [True, False, False]

    def test_what_does_not_fit(self, arrays):
        X, res = arrays
        with pytest.raises(SystemInputError, match="'y1': exog cannot be made a DataFrame"):
            res.equations["y1"].predict({"const": [1.0], "x1": []})
        with pytest.raises(ShapeError, match="'y2': exog has 2 rows, that of 'y1' has 3"):
            res.get_prediction([x[: 3 - (j == 1)] for j, x in enumerate(X)])
        with pytest.raises(ShapeError, match="'y2': exog has 2 columns, the model has 3"):
            res.equations["y2"].get_prediction(X[1][:, :2])
        with pytest.raises(ShapeError, match="'y1': exog holds text"):
            res.equations["y1"].predict(np.array([["a", "b"]]))
        other = [pd.DataFrame(x[:3], index=np.arange(3) + (j == 2)) for j, x in enumerate(X)]
        with pytest.raises(ShapeError, match="'y3': exog has other row labels"):
            res.predict(other)
        with pytest.raises(ShapeError, match="lists 2 designs for 5 equations"):
            res.predict([X[0], X[1]])


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")
@pytest.mark.slow
def test_coverage_of_observations():
    """95 % intervals for new observations cover 95 %, at N = 60, K = 8, r = 1.

    60 replications of 8 equations x 5 new rows. Given a fit, what its interval covers is known of
    the law of the new responses, N(0, F F' + D), and needs no draws of them: the standard error
    of coverage, from the replications' means, is then about 0.0020. Over six seeds of draws it is
    0.9519 (0.0010), and 0.9385 with debiased=False, which this test would notice.
    """
    rng = np.random.default_rng(21)
    K, N, p, new = 8, 60, 3, 5
    covered = []
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, p - 1))]) for _ in range(K)]
    F, d = rng.uniform(0.5, 1.5, (K, 1)), rng.uniform(0.5, 1.5, K)
    sd = np.sqrt(F[:, 0] ** 2 + d)
    for _ in range(60):
        Z = [np.column_stack([np.ones(new), rng.standard_normal((new, p - 1))]) for _ in range(K)]
        E = rng.standard_normal((N, 1)) @ F.T + rng.standard_normal((N, K)) * np.sqrt(d)
        interval = LowRankSUR(E, X, rank=1).fit(n_starts=1).get_prediction(Z).conf_int(obs=True)
        lower = interval.xs("lower", axis=1, level=1).to_numpy()
        upper = interval.xs("upper", axis=1, level=1).to_numpy()
        covered.append((stats.norm.cdf(upper / sd) - stats.norm.cdf(lower / sd)).mean())
    mean, error = np.mean(covered), np.std(covered, ddof=1) / np.sqrt(len(covered))
    assert error < 0.0025
    assert abs(mean - 0.95) < 3.0 * error, f"coverage {mean:.4f}, standard error {error:.4f}"
