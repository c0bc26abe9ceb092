"""Many starts: the best known maxima of real data, and a table that tells the truth."""

import dataclasses

import numpy as np
import pytest

from sm_alsgls.core.maximise import search as module
from sm_alsgls.core.maximise.als import ALSOptions, Problem, Start, Sweep, als
from sm_alsgls.core.maximise.joining import SAME, Watch
from sm_alsgls.core.maximise.search import effort, most_starts, search
from sm_alsgls.core.maximise.starts import random_start
from tests.core import dense, systems
from tests.core.second_order.test_curvature import toeplitz
from tests.core.systems import ring
from tests.worked.law import SpatialErrors


def check_table(found):
    best = found.best
    assert found.runs
    gaps = np.array([run.gap for run in found.runs])
    assert np.all(gaps >= 0)
    assert gaps.min() <= 1e-9
    for run in found.runs:
        assert run.nll >= best.nll - 1e-9 * max(1, abs(best.nll))
        assert run.gap == pytest.approx(run.nll - best.nll, abs=1e-9)
        assert run.ended
        assert run.start
    assert best.label in {run.start for run in found.runs}


def joined(found):
    return [run for run in found.runs if run.ended == "joined the best"]


# -- real data ----------------------------------------------------------------------------------

BEST_FRENCH, SHORT_FRENCH = -75.27269555, -75.17681558


def test_french_portfolios_reach_the_best_known_maximum():
    blocks, Y = systems.french()
    problem = Problem(blocks, Y, ALSOptions())
    found = search(problem, 3)
    assert found.best.nll == pytest.approx(BEST_FRENCH, abs=1e-6)
    assert found.best.converged
    check_table(found)
    # The other maximum exists and is told apart.
    levels = np.array([run.nll for run in found.runs])
    assert np.any(np.abs(levels - SHORT_FRENCH) < 1e-6)
    assert joined(found)


@pytest.mark.parametrize("share", [None, 0.1])
def test_french_portfolios_have_a_poorer_maximum(share):
    """A single run from OLS ends 79 log-likelihood units short, at rest and not on a saddle."""
    blocks, Y = systems.french()
    problem = Problem(blocks, Y, ALSOptions())
    first = None if share is None else Start("ols", d=problem.s_ols * share)
    single = search(problem, 3, n_starts=1, first=first)
    assert len(single.runs) == 1
    assert single.best.converged
    assert single.best.nll == pytest.approx(SHORT_FRENCH, abs=1e-6)
    assert not single.curvature.is_saddle
    many = search(problem, 3, first=first)
    assert many.best.nll == pytest.approx(BEST_FRENCH, abs=1e-6)
    assert many.runs[0].gap == pytest.approx(SHORT_FRENCH - BEST_FRENCH, abs=1e-6)


@pytest.mark.parametrize(("rank", "level"), [(1, -158.0936), (2, -169.2719)])
@pytest.mark.slow
def test_munnell(rank, level):
    blocks, Y = systems.munnell()
    problem = Problem(blocks, Y, ALSOptions())
    found = search(problem, rank)
    best = found.best
    assert best.nll <= level
    assert best.converged
    assert len(best.trace) - 1 <= 80
    assert best.gradient_d <= 1e-6
    assert best.score_beta <= 1e-6
    check_table(found)
    # By dense algebra too.
    E = dense.residuals(blocks, Y, problem.design.to_beta(best.gamma))
    Sigma = best.cov.to_dense()
    # Logs near 10 with variances near 1e-5, Sigma's condition number 1e4 to 1e8.
    assert best.nll == pytest.approx(dense.nll(E, Sigma), abs=1e-6)
    assert dense.score_in_standard_errors(blocks, E, Sigma) < 1e-4
    _, g_x = dense.gradient_sigma(E.T @ E / len(Y), best.cov.loadings, best.cov.uniquenesses)
    assert np.abs(g_x[~best.at_bound]).max() < 1e-5


# -- the search itself --------------------------------------------------------------------------


def small(seed=0, N=40, K=8, r=2, p=3):
    blocks, Y = systems.system(np.random.default_rng(seed), N, K, r, p)
    return Problem(blocks, Y, ALSOptions())


@pytest.mark.parametrize("seed", range(4))
def test_best_is_the_least_and_the_table_complete(seed):
    problem = small(seed, K=6, r=1)
    found = search(problem, 2)
    check_table(found)
    assert found.best.converged
    assert found.best.nll <= als(problem, 2).nll + 1e-9


