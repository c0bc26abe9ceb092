"""Dask arrays chunked along equations are the tiles that arrays are."""

import threading
from collections import Counter
from functools import partial

import dask
import dask.array as da
import numpy as np
import pytest

from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.tiles.fit import fit_tiles
from sm_alsgls.core.tiles.passes import over_tiles
from sm_alsgls.core.tiles.sound import UnsoundTileError
from sm_alsgls.core.tiles.source import ArraySource
from sm_alsgls.distributed.dask_tiles import DaskTiles, equation_shards, tiles_here
from sm_alsgls.distributed.engine import run
from sm_alsgls.distributed.mapped_shards import mapped_shards
from sm_alsgls.distributed.parcels import packed
from sm_alsgls.exceptions import CallableError, ShapeError, SystemInputError
from tests.distributed import toys

N, K, P = 40, 60, 2
CHUNKS = (7, 20, 20, 13)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((K, N, P))
    X[:, :, 0] = 1.0
    Y = rng.standard_normal((N, 1)) * rng.standard_normal(K) + rng.standard_normal((N, K))
    return Y, X


def stored(arrays, chunks=CHUNKS):
    Y, X = arrays
    return da.from_array(Y, chunks=(N, chunks)), da.from_array(X, chunks=(chunks, N, P))


def lazy(arrays):
    Y, X = stored(arrays)
    return (Y.map_blocks(lambda y: y + 1.0) - 1.0), X.map_blocks(np.array)


def delayed(arrays):
    Y, X = arrays
    ys, xs, start = [], [], 0
    for m in CHUNKS:
        at = slice(start, start + m)
        ys.append(da.from_delayed(dask.delayed(np.array)(Y[:, at]), (N, m), float))
        xs.append(da.from_delayed(dask.delayed(np.array)(X[at]), (m, N, P), float))
        start += m
    return da.concatenate(ys, axis=1), da.concatenate(xs, axis=0)


def transposed(arrays):
    Y, X = arrays
    Yt = da.from_array(np.ascontiguousarray(Y.T), chunks=(CHUNKS, N))
    Xt = da.from_array(np.ascontiguousarray(X.transpose(0, 2, 1)), chunks=(CHUNKS, P, N))
    return Yt.T, Xt.transpose(0, 2, 1)


def chopped(arrays):
    Y, X = stored(arrays)
    return Y.rechunk({0: 11}), X.rechunk({1: 9, 2: 1})


def maps(arrays, folder):
    """Files, of which a chunk is read where it is computed: `from_array` reads all at once."""
    Y, X = arrays
    out = []
    for name, array, chunks in (("Y", Y, ((N,), CHUNKS)), ("X", X, (CHUNKS, (N,), (P,)))):
        mapped = np.memmap(folder / name, float, "w+", shape=array.shape)
        mapped[:] = array
        mapped.flush()
        mapped = np.memmap(folder / name, float, "r", shape=array.shape)
        out.append(da.map_blocks(_of_file, mapped, chunks=chunks, dtype=float))
    return tuple(out)


def _of_file(mapped, block_info=None):
    return mapped[tuple(slice(*at) for at in block_info[None]["array-location"])]


KINDS = [stored, lazy, delayed, transposed, chopped, maps]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def both(request, arrays, tmp_path):
    return request.param(arrays, tmp_path) if request.param is maps else request.param(arrays)


@pytest.mark.parametrize("number", [1, 2, 4, 9])
def test_tiles_of_shards_are_those_of_arrays(arrays, both, number):
    Y, X = arrays
    shards = equation_shards(*both, number)
    assert len(shards) == min(number, len(CHUNKS))
    assert [s.equations.start for s in shards[1:]] == [s.equations.stop for s in shards[:-1]]
    for shard in shards:
        source = shard.make()
        assert (source.first, source.K) == (
            shard.equations.start,
            shard.equations.stop - source.first,
        )
        assert (source.n, list(source.p)) == (N, [P] * source.K)
        assert [at.start for at in source.bounds] == [0, *(at.stop for at in source.bounds[:-1])]
        for t, at in enumerate(source.bounds):
            tile = source.read(t)
            own = slice(source.first + at.start, source.first + at.stop)
            np.testing.assert_allclose(tile.Xt, X[own].transpose(0, 2, 1), rtol=1e-15)
            np.testing.assert_allclose(tile.Yt, Y[:, own].T, rtol=0, atol=1e-14)
            assert tile.Xt.flags.c_contiguous
            assert tile.Yt.dtype == float


def test_integers_are_numbers(arrays):
    Y, X = stored(arrays)
    tile = equation_shards((Y * 10).astype(int), X > 0, 1)[0].make().read(0)
    assert tile.Xt.dtype == tile.Yt.dtype == float


