"""What belongs to rows, in every form and with dropped rows, against labels looked up by hand."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls import LowRankSUR
from sm_alsgls.border.provenance import Provenance, snapshot
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    DataRemovedError,
    FormulaError,
    NonFiniteError,
    OptionError,
    ShapeError,
)

FORMULAS = {"a": "y1 ~ x1", "b": "y2 ~ x2", "c": "y3 ~ x3"}
WORDS = np.array(["u", "v", "w", "z"])


def wide(n=30, seed=0, lost=(3, 17), index=None):
    """Data of a wide system, with rows that lack a regressor, and labels ``s``, ``k``."""
    rng = np.random.default_rng(seed)
    d = pd.DataFrame(rng.standard_normal((n, 6)), columns=["y1", "y2", "y3", "x1", "x2", "x3"])
    d.loc[list(lost), "x1"] = np.nan
    d["s"] = rng.choice(WORDS, n)
    d["k"] = rng.integers(0, 5, n)
    return d if index is None else d.set_axis(index)


def long(seed=1, periods=12, groups=4, shuffle=True):
    """A long panel with absent cells, a period that is gone, and labels constant in a period."""
    rng = np.random.default_rng(seed)
    d = pd.DataFrame(
        {
            "g": np.repeat([f"g{i}" for i in range(groups)], periods),
            "t": np.tile(np.arange(2000, 2000 + periods), groups),
            "y": rng.standard_normal(groups * periods),
            "x": rng.standard_normal(groups * periods),
        }
    )
    d.loc[d["t"] == 2004, "y"] = np.nan
    d["s"] = WORDS[(d["t"] - 2000) % 4]
    d["k"] = (d["t"] - 2000) // 3
    d = d.drop(index=[2, 30])
    d = d.sample(frac=1, random_state=seed) if shuffle else d
    return d.reset_index(drop=True)


def se(res, groups, **kwds):
    return res.get_robustcov_results("cluster", groups=groups, **kwds).bse.to_numpy()


@pytest.fixture(scope="module")
def wide_case():
    d = wide()
    return d, LowRankSUR.from_formula(FORMULAS, d, rank=0).fit()


@pytest.fixture(scope="module")
def long_case():
    d = long()
    return d, LowRankSUR.from_formula("y ~ x", d, groups="g", time="t", rank=0).fit()


FORMS = {
    "name": lambda d, v: v,
    "names": lambda d, v: [v],
    "series": lambda d, v: d[v],
    "shuffled": lambda d, v: d[v].sample(frac=1, random_state=3),
    "more labels": lambda d, v: pd.concat([d[v], pd.Series(["?"], [999])]),
    "frame": lambda d, v: d[[v]],
    "array": lambda d, v: d[v].to_numpy(),
    "column": lambda d, v: d[[v]].to_numpy(),
    "list": lambda d, v: d[v].tolist(),
    "tuple": lambda d, v: tuple(d[v]),
    "index": lambda d, v: pd.Index(d[v]),
    "category": lambda d, v: d[v].astype("category"),
    "categorical": lambda d, v: pd.Categorical(d[v]),
    "string": lambda d, v: d[v].astype(str).astype("string"),
    "object": lambda d, v: d[v].astype(object),
    "arrow": lambda d, v: d[v].convert_dtypes(dtype_backend="pyarrow"),
    "masked": lambda d, v: np.ma.masked_array(d[v].to_numpy(), np.zeros(len(d), bool)),
    "mapping": lambda d, v: {"my": d[v]},
}


class TestWide:
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("column", ["s", "k"])
    def test_forms(self, wide_case, form, column):
        d, res = wide_case
        want = se(res, d[column].drop([3, 17]).to_numpy())
        np.testing.assert_array_equal(se(res, FORMS[form](d, column)), want)

    # A variance of 5 x 4 clusters may be negative, and is replaced.
    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.CovarianceWarning")
    def test_two_ways(self, wide_case):
        d, res = wide_case
        want = se(res, d[["s", "k"]].drop([3, 17]).to_numpy())
        for two in (
            ["s", "k"],
            ("s", "k"),
            d[["s", "k"]],
            d[["s", "k"]].to_numpy(),
            d[["k", "s"]].iloc[::-1],
            [d["s"], "k"],
            [d["s"].to_numpy(), d["k"].sample(frac=1)],
            {"one": "s", "two": d["k"]},
            list(zip(d["s"], d["k"], strict=True)),
        ):
            np.testing.assert_allclose(se(res, two), want, rtol=1e-13)

    def test_in_fit_and_in_cov_kwds(self, wide_case):
        d, res = wide_case
        kwds = {"cov_type": "cluster", "cov_kwds": {"groups": "s"}}
        direct = res.model.fit(**kwds)
        np.testing.assert_array_equal(direct.bse, se(res, "s"))
        # What is kept is by row of the system, whatever was passed.
        np.testing.assert_array_equal(direct.cov_kwds["groups"], d["s"].drop([3, 17]))

    def test_weights_of_zero_drop_rows_as_well(self):
        d = wide()
        d["w"] = np.r_[0.0, np.ones(len(d) - 2), 0.0]
        res = LowRankSUR.from_formula(FORMULAS, d, rank=0, weights="w").fit()
        want = se(res, d["s"].iloc[1:-1].drop([3, 17]).to_numpy())
        for form in ("name", "series", "array", "shuffled"):
            np.testing.assert_array_equal(se(res, FORMS[form](d, "s")), want)

    def test_a_subset(self):
        d = wide()
        keep = d["k"] > 0
        res = LowRankSUR.from_formula(FORMULAS, d, rank=0, subset=keep).fit()
        want = se(res, d.loc[keep, "s"].drop([3, 17], errors="ignore").to_numpy())
        for form in ("name", "series", "array", "shuffled"):
            np.testing.assert_array_equal(se(res, FORMS[form](d, "s")), want)
        np.testing.assert_array_equal(se(res, d.loc[keep, "s"]), want)

    def test_a_subset_in_another_order(self):
        """As many rows, so that an array can be of the data or of the system."""
        d = wide(lost=())
        turned = d.index[::-1].tolist()
        res = LowRankSUR.from_formula(FORMULAS, d, rank=0, subset=turned).fit()
        np.testing.assert_array_equal(se(res, "s"), se(res, d["s"]))
        with pytest.raises(ShapeError, match="another order"):
            se(res, d["s"].to_numpy())
        assert len(se(res, np.r_[d["s"][:15], d["s"][:15][::-1]])) == 6  # both ways alike

    def test_repeated_row_labels(self):
        d = wide(index=[f"r{i // 2}" for i in range(30)], lost=())
        d.iloc[3, 3] = np.nan
        res = LowRankSUR.from_formula(FORMULAS, d, rank=0).fit()
        want = se(res, np.delete(d["s"].to_numpy(), 3))
        for form in ("name", "series", "array", "frame"):
            np.testing.assert_array_equal(se(res, FORMS[form](d, "s")), want)
        np.testing.assert_array_equal(se(res, d["s"].iloc[np.delete(np.arange(30), 3)]), want)
        with pytest.raises(ShapeError, match="repeat with different values, the first is 'r"):
            se(res, d["s"].iloc[::-1])
        # Equal labels with equal values are no doubt.
        pairs = pd.Series(np.arange(30) // 6, d.index)
        np.testing.assert_array_equal(
            se(res, pairs.iloc[::-1]), se(res, np.delete(np.arange(30) // 6, 3))
        )

    def test_missing_labels(self, wide_case):
        d, res = wide_case
        for none in (np.nan, None, pd.NA):
            s = d["s"].astype(object)
            s.iloc[3] = none  # a row that was dropped
            np.testing.assert_array_equal(se(res, s), se(res, "s"))
            s.iloc[[5, 9]] = none
            for form in (s, s.tolist(), s.to_numpy(), s.astype("category"), s.to_frame()):
                with pytest.raises(NonFiniteError, match=r"groups is missing in row 5 \(and 1 mo"):
                    se(res, form)
        with pytest.raises(NonFiniteError, match="row 4"):
            se(res, np.ma.masked_array(d["s"].to_numpy(), np.arange(30) == 4))

    @pytest.mark.parametrize(
        ("groups", "error", "words"),
        [
            ("S", FormulaError, ["groups='S' is not a column", "did you mean 's'"]),
            (["s", "nope"], FormulaError, ["'nope'"]),
            (np.zeros(29), ShapeError, ["29 rows, the system has 28, the data 30"]),
            (3, OptionError, ["groups takes", "got 3"]),
            (None, OptionError, ["groups="]),
            (pd.Series(range(29), range(29)), ShapeError, ["no label for row 29"]),
            (pd.Series(range(30), pd.date_range("2000", periods=30)), ShapeError, ["no label"]),
            (["s", "k", "s"], ShapeError, ["one or two"]),
            (np.zeros((30, 0)), ShapeError, ["one or two"]),
        ],
    )
    def test_errors(self, wide_case, groups, error, words):
        with pytest.raises(error) as caught:
            se(wide_case[1], groups)
        assert all(word in str(caught.value) for word in words), caught.value

    def test_two_columns_of_a_name(self):
        d = wide(lost=())
        d.insert(0, "s", "?", allow_duplicates=True)
        res = LowRankSUR.from_formula(FORMULAS, d, rank=0).fit()
        with pytest.raises(FormulaError, match="more than one such column"):
            se(res, "s")

    def test_columns_that_are_no_strings(self):
        d = wide(lost=()).rename(columns={"s": 7, "k": ("k", 1)})
        res = LowRankSUR.from_formula(FORMULAS, d, rank=0).fit()
        np.testing.assert_array_equal(se(res, 7), se(res, d[7]))
        np.testing.assert_array_equal(se(res, [("k", 1)]), se(res, d[("k", 1)].to_numpy()))

    def test_a_level_of_the_index(self):
        d = wide().set_index(["k", "s"])
        res = LowRankSUR.from_formula(FORMULAS, d, rank=0).fit()
        np.testing.assert_array_equal(se(res, "s"), se(res, wide()["s"].to_numpy()))

    def test_the_data_are_those_of_the_model(self, wide_case):
        """What the caller does to them afterwards changes nothing."""
        d = wide()
        res = LowRankSUR.from_formula(FORMULAS, d, rank=0).fit()
        want = se(res, "s")
        d["s"] = "same"
        d.loc[:, "k"] = 1
        d["new"] = 1
        np.testing.assert_array_equal(se(res, "s"), want)
        with pytest.raises(FormulaError, match="'new'.*as they were when the model was made"):
            se(res, "new")

    def test_after_unpickling_and_remove_data(self, wide_case):
        d, res = wide_case
        again = pickle.loads(pickle.dumps(res))
        for form in ("name", "series", "array"):
            np.testing.assert_array_equal(se(again, FORMS[form](d, "s")), se(res, "s"))
        clustered = again.get_robustcov_results("cluster", groups="s")
        clustered.remove_data()
        assert "groups" in clustered.cov_kwds
        np.testing.assert_array_equal(clustered.bse, se(res, "s"))
        with pytest.raises(DataRemovedError, match="remove_data"):
            se(again, "s")

    def test_a_pickle_holds_the_data_once(self):
        d = wide(4000, lost=range(100))
        model = LowRankSUR.from_formula(FORMULAS, d, rank=0)
        own = 3900 * 8 * (3 + 3 * 2 + 1)  # responses, designs, and which rows they are
        assert len(pickle.dumps(model)) < len(pickle.dumps(d)) + 1.2 * own


class TestLong:
    def want(self, res, column):
        t = res.model.data.row_labels.to_numpy()
        return se(res, WORDS[(t - 2000) % 4] if column == "s" else (t - 2000) // 3)

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("column", ["s", "k"])
    def test_forms(self, long_case, form, column):
        d, res = long_case
        assert res.nobs == 11  # a period is gone
        np.testing.assert_array_equal(se(res, FORMS[form](d, column)), self.want(res, column))

    def test_labels_of_periods(self, long_case):
        d, res = long_case
        by_period = d.groupby("t")["k"].first()
        for form in (
            by_period,
            by_period.drop(2004),
            by_period.iloc[::-1],
            by_period.drop(2004).to_numpy(),
            d.set_index("t")["k"],
            by_period.to_frame(),
        ):
            np.testing.assert_array_equal(se(res, form), self.want(res, "k"))
        np.testing.assert_array_equal(se(res, "t"), se(res, np.arange(11)))
        with pytest.raises(ShapeError, match="no label for row 2003"):
            se(res, by_period.drop([2003, 2004]))
        with pytest.raises(ShapeError, match="no label for row 7;"):
            se(res, d["k"].drop(7))

    def test_labels_that_differ_within_a_period(self, long_case):
        d, res = long_case
        for groups in ("g", d["g"], d["g"].to_numpy(), ["k", "g"]):
            with pytest.raises(ShapeError, match="clusters of periods") as caught:
                se(res, groups)
            message = str(caught.value)
            assert "groups differs within row 2000 of the system (t): 'g" in message
        one = d["k"].copy()
        row = d.index[(d["g"] == "g2") & (d["t"] == 2007)][0]
        one[row] = 99
        with pytest.raises(ShapeError, match=f"row 2007 .*99 in row {row}"):
            se(res, one)

    def test_missing_labels(self, long_case):
        """A period is known by any of its rows."""
        d, res = long_case
        s = d["s"].where(~((d["g"] == "g1") | (d["t"] == 2004)))
        np.testing.assert_array_equal(se(res, s), self.want(res, "s"))
        with pytest.raises(NonFiniteError, match="row 2005"):
            se(res, d["s"].where(d["t"] != 2005))

    def test_numbers_of_periods_are_not_numbers_of_rows(self):
        d = long(shuffle=False)
        d["t"] -= 2000
        res = LowRankSUR.from_formula("y ~ x", d, groups="g", time="t", rank=0).fit()
        by_period = d.groupby("t")["k"].first()
        want = se(res, "k")
        np.testing.assert_array_equal(se(res, by_period), want)
        np.testing.assert_array_equal(se(res, d["k"]), want)
        np.testing.assert_array_equal(se(res, d["k"].iloc[::-1]), want)
        with pytest.raises(ShapeError, match="no label for row 20"):
            se(res, d["k"].drop(20))

    def test_without_a_time_column(self):
        d = long(shuffle=False)
        d = d[d["t"].between(2005, 2011) & (d["t"] != 2006)].reset_index(drop=True)
        res = LowRankSUR.from_formula("y ~ x", d, groups="g", rank=0).fit()
        want = se(res, d.loc[d["g"] == "g0", "k"].to_numpy())
        for form in ("name", "series", "array", "shuffled"):
            np.testing.assert_array_equal(se(res, FORMS[form](d, "k")), want)

    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.OneEquationWarning")
    def test_one_group_in_another_order(self):
        """As many rows as periods: an array does not say which it is."""
        d = long().query("g == 'g3'").dropna().reset_index(drop=True)
        assert not d["t"].is_monotonic_increasing
        res = LowRankSUR.from_formula("y ~ x", d, groups="g", time="t", rank=0).fit()
        np.testing.assert_array_equal(se(res, "k"), se(res, d["k"]))
        with pytest.raises(ShapeError, match="another order"):
            se(res, d["k"].to_numpy())

    def test_against_the_wide_form(self, long_case):
        d, res = long_case
        table = d.pivot(index="t", columns="g")
        endog = table["y"]
        exog = {g: table["x"][[g]].rename(columns={g: "x"}).assign(one=1.0) for g in endog}
        flat = LowRankSUR(endog, exog, 0, missing="fiml").fit()
        # Periods without a cell are dropped; labels are those of all of them.
        by_period = d.groupby("t")["s"].first()
        got = np.sort(se(flat, by_period))
        np.testing.assert_allclose(got, np.sort(se(res, "s")), rtol=1e-10)
        np.testing.assert_allclose(np.sort(se(flat, by_period.to_numpy())), got, rtol=1e-12)


class TestArrays:
    def made(self, labelled, missing="drop"):
        d = wide()
        Y, X = d[["y1", "y2", "y3"]], d[["x1", "x2"]]
        if not labelled:
            Y, X = Y.to_numpy(), X.to_numpy()
        return d, LowRankSUR(Y, X, 0, missing=missing).fit()

    @pytest.mark.parametrize("labelled", [True, False])
    def test_dropped_rows(self, labelled):
        d, res = self.made(labelled)
        assert res.nobs == 28
        left = d["s"].drop([3, 17])
        want = se(res, left.to_numpy())
        for groups in (d["s"], d["s"].to_numpy(), left, left.to_frame(), d["s"].tolist()):
            np.testing.assert_array_equal(se(res, groups), want)
        with pytest.raises(OptionError, match="made from arrays"):
            se(res, "s")

    def test_labels_decide_where_both_have_them(self):
        d, res = self.made(labelled=True)
        turned = d["s"].sample(frac=1, random_state=5)
        np.testing.assert_array_equal(se(res, turned), se(res, d["s"]))

    def test_position_is_for_arrays_without_labels(self):
        d, res = self.made(labelled=False)
        want = se(res, d["s"])
        dated = d["s"].set_axis(pd.date_range("2001", periods=30))
        np.testing.assert_array_equal(se(res, dated), want)
        left = dated.drop(dated.index[[3, 17]])
        np.testing.assert_array_equal(se(res, left), want)
        # Numbers of rows, in another order: by label or by position?
        with pytest.raises(ShapeError, match="plain array"):
            se(res, d["s"].sample(frac=1, random_state=5))

    def test_fiml_with_a_row_that_is_gone(self):
        d = wide(lost=(4,))
        d.loc[9, ["y1", "y2", "y3"]] = np.nan
        Y, X = d[["y1", "y2", "y3"]], d[["x1", "x2"]]
        res = LowRankSUR(Y, X, 0, missing="fiml").fit()
        want = se(res, d["s"].drop([4, 9]).to_numpy())
        for groups in (d["s"], d["s"].to_numpy(), d["s"].sample(frac=1, random_state=1)):
            np.testing.assert_array_equal(se(res, groups), want)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), column=st.sampled_from(["s", "k"]))
@pytest.mark.slow
def test_every_form_gives_the_labels_that_a_look_up_gives(seed, column):
    """Random rows lost, random order, repeated or odd labels: the same labels or a typed error."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(6, 14))
    index = [
        pd.RangeIndex(n),
        pd.Index(rng.permutation(n)),
        pd.Index(rng.integers(0, 4, n)),
        pd.date_range("2000", periods=n, tz="UTC"),
        pd.MultiIndex.from_arrays([rng.integers(0, 3, n), np.arange(n)]),
        pd.Index([f"r{i}" for i in range(n - 1)] + [np.nan], dtype=object),
    ][rng.integers(6)]
    d = pd.DataFrame({"s": rng.choice(WORDS, n), "k": rng.integers(0, 4, n)}, index)
    rows = rng.permutation(n)[: rng.integers(2, n + 1)]
    rows = np.sort(rows) if rng.random() < 0.7 else rows
    kept = Provenance(d.index, frame=snapshot(d)).kept(rows)
    want = d[column].to_numpy()[rows]
    other = [form for form in FORMS if form != "more labels"]
    for form in other:
        try:
            (got,) = kept.per_row(FORMS[form](d, column), "groups")
        except ShapeError:
            if form in ("name", "names", "series", "frame"):
                raise
            continue
        assert list(got.astype(str)) == list(want.astype(str)), form
        (cells,) = kept.per_cell(FORMS[form](d, column), "weights")
        assert list(cells.astype(str)) == list(want.astype(str)), form


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_cells_of_a_panel(seed):
    """`per_cell` against one cell at a time; `per_row` against the set of a period's values."""
    rng = np.random.default_rng(seed)
    K, N, n = 3, 5, 20
    rows = np.full((K, N), -1)
    there = rng.random((K, N)) < 0.8
    there[0, ~there.any(axis=0)] = True
    rows[there] = rng.permutation(n)[: there.sum()]
    d = pd.DataFrame({"w": rng.integers(0, 2, n).astype(float)})
    d.loc[rng.random(n) < 0.1, "w"] = np.nan
    panel = Provenance(pd.Index(np.arange(N) + 50), rows, frame=d, time="t")
    (cells,) = panel.per_cell("w", "weights")
    assert cells.shape == (N, K)
    values = []
    for t in range(N):
        here = [d["w"][rows[j, t]] for j in range(K) if rows[j, t] >= 0]
        values.append({v for v in here if v == v})
        for j in range(K):
            if rows[j, t] < 0:
                assert cells[t, j] is None
            else:
                np.testing.assert_equal(cells[t, j], d["w"][rows[j, t]])
    if all(len(v) == 1 for v in values):
        assert panel.per_row("w", "groups")[0].tolist() == [next(iter(v)) for v in values]
    else:
        with pytest.raises((ShapeError, NonFiniteError)):
            panel.per_row("w", "groups")


def test_grunfeld_has_the_same_errors_in_every_order():
    data = load_grunfeld()
    data["half"] = data["year"] // 5
    one = LowRankSUR.from_formula("invest ~ value", data, groups="firm", time="year", rank=1).fit()
    mixed = data.sample(frac=1, random_state=0)
    other = LowRankSUR.from_formula("invest ~ value", mixed, groups="firm", time="year", rank=1)
    other = other.fit(
        cov_type="cluster", cov_kwds={"groups": mixed["half"].reset_index(drop=True).to_numpy()}
    )
    np.testing.assert_allclose(
        other.bse[one.params.index], se(one, np.arange(1935, 1955) // 5), rtol=1e-6
    )
