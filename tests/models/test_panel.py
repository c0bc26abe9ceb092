"""`LowRankPanel` against dense least squares and likelihoods that are written out here."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel, LowRankSUR
from sm_alsgls.core.rows.deviations import forward_deviations
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    FormulaError,
    InsufficientRowsError,
    NotApplicableError,
    OptionError,
    RankDeficientError,
    ShapeError,
    UnbalancedPanelError,
    UnknownArgumentError,
)

# Small systems, whose Sigma is not what is tested.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning"),
]
FORMULA = "y ~ x + z"


def panel(units=6, periods=30, seed=0, slope=None):
    """Two factors across units, effects of both that move with x, slopes 1 and -0.5."""
    rng = np.random.default_rng(seed)
    a, g = rng.standard_normal(units), rng.standard_normal(periods)
    x = rng.standard_normal((units, periods)) + a[:, None] + g
    z = rng.standard_normal((units, periods))
    F, f = rng.standard_normal((units, 2)), rng.standard_normal((2, periods))
    e = 0.5 * F @ f + rng.standard_normal((units, periods))
    slope = np.ones(units) if slope is None else slope
    y = 2.0 + a[:, None] + g + slope[:, None] * x - 0.5 * z + e
    i, t = np.meshgrid([f"u{k}" for k in range(units)], range(2000, 2000 + periods), indexing="ij")
    columns = {"unit": i, "t": t, "y": y, "x": x, "z": z}
    return pd.DataFrame({name: value.ravel() for name, value in columns.items()})


def made(data, rank=1, formula=FORMULA, **how):
    return LowRankPanel.from_formula(formula, data, rank, entity="unit", time="t", **how)


def holed(data, share=0.15):
    keep = np.random.default_rng(3).random(len(data)) > share
    return data[keep].sample(frac=1.0, random_state=1)


def dummies(data, *columns):
    made = [
        pd.get_dummies(data[c], drop_first=i > 0).to_numpy(float) for i, c in enumerate(columns)
    ]
    return np.hstack(made)


def log_likelihood(E, mask, Sigma):
    """Of rows E (N, K) of which some cells are there."""
    out = 0.0
    for e, m in zip(E, mask, strict=True):
        S = Sigma[np.ix_(m, m)]
        out -= 0.5 * (m.sum() * np.log(2 * np.pi) + np.linalg.slogdet(S)[1])
        out -= 0.5 * e[m] @ np.linalg.solve(S, e[m])
    return out


class TestOrientation:
    def test_periods_are_the_rows_of_long_panels(self):
        model = made(panel(5, 20))
        assert (model.layout.independent, model.neqs, model.nobs) == ("time", 5, 20)

    def test_units_are_where_they_are_many(self):
        model = made(panel(45, 4))
        assert (model.layout.independent, model.neqs, model.nobs) == ("entity", 4, 45)
        assert model.equations == ["2000", "2001", "2002", "2003"]

    @pytest.mark.parametrize("independent", ["time", "entity"])
    def test_is_the_system_with_common_coefficients(self, independent):
        data = panel(12, 14)
        groups, time = ("unit", "t") if independent == "time" else ("t", "unit")
        res = made(data, 2, independent=independent).fit()
        same = LowRankSUR.from_formula(FORMULA, data, 2, groups=groups, time=time, common=True)
        np.testing.assert_allclose(res.params, same.fit().params, rtol=1e-7)
        assert list(res.params.index) == ["Intercept", "x", "z"]

    def test_units_are_not_in_the_order_of_time(self):
        text = str(made(panel(30, 5), independent="entity").fit().summary())
        assert "order of time" not in text
        assert "No. Units (rows) N:" in text
        assert "order of time" in str(made(panel(5, 30)).fit().summary())

    @pytest.mark.parametrize("independent", ["time", "entity"])
    def test_lags_go_by_time_within_units(self, independent):
        data = panel(14, 12)
        data["before"] = data.groupby("unit")["x"].shift(1)
        data = data.sample(frac=1.0, random_state=0)
        how = {"independent": independent, "missing": "drop"}
        kept = data.dropna()
        by_hand = made(kept, 1, "y ~ x + before", **how)
        ours = made(data, 1, "y ~ x + lag(x, 1)", independent=independent)
        np.testing.assert_allclose(
            ours.fit().params.to_numpy(), by_hand.fit().params.to_numpy(), rtol=1e-6
        )
        if independent == "time":
            got = ours.fit().predict(data).dropna()
            expected = by_hand.fit().predict(kept)
            np.testing.assert_allclose(got, expected.loc[got.index], rtol=1e-5)
        else:  # the first period has no lag, and is no equation
            assert ours.equations == by_hand.equations
            assert ours.equations[0] == "2001"


class TestArrays:
    @pytest.mark.parametrize("independent", ["time", "entity"])
    def test_are_what_a_formula_makes(self, independent):
        data = holed(panel(13, 12))
        res = made(data, independent=independent).fit()
        X = np.column_stack([np.ones(len(data)), data[["x", "z"]]])
        how = {"independent": independent, "entity": data["unit"], "time": data["t"]}
        arrays = LowRankPanel(data["y"].to_numpy(), X, 1, **how).fit()
        assert list(arrays.params.index) == ["const", "x1", "x2"]
        np.testing.assert_allclose(arrays.params, res.params.to_numpy(), rtol=1e-7)

    def test_of_an_index_of_two_levels(self):
        data = panel()
        indexed = data.set_index(["unit", "t"])
        exog = indexed[["x", "z"]].assign(one=1.0)
        one = LowRankPanel(indexed["y"], exog, 1).fit()
        np.testing.assert_allclose(
            one.params[["one", "x", "z"]], made(data).fit().params, rtol=1e-8
        )
        from_index = LowRankPanel.from_formula(FORMULA, indexed, 1).fit()
        np.testing.assert_allclose(from_index.params, made(data).fit().params, rtol=1e-8)
        assert one.model.layout.entity == "unit"

    def test_weights_of_cells(self):
        data = panel()
        data["w"] = np.random.default_rng(8).uniform(0.5, 2.0, len(data))
        exog = data[["x", "z"]].assign(Intercept=1.0)
        shuffled = exog.sample(frac=1.0, random_state=2)
        at = shuffled.index
        arrays = LowRankPanel(
            data["y"][at], shuffled, 1, entity=data["unit"][at].to_numpy(),
            time=data["t"][at].to_numpy(), weights=data["w"][at].to_numpy(),
        )  # fmt: skip
        by_name = made(data, weights="w").fit()
        expected = by_name.params[["x", "z"]]
        np.testing.assert_allclose(arrays.fit().params[["x", "z"]], expected, rtol=1e-6)
        assert abs(expected["x"] - made(data).fit().params["x"]) > 1e-4


class TestEffectsOfEquations:
    """They are constants: dummies in one regression, at rank 0 and equal variances, and always."""

    @pytest.mark.parametrize("share", [0.0, 0.2])
    @pytest.mark.parametrize("independent", ["time", "entity"])
    def test_likelihood(self, independent, share):
        data = holed(panel(13, 14), share)
        which = "entity" if independent == "time" else "time"
        res = made(data, independent=independent, effects=which).fit()
        groups, rows = ("unit", "t") if independent == "time" else ("t", "unit")
        wide = data.pivot(index=rows, columns=groups)
        names = [str(name) for name in wide["y"].columns]
        order = [names.index(name) for name in res.model.equations]
        fitted = res.params["x"] * wide["x"] + res.params["z"] * wide["z"]
        E = (wide["y"] - fitted).to_numpy()[:, order] - res.effects.to_numpy()
        there = np.isfinite(E)
        dense = log_likelihood(np.where(there, E, 0.0), there, res.sigma.to_dense())
        assert res.llf == pytest.approx(dense, rel=1e-9)
        # No other slopes, with their own best effects, are likelier at this Sigma.
        assert res.df_model == 2 + res.neqs + 2 * res.neqs

    def test_of_both_kinds_of_panels_at_rank_0(self):
        """Rank 0 weighs units by 1 / d: the normal equations say so."""
        data = panel(8, 20)
        res = made(data, 0, effects="entity").fit()
        d = dict(zip(res.model.equations, res.sigma.diag(), strict=True))
        w = 1.0 / np.sqrt(data["unit"].map(d).to_numpy())
        X = np.hstack([data[["x", "z"]].to_numpy(), dummies(data, "unit")])
        b = np.linalg.lstsq(X * w[:, None], data["y"].to_numpy() * w)[0]
        np.testing.assert_allclose(res.params[["x", "z"]], b[:2], rtol=1e-6)
        np.testing.assert_allclose(res.effects, b[2:], rtol=1e-5)

    def test_summary_keeps_them_aside(self):
        res = made(panel(), effects="entity").fit()
        text = str(res.summary())
        assert "Equation: u0" not in text
        assert "Effects of 'entity'" in text
        assert "Equation: u0" in str(res.summary(equations="all"))

    def test_rank_0_with_common_slopes_is_not_ols(self):
        """It weighs equations by 1 / d, and the summary does not say otherwise."""
        text = str(made(panel(), 0).fit().summary())
        assert "uncorrelated between equations." in text

    def test_predictions_have_them(self):
        data = panel()
        res = made(data, effects="entity").fit()
        new = data[data["t"] == 2003]
        expected = res.effects.to_numpy() + new[["x", "z"]].to_numpy() @ res.params[["x", "z"]]
        np.testing.assert_allclose(res.predict(new), expected, rtol=1e-10)


class TestEffectsOfRows:
    def test_deviations(self):
        rng = np.random.default_rng(0)
        for K in (2, 3, 9):
            A = forward_deviations(np.eye(K)).T
            np.testing.assert_allclose(A @ A.T, np.eye(K - 1), atol=1e-14)
            np.testing.assert_allclose(A.sum(axis=1), 0.0, atol=1e-14)
            Y = rng.standard_normal((5, K))
            np.testing.assert_allclose(forward_deviations(Y + 1e9), Y @ A.T, atol=1e-5)

    @pytest.mark.parametrize("effects", ["entity", "both"])
    def test_likelihood(self, effects):
        """Of rows less their effects: N(A X b, Sigma) of A y, whatever is added to a row."""
        data = panel(40, 5)
        res = made(data, independent="entity", effects=effects).fit()
        A = forward_deviations(np.eye(5)).T
        wide = data.pivot(index="unit", columns="t")
        E = (wide["y"] - res.params["x"] * wide["x"] - res.params["z"] * wide["z"]) @ A.T
        E = E.to_numpy()
        if effects == "both":
            own = [name for name in res.params.index if name.endswith("_Intercept")]
            E = E - res.params[own].to_numpy()
        dense = log_likelihood(E, np.ones(E.shape, bool), res.sigma.to_dense())
        assert res.llf == pytest.approx(dense, rel=1e-10)
        moved = data.assign(y=data["y"] + data["unit"].str[1:].astype(int) * 3.0)
        again = made(moved, independent="entity", effects=effects).fit()
        assert again.llf == pytest.approx(res.llf, rel=1e-9)
        np.testing.assert_allclose(again.params["x"], res.params["x"], rtol=1e-6)
        difference = again.effects.to_numpy() - res.effects.to_numpy()
        expected = 3.0 * again.model.layout.means.rows.str[1:].astype(int)
        np.testing.assert_allclose(difference[: len(expected)], expected, atol=1e-5)

    def test_full_sigma_does_not_depend_on_the_deviations(self):
        """Any contrasts have the likelihood: here those from the first period."""
        data = panel(60, 4)
        res = made(data, "full", independent="entity", effects="entity").fit()
        wide = data.pivot(index="unit", columns="t")
        C = np.hstack([-np.ones((3, 1)), np.eye(3)])
        Y, X, Z = (wide[name].to_numpy() @ C.T for name in ("y", "x", "z"))
        exog = [pd.DataFrame({"x": X[:, j], "z": Z[:, j]}) for j in range(3)]
        same = LowRankSUR(pd.DataFrame(Y), exog, "full", common=True).fit()
        np.testing.assert_allclose(res.params, same.params, rtol=1e-6)
        jacobian = 0.5 * 60 * np.linalg.slogdet(C @ C.T)[1]
        assert res.llf == pytest.approx(same.llf + jacobian, rel=1e-9)

    def test_effects_make_fitted_values(self):
        """Least-squares effects given b: residuals have no mean over periods, nor over units."""
        data = panel(40, 5)
        res = made(data, independent="entity", effects="both").fit()
        fitted = data[["x", "z"]].to_numpy() @ res.params[["x", "z"]]
        e = data["y"] - fitted
        e = (
            e
            - data["unit"].map(res.effects["entity"])
            - data["t"].map({int(t): v for t, v in res.effects["time"].items()})
        )
        assert e.groupby(data["unit"]).mean().abs().max() < 1e-10
        assert e.groupby(data["t"]).mean().abs().max() < 1e-10

    def test_refusals(self):
        data = panel(40, 5)
        with pytest.raises(OptionError, match=r"effects='time' with independent='time'.*no order"):
            made(data, independent="time", effects="time")
        with pytest.raises(OptionError, match="cells are not there.*missing='drop'"):
            made(holed(data), independent="entity", effects="entity")
        with pytest.raises(OptionError, match="heterogeneous=.*mix the coefficients"):
            made(data, independent="entity", effects="entity", heterogeneous=["x"])
        with pytest.raises(RankDeficientError, match="contain 'k', which does not vary"):
            made(
                data.assign(k=data["unit"].str[1:].astype(float)), 1, "y ~ x + k",
                independent="entity", effects="entity",
            )  # fmt: skip
        weights = np.arange(1.0, 201.0)
        with pytest.raises(OptionError, match="weights= do not go with"):
            made(data, independent="entity", effects="entity", weights=weights)
        whole = made(holed(data, 0.05), independent="entity", effects="entity", missing="drop")
        assert 0 < whole.n_dropped < 40
        assert whole.nobs == 40 - whole.n_dropped


class TestHeterogeneous:
    def test_slopes_of_each_unit(self):
        slope = np.linspace(0.0, 2.0, 6)
        data = panel(6, 60, slope=slope)
        res = made(data, heterogeneous=["x"], effects="entity").fit()
        group = res.mean_group("x")
        b = res.params[[f"u{k}_x" for k in range(6)]].to_numpy()
        np.testing.assert_allclose(b, slope, atol=0.5)
        row = group.table.loc["x"]
        assert row["mean"] == pytest.approx(b.mean(), rel=1e-12)
        error = np.sqrt(np.sum((b - b.mean()) ** 2) / (6 * 5))
        assert row["std_err"] == pytest.approx(error, rel=1e-12)
        assert row["q50"] == pytest.approx(np.median(b))
        assert row["equal_df"] == 5
        assert row["equal_pvalue"] < 1e-4
        assert "z" in res.params.index
        assert list(group.coefficients.columns) == ["x"]
        assert set(res.mean_group().table.index) == {"Intercept", "x"}

    def test_all_are_each_units_regression(self):
        data = panel()
        res = made(data, 0, heterogeneous=True).fit()
        for unit, rows in data.groupby("unit"):
            X = np.column_stack([np.ones(len(rows)), rows[["x", "z"]]])
            b = np.linalg.lstsq(X, rows["y"])[0]
            own = res.params[[f"{unit}_{c}" for c in ("Intercept", "x", "z")]]
            np.testing.assert_allclose(own, b, rtol=1e-8)

    def test_a_term_is_its_columns(self):
        data = panel(6, 40)
        data["s"] = np.where(data["z"] > 0.0, "up", "down")
        res = made(data, 0, "y ~ x + C(s)", heterogeneous=["C(s)"]).fit()
        assert "u3_C(s)[T.up]" in res.params.index

    def test_a_column_that_the_formula_does_not_name_joins_it(self):
        data = panel(6, 40)
        asked = made(data, 0, "y ~ x", heterogeneous=["z"])
        said = made(data, 0, "y ~ x + z", heterogeneous=["z"])
        assert asked.formula == said.formula == "y ~ x + z"
        pd.testing.assert_series_equal(asked.fit().params, said.fit().params)
        res = made(data, 0, "y ~ x + np.exp(z)", heterogeneous=["np.exp(z)"]).fit()
        assert "u3_np.exp(z)" in res.params.index
        with pytest.raises(OptionError, match="no regressor 'z'"):  # which of the two is meant?
            made(data, 0, "y ~ x + np.exp(z)", heterogeneous=["z"])

    def test_errors(self):
        with pytest.raises(OptionError, match=r"no regressor 'xx' \(did you mean 'x'"):
            made(panel(), heterogeneous=["xx"])
        res = made(panel(), heterogeneous=["x"]).fit()
        with pytest.raises(OptionError, match="'z' has one common coefficient"):
            res.mean_group("z")
        with pytest.raises(OptionError, match="'q' is no regressor"):
            res.mean_group("q")
        with pytest.raises(OptionError, match="no regressor has a coefficient in every"):
            made(panel()).fit().mean_group()


class TestMundlak:
    def test_means_are_those_of_cells_that_are_there(self):
        data = holed(panel(60, 5))
        res = made(data, independent="entity", mundlak=True).fit()
        means = data.groupby("unit")[["x", "z"]].transform("mean")
        by_hand = data.assign(mx=means["x"], mz=means["z"])
        same = made(by_hand, 1, "y ~ x + z + mx + mz", independent="entity").fit()
        np.testing.assert_allclose(res.params.to_numpy(), same.params.to_numpy(), rtol=1e-5)
        test = res.mundlak_test()
        other = same.wald_test("mx = 0, mz = 0", scalar=True)
        assert test.pvalue == pytest.approx(other.pvalue, rel=1e-3)
        assert list(res.params.index) == ["Intercept", "x", "z", "mean_x", "mean_z"]

    def test_errors(self):
        with pytest.raises(OptionError, match="use independent='entity'"):
            made(panel(), mundlak=True)
        with pytest.raises(OptionError, match="sweep out"):
            made(panel(40, 4), independent="entity", effects="entity", mundlak=True)
        with pytest.raises(NotApplicableError, match="mundlak=True"):
            made(panel()).fit().mundlak_test()


class TestErrors:
    def test_effects_need_a_constant(self):
        with pytest.raises(OptionError, match=r"effects='entity' are constants.*'x', 'z'"):
            made(panel(), 1, "y ~ 0 + x + z", effects="entity")

    def test_of_keys(self):
        data = panel()
        with pytest.raises(FormulaError, match=r"entity='units' is not a column"):
            LowRankPanel.from_formula(FORMULA, data, entity="units", time="t")
        with pytest.raises(FormulaError, match="time= is missing"):
            LowRankPanel.from_formula(FORMULA, data, entity="unit")
        with pytest.raises(FormulaError, match="are both 'unit'"):
            LowRankPanel.from_formula(FORMULA, data, entity="unit", time="unit")
        with pytest.raises(FormulaError, match="one string"):
            made(data, 1, {"a": "y ~ x"})
        with pytest.raises(ShapeError, match="entity= is missing"):
            LowRankPanel(data["y"], data[["x"]])
        with pytest.raises(ShapeError, match="two units or more"):
            made(data[data["unit"] == "u1"])
        with pytest.raises(UnknownArgumentError, match="common"):
            made(data, common=True)
        with pytest.raises(NotApplicableError, match="no effects"):
            _ = made(data).fit().effects

    def test_of_cells(self):
        data = panel()
        with pytest.raises(UnbalancedPanelError, match="repeat"):
            made(pd.concat([data, data.iloc[[3]]]))
        with pytest.raises(UnbalancedPanelError, match="not balanced"):
            made(holed(data), missing="raise")
        with pytest.raises(InsufficientRowsError, match="every one misses a cell"):
            made(holed(data, 0.6), missing="drop")
        cut = holed(data, 0.05)
        model = made(cut, missing="drop")
        per_period = cut.groupby("t").size()
        assert model.nobs == (per_period == 6).sum()
        assert model.n_dropped == 30 - model.nobs


class TestAfterwards:
    def test_pickles_and_removal(self, tmp_path):
        res = made(panel(40, 5), independent="entity", effects="entity").fit()
        before = res.effects
        res.save(tmp_path / "res")
        again = type(res).load(tmp_path / "res") if hasattr(type(res), "load") else res
        pd.testing.assert_series_equal(again.effects, before)
        res.remove_data()
        with pytest.raises(AttributeError):
            _ = res.effects
        assert str(res.summary())

    def test_clusters_of_a_column(self):
        data = panel(8, 24)
        data["decade"] = data["t"] // 4
        res = made(data).fit(cov_type="cluster", cov_kwds={"groups": "decade"})
        assert np.isfinite(res.bse).all()

    def test_pcse_of_beck_and_katz(self):
        """Stata's xtpcse prints 6.780965 .0072124 .0278862 (Grunfeld, 10 firms)."""
        data = load_grunfeld()
        data = data[data["firm"] != "American Steel"]
        model = LowRankPanel.from_formula(
            "invest ~ value + capital", data, 0, entity="firm", time="year"
        )
        expected = [6.7809648475, 0.0072124377, 0.0278862130]
        np.testing.assert_allclose(model.fit(cov_type="pcse").bse, expected, atol=1e-8)


