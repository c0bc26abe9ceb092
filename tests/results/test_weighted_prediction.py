"""Predictions of rows with weights: statsmodels' WLS, and the dense covariance of a row."""

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from sm_alsgls import LowRank3SLS, LowRankPanel, LowRankSUR
from sm_alsgls.exceptions import NonFiniteError, OptionError

NAMES, N = ["a", "b", "c", "d"], 30


@pytest.fixture(scope="module")
def wide():
    rng = np.random.default_rng(5)
    F = rng.standard_normal((4, 1))
    X, w = rng.standard_normal((N, 4)), rng.uniform(0.2, 5.0, (N, 4))
    E = rng.standard_normal((N, 1)) @ F.T + rng.standard_normal((N, 4))
    Y = 1.0 + 0.5 * X + E / np.sqrt(w)
    columns = {f"y{n}": Y[:, j] for j, n in enumerate(NAMES)}
    columns |= {f"x{n}": X[:, j] for j, n in enumerate(NAMES)}
    columns |= {f"w{n}": w[:, j] for j, n in enumerate(NAMES)}
    return pd.DataFrame(columns, index=pd.RangeIndex(1990, 1990 + N, name="year"))


@pytest.fixture(scope="module")
def long(wide):
    parts = [
        pd.DataFrame(
            {"y": wide[f"y{n}"], "x": wide[f"x{n}"], "w": wide[f"w{n}"], "unit": n}
        ).reset_index()
        for n in NAMES
    ]
    return pd.concat(parts, ignore_index=True)


def system(long, rank, weights="w", **how):
    return LowRankSUR.from_formula(
        "y ~ x", long, rank, groups="unit", time="year", weights=weights, **how
    ).fit()


def of_formulas(wide, rank, weights):
    formulas = {n: f"y{n} ~ x{n}" for n in NAMES}
    return LowRankSUR.from_formula(formulas, wide, rank, weights=weights).fit()


def test_rank_zero_is_statsmodels_wls(long):
    """In the data, and as new rows of them; WLS takes no weights of new rows by name."""
    res = system(long, 0)
    for name in NAMES:
        rows = long[long["unit"] == name]
        expected = smf.wls("y ~ x", rows, weights=rows["w"]).fit().get_prediction()
        expected = expected.summary_frame().to_numpy()
        old = res.get_prediction().summary_frame().xs(name, level="equation")
        given = res.get_prediction(given=True).summary_frame().xs(name, level="equation")
        new = res.get_prediction(long).summary_frame()[long["unit"] == name]
        one = res.equations[name]
        for found in (
            old, given, new, res.get_prediction(rows, given=True).summary_frame(),
            one.get_prediction().summary_frame(), one.get_prediction(rows).summary_frame(),
        ):  # fmt: skip
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def test_new_rows_given_the_others_are_conditional_normal_ones(long):
    res = system(long, 1)
    new = long[long["year"] < 1996].copy()
    new["w"] *= np.random.default_rng(2).uniform(0.3, 3.0, len(new))
    new.loc[new.index[3], "y"] = np.nan
    made = res.get_prediction(new, given=True)
    np.testing.assert_array_equal(made.predicted_mean, res.predict(new, given=True))
    S, correction = res.sigma.to_dense(), np.square(res.estimate.df.correction)
    scale = new["w"] / new["unit"].map(long.groupby("unit")["w"].mean())
    each = new.assign(e=new["y"] - res.predict(new), mu=res.predict(new), s=scale)
    each = each.assign(m=made.predicted_mean, v=made.var_resid)
    for _, row in each.groupby("year"):
        C = S / np.sqrt(np.multiply.outer(row["s"].to_numpy(), row["s"].to_numpy()))
        e = row["e"].to_numpy()
        for j in range(4):
            others = np.array([i for i in range(4) if i != j and np.isfinite(e[i])])
            b = np.linalg.solve(C[np.ix_(others, others)], C[others, j])
            assert row["m"].iloc[j] == pytest.approx(row["mu"].iloc[j] + b @ e[others], rel=1e-9)
            v = (C[j, j] - b @ C[others, j]) * correction[j]
            assert row["v"].iloc[j] == pytest.approx(v, rel=1e-9)
    # The rows of the estimation are the same by either way.
    np.testing.assert_allclose(
        res.predict(long, given=True), res.predict(given=True).to_numpy().T.ravel(), rtol=1e-10
    )


@pytest.mark.parametrize("way", ["mapping", "one"])
def test_columns_of_equations(wide, way):
    names = {n: f"w{n}" for n in reversed(NAMES)}
    said = {"mapping": names, "one": "wa"}[way]
    res = of_formulas(wide, 1 if way == "mapping" else 0, said)
    for again in (res, pickle.loads(pickle.dumps(res))):
        for given in (None, True):
            old = again.get_prediction(given=given).summary_frame()
            new = again.get_prediction(wide, given=given).summary_frame()
            np.testing.assert_allclose(new, old, rtol=1e-9, atol=1e-9)
    two = res.get_prediction(wide, equations=["c", "a"]).var_obs
    np.testing.assert_allclose(two, res.get_prediction().var_obs[["c", "a"]], rtol=1e-9)
    old, new = res.augment(), res.augment(wide)
    columns = ["std_resid", "unique_resid"]
    np.testing.assert_allclose(new[columns], old[columns], rtol=1e-7, atol=1e-8)


