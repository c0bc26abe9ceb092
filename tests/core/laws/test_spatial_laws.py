"""Spatial errors and lags around the loop, against the likelihood of all cells in full."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled import Pooling
from sm_alsgls.core.errors.complete import CompleteErrors
from sm_alsgls.core.errors.equal_variances import EqualVariances, equal_variances
from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.errors.observed import ObservedErrors
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.laws.row_weights import RowWeights
from sm_alsgls.core.laws.spatial_error import SpatialError
from sm_alsgls.core.laws.spatial_lag import SpatialLag
from sm_alsgls.core.laws.spatial_rows import SpatialRows
from sm_alsgls.core.laws.spatial_weights import SpatialWeights, row_standardised
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.profile import profile
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.unrestricted import Unrestricted
from sm_alsgls.exceptions import OptionError, ShapeError
from tests.core.laws import dense
from tests.core.laws.test_spatial_weights import mutual, nearest

N, K, p = 60, 6, 2
TIGHT = ALSOptions(gtol=1e-9)


@cache
def weights(kind=mutual, seed=0):
    return SpatialWeights(kind(np.random.default_rng(seed), K))


@cache
def neighbours(kind):
    """W (K, K) in full, as dense twins ask for it thousands of times."""
    W = weights(kind).W.toarray()
    W.setflags(write=False)
    return W


def sample(lam, rho, seed=0, rank=1):
    """X (N, K, p), Y (N, K): y = rho W y + X 1 + e, e = lam M e + u; W is not symmetric."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, K, p))
    X[:, :, 0] = 1.0
    F = rng.standard_normal((K, rank))
    U = rng.standard_normal((N, rank)) @ F.T + rng.standard_normal((N, K)) * np.sqrt(
        rng.uniform(0.5, 1.5, K)
    )
    E = U @ np.linalg.inv(np.eye(K) - lam * weights().W.toarray()).T
    A = np.eye(K) - rho * weights(nearest).W.toarray()
    return X, (X.sum(axis=2) + E) @ np.linalg.inv(A).T


def blocks(X):
    return [np.ascontiguousarray(X[:, j]) for j in range(X.shape[1])]


POOLED = Pooling(Places([np.arange(p)] * K))


def system(X, Y, *, error=False, lag=False, binding=POOLED, filter=None):
    def law(rows):
        left = low_rank(rows)
        return SpatialError(left, weights(), 0.0) if error else left

    of_lag = SpatialLag(weights(nearest)) if lag else None
    filter = Chain([]) if filter is None else filter
    return RawSystem(Y, blocks(X), filter, TIGHT, law=law, binding=binding, lag=of_lag)


def in_full(theta, X, Y, error, lag):
    """NLL per row by a dense Sigma: theta = (lam, rho, b, F, log d), r = 1."""
    lam, theta = (theta[0], theta[1:]) if error else (0.0, theta)
    rho, theta = (theta[0], theta[1:]) if lag else (0.0, theta)
    b, F, x = np.split(theta, [p, p + K])
    A = np.eye(K) - rho * neighbours(nearest)
    B = np.eye(K) - lam * neighbours(mutual)
    U = (Y @ A.T - X @ b) @ B.T
    S = np.outer(F, F) + np.diag(np.exp(x))
    value = np.linalg.slogdet(S)[1] + np.trace(np.linalg.solve(S, U.T @ U)) / N
    jacobian = np.linalg.slogdet(A)[1] + np.linalg.slogdet(B)[1]
    return 0.5 * (K * np.log(2 * np.pi) + value) - jacobian


def theta_of(fit):
    cov = fit.found.best.cov
    low = getattr(cov, "inner", cov)
    b = fit.problem.design.to_params(fit.found.best.gamma)
    return np.r_[fit.found.best.nuisance.values, b, low.loadings[:, 0], np.log(low.uniquenesses)]


@pytest.fixture(
    scope="module",
    params=[(True, False), (False, True), (True, True)],
    ids=["error", "lag", "both"],
)
def case(request):
    error, lag = request.param
    X, Y = sample(0.5 * error, 0.4 * lag)
    return X, Y, error, lag, maximise(system(X, Y, error=error, lag=lag), 1)


def test_is_the_maximum_over_everything(case):
    X, Y, error, lag, fit = case
    theta = theta_of(fit)
    assert fit.found.best.converged
    assert in_full(theta, X, Y, error, lag) == pytest.approx(fit.found.best.nll, rel=1e-12)
    slope = dense.differences(lambda t: in_full(t, X, Y, error, lag), theta, 1e-4)
    np.testing.assert_allclose(slope, 0.0, atol=1e-7)
    names = (("spatial_error",) if error else ()) + (("spatial_lag",) if lag else ())
    assert fit.found.best.nuisance.names == names


