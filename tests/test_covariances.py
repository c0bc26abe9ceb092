"""Covariance types: dense definitions, linearmodels given the same Sigma, and options."""

import tracemalloc

import mpmath
import numpy as np
import pandas as pd
import pytest
from linearmodels.system import SUR
from scipy.linalg import block_diag

from sm_alsgls import LowRankSUR
from sm_alsgls.core.beta import information
from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.beta.kackar_harville import KackarHarville, sigma_information
from sm_alsgls.core.beta.robust import kernel_weights
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.restricted import RestrictedVariance
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.data.problem import build_problem
from sm_alsgls.exceptions import NonFiniteError, OptionError, ShapeError
from tests.systems import simulate

N, K, R = 60, 8, 2


@pytest.fixture(scope="module")
def system():
    X, Y, _ = simulate(N, K, 4, R, seed=3)
    return [x[:, : 2 + j % 3] for j, x in enumerate(X)], Y


@pytest.fixture(scope="module")
def res(system):
    X, Y = system
    return LowRankSUR(Y, X, rank=R).fit()


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(0)
    return rng.integers(0, 12, N), rng.integers(0, 7, N)


def peer(system, res, **kwds):
    X, Y = system
    eqs = {f"e{j}": {"dependent": Y[:, j], "exog": X[j]} for j in range(K)}
    return SUR(eqs, sigma=res.sigma.to_dense()).fit(method="gls", **kwds)


def scores(system, res):
    """u_n = [w_nj x_nj]_j, (N, P)."""
    X, _ = system
    W = res.resid.to_numpy() @ np.linalg.inv(res.sigma.to_dense())
    return np.column_stack([W[:, [j]] * X[j] for j in range(K)])


def bread(system, res, sigma=None):
    Z = block_diag(*system[0])
    sigma = res.sigma.to_dense() if sigma is None else sigma
    return np.linalg.inv(Z.T @ np.kron(np.linalg.inv(sigma), np.eye(N)) @ Z)


PEERS = {
    "HC0": ({}, {"cov_type": "robust"}),
    "HC1": ({"dof": "p"}, {"cov_type": "robust", "debiased": True}),
}


