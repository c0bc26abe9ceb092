import warnings

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core.beta import dense_gls
from sm_alsgls.core.beta.gls import gls
from sm_alsgls.core.maximise.als import ALSOptions, Problem, Start, als
from sm_alsgls.core.maximise.em import em, em_search
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import ConvergenceWarning, OptionError
from tests.core.systems import system

ENOUGH = 50_000


def simulated(seed=2, N=60, K=8, r=2, p=3):
    return system(np.random.default_rng(seed), N, K, r, p)


RIDGES, FLOOR = {"lam_F": 0.02, "lam_B": 0.05}, {"d_floor": 0.3}
RAGGED = [1, 2, 3, 2, 1, 4, 3]


@pytest.mark.parametrize(
    ("N", "K", "p", "options"),
    [
        (60, 8, 3, {}),
        (30, 40, 2, {}),
        (60, 7, RAGGED, {}),
        (60, 7, RAGGED, RIDGES),
        (60, 8, 3, FLOOR),
        (30, 40, 2, {**RIDGES, **FLOOR}),
    ],
)
def test_em_ends_where_als_ends(N, K, p, options):
    blocks, Y = simulated(N=N, K=K, p=p)
    problem = Problem(blocks, Y, ALSOptions(gtol=1e-8, max_sweeps=ENOUGH, **options))
    slow, fast = em(problem, 2), als(problem, 2)
    assert slow.converged
    assert fast.converged
    assert slow.nll == pytest.approx(fast.nll, rel=1e-10)
    np.testing.assert_allclose(slow.gamma, fast.gamma, atol=1e-6)
    np.testing.assert_allclose(slow.cov.to_dense(), fast.cov.to_dense(), atol=1e-5)
    np.testing.assert_array_equal(slow.at_bound, fast.at_bound)


