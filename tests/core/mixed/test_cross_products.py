"""Products of groups: of rows in any order, in parts, in any basis."""

from dataclasses import replace

import numpy as np
import pytest

from sm_alsgls.core.mixed.autoregression import AR1, MOST_GAPS
from sm_alsgls.core.mixed.autoregressive_levels import LevelsAR1
from sm_alsgls.core.mixed.cross_products import Basis, CrossProducts
from sm_alsgls.core.mixed.residual_laws import Levels
from sm_alsgls.exceptions import OptionError, RankDeficientError, ShapeError
from tests.core.mixed import dense


@pytest.mark.parametrize("law", ["common", "levels", "ar", "levels ar"])
@pytest.mark.parametrize("weights", [False, True])
def test_products_are_those_of_rows_in_the_users_units(law, weights):
    d = dense.data(law=law, weights=weights, m=15)
    products = d.products()
    theta = {"common": [], "levels": [0.3, -0.2], "ar": [0.4], "levels ar": [0.3, -0.2, 0.4]}
    theta = theta[law]
    theta = np.array(theta)
    found = np.einsum("k,mkab->mab", d.law.weights(theta), products.in_user_units())
    logdet = d.law.logdet(theta, products.pairs.sum(axis=0)) - products.log_weights
    expected = 0.0
    for i, at in enumerate(dense.groups(d)):
        rows = np.column_stack([d.Z[at], d.X[at], d.y[at]])
        R = dense.residual_covariance(d, theta, at)
        np.testing.assert_allclose(found[i], rows.T @ np.linalg.solve(R, rows), atol=1e-10)
        expected += np.linalg.slogdet(R)[1]
    assert logdet == pytest.approx(expected, abs=1e-10)
    np.testing.assert_array_equal(products.rows, np.bincount(d.codes, minlength=15))


@pytest.mark.parametrize("law", ["common", "levels", "ar", "levels ar"])
def test_the_order_of_rows_does_not_matter(law):
    d = dense.data(law=law, m=15)
    other = d.rows(np.random.default_rng(1).permutation(len(d.y)))
    np.testing.assert_allclose(
        other.products().in_user_units(), d.products().in_user_units(), rtol=1e-11, atol=1e-11
    )


