"""``Unrestricted`` against its dense twin in 50 digits."""

from __future__ import annotations

import copy
import pickle

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.unrestricted import Unrestricted
from sm_alsgls.exceptions import (
    DuplicateEquationError,
    NonFiniteError,
    OptionError,
    ShapeError,
    SystemInputError,
)

RTOL = 1e-12


def drawn(seed, K, n=40):
    return np.random.default_rng(seed).standard_normal((n, K)) @ np.random.default_rng(
        seed + 1
    ).standard_normal((K, K))


def spread(K, decades=16):
    return 10.0 ** np.random.default_rng(99).permutation(np.linspace(-decades, decades, K))


def nearly_dependent():
    # Cross-products would have a condition number of 1e16, and no digits left.
    E = drawn(7, 4)
    E[:, 3] = E[:, 0] + E[:, 1] + 1e-8 * E[:, 3]
    return Unrestricted.from_residuals(E)


CASES = {
    "K=1": lambda: Unrestricted([[1.5]]),
    "residuals": lambda: Unrestricted.from_residuals(drawn(1, 5)),
    "as many rows as columns": lambda: Unrestricted.from_residuals(drawn(2, 6, 6)),
    "fewer rows than observations": lambda: Unrestricted.from_residuals(drawn(3, 4, 9), 100),
    "negative diagonal": lambda: Unrestricted([[-2.0, 1.0], [7.0, 3.0]]),
    "dense": lambda: Unrestricted.from_dense(
        LowRankDiag(np.ones((4, 1)), np.arange(1.0, 5.0)).to_dense()
    ),
    "wide units": lambda: Unrestricted.from_residuals(drawn(4, 8) * spread(8)),
    "scaled": lambda: Unrestricted.from_residuals(drawn(5, 6)).scaled(spread(6)),
    "marginal": lambda: Unrestricted.from_residuals(drawn(6, 7)).marginal([5, 0, 3]),
    "corr": lambda: Unrestricted.from_residuals(drawn(8, 5)).corr(),
    "nearly dependent": nearly_dependent,
    "pickled": lambda: pickle.loads(pickle.dumps(Unrestricted.from_residuals(drawn(9, 4)))),
}


class Twin:
    """R'R, its inverse and log-determinant in 50 digits, as floats."""

    def __init__(self, cov):
        with mpmath.workdps(50):
            R = mpmath.matrix(cov.root.tolist())
            self._inverse = R**-1 * (R**-1).T
            self.Sigma = self._floats(R.T * R)
            self.inverse = self._floats(self._inverse)
            self.logdet = float(2 * sum(mpmath.log(R[i, i]) for i in range(cov.K)))
        self.sd = np.sqrt(np.diag(self.Sigma))
        self.precision_sd = np.sqrt(np.diag(self.inverse))

    @staticmethod
    def _floats(M):
        return np.array(M.tolist(), dtype=object).astype(float).reshape(M.rows, M.cols)

    def solve(self, M):
        with mpmath.workdps(50):
            return self._floats(mpmath.matrix(M.tolist()) * self._inverse)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    cov = CASES[request.param]()
    rng = np.random.default_rng(5)
    rows = np.vstack([cov.sample(rng, 3), rng.normal(size=(3, cov.K)) * np.sqrt(cov.diag())])
    # Rows off the 1e-8 wide direction amplify their own rounding.
    rtol = 1e-7 if request.param == "nearly dependent" else RTOL
    return cov, Twin(cov), rows, rtol


