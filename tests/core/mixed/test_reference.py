"""Fits against lme4's and nlme's (tests/reference/mixed_*.R)."""

import numpy as np
import pytest

from sm_alsgls.core.mixed.autoregression import AR1
from sm_alsgls.core.mixed.autoregressive_levels import LevelsAR1
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.effects import effects
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.residual_laws import Common, Levels
from sm_alsgls.core.mixed.structures import Diagonal, Unstructured
from tests.core.mixed import references

LME4 = [("lme4", name) for name in references.values("lme4")]
NLME = [("nlme", name) for name in references.values("nlme")]


def fitted(package, name):
    one = references.values(package)[name]
    rows = references.rows(one)
    law, index = Common(), None
    if "ratios" in one:
        law, index = Levels(("Female", "Male")), 1 - rows.female.astype(int)
    if "phi" in one:
        index = rows.times
        law = AR1.of_times(rows.codes, index)
    if "phi" in one and "ratios" in one:
        levels = 1 - rows.female.astype(int)
        index = np.column_stack([rows.times, levels])
        law = LevelsAR1.of_rows(rows.codes, rows.times, levels, ("Female", "Male"))
    q = rows.Z.shape[1]
    structure = Diagonal(q) if one.get("diagonal") else Unstructured(q)
    products = CrossProducts.of_rows(
        rows.Z, rows.X, rows.y, rows.codes, len(rows.groups), law, index, rows.weights
    )
    return one, mixed_fit(products, structure, law, reml=name.endswith("REML"))


@pytest.mark.parametrize(("package", "name"), LME4 + NLME)
def test_fits_are_those_of_r(package, name):
    one, fit = fitted(package, name)
    assert fit.converged
    assert fit.llf > one["llf"] - 1e-6
    # nlme stops up to 3e-5 below the maximum where a law has parameters.
    assert fit.llf == pytest.approx(one["llf"], abs=1e-4 if package == "nlme" else 1e-6)
    se = np.asarray(one["se"])
    np.testing.assert_allclose((fit.b - one["fixef"]) / se, 0.0, atol=1e-4)
    np.testing.assert_allclose(np.sqrt(np.diagonal(fit.cov_b)) / se, 1.0, atol=5e-4)
    assert np.sqrt(fit.s2) == pytest.approx(one["sigma"], rel=2e-4)
    size = np.sqrt(np.diagonal(fit.G) + 1e-4 * fit.s2)
    np.testing.assert_allclose((fit.G - one["cov_re"]) / np.outer(size, size), 0.0, atol=4e-3)
    if "phi" in one:
        assert fit.theta[-1] == pytest.approx(one["phi"], abs=1e-3)
    if "ratios" in one:
        ratio = one["ratios"]["Male"] / one["ratios"]["Female"]
        assert np.exp(0.5 * fit.theta[0]) == pytest.approx(ratio, rel=1e-3)
    mean = effects(fit).mean
    np.testing.assert_allclose((mean - one["ranef"]) / size, 0.0, atol=2e-3)
