"""Bad input of every kind, over every public callable: typed errors, or the right answer."""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sm_alsgls import LowRankSUR, diagnostics, select_rank, simulate_sur
from sm_alsgls.border.numbers import numbers
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    AlsglsError,
    ArgumentTypeError,
    CallableError,
    InsufficientRowsError,
    NonFiniteError,
    OptionError,
    ShapeError,
    SystemInputError,
    UnknownArgumentError,
)
from tests.border.calls import (
    FITS,
    ODD,
    arguments,
    calls,
    everything,
    made,
    outcome,
    systems,
    typed,
)

pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")
matplotlib = pytest.importorskip("matplotlib")
OF_DATA = {
    "predict",
    "get_prediction",
    "augment",
    "test_across",
    "plot_fit",
    "score",
    "loglike",
}
OF_COVARIANCE = {
    "conf_int",
    "delta_method",
    "f_test",
    "get_prediction",
    "get_robustcov_results",
    "nlcom",
    "plot_coefficients",
    "summary",
    "t_test",
    "test_across",
    "tidy",
    "wald_test",
    "wald_test_terms",
}
# Methods of these are those of Results: what differs is what data they take, or the covariance.
VARIANTS = {
    "PanelModel": OF_DATA,
    "PanelResults": OF_DATA,
    "HoledResults": OF_DATA,
    "CosineResults": OF_COVARIANCE,
}
TABLE = sorted(
    {
        (one.owner, one.name)
        for one in arguments()
        if one.owner not in VARIANTS or one.name in VARIANTS[one.owner]
    }
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    """Files that calls write go to a directory of the test; figures are not shown, nor kept."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    # What other tests left open would be closed with a warning.
    plt.close("all")
    matplotlib.use("Agg")
    yield
    plt.close("all")


@pytest.mark.parametrize(("owner", "name"), TABLE, ids=[f"{o}.{n}" for o, n in TABLE])
@pytest.mark.slow
def test_odd_values_of_every_argument(owner, name):
    raw, taken = [], []
    for one in arguments():
        if (one.owner, one.name) != (owner, name):
            continue
        annotation = str(one.parameter.annotation)
        for what, value in ODD.items():
            error = outcome(one, value)
            if not typed(error):
                raw.append(f"{one.label} {what}: {type(error).__name__}: {error}")
            elif error is None and annotation in FITS and what not in FITS[annotation]:
                taken.append(f"{one.label} of type {annotation} takes {what}")
    assert not raw + taken


def test_the_table_is_of_everything():
    found = {(one.owner, one.name, one.argument) for one in arguments()}
    for some in (
        ("sm_alsgls", "LowRankSUR", "weights"),
        ("sm_alsgls", "select_rank", "alpha"),
        ("sm_alsgls", "diagonality_test", "reps"),
        ("Model", "fit", "n_starts"),
        ("Model", "from_formula", "eval_env"),
        ("Results", "conf_int", "alpha"),
        ("Results", "get_robustcov_results", "use_t"),
        ("EquationResults", "wald_test", "cov_p"),
        ("LowRankDiag", "from_dense", "gtol"),
        ("RankSelection", "plot", "criterion"),
    ):
        assert some in found
    assert len(found) > 350


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_value_of_any_argument(data):
    one, value = data.draw(calls())
    error = outcome(one, value)
    assert typed(error), f"{one.label}: {type(error).__name__}: {error}"


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(arguments=systems())
def test_any_system(arguments):
    error = everything(*arguments)
    assert error is None, f"{type(error).__name__}: {error}"


# -- what the messages say -----------------------------------------------------------------------


def system(N=40, K=4, p=3, seed=0):
    s = simulate_sur(N, K, p, rank=1, rng=seed)
    return np.array(s.endog), [np.array(x) for x in s.exog]


Y, X = system()
MODEL, RES = made()["Model"], made()["Results"]
PANEL = {"groups": "firm", "time": "year", "rank": 1}


def raises(*args, **kwds):
    raise KeyError("x")


def broken():
    yield Y[:20], [x[:20] for x in X]
    raise OSError("no more disk")


WRONG = {
    "flag": (lambda: MODEL.fit(debiased="no"), "debiased must be True or False, got 'no'"),
    "use_t": (
        lambda: RES.get_robustcov_results("HC1", use_t=np.array([True, False])),
        "use_t must be True, False or None, got an array of shape",
    ),
    "starts": (lambda: MODEL.fit(n_starts=np.array([1, 2])), "n_starts must be 'auto' or"),
    "level": (lambda: RES.conf_int(alpha="0.05"), "alpha must be a number between 0 and 1"),
    "level of summary": (lambda: RES.summary(alpha=None), "alpha must be a number between"),
    "array as level": (lambda: RES.conf_int(alpha=np.array([0.05, 0.1])), "alpha must be"),
    "cov_type": (
        lambda: RES.get_robustcov_results("HC4"),
        r"cov_type must be one of 'nonrobust'.*; got 'HC4' \(did you mean 'HC",
    ),
    "maxlags": (lambda: RES.get_robustcov_results("HAC", maxlags="3"), "maxlags must be a number"),
    "block": (lambda: RES.bootstrap(3, "block", block_length=2.7), "block_length must be a whole"),
    "block flag": (lambda: RES.bootstrap(3, "block", block_length=True), "block_length must be a"),
    "seed": (lambda: MODEL.fit(rng=-1), "rng must be a numpy Generator, a seed"),
    "seed of bootstrap": (lambda: RES.bootstrap(3, rng="a"), "rng must be a numpy Generator"),
    "seed of simulate": (lambda: simulate_sur(20, 3, 2, 1, rng=-1), "rng must be a numpy"),
    "seed of cv": (lambda: select_rank(MODEL, "cv", rng=-1), "rng must be a numpy Generator"),
    "callback": (lambda: MODEL.fit(callback=3), "callback must be a function of a Sweep, got 3"),
    "statistic": (lambda: RES.bootstrap(3, statistic="x"), "statistic must be a function of"),
    "cov_kwds": (lambda: MODEL.fit(cov_kwds=[1]), r"cov_kwds must be a mapping such as"),
    "names": (lambda: LowRankSUR(Y, X, common=None), "common must be a name or a list of names"),
    "equations": (lambda: RES.predict(equations=0), "the system has no equation 0"),
    "no equations": (lambda: RES.summary(equations=[]), "equations is empty"),
    "equation near": (lambda: RES.summary(equations=["A"]), r"no equation 'A' \(did you mean 'a'"),
    "variable": (lambda: RES.test_across(["x"]), "variable must be the name of a regressor"),
    "weights near": (lambda: LowRankSUR(Y, X, wieghts=1), r"'wieghts' \(did you mean 'weights'"),
    "hasconst": (lambda: LowRankSUR(Y, X, hasconst=True), "has no argument 'hasconst'; use noth"),
    "groups near": (
        lambda: LowRankSUR.from_formula("invest ~ value", load_grunfeld(), group="firm"),
        r"from_formula\(\) has no argument 'group' \(did you mean 'groups'",
    ),
    "of chunks": (lambda: LowRankSUR.from_chunks([(Y, X)], wieghts=1), "did you mean 'weights'"),
    "of pairs": (lambda: LowRankSUR.from_system({"a": (Y[:, 0], X[0])}, cov_type=1), "fit.cov_ty"),
    "maxlag": (lambda: RES.get_robustcov_results("HAC", maxlag=3), "did you mean 'maxlags'"),
    "bandwidth": (lambda: RES.get_robustcov_results("HAC", bandwidth=3), "use maxlags"),
    "of another type": (lambda: RES.get_robustcov_results("HC1", maxlags=3), "is of 'HAC'"),
    "eval_env": (
        lambda: LowRankSUR.from_formula("invest ~ value", load_grunfeld(), eval_env="a", **PANEL),
        "eval_env must be a whole number .* mapping of names.*got 'a'",
    ),
    "eval_env beyond": (
        lambda: LowRankSUR.from_formula("invest ~ value", load_grunfeld(), eval_env=800, **PANEL),
        "eval_env=800: there are not so many frames",
    ),
    "chunks": (lambda: LowRankSUR.from_chunks(3), "chunks must be an iterator or a list of pairs"),
    "ragged": (lambda: LowRankSUR([[1, 2], [3]], X), "different lengths, the first 2 items, num"),
    "gtol": (lambda: MODEL.fit(gtol=1e300), "gtol must be positive and at most 1"),
    "start_params": (
        lambda: MODEL.fit(start_params=np.full(6, 1e300)),
        "start_params: fitted values of equation 'a' are more than",
    ),
    "order": (lambda: RES.plot_residual_correlation("loading"), r"\(did you mean 'loadings'"),
    "rank near": (lambda: LowRankSUR(Y, X, rank="bic_old"), r"\(did you mean 'bic_ols'"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_message(kind):
    call, said = WRONG[kind]
    with pytest.raises(AlsglsError, match=said) as caught:
        call()
    assert isinstance(caught.value, ValueError)


def test_numpys_scalars_are_the_numbers_they_hold():
    plain = RES.conf_int(0.1)
    for alpha in (np.float64(0.1), np.float32(0.1), np.array(0.1)):
        np.testing.assert_allclose(RES.conf_int(alpha), plain, rtol=1e-6)
    one = MODEL.fit(n_starts=np.int64(3), debiased=np.bool_(False), rng=np.uint8(7))
    other = MODEL.fit(n_starts=3, debiased=False, rng=7)
    assert one.llf == other.llf
    assert one.bse.equals(other.bse)
    rng = np.random.default_rng
    seeds = (5, rng(5), np.random.PCG64(5), np.random.SeedSequence(5))
    draws = [RES.bootstrap(2, rng=seed).params.to_numpy() for seed in seeds]
    assert all((draw == draws[0]).all() for draw in draws)


# -- what the caller's functions raise -----------------------------------------------------------


def test_a_callback_that_raises_is_chained_with_where():
    def callback(sweep):
        if sweep.sweep == 1:
            raises()

    with pytest.raises(CallableError, match=r"callback raised KeyError .* sweep 1 of start 1") as e:
        LowRankSUR(Y, X, rank=1).fit(callback=callback)
    assert isinstance(e.value.__cause__, KeyError)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_statistic_that_raises_is_chained(n_jobs):
    with pytest.raises(CallableError, match="statistic raised KeyError"):
        RES.bootstrap(3, statistic=raises, n_jobs=n_jobs)


def test_a_generator_of_chunks_that_raises_is_chained_with_its_number():
    with pytest.raises(CallableError, match=r"chunk 2: .* OSError \(no more disk\)") as caught:
        LowRankSUR.from_chunks(broken())
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.slow
def test_a_statistic_in_processes_that_are_really_started(tmp_path):
    """A function of a module goes to them, and with the same numbers; a lambda is refused first."""
    methods = {"forkserver", "spawn"} & set(multiprocessing.get_all_start_methods())
    (tmp_path / "script.py").write_text(_SCRIPT)
    run = subprocess.run(
        [sys.executable, "script.py", *sorted(methods)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    said = [line for method in sorted(methods) for line in (f"{method} OptionError", "same")]
    assert run.stdout.splitlines() == [*said, "CallableError ZeroDivisionError"]


_SCRIPT = """
import multiprocessing, sys, warnings
from sm_alsgls import LowRankSUR, simulate_sur
from sm_alsgls.exceptions import CallableError, OptionError

def likelihood(one):
    return one.nll

def broken(one):
    return 1 / 0

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    s = simulate_sur(20, 3, 2, rank=1, rng=0)
    res = LowRankSUR(s.endog, s.exog, rank=1).fit(n_starts=1)
    one = res.bootstrap(2, statistic=likelihood).statistics
    for method in sys.argv[1:]:
        multiprocessing.set_start_method(method, force=True)
        try:
            res.bootstrap(2, statistic=lambda one: one.nll, n_jobs=2)
        except OptionError as error:
            assert "at the top of a module" in str(error)
            print(method, "OptionError")
        two = res.bootstrap(2, statistic=likelihood, n_jobs=2).statistics
        print("same" if list(one) == list(two) else (one, two))
    # What it raises comes back by the same road: once is enough for two more processes.
    try:
        res.bootstrap(2, statistic=broken, n_jobs=2)
    except CallableError as error:
        print("CallableError", "ZeroDivisionError" if "ZeroDivisionError" in str(error) else error)
"""


def test_a_statistic_that_processes_cannot_get(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: "forkserver")
    with pytest.raises(OptionError, match=r"n_jobs=2 .*top of a module.*or use n_jobs=1"):
        RES.bootstrap(3, statistic=lambda one: one.nll, n_jobs=2)
    assert len(RES.bootstrap(3, statistic=lambda one: one.nll, n_jobs=1).statistics) == 3


# -- arrays of what are no numbers ---------------------------------------------------------------

DATES = pd.date_range("2000", periods=40)
NO_NUMBERS = {
    "imaginary": np.ones(40) + 1j,
    "imaginary series": pd.Series(np.ones(40) + 0j),
    "imaginary objects": np.array([1j] + [1.0] * 39, dtype=object),
    "digits": np.array(["1"] * 40),
    "digits in objects": np.array(["1"] + [1.0] * 39, dtype=object),
    "series of digits": pd.Series(["1.5"] * 40),
    "dates": pd.Series(DATES),
    "dates in objects": np.array(list(DATES), dtype=object),
    "times": np.arange(40).astype("m8[s]"),
    "NaT": np.array([pd.NaT] + [1.0] * 39, dtype=object),
    "ragged": [[1.0, 2.0]] + [[1.0]] * 39,
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_what_is_no_number_is_refused_everywhere(kind):
    bad = NO_NUMBERS[kind]
    for name, call in {
        "endog": lambda: LowRankSUR({"a": bad, "b": Y[:, 1]}, X[0]),
        "exog": lambda: LowRankSUR(Y, [bad, *X[1:]]),
        "weights": lambda: LowRankSUR(Y, X, weights=bad),
        "start_params": lambda: LowRankSUR(Y, X, rank=1).fit(start_params=bad[:12]),
        "params": lambda: MODEL.loglike(bad[:6], RES.sigma),
        "given": lambda: RES.predict(given={"a": bad}),
        "new exog": lambda: RES.predict({"a": bad, "b": bad, "c": bad}),
        "R": lambda: RES.wald_test([list(bad[:6])]),
    }.items():
        with pytest.raises(AlsglsError) as caught:
            call()
        assert isinstance(caught.value, ValueError), name


def test_missing_numbers_of_every_kind_are_nan():
    for missing in (None, np.nan, pd.NA):
        values = numbers(np.array([1, missing, 2.5], dtype=object), "y")
        np.testing.assert_array_equal(values, [1.0, np.nan, 2.5])
    frame = pd.DataFrame({"a": [1, pd.NA], "b": [None, None]}).astype({"a": "Int64"})
    np.testing.assert_array_equal(numbers(frame, "y"), [[1.0, np.nan], [np.nan, np.nan]])
    assert numbers(Y, "y") is Y


def test_the_object_is_named_by_its_labels():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, "2"]}, index=["u", "v"])
    with pytest.raises(ShapeError, match=r"endog: column 'b' holds text, '2' in row 'v'; convert"):
        numbers(frame, "endog")
    with pytest.raises(ShapeError, match=r"exog holds text, '2' at \[1, 0\]"):
        numbers(np.array([[1.0], ["2"]], dtype=object), "exog")


def test_infinity_given_is_an_error_not_unknown():
    known = np.full((24, 3), np.nan)
    known[5, 1] = np.inf
    with pytest.raises(NonFiniteError, match="given is infinite in row 5, column 2"):
        RES.predict(given=known)


# -- numbers beyond sense, and what is said of them ----------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    powers=st.lists(st.integers(-150, 150), min_size=4, max_size=4),
    rank=st.integers(0, 1),
    missing=st.sampled_from(["none", "fiml"]),
)
def test_responses_in_any_units_are_fitted(powers, rank, missing):
    """Standard errors go with the units, whatever they are."""
    scale = 10.0 ** np.array(powers, dtype=float)
    holes = np.random.default_rng(0).random(Y.shape) < 0.1 * (missing == "fiml")
    y = np.where(holes, np.nan, Y)
    plain = LowRankSUR(y, X, rank=rank, missing=missing).fit(n_starts=1)
    res = LowRankSUR(y * scale, X, rank=rank, missing=missing).fit(n_starts=1)
    # Two searches stop where their own steps are small enough.
    np.testing.assert_allclose(res.bse / np.repeat(scale, 3), plain.bse, rtol=1e-4)
    np.testing.assert_allclose(
        np.asarray(res.params) / np.repeat(scale, 3), plain.params, rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("power", [-300, -200, -160, 160, 200, 300])
def test_units_beyond_squares_are_named(power, rank):
    y = Y.copy()
    y[:, 2] *= 10.0**power
    said = "equation 'y3'.* (multiply it by a power of ten|divide the column by a power of ten)"
    with pytest.raises(SystemInputError, match=said):
        LowRankSUR(y, X, rank=rank).fit()


@pytest.mark.parametrize("which", ["endog", "exog"])
@pytest.mark.parametrize("value", [1e200, -1e308])
@pytest.mark.parametrize("missing", ["none", "fiml"])
def test_one_number_beyond_squares_is_named(which, value, missing):
    y, x = system()
    (y if which == "endog" else x[1])[3, 1] = value
    what = "equation 'y2'" if which == "endog" else "column 'x1' of equation 'y2'"
    with pytest.raises(SystemInputError, match=rf"{which}: {what} has 1 value beyond .* in row 3"):
        LowRankSUR(y, x, rank=1, missing=missing).fit()


def test_numbers_far_apart_but_within_squares_are_fitted():
    y, x = system()
    x[1][3, 1] = 1e100
    x[2] = x[2] * 1e-100
    assert np.isfinite(LowRankSUR(y, x, rank=1).fit().bse).all()


def test_a_regressor_that_is_tiny_everywhere_is_named():
    y, x = system()
    x[1][:, 1] *= 1e-200
    with pytest.raises(SystemInputError, match=r"equation 'y2': 'x1' of exog is below 1e-15"):
        LowRankSUR(y, x, rank=1).fit()


def test_one_degree_of_freedom_is_said_to_be_one():
    y = Y[:4]
    with pytest.raises(InsufficientRowsError, match="4 rows less 3 regressors leave one degree"):
        LowRankSUR(y, X[0][:4], rank=0).fit()


def test_a_response_without_values_is_named():
    frame = pd.DataFrame(Y, columns=list("abcd")).assign(b=None)
    with pytest.raises(NonFiniteError, match="'b' has 40 missing values"):
        LowRankSUR(frame, X)
    said = "no row is left of 40: .* the response of equation 'b' has no value in 40 rows"
    with pytest.raises(InsufficientRowsError, match=said):
        LowRankSUR(frame, X, missing="drop")


@pytest.mark.parametrize("missing", ["none", "drop", "fiml"])
@pytest.mark.parametrize("gone", [None, pd.NA, np.nan])
def test_a_column_without_values_in_a_formula_is_named(gone, missing):
    """Also one of objects, which engines took for a category without levels: nothing."""
    data = load_grunfeld().assign(z=gone)
    for formula in ("z ~ value", "invest ~ z", "invest ~ value + lag(z)"):
        with pytest.raises(NonFiniteError, match="any value: 'z'|values in z"):
            LowRankSUR.from_formula(formula, data, missing=missing, **PANEL)


def test_a_lag_beyond_any_data():
    with pytest.raises(SystemInputError, match="k=10+ steps are more than any data have"):
        LowRankSUR.from_formula("invest ~ lag(value, 10**30)", load_grunfeld(), **PANEL)


def test_one_unit_of_a_long_panel_is_named():
    one = load_grunfeld().query("firm == 'IBM'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(SystemInputError, match="of groups='firm' there is one, 'IBM'"):
            LowRankSUR.from_formula("invest ~ value", one, **PANEL)


def test_no_rows_to_predict():
    long = made()["PanelResults"]
    nothing = load_grunfeld().iloc[:0]
    assert len(long.predict(nothing)) == 0
    assert len(long.get_prediction(nothing).summary_frame()) == 0
    assert len(long.get_prediction(nothing, given=True).summary_frame()) == 0


@pytest.mark.parametrize("rows", ["constant", "huge"])
def test_diagnostics_of_odd_residuals(rows):
    y, x = system()
    if rows == "constant":
        # Residuals of +-1 have squares without variation.
        y[:, 0] = np.tile([1.0, -1.0], 20)
        x[0] = np.ones((40, 1))
    else:
        y[7, 0] = 1e12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)
        res = LowRankSUR(y, x, rank=1).fit()
        for lags in (1, 10):
            table = res.diagnostics(lags=lags).table
        for method in ("lm", "lm_adj", "cd", "lr"):
            diagnostics.diagonality_test(res, method)
    assert set(table["verdict"]) <= {"ok", "look", "-"}


def test_the_kinds_of_error():
    with pytest.raises(ArgumentTypeError) as caught:
        MODEL.fit(disp=1)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(UnknownArgumentError):
        LowRankSUR(Y, X, anything=1)
    assert re.search("it has", str(caught.value)) is None


@pytest.mark.parametrize(("of_y", "of_x"), [(1e140, 1e-40), (1e-140, 1e40)])
@pytest.mark.parametrize("missing", ["none", "fiml"])
def test_coefficients_whose_variance_is_no_float(of_y, of_x, missing):
    """Not an overflow from inside, and not a standard error of 0."""
    y, x = system()
    y[:, 1] *= of_y
    x[1][:, 2] *= of_x
    if missing == "fiml":
        y[4, 0] = np.nan
    said = r"equation 'y2': the coefficient of 'x2' has a variance of about 1e-?3\d\d.*no float"
    with pytest.raises(SystemInputError, match=said):
        LowRankSUR(y, x, rank=1, missing=missing).fit()


@pytest.mark.parametrize("missing", ["none", "fiml"])
@pytest.mark.parametrize("rank", [0, 1])
def test_curvature_and_diagnostics_in_any_units(rank, missing):
    y, scale = Y.copy(), np.array([1e5, 1e-121, 1e140, 1e-145])
    if missing == "fiml":
        y[4, 0] = np.nan
    plain = LowRankSUR(y, X, rank=rank, missing=missing).fit(n_starts=1)
    res = LowRankSUR(y * scale, X, rank=rank, missing=missing).fit(n_starts=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert res.curvature().lowest == pytest.approx(
            plain.curvature().lowest,
            rel=1e-3,
            abs=1e-4,  # where zero, up to the tolerance of fits
        )
        tables = [one.diagnostics().table for one in (plain, res)]
    assert (tables[0]["verdict"] == tables[1]["verdict"]).all()
