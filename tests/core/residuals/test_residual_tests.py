"""Tests of many columns against statsmodels, one column at a time, and their size by simulation."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.diagnostic import acorr_ljungbox, het_arch
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.stattools import jarque_bera as sm_jarque_bera

from sm_alsgls.core.residuals.residual_tests import (
    NullTail,
    arch,
    condition_numbers,
    holm,
    jarque_bera,
    joint_normality,
    leverages,
    ljung_box,
    normality,
    residual_correlations,
)


@pytest.fixture(scope="module")
def E():
    rng = np.random.default_rng(4)
    return rng.standard_normal((60, 5)) * np.geomspace(1e-6, 1e6, 5) + np.arange(5.0)


def test_jarque_bera_and_ljung_box_are_statsmodels(E):
    np.testing.assert_allclose(jarque_bera(E), sm_jarque_bera(E)[0], rtol=1e-9)
    statistic, p = ljung_box(E, 7)
    for j in range(5):
        table = acorr_ljungbox(E[:, j], lags=[7])
        assert statistic[j] == pytest.approx(float(table["lb_stat"].iloc[0]), rel=1e-9)
        assert p[j] == pytest.approx(float(table["lb_pvalue"].iloc[0]), rel=1e-8)


# statsmodels 0.15 announces another type of its result, whatever is asked for.
@pytest.mark.filterwarnings("ignore:acorr_lm currently returns:FutureWarning")
@pytest.mark.filterwarnings("ignore:het_arch currently returns:FutureWarning")
def test_arch_is_statsmodels(E):
    statistic, p = arch(E, 3)
    for j in range(5):
        lm, pvalue, *_ = het_arch(E[:, j], nlags=3)
        assert statistic[j] == pytest.approx(lm, rel=1e-7)
        assert p[j] == pytest.approx(pvalue, rel=1e-6)


def test_holm_is_statsmodels():
    p = np.random.default_rng(0).uniform(size=40) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)
    with_gaps = np.r_[np.nan, p, np.nan]
    np.testing.assert_allclose(holm(with_gaps)[1:-1], holm(p))
    assert np.isnan(holm(with_gaps)[[0, -1]]).all()
    assert np.isnan(holm(np.full(3, np.nan))).all()


def doornik_hansen(x):
    """Doornik and Hansen (2008, Oxford Bulletin 70, section 3), D'Agostino's part by SciPy."""
    n = Fraction(len(x))
    b1, b2 = stats.skew(x) ** 2, stats.kurtosis(x, fisher=False)
    delta = (n - 3) * (n + 1) * (n**2 + 15 * n - 4)
    a = (n - 2) * (n + 5) * (n + 7) * (n**2 + 27 * n - 70) / (6 * delta)
    c = (n - 7) * (n + 5) * (n + 7) * (n**2 + 2 * n - 5) / (6 * delta)
    k = (n + 5) * (n + 7) * (n**3 + 37 * n**2 + 11 * n - 313) / (12 * delta)
    # The mean of the gamma law is that of b2 - 1 - b1 in normal samples.
    of_b1, of_b2 = 6 * (n - 2) / ((n + 1) * (n + 3)), 3 * (n - 1) / (n + 1)
    assert float((a + c * of_b1) / k) == pytest.approx(float(of_b2 - 1 - of_b1), rel=0.05)
    alpha = float(a) + b1 * float(c)
    root = (float(k) * (b2 - 1 - b1) / alpha) ** (1 / 3)
    z2 = (root - 1 + 1 / (9 * alpha)) * (9 * alpha) ** 0.5
    return stats.skewtest(x)[0] ** 2 + z2**2


@pytest.mark.parametrize("n", [8, 25, 300])
def test_normality_is_that_of_the_paper(n):
    rng = np.random.default_rng(n)
    E = np.column_stack([rng.standard_normal(n), rng.exponential(size=n), rng.uniform(size=n)])
    statistic, p = normality(E * [1e-5, 1.0, 1e5])
    np.testing.assert_allclose(statistic, [doornik_hansen(x) for x in E.T], rtol=1e-9)
    np.testing.assert_allclose(p, np.exp(-0.5 * statistic), rtol=1e-9)


def test_normality_has_its_size_and_its_power():
    rng = np.random.default_rng(1)
    for n in (20, 100, 1000):
        assert np.mean(normality(rng.standard_normal((n, 4000)))[1] < 0.05) == pytest.approx(
            0.05, abs=0.012
        )
    # Skewed to either side, or heavy-tailed: three ways to fail.
    for draw in (rng.exponential, lambda size: -rng.exponential(size=size)):
        assert np.mean(normality(draw(size=(60, 300)))[1] < 0.01) > 0.9
    assert np.mean(normality(rng.standard_t(3, size=(200, 300)))[1] < 0.01) > 0.9
    assert np.isnan(normality(rng.standard_normal((7, 3)))[1]).all()


@pytest.mark.parametrize(
    "test",
    [
        lambda E: normality(E)[1],
        lambda E: ljung_box(E, 10)[1],
        lambda E: arch(E, 4)[1],
    ],
)
@pytest.mark.slow
def test_corrected_pvalues_are_right_where_many_equations_look(test):
    tail = NullTail(test, 100)
    nominal = test(np.random.default_rng(3).standard_normal((100, 30_000)))
    p = tail(nominal)
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.004)
    assert np.mean(p < 0.01) == pytest.approx(0.01, abs=0.002)
    # 6 expected; chi2's own p-values have 10 to 50.
    assert np.sum(p < 2e-4) < 15
    order = np.argsort(nominal)
    assert (np.diff(p[order]) >= 0).all()
    assert np.isnan(tail(np.array([np.nan]))).all()


def test_joint_normality_has_its_size():
    rng = np.random.default_rng(2)
    simulated = normality(rng.standard_normal((50, 20_000)))[0]
    for m in (3, 40):
        p = [joint_normality(rng.standard_normal((50, m)), simulated)[1] for _ in range(400)]
        assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.033)
        assert stats.kstest(p, "uniform").pvalue > 0.001
    assert joint_normality(rng.standard_t(3, size=(50, 40)), simulated)[1] < 1e-6


@pytest.mark.parametrize(("n", "K", "r"), [(40, 9, 2), (20, 600, 1), (30, 5, 0)])
def test_residual_correlations_of_a_dense_matrix(n, K, r):
    rng = np.random.default_rng(K)
    E, F = rng.standard_normal((n, K)), rng.standard_normal((K, r))
    variances = rng.uniform(0.5, 2.0, K)
    R = (E.T @ E / 50 - F @ F.T) / np.sqrt(np.outer(variances, variances))
    upper = np.triu_indices(K, 1)
    rms, pairs, values = residual_correlations(E, F, variances, 50, 4)
    assert rms == pytest.approx(np.sqrt(np.mean(R[upper] ** 2)), rel=1e-10)
    expected = np.argsort(-np.abs(R[upper]))[:4]
    assert pairs.tolist() == np.column_stack(upper)[expected].tolist()
    np.testing.assert_allclose(values, R[upper][expected], rtol=1e-9)


def test_leverages_and_condition_numbers():
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((30, 3)) * [1, 1e8, 1e-8], rng.standard_normal((30, 2))]
    hats = [x / np.abs(x).max(axis=0) for x in X]
    expected = np.mean([np.diag(h @ np.linalg.pinv(h)) for h in hats], axis=0)
    np.testing.assert_allclose(leverages(X), expected, rtol=1e-10)
    unit = [x / np.linalg.norm(x, axis=0) for x in X]
    np.testing.assert_allclose(condition_numbers(X), [np.linalg.cond(u) for u in unit], rtol=1e-9)
    np.testing.assert_allclose(leverages([X[0]] * 3), leverages(X[:1]), rtol=1e-12)


def test_a_column_of_zeros_has_no_serial_correlation():
    """As scores of a factor without loadings are."""
    from sm_alsgls.core.residuals.residual_tests import ljung_box

    E = np.random.default_rng(0).standard_normal((20, 2)) * [1.0, 0.0]
    statistic, pvalues = ljung_box(E, 3)
    assert np.isfinite(statistic[0])
    assert np.isnan(pvalues[1])