class TestContract:
    def test_sizes(self, case):
        cov, twin, _, _ = case
        assert cov.K == cov.n_equations == len(twin.Sigma)
        assert cov.shape == twin.Sigma.shape
        assert repr(cov) == f"Unrestricted(K={cov.K})"
        assert (np.diagonal(cov.root) > 0.0).all()
        assert_array_equal(np.tril(cov.root, -1), 0.0)

    def test_dense_diag_logdet(self, case):
        cov, twin, _, _ = case
        scale = np.outer(twin.sd, twin.sd)
        assert_allclose(cov.to_dense() / scale, twin.Sigma / scale, rtol=0, atol=1e-14)
        assert_allclose(cov.diag(), np.diag(twin.Sigma), rtol=1e-14)
        assert_allclose(cov.logdet(), twin.logdet, rtol=RTOL, atol=RTOL)

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
        got = cov.solve(M)
        assert got.shape == np.shape(M)
        want = {"vector": twin.solve(rows)[1], "empty": rows[:0]}.get(layout, twin.solve(rows))
        got, want = np.atleast_2d(got / twin.precision_sd), np.atleast_2d(want / twin.precision_sd)
        size = np.abs(np.atleast_2d(M) * twin.precision_sd).max(axis=1, keepdims=True, initial=0)
        assert_allclose(got / size, want / size, rtol=0, atol=rtol)

    def test_precision(self, case):
        cov, twin, _, rtol = case
        scale = np.outer(twin.precision_sd, twin.precision_sd)
        assert_allclose(cov.precision / scale, twin.inverse / scale, rtol=0, atol=rtol)
        assert_allclose(cov.precision_diag(), np.diag(twin.inverse), rtol=rtol)
        root = cov.inverse_root
        assert_allclose(root @ root.T / scale, twin.inverse / scale, rtol=0, atol=rtol)

    def test_whiten_and_colorize(self, case):
        cov, twin, _, rtol = case
        W, B = cov.whiten(np.eye(cov.K)), cov.colorize(np.eye(cov.K))
        scale = np.outer(twin.precision_sd, twin.precision_sd)
        assert_allclose(W @ W.T / scale, twin.inverse / scale, rtol=0, atol=rtol)
        assert_allclose(
            B.T @ B / np.outer(twin.sd, twin.sd),
            twin.Sigma / np.outer(twin.sd, twin.sd),
            rtol=0,
            atol=rtol,
        )
        white = np.random.default_rng(6).normal(size=(3, cov.K))
        assert_allclose(cov.whiten(cov.colorize(white)), white, atol=1e3 * rtol)
        assert_allclose(cov.whiten(cov.colorize(white[0])), white[0], atol=1e3 * rtol)

    def test_quad_and_nll(self, case):
        cov, twin, rows, rtol = case
        for M in (rows, rows[0]):
            want = float(np.sum(twin.solve(np.atleast_2d(M)) * np.atleast_2d(M)))
            assert_allclose(cov.quad(M), want, rtol=rtol)
            n = 1 if M.ndim == 1 else len(M)
            for given, rows_of in ((None, n), (11, 11)):
                nll = (cov.K * np.log(2 * np.pi) + twin.logdet + want / rows_of) / 2
                assert_allclose(cov.nll(M, given), nll, rtol=rtol, atol=1e-12)
        assert cov.quad(rows[:0]) == 0.0

    def test_relatives(self, case):
        cov, twin, _, _ = case
        c = np.random.default_rng(8).uniform(0.1, 10, cov.K)
        scale = np.outer(twin.sd, twin.sd)
        assert_allclose(
            cov.scaled(c).to_dense() / scale, twin.Sigma * np.outer(c, c) / scale, atol=1e-12
        )
        corr = cov.corr()
        assert_allclose(corr.diag(), 1.0, rtol=1e-14)
        assert_allclose(corr.to_dense(), twin.Sigma / scale, rtol=0, atol=1e-14)
        K = cov.K
        for idx in [0, -1, slice(None), slice(None, None, -1), np.arange(K) % 2 == 0, [K - 1]]:
            chosen = np.atleast_1d(np.arange(K)[idx])
            part = cov.marginal(idx)
            at = np.ix_(chosen, chosen)
            assert_allclose(part.to_dense() / scale[at], twin.Sigma[at] / scale[at], atol=1e-14)

    def test_sample(self, case):
        cov, _, _, _ = case
        want = np.random.default_rng(21).standard_normal((4, cov.K)) @ cov.root
        assert_array_equal(cov.sample(np.random.default_rng(21), 4), want)
        assert cov.sample(np.random.default_rng(21), 0).shape == (0, cov.K)

    def test_immutable(self, case):
        cov, _, _, _ = case
        for array in (cov.root, cov.inverse_root, cov.precision):
            assert not array.flags.writeable
        with pytest.raises(AttributeError, match=r"frozen.*'root'"):
            cov.root = np.eye(cov.K)
        with pytest.raises(AttributeError, match="frozen"):
            del cov.root

    def test_never_densified_silently(self, case):
        cov, _, _, _ = case
        for densify in (np.asarray, np.linalg.inv, lambda c: np.eye(c.K) @ c):
            with pytest.raises(TypeError, match=r"to_dense\(\)|unsupported"):
                densify(cov)

    def test_copies(self, case):
        cov, _, rows, _ = case
        for other in (pickle.loads(pickle.dumps(cov)), copy.copy(cov), copy.deepcopy(cov)):
            assert type(other) is Unrestricted
            assert_array_equal(other.root, cov.root)
            assert not other.root.flags.writeable
            assert_array_equal(other.solve(rows), cov.solve(rows))

    @pytest.mark.parametrize("name", ["solve", "whiten", "colorize", "quad", "nll"])
    def test_wrong_columns(self, case, name):
        cov, _, _, _ = case
        for bad in (np.ones((2, cov.K + 1)), np.ones(cov.K + 1), np.float64(1.0)):
            with pytest.raises(ShapeError, match=rf"\(n, {cov.K}\)"):
                getattr(cov, name)(bad)


