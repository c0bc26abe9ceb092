"""What the arrays of a covariance are read with."""

from itertools import pairwise, product

import numpy as np

from sm_alsgls.covariance.arrays import run


def test_places_are_a_slice_where_they_follow_one_another_and_only_there():
    for m in range(5):
        for places in product(range(4), repeat=m):
            at = np.array(places, dtype=np.intp)
            found = run(at)
            follow = m > 0 and all(b - a == 1 for a, b in pairwise(places))
            assert isinstance(found, slice) == follow
            np.testing.assert_array_equal(np.arange(4)[found], at)
