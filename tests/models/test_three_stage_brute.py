"""Fits of LowRank3SLS, as users have them, against Kronecker products on stacked equations.

Of every covariance type, with weights, restrictions and common coefficients, on rows that are
compressed and on rows that are not.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import block_diag, null_space

from sm_alsgls import LowRank3SLS
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.rows import cells
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.results.covariance import covariance, sigma_inference
from tests.core.instruments.twin import system

pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")

METHODS = ["2sls", "iv", "gmm"]
# Over- and exactly identified equations, and one without an endogenous regressor.
SHAPE = {"K": 5, "q": (3, 4, 3, 5, 4), "p": (2, 2, 3, 3, 3)}


def made(seed=0, N=70, **shape):
    """Responses, regressors, instruments, and periods of rows; errors are heteroscedastic."""
    rng = np.random.default_rng(seed)
    X, Z, Y, _, _ = system(rng, N, **(SHAPE | shape))
    X[-1] = Z[-1][:, : X[-1].shape[1]]
    Y = Y + 0.3 * rng.standard_normal(Y.shape) * np.abs(Z[0][:, [1]])
    return Y, X, Z, np.arange(N) % 9


class Stacked:
    """A (P, N K) with b = A (y - X b0) + b0, at a Sigma or residuals that weigh moments."""

    def __init__(self, Y, X, Z, method, Sigma=None, weigh=None, L=None, origin=None):
        self.N, self.K = Y.shape
        self.Y, self.p = Y, np.array([x.shape[1] for x in X])
        stacked = block_diag(*X)
        W = block_diag(*[np.linalg.qr(z)[0] for z in Z])
        P = stacked.shape[1]
        L = np.eye(P) if L is None else L
        self.X, self.origin = stacked, np.zeros(P) if origin is None else origin
        face = stacked @ L
        hat = W @ (W.T @ face)
        if method == "2sls":
            left = hat.T
        elif method == "iv":
            left = hat.T @ np.kron(np.linalg.inv(Sigma), np.eye(self.N))
        else:
            m = W.T @ np.kron(Sigma, np.eye(self.N)) @ W if weigh is None else None
            if weigh is not None:
                s = (W * weigh.T.reshape(-1, 1)).reshape(self.K, self.N, -1).sum(axis=0)
                m = s.T @ s
            left = face.T @ W @ np.linalg.solve(m, W.T)
            self.moments = W, m
        self.A = L @ np.linalg.solve(left @ face, left)

    @property
    def beta(self):
        y = self.Y.T.ravel()
        return self.A @ (y - self.X @ self.origin) + self.origin

    @property
    def E(self):
        return (self.Y.T.ravel() - self.X @ self.beta).reshape(self.K, self.N).T

    def J(self):
        W, m = self.moments
        c = W.T @ self.E.T.ravel()
        return c @ np.linalg.solve(m, c)

    def model_based(self, S):
        return self.A @ np.kron(S, np.eye(self.N)) @ self.A.T

    def robust(self, E, factor=None, omega=None):
        """sum omega_nm v_n v_m' of influences of rows."""
        v = (self.A * E.T.ravel()).reshape(-1, self.K, self.N).sum(axis=1)
        if factor is not None:
            v = v * np.repeat(factor, self.p)[:, None]
        return v @ v.T if omega is None else v @ omega @ v.T


def factor(res, stacked, taken=None):
    """Roots of N / (N - p_j - r); two-stage least squares have no factors."""
    some = isinstance(res.rank, int) and res.method != "2sls"
    taken = (res.rank if some else 0) if taken is None else taken
    return np.sqrt(stacked.N / (stacked.N - stacked.p - taken))


@pytest.fixture(params=["as they are", "compressed"])
def rows(request, monkeypatch):
    """Whether the fit sees rows or what has their products."""
    if request.param == "as they are":
        monkeypatch.setattr(cells, "compress_rows", Rows.of)
    return request.param


def fitted(Y, X, Z, rows, rank=1, weights=None, **kwds):
    res = LowRank3SLS(Y, X, Z, rank=rank, weights=weights).fit(**kwds)
    short = len(res.estimate.sample.problem.Y) < len(Y)
    assert short == (rows == "compressed")
    return res


def sigma_of(res):
    return res.estimate.instrumented.first_cov.to_dense()