class TestEffectsOfPeriodsAcrossUnits:
    """Where a Sigma of contrasts is the same in any order of the units."""

    @pytest.mark.parametrize("effects", ["time", "both"])
    def test_least_squares(self, effects):
        data = panel(6, 25)
        which = ["t"] if effects == "time" else ["unit", "t"]
        res = made(data, "spherical", independent="time", effects=effects).fit()
        X = np.hstack([data[["x", "z"]].to_numpy(), dummies(data, *which)])
        b = np.linalg.lstsq(X, data["y"])[0]
        np.testing.assert_allclose(res.params[["x", "z"]], b[:2], rtol=1e-8)
        fitted = X @ b
        effect = (fitted - X[:, :2] @ b[:2]).reshape(6, 25)
        if effects == "time":
            np.testing.assert_allclose(res.effects, effect[0], rtol=1e-7)
        else:
            got = res.effects["entity"].to_numpy()[:, None] + res.effects["time"].to_numpy()
            np.testing.assert_allclose(got, effect, rtol=1e-7)

    def test_in_any_order_of_the_units(self):
        data = panel(4, 40)
        one = made(data, "full", independent="time", effects="time").fit()
        turned = data.iloc[::-1]
        other = made(turned, "full", independent="time", effects="time").fit()
        assert one.model.equations != other.model.equations
        assert one.llf == pytest.approx(other.llf, rel=1e-9)
        np.testing.assert_allclose(one.params, other.params, rtol=1e-6)


