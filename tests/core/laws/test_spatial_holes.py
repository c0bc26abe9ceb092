"""Neighbours of which some cells are missing, against the dense covariance of observed cells."""

import numpy as np
import pytest

from sm_alsgls.core.errors.complete import CompleteErrors
from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.errors.observed import ObservedErrors
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.point import point_from
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.laws.spatial_error import SpatialError
from sm_alsgls.core.laws.spatial_holes import SpatialHoles
from sm_alsgls.core.laws.spatial_lag import SpatialLag, reached
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.maximise.solution import Start
from sm_alsgls.core.maximise.units import units_of
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.sigma.filled_likelihood import FilledObjective
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import OptionError
from tests.core.laws import dense
from tests.core.laws.test_spatial_laws import POOLED, K, N, blocks, neighbours, p, sample, weights
from tests.core.laws.test_spatial_weights import mutual, nearest

TIGHT = ALSOptions(gtol=1e-9)


def holes(share=0.2, seed=5, n=N, k=K):
    return np.random.default_rng(seed).random((n, k)) >= share


def law_of(mask, error):
    def make(rows):
        if not error:
            return low_rank(rows)
        whole = SpatialError(CompleteErrors(rows.Y.shape[1], rows.n_obs), weights(), 0.0)
        return whole if rows.patterns is None else SpatialHoles(whole, Patterns(mask))

    return make


def system(X, Y, mask, *, error=False, lag=False, binding=POOLED, filter=None, fill=0.0):
    of_lag = SpatialLag(weights(nearest)) if lag else None
    return RawSystem(
        np.where(mask, Y, fill), blocks(X), Chain([]) if filter is None else filter, TIGHT,
        law=law_of(mask, error), binding=binding, mask=mask, lag=of_lag,
    )  # fmt: skip


def in_full(theta, X, Y, mask, error, lag, root=None):
    """NLL per row of observed cells by a dense Omega_oo: theta = (lam, rho, b, F, log d), r = 1."""
    lam, theta = (theta[0], theta[1:]) if error else (0.0, theta)
    rho, theta = (theta[0], theta[1:]) if lag else (0.0, theta)
    b, F, x = np.split(theta, [p, p + K])
    A = np.linalg.inv(np.eye(K) - rho * neighbours(nearest))
    B = np.linalg.inv(np.eye(K) - lam * neighbours(mutual))
    Omega = A @ B @ (np.outer(F, F) + np.diag(np.exp(x))) @ B.T @ A.T
    return dense.nll_of_rows(Y - (X @ b) @ A.T, Omega, mask, None if root is None else root**2)


def theta_of(fit):
    cov = fit.found.best.cov
    low = getattr(cov, "inner", cov)
    b = fit.problem.design.to_params(fit.found.best.gamma)
    return np.r_[fit.found.best.nuisance.values, b, low.loadings[:, 0], np.log(low.uniquenesses)]


LAWS = {"params": [(True, False), (False, True), (True, True)], "ids": ["error", "lag", "both"]}


@pytest.fixture(scope="module", **LAWS)
def case(request):
    error, lag = request.param
    X, Y = sample(0.5 * error, 0.4 * lag, 8)
    mask = holes()
    fit = maximise(system(X, Y, mask, error=error, lag=lag), 1, n_starts=1)
    return X, Y, mask, error, lag, fit


@pytest.mark.slow
def test_is_the_maximum_over_everything(case):
    X, Y, mask, error, lag, fit = case
    theta = theta_of(fit)
    assert fit.found.best.converged
    assert in_full(theta, X, Y, mask, error, lag) == pytest.approx(fit.found.best.nll, rel=1e-12)
    slope = dense.differences(lambda t: in_full(t, X, Y, mask, error, lag), theta, 1e-4)
    np.testing.assert_allclose(slope, 0.0, atol=1e-7)


@pytest.mark.slow
def test_covariances_are_those_of_the_whole_information(case):
    X, Y, mask, error, lag, fit = case
    theta, m = theta_of(fit), error + lag

    def slope(t):
        return dense.differences(lambda v: in_full(v, X, Y, mask, error, lag), t, 1e-4)

    H = np.array([(slope(theta + h) - slope(theta - h)) / 2e-4 for h in 1e-4 * np.eye(len(theta))])
    expected = np.linalg.inv(N * H)
    found = fit.found.best.nuisance.cov
    np.testing.assert_allclose(found, expected[:m, :m], rtol=1e-2)  # differences of 1/20 se
    both = fit.slopes @ found
    np.testing.assert_allclose(both, expected[m : m + p, :m], rtol=1e-2, atol=1e-6)
    # Beside (F, d) beta is as good as orthogonal: the information is expected, these observed.
    beta = np.linalg.inv(N * H[m : m + p, m : m + p])
    H_inverse = fit.problem.covariance(fit.found.best.cov).dense()
    np.testing.assert_allclose(H_inverse, beta, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("error", "lag"), LAWS["params"], ids=LAWS["ids"])
