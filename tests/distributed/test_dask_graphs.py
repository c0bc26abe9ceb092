"""What only one partition needs is made within its task, and what several share is not."""

import os

import dask
import numpy as np
import pytest
from dask import delayed
from dask.diagnostics import Callback

from sm_alsgls import LowRankSUR
from sm_alsgls.border import dask_tree
from sm_alsgls.border.dask_graphs import Lazy, Within, apart
from sm_alsgls.data import partitions

da = pytest.importorskip("dask.array")


def blocks_of(*arrays):
    """The blocks of arrays that are chunked along rows, partition by partition."""
    return list(zip(*(a.to_delayed(optimize_graph=False).ravel() for a in arrays), strict=True))


def values_of(made):
    """What each partition computes, with what it needs from others."""
    for lazy, needs in made:
        there = dict(zip(lazy.needs, dask.compute(*needs, scheduler="synchronous"), strict=True))
        yield lazy.compute(there)


def counted(calls, what):
    def count(block):
        calls.append(what)
        return block

    return count


def test_what_several_partitions_share_stays_a_task_of_its_own():
    calls = []
    # Read in three chunks, taken in two; a value that all take; and what the whole consists of.
    read = da.arange(12.0, chunks=4).map_blocks(counted(calls, "read"), meta=np.empty(0))
    mean = read.sum()
    X = (read.rechunk(6) - mean).map_blocks(counted(calls, "own"), meta=np.empty(0))
    made = apart(blocks_of(X, X + 1))
    assert [len(lazy.needs) > 0 for lazy, _ in made] == [True, True]
    shared = set(made[0][0].needs) & set(made[1][0].needs)
    assert shared  # the sum, and the chunk in the middle
    for lazy, _ in made:
        assert not set(lazy.graph) & set(lazy.needs)
    one, other = made[0][0].graph, made[1][0].graph
    assert not set(one) & set(other)
    expected = np.arange(12.0) - 66.0
    for i, (x, more) in enumerate(values_of(made)):
        np.testing.assert_array_equal(x, expected[6 * i : 6 * i + 6])
        np.testing.assert_array_equal(more, x + 1)
    assert calls.count("own") == 2


def test_a_block_of_two_partitions_is_needed_and_not_owned():
    block = delayed(np.ones)(3)
    made = apart([(block, block), (block,)])
    assert [(dict(lazy.graph), lazy.needs) for lazy, _ in made] == [({}, (block.key,))] * 2
    assert [len(values) for values in values_of(made)] == [2, 1]
    ((alone, needs),) = apart([(block, block)])
    assert (alone.needs, needs) == ((), [])
    assert [len(value) for value in alone.compute({})] == [3, 3]


def test_where_it_is_known_where_tasks_run_they_are_left_alone(cluster):
    X = da.ones((6, 2), chunks=(3, 2))
    assert apart(blocks_of(X, X + 1)) is not None
    with dask.annotate(resources={"disk": 1}):
        there = X + 1
    assert apart(blocks_of(X, there)) is None
    kept = cluster.persist(X)
    assert apart(blocks_of(kept, kept + 1)) is None


def test_bars_count_the_tasks_of_whoever_drives():
    seen = []
    lazy = Lazy({"a": (sum, [1, 2]), "b": (sum, ["a", 3])}, ("b",), ())
    with Callback(posttask=lambda key, *_: seen.append(key)):
        assert lazy.compute({}) == [6]
    assert seen == []


def test_a_task_makes_its_arguments_from_those_of_others():
    lazy = Lazy({"b": (sum, ["a", "c"])}, ("b", "c"), ("a", "c"))
    assert Within(lambda *all_: all_, lazy)("first", 1, 10, 5) == ("first", 1, 15, 5)
    assert Within(lambda *all_: all_, Lazy({"b": 7}, ("b",)))("first") == ("first", 7)


def test_responses_and_regressors_of_a_partition_meet_without_a_network(cluster, monkeypatch):
    """Of arrays that are read apart, which workers would take as they come."""

    def read(value, block_info=None):
        rows, columns = block_info[None]["chunk-shape"]
        rng = np.random.default_rng([value, block_info[None]["chunk-location"][0]])
        made = rng.standard_normal((rows, columns))
        made[0, -1] = os.getpid()  # so that it tells where it was read
        return made

    chunks = ((300,) * 12, (2,))
    Y, X = (da.map_blocks(read, v, chunks=chunks, meta=np.empty((0, 0))) for v in (1, 2))
    seen = []

    def merged(parts, task, said):
        made = dask_tree.merged(parts, Where(task), said)
        seen.extend(made.pids)
        return made.part

    monkeypatch.setattr(partitions, "merged", merged)
    with dask.config.set(scheduler=cluster):
        LowRankSUR(Y, X, rank=0)
    assert len(seen) == 12
    assert all(here == y == x for here, y, x in seen)


