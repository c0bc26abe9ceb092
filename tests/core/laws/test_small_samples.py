"""Leverages of rows, the corrected delta and the pooled test of no AR."""

import numpy as np
import pytest
from scipy.linalg import block_diag

from sm_alsgls.core.laws import leverage_scale as module
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.leverage_scale import leverage_scale
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.no_ar import no_ar
from sm_alsgls.core.laws.no_scale import no_scale
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.laws.rows_of_design import lagged_products, leverages, own_products
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.solution import Start
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.residuals.pooled_serial import pooled_serial
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import ShapeError
from tests.core import systems
from tests.core.laws.panels import panel

TIGHT = ALSOptions(gtol=1e-9)


def stacked(raw, pooled):
    """X of all cells, rows after rows, in the parameters: (N, K, P)."""
    N, K = raw.Y.shape
    if pooled:
        return np.stack(raw.raw, axis=1)
    rows = [block_diag(*[X[n : n + 1] for X in raw.raw]) for n in range(N)]
    return np.array(rows).reshape(N, K, -1)


# Of many equations with few coordinates products are made of fitted systems.
@pytest.mark.parametrize(("pooled", "K"), [(False, 4), (True, 4), (True, 25)])
def test_leverages_by_brute_force(pooled, K):
    rng = np.random.default_rng(0)
    raw = panel(rng, Chain([]), 12, K, 0.3)
    raw = raw if pooled else module.replace(raw, binding=None)
    problem = raw.problem(compress=False)
    cov = LowRankDiag(rng.standard_normal((K, 1)), rng.uniform(0.5, 1.0, K))
    P, X = np.linalg.inv(cov.to_dense()), stacked(raw, pooled)
    V = np.linalg.inv(np.einsum("njp,jk,nkq->pq", X, P, X))
    expected = np.einsum("jk,nkp,pq,njq->n", P, X, V, X)
    found = leverages(problem, cov)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert found.sum() == pytest.approx(problem.design.P)
    same, lagged = own_products(problem, cov), lagged_products(problem, cov)
    mean = np.trace(V @ np.einsum("njp,jk,nkq->pq", X[:-1], P, X[1:]))
    assert np.trace(np.linalg.solve(same, lagged)) == pytest.approx(mean, rel=1e-9)


def test_products_with_the_next_row_are_of_the_row_before():
    X = np.random.default_rng(1).standard_normal((9, 2))
    problem = RawSystem(X[:, :1], [X], Chain([]), TIGHT).problem(compress=False)
    one = LowRankDiag.diagonal([2.0])
    same, lagged = own_products(problem, one), lagged_products(problem, one)
    Q = problem.design.free.basis(0)
    np.testing.assert_allclose(same, 0.5 * np.eye(2), atol=1e-12)
    np.testing.assert_allclose(lagged, 0.5 * Q[:-1].T @ Q[1:], atol=1e-12)


def scaled_system(seed, N, K=6, m=1, delta=1.0, options=TIGHT):
    rng = np.random.default_rng(seed)
    blocks, _ = systems.system(rng, N, K, 1, 3)
    z = rng.standard_normal((N, m))
    Y = systems.factor_data(rng, N, K, 1) * np.exp(0.5 * delta * z.sum(axis=1, keepdims=True))
    return RawSystem(Y, blocks, RowScale(z, K, np.zeros(m)), options), z


@pytest.mark.parametrize("m", [1, 2])
def test_the_equation_of_delta_is_solved(m):
    raw, z = scaled_system(1, 40, m=m)
    found = leverage_scale(maximise(raw, 1), 1)
    best, K = found.found.best, 6
    assert best.converged

    def left(values):
        system = raw.at(values)
        problem = system.problem(compress=False)
        inner = als(problem, 1, Start(near=best.cov))
        X = stacked(module.replace(raw, raw=system.filter.blocks(raw.raw)), False)
        P = np.linalg.inv(inner.cov.to_dense())
        V = np.linalg.inv(np.einsum("njp,jk,nkq->pq", X, P, X))
        lev = np.einsum("jk,nkp,pq,njq->n", P, X, V, X)
        y = np.einsum("nj,jk,nk->n", inner.E, P, inner.E) / (K - lev)
        return (z - z.mean(axis=0)).T @ (y / y.mean() - 1.0)

    values, size = best.nuisance.values, np.sqrt(np.diagonal(best.nuisance.cov))
    scale = np.abs(left(values + size)).max()
    assert np.abs(left(values)).max() < 1e-4 * scale
    J = np.array([
        (left(values - 0.3 * h * unit) - left(values + 0.3 * h * unit)) / (0.6 * h)
        for unit, h in zip(np.eye(m), size, strict=True)
    ]).T  # fmt: skip
    # Differences over another step.
    np.testing.assert_allclose(
        best.nuisance.cov, np.linalg.inv(0.5 * K * 0.5 * (J + J.T)), rtol=0.02, atol=1e-4
    )


