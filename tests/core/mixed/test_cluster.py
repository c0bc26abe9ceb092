"""CR0 to CR3 from products against clubSandwich and whole matrices."""

import functools

import numpy as np
import pytest

from sm_alsgls.core.mixed.cluster import KINDS, ClusterCovariance
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.residual_laws import Common
from sm_alsgls.core.mixed.structures import Diagonal, LowRank, Unstructured
from sm_alsgls.exceptions import InsufficientRowsError
from tests.core.mixed import dense, dense_mixed
from tests.core.mixed.references import rows, values

CLUSTER = {
    name: fit for name, fit in values("cluster").items() if "phi" not in fit and "ratios" not in fit
}


@functools.cache
def of_reference(name):
    """The fit of all kinds."""
    data = rows(CLUSTER[name])
    products = CrossProducts.of_rows(data.Z, data.X, data.y, data.codes, len(data.groups))
    reml = name.endswith("REML")
    return mixed_fit(products, Unstructured(data.Z.shape[1]), Common(), reml=reml)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CLUSTER)
def test_clubsandwich(name, kind):
    fit, expected = CLUSTER[name], CLUSTER[name][kind]
    V = ClusterCovariance(of_reference(name), kind)
    np.testing.assert_allclose(V.dense(), expected["vcov"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(V.coefficient_df(), expected["df"], rtol=1e-5)
    if kind == "CR2":
        test, R = expected["joint"], np.eye(len(fit["fixef"]))[1:]
        F, q, left, *_ = V.joint(R, R @ np.array(fit["fixef"]))
        np.testing.assert_allclose([F, q, left], [test["F"], test["ndf"], test["ddf"]], rtol=1e-5)


@functools.cache
def of_law(law, weights):
    """Data and the fit of all kinds."""
    # Of seed 5 the random effects fit every row of a level.
    seed = 4 if law == "levels ar" else 5
    d = dense.data(seed=seed, m=14, q=3, p=3, law=law, weights=weights, sizes=(1, 9))
    return d, mixed_fit(d.products(), LowRank(3, 1), d.law, n_starts=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("law", ["common", "levels", "ar", "levels ar"])
@pytest.mark.parametrize("weights", [False, True])
def test_whole_matrices(kind, law, weights):
    """Of any law; CR2's root is that of rows the law made independent."""
    d, fit = of_law(law, weights)
    order = np.concatenate(dense.groups(d))
    d = d.rows(order)
    root = np.zeros((len(order), len(order)))
    for at in dense.groups(d):
        R = dense.residual_covariance(d, fit.theta, at)
        root[np.ix_(at, at)] = np.linalg.inv(np.linalg.cholesky(R))
    X, y, Z = root @ d.X, root @ d.y, root @ d.Z
    V = dense_mixed.marginal(Z, d.codes, fit.G, fit.s2 * np.eye(len(y)))
    found = ClusterCovariance(fit, kind)
    expected = dense_mixed.cluster_covariance(X, y, V, d.codes, kind)
    np.testing.assert_allclose(found.dense(), expected, rtol=1e-6, atol=1e-8)
    for row in (*np.eye(3), np.array([1.0, -2.0, 0.5])):
        df = dense_mixed.cluster_df(X, V, d.codes, kind, row)
        np.testing.assert_allclose(found.df(row[None]), df, rtol=1e-6)
    if kind == "CR1":
        return  # the twin scales its influences, which changes no F
    R = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, -1.0]])
    F, left, _ = dense_mixed.cluster_joint(X, y, V, d.codes, kind, R)
    made = found.joint(R, R @ fit.b)
    np.testing.assert_allclose(made[:3], [F, 2.0, left], rtol=1e-6)


def test_more_hypotheses_than_groups_tell_of():
    d = dense.data(seed=5, m=5, q=2, p=5, sizes=(6, 12))
    V = ClusterCovariance(mixed_fit(d.products(), Unstructured(2), d.law, n_starts=1))
    with pytest.raises(InsufficientRowsError, match="test fewer"):
        V.joint(np.eye(5), np.ones(5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_as_many_hypotheses_as_groups_are_refused_whatever_rounding_leaves(kind, seed):
    """Of groups of the same rows degrees of freedom less q - 1 are zero, computed 1e-15 or so."""
    m, rng = 3, np.random.default_rng(seed)
    X, one = np.tile(rng.standard_normal((10, 4)), (m, 1)), np.ones((10 * m, 1))
    y, codes = rng.standard_normal(10 * m), np.repeat(np.arange(m), 10)
    fit = mixed_fit(CrossProducts.of_rows(one, X, y, codes, m), Diagonal(1), Common(), n_starts=1)
    V = ClusterCovariance(fit, kind)
    for q in (3, 4):
        with pytest.raises(InsufficientRowsError, match="test fewer"):
            V.joint(np.eye(4)[:q], np.ones(q))
    assert np.isfinite(V.joint(np.eye(4)[:1], np.ones(1))[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_groups_that_tell_of_hypotheses_may_be_fewer_than_there_are(kind, seed):
    """Two of ten: F was as rounding has it, -490 once, with 1e-15 degrees of freedom."""
    rng, codes = np.random.default_rng(seed), np.repeat(np.arange(10), 8)
    one = np.ones((80, 1))
    x = rng.standard_normal((8, 3))
    x = np.tile(np.linalg.qr(x - x.mean(axis=0))[0], (10, 1))
    X = np.column_stack([one, x[:, 0], x[:, 1:] * (codes < 2)[:, None]])
    y = rng.standard_normal(10)[codes] + rng.standard_normal(80)
    fit = mixed_fit(CrossProducts.of_rows(one, X, y, codes, 10), Diagonal(1), Common(), n_starts=1)
    V, R = ClusterCovariance(fit, kind), np.eye(4)
    with pytest.raises(InsufficientRowsError, match="2 hypotheses cannot be tested together"):
        V.joint(R[2:], R[2:] @ fit.b)
    assert V.joint(R[:2], R[:2] @ fit.b)[0] > 0.0