class Where:
    """The task of a partition, which notes where it runs and where its blocks were read."""

    def __init__(self, task):
        self.task = task

    def __call__(self, called, start, Y, X):
        part = self.task(called, start, Y, X)
        return Noted(part, [(os.getpid(), int(Y[0, -1]), int(X[0, -1]))])


class Noted:
    def __init__(self, part, pids):
        self.part, self.pids = part, pids

    def merge(self, other):
        return Noted(self.part.merge(other.part), self.pids + other.pids)


# --- results that tasks hold, and results that are shared ---


def by_layer(future, shape):
    """A task of a raw graph, in which dask finds the future when it runs it."""
    name = f"of-{future.key}"
    chunks = tuple((n,) for n in shape)
    return da.Array({(name, *(0 for _ in shape)): (np.array, future)}, name, chunks, dtype=float)


def of_list(values):
    return np.array(values[0])


HOLDING = {
    "future": lambda f, shape: da.from_delayed(f, shape, float),
    "argument": lambda f, shape: da.from_delayed(delayed(np.array)(f), shape, float),
    "keyword": lambda f, shape: da.from_delayed(delayed(np.array)(object=f), shape, float),
    "in a list": lambda f, shape: da.from_delayed(delayed(of_list)([f]), shape, float),
    "in a layer": by_layer,
    # What is left of the future is its key.
    "optimised": lambda f, shape: dask.optimize(by_layer(f, shape) + 0.0)[0],
}


@pytest.fixture(params=HOLDING.values(), ids=HOLDING)
def holding(request):
    """An array of one chunk, of a task that holds a future."""
    return request.param


def test_tasks_that_hold_a_future_are_left_alone(cluster, holding):
    future = cluster.submit(np.ones, (3, 2))
    assert apart(blocks_of(holding(future, (3, 2)) + 1.0)) is None


def test_partitions_of_futures_are_those_of_arrays(cluster, holding):
    rng = np.random.default_rng(0)
    Y, X = rng.standard_normal((60, 3)), rng.standard_normal((60, 2))
    # Dask may know a future by its key alone: it is kept here.
    futures = [cluster.submit(np.array, Y[at : at + 30], pure=False) for at in (0, 30)]
    there = da.concatenate([holding(future, (30, 3)) for future in futures])
    with dask.config.set(scheduler=cluster):
        res = LowRankSUR(there, da.from_array(X, chunks=(30, 2)), rank=0).fit()
    expected = np.linalg.lstsq(X, Y, rcond=None)[0].T.ravel()
    np.testing.assert_allclose(res.params, expected, rtol=1e-10)


def made_to_mislead():
    """What a task may return and a graph would take for a task, a key, or several of both."""
    return ["other", "mine", [("other",)], (np.log, 100.0), [(np.log, 1.0)], {"a": "other"}, None]


@pytest.mark.parametrize("value", made_to_mislead(), ids=repr)
def test_a_shared_result_is_a_value_whatever_it_looks_like(value):
    lazy = Lazy({"mine": (lambda got: [got], "needed"), "other": 1.0}, ("mine",), ("needed",))
    (got,) = lazy.compute({"needed": value})
    assert got == [value]
    (itself,) = Lazy({"other": 1.0}, ("needed",), ("needed",)).compute({"needed": value})
    assert itself == value


def test_partitions_share_a_transformation_and_its_argument():
    def block(by, i):
        transformed, scale = by
        return transformed(np.exp(np.random.default_rng(i).standard_normal((30, 3)))) * scale

    by = delayed(lambda: (np.log, 100.0))()
    Y = da.concatenate(
        [da.from_delayed(delayed(block)(by, i), (30, 3), float) for i in range(2)], axis=0
    )
    assert all(lazy.needs for lazy, _ in apart(blocks_of(Y)))
    res = LowRankSUR(Y, da.ones((60, 1), chunks=(30, 1)), rank=0).fit()
    expected = np.concatenate([np.random.default_rng(i).standard_normal((30, 3)) for i in range(2)])
    np.testing.assert_allclose(res.params, 100.0 * expected.mean(axis=0), rtol=1e-10)
