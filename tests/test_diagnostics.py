"""Tests of the error covariance: dense formulas, linearmodels, limits, and size."""

import numpy as np
import pytest
from linearmodels.system import SUR
from scipy import optimize, stats

from sm_alsgls import LowRankSUR
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.residuals.correlation import standardised_squares, unit_columns
from sm_alsgls.diagnostics import diagonality_test, rank_test, sufficiency_test
from sm_alsgls.exceptions import IllegalRankError, InsufficientRowsError, OptionError
from tests.systems import simulate, wide_grunfeld

# Where errors are independent, a factor often fits one equation alone.
# Some systems here have no factor on purpose, or fewer than are fitted.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning"),
]


def peer(method="ols"):
    return SUR(
        {
            firm: {"dependent": y, "exog": x[["const", "value", "capital"]]}
            for firm, (y, x) in wide_grunfeld().items()
        }
    ).fit(method=method)


@pytest.fixture(scope="module")
def res():
    return LowRankSUR.from_system(wide_grunfeld(), rank=2).fit()


def ols_residuals(X, Y):
    return np.column_stack(
        [y - x @ np.linalg.lstsq(x, y, rcond=None)[0] for x, y in zip(X, Y.T, strict=True)]
    )


def noise(N, K, p, rng, X=None):
    X = X or [np.column_stack([np.ones(N), rng.standard_normal((N, p - 1))]) for _ in range(K)]
    return X, rng.standard_normal((N, K))