class TestWithinOfUnbalancedPanels:
    """Least squares on dummies, whichever dimension is independent."""

    @pytest.mark.parametrize("effects", ["entity", "time", "both"])
    @pytest.mark.parametrize("independent", ["entity", "time"])
    def test_least_squares(self, independent, effects):
        data = holed(panel(30, 8), 0.3).sort_values(["unit", "t"])
        which = {"entity": ["unit"], "time": ["t"], "both": ["unit", "t"]}[effects]
        res = made(data, "spherical", independent=independent, effects=effects).fit()
        X = np.hstack([data[["x", "z"]].to_numpy(), dummies(data, *which)])
        b = np.linalg.lstsq(X, data["y"])[0]
        np.testing.assert_allclose(res.params[["x", "z"]], b[:2], rtol=1e-7)
        fitted = data[["x", "z"]] @ res.params[["x", "z"]]
        parts = res.effects if effects == "both" else {effects: res.effects}
        for name, column in (("entity", "unit"), ("time", "t")):
            if name in parts:
                known = {str(k): v for k, v in parts[name].items()}
                fitted = fitted + data[column].astype(str).map(known)
        np.testing.assert_allclose(fitted, X @ b, atol=1e-6)
        # Of contrasts within rows where effects are of these, else of all cells.
        rows = "unit" if independent == "entity" else "t"
        left = len(data) - (data[rows].nunique() if rows in which else 0)
        rss = np.sum((data["y"] - X @ b) ** 2)
        dense = -0.5 * left * (np.log(2 * np.pi * rss / left) + 1.0)
        assert res.llf == pytest.approx(dense, rel=1e-9)
        plain = res.model.fit(debiased=False).bse[["x", "z"]]
        se = np.sqrt(rss / left * np.diag(np.linalg.inv(X.T @ X))[:2])
        np.testing.assert_allclose(plain, se, rtol=1e-6)

    def test_a_row_of_one_cell_tells_nothing(self):
        data = panel(30, 5)
        cut = data.drop(index=range(1, 5))
        one = made(cut, "spherical", independent="entity", effects="entity").fit()
        whole = data.drop(index=range(5))
        other = made(whole, "spherical", independent="entity", effects="entity").fit()
        np.testing.assert_allclose(one.params[["x", "z"]], other.params[["x", "z"]], rtol=1e-7)
        assert one.llf == pytest.approx(other.llf, rel=1e-9)

    def test_header_and_rank(self):
        res = made(holed(panel(30, 6)), "exchangeable", independent="entity", effects="both").fit()
        assert "swept out of the cells that are there" in str(res.summary())
        assert res.sigma.rank == 0
        with pytest.raises(OptionError, match="rank='spherical', which needs no balance"):
            made(holed(panel(30, 6)), 1, independent="entity", effects="both")