def test_what_stands_in_missing_cells_does_not_matter(error, lag):
    """Likelihood and slopes, near the maximum and away; least squares takes it for data."""
    X, Y = sample(0.5 * error, 0.4 * lag, 8)
    mask, floor = holes(), np.full(K, 1e-6)
    plain, other = (system(X, Y, mask, error=error, lag=lag, fill=fill) for fill in (0.0, 30.0))
    truth = np.array([0.5] * error + [0.4] * lag)
    problem = plain.at(truth).problem().with_floor(floor)
    near = als(problem, 1)
    for values in (truth, truth - 0.2):
        first, second = (
            point_from(problem, near, one.at(values), 1, floor) for one in (plain, other)
        )
        assert second.solution.converged
        assert second.nll == pytest.approx(first.nll, abs=1e-9)
        np.testing.assert_allclose(second.gradient, first.gradient, atol=1e-6)
        np.testing.assert_allclose(second.solution.gamma, first.solution.gamma, atol=1e-5)


PAIRS = [  # every two of lambda, rank and binding meet
    (lam, rank, (POOLED, None)[(i + rank) % 2])
    for i, lam in enumerate([-0.4, 0.3, 0.8])
    for rank in (0, 1, 2)
]


@pytest.mark.parametrize(("lam", "rank", "binding"), PAIRS)
def test_gradient_of_the_errors_is_that_of_differences(lam, rank, binding):
    X, Y = sample(0.5, 0.0, 1)
    mask = holes(0.3)
    base = system(X, Y, mask, error=True, binding=binding).problem()

    def psi(v, start=None):
        return als(base.with_errors(base.errors.at(np.array([v]))), rank, start)

    h, fit = 1e-4, psi(lam)
    assert fit.converged
    start = Start(gamma=fit.gamma, near=fit.cov)
    expected = (psi(lam + h, start).nll - psi(lam - h, start).nll) / (2 * h)
    found = base.errors.at(np.array([lam])).gradient(fit.E, fit.cov)
    assert found[0] == pytest.approx(expected, abs=1e-6)


def test_without_a_lambda_it_is_the_law_of_observed_cells():
    X, Y = sample(0.0, 0.0, 2)
    mask = holes(0.3)
    base = system(X, Y, mask, error=True).problem()
    there = als(base, 1)
    plain = als(base.with_errors(ObservedErrors(Patterns(mask))), 1)
    assert there.nll == pytest.approx(plain.nll, rel=1e-12)
    np.testing.assert_allclose(there.gamma, plain.gamma, atol=1e-7)
    np.testing.assert_allclose(there.cov.inner.to_dense(), plain.cov.to_dense(), atol=1e-6)


def test_without_holes_likelihood_and_gradients_are_those_of_whole_rows():
    X, Y = sample(0.5, 0.0, 3)
    whole = SpatialError(CompleteErrors(K, N), weights(), 0.4)
    law = SpatialHoles(whole, Patterns(np.ones((N, K), dtype=bool)))
    E = Y - X.sum(axis=2)
    kwds = {"floor": np.full(K, 1e-8), "near": None, "d": None, "block": None, "gtol": 1e-9}
    mine, theirs = law.sigma(E, 1, **kwds), whole.sigma(E, 1, **kwds)
    assert mine.nll == pytest.approx(theirs.nll, rel=1e-12)
    np.testing.assert_allclose(mine.cov.to_dense(), theirs.cov.to_dense(), rtol=1e-6, atol=1e-8)
    assert law.nll(E, theirs.cov) == pytest.approx(whole.nll(E, theirs.cov), rel=1e-14)
    np.testing.assert_allclose(
        law.gradient(E, theirs.cov), whole.gradient(E, theirs.cov), rtol=1e-12
    )


