"""The pairs bootstrap: what is drawn, seeds and processes, and refits that fail."""

import numpy as np
import pytest

from sm_alsgls.core.instruments.pairs import Pairs, pairs_bootstrap
from sm_alsgls.exceptions import UnderidentifiedError
from tests.core.instruments.draws import equation

Y, X, Z, _ = equation(N=120, L=3, seed=1, strength=1.0, uneven=True)


def tsls(rows):
    hat = Z[rows] @ np.linalg.lstsq(Z[rows], X[rows], rcond=None)[0]
    return np.linalg.solve(hat.T @ X[rows], hat.T @ Y[rows])


def seldom(rows):
    if 0 not in rows:
        raise UnderidentifiedError("row 0 was not drawn")
    return rows[:1]


def seeds(n):
    return np.random.SeedSequence(5).spawn(n)


def test_the_answer_is_the_same_for_any_number_of_processes():
    one, two = (list(pairs_bootstrap(Pairs(tsls, 120), seeds(12), n)) for n in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
    assert not np.array_equal(one[0].values, one[1].values)


def test_standard_errors_are_robust():
    draws = np.array([r.values for r in pairs_bootstrap(Pairs(tsls, 120), seeds(600))])
    hat = Z @ np.linalg.lstsq(Z, X, rcond=None)[0]
    A = np.linalg.inv(hat.T @ X)
    scores = hat * (Y - X @ tsls(np.arange(120)))[:, None]
    se = np.sqrt(np.diag(A @ scores.T @ scores @ A.T))
    # 600 draws: a relative standard error of 3 %; HC0 is itself first-order.
    np.testing.assert_allclose(draws.std(axis=0), se, rtol=0.2)


def test_clusters_are_drawn_whole():
    code = np.array([0, 1, 2, 0, 1, 2, 2, 2])
    pairs, most = Pairs(tsls, 8, code), 0
    for seed in range(20):
        rows = pairs.rows(np.random.default_rng(seed))
        counts = np.bincount(rows, minlength=8)
        for g in range(3):
            assert len(set(counts[code == g])) == 1
        assert sum(counts[np.array([0, 1, 2])]) == 3
        most = max(most, counts.max())
    assert most > 1


def test_a_refit_that_is_not_identified_is_a_failure():
    found = list(pairs_bootstrap(Pairs(seldom, 20), seeds(40)))
    failed = [one for one in found if one.values is None]
    # (1 - 1/20)^20 = .36 of the draws are without row 0.
    assert 5 < len(failed) < 25
    assert {one.failure for one in failed} == {"row 0 was not drawn"}
    with pytest.raises(ZeroDivisionError):
        list(pairs_bootstrap(Pairs(lambda rows: 1 / 0, 20), seeds(1)))
