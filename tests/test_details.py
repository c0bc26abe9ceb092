"""Details that a user would miss and no other test looks at: each found by mutating its line."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core.beta.robust import WorkingCovariance
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.restricted import InconsistentRestrictionsError, RestrictedDesign
from sm_alsgls.core.errors.complete import CompleteErrors
from sm_alsgls.core.maximise.em import em_search
from sm_alsgls.core.maximise.search import _off_a_saddle
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.core.rows.joint_rows import fewest_joint_rows
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.checks import fit as checks
from sm_alsgls.results.nested import same_cells
from tests.systems import simulate

N, K, R = 40, 4, 1


@pytest.fixture(scope="module")
def system():
    X, Y, _ = simulate(N, K, 3, R, seed=1)
    return X, Y


@pytest.fixture(scope="module")
def res(system):
    X, Y = system
    return LowRankSUR(Y, X, rank=R).fit()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_step_off_a_saddle_moves_everything_the_same_way(sign):
    rng = np.random.default_rng(0)
    cov = LowRankDiag.from_factors(rng.standard_normal((3, 1)), np.ones(3))
    best = SimpleNamespace(cov=cov, gamma=rng.standard_normal(5))
    way = SimpleNamespace(
        gamma=4.0 * rng.standard_normal(5), F=rng.standard_normal((3, 1)), x=rng.standard_normal(3)
    )
    problem = SimpleNamespace(floor=np.full(3, 1e-8), errors=CompleteErrors(3, 50))
    start = _off_a_saddle(problem, best, way, sign)
    moved = start.gamma - best.gamma
    np.testing.assert_allclose(moved, sign * way.gamma / np.abs(way.gamma).max())
    dF = (start.near.loadings - cov.loadings)[:, 0]
    assert dF @ way.F[:, 0] * sign > 0
    assert np.log(start.near.uniquenesses) @ way.x * sign > 0


@pytest.mark.slow
def test_ems_table_of_starts(system):
    X, Y = system
    steps = []
    problem = Problem(X, Y, ALSOptions(max_sweeps=20_000))
    found = em_search(problem, R, n_starts=3, rng=np.random.default_rng(1), callback=steps.append)
    assert len(found.runs) == 3
    assert sum(run.sweeps for run in found.runs) == sum(step.sweep > 0 for step in steps)
    for run in found.runs:
        assert run.gap == run.nll - found.best.nll >= 0.0
    assert min(run.gap for run in found.runs) == 0.0


@pytest.mark.parametrize(
    ("tried", "reached", "verdict"), [(4, 1, "ok"), (5, 1, "look"), (5, 2, "ok"), (1, 1, "ok")]
)
def test_a_maximum_that_one_start_alone_found_is_doubtful(tried, reached, verdict):
    retvals = {
        "starts": range(tried),
        "starts_at_best": reached,
        "message": "converged",
        "gradient_d": 1e-8,
        "score_beta": 1e-8,
    }
    maximum = SimpleNamespace(retvals=lambda: retvals, converged=True)
    got = checks.convergence(SimpleNamespace(moments=None, likelihood=maximum))
    assert verdict in got


def test_what_two_equations_have_can_be_equal(system):
    """Of a term's columns those of one equation alone are left out, those of two are compared."""
    data = pd.DataFrame(system[1], columns=list("abcd"))
    data["g"] = np.tile(list("uvwx"), 10)
    formulas = {"a": "a ~ C(g)", "b": "b ~ C(g)", "c": "c ~ 0 + C(g)"}
    fit = LowRankSUR.from_formula(formulas, data, rank=0).fit()
    got = fit.test_across("C(g)", null="equal")
    names = fit.model.exog_names
    shared = [n[2:] for n in names if n.startswith("a_C(g)")]
    assert got.df_denom == len(shared) or got.df_num == len(shared)
    rows = np.zeros((len(shared), len(names)))
    for row, name in zip(rows, shared, strict=True):
        row[names.index(f"a_{name}")], row[names.index(f"b_{name}")] = -1.0, 1.0
    expected = fit.wald_test(rows, scalar=True)
    assert got.statistic == pytest.approx(float(expected.statistic), rel=1e-9)


def test_the_same_cells_have_the_same_masks_and_weights():
    mask, weights = np.ones((3, 2), dtype=bool), np.array([0.5, 1.0, 1.5])
    other = mask.copy()
    other[0, 0] = False
    assert same_cells(Cells(3, 2), Cells(3, 2))
    assert same_cells(Cells(3, 2, mask, weights), Cells(3, 2, mask.copy(), weights.copy()))
    assert not same_cells(Cells(3, 2, mask), Cells(3, 2))
    assert not same_cells(Cells(3, 2), Cells(3, 2, None, weights))
    assert not same_cells(Cells(3, 2, mask), Cells(3, 2, other))
    assert not same_cells(Cells(3, 2, mask, weights), Cells(3, 2, mask, weights[::-1]))


class TestPlots:
    @pytest.fixture(autouse=True)
    def closed(self):
        plt = pytest.importorskip("matplotlib.pyplot")
        yield
        plt.close("all")

    @pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
    def test_a_wrong_level_is_named_before_anything_else(self, res, alpha):
        with pytest.raises(OptionError, match="alpha"):
            res.plot_coefficients("no such variable", alpha=alpha)

    def test_the_legend_says_the_level(self, res):
        ax = res.plot_fit("y2", alpha=0.1)
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert "90% interval of the mean" in labels


def test_the_summary_of_an_equation_ends_with_notes(res):
    text = res.equations["y2"].summary().as_text()
    assert "[1] Standard errors" in text
    assert "Communality is the share of an equation's error variance" in text


def test_a_covariance_is_an_array_on_demand(system, res):
    problem = res.estimate.sample.problem
    W = res.sigma.solve(res.estimate.sample.E)
    V = WorkingCovariance(problem.covariance(res.sigma), W, N, np.ones(problem.design.P))
    np.testing.assert_array_equal(np.asarray(V), V.dense())
    assert np.asarray(V).shape == (problem.design.P, problem.design.P)


@pytest.mark.parametrize(
    ("q", "contradictory"),
    [
        ((1.0, 1.0), False),
        ((1.0, 1.0 + 1e-10), False),
        ((1.0, 1.0 + 1e-6), True),
        ((1e6, 1e6 + 1e-4), False),  # rounding of what is itself large
        ((-1e6, -1e6 - 1e-4), False),
        ((1e6, 1e6 + 10.0), True),
        ((0.0, 1e-6), True),
    ],
)
def test_a_repeated_restriction_contradicts_beyond_rounding(system, q, contradictory):
    X, _ = system
    design = Design([np.linalg.qr(x)[0] for x in X])
    restrictions = np.zeros((2, design.P))
    restrictions[:, 2] = 1.0
    with pytest.raises(InconsistentRestrictionsError) as caught:
        RestrictedDesign(design, restrictions, np.array(q))
    assert caught.value.contradictory is contradictory


def test_joint_rows_matter_between_no_factor_and_as_many_as_equations():
    mask = np.ones((40, 3), dtype=bool)
    mask[:19, 0] = mask[20:, 1] = False  # the first two meet in one row
    patterns, p = Patterns(mask), np.array([2, 2, 2])
    assert fewest_joint_rows(patterns, 0, p) is None
    assert fewest_joint_rows(patterns, 1, p) is not None
    assert fewest_joint_rows(patterns, 2, p) is not None
    assert fewest_joint_rows(patterns, 3, p) is None
    mask[2:, 2] = False  # of one equation alone, whose own regressors fit its two rows
    assert fewest_joint_rows(Patterns(mask), 0, p) is None