def test_a_pass_computes_each_chunk_once_on_any_threads(arrays, monkeypatch):
    """Tiles are smaller than chunks, and two threads are at the end of one and the next."""
    X = arrays[1]
    made, lock = Counter(), threading.Lock()

    def counted(x, block_info=None):
        with lock:
            made[block_info[None]["chunk-location"][0]] += 1
        return x

    _, lazy_X = stored(arrays)
    lazy_X = lazy_X.map_blocks(counted, dtype=float, meta=np.empty((0, 0, 0)))
    lazy_Y, _ = stored(arrays)
    monkeypatch.setattr("sm_alsgls.core.tiles.source._TILE_BYTES", 8 * N * P * 3)
    source = equation_shards(lazy_Y, lazy_X, 1)[0].make()
    assert len(source.bounds) == sum(-(-m // 3) for m in CHUNKS)
    made.clear()
    for t in (2, 3, 1):  # the last of a chunk, the first of the next, and one that is late
        source.read(t)
    assert made == {0: 1, 1: 1}
    source.read(len(source.bounds) - 1)
    made.clear()
    for _ in range(2):
        seen = list(over_tiles(source, lambda t, tile: tile.Xt.copy(), threads=2))
        np.testing.assert_array_equal(np.concatenate(seen), X.transpose(0, 2, 1))
    assert made == dict.fromkeys(range(len(CHUNKS)), 2)


def test_a_shard_has_its_own_part_of_the_graph(arrays):
    whole = arrays[0].nbytes + arrays[1].nbytes
    sizes = [len(packed(shard)) for shard in equation_shards(*lazy(arrays), 4)]
    for m, size in zip(CHUNKS, sizes, strict=True):
        assert size < whole * m / K + 6000


def test_memory_maps_go_by_the_name_of_their_file(arrays, tmp_path):
    shards = equation_shards(*maps(arrays, tmp_path), 2)
    assert max(len(packed(shard)) for shard in shards) < 6000 < arrays[1].nbytes / 2


# --- on a cluster ---


def to_files(arrays, folder):
    Y, X = arrays
    out = []
    for name, array in (("Y", Y), ("X", X)):
        mapped = np.memmap(folder / name, float, "w+", shape=array.shape)
        mapped[:] = array
        mapped.flush()
        out.append(np.memmap(folder / name, float, "r", shape=array.shape))
    return mapped_shards(*out, 2)


def test_a_fit_on_workers_is_the_local_one(arrays, cluster):
    program = partial(fit_tiles, rank=1, options=ALSOptions(max_sweeps=2))
    Y, X = arrays
    local = program(ArraySource(X, Y))
    fits = run(program, equation_shards(*lazy(arrays), 2), client=cluster).values
    np.testing.assert_allclose(np.concatenate([f.beta for f in fits]), local.beta, atol=1e-12)
    np.testing.assert_allclose(np.concatenate([f.d for f in fits]), local.d, rtol=1e-12)
    assert fits[0].nll == pytest.approx(local.nll, rel=1e-14)
    assert {fit.nll for fit in fits} == {fits[0].nll}


@pytest.mark.parametrize("kind", ["blocks", "files", "persisted", "upon persisted"])
def test_workers_have_the_tiles_however_they_come(arrays, cluster, kind, tmp_path):
    Y, X = arrays
    if kind == "files":
        shards = to_files(arrays, tmp_path)
    elif kind == "blocks":
        shards = equation_shards(*maps(arrays, tmp_path), 2)
    else:
        with cluster.as_current():
            lazy_Y, lazy_X = (a.persist() for a in lazy(arrays))
        if kind == "upon persisted":
            lazy_Y, lazy_X = lazy_Y * 2.0 / 2.0, lazy_X + 0.0
        shards = equation_shards(lazy_Y, lazy_X, 2)
        assert [len(shard.pieces) for shard in shards] == [4, 4]
    outcome = run(toys.moments, shards, client=cluster)
    for products, beta in outcome.values:
        np.testing.assert_allclose(products, Y @ Y.T, rtol=1e-12)
        assert beta.shape[1:] == (P,)
    beta = np.concatenate([value[1] for value in outcome.values])
    expected = [np.linalg.lstsq(X[j], Y[:, j], rcond=None)[0] for j in range(K)]
    np.testing.assert_allclose(beta, expected, atol=1e-12)
    # What dask said is where it is.
    assert outcome.traffic.begun < (8000 if kind == "files" else 30000)


def held_by_tasks(arrays, futures_of):
    """Chunks of tasks that hold a future: as an argument, and in a list."""
    Y, X = arrays
    ys, xs = (futures_of(whole, axis) for whole, axis in ((Y, 1), (X, 0)))
    one = dask.delayed(np.array)
    two = dask.delayed(lambda pieces: pieces[0] + 0.0)
    return (
        da.concatenate(
            [da.from_delayed(one(y), (N, m), float) * 1.0 for y, m in zip(ys, CHUNKS, strict=True)],
            axis=1,
        ),
        da.concatenate(
            [da.from_delayed(two([x]), (m, N, P), float) for x, m in zip(xs, CHUNKS, strict=True)]
        ),
    )


def of_raw_layers(arrays, futures_of):
    """The same of a raw graph, optimised: of futures the keys are left."""
    Y, X = arrays
    out, kept = [], []
    for whole, axis, chunks in ((Y, 1, ((N,), CHUNKS)), (X, 0, (CHUNKS, (N,), (P,)))):
        futures = futures_of(whole, axis)
        kept.append(futures)
        name = f"of-{futures[0].key}"
        places = [tuple(c if a == axis else 0 for a in range(whole.ndim)) for c in range(4)]
        layer = {(name, *at): (np.array, f) for at, f in zip(places, futures, strict=True)}
        out.append(dask.optimize(da.Array(layer, name, chunks, dtype=float) + 0.0)[0])
    return (*out, kept)


@pytest.mark.parametrize("kind", [held_by_tasks, of_raw_layers], ids=lambda kind: kind.__name__)
def test_workers_have_tiles_of_futures_that_tasks_hold(arrays, cluster, kind):
    Y, X = arrays
    stops = np.cumsum(CHUNKS)[:-1]

    def futures_of(whole, axis):
        pieces = np.split(whole, stops, axis=axis)
        return [cluster.submit(np.array, piece, pure=False) for piece in pieces]

    lazy_Y, lazy_X, *_kept = kind(arrays, futures_of)
    with dask.config.set(scheduler=cluster):
        shards = equation_shards(lazy_Y, lazy_X, 2)
        here = tiles_here(lazy_Y, lazy_X)
    assert [len(shard.pieces) for shard in shards] == [4, 4]
    for products, _ in run(toys.moments, shards, client=cluster).values:
        np.testing.assert_allclose(products, Y @ Y.T, rtol=1e-12)
    for t, at in enumerate(here.bounds):
        np.testing.assert_array_equal(here.read(t).Xt, X[at].transpose(0, 2, 1))


def test_a_future_that_nobody_here_has_is_told_of(arrays, cluster):
    def futures_of(whole, axis):
        pieces = np.split(whole, np.cumsum(CHUNKS)[:-1], axis=axis)
        return [cluster.submit(np.array, piece, pure=False) for piece in pieces]

    lazy_Y, lazy_X, _kept = of_raw_layers(arrays, futures_of)
    with pytest.raises(SystemInputError, match=r"leans on the result 'array-.* no future of it"):
        equation_shards(lazy_Y, lazy_X, 2)  # its client is not that of dask


def test_a_bad_partition_names_itself(arrays, cluster):
    Y, X = arrays
    Y = Y.copy()
    Y[[3, 30], 45] = np.nan
    with pytest.raises(UnsoundTileError) as raised:
        run(partial(fit_tiles, rank=1), equation_shards(*lazy((Y, X)), 2), client=cluster)
    assert (raised.value.equation, raised.value.column) == (45, None)
    assert raised.value.rows == (3, 30)
    assert str(raised.value).startswith(
        "equations 27 to 59: the response of equation 45 has 2 missing values, in rows 3, 30; "
    )


# --- what dask makes is not what it said ---


def test_a_chunk_that_cannot_be_computed_says_whose_it_is(arrays):
    Y, X = stored(arrays)

    def broken(x, block_info=None):
        if block_info and block_info[None]["chunk-location"] == (2, 0, 0):
            raise OSError("disk on fire")
        return x

    source = equation_shards(Y, X.map_blocks(broken, dtype=float), 1)[0].make()
    source.read(0)
    with pytest.raises(CallableError, match="equations 27 to 46: .* raised OSError: disk on fire"):
        source.read(2)


def test_chunks_of_another_shape_or_of_no_numbers_are_refused(arrays):
    Y, X = stored(arrays)
    short = X.map_blocks(lambda x: x[:, :-1], dtype=float, chunks=X.chunks)
    with pytest.raises(
        ShapeError, match=r"equations 0 to 6: the chunk of exog has shape \(7, 39, 2\)"
    ):
        equation_shards(Y, short, 1)[0].make().read(0)
    text = Y.map_blocks(lambda y: y.astype(str), dtype=float)
    with pytest.raises(
        SystemInputError, match="equations 0 to 6: the chunk of endog is of dtype <U"
    ):
        equation_shards(text, X, 1)[0].make().read(0)


def test_arrays_that_do_not_fit_are_refused_before_anything_is_computed(arrays):
    Y, X = stored(arrays)
    with pytest.raises(ShapeError, match="got shapes"):
        equation_shards(Y, X[:, :, 0], 1)
    with pytest.raises(ShapeError, match="must have 60 equations and 40 rows"):
        equation_shards(Y, X[:50], 1)
    with pytest.raises(ShapeError, match="7, 20, 20, 13 of endog and 30, 30 of exog"):
        equation_shards(Y, X.rechunk({0: 30}), 1)
    unknown = Y[:, (Y.sum(axis=0) > 0)]
    with pytest.raises(ShapeError, match="chunks of endog have no known size"):
        equation_shards(unknown, X, 1)


def test_a_source_of_chunks_is_a_source_without_checks(arrays):
    Y, X = stored(arrays)
    chunks = equation_shards(Y, X, 1)[0].make.chunks
    tiles = DaskTiles(chunks[1:], N, P)
    np.testing.assert_array_equal(tiles.read(0).Yt, arrays[0][:, 7:27].T)
