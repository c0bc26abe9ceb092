"""A small slice of the benchmarks: that they run, measure what they say, and can fail."""

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
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
    name, rank, nll = script.FRENCH
    french = {"system": name, "rank": rank, "worse": 0.0, "default": nll}
    assert [ok for ok, _ in script.verdicts([*rows, french])] == [True, True]
    french["default"] = -75.1768156
    lost = {"system": "b", "rank": 1, "worse": 2e-6}
    assert [ok for ok, _ in script.verdicts([*rows, lost, french])] == [False, False]


def test_treacherous_systems_are_what_they_say(load):
    pytest.importorskip("linearmodels")
    every = list(load("treacherous").treacherous())
    shapes = {s.name: (*s.Y.shape, s.blocks[0].shape[1]) for s in every}
    assert shapes["macro growth, VAR(5)"] == (197, 9, 46)
    assert shapes["macro levels, VAR(1)"] == (202, 9, 10)
    assert shapes["Holzinger, omitted"] == (301, 9, 4)
    assert shapes["wages, own regressors"] == (545, 8, 7)
    assert shapes["Cigar, 46 states"] == (30, 46, 4)
    assert shapes["Munnell, draw 4 of 15"] == (17, 15, 5)
    assert all(np.isfinite(s.Y).all() and np.isfinite(s.blocks[0]).all() for s in every)


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
    row = script.measure_apart("ols", 10, seconds=0.1)
    assert (row["peer"], row["K"]) == ("ols", 10)
    assert row["calls"] > 1
    assert row["input_mb"] == 8 * 100 * 10 * 4 / 1e6
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

    assert all(ok for ok, _ in script.verdicts(rows(45.0, 0.9, 1.2, 5.0)))
    for bad in ((39.0, 0.9, 1.2, 5.0), (45.0, 0.8, 1.2, 5.0), (45.0, 0.9, 1.6, 5.0)):
        assert sum(not ok for ok, _ in script.verdicts(rows(*bad))) == 1
    assert sum(not ok for ok, _ in script.verdicts(rows(45.0, 0.9, 1.2, 5.0 + 2e-6))) == 2
    off = [{**row, "own_nll": row["nll"] + 1e-6} for row in rows(45.0, 0.9, 1.2, 5.0)]
    assert sum(not ok for ok, _ in script.verdicts(off)) == 1


def test_the_largest_size_has_bounds_of_its_own(load):
    script = load("compare_sur")

    def found(seconds, mb, before=1.0):
        rows = [
            {"K": 1000, "peer": "ours", "seconds": before, "nll": 5.0, "mb": 1.0, "input_mb": 1.0},
            {"K": 10000, "peer": "ours", "seconds": seconds, "nll": 5.0, "mb": mb, "input_mb": 1.0},
        ]
        return [ok for ok, _ in script.verdicts(rows)]

    assert all(found(7.9, 1.49))
    for bad in ((8.1, 1.49), (7.9, 1.51), (7.9, 1.49, 0.5)):
        assert found(*bad).count(False) == 1


def test_a_peer_that_is_skipped_or_fails_leaves_its_reason(load, monkeypatch, tmp_path):
    script = load("compare_sur")
    assert "32 GB" in script.skipped("linearmodels", 1000)
    assert "--all" in script.skipped("alsgls", 10000)
    assert not script.skipped("alsgls", 10000, everything=True)
    assert not script.skipped("linearmodels", 300)
    asked = []

    def measured(peer, K, seconds=1.0, backend="rss"):
        asked.append((peer, K, backend))
        if peer == "alsgls":
            raise RuntimeError("alsgls failed at K=300:\nTraceback\nMemoryError: no room")
        if backend != "rss":
            return {"mb": 3.0, "backend": backend}
        shape = {"seconds": K / 1e3, "mb": 2.0, "backend": "rss", "input_mb": 1.0}
        return {"peer": peer, "K": K, "nll": 1.0, **shape}

    monkeypatch.setattr(script, "measure_apart", measured)
    rows = script.run([300, 1000], 2, "memray")
    assert asked.count(("ours", 300, "rss")) == 2
    assert asked.count(("ours", 300, "memray")) == 1
    # A failure is not tried again.
    assert asked.count(("alsgls", 300, "rss")) == 1
    assert {row["mb"] for row in rows if "mb" in row} == {3.0}
    text = script.table(rows)
    assert "| alsgls | failed: MemoryError: no room |" in text
    assert "not run: 2 dense arrays of 32 GB" in text
    bad = [line for ok, line in script.verdicts(rows) if not ok]
    assert "K=300: alsgls failed: MemoryError: no room" in bad
    pytest.importorskip("matplotlib")
    script.plot(rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("backend", ["tracemalloc", "memray"])
def test_memory_is_that_of_the_fit(load, backend):
    if backend == "memray":
        pytest.importorskip(backend)
    script = load("compare_sur")
    # The bases are a copy of the designs, 0.75 of the input; a dense P x P alone would be 16 of it.
    rows = [script.memory("ours", 160, 60, 4, 1, backend) for _ in range(3)]
    given = 8 * 60 * 160 * 5 / 1e6
    assert {row["backend"] for row in rows} == {backend}
    # Other threads of this process can only add to one of them.
    assert 0.75 * given < min(row["mb"] for row in rows) < 8 * given


def test_a_missing_option_names_its_package(load, monkeypatch):
    script = load("compare_sur")
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="needs memray: pip install memray"):
        script.main(["--memory-backend", "memray"])
    with pytest.raises(SystemExit, match="needs matplotlib: pip install matplotlib"):
        script.main(["--plot", "a.png"])


