"""Rank selection: every criterion against dense formulas, known answers, edges and errors."""

import copy
import importlib
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from sm_alsgls import LowRankSUR
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.rank import criteria as rank_criteria
from sm_alsgls.core.rank.criteria import (
    largest_root_pvalue,
    leading_eigenvalues,
    onatski,
    penalties,
)
from sm_alsgls.core.rank.path import path_gtol, residual_path
from sm_alsgls.data.problem import build_problem
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.diagnostics import sufficiency_test
from sm_alsgls.exceptions import (
    IllegalRankError,
    NonFiniteError,
    OptionError,
    ShapeError,
    UnknownArgumentError,
)
from sm_alsgls.rank import METHODS, select_rank
from sm_alsgls.rank_choice.folds import fold_labels
from sm_alsgls.rank_choice.selection import choose
from sm_alsgls.rank_choice.table import candidate_ranks
from tests.systems import french, munnell, simulate, wide_grunfeld

# Candidates above the true rank often fit one equation alone; small models have a rule of rank 0.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning"),
]

COLUMNS = [
    "nll", "llf", "parameters", "aic", "bic", "ebic", "aic_ols", "bic_ols", "ic1", "ic2", "ic3",
    "er", "gr", "ed", "lr", "converged", "starts",
]  # fmt: skip


def system(N=100, K=20, p=3, r=2, seed=1, strength=1.0):
    X, Y, _ = simulate(N, K, p, r, seed=seed, strength=strength)
    return X, Y


def model_of(*args, **kwds):
    X, Y = system(*args, **kwds)
    return LowRankSUR(Y, X, rank=0)


def problem_of(model, **options):
    return build_problem(model.system, ALSOptions(**options), model.restrictions)


def ols_residuals(X, Y):
    return np.column_stack(
        [y - x @ np.linalg.lstsq(x, y, rcond=None)[0] for x, y in zip(X, Y.T, strict=True)]
    )


@pytest.fixture(scope="module")
def chosen():
    return select_rank(model_of(), n_starts=1)


class TestLikelihoodCriteria:
    def test_are_those_of_the_fits(self):
        """Independent fits of each rank: nll, llf, parameters, aic and bic."""
        X, Y = system(60, 8, 3, 2, seed=3)
        table = select_rank(LowRankSUR(Y, X, rank=0)).table
        for r in (0, 1, 2, 3):
            fit = LowRankSUR(Y, X, rank=r).fit()
            assert table.nll[r] == pytest.approx(fit.nll_per_row, abs=1e-8)
            assert table.llf[r] == pytest.approx(fit.llf, abs=1e-5)
            assert table.parameters[r] == fit.df_model
            assert table.aic[r] == pytest.approx(fit.aic, abs=1e-5)
            assert table.bic[r] == pytest.approx(fit.bic, abs=1e-5)
            extra = 2 * math.log(math.comb(8, r))
            assert table.ebic[r] - table.bic[r] == pytest.approx(extra, abs=1e-9)

    def test_rank_zero_is_ols(self):
        X, Y = system(50, 4, 2, 1)
        s = np.mean(ols_residuals(X, Y) ** 2, axis=0)
        llf = stats.norm.logpdf(ols_residuals(X, Y), scale=np.sqrt(s)).sum()
        assert select_rank(LowRankSUR(Y, X, rank=0)).table.llf[0] == pytest.approx(llf, rel=1e-12)

    def test_penalties_by_hand(self):
        cost = penalties(np.array([7.0, 12.0]), np.array([0, 2]), 50, 6)
        np.testing.assert_allclose(cost["aic"], [14, 24])
        np.testing.assert_allclose(cost["bic"], np.log(50) * np.array([7, 12]))
        np.testing.assert_allclose(cost["ebic"] - cost["bic"], [0, 2 * np.log(15)], atol=1e-12)

    @pytest.mark.parametrize("n_starts", [1, "auto"])
    def test_nll_falls_with_rank_on_treacherous_data(self, n_starts):
        model = LowRankSUR(*french(), rank=0)
        nll = select_rank(model, candidates=range(6), n_starts=n_starts).table.nll.to_numpy()
        assert (np.diff(nll) < 0).all()
        if n_starts == "auto":
            # OLS starts end 0.1 a row above.
            assert nll[3] == pytest.approx(-75.27269555, abs=1e-6)

    @pytest.mark.slow
    def test_nll_falls_with_rank_where_fits_do_not_converge(self):
        table = select_rank(
            LowRankSUR(*munnell(), rank=0), n_starts=1, max_sweeps=15, candidates=[0, 1, 3, 4]
        )
        assert (np.diff(table.table.nll) < 0).all()
        assert not table.table.converged.all()
        assert "NOT CONVERGED" in str(table)

    def test_loose_tolerance_of_large_systems_is_not_felt(self):
        model = model_of(120, 100, 3, 3)
        loose = select_rank(model, candidates=range(6), n_starts=1).table
        tight = select_rank(model, candidates=range(6), n_starts=1, gtol=1e-7).table
        np.testing.assert_array_less(tight.llf - loose.llf, 0.05 * 100)
        assert np.abs(tight.llf - loose.llf).max() > 1e-6, "the default was the tight one"


