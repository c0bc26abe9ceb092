"""What every covariance of the errors promises (`sm_alsgls.covariance.base`), against Sigma."""

import pickle

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import OptionError
from tests.contracts.inhabitants import COVARIANCES
from tests.core import dense, dense_observed


@pytest.fixture(params=COVARIANCES, ids=lambda name: name.replace(" ", "-"))
def made(request):
    """A value, Sigma, and rows of any kind."""
    rng = np.random.default_rng(0)
    cov, Sigma = COVARIANCES[request.param](rng)
    return cov, Sigma, rng.standard_normal((9, cov.K))


def same(got, expected, rtol=1e-9):
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


class TestAlgebra:
    def test_dense(self, made):
        cov, Sigma, _ = made
        assert cov.K == len(Sigma)
        same(cov.to_dense(), Sigma)
        same(cov.diag(), np.diag(Sigma))

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_solve_and_times(self, made, order):
        cov, Sigma, M = made
        M = np.asarray(M, order=order)
        same(cov.solve(M), M @ np.linalg.inv(Sigma))
        same(cov.times(M), M @ Sigma)
        same(cov.solve(M[0]), M[0] @ np.linalg.inv(Sigma))

    def test_precision(self, made):
        cov, Sigma, _ = made
        P = np.linalg.inv(Sigma)
        same(cov.precision_diag(), np.diag(P))
        assert (cov.precision_diag() > 0.0).all()
        if cov.precision is not None:
            same(cov.precision, P)
            assert not cov.precision.flags.writeable

    def test_whiten(self, made):
        cov, Sigma, M = made
        W = cov.whiten(np.eye(cov.K))
        same(W @ W.T, np.linalg.inv(Sigma))
        same(cov.whiten(M), M @ W)

    def test_pieces_are_the_whole(self, made):
        cov, _, M = made
        pieces = cov.piecewise(len(M))
        if pieces is None:
            return
        parts = [np.array([0, 2]), np.array([1, 3, 4]), np.arange(5, cov.K)]
        for at in parts:
            pieces.read(at, M.T[at])
        for at in parts:
            taken = pieces.taken(at, np.empty((len(at), len(M))))
            same((M.T[at] * pieces.scale(at)[:, None] - taken).T, cov.solve(M)[:, at], 1e-8)

    def test_logdet_and_likelihood(self, made):
        cov, Sigma, E = made
        assert cov.logdet() == pytest.approx(np.linalg.slogdet(Sigma)[1], rel=1e-10)
        assert cov.quad(E) == pytest.approx(np.trace(E @ np.linalg.solve(Sigma, E.T)), rel=1e-9)
        expected = -multivariate_normal(cov=Sigma).logpdf(E).mean()
        assert cov.nll(E) == pytest.approx(expected, rel=1e-9)
        # Any rows with the same products, of n observations.
        R = np.linalg.qr(E, mode="r")
        assert cov.nll(R, len(E)) == pytest.approx(expected, rel=1e-9)

    def test_factors_are_those_of_sigma(self, made):
        cov, Sigma, _ = made
        low = cov.low_rank
        if low is None:
            return
        F, d, G = low.loadings, low.uniquenesses, low.precision_factor
        assert F.shape == (cov.K, low.rank)
        same(F @ F.T + np.diag(d), Sigma)
        same(np.diag(1.0 / d) - G @ G.T, np.linalg.inv(Sigma), 1e-6)  # it cancels at small d


class TestForms:
    def test_scaled(self, made):
        cov, Sigma, _ = made
        c = np.linspace(0.5, 3.0, cov.K)
        same(cov.scaled(c).to_dense(), Sigma * np.outer(c, c))

    def test_canonical_is_the_same_sigma(self, made):
        cov, Sigma, _ = made
        same(cov.canonical().to_dense(), Sigma)

    def test_pickles(self, made):
        cov, _, M = made
        again = pickle.loads(pickle.dumps(cov))
        same(again.solve(M), cov.solve(M), 1e-14)

    def test_samples_have_this_covariance(self, made):
        cov, Sigma, _ = made
        E = cov.sample(np.random.default_rng(1), 40_000)
        sd = np.sqrt(np.diag(Sigma))
        assert E.shape == (40_000, cov.K)
        # Standard errors of a correlation are 1 / 200.
        np.testing.assert_allclose(E.T @ E / len(E) / np.outer(sd, sd),
                                   Sigma / np.outer(sd, sd), atol=0.03)  # fmt: skip


