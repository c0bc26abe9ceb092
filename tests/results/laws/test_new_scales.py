"""Scales of new rows, told by their data, against the covariance of all cells in full."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel, LowRankSUR
from sm_alsgls.exceptions import FormulaError, ShapeError
from tests.results.laws.fits import CASES, LAWS, MANY, W_MANY, data_of, fitted, new_data, twin

PERIODS = [name for name in LAWS if not CASES[name].units]
SCALED = [name for name in LAWS if {"row_scale", "cell_scale"} & set(CASES[name].laws)]
#: Rows after which nothing of the first ones is left: rho^60.
FAR = 60


def correction(res):
    return np.square(res.estimate.df.correction)


def last_rows(name, data):
    """Covariances of rows that nothing is known before, a period of the data each, (T, K, K)."""
    k, out = fitted(name).neqs, []
    for _, one in data.groupby("year"):
        out.append(twin(name, extra=FAR, new=one)[0][-k:, -k:])
    return np.array(out)


@pytest.mark.parametrize("name", PERIODS)
def test_variances_of_new_rows(name):
    res, data = fitted(name), new_data(name)
    made = res.get_prediction(data)
    expected = np.einsum("tjj->tj", last_rows(name, data)) * correction(res)
    wide = data.assign(v=made.var_resid).pivot(index="year", columns="entity", values="v")
    np.testing.assert_allclose(wide.to_numpy(), expected, rtol=1e-8)
    moved = res.get_prediction(data.assign(z=data["z"] + 1.0, zc=data["zc"] + 1.0)).var_resid
    assert (moved != made.var_resid).all() == (name in SCALED)


def test_without_memory_it_is_exp_z_delta_sigma():
    res, data = fitted("row_scale"), new_data("row_scale")
    delta, mean = res.row_scale["coef"].iloc[0], data_of(False, False)["z"].mean()
    each = pd.Series(res.sigma.diag() * correction(res), res.model.equations)
    expected = np.exp((data["z"] - mean) * delta) * data["entity"].map(each)
    np.testing.assert_allclose(res.get_prediction(data).var_resid, expected, rtol=1e-10)


def test_variances_of_units():
    name = "units, all"
    res, data = fitted(name), new_data(name)
    rng = np.random.default_rng(3)
    first, old = pd.Series(rng.standard_normal(len(MANY)), MANY), data_of(True, False)["z"]
    data["z"] = data["entity"].map(first)
    par = res.law_params()["coef"]
    M = W_MANY.to_numpy()
    L = np.linalg.inv(np.eye(len(M)) - par["spatial_lag"] * M)
    L = L @ np.linalg.inv(np.eye(len(M)) - par["spatial_error"] * M)

    def expected(z):
        share = np.square(L) @ np.exp(par["scale_z"] * (z - old.mean()))
        return np.multiply.outer(share, res.sigma.diag() * correction(res))

    made = data.assign(v=res.get_prediction(data).var_resid)
    wide = made.pivot(index="entity", columns="year", values="v")
    np.testing.assert_allclose(wide.to_numpy(), expected(first.to_numpy()), rtol=1e-9)
    # Neighbours that are not among the rows are mean ones, where nothing else is needed of them.
    res = LowRankPanel.from_formula(
        "y ~ x", data_of(True, False), 1, entity="entity", time="year", independent="entity",
        row_scale="~ z", spatial_error=W_MANY,
    ).fit()  # fmt: skip
    par = res.law_params()["coef"]
    L = np.linalg.inv(np.eye(len(M)) - par["spatial_error"] * M)
    few = data[data["entity"].isin(MANY[:3])]
    some = np.r_[first.to_numpy()[:3], np.full(len(MANY) - 3, old.mean())]
    found = few.assign(v=res.get_prediction(few).var_resid)
    found = found.pivot(index="entity", columns="year", values="v").to_numpy()
    np.testing.assert_allclose(found, expected(some)[:3], rtol=1e-9)
    one = few[few["year"] == few["year"].iloc[0]]
    alone = res.equations[res.model.equations[0]].get_prediction(one.set_index("entity"))
    np.testing.assert_allclose(alone.var_resid, found[:, 0], rtol=1e-12)


@pytest.mark.parametrize("name", ["cell_scale", "each, cells, lag", "all"])
def test_given_the_others_of_a_new_row(name):
    res, data = fitted(name), new_data(name)
    data["y"] = np.random.default_rng(8).standard_normal(len(data))
    data.loc[[0, 7], "y"] = np.nan
    made = res.get_prediction(data, given=True)
    mean = res.predict(data)
    Y = data.pivot(index="year", columns="entity", values="y").to_numpy()
    mu = data.assign(v=mean).pivot(index="year", columns="entity", values="v").to_numpy()
    columns = {"v": made.var_resid, "m": made.predicted_mean}
    v, m = (
        data.assign(one=one).pivot(index="year", columns="entity", values="one").to_numpy()
        for one in columns.values()
    )
    for t, C in enumerate(last_rows(name, data)):
        for j in range(len(C)):
            others = np.array([i for i in range(len(C)) if i != j and np.isfinite(Y[t, i])])
            w = np.linalg.solve(C[np.ix_(others, others)], C[others, j])
            expected = mu[t, j] + w @ (Y[t, others] - mu[t, others])
            assert m[t, j] == pytest.approx(expected, rel=1e-7, abs=1e-7)
            variance = (C[j, j] - w @ C[others, j]) * correction(res)[j]
            assert v[t, j] == pytest.approx(variance, rel=1e-7)


def doubled(z):
    return 2.0 * z


def panel(**laws):
    return LowRankPanel.from_formula(
        "y ~ x", data_of(False, False), 1, entity="entity", time="year", independent="time",
        heterogeneous=["x"], **laws,
    ).fit()  # fmt: skip


@pytest.mark.parametrize("said", ["~ center(z)", "~ 0 + z", "~ doubled(z)", "z", ["z"]])
def test_however_z_is_said(said):
    plain, data = fitted("row_scale"), new_data("row_scale")
    res = panel(row_scale=said)
    expected = plain.get_prediction(data).var_resid
    less = copy.deepcopy(res)
    less.remove_data()
    for again in (res, less, pickle.loads(pickle.dumps(res)), copy.deepcopy(res)):
        np.testing.assert_allclose(again.get_prediction(data).var_resid, expected, rtol=1e-5)
    some = res.get_prediction(data, equations=["u3", "u1"])
    at = data["entity"].isin(["u1", "u3"])
    np.testing.assert_allclose(some.var_resid, expected[at], rtol=1e-5)
    one = res.equations["u3"].get_prediction(data[data["entity"] == "u3"])
    np.testing.assert_allclose(one.var_resid, expected[data["entity"] == "u3"], rtol=1e-5)
    with pytest.raises(FormulaError, match="row_scale.*'z'"):
        res.get_prediction(data.drop(columns="z"))
    with pytest.raises(FormulaError, match="row_scale.*'z'"):
        res.forecast(data.drop(columns="z"))
    # Means need no scale.
    np.testing.assert_allclose(res.predict(data.drop(columns="z")), res.predict(data))


def test_a_value_that_is_missing_is_that_of_its_row():
    for name, column in (("row_scale", "z"), ("cell_scale", "zc"), ("all", "z")):
        res, data = fitted(name), new_data(name)
        first = data["year"] == data["year"].min()
        gone = first if column == "z" else data.index == 1
        less = data.assign(**{column: data[column].where(~gone)})
        for made in (res.get_prediction, res.forecast):
            found, expected = made(less), made(data)
            assert found.se_obs[gone].isna().all()
            np.testing.assert_allclose(found.predicted_mean, expected.predicted_mean)
            assert found.se_obs[~gone].notna().all()
        known = res.get_prediction(less).se_obs[~gone]
        np.testing.assert_allclose(known, res.get_prediction(data).se_obs[~gone])


def test_rows_of_a_scale_that_differs_within_them():
    res, data = fitted("row_scale"), new_data("row_scale")
    data.loc[0, "z"] += 1.0
    with pytest.raises(ShapeError, match=f"'z' differs within row {data.loc[0, 'year']}"):
        res.get_prediction(data)


def test_values_and_designs_are_of_mean_scale():
    frame, data = data_of(False, False), new_data("row_scale")
    mean = frame["z"].mean()
    expected = fitted("row_scale").get_prediction(data.assign(z=mean)).var_resid
    by_values = panel(row_scale=frame["z"].to_numpy())
    np.testing.assert_allclose(by_values.get_prediction(data).var_resid, expected, rtol=1e-5)
    res, year = fitted("row_scale"), data["year"].min()
    designs = [
        np.column_stack([np.ones(len(x)), x])
        for _, x in data[data["year"] == year].groupby("entity")["x"]
    ]
    found = res.get_prediction(designs, transform=False).var_resid
    np.testing.assert_allclose(found.to_numpy()[0], expected[data["year"] == year], rtol=1e-9)


@pytest.mark.slow
def test_a_wide_system():
    rng = np.random.default_rng(4)
    data = pd.DataFrame(rng.standard_normal((80, 4)), columns=["y1", "y2", "x", "z"])
    data[["y1", "y2"]] *= np.exp(0.4 * data[["z"]].to_numpy())
    # A scale of cells is named by the equations in a system of several formulas.
    for laws, name in (({"row_scale": "~ z"}, "z"), ({"row_scale": "z"}, "z")):
        res = LowRankSUR.from_formula({"y1": "y1 ~ x", "y2": "y2 ~ x"}, data, 0, **laws).fit()
        delta = res.row_scale["coef"].iloc[0]
        new = pd.DataFrame({"x": [0.0, 1.0], "z": [2.0, -1.0]}, index=["a", "b"])
        made = res.get_prediction(new)
        h = np.exp(delta * (new[name] - data[name].mean()).to_numpy())
        expected = np.multiply.outer(h, res.sigma.diag() * correction(res))
        np.testing.assert_allclose(made.var_resid.to_numpy(), expected, rtol=1e-10)
        one = res.equations["y2"].get_prediction(new)
        np.testing.assert_allclose(one.var_resid, expected[:, 1], rtol=1e-10)