# Weights beside every method, rank and kind of rows, and none beside each.
@pytest.mark.parametrize(
    ("method", "rank", "rows", "weighted"),
    [
        (method, rank, rows, (i + j + k) % 2 == 1)
        for i, method in enumerate(METHODS)
        for j, rank in enumerate([0, 1, 2, "full"])
        for k, rows in enumerate(["as they are", "compressed"])
    ],
    indirect=["rows"],
)
def test_coefficients_and_covariances(method, rank, weighted, rows):
    Y, X, Z, period = made()
    N = len(Y)
    w = np.random.default_rng(1).uniform(0.3, 3.0, N) if weighted else None
    res = fitted(Y, X, Z, rows, rank, w, method=method, debiased=False)
    if weighted:
        root = np.sqrt(w / w.mean())[:, None]
        Y, X, Z = Y * root, [x * root for x in X], [z * root for z in Z]
    S = sigma_of(res)
    plain = Stacked(Y, X, Z, "2sls")
    if rank == "full":
        assert_allclose(S, plain.E.T @ plain.E / N, rtol=1e-9)
    elif rank == 0:
        assert_allclose(S, np.diag(np.square(plain.E).mean(axis=0)), rtol=1e-9)
    else:
        assert_allclose(np.diag(S), np.square(plain.E).mean(axis=0), rtol=1e-5)
    twin = Stacked(Y, X, Z, method, S)
    assert_allclose(res.params, twin.beta, rtol=1e-8, atol=1e-9)
    V = twin.model_based(S)
    assert_allclose(res.cov_params(), V, rtol=1e-7, atol=1e-9 * V.max())
    assert_allclose(res.bse, np.sqrt(np.diag(V)), rtol=1e-8)
    E, one = twin.E, factor(res, twin)
    hac = np.maximum(1.0 - np.abs(np.subtract.outer(np.arange(N), np.arange(N))) / 4.0, 0.0)
    same = (period[:, None] == period).astype(float)
    CR0, CR1 = ({"groups": period, "correction": kind} for kind in ("CR0", "CR1"))
    for kind, kwds, V in [
        ("HC0", {}, twin.robust(E)),
        ("HC1", {}, twin.robust(E, one)),
        ("HC1", {"dof": "p"}, twin.robust(E, factor(res, twin, 0))),
        ("cluster", CR0, twin.robust(E, omega=same)),
        ("cluster", CR1, twin.robust(E, one, same) * 9 / 8),
        ("HAC", {"maxlags": 3, "use_correction": False}, twin.robust(E, omega=hac)),
        ("HAC", {"maxlags": 3}, twin.robust(E, one, hac)),
        ("sandwich", {}, twin.model_based(E.T @ E / N)),
    ]:
        found = res.get_robustcov_results(kind, **kwds)
        assert_allclose(found.bse, np.sqrt(np.diag(V)), rtol=1e-7)
        assert_allclose(found.cov_params(), V, rtol=1e-6, atol=1e-8 * V.max())
    for power, kind, groups in [
        (0.5, "HC2", None),
        (1.0, "HC3", None),
        (0.5, "CR2", period),
        (1.0, "CR3", period),
    ]:
        kwds = {} if groups is None else {"groups": groups, "correction": kind}
        kind = kind if groups is None else "cluster"
        V = multiplied(twin, X, Z, E, power, np.arange(N) if groups is None else groups)
        found = res.get_robustcov_results(kind, dof="p", **kwds)
        assert_allclose(found.bse, np.sqrt(np.diag(V)), rtol=1e-7)
        ratio = np.repeat(one / factor(res, twin, 0), twin.p)
        default = res.get_robustcov_results(kind, **kwds)
        assert_allclose(default.bse, np.sqrt(np.diag(V)) * ratio, rtol=1e-7)


def multiplied(twin, X, Z, E, power, groups):
    """Influences times (1 - lambda)^-k; lambda of 2SLS of the equation alone, per coefficient."""
    units = (np.unique(groups)[:, None] == groups).astype(float)
    v = (twin.A * E.T.ravel()).reshape(-1, twin.K, twin.N).sum(axis=1) @ units.T
    at = 0
    for x, z in zip(X, Z, strict=True):
        hat = z @ np.linalg.lstsq(z, x)[0]
        H = hat @ np.linalg.pinv(hat)
        for a in np.linalg.pinv(hat):
            gamma = units @ np.square(a)
            lam = np.square((units * a) @ H).sum(axis=1) / gamma
            v[at] *= (1.0 - lam) ** -power
            at += 1
    return v @ v.T


