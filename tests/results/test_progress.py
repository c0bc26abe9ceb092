"""Progress bars say where a fit and its standard errors are, and change nothing."""

import inspect
import io
import pickle
import sys
import warnings
from functools import cache, partial

import numpy as np
import pytest

from sm_alsgls import (
    LowRank3SLS,
    LowRank3SLSResults,
    LowRankMixedLM,
    LowRankMixedLMResults,
    LowRankPanel,
    LowRankPanelResults,
    LowRankSUR,
    LowRankSURResults,
    progress,
    select_rank,
)
from sm_alsgls.core.beta import information
from sm_alsgls.core.maximise.als import Sweep
from sm_alsgls.datasets import load_grunfeld, load_klein, load_sleepstudy
from sm_alsgls.diagnostics import diagonality_test, rank_test, sufficiency_test
from sm_alsgls.progress import asking, counted
from sm_alsgls.results.progress import StartsOfSweeps
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
    with asking(True), StartsOfSweeps(1) as more:
        for sweep in (0, 1, 0, 1):
            more.watching(None)(Sweep(*[0.0] * len(Sweep._fields))._replace(sweep=sweep))
        assert shown[1].n == shown[1].total == 2


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


@cache
def _sur_model():
    X, Y, _ = simulate(60, 6, 3, 1, seed=1)
    return LowRankSUR(Y, X, rank=1)


def _sur(**options):
    return _sur_model().fit(n_starts=3, **options)


@cache
def _mixed(**options):
    return LowRankMixedLM.from_formula(
        "Reaction ~ Days",
        load_sleepstudy(),
        groups="Subject",
        re_formula="~Days",
        rank="full",
        **options,
    )


@cache
def _klein_model():
    formulas = {
        "consump": "consump ~ corpProf + corpProfLag + wages",
        "invest": "invest ~ corpProf + corpProfLag + capitalLag",
    }
    listed = "~ govExp + taxes + govWage + trend + capitalLag + corpProfLag + gnpLag"
    return LowRank3SLS.from_formula(formulas, load_klein(), instruments=listed, rank="full")


def _klein(**options):
    return _klein_model().fit(iterate=True, **options)


@cache
def _panel_model(**options):
    return LowRankPanel.from_formula(
        "invest ~ value + capital", load_grunfeld(), entity="firm", time="year", rank=1, **options
    )


def _panel(**options):
    return _panel_model().fit(**options)


@cache
def _of(make, **options):
    """Results of a fit that says nothing."""
    with asking(False):
        return make(**options)


@cache
def _of_laws():
    return _panel_model(effects="entity", ar="common").fit(n_starts=1)


def _drawn(**options):
    return _mixed().fit().variance_test("Days", method="bootstrap", reps=4, rng=1, **options)