class TestNewData:
    def test_say_what_they_lack(self):
        data = panel(40, 5)
        swept = made(data, 1, independent="entity", effects="entity").fit()
        with pytest.raises(NotApplicableError, match="swept out, and this model predicts"):
            swept.predict(data)
        with pytest.raises(NotApplicableError, match="swept out"):
            swept.equations["2001"].predict(data)
        means = made(data, 1, independent="entity", mundlak=True).fit()
        with pytest.raises(NotApplicableError, match="means over the periods"):
            means.get_prediction(data)
        designs = [pd.DataFrame(X, columns=["x", "z"]) for X in swept.model.exog]
        again = swept.predict(designs, transform=False)
        np.testing.assert_allclose(again, swept.fittedvalues, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.ModelWarning")
class TestRowLabels:
    """Labels decide where both sides have some, in every kind of panel."""

    KINDS = (
        {"rank": 0, "effects": "entity"},
        {"rank": 1, "factors": "fixed"},
        {"factors": "cce"},
    )

    @staticmethod
    def fit(d, exog, entity, time, **how):
        return LowRankPanel(d["y"], exog, entity=entity, time=time, **how).fit()

    @pytest.mark.parametrize("how", KINDS)
    def test_entity_and_time_in_another_order(self, how):
        d = panel(9, 24).set_index(np.arange(9 * 24)[::-1])
        exog = d[["x", "z"]].assign(const=1.0)
        there = self.fit(d, exog, d["unit"], d["t"], **how).params
        s = d.sample(frac=1.0, random_state=1)
        for entity, time in ((s["unit"], s["t"]), (d["unit"], s["t"]), (s["unit"], d["t"])):
            found = self.fit(d, exog, entity, time, **how).params
            np.testing.assert_array_equal(found, there)
        # Labels that came as arrays have none, and more labels than rows do no harm.
        found = self.fit(d, exog, d["unit"].to_numpy(), s["t"], **how).params
        np.testing.assert_array_equal(found, there)
        few = d[d["t"] != d["t"].min()]
        by_few = self.fit(few, exog.loc[few.index], few["unit"], few["t"], **how).params
        found = self.fit(few, exog.loc[few.index], s["unit"], s["t"], **how).params
        np.testing.assert_array_equal(found, by_few)

    @pytest.mark.parametrize("how", KINDS)
    def test_labels_that_do_not_match(self, how):
        d = panel(9, 24)
        exog, s = d[["x", "z"]].assign(const=1.0), d.sample(frac=1.0, random_state=1)
        for name in ("entity", "time"):
            given = {"entity": d["unit"], "time": d["t"]}
            given[name] = given[name].set_axis(d.index + 3)
            with pytest.raises(ShapeError, match=f"{name} has no label for row 0; .*plain array"):
                self.fit(d, exog, **given, **how)
        again = d.set_axis(d["unit"].array)
        assert self.fit(again, exog.set_axis(again.index), again["unit"], again["t"], **how)
        mixed = again["t"].iloc[s.index]
        with pytest.raises(ShapeError, match="time: row labels repeat with different values"):
            self.fit(again, exog.set_axis(again.index), again["unit"], mixed, **how)
        with pytest.raises(ShapeError, match="row labels of exog differ .* first at position 0"):
            self.fit(d, exog.loc[s.index], d["unit"], d["t"], **how)

    def test_types_of_labels_stay(self):
        d = panel(9, 24)
        exog = d[["x", "z"]].assign(const=1.0)
        unit = d["unit"].astype(pd.CategoricalDtype(sorted(d["unit"].unique(), reverse=True)))
        s = unit.sample(frac=1.0, random_state=1)
        one, other = (LowRankPanel(d["y"], exog, 0, entity=u, time=d["t"]) for u in (unit, s))
        assert one.equations == other.equations

    def test_data_without_labels(self):
        """Arrays go by position; labels of entity, time and weights are of one another."""
        d = panel(9, 24)
        d["w"] = np.random.default_rng(8).uniform(0.5, 2.0, len(d))
        d = d.sample(frac=1.0, random_state=1)
        s = d.sample(frac=1.0, random_state=2)
        exog = d[["x", "z"]].assign(const=1.0)
        how = {"entity": d["unit"], "time": d["t"], "weights": d["w"]}
        there = LowRankPanel(d["y"], exog, 0, **how).fit().params
        for more in ({}, {"time": s["t"]}, {"weights": s["w"]}):
            found = LowRankPanel(d["y"].to_numpy(), exog.to_numpy(), 0, **how | more).fit().params
            np.testing.assert_allclose(found, there.to_numpy(), rtol=1e-10)
        plain = {"entity": d["unit"].to_numpy(), "time": d["t"].to_numpy()}
        with pytest.raises(ShapeError, match="weights has labels that number the rows"):
            LowRankPanel(d["y"].to_numpy(), exog.to_numpy(), 0, **plain, weights=d["w"])
        plain["entity"] = pd.Series(range(300))
        with pytest.raises(ShapeError, match="entity has 300 labels for 216 rows"):
            LowRankPanel(d["y"].to_numpy(), exog.to_numpy(), 0, **plain)
