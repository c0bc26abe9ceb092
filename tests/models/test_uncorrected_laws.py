"""reml=True where there is no restricted likelihood: the maximum, with a warning that says why."""

import warnings

import numpy as np
import pytest

from sm_alsgls import LowRankPanel
from sm_alsgls.core.laws import estimated
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import AlsglsWarning, RestrictedLikelihoodWarning


def panel(data, rank=0, effects="entity", **laws):
    return LowRankPanel.from_formula(
        "invest ~ value + capital", data, rank, entity="firm", time="year", effects=effects, **laws
    )


@pytest.fixture(scope="module")
def grunfeld():
    return load_grunfeld()


def test_a_missing_cell_leaves_the_maximum_and_says_so(grunfeld):
    model = panel(grunfeld.drop(grunfeld.index[45]), ar="common")
    said = r"reml=True.*maximum likelihood.*1 of 220 cells is missing \(equation .*, row .*\)"
    with pytest.warns(RestrictedLikelihoodWarning, match=said + ".*missing='drop'.*reml=False"):
        res = model.fit()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maximum = model.fit(reml=False)
        whole = panel(grunfeld, ar="common").fit()
    np.testing.assert_array_equal(res.params, maximum.params)
    assert res.ar["coef"].iloc[0] == pytest.approx(0.6755, abs=1e-3)
    assert whole.ar["coef"].iloc[0] == pytest.approx(0.8803, abs=1e-3)
    text = " ".join(str(res.summary()).split())
    assert "maximum likelihood, without restricted likelihood (cells are missing)" in text
    for other, how in ((maximum, "By maximum likelihood."), (whole, "By restricted likelihood;")):
        text = " ".join(str(other.summary()).split())
        assert how in text
        assert "without restricted" not in text


@pytest.mark.parametrize("laws", [{"ar": "entity"}, {"row_scale": "z"}, {"cell_scale": "value"}])
def test_so_do_other_laws(grunfeld, laws):
    data = grunfeld.assign(z=np.log(grunfeld["year"] - 1930.0), value=grunfeld["value"] / 1e3)
    model = panel(data.drop(data.index[45]), effects=None, **laws)
    with pytest.warns(RestrictedLikelihoodWarning, match="1 of 220 cells"):
        res = model.fit()
    assert "without restricted likelihood" in " ".join(str(res.summary()).split())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(reml=False)
        panel(data, effects=None, **laws).fit()


def test_so_do_many_coefficients(grunfeld, monkeypatch):
    monkeypatch.setattr(estimated, "_P", 12)
    with pytest.warns(RestrictedLikelihoodWarning, match="13 coefficients are more than 12"):
        res = panel(grunfeld, ar="common").fit()
    assert "13 coefficients are more than 12" in " ".join(str(res.summary()).split())
    assert res.ar["coef"].iloc[0] == pytest.approx(0.677, abs=1e-3)


def test_what_is_never_corrected_does_not_warn(grunfeld):
    data = grunfeld.drop(grunfeld.index[45])
    firms = sorted(set(data["firm"]))
    W = np.roll(np.eye(len(firms)), 1, axis=1) + np.roll(np.eye(len(firms)), -1, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", AlsglsWarning)
        panel(data, effects=None, spatial_error=W).fit()
