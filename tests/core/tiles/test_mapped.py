"""Tiles of memory-mapped files are those of the arrays, in any order and of any part."""

import os

import numpy as np
import pytest

from sm_alsgls.core.tiles.mapped import MappedSource
from sm_alsgls.core.tiles.source import ArraySource
from sm_alsgls.distributed.parcels import packed, unpacked

K, N, P = 11, 6, 2


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)

    def made(name, array, order, offset):
        path = tmp_path / name
        with open(path, "wb") as file:
            file.write(b"x" * offset)
            file.write(np.asarray(array, order=order).tobytes(order="A"))
        return np.memmap(path, array.dtype, "r", offset, array.shape, order=order)

    return rng, made


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("transposed", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
@pytest.mark.parametrize("offset", [0, 40])
def test_tiles_are_those_of_arrays(files, order, transposed, dtype, offset):
    rng, made = files
    X = (100 * rng.standard_normal((K, P, N) if transposed else (K, N, P))).astype(dtype)
    Y = (100 * rng.standard_normal((K, N) if transposed else (N, K))).astype(dtype)
    X_map, Y_map = made("X", X, order, offset), made("Y", Y, order, offset)
    if transposed:
        X, X_map, Y, Y_map = X.transpose(0, 2, 1), X_map.transpose(0, 2, 1), Y.T, Y_map.T
    # A part of a map has an offset of its own, which NumPy does not tell.
    X, Y, X_map, Y_map = X[2:], Y[:, 2:], X_map[2:], Y_map[:, 2:]
    mapped, arrays = MappedSource(X_map, Y_map, 4, 1), ArraySource(X, Y, 4, 1)
    for t in range(len(arrays.bounds)):
        for got, expected in zip(mapped.read(t), arrays.read(t), strict=True):
            assert got.dtype == float
            assert got.flags.c_contiguous
            np.testing.assert_array_equal(got, expected)


def test_a_map_that_came_in_a_parcel_is_read_from_its_file(files, monkeypatch):
    """Pages of a map count as a worker's memory, who is ended for them."""
    rng, made = files
    X, Y = rng.standard_normal((K, P, N)), rng.standard_normal((K, N))
    parcel = packed((made("X", X, "C", 8), made("Y", Y, "C", 16)))
    X_map, Y_map = unpacked(parcel)
    read, places = os.preadv, []

    def noted(descriptor, buffers, offset):
        places.append(offset)
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", noted)
    tile = MappedSource(X_map.transpose(0, 2, 1), Y_map.T, 4, 2).read(1)
    np.testing.assert_array_equal(tile.Xt, X[6:10])
    np.testing.assert_array_equal(tile.Yt, Y[6:10])
    assert places == [8 + 8 * P * N * 6, 16 + 8 * N * 6]


def test_arrays_in_memory_are_read_too(files):
    rng, _ = files
    X, Y = rng.standard_normal((K, N, P)), rng.standard_normal((N, K))
    mapped, arrays = MappedSource(X, Y, 4), ArraySource(X, Y, 4)
    for t in range(3):
        for got, expected in zip(mapped.read(t), arrays.read(t), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_a_file_that_became_shorter_is_an_error(files):
    rng, made = files
    X = made("X", rng.standard_normal((K, P, N)), "C", 0)
    source = MappedSource(X.transpose(0, 2, 1), rng.standard_normal((N, K)), 4)
    with open(X.filename, "r+b") as file:
        file.truncate(8 * P * N * 9)
    with pytest.raises(OSError, match="ended after"):
        source.read(2)
