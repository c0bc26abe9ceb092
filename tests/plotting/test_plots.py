import builtins
import time

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from sm_alsgls import LowRankSUR, select_rank, simulate_sur
from sm_alsgls.core.rank.criteria import leading_eigenvalues
from sm_alsgls.exceptions import (
    MissingExtraError,
    NoFactorsError,
    OptionError,
)

CALLS = {
    "plot_trace": (),
    "plot_scree": (),
    "plot_loadings": ("varimax",),
    "plot_residual_correlation": (),
    "plot_coefficients": ("x1",),
    "plot_factor_scores": (),
    "plot_communalities": (),
    "plot_fit": ("y1",),
}


def fitted(N, K, rank, seed=1):
    s = simulate_sur(N, K, 3, rank, rng=seed)
    return LowRankSUR(s.endog, s.exog, rank=rank).fit()


@pytest.fixture(scope="module")
def small():
    return fitted(80, 6, 2)


@pytest.fixture(scope="module")
def large():
    return fitted(200, 500, 3)


@pytest.fixture
def ax():
    """Axes that pyplot does not know."""
    return Figure().subplots()


def outside(ax):
    """Texts of a drawn figure that its canvas cuts."""
    figure = ax.figure
    figure.canvas.draw()
    w, h = figure.canvas.get_width_height()
    texts = [*ax.texts, ax.title]
    for one in figure.axes:
        for axis in (one.xaxis, one.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [axis.label, *(t for tick in ticks for t in (tick.label1, tick.label2))]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_visible()]
    return [
        text
        for text, b in boxes
        if text and (b.x0 < -1 or b.y0 < -1 or b.x1 > w + 1 or b.y1 > h + 1)
    ]


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("name", CALLS)
def test_labelled_uncut_and_quick(name, size, request):
    res = request.getfixturevalue(size)
    assert res.bse.size  # not part of the time of a picture
    before, start = plt.get_fignums(), time.process_time()
    drawn = getattr(res, name)(*CALLS[name])
    assert plt.get_fignums() == [*before, drawn.figure.number]  # one, as statsmodels
    assert outside(drawn) == []
    assert time.process_time() - start < 10.0
    assert drawn.get_xlabel()
    assert drawn.get_ylabel() or size == "small"
    assert drawn.get_title()
    plt.close(drawn.figure)


@pytest.mark.parametrize("name", CALLS)
def test_the_axes_given_are_used(name, small, ax):
    before = plt.get_fignums()
    assert getattr(small, name)(*CALLS[name], ax=ax) is ax
    assert plt.get_fignums() == before
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes"):
        getattr(small, name)(*CALLS[name], ax="left")


@pytest.mark.parametrize("name", CALLS)
def test_without_matplotlib_the_extra_is_named(name, small, monkeypatch):
    real = builtins.__import__

    def without(module, *args, **kwargs):
        if module.startswith("matplotlib"):
            raise ImportError(module)
        return real(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"sm_alsgls\[plot\]"):
        getattr(small, name)(*CALLS[name])
    with pytest.raises(ImportError, match=r"sm_alsgls\[plot\]"):
        getattr(small, name)(*CALLS[name])


def test_rank_selection_uses_the_same_canvas(small, ax):
    chosen = select_rank(small.model, n_starts=1)
    assert chosen.plot(ax=ax) is ax
    assert ax.lines[0].get_color() == "#0072B2"