class TestResidualCriteria:
    def test_factor_likelihood_against_a_general_optimiser(self):
        X, Y = system(40, 4, 2, 1, seed=5)
        E = ols_residuals(X, Y)
        S = E.T @ E / 40

        def nll(x):
            F, d = x[:4, None], np.exp(x[4:])
            Sigma = F @ F.T + np.diag(d)
            value = np.linalg.slogdet(Sigma)[1] + np.trace(np.linalg.solve(Sigma, S))
            return 0.5 * (value + 4 * math.log(2 * math.pi))

        start = np.concatenate([np.sqrt(0.5 * np.diag(S)), np.log(0.5 * np.diag(S))])
        runs = [
            optimize.minimize(nll, start * np.r_[signs, np.ones(4)], tol=1e-12).fun
            for signs in ([1, 1, 1, 1], [1, -1, 1, 1], [1, 1, -1, 1], [1, 1, 1, -1])
        ]
        table = select_rank(LowRankSUR(Y, X, rank=0)).table
        n = 40 - 2  # all equations have two regressors
        assert table.bic_ols[1] == pytest.approx(2 * n * min(runs) + 8 * np.log(n), abs=1e-6)
        assert table.aic_ols[1] - table.bic_ols[1] == pytest.approx(8 * (2 - np.log(n)))
        diagonal = 2 * n * 0.5 * (np.log(np.diag(S)).sum() + 4 * (1 + math.log(2 * math.pi)))
        assert table.bic_ols[0] == pytest.approx(diagonal + 4 * np.log(n), rel=1e-10)

    @pytest.mark.parametrize(("N", "K"), [(100, 30), (250, 180)])
    def test_path_is_that_of_single_factor_analyses(self, N, K):
        problem = problem_of(model_of(N, K, 3, 2), gtol=1e-6)
        path = residual_path(problem, range(5))
        alone = [residual_path(problem, [r])[0] for r in range(5)]
        # Up to the true rank there is one maximum; beyond, the path is the better.
        np.testing.assert_allclose(path[:3], alone[:3], rtol=1e-8)
        assert (path <= np.array(alone) + 1e-3).all()
        assert (np.diff(path) < 0).all()

    @pytest.mark.parametrize(("N", "K"), [(50, 12), (30, 60)])
    def test_dense_formulas(self, N, K):
        """Principal components by SVD: V(r) is the mean square that r of them leave."""
        X, Y = system(N, K, 3, 2, seed=N)
        X[0] = X[0][:, :2]
        E = ols_residuals(X, Y)
        n = N - (3 * K - 1) / K
        Z = E / np.sqrt((E**2).sum(axis=0) / n)
        U, size, Vt = np.linalg.svd(Z, full_matrices=False)

        def V(r):
            return ((Z - (U[:, :r] * size[:r]) @ Vt[:r]) ** 2).sum() / (n * K)

        table = select_rank(LowRankSUR(Y, X, rank=0), candidates=range(6), n_starts=1).table
        least, g = min(n, K), (n + K) / (n * K)
        mu = np.concatenate([[K / np.log(least)], size**2 / n])
        for r in table.index:
            fit = np.log(V(r))
            assert table.ic1[r] == pytest.approx(fit + r * g * np.log(n * K / (n + K)), abs=1e-10)
            assert table.ic2[r] == pytest.approx(fit + r * g * np.log(least), abs=1e-10)
            assert table.ic3[r] == pytest.approx(fit + r * np.log(least) / least, abs=1e-10)
            assert table.er[r] == pytest.approx(mu[r] / mu[r + 1], rel=1e-9)
            before = V(r - 1) if r > 0 else V(0) + mu[0] / K
            growth = np.log(before / V(r)) / np.log(V(r) / V(r + 1))
            assert table.gr[r] == pytest.approx(growth, rel=1e-8)

    def test_eigenvalues_by_lanczos(self, monkeypatch):
        E = np.random.default_rng(0).standard_normal((40, 60)) * np.geomspace(1, 1e6, 60)
        dense = leading_eigenvalues(E, 37.0, 7)
        monkeypatch.setattr(rank_criteria, "_DENSE_LIMIT", 10)
        np.testing.assert_allclose(leading_eigenvalues(E, 37.0, 7), dense, rtol=1e-9)

    def test_no_array_of_equations_by_equations(self):
        """100,000 equations: K x K would be 80 GB."""
        E = np.random.default_rng(0).standard_normal((6, 100_000))
        values = leading_eigenvalues(E, 5.0, 9)
        assert values.shape == (5,)
        assert values.sum() < 100_000

    def test_units_do_not_matter(self):
        X, Y = system(60, 9, 3, 2)
        scale = np.geomspace(1e-6, 1e6, 9)
        one = select_rank(LowRankSUR(Y, X, rank=0), n_starts=1)
        other = select_rank(LowRankSUR(Y * scale, X, rank=0), n_starts=1)
        pd.testing.assert_series_equal(one.choices, other.choices)
        columns = ["ic1", "ic2", "ic3", "er", "gr", "ed", "lr"]
        pd.testing.assert_frame_equal(one.table[columns], other.table[columns], rtol=1e-5)