def test_nll_without_a_dense_sigma_is_the_same(load, monkeypatch):
    script = load("compare_sur")
    dense = script.measure("ours", 8, 60, 2, 1, seconds=0.0)["nll"]
    monkeypatch.setattr(script, "_DENSE", 4)
    assert script.measure("ours", 8, 60, 2, 1, seconds=0.0)["nll"] == pytest.approx(
        dense, rel=1e-13
    )


def test_kernels_of_a_fit_are_timed_beside_what_the_machine_does(load):
    found = load("growth").kernels(40, 1)
    assert found["read"] > 0.1
    assert found["gemm"] > 0.1
    for name in ("bases", "H g", "score", "S W"):
        assert 0.0 < found[name]["GB/s"] < 100 * found["read"]
        assert 0.0 < found[name]["GF"] < 2 * found["gemm"]


def test_everyday_fits_are_taken_apart_beside_their_peers(load):
    pytest.importorskip("linearmodels")
    script = load("search_cost")
    names = [name for name, _ in script.everyday()]
    assert names == [
        "N=20, K=5, p=3",
        "N=60, K=20, p=3",
        "Grunfeld, 11 firms",
        "Munnell, 48 states",
    ]
    rank, seconds = script.parts(script.everyday()[0][1], 2)
    assert rank == 1
    assert all(value > 0.0 for value in seconds.values())
    assert seconds["model, rank given"] < seconds["model"] < seconds["model and fit"]
    assert seconds["loop of OLS"] < seconds["linearmodels"]


def test_an_earlier_checkout_is_what_is_timed(load, tmp_path):
    script = load("then_and_now")
    rng = np.random.default_rng(0)
    arrays = tmp_path / "arrays.npz"
    np.savez(
        arrays, few_Y=rng.standard_normal((30, 2)), few_0=np.ones((30, 1)), few_1=np.ones((30, 1))
    )
    (tmp_path / "sm_alsgls").mkdir()
    (tmp_path / "sm_alsgls" / "__init__.py").write_text(
        "class LowRankSUR:\n"
        "    def __init__(self, Y, X, **kwargs):\n"
        "        self.given = len(X), kwargs\n"
        "    def fit(self, **kwargs):\n"
        "        assert (*self.given, kwargs) == (2, {'rank': 0}, {'n_starts': 1})\n"
        "        sum(range(4_000_000))\n"
    )
    with script.Version(tmp_path, arrays) as then, script.Version(script.HERE, arrays) as now:
        # The other package adds up for longer than two fits of nothing take.
        assert then.seconds("few", 0, 1) > now.seconds("few", "ols", 1) > 0.0
        assert now.seconds("few", "auto", "auto") > 0.0
    empty = tmp_path / "empty"
    empty.mkdir()
    with (
        script.Version(empty, arrays) as version,
        pytest.raises(RuntimeError, match="empty have ended"),
    ):
        version.seconds("few", 0, 1)


