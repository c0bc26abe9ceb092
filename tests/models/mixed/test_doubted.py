"""What is said of fits that cannot be relied on, and not of others."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankMixedLM
from sm_alsgls.exceptions import AlsglsWarning, ConvergenceWarning, HeywoodWarning
from tests.models.mixed.data import frame, made


def silent(model, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("error", AlsglsWarning)
        return model.fit(**how)


def slopes(m=30, T=6, seed=0):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(m), T)
    x = rng.standard_normal(m * T)
    b = rng.standard_normal((m, 2)) * [1.0, 0.5]
    y = 1.0 + x + b[g, 0] + b[g, 1] * x + 0.7 * rng.standard_normal(m * T)
    return pd.DataFrame({"y": y, "x": x, "g": g})


def of(data, rank="full", formula="y ~ x", re_formula="~ x", **how):
    return LowRankMixedLM.from_formula(formula, data, re_formula, rank, groups="g", **how)


class TestSingular:
    @pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
    def test_an_offset_of_a_slope_is_no_singularity(self, offset):
        """Years: the intercept is at year 0, where it and the slope are one."""
        data = slopes()
        res = silent(of(data.assign(x=data["x"] + offset)))
        assert np.isfinite(res.llf)

    @pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
    def test_units_do_not_hide_one(self, unit):
        data = slopes()
        data["x"] *= unit
        data["y"] = np.random.default_rng(4).standard_normal(len(data))
        with pytest.warns(HeywoodWarning, match="combination of them has variance zero"):
            of(data).fit()

    def test_a_covariance_of_nothing_but_rounding_is_zero(self):
        """lme4's boundary: two groups that are alike; G is 1e-29, and not 0."""
        data = slopes(2, 40)
        data["y"] = np.random.default_rng(3).standard_normal(len(data))
        data = pd.concat([data[data["g"] == 0]] * 2)
        data["g"] = np.repeat([0, 1], 40)
        with pytest.warns(HeywoodWarning, match="variances of 'Group', 'x' are zero"):
            of(data).fit()


class TestFlat:
    def test_dummies_of_groups_leave_nothing_of_an_intercept(self):
        """REML is flat in its variance; by ML it is zero."""
        data = slopes()
        model = of(data, 0, "y ~ 0 + C(g)", "~ 1")
        with pytest.warns(ConvergenceWarning, match="flat place.*dummies of groups"):
            model.fit()
        with pytest.warns(HeywoodWarning, match="zero"):
            model.fit(reml=False)

    def test_one_of_two_effects(self):
        with pytest.warns(ConvergenceWarning, match="flat place"):
            of(slopes(), "full", "y ~ 0 + C(g) + x", "~ x").fit()

    @pytest.mark.parametrize("rank", [0, 1, "full"])
    def test_others_are_not(self, rank):
        model = made(frame(60), rank)
        res = model.fit()
        assert res.estimate.fit.curvature > 0.01
        silent(of(slopes(60)))
