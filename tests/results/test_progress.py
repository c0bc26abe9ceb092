"""Progress bars say where a fit and its standard errors are, and change nothing."""

import io
import pickle
import sys
import warnings

import numpy as np
import pytest

from sm_alsgls import LowRank3SLS, LowRankMixedLM, LowRankPanel, LowRankSUR, select_rank
from sm_alsgls.core.beta import information
from sm_alsgls.core.maximise.als import Sweep
from sm_alsgls.datasets import load_grunfeld, load_klein, load_sleepstudy
from sm_alsgls.results import progress
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


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Somebody who looks, and a clock that three seconds pass on at every look."""
    now = iter(range(10**6))
    monkeypatch.setattr(progress, "perf_counter", lambda: 3.0 * next(now))
    monkeypatch.setattr(progress, "watched", lambda: True)


def _sur(**options):
    X, Y, _ = simulate(60, 6, 3, 1, seed=1)
    return LowRankSUR(Y, X, rank=1).fit(n_starts=3, **options)


def _mixed():
    return LowRankMixedLM.from_formula(
        "Reaction ~ Days", load_sleepstudy(), groups="Subject", re_formula="~Days", rank="full"
    )


def _klein(**options):
    formulas = {
        "consump": "consump ~ corpProf + corpProfLag + wages",
        "invest": "invest ~ corpProf + corpProfLag + capitalLag",
    }
    listed = "~ govExp + taxes + govWage + trend + capitalLag + corpProfLag + gnpLag"
    model = LowRank3SLS.from_formula(formulas, load_klein(), instruments=listed, rank="full")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(iterate=True, **options)


def _panel(**options):
    model = LowRankPanel.from_formula(
        "invest ~ value + capital", load_grunfeld(), entity="firm", time="year", rank=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(**options)


# What takes long, of each model; what it says, and of how many steps.
LONG = {
    "SUR": (_sur, "starts", 3),
    "panel": (_panel, "starts", None),
    "3SLS": (_klein, "rounds", 500),
    "mixed": (lambda **options: _mixed().fit(**options), "starts", 8),
    "rank": (lambda **options: select_rank(_sur().model, "bic", **options), "candidate ranks", 4),
    "structure": (lambda **options: select_rank(_mixed(), **options), "structures", None),
    "bootstrap": (lambda **options: _sur().bootstrap(5, rng=1, **options), "bootstrap", 5),
    "pairs": (lambda **options: _klein().bootstrap(5, rng=1, **options), "bootstrap", 5),
    "draws": (lambda **options: _mixed().fit().bootstrap(4, rng=1, **options), "bootstrap", 4),
    "variance": (
        lambda **options: (
            _mixed().fit().variance_test("Days", method="bootstrap", reps=4, rng=1, **options)
        ),
        "draws",
        4,
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("which", LONG)
def test_what_takes_long_says_so_by_itself(which, clock, monkeypatch, capsys):
    make, what, total = LONG[which]
    # One line where tqdm is not there.
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    make()
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith(what)]
    assert said
    assert "after 2 seconds; progress=False" in said[0]
    if total is not None:
        assert f" of {total} (" in said[-1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("which", LONG)
def test_false_is_silent_and_so_is_a_file(which, clock, monkeypatch, capsys):
    make, what, _ = LONG[which]
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    make(progress=False)
    # Fits on the way, which were not asked to be silent, speak of theirs.
    assert what not in capsys.readouterr().err
    monkeypatch.undo()
    assert not progress.watched()
    make()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("which", ["SUR", "bootstrap", "mixed", "rank"])
def test_after_two_seconds_there_is_a_bar(which, shown, clock, capsys):
    make, what, total = LONG[which]
    make()
    bars = [bar for bar in shown if bar.desc.startswith(what)]
    assert bars
    assert bars[-1].total >= bars[-1].n > 0
    if total is not None:
        assert bars[-1].total == total
    assert capsys.readouterr().err == ""


def test_what_is_quick_says_nothing(shown, monkeypatch, capsys):
    monkeypatch.setattr(progress, "watched", lambda: True)
    monkeypatch.setattr(progress, "_PATIENCE", 60.0)
    _sur()
    assert not shown
    assert capsys.readouterr().err == ""


def test_a_notebook_is_looked_at(monkeypatch):
    class ZMQInteractiveShell:
        pass

    class IPython:
        get_ipython = staticmethod(ZMQInteractiveShell)

    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert not progress.watched()
    monkeypatch.setitem(sys.modules, "IPython", IPython)
    assert progress.watched()
    monkeypatch.undo()
    monkeypatch.setattr("sys.stderr", Terminal())
    assert progress.watched()


def test_without_tqdm_true_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="pip install tqdm"):
        _sur(progress=True)


def test_a_callback_beside_it_still_ends_a_fit(clock, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = _mixed().fit(callback=lambda step: step.step >= 1)
    assert not res.converged
