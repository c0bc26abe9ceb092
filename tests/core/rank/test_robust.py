"""bic_robust: rows weighted by a multivariate t, against dense twins, and what it finds."""

import numpy as np
import pytest
from scipy import stats

from sm_alsgls.core.rank.robust import (
    robust_criterion,
    serial_rho,
    sign_weights,
    t_loglike,
    t_weights,
)
from sm_alsgls.core.sigma.factor import fit_factor, sigma_parameters
from sm_alsgls.covariance import LowRankDiag


def rows(N, K, r, nu=np.inf, seed=0):
    """Rows F f + D^1/2 u, times a common scale that makes them multivariate t."""
    rng = np.random.default_rng([*np.atleast_1d(seed), N, K, r])
    F, d = rng.standard_normal((K, r)), rng.uniform(0.5, 1.5, K)
    E = rng.standard_normal((N, r)) @ F.T + rng.standard_normal((N, K)) * np.sqrt(d)
    if np.isfinite(nu):
        E *= np.sqrt((nu - 2.0) / rng.chisquare(nu, N))[:, None]
    return E


def least(values):
    return min(values, key=values.get)


class TestTwins:
    @pytest.mark.parametrize("r", [0, 2])
    @pytest.mark.parametrize("nu", [3.0, 9.0, np.inf])
    def test_loglike_is_that_of_scipy(self, r, nu):
        E = rows(30, 6, r, 4.0)
        rng = np.random.default_rng(1)
        cov = LowRankDiag(rng.standard_normal((6, r)), rng.uniform(0.5, 2.0, 6))
        dense = cov.to_dense()
        law = (
            stats.multivariate_normal(cov=dense)
            if np.isinf(nu)
            else stats.multivariate_t(shape=dense, df=nu)
        )
        assert t_loglike(E, cov, nu) == pytest.approx(law.logpdf(E).mean(), abs=1e-11)

    def test_weights_are_those_of_em(self):
        E = rows(30, 6, 2, 4.0)
        cov = LowRankDiag(np.random.default_rng(1).standard_normal((6, 2)), np.ones(6))
        q = np.diag(E @ np.linalg.inv(cov.to_dense()) @ E.T)
        expected = (5.0 + 6) / (5.0 + q)
        np.testing.assert_allclose(t_weights(E, cov, 5.0), expected / expected.mean(), rtol=1e-12)

    @pytest.mark.parametrize("r", [0, 1, 2])
    def test_steps_climb_to_a_stationary_point(self, r):
        """Fixed point of the steps: the gradient of a dense t likelihood is zero there."""
        E, nu = rows(80, 7, 2, 4.0), 5.0
        cov, last = LowRankDiag(np.zeros((7, 0)), E.var(axis=0)), -np.inf
        for _ in range(60):
            w = t_weights(E, cov, nu)
            fit = fit_factor(np.sqrt(w)[:, None] * E, r, gtol=1e-10)
            cov = LowRankDiag(fit.F, fit.d)
            ll = t_loglike(E, cov, nu)
            assert ll >= last - 1e-9
            last = ll

        def dense(theta):
            F, d = theta[: 7 * r].reshape(7, r), np.exp(theta[7 * r :])
            return stats.multivariate_t(shape=F @ F.T + np.diag(d), df=nu).logpdf(E).mean()

        at = np.concatenate([np.array(cov.loadings).ravel(), np.log(cov.uniquenesses)])
        for i in range(len(at)):
            step = np.zeros(len(at))
            step[i] = 1e-4
            assert abs(dense(at + step) - dense(at - step)) / 2e-4 < 1e-6

    def test_signs_leave_directions(self):
        E = rows(40, 5, 1)
        w = sign_weights(E)
        c = np.random.default_rng(2).uniform(0.01, 100.0, 40)
        again = sign_weights(c[:, None] * E)
        # Five steps from another start: the fixed point to a per cent.
        ratio = again * c**2 / w
        np.testing.assert_allclose(ratio, np.median(ratio), rtol=0.05)
        zero = sign_weights(np.vstack([E, np.zeros(5)]))
        assert np.isfinite(zero).all()

    def test_gaussian_rows_are_bic_of_residuals(self):
        E = rows(90, 8, 2, seed=3)
        found = robust_criterion(E, range(3), 87.0, gtol=1e-8)
        assert found.nu == np.inf
        assert (found.weights == 1.0).all()
        Z = E / np.sqrt((E**2).mean(axis=0))
        for r, value in found.values.items():
            nll = fit_factor(Z, r, gtol=1e-8).nll + 4 * np.log(2 * np.pi)
            cost = np.log(87.0) * sigma_parameters(8, r)
            assert value == pytest.approx(2 * 87.0 * nll + cost, abs=1e-3)

    def test_heavy_rows_are_bic_of_weighted_residuals(self):
        E = rows(90, 8, 1, 3.0, seed=3)
        found = robust_criterion(E, range(4), 87.0, gtol=1e-8)
        assert found.nu <= 5.0
        assert found.weights.mean() == pytest.approx(1.0)
        size = np.linalg.norm(E, axis=1)
        assert stats.spearmanr(size, found.weights)[0] < -0.8
        Z = np.sqrt(found.weights)[:, None] * E / np.sqrt((E**2).mean(axis=0))
        nll = fit_factor(Z, 1, gtol=1e-8).nll + 4 * np.log(2 * np.pi)
        cost = np.log(87.0) * sigma_parameters(8, 1)
        assert found.values[1] == pytest.approx(2 * 87.0 * nll + cost, abs=1e-3)


