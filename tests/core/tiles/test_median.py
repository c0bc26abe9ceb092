"""Medians of values in shards, beside NumPy's."""

import numpy as np
import pytest

from sm_alsgls.core.across import ALONE
from sm_alsgls.core.tiles.median import median
from tests.core.tiles.shards import in_shards

RNG = np.random.default_rng(0)
VALUES = {
    "odd": RNG.exponential(size=101),
    "even": RNG.exponential(size=100),
    "ties": RNG.integers(0, 3, 64).astype(float),
    "equal": np.full(9, 1.5),
    "two": np.array([1.0, 2.0]),
    "far": np.array([0.0, 5e-324, 1e-300, 1.0, 1e300, 1e308]),
    "zeros": np.array([0.0, -0.0, 0.0, 4.0]),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("cuts", [(1,), (1, 2), ()])
def test_shards_have_the_median_of_all(name, cuts):
    values = VALUES[name]
    found = in_shards(median, np.split(values, [len(values) * c // 3 for c in cuts]))
    assert set(found) == {float(np.median(values))}
    assert median(values, ALONE) == float(np.median(values))


def test_a_shard_may_have_none():
    assert in_shards(median, [np.empty(0), np.array([3.0, 5.0])]) == [4.0, 4.0]