# What takes long, of each kind, as it is called; what it says, and of how many steps.
LONG = {
    "LowRankSUR.fit": (_sur, "starts", 3),
    "LowRankPanel.fit": (_panel, "starts", None),
    "LowRankPanel.fit, laws": (lambda **o: _panel_model(ar="common").fit(**o), "starts", None),
    "LowRank3SLS.fit": (_klein, "rounds", 500),
    "LowRankMixedLM.fit": (lambda **o: _mixed().fit(**o), "starts", 8),
    "select_rank": (lambda **o: select_rank(_sur_model(), "bic", **o), "candidate ranks", 4),
    "select_rank, residuals": (
        lambda **o: select_rank(_klein_model(), "bic_ols", candidates=[0], **o),
        "candidate ranks",
        1,
    ),
    "select_rank, robust": (
        lambda **o: select_rank(_sur_model(), "bic_robust", **o),
        "candidate ranks",
        4,
    ),
    "select_rank, folds": (lambda **o: select_rank(_sur_model(), "cv", folds=3, **o), "folds", 3),
    "LowRankMixedLM.select_rank": (lambda **o: select_rank(_mixed(), **o), "structures", None),
    "LowRankSURResults.bootstrap": (
        lambda **o: _of(_sur).bootstrap(5, rng=1, **o),
        "bootstrap",
        5,
    ),
    "LowRankPanelResults.bootstrap, laws": (
        lambda **o: _of_laws().bootstrap(2, rng=1, **o),
        "bootstrap",
        2,
    ),
    "LowRank3SLSResults.bootstrap": (
        lambda **o: _of(_klein).bootstrap(5, rng=1, **o),
        "bootstrap",
        5,
    ),
    "LowRankMixedLMResults.bootstrap": (
        lambda **o: _mixed().fit().bootstrap(4, rng=1, **o),
        "bootstrap",
        4,
    ),
    "LowRank3SLSResults.wild_test": (
        lambda **o: _of(_klein).wild_test("invest_corpProf", reps=5, rng=1, **o),
        "bootstrap",
        5,
    ),
    "LowRankMixedLMResults.variance_test": (_drawn, "draws", 4),
    "LowRankMixedLMResults.conf_int_re": (
        lambda **o: _mixed().fit().conf_int_re(**o),
        "intervals",
        4,
    ),
    "LowRankMixedLMResults.conf_int_fe": (
        lambda **o: _mixed().fit().conf_int_fe(**o),
        "intervals",
        2,
    ),
    "LowRankSURResults.law_intervals": (
        lambda **o: _of_laws().law_intervals(**o),
        "profile intervals",
        1,
    ),
    "LowRankSURResults.law_tests": (lambda **o: _of_laws().law_tests(**o), "tests of laws", 1),
    "LowRankPanelResults.random_effects_test": (
        lambda **o: _of(_panel).random_effects_test(**o),
        "starts",
        None,
    ),
    "diagonality_test": (lambda **o: diagonality_test(_of(_sur), reps=9, **o), "draws", 9),
    "diagonality_test, wild": (
        lambda **o: diagonality_test(_of(_sur), "lm_robust", reps=9, **o),
        "draws",
        9,
    ),
    "rank_test": (lambda **o: rank_test(_of(_sur), **o), "starts", None),
    "rank_test, draws": (lambda **o: rank_test(_of(_sur), reps=9, **o), "draws", 9),
    "sufficiency_test": (lambda **o: sufficiency_test(_of(_sur), **o), "iterated SUR", 2000),
}
CLASSES = [
    (LowRankSUR, LowRankSURResults),
    (LowRankPanel, LowRankPanelResults),
    (LowRank3SLS, LowRank3SLSResults),
    (LowRankMixedLM, LowRankMixedLMResults),
]


def _public():
    """Everything public that is called, by name; what a class inherits unchanged once."""
    seen = {}
    for kind in [one for pair in CLASSES for one in pair]:
        for name, member in inspect.getmembers(kind, callable):
            if not name.startswith("_") and inspect.unwrap(member) not in seen.values():
                seen[f"{kind.__name__}.{name}"] = inspect.unwrap(member)
    functions = [select_rank, diagonality_test, rank_test, sufficiency_test]
    return {**seen, **{function.__name__: function for function in functions}}


def test_whatever_draws_folds_or_starts_has_progress_and_is_listed_here():
    loops = {"reps", "folds", "n_starts", "n_jobs", "iterate", "maxiter"}
    listed = {key.split(",")[0] for key in LONG}
    for name, function in _public().items():
        parameters = inspect.signature(function).parameters
        if loops & set(parameters):
            assert "progress" in parameters, name
        if "progress" in parameters:
            assert name in listed, name
            assert parameters["progress"].kind is inspect.Parameter.KEYWORD_ONLY


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
    assert what not in capsys.readouterr().err or "fit()" in inspect.getsource(make)
    monkeypatch.undo()
    assert not progress.watched()
    make()
    assert capsys.readouterr().err == ""


def _se(model, *args, **options):
    def make(progress=None):
        model().fit(progress=progress).get_robustcov_results(*args, **options).pvalues  # noqa: B018

    return make


