"""wild_test() of LowRank3SLS: which coefficient, which t, and what it says."""

import numpy as np
import pytest

from sm_alsgls import LowRank3SLS
from sm_alsgls.core.instruments.partialled import partial_out
from sm_alsgls.core.instruments.wild_restricted import rademacher, wild_test
from sm_alsgls.exceptions import (
    DataRemovedError,
    InstrumentError,
    InsufficientRowsError,
    NotApplicableError,
    OptionError,
)
from tests.core.instruments.twin import system

pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.WeakInstrumentWarning"),
]
N = 60


def model(rank=1, seed=0, **kwds):
    q, p = (3, 4, 3, 5, 3, 3, 4), (2, 2, 3, 3, 2, 2, 2)
    X, Z, Y, *_ = system(np.random.default_rng(seed), N=N, K=7, q=q, p=p, strength=0.7)
    return LowRank3SLS(Y, X, Z, rank=rank, **kwds)


@pytest.fixture(scope="module")
def res():
    return model().fit()


def seeds(reps):
    entropy = np.random.default_rng(0).integers(0, 2**63, 2).tolist()
    return np.random.SeedSequence(entropy).spawn(reps)


@pytest.mark.parametrize("groups", [None, np.arange(N) // 4])
def test_of_2sls_it_is_that_of_one_equation(groups):
    w = np.random.default_rng(1).uniform(0.5, 2.0, N)
    made = model(0, weights=w)
    found = made.fit("2sls").wild_test("y3_x2", 0.7, reps=20, groups=groups)
    system_ = made.system
    part = partial_out(
        system_.used_blocks[2], system_.used_instruments[2], np.array([False, False, True])
    )
    y = system_.Y[:, 2] * np.sqrt(w / w.mean())
    units = N if groups is None else 15
    signs = np.stack([rademacher(np.random.default_rng(s), 1, units)[0] for s in seeds(20)])
    want = wild_test(y, part, 0, 0.7, signs, code=groups)
    assert found.statistic == pytest.approx(want.statistic, rel=1e-9)
    np.testing.assert_allclose(found.draws, want.draws, rtol=1e-8)
    assert found.pvalue == pytest.approx(want.pvalue)


@pytest.mark.parametrize("kwds", [
    {}, {"method": "gmm"}, {"iterate": True}, {"debiased": False},
    {"method": "gmm", "weight": "heteroskedastic"},
])  # fmt: skip
def test_t_is_that_of_the_fit(kwds):
    res = model().fit(**kwds)
    found = res.wild_test("y2_x1", 1.0, reps=30)
    t = (res.params["y2_x1"] - 1.0) / res.bse["y2_x1"]
    # Without debiasing the two are one; else bse adds what estimating Sigma does.
    tolerance = 1e-9 if kwds.get("debiased") is False else 0.15
    assert found.statistic == pytest.approx(t, rel=tolerance)
    exceed = np.sum(np.abs(found.draws) >= abs(found.statistic))
    assert found.pvalue == pytest.approx((1 + exceed) / 31)
    assert found.coef == res.params["y2_x1"]
    assert 0.5 < np.std(found.draws) < 2.5


@pytest.mark.slow
def test_what_it_says(res):
    found = res.wild_test("y2_x1", 3.0, reps=49)
    assert found.null == "the coefficient y2_x1 is 3"
    assert found.pvalue == pytest.approx(0.02)
    assert found.reps == 49
    assert repr(found).startswith("<Wild bootstrap test of y2_x1 = 3: t = -")
    text = str(found.summary())
    assert "the coefficient y2_x1 is 3" in text
    assert "3SLS under the null; one sign of +1 or -1 a row, 60 in all." in text
    assert "0.02" in text
    grouped = res.wild_test("y2_x1", 3.0, reps=9, groups=np.arange(N) // 6)
    assert "a group, 10 in all." in grouped.note
    assert "<table" in found._repr_html_()
    by_position = res.wild_test(list(res.params.index).index("y2_x1"), 3.0, reps=49)
    np.testing.assert_array_equal(by_position.draws, found.draws)


def test_the_rest_of_the_system_enters(res):
    """Not so for 2SLS, whose equations are alone."""
    found, alone = res.wild_test("y1_x1", 1.0, reps=9), model().fit("2sls").wild_test(
        "y1_x1", 1.0, reps=9
    )  # fmt: skip
    assert np.abs(found.draws - alone.draws).max() > 0.05


def test_what_it_does_not_test(res):
    with pytest.raises(InstrumentError, match="exogenous in equation 'y1'"):
        res.wild_test("y1_const")
    with pytest.raises(OptionError):
        res.wild_test("nothing")
    with pytest.raises(OptionError, match="wild_test tests one coefficient"):
        res.wild_test(["y1_x1", "y2_x1"])
    with pytest.raises(InsufficientRowsError, match="3 groups have 8 different signs"):
        res.wild_test("y1_x1", groups=np.arange(N) // 20)
    with pytest.raises(NotApplicableError, match="restricted or common"):
        model().fit_constrained("y2_x1 = y1_x1").wild_test("y1_x1")
    common = model(common=["x1"]).fit()
    with pytest.raises(OptionError, match="common to several equations, and wild_test"):
        common.wild_test("x1")
    gone = model().fit()
    gone.remove_data()
    with pytest.raises(DataRemovedError):
        gone.wild_test("y1_x1")
    with pytest.raises(DataRemovedError):
        gone.bootstrap(3)
