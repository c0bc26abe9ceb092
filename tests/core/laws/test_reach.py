"""Missing cells that filters tie together: slopes, and limits where other likelihoods are known."""

import numpy as np
import pytest

from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.point import point_from, point_of
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.reach import Probe, Reach
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.laws.row_weights import RowWeights
from sm_alsgls.core.laws.spatial_lag import SpatialLag
from sm_alsgls.core.laws.spatial_rows import SpatialRows
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.covariance import LowRankDiag, tied_holes
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.tied_holes import MOST, TiedHoles
from sm_alsgls.exceptions import OptionError
from tests.core.laws.test_spatial_weights import mutual, nearest

N, K = 24, 4
TIGHT = ALSOptions(gtol=1e-9)


def filters(kind):
    rng = np.random.default_rng(3)
    if kind == "ar":
        return AR.of(N, np.array([0.5]), K)
    if kind == "each":
        return AR.of(N, np.linspace(-0.3, 0.7, K), K)
    if kind == "irregular":
        times = np.cumsum(rng.integers(1, 4, N))
        return AR.of(N, np.array([0.6]), K, times=times)
    if kind == "chain":
        z = rng.standard_normal((N, K, 2))
        return Chain([AR.of(N, np.array([0.5]), K), RowScale(z, K, np.array([0.2, -0.1]))])
    weights = RowWeights(SpatialWeights(mutual(rng, N)), K)
    if kind == "rows":
        return SpatialRows(weights, 0.4)
    z = rng.standard_normal((N, 1))
    return Chain([SpatialRows(weights, 0.4), RowScale(z, K, np.array([0.2]))])


def lags(kind):
    rng = np.random.default_rng(4)
    if kind == "none":
        return None
    if kind == "equations":
        return SpatialLag(SpatialWeights(nearest(rng, K)), 0.3)
    return SpatialLag(RowWeights(SpatialWeights(nearest(rng, N)), K), 0.3)


def sample(share=0.2):
    rng = np.random.default_rng(5)
    X = [np.column_stack([np.ones(N), rng.standard_normal(N)]) for _ in range(K)]
    return X, rng.standard_normal((N, K)), rng.random((N, K)) >= share


def system(filter, lag, share=0.2):
    X, Y, mask = sample(share)
    return RawSystem(
        Y, X, filter, TIGHT, law=low_rank, mask=mask, lag=lag, probe=Probe(filter, (N, K))
    )


