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


def test_a_missing_cell_changes_little(grunfeld):
    """Dense REML of the 219 cells has .8787, their maximum .6755; all 220 have .8803 and .6767."""
    model = panel(grunfeld.drop(grunfeld.index[45]), ar="common")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        res, maximum, whole = model.fit(), model.fit(reml=False), panel(grunfeld, ar="common").fit()
    assert res.ar["coef"].iloc[0] == pytest.approx(0.8787, abs=1e-4)
    assert maximum.ar["coef"].iloc[0] == pytest.approx(0.6755, abs=1e-4)
    assert whole.ar["coef"].iloc[0] == pytest.approx(0.8803, abs=1e-4)
    np.testing.assert_allclose(res.bse["capital"], whole.bse["capital"], rtol=0.02)
    assert res.llf == pytest.approx(maximum.llf, abs=1e-5)
    for one, how in ((res, "restricted likelihood;"), (maximum, "maximum likelihood.")):
        assert f"By {how}" in " ".join(str(one.summary()).split())


@pytest.mark.parametrize("laws", [{"ar": "entity"}, {"row_scale": "z"}, {"cell_scale": "value"}])
def test_so_do_other_laws(grunfeld, laws):
    data = grunfeld.assign(z=np.log(grunfeld["year"] - 1930.0), value=grunfeld["value"] / 1e3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hole = panel(data.drop(data.index[45]), effects=None, **laws)
        found, maximum = (hole.fit(reml=reml).estimate.laws.values for reml in (True, False))
        whole = panel(data, effects=None, **laws).fit().estimate.laws.values
    assert np.abs(found - whole).max() < 0.5 * np.abs(maximum - whole).max() + 0.02


def test_many_coefficients_leave_the_maximum_and_say_so(grunfeld, monkeypatch):
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
