"""Memory maps go to another process by their file, whatever view of it they are."""

import mmap

import numpy as np
import pytest

from sm_alsgls.core.tiles.mapped import MappedSource
from sm_alsgls.distributed.parcels import let_go, packed, unpacked
from sm_alsgls.exceptions import SystemInputError

SHAPE = (30, 40, 3)


@pytest.fixture
def mapped(tmp_path):
    made = np.memmap(tmp_path / "x.bin", "f4", "w+", offset=24, shape=SHAPE)
    made[:] = np.arange(made.size, dtype="f4").reshape(SHAPE)
    made.flush()
    return np.memmap(tmp_path / "x.bin", "f4", "r", offset=24, shape=SHAPE)


@pytest.mark.parametrize(
    "view",
    [
        lambda m: m,
        lambda m: m[5:9],
        lambda m: m[::2, 3:, 1],
        lambda m: m[::-1],
        lambda m: m.transpose(0, 2, 1)[4:],
        lambda m: m[4:][2:, :7].T,
        lambda m: m.view("i4"),
    ],
)
def test_views_arrive_as_they_are(mapped, view):
    parcel = packed({"here": view(mapped)})
    there = unpacked(parcel)["here"]
    assert len(parcel) < 600
    np.testing.assert_array_equal(there, view(mapped))
    assert there.strides == view(mapped).strides
    assert not there.flags.writeable
    np.testing.assert_array_equal(unpacked(packed(there)), view(mapped))


def test_what_is_no_map_any_more_goes_by_value(mapped):
    twice = mapped[:2] * 2
    np.testing.assert_array_equal(unpacked(packed(twice)), twice)
    assert len(packed(twice)) > twice.nbytes


def test_a_file_that_is_not_there_is_named(mapped, tmp_path):
    parcel = packed(mapped)
    (tmp_path / "x.bin").rename(tmp_path / "y.bin")
    with pytest.raises(SystemInputError, match=r"x\.bin cannot be read .*where all of them see it"):
        unpacked(parcel)


def test_tiles_of_a_map_are_read_from_its_file_there(tmp_path):
    X = np.memmap(tmp_path / "X", float, "w+", shape=(9, 2, 20))
    X[:] = np.arange(X.size).reshape(X.shape)
    Y = np.memmap(tmp_path / "Y", float, "w+", shape=(9, 20))
    Y[:] = 1.0
    source = MappedSource(X.transpose(0, 2, 1), Y.T, 4, 3)
    parcel = packed(source)
    assert len(parcel) < 1500
    np.testing.assert_array_equal(unpacked(parcel).read(0).Xt, X[3:7])


def test_memory_of_files_is_given_back(tmp_path):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * mmap.PAGESIZE

    made = np.memmap(tmp_path / "big", float, "w+", shape=(4_000_000,))
    made[:] = 1.0
    made.flush()
    parcel = packed(made)
    del made
    there = unpacked(parcel)
    before = resident()
    assert there.sum() == 4e6
    assert resident() - before > 25e6
    let_go()
    assert resident() - before < 8e6
    assert there.sum() == 4e6