def test_covariances_are_those_of_the_whole_information(case):
    X, Y, error, lag, fit = case
    theta, m = theta_of(fit), error + lag

    def slope(t):
        return dense.differences(lambda v: in_full(v, X, Y, error, lag), t, 1e-4)

    H = np.array([(slope(theta + h) - slope(theta - h)) / 2e-4 for h in 1e-4 * np.eye(len(theta))])
    expected = np.linalg.inv(N * H)
    found = fit.found.best.nuisance.cov
    np.testing.assert_allclose(found, expected[:m, :m], rtol=5e-3)  # differences of 1/20 se
    both = fit.slopes @ found
    np.testing.assert_allclose(both, expected[m : m + p, :m], rtol=5e-3, atol=1e-7)
    # Of b beside known values all but the values is inverted.
    given = np.linalg.inv(N * H[m:, m:])[:p, :p]
    np.testing.assert_allclose(
        given + both @ fit.slopes.T, expected[m : m + p, m : m + p], rtol=1e-2
    )
    H_inverse = fit.problem.covariance(fit.found.best.cov).dense()
    # Expected information for the observed, as Sigma is estimated.
    np.testing.assert_allclose(np.diag(H_inverse), np.diag(given), rtol=0.1)


@pytest.mark.parametrize("binding", [POOLED, None], ids=["pooled", "free"])
@pytest.mark.parametrize("law", ["factors", "one variance"])
@pytest.mark.parametrize("lam", [-0.4, 0.0, 0.3, 0.8])
def test_gradient_of_the_errors_is_that_of_differences(binding, law, lam):
    X, Y = sample(0.5, 0.0, 1)
    left = CompleteErrors(K, N) if law == "factors" else EqualVariances(K, N)
    base = Problem.from_rows(
        system(X, Y).unfiltered().rows, TIGHT, law=lambda rows: left, binding=binding
    )
    rank = 1 if law == "factors" else 0

    def psi(v):
        return als(base.with_errors(SpatialError(left, weights(), v)), rank)

    fit, h = psi(lam), 1e-4
    expected = (
        8 * (psi(lam + h).nll - psi(lam - h).nll) - (psi(lam + 2 * h).nll - psi(lam - 2 * h).nll)
    ) / (12 * h)
    found = SpatialError(left, weights(), lam).gradient(fit.E, fit.cov)
    assert found == pytest.approx(np.array([expected]), abs=1e-6)


@pytest.mark.parametrize("rho", [-0.3, 0.0, 0.6])
def test_gradient_of_the_lag_under_a_filter_and_spatial_errors(rho):
    X, Y = sample(0.5, 0.4, 2)
    z = np.random.default_rng(0).standard_normal((N, 1))
    chain = Chain([AR.of(N, np.array([0.3]), K), RowScale(z, K, np.array([0.2]))])
    made = system(X, Y, error=True, lag=True, filter=chain)

    def at(v):
        return made.at(np.array([0.3, 0.2, 0.5, v]))

    def psi(v):
        return als(at(v).problem(), 1).nll - at(v).beside

    here = at(rho)
    fit = als(here.problem(), 1)
    E = here.residuals(here.problem().design, fit.gamma)
    W = fit.cov.solve(here.filter.rows(E))
    lagged = here.filter.rows(here.lag.weights.lagged(Y))
    h = 1e-4
    expected = (8 * (psi(rho + h) - psi(rho - h)) - (psi(rho + 2 * h) - psi(rho - 2 * h))) / (
        12 * h
    )
    assert here.lag.gradient(W, lagged) == pytest.approx(expected, abs=1e-6)


def test_all_laws_at_once_are_stationary():
    X, Y = sample(0.5, 0.4, 2)
    z = np.random.default_rng(0).standard_normal((N, 1))
    chain = Chain([AR.of(N, np.array([0.0]), K), RowScale(z, K, np.array([0.0]))])
    fit = maximise(system(X, Y, error=True, lag=True, filter=chain), 1)
    best = fit.found.best
    assert best.converged
    assert best.nuisance.names == ("rho", "delta[0]", "spatial_error", "spatial_lag")
    values = best.nuisance.values
    # The sample's, and nothing: three standard errors.
    truth = np.array([0.0, 0.0, 0.5, 0.4])
    assert (np.abs(values - truth) < 3 * np.sqrt(np.diag(best.nuisance.cov))).all()

    def psi(v):
        at = fit.system.at(v)
        return als(at.problem(), 1).nll - at.beside

    for step in 1e-2 * np.eye(4):
        assert psi(values + step) > best.nll
        assert psi(values - step) > best.nll


