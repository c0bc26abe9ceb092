"""``LowRankSUR(rank="bic")`` and the like: what `select_rank` chooses, chosen on construction."""

import copy
import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR, select_rank
from sm_alsgls.__main__ import main
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import IllegalRankError, OptionError, RankWarning
from sm_alsgls.rank_choice import selector as rank_selector
from sm_alsgls.rank_choice.rules import METHODS, RESIDUAL_RULES, RULES
from sm_alsgls.rank_choice.selector import is_rule
from tests.systems import simulate

pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")


def system(N=60, K=12, p=3, r=2, seed=4):
    X, Y, _ = simulate(N, K, p, r, seed=seed)
    return X, Y


@functools.cache
def whole_table():
    """Of most rules, which tests/test_rank.py shows to choose as their columns say."""
    X, Y = system(K=7, r=1)
    return select_rank(LowRankSUR(Y, X, rank=0))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_that_of_select_rank(rule):
    X, Y = system(K=7, r=1)
    model = LowRankSUR(Y, X, rank=rule)
    chosen = whole_table()
    rank = chosen.choices.get(rule)
    if rank is None:
        chosen = select_rank(LowRankSUR(Y, X, rank=0), rule)
        rank = chosen.rank
    assert type(model.rank) is int
    assert model.rank == rank == model.rank_selection.rank
    assert model.rank_method == model.rank_selection.method == rule
    table = model.rank_selection.table
    pd.testing.assert_frame_equal(table, chosen.table[table.columns], rtol=1e-10)
    # As many parameters as the rank has, and the fit uses it.
    assert model.df_model == LowRankSUR(Y, X, rank=rank).df_model
    assert str(model.rank_selection).count("*") > 0


@pytest.mark.slow
def test_residual_rules_are_those_without_a_fit(monkeypatch):
    def never(*args, **kwds):
        raise AssertionError("a candidate was fitted")

    X, Y = system()
    monkeypatch.setattr(rank_selector, "criteria_table", never)
    for rule in RESIDUAL_RULES:
        assert list(LowRankSUR(Y, X, rank=rule).rank_selection.table) == [
            "aic_ols", "bic_ols", "ic1", "ic2", "ic3", "er", "gr", "ed",
        ]  # fmt: skip
    assert list(LowRankSUR(Y, X, rank="bic_robust").rank_selection.table) == ["bic_robust"]
    for rule in set(RULES) - {"bic_robust", *RESIDUAL_RULES}:
        with pytest.raises(AssertionError, match="a candidate was fitted"):
            LowRankSUR(Y, X, rank=rule)


def test_large_systems_choose_as_select_rank_does():
    """Where tolerances are those of a path: the same numbers with and without the fits."""
    X, Y = system(120, 100, 3, 3)
    model = LowRankSUR(Y, X, rank="bic_ols")
    chosen = select_rank(model)
    assert model.rank == 3
    table = model.rank_selection.table
    pd.testing.assert_frame_equal(table, chosen.table[table.columns], rtol=1e-12)


def test_numbers_and_the_rule_select_nothing():
    X, Y = system()
    for rank, method in ((2, None), (np.int64(1), None), ("rule", "rule")):
        model = LowRankSUR(Y, X, rank=rank)
        assert model.rank_selection is None
        assert model.rank_method == method
    assert is_rule("auto")
    assert not is_rule("rule")
    assert not is_rule(3)


@pytest.mark.slow
def test_fit_and_summary_say_how_the_rank_was_chosen():
    X, Y = system()
    res = LowRankSUR(Y, X, rank="bic").fit(n_starts=1)
    same = LowRankSUR(Y, X, rank=2).fit(n_starts=1)
    assert res.rank == 2
    assert res.llf == pytest.approx(same.llf, rel=1e-12)
    rule = LowRankSUR(Y, X, rank="rule").fit(n_starts=1)
    auto = LowRankSUR(Y, X).fit(n_starts=1)
    shown = [
        next(line for line in str(fit.summary()).splitlines() if line.startswith("Rank r:"))
        for fit in (res, same, rule, auto)
    ]
    assert [line[7:40].strip() for line in shown] == ["2 (bic)", "2", "2 (rule)", "2 (auto)"]


@pytest.mark.slow
def test_restrictions_of_the_model_are_known_and_later_ones_keep_the_rank():
    X, Y = system(K=7, r=1)
    model = LowRankSUR(Y, X, rank="bic", common=["x1"])
    bound = select_rank(LowRankSUR(Y, X, rank=0, common=["x1"]), "bic")
    pd.testing.assert_frame_equal(model.rank_selection.table, bound.table)
    assert model.df_model == bound.table.parameters[model.rank]
    free = LowRankSUR(Y, X, rank="bic")
    res = free.fit_constrained("y1_x1 = y2_x1", n_starts=1)
    assert res.model.rank == free.rank
    assert res.model.rank_selection is free.rank_selection
    assert res.df_model == free.df_model - 1
    assert model.without_restrictions().rank_method == "bic"