def test_als_and_em_are_compared_on_the_same_draws(load, monkeypatch):
    script = load("compare_als_vs_em")
    names = script.available(peer=False)
    drawn = script.replicate(10, 2, names)
    assert list(drawn) == ["als", "em"]
    for fit in drawn.values():
        assert len(fit["rmse"]) == 2
        assert 0.0 < min(fit["rmse"]) < max(fit["rmse"]) < 0.1
    # Six sweeps are nearly there, 45 iterations are not, and RMSE does not notice.
    assert max(drawn["als"]["short"]) < min(drawn["em"]["short"])
    np.testing.assert_allclose(drawn["als"]["rmse"], drawn["em"]["rmse"], rtol=0.02)
    test = script.paired(drawn["em"]["rmse"], drawn["als"]["rmse"])
    gap = np.subtract(drawn["em"]["rmse"], drawn["als"]["rmse"])
    assert test["difference"] == pytest.approx(gap.mean())
    assert 0.0 <= test["p"] <= 1.0
    # What threads of this process allocate meanwhile would be counted too.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    used = script.memory_apart("em", 10)
    assert used["arrays_mb"] > used["iterations_mb"] > 0.0


def test_intervals_cover_what_they_say(load):
    """A slice of benchmarks/coverage.py: 36 replications, 720 slopes a cell.

    The standard error over replications is 0.008, so the band is three of them either way; the
    plug-in with normal quantiles lies below it.
    """
    coverage = load("coverage")
    out = coverage.cell(40, 10, 36, seed=5)
    error = out["default"].std() / np.sqrt(36)
    assert error < 0.01
    assert abs(out["default"].mean() - 0.945) < 3 * error
    assert out["plug-in"].mean() < out["default"].mean() - 0.015
    # The default has Kackar and Harville's correction in closed form.
    assert abs(out["KH"].mean() - out["default"].mean()) < 0.004


def test_coverage_after_the_rank_was_chosen(load, capsys, monkeypatch):
    coverage = load("coverage")
    out = coverage.selected_cell(40, 10, 12, seed=5)
    assert list(out) == ["2", "auto", "bic_ols", "bic"]
    assert (out["2"][:, 1] == 2).all()
    assert set(out["bic_ols"][:, 1]) <= {0, 1, 2, 3}
    # Where a rule chose the true rank the intervals are the same.
    same = out["bic_ols"][:, 1] == 2
    assert same.sum() > 6
    np.testing.assert_array_equal(out["bic_ols"][same, 0], out["2"][same, 0])
    assert coverage.tally(np.array([2.0, 1.0, 2.0, 2.0])) == "1: 0.25, 2: 0.75"
    monkeypatch.setattr(coverage, "CELLS", [(40, 10), (60, 8)])
    status = coverage.main(["--only", "selected", "--reps", "3"])
    text = capsys.readouterr().out
    assert '| rank=2 | rank="auto" | rank="bic_ols" | rank="bic" |' in text
    assert text.count("auto loses") == 2
    assert status == int("FAIL" in text)


@pytest.mark.parametrize(("cell", "reps"), [((20, 10, 2, 0.0), 30), ((30, 8, 1, 0.2), 15)])
def test_small_samples_cover(load, cell, reps):
    """A slice of docs/measured/coverage.md: a third of the gap to the maximum would be noise."""
    out = load("coverage").small_cell(*cell, reps, 6)
    mean = {name: x.mean() for name, x in out.items()}
    error = out["default"].std() / np.sqrt(reps)
    assert abs(mean["default"] - 0.95) < 3 * error + 0.01
    assert mean["default"] > mean["at the maximum"] > mean["plug-in"]
    assert mean["constants"] > 0.93


def test_unrestricted_sur_covers_less_with_many_equations(load, capsys):
    kept = {}
    verdicts = load("coverage").unrestricted(1, kept, N=60, sizes=(25,), least=10)
    assert capsys.readouterr().out.count("| 60, 25 |") == len(verdicts) == 2
    for found in kept.values():
        theirs, ours = np.mean(found["share"], axis=0)
        # Slopes of 10 draws: .95 with a standard error of .01.
        assert theirs < 0.85
        assert 0.92 < ours < 0.98
        theirs, ours = np.mean(found["error"], axis=0)
        assert ours < theirs < 1.0


def test_coverage_of_small_samples_prints_its_table(load, capsys):
    coverage = load("coverage")
    kept = {}
    verdicts = coverage.small([(20, 5, 1, 0.0)], 10, kept)
    assert "| 20, 5, 1, 0% |" in capsys.readouterr().out
    assert len(verdicts) == len(kept) == 1


