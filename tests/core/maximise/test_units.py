"""Searches of responses whose variances are hardly floats, and of laws that know units."""

import dataclasses

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.found import Search
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.maximise.units import in_units
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from tests.core import systems
from tests.core.systems import ring
from tests.worked.covariance import Equicorrelated
from tests.worked.law import SpatialErrors


def spatial(unit, N=60, K=6, lam=0.4):
    blocks, Y = systems.system(np.random.default_rng(2), N, K, 1, 2)
    Y = Y @ np.linalg.inv(np.eye(K) - lam * ring(K)).T * unit
    return Problem(blocks, Y, ALSOptions()).with_errors(SpatialErrors(K, N, ring(K), lam))


@pytest.mark.parametrize("unit", [1e-100, 1e100])
def test_a_law_between_equations_in_extreme_units(unit):
    plain, other = search(spatial(1.0), 1).best, search(spatial(unit), 1).best
    assert other.nll == pytest.approx(plain.nll + 6 * np.log(unit), rel=1e-11)
    np.testing.assert_allclose(other.gamma / unit, plain.gamma, rtol=1e-9)
    np.testing.assert_allclose(
        other.cov.whiten(np.eye(6) * unit), plain.cov.whiten(np.eye(6)), rtol=1e-7, atol=1e-9
    )


def test_the_kind_of_covariance_outlives_a_change_of_units():
    blocks, Y = systems.system(np.random.default_rng(4), 40, 6, 1, 2)
    problem = Problem(blocks, 1e-100 * Y, ALSOptions())

    @in_units
    def searcher(inner, rank, **kwds):
        fit = als(inner, rank)
        return Search(dataclasses.replace(fit, cov=Equicorrelated(np.ones(6), 0.3)), ())

    cov = searcher(problem, 1).best.cov
    assert isinstance(cov, Equicorrelated)
    assert np.log10(cov.sd).max() < -95
