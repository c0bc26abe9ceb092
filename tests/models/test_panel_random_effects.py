"""Random effects, within estimates and mean groups: against plm, linearmodels and dense algebra."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.optimize

from sm_alsgls import LowRankPanel
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import NotApplicableError, OptionError
from tests.core.laws.dense import nll_of_rows
from tests.models.test_panel import holed, made, panel

pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning"),
]
REFERENCE = Path(__file__).parents[1] / "reference"


def reference(package):
    table = pd.read_csv(REFERENCE / f"panel_{package}.csv")
    return {what: rows["value"].to_numpy() for what, rows in table.groupby("what", sort=False)}


@pytest.fixture(scope="module")
def plm():
    return reference("plm")


@pytest.fixture(scope="module")
def grunfeld():
    """The ten firms of plm, in its order."""
    data = load_grunfeld()
    return data[data["firm"] != "American Steel"].reset_index(drop=True)


@pytest.fixture(scope="module")
def states():
    data = pytest.importorskip("linearmodels.datasets.munnell").load()
    names = {"GSP": "y", "P_CAP": "pcap", "PC": "pc", "EMP": "emp"}
    made = {new: np.log(data[old].astype(float)) for old, new in names.items()}
    states = pd.DataFrame(made).assign(
        unemp=data["UNEMP"].astype(float), state=data["STATE"].astype(str), year=data["YR"]
    )
    for name in ("y", "pcap", "pc", "emp", "unemp"):
        states[f"m_{name}"] = states.groupby("year")[name].transform("mean")
    return states


@pytest.fixture(scope="module")
def wages():
    return pytest.importorskip("linearmodels.datasets.wage_panel").load()


@pytest.fixture(scope="module")
def peers():
    return reference("linearmodels")


def of_grunfeld(data, rank="exchangeable", independent="entity", **how):
    return LowRankPanel.from_formula(
        "invest ~ value + capital", data, rank, entity="firm", time="year",
        independent=independent, **how,
    )  # fmt: skip


class TestPlm:
    def test_swamy_arora(self, plm, grunfeld):
        res = of_grunfeld(grunfeld).fit(method="swamy-arora")
        np.testing.assert_allclose(res.params, plm["swamy-arora"], rtol=1e-9)
        Sigma = res.sigma.to_dense()
        found = [Sigma[0, 0] - Sigma[0, 1], Sigma[0, 1]]
        np.testing.assert_allclose(found, plm["variances"], rtol=1e-8)
        assert "swamy" in str(res.summary()).lower()

    @pytest.mark.parametrize(("effects", "what"), [("entity", "within"), ("both", "twoways")])
    def test_within(self, plm, grunfeld, effects, what):
        res = of_grunfeld(grunfeld, effects=effects).fit()
        np.testing.assert_allclose(res.params[["value", "capital"]], plm[what], rtol=1e-9)

    def test_within_of_unbalanced_panels(self, plm, grunfeld):
        cut = grunfeld.drop([2, 26, 27, 149, 198])
        res = of_grunfeld(cut, "spherical", "time", effects="entity").fit()
        np.testing.assert_allclose(res.params[["value", "capital"]], plm["cut within"], rtol=1e-8)

    def test_breusch_pagan(self, plm, grunfeld):
        lm = of_grunfeld(grunfeld).fit().random_effects_test().table.loc["lm", "statistic"]
        assert lm == pytest.approx(plm["breusch-pagan"][0], rel=1e-9)
        cut = grunfeld.drop([2, 26, 27, 149, 198])
        lm = of_grunfeld(cut).fit().random_effects_test().table.loc["lm", "statistic"]
        assert lm == pytest.approx(plm["cut breusch-pagan"][0], rel=1e-9)

    def test_hausman(self, grunfeld):
        """plm's 2.3304 has the variance of another residual in V; here one Sigma is in both."""
        test = of_grunfeld(grunfeld).fit().hausman()
        assert test.df == 2.0
        assert test.statistic == pytest.approx(2.3304, rel=0.01)


class TestMeanGroups:
    """Pesaran and Smith's, and with cross-section means Pesaran's (2006), on Munnell's states.

    The means are nearly dependent, and plm inverts their products: a QR has our values to 1e-8.
    """

    formula = "y ~ pcap + pc + emp + unemp"
    means = " + m_y + m_pcap + m_pc + m_emp + m_unemp"

    def fit(self, states, formula, rank=0, **how):
        return LowRankPanel.from_formula(
            formula, states, rank, entity="state", time="year", **how
        ).fit()

    def test_mean_group(self, states, plm):
        res = self.fit(states, self.formula, heterogeneous=True)
        table = res.mean_group().table
        np.testing.assert_allclose(table["mean"], plm["mean group"], rtol=1e-7)
        np.testing.assert_allclose(table["std_err"], plm["mean group se"], rtol=1e-7)

    def test_with_cross_section_means(self, states, plm):
        res = self.fit(states, self.formula + self.means, heterogeneous=True)
        names = ["pcap", "pc", "emp", "unemp"]
        table = res.mean_group(names).table
        np.testing.assert_allclose(table["mean"], plm["cce mean group"], rtol=5e-6)
        np.testing.assert_allclose(table["std_err"], plm["cce mean group se"], rtol=5e-6)

    def test_pooled_with_cross_section_means(self, states, plm):
        own = [name for name in states if name.startswith("m_")]
        res = self.fit(
            states, self.formula + self.means, "spherical", heterogeneous=own, effects="entity"
        )
        names = ["pcap", "pc", "emp", "unemp"]
        np.testing.assert_allclose(res.params[names], plm["cce pooled"], rtol=5e-6)