class TestDiagonality:
    def test_linearmodels_lm(self, res):
        ours, theirs = diagonality_test(res), peer().breusch_pagan()
        assert ours.statistic == pytest.approx(theirs.stat, rel=1e-9)
        assert ours.pvalue == pytest.approx(theirs.pval, rel=1e-7)
        assert ours.df == theirs.df == 55
        # Whatever the rank: OLS residuals only.
        zero = LowRankSUR.from_system(wide_grunfeld(), rank=0).fit()
        assert diagonality_test(zero).statistic == pytest.approx(ours.statistic, rel=1e-12)

    def test_linearmodels_lr_where_sigma_is_saturated(self):
        """Three equations with the same regressors: rank 1 is the unrestricted Sigma."""
        _, Y, _ = simulate(60, 3, 2, 1, seed=7)
        x = np.column_stack([np.ones(60), np.arange(60.0)])
        fit = LowRankSUR(Y, x, rank=1).fit(gtol=1e-9)
        assert not fit.heywood
        theirs = SUR({f"y{j}": {"dependent": Y[:, j], "exog": x} for j in range(3)}).fit()
        ours = diagonality_test(fit, "lr")
        assert ours.statistic == pytest.approx(theirs.likelihood_ratio().stat, rel=1e-8)
        assert ours.df == theirs.likelihood_ratio().df == 3

    def test_lr_is_that_of_two_fits(self, res):
        zero = LowRankSUR.from_system(wide_grunfeld(), rank=0).fit()
        test = diagonality_test(res, "lr")
        assert test.statistic == pytest.approx(2 * (res.llf - zero.llf), rel=1e-10)
        assert test.df == res.df_model - zero.df_model

    @pytest.mark.parametrize(("N", "K"), [(40, 6), (12, 25), (200, 5)])
    def test_dense_formulas(self, N, K):
        X, Y, _ = simulate(N, K, 3, 1, seed=N)
        X[0] = X[0][:, :2]
        fit = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
        E = ols_residuals(X, Y)
        R = E / np.sqrt((E**2).sum(0))
        r = (R.T @ R)[np.tril_indices(K, -1)]
        lm, cd = diagonality_test(fit), diagonality_test(fit, "cd")
        assert lm.statistic == pytest.approx(N * (r**2).sum(), rel=1e-9)
        assert lm.pvalue == pytest.approx(stats.chi2.sf(N * (r**2).sum(), len(r)), abs=1e-12)
        assert cd.statistic == pytest.approx(np.sqrt(N / len(r)) * r.sum(), rel=1e-8)
        assert cd.pvalue == pytest.approx(2 * stats.norm.sf(abs(cd.statistic)), abs=1e-14)
        total = 0.0
        M = [np.eye(N) - x @ np.linalg.pinv(x) for x in X]
        for j, el in zip(*np.tril_indices(K, -1), strict=True):
            MM = M[j] @ M[el]
            a, b = np.trace(MM), np.trace(MM @ MM)
            m, k = N - X[j].shape[1], N - X[el].shape[1]
            mu = a / (m * k)
            v = np.sqrt(3 * (a * a + 2 * b) / (m * (m + 2) * k * (k + 2)) - mu * mu)
            total += ((R[:, j] @ R[:, el]) ** 2 - mu) / v
        adjusted = diagonality_test(fit, "lm_adj")
        assert adjusted.statistic == pytest.approx(total / np.sqrt(len(r)), rel=1e-8)

    def test_published_moments_for_equal_p(self):
        """Pesaran, Ullah and Yamagata (2008), equations 10-11, for (N - k) r^2."""
        N, k = 20, 3
        rng = np.random.default_rng(2)
        X, Y = noise(N, 2, k, rng)
        M = [np.eye(N) - x @ np.linalg.pinv(x) for x in X]
        a = np.trace(M[0] @ M[1])
        b = np.trace(M[0] @ M[1] @ M[0] @ M[1])
        m = N - k
        a2 = 3 * (((m - 8) * (m + 2) + 24) / ((m + 2) * (m - 2) * (m - 4))) ** 2
        v = np.sqrt(a * a * (a2 - 1 / m**2) + 2 * b * a2)
        Z = unit_columns(ols_residuals(X, Y))
        expected = (m * (Z[:, 0] @ Z[:, 1]) ** 2 - a / m) / v
        assert standardised_squares(Z, Design(X), N) == pytest.approx(expected, rel=1e-10)

    def test_equal_designs_take_the_short_way(self):
        rng = np.random.default_rng(4)
        x = np.column_stack([np.ones(30), rng.standard_normal(30)])
        Y = rng.standard_normal((30, 4))
        Z = unit_columns(ols_residuals([x] * 4, Y))
        # The same column spaces, not recognised as such.
        other = Design([x @ np.array([[1.0, 0.1 * j], [0.0, 1.0]]) for j in range(4)])
        assert Design([x] * 4).shared
        assert not other.shared
        assert standardised_squares(Z, Design([x] * 4), 30) == pytest.approx(
            standardised_squares(Z, other, 30), rel=1e-9
        )

    def test_two_equations(self):
        X, Y, _ = simulate(40, 2, 2, 0, seed=2)
        fit = LowRankSUR(Y, X, rank=0).fit()
        lm, cd = diagonality_test(fit), diagonality_test(fit, "cd")
        assert lm.statistic == pytest.approx(cd.statistic**2, rel=1e-10)
        assert lm.pvalue == pytest.approx(cd.pvalue, rel=1e-8)

    def test_units_and_order_do_not_matter(self, res):
        systems = {
            name: (10.0 ** (8 - j) * y, x)
            for j, (name, (y, x)) in enumerate(reversed(wide_grunfeld().items()))
        }
        other = LowRankSUR.from_system(systems, rank=2).fit(n_starts=1)
        for method in ("lm", "lm_adj", "lm_robust", "cd"):
            assert diagonality_test(other, method).statistic == pytest.approx(
                diagonality_test(res, method).statistic, rel=1e-8
            )

    def test_errors_say_why(self, res):
        with pytest.raises(OptionError, match="'lm', 'lm_adj', 'lm_robust', 'cd', 'lr'; got 'bp'"):
            diagonality_test(res, "bp")
        X, Y, _ = simulate(30, 3, 2, 0)
        with pytest.raises(OptionError, match="rank 0, which is the null"):
            diagonality_test(LowRankSUR(Y, X, rank=0).fit(), "lr")
        with pytest.raises(OptionError, match="one equation"):
            diagonality_test(LowRankSUR(Y[:, 0], X[0]).fit())
        with pytest.raises(OptionError, match="ridge"):
            diagonality_test(LowRankSUR(Y, X, rank=1).fit(lam_F=0.1), "lr")
        with pytest.raises(OptionError, match="reps must be"):
            diagonality_test(res, reps=0)
        with pytest.raises(OptionError, match="expected the results"):
            diagonality_test("res")

    def test_readable(self, res):
        test = diagonality_test(res)
        assert repr(test).startswith("<Breusch-Pagan LM test: statistic 103.2, chi2(55), p-value")
        assert "Sigma is diagonal" in str(test)
        assert "not identified under the null" in str(diagonality_test(res, "lr"))
        assert "lm_adj" in diagonality_test(res).note


