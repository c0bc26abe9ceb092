"""``model.predict(params, exog)``: the results' prediction at any coefficients."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import DataRemovedError, OptionError
from tests.systems import simulate


@pytest.fixture(scope="module")
def arrays():
    X, Y, _ = simulate(40, 3, 3, 0)
    endog = pd.DataFrame(Y, columns=list("abc"), index=pd.RangeIndex(100, 140))
    return LowRankSUR(endog, [X[0], X[1][:, :2], X[2]], rank=0).fit()


@pytest.fixture(scope="module")
def data():
    return load_grunfeld()


@pytest.fixture(scope="module")
def panel(data):
    return LowRankSUR.from_formula(
        "invest ~ value + capital", data, groups="firm", time="year", rank=2
    ).fit()


def test_at_the_estimates_it_is_fittedvalues(arrays, panel):
    for res in (arrays, panel):
        pd.testing.assert_frame_equal(res.model.predict(res.params), res.fittedvalues)
        pd.testing.assert_frame_equal(res.model.predict(res.params.to_numpy()), res.fittedvalues)


def test_at_other_coefficients(arrays):
    params = np.arange(8.0)
    X = arrays.model.exog
    expected = np.column_stack([X[0] @ params[:3], X[1] @ params[3:5], X[2] @ params[5:]])
    assert_allclose(arrays.model.predict(params), expected)
    one = arrays.model.predict(params, equations="b")
    assert_allclose(one["b"], expected[:, 1])


def test_new_regressors_in_every_form_of_results(arrays, panel, data):
    rng = np.random.default_rng(1)
    designs = [rng.standard_normal((5, p)) for p in (3, 2, 3)]
    for exog in (designs, dict(zip("abc", designs, strict=True))):
        assert_allclose(arrays.model.predict(arrays.params, exog), arrays.predict(exog))
    new = data.sample(20, random_state=0)
    pd.testing.assert_series_equal(panel.model.predict(panel.params, new), panel.predict(new))
    twice = panel.model.predict(2.0 * panel.params, new, equations=["IBM"])
    assert_allclose(twice, 2.0 * panel.predict(new, equations=["IBM"]))
    names = panel.model.equations
    design = dict.fromkeys(names, np.ones((2, 3)))
    assert_allclose(
        panel.model.predict(panel.params, design, transform=False),
        panel.predict(design, transform=False),
    )


def test_errors(arrays):
    with pytest.raises(OptionError, match="params must hold 8 coefficients"):
        arrays.model.predict(np.ones(3))
    with pytest.raises(OptionError, match="params is not finite for 'a_x1'"):
        arrays.model.predict(np.array([0, np.nan, 0, 0, 0, 0, 0, 0]))


def test_without_data(data):
    res = LowRankSUR.from_formula(
        "invest ~ value + capital", data, groups="firm", time="year", rank=1
    ).fit()
    expected = res.predict(data.tail(3))
    res.remove_data()
    pd.testing.assert_series_equal(res.model.predict(res.params, data.tail(3)), expected)
    with pytest.raises(DataRemovedError):
        res.model.predict(res.params)
