"""Satterthwaite and Kenward-Roger against lmerTest, pbkrtest and whole matrices."""

from dataclasses import replace

import numpy as np
import pytest

from sm_alsgls.core.mixed import information as inf
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.kenward_roger import KenwardRogerCovariance, positive
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.residual_laws import Common
from sm_alsgls.core.mixed.satterthwaite import SatterthwaiteCovariance, identified
from sm_alsgls.core.mixed.structures import Diagonal, LoadingsOnly, LowRank, Unstructured
from sm_alsgls.exceptions import NotApplicableError
from tests.core.mixed import dense, dense_mixed
from tests.core.mixed.references import rows, values

LME4 = {name: fit for name, fit in values("lme4").items() if not fit["weighted"]}


def refitted(fit, reml):
    data = rows(fit)
    products = CrossProducts.of_rows(data.Z, data.X, data.y, data.codes, len(data.groups))
    q = data.Z.shape[1]
    structure = Diagonal(q) if fit["diagonal"] else Unstructured(q)
    return mixed_fit(products, structure, Common(), reml=reml)


@pytest.mark.parametrize("name", LME4)
def test_satterthwaite_is_that_of_lmertest(name):
    fit = LME4[name]
    V = SatterthwaiteCovariance(refitted(fit, name.endswith("REML")))
    np.testing.assert_allclose(V.coefficient_df(), fit["satterthwaite"]["df"], rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in LME4 if name.endswith("REML")])
