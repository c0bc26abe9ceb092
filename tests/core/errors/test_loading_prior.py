"""Sigma for standard errors: against a dense minimisation of the penalised likelihood."""

import numpy as np
import pytest
import scipy.optimize

from sm_alsgls import LowRankSUR
from sm_alsgls.core.errors.loading_prior import loading_precision, with_loading_prior
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance import LowRankDiag
from tests.core import dense_observed as dense
from tests.core.systems import system
from tests.systems import simulate

# At twenty rows the maximum often has Heywood cases: that is what the prior is for.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning"),
]
TIGHT = {"gtol": 1e-9, "rel_tol": 1e-12, "n_starts": 1}


def by_the_definition(E, mask, cov, p):
    """Steps 1 to 3 of the module with K x K arrays and a general minimiser."""
    F, d = cov.loadings, cov.uniquenesses
    (K, r), N, counts = F.shape, len(E), mask.sum(axis=0)
    lam = min(2.0, r / np.median((F**2).sum(axis=1) / d)) / N
    lam *= np.median(counts / (counts - p - r))

    def penalised(theta):
        A, x = theta[: K * r].reshape(K, r), theta[K * r :]
        L, v = A * np.exp(0.5 * x)[:, None], np.exp(x)
        gF, gx = dense.gradient_sigma(E, mask, L, v)
        # F = D^1/2 A: the chain rule, and the penalty, which is on A alone.
        gA = gF * np.exp(0.5 * x)[:, None] + lam * A
        gx = gx + 0.5 * (gF * L).sum(axis=1)
        value = dense.nll(E, mask, L @ L.T + np.diag(v)) + 0.5 * lam * (A**2).sum()
        return value, np.concatenate([gA.ravel(), gx])

    start = np.concatenate([(F / np.sqrt(d)[:, None]).ravel(), np.log(d)])
    found = scipy.optimize.minimize(
        penalised, start, jac=True, method="BFGS", options={"gtol": 1e-9}
    )
    A, x = found.x[: K * r].reshape(K, r), found.x[K * r :]
    values, V = np.linalg.eigh(A.T @ A)
    A = A @ V * np.sqrt(1.0 + lam * (1.0 + values))
    root = np.exp(0.5 * x)
    return (A @ A.T + np.eye(K)) * np.outer(root, root)


@pytest.mark.parametrize("share", [1.0, 0.75])
def test_dense_minimisation(share):
    N, K, r = 24, 5, 1
    X, Y, _ = simulate(N, K, 3, r, seed=4, strength=1.0)
    X = [x[:, : 2 + j % 2] for j, x in enumerate(X)]
    p = np.array([x.shape[1] for x in X])
    mask = dense.holes(np.random.default_rng(1), N, K, share, least=10)
    endog = np.where(mask, Y, np.nan)
    res = LowRankSUR(endog, X, rank=r, missing="fiml").fit(**TIGHT)
    E = np.where(mask, res.resid.fillna(0.0), 0.0)
    expected = by_the_definition(E, mask, res.sigma, p)
    counts = mask.sum(axis=0)
    c = np.sqrt(counts / (counts - p - r))
    got = res.sigma_inference.to_dense()
    np.testing.assert_allclose(got, expected * np.outer(c, c), rtol=1e-5)
    # Standard errors: GLS with that Sigma, and a stretch, tests/core/beta/test_estimated_sigma.py.
    H = dense.information(X, mask, got)
    ratio = res.bse / np.sqrt(np.diag(np.linalg.inv(H)))
    assert (ratio >= 1.0 - 1e-9).all()
    assert (ratio < 1.0 + 3.0 / counts.min()).all()
    np.testing.assert_allclose(res.cov_params().to_numpy().diagonal(), res.bse**2, rtol=1e-9)


@pytest.mark.parametrize("r", [1, 2, 3])
def test_total_variances_are_those_of_the_residuals(r):
    """So equal regressors have the standard errors of OLS, whatever the prior."""
    rng = np.random.default_rng(r)
    (X, *_), Y = system(rng, 20, 8, r, 3)
    res = LowRankSUR(Y, [X] * 8, rank=r).fit(n_starts=1)
    s = np.square(res.resid.to_numpy()).sum(axis=0) / (20 - 3 - r)
    np.testing.assert_allclose(res.sigma_inference.diag(), s, rtol=1e-6)
    V = np.kron(np.ones(8), np.linalg.inv(X.T @ X).diagonal()) * np.repeat(s, 3)
    np.testing.assert_allclose(res.bse, np.sqrt(V), rtol=1e-6)