@pytest.mark.parametrize("cov_type", ["HC0", "HC1"])
def test_robust_equals_linearmodels(system, res, cov_type):
    ours, theirs = PEERS[cov_type]
    got = res.get_robustcov_results(cov_type, **ours)
    V = peer(system, res, **theirs).cov.to_numpy()
    np.testing.assert_allclose(got.cov_params(), V, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(got.bse, np.sqrt(np.diag(V)), rtol=1e-8)


def test_sandwich_is_linearmodels_unadjusted_with_the_final_residuals(system):
    """linearmodels takes the meat from OLS residuals when it is given a sigma, we from ours."""
    X, Y = system
    res = LowRankSUR(Y, X, rank=R).fit(debiased=False, cov_type="sandwich")
    Z, P = block_diag(*X), np.linalg.inv(res.sigma.to_dense())
    V = bread(system, res)

    def sandwich(E):
        S = E.T @ E / N
        return V @ Z.T @ np.kron(P @ S @ P, np.eye(N)) @ Z @ V

    ols = np.column_stack(
        [Y[:, j] - X[j] @ np.linalg.lstsq(X[j], Y[:, j], rcond=None)[0] for j in range(K)]
    )
    theirs = peer(system, res, cov_type="unadjusted").cov.to_numpy()
    np.testing.assert_allclose(theirs, sandwich(ols), rtol=1e-8, atol=1e-12)
    expected = sandwich(res.resid.to_numpy())
    np.testing.assert_allclose(res.cov_params(), expected, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(res.bse, np.sqrt(np.diag(expected)), rtol=1e-8)


@pytest.mark.parametrize("ways", [1, 2])
def test_clustered_equals_linearmodels(system, res, groups, ways):
    labels = np.column_stack(groups[:ways])
    got = res.get_robustcov_results("cluster", groups=labels, use_correction=False)
    V = peer(system, res, cov_type="clustered", clusters=labels).cov.to_numpy()
    ours = got.cov_params().to_numpy(copy=True)
    # Theirs has negative variances with two groupings; ours are then those of one grouping.
    good = np.diag(V) > 0.0
    assert (ways == 1) == good.all()
    assert (np.diag(ours) > 0.0).all()
    np.fill_diagonal(ours, np.where(good, np.diag(ours), np.diag(V)))
    np.testing.assert_allclose(ours, V, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "name"),
    [("bartlett", "bartlett"), ("parzen", "parzen"), ("qs", "qs"), ("newey-west", "newey-west")],
)
def test_hac_equals_linearmodels(system, res, kernel, name):
    got = res.get_robustcov_results("HAC", kernel=kernel, maxlags=4, use_correction=False)
    V = peer(system, res, cov_type="kernel", kernel=name, bandwidth=4).cov.to_numpy()
    np.testing.assert_allclose(got.cov_params(), V, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(got.bse**2, np.diag(V), rtol=1e-8)


class TestDefinitions:
    def test_hc0_and_hc1(self, system, res):
        U, V = scores(system, res), bread(system, res)
        expected = V @ U.T @ U @ V
        np.testing.assert_allclose(
            res.get_robustcov_results("HC0").cov_params(), expected, rtol=1e-8, atol=1e-12
        )
        c = np.concatenate([np.full(x.shape[1], N / (N - x.shape[1] - R)) for x in system[0]])
        np.testing.assert_allclose(
            res.get_robustcov_results("HC1").bse, np.sqrt(c * np.diag(expected)), rtol=1e-8
        )

    def test_clusters_with_corrections(self, system, res, groups):
        U, V = scores(system, res), bread(system, res)
        c = np.concatenate([np.full(x.shape[1], N / (N - x.shape[1] - R)) for x in system[0]])
        sums = pd.DataFrame(U).groupby(groups[0]).sum().to_numpy()
        G = len(sums)
        expected = G / (G - 1) * V @ sums.T @ sums @ V * np.sqrt(np.outer(c, c))
        got = res.get_robustcov_results("cluster", groups=groups[0], correction="CR1")
        np.testing.assert_allclose(got.cov_params(), expected, rtol=1e-8, atol=1e-12)
        assert got.df_resid_inference == G - 1

    def test_hac_is_hc_without_lags(self, res):
        none = res.get_robustcov_results("HAC", maxlags=0)
        np.testing.assert_allclose(none.bse, res.get_robustcov_results("HC1").bse, rtol=1e-12)

    def test_sandwich_is_nonrobust_where_sigma_is_the_residual_covariance(self):
        """Saturated rank: F F' + D reaches S."""
        X, Y, _ = simulate(300, 3, 3, 1, seed=1)
        res = LowRankSUR(Y, X, rank=1).fit(gtol=1e-9, debiased=False)
        S = res.resid.to_numpy().T @ res.resid.to_numpy() / 300
        np.testing.assert_allclose(res.sigma.to_dense(), S, atol=1e-7)
        np.testing.assert_allclose(res.get_robustcov_results("sandwich").bse, res.bse, rtol=1e-6)

    @pytest.mark.parametrize("cov_type", ["HC1", "cluster", "HAC", "sandwich", "KH"])
    def test_parts_agree_with_the_whole(self, res, groups, cov_type):
        kwds = {"groups": groups[0]} if cov_type == "cluster" else {}
        got = res.get_robustcov_results(cov_type, **kwds)
        one = res.get_robustcov_results(cov_type, **kwds).equations["y3"].cov_params()
        V = got.cov_params()
        names = [n for n in V.columns if n.startswith("y3_")]
        np.testing.assert_allclose(one, V.loc[names, names], rtol=1e-8, atol=1e-14)
        np.testing.assert_allclose(np.sqrt(np.diag(V)), got.bse, rtol=1e-9)
        C = np.random.default_rng(0).standard_normal((2, len(V)))
        np.testing.assert_allclose(
            got.cov_params(r_matrix=C), C @ V.to_numpy() @ C.T, rtol=1e-8, atol=1e-12
        )
        np.testing.assert_allclose(
            got.t_test(C).sd, np.sqrt(np.diag(C @ V.to_numpy() @ C.T)), rtol=1e-8
        )
        assert cov_type in str(got.summary())

    def test_kernel_weights(self):
        np.testing.assert_allclose(kernel_weights("bartlett", 3, 10), [1, 0.75, 0.5, 0.25])
        z = np.arange(4) / 4
        parzen = np.where(z <= 0.5, 1 - 6 * z**2 + 6 * z**3, 2 * (1 - z) ** 3)
        np.testing.assert_allclose(kernel_weights("parzen", 3, 10), parzen)
        assert len(kernel_weights("quadratic-spectral", 0, 10)) == 1
        assert len(kernel_weights("bartlett", 3, 2)) == 2


def derivatives(F, d):
    """Sigma's derivatives in F, row by row, and log d."""
    out = []
    for j in range(len(d)):
        for a in range(F.shape[1]):
            e = np.zeros((len(d), len(d)))
            e[j] = F[:, a]
            out.append(e + e.T)
    return [*out, *(np.diag(d * (np.arange(len(d)) == j)) for j in range(len(d)))]


def through(X, A):
    """Z'(A x I)Z of Z = diag(X): its blocks are A_ij X_i'X_j."""
    every, p = np.concatenate(X, axis=1), [x.shape[1] for x in X]
    at = np.repeat(np.arange(len(X)), p)
    return (every.T @ every) * A[np.ix_(at, at)]


def test_what_goes_through_is_that_of_whole_matrices(system):
    X, _ = system
    A = np.random.default_rng(0).standard_normal((K, K))
    Z = block_diag(*X)
    np.testing.assert_allclose(through(X, A), Z.T @ np.kron(A, np.eye(N)) @ Z, atol=1e-10)


def double_sum(X, sigma, V, free):
    """V + Lambda by its definition, of the parameters that are not on a bound."""
    P = np.linalg.inv(sigma.to_dense())
    keep = np.r_[np.ones(sigma.loadings.size, dtype=bool), free]
    every = derivatives(sigma.loadings, sigma.uniquenesses)
    S = [s for s, kept in zip(every, keep, strict=True) if kept]
    information = sigma_information(sigma, N)[np.ix_(keep, keep)]
    W = np.linalg.pinv(information, rcond=1e-10)
    dP = [-P @ s @ P for s in S]
    PX = [through(X, a) for a in dP]
    middle = np.zeros_like(V)
    for a in range(len(S)):
        for b in range(len(S)):
            Q = through(X, dP[a] @ sigma.to_dense() @ dP[b])
            middle += W[a, b] * (Q - PX[a] @ V @ PX[b])
    return V + V @ middle @ V


def by_many_digits(X, F, d, restrictions):
    """Variances of V and of V + Lambda at rank 1, in 60 digits."""
    with mpmath.workdps(60):
        n, K = len(X[0]), len(d)
        p = [x.shape[1] for x in X]
        sigma = mpmath.matrix((F @ F.T).tolist()) + mpmath.diag(d.tolist())
        P = sigma**-1
        Z = [mpmath.matrix(x.tolist()) for x in X]
        at = np.cumsum([0, *p])
        gram = [[Z[i].T * Z[j] for j in range(K)] for i in range(K)]

        def spread(A):
            out = mpmath.zeros(int(at[-1]), int(at[-1]))
            for i in range(K):
                for j in range(K):
                    for a in range(p[i]):
                        for b in range(p[j]):
                            out[int(at[i]) + a, int(at[j]) + b] = A[i, j] * gram[i][j][a, b]
            return out

        V = spread(P) ** -1
        if restrictions is not None:
            R = mpmath.matrix(restrictions.tolist())
            V -= V * R.T * (R * V * R.T) ** -1 * R * V
        S = [mpmath.matrix(s.tolist()) for s in derivatives(F, d)]
        information = mpmath.matrix(len(S), len(S))
        for a, s in enumerate(S):
            for b, t in enumerate(S):
                product = P * s * P * t
                information[a, b] = mpmath.mpf(n) / 2 * sum(product[i, i] for i in range(K))
        W = information**-1
        dP = [-P * s * P for s in S]
        PX = [spread(a) for a in dP]
        middle = mpmath.zeros(V.rows, V.rows)
        for a in range(len(S)):
            for b in range(len(S)):
                middle += W[a, b] * (spread(dP[a] * sigma * dP[b]) - PX[a] * V * PX[b])
        total = V + V * middle * V
        return (np.array([float(M[i, i]) for i in range(V.rows)]) for M in (V, total))


class TestKackarHarville:
    def test_information_of_sigma_by_its_definition(self, res):
        F, d = res.sigma.loadings, res.sigma.uniquenesses
        P = np.linalg.inv(res.sigma.to_dense())
        S = []
        for j in range(K):
            for a in range(R):
                e = np.zeros((K, K))
                e[j] = F[:, a]
                S.append(e + e.T)
        for j in range(K):
            e = np.zeros((K, K))
            e[j, j] = d[j]
            S.append(e)
        expected = [[N / 2 * np.trace(P @ a @ P @ b) for b in S] for a in S]
        np.testing.assert_allclose(sigma_information(res.sigma, N), expected, rtol=1e-9, atol=1e-9)

    def test_equals_the_double_sum(self, system):
        X, Y = system
        res = LowRankSUR(Y, X, rank=R).fit(debiased=False)
        sigma, F, d = res.sigma.to_dense(), res.sigma.loadings, res.sigma.uniquenesses
        P = np.linalg.inv(sigma)
        V = bread(system, res)
        S = []
        for j in range(K):
            for a in range(R):
                e = np.zeros((K, K))
                e[j] = F[:, a]
                S.append(e + e.T)
        S += [np.diag(d * (np.arange(K) == j)) for j in range(K)]
        W = np.linalg.pinv(sigma_information(res.sigma, N), rcond=1e-10)
        dP = [-P @ s @ P for s in S]
        PX = [through(X, a) for a in dP]
        middle = np.zeros_like(V)
        for a in range(len(S)):
            for b in range(len(S)):
                Q = through(X, dP[a] @ sigma @ dP[b])
                middle += W[a, b] * (Q - PX[a] @ V @ PX[b])
        expected = V + V @ middle @ V
        got = res.get_robustcov_results("KH")
        np.testing.assert_allclose(got.cov_params(), expected, rtol=1e-7, atol=1e-12)
        assert (got.bse > res.bse).all()

    @pytest.mark.parametrize("lam_B", [0.0, 0.3])
    def test_leaves_out_what_is_on_its_bound(self, system, lam_B):
        """Of a d_j on its bound nothing is estimated: its direction is no part of the sum."""
        X, Y = system
        model = LowRankSUR(Y, X, rank=R)
        free = np.arange(K) % 3 > 0
        problem = build_problem(model.system, ALSOptions(lam_B=lam_B))
        res = model.fit(debiased=False)
        sigma = res.sigma
        V = problem.covariance(sigma)
        expected = double_sum(X, sigma, V.dense(), free)
        got = KackarHarville(V, sigma, N, free).dense()
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-12)
        all_of_it = KackarHarville(V, sigma, N).variances()
        assert np.abs(all_of_it / np.diag(got) - 1.0).max() > 1e-6

    def test_of_restricted_coefficients_equals_the_double_sum(self, system):
        X, Y = system
        res = LowRankSUR(Y, X, rank=R).fit_constrained("y1_x1 = y2_x1, y3_x1 = 0", debiased=False)
        expected = double_sum(X, res.sigma, np.asarray(res.cov_params()), ~res.estimate.at_bound)
        got = res.get_robustcov_results("KH").cov_params()
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-10)

    # Sigma's condition number times the machine epsilon: 1e-11, 1e-7, 1e-3.
    @pytest.mark.parametrize(("apart", "rtol"), [(1e-2, 1e-10), (1e-4, 1e-8), (1e-6, 1e-4)])
    @pytest.mark.parametrize("common", [False, True])
    def test_two_equations_that_are_almost_one(self, apart, rtol, common):
        """Against 60 digits; the difference in beta lost all of them at 1e-4, and gave NaN."""
        rng = np.random.default_rng(5)
        n, k = 25, 3
        X = [np.column_stack([np.ones(n), rng.standard_normal((n, 1))]) for _ in range(k)]
        F = np.array([[1.0], [1.0], [0.5]])
        d = np.array([apart**2, 2 * apart**2, 1.0])
        sigma = LowRankDiag(F, d)
        plain = CoefficientCovariance(Design(X), sigma, n)
        restrictions = np.zeros((2, 2 * k))
        restrictions[0, [1, 3]] = restrictions[1, [3, 5]] = 1.0, -1.0
        bread = RestrictedVariance(plain, restrictions) if common else plain
        got = KackarHarville(bread, sigma, n).variances()
        V, expected = by_many_digits(X, F, d, restrictions if common else None)
        np.testing.assert_allclose(got, expected, rtol=rtol)
        assert (got >= V * (1.0 - rtol)).all()

    def test_without_factors_or_with_equal_designs_there_is_nothing_to_add(self, system):
        X, Y = system
        for model in (LowRankSUR(Y, X, rank=0), LowRankSUR(Y, X[1], rank=1)):
            res = model.fit()
            np.testing.assert_allclose(res.get_robustcov_results("KH").bse, res.bse, rtol=1e-8)


