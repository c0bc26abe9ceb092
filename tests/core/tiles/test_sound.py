"""What cannot be computed with is found when a tile is first read, and named."""

import numpy as np
import pytest

from sm_alsgls.core.tiles.sound import SoundTiles, UnsoundTileError
from sm_alsgls.core.tiles.source import ArraySource


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return rng.standard_normal((10, 15, 3)), rng.standard_normal((15, 10))


def sound(X, Y, first=2):
    return SoundTiles(ArraySource(X, Y, 3, first))


def test_sound_tiles_are_those_of_the_source(arrays):
    source, checked = ArraySource(*arrays, 3, 2), sound(*arrays)
    assert (checked.n, checked.K, checked.first) == (15, 8, 2)
    assert checked.bounds == source.bounds
    for t in range(3):
        np.testing.assert_array_equal(checked.read(t).Xt, source.read(t).Xt)
        np.testing.assert_array_equal(checked.read(t).Yt, source.read(t).Yt)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(np.nan, "missing"), (-np.inf, "infinite"), (-1e200, r"\(beyond 1e\+150\) too large")],
)
def test_the_first_bad_column_is_named(arrays, value, kind):
    X, Y = arrays
    X[6, [4, 9], 1] = value
    checked = sound(X, Y)
    checked.read(0)
    with pytest.raises(UnsoundTileError, match=f"column 1 of equation 6 has 2 {kind} values") as e:
        checked.read(1)
    assert (e.value.equation, e.value.column, e.value.rows) == (6, 1, (4, 9))
    X[6] = 1.0
    Y[0, 6] = value
    with pytest.raises(UnsoundTileError, match="response of equation 6 has 1 .* in row 0;") as e:
        sound(X, Y).read(1)
    assert e.value.column is None


def test_a_tile_is_checked_once(arrays):
    X, Y = arrays
    checked = sound(X, Y)
    checked.read(0)
    X[2, 0, 0] = np.nan
    checked.read(0)
    with pytest.raises(UnsoundTileError):
        sound(X, Y).read(0)
