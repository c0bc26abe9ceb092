import numpy as np
import pytest
import statsmodels.api as sm

from sm_alsgls.core.residuals import heteroscedasticity
from sm_alsgls.core.residuals.heteroscedasticity import (
    auxiliary,
    basis,
    koenker,
    variance_of_equations,
    variance_of_rows,
)
from sm_alsgls.core.residuals.residual_tests import holm


def test_koenker_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    X = sm.add_constant(rng.standard_normal((80, 2)))
    e = sm.OLS(rng.standard_normal(80), X).fit().resid
    squares = np.column_stack([X, X[:, 1:] ** 2])
    theirs = sm.stats.het_breuschpagan(e, squares)[0]
    assert koenker(e[:, None], basis(squares[:, 1:]))[0] == pytest.approx(theirs, rel=1e-10)
    assert koenker(e[:, None], auxiliary(X, X[:, 1]))[0] == pytest.approx(theirs, rel=1e-10)


def test_auxiliary_regressors_fit_the_rows():
    rng = np.random.default_rng(1)
    X = sm.add_constant(rng.standard_normal((40, 4)))
    assert auxiliary(X, X[:, 1]).shape == (40, 4)  # squares would make eight
    assert auxiliary(X[:20], X[:20, 1]).shape == (20, 2)  # fitted values and squares
    assert auxiliary(np.ones((40, 1)), np.ones(40)).shape == (40, 0)
    dummy = np.column_stack([np.ones(60), np.repeat([0.0, 1.0], 30)])
    assert auxiliary(dummy, dummy[:, 1]).shape == (60, 1)  # its square says the same


@pytest.mark.parametrize("tail", ["normal", "t3", "skewed"])
@pytest.mark.slow
def test_size_under_any_tail(tail, monkeypatch):
    """At 5 %, by Holm over ten equations; Koenker's own chi2 gives .18 under t(3)."""
    draws = {
        "normal": lambda rng, size: rng.standard_normal(size),
        "t3": lambda rng, size: rng.standard_t(3, size),
        "skewed": lambda rng, size: rng.chisquare(2, size) - 2.0,
    }[tail]
    rng = np.random.default_rng(2)
    X = sm.add_constant(rng.standard_normal((50, 2)))
    Q = np.linalg.qr(X)[0]
    rejected = 0
    # Draws of the correction: of .005, the least that Holm asks for, the standard error is .001.
    monkeypatch.setattr(heteroscedasticity, "_DRAWS", 4_000)
    for _ in range(100):
        e = draws(rng, (50, 10))
        E = e - Q @ (Q.T @ e)
        p = variance_of_equations(E, [X] * 10, e - E)[2]
        rejected += np.min(holm(p)) < 0.05
    assert rejected <= 5 + 3 * np.sqrt(100 * 0.05 * 0.95)


def test_power_and_what_has_nothing_to_move_with():
    rng = np.random.default_rng(3)
    X = sm.add_constant(rng.standard_normal((100, 2)))
    blocks = [X, X, np.ones((100, 1))]
    e = rng.standard_normal((100, 3))
    e[:, 1] *= np.exp(0.6 * X[:, 1])
    E = np.column_stack(
        [x - B @ np.linalg.lstsq(B, x, rcond=None)[0] for x, B in zip(e.T, blocks, strict=True)]
    )
    statistic, df, p = variance_of_equations(E, blocks, e - E)
    assert df.tolist() == [4, 4, 0]
    assert p[1] < 0.02 < 0.05 < p[0]
    assert np.isnan(statistic[2])
    assert np.isnan(p[2])


def test_rows_are_permuted():
    rng = np.random.default_rng(4)
    z = rng.standard_normal((60, 2))
    q = rng.chisquare(8, 60)
    statistic, df, p = variance_of_rows(q, z)
    C = np.column_stack([np.ones(60), z])
    R2 = sm.OLS(q, C).fit().rsquared
    assert statistic == pytest.approx(60 * R2, rel=1e-10)
    assert df == 2
    assert p > 0.05
    assert variance_of_rows(q * np.exp(z[:, 0]), z)[2] == 0.001
    assert np.isnan(variance_of_rows(q, np.ones((60, 1)))[2])
    sizes = [variance_of_rows(rng.standard_t(3, 60) ** 2, z, 99)[2] <= 0.05 for _ in range(300)]
    assert 4 <= sum(sizes) <= 27
