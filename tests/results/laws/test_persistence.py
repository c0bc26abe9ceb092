"""Results with laws in a file, copied, and without their data."""

import copy
import io
import pickle

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import DataRemovedError
from tests.results.laws.fits import CASES, LAWS, WITH_LAG, fitted, new_data


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.slow
def test_a_pickle_and_a_copy_are_the_same_results(name):
    res = fitted(name)
    file = io.BytesIO()
    res.save(file)
    file.seek(0)
    alone, ahead, drawn = res.leave_one_out(), res.get_prediction(), res.bootstrap(2, rng=1)
    one, two, three = pickle.loads(pickle.dumps(res)), copy.deepcopy(res), type(res).load(file)
    for again in (one, two, three):
        np.testing.assert_array_equal(again.law_params(), res.law_params())
        np.testing.assert_array_equal(again.bse, res.bse)
        np.testing.assert_array_equal(again.leave_one_out(), alone)
        np.testing.assert_allclose(again.get_prediction().se_obs, ahead.se_obs)
    # Of what went all three ways: replicates are fits, and cost as much.
    last = copy.deepcopy(pickle.loads(pickle.dumps(three)))
    np.testing.assert_allclose(last.bootstrap(2, rng=1).law_params, drawn.law_params)
    made = pickle.loads(pickle.dumps(ahead))
    np.testing.assert_array_equal(made.se_mean, ahead.se_mean)


@pytest.mark.parametrize("name", LAWS)
def test_what_needs_no_data_goes_on_without(name):
    res, data = fitted(name), new_data(name)
    less = copy.deepcopy(res)
    less.remove_data()
    for again in (less, pickle.loads(pickle.dumps(less))):
        np.testing.assert_array_equal(again.law_params(), res.law_params())
        np.testing.assert_array_equal(again.bse, res.bse)
        np.testing.assert_allclose(again.cov_params(), res.cov_params(), rtol=1e-12)
        tables = [[t.as_text() for t in r.summary().tables[1:]] for r in (again, res)]
        assert tables[0] == tables[1]
        assert (again.llf, again.aic, again.df_model) == (res.llf, res.aic, res.df_model)
        if name in WITH_LAG:
            np.testing.assert_allclose(again.spatial_effects(), res.spatial_effects(), rtol=1e-9)
        if CASES[name].units:
            # Which unit a row is only the data say.
            with pytest.raises(DataRemovedError):
                again.get_prediction(data)
        else:
            expected = res.get_prediction(data).summary_frame()
            np.testing.assert_allclose(
                again.get_prediction(data).summary_frame(), expected, rtol=1e-9
            )
        for gone in (
            lambda r: r.resid, lambda r: r.bootstrap(2), lambda r: r.leave_one_out(),
            lambda r: r.impute(), lambda r: r.get_prediction(), lambda r: r.augment(),
        ):  # fmt: skip
            with pytest.raises(DataRemovedError):
                gone(again)
        if not CASES[name].units:
            with pytest.raises(DataRemovedError):
                again.forecast(data)
    assert less.model.laws.times is None
    assert less.model.laws.scale is None


def test_nothing_holds_the_data_twice():
    N, K = 400, 8
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((N, 4)) for _ in range(K)]
    Y = np.column_stack([x.sum(axis=1) for x in X]) + rng.standard_normal((N, K))
    z = rng.standard_normal((N, 1))
    size = Y.nbytes + sum(x.nbytes for x in X)
    res = LowRankSUR(Y, X, 0, ar="common", row_scale=z).fit(reml=False)
    before = len(pickle.dumps(res))
    assert before < 2.0 * size
    _ = res.augment(), res.leave_one_out(), res.get_prediction()
    # Residuals and variances (N, K) that are kept, and no designs: those are 4 K columns.
    assert len(pickle.dumps(res)) < before + 0.7 * size
    res.remove_data()
    assert len(pickle.dumps(res)) < 0.4 * size
