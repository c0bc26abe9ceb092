"""The maximum: against whole matrices, from many starts, on bounds, in other units, and refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from sm_alsgls.core.mixed import climb as climbing
from sm_alsgls.core.mixed import maximise
from sm_alsgls.core.mixed.autoregressive_levels import LevelsAR1
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.likelihood import Profile
from sm_alsgls.core.mixed.maximise import lowest_curvature_at, mixed_fit
from sm_alsgls.core.mixed.residual_laws import Levels
from sm_alsgls.core.mixed.structures import (
    Diagonal,
    LoadingsOnly,
    LowRank,
    Unstructured,
    largest_rank,
)
from sm_alsgls.core.sigma.factor import fit_factor
from sm_alsgls.exceptions import IllegalRankError
from tests.core.mixed import dense

KINDS = {
    "low rank": LowRank(3, 1),
    "diagonal": Diagonal(3),
    "full": Unstructured(3),
    "loadings": LoadingsOnly(3, 2),
}


# Every kind with every law, and each of both with REML and without.
@pytest.mark.parametrize(
    ("kind", "law", "reml"),
    [
        (kind, law, (i + j) % 2 == 1)
        for i, kind in enumerate(KINDS)
        for j, law in enumerate(["common", "levels", "ar"])
    ],
)
def test_no_other_climber_gets_higher(kind, law, reml):
    d = dense.data(seed=2, m=30, law=law)
    fit = mixed_fit(d.products(), KINDS[kind], d.law, reml=reml)
    assert fit.converged
    assert fit.decrement < 1e-6
    assert fit.curvature > 0.05
    # Under low rank there are maxima .07 and .27 below, other Heywood cases.
    assert fit.ties >= 2
    profile = fit.profile

    def value(x):
        point = profile.at(x)
        return point.nll, point.gradient

    other = minimize(
        value,
        fit.point.x + 0.1,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(profile.low, profile.high, strict=True)),
        options={"ftol": 1e-15, "gtol": 1e-7, "maxiter": 400},
    )
    assert fit.nll <= other.fun + 1e-7
    assert fit.llf == pytest.approx(dense.llf(d, fit.G, fit.s2, fit.theta, reml), rel=1e-11)


def test_a_structure_that_says_everything_is_the_full_one():
    d = dense.data(seed=2, m=30)
    low, full = (mixed_fit(d.products(), kind, d.law) for kind in (LowRank(3, 1), Unstructured(3)))
    if not low.at_bound.any():
        assert low.llf == pytest.approx(full.llf, abs=1e-8)
    np.testing.assert_allclose(low.G, low.loadings @ low.loadings.T + np.diag(low.uniquenesses))
    np.testing.assert_allclose(full.G, full.loadings @ full.loadings.T)
    assert (low.loadings.sum(axis=0) >= 0.0).all()


def test_loadings_are_turned_to_be_orthogonal_where_uniquenesses_are_one():
    d = dense.data(seed=2, m=60, q=5, sizes=(8, 12))
    for kind, zeros in ((LowRank(5, 2), False), (LoadingsOnly(5, 2), True)):
        fit = mixed_fit(d.products(), kind, d.law, n_starts=1)
        psi = fit.uniquenesses
        assert (psi == 0.0).all() == zeros
        scale = np.diagonal(fit.G) if zeros else np.maximum(psi, 1e-8 * np.diagonal(fit.G))
        inner = fit.loadings.T @ (fit.loadings / scale[:, None])
        assert inner[0, 0] > inner[1, 1] > 0.0
        assert abs(inner[0, 1]) < 1e-9 * inner[0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_units_and_offsets_change_units_only(kind):
    d = dense.data(seed=1, m=40)
    structure = KINDS[kind]
    fit = mixed_fit(d.products(), structure, d.law)
    unit = np.array([1.0, 1e6, 1e-6])
    in_z = mixed_fit(replace(d, Z=d.Z * unit).products(), structure, d.law)
    np.testing.assert_allclose(in_z.G * np.outer(unit, unit), fit.G, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(in_z.v / unit, fit.v, rtol=1e-6, atol=1e-8)
    assert in_z.llf == pytest.approx(fit.llf, abs=1e-9)
    in_y = mixed_fit(replace(d, y=1e8 * d.y).products(), structure, d.law)
    np.testing.assert_allclose(in_y.G, 1e16 * fit.G, rtol=1e-6, atol=1e-9 * in_y.G.max())
    np.testing.assert_allclose(in_y.b, 1e8 * fit.b, rtol=1e-7)
    far = mixed_fit(replace(d, X=d.X + np.array([0.0, 1e6])).products(), structure, d.law)
    assert far.b[1] == pytest.approx(fit.b[1], rel=1e-7)
    assert far.cov_b[1, 1] == pytest.approx(fit.cov_b[1, 1], rel=1e-7)
    # |X'X| is the same.
    assert far.llf == pytest.approx(fit.llf, abs=1e-6)


def test_any_basis_of_z_is_the_same_under_full():
    d = dense.data(seed=1, m=40)
    turn = np.array([[1.0, 2.0, 0.3], [0.0, -1.0, 1e3], [0.5, 0.0, 1.0]])
    fit = mixed_fit(d.products(), Unstructured(3), d.law)
    other = mixed_fit(replace(d, Z=d.Z @ turn).products(), Unstructured(3), d.law)
    assert other.llf == pytest.approx(fit.llf, abs=1e-9)
    np.testing.assert_allclose(turn @ other.G @ turn.T, fit.G, rtol=1e-5, atol=1e-7)
    offset = mixed_fit(
        replace(d, Z=d.Z + np.array([0.0, 1e6, 0.0])).products(), Unstructured(3), d.law
    )
    assert offset.llf == pytest.approx(fit.llf, abs=1e-8)


def test_zero_variances_rest_where_the_likelihood_falls_beyond():
    d = dense.data(seed=1, m=60)
    noise = replace(d, y=np.random.default_rng(0).standard_normal(len(d.y)))
    fit = mixed_fit(noise.products(), Diagonal(3), d.law)
    assert fit.converged
    assert fit.at_bound.any()
    assert (fit.uniquenesses[fit.at_bound] == 0.0).all()
    slopes = np.diagonal(fit.point.S)
    assert (slopes[fit.at_bound] > 0.0).all()
    assert np.abs(slopes[~fit.at_bound]).max() < 1e-5
    # A start on the bound that is no maximum leaves it.
    d = dense.data(seed=2, m=40)
    profile = Profile(d.products(), Diagonal(3), d.law, True)
    left = climbing.climb(profile, np.zeros(3), "zero")
    best = mixed_fit(d.products(), Diagonal(3), d.law)
    assert left.converged
    assert left.point.nll == pytest.approx(best.nll, abs=1e-8)


def test_a_singular_full_covariance_is_a_maximum():
    d = dense.data(seed=1, m=60)
    noise = replace(d, y=np.random.default_rng(0).standard_normal(len(d.y)))
    fit = mixed_fit(noise.products(), Unstructured(3), d.law)
    assert fit.converged
    values, vectors = np.linalg.eigh(
        fit.mix
        @ fit.structure.root(fit.point.phi)
        @ fit.structure.root(fit.point.phi).T
        @ fit.mix.T
    )
    null = vectors[:, values < 1e-8 * values[-1]]
    assert null.shape[1] >= 1
    S = np.linalg.inv(fit.mix).T @ fit.point.S @ np.linalg.inv(fit.mix)
    assert np.linalg.eigvalsh(null.T @ S @ null)[0] > -1e-4
    assert len(fit.trace) < 40


@pytest.mark.parametrize("kind", ["low rank", "full", "diagonal"])
def test_a_residual_variance_of_zero_is_told(kind):
    d = dense.data(seed=1, m=40, sizes=(5, 9))
    b = np.random.default_rng(0).standard_normal((40, 3))
    exact = replace(d, y=(d.Z * b[d.codes]).sum(axis=1))
    fit = mixed_fit(exact.products(), KINDS[kind], d.law)
    assert not fit.converged
    assert "residual variance goes to zero" in fit.message
    assert "lower rank" in fit.message


@pytest.mark.parametrize("kind", ["diagonal", "full"])
def test_groups_of_one_row(kind):
    d = dense.data(seed=1, m=80, q=2, sizes=(1, 2))
    structure = Diagonal(2) if kind == "diagonal" else Unstructured(2)
    fit = mixed_fit(d.products(), structure, d.law)
    assert fit.converged
    assert fit.llf == pytest.approx(dense.llf(d, fit.G, fit.s2, [], True), rel=1e-11)


def test_groups_with_fewer_rows_than_effects():
    rng = np.random.default_rng(4)
    d = dense.data(seed=4, m=300, q=4, sizes=(1, 4))
    d = replace(d, y=d.y + 2.0 * rng.standard_normal(len(d.y)))
    fit = mixed_fit(d.products(), LowRank(4, 1), d.law)
    assert fit.converged
    assert fit.llf == pytest.approx(dense.llf(d, fit.G, fit.s2, [], True), rel=1e-11)


def test_a_column_of_zeros_has_no_variance_of_its_own():
    d = dense.data(seed=1, m=60)
    more = replace(d, Z=np.column_stack([d.Z, np.zeros(len(d.y))]))
    fit = mixed_fit(more.products(), Diagonal(4), d.law)
    assert fit.llf == pytest.approx(mixed_fit(d.products(), Diagonal(3), d.law).llf, abs=1e-8)


def test_many_effects_go_a_group_at_a_time():
    """More columns than the substitution through all groups has: the other branch."""
    d = dense.data(seed=5, m=40, q=18, sizes=(10, 30))
    profile = Profile(d.products(), LowRank(18, 2), d.law, True)
    x = np.random.default_rng(1).uniform(0.2, 0.6, profile.structure.size)
    point = profile.at(x)
    root = np.linalg.solve(profile.products.basis.z, profile.root(x))
    G = point.s2 * root @ root.T
    assert -point.nll == pytest.approx(dense.llf(d, G, point.s2, [], True), rel=1e-11)


def test_a_saddle_has_negative_curvature_and_is_left():
    d = dense.data(seed=2, m=40)
    kind = LowRank(3, 1)
    diagonal = mixed_fit(d.products(), Diagonal(3), d.law)
    profile = Profile(d.products(), kind, d.law, True)
    saddle = np.concatenate([np.zeros(3), diagonal.point.phi])
    lowest, direction = lowest_curvature_at(profile, profile.at(saddle))
    assert lowest < -1e-3
    assert np.abs(direction[:3]).max() > 0.0
    best = mixed_fit(d.products(), kind, d.law)
    left = climbing.climb(profile, saddle + 0.1 * direction, "off")
    assert left.point.nll == pytest.approx(best.nll, abs=1e-7)
    # A fit that begins there goes off to both sides, which need not end alike.
    there = replace(best, point=profile.at(saddle))
    found = mixed_fit(d.products(), kind, d.law, first=there, n_starts=1)
    assert [run.start for run in found.runs] == ["given", "off a saddle", "off a saddle"]
    assert found.converged
    assert found.nll == pytest.approx(best.nll, abs=1e-7)


def test_a_fit_may_begin_where_another_ended_and_be_stopped():
    d = dense.data(seed=2, m=40)
    for kind in (LowRank(3, 1), Unstructured(3)):
        fit = mixed_fit(d.products(), kind, d.law)
        again = mixed_fit(d.products(), kind, d.law, first=fit, n_starts=1)
        assert [run.start for run in again.runs] == ["given"]
        assert len(again.trace) <= 2
        assert again.llf == pytest.approx(fit.llf, abs=1e-9)
        np.testing.assert_allclose(again.G, fit.G, rtol=1e-6)
        moved = replace(d, Z=d.Z * [1.0, 10.0, 1.0])
        other = mixed_fit(moved.products(), kind, d.law, first=fit, n_starts=1)
        assert other.llf == pytest.approx(fit.llf, abs=1e-8)
    seen = []
    stopped = mixed_fit(
        d.products(), LowRank(3, 1), d.law, callback=lambda label, step: seen.append(label)
        or len(seen) >= 2,
    )  # fmt: skip
    assert not stopped.converged
    assert stopped.message == climbing.STOPPED
    assert len(seen) == 2


def test_too_few_steps_are_told():
    d = dense.data(seed=2, m=40)
    for most in (1, 2):
        fit = mixed_fit(d.products(), LowRank(3, 1), d.law, n_starts=1, max_iter=most)
        assert not fit.converged
        assert "(maxiter)" in fit.message
        assert fit.runs[0].steps == most


def test_where_no_step_lowers_the_likelihood_it_need_not_be_stationary(monkeypatch):
    d = dense.data(seed=2, m=40)
    profile = Profile(d.products(), LowRank(3, 1), d.law, True)
    best = mixed_fit(d.products(), LowRank(3, 1), d.law)
    monkeypatch.setattr(climbing, "_MOST_FLAT", 0)
    far = climbing.climb(profile, best.point.x * 1.1, "far")
    assert far.decrement > 1e-2
    assert far.status == climbing.FLAT
    # Within what rounding of products leaves of a gradient it is.
    near = climbing.climb(profile, best.point.x, "near", tolerance=0.1 * best.decrement)
    assert near.status == climbing.CONVERGED


@pytest.mark.parametrize(("q", "rank"), [(1, 1), (2, 1), (3, 2), (6, 4)])
def test_a_rank_that_is_not_identified_is_refused(q, rank):
    with pytest.raises(IllegalRankError, match=f"the largest is {largest_rank(q)}"):
        LowRank(q, rank)
    with pytest.raises(IllegalRankError, match="without uniquenesses"):
        LoadingsOnly(q, q + 1)


def test_one_row_an_outcome_is_factor_analysis():
    """Loadings alone with a residual variance and a mean an outcome: LowRankSUR's likelihood."""
    rng = np.random.default_rng(1)
    K, N = 6, 60
    Y = rng.standard_normal((N, 2)) @ rng.standard_normal((2, K)) + rng.standard_normal((N, K))
    codes, level = np.repeat(np.arange(N), K), np.tile(np.arange(K), N)
    Z = np.eye(K)[level]
    law = Levels(tuple("abcdef"))
    products = CrossProducts.of_rows(Z, Z, Y.ravel(), codes, N, law, level)
    fit = mixed_fit(products, LoadingsOnly(K, 2), law, reml=False)
    E = Y - Y.mean(axis=0)
    factor = fit_factor(E, 2)
    assert fit.converged
    assert fit.llf == pytest.approx(-N * (factor.nll + 0.5 * K * np.log(2 * np.pi)), abs=1e-6)
    variances = fit.s2 * np.exp(np.append(0.0, fit.theta))
    np.testing.assert_allclose(variances, factor.d, rtol=1e-4)