@pytest.mark.parametrize("rank", [0, 1, "full"])
@pytest.mark.parametrize("method", METHODS)
def test_debiased_errors(method, rank, rows):
    """Sigma with N - p_j - r degrees of freedom, of 2SLS residuals, stretched of "iv" alone."""
    Y, X, Z, _ = made(1)
    res = fitted(Y, X, Z, rows, rank, method=method)
    twin = Stacked(Y, X, Z, method, sigma_of(res))
    E = Stacked(Y, X, Z, "2sls").E
    S, one = sigma_inference(res.estimate).to_dense(), factor(res, twin)
    diagonal = np.square(E).mean(axis=0) * one**2
    assert_allclose(np.diag(S), diagonal, rtol=1e-9 if rank in (0, "full") else 0.02)
    if rank == "full":
        assert_allclose(S, E.T @ E / len(E) * np.multiply.outer(one, one), rtol=1e-9)
    V = Stacked(Y, X, Z, method, S).model_based(S)
    if method == "iv" and rank != 0:
        hats = Design([z @ np.linalg.lstsq(z, x)[0] for x, z in zip(X, Z, strict=True)])
        stretch = res.estimate.sample.problem.errors.stretch(hats, sigma_inference(res.estimate))
        maps = [hats.beta_map(j) for j in range(hats.K)]
        T = block_diag(*[M @ stretch(j) @ np.linalg.inv(M) for j, M in enumerate(maps)])
        assert np.abs(T - np.eye(len(T))).max() > 1e-3
        V = T @ V @ T.T
        # Multipliers of the leverage know nothing of it, and errors with these are stretched.
        M = block_diag(*maps)
        wider = np.sqrt(np.diag(T @ M @ M.T @ T.T) / np.diag(M @ M.T))
        plain = multiplied(twin, X, Z, twin.E, 0.5, np.arange(len(Y)))
        hc2 = res.get_robustcov_results("HC2", dof="p")
        assert_allclose(hc2.bse, np.sqrt(np.diag(plain)) * wider, rtol=1e-6)
    assert_allclose(res.cov_params(), V, rtol=1e-6, atol=1e-9 * V.max())
    assert_allclose(res.bse, np.sqrt(np.diag(V)), rtol=1e-8)


# Rows R and values q of R b = q: across equations, within one, and of one coefficient.
R = np.zeros((3, 13))
R[0, [1, 3]], R[1, [5, 6]], R[2, 9] = [1.0, -1.0], [1.0, 2.0], 1.0


@pytest.mark.parametrize("q", [[0.0, 0.0, 0.0], [0.3, 2.5, 1.4]])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_restricted(method, weighted, q, rows):
    Y, X, Z, period = made(2)
    w = np.random.default_rng(1).uniform(0.3, 3.0, len(Y)) if weighted else None
    model = LowRank3SLS(Y, X, Z, rank=1, weights=w)
    res = model.fit_constrained((R, np.array(q)), method=method, debiased=False)
    if weighted:
        root = np.sqrt(w / w.mean())[:, None]
        Y, X, Z = Y * root, [x * root for x in X], [z * root for z in Z]
    L, origin = null_space(R), np.linalg.lstsq(R, np.array(q))[0]
    S = sigma_of(res)
    # Its first step is restricted as well.
    first = Stacked(Y, X, Z, "2sls", L=L, origin=origin)
    assert_allclose(np.diag(S), np.square(first.E).mean(axis=0), rtol=1e-5)
    check_tied(res, Stacked(Y, X, Z, method, S, L=L, origin=origin), period)


def check_tied(res, twin, period):
    assert_allclose(res.params, twin.beta, rtol=1e-7, atol=1e-8)
    E, one = twin.E, factor(res, twin)
    S = sigma_of(res)
    same = (period[:, None] == period).astype(float)
    V = twin.model_based(S)
    assert_allclose(res.cov_params(), V, rtol=1e-6, atol=1e-9 * V.max())
    CR1 = {"groups": period, "correction": "CR1"}
    for kind, kwds, V in [
        ("HC0", {}, twin.robust(E)),
        ("HC1", {}, twin.robust(E, one)),
        ("cluster", CR1, twin.robust(E, one, same) * 9 / 8),
        ("sandwich", {}, twin.model_based(E.T @ E / len(E))),
    ]:
        found = res.get_robustcov_results(kind, **kwds)
        assert_allclose(found.cov_params(), V, rtol=1e-6, atol=1e-8 * V.max())
        assert_allclose(found.bse, np.sqrt(np.diag(V)), rtol=1e-6, atol=1e-8 * V.max() ** 0.5)


