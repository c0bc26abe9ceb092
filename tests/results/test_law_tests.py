"""Tests that laws are absent, and intervals of their parameters, at the results."""

import copy
import functools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sm_alsgls import LowRankPanel, LowRankSUR
from sm_alsgls.exceptions import (
    ArgumentTypeError,
    DataRemovedError,
    NotApplicableError,
    OptionError,
    ShapeError,
)

T, K = 40, 9
RING = 0.5 * (np.roll(np.eye(K), 1, axis=1) + np.roll(np.eye(K), -1, axis=1))


@functools.cache
def data():
    """Errors of one factor, AR .6, scales exp(z / 2), neighbours .4."""
    rng = np.random.default_rng(4)
    z = rng.standard_normal(T)
    u = rng.standard_normal((T, 1)) * rng.uniform(0.3, 0.9, K) + rng.standard_normal((T, K))
    e = u.copy()
    for t in range(1, T):
        e[t] = 0.6 * e[t - 1] + u[t] * np.exp(0.5 * z[t])
    e = e @ np.linalg.inv(np.eye(K) - 0.4 * RING).T
    x = rng.standard_normal((T, K))
    return pd.DataFrame(
        {
            "y": (1.0 + x + e).ravel(), "x": x.ravel(), "z": np.repeat(z, K),
            "t": np.repeat(np.arange(T), K), "i": np.tile(np.arange(K), T),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def frame():
    return data()


MADE = {}


def fitted(frame, rank=1, gtol=1e-8, reml=True, **laws):
    """Results; those of the data as they are are made once, and no test changes them."""
    if frame is not data():
        return _fitted(frame, rank, gtol, reml, laws)
    named = sorted((name, "ring" if value is RING else value) for name, value in laws.items())
    key = rank, gtol, reml, *named
    if key not in MADE:
        MADE[key] = _fitted(frame, rank, gtol, reml, laws)
    return MADE[key]


def _fitted(frame, rank, gtol, reml, laws):
    model = LowRankPanel.from_formula(
        "y ~ x", frame, rank, entity="i", time="t", independent="time", **laws
    )
    return model.fit(gtol=gtol, reml=reml)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")
def test_ratios_are_those_of_fits_with_and_without(frame):
    """Maximum likelihood: every law against the fit that was made without it."""
    laws = {"ar": "common", "row_scale": "~ z", "spatial_error": RING, "spatial_lag": RING}
    whole = fitted(frame, reml=False, **laws)
    table = whole.law_tests().set_index(["law", "test"])
    assert set(table.index.get_level_values("law")) == set(laws)
    for name in laws:
        # Without AR errors a Heywood case is the maximum, .25 above what the whole fit leads to.
        others = {k: v for k, v in laws.items() if k != name}
        without = fitted(frame, reml=False, **others)
        row = table.loc[(name, "likelihood ratio")]
        expected = (T - 1) / T * 2.0 * (whole.llf - without.llf)
        assert row["statistic"] == pytest.approx(expected, abs=1e-5)
        assert row["df"] == 1
        assert row["pvalue"] == pytest.approx(stats.chi2.sf(row["statistic"], 1))


def test_a_coefficient_for_each_unit_has_as_many_degrees_or_is_tested_as_one(frame):
    whole, without = fitted(frame, reml=False, ar="entity"), fitted(frame)
    row = whole.law_tests().iloc[0]
    assert row["df"] == K
    expected = (T - 1) / T * 2.0 * (whole.llf - without.llf)
    assert row["statistic"] == pytest.approx(expected, abs=1e-5)
    shrunken, common = (
        fitted(frame, ar="entity").law_tests(),
        fitted(frame, ar="common").law_tests(),
    )
    assert list(shrunken["df"]) == [1, 1]
    np.testing.assert_allclose(shrunken["statistic"], common["statistic"], rtol=1e-4)


def test_the_restricted_ratio_is_that_of_the_restricted_likelihood(frame):
    """psi_R by hand at rho = 0 and at the estimate."""
    res = fitted(frame, ar="common")
    fit, plain = res.estimate.sample.laws, fitted(frame)

    def criterion(rho, sigma, nll):
        X = np.zeros((T, K, 2))
        X[:, :, 0], X[:, :, 1] = 1.0, frame["x"].to_numpy().reshape(T, K)
        first = X[:1] * np.sqrt(1 - rho**2)
        X = np.concatenate([first, X[1:] - rho * X[:-1]])
        H = np.einsum("tjp,jl,tlq->pq", X, np.linalg.inv(sigma.to_dense()), X)
        return T * nll + 0.5 * np.linalg.slogdet(H)[1]

    at = criterion(res.ar["coef"].iloc[0], res.sigma, fit.found.best.nll)
    zero = criterion(0.0, plain.sigma, plain.nll_per_row)
    row = res.law_tests().iloc[0]
    assert row["test"] == "restricted likelihood ratio"
    assert row["statistic"] == pytest.approx((T - 1) / T * 2.0 * (zero - at), abs=1e-5)


def test_score_tests_need_no_fit_of_the_law(frame):
    """What a fit without laws says of them is what a fit with them says."""
    plain = fitted(frame)
    found = plain.law_tests(ar=True, row_scale="z").set_index("law")
    for law, kw in (("ar", {"ar": "common"}), ("row_scale", {"row_scale": "~ z"})):
        own = fitted(frame, **kw).law_tests().set_index("test").loc["score"]
        assert found.loc[law, "statistic"] == pytest.approx(own["statistic"], rel=1e-5)
        assert found.loc[law, "pvalue"] < 0.01
    z = frame["z"].to_numpy().reshape(T, K)[:, 0]
    again = plain.law_tests(row_scale=z)
    assert again["statistic"].iloc[0] == pytest.approx(found.loc["row_scale", "statistic"])
    # Beside a law that is there: of what it leaves.
    left = fitted(frame, ar="common").law_tests(row_scale="z")
    assert left["statistic"].iloc[0] > found.loc["row_scale", "statistic"]


def test_spatial_scores_by_hand(frame):
    """Least squares, one variance: e'We / s2 squared over tr(W'W + WW)."""
    plain = fitted(frame, "spherical")
    table = plain.law_tests(spatial=RING).set_index("law")
    X = np.column_stack([np.ones(T * K), frame["x"]])
    e = frame["y"] - X @ np.linalg.lstsq(X, frame["y"], rcond=None)[0]
    E = e.to_numpy().reshape(T, K)
    a = np.vdot(E, E @ RING.T) / (E**2).mean()
    trace = T * (np.sum(RING**2) + np.trace(RING @ RING))
    assert table.loc["spatial_error", "statistic"] == pytest.approx(a * a / trace, rel=1e-9)
    own = fitted(frame, "spherical", spatial_error=RING).law_tests().set_index("test")
    assert own.loc["score", "statistic"] == pytest.approx(a * a / trace, rel=1e-6)
    assert table.loc["spatial_error and spatial_lag", "df"] == 2
    # Regions as rows.
    one = frame[frame["t"] < 2]
    wide = LowRankPanel.from_formula(
        "y ~ x", one, "spherical", entity="i", time="t", independent="entity"
    ).fit()
    assert len(wide.law_tests(spatial=RING)) == 5


def test_intervals_are_where_the_ratio_is_the_quantile(frame):
    """The maximised likelihood of a model whose rho is moved there by hand."""
    res = fitted(frame, reml=False, ar="common", row_scale="~ z")
    table = res.law_intervals(0.1)
    assert list(table["method"]) == ["profile"] * 2
    assert list(table.columns[1:3]) == ["[0.05", "0.95]"]
    normal = res.law_params(0.1)
    for name in table.index:
        low, high = table.loc[name].iloc[1:3]
        assert low < table.loc[name, "coef"] < high
        width = normal.loc[name].iloc[5] - normal.loc[name].iloc[4]
        assert high - low == pytest.approx(width * (T / (T - 1)) ** 0.5, rel=0.15)
    # Of a law whose test has p = alpha, the interval of level alpha ends on zero.
    frame = frame.assign(w=np.repeat(np.random.default_rng(1).standard_normal(T), K))
    res = fitted(frame, reml=False, ar="common", row_scale="~ w")
    p = res.law_tests().set_index(["law", "test"])["pvalue"]["row_scale", "likelihood ratio"]
    assert 0.01 < p < 0.9
    ends = res.law_intervals(p).loc["scale_w"].iloc[1:3].astype(float)
    assert np.abs(ends).min() < 1e-4


def test_units_that_were_drawn_to_their_mean_have_posteriors(frame):
    res = fitted(frame, ar="entity")
    table, normal = res.law_intervals(), res.law_params()
    assert list(table["method"]) == ["posterior"] * K
    bounds = np.clip(normal.iloc[:, 4:6], -0.999, 0.999)
    np.testing.assert_allclose(table.iloc[:, 1:3].astype(float), bounds)


@pytest.mark.slow
def test_the_system_says_what_the_panel_says(frame):
    wide = frame.pivot(index="t", columns="i", values="y")
    x = frame.pivot(index="t", columns="i", values="x")
    equations = {
        str(i): (wide[i], pd.DataFrame({"const": 1.0, "x": x[i]}, index=x.index)) for i in wide
    }
    z = frame["z"].to_numpy().reshape(T, K)[:, 0]
    sur = LowRankSUR(
        {k: v[0] for k, v in equations.items()} and wide.rename(columns=str),
        [equations[k][1] for k in equations],
        rank=1, common=True, ar="common", row_scale=z,
    ).fit(gtol=1e-8)  # fmt: skip
    panel = fitted(frame, ar="common", row_scale="~ z")
    assert sur.llf == pytest.approx(panel.llf, abs=1e-6)
    np.testing.assert_allclose(
        sur.law_tests()["statistic"], panel.law_tests()["statistic"], rtol=1e-4
    )
    np.testing.assert_allclose(sur.law_params(), panel.law_params(), rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_missing_cells_leave_the_ratio(frame):
    holes = frame.drop(index=[7, 31])
    found, whole = (fitted(data, ar="common").law_tests() for data in (holes, frame))
    assert list(found["test"]) == ["restricted likelihood ratio"]
    assert found["statistic"].iloc[0] == pytest.approx(whole["statistic"].iloc[0], rel=0.05)
    with pytest.raises(NotApplicableError, match=r"score tests are of whole rows"):
        fitted(frame.drop(index=[7])).law_tests(ar=True)


def test_bad_questions(frame):
    plain, res = fitted(frame), fitted(frame, ar="common")
    with pytest.raises(NotApplicableError, match=r"follow no law .* law_tests\(ar=True\)"):
        plain.law_tests()
    with pytest.raises(NotApplicableError, match="follow no law"):
        plain.law_intervals()
    with pytest.raises(NotApplicableError, match="has ar=: law_tests"):
        res.law_tests(ar=True)
    with pytest.raises(NotApplicableError, match="one variance and no factors"):
        plain.law_tests(spatial=RING)
    with pytest.raises(NotApplicableError, match="the fit has neighbours"):
        fitted(frame, 0, 1e-6, spatial_error=RING).law_tests(spatial=RING)
    with pytest.raises(OptionError, match="alpha"):
        res.law_intervals(1.5)
    with pytest.raises(ShapeError, match="row_scale"):
        plain.law_tests(row_scale=np.zeros(3))
    with pytest.raises((OptionError, ArgumentTypeError), match="ar"):
        plain.law_tests(ar="yes")
    units = LowRankPanel.from_formula(
        "y ~ x", frame[frame["t"] < 2], 0, entity="i", time="t", independent="entity"
    ).fit()
    with pytest.raises(NotApplicableError, match="here rows are units"):
        units.law_tests(ar=True)
    ridged = LowRankPanel.from_formula(
        "y ~ x", frame, 1, entity="i", time="t", independent="time", ar="common",
        heterogeneous=True,
    ).fit(lam_B=0.1)  # fmt: skip
    for question in (ridged.law_tests, ridged.law_intervals):
        with pytest.raises(NotApplicableError, match="penalties"):
            question()
    gone = copy.deepcopy(fitted(frame, ar="common"))
    gone.remove_data()
    for question in (gone.law_tests, gone.law_intervals):
        with pytest.raises(DataRemovedError):
            question()
