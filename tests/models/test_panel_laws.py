"""Laws of the errors through the models: nlme, spatialreg, the dense likelihood, and bad input."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel
from sm_alsgls.exceptions import (
    FormulaError,
    NonFiniteError,
    OptionError,
    RestrictedLikelihoodWarning,
    ShapeError,
)
from tests.core.laws import dense
from tests.core.laws.columbus import columbus
from tests.core.laws.columbus import reference as spatialreg
from tests.core.laws.grunfeld import grunfeld, references
from tests.core.laws.test_reference import with_holes

YEARS = np.arange(1935, 1955)


def firms():
    """plm's ten, a row a firm and year."""
    invest, value, capital = grunfeld()
    t, i = np.indices(invest.shape)
    return pd.DataFrame(
        {
            "invest": invest.ravel(), "value": value.ravel(), "capital": capital.ravel(),
            "year": YEARS[t.ravel()], "firm": i.ravel(),
        }
    )  # fmt: skip


def fitted(frame, rank, **laws):
    model = LowRankPanel.from_formula(
        "invest ~ value + capital", frame, rank, entity="firm", time="year", independent="time",
        **laws,
    )  # fmt: skip
    return model.fit(gtol=1e-9, reml=False)


def same_coefficients(res, expected):
    """nlme stops where its likelihood is flat: its coefficients have five digits."""
    scale = np.array([1.0, 0.1, 0.1])
    found = np.array([expected[k] for k in ("const", "value", "capital")])
    np.testing.assert_allclose(res.params / scale, found / scale, atol=5e-4)


@pytest.mark.parametrize("how", ["formula", "column"])
def test_nlmes_power_of_the_value(how):
    frame = firms()
    frame["log"] = np.log(frame["value"])
    scale = "~ np.log(value)" if how == "formula" else "log"
    res, expected = fitted(frame, "spherical", cell_scale=scale), references()["harvey"]
    assert res.llf == pytest.approx(expected["llf"], abs=1e-6)
    # A standard deviation's exponent is half a variance's.
    assert 0.5 * res.cell_scale["coef"].iloc[0] == pytest.approx(expected["power"], abs=1e-5)
    same_coefficients(res, expected)


def test_nlmes_variance_for_each_firm_and_autoregression():
    res = fitted(firms(), 0)
    assert res.llf == pytest.approx(references()["each"]["llf"], abs=1e-6)
    same_coefficients(res, references()["each"])
    res, expected = fitted(firms(), 0, ar="common"), references()["each ar"]
    assert res.llf == pytest.approx(expected["llf"], abs=1e-6)
    assert res.ar["coef"].iloc[0] == pytest.approx(expected["phi"], abs=1e-5)
    same_coefficients(res, expected)


def test_nlmes_autoregression_across_gaps():
    """Years that no firm has, and single cells: absent rows of a long frame."""
    kept, years, mask = with_holes()
    there = np.zeros((20, 10), bool)
    there[kept] = mask
    frame = firms()
    frame = frame[there.ravel()]
    assert set(frame["year"]) == set(years)
    res, expected = fitted(frame, 0, ar="common"), references()["each car holes"]
    assert res.llf == pytest.approx(expected["llf"], abs=1e-6)
    assert res.ar["coef"].iloc[0] == pytest.approx(expected["phi"], abs=1e-4)


@pytest.mark.parametrize("rank", [0, "spherical"])
def test_without_factors_autoregression_of_each_entity_crosses_a_missing_cell(rank):
    """Likelihood and standard errors are those of the dense covariance of the cells."""
    frame = firms()[["invest", "value", "year", "firm"]].drop(index=45)
    model = LowRankPanel.from_formula(
        "invest ~ value", frame, rank, entity="firm", time="year", ar="entity"
    )
    with pytest.warns(RestrictedLikelihoodWarning, match="by empirical Bayes, .*1 of 200 cells"):
        res = model.fit(gtol=1e-9, debiased=False)  # draws coefficients together
    rho, cov = res.ar["coef"].to_numpy(), res.sigma.to_dense()
    mask = np.ones((20, 10), dtype=bool)
    mask[4, 5] = False
    wide = frame.pivot(index="year", columns="firm", values=["invest", "value"]).to_numpy()
    X = np.stack([np.ones((20, 10)), np.nan_to_num(wide[:, 10:])], axis=2)
    E = np.nan_to_num(wide[:, :10]) - X @ res.params.to_numpy()
    Omega = dense.recursion(rho, 20, cov)
    assert res.llf == pytest.approx(-20 * dense.nll(E, Omega, mask), abs=1e-6)
    at = np.flatnonzero(mask.ravel())
    Z = X.reshape(200, 2)[at]
    H = Z.T @ np.linalg.solve(Omega[np.ix_(at, at)], Z)
    np.testing.assert_allclose(res.cov_params(), np.linalg.inv(H), rtol=1e-6)


