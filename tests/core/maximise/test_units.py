"""A solution in other units is that of the problem in them, and comes back as it was."""

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.units import _Scale
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from tests.core import systems


def test_there_and_back():
    blocks, Y = systems.system(np.random.default_rng(0), 50, 4, 1, 3)
    made, c = Problem(blocks, Y, ALSOptions()), 2.0 ** np.array([3.0, -40.0, 0.0, 60.0])
    solution, scale = als(made, 1), _Scale(made, c)
    inside = scale.inward(solution)
    inner = scale.inner
    np.testing.assert_allclose(inside.E * c, solution.E, rtol=1e-12)
    size = np.linalg.norm(inside.E, axis=0)
    np.testing.assert_allclose(inner.residuals(inside.gamma) / size, inside.E / size, atol=1e-12)
    assert inner.errors.nll(inside.E, inside.cov) == pytest.approx(inside.nll, abs=1e-10)
    back = scale._solution(inside)
    np.testing.assert_allclose(back.gamma, solution.gamma, rtol=1e-12)
    np.testing.assert_allclose(back.cov.diag(), solution.cov.diag(), rtol=1e-12)
    assert back.nll == pytest.approx(solution.nll, abs=1e-12)
