"""Parameters of a law beside beta and Sigma: their maximum, their covariance, who counts them."""

import numpy as np
import pytest
import scipy.optimize

from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.errors.nuisance import NO_NUISANCE, Nuisance
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.profile import _covariance, profile
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.compress import compress_rows
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.exceptions import OptionError
from tests.core import dense, systems
from tests.core.systems import ring
from tests.worked.law import SpatialErrors

K, N = 6, 120


def sample(lam, seed=0, W=None):
    rng = np.random.default_rng(seed)
    blocks, _ = systems.system(rng, N, K, 1, 2)
    mean = np.column_stack([X @ np.ones(2) for X in blocks])
    U = systems.factor_data(rng, N, K, 1)
    A = np.eye(K) - lam * (ring(K) if W is None else W)
    return blocks, mean + np.linalg.solve(A, U.T).T


def dense_nll(theta, blocks, Y, filters):
    """NLL per row by a dense Sigma: theta = (values, beta, F, log d), r = 1."""
    m = len(filters)
    A = np.eye(K) - np.tensordot(theta[:m], np.array(filters), axes=1)
    beta, F, x = np.split(theta[m:], [2 * K, 3 * K])
    E = Y - np.column_stack([X @ b for X, b in zip(blocks, beta.reshape(K, 2), strict=True)])
    S = np.outer(F, F) + np.diag(np.exp(x))
    U = E @ A.T
    value = np.linalg.slogdet(S)[1] + np.trace(np.linalg.solve(S, U.T @ U)) / N
    return 0.5 * (K * np.log(2 * np.pi) + value) - np.linalg.slogdet(A)[1]


@pytest.fixture(scope="module")
def fitted():
    blocks, Y = sample(0.5)
    problem = Problem(blocks, Y, ALSOptions(gtol=1e-8))
    return blocks, Y, problem, profile(problem, SpatialErrors(K, N, ring(K), 0.0), 1)


def theta_of(problem, best):
    low = best.cov.inner
    beta = np.concatenate(problem.design.to_beta(best.gamma))
    return np.r_[best.nuisance.values, beta, low.loadings[:, 0], np.log(low.uniquenesses)]


def test_is_the_maximum_over_everything(fitted):
    blocks, Y, problem, found = fitted
    theta = theta_of(problem, found.best)

    def f(t):
        return dense_nll(t, blocks, Y, [ring(K)])

    assert f(theta) == pytest.approx(found.best.nll, rel=1e-10)
    better = scipy.optimize.minimize(f, theta, method="BFGS", options={"gtol": 1e-7})
    assert better.fun > found.best.nll - 1e-9
    assert found.best.nuisance.values[0] == pytest.approx(better.x[0], abs=1e-4)
    assert found.best.converged
    assert abs(found.best.nuisance.values[0] - 0.5) < 0.2


def test_covariance_is_that_block_of_the_inverse_information(fitted):
    blocks, Y, problem, found = fitted
    theta = theta_of(problem, found.best)
    h, n = 1e-4, len(theta)
    eye = np.eye(n) * h
    H = np.empty((n, n))
    for i in range(n):
        for k in range(n):
            corners = [
                s * t * dense_nll(theta + s * eye[i] + t * eye[k], blocks, Y, [ring(K)])
                for s in (1, -1)
                for t in (1, -1)
            ]
            H[i, k] = sum(corners) / (4 * h * h)
    expected = np.linalg.inv(N * H)[0, 0]
    assert found.best.nuisance.cov[0, 0] == pytest.approx(expected, rel=5e-3)  # differences