class TestNumbers:
    def test_trace(self, small, ax):
        small.plot_trace(ax=ax)
        nll = small.trace["nll"].to_numpy()
        gap = nll - nll.min()
        drawn = ax.lines[0].get_ydata()
        np.testing.assert_array_equal(drawn[gap > 0], gap[gap > 0])
        assert np.isnan(drawn[gap == 0]).all()
        assert ax.get_yscale() == "log"

    def test_stationarity(self, small, ax):
        small.plot_trace("stationarity", ax=ax)
        assert ax.lines[-1].get_ydata()[0] == small.mle_settings["gtol"]
        assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "gtol"
        with pytest.raises(OptionError, match="'nll' or 'stationarity'"):
            small.plot_trace("llf")

    def test_scree(self, small, ax):
        small.plot_scree(ax=ax)
        E = small.resid.to_numpy()
        np.testing.assert_allclose(ax.lines[0].get_ydata(), leading_eigenvalues(E, 80.0, 6))
        assert len(ax.lines[1].get_xdata()) == 2
        assert ax.lines[3].get_ydata()[0] == pytest.approx((1 + np.sqrt(6 / 80)) ** 2)

    def test_loadings_of_few(self, small, ax):
        small.plot_loadings(standardized=False, ax=ax)
        names = [label.get_text() for label in ax.get_yticklabels()]
        np.testing.assert_array_equal(ax.images[0].get_array(), small.loadings.loc[names])
        assert len(ax.texts) == 12
        low, high = ax.images[0].get_clim()
        assert low == -high

    def test_loadings_of_many(self, large, ax):
        large.plot_loadings(ax=ax)
        L = large.loadings.div(np.sqrt(large.sigma.diag()), axis=0)
        strips = [line for line in ax.lines if line.get_marker() == "o"]
        assert len(strips) == 3
        for f, line in enumerate(strips):
            np.testing.assert_array_equal(line.get_ydata(), np.sort(L.iloc[:, f]))
        named = {text.get_text() for text in ax.texts}
        assert {L["factor1"].idxmax(), L["factor3"].idxmin()} <= named
        assert len(ax.texts) == 18

    def test_residual_correlation(self, small, ax):
        small.plot_residual_correlation("system", ax=ax)
        E = small.resid.to_numpy()
        root = np.sqrt(np.square(E).mean(axis=0))
        R = E.T @ E / len(E) / np.outer(root, root)
        lam = small.sigma.loadings / np.sqrt(small.sigma.diag())[:, None]
        shown = np.ma.filled(ax.images[0].get_array(), np.nan)
        below, above = np.tril_indices(6, -1), np.triu_indices(6, 1)
        np.testing.assert_allclose(shown[below], R[below], atol=1e-12)
        np.testing.assert_allclose(shown[above], (R - lam @ lam.T)[above], atol=1e-12)

    def test_residual_correlation_of_many_is_small(self, large, ax):
        large.plot_residual_correlation(ax=ax)
        assert ax.images[0].get_array().shape == (100, 100)
        assert [t.get_text() for t in ax.get_xticklabels()] == ["varimax1", "varimax2", "varimax3"]

    def test_coefficients(self, ax):
        s = simulate_sur(80, 12, 3, 2, rng=1, signal=0.2)
        res = LowRankSUR(s.endog, s.exog, rank=2).fit()
        res.plot_coefficients("x1", alpha=0.1, ax=ax)
        table = res.tidy(alpha=0.1)
        table = table[table.term == "x1"].sort_values("estimate").reset_index(drop=True)
        names = [label.get_text() for label in ax.get_yticklabels()]
        assert names == table.equation.tolist()
        clear = ((table.conf_low > 0) | (table.conf_high < 0)).to_numpy()
        assert 0 < clear.sum() < 12
        for kind, flags in enumerate((clear, ~clear)):
            part, dots = table[flags], ax.lines[1 + kind]
            np.testing.assert_array_equal(dots.get_ydata(), part.index)
            np.testing.assert_allclose(dots.get_xdata(), part.estimate)
            ends = np.array(ax.collections[kind].get_segments())
            np.testing.assert_array_equal(ends[:, :, 1], np.c_[part.index, part.index])
            np.testing.assert_allclose(ends[:, :, 0], part[["conf_low", "conf_high"]])
        legend = [text.get_text() for text in ax.get_legend().get_texts()]
        assert legend == ["90% interval without zero", "with zero"]

    def test_coefficients_of_many_name_the_extremes(self, large, ax):
        large.plot_coefficients("x2", ax=ax)
        table = large.tidy().query("term == 'x2'").set_index("equation").estimate.sort_values()
        named = {text.get_text() for text in ax.texts}
        assert named == {*table.index[:5], *table.index[-5:]}

    def test_factor_scores(self, small, ax):
        small.plot_factor_scores(ax=ax)
        drawn = [line.get_ydata() for line in ax.lines if len(line.get_ydata()) == 80]
        for values, name in zip(drawn, small.factor_scores, strict=True):
            moved = np.unique((values - small.factor_scores[name]).round(9))
            assert len(moved) == 1
        assert drawn[0].min() > drawn[1].max()

    def test_communalities(self, small, ax):
        small.plot_communalities(ax=ax)
        np.testing.assert_array_equal(ax.lines[0].get_xdata(), small.communalities.sort_values())
        assert ax.get_xlim() == (-0.02, 1.02)

    def test_fit(self, small, ax):
        small.plot_fit("y2", ax=ax)
        one = small.equations["y2"]
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), one.fittedvalues)
        np.testing.assert_array_equal(ax.lines[1].get_ydata(), small.model.endog[:, 1])
        assert len(ax.collections) == 1


