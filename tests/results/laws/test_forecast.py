"""Forecasts against the conditional law of later rows given all, in full."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import NotApplicableError, OptionError, ShapeError
from tests.results.laws.fits import CASES, LAWS, W, fitted, new_data, scales, twin, values

AHEAD = ["ar", "each", "each, cells, lag", "all"]


def wide(data, series):
    return data.assign(v=series).pivot(index="year", columns="entity", values="v").to_numpy()


def designs_of(res, data):
    """Designs of new data: a constant of all, and x."""
    x = data.pivot(index="year", columns="entity", values="x").to_numpy()
    return [np.column_stack([np.ones(len(x)), x[:, j]]) for j in range(x.shape[1])]


def direct(res, X):
    return np.column_stack([x @ b for x, b in zip(X, res.estimate.beta, strict=True)])


@pytest.mark.parametrize("name", AHEAD)
@pytest.mark.parametrize("gap", [0, 2])
def test_means_and_variances_are_goldberger_s(name, gap):
    res, steps = fitted(name), 3
    data = new_data(name, steps, first=40 + gap)
    n, k = res.resid.shape
    total = steps + gap
    cov, A = twin(name, extra=total, new=data)
    X = designs_of(res, data)
    mu_new = (A[: steps * k, : steps * k] @ direct(res, X).ravel()).reshape(steps, k)
    old, new = slice(0, n * k), slice((n + gap) * k, (n + total) * k)
    away = (res.model.endog - res.predict().to_numpy()).ravel()
    weights = np.linalg.solve(cov[old, old], cov[old, new]).T
    expected = mu_new + (weights @ away).reshape(steps, k)
    made = res.forecast(data)
    np.testing.assert_allclose(wide(data, made.predicted_mean), expected, rtol=1e-7)
    V = np.diagonal(cov[new, new] - weights @ cov[old, new]).reshape(steps, k)
    V = V * np.square(res.estimate.df.correction)
    np.testing.assert_allclose(wide(data, made.var_resid), V, rtol=1e-7)


@pytest.mark.parametrize("name", AHEAD)
def test_standard_errors_are_the_delta_method_s(name):
    res = fitted(name)
    data = new_data(name, 2)
    laws, labels = res.estimate.laws, res.estimate.labels
    X = designs_of(res, data)
    Y = res.model.endog
    k = Y.shape[1]

    def mean(params, theta):
        b = labels.by_equation(params)
        rho = np.broadcast_to(theta[laws.places["ar"]], (k,))
        lag = theta[laws.places["spatial_lag"]][0] if "spatial_lag" in laws.places else 0.0
        left = np.eye(k) - lag * W.to_numpy()
        last = np.array([x[-1] @ c for x, c in zip(res.model.exog, b, strict=True)])
        e = left @ Y[-1] - last
        out = []
        for h in (1, 2):
            row = np.array([x[h - 1] @ c for x, c in zip(X, b, strict=True)])
            out.append(np.linalg.solve(left, row + rho**h * e))
        return np.concatenate(out)

    p, theta, h = res.params.to_numpy(), laws.values, 1e-6
    G = [(mean(p + h * u, theta) - mean(p - h * u, theta)) / (2 * h) for u in np.eye(len(p))]
    D = [(mean(p, theta + h * u) - mean(p, theta - h * u)) / (2 * h) for u in np.eye(len(theta))]
    G, D = np.array(G).T, np.array(D).T
    C = np.nan_to_num(laws.cov)
    V = G @ np.asarray(res.cov_params()) @ G.T + D @ C @ D.T
    if laws.slopes is not None:
        cross = G @ laws.slopes @ C @ D.T
        V = V + cross + cross.T
    made = res.forecast(data)
    found = wide(data, made.var_pred_mean)
    np.testing.assert_allclose(found.ravel(), np.diagonal(V), rtol=1e-5)
    label = data["year"].min()
    np.testing.assert_allclose(made.cov_mean(label), V[:k, :k], rtol=1e-4, atol=1e-9)
    half = (made.conf_int(obs=True)["upper"] - made.conf_int(obs=True)["lower"]) / 2
    quantile = half / made.se_obs
    assert (quantile > 1.9).all()
    assert quantile.round(9).nunique() <= k


@pytest.mark.parametrize("name", ["ar, holes", "each, cells, holes"])
def test_an_equation_goes_on_from_its_last_cell(name):
    res, data = fitted(name), new_data(name, 2, first=40)
    made = res.forecast(data)
    E, par = res.resid, values(res)
    S = res.sigma.diag() * np.square(res.estimate.df.correction)
    first = data["year"].min()
    h_new = scales(res, name, 2, data)[-2:]  # 1 without scales
    for j, unit in enumerate(E.columns):
        rho = par["ar"] if "ar" in par.index else par[f"ar_{unit}"]
        last = E[unit].last_valid_index()
        rows = data[data["entity"] == unit]
        for _, row in rows.iterrows():
            h = row["year"] - last
            b = res.estimate.beta[j]
            expected = b[0] + b[1] * row["x"] + rho**h * E.loc[last, unit]
            assert made.predicted_mean[row.name] == pytest.approx(expected, rel=1e-10)
            variance = S[j] * (1 - rho ** (2 * h)) / (1 - rho**2)
            for year in range(first, int(row["year"]) + 1):
                share = rho ** (2 * (row["year"] - year))
                variance += S[j] * share * (h_new[year - first, j] - 1.0)
            assert made.var_resid[row.name] == pytest.approx(variance, rel=1e-10)
    assert E["u1"].last_valid_index() < E.index[-1]


@pytest.mark.parametrize("name", [name for name in LAWS if "ar" not in CASES[name].laws])
def test_where_errors_do_not_remember_it_is_the_prediction(name):
    res, data = fitted(name), new_data(name)
    if CASES[name].units:
        with pytest.raises(NotApplicableError, match="rows of this model are units"):
            res.forecast(data)
        return
    made, expected = res.forecast(data), res.get_prediction(data)
    pd.testing.assert_frame_equal(made.summary_frame(), expected.summary_frame())


def test_far_ahead_it_is_the_prediction():
    res, data = fitted("all"), new_data("all", 1)
    far = res.forecast(data, steps=[200])
    made = res.get_prediction(data)
    np.testing.assert_allclose(far.predicted_mean, made.predicted_mean, rtol=1e-10)
    np.testing.assert_allclose(far.se_obs, made.se_obs, rtol=1e-7)


def test_steps_and_labels():
    res, data = fitted("ar"), new_data("ar", 2)
    by_label = res.forecast(data).predicted_mean
    shuffled = data.sample(frac=1.0, random_state=1)
    again = res.forecast(shuffled).predicted_mean
    np.testing.assert_allclose(again.reindex(data.index), by_label)
    np.testing.assert_allclose(res.forecast(data, steps=[1, 2]).predicted_mean, by_label)
    some = res.forecast(data, equations=["u2"]).predicted_mean
    np.testing.assert_allclose(some, by_label[data["entity"] == "u2"])
    with pytest.raises(OptionError, match="not after the last one"):
        res.forecast(data.assign(year=data["year"] - 1))
    for steps in ([0, 1], [1.5, 2.0]):
        with pytest.raises(OptionError, match="steps"):
            res.forecast(data, steps=steps)
    with pytest.raises(ShapeError, match="steps"):
        res.forecast(data, steps=[1, 2, 3])
    with pytest.raises(OptionError, match="exog"):
        res.forecast(None)


def test_arrays_without_labels_go_by_their_order():
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((60, 2)) for _ in range(3)]
    E = rng.standard_normal((60, 3)) + rng.standard_normal((60, 1))
    for n in range(1, 60):
        E[n] += 0.6 * E[n - 1]
    Y = np.column_stack([x @ [1.0, 2.0] for x in X]) + E
    res = LowRankSUR(Y, X, 0, ar="common").fit()
    new = [rng.standard_normal((2, 2)) for _ in range(3)]
    rho = values(res)["ar"]
    made = res.forecast(new).predicted_mean.to_numpy()
    e = res.resid.to_numpy()[-1]
    for h in (1, 2):
        expected = [x[h - 1] @ b for x, b in zip(new, res.estimate.beta, strict=True)] + rho**h * e
        np.testing.assert_allclose(made[h - 1], expected)
    index = pd.RangeIndex(60, 62)
    labelled = [pd.DataFrame(x, index=index) for x in new]
    np.testing.assert_allclose(res.forecast(labelled).predicted_mean, made)
    later = [pd.DataFrame(x, index=[61, 64]) for x in new]
    expected = res.forecast(new, steps=[2, 5]).predicted_mean
    np.testing.assert_allclose(res.forecast(later).predicted_mean, expected)
