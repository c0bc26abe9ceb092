"""Where coefficients sit among the parameters, against a loop over equations and columns."""

import numpy as np
import pytest

from sm_alsgls.core.design.places import Places

SHARES = {
    "none shared": [[-1, -1], [-1], [-1, -1, -1]],
    "all shared": [[0, 1], [1, 0], [0, 1]],
    "some": [[-1, 0], [-1, 0, -1], [1, -1, 0], [-1]],
    "one equation has them only": [[-1], [1, 0], [-1, -1]],
}


@pytest.mark.parametrize("name", SHARES)
def test_shared_ones_come_first_then_each_equations_own_in_order(name):
    shares = SHARES[name]
    made = Places([np.array(s) for s in shares])
    m = max((n for s in shares for n in s), default=-1) + 1
    columns, follows = [], m
    for s in shares:
        columns.append([])
        for n in s:
            columns[-1].append(n if n >= 0 else follows)
            follows += n < 0
    assert made.m == m
    assert made.P == follows
    assert made.p.tolist() == [len(s) for s in shares]
    assert [at.tolist() for at in made.columns] == columns
    assert sorted({c for at in columns for c in at}) == list(range(made.P))


@pytest.mark.parametrize("name", SHARES)
def test_own_and_shared_columns(name):
    shares = SHARES[name]
    made = Places([np.array(s) for s in shares])
    own = [[i for i, n in enumerate(s) if n < 0] for s in shares]
    shared = [[i for i, n in enumerate(s) if n >= 0] for s in shares]
    assert [at.tolist() for at in made.own] == own
    assert [at.tolist() for at in made.shared] == shared
    assert made.own_counts.tolist() == list(map(len, own))
    assert [at.tolist() for at in made.order] == [a + b for a, b in zip(own, shared, strict=True)]
    assert [at.tolist() for at in made.numbers] == [
        [s[i] for i in at] for s, at in zip(shares, shared, strict=True)
    ]
