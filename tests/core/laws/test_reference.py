"""nlme's generalised least squares on Grunfeld's ten firms (tests/reference/laws_nlme.R)."""

import numpy as np
import pytest

from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled import Pooling
from sm_alsgls.core.errors.equal_variances import equal_variances
from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.options import ALSOptions
from tests.core.laws.grunfeld import blocks, grunfeld, references

N, K = 20, 10


def log_value(mask=None):
    return RowScale(np.log(grunfeld()[1])[:, :, None], K, np.zeros(1), mask=mask)


def with_holes():
    """Three years that no firm has, and single cells."""
    mask = np.ones((N, K), bool)
    years = np.arange(1935, 1955)
    mask[years == 1942, 2] = False
    mask[:2, 6] = False
    kept = ~np.isin(years, [1938, 1939, 1947])
    return kept, years[kept], mask[kept]


def fitted(law, filtered):
    raw = RawSystem(
        grunfeld()[0],
        blocks(),
        filtered,
        ALSOptions(gtol=1e-9),
        law=law,
        binding=Pooling(Places([np.arange(3)] * K)),
    )
    return maximise(raw, 0)


CASES = {
    "harvey": (equal_variances, lambda: log_value()),
    "each": (low_rank, lambda: Chain([])),
    "each ar": (low_rank, lambda: AR.of(N, np.zeros(1), K)),
    "each power ar": (low_rank, lambda: Chain([log_value(), AR.of(N, np.zeros(1), K)])),
}


@pytest.mark.parametrize("name", CASES)
def test_nlme(name):
    law, made = CASES[name]
    fit, expected = fitted(law, made()), references()[name]
    best = fit.found.best
    assert best.converged
    assert -best.nll * N == pytest.approx(expected["llf"], abs=1e-6)
    b = fit.problem.design.to_params(best.gamma)
    # nlme stops where its likelihood is flat: its coefficients have five digits.
    scale = np.array([1.0, 0.1, 0.1])
    found = np.array([expected[k] for k in ("const", "value", "capital")])
    np.testing.assert_allclose(b / scale, found / scale, atol=5e-4)
    values = dict(zip(best.nuisance.names, best.nuisance.values, strict=True))
    if "phi" in expected:
        assert values["rho"] == pytest.approx(expected["phi"], abs=1e-4)
    if "power" in expected:
        # A standard deviation's exponent is half a variance's.
        assert 0.5 * values["delta[0]"] == pytest.approx(expected["power"], abs=1e-4)


def test_years_that_are_missing_and_single_cells():
    kept, years, mask = with_holes()
    Y = np.where(mask, grunfeld()[0][kept], np.nan)
    raw = RawSystem(
        Y,
        [X[kept] for X in blocks()],
        AR.of(len(years), np.zeros(1), K, times=years, mask=mask),
        ALSOptions(gtol=1e-9),
        binding=Pooling(Places([np.arange(3)] * K)),
        mask=mask,
    )
    fit, expected = maximise(raw, 0), references()["each car holes"]
    best = fit.found.best
    assert -best.nll * len(Y) == pytest.approx(expected["llf"], abs=1e-6)
    assert best.nuisance.values[0] == pytest.approx(expected["phi"], abs=1e-4)
