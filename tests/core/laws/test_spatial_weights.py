"""W: log|I - lam W| three ways, its slope, the admissible interval, and W itself."""

import numpy as np
import pytest
import scipy.sparse

from sm_alsgls.core.laws.log_determinants import Chebyshev, Eigenvalues, SparseLU
from sm_alsgls.core.laws.spatial_weights import SpatialWeights, row_standardised, symmetrised
from sm_alsgls.exceptions import NonFiniteError, OptionError, ShapeError


def lattice(rows, columns=None):
    """Neighbours above, below, left and right, 0 or 1."""
    sides = [
        scipy.sparse.diags_array([np.ones(m - 1)] * 2, offsets=[-1, 1], shape=(m, m))
        for m in (rows, columns or rows)
    ]
    eye = [scipy.sparse.eye_array(one.shape[0]) for one in sides]
    return (scipy.sparse.kron(sides[0], eye[1]) + scipy.sparse.kron(eye[0], sides[1])).tocsr()


def mutual(rng, K=12):
    """Neighbours by chance, weights that are mutual, rows that sum to one."""
    A = np.triu(rng.uniform(0.5, 2.0, (K, K)) * (rng.random((K, K)) < 0.4), 1)
    return row_standardised(A + A.T + np.roll(np.eye(K), 1, 0) + np.roll(np.eye(K), 1, 1))


def nearest(rng, K=12, k=3):
    """The k nearest of points in a plane: neighbours that are not mutual."""
    points = rng.standard_normal((K, 2))
    gap = ((points[:, None] - points) ** 2).sum(axis=2) + 1e9 * np.eye(K)
    W = np.zeros((K, K))
    np.put_along_axis(W, np.argsort(gap, axis=1)[:, :k], 1.0, axis=1)
    return row_standardised(W)


def with_isolates(rng):
    W = mutual(rng, 12).toarray()
    W[[2, 7]] = W[:, [2, 7]] = 0.0
    return scipy.sparse.csr_array(W)


KINDS = {"mutual": mutual, "nearest": nearest, "isolates": with_isolates}


@pytest.fixture(params=KINDS)
def W(request):
    return KINDS[request.param](np.random.default_rng(3))


def dense(W, lam):
    """By the definition: LU of the dense matrix, and the trace of an inverse."""
    W = W.toarray()
    B = np.eye(len(W)) - lam * W
    return np.linalg.slogdet(B)[1], -np.trace(W @ np.linalg.inv(B))


@pytest.mark.parametrize("method", ["eigen", "lu"])
@pytest.mark.parametrize("lam", [-0.7, -0.1, 0.0, 0.3, 0.95])
def test_value_and_slope_are_the_dense_ones(W, method, lam):
    found = SpatialWeights(W, method).log_det(lam)
    value, slope = dense(W, lam)
    assert found.value == pytest.approx(value, rel=1e-11, abs=1e-13)
    assert found.slope == pytest.approx(slope, rel=1e-11, abs=1e-13)


def test_chebyshev_is_near_and_exact_in_what_two_traces_say():
    W = row_standardised(lattice(20))
    exact, near = SpatialWeights(W), SpatialWeights(W, "chebyshev", rng=np.random.default_rng(1))
    for lam in (-0.8, 0.2, 0.5, 0.9):
        one, other = exact.log_det(lam), near.log_det(lam)
        assert other.value == pytest.approx(one.value, rel=0.02)
        assert other.slope == pytest.approx(one.slope, rel=0.02)
        # The slope is that of the value, whatever the traces are.
        h = 1e-6
        difference = (near.log_det(lam + h).value - near.log_det(lam - h).value) / (2 * h)
        assert other.slope == pytest.approx(difference, rel=1e-8)
    # tr W = 0 and tr W^2: the value to order 2 in lam.
    h = 1e-3
    for lam in (h, -h):
        assert near.log_det(lam).value == pytest.approx(exact.log_det(lam).value, rel=1e-5)


def test_chebyshev_with_all_signs_is_exact():
    """Over an orthogonal set of sign vectors the means are the traces."""

    class Hadamard:
        def choice(self, values, size):
            H = np.array([[1.0]])
            while len(H) < size[0]:
                H = np.block([[H, H], [H, -H]])
            return H

    W = row_standardised(lattice(8))
    found = Chebyshev(symmetrised(W), 1.0, 150, 64, Hadamard())
    for lam in (-0.7, 0.4, 0.9):
        value, slope = dense(W, lam)
        assert found.at(lam).value == pytest.approx(value, rel=1e-10)
        assert found.at(lam).slope == pytest.approx(slope, rel=1e-10)


def test_the_interval_ends_where_it_is_singular(W):
    weights = SpatialWeights(W, "eigen")
    low, high = weights.interval
    assert low < 0.0 < high
    real = np.linalg.eigvals(W.toarray())
    real = real[np.abs(real.imag) < 1e-9].real
    assert low == pytest.approx(1.0 / real.min(), rel=1e-8)
    assert high == pytest.approx(1.0 / real.max(), rel=1e-8)
    for inside in np.linspace(0.999 * low, 0.999 * high, 41):
        assert np.linalg.slogdet(np.eye(12) - inside * W.toarray())[0] == 1.0


def test_the_interval_of_many_units_is_the_same():
    for W in (row_standardised(lattice(15, 14)), lattice(12), mutual(np.random.default_rng(0), 60)):
        few, many = SpatialWeights(W, "eigen"), SpatialWeights(W, "lu")
        np.testing.assert_allclose(many.interval, few.interval, rtol=1e-8)


