"""Effective F of many equations at once, against one equation at a time."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sm_alsgls.core.beta.robust import White
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.instruments.effective_f import critical_value, effective_f
from sm_alsgls.core.instruments.partialled import partial_out
from sm_alsgls.core.instruments.strengths import strengths
from tests.core.instruments.twin import system

SHAPES = [
    {},
    {"q": (3, 2, 3, 6), "p": (2, 2, 3, 3)},
    {"N": 25, "K": 9, "q": (4, 3, 5) * 3, "p": (2, 3, 2) * 3},
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tau", [0.05, 0.3])
def test_as_one_at_a_time(shape, tau):
    blocks, instruments, _, _, _ = system(np.random.default_rng(1), strength=0.3, **shape)
    blocks[1] = blocks[1][:, ::-1]  # endogenous first
    N = len(blocks[0])
    found = strengths(Instrumented(blocks, instruments), tau)
    assert found.equations.tolist() == list(range(len(blocks)))
    for j, F, weak in zip(*found, strict=True):
        X, Z = blocks[j], instruments[j]
        endogenous = np.arange(X.shape[1]) == (0 if j == 1 else X.shape[1] - 1)
        part = partial_out(X, Z, endogenous)
        value, S = effective_f(part, White(), N / part.df)
        assert_allclose(F, value, rtol=1e-8)
        assert weak == (value < critical_value(S, tau)[0])


@pytest.mark.parametrize("tau", [0.05, 0.1, 0.3])
def test_weak_on_both_sides_of_the_critical_value(tau):
    rng = np.random.default_rng(4)
    Z = [rng.standard_normal((80, 2 + j % 3)) for j in range(60)]
    X = [
        strength * z.sum(axis=1, keepdims=True) + rng.standard_normal((80, 1))
        for strength, z in zip(np.linspace(0.1, 0.9, 60), Z, strict=True)
    ]
    found = strengths(Instrumented(X, Z), tau)
    expected = []
    for x, z in zip(X, Z, strict=True):
        part = partial_out(x, z, np.array([True]))
        value, S = effective_f(part, White(), 80 / part.df)
        expected.append(value < critical_value(S, tau)[0])
    assert 10 < sum(expected) < 50
    assert found.weak.tolist() == expected


def test_equations_with_several_endogenous_regressors_or_none_are_left_out():
    blocks, instruments, _, _, _ = system(np.random.default_rng(2))
    rng = np.random.default_rng(3)
    blocks[0] = instruments[0][:, :2]
    blocks[3] = np.column_stack([blocks[3], instruments[3][:, 2] + rng.standard_normal(60)])
    assert strengths(Instrumented(blocks, instruments)).equations.tolist() == [1, 2]
