"""The Hessian of the profile likelihood against differences, and at known saddles and minima."""

import numpy as np
from numpy.testing import assert_allclose

from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.second_order.profile_hessian import ProfileHessian
from sm_alsgls.covariance.unrestricted import Unrestricted


def system(seed, N=30, K=3, p=2):
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((N, p)) * 10.0 ** rng.uniform(-3, 3, p) for _ in range(K)]
    Y = rng.standard_normal((N, 1)) + rng.standard_normal((N, K))
    return Design(X), Y


def psi(design, Y, gamma):
    E = Y - design.fitted(gamma)
    return 0.5 * np.linalg.slogdet(E.T @ E / len(Y))[1]


def dense(operator):
    return np.array([operator.apply(v) for v in np.eye(operator.size)])


def test_products_by_differences():
    design, Y = system(0)
    gamma = np.random.default_rng(1).standard_normal(design.P)
    E = Y - design.fitted(gamma)
    H = ProfileHessian(design, E, Unrestricted.from_residuals(E), 30)
    got, h = np.empty((design.P, design.P)), 1e-4
    steps = np.diag(h * H.scale)
    for i in range(design.P):
        for j in range(design.P):
            got[i, j] = sum(
                s * t * psi(design, Y, gamma + s * steps[i] + t * steps[j])
                for s in (1, -1)
                for t in (1, -1)
            ) / (4 * h * h)
    # Second differences of h = 1e-4.
    assert_allclose(dense(H), got, rtol=0, atol=1e-6)
    assert_allclose(dense(H), dense(H).T, rtol=0, atol=1e-12)


def test_two_minima_and_the_saddle_between():
    """One regressor an equation, five rows: psi has two minima (Drton and Richardson 2004).

    The points were found on a grid and are polished here by Newton steps.
    """
    X = np.array([[0.42, -2.16], [0.15, -0.65], [0.9, 0.18], [-0.8, -0.42], [0.05, 1.35]])
    Y = np.array([[3.05, 0.37], [0.13, 0.71], [0.05, 0.71], [0.47, 0.09], [-0.71, 0.25]])
    design = Design([x[:, None] for x in X.T])
    lowest = []
    for start in ([-0.3, 0.15], [1.25, -0.4], [0.00985, 0.03302]):
        gamma = design.project(X * start)
        for _ in range(20):
            E = Y - design.fitted(gamma)
            cov = Unrestricted.from_residuals(E)
            H = ProfileHessian(design, E, cov, 5)
            gradient = -design.project(cov.solve(E)) / 5
            gamma = gamma - np.linalg.solve(dense(H), gradient * H.scale) * H.scale
        assert np.abs(gradient * H.scale).max() < 1e-12
        lowest.append(np.linalg.eigvalsh(dense(H))[0])
    assert lowest[0] > 0.01
    assert lowest[1] > 0.01
    assert lowest[2] < -0.01
