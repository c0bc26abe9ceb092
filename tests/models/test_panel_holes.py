"""Panels with neighbours and missing cells through the model, against dense algebra."""

import functools

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel, LowRankSUR
from sm_alsgls.exceptions import NonFiniteError, OptionError

K, T = 8, 40
RING = 0.5 * (np.roll(np.eye(K), 1, axis=1) + np.roll(np.eye(K), -1, axis=1))


def panel(lag, error, seed=3):
    rng = np.random.default_rng(seed)
    loadings = rng.uniform(0.5, 1.5, (1, K)) * (-1.0) ** np.arange(K)
    u = rng.standard_normal((T, 1)) @ loadings + rng.standard_normal((T, K))
    x = rng.standard_normal((T, K))
    e = u @ np.linalg.inv(np.eye(K) - 0.3 * error * RING).T
    y = (x + e) @ np.linalg.inv(np.eye(K) - 0.3 * lag * RING).T
    t, i = np.indices((T, K))
    frame = pd.DataFrame({"y": y.ravel(), "x": x.ravel(), "t": t.ravel(), "i": i.ravel()})
    frame.loc[rng.random(len(frame)) < 0.15, "y"] = np.nan
    return frame


def made(frame, rank=1, **laws):
    return LowRankPanel.from_formula(
        "y ~ x", frame, rank, entity="i", time="t", independent="time", effects=None,
        missing="fiml", **laws,
    )  # fmt: skip


class Dense:
    """The fit's parameters, and everything that follows from them by dense algebra."""

    def __init__(self, res, frame, lag, error):
        self.y = frame["y"].to_numpy().reshape(T, K)
        self.mask = np.isfinite(self.y)
        x = frame["x"].to_numpy().reshape(T, K)
        values = res.law_params()["coef"]
        lam = values["spatial_error"] if error else 0.0
        rho = values["spatial_lag"] if lag else 0.0
        self.back = np.linalg.inv(np.eye(K) - rho * RING)
        self.B = np.eye(K) - lam * RING
        Binv = np.linalg.inv(self.B)
        self.Sigma = res.sigma.to_dense()
        self.S = Binv @ self.Sigma @ Binv.T
        self.Omega = self.back @ self.S @ self.back.T
        # Means are linear in (x, const), in the order of the parameters.
        columns = {"x": x, "Intercept": np.ones((T, K))}
        self.G = np.stack([columns[name] @ self.back.T for name in res.params.index], axis=2)
        self.v = np.where(self.mask, self.y - self.G @ res.params.to_numpy(), 0.0)

    def inverse(self, n):
        o = self.mask[n]
        return np.linalg.inv(self.Omega[np.ix_(o, o)])

    @property
    def llf(self):
        total = self.mask.sum() * np.log(2.0 * np.pi)
        for n, o in enumerate(self.mask):
            S = self.Omega[np.ix_(o, o)]
            total += np.linalg.slogdet(S)[1] + self.v[n, o] @ np.linalg.solve(S, self.v[n, o])
        return -0.5 * total

    @property
    def scores(self):
        return np.stack([
            self.G[n, o].T @ self.inverse(n) @ self.v[n, o] for n, o in enumerate(self.mask)
        ])  # fmt: skip

    @property
    def information(self):
        return sum(self.G[n, o].T @ self.inverse(n) @ self.G[n, o] for n, o in enumerate(self.mask))

    @property
    def filled(self):
        out = self.v.copy()
        for n, o in enumerate(self.mask):
            out[n, ~o] = self.Omega[np.ix_(~o, o)] @ self.inverse(n) @ self.v[n, o]
        return out


@functools.cache
def of_laws(lag, error):
    """Data, laws, model and results: no test changes them."""
    frame = panel(lag, error)
    laws = {"spatial_lag": RING} if lag else {}
    if error:
        laws["spatial_error"] = RING
    model = made(frame, **laws)
    return frame, laws, model, model.fit(gtol=1e-9)


@pytest.fixture(
    scope="module",
    params=[(False, True), (True, False), (True, True)],
    ids=["error", "lag", "both"],
)
def case(request):
    lag, error = request.param
    frame, laws, model, res = of_laws(lag, error)
    return model, res, Dense(res, frame, lag, error), lag, laws, frame


@pytest.mark.slow
def test_likelihood_and_criteria(case):
    _, res, dense, _, laws, _ = case
    assert res.converged
    assert res.llf == pytest.approx(dense.llf, rel=1e-12)
    q = len(res.params) + 2 * K + len(laws)
    assert res.aic == pytest.approx(-2.0 * dense.llf + 2 * q)
    scale = np.sqrt(np.diag(dense.information))
    np.testing.assert_allclose(dense.scores.sum(axis=0) / scale, 0.0, atol=1e-6)
    assert int(res.nobs) == T
    assert np.isfinite(res.bse).all()


@pytest.mark.slow
def test_given_the_laws_covariances_are_dense_ones(case):
    model, _, _, lag, _, frame = case
    if lag:
        return  # Beside rho they have another part: `test_spatial_holes` has the information.
    res = model.fit(gtol=1e-9, cov_type="HC0")
    dense = Dense(res, frame, lag, True)
    H, s = np.linalg.inv(dense.information), dense.scores
    np.testing.assert_allclose(res.cov_params(), H @ (s.T @ s) @ H, rtol=1e-6)


