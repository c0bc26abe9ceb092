"""Common coefficients of systems with instruments, which are restrictions by another way."""

import numpy as np
import pytest

from sm_alsgls import LowRank3SLS
from sm_alsgls.results.first_stage import weak_instruments
from tests.core.instruments.twin import system

pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.WeakInstrumentWarning"),
]
Q, P = (3, 4, 3, 5, 3, 3, 4), (2, 2, 3, 3, 2, 2, 2)


@pytest.mark.parametrize("common", [["const"], ["x1"], ["const", "x1"], True])
@pytest.mark.parametrize(
    "kwds",
    [
        {"method": "2sls"}, {"method": "iv"}, {"method": "gmm"},
        {"method": "gmm", "weight": "heteroskedastic"},
    ],
)  # fmt: skip
def test_they_are_restrictions(common, kwds):
    """Also where the common column is not the last, and where it is exogenous."""
    X, Z, Y, *_ = system(np.random.default_rng(0), N=60, K=7, q=Q, p=P)
    names = {"const": range(1, 8), "x1": range(1, 8), "x2": (3, 4)}
    chosen = list(names) if common is True else common
    equal = [f"y{names[name][0]}_{name} = y{j}_{name}" for name in chosen for j in names[name][1:]]
    res = LowRank3SLS(Y, X, Z, rank=1, common=common).fit(**kwds)
    free = LowRank3SLS(Y, X, Z, rank=1)
    held = free.fit_constrained(equal, **kwds)
    np.testing.assert_allclose(np.concatenate(res.estimate.beta), held.params, rtol=1e-8)
    np.testing.assert_allclose(res.resid, held.resid, atol=1e-8)
    for name in chosen:
        at = f"y{names[name][0]}_{name}"
        assert res.bse[name] == pytest.approx(held.bse[at], rel=1e-7)
        for cov_type in ("HC0", "sandwich"):
            mine, other = (r.get_robustcov_results(cov_type).bse for r in (res, held))
            assert mine[name] == pytest.approx(other[at], rel=1e-7)
    own = free.fit(**kwds)
    np.testing.assert_allclose(res.first_stage.table, own.first_stage.table)
    assert weak_instruments(res.estimate) == weak_instruments(own.estimate)
    assert weak_instruments(own.estimate) == own.first_stage.warning