def test_pickles_and_copies_keep_the_selection():
    X, Y = system()
    model = LowRankSUR(Y, X, rank="bic_ols")
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        pd.testing.assert_frame_equal(again.rank_selection.table, model.rank_selection.table)
        assert (again.rank, again.rank_method) == (model.rank, "bic_ols")
    res = model.fit(n_starts=1)
    res.remove_data()
    assert "(bic_ols)" in str(pickle.loads(pickle.dumps(res)).summary())


@pytest.mark.slow
def test_formulas_pairs_and_chunks():
    panel = LowRankSUR.from_formula(
        "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank="bic_ols"
    )
    assert panel.rank == 1
    X, Y = system(K=7, r=1)
    pairs = LowRankSUR.from_system({f"y{j}": (Y[:, j], X[j]) for j in range(Y.shape[1])}, rank="ed")
    assert pairs.rank == LowRankSUR(Y, X, rank="ed").rank
    parts = [(Y[i : i + 20], [x[i : i + 20] for x in X]) for i in range(0, 60, 20)]
    for rule in ("bic_ols", "bic", "lr", "er"):
        stream = LowRankSUR.from_chunks(parts, rank=rule)
        assert stream.rank == LowRankSUR(Y, X, rank=rule).rank
    with pytest.raises(OptionError, match="rank='cv' refits without some rows.*rank='bic_ols'"):
        LowRankSUR.from_chunks(parts, rank="cv")
    with pytest.raises(OptionError, match="rank='bic_robust' weighs each row.*rank='bic_ols'"):
        LowRankSUR.from_chunks(parts, rank="bic_robust")


def test_rank_zero_for_want_of_data_warns():
    X, Y = system(30, 2, 2, 0)
    with pytest.warns(RankWarning, match="rank='bic_ols' is 0.*two equations identify no factor"):
        assert LowRankSUR(Y, X, rank="bic_ols").rank == 0
    X, Y = system(5, 4, 4, 0)
    with pytest.warns(RankWarning, match="5 rows less 4 regressors leave no degree of freedom"):
        assert LowRankSUR(Y, X, rank="bic").rank == 0


def test_unknown_names_list_the_known():
    X, Y = system()
    for rank in ("BIC", "mdl", 1.5, True, None):
        with pytest.raises(
            IllegalRankError, match=r"got .*; criteria .* are bic_ols, bic_robust, aic_ols"
        ):
            LowRankSUR(Y, X, rank=rank)
    with pytest.raises(OptionError, match="did you mean 'bic_ols'"):
        select_rank(LowRankSUR(Y, X), "bic-ols")


def test_a_rule_that_sees_too_few_eigenvalues():
    X, Y = system(60, 6, 3, 1)
    with pytest.raises(OptionError, match="rank='ed' is not defined .* use rank='bic_ols'$"):
        LowRankSUR(Y[:, :5], X[:5], rank="ed")


def test_command_line(tmp_path, capsys):
    file = tmp_path / "panel.csv"
    load_grunfeld().to_csv(file, index=False)
    panel = [str(file), "--formula", "invest ~ value + capital", "--groups", "firm", "--quiet"]
    panel += ["--time", "year", "--n-starts", "1"]
    assert main([*panel, "--rank", "bic_ols"]) == 0
    assert "1 (bic_ols)" in capsys.readouterr().out
    assert main([*panel, "--rank", "mdl"]) == 2
    assert f"got 'mdl'; criteria are {', '.join(METHODS[1:])}" in capsys.readouterr().err


def test_a_rank_that_is_too_high_is_said_after_the_first_start():
    X, Y = system()
    model = LowRankSUR(Y, X, rank=5)
    starts = []

    def count(sweep):
        starts.append(sweep.sweep == 0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RankWarning)
        with pytest.raises(RankWarning, match="plainly too high"):
            model.fit(callback=count)
    assert sum(starts) == 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        res = model.fit()
    mine = [w for w in caught if issubclass(w.category, RankWarning)]
    assert len(mine) == 1
    assert mine[0].filename == __file__
    assert len(res.mle_retvals["starts"]) > 1


def heavy(N=100, K=20, r=1, seed=3):
    """A system of rows that are multivariate t(3)."""
    rng = np.random.default_rng(seed)
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, 2))]) for _ in range(K)]
    E = rng.standard_normal((N, r)) @ rng.standard_normal((r, K)) + rng.standard_normal((N, K))
    return X, E / np.sqrt(rng.chisquare(3.0, N))[:, None]


