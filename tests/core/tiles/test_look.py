"""The first look at tiles: constants, moments, ones."""

import numpy as np
import pytest

from sm_alsgls.core.across import ALONE
from sm_alsgls.core.tiles.look import look
from sm_alsgls.core.tiles.sound import UnsoundTileError
from sm_alsgls.core.tiles.source import ArraySource


def test_what_a_pass_sees():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((7, 12, 3)), rng.standard_normal((12, 7)) + 1e3
    X[2, :, 1] = 1.0
    X[5, :, 0] = 1.0
    X[5, 7, 0] = 1.5
    Y[:, 4] = -2.0
    seen = look(ArraySource(X, Y, size=3), ALONE)
    assert np.array_equal(np.concatenate(seen.ones), (X == 1.0).all(axis=1))
    assert np.flatnonzero(~seen.varies).tolist() == [4]
    assert seen.first[4] == -2.0
    right = np.square(Y - Y.mean(axis=0)).sum(axis=0)
    assert np.abs(seen.about_mean - right).max() < 1e-9
    X[6, 3, 2] = np.nan
    with pytest.raises(UnsoundTileError) as told:
        look(ArraySource(X, Y, 3, first=5), ALONE)
    assert (told.value.equation, told.value.column, told.value.rows) == (6, 2, (3,))
