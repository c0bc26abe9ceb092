"""One pass over many designs sees what a look at each of them sees."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls.border import held
from sm_alsgls.data import first_look as module
from sm_alsgls.data.first_look import first_look
from sm_alsgls.data.read import build_system
from sm_alsgls.data.seen import FirstLook

NUMBERS = st.sampled_from([1.0, 1.0, 1.0, 0.0, -2.5, np.nan, np.inf, 1e200])
SHAPES = st.sampled_from([(0, 2), (1, 1), (3, 2), (3, 0), (5, 3), (40, 2)])


@st.composite
def designs(draw):
    rows, columns = draw(SHAPES)
    drawn = draw(st.lists(NUMBERS, min_size=rows * columns, max_size=rows * columns))
    X = np.array(drawn, dtype=float).reshape(rows, columns)
    if columns and draw(st.booleans()):
        X[:, draw(st.integers(0, columns - 1))] = 1.0
    layout = draw(st.sampled_from("CFS"))
    if layout == "S":
        wide = np.zeros((rows, 2 * columns))
        wide[:, ::2] = X
        return wide[:, ::2]
    return np.asfortranarray(X) if layout == "F" else X


@settings(deadline=None)
@given(arrays=st.lists(designs(), max_size=12), together=st.sampled_from([6, 30, 2**17]))
def test_it_is_that_of_each(arrays, together):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TOGETHER", together)
        patch.setattr(module, "_SMALL", min(together, 30))
        seen, again = first_look(arrays), first_look(arrays, prints=True)
    assert again[:2] == seen[:2]
    assert not seen.prints
    for X in arrays:
        taken = again.print_of(X)
        assert taken is None or taken == held.fingerprints([X])[0]
        assert again.print_of(X.copy()) is None
    for X, ones in zip(arrays, seen.ones, strict=True):
        assert ones == tuple(bool(len(X)) and bool((x == 1.0).all()) for x in X.T)
    assert seen.sound == all(bool((np.abs(X) < 1e152).all()) for X in arrays)
    assert not first_look(arrays, sums=False).sound


@pytest.mark.parametrize("order", ["C", "F"])
def test_fingerprints_are_taken_of_arrays_beside_one_another(order):
    arrays = [np.full((5, 2), float(i), order=order) for i in range(3)]
    seen = first_look([*arrays, np.ones((4, 3))], prints=True)
    assert [seen.print_of(X) for X in arrays] == held.fingerprints(arrays).tolist()


def test_nothing_is_changed_and_no_filter():
    X = np.array([[1.0, 1e200], [1.0, np.inf]])
    before, filters = X.copy(), np.geterr()
    assert first_look([X, X]).ones == [(True, False)] * 2
    np.testing.assert_array_equal(X, before)
    assert np.geterr() == filters


def test_many_rows_are_not_looked_at_here():
    """Their sums of squares come slab by slab, of all designs together."""
    assert not first_look([np.ones((10_000, 2))]).sound
    assert first_look([np.ones((10_000, 2))]).ones == [(True, True)]


class Lazy(Mapping):
    """A mapping that makes its arrays anew whenever it is asked, as of a file."""

    def __init__(self, arrays):
        self.arrays, self.asked = arrays, 0

    def __len__(self):
        return len(self.arrays)

    def __iter__(self):
        return iter(self.arrays)

    def __getitem__(self, name):
        self.asked += 1
        return self.arrays[name].copy()


def test_a_mapping_that_reads_a_file_is_read_once():
    rng = np.random.default_rng(0)
    X = Lazy({name: rng.standard_normal((9, 2)) for name in "abc"})
    Y = Lazy({name: rng.standard_normal(9) for name in "abc"})
    system = build_system(Y, X)
    assert (X.asked, Y.asked) == (3, 3)
    np.testing.assert_array_equal(system.blocks[1], X.arrays["b"])


def test_a_fingerprint_is_of_that_array_only():
    """A number that one array had may be another's, once nobody keeps the first."""
    kept, other = np.ones((3, 2)), np.zeros((3, 2))
    look = FirstLook(True, [], {id(kept): (kept, 7), id(other): (kept, 7)})
    assert look.print_of(kept) == 7
    assert look.print_of(other) is None
    assert look.print_of(np.ones((3, 2))) is None