@pytest.mark.parametrize("method", METHODS)
def test_common_coefficients(method, rows):
    Y, X, Z, period = made(3, q=(3,) * 5, p=(2,) * 5)
    frames = [pd.DataFrame(x, columns=["one", "x"]) for x in X]
    model = LowRank3SLS(Y, frames, Z, rank=1, common=["x"])
    res = model.fit(method=method, debiased=False)
    free = LowRank3SLS(Y, frames, Z, rank=1)
    tied = free.fit_constrained(
        [f"y{j + 1}_x = y{j + 2}_x" for j in range(4)], method=method, debiased=False
    )
    at = [f"y{j + 1}_one" for j in range(5)] + ["y1_x"]
    names = [name if name in res.params.index else "x" for name in at]
    assert_allclose(res.params[names], tied.params[at], rtol=1e-8)
    assert_allclose(res.bse[names], tied.bse[at], rtol=1e-8)
    for kind in ("HC0", "sandwich"):
        assert_allclose(
            res.get_robustcov_results(kind).bse[names],
            tied.get_robustcov_results(kind).bse[at],
            rtol=1e-7,
        )
    L = np.zeros((10, 6))
    L[np.arange(0, 10, 2), np.arange(5)], L[1::2, 5] = 1.0, 1.0
    check_tied(tied, Stacked(Y, X, Z, method, sigma_of(tied), L=L), period)


@pytest.mark.parametrize("q", [None, [0.3, 2.5, 1.4]])
@pytest.mark.parametrize("weighted", [False, True])
def test_heteroscedastic_weight(weighted, q, rows):
    Y, X, Z, _ = made(4, N=150)
    w = np.random.default_rng(1).uniform(0.3, 3.0, len(Y)) if weighted else None
    model = LowRank3SLS(Y, X, Z, rank=1, weights=w)
    kwds = {"method": "gmm", "weight": "heteroskedastic", "debiased": False}
    res = model.fit(**kwds) if q is None else model.fit_constrained((R, np.array(q)), **kwds)
    if weighted:
        root = np.sqrt(w / w.mean())[:, None]
        Y, X, Z = Y * root, [x * root for x in X], [z * root for z in Z]
    tied = {} if q is None else {"L": null_space(R), "origin": np.linalg.lstsq(R, np.array(q))[0]}
    E = Stacked(Y, X, Z, "2sls", **tied).E
    twin = Stacked(Y, X, Z, "gmm", weigh=E, **tied)
    assert_allclose(res.params, twin.beta, rtol=1e-7, atol=1e-8)
    V = twin.robust(E)
    assert_allclose(res.cov_params(), V, rtol=1e-6, atol=1e-8 * V.max())
    V = twin.robust(twin.E)
    assert_allclose(res.get_robustcov_results("HC0").cov_params(), V, rtol=1e-6, atol=1e-7)
    free = Stacked(Y, X, Z, "gmm", weigh=E)
    assert res.j_test().statistic == pytest.approx(free.J(), rel=1e-7)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_tests_of_over_identification(method, debiased, rows):
    Y, X, Z, _ = made(5)
    res = fitted(Y, X, Z, rows, 1, method=method, debiased=debiased)
    twin = Stacked(Y, X, Z, method, sigma_of(res))
    c = factor(res, twin, 0) if debiased else np.ones(5)
    J = Stacked(Y, X, Z, "gmm", sigma_of(res) * np.multiply.outer(c, c)).J()
    test = res.j_test()
    assert test.df == 19 - 13
    assert test.statistic == pytest.approx(J, rel=1e-8)
    table = res.sargan()
    for j in (1, 3):
        # Of 2SLS residuals, whatever the method.
        own, W = Stacked(Y[:, [j]], [X[j]], [Z[j]], "2sls"), np.linalg.qr(Z[j])[0]
        e = own.E[:, 0]
        c = W.T @ e
        row = table.iloc[j]
        assert row["df"] == Z[j].shape[1] - X[j].shape[1]
        assert row["sargan"] == pytest.approx(c @ c / np.square(e).mean(), rel=1e-8)
        # The criterion of a two-step GMM whose weight is of these residuals.
        alone = Stacked(Y[:, [j]], [X[j]], [Z[j]], "gmm", weigh=e[:, None])
        assert row["hansen"] == pytest.approx(alone.J(), rel=1e-8)