def test_kenward_roger_is_that_of_pbkrtest(name):
    fit, expected = LME4[name], LME4[name]["kenward_roger"]
    found = refitted(fit, True)
    V = KenwardRogerCovariance(found)
    np.testing.assert_allclose(V.dense(), expected["vcov"], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(V.coefficient_df(), expected["ddf"], rtol=1e-6)
    eye = np.eye(len(found.b))
    for L, test in ((eye[1:], expected["joint"]), (eye, expected["both"])):
        F, m, ddf, *_ = V.joint(L, L @ found.b)
        np.testing.assert_allclose([F, m, ddf], [test["F"], test["ndf"], test["ddf"]], rtol=1e-6)


def of_low_rank(rank=2, q=6, law="common", reml=True, m=30):
    d = dense.data(seed=3, m=m, q=q, law=law, sizes=(6, 12))
    return d, mixed_fit(d.products(), LowRank(q, rank), d.law, reml=reml, n_starts=3)


def moved(whole, x, a):
    """dV/dx_a, from above only: V is linear in a uniqueness, and that may be zero."""
    if x[a] != 0.0:
        return dense.derivative(whole, x, a)
    step = np.eye(len(x))[a]
    return whole(x + step) - whole(x)


def information(X, V, dV, reml):
    if reml:
        return dense_mixed.expected_information(X, V, dV)
    VdV = [np.linalg.solve(V, D) for D in dV]
    return np.array([[0.5 * np.sum(A * B.T) for B in VdV] for A in VdV])


def test_rotations_move_nothing():
    _, fit = of_low_rank()
    phi, some = fit.point.phi, identified(fit)
    assert some.shape == (19 - fit.at_bound.sum(), 18 - fit.at_bound.sum())
    moves = inf.free(fit)[:-1]
    turned = fit.structure.rotations(phi)[moves]
    np.testing.assert_allclose(some[:-1].T @ turned, 0.0, atol=1e-12)


@pytest.mark.parametrize("law", ["common", "levels", "ar"])
@pytest.mark.parametrize("reml", [True, False])
def test_satterthwaite_of_low_rank_is_that_of_whole_matrices(law, reml):
    """Whatever rotation the fit ended in: derivatives in canonical loadings, without the flat."""
    d, fit = of_low_rank(q=3, rank=1, law=law, reml=reml)
    size, z = fit.structure.size, fit.products.basis.z
    x = np.append(fit.point.x, np.log(fit.s2))
    moves = np.flatnonzero(inf.free(fit))

    def variance(x):
        root = np.linalg.solve(z, fit.profile.root(x[:size]))
        s2 = np.exp(x[-1])
        return s2 * root @ root.T, s2, x[size:-1]

    def nll(x):
        return -dense.llf(d, *variance(x), reml)

    h, k = 1e-3, len(moves)
    hessian = np.empty((k, k))
    eye = h * np.eye(len(x))[moves]
    for a in range(k):
        for b in range(k):
            hessian[a, b] = (
                nll(x + eye[a] + eye[b]) - nll(x + eye[a] - eye[b])
                - nll(x - eye[a] + eye[b]) + nll(x - eye[a] - eye[b])
            ) / (4 * h * h)  # fmt: skip
    A = np.zeros((len(x), len(x)))
    A[np.ix_(moves, moves)] = np.linalg.pinv(hessian, rcond=1e-6)
    C, V, _, X, *_ = dense.gls(d, fit.G, fit.s2, fit.theta)[1:]
    dV = np.array([moved(lambda x: dense.whole(d, *variance(x))[0], x, a) for a in range(len(x))])
    # What a uniqueness that is zero adds, had it and the others the expected information.
    every = np.append(np.arange(size), len(x) - 1)
    some = np.intersect1d(every, moves)
    A[np.ix_(every, every)] += np.linalg.inv(information(X, V, dV[every], reml))
    A[np.ix_(some, some)] -= np.linalg.inv(information(X, V, dV[some], reml))
    slopes = [-C @ P @ C for P in dense_mixed.phi_derivatives(X, V, dV)]
    V = SatterthwaiteCovariance(fit)
    for row in (np.eye(2)[0], np.eye(2)[1], np.array([1.0, -0.3])):
        g = np.array([row @ slope @ row for slope in slopes])
        df = 2.0 * (row @ C @ row) ** 2 / (g @ A @ g)
        np.testing.assert_allclose(V.df(row[None]), df, rtol=1e-3)
    assert fit.at_bound.any()


def test_of_loadings_of_full_rank_is_that_of_any_covariance():
    """The same V in other parameters: rotations drop out, and R_ij's tangent part."""
    d = dense.data(seed=11, m=25, sizes=(3, 9))
    full, other = (
        mixed_fit(d.products(), kind, d.law, n_starts=3)
        for kind in (Unstructured(3), LoadingsOnly(3, 3))
    )
    np.testing.assert_allclose(full.llf, other.llf, atol=1e-8)
    one, two = SatterthwaiteCovariance(full), SatterthwaiteCovariance(other)
    np.testing.assert_allclose(two.coefficient_df(), one.coefficient_df(), rtol=1e-4)
    one, two = KenwardRogerCovariance(full), KenwardRogerCovariance(other)
    np.testing.assert_allclose(two.dense(), one.dense(), rtol=1e-6)
    np.testing.assert_allclose(two.coefficient_df(), one.coefficient_df(), rtol=1e-6)
    bent = KenwardRogerCovariance(other, "1997").dense()
    assert abs(bent - one.dense()).max() > 1e-4 * abs(one.dense()).max()


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.slow
def test_kenward_roger_of_low_rank_is_that_of_whole_matrices(rank):
    """1997's, in directions at right angles to rotations."""
    d, fit = of_low_rank(rank=rank, q=3 * rank, m=16)
    at, s2, size = inf.free(fit), fit.s2, fit.structure.size
    z = fit.products.basis.z
    x = np.append(fit.point.phi, s2)

    def whole(x):
        root = np.linalg.solve(z, fit.profile.root(x[:size]))
        return dense.whole(d, s2 * root @ root.T, x[-1], [])[0]

    *_, X, y, _ = dense.gls(d, fit.G, s2, [])
    moves = np.flatnonzero(at)
    V = whole(x)
    dV = [dense.derivative(whole, x, a) for a in moves]
    h = 1e-3
    eye = h * np.eye(len(x))
    d2V = [
        [
            (whole(x + eye[a] + eye[b]) - whole(x + eye[a] - eye[b])
             - whole(x - eye[a] + eye[b]) + whole(x - eye[a] - eye[b])) / (4 * h * h)
            if max(a, b) < size else np.zeros_like(V)
            for b in moves
        ]
        for a in moves
    ]  # fmt: skip
    some = identified(fit)
    assert some.shape[1] == len(moves) - rank * (rank - 1) // 2
    dV = list(np.tensordot(some.T, dV, 1))
    d2V = np.einsum("ak,abij,bl->klij", some, np.array(d2V), some, optimize=True)
    adjusted, _ = dense_mixed.kenward_roger_covariance(X, V, dV, d2V)
    # Uniquenesses that are zero are known in the covariance, unknown in degrees of freedom.
    every = identified(fit, np.ones(size + 1, dtype=bool))
    dV = list(np.tensordot(every.T, [moved(whole, x, a) for a in range(size + 1)], 1))
    F, m, _ = dense_mixed.kenward_roger(X, y, V, dV, np.eye(2), adjusted=adjusted)
    made = KenwardRogerCovariance(fit, "1997")
    np.testing.assert_allclose(made.dense(), adjusted, rtol=1e-5, atol=1e-7)
    found = made.joint(np.eye(2), fit.b)
    np.testing.assert_allclose(found[:3], [F, 2.0, m], rtol=1e-5)


def weak(seed):
    """8 groups, three factors of 6 effects that vary as much as rows tell of them."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(8), 12)
    Z = np.column_stack([np.ones(96), rng.standard_normal((96, 5))])
    y = (Z * (0.3 * rng.standard_normal((8, 6)))[codes]).sum(axis=1) + rng.standard_normal(96)
    products = CrossProducts.of_rows(Z, Z, y, codes, 8)
    return mixed_fit(products, LowRank(6, 3), Common(), n_starts=1)


@pytest.mark.parametrize("seed", [2, 8, 33])
def test_kenward_roger_is_positive(seed):
    fit = weak(seed)
    assert np.linalg.eigvalsh(KenwardRogerCovariance(fit, "2009").dense())[0] < 0.0
    V = KenwardRogerCovariance(fit)
    assert np.linalg.eigvalsh(V.dense())[0] > 0.0
    assert V.coefficient_df().max() < 8.0


def test_positive_is_the_expansion_where_that_is_small():
    C = np.array([[2.0, 0.3], [0.3, 1.0]])
    second = np.array([[0.2, -0.1], [-0.1, -0.3]])
    gaps = [abs(positive(C, t * second) - C - t * second).max() for t in (1e-2, 1e-3)]
    np.testing.assert_allclose(gaps[0] / gaps[1], 100.0, rtol=0.05)


def degrees(fit):
    return [V(fit).coefficient_df()[0] for V in (SatterthwaiteCovariance, KenwardRogerCovariance)]


def test_a_variance_of_zero_is_not_known():
    """No spread of means: as many degrees of freedom as there are means, not rows."""
    rng = np.random.default_rng(0)
    codes, one = np.repeat(np.arange(10), 8), np.ones((80, 1))
    u = rng.standard_normal((10, 8))
    y = (u - 0.9 * u.mean(axis=1, keepdims=True)).ravel()
    products = CrossProducts.of_rows(one, one, y, codes, 10)
    fit = mixed_fit(products, Diagonal(1), Common())
    assert fit.at_bound.all()
    np.testing.assert_allclose(degrees(fit), 9.0)


def test_of_a_saddle_there_is_no_information():
    d = dense.data(seed=2, m=40)
    fit = mixed_fit(d.products(), LowRank(3, 1), d.law)
    diagonal = mixed_fit(d.products(), Diagonal(3), d.law)
    saddle = np.concatenate([np.zeros(3), diagonal.point.phi])
    there = replace(fit, point=fit.profile.at(saddle))
    with pytest.raises(NotApplicableError, match="n_starts="):
        SatterthwaiteCovariance(there).coefficient_df()
    assert np.isfinite(SatterthwaiteCovariance(fit).coefficient_df()).all()


def test_what_kenward_roger_is_not_of():
    with pytest.raises(NotApplicableError, match="reml=True"):
        KenwardRogerCovariance(of_low_rank(1, 3, reml=False)[1])
    with pytest.raises(NotApplicableError, match="made of the rows"):
        KenwardRogerCovariance(of_low_rank(1, 3, "ar")[1])


@pytest.mark.parametrize("m", [3, 5, 7, 12])
def test_few_groups_have_an_f_or_none(m):
    """Two means of m groups: Hotelling's F(2, m - 2), which has a variance where m - 2 > 4."""
    rng = np.random.default_rng(m)
    codes = np.repeat(np.arange(m), 6)
    Z = np.tile(np.column_stack([np.ones(6), np.arange(6) - 2.5]), (m, 1))
    y = (Z * rng.standard_normal((m, 2))[codes] * 20.0).sum(axis=1) + rng.standard_normal(6 * m)
    fit = mixed_fit(CrossProducts.of_rows(Z, Z, y, codes, m), Unstructured(2), Common())
    V, b = KenwardRogerCovariance(fit), fit.b
    np.testing.assert_allclose(V.coefficient_df(), m - 1.0, rtol=1e-3)
    found = V.joint(np.eye(2), b)
    if m - 2 <= 4:
        assert found is None
    else:
        Q = b @ np.linalg.solve(fit.cov_b, b)
        np.testing.assert_allclose(found[0], Q * (m - 2) / (2.0 * (m - 1)), rtol=1e-3)
        np.testing.assert_allclose(found[1:3], [2.0, m - 2.0], rtol=1e-3)


@pytest.mark.parametrize(("m", "q"), [(20, 3), (30, 3), (20, 5)])
def test_what_regressions_of_effects_on_one_another_cost(m, q):
    """e of an effect beside k = q - 1 others is 2 k / nu where rows tell effects exactly."""
    rng = np.random.default_rng(m + q)
    codes, n = np.repeat(np.arange(m), 12), 12 * m
    Z = np.tile(np.column_stack([np.ones(12), rng.standard_normal((12, q - 1))]), (m, 1))
    X = np.column_stack([Z, rng.standard_normal(m)[codes]])
    b = rng.standard_normal((m, q)) @ rng.standard_normal((q, q))
    y = (Z * b[codes]).sum(axis=1) + 1e-3 * rng.standard_normal(n)
    fit = mixed_fit(CrossProducts.of_rows(Z, X, y, codes, m), Unstructured(q), Common())
    V = KenwardRogerCovariance(fit)
    e = V.dense()[q, q] / fit.cov_b[q, q] - 1.0
    np.testing.assert_allclose(e, 2.0 * (q - 1) / (m - 2), rtol=1e-4)
    np.testing.assert_allclose(V.coefficient_df()[q], m - 2.0, rtol=1e-4)


def test_degrees_of_freedom_that_factors_use_are_counted():
    """nu sqrt(C / V) of low rank; 1997's of the same point where G may be any."""
    fit = of_low_rank(1, 3)[1]
    V, before = KenwardRogerCovariance(fit), KenwardRogerCovariance(fit, "2009")
    grown = np.diag(V.dense()) / np.diag(fit.cov_b)
    assert grown.max() > 1.02
    expected = before.coefficient_df() / np.sqrt(np.maximum(grown, 1.0))
    np.testing.assert_allclose(V.coefficient_df(), expected, rtol=1e-10)
    # One hypothesis is the square of its t, many have less than those that are not counted.
    R = np.eye(len(fit.b))
    F, _, df, *_ = V.joint(R[:1], fit.b[:1])
    np.testing.assert_allclose(F, fit.b[0] ** 2 / V.dense()[0, 0], rtol=1e-8)
    np.testing.assert_allclose(df, expected[0], rtol=1e-8)
    assert V.joint(R, fit.b)[2] < before.joint(R, fit.b)[2]
