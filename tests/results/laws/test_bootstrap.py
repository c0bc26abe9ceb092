"""Bootstrap with laws: what is drawn, and that everything is estimated again as it was."""

import numpy as np
import pytest

import sm_alsgls.results.bootstrap as module
from sm_alsgls import LowRankPanel
from sm_alsgls.core.laws.bootstrap import law_replicate, responses
from sm_alsgls.exceptions import NotApplicableError, OptionError
from tests.results.laws.fits import CASES, LAWS, data_of, fitted, twin, uncorrected

DRAWS = 1200
# The prior of empirical Bayes is the fit's own, which a fit from nothing finds anew.
SAME = ["ar", "cell_scale", "lag", "all", "ar, holes", "units, all"]


def parent(res, method, monkeypatch, **kwargs):
    """What `bootstrap` hands to its replicates."""
    seen = []
    monkeypatch.setattr(module, "of_laws", lambda parent, *_: seen.append(parent) or iter(()))
    monkeypatch.setattr(module, "collected", lambda *_: None)
    res.bootstrap(2, method, **kwargs)
    monkeypatch.undo()
    return seen[0]


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.slow
def test_parametric_rows_have_the_law_of_the_fit(name, monkeypatch):
    res = fitted(name)
    made = parent(res, "parametric", monkeypatch)
    rng = np.random.default_rng(0)
    n = len(res.resid)
    draws = np.array([responses(made, rng).ravel() for _ in range(DRAWS)])
    seen = np.isfinite(res.resid.to_numpy()).ravel()
    mean = res.predict().to_numpy().ravel()
    cov = twin(name)[0]
    c = np.tile(np.sqrt(res.estimate.counts / res.estimate.df.equation), n)
    assert (draws[:, ~seen] == 0.0).all()
    cov = (cov * np.outer(c, c))[np.ix_(seen, seen)]
    draws, mean = draws[:, seen], mean[seen]
    se = np.sqrt(np.diagonal(cov))
    assert np.abs((draws.mean(axis=0) - mean) / se).max() * np.sqrt(DRAWS) < 5.0
    unit = (draws - mean) / se
    found = unit.T @ unit / len(draws)
    # Of some 20,000 entries of a correlation, with standard errors of 1/35 from 1200 draws, none
    # is 5.5 of them away; of 200 variances, with a root of two more, none is either.
    away = np.abs(found - cov / np.outer(se, se)) * np.sqrt(DRAWS)
    assert away.max() < 5.5 * np.sqrt(2.0)
    np.fill_diagonal(away, 0.0)
    assert away.max() < 5.5


@pytest.mark.parametrize("name", LAWS)
def test_wild_rows_are_innovations_with_signs(name, monkeypatch):
    res = fitted(name)
    made = parent(res, "wild", monkeypatch)
    system = made.fit.system
    Y = responses(made, np.random.default_rng(1))
    again = Y if system.lag is None else system.lag.responses(Y)
    left = system.filter.rows(again - made.fitted)
    seen = np.isfinite(res.resid.to_numpy())
    signs = left[seen] / made.E[seen]
    np.testing.assert_allclose(np.abs(signs), 1.0, rtol=1e-8)
    scale = np.sqrt(res.estimate.counts / (res.estimate.counts - res.estimate.p))
    filtered = system.filter.rows(np.nan_to_num(res.resid.to_numpy()))
    np.testing.assert_allclose(made.E, filtered * scale, atol=1e-10)


@pytest.mark.parametrize("name", SAME)
def test_a_replicate_is_a_fit_of_the_drawn_data(name, monkeypatch):
    res, case = fitted(name), CASES[name]
    made = parent(res, "parametric", monkeypatch)
    seed = np.random.SeedSequence(3)
    one, _ = law_replicate(made, seed)
    Y = responses(made, np.random.default_rng(seed))
    frame = data_of(case.units, case.holes).copy()
    rows, columns = ("entity", "year") if case.units else ("year", "entity")
    row = res.resid.index.get_indexer(frame[rows])
    column = [list(map(str, res.model.equations)).index(str(c)) for c in frame[columns]]
    frame["y"] = np.where(frame["y"].isna(), np.nan, Y[row, column])
    model = LowRankPanel.from_formula(
        "y ~ x", frame, 1, entity="entity", time="year",
        independent="entity" if case.units else "time",
        heterogeneous=[] if case.units else ["x"], **case.laws,
    )  # fmt: skip
    with uncorrected(case):
        anew = model.fit()
    np.testing.assert_allclose(one.laws, anew.estimate.laws.values, atol=2e-4)
    np.testing.assert_allclose(one.params, anew.params, atol=2e-4)
    np.testing.assert_allclose(one.sigma.to_dense(), anew.sigma.to_dense(), rtol=1e-2, atol=1e-3)


# test_persistence.py has parametric draws of laws together.
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("ar", "residual"),
        ("ar", "block"),
        ("each", "parametric"),
        ("each", "residual"),
        ("each", "wild"),
        ("all", "residual"),
        ("all", "wild"),
        ("all", "block"),
    ],
)
def test_laws_have_draws(name, method):
    res = fitted(name)
    boot = res.bootstrap(2, method, rng=1)
    table = boot.law_frame(0.1)
    assert list(table.index) == list(res.law_params().index)
    np.testing.assert_allclose(table["coef"], res.law_params()["coef"])
    np.testing.assert_allclose(table["boot std err"], boot.law_params.std(ddof=1))
    assert boot.law_params.shape == (2, len(table))
    assert (boot.law_params.std() > 0).all()
    assert boot.converged.all()
    assert np.isfinite(boot.conf_int()).all().all()


@pytest.mark.slow
def test_standard_errors_agree_with_theory():
    res = fitted("ar")
    boot = res.bootstrap(40, rng=2)
    # The standard deviation of 40 draws has a relative standard error of 11 %, the median of six
    # about half of that.
    assert abs(np.log(boot.std_errors / res.bse)).median() < 0.17
    ratio = boot.law_frame()["boot std err"] / res.law_params()["std err"]
    assert abs(np.log(ratio)).max() < 0.34


@pytest.mark.slow
def test_processes_and_statistics():
    res = fitted("lag")
    one = res.bootstrap(6, rng=3, statistic=lag)
    two = res.bootstrap(6, rng=3, n_jobs=2, statistic=lag)
    np.testing.assert_array_equal(one.params, two.params)
    np.testing.assert_array_equal(one.law_params["spatial_lag"], one.statistics)


def lag(replicate):
    return float(replicate.laws[0])


def test_what_is_refused():
    for method in ("residual", "block"):
        with pytest.raises(OptionError, match="rows have different cells"):
            fitted("ar, holes").bootstrap(3, method)
    with pytest.raises(NotApplicableError, match="no law"):
        fitted("none").bootstrap(3).law_frame()
