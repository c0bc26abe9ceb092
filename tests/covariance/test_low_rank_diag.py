"""Every ``LowRankDiag``, however it was made, against its dense twin in 50 digits."""

from __future__ import annotations

import copy
import doctest
import pickle
import tracemalloc

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import toeplitz

from sm_alsgls.covariance import LowRankDiag, closest, low_rank_diag, value
from sm_alsgls.covariance.low_rank_diag import adopted
from sm_alsgls.exceptions import (
    ConvergenceWarning,
    IllegalRankError,
    NonFiniteError,
    OptionError,
    ShapeError,
    SystemInputError,
)

RTOL = 1e-12
DIGITS = 50


def random_cov(seed, K, r, heywood=0, ratio=1e-10):
    rng = np.random.default_rng(seed)
    F, d = rng.normal(size=(K, r)), rng.uniform(0.5, 2.0, K)
    d[:heywood] = ratio * np.square(F[:heywood]).sum(axis=1)
    return LowRankDiag(F, d)


def spread(K, decades=16):
    return 10.0 ** np.random.default_rng(99).permutation(np.linspace(-decades, decades, K))


def trusted_fortran():
    cov = random_cov(7, 9, 2)
    return adopted(np.asfortranarray(cov.loadings), cov.uniquenesses.copy())


def nearly_parallel():
    # Two strong factors that differ in the fourth digit: C's Cholesky would lose eight digits.
    rng = np.random.default_rng(17)
    f = rng.normal(size=8)
    return LowRankDiag(1e4 * np.column_stack([f, f + 1e-4 * rng.normal(size=8)]), np.ones(8))


CASES = {
    "diagonal": lambda: LowRankDiag.diagonal([0.5, 2.0, 3.0, 0.1]),
    "rank zero": lambda: LowRankDiag(np.empty((3, 0)), [1.0, 2.0, 3.0]),
    "zero loadings": lambda: LowRankDiag(np.zeros((4, 2)), [1.0, 2.0, 3.0, 4.0]),
    "K=1 r=0": lambda: LowRankDiag.diagonal([2.5]),
    "K=1 r=1": lambda: LowRankDiag([[1.5]], [0.3]),
    "K=2 r=3": lambda: random_cov(0, 2, 3),
    "K<n": lambda: random_cov(1, 4, 1),
    "K>n": lambda: random_cov(2, 12, 3),
    "wide units": lambda: random_cov(3, 8, 2).scaled(spread(8)),
    "wide uniquenesses": lambda: LowRankDiag(random_cov(4, 8, 1).loadings, spread(8)),
    "one heywood": lambda: random_cov(5, 8, 2, heywood=1),
    "as many heywood as factors": lambda: random_cov(6, 10, 2, heywood=2),
    "extreme heywood": lambda: random_cov(6, 10, 2, heywood=1, ratio=1e-30),
    "heywood rank one": lambda: random_cov(8, 6, 1, heywood=1),
    "heywood in wide units": lambda: random_cov(5, 8, 2, heywood=2).scaled(spread(8)),
    "strong factors": lambda: LowRankDiag(30.0 * random_cov(9, 9, 2).loadings, np.ones(9)),
    "nearly parallel": nearly_parallel,
    "fortran, trusted": trusted_fortran,
    "from lists": lambda: LowRankDiag.from_factors([[1, 2], [3, 4], [0, 1]], [1, 2, 3]),
    "scaled": lambda: random_cov(10, 5, 2).scaled(3.0),
    "marginal": lambda: random_cov(11, 9, 2).marginal([7, 0, 4, 5]),
    "corr": lambda: random_cov(12, 6, 2, heywood=1).corr(),
    "canonical": lambda: random_cov(13, 6, 2).canonical(),
    "pickled": lambda: pickle.loads(pickle.dumps(random_cov(14, 6, 2))),
    "from_dense": lambda: LowRankDiag.from_dense(random_cov(15, 8, 2).to_dense(), 2),
}


