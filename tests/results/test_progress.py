"""Progress bars say where a fit and its standard errors are, and change nothing."""

import io
import pickle

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core.beta import information
from sm_alsgls.core.maximise.als import Sweep
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.progress import ProgressBars
from tests.systems import simulate

tqdm = pytest.importorskip("tqdm.auto")


@pytest.fixture
def shown(monkeypatch):
    """Every bar that is made, silenced."""
    bars = []

    class Bar(tqdm.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "file": io.StringIO()})
            bars.append(self)

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    return bars


@pytest.mark.parametrize("n_starts", [3, 9, "auto"])
def test_starts_are_counted_of_a_total_and_sweeps_passed_on(shown, n_starts):
    X, Y, _ = simulate(60, 6, 3, 1, seed=1)
    seen = []
    model = LowRankSUR(Y, X, rank=1)
    res = model.fit(n_starts=n_starts, progress=True, callback=seen.append)
    (bar,) = shown
    opened = sum(sweep.sweep == 0 for sweep in seen)
    assert bar.n == opened == len(res.mle_retvals["starts"])
    assert bar.total == (5 if n_starts == "auto" else n_starts) >= opened
    assert len(seen) > opened


def test_shared_regressors_and_saddles_stay_in_the_total(shown):
    X, Y, _ = simulate(60, 6, 3, 1, seed=1)
    LowRankSUR(Y, X[0], rank=1).fit(progress=True)
    assert 0 < shown[0].n <= shown[0].total == 4
    more = ProgressBars(1)
    for sweep in (0, 1, 0, 1):
        more.watching(None)(Sweep(*[0.0] * len(Sweep._fields))._replace(sweep=sweep))
    assert shown[1].n == shown[1].total == 2
    more.close()


def test_they_change_nothing(shown):
    X, Y, _ = simulate(60, 6, 3, 1, seed=1)
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=3, progress=True)
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
    assert covariance(plain.estimate).progress is None
    np.testing.assert_allclose(bse, plain.bse, rtol=1e-9)
    assert len(pickle.loads(pickle.dumps(res)).params) == len(res.params)


def test_the_whole_covariance_of_many_coefficients_is_refused(monkeypatch):
    X, Y, _ = simulate(60, 6, 3, 1, seed=1)
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    monkeypatch.setattr("sm_alsgls.results.coefficients.LARGEST", len(res.params) - 1)
    with pytest.raises(ValueError, match=r"18 x 18 matrix.*equations\[name\]"):
        res.cov_params()
    assert res.equations["y1"].cov_params().shape == (3, 3)