class TestRotatedLoadings:
    def test_frame(self, small):
        L = small.rotated_loadings("quartimin")
        assert L.columns.tolist() == ["quartimin1", "quartimin2"]
        assert L.attrs["oblique"]
        Phi = np.array(L.attrs["correlation"])
        root = np.sqrt(small.sigma.diag())
        F = small.sigma.loadings
        np.testing.assert_allclose(
            L.to_numpy() @ Phi @ L.to_numpy().T, F @ F.T / np.outer(root, root), atol=1e-10
        )
        raw = small.rotated_loadings("quartimin", standardized=False)
        np.testing.assert_allclose(raw, L.mul(root, axis=0))
        assert not small.rotated_loadings().attrs["oblique"]

    def test_the_picture_says_oblique(self, small, ax):
        small.plot_loadings("promax", ax=ax)
        assert "promax (oblique)" in ax.get_title()
        assert [t.get_text() for t in ax.get_xticklabels()] == ["promax1", "promax2"]


class TestErrors:
    @pytest.mark.parametrize("rotation", ["equal", 3])
    def test_rotation(self, small, rotation):
        with pytest.raises(OptionError, match="rotation must be one of 'varimax', 'quartimax'"):
            small.plot_loadings(rotation)

    def test_names(self, small):
        with pytest.raises(OptionError, match="no equation has 'x9'"):
            small.plot_coefficients("x9")
        with pytest.raises(OptionError, match="the system has no equation 'y9'"):
            small.plot_fit("y9")
        with pytest.raises(OptionError, match="'loadings' or 'system'"):
            small.plot_residual_correlation("size")

    def test_rank_zero(self, ax):
        s = simulate_sur(60, 4, 2, 0, rng=0)
        res = LowRankSUR(s.endog, s.exog, rank=0).fit()
        for name in ("plot_loadings", "plot_factor_scores", "plot_communalities"):
            with pytest.raises(NoFactorsError, match="no factors to plot"):
                getattr(res, name)()
        with pytest.raises(NoFactorsError, match="no factors to rotate"):
            res.rotated_loadings()
        assert res.plot_residual_correlation(ax=ax).get_title() == "Residual correlation"
        assert res.plot_scree().get_title()
        plt.close("all")


def test_missing_cells_are_drawn_around():
    s = simulate_sur(80, 6, 2, 1, rng=3)
    Y = s.endog.copy()
    Y[3:9, 1] = np.nan
    Y[20, :4] = np.nan
    res = LowRankSUR(Y, s.exog, rank=1, missing="fiml").fit()
    axes = Figure().subplots(3)
    res.plot_scree(ax=axes[0])
    res.plot_residual_correlation(ax=axes[1])
    res.plot_fit("y2", ax=axes[2])
    axes[0].figure.canvas.draw()
    assert np.isfinite(axes[0].lines[0].get_ydata()).all()
    shown = np.ma.filled(axes[1].images[0].get_array(), np.nan)
    assert np.isfinite(shown[~np.eye(6, dtype=bool)]).all()
    # Fitted where regressors are, observed where responses are.
    assert [int(np.isnan(line.get_ydata()).sum()) for line in axes[2].lines] == [0, 7]