class TestMonteCarlo:
    def test_reproducible_and_on_its_grid(self, res):
        one = diagonality_test(res, "cd", reps=19, rng=3)
        assert one.pvalue == diagonality_test(res, "cd", reps=19, rng=3).pvalue
        assert round(20 * one.pvalue, 9) in range(1, 21)
        assert one.distribution == "Monte Carlo, 19 draws"

    def test_agrees_with_normal_theory_where_that_is_right(self):
        rng = np.random.default_rng(5)
        X, Y = noise(40, 6, 2, rng)
        fit = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
        cd = diagonality_test(fit, "cd")
        # 999 draws: a standard error of at most .016.
        assert diagonality_test(fit, "cd", reps=999).pvalue == pytest.approx(cd.pvalue, abs=0.06)

    def test_compressed_rows_draw_what_full_rows_draw(self):
        """N=200 rows compress to 15; draws are of 200."""
        X, Y, _ = simulate(200, 5, 3, 0, seed=9)
        fit = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
        assert fit.estimate.sample.problem.design.n < 200
        lm = diagonality_test(fit, "lm")
        assert diagonality_test(fit, "lm", reps=999).pvalue == pytest.approx(lm.pvalue, abs=0.06)

    def test_robust_holds_where_rows_share_a_scale(self):
        """Compressed rows have no scales of their own: N far above q + K is the trap."""
        rejected = {"lm": 0, "lm_robust": 0}
        for i in range(40):
            rng = np.random.default_rng(i)
            X = np.column_stack([np.ones(60), rng.standard_normal((60, 2))])
            Y = rng.standard_normal((60, 8)) / np.sqrt(rng.chisquare(3, (60, 1)) / 3)
            fit = LowRankSUR(Y, X, rank=0).fit()
            rejected["lm"] += diagonality_test(fit).pvalue <= 0.05
            test = diagonality_test(fit, "lm_robust", reps=39)
            rejected["lm_robust"] += test.pvalue <= 0.05
        assert test.distribution == "wild bootstrap, 39 draws"
        assert rejected["lm"] > 20
        assert rejected["lm_robust"] <= 6

    def test_robust_has_power(self, res):
        assert diagonality_test(res, "lm_robust").pvalue <= 0.01
        assert diagonality_test(res, "lm", errors="wild", reps=99).distribution.startswith("wild")
        with pytest.raises(OptionError, match="errors must be 'wild' or 'gaussian'"):
            diagonality_test(res, errors="normal")

    @pytest.mark.slow
    def test_lr_is_calibrated_by_it(self):
        """40 null systems, 9 draws each, at 20 %: within 3 se (.063) of .20."""
        rng = np.random.default_rng(6)
        X, _ = noise(30, 5, 2, rng)
        rejected = 0
        for i in range(40):
            _, Y = noise(30, 5, 2, rng, X)
            fit = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
            rejected += diagonality_test(fit, "lr", reps=9, rng=i).pvalue <= 0.2
        assert abs(rejected / 40 - 0.2) < 0.19