def test_default_rank(load, capsys):
    """A slice of docs/measured/ranks.md."""
    script = load("default_rank")
    found = script.rank_cell(100, 20, "Gaussian", 2, 1)
    assert {0, 6} <= set(found[:, 0])
    strong = found[found[:, 1] == 0]
    assert (strong[:, 0] == strong[:, 2]).mean() > 0.9
    heavy = script.rank_cell(100, 20, "t(3)", 2, 1)
    assert (heavy[:, 2] > heavy[:, 0]).mean() > 0.3
    assert (heavy[:, 4] > heavy[:, 0]).mean() < 0.05
    assert (heavy[:, 3] >= heavy[:, 2]).all()
    cell = script.slopes_cell(20, 10, "AR .9", 3, 77)
    # Correlated errors: slopes of rank 2 are more precise than those of OLS.
    assert cell[:, 2, 2].mean() < 0.8 * cell[:, 2, 0].mean()
    assert (script.picks(cell, 1) <= 1).all()
    script.slopes_tables({(20, 10, "AR .9"): cell})
    text = capsys.readouterr().out
    assert text.count("\n| ") == 2 + 6
    assert "| none below 4 |" in text


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


def test_missing_cells_script_measures_what_it_says(load, monkeypatch):
    script = load("missing")
    rng = np.random.default_rng(0)
    X, Y, _ = script.draw(rng, 4000)
    for kind, share in script.CASES:
        holes = script.hide(Y, kind, share, rng)
        assert not np.isnan(holes[:, 0]).any()
        assert np.isnan(holes[:, 1:]).mean() == pytest.approx(share, abs=0.02)
        high = Y[:, 0] > np.median(Y[:, 0])
        more = np.isnan(holes[high, 1:]).mean() - np.isnan(holes[~high, 1:]).mean()
        assert (more > 0.1) == (kind == "MAR")
    assert script.estimates("listwise SUR", X, script.hide(Y, "MCAR", 1.0, rng)) is None
    monkeypatch.setattr(script, "CASES", [("MCAR", 0.3), ("MAR", 0.3)])
    rows = script.accuracy(12)
    table = {(row["holes"], row["fit"]): row for row in rows}
    for holes in ("MCAR 30%", "MAR 30%"):
        fiml, drop = table[holes, "fiml"], table[holes, "listwise low rank"]
        assert fiml["RMSE"] < 0.7 * drop["RMSE"]
    biased, right = table["MAR 30%", "OLS, own rows"], table["MAR 30%", "fiml"]
    assert biased["bias of constants"] < -0.1
    assert abs(right["bias of constants"]) < 3.5 * right["bias se"]
    assert script.table(rows).count("\n") == 9


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")
def test_hidden_returns_are_closer_given_the_rest_of_the_row(load):
    pytest.importorskip("linearmodels")
    script = load("missing")
    (row,) = script.french(1, factors=False, rows=240)
    assert row["RMSE, conditional"] < 0.6 * row["RMSE, unconditional"]
    assert 0.92 < row["coverage, conditional"] < 0.97
    (row,) = script.french(1, factors=True, rows=240)
    assert row["RMSE, conditional"] < 0.98 * row["RMSE, unconditional"]
    (row,) = script.grunfeld(1)
    assert row["cells"] < 0.95
    assert row["distance, fiml"] < row["distance, years of all"]


class TestJointTests:
    """A slice of benchmarks/joint_tests.py; the whole table is in docs/measured/tests.md."""

    def test_alphas_of_equal_designs(self, load):
        found = load("joint_tests").alphas(60, 25, "AR", 1, reps=24, seed=1)
        size = {name: np.mean(np.array(p) < 0.05) for name, p in found.items()}
        # 3 and more Monte Carlo errors of .045 above the nominal size are a fault.
        for name in ("default", "sandwich", "HC1", "grs_test"):
            assert size[name] < 0.185
        assert size["sandwich, plain F"] > 0.3
        assert size["HC1, plain F"] > 0.3

    def test_few_clusters(self, load):
        cell = load("joint_tests").slopes
        found = cell(40, 10, 5, reps=20, seed=1, cov_type="cluster", per_group=4)
        # 3 Monte Carlo errors of .049 above the nominal size.
        assert np.mean(np.array(found["CR2"]) < 0.05) < 0.2
        assert np.mean(np.array(found["CR1, plain F"]) < 0.05) > 0.25
        better = np.array(found["coverage CR2"]) - found["coverage CR1, df of before"]
        assert better.mean() > 0.015
        assert np.mean(found["coverage CR2"]) > 0.91


