"""Progress bars say where a fit and its standard errors are, and change nothing."""

import pickle

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core import information
from tests.systems import simulate

tqdm = pytest.importorskip("tqdm.auto")


@pytest.fixture
def shown(monkeypatch):
    """Every bar that is made, silenced."""
    bars = []

    class Bar(tqdm.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "file": open("/dev/null", "w")})  # noqa: SIM115
            bars.append(self)

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    return bars


def test_sweeps_are_counted_and_passed_on(shown):
    X, Y, _ = simulate(60, 6, 3, 1, seed=1)
    seen = []
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=3, progress=True, callback=seen.append)
    (bar,) = shown
    assert bar.n == sum(sweep.sweep > 0 for sweep in seen) > 0
    plain = LowRankSUR(Y, X, rank=1).fit(n_starts=3)
    np.testing.assert_array_equal(res.params, plain.params)


@pytest.mark.parametrize("route", ["dense", "dual", "cg"])
def test_standard_errors_count_equations(shown, route, monkeypatch):
    X, Y, _ = simulate(60, 6, 3, 1, seed=1)
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1, progress=True)
    monkeypatch.setattr(information.CoefficientCovariance, "route", route)
    bse = res.bse
    assert [bar.n for bar in shown[1:]] == [6] * (2 if route == "dual" else 1)
    plain = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    assert plain._results._covariance.progress is None
    np.testing.assert_allclose(bse, plain.bse, rtol=1e-9)
    assert len(pickle.loads(pickle.dumps(res)).params) == len(res.params)


def test_the_whole_covariance_of_many_coefficients_is_refused(monkeypatch):
    X, Y, _ = simulate(60, 6, 3, 1, seed=1)
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    monkeypatch.setattr("sm_alsgls.results.coefficients.LARGEST", len(res.params) - 1)
    with pytest.raises(ValueError, match=r"18 x 18 matrix.*equations\[name\]"):
        res.cov_params()
    assert res.equations["y1"].cov_params().shape == (3, 3)
