"""The two measures at no special point, against the dense gradient of the whole likelihood."""

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import ALSOptions, Problem
from sm_alsgls.covariance import LowRankDiag
from tests.core import dense, systems


@pytest.mark.parametrize("ridges", [(0.0, 0.0), (0.2, 0.0), (0.0, 0.1), (0.2, 0.1)])
@pytest.mark.parametrize(("N", "K", "p"), [(90, 5, 2), (12, 9, (1, 3, 2) * 3)])
def test_measures_are_those_of_the_dense_gradient(N, K, p, ridges):
    lam_B, lam_F = ridges
    rng = np.random.default_rng(0)
    blocks, Y = systems.system(rng, N, K, 1, p)
    problem = Problem(blocks, Y, ALSOptions(lam_B=lam_B, lam_F=lam_F))
    F, d = rng.standard_normal((K, 2)), rng.uniform(0.5, 1.5, K)
    at_bound = np.arange(K) == 1
    gamma = problem.gamma_ols + 0.2 * rng.standard_normal(problem.design.P)
    E = problem.residuals(gamma)
    measured = problem.stationarity(gamma, E, LowRankDiag.from_factors(F, d), at_bound)

    # In gamma, on the problem's rows; the ridge from its definition in beta.
    bases = [problem.design.basis(j) for j in range(K)]
    slices = [problem.design.equation_slice(j) for j in range(K)]
    full = dense.FullLikelihood(bases, slices, problem.Y, 2, n_obs=N)
    _, gradient = full(np.concatenate([gamma, F.ravel(), np.log(d)]))
    score = -N * gradient[: full.P]
    precision = np.diag(np.linalg.inv(dense.sigma(F, d)))
    information = problem.design.expand(precision)
    for j, (X, where) in enumerate(zip(blocks, slices, strict=True)):
        weight = lam_B * (np.ptp(X, axis=0) > 0) * np.mean(X**2, axis=0) / problem.s_ols[j]
        B = problem.design.beta_map(j)
        A = N * B.T @ np.diag(weight) @ B
        score[where] -= A @ gamma[where]
        information[where] += np.diag(A)
    unit = score / np.sqrt(information)
    norms = [np.linalg.norm(unit[where]) for where in slices]
    assert measured.score_beta == pytest.approx(max(norms), rel=1e-9)
    g_F = gradient[full.P : -K].reshape(K, 2) + lam_F * F / d[:, None]
    g_x = gradient[-K:] - 0.5 * lam_F * np.sum(F**2, axis=1) / d
    g_A = np.sqrt(d)[:, None] * g_F
    expected = max(np.abs(g_x[~at_bound]).max(), np.abs(g_A[~at_bound]).max())
    assert measured.gradient_d == pytest.approx(expected, rel=1e-9)
