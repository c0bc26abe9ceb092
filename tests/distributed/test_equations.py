"""`LowRankSUR` of dask arrays chunked along equations, beside the same in memory."""

import _thread
import os
import pickle
import signal
import threading

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.distributed import tasks
from sm_alsgls.distributed.predicted import predicted, rounds_of
from sm_alsgls.exceptions import (
    CallableError,
    ConvergenceWarning,
    DataRemovedError,
    NonFiniteError,
    OptionError,
    RankDeficientError,
    ShapeError,
)
from sm_alsgls.models.many_dask import DaskSUR

N, K, P, R = 160, 400, 2, 5
CHUNKS = (70, 130, 50, 150)
TIGHT = {"gtol": 1e-10, "rel_tol": 1e-14}


@pytest.fixture(scope="module", autouse=True)
def tight_intervals():
    """The Sigma of intervals ends at 1e-8, on workers and here by other roundings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sm_alsgls.core.errors.loading_prior._GTOL", 1e-11)
        yield


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((K, N, P))
    X[:, :, 0] = 1.0
    F = rng.standard_normal((K, R))
    E = rng.standard_normal((N, R)) @ F.T + rng.standard_normal((N, K))
    return X.sum(axis=2).T + E, X


def lazy(arrays):
    Y, X = arrays
    return da.from_array(Y, chunks=(N, CHUNKS)), da.from_array(X, chunks=(CHUNKS, N, P))


@pytest.fixture(scope="module")
def local(arrays):
    Y, X = arrays
    return LowRankSUR.from_equations([(Y, X)], rank=R).fit(**TIGHT)


@pytest.fixture(scope="module")
def fitted(arrays, cluster):
    with cluster.as_current():
        res = LowRankSUR(*lazy(arrays), rank=R).fit(**TIGHT)
        _ = res.bse
    return res


def gap(one, other):
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    assert one.shape == other.shape
    return np.max(np.abs(one - other) / np.maximum(1.0, np.abs(one)))


def test_a_fit_on_workers_is_the_local_one(fitted, local):
    assert isinstance(fitted.model, DaskSUR)
    assert fitted.converged
    for name in ("params", "loadings", "uniquenesses", "rsquared", "llf", "bse", "pvalues"):
        assert gap(getattr(local, name), getattr(fitted, name)) < 1e-10, name
    assert fitted.params.index.equals(local.params.index)
    assert gap(local.conf_int(), fitted.conf_int()) < 1e-10
    assert gap(local.cov_params("y7"), fitted.cov_params("y7")) < 1e-10
    assert str(fitted.equations["y7"].t_test("x1 = 1")) == str(
        local.equations["y7"].t_test("x1 = 1")
    )


def test_robust_covariances_are_made_on_workers(fitted, local):
    for cov_type, kwds in (("HC1", {}), ("HC3", {}), ("cluster", {"groups": np.arange(N) // 5})):
        one, other = (r.get_robustcov_results(cov_type, **kwds) for r in (local, fitted))
        assert gap(one.bse, other.bse) < 1e-10


def test_what_is_as_large_as_the_data_is_lazy(fitted, local, arrays):
    _, X = arrays
    for name in ("resid", "fittedvalues"):
        made = getattr(fitted, name)
        assert made.chunks == ((N,), CHUNKS)
        assert gap(getattr(local, name).to_numpy(), made.compute(scheduler="synchronous")) < 1e-10
    new = X[:, :7]
    made = fitted.predict(da.from_array(new, chunks=(CHUNKS, 7, P)))
    assert gap(local.predict(new).to_numpy(), made.compute(scheduler="synchronous")) < 1e-10
    assert gap(local.predict(new).to_numpy(), fitted.predict(new).to_numpy()) < 1e-10
    assert gap(local.equations["y71"].resid, fitted.equations["y71"].resid) < 1e-10
    with pytest.raises(ShapeError, match="400 equations and 2 regressors, got shape"):
        fitted.predict(da.zeros((K, 7, 3)))


def test_tables_are_frames_of_dask(fitted, local):
    made = fitted.tidy()
    assert made.npartitions == len(CHUNKS)
    with dask.config.set(scheduler="synchronous"):
        frame = made.compute()
        broom = fitted.tidy(conf_int=False, style="broom").compute()
    assert [len(made.get_partition(i)) for i in range(2)] == [P * CHUNKS[0], P * CHUNKS[1]]
    assert list(broom.columns) == list(local.tidy(conf_int=False, style="broom").columns)
    expected = local.tidy()
    assert frame["equation"].tolist() == expected["equation"].tolist()
    assert frame["term"].tolist() == expected["term"].tolist()
    assert gap(expected.iloc[:, 2:], frame.iloc[:, 2:]) < 1e-10
    pd.testing.assert_frame_equal(fitted.tidy(backend="pandas"), expected, rtol=1e-9)
    assert str(fitted.summary()).split("Time:")[0] == str(local.summary()).split("Time:")[0]


def test_a_table_is_written_to_a_file(fitted, local, tmp_path):
    fitted.tidy(path=tmp_path / "table.csv")
    local.tidy(path=tmp_path / "local.csv")
    one, other = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("table", "local"))
    pd.testing.assert_frame_equal(one, other, rtol=1e-9)


def test_pickles_leave_the_data_behind(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.bse, fitted.bse)
    assert again.tidy().npartitions == len(CHUNKS)
    with pytest.raises(DataRemovedError):
        _ = again.resid


def test_without_a_client_this_process_reads_the_chunks(arrays, local):
    res = LowRankSUR(*lazy(arrays), rank=R).fit(**TIGHT)
    assert res.model.traffic == {}
    assert gap(local.params, res.params) < 1e-10
    assert res.resid.chunks == ((N,), CHUNKS)


def test_regressors_of_all_equations_may_be_one_array(arrays):
    Y, X = arrays
    lazy_Y = da.from_array(Y[:, :30], chunks=(N, 12))
    held = LowRankSUR(Y[:, :30], X[3], rank=1).fit(n_starts=1, **TIGHT)
    for exog in (X[3], da.from_array(X[3], chunks=(50, P))):
        res = LowRankSUR(lazy_Y, exog, rank=1).fit(**TIGHT)
        assert gap(held.params, res.params) < 1e-10


def test_responses_may_be_a_frame_that_names_the_equations(arrays):
    Y, X = arrays
    frame = pd.DataFrame(Y[:, :30], columns=[f"firm {i}" for i in range(30)])
    model = LowRankSUR(frame, da.from_array(X[:30], chunks=(10, N, P)), rank=1)
    assert model.equations[29] == "firm 29"


def test_persisted_chunks_stay_where_they_are(arrays, cluster, fitted):
    with cluster.as_current():
        kept = [one.persist() for one in lazy(arrays)]
        res = LowRankSUR(*kept, rank=R).fit()
    assert gap(fitted.params, res.params) < 1e-6
    # 1 MB of data: what began the programs names the chunks.
    assert res.model.traffic["fit"].begun < 30_000
    assert gap(fitted.equations["y200"].resid, res.equations["y200"].resid) < 1e-6


def test_traffic_is_what_was_predicted(fitted):
    """Sums of N and r only: a chunk of 800 coefficients and 64,000 responses is none."""
    traffic, sweeps = fitted.model.traffic["fit"], len(fitted.trace) - 1
    rounds = rounds_of(traffic, N, R)
    # A beta-step whose end is foreseen takes none.
    assert sweeps / 2 <= rounds["steps"] <= 2 * sweeps
    assert rounds["passes"] >= sweeps
    made = predicted(N, R, 2, **rounds)
    assert made.to_workers == pytest.approx(traffic.to_workers, rel=0.2)
    assert made.from_workers == pytest.approx(traffic.from_workers, rel=0.2)
    largest = max(int(np.prod(shape)) for _, shape in traffic.sums)
    assert largest <= max(N * (2 * R + 2), (8 * R + 8) ** 2)


# --- what may go wrong ---


@pytest.fixture
def model(arrays, cluster):
    with cluster.as_current():
        return LowRankSUR(*lazy(arrays), rank=R)


def at_sweep(monkeypatch, number, act):
    """Sweeps of the next fit as they are told here; ``act`` is called at one of them."""
    told = []

    def watch(sweep):
        told.append(sweep.sweep)
        if sweep.sweep == number:
            act()

    monkeypatch.setattr("sm_alsgls.results.progress.StartsOfSweeps.watching", lambda *_: watch)
    return told


def test_a_worker_that_dies_in_a_fit_changes_no_bit(arrays, fitted, mortal, monkeypatch):
    with mortal.as_current():
        model = LowRankSUR(*lazy(arrays), rank=R)
    pid = next(iter(mortal.run(os.getpid).values()))
    # In a pass, which takes a few milliseconds.
    timer = threading.Timer(0.002, os.kill, (pid, signal.SIGKILL))
    told = at_sweep(monkeypatch, 3, timer.start)
    res = model.fit(**TIGHT)
    assert model.traffic["fit"].restarts == 1
    assert told == list(range(len(told)))
    assert len(res.trace) - 2 <= len(told) <= len(res.trace)
    for name in ("params", "loadings", "uniquenesses"):
        np.testing.assert_array_equal(getattr(res, name), getattr(fitted, name))
    assert res.llf == fitted.llf


def test_an_interrupt_frees_the_workers(model, cluster, monkeypatch):
    at_sweep(monkeypatch, 2, _thread.interrupt_main)
    with pytest.raises(KeyboardInterrupt):
        model.fit()
    assert set(map(tuple, cluster.run(tasks.alive).values())) == {()}


def test_a_bar_counts_sweeps(model, capsys):
    pytest.importorskip("tqdm")
    with pytest.warns(ConvergenceWarning):
        model.fit(progress=True, max_sweeps=2)
    said = capsys.readouterr().err
    assert "sweeps=" in said
    assert "NLL=" in said


def test_a_bad_partition_names_chunk_equation_column_and_row(arrays, cluster):
    Y, X = arrays
    bad = X.copy()
    bad[222, 17, 1] = np.nan
    with cluster.as_current(), pytest.raises(NonFiniteError) as raised:
        LowRankSUR(*lazy((Y, bad)), rank=R)
    assert str(raised.value).startswith(
        "chunk 2 of 0 to 3: exog: column number 1 of equation 'y223' has 1 missing value, the "
        "first in row 17; "
    )
    twice = X.copy()
    twice[222, :, 1] = 2.0
    with cluster.as_current(), pytest.raises(RankDeficientError, match="equation 'y223'"):
        LowRankSUR(*lazy((Y, twice)), rank=R).fit()


def broken(x, block_info=None):
    if block_info[None]["chunk-location"][0] == 2:
        raise OSError("disk on fire")
    return x


def test_a_chunk_that_cannot_be_computed_names_itself(arrays, cluster):
    Y, X = lazy(arrays)
    X = X.map_blocks(broken, dtype=float, meta=np.empty((0, 0, 0)))
    with (
        cluster.as_current(),
        pytest.raises(CallableError, match="equations 200 to 249: .*on fire"),
    ):
        LowRankSUR(Y, X, rank=R)


def test_what_does_not_go_with_equations_of_dask_is_refused(arrays, model):
    Y, X = lazy(arrays)
    with pytest.raises(ShapeError, match=r"70, 130, 50, 150 of endog and 100, .*rechunk"):
        LowRankSUR(Y, X.rechunk({0: 100}), rank=R)
    with pytest.raises(ShapeError, match="make it one as well, chunked as endog is"):
        LowRankSUR(Y, arrays[1], rank=R)
    with pytest.raises(ShapeError, match="exog has 9 rows but endog has 160"):
        LowRankSUR(Y, np.ones((9, 1)), rank=R)
    with pytest.raises(ShapeError, match=r"exog is a dask array \(K, N, p\), .*got list"):
        LowRankSUR(Y, [np.ones((N, 1))] * K, rank=R)
    with pytest.raises(OptionError, match="callback= runs in this process"):
        model.fit(callback=print)