@pytest.mark.parametrize(
    ("law", "name", "symbol"), [("error", "spatial_error", "lam"), ("lag", "spatial_lag", "rho")]
)
def test_spatialregs_columbus(law, name, symbol):
    Y, X, weights = columbus()
    frame = pd.DataFrame(
        {"crime": Y[:, 0], "inc": X[:, 1], "hoval": X[:, 2], "region": range(49), "one": 1}
    )
    model = LowRankPanel.from_formula(
        "crime ~ inc + hoval", frame, "spherical", entity="region", time="one",
        independent="entity", **{name: weights.W},
    )  # fmt: skip
    res, expected = model.fit(gtol=1e-9), spatialreg()
    assert res.spatial["coef"].iloc[0] == pytest.approx(expected[f"{law}.{symbol}"], abs=1e-6)
    assert res.llf == pytest.approx(expected[f"{law}.llf"], abs=1e-4)
    np.testing.assert_allclose(res.params, expected[f"{law}.b"], rtol=1e-5)


def test_the_likelihood_is_that_of_all_cells_together():
    """y as one normal vector, with factors, AR and neighbours: the density, and its maximum."""
    rng = np.random.default_rng(1)
    T, K = 25, 8
    ring = 0.5 * (np.roll(np.eye(K), 1, axis=1) + np.roll(np.eye(K), -1, axis=1))
    x, e = rng.standard_normal((T, K)), rng.standard_normal((T, K)) + rng.standard_normal((T, 1))
    for t in range(1, T):
        e[t] += 0.5 * e[t - 1]
    frame = pd.DataFrame(
        {
            "invest": (1.0 + x + e).ravel(), "value": x.ravel(),
            "capital": rng.standard_normal(T * K),
            "year": np.repeat(np.arange(T), K), "firm": np.tile(np.arange(K), T),
        }
    )  # fmt: skip
    res = fitted(frame, 1, ar="common", spatial_error=ring)
    X = np.column_stack([np.ones(T * K), frame["value"], frame["capital"]])
    y = frame["invest"].to_numpy()
    rho, lam = res.ar["coef"].iloc[0], res.spatial["coef"].iloc[0]

    def llf(b, rho, lam):
        B = np.linalg.inv(np.eye(K) - lam * ring)
        Omega = dense.stationary(rho, np.arange(T), B @ res.sigma.to_dense() @ B.T)
        E = y - X @ b
        sign, log = np.linalg.slogdet(2.0 * np.pi * Omega)
        assert sign > 0
        return -0.5 * (log + E @ np.linalg.solve(Omega, E))

    b = np.asarray(res.params)
    assert res.llf == pytest.approx(llf(b, rho, lam), abs=1e-7)
    for i in range(3):
        step = 1e-4 * (np.arange(3) == i)
        slope = (llf(b + step, rho, lam) - llf(b - step, rho, lam)) / 2e-4
        assert abs(slope * res.bse.iloc[i]) < 1e-4
    h = 1e-4
    slopes = [
        (llf(b, rho + h, lam) - llf(b, rho - h, lam)) / (2 * h),
        (llf(b, rho, lam + h) - llf(b, rho, lam - h)) / (2 * h),
    ]
    assert np.abs(np.array(slopes) * res.law_params()["std err"]).max() < 1e-3


BAD = [
    ({"ar": "both"}, OptionError, r"ar must be .*common.*entity"),
    ({"ar": "common", "independent": "entity"}, OptionError, "ar= is of independent='time'"),
    ({"row_scale": "~ value"}, ShapeError, "row_scale.*cell_scale= is of what differs"),
    ({"row_scale": "~ nothing"}, FormulaError, "nothing"),
    ({"row_scale": "~"}, FormulaError, "without a left side"),
    ({"cell_scale": "~ 1"}, FormulaError, "no variable"),
    ({"cell_scale": "nothing"}, FormulaError, "nothing"),
    ({"row_scale": "year", "cell_scale": "value"}, OptionError, "give one of them"),
    ({"spatial_error": np.eye(3)}, ShapeError, r"spatial_error.*10"),
    ({"spatial_lag": np.eye(10)}, OptionError, "spatial_lag.*own neighbour"),
    ({"spatial_error": np.zeros((10, 10))}, OptionError, "spatial_error.*neighbour"),
    ({"ar": "common", "weights": "value"}, OptionError, "ar= and weights="),
    ({"ar": "common", "effects": "time"}, OptionError, "."),
]