class TestWagePanel:
    def fit(self, data, method="als", **how):
        model = LowRankPanel.from_formula(
            "lwage ~ expersq + union + married", data, "exchangeable", entity="nr", time="year",
            **how,
        )  # fmt: skip
        assert model.layout.independent == "entity"
        return model.fit(method=method)

    @pytest.mark.parametrize("effects", ["entity", "time", "both"])
    def test_effects(self, wages, peers, effects):
        """With effects of the periods only, that is no case of PanelOLS unless s_a is zero."""
        names = ["expersq", "union", "married"]
        how = {"effects": effects}
        res = (
            LowRankPanel.from_formula(
                "lwage ~ expersq + union + married", wages, "spherical", entity="nr",
                time="year", effects="time",
            ).fit()
            if effects == "time"
            else self.fit(wages, **how)
        )  # fmt: skip
        np.testing.assert_allclose(res.params[names], peers[effects][1:], rtol=1e-8)

    def test_random(self, wages, peers):
        res = self.fit(wages, "swamy-arora")
        np.testing.assert_allclose(res.params, peers["random"][:4], rtol=1e-9)
        Sigma = res.sigma.to_dense()
        found = [Sigma[0, 1], Sigma[0, 0] - Sigma[0, 1]]
        np.testing.assert_allclose(found, peers["random"][4:6], rtol=1e-8)

    def test_the_classical_model_is_refused(self, wages):
        """Loadings of eight years differ, and the effect moves with the regressors."""
        res = self.fit(wages)
        table = res.random_effects_test().table
        assert table.loc["lr", "df"] == 14.0
        assert table["pvalue"].max() < 1e-10
        assert res.hausman().pvalue < 1e-10
        assert self.fit(wages, mundlak=True).mundlak_test().pvalue < 1e-10


class TestMaximumLikelihood:
    @pytest.mark.parametrize("share", [0.0, 0.25])
    def test_against_brute_force(self, share):
        data = holed(panel(30, 5), share)
        res = made(data, "exchangeable", independent="entity").fit(debiased=False)
        wide = data.pivot(index="unit", columns="t")
        mask = wide["y"].notna().to_numpy()

        y, x, z = (wide[name].fillna(0.0).to_numpy() for name in ("y", "x", "z"))

        def nll(theta):
            b, s_a, s_u = theta[:3], *np.exp(theta[3:])
            E = np.where(mask, y - b[0] - b[1] * x - b[2] * z, 0.0)
            Sigma = s_a * np.ones((5, 5)) + s_u * np.eye(5)
            return len(E) * nll_of_rows(E, Sigma, mask)

        start = np.concatenate([res.params + 0.05, [0.3, 0.3]])
        best = scipy.optimize.minimize(nll, start, jac="3-point", options={"gtol": 1e-6})
        assert res.llf == pytest.approx(-best.fun, abs=1e-7)
        np.testing.assert_allclose(res.params, best.x[:3], atol=1e-4)
        assert res.df_model == 5

    def test_standard_errors(self):
        data = holed(panel(40, 5))
        res = made(data, "exchangeable", independent="entity").fit(debiased=False)
        Sigma, H = res.sigma.to_dense(), np.zeros((3, 3))
        for _, rows in data.groupby("unit"):
            at = (rows["t"] - 2000).to_numpy()
            X = np.column_stack([np.ones(len(rows)), rows[["x", "z"]]])
            H += X.T @ np.linalg.solve(Sigma[np.ix_(at, at)], X)
        np.testing.assert_allclose(res.bse, np.sqrt(np.diag(np.linalg.inv(H))), rtol=1e-8)

    def test_units_that_repel_have_no_effect(self):
        data = panel(60, 4)
        e = np.random.default_rng(0).standard_normal((60, 4))
        data["y"] = data["x"] + (e - 0.8 * e.mean(axis=1, keepdims=True)).ravel()
        res = made(data, "exchangeable", independent="entity").fit()
        Sigma = res.sigma.to_dense()
        np.testing.assert_allclose(Sigma, Sigma[0, 0] * np.eye(4), atol=1e-12)
        X = np.column_stack([np.ones(len(data)), data[["x", "z"]]])
        np.testing.assert_allclose(res.params, np.linalg.lstsq(X, data["y"])[0], rtol=1e-6)

    def test_methods(self):
        data = panel(30, 5)
        with pytest.raises(OptionError, match="two variances, those of rank='exchangeable'"):
            made(data, 1, independent="entity").fit(method="swamy-arora")
        with pytest.raises(OptionError, match="balanced panels"):
            made(holed(data), "exchangeable", independent="entity").fit(method="swamy-arora")