def test_residuals_at_a_large_offset_keep_their_digits():
    """QR of E, not Cholesky of E'E: with two columns 1e-9 apart the latter has no pivot left."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal(60)
    E = np.column_stack([base, base + 1e-9 * rng.standard_normal(60)])
    cov = Unrestricted.from_residuals(E)
    apart = E[:, 1] - E[:, 0]
    left = apart - base * (base @ apart) / (base @ base)
    assert_allclose(1.0 / cov.precision_diag()[1], left @ left / 60, rtol=1e-6)
    assert_allclose(cov.to_dense(), E.T @ E / 60, rtol=1e-13)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Unrestricted(np.ones((2, 3))), ShapeError, r"\(K, K\)"),
        (lambda: Unrestricted(np.empty((0, 0))), ShapeError, r"\(K, K\)"),
        (lambda: Unrestricted([[1.0, np.nan], [0.0, 1.0]]), NonFiniteError, r"R\[0, 1\]"),
        (lambda: Unrestricted([[1.0, 0.0], [0.0, 0.0]]), SystemInputError, r"R\[1, 1\]"),
        (lambda: Unrestricted([["a"]]), SystemInputError, "real numbers"),
        (lambda: Unrestricted.from_residuals(np.ones((2, 3))), ShapeError, "LowRankDiag"),
        (
            lambda: Unrestricted.from_residuals([[1.0, np.inf], [0.0, 1.0]]),
            NonFiniteError,
            r"E\[0, 1\]",
        ),
        (
            lambda: Unrestricted.from_residuals(np.column_stack([drawn(0, 2), drawn(0, 2).sum(1)])),
            DuplicateEquationError,
            "column 2",
        ),
        (
            lambda: Unrestricted.from_residuals(np.column_stack([np.zeros(5), np.arange(5.0)])),
            DuplicateEquationError,
            "column 0",
        ),
        (lambda: Unrestricted.from_residuals(drawn(0, 2), 0), OptionError, "n_obs"),
        (lambda: Unrestricted.from_dense([[1.0, 0.5], [0.4, 1.0]]), SystemInputError, "symmetric"),
        (lambda: Unrestricted.from_dense([[1.0, 2.0], [2.0, 1.0]]), SystemInputError, "definite"),
        (lambda: Unrestricted.from_dense([[1.0, 0.0], [0.0, 0.0]]), SystemInputError, r"\[1, 1\]"),
        (lambda: Unrestricted.from_dense(np.eye(2)).scaled(-1.0), SystemInputError, "positive"),
        (lambda: Unrestricted.from_dense(np.eye(2)).scaled(1e200), SystemInputError, "range"),
        (lambda: Unrestricted.from_dense(np.eye(2)).marginal([0, 0]), SystemInputError, "2 times"),
        (lambda: Unrestricted.from_dense(np.eye(2)).sample(3, 1), SystemInputError, "Generator"),
        (lambda: Unrestricted.from_dense(np.eye(2)).nll(np.eye(2), -1), SystemInputError, "n,"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_constructors_hold_what_they_were_given():
    Sigma = drawn(3, 5).T @ drawn(3, 5)
    c = spread(5)
    for scale in (np.ones(5), c):
        cov = Unrestricted.from_dense(Sigma * np.outer(scale, scale))
        assert_allclose(cov.to_dense() / np.outer(scale, scale), Sigma, rtol=1e-12)
    E = drawn(4, 3)
    assert_allclose(Unrestricted.from_residuals(E).to_dense(), E.T @ E / 40, rtol=1e-12)
    assert_allclose(Unrestricted.from_residuals(E, 90).to_dense(), E.T @ E / 90, rtol=1e-12)
    R = np.array([[2.0, 1.0], [0.0, 3.0]])
    assert_allclose(Unrestricted(R).to_dense(), R.T @ R, rtol=1e-15)