def test_size_of_diagonality():
    """400 null systems, N=25, p=5: the se of a rejection rate at 5 % is .011.

    K=6 with regressors of their own, and K=30 > N with the same: the adjusted LM and CD keep
    their size, the plain LM does not at K=30, where E N r^2 = N / (N - p).
    """
    rng = np.random.default_rng(8)
    for K in (6, 30):
        X, _ = noise(25, K, 5, rng)
        X = X if K == 6 else X[:1] * K
        Q = [np.linalg.qr(x)[0] for x in X]
        design = Design(X)
        rejected = np.zeros(3)
        pairs = K * (K - 1) / 2
        for _ in range(400):
            Y = rng.standard_normal((25, K))
            E = np.column_stack([y - q @ (q.T @ y) for q, y in zip(Q, Y.T, strict=True)])
            Z = unit_columns(E)
            r = (Z.T @ Z)[np.tril_indices(K, -1)]
            rejected += [
                stats.norm.sf(standardised_squares(Z, design, 25) / np.sqrt(pairs)) < 0.05,
                2 * stats.norm.sf(abs(np.sqrt(25 / pairs) * r.sum())) < 0.05,
                stats.chi2.sf(25 * (r**2).sum(), pairs) < 0.05,
            ]
        adjusted, cd, lm = rejected / 400
        # The adjusted sum is a little skew at 15 pairs: up to 6.5 %.
        assert 0.017 < adjusted < 0.098
        # CD's variance is N / (N - p) with equal regressors: its size is .08 then.
        assert 0.017 < cd < 0.11
        if K == 30:
            assert lm > 0.5


class TestRank:
    def test_is_that_of_two_fits(self, res):
        larger = LowRankSUR.from_system(wide_grunfeld(), rank=3).fit()
        test = rank_test(res)
        assert test.statistic == pytest.approx(2 * (larger.llf - res.llf), rel=1e-6)
        assert test.df == larger.df_model - res.df_model == 9
        assert test.pvalue == pytest.approx(stats.chi2.sf(test.statistic, 9), rel=1e-12)

    def test_from_rank_zero(self):
        X, Y, _ = simulate(50, 5, 2, 1, seed=1)
        zero, one = (LowRankSUR(Y, X, rank=r).fit() for r in (0, 1))
        assert rank_test(zero).statistic == pytest.approx(
            diagonality_test(one, "lr").statistic, rel=1e-7
        )

    def test_finds_factors_and_no_more(self):
        X, Y, _ = simulate(200, 10, 2, 2, seed=3)
        assert rank_test(LowRankSUR(Y, X, rank=1).fit(n_starts=1)).pvalue < 1e-10
        true = LowRankSUR(Y, X, rank=2).fit(n_starts=1)
        test = rank_test(true, n_starts=1, reps=19, rng=1)
        assert test.pvalue > 0.05
        assert test.distribution == "parametric bootstrap, 19 draws"

    def test_errors(self, res):
        X, Y, _ = simulate(30, 4, 2, 0)
        with pytest.raises(IllegalRankError, match="largest legal rank is 1"):
            rank_test(LowRankSUR(Y, X, rank=1).fit())
        with pytest.raises(OptionError, match="n_starts"):
            rank_test(res, n_starts=0)