class TestOnatski:
    def test_known_answer(self):
        """Past two factors eigenvalues on a line in j^(2/3): the slope is exact, delta = 0.2."""
        tail = 5.0 - 0.1 * np.arange(0.0, 12.0) ** (2 / 3)
        values = np.concatenate([[40.0, 20.0], tail])
        found = onatski(values, np.arange(6))
        assert np.isnan(found[0])
        assert np.argwhere(found >= 1).max() == 2
        # From r = 2: eigenvalues 3..7 on 2^(2/3)..6^(2/3).
        slope = np.polyfit(np.arange(2.0, 7.0) ** (2 / 3), values[2:7], 1)[0]
        np.testing.assert_allclose(found[2], (20.0 - 5.0) / (2 * abs(slope)), rtol=1e-10)

    def test_noise_has_none_and_too_few_eigenvalues_say_nothing(self):
        values = 3.0 - 0.05 * np.arange(14.0) ** (2 / 3)
        assert (onatski(values, np.arange(1, 6)) < 1).all()
        assert np.isnan(onatski(values[:5], np.arange(4))).all()
        # r_max falls to 9 - 5.
        assert (
            np.isfinite(onatski(values[:9], np.arange(8))).tolist()
            == [False] + [True] * 4 + [False] * 3
        )