class Twin:
    """Sigma, its inverse and its log-determinant from (F, d) in 50 digits, as floats."""

    def __init__(self, cov):
        with mpmath.workdps(DIGITS):
            F, d = cov.loadings, cov.uniquenesses
            S = mpmath.matrix(*cov.shape)
            for i in range(cov.K):
                for j in range(cov.K):
                    S[i, j] = mpmath.fdot(zip(map(float, F[i]), map(float, F[j]), strict=True))
                S[i, i] += float(d[i])
            # Pivoting sees numbers of one size, whatever the units.
            sd = mpmath.diag([mpmath.sqrt(S[i, i]) for i in range(cov.K)])
            R = (sd**-1) * S * (sd**-1)
            self.inverse_mp = (sd**-1) * R**-1 * (sd**-1)
            logdet = mpmath.log(mpmath.det(R)) + 2 * mpmath.log(mpmath.det(sd))
            self.logdet = float(logdet)
            self.Sigma = self.floats(S)
            self.inverse = self.floats(self.inverse_mp)
        self.sd = np.sqrt(np.diag(self.Sigma))
        self.precision_sd = np.sqrt(np.diag(self.inverse))

    @staticmethod
    def floats(M):
        return np.array(M.tolist(), dtype=object).astype(float).reshape(M.rows, M.cols)

    def solve(self, M):
        with mpmath.workdps(DIGITS):
            return self.floats(mpmath.matrix(M.tolist()) * self.inverse_mp)

    def quad(self, M):
        with mpmath.workdps(DIGITS):
            E = mpmath.matrix(M.tolist())
            X = E * self.inverse_mp
            return float(mpmath.fdot(zip(X, E, strict=True)))


@pytest.fixture(scope="module", params=CASES)
def case(request):
    cov = CASES[request.param]()
    # Half the rows look like draws from Sigma, half are spread over the axes.
    rng = np.random.default_rng(5)
    rows = np.vstack([cov.sample(rng, 3), rng.normal(size=(3, cov.K)) * np.sqrt(cov.diag())])
    # Nearly dependent loadings amplify their own rounding by |f_j| / sqrt(d_j): the class's notes.
    rtol = 1e-10 if request.param == "nearly parallel" else RTOL
    return cov, Twin(cov), rows, rtol


