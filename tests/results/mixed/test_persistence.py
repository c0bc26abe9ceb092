"""Results of mixed models saved, without data, and of chunks."""

import copy
import io
import pickle

import numpy as np
import pytest

from sm_alsgls.exceptions import DataRemovedError
from tests.models.mixed.data import frame, made

pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")


@pytest.fixture(scope="module")
def data():
    return frame(40)


def same(one, other):
    for name in ("params", "bse", "pvalues", "cov_re", "bse_re", "sd_re", "llf", "aic"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-10)
    np.testing.assert_allclose(
        one.random_effects_frame(), other.random_effects_frame(), rtol=1e-10, atol=1e-12
    )


def without_time(res):
    lines = str(res.summary()).splitlines()
    return [line for line in lines if not line.startswith(("Time:", "Date:"))]


@pytest.mark.parametrize("cov_type", [None, "nonrobust", "CR2", "kenward-roger"])
def test_saved_results_are_the_same(data, cov_type):
    res = made(data, 1).fit(cov_type=cov_type)
    file = io.BytesIO()
    res.save(file)
    file.seek(0)
    again = type(res).load(file)
    same(again, res)
    assert without_time(again) == without_time(res)
    new = data.iloc[:5]
    for level in ("population", "group"):
        one, two = (r.get_prediction(new, level=level).summary_frame() for r in (again, res))
        np.testing.assert_allclose(one, two, rtol=1e-10)
    same(pickle.loads(pickle.dumps(res)), res)
    same(copy.deepcopy(res), res)


def test_without_rows_what_is_of_groups_is_there(data):
    res, whole = made(data, 1).fit(), made(data, 1).fit()
    res.remove_data()
    same(res, whole)
    assert without_time(res) == without_time(whole)
    new = data.iloc[:5]
    one, two = (r.get_prediction(new, level="group").summary_frame() for r in (res, whole))
    np.testing.assert_allclose(one, two, rtol=1e-10)
    one, two = (r.wald_test("x1 = x2 = 0", scalar=True) for r in (res, whole))
    assert one.pvalue == pytest.approx(two.pvalue)
    robust, other = (r.get_robustcov_results("CR2") for r in (res, whole))
    np.testing.assert_allclose(robust.bse, other.bse)
    _needs_rows(res)


def test_of_chunks_is_the_same(data):
    parts = iter([data.iloc[i : i + 50] for i in range(0, len(data), 50)])
    res, whole = made(parts, 1).fit(), made(data, 1).fit()
    np.testing.assert_allclose(res.params, whole.params, rtol=1e-6)
    np.testing.assert_allclose(
        res.random_effects_frame(), whole.random_effects_frame(), rtol=1e-4, atol=1e-5
    )
    one, two = (r.predict(data.iloc[:5], level="group") for r in (res, whole))
    np.testing.assert_allclose(one, two, rtol=1e-5)
    assert "No. Groups:" in str(res.summary())
    _needs_rows(res)


def _needs_rows(res):
    for name in ("resid", "fittedvalues"):
        assert not hasattr(res, name)
    for call in (res.predict, res.get_prediction, res.augment):
        with pytest.raises(DataRemovedError):
            call()


def test_another_covariance_keeps_the_effects(data):
    res = made(data, 1).fit()
    _ = res.random_effects, res.bse
    robust = res.get_robustcov_results("CR2")
    assert robust.cov_type == "cluster"
    assert not np.allclose(robust.bse, res.bse)
    # The same object: O(m q^3) is not done again.
    known = [r.estimate.known for r in (res, robust)]
    name = next(key for key in known[0] if key.endswith("effects_of_groups"))
    assert known[0][name] is known[1][name]