def test_tables_of_new_rows(long):
    res = system(long, 1)
    old, new = res.augment(), res.augment(long)
    columns = ["std_resid", "unique_resid"]
    np.testing.assert_allclose(new[columns], old[columns], rtol=1e-7, atol=1e-8)
    rows = long[long["unit"] == "c"]
    one = res.equations["c"].augment(rows)
    np.testing.assert_allclose(one["std_resid"], new[new["equation"] == "c"]["std_resid"])


def test_values_and_lacking_columns_are_weight_one(long):
    res = system(long, 1)
    correction = np.square(res.estimate.df.correction)
    one = pd.Series(res.sigma.diag() * correction, NAMES)
    less = long.drop(columns="w")
    np.testing.assert_allclose(res.get_prediction(less).var_resid, less["unit"].map(one))
    by_values = system(long, 1, long["w"].to_numpy())
    np.testing.assert_allclose(
        by_values.get_prediction(long).var_resid, long["unit"].map(one), rtol=1e-7
    )
    np.testing.assert_allclose(
        by_values.get_prediction().var_resid, res.get_prediction().var_resid, rtol=1e-7
    )
    even = long.assign(w=long["unit"].map(long.groupby("unit")["w"].mean()))
    for given in (None, True):
        np.testing.assert_allclose(
            res.get_prediction(less, given=given).summary_frame(),
            res.get_prediction(even, given=given).summary_frame(),
        )


def test_weights_of_new_rows_that_are_no_weights(long):
    res = system(long, 1)
    for bad, error in ((-1.0, OptionError), (np.inf, NonFiniteError)):
        new = long.astype({"w": float}).copy()
        new.loc[7, "w"] = bad
        for given in (None, True):
            with pytest.raises(error, match="weights: row 7 .*'w'"):
                res.get_prediction(new, given=given)
    new = long.copy()
    new.loc[7, "w"] = np.nan
    made = res.get_prediction(new)
    assert made.var_resid.isna().sum() == 1
    assert np.isnan(made.var_resid[7])
    assert np.isfinite(made.predicted_mean).all()
    same = long.copy()
    same.loc[7, "y"] = np.nan
    found = res.get_prediction(new, given=True).summary_frame()
    expected = res.get_prediction(same, given=True).summary_frame()
    others = found.index != 7
    np.testing.assert_allclose(found[others], expected[others], rtol=1e-10)
    assert np.isnan(found.loc[7, "mean"])
    # Weight 0 leaves the response out, and the cell is one of weight 1.
    new.loc[7, "w"] = 0.0
    same.loc[7, "w"] = long.loc[long["unit"] == "a", "w"].mean()
    np.testing.assert_allclose(
        res.get_prediction(new, given=True).summary_frame(),
        res.get_prediction(same, given=True).summary_frame(),
        rtol=1e-10,
    )


def test_missing_cells_dropped_rows_and_zero_weights(long, wide):
    """The mean that weights are over is that of the cells that were used."""
    some = long.copy()
    some.loc[[3, 40], "y"] = np.nan
    some.loc[[8, 70], "w"] = 0.0
    res = system(some, 1, missing="fiml")
    made = some.assign(v=res.get_prediction(some).var_resid)
    made = made.pivot(index="year", columns="unit", values="v")
    np.testing.assert_allclose(made, res.get_prediction().var_resid, rtol=1e-9)
    some = wide.copy()
    some.loc[[1993, 2001], ["ya", "yc"]] = np.nan
    some.loc[[1999, 2005], "wa"] = 0.0
    res = of_formulas(some, 0, "wa")
    own = res.get_prediction().var_resid
    assert len(own) == N - 4
    np.testing.assert_allclose(res.get_prediction(some).var_resid.loc[own.index], own, rtol=1e-9)


@pytest.mark.parametrize("independent", ["time", "entity"])
def test_panels(long, independent):
    half = long[long["year"] < 1993] if independent == "entity" else long
    rng = np.random.default_rng(0)
    if independent == "entity":
        half = pd.concat([half.assign(unit=half["unit"] + str(i)) for i in range(8)])
        half = half.reset_index(drop=True)
        half["y"] += rng.standard_normal(len(half))
    res = LowRankPanel.from_formula(
        "y ~ x", half, 0, entity="unit", time="year", independent=independent, weights="w"
    ).fit()
    made = half.assign(v=res.get_prediction(half).var_resid)
    labels = ("year", "unit") if independent == "time" else ("unit", "year")
    made = made.pivot(index=labels[0], columns=labels[1], values="v")
    own = res.get_prediction().var_resid
    np.testing.assert_allclose(made.to_numpy(), own, rtol=1e-9)
    assert np.ptp(own.to_numpy()) > 0.1


def test_three_stages(wide):
    data = wide.copy()
    formulas = {n: f"y{n} ~ 1 + [x{n} ~ w{n} + xd]" for n in ("a", "b")}
    data["xa"] += 3.0 * data["wa"]
    data["xb"] += 3.0 * data["wb"]
    res = LowRank3SLS.from_formula(formulas, data, 0, weights="wc").fit()
    own, new = res.get_prediction(), res.get_prediction(data)
    np.testing.assert_allclose(new.summary_frame(), own.summary_frame(), rtol=1e-9, atol=1e-9)
    each = res.sigma.diag() * np.square(res.estimate.df.correction)
    expected = each / (data["wc"] / data["wc"].mean()).to_numpy()[:, None]
    np.testing.assert_allclose(own.var_resid, expected, rtol=1e-9)