def test_two_parameters():
    left, right = np.zeros((2, K, K))
    at = np.arange(K)
    left[at, (at - 1) % K] = right[at, (at + 1) % K] = 1.0

    class Two(SpatialErrors):
        bounds = np.array([[-0.45, 0.45]] * 2)

        def __init__(self, values):
            super().__init__(K, N, values[0] * left + values[1] * right, 1.0)
            jacobian = self.nuisance.log_jacobian
            self.nuisance = Nuisance(("l", "r"), values, np.full((2, 2), np.nan), jacobian)

        def at(self, values):
            return Two(np.asarray(values))

    blocks, Y = sample(1.0, 3, 0.3 * left + 0.1 * right)
    problem = Problem(blocks, Y, ALSOptions(gtol=1e-8))
    best = profile(problem, Two(np.zeros(2)), 1).best

    def f(t):
        return dense_nll(t, blocks, Y, [left, right])

    theta = theta_of(problem, best)
    better = scipy.optimize.minimize(f, theta, method="BFGS", options={"gtol": 1e-7})
    assert best.nll == pytest.approx(f(theta), rel=1e-10)
    np.testing.assert_allclose(best.nuisance.values, better.x[:2], atol=2e-4)
    assert best.nuisance.names == ("l", "r")
    assert (np.linalg.eigvalsh(best.nuisance.cov) > 0).all()


def test_on_a_bound_there_is_no_covariance():
    blocks, Y = sample(0.6)

    class Low(SpatialErrors):
        bounds = np.array([[-0.5, 0.1]])

        def at(self, values):
            return Low(self.K, self.n_obs, self.W, float(values[0]))

    best = profile(Problem(blocks, Y, ALSOptions()), Low(K, N, ring(K), 0.0), 1).best
    assert best.nuisance.values[0] == pytest.approx(0.1, abs=1e-5)
    assert np.isnan(best.nuisance.cov).all()


def test_a_law_without_has_none_and_one_with_counts_it():
    blocks, Y = sample(0.0)
    problem = Problem(blocks, Y, ALSOptions())
    assert als(problem, 1).nuisance is NO_NUISANCE
    law = SpatialErrors(K, N, ring(K), 0.0)
    assert law.parameters(1) == problem.errors.parameters(1) + 1
    # At lam = 0 the law is the law of what it leaves.
    same = als(problem.with_errors(law), 1)
    assert same.nll == pytest.approx(als(problem, 1).nll, abs=1e-10)