class TestHoles:
    """As rows see it that lack some equations; a value that has no such view says so."""

    def test_against_rows_one_by_one(self, made):
        cov, Sigma, _ = made
        rng = np.random.default_rng(2)
        mask = dense_observed.holes(rng, 25, cov.K, 0.6)
        if not cov.holes:
            with pytest.raises(OptionError, match="missing="):
                cov.seen(Patterns(mask))
            return
        seen = cov.seen(Patterns(mask))
        E = np.where(mask, rng.standard_normal(mask.shape), 0.0)
        same(np.where(mask, seen.solve(E), 0.0), dense_observed.solve(E, mask, Sigma), 1e-8)
        assert seen.logdet() == pytest.approx(dense_observed.logdet(mask, Sigma), rel=1e-9)
        assert seen.nll(E) == pytest.approx(dense_observed.nll(E, mask, Sigma), rel=1e-9)
        inverse = dense_observed.inverses(mask, Sigma)
        mean = np.einsum("njj->j", inverse) / mask.sum(axis=0)
        same(seen.precision_diag(), mean, 1e-8)


class TestStandardErrors:
    """H^-1 by every route that the value declares, and the score of beta by complex step."""

    def routes(self, cov):
        return ["dense", "cg"] + (
            ["dual"] if cov.low_rank is not None and cov.low_rank.rank else []
        )

    def test_by_all_routes(self, made, monkeypatch):
        cov, Sigma, _ = made
        rng = np.random.default_rng(3)
        blocks = [rng.standard_normal((20, 1 + j % 3)) for j in range(cov.K)]
        expected = np.linalg.inv(dense_information(blocks, Sigma))
        R = rng.standard_normal((2, len(expected)))
        for route in self.routes(cov):
            V = CoefficientCovariance(Design(blocks), cov, 20)
            V.__dict__["route"] = route
            if route == "cg":
                monkeypatch.setattr("sm_alsgls.core.beta.information._SMALL", 0)
            same(V.variances(), np.diag(expected), 1e-7)
            same(V.combinations(R), R @ expected @ R.T, 1e-7)
            same(V.times(R), expected @ R.T, 1e-7)
            same(V.block(1), expected[1:3, 1:3], 1e-7)

    def test_of_equal_designs(self, made):
        cov, Sigma, _ = made
        X = np.random.default_rng(4).standard_normal((20, 3))
        V = CoefficientCovariance(Design([X] * cov.K), cov, 20)
        same(V.dense(), np.kron(Sigma, np.linalg.inv(X.T @ X)), 1e-7)
        same(V.variances(), np.diag(np.kron(Sigma, np.linalg.inv(X.T @ X))), 1e-7)

    def test_score_by_complex_step(self, made):
        cov, Sigma, _ = made
        rng = np.random.default_rng(5)
        blocks = [rng.standard_normal((20, 1 + j % 3)) for j in range(cov.K)]
        Y, P = rng.standard_normal((20, cov.K)), np.linalg.inv(Sigma)
        design = Design(blocks)
        g = rng.standard_normal(design.P)
        score = design.normal(cov, 20).score(Y - design.fitted(g), g)
        for i in range(design.P):
            moved = design.fitted(np.eye(design.P)[i])
            E = Y - design.fitted(g) - 1e-30j * moved
            quad = np.einsum("nj,jk,nk->", E, P, E)
            assert score[i] == pytest.approx(-0.5 * quad.imag / 1e-30, rel=1e-7, abs=1e-6)

    def test_gls(self, made):
        cov, Sigma, _ = made
        rng = np.random.default_rng(6)
        blocks = [rng.standard_normal((20, 1 + j % 3)) for j in range(cov.K)]
        Y = rng.standard_normal((20, cov.K))
        design = Design(blocks)
        normal = design.normal(cov, 20)
        ols = design.project(Y)
        V = CoefficientCovariance(design, cov, 20)
        step = np.linalg.solve(
            np.column_stack([normal.apply(e) for e in np.eye(design.P)]),
            normal.score(Y - design.fitted(ols), ols),
        )
        beta = np.concatenate(design.to_beta(ols + step))
        same(beta, np.concatenate(dense.gls(blocks, Y, Sigma)), 1e-7)
        assert V.shape == (design.P, design.P)


def dense_information(blocks, Sigma):
    """X' (Sigma^-1 x I) X of stacked equations, (P, P)."""
    import scipy.linalg

    X = scipy.linalg.block_diag(*blocks)
    return X.T @ np.kron(np.linalg.inv(Sigma), np.eye(len(blocks[0]))) @ X
