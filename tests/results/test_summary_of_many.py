"""The summary of more equations than have a table each: two screens, and what they say is so."""

import re
import time
import warnings

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankMixedLM, LowRankPanel, LowRankSUR, simulate_sur
from sm_alsgls.datasets import load_grunfeld, load_sleepstudy
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results import coefficient_spread


def _fit(K, N=200, long="", rank=3, **options):
    system = simulate_sur(N, K, 3, rank, rng=1)
    names = [f"equation {j}{long}" for j in range(K)]
    designs = [pd.DataFrame(X, columns=["const", "value", "capital"]) for X in system.exog]
    model = LowRankSUR(
        dict(zip(names, system.endog.T, strict=True)),
        dict(zip(names, designs, strict=True)),
        rank=rank,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(n_starts=1, **options)


@pytest.fixture(scope="module")
def many():
    return _fit(48)


def _line(text, label):
    return int(re.search(re.escape(label) + r"\s+(\d+)", text)[1])


def _row(text, name, at=0):
    return [line.split() for line in text.splitlines() if line.split()[:1] == [name]][at][1:]


@pytest.mark.slow
def test_five_hundred_equations_are_two_screens_and_no_matrix_of_all(monkeypatch):
    res = _fit(500)
    from sm_alsgls.core.beta.information import CoefficientCovariance

    def refused(self):
        raise AssertionError("a covariance of all coefficients was made")

    monkeypatch.setattr(CoefficientCovariance, "dense", refused)
    began = time.perf_counter()
    lines = str(res.summary()).splitlines()
    took = time.perf_counter() - began
    assert len(lines) <= 100
    assert max(map(len, lines)) <= 80
    assert took < 60  # 2 seconds alone on a core
    began = time.perf_counter()
    assert str(res.summary()).splitlines()[12:-20] == lines[12:-20]
    # Tests are kept.
    assert time.perf_counter() - began < max(took / 2, 0.5)


def test_moments_and_tests_are_those_of_the_coefficients(many):
    text = str(many.summary(alpha=0.1))
    for name in ("const", "value", "capital"):
        at = many.params.index.str.endswith(f"_{name}")
        b = many.params[at]
        eqs, mean, sd, low, middle, high, share = _row(text, name)
        wanted = [b.mean(), b.std(), *b.quantile([0.25, 0.5, 0.75])]
        found = [float(value) for value in (mean, sd, low, middle, high)]
        np.testing.assert_allclose(found, wanted, rtol=6e-4)  # four digits are printed
        assert int(eqs) == 48
        assert float(share) == pytest.approx((many.pvalues[at] < 0.1).mean(), abs=6e-4)
        zero, m, p, equal, less, q = _row(text, name, 1)
        tests = many.test_across(name), many.test_across(name, null="equal")
        assert [int(m), int(less)] == [48, 47]
        for test, F, P in zip(tests, (zero, equal), (p, q), strict=True):
            assert float(F) == pytest.approx(float(test.fvalue), abs=6e-4)
            assert float(P) == pytest.approx(float(test.pvalue), abs=6e-4)
    assert "P<0.1" in text


def test_the_ends_are_the_best_and_the_worst(many):
    lines = str(many.summary()).splitlines()
    start = next(i for i, line in enumerate(lines) if "fit best and worst" in line)
    names = [" ".join(line.split()[:2]) for line in lines[start + 4 : start + 24]]
    fit = {name: many.equations[name].rsquared for name in many.equations}
    order = sorted(fit, key=fit.get, reverse=True)
    assert names == [*order[:10], *order[-10:]]


def test_variables_choose_what_is_printed(many):
    text = str(many.summary(variables=["value"], equations=["equation 7"]))
    for name, times in (("value", 3), ("capital", 0), ("const", 0)):
        assert sum(line.split()[:1] == [name] for line in text.splitlines()) == times
    assert "Equation: equation 7" in text
    with pytest.raises(OptionError, match="no equation has a regressor 'price'.*value"):
        many.summary(variables=["price"])
    for wrong, said in (([], "is empty"), (["value", "value"], "twice")):
        with pytest.raises(OptionError, match=said):
            many.summary(variables=wrong)
    small = LowRankSUR.from_formula(
        "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=1
    ).fit(n_starts=1)
    assert "over equations" not in str(small.summary())
    text = str(small.summary(variables=["capital"]))
    assert "Coefficients over equations" in text
    assert sum(line.startswith("capital") for line in text.splitlines()) == 13
    assert not any(line.startswith("Intercept") for line in text.splitlines())


def test_robust_covariances_test_what_is_quick(many):
    text = str(many.get_robustcov_results("HC3").summary())
    assert "takes longer" in text
    assert _row(text, "const", 1)[1] == "48"
    text = str(many.get_robustcov_results("HAC", maxlags=60).summary())
    assert "P<0.05" in text


def test_dear_standard_errors_wait_for_who_asks(many, monkeypatch):
    monkeypatch.setattr(coefficient_spread, "_MOST_DEAR", 100)
    robust = many.get_robustcov_results("KH")
    monkeypatch.setattr(type(robust.estimate), "new_covariance", lambda self: 1 / 0)
    text = str(robust.summary())
    assert "take long" in text
    assert len(_row(text, "value")) == 6
    monkeypatch.undo()
    monkeypatch.setattr(coefficient_spread, "_MOST_DEAR", 100)
    _ = robust.bse
    assert len(_row(str(robust.summary()), "value")) == 7


def test_it_is_there_without_the_data():
    res = _fit(30, N=60, rank=1)
    before = str(res.summary())
    res.remove_data()
    after = str(res.summary())
    part = slice(before.index("Coefficients over"), before.index("Notes:"))
    assert after[part] == before[part]


def test_names_do_not_make_anything_wider():
    res = _fit(3, N=60, long=" " + "long" * 40, rank=0)
    for summary in (res.summary(), res.equations[res.model.equations[0]].summary()):
        assert max(map(len, str(summary).splitlines())) <= 84
    top = str(res.summary()).splitlines()[2]
    assert "…" in top
    assert len(top) <= 80


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")
def test_df_model_counts_regressors_and_sigma_has_a_line():
    data = load_grunfeld()
    res = LowRankSUR.from_formula(
        "invest ~ value + capital", data, groups="firm", time="year", rank=2
    ).fit(n_starts=1)
    text = str(res.summary())
    assert _line(text, "Df Model:") == 22
    assert _line(text, "Df of Sigma:") == 32
    assert res.df_model == 33 + 32 == 22 + 11 + 32
    assert res.aic == pytest.approx(-2.0 * res.llf + 2.0 * 65.0)
    assert sum(equation.df_model for equation in res.equations.values()) == 22
    common = LowRankPanel.from_formula(
        "invest ~ value + capital", data, entity="firm", time="year", rank=1
    ).fit(n_starts=1)
    assert _line(str(common.summary()), "Df Model:") == 2
    bound = res.model.fit_constrained("IBM_value = Goodyear_value", n_starts=1)
    assert _line(str(bound.summary()), "Df Model:") == 21


def test_words_are_told_where_they_stand(many):
    flat = " ".join(str(many.summary()).split())
    assert "a sweep is one round" in flat
    assert "theory/algorithm" in flat
    assert "Heywood" not in flat
    mixed = LowRankMixedLM.from_formula(
        "Reaction ~ Days", load_sleepstudy(), groups="Subject", re_formula="~Days"
    ).fit()
    assert "sweep" not in str(mixed.summary())
    assert "Fixed, Random:" in str(mixed.summary())
    assert "Df Model" not in str(mixed.summary())


def test_every_page_that_is_named_is_there():
    from pathlib import Path

    from sm_alsgls.results.words import words_note

    docs = Path(__file__).parents[2] / "docs"
    (note,) = words_note("Sweeps std(unique) Heywood")
    named = re.findall(r"\(docs, ([a-z/]+)\)", note)
    assert len(named) == 3
    for page in named:
        assert (docs / f"{page}.md").exists()