def test_covariance_of_the_values_is_the_inverse_curvature():
    """Exact on a quadratic; NaN on a bound, and at what is no minimum."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((3, 3))
    A, centre = root @ root.T + np.eye(3), np.array([0.4, 0.5, 0.002])

    def f(x):
        return 7.0 + 0.5 * (x - centre) @ A @ (x - centre)

    np.testing.assert_allclose(_covariance(f, centre, 50), np.linalg.inv(50 * A), rtol=1e-5)
    for at in (0.0, 1.0):
        assert np.isnan(_covariance(f, np.array([0.4, at, 0.5]), 50)).all()
    saddle = np.diag([1.0, -1.0, 1.0])
    assert np.isnan(_covariance(lambda x: x @ saddle @ x, centre, 50)).all()


@pytest.mark.parametrize("unit", [1e-120, 1e120])
def test_has_no_units(fitted, unit):
    blocks, Y, _, found = fitted
    other = profile(
        Problem(blocks, unit * Y, ALSOptions(gtol=1e-8)), SpatialErrors(K, N, ring(K), 0.0), 1
    ).best
    assert other.nll == pytest.approx(found.best.nll + K * np.log(unit), rel=1e-11)
    np.testing.assert_allclose(other.nuisance.values, found.best.nuisance.values, atol=1e-6)
    np.testing.assert_allclose(other.nuisance.cov, found.best.nuisance.cov, rtol=1e-3)
    assert other.nuisance.log_jacobian == pytest.approx(found.best.nuisance.log_jacobian, abs=1e-6)


@pytest.mark.parametrize("kind", ["weights", "restrictions", "compressed"])
def test_of_other_rows_and_designs(kind):
    """The NLL at the maximum is the dense one, the log-Jacobian counted once, and the least."""
    blocks, Y = sample(0.5, 4)
    binding, n = None, N
    if kind == "compressed":
        blocks, Y = [np.tile(X, (3, 1)) for X in blocks], np.tile(Y, (3, 1))
        n = 3 * N
    rows = compress_rows(blocks, Y)
    if kind == "weights":
        root = np.sqrt(np.random.default_rng(5).uniform(0.3, 2.0, N))
        blocks, Y = [X * root[:, None] for X in blocks], Y * root[:, None]
        rows = Rows(blocks, Y, N, root)
    if kind == "restrictions":
        R = np.zeros((2, 2 * K))
        R[0, [1, 3]], R[1, 0] = (1.0, -1.0), 1.0
        binding = Restrictions(R, np.array([0.0, 1.0]))
    problem = Problem.from_rows(rows, ALSOptions(gtol=1e-8), binding=binding)
    best = profile(problem, SpatialErrors(K, n, ring(K), 0.0), 1).best

    def at(lam):
        again = als(problem.with_errors(SpatialErrors(K, n, ring(K), lam)), 1)
        beta = problem.design.to_beta(again.gamma)
        E = Y - np.column_stack([X @ b for X, b in zip(blocks, beta, strict=True)])
        return dense.nll(E, again.cov.to_dense())

    lam, sd = best.nuisance.values[0], np.sqrt(best.nuisance.cov[0, 0])
    assert best.converged
    assert best.nll == pytest.approx(at(lam), rel=1e-10)
    # A standard error off, the profile log-likelihood is 1/2 lower, nearly.
    for sign in (1, -1):
        assert n * (at(lam + sign * sd) - best.nll) == pytest.approx(0.5, rel=0.1)


def test_from_the_maximum_it_stays(fitted):
    _, _, problem, found = fitted
    lam = found.best.nuisance.values[0]
    again = profile(problem, SpatialErrors(K, N, ring(K), lam), 1).best
    assert again.nuisance.values[0] == pytest.approx(lam, abs=1e-6)
    assert again.nll == pytest.approx(found.best.nll, abs=1e-11)
    np.testing.assert_allclose(again.nuisance.cov, found.best.nuisance.cov, rtol=1e-3)


@pytest.mark.parametrize("after", [1, 12, 40])
def test_the_callback_ends_everything(fitted, after):
    _, _, problem, found = fitted
    told = []

    def callback(sweep):
        told.append(sweep)
        return len(told) >= after and "enough"

    best = profile(problem, SpatialErrors(K, N, ring(K), 0.0), 1, callback=callback).best
    assert len(told) == after
    assert not best.converged
    assert best.status in ("stopped by the callback", "enough")
    assert best.nll >= found.best.nll - 1e-10
    assert np.isnan(best.nuisance.cov).all()


def test_first_values_lie_within_the_bounds(fitted):
    _, _, problem, _ = fitted
    with pytest.raises(OptionError, match=r"lam must lie between -0\.95 and 0\.95, got 0\.96"):
        profile(problem, SpatialErrors(K, N, ring(K), 0.96), 1)


def test_curvature_is_that_at_the_best():
    class Curved(SpatialErrors):
        """Told by the height of its curvature where it was looked at."""

        def at(self, values):
            return Curved(self.K, self.n_obs, self.W, float(values[0]))

        def hessian(self, *point, **penalties):
            return Height(10.0 + self.lam)

    class Height:
        size = 3

        def __init__(self, height):
            self.height = height

        def apply(self, v):
            return self.height * v

        def split(self, v):
            return v, np.zeros((K, 1)), np.zeros(K)

    blocks, Y = sample(0.5)
    found = profile(Problem(blocks, Y, ALSOptions()), Curved(K, N, ring(K), 0.0), 1)
    lam = found.best.nuisance.values[0]
    assert found.curvature.lowest == pytest.approx(10.0 + lam, abs=1e-9)


def test_a_law_without_parameters_of_its_own_moves_nothing():
    names, values, cov, log_jacobian = NO_NUISANCE
    assert (names, values.shape, cov.shape, log_jacobian) == ((), (0,), (0, 0), 0.0)