def test_em_ends_where_als_ends_on_grunfeld():
    model = LowRankSUR.from_formula(
        "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=1
    )
    slow = model.fit(method="em", max_sweeps=ENOUGH, gtol=1e-7)
    fast = model.fit(gtol=1e-7)
    assert slow.converged
    assert slow.llf == pytest.approx(fast.llf, rel=1e-9)
    np.testing.assert_allclose(slow.params, fast.params, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(slow.bse, fast.bse, rtol=1e-4)
    # rtol 1e-4: at gtol the score is 1e-7 of its standard error, but EM's rate is 0.99 and more.
    assert slow.mle_retvals["iterations"] > 3 * fast.mle_retvals["iterations"]


@pytest.mark.parametrize("options", [{}, {"lam_F": 0.05, "lam_B": 0.05}, {"d_floor": 0.3}])
def test_no_step_raises_the_objective(options):
    blocks, Y = simulated(seed=4)
    problem = Problem(blocks, Y, ALSOptions(max_sweeps=300, **options))
    for start in (None, Start("far", gamma=problem.gamma_ols + 10.0)):
        trace = em(problem, 3, start).trace
        levels = [trace[0].nll]
        for row in trace[1:]:
            levels += [row.nll_beta, row.nll]
        assert len(levels) > 21
        assert np.max(np.diff(levels)) <= 1e-12 * abs(levels[-1])


def brute_force_step(blocks, Y, F, d):
    """One iteration as the definitions have it: stacked GLS, posterior by joint normality."""
    (N, K), r = Y.shape, F.shape[1]
    Sigma = F @ F.T + np.diag(d)
    P = sum(X.shape[1] for X in blocks)
    Z = np.zeros((N * K, P))
    start = 0
    for j, X in enumerate(blocks):
        Z[j * N : (j + 1) * N, start : start + X.shape[1]] = X
        start += X.shape[1]
    W = np.kron(np.linalg.inv(Sigma), np.eye(N))
    beta = np.linalg.solve(Z.T @ W @ Z, Z.T @ W @ Y.T.ravel())
    E = (Y.T.ravel() - Z @ beta).reshape(K, N).T
    # Joint covariance of (e, z): conditional mean and variance of z row by row.
    ezz, eze = np.zeros((r, r)), np.zeros((K, r))
    conditional = np.eye(r) - F.T @ np.linalg.solve(Sigma, F)
    for e in E:
        mean = F.T @ np.linalg.solve(Sigma, e)
        ezz += conditional + np.outer(mean, mean)
        eze += np.outer(e, mean)
    F = np.array([np.linalg.solve(ezz, eze[j]) for j in range(K)])
    d = [(E[:, j] @ E[:, j] - 2.0 * F[j] @ eze[j] + F[j] @ ezz @ F[j]) / N for j in range(K)]
    return beta, F, np.array(d)


@pytest.mark.parametrize(("N", "p"), [(40, 2), (40, [1, 3, 2, 2, 1, 3])])
def test_one_iteration_is_that_of_the_definitions(N, p):
    rng = np.random.default_rng(7)
    blocks, Y = system(rng, N, 6, 2, p)
    F, d = rng.standard_normal((6, 2)), rng.uniform(0.2, 2.0, 6)
    problem = Problem(blocks, Y, ALSOptions())
    start = Start("given", cov=LowRankDiag.from_factors(F, d))
    got = em(problem, 2, start, max_sweeps=1)
    beta, F, d = brute_force_step(blocks, Y, F, d)
    assert not got.converged
    np.testing.assert_allclose(np.concatenate(problem.design.to_beta(got.gamma)), beta, atol=1e-10)
    np.testing.assert_allclose(got.cov.loadings, F, atol=1e-10)
    np.testing.assert_allclose(got.cov.uniquenesses, d, atol=1e-10)


def test_row_compression_changes_nothing():
    """Regressors in common let 200 rows shrink to 9; N stays in the posterior variances."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((200, 4))
    Y = rng.standard_normal((200, 1)) + rng.standard_normal((200, 5))
    blocks = [X[:, [0, 1 + j % 3]] for j in range(5)]
    problem = Problem(blocks, Y, ALSOptions())
    assert problem.design.n < 200
    start = Start("given", cov=LowRankDiag.from_factors(np.ones((5, 1)), np.ones(5)))
    got = em(problem, 1, start, max_sweeps=1)
    beta, F, d = brute_force_step(blocks, Y, np.ones((5, 1)), np.ones(5))
    np.testing.assert_allclose(np.concatenate(problem.design.to_beta(got.gamma)), beta, atol=1e-10)
    np.testing.assert_allclose(got.cov.loadings, F, atol=1e-10)
    np.testing.assert_allclose(got.cov.uniquenesses, d, atol=1e-10)


@pytest.mark.parametrize("lam_B", [0.0, 0.3])
def test_the_dense_beta_step_is_that_of_conjugate_gradients(lam_B):
    blocks, Y = simulated(p=[1, 2, 3, 2, 1, 4, 3, 2])
    problem = Problem(blocks, Y, ALSOptions(lam_B=lam_B))
    rng = np.random.default_rng(0)
    cov = LowRankDiag.from_factors(rng.standard_normal((8, 2)), rng.uniform(0.5, 1.0, 8))
    far = problem.gamma_ols + 5.0
    step = dense_gls.DenseGLS(problem.design, problem.n_obs, problem.ridge)
    gamma = step(far, problem.residuals(far), dense_gls.inverse(cov))
    other = gls(problem.design, problem.Y, cov, n_obs=60, ridge=problem.ridge, cg_tol=1e-13)
    np.testing.assert_allclose(gamma, other.gamma, atol=1e-10)
    np.testing.assert_allclose(problem.residuals(gamma), other.E, atol=1e-10)


def test_rank_0_is_ols():
    blocks, Y = simulated()
    problem = Problem(blocks, Y, ALSOptions())
    got = em(problem, 0)
    assert got.converged
    np.testing.assert_allclose(got.gamma, problem.gamma_ols, atol=1e-12)
    np.testing.assert_allclose(got.cov.uniquenesses, problem.s_ols, rtol=1e-12)


def test_fit_says_what_it_did():
    blocks, Y = simulated()
    model = LowRankSUR(Y, blocks, rank=2)
    with pytest.warns(ConvergenceWarning, match=r"max_sweeps=5 iterations of EM.*method='als'"):
        res = model.fit(method="em", max_sweeps=5)
    assert not res.converged
    assert res.mle_retvals["method"] == "em"
    assert res.mle_settings["optimizer"] == "em"
    assert "EM, max. likelihood" in res.summary().as_text()
    assert res.get_robustcov_results("HC1").mle_retvals["method"] == "em"
    assert res.mle_retvals["iterations"] == 5
    assert len(res.mle_retvals["starts"]) == 1
    assert res.mle_retvals["cg"] == [0] * 5
    assert "NOT CONVERGED" in str(res.summary())
    assert model.fit().mle_settings["optimizer"] == "als"


@pytest.mark.slow
def test_starts_and_callbacks_are_honoured():
    blocks, Y = simulated()
    problem = Problem(blocks, Y, ALSOptions(max_sweeps=3000))
    found = em_search(problem, 2, n_starts=3, rng=np.random.default_rng(1))
    assert [run.start for run in found.runs] == ["ols", "random beta", "random beta"]
    assert found.best.nll == min(run.nll for run in found.runs)
    assert found.curvature is not None
    seen = []
    found = em_search(
        problem, 2, n_starts=3, callback=lambda row: seen.append(row) or len(seen) > 4
    )
    assert len(found.runs) == 1
    assert len(seen) == 5
    assert found.best.status == "stopped by the callback"


def test_start_params_are_the_first_start():
    blocks, Y = simulated()
    model = LowRankSUR(Y, blocks, rank=2)
    best = model.fit(gtol=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # two iterations
        near = model.fit(best.params, method="em", max_sweeps=2)
    assert near.mle_retvals["starts"]["start"].tolist() == ["start_params"]


@pytest.mark.parametrize("method", ["EM", "newton", None, 1, ["em"]])
def test_an_unknown_method_is_refused(method):
    blocks, Y = simulated()
    with pytest.raises(OptionError, match="method must be one of 'als', 'em', 'two-step'"):
        LowRankSUR(Y, blocks, rank=1).fit(method=method)


def test_what_em_cannot_do_names_als(monkeypatch):
    blocks, Y = simulated()
    model = LowRankSUR(Y, blocks, rank=1)
    with pytest.raises(OptionError, match=r"cannot restrict.*method='als'"):
        model.fit_constrained("y1_x1 = 0", method="em")
    monkeypatch.setattr(dense_gls, "MEMORY_LIMIT", 8 * (2 * 24**2 + 3 * 8**2) - 1)
    with pytest.raises(OptionError, match=r"24 x 24 and 8 x 8; use method='als'"):
        model.fit(method="em")
