"""Nested fits, draws of products, and the laws of likelihood ratios on a boundary."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sm_alsgls.core.mixed import simulation
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.likelihood_ratio import Mixture, drawn, mixture
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.nested import NoEffects, without_effects
from sm_alsgls.core.mixed.residual_laws import Common
from sm_alsgls.core.mixed.simulation import Draws, autoregressive
from sm_alsgls.core.mixed.structures import Diagonal, LoadingsOnly, LowRank, Unstructured
from sm_alsgls.exceptions import NotApplicableError
from tests.core.mixed import dense


@pytest.mark.parametrize("law", ["common", "levels", "ar"])
@pytest.mark.parametrize("reml", [False, True])
def test_no_effects(law, reml):
    d = dense.data(seed=2, law=law, sizes=(3, 9))
    fit = mixed_fit(d.products(), NoEffects(3), d.law, reml=reml)
    assert fit.converged
    zero = np.zeros((3, 3))
    llf = lambda s2, theta: dense.llf(d, zero, s2, theta, reml)  # noqa: E731
    np.testing.assert_allclose(fit.llf, llf(fit.s2, fit.theta), rtol=1e-10)
    for step in (-1e-2, 1e-2):
        assert llf(fit.s2 * (1 + step), fit.theta) < fit.llf
        for a in range(len(fit.theta)):
            assert llf(fit.s2, fit.theta + step * np.eye(len(fit.theta))[a]) < fit.llf


@pytest.mark.parametrize("kept", [[0], [2, 0], [0, 1]])
def test_without_effects(kept):
    d = dense.data(seed=4, m=20, sizes=(3, 9))
    less = without_effects(d.products(), kept)
    direct = CrossProducts.of_rows(d.Z[:, kept], d.X, d.y, d.codes, d.m, d.law)
    np.testing.assert_allclose(less.in_user_units(), direct.in_user_units(), atol=1e-10)
    one, two = (mixed_fit(p, Unstructured(len(kept)), d.law, n_starts=2) for p in (less, direct))
    np.testing.assert_allclose(one.llf, two.llf, rtol=1e-10)
    np.testing.assert_allclose(one.G, two.G, rtol=1e-4, atol=1e-5)


def of_draws(fit, reps):
    draws, rng = Draws(fit), np.random.default_rng(1)
    return np.array([draws.one(rng).in_user_units() for _ in range(reps)])[..., -1]


def of_drawn_rows(d, fit, reps, monkeypatch):
    """Where rows are drawn: their responses are kept, and made products of all at once."""
    draws, rng, drawn_rows = Draws(fit, d.mixed_rows), np.random.default_rng(1), []
    made = draws.one(np.random.default_rng(1)).in_user_units()
    np.testing.assert_allclose(made[..., :-1, :-1], d.products().in_user_units()[..., :-1, :-1])

    class Kept(CrossProducts):
        @classmethod
        def of_rows(cls, Z, X, y, *others):
            drawn_rows.append(y)

    with monkeypatch.context() as patch:
        patch.setattr(simulation, "CrossProducts", Kept)
        for _ in range(reps):
            draws.one(rng)
    found = products_of_responses(d, np.array(drawn_rows))
    np.testing.assert_allclose(found[0], made[..., -1], rtol=1e-9, atol=1e-9)
    return found


@pytest.mark.parametrize("law", ["common", "levels", "ar", "levels ar"])
@pytest.mark.slow
def test_draws_of_products_have_the_moments_of_rows(law, monkeypatch):
    """Means, variances and covariances of Z'y, X'y and y'y of groups, against rows drawn."""
    d = dense.data(seed=6, m=4, q=2, p=2, law=law, weights=law != "levels", sizes=(2, 7))
    d = d.rows(np.argsort(d.codes, kind="stable"))
    fit = mixed_fit(d.products(), LowRank(2, 0), d.law, n_starts=1)
    reps = 3000
    if "ar" in law:
        found = of_drawn_rows(d, fit, reps, monkeypatch)
    else:
        one = Draws(fit).one(np.random.default_rng(0)).in_user_units()
        two = d.products().in_user_units()
        np.testing.assert_allclose(one[..., :-1, :-1], two[..., :-1, :-1])
        found = of_draws(fit, reps)
    V, order = dense.whole(d, fit.G, fit.s2, fit.theta)
    rng = np.random.default_rng(2)
    y = d.X[order] @ fit.b + rng.standard_normal((reps, len(order))) @ np.linalg.cholesky(V).T
    expected = products_of_responses(d, y)
    one, two = (a.reshape(reps, -1) for a in (found, expected))
    for a, b in ((one, two), (np.square(one - one.mean(0)), np.square(two - two.mean(0)))):
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / reps) + 1e-12
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) / error).max() < 4.5
    some = one.std(axis=0) > 1e-9
    corr = np.corrcoef(one[:, some].T) - np.corrcoef(two[:, some].T)
    assert abs(corr).max() < 0.12


