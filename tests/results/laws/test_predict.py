"""Predictions of rows whose errors follow laws, against the covariance of all cells in full."""

import numpy as np
import pytest

from sm_alsgls.exceptions import NotApplicableError, OptionError
from tests.results.laws.fits import (
    CASES,
    LAWS,
    WITH_LAG,
    fitted,
    new_data,
    twin,
)  # fmt: skip

# Holes, an AR coefficient each and scales of cells: conditional predictions are near only.
NEAR = "each, cells, holes"


def cells(res):
    return res.resid.shape


def correction(res):
    return np.square(res.estimate.df.correction)


@pytest.mark.parametrize("name", LAWS)
def test_variances_of_observations_are_those_of_the_rows(name):
    res = fitted(name)
    cov, _ = twin(name, process=False)
    n, k = cells(res)
    seen = np.isfinite(res.resid.to_numpy())
    expected = np.diagonal(cov).reshape(n, k) * correction(res)
    found = res.get_prediction().var_resid.to_numpy()
    np.testing.assert_allclose(found[seen], expected[seen], rtol=1e-9)
    for j in (0, k - 1):
        one = res.equations[res.model.equations[j]].get_prediction().var_resid
        np.testing.assert_allclose(one, found[:, j])


@pytest.mark.parametrize("name", LAWS)
def test_means_are_the_reduced_form(name):
    res = fitted(name)
    _, A = twin(name)
    n, k = cells(res)
    direct = np.column_stack(
        [X @ b for X, b in zip(res.model.exog, res.estimate.beta, strict=True)]
    )
    expected = (A @ np.nan_to_num(direct).ravel()).reshape(n, k)
    expected = np.where(np.isnan(direct), np.nan, expected)
    np.testing.assert_allclose(res.predict().to_numpy(), expected, rtol=1e-10)
    made = res.get_prediction()
    np.testing.assert_allclose(made.predicted_mean.to_numpy(), expected, rtol=1e-10)
    name_of = res.model.equations[1]
    np.testing.assert_allclose(res.equations[name_of].predict(), expected[:, 1], rtol=1e-10)
    # Fitted values are what residuals are about.
    if not CASES[name].holes:
        about = res.model.endog - res.fittedvalues.to_numpy()
        np.testing.assert_allclose(about, res.resid.to_numpy(), atol=1e-12)
        np.testing.assert_allclose(
            res.equations[name_of].fittedvalues, res.fittedvalues[name_of], rtol=1e-12
        )


def delta_method(res, name, X, rows, periods=False):
    """Covariance (n K, n K) of the estimated reduced form at designs X, by differences."""
    laws, labels = res.estimate.laws, res.estimate.labels
    place = laws.places["spatial_lag"].start
    M = laws.lag.W.toarray()

    def mean(b, rho):
        direct = np.column_stack([x @ c for x, c in zip(X, labels.by_equation(b), strict=True)])
        A = np.linalg.inv(np.eye(len(M)) - rho * M)
        return (A @ direct if laws.over_rows else direct @ A.T).ravel()

    b, rho, h = res.params.to_numpy(), laws.rho, 1e-6
    G = [(mean(b + h * e, rho) - mean(b - h * e, rho)) / (2 * h) for e in np.eye(len(b))]
    G.append((mean(b, rho + h) - mean(b, rho - h)) / (2 * h))
    G = np.array(G).T
    V = res.cov_params()
    V = V.to_numpy() if hasattr(V, "to_numpy") else V
    P = len(b)
    joint = np.zeros((P + 1, P + 1))
    joint[:P, :P] = V
    if np.isfinite(laws.cov).all():
        assert laws.slopes is not None  # b and rho are not orthogonal
        joint[:P, P] = joint[P, :P] = laws.slopes @ laws.cov[:, place]
    joint[P, P] = laws.cov[place, place]
    return G @ joint @ G.T


@pytest.mark.parametrize("name", WITH_LAG)
def test_standard_errors_have_the_lag_s(name):
    res = fitted(name)
    n, k = cells(res)
    V = delta_method(res, name, res.model.exog, n)
    made = res.get_prediction()
    np.testing.assert_allclose(made.var_pred_mean.to_numpy().ravel(), np.diagonal(V), rtol=1e-5)
    row = made.predicted_mean.index[3]
    np.testing.assert_allclose(
        made.cov_mean(row).to_numpy(), V[3 * k : 4 * k, 3 * k : 4 * k], rtol=1e-5, atol=1e-10
    )
    lower, upper = made.conf_int(obs=True).to_numpy().reshape(n, k, 2).transpose(2, 0, 1)
    np.testing.assert_allclose((lower + upper) / 2, made.predicted_mean)


