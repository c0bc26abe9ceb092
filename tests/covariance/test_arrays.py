"""What the arrays of a covariance are read with."""

from itertools import pairwise, product

import numpy as np

from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.arrays import run
from sm_alsgls.covariance.patterns import Patterns


def test_places_are_a_slice_where_they_follow_one_another_and_only_there():
    for m in range(5):
        for places in product(range(4), repeat=m):
            at = np.array(places, dtype=np.intp)
            found = run(at)
            follow = m > 0 and all(b - a == 1 for a, b in pairwise(places))
            assert isinstance(found, slice) == follow
            np.testing.assert_array_equal(np.arange(4)[found], at)


def test_squares_that_are_no_floats_are_infinite_without_a_warning():
    """Warnings are errors here, and a product of BLAS as a ufunc gives one."""
    rng = np.random.default_rng(0)
    F, E = rng.standard_normal((6, 2)), rng.standard_normal((30, 6))
    mask = rng.random(E.shape) > 0.1
    seen = LowRankDiag(F, np.ones(6)).seen(Patterns(mask))
    assert seen.quad(np.where(mask, E, 0.0) * 1e160) == np.inf
    assert seen.nll(np.where(mask, E, 0.0) * 1e160) == np.inf
    assert np.isinf(LowRankDiag(F * 1e155, np.ones(6)).diag()).any()