def test_what_it_moves_and_what_it_leaves():
    X, Y, _ = simulate(20, 10, 3, 2, seed=1)
    model = LowRankSUR(Y, X, rank=2)
    res, plain = model.fit(n_starts=1), model.fit(n_starts=1, debiased=False)
    np.testing.assert_array_equal(res.params, plain.params)
    assert res.llf == plain.llf
    np.testing.assert_array_equal(res.sigma.to_dense(), plain.sigma.to_dense())
    np.testing.assert_array_equal(plain.sigma_inference.to_dense(), plain.sigma.to_dense())
    c = np.sqrt(20 / 15)
    grown = res.sigma_inference.uniquenesses / (c**2 * res.sigma.uniquenesses)
    assert np.median(grown) > 1.05
    assert grown[[res.model.equations.index(name) for name in res.heywood]].min() > 1e3


def test_conditional_variances_are_nearer_the_truth():
    """1 / (Sigma^-1)_jj is what slopes' variances have: less biased, and less noisy."""
    logs = []
    for seed in range(40):
        X, Y, truth = simulate(20, 10, 3, 2, seed=seed)
        res = LowRankSUR(Y, X, rank=2).fit(n_starts=1)
        known = np.diag(np.linalg.inv(truth))
        at_maximum = res.sigma.scaled(res.estimate.df.correction).precision_diag()
        logs.append([np.log(known / P) for P in (at_maximum, res.sigma_inference.precision_diag())])
    # 40 draws of 10 equations; a chi2(15) over 15 has mean log -0.07 and standard deviation 0.37.
    before, after = np.array(logs).transpose(1, 0, 2).reshape(2, -1)
    assert after.std() < 0.9 * before.std()
    assert abs(after.mean()) < 0.5 * abs(before.mean())


def test_a_ridge_of_one_s_own_is_not_added_to():
    X, Y, _ = simulate(20, 10, 3, 2, seed=1)
    res = LowRankSUR(Y, X, rank=2).fit(n_starts=1, lam_F=0.5)
    expected = res.sigma.scaled(res.estimate.df.correction).to_dense()
    np.testing.assert_allclose(res.sigma_inference.to_dense(), expected, rtol=1e-12)


def test_no_units():
    X, Y, _ = simulate(20, 6, 3, 1, seed=3)
    scale = 10.0 ** np.arange(-3, 3)
    one = LowRankSUR(Y, X, rank=1).fit(**TIGHT)
    two = LowRankSUR(Y * scale, X, rank=1).fit(**TIGHT)
    np.testing.assert_allclose(two.bse, one.bse * np.repeat(scale, 3), rtol=1e-6)


def test_it_vanishes_with_the_sample():
    X, Y, _ = simulate(4000, 10, 3, 2, seed=1)
    res = LowRankSUR(Y, X, rank=2).fit(n_starts=1)
    assert (res.uniquenesses > 0.1).all()
    expected = res.sigma.scaled(res.estimate.df.correction).to_dense()
    np.testing.assert_allclose(res.sigma_inference.to_dense(), expected, rtol=0.01, atol=0.005)


def test_precision():
    assert loading_precision(LowRankDiag.diagonal(np.ones(4))) == 0.0
    F, d = np.array([[2.0], [1.0], [3.0], [0.0], [1.0]]), np.array([1.0, 1.0, 1e-30, 1.0, 2.0])
    # 4, 1, huge, 0, 1/2: the median is 1.
    assert loading_precision(LowRankDiag(F, d)) == pytest.approx(1.0)
    weak = LowRankDiag(0.01 * np.ones((5, 2)), np.ones(5))
    assert loading_precision(weak) == 2.0
    assert loading_precision(LowRankDiag(np.zeros((5, 2)), np.ones(5))) == 2.0


def test_without_a_spare_row_the_prior_is_of_one():
    """N - p - r = 0: neither an infinite prior nor a division by zero."""
    rng = np.random.default_rng(0)
    X = [np.column_stack([np.ones(8), rng.standard_normal((8, 6))]) for _ in range(4)]
    problem = Problem(X, rng.standard_normal((8, 4)), ALSOptions())
    cov = LowRankDiag.from_factors(rng.standard_normal((4, 1)), rng.uniform(0.5, 1.0, 4))
    p, floor = problem.design.p, problem.floor
    made = with_loading_prior(problem.errors, problem.E_ols, cov, p, floor)
    assert np.isfinite(made.diag()).all()