def test_one_start_runs_one():
    problem = small()
    found = search(problem, 2, n_starts=1)
    assert [run.start for run in found.runs] == ["ols"]
    alone = als(problem, 2)
    assert found.best.nll == alone.nll
    assert found.runs[0].sweeps == len(alone.trace) - 1


def test_a_run_and_its_continuation_have_one_trace():
    """Sweep 0 of the second is the last point of the first, and is left out."""
    first = tuple(Sweep(i, 1.0, 0.9, 1.0, 0, 0, 0.1, 0.1, 0.5 * i) for i in range(4))
    then = tuple(Sweep(i, 0.8, 0.7, 0.0, 2, 3, 0.1, 0.1, 0.25 * i) for i in range(3))
    joined = module._joined(first, then)
    assert [row.sweep for row in joined] == [0, 1, 2, 3, 4, 5]
    assert [row.seconds for row in joined] == [0.0, 0.5, 1.0, 1.5, 1.75, 2.0]
    assert joined[:4] == first
    assert [row[1:8] for row in joined[4:]] == [row[1:8] for row in then[1:]]


def test_how_many_runs_there_may_be(monkeypatch):
    """How long a progress bar is: by size, as `effort` says."""
    made = small()
    assert most_starts(made, 0, 7) == most_starts(made, 0, None) == 1
    assert most_starts(made, 2, 7) == 7
    assert (effort(made), most_starts(made, 2, None)) == ("full", 5)
    monkeypatch.setattr(module, "_FULL", 0)
    assert (effort(made), most_starts(made, 2, None)) == ("lean", 3)
    monkeypatch.setattr(module, "_LEAN", 0)
    assert (effort(made), most_starts(made, 2, None)) == ("least", 2)


@pytest.mark.parametrize("n_starts", [2, 5, 9])
def test_as_many_starts_as_asked(n_starts):
    found = search(small(), 2, n_starts=n_starts)
    asked = [run for run in found.runs if run.start != "off a saddle"]
    assert len(asked) == n_starts


def test_kinds_of_starts():
    names = [run.start for run in search(small(), 2, n_starts=9).runs]
    assert names[:4] == ["ols", "grow", "union", "common"]
    assert set(names[5:]) == {"random beta", "random Sigma"}
    # By default nothing is drawn.
    constructed = [run.start for run in search(small(), 2).runs]
    assert constructed == names[: len(constructed)]
    assert set(constructed) == {"ols", "grow", "union", "common"}


def shared(rank=1, K=6, **options):
    X = np.random.default_rng(0).standard_normal((40, 2))
    Y = systems.factor_data(np.random.default_rng(1), 40, K, rank)
    return Problem([X] * K, Y, ALSOptions(**options))


def test_where_designs_are_equal_sigma_alone_is_searched():
    found = search(shared(2, 8), 3)
    assert {run.start for run in found.runs} == {"ols", "grow"}
    check_table(found)
    # An end of the climb that was not run on has no sweeps, and no end is below the best.
    assert any(run.sweeps == 0 for run in found.runs)
    # Nor are coefficients drawn, which would change nothing.
    many = search(shared(), 1, n_starts=14)
    assert len(many.runs) == 14
    assert {run.start for run in many.runs} == {"ols", "grow", "random Sigma"}
    # A ridge on slopes makes beta depend on Sigma.
    names = {run.start for run in search(shared(lam_B=0.1), 1, n_starts=12).runs}
    assert "random beta" in names
    assert "union" not in names


@pytest.mark.parametrize("problem", [small(), shared(2, 8)])
def test_the_rungs_of_the_climb_are_reported(problem):
    found = search(problem, 2)
    rungs = [rung.nll for rung in found.rungs]
    assert len(rungs) == 2
    assert rungs[0] > rungs[1] > found.best.nll
    assert rungs[0] == pytest.approx(als(problem, 0).nll, abs=1e-9)
    assert rungs[1] == pytest.approx(search(problem, 1).best.nll, abs=1e-4)
    assert search(problem, 2, n_starts=1).rungs == ()


def test_rank_zero_has_one_start():
    found = search(small(), 0)
    assert len(found.runs) == 1
    assert found.curvature is None


def test_joined_runs_are_counted_at_the_best():
    found = search(small(), 2, n_starts=10)
    together = joined(found)
    assert together
    for run in together:
        assert run.gap <= SAME
    assert found.best.status == "stationary"