class TestInstruments:
    """A slice of benchmarks/instruments.py; whole tables are in docs/measured/instruments.md."""

    pytestmark = pytest.mark.filterwarnings("ignore")

    def test_the_system_has_the_first_stage_that_it_says(self, load):
        script = load("instrumented")
        s = script.draw(4000, 10, np.random.default_rng(0))
        for j, (x, z) in enumerate(zip(s.X, s.Z, strict=True)):
            np.testing.assert_array_equal(x[:, :2], z[:, :2])
            assert z.shape[1] == 4 + j % 2
            slopes = np.linalg.lstsq(z, x[:, script.FITTED], rcond=None)[0]
            np.testing.assert_allclose(slopes, [0, 0] + [script.STRONG] * (2 + j % 2), atol=0.1)
            e = s.Y[:, j] - x.sum(axis=1) * script.TRUE
            v = x[:, script.FITTED] - z @ slopes
            assert np.corrcoef(e, v)[0, 1] == pytest.approx(script.ENDOGENEITY, abs=0.05)
            assert np.abs(np.corrcoef(e, z[:, 2])[0, 1]) < 0.06

    def test_consistency(self, load, capsys):
        pytest.importorskip("linearmodels")
        verdicts = load("instruments").consistency(20_000, seed=1)
        assert [ok for ok, _ in verdicts] == [True] * 3
        row = next(r for r in capsys.readouterr().out.splitlines() if r.startswith("| IV3SLS"))
        assert float(row.split("|")[4]) > 50  # standard errors from the truth

    def test_accuracy(self, load):
        pytest.importorskip("linearmodels")
        script = load("instruments")
        out = script.replicate(lambda rep: script.accuracy_of(100, 20, rep), 6, 1)
        mse, coverage = ({name: x[:, i].mean() for name, x in out.items()} for i in (0, 1))
        assert mse["low-rank IV"] < 0.6 * mse["2SLS"]
        # The same estimator but for Sigma.
        assert mse["low-rank GMM"] == pytest.approx(mse["IVSystemGMM"], rel=0.1)
        assert coverage["low-rank IV"] > 0.9
        assert coverage["IV3SLS"] < 0.9

    def test_j(self, load):
        pytest.importorskip("linearmodels")
        script = load("instruments")
        out = script.replicate(lambda rep: script.j_of(100, 10, rep), 6, 1)
        assert out["low-rank"][:, 0].mean() == pytest.approx(1.0, abs=0.35)
        np.testing.assert_allclose(out["low-rank"], out["IVSystemGMM"], rtol=0.15)

    def test_weak_instruments_are_weak(self, load):
        script = load("instruments")
        out = script.replicate(lambda rep: script.weak_of(100, 6, rep), 4, 1)
        assert 1.5 < out["first-stage F"][:, 0].mean() < 6.0
        # 24 tests of 5 %.
        assert out["Anderson-Rubin"][:, 1].mean() > 0.8
        assert out["Wald, 2sls"][:, 0].mean() > 0.0

    def test_a_job_of_speed(self, load):
        pytest.importorskip("linearmodels")
        script = load("instruments")
        for who in ("ours", "peer", "default"):
            row = script.timed(f"{who} 60 8 1")
            assert 0.0 < row["fit"] <= row["all"]
            # Linux counts pages thread by thread, and is some of them off: -.03 was seen.
            assert -1.0 < row["memory"] < 100.0


class TestSpatial:
    @pytest.fixture(autouse=True)
    def few_regions(self, load, monkeypatch):
        monkeypatch.setattr(load("spatial"), "SIDE", 6)

    def test_factors_are_worth_their_while(self, load, capsys):
        draws = load("spatial").run("error", 3, None)
        found = draws.rows()
        assert found["slopes, factors"]["rmse"] < 0.04
        assert found["spatial_error, factors"]["rmse"] < 0.1
        ends = found["spatial_error, factors, law_intervals()"]
        assert ends["rmse"] == found["spatial_error, factors"]["rmse"]
        assert "spatial error, 36 regions" in capsys.readouterr().out
        assert not draws.failed

    def test_without_space_nothing_is_found(self, load, tmp_path):
        found = load("spatial").run("size", 3, tmp_path).rejections(0.001)
        assert {name: share for name, (share, _, _) in found.items()} == {
            "spatial_error, likelihood ratio": 0.0, "spatial_lag, likelihood ratio": 0.0,
        }  # fmt: skip
        assert (tmp_path / "spatial_size.json").exists()