def test_the_loop_without_gradients_finds_the_same():
    X, Y = sample(0.5, 0.0)
    fit = maximise(system(X, Y, error=True), 1)
    base = system(X, Y).unfiltered()
    slow = profile(base, SpatialError(CompleteErrors(K, N), weights(), 0.0), 1).best
    assert slow.nuisance.values[0] == pytest.approx(fit.found.best.nuisance.values[0], abs=1e-5)
    np.testing.assert_allclose(slow.nuisance.cov, fit.found.best.nuisance.cov, rtol=1e-3)


def test_units_of_responses_do_not_matter():
    X, Y = sample(0.5, 0.4)
    one = maximise(system(X, Y, error=True, lag=True), 1).found.best
    other = maximise(system(X, 1e6 * Y, error=True, lag=True), 1).found.best
    np.testing.assert_allclose(other.nuisance.values, one.nuisance.values, atol=1e-7)
    assert other.nll == pytest.approx(one.nll + K * np.log(1e6), rel=1e-10)


def test_law_of_other_units_of_each_equation():
    """rescaled() keeps lam and the likelihood: e_j / c_j reach one another by other weights."""
    X, Y = sample(0.5, 0.0)
    c = np.array([1e3, 1.0, 1e-3, 5.0, 0.1, 2.0])
    law = SpatialError(CompleteErrors(K, N), weights(), 0.5)
    base = system(X, Y, binding=None).unfiltered().with_errors(law)
    one, other = als(base, 1), als(base.rescaled(c), 1)
    assert other.nll == pytest.approx(one.nll - np.log(c).sum(), rel=1e-9)
    moved = base.rescaled(c).errors.gradient(other.E, other.cov)
    np.testing.assert_allclose(moved, law.gradient(one.E, one.cov), atol=1e-7)


def test_sigma_of_intervals_is_that_of_filtered_residuals():
    """As the law of what is left has it, of rows that are filtered in full."""
    X, Y = sample(0.5, 0.0)
    left = CompleteErrors(K, N)
    law = SpatialError(left, weights(), 0.5)
    base = system(X, Y, binding=None).unfiltered().with_errors(law)
    fit = als(base, 1)
    B = np.eye(K) - 0.5 * weights().W.toarray()
    found = base.interval_sigma(fit.E, fit.cov).to_dense()
    own = left.interval_sigma(
        fit.E @ B.T, fit.cov.inner, base.design.p, base.floor, 0.0, lambda: base.E_free @ B.T
    )
    inverse = np.linalg.inv(B)
    np.testing.assert_allclose(found, inverse @ own.to_dense() @ inverse.T, rtol=1e-8)


# -- units as rows --------------------------------------------------------------------------------


@pytest.mark.parametrize("periods", [1, 3])
def test_rows_of_units_are_filtered_and_their_jacobian_counted(periods):
    rng = np.random.default_rng(0)
    W, lam, equations = weights(nearest).W.toarray(), 0.4, 2
    law = SpatialRows(RowWeights(weights(nearest), equations), lam)
    E = rng.standard_normal((K * periods, equations))
    S = np.array([[1.0, 0.3], [0.3, 0.7]])
    B = np.kron(np.eye(periods), np.eye(K) - lam * W)
    np.testing.assert_allclose(law.rows(E), B @ E, atol=1e-14)
    np.testing.assert_allclose(law.back(E), B.T @ E, atol=1e-14)
    inverse = np.linalg.inv(np.kron(B, np.eye(equations)))
    Omega = inverse @ np.kron(np.eye(K * periods), S) @ inverse.T
    cov = Unrestricted.from_dense(S)

    def value(v):
        at = law.at(v)
        return cov.nll(at.rows(E)) - at.log_jacobian

    assert value(law.values) == pytest.approx(dense.nll(E, Omega), rel=1e-12)
    found = law.gradient(E, law.rows(E), cov.solve(law.rows(E)))
    np.testing.assert_allclose(found, dense.differences(value, law.values, 1e-4), atol=1e-9)
    curvature = law.information(E, cov)
    h = 1e-3
    second = (value([lam + h]) - 2 * value([lam]) + value([lam - h])) / h**2
    assert curvature[0, 0] == pytest.approx(second, rel=1e-3)
    np.testing.assert_allclose(law.solve(E, cov, np.array([2.0])), 2.0 / curvature[0])


def test_one_array_stays_one_and_guesses_are_inside():
    law = SpatialRows(RowWeights(weights(), 2), 0.3)
    X = np.random.default_rng(0).standard_normal((K, 2))
    made = law.blocks([X, X, X + 1.0])
    assert made[0] is made[1]
    np.testing.assert_allclose(made[2], law.rows(X + 1.0))
    E = np.linalg.solve(np.eye(K) - 0.9 * weights().W.toarray(), np.ones((K, 1)))
    low, high = law.bounds[0]
    assert low < law.guess(E).values[0] <= 0.9 * high
    assert law.guess(0.0 * E).values[0] == 0.0