def products_of_responses(d, y):
    """The last column of products of each of the responses y (reps, n), rows as in ``d``.

    Z'y and X'y are linear in y and y'y is a quadratic form: all are known from y = e_i and, for
    y'y, from e_i + e_j; thousands of responses are three products of matrices.
    """

    def column(one):
        products = CrossProducts.of_rows(d.Z, d.X, one, d.codes, d.m, d.law, d.index, d.weights)
        return products.in_user_units()[..., -1]

    eye = np.eye(y.shape[1])
    units = np.array([column(e) for e in eye])
    form = np.zeros((len(eye), *units[..., -1].shape))
    for i, e in enumerate(eye):
        for j, f in enumerate(eye[: i + 1]):
            form[i, j] = form[j, i] = column(e + f)[..., -1] - units[i, ..., -1] - units[j, ..., -1]
    out = np.einsum("ri,i...->r...", y, units)
    out[..., -1] = 0.5 * np.einsum("ri,ijmk,rj->rmk", y, form, y, optimize=True)
    np.testing.assert_allclose(out[0], column(y[0]), rtol=1e-9, atol=1e-9)
    return out


@pytest.mark.parametrize("law", ["common", "levels"])
def test_draws_of_products_are_products_of_rows(law):
    """What [Z X] leaves of y is nothing in groups of few rows, and chi2 in others."""
    d = dense.data(seed=6, m=30, q=2, p=2, law=law, sizes=(1, 9))
    fit = mixed_fit(d.products(), LowRank(2, 0), d.law, n_starts=1)
    draws, rng = Draws(fit), np.random.default_rng(1)
    F = fit.products.C[:, :, :-1, :-1]
    rank = np.linalg.matrix_rank(F, hermitian=True, tol=1e-9)
    free = fit.products.pairs - rank
    left = []
    for _ in range(200):
        C = draws.one(rng).C
        fitted = np.einsum(
            "mka,mkab,mkb->mk", C[..., :-1, -1], np.linalg.pinv(F, 1e-9, hermitian=True),
            C[..., :-1, -1],
        )  # fmt: skip
        left.append(C[..., -1, -1] - fitted)
    left = np.array(left)
    assert (free == 0).any()
    assert abs(left[:, free == 0]).max() < 1e-8 * left.max()
    s2 = fit.s2 / d.law.weights(fit.theta)
    scaled = (left / s2)[:, free > 0].sum(axis=1)
    assert stats.kstest(scaled, stats.chi2(free.sum()).cdf).pvalue > 1e-3


def test_autoregressive_rows():
    codes, times = np.array([1, 0, 1, 0, 1]), np.array([3, 1, 1, 2, 7])
    rng = np.random.default_rng(0)
    copies = 2 * np.arange(20000)[:, None]
    u = autoregressive((codes + copies).ravel(), np.tile(times, 20000), 0.6, rng).reshape(-1, 5)
    expected = np.where(codes[:, None] == codes, 0.6 ** abs(times[:, None] - times), 0.0)
    np.testing.assert_allclose(np.cov(u.T), expected, atol=0.04)


def test_autoregressive_draws_need_rows():
    d = dense.data(seed=2, law="ar", sizes=(3, 9))
    fit = mixed_fit(d.products(), Diagonal(3), d.law, n_starts=1)
    with pytest.raises(NotApplicableError, match="stream"):
        Draws(fit)


def fits(q, small, full, kept=None, seed=8):
    d = dense.data(seed=seed, m=40, q=q, sizes=(6, 12))
    products = d.products()
    less = products if kept is None else without_effects(products, kept)
    return mixed_fit(less, small, d.law, n_starts=2), mixed_fit(products, full, d.law, n_starts=2)


