"""Restricted likelihood: nlme's REML, the criterion itself, and what is left of the bias."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg

from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.errors.equal_variances import equal_variances
from sm_alsgls.core.laws import restricted_likelihood as module
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.estimated import Kinds, estimated
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.restricted_likelihood import restricted_likelihood
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.laws.rows_of_design import own_products
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.solution import Start
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.covariance import LowRankDiag
from tests.core.laws import dense
from tests.core.laws.grunfeld import blocks, grunfeld, references
from tests.core.laws.panels import panel
from tests.core.laws.test_reference import N, fitted, log_value

TIGHT = ALSOptions(gtol=1e-9)


@pytest.mark.parametrize("firm", [1, 4])
def test_one_equation_is_nlmes_reml(firm):
    Y, X = grunfeld()[0][:, [firm - 1]], [blocks()[firm - 1]]
    ml = maximise(RawSystem(Y, X, AR.of(N, np.zeros(1), 1), TIGHT), 0)
    best = restricted_likelihood(ml, 0).found.best
    assert best.converged
    # Differences of log|H|: thousandths of the standard error of .22.
    assert best.nuisance.values[0] == pytest.approx(references()[f"reml {firm}"]["phi"], abs=2e-4)
    assert abs(best.nuisance.values[0] - ml.found.best.nuisance.values[0]) > 0.05


def test_one_variance_for_all_is_nlmes_reml():
    ml = fitted(equal_variances, log_value())
    fit, expected = restricted_likelihood(ml, 0), references()["reml harvey"]
    assert 0.5 * fit.found.best.nuisance.values[0] == pytest.approx(expected["power"], abs=1e-6)
    b = fit.problem.design.to_params(fit.found.best.gamma)
    np.testing.assert_allclose(b, [expected[k] for k in ("const", "value", "capital")], rtol=1e-5)


def test_the_criterion_has_no_slope_by_brute_force():
    """psi + log|X'T'(P x I)TX| / 2N of both laws together, everything estimated again."""
    rng = np.random.default_rng(0)
    T, k = 18, 4
    z = rng.standard_normal((T, 1))
    law = Chain([AR.of(T, np.zeros(1), k), RowScale(z, k, np.zeros(1))])
    raw = panel(rng, law, T, k, 0.5, TIGHT, own_constants=True)
    ml = maximise(raw, 1)
    fit = restricted_likelihood(ml, 1)
    best = fit.found.best

    def criterion(values):
        system = raw.at(values)
        problem = system.problem(compress=False).with_floor(ml.problem.floor)
        inner = als(problem, 1, Start(near=best.cov))
        P = np.linalg.inv(inner.cov.to_dense())
        # Parameters: the slope, then the constants.
        X = np.zeros((T, k, 1 + k))
        for j, B in enumerate(system.filter.blocks(raw.raw)):
            X[:, j, 0], X[:, j, 1 + j] = B[:, 1], B[:, 0]
        H = np.einsum("tjp,jl,tlq->pq", X, P, X)
        return T * (inner.nll - system.beside) + 0.5 * np.linalg.slogdet(H)[1]

    values, size = best.nuisance.values, np.sqrt(np.diagonal(best.nuisance.cov))
    slope = dense.differences(criterion, values, 1e-3) * size
    assert np.abs(slope).max() < 2e-3
    assert (
        np.abs(dense.differences(criterion, ml.found.best.nuisance.values, 1e-3) * size).max() > 0.1
    )
    # Its curvature in each direction is the inverse covariance's.
    inverse = np.linalg.inv(best.nuisance.cov)
    for i, h in enumerate(0.1 * size):
        step = h * (np.arange(2) == i)
        sides = criterion(values + step) - 2.0 * criterion(values) + criterion(values - step)
        assert sides / h**2 == pytest.approx(inverse[i, i], rel=0.02)  # differences
    # (beta, Sigma) are those given the values, and the likelihood is theirs.
    assert best.nll == pytest.approx(
        als(fit.problem, 1, Start(near=best.cov)).nll - fit.system.beside, abs=1e-9
    )
    assert best.nll > ml.found.best.nll


@pytest.mark.slow
def test_a_common_rho_beside_constants_of_each_unit_is_not_biased():
    """20 panels of T = 15, 20 units: ML is .15 too low, eight times its standard error."""
    found = []
    for seed in range(20):
        rng = np.random.default_rng([1, seed])
        raw = panel(rng, AR.of(15, np.zeros(1), 20), 15, 20, 0.6, own_constants=True)
        ml = maximise(raw, 1, n_starts=1)
        both = ml.found.best.nuisance, restricted_likelihood(ml, 1).found.best.nuisance
        found.append([b.values[0] - 0.6 for b in both])
    other, mine = np.mean(found, axis=0)
    se = np.std(found, axis=0) / 20**0.5
    assert abs(mine) < 3.0 * se[1]
    assert other < -5.0 * se[0]


def test_what_has_no_maximum_says_so(monkeypatch):
    rng = np.random.default_rng(3)
    raw = panel(rng, AR.of(30, np.zeros(1), 4), 30, 4, 0.5)
    ml = maximise(raw, 1)
    monkeypatch.setattr(module, "_STEPS", 1)
    best = restricted_likelihood(ml, 1).found.best
    assert not best.converged
    assert "restricted likelihood has no maximum" in best.status
    # On a bound there is no covariance to begin with.
    Y = 1.05 ** np.arange(300)[:, None] * (1.0 + 1e-3 * rng.standard_normal((300, 3)))
    X = [rng.standard_normal((300, 1)) for _ in range(3)]
    on = maximise(RawSystem(Y, X, AR.of(300, np.zeros(1), 3), TIGHT), 0)
    assert not restricted_likelihood(on, 0).found.best.converged


def parameters(problem):
    """X of all cells in the parameters, (T, K, P), by unit vectors; restrictions left out."""
    design = problem.design
    X = np.zeros((len(problem.Y), design.K, design.P))
    for j, block in enumerate(problem.rows.seen_blocks):
        X[:, j, design.columns(j)] = block
    return X


def dense_products(problem, cov):
    X, P = parameters(problem), np.linalg.inv(cov.to_dense())
    return np.einsum("tjp,jl,tlq->pq", X, P, X, optimize=True)


@pytest.mark.parametrize("tied", ["common", "constants", "free", "free, obeys", "constants, obey"])
def test_log_h_is_of_the_parameters(tied):
    """log|Z'HZ| by dense algebra, Z an orthonormal basis of what restrictions leave of them."""
    rng, K = np.random.default_rng(4), 25
    raw = panel(rng, AR.of(16, np.zeros(1), K), 16, K, 0.4, own_constants=tied != "common")
    raw = replace(raw, raw=[X * [1.0, 50.0 + j] for j, X in enumerate(raw.raw)])
    if tied.startswith("free"):
        raw = replace(raw, binding=None)
    Z = np.eye(raw.problem().design.P)
    if "obey" in tied:
        R = np.zeros((2, len(Z)))
        R[0, [1, 3]], R[1, [2, 4, 5]] = [1.0, -1.0], [1.0, 0.5, 3.0]
        within = {} if raw.binding is None else {"within": raw.binding}
        raw = replace(raw, binding=Restrictions(R, np.array([0.0, 0.1]), **within))
        Z = scipy.linalg.null_space(R)
    fit = restricted_likelihood(maximise(raw, 1), 1)
    H = dense_products(fit.system.problem(compress=False), fit.found.best.cov)
    expected = np.linalg.slogdet(Z.T @ H @ Z)[1]
    found = 2.0 * 16 * (fit.restricted - fit.found.best.nll)
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("own_constants", [False, True])
def test_fits_by_dense_products_are_the_same(own_constants, monkeypatch):
    """Coefficients of each unit beside H of fitted systems, of dropped products, and dense."""
    rng, K = np.random.default_rng(5), 25
    law = AR.of(20, np.zeros(K), K)
    raw = panel(rng, law, 20, K, 0.5, ALSOptions(gtol=1e-9), own_constants)
    fit = estimated(raw, 1, Kinds(slice(0, K))).fit
    beta = np.array(fit.problem.design.to_beta(fit.found.best.gamma))

    def dense_in_coordinates(problem, cov):
        B = problem.design.on_flat(np.eye(problem.design.P)).T
        return B.T @ dense_products(problem, cov) @ B

    monkeypatch.setattr(module, "own_products", dense_in_coordinates)
    other = estimated(raw, 1, Kinds(slice(0, K))).fit
    again = np.array(other.problem.design.to_beta(other.found.best.gamma))
    np.testing.assert_allclose(again, beta, rtol=1e-8, atol=1e-8)
    for a, b in zip(other.found.best.nuisance[1:3], fit.found.best.nuisance[1:3], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


class TestMissingCells:
    """log|X' Omega^-1 X| of the cells that there are, and REML by brute force."""

    N, K = 14, 4

    def system(self, kind, rank, values):
        rng = np.random.default_rng([2, rank])
        N, K = self.N, self.K
        mask = rng.random((N, K)) > 0.25
        mask[0] = True
        z = rng.standard_normal((N, 1))
        ar = AR.of(N, values[:1], K, mask=mask)
        scale = RowScale(z, K, values[-1:], mask=mask)
        law = {"ar": ar, "scale": scale, "both": Chain([ar, scale])}[kind]
        # Numbers of regressors that differ, so that coordinates are not in the order of equations.
        X = [
            np.column_stack([np.ones(N), rng.standard_normal((N, p))]) * mask[:, [j]]
            for j, p in enumerate((2, 1, 2, 1))
        ]
        E = rng.standard_normal((N, 1)) + rng.standard_normal((N, K))
        Y = np.where(mask, 2.0 + np.cumsum(E, axis=0), 0.0)
        raw = RawSystem(Y, X, law, TIGHT, mask=mask)
        cov = LowRankDiag(0.7 * rng.standard_normal((K, rank)), rng.uniform(0.5, 1.5, K))
        return raw, cov, z

    def dense_information(self, raw, cov, z, kind, values):
        times = np.arange(self.N)
        if kind == "scale":
            # Up to the scale of all rows, which is Sigma's.
            root = np.exp(0.5 * z * values[-1]).repeat(self.K, axis=1)
            left = raw.filter.rows(np.ones((self.N, self.K)))
            root /= root[0, 0] * left[0, 0]
            np.testing.assert_allclose((root * left)[raw.mask], 1.0, rtol=1e-12)
            Omega = dense.scaled(root, np.kron(np.eye(self.N), cov.to_dense()))
        else:
            assert kind == "ar"
            Omega = dense.stationary(values[0], times, cov.to_dense())
        at = np.flatnonzero(raw.mask.ravel())
        X = scipy.linalg.block_diag(*raw.raw)  # equations after equations
        X = X.reshape(self.K, self.N, -1).transpose(1, 0, 2).reshape(self.N * self.K, -1)[at]
        return X.T @ np.linalg.solve(Omega[np.ix_(at, at)], X)

    @pytest.mark.parametrize("rank", [0, 1])
    @pytest.mark.parametrize("kind", ["ar", "scale"])
    def test_the_determinant_is_that_of_observed_cells(self, kind, rank):
        values = np.array([0.6]) if kind == "ar" else np.array([0.8])
        raw, cov, z = self.system(kind, rank, values)
        problem = raw.problem(compress=False)
        assert not problem.errors.whole
        found = module._log_det(problem.design, own_products(problem, cov))
        # Coordinate by coordinate: a determinant knows no order.
        design, seen = problem.design, problem.observed(cov)
        columns = [design.project(seen.solve(design.fitted(unit))) for unit in np.eye(design.P)]
        np.testing.assert_allclose(own_products(problem, cov), columns, atol=1e-10)
        H = self.dense_information(raw, cov, z, kind, values)
        assert found == pytest.approx(np.linalg.slogdet(H)[1], abs=1e-9)

    def test_the_value_is_where_the_dense_criterion_is_least(self):
        raw, _, _ = self.system("ar", 0, np.zeros(1))
        ml = maximise(raw, 0)
        fit = restricted_likelihood(ml, 0)
        best = fit.found.best
        assert best.converged
        X = scipy.linalg.block_diag(*raw.raw)
        X = X.reshape(self.K, self.N, -1).transpose(1, 0, 2).reshape(self.N * self.K, -1)
        at = np.flatnonzero(raw.mask.ravel())
        y, X = raw.Y.ravel()[at], X[at]
        equation = np.tile(np.arange(self.K), self.N)[at]

        def criterion(values):
            """Everything else at its maximum, by iterated generalised least squares."""
            base = dense.stationary(values[0], np.arange(self.N), np.eye(self.K))[np.ix_(at, at)]
            s = np.ones(self.K)
            for _ in range(500):
                root = np.sqrt(s[equation])
                W = np.linalg.inv(base * np.outer(root, root))
                H = X.T @ W @ X
                e = y - X @ np.linalg.solve(H, X.T @ W @ y)
                inverse = np.linalg.inv(base)
                new = np.array(
                    [
                        e[equation == j] @ inverse[np.ix_(equation == j, equation == j)]
                        @ e[equation == j] / (equation == j).sum()
                        for j in range(self.K)
                    ]
                )  # fmt: skip
                done, s = np.abs(new / s - 1.0).max() < 1e-13, new
                if done:
                    break
            Omega = base * np.outer(np.sqrt(s[equation]), np.sqrt(s[equation]))
            return 0.5 * dense.minus_twice_log_density(e, Omega) + 0.5 * np.linalg.slogdet(H)[1]

        size = best.nuisance.cov[0, 0] ** 0.5
        slope = dense.differences(criterion, best.nuisance.values, 1e-3) * size
        assert abs(slope[0]) < 2e-3
        there = dense.differences(criterion, ml.found.best.nuisance.values, 1e-3) * size
        assert abs(there[0]) > 0.1
        assert self.N * fit.restricted == pytest.approx(criterion(best.nuisance.values), abs=1e-7)