@pytest.mark.parametrize("lag", [False, True])
def test_more_equations_than_rows(lag):
    rng = np.random.default_rng(4)
    n, k = 12, 20
    W = weights_of(k)
    mask = holes(0.2, 6, n, k)
    cov = LowRankDiag.from_factors(rng.standard_normal((k, 1)), rng.uniform(0.5, 2.0, k))
    whole = SpatialError(CompleteErrors(k, n), W, 0.4)
    law = SpatialHoles(whole, Patterns(mask), SpatialLag(W, 0.3) if lag else None)
    E = rng.standard_normal((n, k))
    E = E if lag else E * mask
    objective = FilledObjective(
        E, law.patterns, cov, law.filling(E), law.nuisance.log_jacobian, 0.3
    )
    point = objective(cov.loadings, np.log(cov.uniquenesses))
    slope = dense.differences(
        lambda v: objective(v[:k, None], v[k:]).nll,
        np.r_[cov.loadings[:, 0], np.log(cov.uniquenesses)],
    )
    np.testing.assert_allclose(point.gradient, slope, atol=1e-8)
    A = np.linalg.inv(np.eye(k) - 0.3 * lag * W.W.toarray())
    B = np.linalg.inv(np.eye(k) - 0.4 * W.W.toarray())
    Omega = A @ B @ cov.to_dense() @ B.T @ A.T
    total = 0.0
    for e, o in zip(E @ A.T, mask, strict=True):
        S = Omega[np.ix_(o, o)]
        total += np.linalg.slogdet(S)[1] + e[o] @ np.linalg.solve(S, e[o])
    jacobian = np.linalg.slogdet(A)[1]
    constant = mask.sum() * np.log(2 * np.pi)
    expected = 0.5 * (total + constant) / n
    assert law.nll(E, law.over(cov)) + jacobian == pytest.approx(expected, rel=1e-12)


def weights_of(k):
    return SpatialWeights(mutual(np.random.default_rng(0), k))


@pytest.mark.slow
def test_scales_of_rows_beside_it():
    X, Y = sample(0.5, 0.0, 7)
    mask, z = holes(), np.linspace(-1.0, 1.0, N)[:, None]
    centre = np.average(z[:, 0], weights=mask.sum(axis=1))
    Y = X.sum(axis=2) + (Y - X.sum(axis=2)) * np.exp(0.6 * z)
    filter = RowScale(z, K, np.zeros(1), mask=mask)
    fit = maximise(system(X, Y, mask, error=True, filter=filter), 1, n_starts=1)
    delta, *rest = theta_of(fit)
    root = np.exp(0.5 * delta * (z[:, 0] - centre))

    def psi(t):
        return in_full(t[1:], X, Y, mask, True, False, np.exp(0.5 * t[0] * (z[:, 0] - centre)))

    theta = np.r_[delta, rest]
    assert in_full(np.array(rest), X, Y, mask, True, False, root) == pytest.approx(
        fit.found.best.nll, rel=1e-12
    )
    np.testing.assert_allclose(dense.differences(psi, theta, 1e-4), 0.0, atol=1e-7)


def test_units_do_not_matter():
    X, Y = sample(0.5, 0.4)
    mask = holes()
    plain = system(X, Y, mask, error=True, lag=True).at(np.array([0.4, 0.3])).problem()
    tiny = system(X, Y * 1e-70, mask, error=True, lag=True).at(np.array([0.4, 0.3])).problem()
    assert units_of(tiny) is not None
    first, second = search(plain, 1).best, search(tiny, 1).best
    shift = mask.sum() / N * np.log(1e-70)
    assert second.nll - shift == pytest.approx(first.nll, abs=1e-7)
    np.testing.assert_allclose(second.gamma * 1e70, first.gamma, rtol=1e-5)


def test_what_it_does_not_know_is_refused():
    X, Y = sample(0.0, 0.4)
    with pytest.raises(OptionError, match="filters of rows"):
        system(X, Y, holes(), lag=True, filter=RowScale(np.arange(N)[:, None] / N, K, np.zeros(1)))


def test_filters_over_gaps_are_refused():
    X, Y = sample(0.5, 0.0)
    mask = holes()
    raw = system(X, Y, mask, error=True, filter=AR.of(N, np.array([0.4]), K, mask=mask))
    with pytest.raises(OptionError, match="and of the rows before"):
        raw.problem()


def test_which_cells_are_part_of_a_mean():
    chain = np.diag(np.ones(3), 1)  # 0 has the neighbour 1, which has 2, ..
    found = reached(SpatialWeights(chain, "lu"), np.eye(4, dtype=bool))
    np.testing.assert_array_equal(found, np.triu(np.ones((4, 4), dtype=bool)))