class TestTime:
    def test_rho_by_hand(self):
        E = rows(50, 4, 0)
        ac = sum((E[1:, j] * E[:-1, j]).sum() for j in range(4)) / (E**2).sum()
        assert serial_rho(E) == pytest.approx(max((50 * ac + 1) / 47, 0.0))
        assert serial_rho(np.ones((50, 2))) == 0.95
        assert serial_rho(E * (-1.0) ** np.arange(50)[:, None]) == 0.0
        assert serial_rho(E[:4]) == 0.0

    def test_only_the_fit_counts_fewer_rows(self):
        E = rows(60, 6, 1, seed=5)
        E[1:] += 0.6 * E[:-1]
        plain = robust_criterion(E, [0, 1], 57.0)
        timed = robust_criterion(E, [0, 1], 57.0, in_time=True)
        assert plain.rho == 0.0
        assert timed.rho == pytest.approx(serial_rho(np.sqrt(timed.weights)[:, None] * E), abs=0.05)
        share = (1 - timed.rho**2) / (1 + timed.rho**2)
        for r in (0, 1):
            cost = np.log(57.0) * sigma_parameters(6, r)
            assert timed.values[r] - cost == pytest.approx(share * (plain.values[r] - cost))

    def test_serial_correlation_is_not_a_factor(self):
        found = []
        for seed in range(12):
            E = np.random.default_rng(seed).standard_normal((60, 20))
            for n in range(1, 60):
                E[n] += 0.7 * E[n - 1]
            E -= E.mean(axis=0)
            found.append(
                [least(robust_criterion(E, range(6), 59.0, in_time=t).values) for t in (0, 1)]
            )
        without, with_time = np.array(found).T
        assert np.mean(without > 0) > 0.3
        assert np.mean(with_time == 0) > 0.9


class TestInvariance:
    @pytest.mark.parametrize("nu", [3.0, np.inf])
    def test_units_and_order(self, nu):
        E = rows(60, 9, 2, nu, seed=7)
        rng = np.random.default_rng(3)
        at, columns = rng.permutation(60), rng.permutation(9)
        base = robust_criterion(E, range(5), 57.0, gtol=1e-7)
        moved = robust_criterion(
            (E * 10.0 ** np.arange(-4, 5))[at][:, columns], range(5), 57.0, gtol=1e-7
        )
        assert moved.nu == base.nu
        np.testing.assert_allclose(moved.weights, base.weights[at], rtol=1e-4)
        assert list(moved.values) == list(base.values)
        # What gtol leaves of 2 n nll.
        np.testing.assert_allclose(
            list(moved.values.values()), list(base.values.values()), atol=1e-3
        )

    def test_it_stops_when_it_has_risen_twice(self):
        assert list(robust_criterion(rows(100, 20, 1), range(9), 97.0).values) == [0, 1, 2, 3]


@pytest.mark.slow
def test_recovery_slice():
    """A slice of docs/measured/ranks.md: 20 draws a cell."""
    right = {}
    for r, nu in ((2, np.inf), (0, 3.0), (2, 3.0)):
        found = []
        for seed in range(20):
            E = rows(100, 20, r, nu, seed=[seed])
            Z = E / np.sqrt((E**2).mean(axis=0))
            bic = [
                200 * fit_factor(Z, k, gtol=1e-3).nll + np.log(100) * sigma_parameters(20, k)
                for k in range(6)
            ]
            found.append((least(robust_criterion(E, range(6), 100.0).values), np.argmin(bic)))
        right[r, nu] = (np.array(found) == r).mean(axis=0)
    assert (right[2, np.inf] >= 0.9).all()
    for heavy in ((0, 3.0), (2, 3.0)):
        robust, plain = right[heavy]
        assert robust >= 0.9
        assert plain <= 0.6
