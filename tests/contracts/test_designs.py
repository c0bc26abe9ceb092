"""What every design promises (`sm_alsgls.core.design.base`), against stacked matrices."""

import numpy as np
import pytest
import scipy.linalg

from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.design.base import Unbound
from sm_alsgls.covariance import LowRankDiag
from tests.contracts.inhabitants import DESIGNS
from tests.core import dense_observed


@pytest.fixture(params=[False, True], ids=["whole", "holes"])
def mask(request):
    return dense_observed.holes(np.random.default_rng(8), 24, 4, 0.8, 8) if request.param else None


@pytest.fixture(params=DESIGNS, ids=lambda name: name.replace(" ", "-"))
def built(request, mask):
    return DESIGNS[request.param](np.random.default_rng(0), mask)


@pytest.fixture
def cov():
    rng = np.random.default_rng(1)
    return LowRankDiag.from_factors(rng.standard_normal((4, 1)), rng.uniform(0.5, 1.5, 4))


def same(got, expected, rtol=1e-9):
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


def stacked(built):
    """X (N K, P_beta) of beta, equation by equation; rows equation by equation too."""
    return scipy.linalg.block_diag(*built.blocks)


def parts(built, beta):
    return np.split(beta, np.cumsum([X.shape[1] for X in built.blocks])[:-1])


class TestMaps:
    def test_sizes(self, built):
        design = built.design
        assert (design.n, design.K) == (24, 4)
        np.testing.assert_array_equal(design.p, [X.shape[1] for X in built.blocks])
        assert design.free.K == 4
        assert not design.free.restricted

    def test_fitted_values_are_those_of_the_coefficients(self, built):
        design = built.design
        g = np.random.default_rng(2).standard_normal(design.P)
        beta = design.to_beta(g)
        assert [len(b) for b in beta] == list(design.p)
        expected = np.column_stack([X @ b for X, b in zip(built.blocks, beta, strict=True)])
        origin = 0.0 if design.origin is None else design.free.fitted(design.origin)
        same(design.fitted(g) + origin, expected)
        assert design.fitted(g).flags.f_contiguous

    def test_project_is_the_transpose(self, built):
        design, rng = built.design, np.random.default_rng(3)
        g, M = rng.standard_normal(design.P), rng.standard_normal((24, 4))
        assert g @ design.project(M) == pytest.approx(np.sum(design.fitted(g) * M), rel=1e-10)

    def test_lift_and_drop(self, built):
        design, rng = built.design, np.random.default_rng(4)
        g, gamma = rng.standard_normal(design.P), rng.standard_normal(design.free.P)
        assert design.lift(g) @ gamma == pytest.approx(g @ design.drop(gamma), rel=1e-10)
        same(design.free.fitted(design.lift(g)), design.fitted(g))
        many = rng.standard_normal((design.P, 3))
        same(design.lift(many), np.column_stack([design.lift(b) for b in many.T]))
        same(design.lift(design.inside(g)), design.lift(g))

    def test_round_trip(self, built):
        design = built.design
        g = design.inside(np.random.default_rng(5).standard_normal(design.P))
        same(design.from_beta(design.to_beta(g)), g, 1e-7)

    def test_parameters_hold_each_coefficient(self, built):
        design = built.design
        g = np.random.default_rng(6).standard_normal(design.P)
        params = design.to_params(g)
        for j, b in enumerate(design.to_beta(g)):
            same(params[design.columns(j)], b, 1e-12)
        # And every vector of parameters that is allowed is some coefficients'.
        beta = np.concatenate(design.to_beta(g))
        S = built.S
        again = S @ np.linalg.lstsq(S, beta - built.s0, rcond=None)[0] + built.s0
        same(again, beta, 1e-8)

    def test_projection_is_least_squares(self, built, mask):
        design = built.design
        Y = np.random.default_rng(7).standard_normal((24, 4))
        Y = Y if mask is None else np.where(mask, Y, 0.0)
        left = Y if design.origin is None else Y - design.free.fitted(design.origin)
        E = left - design.fitted(design.project(left))
        # No allowed move of the coefficients lowers the sum of squares.
        X = stacked(built) @ built.S
        scale = np.linalg.norm(X, axis=0)
        gradient = X.T @ E.T.ravel() / np.where(scale > 0, scale, 1.0)
        if not design.restricted or design.P == design.free.P:
            np.testing.assert_allclose(gradient, 0.0, atol=1e-8)

    def test_carried(self, built):
        """From the design of Y_j / c_j, whose fitted values are those of Y_j over c_j."""
        design, c = built.design, np.array([2.0, 0.5, 1.0, 4.0])
        binding = Unbound() if built.binding is None else built.binding
        if built.binding is None and design is not design.free:
            pytest.fail("the list of designs must say what ties the coefficients")
        other = binding.rescaled(c, design.free).bind(design.free)
        g = np.random.default_rng(9).standard_normal(other.P)
        fitted = [
            d.fitted(h) + (0.0 if d.origin is None else d.free.fitted(d.origin))
            for d, h in ((design, design.carried(g, c, other)), (other, g))
        ]
        same(fitted[0], fitted[1] * c, 1e-8)
        # Whose coefficients are those that it fits with.
        own = zip(built.blocks, other.to_beta(g), strict=True)
        same(np.column_stack([X @ b for X, b in own]), fitted[1], 1e-8)
        # And back, of which the parts that do nothing are no part.
        again = other.carried(design.carried(g, c, other), 1.0 / c, design)
        same(other.fitted(again), other.fitted(g), 1e-8)