def test_starts_that_join_a_maximum_that_is_not_the_best_say_where_they_ended():
    d = dense.data(seed=2, m=40)
    profile = Profile(d.products(), LowRank(3, 1), d.law, True)
    fit = mixed_fit(d.products(), LowRank(3, 1), d.law)
    joined = climbing.climb(profile, fit.point.x * 1.001, "near", best=fit.point)
    assert joined.status == climbing.JOINED
    assert joined.nll == fit.point.nll
    assert joined.point.nll > fit.point.nll


def fitted_level(seed=3, ar=False):
    """Rows of a level that effects of their own fit, beside one with rows enough."""
    rng = np.random.default_rng(seed)
    m = 40
    codes = np.repeat(np.arange(m), 5)
    level = np.tile([0, 0, 0, 0, 1], m)
    Z = np.column_stack([level == 0, level == 1]).astype(float)
    # Of level 1 a row a group: a function of level 0's effects.
    effect = rng.standard_normal(m)
    y = np.where(level == 1, 2.0 * effect[codes], effect[codes] + rng.standard_normal(5 * m))
    y[level == 1] += 0.0
    law, index = Levels(("many", "one")), level
    if ar:
        times = np.tile(np.arange(5), m)
        law = LevelsAR1.of_rows(codes, times, level, law.labels)
        index = np.column_stack([times, level])
    return CrossProducts.of_rows(Z, Z, y, codes, m, law, index), law


