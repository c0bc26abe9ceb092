"""Predictions against the definition of their errors, by n x n matrices."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankMixedLM
from sm_alsgls.datasets import load_sleepstudy
from sm_alsgls.exceptions import OptionError, ShapeError, UnseenLevelError
from tests.core.mixed import dense_mixed
from tests.models.mixed.data import frame, made
from tests.results.mixed import dense


@pytest.fixture(scope="module")
def sleep():
    data = load_sleepstudy()
    model = LowRankMixedLM.from_formula("Reaction ~ Days", data, "~ Days", groups="Subject")
    return data, model.fit(cov_type="satterthwaite")


@pytest.fixture(scope="module", params=["full", 1])
def slopes(request):
    data = frame(40)
    return data, made(data, request.param).fit(cov_type="satterthwaite")


def test_population_and_group_are_the_best_predictors(slopes):
    data, res = slopes
    rows, G, s2 = res.model.rows, res.cov_re.to_numpy(), res.scale
    new = data.iloc[[0, 7, 30]].assign(x1=[0.3, -1.0, 2.0])
    for level in ("population", "group"):
        found = res.get_prediction(new, level=level)
        frame_ = found.summary_frame()
        np.testing.assert_allclose(frame_["mean"], res.predict(new, level=level), rtol=1e-12)
        for i in range(3):
            x = np.append(1.0, new[["x1", "x2", "x3"]].iloc[i])
            group = None
            if level == "group":
                group = int(np.flatnonzero(res.model.group_labels == new["g"].iloc[i])[0])
            L = dense.weights(rows, G, s2, x, x, group)
            assert frame_["mean"].iloc[i] == pytest.approx(L @ rows.y, rel=1e-7)
            error = dense.error(rows, G, s2, x, x, group)
            assert found.var_pred_mean.iloc[i] == pytest.approx(error, rel=1e-7)
            between = 0.0 if group is not None else x @ G @ x
            assert found.var_obs.iloc[i] == pytest.approx(error + between + s2, rel=1e-7)


@pytest.mark.parametrize(
    ("level", "obs"), [("population", True), ("group", False), ("group", True)]
)
def test_degrees_of_freedom_are_satterthwaites(sleep, level, obs):
    """2 v^2 / (g'A g), g by differences of the whole variance and A of the likelihood."""
    data, res = sleep
    rows = res.model.rows
    new = data.iloc[[9]].assign(Days=12.0)
    x = np.array([1.0, 12.0])
    group = 0 if level == "group" else None

    def nll(a):
        V = dense.covariance(rows, *dense.unpacked(a, 2))
        return -dense_mixed.log_likelihood(rows.X, rows.y, V, True)

    def variance(a):
        G, s2 = dense.unpacked(a, 2)
        between = x @ G @ x if group is None else 0.0
        return dense.error(rows, G, s2, x, x, group) + (between + s2 if obs else 0.0)

    a = dense.packed(res.cov_re.to_numpy(), res.scale)
    H = dense.slopes(lambda at: dense.slopes(nll, at), a)
    g = dense.slopes(variance, a)
    expected = 2.0 * variance(a) ** 2 / (g @ np.linalg.solve((H + H.T) / 2, g))
    found = res.get_prediction(new, level=level).df(obs)
    assert found.iloc[0] == pytest.approx(expected, rel=2e-3)


def test_the_mean_of_the_population_is_a_t_test(slopes):
    """By default too, whose covariance is not that of known variances."""
    data, other = slopes
    res = made(data, other.rank).fit()
    assert res.cov_type == "kenward-roger"
    new = data.iloc[[0, 7]].assign(x1=[0.3, 0.0])
    found = res.get_prediction(new)
    x = np.column_stack([np.ones(2), new[["x1", "x2", "x3"]]])
    test = res.t_test(x)
    np.testing.assert_allclose(found.var_pred_mean, np.ravel(test.sd) ** 2, rtol=1e-10)
    np.testing.assert_allclose(found.df(False), np.ravel(test.df_denom), rtol=1e-10)
    np.testing.assert_allclose(
        found.summary_frame()[["mean_ci_lower", "mean_ci_upper"]], test.conf_int(), rtol=1e-10
    )
    assert (found.var_pred_mean > other.get_prediction(new).var_pred_mean).all()
    one, two = (r.get_prediction(new, level="group") for r in (res, other))
    gap = one.var_pred_mean - two.var_pred_mean
    V = np.einsum("nj,jk,nk->n", x, res.cov_params() - other.cov_params(), x)
    assert (gap.abs() > 0.0).all()
    assert (gap.abs() <= V * (1.0 + 1e-9)).all()
    for obs in (False, True):
        np.testing.assert_allclose(one.df(obs), two.df(obs), rtol=1e-10)
    assert (one.df(True) > 30.0).all()


def test_degrees_of_freedom_know_of_levels(slopes):
    data = slopes[0].copy()
    rng = np.random.default_rng(4)
    data["y"] += np.where(data["kind"] == "low", 2.0, 0.0) * rng.standard_normal(len(data))
    res = made(data, "full", "y ~ x1", "~ x1", residual="~ 0 + kind").fit()
    new = data.iloc[:4]
    found = res.get_prediction(new, level="group")
    ratios = np.exp(np.append(0.0, res.residual_params))
    variance = dict(zip(res.model.law.labels, res.scale * ratios, strict=True))
    np.testing.assert_allclose(found.var_resid, [variance[kind] for kind in new["kind"]])
    # Of the level with few rows, the residual variance is what is known least.
    assert found.df(True).between(1.0, len(data)).all()
    without = res.get_prediction(new.drop(columns="kind"), level="group")
    np.testing.assert_allclose(without.se_mean, found.se_mean)
    with pytest.raises(OptionError, match="residual="):
        without.se_obs  # noqa: B018
    told = res.get_prediction(new.drop(columns="kind"), level="group", residual=new["kind"])
    np.testing.assert_allclose(told.se_obs, found.se_obs)
    with pytest.raises(UnseenLevelError, match="'none'"):
        res.get_prediction(new, residual=["none"] * 4)


def test_a_new_group_is_given_its_rows(slopes):
    """As a group of the fit would be, had it not been used for the coefficients."""
    data, res = slopes
    new = frame(3, seed=5, most=6)
    new["g"] = new["g"] + 1000
    found = res.get_prediction(new, observed=new)
    G, s2, C = res.cov_re.to_numpy(), res.scale, res.cov_params().to_numpy()
    b = res.params.to_numpy()
    for _, part in new.groupby("g"):
        X = np.column_stack([np.ones(len(part)), part[["x1", "x2", "x3"]]])
        gain = G @ X.T @ np.linalg.inv(X @ G @ X.T + s2 * np.eye(len(part)))
        effect = gain @ (part["y"] - X @ b)
        at = found.predicted_mean.index.isin(part.index)
        np.testing.assert_allclose(found.predicted_mean[at], X @ (b + effect), rtol=1e-7)
        A = X - X @ gain @ X
        error = np.einsum("np,pk,nk->n", A, C, A)
        error += np.einsum("nq,qk,nk->n", X, G - gain @ X @ G, X)
        np.testing.assert_allclose(found.var_pred_mean[at], error, rtol=1e-7)
    assert found.df(True).notna().all()
    # Of a group of which nothing is known the mean is the population's, and varies with G.
    strange = new.assign(g=-1)
    np.testing.assert_allclose(res.predict(strange, level="group"), res.predict(strange))
    one = res.get_prediction(strange, level="group")
    two = res.get_prediction(strange)
    np.testing.assert_allclose(one.var_obs, two.var_obs)
    np.testing.assert_allclose(one.df(True), two.df(True), rtol=1e-8)
    with pytest.raises(OptionError, match="is a group of the fit"):
        res.predict(data, observed=data)


def test_rows_of_the_fit_are_in_the_callers_order(slopes):
    data, _ = slopes
    mixed = data.sample(frac=1.0, random_state=1)
    res = made(mixed, "full").fit()
    assert res.fittedvalues.index.equals(mixed.index)
    np.testing.assert_allclose(res.fittedvalues + res.resid, mixed["y"])
    np.testing.assert_allclose(res.predict(level="group"), res.fittedvalues, rtol=1e-12)
    np.testing.assert_allclose(res.predict(mixed, level="group"), res.fittedvalues, rtol=1e-10)
    np.testing.assert_allclose(res.predict(mixed, groups="g"), res.fittedvalues, rtol=1e-10)
    np.testing.assert_allclose(res.predict(), res.predict(mixed), rtol=1e-12)
    table = res.augment()
    assert table["row"].tolist() == mixed.index.tolist()
    np.testing.assert_allclose(table["fitted"], res.fittedvalues)
    again = res.augment(mixed)
    pd.testing.assert_frame_equal(table, again, check_dtype=False)


def test_weights_are_of_the_rows_of_the_fit(slopes):
    data, _ = slopes
    res = made(data, "full", weights="w").fit()
    w = data["w"] / data["w"].mean()
    np.testing.assert_allclose(res.get_prediction().var_resid, res.scale / w, rtol=1e-12)
    np.testing.assert_allclose(res.augment()["std_resid"], res.resid * np.sqrt(w / res.scale))
    np.testing.assert_allclose(res.get_prediction(data).var_resid, res.scale)


def test_robust_standard_errors_are_those_of_means(slopes):
    data, res = slopes
    robust = res.get_robustcov_results("CR2")
    X = np.column_stack([np.ones(5), data[["x1", "x2", "x3"]].iloc[:5]])
    found = robust.get_prediction(data.iloc[:5])
    V = robust.cov_params().to_numpy()
    np.testing.assert_allclose(found.var_pred_mean, np.einsum("np,pk,nk->n", X, V, X))
    test = robust.t_test(X)
    np.testing.assert_allclose(found.se_mean, test.sd.ravel())
    np.testing.assert_allclose(found.conf_int(), test.conf_int(), rtol=1e-8)
    normal = made(data, "full").fit(use_t=False).get_prediction(data.iloc[:5])
    half = 1.959964 * normal.se_obs
    np.testing.assert_allclose(normal.conf_int(True)["upper"], normal.predicted_mean + half)


class TestArrays:
    def test_designs_go_by_name_or_by_position(self, slopes):
        data, _ = slopes
        X = data[["x1", "x2"]].assign(const=1.0)
        res = LowRankMixedLM(data["y"], X, data["g"], X[["const", "x1"]], "full").fit()
        expected = res.predict(level="group")
        new = X[["const", "x2", "x1"]]
        found = res.predict(new, groups=data["g"])
        np.testing.assert_allclose(found, expected)
        found = res.predict(X.to_numpy(), groups=data["g"].to_numpy(), exog_re=X[["const", "x1"]])
        np.testing.assert_allclose(found, expected)
        with pytest.raises(ShapeError, match="exog_re has"):
            res.predict(X, groups=data["g"], exog_re=X[["const", "x1"]].iloc[:3])
        with pytest.raises(ShapeError, match="groups= is missing"):
            res.predict(X, level="group")

    def test_observed_is_a_mapping(self, slopes):
        data, _ = slopes
        y, X, g = data["y"].to_numpy(), data[["x1", "x2"]].to_numpy(), data["g"].to_numpy()
        old = g < 30
        res = LowRankMixedLM(y[old], X[old], g[old]).fit()
        part = {"endog": y[~old], "exog": X[~old], "groups": g[~old]}
        found = res.predict(X[~old], groups=g[~old], observed=part)
        u = res.predict(X[~old])
        shrink = res.cov_re.iloc[0, 0]
        for group in np.unique(g[~old]):
            at = g[~old] == group
            n = at.sum()
            effect = shrink / (n * shrink + res.scale) * (y[~old] - u)[at].sum()
            np.testing.assert_allclose(found[at] - u[at], effect)
        with pytest.raises(ShapeError, match="mapping with endog"):
            res.predict(X, groups=g, observed=data)
        with pytest.raises(OptionError, match="'strange'"):
            res.predict(X, groups=g, observed={**part, "strange": 1})


def test_a_row_that_misses_something_is_nan(slopes):
    data, res = slopes
    new = data.iloc[:3].copy()
    new.iloc[1, new.columns.get_loc("x2")] = np.nan
    found = res.get_prediction(new, level="group").summary_frame()
    assert found.isna().any(axis=1).tolist() == [False, True, False]
    assert res.predict(new).isna().tolist() == [False, True, False]


def test_what_does_not_go_together_is_refused(slopes, sleep):
    data, res = slopes
    with pytest.raises(OptionError, match="level must be"):
        res.predict(data, level="subject")
    with pytest.raises(OptionError, match="groups= goes with new rows"):
        res.predict(groups=data["g"])
    with pytest.raises(OptionError, match="leave one out"):
        res.predict(data, level="population", observed=data)
    with pytest.raises(UnseenLevelError, match=r"'0' \(str\)"):
        res.predict(data, groups=data["g"].astype(str))
    with pytest.raises(ShapeError, match="row 1 is missing"):
        res.predict(data.iloc[:2], groups=[3, None])
    with pytest.raises(OptionError, match="exog_re: formulas make"):
        res.predict(data, exog_re=data[["x1"]])
    with pytest.raises(ShapeError, match="lacks the response"):
        res.predict(data, observed=data.drop(columns="y").assign(g=-1))
    with pytest.raises(OptionError, match="no levels"):
        sleep[1].get_prediction(sleep[0], residual="Days")


def test_errors_that_follow_time_are_not_forecast(slopes):
    data, _ = slopes
    res = made(data, "full", "y ~ x1", "~ 1", ar="groups", time="t").fit()
    found = res.get_prediction(data.iloc[:3], level="group")
    np.testing.assert_allclose(found.var_resid, res.scale)
    assert np.isfinite(found.summary_frame()).all().all()
    with pytest.raises(OptionError, match="follow time"):
        res.predict(data.assign(g=-1), observed=data.assign(g=-1))
