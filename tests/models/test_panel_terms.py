"""Tests of terms of formulas, and of restrictions, where equations or cells share coefficients."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel, LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import OptionError

FORMULA = "invest ~ value + capital"


@pytest.fixture(scope="module")
def data():
    """A panel with a factor of three levels that varies within units and periods."""
    rng = np.random.default_rng(0)
    d = pd.DataFrame([(i, t) for i in range(20) for t in range(25)], columns=["i", "t"])
    d["x"] = rng.standard_normal(len(d))
    d["c"] = rng.choice(["a", "b", "c"], len(d))
    d["y"] = d["x"] + (d["c"] == "b") + rng.standard_normal(len(d))
    return d


@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.ModelWarning")
@pytest.mark.parametrize("how", [{"rank": 1, "factors": "fixed"}, {"factors": "cce"}])
def test_columns_of_a_term_are_tested_together(data, how):
    res = LowRankPanel.from_formula("y ~ x + C(c)", data, entity="i", time="t", **how).fit()
    table = res.wald_test_terms().table
    assert table["df_constraint"].to_dict() == {"x": 1, "C(c)": 2}
    both = res.wald_test("C(c)[T.b] = 0, C(c)[T.c] = 0", scalar=True)
    assert table.loc["C(c)", "statistic"] == pytest.approx(both.statistic)
    again = res.wald_test_terms(skip_single=True, combine_terms=["x"]).table
    assert again.index.tolist() == ["C(c)", "x"]
    arrays = LowRankPanel(
        data["y"], data[["x"]].assign(z=data["x"] ** 2), entity=data["i"], time=data["t"], **how
    )
    assert arrays.fit().wald_test_terms().table.index.tolist() == ["x", "z"]


def pooled(kind):
    data = load_grunfeld()
    if kind == "panel":
        return LowRankPanel.from_formula(FORMULA, data, 0, entity="firm", time="year")
    keys = {"groups": "firm", "time": "year"}
    return LowRankSUR.from_formula(FORMULA, data, 0, **keys, common=["capital"])


@pytest.mark.parametrize("kind", ["panel", "common"])
def test_restrictions_are_tested_against_equations_of_their_own(kind):
    model = pooled(kind)
    bound = model.fit_constrained("capital = 0.3")
    with pytest.raises(OptionError, match="equations share .* leave it out, .*compare_lr"):
        bound.restriction_tests(model.fit())
    free = LowRankSUR.from_formula(FORMULA, load_grunfeld(), 0, groups="firm", time="year").fit()
    pd.testing.assert_frame_equal(bound.restriction_tests(), bound.restriction_tests(free))


def test_other_equations_are_refused():
    bound = pooled("common").fit_constrained("capital = 0.3")
    data = load_grunfeld()
    other = LowRankSUR.from_formula("invest ~ value", data, 0, groups="firm", time="year").fit()
    with pytest.raises(OptionError, match="22 coefficients where the equations have 33"):
        bound.restriction_tests(other)