def test_a_panel_of_one_variance_is_one_regression_of_stacked_cells():
    """Across K equations, pooled; and as K N rows of one equation, the way for N below p."""
    X, Y = sample(0.5, 0.4, 3)

    def law(rows):
        return SpatialError(equal_variances(rows), weights(), 0.0)

    wide = maximise(
        RawSystem(
            Y, blocks(X), Chain([]), TIGHT, law=law, binding=POOLED,
            lag=SpatialLag(weights(nearest)),
        ),
        0,
    )  # fmt: skip
    tall = maximise(
        RawSystem(
            Y.reshape(-1, 1),
            [X.reshape(-1, p)],
            Chain([SpatialRows(RowWeights(weights(), 1), 0.0)]),
            TIGHT,
            lag=SpatialLag(RowWeights(weights(nearest), 1)),
        ),
        0,
    )
    a, b = wide.found.best, tall.found.best
    np.testing.assert_allclose(b.nuisance.values, a.nuisance.values, atol=1e-7)
    np.testing.assert_allclose(b.nuisance.cov, a.nuisance.cov, rtol=3e-4)  # differences
    assert K * b.nll == pytest.approx(a.nll, rel=1e-11)
    np.testing.assert_allclose(
        tall.problem.design.to_params(b.gamma), wide.problem.design.to_params(a.gamma), rtol=1e-6
    )


# -- what is refused ------------------------------------------------------------------------------


def test_what_is_refused():
    X, Y = sample(0.5, 0.0)
    law = SpatialError(CompleteErrors(K, N), weights(), 0.0)
    with pytest.raises(ShapeError, match="weights are of 6 units, and there are 5 equations"):
        SpatialError(CompleteErrors(5, N), weights(), 0.0)
    mask = np.ones((N, K), bool)
    mask[0, 0] = False
    with pytest.raises(OptionError, match="whole rows"):
        SpatialError(ObservedErrors(Patterns(mask)), weights(), 0.0)
    of_rows = SpatialLag(RowWeights(weights(), N))
    raw = RawSystem(Y, blocks(X), Chain([]), TIGHT, mask=mask, lag=of_rows)
    with pytest.raises(OptionError, match="among rows are not integrated out"):
        raw.problem()
    with pytest.raises(OptionError, match="Kackar"):
        law.corrected(None, None, None, True)
    made = system(X, Y, lag=True)
    outside = made.at(np.array([made.lag.bounds[1] * 1.5]))
    with pytest.raises(OptionError, match="spatial_lag must lie between"):
        maximise(outside, 1)
    with pytest.raises(ShapeError, match="5 rows are not those of 6 units"):
        RowWeights(weights(), 1).lagged(np.ones((5, 1)))


def test_on_weights_that_are_almost_line_like():
    """Two units: W has the eigenvalues 1 and -1."""
    W = row_standardised(np.array([[0.0, 1.0], [1.0, 0.0]]))
    law = SpatialError(CompleteErrors(2, 9), SpatialWeights(W), 0.5)
    np.testing.assert_allclose(law.bounds, [[-1.0, 1.0]], atol=3e-6)
    assert law.nuisance.log_jacobian == pytest.approx(np.log(0.75))


def test_a_climb_begins_where_factors_have_not_taken_the_place_of_neighbours():
    """Of 200 such panels, draws 36 (errors) and 92 (a lag) ended near 0 when begun there."""
    k, n = 6, 80
    ring = SpatialWeights(0.5 * (np.roll(np.eye(k), 1, axis=1) + np.roll(np.eye(k), -1, axis=1)))
    rng = np.random.default_rng([36, 1])
    F = rng.uniform(0.5, 1.5, (1, k)) * (-1.0) ** np.arange(k)
    x = rng.standard_normal((n, k))
    u = rng.standard_normal((n, 1)) @ F + rng.standard_normal((n, k))
    Y = x + ring.inverse(u, 0.5)
    X = [np.column_stack([np.ones(n), x[:, j]]) for j in range(k)]

    def law(rows):
        return SpatialError(low_rank(rows), ring, 0.0)

    pooled = Pooling(Places([np.arange(2)] * k))
    raw = RawSystem(Y, X, Chain([]), ALSOptions(), law, pooled)
    found = maximise(raw, 1).found.best
    near = maximise(replace(raw, own=np.array([0.5])), 1, guess=False).found.best
    assert found.nll == pytest.approx(near.nll, abs=1e-8)
    assert abs(found.nuisance.values[0] - 0.5) < 3.0 * found.nuisance.cov[0, 0] ** 0.5
