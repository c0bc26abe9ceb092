"""The regressor is the model, and behaves as scikit-learn's do."""

import pickle

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR, simulate_sur
from sm_alsgls.exceptions import IllegalRankError, OptionError, SystemInputError

sklearn = pytest.importorskip("sklearn", minversion="1.6")
from sklearn.base import clone  # noqa: E402
from sklearn.linear_model import LinearRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from sm_alsgls.adapters.sklearn import LowRankSURRegressor  # noqa: E402

# A likelihood of errors needs errors, and more rows than regressors; the checks' data have neither.
EXACT = "y is an exact function of X, so that the error variance is zero"
FEW = "as many rows as regressors"
EXEMPT = {
    "check_sample_weights_shape": EXACT,
    "check_sample_weights_not_overwritten": EXACT,
    "check_regressors_no_decision_function": EXACT,
    "check_sample_weight_equivalence_on_dense_data": FEW,
    "check_regressor_multioutput": FEW,
}
OWN = [[0, 1], [2, 3], [4, 5], [0, 5], [1, 2], [3, 4]]


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(3)
    X, f = rng.standard_normal((80, 6)), rng.standard_normal((80, 1))
    B = np.zeros((6, 6))
    for j, at in enumerate(OWN):
        B[at, j] = rng.standard_normal(2)
    Y = 1.0 + X @ B + f * rng.uniform(0.5, 1.5, 6) + rng.standard_normal((80, 6))
    return X, Y


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks():
    found = check_estimator(
        LowRankSURRegressor(), expected_failed_checks=EXEMPT, on_fail=None, on_skip=None
    )
    status = {one["check_name"]: one["status"] for one in found}
    assert [name for name, how in status.items() if how == "failed"] == []
    assert {name for name, how in status.items() if how == "xfail"} == set(EXEMPT)
    assert sum(how == "passed" for how in status.values()) > 45


def test_is_the_model(drawn):
    X, Y = drawn
    one = LowRankSURRegressor(1, columns=OWN).fit(X, Y)
    designs = [np.column_stack([np.ones(80), X[:, at]]) for at in OWN]
    res = LowRankSUR(Y, designs, rank=1).fit(n_starts=1)
    for j, at in enumerate(OWN):
        np.testing.assert_allclose(one.intercept_[j], res.params.iloc[3 * j], rtol=1e-9)
        np.testing.assert_allclose(one.coef_[j, at], res.params.iloc[3 * j + 1 : 3 * j + 3])
        assert np.count_nonzero(one.coef_[j]) == 2
    np.testing.assert_allclose(one.predict(X), res.fittedvalues, atol=1e-10)
    assert (one.rank_, one.n_features_in_) == (1, 6)
    assert one.n_iter_ == res.mle_retvals["iterations"]
    assert abs(one.coef_[0, 0] - LinearRegression().fit(X[:, :2], Y[:, 0]).coef_[0]) > 1e-4


def test_shared_columns_are_least_squares(drawn):
    X, Y = drawn
    ols = LinearRegression().fit(X, Y)
    one = LowRankSURRegressor(1).fit(X, Y)
    np.testing.assert_allclose(one.coef_, ols.coef_, atol=1e-9)
    np.testing.assert_allclose(one.intercept_, ols.intercept_, atol=1e-9)
    bare = LowRankSURRegressor(1, fit_intercept=False).fit(X, Y)
    np.testing.assert_allclose(
        bare.coef_, LinearRegression(fit_intercept=False).fit(X, Y).coef_, atol=1e-9
    )
    assert not bare.intercept_.any()


def test_one_output(drawn):
    X, Y = drawn
    one = LowRankSURRegressor().fit(X, Y[:, 0])
    assert (one.coef_.shape, one.predict(X).shape, one.rank_) == ((6,), (80,), 0)


def test_weights(drawn):
    X, Y = drawn
    w = np.linspace(0.2, 2.0, 80)
    ols = LinearRegression().fit(X, Y, sample_weight=w)
    one = LowRankSURRegressor(1).fit(X, Y, sample_weight=w)
    np.testing.assert_allclose(one.coef_, ols.coef_, atol=1e-9)


def test_names(drawn):
    X, Y = drawn
    X, Y = pd.DataFrame(X, columns=list("abcdef")), pd.DataFrame(Y, columns=list("uvwxyz"))
    named = {out: [X.columns[i] for i in at] for out, at in zip(Y, OWN, strict=True)}
    one = LowRankSURRegressor(1, columns=named).fit(X, Y)
    plain = LowRankSURRegressor(1, columns=OWN).fit(X.to_numpy(), Y.to_numpy())
    np.testing.assert_allclose(one.coef_, plain.coef_, atol=1e-12)
    assert one.results_.params["v_c"] == one.coef_[1, 2]
    with pytest.raises(ValueError, match="feature names"):
        one.predict(X[list("fedcba")])


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")
def test_clone_pipeline_grid_and_pickle(drawn):
    X, Y = drawn
    one = LowRankSURRegressor(1, columns=OWN)
    assert clone(one).get_params() == one.get_params()
    pipe = make_pipeline(StandardScaler(), one)
    assert cross_val_score(pipe, X, Y, cv=3).shape == (3,)
    grid = GridSearchCV(one, {"rank": [0, 1, 2]}, cv=3).fit(X, Y)
    assert grid.best_params_["rank"] in (1, 2)
    assert not np.isnan(grid.cv_results_["mean_test_score"]).any()
    again = pickle.loads(pickle.dumps(grid.best_estimator_))
    np.testing.assert_array_equal(again.predict(X), grid.predict(X))


def test_grids_over_criteria():
    truth = simulate_sur(120, 8, p=3, rank=2, rng=1)
    X = np.column_stack([x[:, 1:] for x in truth.exog])
    columns = [list(range(2 * j, 2 * j + 2)) for j in range(8)]
    one = LowRankSURRegressor("auto", columns=columns).fit(X, truth.endog)
    designs = [np.column_stack([np.ones(120), X[:, at]]) for at in columns]
    model = LowRankSUR(truth.endog, designs)
    assert one.rank_ == model.rank > 0
    assert one.results_.model.rank_method == "auto"


@pytest.mark.parametrize(
    ("columns", "error", "word"),
    [
        (OWN[:3], OptionError, "each of 6 outputs, got 3"),
        ([*OWN[:5], [0, 6]], SystemInputError, "no column 6"),
        ([*OWN[:5], [0, True]], SystemInputError, "no column True"),
        ([*OWN[:5], ["g"]], SystemInputError, "no column 'g'"),
        ({0: [1]}, OptionError, "list for each of the outputs"),
    ],
)
def test_columns_that_cannot_be(drawn, columns, error, word):
    with pytest.raises(error, match=word):
        LowRankSURRegressor(1, columns=columns).fit(*drawn)


def test_what_the_model_refuses_is_a_value_error(drawn):
    with pytest.raises(IllegalRankError):
        LowRankSURRegressor(5).fit(*drawn)