def test_a_seeded_generator_reproduces():
    def once(seed):
        rng = None if seed is None else np.random.default_rng(seed)
        return search(small(), 2, n_starts=10, rng=rng)

    first, second, other = once(3), once(3), once(4)
    assert first.runs == second.runs
    np.testing.assert_array_equal(first.best.gamma, second.best.gamma)
    # What is constructed is not drawn.
    made = sum(not run.start.startswith("random") for run in first.runs)
    assert made >= 4
    assert [run.sweeps for run in other.runs[made:]] != [run.sweeps for run in first.runs[made:]]
    assert other.runs[:made] == first.runs[:made]
    assert once(None).runs == once(None).runs


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    search(small(), 2, n_starts=5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_callback_ends_the_search():
    seen = []

    def callback(sweep):
        seen.append(sweep)
        return len(seen) == 12

    found = search(small(), 2, n_starts=20, callback=callback)
    assert len(seen) == 12
    assert found.curvature is None
    assert sum(run.sweeps + 1 for run in found.runs) == 12
    assert found.runs[-1].ended == "stopped by the callback"


def test_the_first_start_can_be_replaced():
    problem = small()
    fit = als(problem, 2)
    first = Start("known", gamma=fit.gamma, d=fit.cov.uniquenesses)
    found = search(problem, 2, n_starts=1, first=first)
    assert found.runs[0].start == "known"
    assert found.runs[0].sweeps <= 2
    assert found.best.nll == pytest.approx(fit.nll, abs=1e-10)


def test_a_saddle_is_left():
    blocks, Y = toeplitz(np.random.default_rng(3))
    problem = Problem(blocks, Y, ALSOptions())
    symmetric = Start("symmetric", d=np.full(4, 0.5))
    found = search(problem, 1, n_starts=1, first=symmetric)
    names = [run.start for run in found.runs]
    assert names[0] == "symmetric"
    assert names[1:] == ["off a saddle"] * (len(names) - 1)
    assert len(names) >= 3
    assert found.best.nll - 2 * np.log(2 * np.pi) == pytest.approx(3.60362148 / 2, abs=1e-8)
    assert found.best.label == "off a saddle"
    assert found.best.converged
    assert not found.curvature.is_saddle
    assert found.runs[0].gap > 1e-7
    check_table(found)


def test_effort_falls_with_size():
    def of(n, K):
        return effort(type("P", (), {"K": K, "design": type("D", (), {"n": n})}))

    sizes = [(40, 8), (300, 120), (200, 300), (600, 300), (2000, 900)]
    assert [of(*size) for size in sizes] == ["full", "full", "lean", "least", "least"]


@pytest.mark.parametrize(
    ("spent", "names"),
    [("lean", ["ols", "grow", "union"]), ("least", ["ols", "random Sigma"])],
)
def test_larger_systems_get_fewer_starts(monkeypatch, spent, names):
    monkeypatch.setattr(module, "effort", lambda problem: spent)
    found = search(small(), 2)
    assert [run.start for run in found.runs] == names
    assert found.best.converged
    check_table(found)


@pytest.mark.parametrize("index", range(6))
def test_random_starts_are_legal_and_have_no_units(index):
    rng = np.random.default_rng(5)
    blocks, Y = systems.system(rng, 30, 6, 2, 3)
    c = 10.0 ** rng.integers(-8, 9, 6)
    one, other = Problem(blocks, Y, ALSOptions()), Problem(blocks, Y * c, ALSOptions())
    a = random_start(one, 2, np.random.default_rng(index), index)
    b = random_start(other, 2, np.random.default_rng(index), index)
    assert a.label == b.label == ("random Sigma" if index % 3 == 2 else "random beta")
    if a.cov is None:
        np.testing.assert_allclose(b.gamma / one.design.expand(c), a.gamma, rtol=1e-8)
        assert np.abs(a.gamma - one.gamma_ols).max() > 0.1
    else:
        np.testing.assert_allclose(b.cov.diag() / c**2, a.cov.diag(), rtol=1e-9)
        np.testing.assert_allclose(a.cov.diag(), one.s_ols, rtol=1e-9)
        assert a.cov.loadings.shape == (6, 2)
        assert np.all(a.cov.uniquenesses > 0)


def test_search_does_not_depend_on_units():
    rng = np.random.default_rng(6)
    blocks, Y = systems.system(rng, 40, 6, 1, 3)
    c = 10.0 ** rng.uniform(-8, 8, 6)
    one = search(Problem(blocks, Y, ALSOptions()), 2, n_starts=6)
    other = search(Problem(blocks, Y * c, ALSOptions()), 2, n_starts=6)
    assert other.best.nll - np.log(c).sum() == pytest.approx(one.best.nll, abs=1e-8)
    np.testing.assert_allclose(
        [run.gap for run in other.runs], [run.gap for run in one.runs], rtol=0, atol=1e-6
    )


def test_ridges_are_searched_too():
    blocks, Y = systems.system(np.random.default_rng(7), 30, 6, 1, 3)
    problem = Problem(blocks, Y, ALSOptions(lam_B=0.1, lam_F=0.05))
    found = search(problem, 1, n_starts=6)
    assert found.best.converged
    check_table(found)
    penalty = problem.ridge.value(found.best.gamma)
    penalty += 0.025 * np.sum(found.best.cov.loadings**2 / found.best.cov.uniquenesses[:, None])
    E = problem.residuals(found.best.gamma)
    unpenalised = dense.nll(E, found.best.cov.to_dense(), problem.n_obs)
    assert found.best.nll == pytest.approx(unpenalised + penalty, abs=1e-10)


def test_only_a_run_that_hardly_falls_joins():
    def ends(best, levels):
        """After which sweep a run over these levels is ended; None if it is left alone."""
        watch = Watch(None, 10)
        watch.best = best
        for i, level in enumerate(levels):
            sweep = Sweep(i, level, level, 1.0, 1, 1, 0.1, 0.1, 0.0)
            if watch(sweep):
                return i
        return None

    near = 2e-6
    assert ends(-5.0, [0.0, -4.0, -5.0 + near, -5.0 + near / 2]) == 3
    # Falling fast through the level of the best, on the way to a lower one.
    assert ends(-5.0, [0.0, -4.0, -5.0 + near, -6.0, -7.0]) is None
    # The opening Sigma-step says nothing about how fast it falls.
    assert ends(-5.0, [-5.0]) is None
    assert ends(-5.0, [0.0, -4.0, -4.0]) is None
    assert ends(None, [-5.0, -5.0, -5.0]) is None


@pytest.mark.parametrize(
    ("large", "above", "score", "joined"),
    [
        (1000, 1.9e-3, 0.4, True),
        (1000, 2.1e-3, 0.4, False),
        (1000, 1.9e-3, 0.6, False),
        (1000, -1e-6, 0.4, False),
        (None, 1.9e-3, 0.4, False),
    ],
)
def test_of_a_large_system_a_run_joins_within_two_units_of_likelihood(large, above, score, joined):
    watch = Watch(None, 1000, large)
    watch.best = -5.0
    assert not watch(Sweep(0, 0.0, 0.0, 1.0, 1, 1, 0.1, 9.0, 0.0))
    level = -5.0 + above
    assert bool(watch(Sweep(1, level, level, 1.0, 1, 1, 0.1, score, 0.0))) is joined


def test_a_run_that_was_cut_short_never_wins(monkeypatch):
    """Two maxima 5e-6 apart: the run into the lower one "joins" the higher, and then is the best.

    Nobody asked for it to stop, so what `search` returns must be finished.
    """
    problem = small()
    low = als(problem, 2)
    high = dataclasses.replace(low, nll=low.nll + 5e-6)

    def runs(problem, rank, start=None, *, callback=None, **_):
        if start is None:
            return high
        joins = getattr(callback, "best", None) is not None
        return dataclasses.replace(low, converged=False, status="joined the best") if joins else low

    monkeypatch.setattr(module, "als", runs)
    assert search(problem, 2, n_starts=2).best.converged


# -- a law without a rank -------------------------------------------------------------------------


def spatial(N, K, lam=0.4):
    blocks, Y = systems.system(np.random.default_rng(2), N, K, 1, 2)
    Y = Y @ np.linalg.inv(np.eye(K) - lam * ring(K)).T
    return Problem(blocks, Y, ALSOptions()).with_errors(SpatialErrors(K, N, ring(K), lam))


@pytest.mark.parametrize("spent", ["full", "lean", "least"])
@pytest.mark.slow
def test_a_law_without_a_rank_is_searched_at_every_size(monkeypatch, spent):
    monkeypatch.setattr(module, "effort", lambda problem: spent)
    problem = spatial(60, 6)
    for n_starts in (None, 4):
        found = search(problem, 1, n_starts=n_starts)
        check_table(found)
        assert found.best.converged
        assert len(found.runs) == (n_starts or 2)
        assert not {"grow", "random Sigma"} & {run.start for run in found.runs}