@pytest.mark.parametrize("name", LAWS)
def test_new_rows_whatever_their_order(name):
    res, data = fitted(name), new_data(name)
    made = res.get_prediction(data)
    shuffled = data.sample(frac=1.0, random_state=0)
    again = res.get_prediction(shuffled)
    np.testing.assert_allclose(
        again.predicted_mean.reindex(data.index), made.predicted_mean, rtol=1e-12
    )
    np.testing.assert_allclose(again.se_mean.reindex(data.index), made.se_mean, rtol=1e-9)
    np.testing.assert_allclose(again.var_resid.reindex(data.index), made.var_resid, rtol=1e-12)


@pytest.mark.parametrize("name", ["lag", "all", "units, lag"])
def test_rows_that_lack_units_are_refused(name):
    res, data = fitted(name), new_data(name)
    with pytest.raises(OptionError, match="lack"):
        res.predict(data.iloc[1:])
    with pytest.raises(OptionError, match="lack"):
        res.get_prediction(data.iloc[:-1])
    with pytest.raises(NotApplicableError, match="neighbours"):
        res.equations[res.model.equations[0]].predict(data)
    if not CASES[name].units:
        some = res.predict(data, equations="u3")
        whole = res.predict(data)
        np.testing.assert_allclose(some, whole[data["entity"] == "u3"])


@pytest.mark.parametrize("name", [name for name in LAWS if name != NEAR])
def test_given_the_others_of_a_row(name):
    res = fitted(name)
    n, k = cells(res)
    cov, _ = twin(name)
    cov = cov.reshape(n, k, n, k)
    mu = res.predict().to_numpy()
    Y = np.where(np.isfinite(res.resid.to_numpy()), res.model.endog, np.nan)
    made = res.get_prediction(given=True)
    loo = res.leave_one_out(standardised=True).to_numpy()
    for t in range(n):
        for j in range(k):
            others = np.array([i for i in range(k) if i != j and np.isfinite(Y[t, i])])
            if not np.isfinite(mu[t, j]) or not len(others):
                continue
            C = cov[t, :, t, :]
            w = np.linalg.solve(C[np.ix_(others, others)], C[others, j])
            mean = mu[t, j] + w @ (Y[t, others] - mu[t, others])
            variance = C[j, j] - w @ C[others, j]
            assert made.predicted_mean.iloc[t, j] == pytest.approx(mean, rel=1e-6, abs=1e-6)
            assert made.var_resid.iloc[t, j] == pytest.approx(
                variance * correction(res)[j], rel=1e-6
            )
            if np.isfinite(Y[t, j]):
                expected = (Y[t, j] - mean) / np.sqrt(variance * correction(res)[j])
                assert loo[t, j] == pytest.approx(expected, rel=1e-5)
    imputed = res.impute()
    assert imputed.filled.to_numpy().any() == CASES[name].holes
    np.testing.assert_allclose(
        imputed.values.to_numpy()[imputed.filled], made.predicted_mean.to_numpy()[imputed.filled]
    )


def test_given_with_holes_and_scales_of_cells_is_near():
    res = fitted(NEAR)
    n, k = cells(res)
    cov = twin(NEAR)[0].reshape(n, k, n, k)
    whole = np.flatnonzero(np.isfinite(res.resid.to_numpy()).all(axis=1))
    expected = np.array([1.0 / np.diagonal(np.linalg.inv(cov[t, :, t, :])) for t in whole])
    found = res.get_prediction(given=True).var_resid.to_numpy()[whole] / correction(res)
    assert np.median(np.abs(np.log(found / expected))) < 0.05


@pytest.mark.parametrize("name", ["lag", "all"])
def test_standard_errors_of_conditional_means_have_the_lag_s(name):
    res = fitted(name)
    n, k = cells(res)
    V = delta_method(res, name, res.model.exog, n).reshape(n, k, n, k)
    cov = twin(name)[0].reshape(n, k, n, k)
    found = res.get_prediction(given=True).var_pred_mean.to_numpy()
    for t, j in ((0, 0), (5, 2), (n - 1, k - 1)):
        others = np.array([i for i in range(k) if i != j])
        C = cov[t, :, t, :]
        c = np.zeros(k)
        c[j], c[others] = 1.0, -np.linalg.solve(C[np.ix_(others, others)], C[others, j])
        assert found[t, j] == pytest.approx(c @ V[t, :, t, :] @ c, rel=1e-5)