class TestOptions:
    def test_fit_takes_them(self, system, res):
        X, Y = system
        direct = LowRankSUR(Y, X, rank=R).fit(cov_type="HAC", cov_kwds={"maxlags": 3}, use_t=False)
        later = res.get_robustcov_results("HAC", maxlags=3, use_t=False)
        np.testing.assert_array_equal(direct.bse, later.bse)
        np.testing.assert_array_equal(direct.pvalues, later.pvalues)
        assert direct.cov_type == "HAC"
        assert direct.cov_kwds["maxlags"] == 3
        assert not direct.use_t
        assert res.cov_type == "nonrobust"

    def test_automatic_lags(self, res):
        assert res.get_robustcov_results("HAC").cov_kwds["maxlags"] == int(4 * 0.6 ** (2 / 9))

    def test_groups_are_aligned_by_label(self, system):
        X, Y = system
        index = pd.Index(range(100, 100 + N))
        res = LowRankSUR(pd.DataFrame(Y, index=index), X, rank=R).fit(n_starts=1)
        labels = pd.Series(np.arange(N) // 5, index=index)
        straight = res.get_robustcov_results("cluster", groups=labels.to_numpy())
        shuffled = res.get_robustcov_results(
            "cluster", groups=labels.sample(frac=1, random_state=1)
        )
        np.testing.assert_array_equal(straight.bse, shuffled.bse)
        with pytest.raises(ShapeError, match="no label for row 100"):
            res.get_robustcov_results("cluster", groups=labels.iloc[1:])

    @pytest.mark.parametrize(
        ("cov_type", "kwds", "error", "message"),
        [
            ("robust", {}, OptionError, "'HC1'"),
            ("HC0", {"maxlags": 3}, OptionError, "'maxlags'.*none"),
            ("HC1", {"dof": "n"}, OptionError, "dof"),
            ("cluster", {}, OptionError, "groups="),
            ("cluster", {"groups": np.zeros(5)}, ShapeError, "5 rows, the system has 60"),
            ("cluster", {"groups": np.zeros((N, 3))}, ShapeError, "one or two"),
            ("cluster", {"groups": np.zeros(N)}, OptionError, "one cluster"),
            ("cluster", {"groups": np.r_[np.nan, np.arange(N - 1)]}, NonFiniteError, "row 0"),
            ("HAC", {"kernel": "flat"}, OptionError, "'flat'"),
            ("HAC", {"maxlags": N}, OptionError, "maxlags"),
            ("HAC", {"maxlags": -1}, OptionError, "maxlags"),
        ],
    )
    def test_errors(self, res, cov_type, kwds, error, message):
        with pytest.raises(error, match=message):
            res.get_robustcov_results(cov_type, **kwds)

    @pytest.mark.slow
    def test_large_systems_never_form_p_by_p(self):
        """P = 2,400 and N = 60: a P x P array is 46 MB."""
        import tracemalloc

        X, Y, _ = simulate(60, 1200, 2, 1, seed=1)
        res = LowRankSUR(Y, X, rank=1).fit(n_starts=1, cov_type="HC1")
        tracemalloc.start()
        assert np.isfinite(res.bse).all()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20e6


@pytest.mark.slow
def test_robust_standard_errors_never_form_p_by_p(monkeypatch):
    rng = np.random.default_rng(0)
    N, K, p = 40, 450, 3
    monkeypatch.setattr(information, "_SMALL", 1_200)  # as if of 700 equations
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, p - 1))]) for _ in range(K)]
    Y = rng.standard_normal((N, 2)) @ rng.standard_normal((2, K)) + rng.standard_normal((N, K))
    res = LowRankSUR(Y, X, rank=2).fit(n_starts=1)
    kinds = (("HC1", {}), ("cluster", {"groups": np.arange(N) // 4}), ("HAC", {}))
    found = []
    for cov_type, kwds in kinds:
        robust = res.get_robustcov_results(cov_type, **kwds)
        tracemalloc.start()
        found.append(robust.bse)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * (K * p) ** 2 / 2
    monkeypatch.setattr(information, "_SMALL", 10_000)  # from here by one dense factorisation
    for (cov_type, kwds), bse in zip(kinds, found, strict=True):
        dense = res.get_robustcov_results(cov_type, **kwds).bse
        np.testing.assert_allclose(bse, dense, rtol=1e-8)