@pytest.mark.slow
def test_delta_is_not_biased_and_its_intervals_cover():
    """45 systems of N = 30, K = 6: ML is .12 too large."""
    errors, covered = [], []
    for seed in range(45):
        raw, _ = scaled_system([2, seed], 30, options=ALSOptions())
        ml = maximise(raw, 1, n_starts=1)
        found = leverage_scale(ml, 1).found.best.nuisance
        errors.append([found.values[0] - 1.0, ml.found.best.nuisance.values[0] - 1.0])
        covered.append(abs(errors[-1][0]) < 1.96 * found.cov[0, 0] ** 0.5)
    (mine, other), se = np.mean(errors, axis=0), np.std(errors, axis=0) / 45**0.5
    assert abs(mine) < 2.5 * se[0]
    assert other > 3.0 * se[1]
    assert np.mean(covered) > 0.85  # three standard errors of .033 below


def test_scales_of_cells_have_no_leverage_of_rows():
    rng = np.random.default_rng(3)
    blocks, Y = systems.system(rng, 30, 3, 0, 2)
    law = RowScale(rng.standard_normal((30, 3, 1)), 3, np.zeros(1))
    with pytest.raises(ShapeError, match="cells"):
        leverage_scale(maximise(RawSystem(Y, blocks, law, ALSOptions()), 0), 0)


def test_an_equation_that_is_not_solved_says_so(monkeypatch):
    monkeypatch.setattr(module, "_ROUNDS", 1)
    raw, _ = scaled_system(4, 30)
    best = leverage_scale(maximise(raw, 1), 1).found.best
    assert not best.converged
    assert "was not solved" in best.status


@pytest.mark.slow
@pytest.mark.parametrize("own_constants", [False, True])
def test_size_and_power_of_no_ar(own_constants):
    def rejects(rho, draws):
        out = []
        for seed in range(draws):
            rng = np.random.default_rng([5, seed])
            raw = panel(rng, Chain([]), 20, 12, rho, own_constants=own_constants)
            out.append(no_ar(raw, maximise(raw, 1, n_starts=1)).pvalue < 0.05)
        return np.mean(out)

    # Power, of .53 and more, is seen in fewer draws than a size: its standard error is .065.
    size, power = rejects(0.0, 200), rejects(0.15, 60)
    # Three Monte Carlo standard errors of .015; measured .02 at this size, .05 at 40 x 30.
    assert 0.005 < size < 0.095
    assert power > 0.34


def lag_trace(X):
    Q = np.linalg.qr(X)[0]
    return np.vdot(Q[:-1], Q[1:])


def test_no_ar_of_free_equations_is_near_pooled_serial():
    rng = np.random.default_rng(6)
    blocks, Y = systems.system(rng, 60, 8, 1, 2)
    raw = RawSystem(Y, blocks, Chain([]), TIGHT)
    fit = maximise(raw, 1)
    found = no_ar(raw, fit)
    E = raw.residuals(fit.problem.design, fit.found.best.gamma)
    other = pooled_serial(E, fit.found.best.cov.solve(E), blocks)
    assert found.rho == pytest.approx(other.rho, abs=0.01)
    assert found.statistic == pytest.approx(other.statistic, rel=0.1, abs=0.05)
    # By hand: whole rows, the score and its variance.
    W = fit.found.best.cov.solve(E)
    G, h = np.vdot(E[:-1], W[1:]), np.vdot(E[:-1], W[:-1])
    mean = G - found.rho * h
    assert mean == pytest.approx(-sum(lag_trace(X) for X in blocks), rel=0.1)
    assert found.statistic == pytest.approx((found.rho * h) ** 2 / h * 62 / 60)


@pytest.mark.slow
def test_size_and_power_of_no_scale():
    def rejects(delta, draws):
        out = []
        for seed in range(draws):
            raw, z = scaled_system([6, seed], 30, m=2, delta=delta, options=ALSOptions())
            plain = module.replace(raw, filter=Chain([]))
            out.append(no_scale(maximise(plain, 1, n_starts=1), z).pvalue < 0.05)
        return np.mean(out)

    # Power, of .9, is seen in fewer draws than a size: its standard error is .04.
    size, power = rejects(0.0, 200), rejects(0.4, 60)
    # Three Monte Carlo standard errors of .015.
    assert 0.01 < size < 0.095
    assert power > 0.7


def test_no_scale_is_the_regression_of_squares_on_z():
    """N R2 of y on z, where leverages are those of the closed form."""
    raw, z = scaled_system(7, 60, m=2, delta=0.5)
    plain = module.replace(raw, filter=Chain([]))
    fit = maximise(plain, 1)
    found = no_scale(fit, z)
    E = plain.residuals(fit.problem.design, fit.found.best.gamma)
    P, X = np.linalg.inv(fit.found.best.cov.to_dense()), stacked(plain, False)
    V = np.linalg.inv(np.einsum("njp,jk,nkq->pq", X, P, X))
    y = np.einsum("nj,jk,nk->n", E, P, E) / (6 - np.einsum("jk,nkp,pq,njq->n", P, X, V, X))
    Z = np.column_stack([np.ones(60), z])
    b, rss = np.linalg.lstsq(Z, y, rcond=None)[:2]
    assert found.statistic == pytest.approx(60 * (1 - rss[0] / (60 * np.var(y))), rel=1e-8)
    np.testing.assert_allclose(found.delta, b[1:] / y.mean(), rtol=1e-8)
    assert found.df == 2