class TestPanelLaws:
    def test_laws_are_worth_their_while(self, load, capsys):
        draws = load("panel_laws").main(
            ["ar", "--periods", "30", "--units", "8", "--draws", "3"]
        )  # fmt: skip
        rows = draws.rows()
        assert rows["rank=1, ar='entity'"]["rmse"] < 0.8 * rows["OLS, cov_type='pcse'"]["rmse"]
        assert rows["GLS, everything known"]["rmse"] < rows["OLS, cov_type='pcse'"]["rmse"]
        assert "| rank=1, ar='common' | 0." in capsys.readouterr().out
        assert draws.rejections()["score, size"][0] < 1.0

    def test_a_scale_is_found(self, load):
        rows = load("panel_laws").main(
            ["scale", "--periods", "60", "--units", "6", "--draws", "3"]
        ).rows()  # fmt: skip
        assert rows["delta"]["rmse"] < 0.3
        assert rows["slopes, row_scale='~ z'"]["rmse"] < rows["slopes, no law"]["rmse"]

    def test_coverage_counts_draws_and_not_slopes(self, load):
        """Two draws of two slopes: one draw covered, one not."""
        draws = load("law_table").Draws()
        draws.add("b", [1.0, 1.0], [0.5, 0.5], [1.5, 1.5], 1.0)
        draws.add("b", [3.0, 2.0], [2.5, 1.5], [3.5, 2.5], 1.0)
        row = draws.rows()["b"]
        assert row["coverage"] == 0.5
        assert row["coverage se"] == pytest.approx(0.5 / np.sqrt(2.0))
        assert row["rmse"] == pytest.approx(np.sqrt(5.0 / 4.0))
        assert row["bias"] == 0.75


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")
def test_a_small_slice_of_the_speed_of_panels(load, monkeypatch):
    script = load("panel_speed")
    taken = script.seconds
    monkeypatch.setattr(script, "seconds", lambda run, runs=3: taken(run, 1))
    found = script.autoregressive((40, 5), (40, 12)) | script.spatial(4, 30)
    found |= script.random_effects(4, 30)
    assert len(found) >= 11
    assert all(value >= 0.0 for value in found.values())


class TestPeersOfPanels:
    """Peers are asked in processes of their own; those that are not there are left out."""

    def test_what_they_answer_is_told(self, load, tmp_path):
        script, peer = load("panel_speed"), tmp_path / "python"
        peer.write_text('#!/bin/sh\necho \'{"version": "0", "seconds": {"spreg X": 0.5}}\'\n')
        peer.chmod(0o755)
        found = script.of_spreg(np.zeros((2, 4)), np.zeros((2, 4, 3)), *self._regions(peer))
        assert found == {"the same, spreg 0 X": 0.5}
        peer.write_text("#!/bin/sh\necho 2.6 0.25\n")
        frame = script.long_frame(np.zeros((2, 3)))
        assert script.of_plm("pggls", frame, "pggls", str(peer)) == {
            "the same, plm 2.6 pggls": 0.25
        }

    def test_those_that_fail_are_said(self, load, tmp_path, capsys):
        script, peer = load("panel_speed"), tmp_path / "python"
        frame = script.long_frame(np.zeros((2, 3)))
        assert script.of_plm("random", frame, "random", None) == {}
        assert script.of_plm("random", frame, "random", str(peer)) == {}
        peer.write_text("#!/bin/sh\necho no such module >&2\nexit 1\n")
        peer.chmod(0o755)
        shapes = np.zeros((2, 4)), np.zeros((2, 4, 3))
        assert script.of_spreg(*shapes, *self._regions(peer)) == {}
        said = capsys.readouterr().err
        assert said.count("no ") >= 3
        assert "no such module" in said

    @staticmethod
    def _regions(peer):
        from spatial import lattice

        return lattice(2), str(peer), 2


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")
def test_a_small_slice_of_sizes_of_no_ar(load, capsys):
    found = load("ar_sizes").main(
        ["--draws", "2", "--power-draws", "2", "--periods", "30", "--units", "8", "--rho", "0.7"]
    )
    assert [row[1] for row in found[0.7]] == [1.0] * 5
    assert "rho = 0: 30 periods, 8 units, 2 draws" in capsys.readouterr().out