@pytest.mark.parametrize(("reml", "ar"), [(False, False), (True, False), (False, True)])
@pytest.mark.slow
def test_a_residual_variance_of_a_level_that_is_zero_is_told(reml, ar):
    products, law = fitted_level(ar=ar)
    fit = mixed_fit(products, Unstructured(2), law, reml=reml)
    assert not fit.converged
    assert "the residual variance of a level, 'one', goes to zero" in fit.message
    assert np.isfinite(fit.nll)


def test_levels_whose_units_differ_too_much_are_told():
    d = dense.data(seed=2, m=40, law="levels")
    units = np.array([1.0, 1e-8, 1.0])[d.index]
    far = replace(d, y=d.y * units, Z=d.Z * units[:, None], X=d.X * units[:, None])
    fit = mixed_fit(far.products(), Unstructured(3), d.law)
    assert not fit.converged
    assert "of one size" in fit.message


def test_the_information_of_a_level_on_its_way_to_zero_is_no_negative_number():
    """Its diagonal is a difference: -2e-8 once divided rows of F to infinity."""
    products, law = fitted_level()
    profile = Profile(products, Unstructured(2), law, True)
    for theta in (-20.0, -25.0, -30.0):
        point = profile.at(np.array([1.0, 2.0, 1e-3, theta]))
        F = climbing.scoring(profile, point)
        assert (np.diagonal(F) > 0.0).all()
        climb = climbing.climb(profile, point.x, "near zero", max_iter=20)
        assert np.isfinite(climb.point.nll)


