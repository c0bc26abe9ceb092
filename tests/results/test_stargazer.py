"""Equations in tables of regressions that other packages make."""

from math import sqrt

import numpy as np
import pytest
from statsmodels.base.wrapper import ResultsWrapper

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import DataRemovedError


@pytest.fixture
def res():
    return LowRankSUR.from_formula(
        "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
    ).fit()


def read_as_stargazer(one):
    """What stargazer 0.0.7 reads of a model of statsmodels, by the class it knows."""
    assert ResultsWrapper in type(one).__mro__
    read = {
        name: getattr(one, name, None)
        for name in (
            *("pvalues", "params", "bse", "rsquared", "rsquared_adj", "prsquared"),
            *("f_pvalue", "df_model", "df_resid", "nobs", "fvalue"),
        )
    }
    read["dependent_variable"] = one.model.endog_names
    read["cov_names"] = one.params.index.values
    read["low"], read["high"] = one.conf_int()[0], one.conf_int()[1]
    read["resid_std_err"] = (
        sqrt(sum(one.resid**2) / one.df_resid) if hasattr(one, "resid") else None
    )
    return read


def test_an_equation_is_read(res):
    read = read_as_stargazer(res.equations["IBM"])
    assert read["dependent_variable"] == "IBM"
    assert read["cov_names"].tolist() == ["Intercept", "value", "capital"]
    assert read["low"]["value"] < res.params["IBM_value"] < read["high"]["value"]
    assert read["prsquared"] is None
    assert (read["df_model"], read["df_resid"], read["nobs"]) == (2.0, 15.0, 20)
    assert read["resid_std_err"] == pytest.approx(np.sqrt((res.resid["IBM"] ** 2).sum() / 15))
    res.remove_data()
    bare = read_as_stargazer(res.equations["IBM"])
    assert bare["resid_std_err"] is None
    assert bare["fvalue"] == pytest.approx(read["fvalue"])


def test_nothing_is_looked_up_in_the_system(res):
    ibm = res.equations["IBM"]
    for name in ("mle_settings", "loadings_of", "mle_retvals", "equations", "_results"):
        assert not hasattr(ibm, name)
    assert ibm.aic != res.aic
    assert {"params", "t_test", "fvalue"} <= set(dir(ibm))


def test_an_equation_is_saved(res, tmp_path):
    ibm = res.equations["IBM"]
    ibm.save(tmp_path / "ibm.pickle", remove_data=True)
    again = type(ibm).load(tmp_path / "ibm.pickle")
    np.testing.assert_array_equal(again.bse, ibm.bse)
    with pytest.raises(DataRemovedError):
        _ = again.resid


def test_stargazer(res):
    stargazer = pytest.importorskip("stargazer.stargazer")
    firms = ["IBM", "General Motors"]
    table = stargazer.Stargazer([res.equations[firm] for firm in firms])
    for text in (table.render_latex(), table.render_html()):
        for firm in firms:
            view = res.equations[firm]
            for number in (view.params["value"], view.bse["capital"], view.fvalue):
                assert f"{number:.3f}" in text
        assert "0.107" in text
        assert "df=2; 15" in text