class TestTests:
    def test_likelihood_ratio(self):
        data = panel(60, 4)
        small = made(data, "exchangeable", independent="entity").fit()
        one = made(data, 1, independent="entity").fit()
        full = made(data, "full", independent="entity").fit()
        for fit, large, df in ((small, one, 6), (one, one, 6), (full, full, 8)):
            row = fit.random_effects_test().table.loc["lr"]
            assert row["statistic"] == pytest.approx(2 * (large.llf - small.llf), rel=1e-5)
            assert row["df"] == df
        table = made(data, 0, independent="entity").fit().random_effects_test().table
        assert list(table.index) == ["lm"]

    @pytest.mark.slow
    def test_size(self):
        """Exchangeable errors: p-values of the ratio are uniform, and of none the multiplier's.

        Of 30 draws, at most 5 (three standard errors of 1.2 above 1.5) are below 5 %, and the mean
        is within three standard errors (.158) of one half.
        """
        rng, ratio, none = np.random.default_rng(5), [], []
        i, t = np.meshgrid(range(150), range(4), indexing="ij")
        frame = pd.DataFrame({"unit": i.ravel(), "t": t.ravel()})
        for _ in range(30):
            frame["x"] = rng.standard_normal(600)
            u = rng.standard_normal((150, 4))
            for found, level in ((none, 0.0), (ratio, 1.0)):
                y = u + level * rng.standard_normal((150, 1))
                frame["y"] = y.ravel() + frame["x"]
                model = LowRankPanel.from_formula(
                    "y ~ x", frame, "exchangeable", entity="unit", time="t"
                )
                table = model.fit(n_starts=1).random_effects_test().table
                found.append(table.loc["lr" if level else "lm", "pvalue"])
        for p in (np.array(ratio), np.array(none)):
            assert (p < 0.05).sum() <= 5
            assert abs(p.mean() - 0.5) < 3 * np.sqrt(1 / 12 / 30)

    @pytest.mark.parametrize("share", [0.0, 0.2])
    @pytest.mark.parametrize("rank", ["exchangeable", 1])
    def test_hausman_against_dense(self, rank, share):
        data = holed(panel(50, 5), share).sort_values(["unit", "t"])
        res = made(data, rank, independent="entity").fit()
        Sigma = res.sigma.to_dense()
        within, V_w, H, b_w = [], np.zeros((2, 2)), np.zeros((3, 3)), np.zeros(2)
        for _, rows in data.groupby("unit"):
            at = (rows["t"] - 2000).to_numpy()
            S = Sigma[np.ix_(at, at)]
            M = np.eye(len(at)) - 1.0 / len(at)
            X = rows[["x", "z"]].to_numpy()
            J = np.column_stack([np.ones(len(at)), X])
            within.append(X.T @ M @ X)
            V_w += X.T @ M @ S @ M @ X
            H += J.T @ np.linalg.solve(S, J)
            b_w += X.T @ M @ rows["y"].to_numpy()
        A = np.linalg.inv(sum(within))
        b_w = A @ b_w
        V = A @ V_w @ A - np.linalg.inv(H)[1:, 1:]
        delta = b_w - res.params[["x", "z"]].to_numpy()
        test = res.hausman()
        np.testing.assert_allclose(test.coefficients["within"], b_w, rtol=1e-8)
        np.testing.assert_allclose(test.coefficients["std_err"], np.sqrt(np.diag(V)), rtol=1e-5)
        assert test.statistic == pytest.approx(delta @ np.linalg.solve(V, delta), rel=1e-4)
        assert test.pvalue < 0.05  # the effects of these units move with x

    def test_hausman_beside_effects_of_periods(self):
        """Constants of the periods are no coefficients to compare."""
        res = made(panel(60, 4), 1, independent="entity", effects="time").fit()
        test = res.hausman()
        assert list(test.coefficients.index) == ["x", "z"]
        within = made(panel(60, 4), "exchangeable", independent="entity", effects="both").fit()
        np.testing.assert_allclose(
            test.coefficients["within"], within.params[["x", "z"]], rtol=1e-7
        )

    def test_refusals(self):
        res = made(panel(40, 4), 1, independent="entity", effects="entity").fit()
        with pytest.raises(NotApplicableError, match="within estimates"):
            res.hausman()
        with pytest.raises(NotApplicableError, match="sweep out"):
            res.random_effects_test()
        shrunk = made(panel(40, 4), 1, independent="entity").fit(lam_F=0.1)
        with pytest.raises(NotApplicableError, match="ridges"):
            shrunk.random_effects_test()