@pytest.mark.parametrize(
    ("law", "theta"),
    [
        (AR1((1.0, 2.0, 5.0)), [0.4]),
        (AR1((0.5, 1.7)), [0.3]),
        (Levels(("a", "b", "c")), [0.2, -1.0]),
        (dense.data(law="levels ar").law, [0.2, -1.0, 0.4]),
    ],
)
def test_slopes_of_laws_are_differences(law, theta):
    theta, counts = np.array(theta), np.arange(3.0, 3.0 + law.terms)
    at = law.at_pairs(theta)
    for a in range(law.size):
        slope = dense.derivative(law.weights, theta, a)
        np.testing.assert_allclose(law.slopes(theta)[a], slope, rtol=1e-8, atol=1e-9)
        step = dense.derivative(lambda t: np.array(law.logdet(t, counts)), theta, a)
        assert law.logdet_slope(theta, counts)[a] == pytest.approx(float(step), rel=1e-8)
        curve = dense.derivative(law.slopes, theta, a)
        np.testing.assert_allclose(law.curves(theta)[a], curve, rtol=1e-7, atol=1e-8)
        slope = dense.derivative(lambda t: law.at_pairs(t).value, theta, a)
        np.testing.assert_allclose(at.slopes[a], slope, rtol=1e-8, atol=1e-9)
        curve = dense.derivative(lambda t: law.at_pairs(t).slopes, theta, a)
        np.testing.assert_allclose(at.curves[a], curve, rtol=1e-7, atol=1e-8)
        slope = dense.derivative(law.variances, theta, a)
        np.testing.assert_allclose(law.variance_slopes(theta)[a], slope, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("law", ["levels", "ar", "levels ar"])
def test_pairs_of_a_term_have_one_element_of_the_residual_covariance(law):
    d = dense.data(law=law, m=15)
    theta = np.linspace(0.3, 0.5, d.law.size)
    R = dense.residual_covariance(d, theta, np.arange(len(d.y)))
    value, sides = d.law.at_pairs(theta).value, d.law.sides
    for k, (left, right) in enumerate(d.law.pairs(d.codes, d.index)):
        np.testing.assert_allclose(R[left, right], value[k], rtol=1e-12)
        assert sides[k] == (1.0 if left is right else 2.0)


def test_a_law_of_levels_and_times_needs_both():
    d = dense.data(law="levels ar", m=15)
    with pytest.raises(OptionError, match="the time and the level"):
        d.law.pairs(d.codes, None)
    other = d.index.copy()
    other[:, 1] = 0
    one = LevelsAR1.of_rows(d.codes, other[:, 0], other[:, 1], ("a", "b", "c"))
    with pytest.raises(OptionError, match="pair of levels"):
        one.pairs(d.codes, d.index)
    many = np.random.default_rng(0).integers(0, 16, 80)
    codes, times, labels = (
        np.repeat([0, 1], 40),
        np.tile(np.arange(40), 2),
        tuple("abcdefghijklmnop"),
    )
    with pytest.raises(OptionError, match="join levels"):
        LevelsAR1.of_rows(codes, times, many, labels)


def _parts(d, n=3):
    # Whole groups stay together: an autoregression needs the row before.
    return [d.rows(np.flatnonzero(d.codes % n == part)) for part in range(n)]


@pytest.mark.parametrize("law", ["common", "levels", "ar", "levels ar"])
def test_merging_is_associative_whatever_the_bases(law):
    d = dense.data(law=law, m=21, sizes=(4, 9))
    a, b, c = (part.products() for part in _parts(d))
    left, right = a.merged(b).merged(c), a.merged(b.merged(c))
    np.testing.assert_allclose(left.C, right.C, rtol=1e-11, atol=1e-10)
    whole = d.products()
    np.testing.assert_allclose(left.in_user_units(), whole.in_user_units(), rtol=1e-10, atol=1e-10)
    settled = left.settled(d.law)
    total = settled.C[:, d.law.once].sum(axis=(0, 1))
    np.testing.assert_allclose(total[:3, :3] / whole.n, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(total[3:5, 3:] / whole.n, np.eye(2, 3), atol=1e-12)
    np.testing.assert_allclose(settled.basis.b0, whole.basis.b0, rtol=1e-10)
    np.testing.assert_allclose(settled.in_user_units(), whole.in_user_units(), rtol=1e-9, atol=1e-9)


def test_parts_may_bring_new_groups():
    d = dense.data(m=8, sizes=(3, 6))
    first, last = d.rows(np.flatnonzero(d.codes < 5)), d.rows(np.flatnonzero(d.codes >= 3))
    both = np.flatnonzero((d.codes >= 3) & (d.codes < 5))
    one = replace(first, m=5).products()
    two = replace(last, codes=last.codes - 3, m=5).products()
    merged = one.merged(two, np.arange(3, 8))
    twice = d.rows(np.concatenate([np.arange(len(d.y)), both])).products()
    np.testing.assert_allclose(
        merged.in_user_units(), twice.in_user_units(), rtol=1e-10, atol=1e-10
    )
    np.testing.assert_array_equal(merged.rows, twice.rows)


def test_many_rows_have_the_basis_of_all_of_them():
    rng = np.random.default_rng(0)
    n = 3000
    X = np.column_stack([np.ones(n), 1e6 + rng.standard_normal(n), 1e-6 * rng.standard_normal(n)])
    Z, y = X[:, 1:], rng.standard_normal(n)
    found, by_qr = Basis.of_rows(Z, X, y), Basis.by_qr(Z, X, y)
    for one, two in ((found.z, by_qr.z), (found.x, by_qr.x)):
        sign = np.sign(np.diagonal(one)) * np.sign(np.diagonal(two))
        np.testing.assert_allclose(one, sign[:, None] * two, rtol=1e-8)
    rows = found.working(Z, X, y)
    np.testing.assert_allclose(rows[:, 2:5].T @ rows[:, 2:5] / n, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(rows[:, 2:5].T @ rows[:, 5] / n, 0.0, atol=1e-9)


def test_a_rare_column_is_no_dependent_one():
    rng = np.random.default_rng(0)
    n = 3000
    rare = np.zeros(n)
    rare[7] = 1.0
    X, y = np.column_stack([np.ones(n), rare]), rng.standard_normal(n)
    assert Basis.of_rows(X, X, y).p == 2
    with pytest.raises(
        RankDeficientError, match=r"columns \[2\] are linear combinations of columns \[0, 1\]"
    ):
        Basis.of_rows(X, np.column_stack([X, X[:, 1] * 2.0]), y)


def test_a_regressor_that_repeats_is_refused():
    d = dense.data()
    with pytest.raises(
        RankDeficientError, match=r"columns \[2\] are linear combinations of columns \[0, 1\]"
    ):
        replace(d, X=np.column_stack([d.X, d.X[:, 1]])).products()


def test_rows_that_do_not_fit_are_refused():
    d = dense.data()
    with pytest.raises(ShapeError, match="have 3"):
        replace(d, Z=d.Z[:3]).products()
    ar = dense.data(law="ar")
    with pytest.raises(ShapeError, match="another law"):
        d.products().merged(ar.products())


def test_autoregression_wants_times_that_it_can_use():
    codes = np.zeros(40, dtype=int)
    with pytest.raises(OptionError, match="have one time"):
        AR1.of_times(codes, np.zeros(40))
    with pytest.raises(OptionError, match=f"{MOST_GAPS} at most"):
        AR1.of_times(codes, np.cumsum(np.arange(1.0, 41.0)))
    with pytest.raises(OptionError, match="does not know"):
        AR1((1.0,)).pairs(codes, 2.0 * np.arange(40))
    with pytest.raises(OptionError, match="time of each row"):
        AR1((1.0,)).pairs(codes, None)
    assert AR1((0.5,)).bounds[0, 0] == 0.0
    assert AR1((2.0,)).bounds[0, 0] < -0.99


def test_distances_that_rounding_keeps_from_whole_numbers_are_whole():
    """Of 0.3, 1.3, 2.3, ... some are 1 - 1e-16: a negative correlation has a power of 1 alone."""
    codes, times = np.repeat([0, 1], 6), np.tile(0.3 + np.arange(6.0), 2)
    assert len(np.unique(np.diff(times[:6]))) > 1
    law = AR1.of_times(codes, times)
    assert law.gaps == (1.0,)
    assert law.bounds[0, 0] < -0.9
    assert AR1.of_times(codes, 0.5 * times).bounds[0, 0] == 0.0


def test_products_of_groups_drawn_twice():
    d = dense.data(m=6)
    products = d.products()
    taken = products.taken(np.array([1, 1, 4]))
    np.testing.assert_array_equal(taken.C, products.C[[1, 1, 4]])
    assert isinstance(taken, CrossProducts)
    assert taken.n == products.rows[[1, 1, 4]].sum()


def test_merging_adds_weights_pairs_and_rows():
    d = dense.data(seed=6, weights=True, law="ar")
    halves = [np.flatnonzero(d.codes < 6), np.flatnonzero(d.codes >= 6)]
    parts = [d.rows(at).products() for at in halves]
    whole, merged = d.products(), parts[0].merged(parts[1])
    assert merged.log_weights == pytest.approx(whole.log_weights, rel=1e-12)
    np.testing.assert_array_equal(merged.pairs, whole.pairs)
    np.testing.assert_array_equal(merged.rows, whole.rows)


def test_dependent_random_effects_are_scaled_and_not_turned():
    """A triangle of dependent columns has no inverse."""
    d = dense.data(seed=3)
    Z = np.column_stack([d.Z, d.Z[:, 1] - 2.0 * d.Z[:, 2]])
    for rows in (slice(None), slice(0, 3)):
        X = d.X[rows, :1]
        basis = Basis.by_qr(Z[rows], X, d.y[rows])
        n = len(X)
        size = np.linalg.norm(Z[rows], axis=0) / np.sqrt(n)
        np.testing.assert_allclose(basis.z, np.diag(size), rtol=1e-12)
    made = CrossProducts.of_rows(Z, d.X, d.y, d.codes, d.m)
    one = np.column_stack([Z, d.X, d.y])[d.codes == 2]
    np.testing.assert_allclose(made.in_user_units()[2, 0], one.T @ one, rtol=1e-9, atol=1e-8)
