"""Pictures of mixed models show the results' numbers."""

import numpy as np
import pytest

from sm_alsgls.exceptions import NoFactorsError, OptionError, UnrestrictedSigmaError
from tests.models.mixed.data import frame, made

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")


@pytest.fixture
def ax():
    from matplotlib.figure import Figure

    return Figure().subplots()


@pytest.fixture(scope="module")
def res():
    return made(frame(60), 1).fit()


def test_caterpillar(res, ax):
    found = res.plot_random_effects("x2", alpha=0.1, ax=ax)
    assert found is ax
    values = np.sort(np.concatenate([line.get_xdata() for line in ax.lines if len(line.get_xdata())
                                     and line.get_marker() == "o"]))  # fmt: skip
    table = res.random_effects_frame(0.1).xs("x2", level="effect")
    np.testing.assert_allclose(values, np.sort(table["estimate"]))
    ends = np.concatenate([np.array(part.get_segments())[:, :, 0] for part in ax.collections])
    np.testing.assert_allclose(np.sort(ends[:, 0]), np.sort(table["conf_low"]))
    assert ax.get_title() == "Random effects: x2"
    assert res.plot_random_effects().get_title() == "Random effects: Group"
    with pytest.raises(OptionError, match="effect must be"):
        res.plot_random_effects("x9")


def test_many_groups_are_called_groups():
    res = made(frame(80), "diagonal", "y ~ x1", "~ 1").fit()
    assert "80 groups" in res.plot_random_effects().get_ylabel()


def test_loadings(res, ax):
    res.plot_loadings(ax=ax)
    L = res.loadings["factor1"] / res.sd_re.to_numpy()
    np.testing.assert_allclose(np.sort(ax.images[0].get_array().ravel()), np.sort(L))
    assert ax.get_ylabel() == "random effect"
    full = made(frame(), "full").fit()
    with pytest.raises(UnrestrictedSigmaError, match="unrestricted"):
        full.plot_loadings()
    with pytest.raises(NoFactorsError, match="uncorrelated"):
        made(frame(), "diagonal").fit().plot_loadings()


def test_correlations(res, ax):
    res.plot_slope_correlations("model", ax=ax)
    shown = np.ma.filled(ax.images[0].get_array(), np.nan)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(shown[off], res.corr_re.to_numpy()[off])
    ordered = res.plot_slope_correlations()
    names = [label.get_text() for label in ordered.get_yticklabels()]
    assert set(names) == set(res.corr_re)
    shown = np.ma.filled(ordered.images[0].get_array(), np.nan)
    np.testing.assert_allclose(shown[off], res.corr_re.loc[names, names].to_numpy()[off])
    one = made(frame(), "diagonal", "y ~ x1", "~ 1").fit()
    with pytest.raises(OptionError, match="one random effect"):
        one.plot_slope_correlations()