@pytest.mark.slow
def test_robust_covariances_of_a_lag_have_the_part_of_rho(case):
    _, res, _, lag, laws, frame = case
    if not lag:
        return
    res = res.get_robustcov_results("HC0")
    dense = Dense(res, frame, lag, "spatial_error" in laws)
    estimate = res.estimate
    G, C = estimate.laws.slopes, estimate.laws.cov
    H, s = np.linalg.inv(dense.information), dense.scores
    expected = H @ (s.T @ s) @ H + G @ C @ G.T
    np.testing.assert_allclose(res.cov_params(), expected, rtol=1e-5)


def test_residuals_and_fitted_values_are_the_expected_ones(case):
    _, res, dense, lag, _, _ = case
    A = np.linalg.inv(dense.back)
    e = (dense.filled @ A.T) if lag else dense.v
    np.testing.assert_allclose(res.resid.to_numpy()[dense.mask], e[dense.mask], atol=1e-8)
    assert res.resid.isna().to_numpy()[~dense.mask].all()
    both = (res.resid + res.fittedvalues).to_numpy()
    np.testing.assert_allclose(both[dense.mask], dense.y[dense.mask], atol=1e-10)


def test_scores_of_factors_are_means_given_the_observed_cells(case):
    _, res, dense, _, _, _ = case
    F = res.loadings.to_numpy()
    expected = []
    C = dense.back @ np.linalg.inv(dense.B) @ F  # Cov(y, f)
    for n, o in enumerate(dense.mask):
        expected.append(C[o].T @ dense.inverse(n) @ dense.v[n, o])
    np.testing.assert_allclose(res.factor_scores, expected, atol=1e-7)


def test_holes_are_filled_by_their_means(case):
    _, res, dense, _, _, _ = case
    expected = dense.filled + dense.G @ res.params.to_numpy()
    found = res.impute()
    hole = ~dense.mask
    np.testing.assert_allclose(found.values.to_numpy()[hole], expected[hole], atol=1e-8)
    np.testing.assert_allclose(found.values.to_numpy()[dense.mask], dense.y[dense.mask])
    n, j = np.argwhere(hole)[0]
    o = dense.mask[n]
    w = dense.Omega[j, o] @ dense.inverse(n)
    least = dense.Omega[j, j] - w @ dense.Omega[o, j]
    # And what the estimation of the coefficients adds.
    assert np.sqrt(least) < found.se.to_numpy()[n, j] < 1.3 * np.sqrt(least)


@pytest.mark.slow
def test_everything_of_results_is_there(case):
    _, res, _, lag, laws, frame = case
    tests = res.law_tests()
    assert list(tests["law"]) == [n for n in ("spatial_error", "spatial_lag") if n in laws]
    null = (
        made(frame, **{k: v for k, v in laws.items() if k != "spatial_lag"}) if lag else made(frame)
    )
    small = null.fit(gtol=1e-9)
    ratio = tests.set_index("law")["statistic"]["spatial_lag" if lag else "spatial_error"]
    assert ratio == pytest.approx(2.0 * (res.llf - small.llf) * (T - 1) / T, abs=1e-5)
    assert "spatial" in str(res.summary())
    # Of one law both; the wild one has more to undo where there are two.
    for method in ("wild",) if len(laws) == 2 else ("parametric", "wild"):
        drawn = res.bootstrap(2, method, rng=0)
        assert np.isfinite(drawn.params.to_numpy()).all()
        assert drawn.law_frame().shape[0] == len(laws)
    table = res.diagnostics().table
    assert "cells are missing" in str(table.loc["residual correlation", "found"])
    assert 0.0 < table.loc["outlying rows", "p"] <= 1.0 if "p" in table else True
    assert res.get_prediction().predicted_mean.shape == (T, K)
    with pytest.raises(OptionError, match="whole rows of residuals"):
        res.bootstrap(6, "residual")


@pytest.mark.slow
def test_a_rank_is_chosen_beside_them(case):
    *_, laws, frame = case
    assert made(frame, "auto", **laws).rank in (1, 2)


@pytest.mark.slow
def test_units_that_are_not_there_have_errors_but_no_mean():
    """Rows that are not in the data have no regressors: an error needs none, a lag does."""
    frame = panel(False, True).dropna()
    res = made(frame, spatial_error=RING).fit(gtol=1e-9)
    assert res.converged
    whole, *_, same = of_laws(False, True)
    assert res.llf == pytest.approx(same.llf, rel=1e-12)
    n, j = np.argwhere(whole["y"].isna().to_numpy().reshape(T, K))[0]
    with pytest.raises(NonFiniteError, match=rf"equation '{j}' are missing in row {n}"):
        made(frame, spatial_lag=RING)


def test_a_lag_needs_no_regressors_of_units_that_nobody_has_for_a_neighbour():
    frame = panel(False, False)
    frame = frame[~((frame["i"] == 0) & (frame["t"] < 9))]
    W = RING.copy()
    W[:, 0] = 0.0
    assert made(frame, spatial_lag=W).fit().converged


@pytest.mark.slow
def test_a_system_of_equations_has_them_too():
    frame = panel(False, True)
    Y = frame.pivot(index="t", columns="i", values="y")
    x = frame.pivot(index="t", columns="i", values="x")
    X = [np.column_stack([np.ones(T), x[j]]) for j in range(K)]
    try:
        model = LowRankSUR(Y.to_numpy(), X, 1, missing="fiml", spatial_error=RING)
    except TypeError:
        pytest.skip("LowRankSUR takes no laws")
    assert model.fit().converged
