"""Criteria for the number of factors, written out from their papers for one candidate at a time."""

import math

import numpy as np
import pytest

from sm_alsgls.core.rank.criteria import (
    ahn_horenstein,
    bai_ng,
    largest_root_median,
    largest_root_pvalue,
    leading_eigenvalues,
    onatski,
    penalties,
)


def eigenvalues(rows, K, seed=0, factors=2):
    rng = np.random.default_rng(seed)
    E = rng.standard_normal((rows, factors)) @ rng.standard_normal((factors, K))
    E += rng.standard_normal((rows, K))
    Z = E / np.linalg.norm(E, axis=0)
    return E, np.linalg.eigvalsh(Z.T @ Z)[::-1]


def test_penalties():
    ranks, parameters = np.arange(4), np.array([7.0, 12.0, 16.0, 19.0])
    cost = penalties(parameters, ranks, 50.0, 7)
    np.testing.assert_allclose(cost["aic"], 2.0 * parameters)
    np.testing.assert_allclose(cost["bic"], np.log(50.0) * parameters)
    models = [2.0 * math.log(math.comb(7, r)) for r in ranks]
    np.testing.assert_allclose(cost["ebic"], np.log(50.0) * parameters + models, rtol=1e-12)


@pytest.mark.parametrize(("rows", "K"), [(40, 9), (8, 30)])
def test_leading_eigenvalues(rows, K):
    E, values = eigenvalues(rows, K)
    scaled = E * np.geomspace(1e-8, 1e8, K)
    np.testing.assert_allclose(leading_eigenvalues(scaled, rows - 1.0, 5), values[:5], rtol=1e-10)
    # No more than rows, degrees of freedom or equations.
    assert len(leading_eigenvalues(E, 3.9, 50)) == 3
    assert len(leading_eigenvalues(E, 1e9, 50)) == min(rows, K)
    assert len(leading_eigenvalues(E, 0.5, 50)) == 0


@pytest.mark.parametrize(("n", "K"), [(38.0, 9), (7.5, 30)])
def test_bai_and_ng(n, K):
    _, values = eigenvalues(40 if K == 9 else 8, K)
    found = bai_ng(values, np.arange(5), n, K)
    for r in range(5):
        fit = math.log((K - values[:r].sum()) / K)
        m = min(n, K)
        assert found["ic1"][r] == pytest.approx(
            fit + r * (n + K) / (n * K) * math.log(n * K / (n + K)), abs=1e-9
        )
        assert found["ic2"][r] == pytest.approx(fit + r * (n + K) / (n * K) * math.log(m), abs=1e-9)
        assert found["ic3"][r] == pytest.approx(fit + r * math.log(m) / m, abs=1e-9)


@pytest.mark.parametrize(("n", "K"), [(38.0, 9), (7.5, 30)])
def test_ahn_and_horenstein(n, K):
    _, values = eigenvalues(40 if K == 9 else 8, K)
    found = ahn_horenstein(values, np.arange(5), n, K)
    mock = np.concatenate([[K / math.log(min(n, K))], values])

    def growth(r):
        return math.log1p(mock[r] / (K - values[:r].sum()))

    for r in range(5):
        assert found["er"][r] == pytest.approx(mock[r] / mock[r + 1], rel=1e-9)
        assert found["gr"][r] == pytest.approx(growth(r) / growth(r + 1), rel=1e-8)


def test_where_nothing_follows_there_is_no_ratio():
    values = np.array([4.0, 1.0])
    few = ahn_horenstein(values, np.arange(4), 30.0, 5)
    assert np.isfinite(few["er"][:2]).all()
    assert np.isnan(few["er"][2:]).all()
    for n, K in ((30.0, 1), (1.0, 5), (0.5, 5)):
        missing = ahn_horenstein(values, np.arange(2), n, K)
        assert np.isnan([missing["er"], missing["gr"]]).all()
    assert np.isfinite(ahn_horenstein(values, np.arange(1), 1.5, 5)["er"]).all()
    # Both eigenvalues take all there is: nothing is left to have a logarithm.
    left = bai_ng(values, np.arange(4), 30.0, 5)["ic1"]
    assert np.isfinite(left[:2]).all()
    assert np.isnan(left[2:]).all()


def test_onatski_by_hand():
    """Eigenvalues on a line in j^(2/3) past two: the slope is exact."""
    tail = 3.0 - 0.2 * np.arange(2, 14) ** (2 / 3)
    values = np.concatenate([[9.0, 6.0], tail])
    found = onatski(values, np.arange(5))
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1], 3.0 / 0.4, rtol=1e-10)
    np.testing.assert_allclose(found[2], (6.0 - tail[0]) / 0.4, rtol=1e-10)
    assert (found[3:] < 1.0).all()
    # Five eigenvalues past the largest candidate are needed.
    assert np.isfinite(onatski(values[:6], np.arange(5))[1])
    assert np.isnan(onatski(values[:6], np.arange(5))[2:]).all()
    assert np.isnan(onatski(values[:5], np.arange(5))).all()


def test_the_largest_root_of_noise():
    """The median and tail of Tracy and Widom's law, against draws."""
    rng = np.random.default_rng(0)
    n, K = 60, 12
    E = rng.standard_normal((4000, n, K))
    roots = np.linalg.eigvalsh(E.transpose(0, 2, 1) @ E)[:, -1] / n
    N, k = np.array(float(n)), np.array(float(K))
    median = float(largest_root_median(N, k))
    assert np.mean(roots < median) == pytest.approx(0.5, abs=0.03)
    assert float(largest_root_pvalue(np.array(median), N, k)) == pytest.approx(0.5, abs=1e-9)
    for level in (0.01, 0.05, 0.2):
        p = largest_root_pvalue(roots, N, k)
        assert np.mean(p < level) == pytest.approx(level, abs=4 * np.sqrt(level / 4000))
    assert float(largest_root_pvalue(np.array(1e-9), N, k)) == 1.0
