"""Mixed models whose estimates are known without an iteration: the analysis of variance of balanced
groups, and models that others of the package have in their own way."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sm_alsgls import LowRankMixedLM, LowRankPanel, LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import HeywoodWarning


class OneWay:
    """m groups of T rows: a regressor of groups and one within them, and sums of squares."""

    def __init__(self, between, seed=1, m=9, T=6):
        rng = np.random.default_rng(seed)
        g = np.repeat(np.arange(m), T)
        w, x = rng.standard_normal(m), rng.standard_normal((m, T))
        x = x - x.mean(axis=1, keepdims=True)
        e = rng.standard_normal((m, T))
        y = 2.0 + 0.5 * w[:, None] + 0.3 * x + between * rng.standard_normal((m, 1)) + e
        self.m, self.T, self.n = m, T, m * T
        self.X = pd.DataFrame({"const": 1.0, "w": w[g], "x": x.ravel()})
        self.y, self.g = pd.Series(y.ravel(), name="y"), g
        means = y.mean(axis=1)
        W = np.column_stack([np.ones(m), w])
        self.between = np.linalg.lstsq(W, means, rcond=None)[0]
        self.msa = T * np.square(means - W @ self.between).sum() / (m - 2)
        inner = y - means[:, None]
        self.within = float((inner * x).sum() / np.square(x).sum())
        self.df_within = self.n - m - 1
        self.mse = np.square(inner - self.within * x).sum() / self.df_within
        self.sww, self.sxx = np.square(w - w.mean()).sum(), np.square(x).sum()

    def model(self, order=None):
        at = np.arange(self.n) if order is None else order
        return LowRankMixedLM(self.y.iloc[at], self.X.iloc[at], self.g[at], rank="full")


@pytest.fixture(scope="module")
def data():
    found = OneWay(between=1.0)
    assert found.msa > found.mse
    return found


@pytest.fixture(scope="module")
def model(data):
    return data.model(np.random.default_rng(0).permutation(data.n))


class TestOneWay:
    """Searle, Casella and McCulloch (1992), Variance Components, chapter 4."""

    def test_variances_are_those_of_mean_squares(self, data, model):
        res = model.fit()
        assert res.scale == pytest.approx(data.mse, rel=1e-9)
        share = (data.msa - data.mse) / data.T
        assert res.cov_re.iloc[0, 0] == pytest.approx(share, rel=1e-7)
        assert res.params.to_numpy() == pytest.approx([*data.between, data.within], rel=1e-8)

    @pytest.mark.parametrize("cov_type", ["satterthwaite", "kenward-roger"])
    def test_t_is_exact_on_the_degrees_of_freedom_of_its_stratum(self, data, model, cov_type):
        res = model.fit(cov_type=cov_type)
        se = [np.sqrt(data.msa / (data.T * data.sww)), np.sqrt(data.mse / data.sxx)]
        assert res.bse[["w", "x"]].to_numpy() == pytest.approx(se, rel=1e-6)
        t = np.array([data.between[1], data.within]) / se
        df = np.array([data.m - 2, data.df_within])
        found = res.t_test(np.eye(3)[1:])
        assert np.asarray(found.tvalue).ravel() == pytest.approx(t, rel=1e-6)
        assert np.asarray(found.df_denom).ravel() == pytest.approx(df, rel=1e-5)
        assert res.pvalues[["w", "x"]].to_numpy() == pytest.approx(
            2.0 * stats.t.sf(np.abs(t), df), rel=1e-5
        )
        half = stats.t.isf(0.025, df) * se
        b = np.array([data.between[1], data.within])
        limits = np.column_stack([b - half, b + half])
        assert res.conf_int().loc[["w", "x"]].to_numpy() == pytest.approx(limits, rel=1e-5)

    def test_effects_are_shrunken_means(self, data, model):
        effects = pd.Series({g: b.iloc[0] for g, b in model.fit().random_effects.items()})
        means = (
            data.y.groupby(data.g).mean()
            - data.X.groupby(data.g).mean()[["const", "w"]].to_numpy() @ data.between
        )
        assert effects.to_numpy() == pytest.approx(
            (1.0 - data.mse / data.msa) * means.to_numpy(), rel=1e-6
        )

    def test_maximum_likelihood_divides_by_groups(self, data, model):
        # m - 2 of the mean squares between groups become m, one coefficient within is not counted.
        res = model.fit(reml=False)
        within = data.mse * data.df_within / (data.n - data.m)
        assert res.scale == pytest.approx(within, rel=1e-8)
        total = data.msa * (data.m - 2) / data.m
        assert res.cov_re.iloc[0, 0] == pytest.approx((total - within) / data.T, rel=1e-6)

    @pytest.mark.parametrize("reml", [True, False])
    def test_less_between_than_within_is_least_squares(self, reml):
        data = OneWay(between=0.0, seed=3)
        assert data.msa < data.mse
        with pytest.warns(HeywoodWarning, match="variance of 'Group' is zero"):
            res = data.model().fit(reml=reml)
        X, y = data.X.to_numpy(), data.y.to_numpy()
        b, rss = np.linalg.lstsq(X, y, rcond=None)[:2]
        s2 = rss[0] / (data.n - 3 if reml else data.n)
        assert res.cov_re.iloc[0, 0] == pytest.approx(0.0, abs=1e-10)
        assert res.params.to_numpy() == pytest.approx(b, rel=1e-8)
        assert res.scale == pytest.approx(s2, rel=1e-8)
        plain = np.linalg.inv(X.T @ X) * s2
        made = res.get_robustcov_results("nonrobust")
        assert made.cov_params().to_numpy() == pytest.approx(plain, rel=1e-6)
        assert np.abs(list(res.random_effects.values())).max() < 1e-10
        free = data.n - 3 if reml else data.n
        llf = -0.5 * (free * (np.log(2.0 * np.pi * s2) + 1.0))
        llf -= 0.5 * np.linalg.slogdet(X.T @ X)[1] if reml else 0.0
        assert res.llf == pytest.approx(llf, rel=1e-10)


SIZES = 14, 7, 3


@pytest.fixture(scope="module")
def slopes():
    m, T, q = SIZES
    rng = np.random.default_rng(5)
    Z = np.column_stack([np.ones(T), rng.standard_normal((T, q - 1))])
    b = np.array([3.0, -1.0, 0.5])
    effects = rng.multivariate_normal(np.zeros(3), [[2, 0.5, 0], [0.5, 1.5, 0.3], [0, 0.3, 1]],
                                      m)  # fmt: skip
    Y = (b + effects) @ Z.T + 0.6 * rng.standard_normal((m, T))
    own = np.linalg.lstsq(Z, Y.T, rcond=None)[0].T
    s2 = np.square(Y - own @ Z.T).sum() / (m * (T - q))
    noise = s2 * np.linalg.inv(Z.T @ Z)
    G = np.cov(own.T) - noise
    assert np.linalg.eigvalsh(G)[0] > 0.05
    X = np.tile(Z, (m, 1))
    res = LowRankMixedLM(Y.ravel(), X, np.repeat(np.arange(m), T), X, "full").fit()
    return own, s2, noise, G, res


class TestRandomSlopes:
    """All groups have one Z = X of T rows: their least-squares slopes are a normal sample."""

    def test_covariance_is_that_of_the_slopes_less_their_noise(self, slopes):
        own, s2, _, G, res = slopes
        assert res.scale == pytest.approx(s2, rel=1e-8)
        np.testing.assert_allclose(res.cov_re.to_numpy(), G, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(res.params, own.mean(axis=0), rtol=1e-8)

    @pytest.mark.parametrize("cov_type", ["satterthwaite", "kenward-roger"])
    def test_tests_of_the_mean_slope_are_those_of_a_sample(self, slopes, cov_type):
        own, *_, res = slopes
        m = SIZES[0]
        res = res.get_robustcov_results(cov_type)
        se = own.std(axis=0, ddof=1) / np.sqrt(m)
        np.testing.assert_allclose(res.bse, se, rtol=1e-6)
        t = own.mean(axis=0) / se
        np.testing.assert_allclose(res.pvalues, 2.0 * stats.t.sf(abs(t), m - 1), rtol=1e-4)

    def test_all_mean_slopes_together_are_hotellings(self, slopes):
        own, *_, res = slopes
        m, _, q = SIZES
        res = res.get_robustcov_results("kenward-roger")
        mean, S = own.mean(axis=0), np.cov(own.T)
        T2 = m * mean @ np.linalg.solve(S, mean)
        left = m - q
        found = res.wald_test(np.eye(3), scalar=True)
        assert found.df_denom == pytest.approx(left, rel=1e-4)
        F = left / (q * (m - 1)) * T2
        assert found.statistic == pytest.approx(F, rel=1e-4)

    def test_effects_are_shrunken_slopes(self, slopes):
        own, _, noise, G, res = slopes
        away = own - own.mean(axis=0)
        expected = away @ np.linalg.solve(G + noise, G)
        np.testing.assert_allclose(
            np.array(list(res.random_effects.values())), expected, rtol=1e-5, atol=1e-7
        )
        left = G - G @ np.linalg.solve(G + noise, G)
        np.testing.assert_allclose(res.random_effects_cov[3], left, rtol=1e-5, atol=1e-7)


class TestSystems:
    """Outcomes stacked with Z = I and a residual variance each: Sigma = Lambda Lambda' + D."""

    @staticmethod
    def long(seed, holes):
        rng = np.random.default_rng(seed)
        N, K = 90, 5
        x = rng.standard_normal((N, K))
        loadings = np.array([[1.0, 0.9, 0.8, 0.9, -1.0], [1.0, -1.0, 0.8, -0.9, 0.9]])
        F = rng.standard_normal((N, 2)) @ loadings
        Y = 0.5 * x + F + rng.standard_normal((N, K)) * np.linspace(0.6, 1.4, K)
        data = pd.DataFrame(
            {
                "y": Y.ravel(),
                "x": x.ravel(),
                "kind": np.tile(list("abcde"), N),
                "unit": np.repeat(np.arange(N), K),
            }
        )
        lost = rng.choice(N * K, 40, replace=False) if holes else []
        return data.drop(index=lost).reset_index(drop=True)

    @pytest.mark.parametrize("rank", [1, 2])
    @pytest.mark.parametrize("holes", [False, True])
    def test_both_models_are_one(self, rank, holes):
        data = self.long(3, holes)
        mixed = LowRankMixedLM.from_formula(
            "y ~ 0 + kind + kind:x", data, "~ 0 + kind", rank, groups="unit",
            residual="~ 0 + kind", uniquenesses=False,
        ).fit(reml=False, n_starts=2)  # fmt: skip
        how = {"missing": "fiml"} if holes else {}
        system = LowRankSUR.from_formula(
            "y ~ x", data, groups="kind", time="unit", rank=rank, **how
        ).fit()
        assert mixed.llf == pytest.approx(system.llf, abs=1e-5)
        for kind in "abcde":
            own = mixed.params[[f"kind[{kind}]", f"kind[{kind}]:x"]]
            other = system.params[[f"{kind}_Intercept", f"{kind}_x"]]
            np.testing.assert_allclose(own, other, atol=2e-4)
        ratios = np.exp(np.append(0.0, mixed.residual_params))
        sigma = mixed.cov_re.to_numpy() + np.diag(mixed.scale * ratios)
        np.testing.assert_allclose(sigma, np.asarray(system.sigma.to_dense()), atol=3e-3)
        assert mixed.df_model == system.df_model
        assert mixed.aic == pytest.approx(system.aic, abs=1e-4)


class TestPanels:
    def test_a_random_effect_is_exchangeable_errors(self):
        grunfeld = load_grunfeld()
        panel = LowRankPanel.from_formula(
            "invest ~ value + capital", grunfeld, "exchangeable", entity="firm", time="year",
            independent="entity",
        ).fit()  # fmt: skip
        mixed = LowRankMixedLM.from_formula(
            "invest ~ value + capital", grunfeld, groups="firm", time="year"
        ).fit(reml=False)
        assert mixed.llf == pytest.approx(panel.llf, abs=1e-6)
        np.testing.assert_allclose(mixed.params, panel.params, rtol=1e-5)
        sigma = np.asarray(panel.sigma.to_dense())
        assert mixed.cov_re.iloc[0, 0] == pytest.approx(sigma[0, 1], rel=1e-4)
        assert mixed.scale == pytest.approx(sigma[0, 0] - sigma[0, 1], rel=1e-4)
        assert mixed.df_model == panel.df_model
