"""A small slice of the benchmarks: that they run, measure what they say, and can fail."""

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Import a script of benchmarks/ by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def test_simulated_systems_are_as_varied_as_the_requirement(load):
    systems = list(load("systems").simulated())
    assert len(systems) >= 20
    above = [s.Y.shape[1] > s.Y.shape[0] for s in systems]
    assert any(above)
    assert not all(above)
    assert {s.rank for s in systems} == {2, 3}
    for kind in ("independent", "collinear", "omitting"):
        for strength in ("strong", "weak"):
            assert any(s.name.startswith(f"{kind}, {strength}") for s in systems)


def test_collinear_regressors_share_components_and_omitting_equations_differ(load):
    systems = load("systems")
    rng = np.random.default_rng(1)
    blocks, _ = systems.collinear(rng, 4000, 6, 2)
    X = np.column_stack([block[:, 1:] for block in blocks])
    values = np.linalg.eigvalsh(np.corrcoef(X.T))
    assert values[-3:].sum() / values.sum() > 0.85
    blocks, _ = systems.omitting(rng, 50, 6, 2)
    common = np.unique(np.column_stack(blocks), axis=1)
    assert common.shape[1] == 5
    assert not np.array_equal(blocks[0], blocks[1])
    np.testing.assert_array_equal(blocks[0], blocks[4])


def test_real_systems_are_those_of_the_design(load):
    pytest.importorskip("linearmodels")
    shapes = {s.name: (s.Y.shape, s.blocks[0].shape[1]) for s in load("systems").real()}
    assert list(shapes.values()) == [((20, 11), 3), ((819, 30), 4), ((819, 30), 3), ((17, 48), 5)]


def test_restarts_have_the_variances_of_ols_and_are_asymmetric(load):
    script = load("global_optimum")
    system = script.chosen(quick=True)[0]
    problem = script.Problem(system.blocks, system.Y, script.ALSOptions())
    rng = np.random.default_rng(0)
    one, other = (script.random_start(problem, 2, rng).cov for _ in range(2))
    for cov in (one, other):
        share = 1.0 - cov.uniquenesses / problem.s_ols
        np.testing.assert_allclose(np.diag(cov.to_dense()), problem.s_ols, rtol=1e-12)
        assert 0.05 <= share.min() < 0.2
        assert 0.8 < share.max() <= 0.95
    assert np.abs(one.loadings - other.loadings).max() > 0.1


def test_no_restart_beats_the_default_on_small_systems(load, capsys):
    assert load("global_optimum").main(["--quick", "--restarts", "6"]) == 0
    out = capsys.readouterr().out
    assert out.count("| independent, strong, N=60 K=20 |") == 1
    assert out.count("| independent, strong, N=25 K=40 |") == 1
    assert out.count("| collinear, ") == 2
    assert "in 0 of 4 systems" in out


def test_a_lost_maximum_is_reported(load):
    script = load("global_optimum")
    rows = [{"system": "a", "rank": 1, "worse": 0.0}] * 18
    rows += [{"system": "b", "rank": 1, "worse": 2e-6}]
    name, rank, nll = script.FRENCH
    french = {"system": name, "rank": rank, "worse": 0.0, "default": nll}
    assert [ok for ok, _ in script.verdicts([*rows, french])] == [True, True]
    french["default"] = -75.1768156
    assert [ok for ok, _ in script.verdicts([*rows, *rows[-1:], french])] == [False, False]


@pytest.mark.parametrize("peer", ["ours", "default", "ols", "linearmodels", "alsgls"])
def test_every_peer_reports_a_likelihood_under_one_convention(load, peer):
    if peer in ("linearmodels", "alsgls"):
        pytest.importorskip(peer)
    script = load("compare_sur")
    row = script.measure(peer, 8, 60, 2, 1, seconds=0.0)
    ours = script.measure("ours", 8, 60, 2, 1, seconds=0.0)
    assert row["seconds"] > 0.0
    assert row["mb"] >= 0.0
    if "own_nll" in row:
        assert row["nll"] == pytest.approx(row["own_nll"], abs=1e-9)
    if peer == "ols":  # a diagonal Sigma
        assert row["nll"] > ours["nll"] + 0.1
    elif peer == "linearmodels":  # an unrestricted one
        assert row["nll"] < ours["nll"] - 0.01
    elif peer == "alsgls":  # the same model, stopped and ridged
        assert ours["nll"] <= row["nll"] + script.TOLERANCE
        assert row["nll"] == pytest.approx(ours["nll"], abs=1e-3)
    else:
        assert row["nll"] <= ours["nll"] + 1e-9


def test_a_worker_has_one_blas_thread_and_answers_in_json(load, monkeypatch):
    script = load("compare_sur")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    row = script.measure_apart("ols", 10)
    assert (row["peer"], row["K"]) == ("ols", 10)
    assert row["calls"] > 1
    assert "OPENBLAS_NUM_THREADS" in load("one_thread").VARIABLES


def test_verdicts_compare_in_the_right_direction(load):
    script = load("compare_sur")

    def rows(alsgls, ols, default, nll):
        times = {"ours": 1.0, "default": default, "alsgls": alsgls, "ols": ols}
        ours = {"ours": nll, "default": nll}
        return [
            {"K": 1000, "peer": peer, "seconds": t, "nll": ours.get(peer, 5.0)}
            for peer, t in times.items()
        ]

    assert all(ok for ok, _ in script.verdicts(rows(25.0, 0.5, 1.2, 5.0)))
    for bad in ((19.0, 0.5, 1.2, 5.0), (25.0, 0.3, 1.2, 5.0), (25.0, 0.5, 1.6, 5.0)):
        assert sum(not ok for ok, _ in script.verdicts(rows(*bad))) == 1
    assert sum(not ok for ok, _ in script.verdicts(rows(25.0, 0.5, 1.2, 5.0 + 2e-6))) == 2
    off = [{**row, "own_nll": row["nll"] + 1e-6} for row in rows(25.0, 0.5, 1.2, 5.0)]
    assert sum(not ok for ok, _ in script.verdicts(off)) == 1


def test_intervals_cover_what_they_say(load):
    """A slice of benchmarks/coverage.py: 60 replications, 1,200 slopes a cell.

    The standard error over replications is 0.006, so the band is three of them either way; the
    plug-in with normal quantiles lies below it.
    """
    coverage = load("coverage")
    out = coverage.cell(40, 10, 60, seed=5)
    error = out["default"].std() / np.sqrt(60)
    assert error < 0.01
    assert abs(out["default"].mean() - 0.945) < 3 * error
    assert out["plug-in"].mean() < out["default"].mean() - 0.015
    assert out["KH"].mean() >= out["default"].mean()


@pytest.mark.parametrize(
    ("rows", "cov_type", "kwds"),
    [
        ("heteroskedastic", "HC1", {}),
        ("clustered", "cluster", {"groups": np.arange(200) // 5}),
        ("autocorrelated", "HAC", {"maxlags": 12}),
    ],
)
def test_robust_errors_repair_what_the_model_gets_wrong(load, rows, cov_type, kwds):
    plain, robust = load("coverage").dependent_cell(rows, cov_type, kwds, reps=40, seed=6)
    # Differences within replications have a standard error of 0.02.
    assert (robust - plain).mean() > 0.04
    assert robust.mean() > 0.87