@pytest.mark.parametrize("method", ["iv", "gmm"])
@pytest.mark.parametrize("rank", [1, "full"])
def test_iterated_is_a_fixed_point(method, rank, rows):
    Y, X, Z, _ = made(6)
    res = fitted(Y, X, Z, rows, rank, method=method, iterate=True, tol=1e-11, debiased=False)
    assert res.converged
    twin = Stacked(Y, X, Z, method, res.sigma.to_dense())
    assert_allclose(res.params, twin.beta, rtol=1e-7, atol=1e-8)
    E = twin.E
    if rank == "full":
        assert_allclose(res.sigma.to_dense(), E.T @ E / len(E), rtol=1e-7)
    assert_allclose(np.diag(res.sigma.to_dense()), np.square(E).mean(axis=0), rtol=1e-5)
    V = twin.model_based(res.sigma.to_dense())
    assert_allclose(res.bse, np.sqrt(np.diag(V)), rtol=1e-6)


def test_compressed_rows_change_nothing(monkeypatch):
    """Every covariance, test and table, of 500 rows in 24 columns.

    Of 1,000 the stretch of "iv" is approximated, and standard errors differ by 1e-5.
    """
    Y, X, Z, period = made(7, N=500)

    def all_of():
        made = LowRank3SLS(Y, X, Z, rank=1)
        out = []
        for method in METHODS:
            res = made.fit(method=method)
            out.append(len(res.estimate.sample.problem.Y))
            kinds = [("nonrobust", {}), ("sandwich", {}), ("HC2", {}), ("HC3", {})]
            kinds += [("cluster", {"groups": period}), ("HAC", {})]
            for kind, kwds in kinds:
                other = res if kind == "nonrobust" else res.get_robustcov_results(kind, **kwds)
                out += [other.params, other.bse, other.pvalues + 1.0, other.cov_params()]
            out += [res.j_test().statistic, res.sargan(), res.first_stage.table]
            out += [res.system_rsquared, res.factor_scores]
            if method != "2sls":
                out += [res.hausman().table, res.hausman().coefficients]
        return out

    short = all_of()
    monkeypatch.setattr(cells, "compress_rows", Rows.of)
    whole = all_of()
    assert short[0] < 40 < whole[0]
    for one, other in zip(short[1:], whole[1:], strict=True):
        if isinstance(one, int):
            continue
        one, other = (np.asarray(v, dtype=float) for v in (one, other))
        scale = np.abs(other[np.isfinite(other)]).max()
        assert_allclose(one, other, rtol=1e-6, atol=1e-9 * scale)


@pytest.mark.parametrize(("kind", "power"), [("HC0", 0.0), ("HC2", 0.5), ("HC3", 1.0)])
@pytest.mark.parametrize("method", METHODS)
def test_combinations_and_their_degrees_of_freedom(method, kind, power, rows):
    """Errors are those of the covariance; Bell and McCaffrey's df by N x N arrays."""
    Y, X, Z, _ = made(8)
    res = fitted(Y, X, Z, rows, 1, method=method).get_robustcov_results(kind)
    R = np.zeros((3, 13))
    # Of one equation, of two, and of another.
    R[0, [2, 3]], R[1, [0, 5]], R[2, [4, 6]] = [1.0, 0.7], [1.0, -1.0], [0.3, 1.0]
    V = R @ np.asarray(res.cov_params()) @ R.T
    test = res.t_test(R)
    assert_allclose(test.sd, np.sqrt(np.diag(V)), rtol=1e-9)
    each = np.empty(13)
    for j, at in enumerate(np.split(np.arange(13), np.cumsum([x.shape[1] for x in X])[:-1])):
        for row in at:
            each[row] = degrees(X[j], Z[j], np.eye(13)[row, at], power)
    # Of two equations the fewest of the coefficients.
    expected = [degrees(X[1], Z[1], R[0, 2:4], power), each[[0, 5]].min()]
    expected.append(degrees(X[2], Z[2], R[2, 4:7], power))
    assert_allclose(np.ravel(test.df_denom), expected, rtol=1e-7)
    # Of all three together the fewest of all that are touched.
    touched = R.any(axis=0)
    assert covariance(res.estimate).joint_df(R) == pytest.approx(each[touched].min(), rel=1e-7)
    delta = R @ np.asarray(res.params)
    wald = res.wald_test(R, use_f=False, scalar=True)
    assert wald.statistic == pytest.approx(delta @ np.linalg.solve(V, delta), rel=1e-8)