class TestRidge:
    """sum_j beta_j' diag(w_j) beta_j / 2 per row, in H, in the score and in the covariance."""

    @pytest.fixture
    def ridged(self, built):
        free = built.design.free
        rng = np.random.default_rng(15)
        w = [rng.uniform(0.1, 1.0, X.shape[1]) * np.square(X).mean(axis=0) for X in built.blocks]
        return free, w, free.ridge(w)

    def test_value_and_products(self, ridged):
        free, w, ridge = ridged
        g, h = np.random.default_rng(16).standard_normal((2, free.P))
        betas = [free.to_beta(v) for v in (g, h)]
        both = sum(a @ (v * b) for a, b, v in zip(*betas, w, strict=True))
        assert h @ ridge.apply(g) == pytest.approx(both, rel=1e-9)
        assert ridge.value(g) == pytest.approx(0.5 * g @ ridge.apply(g), rel=1e-10)

    def test_normal_equations(self, ridged, cov):
        free, _, ridge = ridged
        rng = np.random.default_rng(17)
        g, E = rng.standard_normal(free.P), np.asfortranarray(rng.standard_normal((24, 4)))
        plain, normal = free.normal(cov, 40), free.normal(cov, 40, ridge)
        pull = 40 * ridge.apply(g)
        same(normal.apply(g), plain.apply(g) + pull, 1e-9)
        same(normal.apply_many(g[:, None])[:, 0], plain.apply(g) + pull, 1e-9)
        same(normal.score(E, g), plain.score(E, g) - pull, 1e-9)
        same(normal.penalty(g), pull, 1e-12)
        own = np.array([ridge.apply(e)[i] for i, e in enumerate(np.eye(free.P))])
        same(normal.diagonal, plain.diagonal + 40 * own, 1e-9)

    @pytest.mark.parametrize("route", ["dense", "cg"])
    def test_variance(self, ridged, built, cov, route, monkeypatch):
        free, w, ridge = ridged
        if route == "cg":
            monkeypatch.setattr("sm_alsgls.core.beta.information._SMALL", 0)
        V = CoefficientCovariance(free, cov, 40, ridge)
        V.__dict__["route"] = route
        X = stacked(built)
        H = X.T @ np.kron(np.linalg.inv(cov.to_dense()), np.eye(24)) @ X
        expected = np.linalg.inv(H + 40 * np.diag(np.concatenate(w)))
        np.testing.assert_allclose(V.variances(), np.diag(expected), rtol=1e-7)
        R = np.random.default_rng(18).standard_normal((2, free.P)) / np.sqrt(np.diag(expected))
        np.testing.assert_allclose(V.combinations(R), R @ expected @ R.T, rtol=1e-6, atol=1e-8)
        rows = V.ridge_rows()
        products = np.column_stack([40 * ridge.apply(e) for e in np.eye(free.P)])
        order = np.concatenate([np.arange(free.P)[free.equation_slice(j)] for j in range(4)])
        same(rows.T @ rows, products[np.ix_(order, order)], 1e-9)


class TestNormal:
    def test_products_and_score(self, built, cov, mask):
        design, rng = built.design, np.random.default_rng(10)
        normal = design.normal(cov, 24)
        X = np.column_stack([design.fitted(e).T.ravel() for e in np.eye(design.P)])
        H = X.T @ np.kron(np.linalg.inv(cov.to_dense()), np.eye(24)) @ X
        g, E = rng.standard_normal(design.P), rng.standard_normal((24, 4))
        same(normal.apply(g), H @ g, 1e-8)
        many = rng.standard_normal((design.P, 2))
        same(normal.apply_many(many), H @ many, 1e-8)
        score = X.T @ (E @ np.linalg.inv(cov.to_dense())).T.ravel()
        same(normal.score(np.asfortranarray(E), g), score, 1e-8)
        assert (normal.diagonal > 0.0).all()
        assert normal.score_size(score) > 0.0

    def test_score_by_complex_step(self, built, cov):
        design, rng = built.design, np.random.default_rng(11)
        P = np.linalg.inv(cov.to_dense())
        E = rng.standard_normal((24, 4))
        score = design.normal(cov, 24).score(np.asfortranarray(E), np.zeros(design.P))
        for i in range(design.P):
            moved = E - 1e-30j * design.fitted(np.eye(design.P)[i])
            quad = np.einsum("nj,jk,nk->", moved, P, moved)
            assert score[i] == pytest.approx(-0.5 * quad.imag / 1e-30, rel=1e-8, abs=1e-8)


