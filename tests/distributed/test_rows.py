"""Rows in partitions of dask: the fits of all rows in memory, on every scheduler."""

import ast
import os
import signal
import time
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sm_alsgls
from sm_alsgls import LowRankSUR
from sm_alsgls.border import dask_tree
from sm_alsgls.exceptions import (
    CallableError,
    DataRemovedError,
    DegenerateResponseError,
    InsufficientRowsError,
    NonFiniteError,
    OptionError,
    ShapeError,
    SystemInputError,
)
from sm_alsgls.progress import Progress

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

N, K = 420, 5


@pytest.fixture(autouse=True)
def synchronous():
    """Where a test says nothing else."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(4)
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, 1 + j % 2))]) for j in range(K)]
    # A factor that all share, so that no fit is a Heywood case; an offset.
    Y = np.column_stack([0.5 * x.sum(axis=1) for x in X]) + 1.5 * rng.standard_normal((N, 1))
    return X, Y + rng.standard_normal((N, K)) + 1e4


@pytest.fixture(scope="module")
def full(arrays):
    X, Y = arrays
    return LowRankSUR(Y, X, rank=1).fit()


def same_fit(res, full):
    assert list(res.params.index) == list(full.params.index)
    assert res.nobs == full.nobs
    for name in ("params", "bse", "tvalues"):
        np.testing.assert_allclose(getattr(res, name), getattr(full, name), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(res.sigma.to_dense(), full.sigma.to_dense(), rtol=0, atol=1e-10)
    assert res.llf == pytest.approx(full.llf, rel=1e-10)


def chunked(A, sizes):
    return da.from_array(A, chunks=(sizes, *A.shape[1:]))


SIZES = {
    "one": (N,),
    "even": (60,) * 7,
    "rows": (1,) * N,
    "uneven": (1, 0, 199, 2, 0, 217, 1),
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=list(SIZES))
def test_any_partitions_of_arrays(arrays, full, sizes):
    X, Y = arrays
    model = LowRankSUR(chunked(Y, sizes), [chunked(x, sizes) for x in X], rank=1)
    same_fit(model.fit(), full)
    assert model.fit().summary().as_text()


def frames(X, Y, npartitions=4):
    """A frame of responses, and one of regressors for each equation."""
    index = pd.date_range("1900", periods=N)
    endog = pd.DataFrame(Y, index, columns=[f"e{j}" for j in range(K)])
    exog = {
        f"e{j}": pd.DataFrame(x, index, columns=["one", "u", "v"][: x.shape[1]])
        for j, x in enumerate(X)
    }
    return endog, exog, lambda frame: dd.from_pandas(frame, npartitions=npartitions)


def test_frames_and_mappings(arrays):
    X, Y = arrays
    endog, exog, dasked = frames(X, Y)
    expected = LowRankSUR(endog, exog, rank=1).fit()
    many = {name: dasked(x) for name, x in exog.items()}
    same_fit(LowRankSUR(dasked(endog), many, rank=1).fit(), expected)
    series = {name: dasked(y) for name, y in endog.items()}
    res = LowRankSUR(series, many, rank=1).fit()
    assert res.params.index[1] == "e0_u"
    same_fit(res, expected)
    pairs = {name: (series[name], many[name]) for name in series}
    same_fit(LowRankSUR.from_system(pairs, rank=1).fit(), expected)
    # By the names of equations, whatever the order.
    same_fit(LowRankSUR(dasked(endog), dict(reversed(many.items())), rank=1).fit(), expected)


def test_one_design_for_all_in_other_chunks(arrays):
    X, Y = arrays
    expected = LowRankSUR(Y, X[1], rank=1).fit()
    model = LowRankSUR(chunked(Y, (200, 220)), chunked(X[1], (60,) * 7), rank=1)
    assert model.system.rows.Y.shape == (3 + K, K)
    same_fit(model.fit(), expected)
    frame = dd.from_pandas(pd.DataFrame(Y), npartitions=3)
    design = dd.from_pandas(pd.DataFrame(X[1]), npartitions=3)
    # Chunks whose lengths nobody knows; arrays beside frames go by position.
    model = LowRankSUR(frame.to_dask_array(), design.to_dask_array(), rank=1)
    same_fit(model.fit(), expected)
    model = LowRankSUR(frame, design.to_dask_array(), rank=1)
    np.testing.assert_allclose(model.fit().params, expected.params, rtol=1e-10)


def test_what_several_arrays_come_from_is_computed_once(arrays):
    X, Y = arrays
    seen = []

    def read(block):
        seen.append(len(block))
        return block

    whole = da.from_array(np.column_stack([X[1], Y]), chunks=(60, -1)).map_blocks(
        read, meta=np.empty((0, 0))
    )
    model = LowRankSUR(whole[:, 3:], whole[:, :3], rank=1)
    assert seen == [60] * 7
    same_fit(model.fit(), LowRankSUR(Y, X[1], rank=1).fit())


def test_missing_values_are_dropped_where_they_are(arrays):
    X, Y = arrays
    X, Y = X[1].copy(), Y.copy()
    Y[[3, 170, 171], [0, 1, 1]] = np.nan
    X[[3, 200], 1] = np.nan
    Y[360:] = np.nan  # a partition of which nothing is left
    model = LowRankSUR(chunked(Y, (60,) * 7), chunked(X, (60,) * 7), rank=1, missing="drop")
    expected = LowRankSUR(Y, X, rank=1, missing="drop")
    assert model.n_dropped == expected.n_dropped == 64
    same_fit(model.fit(), expected.fit())


def test_what_needs_rows_says_so(arrays):
    X, Y = arrays
    res = LowRankSUR(chunked(Y, (200, 220)), chunked(X[1], (200, 220)), rank=1).fit()
    for use in (lambda: res.resid, lambda: res.model.endog[0], lambda: res.bootstrap(3)):
        with pytest.raises(DataRemovedError, match=r"partition by partition.*\.compute\(\)"):
            use()
    new = X[1][:4]
    expected = LowRankSUR(Y, X[1], rank=1).fit().predict(new)
    np.testing.assert_allclose(res.predict(new), expected, rtol=1e-10)


# -- schedulers ---------------------------------------------------------------------------------


def test_threads(arrays, full):
    X, Y = arrays
    with dask.config.set(scheduler="threads"):
        model = LowRankSUR(chunked(Y, (42,) * 10), [chunked(x, (42,) * 10) for x in X], rank=1)
    same_fit(model.fit(), full)


def test_workers(arrays, full, cluster):
    X, Y = arrays
    before = tasks_of(cluster)
    with dask.config.set(scheduler=cluster):
        model = LowRankSUR(chunked(Y, (42,) * 10), [chunked(x, (42,) * 10) for x in X], rank=1)
    same_fit(model.fit(), full)
    assert tasks_left(cluster, before) == 0


def test_what_is_on_the_workers_already(arrays, full, cluster):
    X, Y = arrays
    with cluster.as_current(), dask.config.set(scheduler=cluster):
        Y, *X = dask.persist(chunked(Y, (140,) * 3), *(chunked(x, (140,) * 3) for x in X))
        model = LowRankSUR(Y, X, rank=1)
    same_fit(model.fit(), full)


def tasks_of(client):
    """Keys of the tasks that the scheduler has."""
    return client.run_on_scheduler(lambda dask_scheduler: set(dask_scheduler.tasks))


def tasks_left(client, before, seconds=5.0):
    """Tasks that it has beside those before, once it has had time to let them go."""
    until = time.monotonic() + seconds
    while (left := len(tasks_of(client) - before)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def test_an_interrupt_frees_the_workers(arrays, cluster, monkeypatch):
    X, Y = arrays

    def slow(block):
        time.sleep(0.1)
        return block

    class Interrupted(Progress):
        def update(self, *_, **__):
            super().update()
            if self.n == 5:
                raise KeyboardInterrupt

    monkeypatch.setattr(dask_tree, "Progress", Interrupted)
    before = tasks_of(cluster)
    Y = chunked(Y, (2,) * 210).map_blocks(slow, meta=np.empty((0, 0)))
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), dask.config.set(scheduler=cluster):
        LowRankSUR(Y, chunked(X[1], (2,) * 210), rank=1)
    assert tasks_left(cluster, before) == 0
    # All of it takes ten seconds.
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("where", ["synchronous", "threads", "cluster"])
def test_partitions_are_counted(arrays, where, request, monkeypatch):
    X, Y = arrays
    said = []

    class Recorded(Progress):
        def __exit__(self, *error):
            said.append((self.what, self.n, self.total, self.unit))
            super().__exit__(*error)

    monkeypatch.setattr(dask_tree, "Progress", Recorded)
    scheduler = request.getfixturevalue("cluster") if where == "cluster" else where
    with dask.config.set(scheduler=scheduler):
        LowRankSUR(chunked(Y, (42,) * 10), chunked(X[1], (42,) * 10), rank=1)
    assert said == [("rows", 10, 10, "partition")]


def test_no_partition_is_held(arrays):
    X, Y = arrays
    alive, most = set(), []

    def read(block):
        block = block.copy()
        alive.add(key := len(most))
        weakref.finalize(block, alive.discard, key)
        most.append(len(alive))
        return block

    Y = chunked(Y, (10,) * 42).map_blocks(read, meta=np.empty((0, 0)))
    LowRankSUR(Y, chunked(X[1], (10,) * 42), rank=1)
    assert len(most) == 42
    assert max(most) <= 2


def test_nothing_imports_dask_before_it_is_used():
    folder = Path(sm_alsgls.__file__).parent
    for path in folder.rglob("*.py"):
        text = path.read_text()
        if "dask" not in text and "distributed" not in text:
            continue
        for node in ast.parse(text).body:
            names = [alias.name for alias in getattr(node, "names", ())]
            for name in (*names, getattr(node, "module", None) or ""):
                assert name.partition(".")[0] not in ("dask", "distributed"), path


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["synchronous", "threads", "cluster"])
def test_a_bad_partition_names_itself(arrays, where, request):
    X, Y = arrays
    scheduler = request.getfixturevalue("cluster") if where == "cluster" else where
    before = tasks_of(scheduler) if where == "cluster" else set()
    hole, wall = Y.copy(), X[1].copy()
    hole[257, 2], wall[3, 1] = np.nan, np.inf
    sizes = (60,) * 7

    def broken(block, block_info=None):
        if block_info[0]["chunk-location"][0] == 5:
            raise ZeroDivisionError("a file is broken")
        return block

    with dask.config.set(scheduler=scheduler):
        with pytest.raises(
            NonFiniteError,
            match=r"^partition 4 of 0 to 6 \(rows 240 to 299\): endog: equation 'y3' has 1 missing "
            r"value, the first in row 257; .*missing='drop'$",
        ):
            LowRankSUR(chunked(hole, sizes), chunked(X[1], sizes))
        with pytest.raises(
            NonFiniteError,
            match=r"^partition 0 .*exog: column 'x1' of equation 'y1' .* infinite .* in row 3;",
        ):
            LowRankSUR(chunked(Y, sizes), chunked(wall, sizes))
        with pytest.raises(
            CallableError, match=r"partition 5 .*: computing it raised ZeroDivisionError \(a file"
        ) as raised:
            LowRankSUR(
                chunked(Y, sizes).map_blocks(broken, meta=np.empty((0, 0))), chunked(X[1], sizes)
            )
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    if where == "cluster":
        assert tasks_left(scheduler, before) == 0


def test_partitions_of_frames_name_rows_by_label(arrays):
    X, Y = arrays
    endog, exog, dasked = frames(X, Y)
    endog = endog.copy()  # It may be a view of what other tests have.
    endog.loc["1900-12-31", "e2"] = np.nan
    with pytest.raises(NonFiniteError, match=r"partition 3 of 0 to 3: .*'e2' .*1900-12-31"):
        LowRankSUR(dasked(endog), dasked(exog["e1"]))
    with pytest.raises(
        ShapeError, match=r"partition 1 .*: its equations are 'y1', 'y2', .* of partition 0 .* 'y5'"
    ):
        LowRankSUR(
            chunked(Y, (200, 220)).map_blocks(
                lambda block: block[:, :3] if len(block) == 220 else block, meta=np.empty((0, 0))
            ),
            chunked(X[1], (200, 220)),
        )


def test_forms_that_are_none(arrays):
    X, Y = arrays
    rows, design = chunked(Y, (200, 220)), chunked(X[1], (200, 220))
    with pytest.raises(ShapeError, match=r'2 blocks.*equations \(3\).*rechunk\(\{0: "auto", 1: -1'):
        LowRankSUR(rows.rechunk((210, 2)), design)
    with pytest.raises(ShapeError, match=r"exog is chunked along its columns \(3 blocks\).*1: -1"):
        LowRankSUR(rows, design.rechunk((200, 1)))
    with pytest.raises(SystemInputError, match=r"exog\[1\] is a ndarray, .*from_array"):
        LowRankSUR(rows, [design, X[1], design, design, design])
    with pytest.raises(SystemInputError, match="endog is a ndarray, and others are of dask"):
        LowRankSUR(Y, design)
    with pytest.raises(ShapeError, match="exog has 200 rows but endog has 420"):
        LowRankSUR(rows, design[:200])
    with pytest.raises(ShapeError, match="exog is missing"):
        LowRankSUR(rows)
    with pytest.raises(ShapeError, match="exog lists 2 designs for 5 equations"):
        LowRankSUR(rows, [design, design])
    frame = dd.from_pandas(pd.DataFrame(Y), npartitions=3)
    with pytest.raises(ShapeError, match="exog has 2 partitions but endog has 3.*lengths=True"):
        LowRankSUR(frame, design)
    other = dd.from_pandas(pd.DataFrame(X[1]), npartitions=2)
    with pytest.raises(ShapeError, match="exog has other divisions than endog.*repartition"):
        LowRankSUR(frame, other)
    with pytest.raises(OptionError, match="weights do not go with partitions"):
        LowRankSUR(rows, design, weights=np.ones(N))
    with pytest.raises(OptionError, match="missing='fiml' needs the rows"):
        LowRankSUR(rows, design, missing="fiml")


def test_errors_of_the_whole(arrays):
    X, Y = arrays
    flat = Y.copy()
    flat[:, 1] = 7.5
    with pytest.raises(DegenerateResponseError, match=r"'y2' is constant \(7.5 in all 420 rows\)"):
        LowRankSUR(chunked(flat, (200, 220)), chunked(X[1], (200, 220)))
    with pytest.raises(InsufficientRowsError, match="3 regressors but only 3 rows"):
        LowRankSUR(chunked(Y[:3], (1, 2)), chunked(X[1][:3], (1, 2)))
    with pytest.raises(ShapeError, match="0 rows in 2 partitions"):
        LowRankSUR(chunked(Y[:0], (0, 0)), chunked(X[1][:0], (0, 0)))


# -- last, because the worker that follows has to import everything again --------------------------


def test_a_worker_that_dies_in_the_middle(arrays, full, mortal, tmp_path):
    X, Y = arrays
    died = tmp_path / "died"

    def read(block, block_info=None):
        if block_info[0]["chunk-location"][0] == 12:
            try:
                died.touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return block

    sizes = (20,) * 21
    Y = chunked(Y, sizes).map_blocks(read, meta=np.empty((0, 0)))
    before = set(mortal.run(os.getpid).values())
    with dask.config.set(scheduler=mortal):
        model = LowRankSUR(Y, [chunked(x, sizes) for x in X], rank=1)
    assert died.exists()
    same_fit(model.fit(), full)
    mortal.wait_for_workers(2, timeout=30)
    assert len(before - set(mortal.run(os.getpid).values())) == 1