class TestSequentialTest:
    @pytest.mark.parametrize(
        ("x", "tail"), [(0.4501, 0.10), (0.9793, 0.05), (2.0234, 0.01), (-1.2686, 0.5)]
    )
    def test_tracy_widom_table(self, x, tail):
        """Johnstone (2001), table 1, and the median."""
        n, K = 200.0, 50.0
        a, b = np.sqrt(n - 0.5), np.sqrt(K - 0.5)
        root = ((a + b) ** 2 + x * (a + b) * (1 / a + 1 / b) ** (1 / 3)) / n
        assert largest_root_pvalue(root, n, K) == pytest.approx(tail, abs=2e-3)

    def test_against_an_unrestricted_sigma_where_rows_allow(self):
        X, Y = system(60, 8, 3, 1, seed=4)
        table = select_rank(LowRankSUR(Y, X, rank=0), n_starts=1).table
        for r in (0, 1, 2):
            test = sufficiency_test(LowRankSUR(Y, X, rank=r).fit(n_starts=1))
            assert table.lr[r] == pytest.approx(test.pvalue, abs=1e-5)
        # (8 - 4)^2 >= 8 + 4 with 2 degrees of freedom left; three equations leave none.
        assert table.lr[4] < 1.0
        assert select_rank(model_of(60, 3, 2, 1)).table.lr[1] == 1.0

    @pytest.mark.parametrize(("N", "K", "r"), [(30, 20, 1), (250, 180, 0), (250, 180, 2)])
    def test_root_is_the_eigenvalue_that_factors_leave(self, N, K, r):
        """Also by block iteration (180 equations), and from a random basis (rank 0)."""
        X, Y = system(N, K, 3, 2, seed=2)
        table = select_rank(LowRankSUR(Y, X, rank=0), candidates=[r], n_starts=1, gtol=1e-6).table
        fit = LowRankSUR(Y, X, rank=r).fit(n_starts=1)
        Z = fit.resid.to_numpy() / np.sqrt(fit.uniquenesses.to_numpy())
        values = np.linalg.eigvalsh(Z.T @ Z / N)[::-1]
        p = largest_root_pvalue(values[r], np.array(N - 3.0 - r), np.array(K - r))
        assert table.lr[r] == pytest.approx(float(p), abs=5e-3)
        # Those eigenvalues average 1, which is what standardises them.
        assert values[r:].sum() == pytest.approx(K - r, rel=1e-4)

    @pytest.mark.slow
    @pytest.mark.parametrize(("N", "K", "r", "draws"), [(100, 10, 1, 200), (60, 50, 1, 100)])
    def test_size(self, N, K, r, draws):
        p = []
        for seed in range(draws):
            model = model_of(N, K, 3, r, seed=seed)
            p.append(select_rank(model, candidates=[r], n_starts=1).table.lr[r])
        # 5 % and three standard errors; never far above, below at small K.
        assert np.mean(np.array(p) < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


class TestChoices:
    def test_true_rank(self, chosen):
        right = ["bic_ols", "aic_ols", "bic", "ebic", "er", "gr", "ed", "lr"]
        assert (chosen.choices[right] == 2).all()
        assert chosen.rank == 2
        assert chosen.method == "bic_ols"

    @pytest.mark.slow
    def test_each_method_chooses_as_its_column_says(self):
        model = model_of(60, 12, 3, 1, seed=4)
        for method in METHODS:
            one = select_rank(model, method, candidates=range(4), n_starts=1, folds=2)
            column = {"auto": "bic_ols"}.get(method, method)
            assert one.rank == (one.choices[column] if method != "rule" else 2)

    @pytest.mark.slow
    def test_bic_overfits_where_rows_are_scarce_and_its_residual_twin_does_not(self):
        picked = [
            select_rank(model_of(17, 48, 5, 1, seed=s), candidates=range(4), n_starts=1).choices
            for s in range(3)
        ]
        assert all(c["bic"] == 3 for c in picked)
        assert all(c["bic_ols"] == 1 for c in picked)

    def test_ties_go_to_the_smaller_rank(self):
        ranks = pd.Index([0, 2, 3])
        assert choose("bic", pd.Series([5.0, 4.0, 4.0], ranks), 0.05) == 2
        assert choose("er", pd.Series([5.0, 5.0, 4.0], ranks), 0.05) == 0
        assert choose("ed", pd.Series([np.nan, 1.0, 0.9], ranks), 0.05) == 2
        assert choose("ed", pd.Series([np.nan, 0.5, 0.9], ranks), 0.05) == 0
        assert choose("lr", pd.Series([0.01, 0.05, 0.06], ranks), 0.05) == 3
        assert choose("lr", pd.Series([0.01, 0.01, 0.01], ranks), 0.05) == 3
        assert choose("bic", pd.Series([np.nan, 4.0, 5.0], ranks), 0.05) == 2
        assert choose("gr", pd.Series([np.nan] * 3, ranks), 0.05) is None

    def test_the_rule_looks_at_no_data(self):
        assert select_rank(model_of(60, 12), "rule", n_starts=1).rank == 2
        assert select_rank(model_of(60, 12), "rule", candidates=[0, 1, 5], n_starts=1).rank == 1
        assert select_rank(model_of(60, 12), "rule", candidates=[3, 4], n_starts=1).rank == 3

    def test_auto_is_bic_ols_under_its_cap(self):
        model = model_of(20, 12, 3, 4)  # 17 rows less regressors: two factors
        assert select_rank(model, "auto", candidates=[0, 1, 2, 5]).table.index.max() <= 2
        assert select_rank(model, "auto", candidates=[3, 4]).rank == 3

    @pytest.mark.slow
    def test_alpha(self):
        model = model_of(60, 12, 3, 1, seed=4)
        table = select_rank(model, "lr", n_starts=1).table
        p = table.lr[1]
        assert select_rank(model, "lr", n_starts=1, alpha=0.9 * p).rank == 1
        assert select_rank(model, "lr", n_starts=1, alpha=min(0.99, 1.01 * p)).rank > 1

    def test_largest_candidate_is_pointed_out(self):
        assert "largest candidate" in str(select_rank(model_of(), candidates=[0, 1], n_starts=1))


class TestCrossValidation:
    def test_dense_recomputation(self):
        X, Y = system(90, 4, 2, 1, seed=6)
        table = select_rank(LowRankSUR(Y, X, rank=0), "cv", folds=3, blocks=True).table
        for r in (0, 1):
            score = np.empty(90)
            for test in np.split(np.arange(90), 3):
                train = np.setdiff1d(np.arange(90), test)
                fit = LowRankSUR(Y[train], [x[train] for x in X], rank=r).fit()
                b = np.split(fit.params.to_numpy(), 4)
                E = Y[test] - np.column_stack([x[test] @ c for x, c in zip(X, b, strict=True)])
                score[test] = -stats.multivariate_normal.logpdf(E, cov=fit.sigma.to_dense())
            assert table.cv[r] == pytest.approx(score.mean(), rel=1e-5)
            assert table.cv_se[r] == pytest.approx(score.std(ddof=1) / np.sqrt(90), rel=1e-4)
        assert list(table.columns) == [*COLUMNS[:-2], "cv", "cv_se", *COLUMNS[-2:]]

    def test_finds_the_rank(self):
        assert select_rank(model_of(), "cv", candidates=range(5), n_starts=1).rank == 2

    def test_folds(self):
        labels, folds = fold_labels(11, 3, True, None)
        assert folds == 3
        assert (np.diff(labels) >= 0).all()
        assert sorted(np.bincount(labels)) == [3, 4, 4]
        mixed, _ = fold_labels(11, 3, False, None)
        assert sorted(np.bincount(mixed)) == [3, 4, 4]
        assert (np.diff(mixed) < 0).any()
        other, _ = fold_labels(11, 3, False, np.random.default_rng(5))
        assert (mixed != other).any()
        groups = np.repeat(list("abcde"), [1, 2, 3, 4, 1])
        grouped, _ = fold_labels(11, 2, groups, None)
        assert all(len(set(grouped[groups == g])) == 1 for g in "abcde")
        assert len(set(grouped)) == 2

    @pytest.mark.slow
    def test_candidates_illegal_in_a_fold_are_left_out(self):
        model = model_of(12, 12, 3, 1)
        table = select_rank(model, "cv", candidates=[0, 1, 7], folds=2, n_starts=1).table
        assert np.isfinite(table.cv[[0, 1]]).all()
        assert np.isnan(table.cv[7])

    def test_a_fold_that_cannot_be_fitted(self):
        X, Y = system(30, 3, 2, 1)
        X[1] = X[1].copy()
        X[1][:, 1] = np.arange(30) < 5
        with pytest.raises(OptionError, match="folds=5: without rows 0 .. 5 .*zero in every row"):
            select_rank(LowRankSUR(Y, X, rank=0), "cv", blocks=True)


class TestSystems:
    def test_one_equation(self):
        for method in ("auto", "er", "ed", "lr", "cv", "rule", "bic_ols"):
            only = select_rank(model_of(30, 1, 2, 0), method)
            assert only.rank == 0
            assert list(only.table.index) == [0]
        assert np.isnan(only.table.lr[0])

    def test_two_equations_identify_no_factor(self):
        X, Y = system(30, 2, 2, 0)
        Y = np.column_stack([Y[:, 0], Y[:, 0] + Y[:, 1]])
        model = LowRankSUR(Y, X, rank=0)
        two = select_rank(model)
        assert list(two.table.index) == [0]
        # No rank fits it, but the test sees it.
        assert two.table.lr[0] == pytest.approx(sufficiency_test(model.fit()).pvalue, rel=1e-6)
        assert two.table.lr[0] < 0.01

    def test_three_rows_more_than_regressors(self):
        few = select_rank(model_of(6, 8, 3, 1))
        assert list(few.table.index) == [0, 1]
        assert few.rank in (0, 1)

    def test_default_candidates(self):
        assert candidate_ranks(None, model_of(200, 40).system) == list(range(11))
        assert candidate_ranks(None, model_of(20, 11, 3).system) == list(range(6))
        assert candidate_ranks(None, model_of(60, 5, 3).system) == [0, 1, 2]
        assert candidate_ranks((3, 1, np.int64(1)), model_of().system) == [1, 3]

    def test_formula(self):
        model = LowRankSUR.from_formula(
            "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
        )
        pairs = LowRankSUR.from_system(wide_grunfeld(), rank=0)
        one, other = select_rank(model, n_starts=1), select_rank(pairs, n_starts=1)
        pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-5)
        assert one.rank == 1

    def test_restrictions(self):
        X, Y = system(60, 6, 2, 1)
        free = LowRankSUR(Y, X, rank=1)
        bound = LowRankSUR(Y, X, rank=1, common=["x1"])
        table = select_rank(bound, candidates=[0, 1]).table
        fit = bound.fit()
        assert table.llf[1] == pytest.approx(fit.llf, abs=1e-5)
        assert table.parameters[1] == fit.df_model == free.df_model - 5
        assert table.bic[1] == pytest.approx(fit.bic, abs=1e-5)
        assert table.llf[1] < select_rank(free, candidates=[0, 1]).table.llf[1]
        scored = [select_rank(m, "cv", candidates=[0, 1], folds=3).table.cv for m in (free, bound)]
        assert np.isfinite(scored[1]).all()
        assert (np.abs(scored[1] - scored[0]) > 1e-3).all()

    def test_rows_that_were_not_kept(self):
        X, Y = system(200, 5, 3, 1)
        parts = [(Y[i : i + 50], [x[i : i + 50] for x in X]) for i in range(0, 200, 50)]
        stream = LowRankSUR.from_chunks(parts, rank=0)
        one, other = select_rank(stream), select_rank(LowRankSUR(Y, X, rank=0))
        pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-6)
        with pytest.raises(OptionError, match="method='cv' refits without some rows"):
            select_rank(stream, "cv")

    def test_permuted_equations(self):
        X, Y = system(60, 9, 3, 2)
        order = np.random.default_rng(0).permutation(9)
        one = select_rank(LowRankSUR(Y, X, rank=0), n_starts=1).table
        other = select_rank(LowRankSUR(Y[:, order], [X[j] for j in order], rank=0), n_starts=1)
        columns = ["bic", "bic_ols", "ic2", "er", "gr", "ed", "lr"]
        pd.testing.assert_frame_equal(
            one.loc[:3, columns], other.table.loc[:3, columns], rtol=1e-4, atol=0.1
        )

    def test_the_model_is_left_alone(self):
        model = model_of(40, 6, 2, 1)
        before, data = copy.copy(vars(model)), model.system.Y.copy()
        select_rank(model, "cv", folds=2)
        assert vars(model) == before
        np.testing.assert_array_equal(model.system.Y, data)

    def test_reproducible(self):
        model = model_of(40, 6, 2, 1)
        how = {"folds": 3, "candidates": [0, 1]}
        one, two = (select_rank(model, "cv", rng=3, **how).table for _ in range(2))
        pd.testing.assert_frame_equal(one, two, check_exact=True)
        default, again = (select_rank(model, "cv", **how).table for _ in range(2))
        pd.testing.assert_frame_equal(default, again, check_exact=True)
        assert abs(one.cv[1] - default.cv[1]) > 1e-6

    def test_ridges_move_the_likelihood_not_the_residual_criteria(self):
        model = model_of(60, 8, 3, 1)
        plain, ridge = select_rank(model, n_starts=1), select_rank(model, n_starts=1, lam_B=0.5)
        assert ridge.table.llf[1] < plain.table.llf[1] - 1e-3
        assert ridge.table.ic2[1] == plain.table.ic2[1]