class TestVariance:
    """Of the parameters, by all routes, against the inverse on what they may be."""

    def expected(self, built, cov):
        X, S = stacked(built), built.S
        H = X.T @ np.kron(np.linalg.inv(cov.to_dense()), np.eye(24)) @ X
        basis = scipy.linalg.orth(S)
        return basis @ np.linalg.inv(basis.T @ H @ basis) @ basis.T

    @pytest.mark.parametrize("route", ["dense", "dual", "cg"])
    def test_by_all_routes(self, built, cov, route, monkeypatch):
        if route == "cg":
            monkeypatch.setattr("sm_alsgls.core.beta.information._SMALL", 0)

        def of_free(free):
            V = CoefficientCovariance(free, cov, 24)
            V.__dict__["route"] = route
            return V

        design = built.design
        V = design.variance(of_free)
        whole = self.expected(built, cov)
        positions = np.empty(len(whole), dtype=int)
        start = 0
        for j in range(4):
            at = np.arange(V.shape[0])[V.columns(j)]
            np.testing.assert_array_equal(at, np.arange(V.shape[0])[design.columns(j)])
            positions[start : start + len(at)] = at
            start += len(at)
        scale = np.sqrt(np.diag(whole))
        scale[scale == 0.0] = 1.0
        whole = whole / np.outer(scale, scale)
        of_params = np.ones(V.shape[0])
        of_params[positions] = scale
        got = V.variances()[positions] / scale**2
        np.testing.assert_allclose(got, np.diag(whole), rtol=1e-7, atol=1e-9)
        R = np.random.default_rng(12).standard_normal((3, V.shape[0])) / of_params
        inner = np.zeros((3, len(whole)))
        # A row on shared parameters falls on one of their places in beta.
        first = np.array([np.flatnonzero(positions == k)[0] for k in range(V.shape[0])])
        inner[:, first] = R * of_params
        expected = inner @ whole @ inner.T
        np.testing.assert_allclose(V.combinations(R), expected, rtol=1e-6, atol=1e-8)
        both = V.combinations(R[:2], R[2:])
        np.testing.assert_allclose(both, expected[:2, 2:], rtol=1e-6, atol=1e-8)
        times = V.times(R) / of_params[:, None]
        np.testing.assert_allclose(times[positions], whole @ inner.T, rtol=1e-6, atol=1e-8)
        for j in range(4):
            at = slice(*np.searchsorted(np.repeat(np.arange(4), design.p), [j, j + 1]))
            block = V.block(j) / np.outer(scale[at], scale[at])
            np.testing.assert_allclose(block, whole[at, at], rtol=1e-6, atol=1e-8)
            np.testing.assert_array_equal(V.selector(j) @ np.arange(V.shape[0]), positions[at])
        if route == "dense":
            dense = V.dense()
            same(np.diag(dense), V.variances(), 1e-6)

    def test_solved_combinations_are_fitted_values(self, built, cov):
        design = built.design
        V = design.variance(lambda free: CoefficientCovariance(free, cov, 24))
        R = np.random.default_rng(13).standard_normal((2, V.shape[0]))
        VR = V.times(R)
        for i, gamma in enumerate(V.solve_combinations(R).T):
            fitted = np.column_stack([X @ VR[V.columns(j), i] for j, X in enumerate(built.blocks)])
            same(design.free.fitted(gamma), fitted, 1e-7)

    def test_stretched(self, built, cov):
        """As if the free coefficients had the covariance A V A'."""
        A = np.random.default_rng(14).uniform(0.9, 1.2, 4)
        design = built.design
        made = design.variance(lambda free: CoefficientCovariance(free, cov, 24))
        X, S = stacked(built), built.S
        H = X.T @ np.kron(np.linalg.inv(cov.to_dense()), np.eye(24)) @ X
        a = np.repeat(A, design.p)
        basis = scipy.linalg.orth(S)
        expected = basis @ np.linalg.inv(basis.T @ (H / np.outer(a, a)) @ basis) @ basis.T
        V = made.stretched(lambda j: A[j] * np.eye(int(design.p[j])))
        got = np.concatenate([V.variances()[V.columns(j)] for j in range(4)])
        np.testing.assert_allclose(got, np.diag(expected), rtol=1e-6, atol=1e-12)