def test_neighbours_not_mutual_and_too_many_for_eigenvalues_keep_to_the_radius():
    W = nearest(np.random.default_rng(0), 40)
    low, high = SpatialWeights(W, "lu").interval
    assert (low, high) == pytest.approx((-1.0, 1.0))
    exact = SpatialWeights(W, "eigen").interval
    assert exact[0] <= low + 1e-12
    assert exact[1] >= high - 1e-12


def test_nobody_has_a_negative_eigenvalue_that_is_real():
    """A circle of three: eigenvalues are the cube roots of one."""
    W = np.roll(np.eye(3), 1, axis=1)
    assert SpatialWeights(W).interval == pytest.approx((-1.0, 1.0))


def test_a_line_without_return_is_refused():
    with pytest.raises(OptionError, match="no circle"):
        _ = SpatialWeights(np.diag(np.ones(3), 1)).interval


@pytest.mark.parametrize("K", [6, 600])
def test_how_the_log_determinant_is_computed(K):
    ring = scipy.sparse.csr_array(np.roll(np.eye(K), 1, 0) + np.roll(np.eye(K), 1, 1))
    assert SpatialWeights(ring).method == ("eigen" if K == 6 else "lu")
    full = SpatialWeights(np.ones((K, K)) - np.eye(K))
    assert full.method == "eigen"
    B = np.eye(K) - 0.5 / K * full.W.toarray()
    assert full.log_det(0.5 / K).value == pytest.approx(np.linalg.slogdet(B)[1], rel=1e-8)


def test_symmetrised_has_the_eigenvalues(W):
    S = symmetrised(W)
    if S is None:
        back = W.toarray()
        assert ((back != 0.0) != (back.T != 0.0)).any()
        return
    S = S.toarray()
    np.testing.assert_allclose(S, S.T, atol=1e-14)
    values = np.sort(np.linalg.eigvals(W.toarray()).real)
    np.testing.assert_allclose(np.linalg.eigvalsh(S), values, atol=1e-10)


@pytest.mark.parametrize("at", [(0, 1), (2, 1)])
def test_a_weight_changed_on_a_circle_is_no_longer_mutual(at):
    """On a tree any weights of one sign are; on a circle the products both ways must agree."""
    line = np.diag(np.ones(3), 1) + np.diag(np.ones(3), -1)
    circle = line.copy()
    circle[0, 3] = circle[3, 0] = 1.0
    line[at] = circle[at] = 2.0
    assert symmetrised(scipy.sparse.csr_array(line)) is not None
    assert symmetrised(scipy.sparse.csr_array(circle)) is None
    line[at] = -1.0
    assert symmetrised(scipy.sparse.csr_array(line)) is None


def test_products(W):
    weights, M = SpatialWeights(W), np.random.default_rng(0).standard_normal((5, 12))
    np.testing.assert_allclose(weights.lagged(M), M @ W.toarray().T, atol=1e-14)
    B = np.eye(12) - 0.4 * W.toarray()
    np.testing.assert_allclose(weights.filtered(M, 0.4), M @ B.T, atol=1e-14)
    np.testing.assert_allclose(weights.filter(0.4).toarray(), B, atol=1e-14)


def test_rescaled_is_similar(W):
    c = np.random.default_rng(0).uniform(0.1, 10.0, 12)
    weights = SpatialWeights(W)
    again = weights.rescaled(c)
    np.testing.assert_allclose(again.W.toarray(), W.toarray() * c / c[:, None], atol=1e-14)
    assert again.log_det(0.6) == weights.log_det(0.6)
    assert again.interval == weights.interval
    value, slope = dense(again.W, 0.6)
    assert again.log_det(0.6) == pytest.approx((value, slope), rel=1e-9)


def test_isolates(W):
    isolates = SpatialWeights(W).isolates
    expected = np.flatnonzero(W.toarray().sum(axis=1) == 0.0)
    np.testing.assert_array_equal(isolates, expected)


def test_what_was_handed_in_is_copied():
    W = row_standardised(lattice(3))
    weights = SpatialWeights(W)
    W.data[:] = 7.0
    assert weights.W.data.max() <= 1.0


def test_row_standardised():
    W = row_standardised(np.array([[0.0, 3.0, 1.0], [0.0, 0.0, 0.0], [-2.0, 1.0, 0.0]]))
    np.testing.assert_allclose(W.toarray(), [[0, 0.75, 0.25], [0, 0, 0], [2.0, -1.0, 0.0]])
    with pytest.raises(OptionError, match="row 1 sum to zero"):
        row_standardised(np.array([[0.0, 1.0], [0.0, 0.0]]) - np.array([[0, 0], [1, -1]]))


@pytest.mark.parametrize(
    ("W", "error", "said"),
    [
        (np.ones((2, 3)), ShapeError, r"K x K, got the shape \(2, 3\)"),
        (np.array([[0.0, np.nan], [1.0, 0.0]]), NonFiniteError, "finite"),
        (np.zeros((3, 3)), OptionError, "nobody has a neighbour"),
        (np.ones((2, 2)), OptionError, "its own neighbour: the diagonal has 0"),
    ],
)
def test_what_is_no_weights(W, error, said):
    with pytest.raises(error, match=said):
        SpatialWeights(W)


def test_methods_that_are_not_to_be_had():
    W = nearest(np.random.default_rng(0))
    with pytest.raises(OptionError, match="mutual"):
        SpatialWeights(W, "chebyshev")
    with pytest.raises(OptionError, match="one of eigen, lu, chebyshev, got 'dense'"):
        SpatialWeights(W, "dense")


def test_a_singular_filter_is_refused():
    W = scipy.sparse.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    with pytest.raises(OptionError, match="singular"):
        SparseLU(W).at(1.0)
    assert Eigenvalues(np.array([1.0, -1.0])).at(0.5).value == pytest.approx(np.log(0.75))