# Standard errors, which have no argument of their own: they say what the fit was asked to say.
SLOW_ERRORS = {
    "dual or not": (lambda progress=None: _sur_model().fit(progress=progress).bse, None),
    "HAC": (_se(_sur_model, "HAC", maxlags=4), "standard errors"),
    "CR2": (_se(_sur_model, "cluster", groups=np.repeat(range(20), 3)), "small-sample"),
    "KH": (_se(_sur_model, "KH"), "standard errors"),
    "3SLS, HC3": (_se(_klein_model, "HC3"), "standard errors"),
    "Satterthwaite": (_se(partial(_mixed, ar="groups"), "satterthwaite"), "information"),
    "Kenward-Roger": (_se(_mixed, "kenward-roger"), "Kenward and Roger"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("which", SLOW_ERRORS)
def test_standard_errors_say_what_the_fit_was_asked_to(which, clock, monkeypatch, capsys):
    make, what = SLOW_ERRORS[which]
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    make(progress=False)
    assert capsys.readouterr().err == ""
    make()
    assert (what or "standard errors") in capsys.readouterr().err


def test_rank_auto_says_so_while_a_model_is_made(clock, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    X, Y, _ = simulate(60, 6, 3, 1, seed=1)
    LowRankSUR(Y, X, rank="auto")
    assert capsys.readouterr().err.startswith("candidate ranks: ")


def test_loops_within_open_the_outer_bar_and_show_none_of_their_own(clock, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    for _ in counted(range(2), "outer", unit="step"):
        list(counted(range(3), "inner"))
    # Though no step of it was over.
    assert capsys.readouterr().err.startswith("outer: 0 of 2 (step) after 2 seconds")


def test_a_loop_that_is_left_early_is_over(clock, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    for step in counted(range(9), "left", unit="step"):
        if step == 1:
            break
    for _ in counted(range(2), "after", unit="step"):
        pass
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in said] == ["left", "after"]


def test_workers_are_silent(monkeypatch, capfd):
    X, Y, _ = simulate(60, 6, 3, 1, seed=1)
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    monkeypatch.setattr(progress, "watched", lambda: True)
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    res.bootstrap(8, n_jobs=2, rng=1)
    said = capfd.readouterr().err.splitlines()
    # The latter are the fit's own, which replicates are compared with.
    assert [line.split(":")[0] for line in said] == ["bootstrap", "standard errors"]


@pytest.mark.parametrize(
    "which", ["LowRankSUR.fit", "LowRankSURResults.bootstrap", "LowRankMixedLM.fit", "select_rank"]
)
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


def test_a_notebook_without_widgets_gets_a_bar_and_no_advice(monkeypatch):
    """tqdm.auto warns there, with the path of its own file."""
    notebook = pytest.importorskip("tqdm.notebook")

    class IPython:
        get_ipython = staticmethod(object)

    monkeypatch.setattr(notebook, "IProgress", None)
    monkeypatch.setitem(sys.modules, "IPython", IPython)
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", None)
    for name in ("tqdm.auto", "tqdm.autonotebook"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with progress.bar(desc="draws", total=2, file=io.StringIO()) as shown:
            shown.update()
    assert not said
    assert shown.n == 1


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


def test_warnings_of_a_fit_are_about_the_line_that_called_it():
    rng = np.random.default_rng(0)
    x, e = rng.standard_normal((3, 12, 2)), rng.standard_normal((12, 3))
    made = {
        "no factor": lambda: LowRankSUR(e[:, :2], list(x[:2]), rank="auto").fit(),
        "Heywood": lambda: LowRankSUR(e + e[:, :1] * [9, 9, 0], list(x), rank=1).fit(),
        "unconverged": lambda: LowRankSUR(e, list(x), rank=1).fit(max_sweeps=1, n_starts=1),
        "weak": lambda: LowRank3SLS(e, list(x), list(x[::-1]), rank=0).fit(),
    }
    for name, make in made.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            make()
        assert caught, name
        assert {one.filename for one in caught} == {__file__}, name