class TestMixedCoverage:
    def test_intervals_of_few_groups(self, load):
        """Normal intervals are short with 8 groups, those with degrees of freedom are not."""
        script = load("mixed_coverage")
        rows = script.table(script.run(8, "strong", 10, ranks=("rank 2",), processes=1))
        known, z, satterthwaite, kenward_roger = (
            rows[key]["slopes"]
            for key in ("G known/z", "rank 2/z", "rank 2/Satterthwaite", "rank 2/Kenward-Roger")
        )
        assert known["length"] == 1.0
        assert z["coverage"] < kenward_roger["coverage"]
        assert 1.15 * z["length"] < satterthwaite["length"] < 1.1 * kenward_roger["length"]
        assert abs(kenward_roger["coverage"] - 0.95) < 4.0 * kenward_roger["se"]
        assert rows["rank 2/Kenward-Roger"]["g"]["df"] < 12.0

    def test_the_truth_has_the_rank_it_says(self, load):
        script = load("mixed_coverage")
        left = script.truth("weak") - 0.1 * np.diag(script.UNIQUENESSES)
        assert np.linalg.matrix_rank(left) == 2

    @pytest.mark.parametrize("law", ["none", "levels", "ar", "both"])
    def test_known_covariances_give_gls(self, load, law):
        """Of one draw, by the whole matrix."""
        script = load("mixed_coverage")
        y, X, Z, groups = script.draw(np.random.default_rng(0), 6, "strong", law)
        b, se = script.known(y, X, Z, groups, "strong", law)
        same = groups[:, None] == groups
        t = np.concatenate([np.arange(n) for n in np.bincount(groups)])
        of = script.LAWS[law]
        R = 0.6 ** np.abs(t[:, None] - t) if "ar" in of else np.eye(len(y))
        scale = np.where(t % 2, 2.0, 1.0) if "residual" in of else np.ones(len(y))
        R = R * np.outer(scale, scale)
        V = np.where(same, Z @ script.truth("strong") @ Z.T + R, 0.0)
        cov = np.linalg.inv(X.T @ np.linalg.solve(V, X))
        np.testing.assert_allclose(b, cov @ X.T @ np.linalg.solve(V, y))
        np.testing.assert_allclose(se, np.sqrt(np.diagonal(cov)))

    def test_models_are_told_the_law_of_residuals(self, load):
        script = load("mixed_coverage")
        rows, failed = script.one(0, 0, 20, "strong", ("rank 1",), "both")
        assert rows["rank 1/Kenward-Roger"]["g"][2] < 25.0
        assert not failed

    def test_sizes_of_variance_tests(self, load, capsys):
        given = ["--groups", "12", "--draws", "5", "--processes", "1"]
        found = load("mixed_variance_size").main(given)
        assert all(share["test"][0] <= 0.4 for share in found.values())
        assert len(found) == 3
        assert "| no random slope | 12 | 5 |" in capsys.readouterr().out

    def test_rejections_of_a_bootstrap_are_by_all_its_draws(self, load):
        """Statistics 0 to 99 among draws 0 to 99: as many are rejected as the level says."""
        rows = [(float(k), np.nan, 1, float(99 - k)) for k in range(100)]
        found = load("mixed_variance_size").rejections(rows, 0.1)
        assert found["test"][0] == pytest.approx(0.1, abs=0.011)
        assert found["chi2"][0] > 0.9


class TestMixedBootstrap:
    def test_the_largest_of_39_is_the_end_of_95_percent(self, load):
        """Of 39 draws two and a half percent are beyond each end: one in 40."""
        quantile = load("mixed_bootstrap").quantile
        draws = np.random.default_rng(0).permutation(np.arange(1.0, 40.0))[:, None]
        assert [float(quantile(draws, share)[0]) for share in (0.025, 0.95, 0.975)] == [1, 38, 39]

    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")
    def test_intervals_are_about_the_estimate(self, load):
        """Basic intervals are percentile ones turned over, t ones are symmetric."""
        y, X, Z, groups = load("mixed_coverage").draw(np.random.default_rng(0), 12, "strong")
        script = load("mixed_bootstrap")
        fit = script.LowRankMixedLM(y, X, groups, exog_re=Z, rank=1).fit().estimate.fit
        ends = script.intervals(fit, 4, np.random.default_rng(0))
        np.testing.assert_allclose(ends["basic"][0], 2.0 * fit.b - ends["percentile"][1])
        for name in ("Kenward-Roger", "t", "t, Kenward-Roger"):
            np.testing.assert_allclose(0.5 * (ends[name][0] + ends[name][1]), fit.b)
        moves = script.replicates(fit, 4, np.random.default_rng(0))[0]
        assert (
            (fit.b + moves >= ends["percentile"][0]) & (fit.b + moves <= ends["percentile"][1])
        ).all()

    def test_a_slice(self, load, capsys):
        given = [
            "--groups",
            "12",
            "--draws",
            "1",
            "--reps",
            "2",
            "--ranks",
            "1",
            "--processes",
            "1",
        ]
        found = load("mixed_bootstrap").main(given)
        assert {share for share, *_ in found["rank 1, t"].values()} <= {
            0.0,
            0.2,
            0.4,
            0.6,
            0.8,
            1.0,
        }
        assert "| rank 1, likelihood ratio |" in capsys.readouterr().out


