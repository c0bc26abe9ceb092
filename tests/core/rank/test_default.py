"""What rank="auto" looks at: BIC of OLS residuals, under a cap that the rows set."""

import numpy as np
import pytest
import scipy.optimize

from sm_alsgls import LowRankSUR, select_rank
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rank import path
from sm_alsgls.core.rank.default import default_criterion, supported_rank
from sm_alsgls.core.sigma.factor import fit_factor, sigma_parameters
from sm_alsgls.exceptions import RankDeficientError, RankWarning
from tests.core import dense_observed as dense
from tests.systems import simulate


@pytest.mark.parametrize(("K", "seed", "times"), [(20, 1, 1), (9, 4, 2)])
def test_it_is_bic_ols_and_stops_when_that_is_past_its_lowest(K, seed, times):
    """By the first rise of more than .4 of what a factor is charged, or the second before."""
    X, Y, _ = simulate(80, K, 3, 3, seed=seed)
    model = LowRankSUR(Y, X, rank=0)
    whole = select_rank(model, "bic_ols", n_starts=1).table["bic_ols"]
    problem = Problem(X, Y, ALSOptions())
    found = default_criterion(problem, range(len(whole)), 3 * K)
    least = min(found, key=found.get)
    assert list(found) == list(range(least + times + 1))
    assert len(found) < len(whole)
    np.testing.assert_allclose(list(found.values()), whole.loc[: least + times], rtol=1e-6)
    assert least == whole.idxmin()
    rises = np.diff(list(found.values()))[least:] / (
        np.log(77.0) * (K - np.arange(least, max(found)))
    )
    assert (rises > 0.4).tolist() == [False] * (times - 1) + [True]


def test_a_candidate_far_above_the_lowest_has_no_second_start(monkeypatch):
    X, Y, _ = simulate(60, 20, 3, 2, seed=3)
    problem = Problem(X, Y, ALSOptions())
    fitted = []

    def counted(E, rank, **kwds):
        fitted.append(rank)
        return fit_factor(E, rank, **kwds)

    monkeypatch.setattr(path, "fit_factor", counted)
    found = default_criterion(problem, range(6), 60)
    assert list(found) == [0, 1, 2, 3]
    assert min(found, key=found.get) == 2
    assert fitted == [0, 1, 2, 2, 3]
    assert found[3] - found[2] > 0.5 * np.log(57.0) * (20 - 3)


@pytest.mark.parametrize("rank", [0, 1])
def test_missing_cells_by_brute_force(rank):
    X, Y, _ = simulate(40, 4, 2, 1, seed=2)
    X = [x[:, : 1 + j % 2] for j, x in enumerate(X)]
    mask = dense.holes(np.random.default_rng(0), 40, 4, 0.7, least=12)
    N, p, counts = 40, np.array([x.shape[1] for x in X]), mask.sum(axis=0)
    problem = Problem(X, Y, ALSOptions(gtol=1e-9), mask=mask)
    found = default_criterion(problem, [rank], int(p.sum()))[rank]
    E = np.zeros((N, 4))
    for j, (x, m) in enumerate(zip(X, mask.T, strict=True)):
        E[m, j] = Y[m, j] - x[m] @ np.linalg.lstsq(x[m], Y[m, j], rcond=None)[0]

    def nll(theta):
        F, d = theta[: 4 * rank].reshape(4, rank), np.exp(theta[4 * rank :])
        return dense.nll(E, mask, F @ F.T + np.diag(d))

    start = np.concatenate([np.full(4 * rank, 0.7), np.zeros(4)])
    least = scipy.optimize.minimize(nll, start, method="BFGS").fun
    n = np.mean(counts - p)
    expected = 2 * n / np.mean(counts) * N * least + np.log(n) * sigma_parameters(4, rank)
    assert found == pytest.approx(expected, abs=0.02)


def test_no_holes_are_no_holes():
    X, Y, _ = simulate(60, 8, 3, 2, seed=3)
    complete = default_criterion(Problem(X, Y, ALSOptions(gtol=1e-7)), range(4), 24)
    mask = np.ones(Y.shape, dtype=bool)
    observed = default_criterion(Problem(X, Y, ALSOptions(gtol=1e-7), mask=mask), range(4), 24)
    np.testing.assert_allclose(list(observed.values()), list(complete.values()), atol=0.05)