class TestErrors:
    @pytest.mark.parametrize(
        ("kwds", "error", "match"),
        [
            (
                {"method": "mdl"},
                OptionError,
                "method must be one of 'auto', 'rule', 'bic_ols'.*'mdl'",
            ),
            ({"candidates": []}, OptionError, r"candidates must be a list of whole numbers"),
            (
                {"candidates": [0, 1.5]},
                OptionError,
                "each must be a whole number.*whole numbers from 0 to 14, got 1.5",
            ),
            ({"candidates": [-1]}, OptionError, "from 0 to 14"),
            ({"candidates": "12"}, OptionError, "candidates must be"),
            ({"candidates": 3}, OptionError, "candidates must be"),
            ({"candidates": [0, 15]}, IllegalRankError, "rank 15 .* largest legal rank .* is 14"),
            ({"n_starts": 0}, OptionError, "n_starts must be 'auto' or a whole number >= 1"),
            ({"rng": "a"}, OptionError, "rng must be a numpy Generator"),
            ({"alpha": 1.0}, OptionError, "alpha must be a number between 0 and 1"),
            ({"alpha": True}, OptionError, "alpha must be a number"),
            ({"method": "cv", "folds": 1}, OptionError, "folds must be a whole number >= 2"),
            ({"method": "cv", "folds": 101}, OptionError, "from 2 to 100, the number of rows"),
            ({"method": "cv", "blocks": [1, 2]}, ShapeError, "blocks has 2 rows, the system has"),
            ({"method": "cv", "blocks": "x"}, OptionError, "'x' names a column, but the model was"),
            ({"method": "cv", "blocks": np.ones((100, 2))}, OptionError, "blocks must be True"),
            ({"maxiter": 3}, UnknownArgumentError, r"select_rank\(\) has no argument 'maxiter'"),
            ({"gtol": -1.0}, OptionError, "gtol must be positive"),
            ({"method": "bic", "lam_F": 0.1}, OptionError, "method='bic' needs the maximum"),
        ],
    )
    def test_arguments(self, kwds, error, match):
        with pytest.raises(error, match=match):
            select_rank(model_of(), **kwds)

    def test_labels_of_blocks(self):
        with pytest.raises(OptionError, match="from 2 to 2, the number of blocks"):
            select_rank(model_of(), "cv", blocks=np.arange(100) // 50, folds=3)
        with pytest.raises(NonFiniteError, match="blocks is missing in row 0"):
            select_rank(model_of(), "cv", blocks=[None, *range(99)])

    def test_blocks_by_the_name_of_a_column(self):
        data = load_grunfeld()
        data["half"] = data["year"] // 5
        model = LowRankSUR.from_formula(
            "invest ~ value", data, rank=0, groups="firm", time="year", subset=data["firm"] < "D"
        )
        named, series, labels = (
            select_rank(model, "cv", [0], blocks=blocks, folds=3).table["cv"]
            for blocks in ("half", data["half"], np.arange(1935, 1955) // 5)
        )
        np.testing.assert_array_equal(named, labels)
        np.testing.assert_array_equal(series, labels)

    def test_model(self):
        model = model_of(30, 3, 2, 1)
        with pytest.raises(OptionError, match="pass results.model"):
            select_rank(model.fit())
        with pytest.raises(OptionError, match="LowRankMixedLM, got int"):
            select_rank(3)

    def test_criterion_that_is_not_defined(self):
        with pytest.raises(OptionError, match="method='ed' is not defined for 3 equations"):
            select_rank(model_of(30, 3, 2, 1), "ed")


class TestPresentation:
    def test_table(self, chosen):
        table = chosen.table
        assert list(table.columns) == COLUMNS
        assert list(table.index) == list(range(11))
        assert table.index.name == "rank"
        assert table.converged.dtype == bool
        assert table.starts[0] == 1
        assert table.parameters.dtype.kind == "i"
        assert chosen.criterion.equals(table["bic_ols"])

    def test_summary(self, chosen):
        text = str(chosen.summary())
        assert "Number of Factors: 20 Equations, 100 Observations" in text
        assert "Rank 2 is chosen by BIC of the factor structure of OLS residuals." in text
        assert "2 <" in text
        assert max(map(len, text.splitlines())) <= 112
        assert str(chosen) == text
        assert repr(chosen) == "<RankSelection: rank 2 by 'bic_ols', candidates 0..10>"
        assert "<table" in chosen._repr_html_()
        assert "2 &lt;" in chosen._repr_html_() or "2 <" in chosen._repr_html_()

    def test_summary_shows_the_column_of_the_method(self):
        assert "ic3" in str(select_rank(model_of(40, 8), "ic3", n_starts=1)).splitlines()[2]
        assert select_rank(model_of(40, 8), "rule", n_starts=1).criterion is None
        assert select_rank(model_of(40, 8), "auto", n_starts=1).criterion.name == "bic_ols"

    @pytest.mark.slow
    def test_plot(self, chosen):
        matplotlib = pytest.importorskip("matplotlib")
        matplotlib.use("Agg")
        plt = importlib.import_module("matplotlib.pyplot")
        scored = select_rank(model_of(40, 6, 2, 1), "cv", folds=2, n_starts=1)
        for selection in (chosen, scored):
            for name in selection.choices.index:
                ax = selection.plot(name)
                assert ax.get_xlabel() == "number of factors r"
                assert ax.get_ylabel()
                plt.close(ax.figure)
        _, given = plt.subplots()
        assert chosen.plot(ax=given) is given
        np.testing.assert_allclose(given.lines[0].get_ydata(), chosen.table.bic_ols)
        assert given.lines[1].get_xdata()[0] == 2
        plt.close(given.figure)
        with pytest.raises(OptionError, match="criterion must be one of 'bic_ols'"):
            chosen.plot("starts")


def test_path_gtol_is_a_share_of_a_penalty():
    assert 2 * 500 * path_gtol(500) ** 2 == pytest.approx(1.0)


def test_benchmark_runs(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    script = importlib.import_module("rank_recovery")
    cells = script.recovery("t", [(40, 10, 3)], (0, 1), 2, 1)
    assert [(kind, rank) for kind, rank, _ in cells] == [("none", 0), ("strong", 1), ("weak", 1)]
    assert cells[1][2]["bic_ols"].tolist() == [1, 1]
    assert "| 40, 10, 3, 1 strong | 1.00 |" in capsys.readouterr().out


def test_benchmark_counts_warnings(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    script = importlib.import_module("rank_recovery")
    shares = script.warned(40, 50, 3, 1, "strong", 4, 1)
    assert shares[0] == 0.0
    assert shares[2] >= 0.5
    # Rank 0 has no last factor; three equations have no rank 2.
    assert np.isnan(script.warned(40, 10, 3, 0, "none", 1, 1)[0])
    assert np.isnan(script.warned(40, 3, 3, 1, "strong", 1, 1)[1:]).all()