def test_of_climbs_that_tie_the_one_that_converged_is_the_fit():
    d = dense.data(seed=2, m=40)
    profile = Profile(d.products(), LowRank(3, 1), d.law, True)
    x = mixed_fit(d.products(), LowRank(3, 1), d.law).point.x
    good = climbing.climb(profile, x, "good")
    assert good.converged
    flat = replace(
        good, label="flat", status=climbing.FLAT, point=replace(good.point, nll=good.nll - 1e-6)
    )
    far = replace(flat, label="far", point=replace(good.point, nll=good.nll - 1e-2))
    assert maximise._best([flat, good]).label == "good"
    assert maximise._best([good, far]).label == "far"
    assert maximise._best([far]).label == "far"


def test_large_problems_have_two_starts(monkeypatch):
    d = dense.data(seed=2, m=40)
    usual = mixed_fit(d.products(), LowRank(3, 1), d.law)
    assert len(usual.runs) >= maximise.MOST_STARTS
    for name in ("_LARGE", "_LONG", "_WIDE"):
        with monkeypatch.context() as patched:
            patched.setattr(maximise, name, 1.0)
            found = mixed_fit(d.products(), LowRank(3, 1), d.law)
            assert len(found.runs) == 2
            assert (found.curvature is None) == (name == "_LARGE")
            assert found.nll == pytest.approx(usual.nll, abs=1e-7)
            assert len(mixed_fit(d.products(), LowRank(3, 1), d.law, n_starts=3).runs) == 3