class TestSufficiency:
    def test_equal_designs_are_factor_analysis(self):
        """Lawley and Maxwell's statistic on the OLS residuals' covariance."""
        _, Y, _ = simulate(80, 7, 2, 2, seed=5)
        x = np.column_stack([np.ones(80), np.linspace(0, 1, 80)])
        fit = LowRankSUR(Y, x, rank=2).fit()
        E = ols_residuals([x] * 7, Y)
        S, sigma = E.T @ E / 80, fit.sigma.to_dense()
        gap = (
            np.linalg.slogdet(sigma)[1]
            - np.linalg.slogdet(S)[1]
            + np.trace(np.linalg.solve(sigma, S))
            - 7
        )
        for method in ("lr", "residuals"):
            test = sufficiency_test(fit, method)
            assert test.statistic == pytest.approx((80 - 2 - 19 / 6 - 4 / 3) * gap, rel=1e-8)
            assert test.df == 8
            assert sufficiency_test(fit, method, correction=False).statistic == pytest.approx(
                80 * gap, rel=1e-8
            )

    def test_unrestricted_likelihood_is_a_maximum(self):
        X, Y, _ = simulate(40, 4, 2, 1, seed=6)
        fit = LowRankSUR(Y, X, rank=1).fit()

        def nll(beta):
            E = Y - np.column_stack([x @ b for x, b in zip(X, np.split(beta, 4), strict=True)])
            return 20 * np.linalg.slogdet(E.T @ E / 40)[1]

        best = optimize.minimize(nll, fit.params, method="BFGS", options={"gtol": 1e-6})
        free = -best.fun - 80 * (np.log(2 * np.pi) + 1)
        test = sufficiency_test(fit, correction=False)
        assert test.statistic == pytest.approx(2 * (free - fit.llf), abs=1e-6)
        assert test.df == 2
        assert sufficiency_test(fit, "residuals", correction=False).statistic <= test.statistic

    def test_iterated_sur_of_linearmodels(self):
        """Five firms of Grunfeld, as in Greene's tables: iterated SUR."""
        firms = dict(list(wide_grunfeld().items())[:5])
        fit = LowRankSUR.from_system(firms, rank=1).fit()
        systems = {f: {"dependent": y, "exog": x} for f, (y, x) in firms.items()}
        theirs = SUR(systems).fit(method="gls", iterate=True, iter_limit=5000, tol=1e-12)
        E = theirs.resids.to_numpy()
        logdet = np.linalg.slogdet(E.T @ E / 20)[1]
        llf = -10 * (5 * (np.log(2 * np.pi) + 1) + logdet)
        test = sufficiency_test(fit, correction=False)
        assert test.statistic == pytest.approx(2 * (llf - fit.llf), rel=1e-5)

    def test_power_against_one_factor_too_few(self):
        X, Y, _ = simulate(150, 8, 2, 2, seed=7)
        assert sufficiency_test(LowRankSUR(Y, X, rank=1).fit()).pvalue < 1e-6
        assert sufficiency_test(LowRankSUR(Y, X, rank=2).fit()).pvalue > 0.01

    def test_where_it_does_not_exist(self, res):
        with pytest.raises(InsufficientRowsError, match="11 equations and 20 different regressors"):
            sufficiency_test(res)
        assert sufficiency_test(res, "residuals").df == 34
        X, Y, _ = simulate(20, 30, 2, 1)
        with pytest.raises(InsufficientRowsError, match="singular"):
            sufficiency_test(LowRankSUR(Y, X, rank=1).fit(n_starts=1), "residuals")
        X, Y, _ = simulate(30, 3, 2, 1)
        with pytest.raises(OptionError, match="no degrees of freedom"):
            sufficiency_test(LowRankSUR(Y, X, rank=1).fit(n_starts=1))
        with pytest.raises(OptionError, match="'lr' or 'residuals'"):
            sufficiency_test(res, "bartlett")

    @pytest.mark.slow
    def test_size(self):
        """300 systems, N=100, K=6, r=1 true: a 5 % test rejects within 3 se (.0126) of 5 %."""
        rng = np.random.default_rng(12)
        X, _, S = simulate(100, 6, 2, 1, seed=2)
        root = np.linalg.cholesky(S)
        rejected = 0
        for _ in range(300):
            Y = rng.standard_normal((100, 6)) @ root.T
            fit = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
            rejected += sufficiency_test(fit).pvalue < 0.05
        assert abs(rejected / 300 - 0.05) < 0.038