class TestContract:
    def test_sizes(self, case):
        cov, twin, _, _ = case
        assert cov.K == cov.n_equations == twin.Sigma.shape[0]
        assert cov.shape == twin.Sigma.shape
        assert cov.loadings.shape == (cov.K, cov.rank)
        assert cov.uniquenesses.shape == (cov.K,)
        assert repr(cov) == f"LowRankDiag(K={cov.K}, rank={cov.rank})"

    def test_dense_and_diag(self, case):
        cov, twin, _, _ = case
        assert_allclose(
            cov.to_dense() / twin.sd / twin.sd[:, None],
            twin.Sigma / twin.sd / twin.sd[:, None],
            rtol=0,
            atol=1e-14,
        )
        assert_allclose(cov.diag(), np.diag(twin.Sigma), rtol=1e-14)

    def test_logdet(self, case):
        cov, twin, _, _ = case
        assert_allclose(cov.logdet(), twin.logdet, rtol=RTOL, atol=RTOL)
        assert isinstance(cov.logdet(), float)

    @pytest.mark.parametrize("layout", ["C", "F", "strided", "vector", "list", "empty"])
    def test_solve(self, case, layout):
        cov, twin, rows, rtol = case
        M = {
            "C": rows,
            "F": np.ascontiguousarray(rows.T).T,
            "strided": np.repeat(np.repeat(rows, 2, axis=0), 2, axis=1)[::2, ::2],
            "vector": rows[1],
            "list": rows.tolist(),
            "empty": rows[:0],
        }[layout]
        before = copy.deepcopy(M)
        got = cov.solve(M)
        assert_array_equal(M, before)
        assert got.shape == np.shape(M)
        if layout in "CF":
            assert got.flags[f"{layout}_CONTIGUOUS"]
        want = {"vector": twin.solve(rows)[1], "empty": rows[:0]}.get(layout, twin.solve(rows))
        # Element j of m Sigma^-1 in units of sqrt (Sigma^-1)_jj, against the largest m_j in the
        # same units: that is what a rounding of m itself changes.
        got, want = np.atleast_2d(got / twin.precision_sd), np.atleast_2d(want / twin.precision_sd)
        size = np.abs(np.atleast_2d(M) * twin.precision_sd).max(axis=1, keepdims=True, initial=0)
        assert_allclose(got / size, want / size, rtol=0, atol=rtol)

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_whiten_and_colorize(self, case, order):
        cov, twin, _, rtol = case
        eye = np.eye(cov.K)
        W = cov.whiten(np.asarray(eye, order=order))
        scale = np.outer(twin.precision_sd, twin.precision_sd)
        assert_allclose(W @ W.T / scale, twin.inverse / scale, rtol=0, atol=rtol)
        B = cov.colorize(np.asarray(eye, order=order))
        scale = np.outer(twin.sd, twin.sd)
        assert_allclose(B.T @ B / scale, twin.Sigma / scale, rtol=0, atol=rtol)

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_colorize_inverts_whiten(self, case, order):
        cov, twin, rows, _ = case
        drawn = np.asarray(rows[:3], order=order)
        # Rows from Sigma; whiten(B^-1) of others is as large as sqrt(cond Sigma).
        assert_allclose(cov.colorize(cov.whiten(drawn)) / twin.sd, drawn / twin.sd, atol=1e-10)
        white = np.random.default_rng(6).normal(size=(3, cov.K))
        assert_allclose(cov.whiten(cov.colorize(np.asarray(white, order=order))), white, atol=1e-9)
        assert_allclose(
            cov.colorize(cov.whiten(drawn[0])) / twin.sd, drawn[0] / twin.sd, atol=1e-10
        )
        assert cov.whiten(drawn[:0]).shape == cov.colorize(drawn[:0]).shape == (0, cov.K)

    def test_whitened_rows_have_the_quadratic_form_as_norm(self, case):
        cov, twin, rows, rtol = case
        assert_allclose(np.square(cov.whiten(rows)).sum(), twin.quad(rows), rtol=100 * rtol)

    def test_precision_diag(self, case):
        cov, twin, _, rtol = case
        got = cov.precision_diag()
        assert got.min() > 0
        assert_allclose(got, np.diag(twin.inverse), rtol=rtol)

    def test_precision_factor(self, case):
        cov, twin, _, _ = case
        G = cov.precision_factor
        assert G.shape == (cov.K, cov.rank)
        assert not G.flags.writeable
        d = cov.uniquenesses
        # The difference cancels for small d_j: judged in units of 1/d, as the docstring says.
        scale = 1 / np.sqrt(np.outer(d, d))
        assert_allclose((np.diag(1 / d) - G @ G.T) / scale, twin.inverse / scale, atol=1e-9)

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_quad_and_nll(self, case, order):
        cov, twin, rows, rtol = case
        E = np.asarray(rows, order=order)
        for M in (E, E[:3], E[0]):
            want = twin.quad(np.atleast_2d(M))
            assert_allclose(cov.quad(M), want, rtol=rtol)
            n = 1 if M.ndim == 1 else len(M)
            nll = (cov.K * np.log(2 * np.pi) + twin.logdet + want / n) / 2
            assert_allclose(cov.nll(M), nll, rtol=rtol)
            nll = (cov.K * np.log(2 * np.pi) + twin.logdet + want / 11) / 2
            assert_allclose(cov.nll(M, n=11), nll, rtol=rtol)
        assert cov.quad(rows[:0]) == 0.0

    def test_scaled(self, case):
        cov, twin, _, _ = case
        c = np.random.default_rng(8).uniform(0.1, 10, cov.K)
        assert_allclose(cov.scaled(c).to_dense(), twin.Sigma * np.outer(c, c), rtol=1e-11)
        assert_allclose(cov.scaled(2.0).to_dense(), 4 * cov.to_dense(), rtol=1e-15)
        assert_allclose(cov.scaled(c).logdet(), twin.logdet + 2 * np.log(c).sum(), rtol=1e-11)

    def test_corr(self, case):
        cov, twin, _, _ = case
        corr = cov.corr()
        assert isinstance(corr, LowRankDiag)
        assert_allclose(corr.diag(), 1.0, rtol=1e-14)
        assert_allclose(
            corr.to_dense(), twin.Sigma / twin.sd / twin.sd[:, None], rtol=0, atol=1e-14
        )

    def test_marginal(self, case):
        cov, _, _, _ = case
        K, dense = cov.K, cov.to_dense()
        every = [0, K - 1, -1, slice(None), slice(None, None, -1), np.arange(K) % 2 == 0]
        for idx in [*every, list(range(K - 1, -1, -1)), np.array([K // 2])]:
            chosen = np.atleast_1d(np.arange(K)[idx])
            part = cov.marginal(idx)
            assert part.rank == cov.rank
            assert_allclose(part.to_dense(), dense[np.ix_(chosen, chosen)], rtol=1e-15)

    def test_sample(self, case):
        cov, _, _, _ = case
        K, r = cov.shape[0], cov.rank
        rng = np.random.default_rng(21)
        Z, H = rng.standard_normal((4, K)), rng.standard_normal((4, r))
        want = Z * np.sqrt(cov.uniquenesses) + H @ cov.loadings.T
        got = cov.sample(np.random.default_rng(21), 4)
        sd = np.sqrt(cov.diag())
        assert_allclose(got / sd, want / sd, rtol=0, atol=1e-13)
        assert cov.sample(np.random.default_rng(21), 0).shape == (0, K)

    def test_canonical(self, case):
        cov, twin, _, _ = case
        can = cov.canonical()
        scale = np.outer(twin.sd, twin.sd)
        assert_allclose(can.to_dense() / scale, twin.Sigma / scale, rtol=0, atol=1e-13)
        assert_array_equal(can.uniquenesses, cov.uniquenesses)
        assert can.loadings.shape == cov.loadings.shape
        A = can.loadings / np.sqrt(cov.uniquenesses)[:, None]
        gram = A.T @ A
        top = gram.max(initial=1e-300)
        assert_allclose(gram, np.diag(np.diag(gram)), rtol=0, atol=1e-12 * top)
        assert np.all(np.diff(np.diag(gram)) <= 1e-12 * top)
        F = can.loadings
        assert np.all(F.sum(axis=0) >= -1e-12 * np.abs(F).sum(axis=0))
        assert_allclose(F, can.canonical().loadings, rtol=0, atol=1e-9 * np.abs(F).max(initial=0))

    def test_immutable(self, case):
        cov, _, _, _ = case
        for array in (cov.loadings, cov.uniquenesses, cov.precision_factor):
            assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            cov.uniquenesses[0] = 1.0
        with pytest.raises(AttributeError, match=r"frozen.*'loadings'"):
            cov.loadings = np.ones((cov.K, 1))
        with pytest.raises(AttributeError, match="frozen"):
            del cov.uniquenesses
        with pytest.raises(AttributeError, match="frozen"):
            cov.note = 1

    def test_never_densified_silently(self, case):
        cov, _, _, _ = case
        for densify in (np.asarray, np.linalg.inv, lambda c: np.eye(c.K) @ c):
            with pytest.raises(TypeError):
                densify(cov)
        with pytest.raises(TypeError, match=r"to_dense\(\)"):
            np.array(cov, dtype=float)

    def test_copies_keep_the_value_and_the_protection(self, case):
        cov, _, rows, _ = case
        for other in (pickle.loads(pickle.dumps(cov)), copy.copy(cov), copy.deepcopy(cov)):
            assert type(other) is LowRankDiag
            assert_array_equal(other.loadings, cov.loadings)
            assert_array_equal(other.uniquenesses, cov.uniquenesses)
            assert not other.loadings.flags.writeable
            assert not other.uniquenesses.flags.writeable
            assert_array_equal(other.solve(rows), cov.solve(rows))
            assert other != cov  # identity

    @pytest.mark.parametrize("name", ["solve", "whiten", "colorize", "quad", "nll"])
    def test_wrong_columns(self, case, name):
        cov, _, _, _ = case
        K = cov.K
        for bad in (np.ones((2, K + 1)), np.ones(K + 1), np.ones((2, 2, K)), np.float64(1.0)):
            with pytest.raises(ShapeError, match=rf"\(n, {K}\)"):
                getattr(cov, name)(bad)


class TestBranches:
    """The cases above are worth something only while they take the paths they are meant to."""

    def test_paths(self):
        def blocks(name):
            factor = CASES[name]()._factor
            return factor.J.tolist(), factor.perm is not None

        assert blocks("K>n") == ([], False)
        assert blocks("one heywood") == ([0], False)
        assert blocks("as many heywood as factors") == ([0, 1], False)
        assert blocks("nearly parallel") == ([], True)

    def test_quad_along_a_strong_factor(self):
        # e'D^-1 e = 1e8 while e' Sigma^-1 e is about 1: the difference form has eight digits left.
        cov = LowRankDiag(1e4 * np.ones((8, 1)), np.ones(8))
        E = cov.loadings.T * 1.5
        assert_allclose(cov.quad(E), Twin(cov).quad(E), rtol=1e-12)
        rotated = LowRankDiag(random_cov(1, 8, 2).loadings * 1e4, np.ones(8))
        E = rotated.sample(np.random.default_rng(0), 1)
        assert_allclose(rotated.quad(E), Twin(rotated).quad(E), rtol=1e-11)

    @pytest.mark.parametrize("ratio", [1e-4, 1e-10, 1e-16, 1e-40])
    def test_precision_diag_keeps_its_digits(self, ratio):
        for r in (1, 2, 3):
            cov = random_cov(31, 9, r, heywood=1, ratio=ratio)
            assert_allclose(cov.precision_diag(), np.diag(Twin(cov).inverse), rtol=1e-13)

    def test_more_heywood_than_factors(self):
        # Sigma itself amplifies a rounding of F by |f_j| / sqrt(d_j) = 1e5 here.
        cov = random_cov(32, 8, 2, heywood=4)
        twin = Twin(cov)
        assert_allclose(cov.precision_diag(), np.diag(twin.inverse), rtol=1e-10)
        assert_allclose(cov.logdet(), twin.logdet, rtol=1e-12)

    def test_graded_and_collinear_loadings(self):
        # C is singular to working precision, so its Cholesky fails outright.
        rng = np.random.default_rng(33)
        F = rng.normal(size=(7, 2))
        F[0] = 1e8
        cov = LowRankDiag(F, np.ones(7))
        twin = Twin(cov)
        assert_allclose(cov.logdet(), twin.logdet, rtol=1e-13)
        assert_allclose(cov.precision_diag(), np.diag(twin.inverse), rtol=1e-12)

    def test_units_do_not_matter(self):
        cov = random_cov(34, 8, 2, heywood=1)
        c = spread(8)
        other = cov.scaled(c)
        E = cov.sample(np.random.default_rng(0), 5)
        assert_allclose(other.solve(E * c) * c, cov.solve(E), rtol=1e-12)
        assert_allclose(other.precision_diag() * c * c, cov.precision_diag(), rtol=1e-12)
        assert_allclose(other.quad(E * c), cov.quad(E), rtol=1e-12)
        assert_allclose(other.canonical().loadings[:, 0].sum() >= 0, True)


class TestCanonical:
    def test_rotation_is_forgotten(self):
        rng = np.random.default_rng(40)
        for r in (1, 2, 4):
            cov = random_cov(41, 12, r)
            want = cov.canonical().loadings
            for _ in range(5):
                Q = np.linalg.qr(rng.normal(size=(r, r)))[0]
                got = LowRankDiag(cov.loadings @ Q, cov.uniquenesses).canonical().loadings
                assert_allclose(got, want, rtol=0, atol=1e-10)

    def test_zero_sum_tie(self):
        want = [[0.0], [1.0], [-1.0]]
        for sign in (1, -1):
            got = LowRankDiag(sign * np.array(want), np.ones(3)).canonical().loadings
            assert_allclose(got, want, atol=1e-15)

    def test_already_canonical(self):
        F = np.array([[3.0, 1.0], [3.0, -1.0], [0.0, 0.5], [0.0, 0.5]])
        assert_allclose(LowRankDiag(F[:, ::-1], np.ones(4)).canonical().loadings, F, atol=1e-14)


class TestFromDense:
    @pytest.mark.parametrize(("K", "r"), [(1, 0), (4, 0), (4, 1), (6, 2), (12, 3), (40, 4)])
    def test_recovers_the_exact_model(self, K, r):
        for seed in range(3):
            want = random_cov(50 + seed, K, r).scaled(spread(K, 5)).canonical()
            got = LowRankDiag.from_dense(want.to_dense(), r)
            sd = np.sqrt(want.diag())[:, None]
            assert_allclose(got.uniquenesses, want.uniquenesses, rtol=1e-8)
            assert_allclose(got.loadings / sd, want.loadings / sd, rtol=0, atol=1e-8)

    def test_avoids_the_saddle(self):
        # DESIGN section 5: the minimum has log-likelihood -3.60362148 (without its constant and
        # its factor 1/2); R's factanal reports the saddle.
        S = toeplitz(0.4 ** np.arange(4))
        cov = LowRankDiag.from_dense(S, 1)
        assert_allclose(-cov.logdet() - np.trace(cov.solve(S)), -3.60362148, rtol=0, atol=1e-8)

    def test_is_a_minimum_in_every_direction(self):
        rng = np.random.default_rng(51)
        E = rng.normal(size=(60, 7)) @ rng.normal(size=(7, 7))
        S = E.T @ E / 60
        cov = LowRankDiag.from_dense(S, 2)
        best = cov.logdet() + np.trace(cov.solve(S))
        # The nll of the rows is the same discrepancy.
        assert_allclose(2 * cov.nll(E) - 7 * np.log(2 * np.pi), best, rtol=1e-12)
        for _ in range(50):
            F = cov.loadings * (1 + 1e-3 * rng.normal(size=cov.loadings.shape))
            d = cov.uniquenesses * np.exp(1e-3 * rng.normal(size=7))
            near = LowRankDiag(F, np.maximum(d, 1e-8 * np.diag(S)))
            assert near.logdet() + np.trace(near.solve(S)) > best

    def test_singular_sigma_and_its_floor(self):
        E = np.random.default_rng(52).normal(size=(6, 10))
        S = E.T @ E / 6
        cov = LowRankDiag.from_dense(S, 2)
        assert (cov.uniquenesses / np.diag(S)).min() >= 0.999e-8
        raised = LowRankDiag.from_dense(S, 2, d_floor=0.05)
        assert (raised.uniquenesses / np.diag(S)).min() >= 0.0499
        assert raised.nll(E) >= cov.nll(E)

    def test_derivatives(self):
        rng = np.random.default_rng(53)
        Y = rng.normal(size=(9, 6))
        Y /= np.sqrt(np.square(Y).sum(axis=0))
        Y = np.linalg.qr(Y, mode="r")
        x, h = np.log(rng.uniform(0.05, 0.5, 6)), 1e-5
        _, g, theta, V, top = closest.concentrated(x, Y, 2)
        H = closest.hessian(theta, V, top)
        ends = [
            (closest.concentrated(x + h * e, Y, 2), closest.concentrated(x - h * e, Y, 2))
            for e in np.eye(6)
        ]
        # Central differences: error h^2 plus eps / h.
        assert_allclose(g, [(a[0] - b[0]) / (2 * h) for a, b in ends], atol=1e-8)
        assert_allclose(H, [(a[1] - b[1]) / (2 * h) for a, b in ends], atol=1e-8)

    def test_says_when_it_stops_early(self):
        S = np.corrcoef(np.random.default_rng(54).normal(size=(30, 8)), rowvar=False)
        with pytest.warns(ConvergenceWarning, match="max_iter"):
            LowRankDiag.from_dense(S, 2, max_iter=1, gtol=1e-12)

    def test_errors(self):
        S = np.eye(3)
        with pytest.raises(ShapeError, match=r"\(K, K\), got \(3, 2\)"):
            LowRankDiag.from_dense(S[:, :2], 1)
        with pytest.raises(NonFiniteError, match=r"Sigma\[0, 1\] = nan"):
            LowRankDiag.from_dense(np.where([[0, 1, 0]] * 3, np.nan, S), 1)
        with pytest.raises(SystemInputError, match=r"Sigma\[0, 1\] = 0.5 and Sigma\[1, 0\] = 0.0"):
            LowRankDiag.from_dense([[1.0, 0.5], [0.0, 1.0]], 1)
        with pytest.raises(SystemInputError, match=r"Sigma\[1, 1\] = 0.0"):
            LowRankDiag.from_dense(np.diag([1.0, 0.0]), 1)
        with pytest.raises(SystemInputError, match="eigenvalue -1"):
            LowRankDiag.from_dense([[1.0, 2.0], [2.0, 1.0]], 1)
        for r in (-1, 3, 1.0, "auto"):
            with pytest.raises(IllegalRankError, match="K - 1 = 2"):
                LowRankDiag.from_dense(S, r)
        for option in ({"d_floor": 0.0}, {"gtol": -1.0}, {"max_iter": 0}):
            with pytest.raises(OptionError, match=r"must be a"):
                LowRankDiag.from_dense(S, 1, **option)


class TestInput:
    @pytest.mark.parametrize(
        ("F", "d", "error", "message"),
        [
            (np.ones((3, 1)), [1.0, 0.0, 1.0], SystemInputError, r"d\[1\] = 0.0"),
            (np.ones((3, 1)), [1.0, 2.0, -3.0], SystemInputError, r"d\[2\] = -3.0"),
            (np.ones((3, 1)), [1.0, np.nan, -1.0], NonFiniteError, r"d\[1\] = nan"),
            (np.ones((3, 1)), [np.inf, 1.0, 1.0], NonFiniteError, r"d\[0\] = inf"),
            ([[1.0, 1.0], [1.0, -np.inf]], [1.0, 1.0], NonFiniteError, r"F\[1, 1\] = -inf"),
            (np.ones(3), np.ones(3), ShapeError, r"got \(3,\) and \(3,\); .*F\[:, None\]"),
            (np.ones((3, 1)), np.ones(2), ShapeError, r"got \(3, 1\) and \(2,\)"),
            (np.ones((3, 1)), np.ones((3, 1)), ShapeError, r"\(3, 1\) and \(3, 1\)"),
            (np.ones((0, 1)), np.ones(0), ShapeError, "K >= 1"),
            (np.ones((2, 1)) * 1j, np.ones(2), SystemInputError, "F must be .* complex128"),
            (np.ones((2, 1)), ["a", "b"], SystemInputError, "d must be an array of real numbers"),
            (None, np.ones(2), SystemInputError, "F must be .* NoneType"),
        ],
    )
    def test_factors(self, F, d, error, message):
        for make in (LowRankDiag, LowRankDiag.from_factors):
            with pytest.raises(error, match=message):
                make(F, d)

    def test_diagonal(self):
        with pytest.raises(SystemInputError, match=r"d\[1\] = -1.0"):
            LowRankDiag.diagonal([1.0, -1.0])
        with pytest.raises(ShapeError, match=r"\(2, 2\)"):
            LowRankDiag.diagonal(np.eye(2))

    def test_arguments_are_copied(self):
        F, d = np.ones((3, 1)), np.ones(3)
        cov = LowRankDiag(F, d)
        F[:], d[:] = 7.0, 7.0
        assert_array_equal(cov.to_dense(), np.ones((3, 3)) + np.eye(3))

    def test_trusted_takes_ownership(self):
        F, d = np.ones((3, 1)), np.ones(3)
        cov = adopted(F, d)
        assert cov.loadings is F
        assert cov.uniquenesses is d
        with pytest.raises(ValueError, match="read-only"):
            F[0] = 2.0

    def test_scaled(self):
        cov = random_cov(60, 3, 1)
        with pytest.raises(ShapeError, match=r"scalar or have shape \(3,\), got \(2,\)"):
            cov.scaled(np.ones(2))
        with pytest.raises(SystemInputError, match=r"c\[1\] = 0.0"):
            cov.scaled([1.0, 0.0, 2.0])
        with pytest.raises(SystemInputError, match=r"c\[2\] = nan"):
            cov.scaled([1.0, 1.0, np.nan])
        with pytest.raises(SystemInputError, match=r"c = -1.0"):
            cov.scaled(-1.0)
        with pytest.raises(NonFiniteError, match=r"d\[0\] = inf"):
            cov.scaled(1e200)
        with pytest.raises(SystemInputError, match=r"d\[0\] = 0.0"):
            cov.scaled(1e-200)

    def test_marginal(self):
        cov = random_cov(61, 4, 1)
        for idx in (4, [0, -5], np.ones(3, dtype=bool), 1.5, "a"):
            with pytest.raises(SystemInputError, match=r"equations 0\.\.3"):
                cov.marginal(idx)
        with pytest.raises(SystemInputError, match="equation 3 2 times"):
            cov.marginal([0, 3, -1])
        for idx in (slice(0, 0), np.zeros(4, dtype=bool), [[0, 1], [2, 3]]):
            with pytest.raises(ShapeError, match="one or more equations"):
                cov.marginal(idx)

    def test_sample(self):
        cov = random_cov(62, 4, 1)
        for rng in (0, None, np.random.RandomState(0)):
            with pytest.raises(SystemInputError, match="Generator"):
                cov.sample(rng, 3)
        for n in (-1, 2.0, None):
            with pytest.raises(SystemInputError, match="n must be a whole number"):
                cov.sample(np.random.default_rng(0), n)

    def test_nll(self):
        cov = random_cov(63, 4, 1)
        with pytest.raises(SystemInputError, match="must be positive, got 0"):
            cov.nll(np.empty((0, 4)))
        with pytest.raises(SystemInputError, match="must be positive, got -2"):
            cov.nll(np.ones((3, 4)), n=-2)


@pytest.mark.parametrize("how", ["sample", "colorize"])
@pytest.mark.parametrize("heywood", [0, 1])
def test_random_rows_have_the_moments_of_sigma(how, heywood):
    cov, n = random_cov(70, 5, 2, heywood=heywood), 200_000
    rng = np.random.default_rng(71)
    rows = cov.sample(rng, n) if how == "sample" else cov.colorize(rng.normal(size=(n, 5)))
    Sigma = cov.to_dense()
    v = np.diag(Sigma)
    # Standard errors for Gaussian rows: of a mean sqrt(S_ii / n), of a second moment
    # sqrt((S_ii S_jj + S_ij^2) / n).  Five of them; 20 comparisons.
    assert np.all(np.abs(rows.mean(axis=0)) < 5 * np.sqrt(v / n))
    error = np.abs(rows.T @ rows / n - Sigma)
    assert np.all(error < 5 * np.sqrt((np.outer(v, v) + Sigma**2) / n))


@pytest.mark.parametrize("heywood", [0, 2])
def test_no_dense_matrix_on_the_way(heywood):
    # A 4000 x 4000 matrix is 128 MB.
    cov = random_cov(80, 4000, 2, heywood=heywood, ratio=1e-14)
    M = np.random.default_rng(0).normal(size=(3, 4000))
    tracemalloc.start()
    try:
        cov.solve(M)
        cov.solve(np.asfortranarray(M))
        cov.logdet()
        cov.nll(M)
        cov.sample(np.random.default_rng(0), 3)
        cov.colorize(cov.whiten(M))
        cov.precision_diag()
        cov.canonical().corr().scaled(2.0).marginal(slice(5, None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (cov._factor.J.size > 0) == (heywood > 0)
    assert peak < 10e6


def test_solve_allocates_its_result_and_little_else():
    cov = random_cov(81, 500, 2)
    cov.logdet()
    for order in "CF":
        M = np.ones((400, 500), order=order)
        tracemalloc.start()
        try:
            cov.solve(M)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 1.05 * M.nbytes


def test_docstring_examples():
    attempted = 0
    for module in (low_rank_diag, value):  # what it inherits has its examples there
        result = doctest.testmod(module, extraglobs={"np": np, "LowRankDiag": LowRankDiag})
        assert result.failed == 0
        attempted += result.attempted
    assert attempted > 40