@pytest.mark.parametrize(
    ("kw", "error", "said"), BAD, ids=[str(next(iter(b[0].items())))[:40] for b in BAD]
)
def test_bad_arguments_are_named(kw, error, said):
    given = {"independent": "time", **kw}
    with pytest.raises(error, match=said):
        LowRankPanel.from_formula(
            "invest ~ value + capital", firms(), 0, entity="firm", time="year", **given
        )


@pytest.mark.parametrize("law", ["row_scale", "cell_scale"])
class TestValuesOfScales:
    @pytest.mark.parametrize("nothing", [[], [[]], np.empty((0, 2)), pd.DataFrame(index=YEARS)])
    def test_that_hold_nothing(self, law, nothing):
        with pytest.raises(ShapeError, match=f"{law} (holds nothing|has 0 rows)"):
            fitted(firms(), 0, **{law: nothing})

    @pytest.mark.parametrize("by", ["name", "years", "rows"])
    def test_that_are_text(self, law, by):
        frame = firms().assign(z="one")
        text = {
            "name": "z",
            "years": pd.DataFrame({"z": "one"}, index=YEARS),
            "rows": frame[["z"]],
        }[by]
        with pytest.raises(ShapeError, match=f"{law}.* holds text, 'one'"):
            fitted(frame, 0, **{law: text})


def test_a_scale_of_cells_may_be_given_by_year():
    frame = firms()
    z = pd.Series(np.sin(np.arange(20.0)), index=YEARS, name="z")
    frame["z"] = frame["year"].map(z)
    expected = fitted(frame, 0, cell_scale="z")
    for given in (z, z.to_frame(), [z.to_numpy()]):
        res = fitted(frame, 0, cell_scale=given)
        assert res.llf == pytest.approx(expected.llf, abs=1e-9)
    both = fitted(frame, 0, cell_scale=[z, frame["value"] / 1e3])
    assert both.llf > expected.llf
    assert len(both.cell_scale) == 2


def test_bad_cells_are_named_by_unit_and_period():
    frame = firms()
    frame["z"] = np.log(frame["value"])
    frame.loc[37, "z"] = np.nan
    with pytest.raises(NonFiniteError, match=r"cell_scale.*(7|1938)"):
        fitted(frame, 0, cell_scale="~ z")
    ring = np.roll(np.eye(10), 1, axis=1)
    with pytest.raises(NonFiniteError, match=r"spatial_lag=: regressors of equation '3'.*row 1935"):
        fitted(firms().drop(index=[3]), 0, spatial_lag=ring)
    model = LowRankPanel.from_formula(
        "invest ~ value + capital", firms(), 0, entity="firm", time="year", ar="common",
        independent="time",
    )  # fmt: skip
    with pytest.raises(OptionError, match="method='em' knows no laws"):
        model.fit(method="em")
    with pytest.raises(Exception, match="fit without them"):
        model.fit(cov_type="pcse")


@pytest.mark.parametrize("law", ["spatial_error", "spatial_lag"])
@pytest.mark.parametrize("independent", ["time", "entity"])
def test_the_rank_beside_a_law_of_space(law, independent):
    """Without factors a law takes them for neighbours, and nothing seems to be left."""
    rng = np.random.default_rng(3)
    K, T = 30, 40
    near = [[(i - 1) % K, (i + 1) % K] for i in range(K)]
    W = np.zeros((K, K))
    for i, two in enumerate(near):
        W[i, two] = 0.5
    loadings = rng.uniform(0.5, 1.5, (K, 1))
    u = rng.standard_normal((T, 1)) @ loadings.T + rng.standard_normal((T, K))
    if independent == "entity":
        u = rng.standard_normal((T, K)) + rng.standard_normal((1, K)) * rng.uniform(
            0.5, 1.5, (T, 1)
        )
    x, A = rng.standard_normal((T, K)), np.linalg.inv(np.eye(K) - 0.3 * W)
    y = x + u @ A.T if law == "spatial_error" else (x + u) @ A.T
    frame = pd.DataFrame(
        {
            "y": y.ravel(),
            "x": x.ravel(),
            "t": np.repeat(np.arange(T), K),
            "i": np.tile(np.arange(K), T),
        }
    )
    model = LowRankPanel.from_formula(
        "y ~ x", frame, entity="i", time="t", independent=independent, **{law: W}
    )
    assert (model.rank, model.rank_method) == (1, "auto")