@pytest.mark.parametrize(
    ("q", "small", "full", "kept", "law"),
    [
        (1, NoEffects(1), Unstructured(1), None, ((0.5, 0.5), (0, 1))),
        (3, NoEffects(3), Unstructured(3), None, None),
        (3, Unstructured(2), Unstructured(3), [0, 1], ((0.5, 0.5), (2, 3))),
        (3, Unstructured(1), Unstructured(3), [0], None),
        (3, Diagonal(2), Diagonal(3), [0, 1], ((0.5, 0.5), (0, 1))),
        (4, LowRank(3, 1), LowRank(4, 1), [0, 1, 2], ((0.5, 0.5), (1, 2))),
        (4, LoadingsOnly(3, 1), LoadingsOnly(4, 1), [0, 1, 2], ((1.0,), (1,))),
        (3, Diagonal(3), Unstructured(3), None, ((1.0,), (3,))),
        (4, LowRank(4, 1), Unstructured(4), None, ((1.0,), (2,))),
        (4, LowRank(4, 0), LowRank(4, 1), None, None),
        (4, LoadingsOnly(4, 1), Unstructured(4), None, None),
        (4, LowRank(3, 0), LowRank(4, 1), [0, 1, 2], None),
        (4, LoadingsOnly(3, 1), LoadingsOnly(4, 2), [0, 1, 2], None),
    ],
)
def test_which_law(q, small, full, kept, law):
    null, _ = fits(q, small, full, kept)
    if law is not None and (small.low == 0.0).any():
        assert not null.at_bound.any()
    found = mixture(null, full)
    assert found == (None if law is None else Mixture(*law))


def test_a_null_on_the_edge_of_what_it_may_be_has_no_law_that_is_known():
    null, _ = fits(3, Unstructured(2), Unstructured(3), [0, 1])
    assert mixture(null, Unstructured(3)) is not None
    for phi in ([1.0, 0.5, 0.0], [0.0, 0.0, 1.0]):
        edge = replace(null, point=null.profile.at(np.array(phi)))
        assert mixture(edge, Unstructured(3)) is None


def test_the_pvalue_of_draws_counts_those_as_large_and_the_data_themselves():
    """A ratio of nothing is as large as that of every draw, many of which are nothing."""
    rng = np.random.default_rng(0)
    codes, one, reps = np.repeat(np.arange(12), 4), np.ones((48, 1)), 9
    y = rng.standard_normal(48)
    for effect, pvalue in ((0.0, 1.0), (50.0, 1.0 / (1.0 + reps))):
        made = y - np.bincount(codes, y)[codes] / 4 + effect * np.arange(12.0)[codes]
        full = mixed_fit(CrossProducts.of_rows(one, one, made, codes, 12), Diagonal(1), Common())
        null = mixed_fit(full.products, NoEffects(1), Common())
        found = drawn(null, full, [0], reps, np.random.default_rng(1))
        assert (found.statistics == 0.0).any()
        assert found.pvalue == pytest.approx(pvalue)


def test_mixtures():
    made = Mixture((0.5, 0.5), (1, 2))
    expected = 0.5 * stats.chi2.sf(3.0, 1) + 0.5 * stats.chi2.sf(3.0, 2)
    assert made.sf(3.0) == pytest.approx(expected)
    assert Mixture((0.5, 0.5), (0, 1)).sf(0.0) == 1.0
    assert str(made) == "0.5 chi2(1) + 0.5 chi2(2)"


@pytest.mark.slow
def test_the_bootstrap_law_is_the_mixture_where_that_is_known():
    rng = np.random.default_rng(5)
    codes = np.repeat(np.arange(60), 4)
    one = np.ones((240, 1))
    Z = np.column_stack([one, np.tile(np.arange(4.0), 60)])
    y = rng.standard_normal(60)[codes] + rng.standard_normal(240)
    full = mixed_fit(CrossProducts.of_rows(Z, Z, y, codes, 60), Diagonal(2), Common())
    null = mixed_fit(without_effects(full.products, [0]), Diagonal(1), Common())
    law = mixture(null, full.structure)
    found = drawn(null, full, [0], 120, np.random.default_rng(0))
    # Three standard errors of 120 draws: .046, .037 and .027.
    assert abs((found.statistics < 1e-6).mean() - 0.5) < 0.137
    for level, band in ((0.2, 0.11), (0.1, 0.082)):
        x = np.quantile(found.statistics, 1 - level)
        assert abs(law.sf(x) - level) < band
    again = drawn(null, full, [0], 3, np.random.default_rng(0))
    np.testing.assert_array_equal(again.statistics, found.statistics[:3])