def test_the_cap_grows_with_rows_and_with_equations():
    caps = np.array([[supported_rank(n, K) for K in (3, 10, 50, 500)] for n in (5, 20, 60, 300)])
    assert caps.min() == 1
    assert (np.diff(caps, axis=0) >= 0).all()
    assert (np.diff(caps, axis=1) >= 0).all()
    assert supported_rank(300, 500) < 300 / 4


class TestModel:
    def test_scarce_rows_cap_the_choice_and_the_notes_say_so(self):
        X, Y, _ = simulate(15, 30, 3, 5, seed=4, strength=2.0)
        model = LowRankSUR(Y, X)
        cap = supported_rank(12, 30)
        assert model.rank == cap < select_rank(model, n_starts=1).rank
        assert model.rank_method == "auto"
        assert any("12 rows" in note for note in model.rank_selection.notes)
        assert model.rank_selection.table.index[-1] == cap
        text = " ".join(str(model.rank_selection.summary()).split())
        assert "among the ranks that N supports" in text

    def test_uncorrelated_errors_have_rank_zero_and_no_note(self):
        X, Y, _ = simulate(60, 12, 3, 0, seed=5)
        model = LowRankSUR(Y, X)
        assert model.rank == 0
        assert model.rank_selection.notes == []

    def test_every_kind_of_system(self):
        X, Y, _ = simulate(120, 10, 3, 2, seed=6)
        rng = np.random.default_rng(0)
        endog = np.where(rng.random(Y.shape) < 0.9, Y, np.nan)
        weights = rng.uniform(0.5, 2.0, 120)
        halves = [(Y[:50], [x[:50] for x in X]), (Y[50:], [x[50:] for x in X])]
        models = [
            LowRankSUR(Y, X),
            LowRankSUR(endog, X, missing="fiml"),
            LowRankSUR(Y, X, weights=weights),
            LowRankSUR(Y, X, weights=np.tile(weights[:, None], 10)),
            LowRankSUR(Y, X, common=["x1"]),
            LowRankSUR.from_chunks(halves),
            LowRankSUR(Y, X[0]),
        ]
        assert [(m.rank, m.rank_method) for m in models] == [(2, "auto")] * 7
        stream = models[5].rank_selection.table["bic_ols"]
        np.testing.assert_allclose(stream, models[0].rank_selection.table["bic_ols"], rtol=1e-8)
        assert all(m.fit(n_starts=1).rank == 2 for m in models[:2])

    @pytest.mark.parametrize("K", [1, 2])
    def test_too_few_equations(self, K):
        X, Y, _ = simulate(30, K, 2, 0)
        if K == 1:
            assert LowRankSUR(Y, X).rank == 0
            return
        with pytest.warns(RankWarning, match="rank='auto' is 0"):
            assert LowRankSUR(Y, X).rank == 0

    def test_as_few_rows_as_there_can_be(self):
        X, Y, _ = simulate(4, 6, 3, 0)
        with pytest.warns(RankWarning, match="no degree of freedom"):
            assert LowRankSUR(Y, X).rank == 0
        X, Y, _ = simulate(5, 6, 3, 0)
        assert LowRankSUR(Y, X).rank in (0, 1)

    def test_what_is_wrong_with_the_data_is_said_at_once(self):
        X, Y, _ = simulate(30, 4, 3, 1)
        X[2] = np.column_stack([X[2], X[2][:, 1]])
        with pytest.raises(RankDeficientError, match="'y3'"):
            LowRankSUR(Y, X)

    def test_the_rule_of_old(self):
        X, Y, _ = simulate(40, 35, 3, 1, seed=7)
        model = LowRankSUR(Y, X, rank="rule")
        assert model.rank == 4
        assert select_rank(model, "rule", candidates=range(6), n_starts=1).rank == 4

    def test_units_and_order_do_not_matter(self):
        X, Y, _ = simulate(40, 12, 3, 2, seed=8)
        order = np.random.default_rng(1).permutation(12)
        moved = LowRankSUR(Y[:, order] * 10.0 ** np.arange(-6, 6), [X[j] for j in order])
        assert moved.rank == LowRankSUR(Y, X).rank


def test_recovery_slice():
    """A slice of docs/measured/ranks.md: 8 draws a cell, Gaussian."""
    right = []
    for N, K, r in ((100, 20, 0), (100, 20, 2), (100, 50, 3), (40, 50, 1)):
        for seed in range(8):
            X, Y, _ = simulate(N, K, 3, r, seed=[seed, N, K, r])
            right.append(LowRankSUR(Y, X).rank == r)
    assert np.mean(right) >= 0.9