KINDS = ["ar", "each", "irregular", "chain", "rows", "rows and scale"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lag", ["none", "equations", "rows"])
def test_columns_and_their_slopes_are_those_of_unit_cells(kind, lag):
    filter, lag = filters(kind), lags(lag)
    _, _, mask = sample()
    reach = Reach(Probe(filter, (N, K)), filter, lag, Patterns(mask))
    cells = np.argwhere(~mask)
    expected = []
    for n, j in cells:
        unit = np.zeros((N, K))
        unit[n, j] = 1.0
        expected.append(filter.rows(unit if lag is None else lag.responses(unit)).ravel())
    found = reach.holes.T.toarray()
    np.testing.assert_allclose(found, np.array(expected).T, atol=1e-14)
    # Reached at other values too, at rho = 0 for one.
    at_zero = Reach(reach.probe, filter.at(0.0 * filter.values), lag, Patterns(mask))
    assert at_zero.holes.columns.shape == reach.holes.columns.shape


LAGS = ["none", "equations", "rows"]
# At zero each kind and each lag once more, not all pairs of them.
AT = [(kind, lag, 1.0) for kind in KINDS for lag in LAGS]
AT += [(kind, LAGS[i % 3], 0.0) for i, kind in enumerate(KINDS)]


@pytest.mark.parametrize(("kind", "lag", "scale"), AT)
def test_gradient_is_that_of_differences_at_the_inner_optimum(kind, lag, scale):
    base = system(filters(kind), lags(lag))
    values = scale * base.values(base.problem().errors)

    floor, there = np.full(K, 1e-6), base.at(values)
    problem = there.problem().with_floor(floor)
    point = point_of(there, problem, als(problem, 1))
    assert point.solution.converged

    def psi(v):
        return point_from(problem, point.solution, base.at(v), 1, floor)

    h = 1e-4 * np.eye(len(values))
    slope = [(psi(values + one).nll - psi(values - one).nll) / 2e-4 for one in h]
    np.testing.assert_allclose(point.gradient, slope, atol=1e-6)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("rank", [0, 1])
def test_without_neighbours_it_is_the_likelihood_over_gaps(rank):
    """Of units that are there from the first row on, as those before it are none's gaps."""
    X, Y, mask = sample(0.25)
    mask[0] = True
    gaps = RawSystem(Y, X, AR.of(N, np.array([0.5]), K, mask=mask), TIGHT, mask=mask)
    filter = AR.of(N, np.array([0.5]), K)
    tied = RawSystem(Y, X, filter, TIGHT, mask=mask, probe=Probe(filter, (N, K)))
    floor = np.full(K, 1e-6)
    first, second = (
        point_of(one, p, als(p, rank))
        for one in (gaps, tied)
        for p in [one.problem().with_floor(floor)]
    )
    assert second.nll == pytest.approx(first.nll, rel=1e-9)
    np.testing.assert_allclose(second.gradient, first.gradient, atol=1e-6)


@pytest.fixture(params=[0, tied_holes.SMALL], ids=["sparse", "with zeros"])
def kept(request, monkeypatch):
    """How columns of missing cells are kept."""
    monkeypatch.setattr(tied_holes, "SMALL", request.param)


def test_columns_with_their_zeros_are_the_sparse_ones(monkeypatch):
    rng = np.random.default_rng(6)
    mask = rng.random((N, K)) >= 0.2
    cov = LowRankDiag.from_factors(rng.standard_normal((K, 1)), rng.uniform(0.5, 2.0, K))
    E, X = rng.standard_normal((N, K)), rng.standard_normal((N, 2 * K))
    filter, owner = filters("rows and scale"), np.repeat(np.arange(K), 2)
    found = []
    for small in (0, tied_holes.SMALL):
        monkeypatch.setattr(tied_holes, "SMALL", small)
        holes = Reach(Probe(filter, (N, K)), filter, lags("rows"), Patterns(mask)).holes
        assert (holes.whole is None) == (small == 0)
        seen = holes.seen(cov)
        extra = np.vstack(list(seen.extra()))
        found.append(
            [seen.cells(E), seen.filled(E), seen.logdet(), extra.T @ extra, seen.covariance,
             seen.products(X, owner), seen.pulled().toarray()]
        )  # fmt: skip
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("kept")
def test_more_equations_than_rows():
    rng = np.random.default_rng(8)
    n, k = 6, 15
    filter, mask = AR.of(n, np.array([0.5]), k), rng.random((n, k)) >= 0.2
    reach = Reach(Probe(filter, (n, k)), filter, None, Patterns(mask))
    cov = LowRankDiag.from_factors(rng.standard_normal((k, 1)), rng.uniform(0.5, 2.0, k))
    E = rng.standard_normal((n, k))
    seen = reach.holes.seen(cov)
    T = np.array([filter.rows(u.reshape(n, k)).ravel() for u in np.eye(n * k)]).T
    o = mask.ravel()
    back = np.linalg.inv(T)
    Omega = (back @ np.kron(np.eye(n), cov.to_dense()) @ back.T)[np.ix_(o, o)]
    e = (back @ E.ravel())[o]
    total = np.linalg.slogdet(Omega)[1] + e @ np.linalg.solve(Omega, e)
    total += o.sum() * np.log(2.0 * np.pi)
    jacobian = np.linalg.slogdet(T)[1] / n
    assert seen.nll(E) - jacobian == pytest.approx(0.5 * total / n, rel=1e-12)
    products = sum(rows.T @ rows for rows in seen.extra())
    whole = reach.holes.T.toarray() @ seen.covariance @ reach.holes.T.toarray().T
    expected = whole.reshape(n, k, n, k).trace(axis1=0, axis2=2)
    np.testing.assert_allclose(products, expected, atol=1e-10)
    M = np.linalg.inv(np.kron(np.eye(n), cov.to_dense()))
    held = M @ reach.holes.T.toarray()
    M = M - held @ seen.covariance @ held.T
    np.testing.assert_allclose(
        seen.precision_diag(), np.diag(M).reshape(n, k).mean(axis=0), rtol=1e-9
    )


def test_too_many_cells_are_refused():
    import scipy.sparse

    mask = np.zeros((2, MOST), dtype=bool)
    mask[0] = True
    mask[0, 0] = False
    T = scipy.sparse.eye_array(2 * MOST, MOST + 1, format="csr")
    with pytest.raises(OptionError, match=rf"{MOST + 1} cells are missing"):
        TiedHoles(Patterns(mask), T, scipy.sparse.csr_array((2, MOST + 1)))


def test_filters_that_tie_rows_need_their_probe():
    X, Y, mask = sample()
    with pytest.raises(OptionError, match="and their probe"):
        RawSystem(Y, X, filters("ar"), TIGHT, mask=mask, lag=lags("equations"))


@pytest.mark.usefixtures("kept")
def test_covariance_of_coefficients_is_that_of_the_observed_cells():
    raw = system(filters("ar"), lags("equations"))
    problem = raw.problem()
    cov = LowRankDiag.from_factors(np.full((K, 1), 0.7), np.linspace(0.5, 2.0, K))
    T = np.array([raw.filter.rows(u.reshape(N, K)).ravel() for u in np.eye(N * K)]).T
    A = np.array([raw.lag.responses(u.reshape(N, K)).ravel() for u in np.eye(N * K)]).T
    half, o = np.linalg.inv(T @ A), raw.mask.ravel()
    Omega = (half @ np.kron(np.eye(N), cov.to_dense()) @ half.T)[np.ix_(o, o)]
    X = np.zeros((N * K, 2 * K))
    for j, block in enumerate(raw.raw):
        X[j::K, 2 * j : 2 * j + 2] = block
    X = np.linalg.solve(A, X)[o]
    expected = np.linalg.inv(X.T @ np.linalg.solve(Omega, X))
    np.testing.assert_allclose(problem.covariance(cov).dense(), expected, rtol=1e-8, atol=1e-12)