class TestMixedMaxima:
    def test_a_slice(self, load, monkeypatch, capsys):
        script = load("mixed_maxima")
        monkeypatch.setattr(script, "KINDS", [(20, 4, 1)])
        rows = script.main(["--each", "2", "--restarts", "4"])
        assert len(rows) == 2
        assert all(row["gap"] <= script.MISSED and row["starts"] == 8 for row in rows)
        assert "| 20, 4, 1 | 2 | 0 |" in capsys.readouterr().out

    def test_a_maximum_that_is_missed_is_counted(self, load):
        row = {"unbounded": False, "gap": 0.0, "one start": 0.0, "share": 1.0, "seconds": 0.1}
        lost = row | {"gap": 2e-4, "one start": 3.0, "share": 0.1}
        said = load("mixed_maxima").line("some", [row, lost, row | {"unbounded": True, "gap": 9.0}])
        assert said == "| some | 2 | 1 | 0.10, 0.55 | 1 | 1 | 0.0002 | 100 |"


class TestMixedSpeed:
    """Why a peer has no row."""

    @pytest.mark.parametrize(
        ("words", "reason"),
        [("while 1: pass", "stopped after 1 s"), ("bytearray(2**31)", "needs more than 1 GB")],
    )
    def test_a_fit_is_stopped_and_the_reason_said(self, load, words, reason):
        script = load("mixed_speed")
        found = script.run([sys.executable, "-c", words], 1, 1)
        assert found == script.Stopped(reason)
        assert f"| peer | {reason} |" in script.shown("peer", found)

    def test_other_faults_are_not_a_limit(self, load):
        with pytest.raises(SystemExit, match="ZeroDivisionError"):
            load("mixed_speed").run([sys.executable, "-c", "1 / 0"], 5, 1)

    def test_parts_of_a_fit_are_read(self, load):
        script = load("mixed_speed")
        row = script.run([sys.executable, "-c", "print('2.5 -10.25 0.5 1 0.5 2.0 0.1')"], 5, 1)
        assert row == script.Row(2.5, -10.25, 0.5, True, (0.5, 2.0, 0.1))


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")  # main() does the same
def test_choosing_knows_good_intervals_from_short_ones(load):
    rows = {row["way"]: row for row in load("choosing").cell(30, 10, "r=2", 12)}
    assert rows["textbook"]["coverage"] < 0.9 < rows["full, two"]["coverage"]
    assert rows["textbook"]["rmse_over_ols"] == rows["full, two"]["rmse_over_ols"]
    assert rows["default"]["rmse_over_ols"] < rows["full, two"]["rmse_over_ols"] < 1.0
    assert rows["default"]["mean_rank"] > 1.0


def test_interactive_effects_are_measured_against_what_they_leave_out(load):
    """Bai's design: least squares and within are wrong, and weights are best."""
    found = load("interactive").cell(25, 30, 6, 1.0, "normal")
    rmse = found["rmse"]
    assert rmse["ols"] > 2.0 * rmse["Bai"]
    assert rmse["within"] > 2.0 * rmse["Bai"]
    assert rmse["weighted"] < rmse["Bai"]
    assert all(0.5 <= share <= 1.0 for share in found["covered"].values())


def test_fuzz_draws_what_the_border_must_bear_and_shows_what_it_does_not(
    load, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)  # comes back from where it goes
    script = load("fuzz")
    asked = ["--calls", "20", "--systems", "2"]
    assert script.main(asked) == 0
    assert "PASS 20 calls" in capsys.readouterr().out
    monkeypatch.setattr(script.border, "everything", lambda *_: ZeroDivisionError("odd"))
    assert script.main(asked) == 1
    out = capsys.readouterr().out
    assert "FAIL systems" in out
    assert "ZeroDivisionError: odd" in out