def test_bic_robust_finds_the_factors_of_heavy_rows():
    X, Y = heavy()
    model = LowRankSUR(Y, X, rank="bic_robust")
    assert model.rank == 1 < LowRankSUR(Y, X, rank="bic_ols").rank
    text = " ".join(str(model.rank_selection).split())
    assert "Rank 1 is chosen by BIC of the factor structure of OLS residuals, rows weighted" in text
    assert "Rows have heavy tails (multivariate t with about 3 degrees of freedom)" in text
    assert model.rank_selection.criterion.name == "bic_robust"
    assert model.rank_selection.table.index.tolist() == [0, 1, 2, 3]
    whole = select_rank(model, "bic_robust", n_starts=1, candidates=range(6))
    assert whole.rank == 1
    assert whole.table["bic_robust"].notna().tolist() == [True] * 4 + [False] * 2
    assert "bic_robust" not in select_rank(model, n_starts=1, candidates=[0, 1]).table


def test_bic_robust_looks_at_residuals_as_they_are():
    """Compression of rows, units, order of rows, equal weights and order of equations: nothing."""
    X, Y = heavy(200, 8)
    X = [X[0]] * 8  # so few regressors that rows are compressed
    base = LowRankSUR(Y, X, rank="bic_robust").rank_selection.table["bic_robust"]
    rng = np.random.default_rng(0)
    at, columns = rng.permutation(200), rng.permutation(8)
    for model in (
        LowRankSUR(Y[at], X[0][at], rank="bic_robust"),
        LowRankSUR(Y[:, columns] * 10.0 ** np.arange(8), X[0], rank="bic_robust"),
        LowRankSUR(Y, X, rank="bic_robust", weights=np.full(200, 3.0)),
    ):
        np.testing.assert_allclose(model.rank_selection.table["bic_robust"], base, atol=1e-4)
    given = rng.uniform(0.2, 5.0, 200)
    weighted = LowRankSUR(Y, X, rank="bic_robust", weights=given).rank_selection.table
    root = np.sqrt(given / given.mean())[:, None]
    by_hand = LowRankSUR(Y * root, X[0] * root, rank="bic_robust").rank_selection.table
    pd.testing.assert_frame_equal(weighted, by_hand, atol=1e-4)


def test_bic_robust_counts_correlated_rows_for_less_where_they_are_in_time():
    rng = np.random.default_rng(8)
    E = rng.standard_normal((60, 20))
    for n in range(1, 60):
        E[n] += 0.8 * E[n - 1]
    X = pd.DataFrame({"const": np.ones(60), "x": rng.standard_normal(60)})
    names = [f"y{j}" for j in range(20)]
    dated = pd.DataFrame(E, pd.date_range("2001-01-31", periods=60, freq="ME"), names)
    plain = LowRankSUR(E, X, rank="bic_robust")
    timed = LowRankSUR(dated, X.set_index(dated.index), rank="bic_robust")
    assert timed.rank == 0 < plain.rank
    assert "Neighbouring rows have correlation 0." in str(timed.rank_selection)
    assert "Neighbouring" not in str(plain.rank_selection)
    # Dates that are not in order say nothing.
    at = rng.permutation(60)
    mixed = LowRankSUR(dated.iloc[at], X.set_index(dated.index).iloc[at], rank="bic_robust")
    assert mixed.rank_selection.notes == []
    long = dated.assign(time=np.arange(60), x=X["x"].to_numpy()).melt(["time", "x"], var_name="eq")
    panel = LowRankSUR.from_formula("value ~ x", long, groups="eq", time="time", rank="bic_robust")
    np.testing.assert_allclose(
        panel.rank_selection.table["bic_robust"],
        timed.rank_selection.table["bic_robust"],
        atol=1e-4,
    )
    again = select_rank(panel, "bic_robust", n_starts=1, candidates=[0, 1]).notes
    assert any("Neighbouring" in note for note in again)


def test_bic_robust_needs_every_cell():
    X, Y = system()
    Y[3, 2] = np.nan
    with pytest.raises(OptionError, match="rank='bic_robust' needs complete rows.*rank='auto'"):
        LowRankSUR(Y, X, missing="fiml", rank="bic_robust")
    assert LowRankSUR(Y, X, missing="drop", rank="bic_robust").rank == 2


def test_bic_robust_on_the_command_line(tmp_path, capsys):
    file = tmp_path / "panel.csv"
    load_grunfeld().to_csv(file, index=False)
    panel = [str(file), "--formula", "invest ~ value + capital", "--groups", "firm", "--quiet"]
    assert main([*panel, "--time", "year", "--n-starts", "1", "--rank", "bic_robust"]) == 0
    assert "(bic_robust)" in capsys.readouterr().out