def degrees(x, z, r, power):
    """(tr Theta)^2 / |Theta|^2 of V = sum of the squares of A_n a_n e_n, e = (I - H) errors."""
    hat = z @ np.linalg.lstsq(z, x)[0]
    a, H = r @ np.linalg.pinv(hat), hat @ np.linalg.pinv(hat)
    # The share of a_n^2 that fitting takes away is the leverage.
    A = (1.0 - np.diag(H)) ** -power
    Theta = (A * a)[:, None] * (np.eye(len(x)) - H) * (A * a)
    return np.trace(Theta) ** 2 / np.square(Theta).sum()


@pytest.mark.parametrize("method", ["iv", "gmm"])
def test_the_change_of_a_round_is_in_standard_errors(method, rows):
    """Of 2SLS, in coordinates of an orthonormal first stage."""
    Y, X, Z, _ = made(9)
    Y = Y * [1.0, 1e3, 1e-3, 1.0, 10.0]
    one, other = (fitted(Y, X, Z, rows, 1, method=m) for m in (method, "2sls"))
    moved = np.asarray(one.params - other.params)
    s, at, largest = np.sqrt(np.square(Stacked(Y, X, Z, "2sls").E).mean(axis=0)), 0, 0.0
    for x, z, sj in zip(X, Z, s, strict=True):
        R = np.linalg.qr(z @ np.linalg.lstsq(z, x)[0])[1]
        largest = max(largest, np.abs(R @ moved[at : at + x.shape[1]]).max() / sj)
        at += x.shape[1]
    assert one.iterations["change"].tolist() == pytest.approx([largest], rel=1e-6)
    assert other.iterations.empty


def test_degrees_of_freedom_of_dependence_in_time(rows):
    """As many as cosines, else those of the equation; of clusters Satterthwaite's."""
    Y, X, Z, period = made(8)
    res, R = fitted(Y, X, Z, rows, 1), np.eye(13)[[0, 7]]
    cosines = res.get_robustcov_results("HAC", kernel="cosine", terms=6)
    assert set(np.ravel(cosines.t_test(R).df_denom)) == {6.0}
    kernel = res.get_robustcov_results("HAC", maxlags=3)
    assert np.ravel(kernel.t_test(R).df_denom).tolist() == [70 - 2 - 1, 70 - 3 - 1]
    clusters = res.get_robustcov_results("cluster", groups=period)
    assert (np.ravel(clusters.t_test(R).df_denom) < 9).all()


@pytest.mark.parametrize(
    "kwds",
    [
        {"method": "iv", "debiased": False, "iterate": True, "tol": 1e-10},
        {"method": "gmm", "debiased": True, "weight": "heteroskedastic"},
        {"method": "2sls"},
    ],
    ids=str,
)
def test_restrictions_are_tested_at_a_fit_of_the_same_kind(kwds):
    Y, X, Z, _ = made(10)
    model, q = LowRank3SLS(Y, X, Z, rank=1), np.array([0.0, 3.0, 1.0])
    free, tied = model.fit(**kwds), model.fit_constrained((R, q), **kwds)
    found = tied.restriction_tests().loc["Wald"]
    expected = free.wald_test((R, q), scalar=True)
    assert found["df"] == 3
    assert found["statistic"] == pytest.approx(float(expected.statistic), rel=1e-6)
    assert found["pvalue"] == pytest.approx(float(expected.pvalue), rel=1e-5)
    row = tied.glance().iloc[0]
    assert row["n_instruments"] == 19
    assert row["J_df"] == 6
    assert row["J"] == pytest.approx(tied.j_test().statistic)
