"""Neighbours in every form, aligned by label; what is wrong is named."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from sm_alsgls.border.neighbours import neighbours
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.exceptions import ArgumentTypeError, NonFiniteError, OptionError, ShapeError

UNITS = ["north", "east", "south", "west", "isle"]
# Not symmetric, and the isle has nobody.
A = np.array(
    [
        [0.0, 2.0, 0.0, 1.0, 0.0],
        [2.0, 0.0, 1.0, 0.0, 0.0],
        [0.0, 3.0, 0.0, 0.0, 0.0],
        [1.0, 0.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)
STANDARD = A / np.maximum(A.sum(axis=1, keepdims=True), 1e-300)
SHUFFLED = ["isle", "west", "north", "south", "east"]
ORDER = [UNITS.index(name) for name in SHUFFLED]


class Graph:
    """What is asked of a graph of networkx."""

    def __init__(self, nodes, edges, directed=True):
        self.nodes, self._edges, self._directed = nodes, edges, directed

    def edges(self, data=False):
        return [(i, j, dict(w)) for i, j, w in self._edges]

    def is_directed(self):
        return self._directed


def triples(names=UNITS):
    return [(names[i], names[j], A[i, j]) for i, j in zip(*np.nonzero(A), strict=True)]


def pysal_w(ids=None):
    """What is asked of weights of libpysal."""
    ids = SHUFFLED if ids is None else ids
    lists = {i: [(j, w) for f, j, w in triples() if f == i] for i in ids}
    return SimpleNamespace(
        neighbors={i: [j for j, _ in near] for i, near in lists.items()},
        weights={i: [w for _, w in near] for i, near in lists.items()},
        id_order=ids,
    )


def pysal_graph():
    """Of libpysal's Graph: who has no neighbour is its own, with weight 0."""
    rows = [*triples(), ("isle", "isle", 0.0)]
    index = pd.MultiIndex.from_tuples([(i, j) for i, j, _ in rows], names=["focal", "neighbor"])
    return SimpleNamespace(adjacency=pd.Series([w for _, _, w in rows], index=index))


def frame(names=SHUFFLED):
    at = [UNITS.index(name) for name in names]
    return pd.DataFrame(A[np.ix_(at, at)], index=names, columns=names)


FORMS = {
    "array": lambda: A,
    "lists": A.tolist,
    "csr": lambda: scipy.sparse.csr_array(A),
    "coo matrix": lambda: scipy.sparse.coo_matrix(A),
    "weights": lambda: SpatialWeights(A),
    "labelled": frame,
    "columns in another order": lambda: frame()[UNITS],
    "pairs": lambda: pd.DataFrame(triples(), columns=["from", "to", "weight"]),
    "pysal": pysal_w,
    "pysal graph": pysal_graph,
    "networkx": lambda: Graph(SHUFFLED, [(i, j, {"weight": w}) for i, j, w in triples()]),
    "of positions": lambda: Graph(
        [0, 1, 2, 3, 4], [(i, j, {"weight": A[i, j]}) for i, j in zip(*np.nonzero(A), strict=True)]
    ),
    "mapping": lambda: {i: {j: w for f, j, w in triples() if f == i} for i in UNITS},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same(form):
    value = FORMS[form]()
    np.testing.assert_allclose(neighbours(value, UNITS).W.toarray(), STANDARD, atol=1e-15)
    raw = neighbours(FORMS[form](), UNITS, standardize=False)
    np.testing.assert_array_equal(raw.W.toarray(), A)
    np.testing.assert_array_equal(raw.isolates, [4])


@pytest.mark.parametrize(
    "form", ["labelled", "pairs", "pysal", "pysal graph", "networkx", "mapping"]
)
def test_labels_decide(form):
    found = neighbours(FORMS[form](), SHUFFLED).W.toarray()
    np.testing.assert_allclose(found, STANDARD[np.ix_(ORDER, ORDER)], atol=1e-15)


def test_without_weights_every_pair_counts_as_one():
    rows = [(i, j) for i, j, _ in triples()]
    ones = (A > 0) / np.maximum((A > 0).sum(axis=1, keepdims=True), 1)
    for value in (
        pd.DataFrame(rows, columns=["a", "b"]),
        Graph(UNITS, [(i, j, {}) for i, j in rows]),
        {i: [j for f, j in rows if f == i] for i in UNITS},
    ):
        np.testing.assert_allclose(neighbours(value, UNITS).W.toarray(), ones)


def test_edges_without_direction_go_both_ways():
    graph = Graph(["a", "b", "c"], [("a", "b", {"weight": 2.0}), ("b", "c", {})], directed=False)
    found = neighbours(graph, ["a", "b", "c"], standardize=False).W.toarray()
    np.testing.assert_array_equal(found, [[0, 2, 0], [2, 0, 1], [0, 1, 0]])


def test_numbers_as_labels_are_labels():
    """Ids 1 to 3 are units 1 to 3; as text, and as floats beside a missing value, too."""
    edges = pd.DataFrame({"from": [3, 1], "to": [1, 2]})
    expected = [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    for units in ([1, 2, 3], ["1", "2", "3"], [1.0, 2.0, 3.0]):
        found = neighbours(edges, units).W.toarray()
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(neighbours(edges.astype(float), units).W.toarray(), expected)
    # Ids that are some of the units' are no positions.
    with pytest.raises(OptionError, match="0 is no unit"):
        neighbours(Graph([0, 1, 2], [(0, 1, {})]), [1, 2, 3])


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        (A[:4, :4], ShapeError, r"W must be 5 x 5, a row and a column for each unit, got .*\(4, 4"),
        (A[:4], ShapeError, "must be 5 x 5"),
        (scipy.sparse.csr_array(A[:3, :3]), ShapeError, "must be 5 x 5"),
        (frame().iloc[:, :4], ShapeError, r"K x K .* got a DataFrame of shape \(5, 4\)"),
        (frame().rename(index={"isle": "isles"}, columns={"isle": "isles"}), OptionError,
         "'isles' is no unit .did you mean 'isle'"),
        (frame(UNITS[:4]), OptionError, "W has no row for 'isle'"),
        (frame().rename(index={"west": "isle"}, columns={"west": "isle"}), OptionError,
         "the row 'isle' is there twice"),
        (pysal_w(UNITS[:4]), OptionError, "W has no row for 'isle'"),
        (Graph([*UNITS, "moon"], [("west", "north", {})]), OptionError, "'moon' is no unit"),
        (pd.DataFrame({"a": ["west", "west"], "b": ["north", "north"]}), OptionError,
         "'north' is given twice as a neighbour of 'west'"),
        (pd.DataFrame({"a": ["west"], "b": ["Nrth"]}), OptionError, "'Nrth' is no unit .did you"),
        ({"west": [["north"]]}, OptionError, r"\['north'\] is no unit"),
        ({"west": [("north", [])]}, OptionError, "is no unit"),
        (pd.DataFrame({"a": [["west"]], "b": ["north"]}), OptionError, r"\['west'\] is no unit"),
        (pd.DataFrame({"a": ["west"], "b": ["west"]}), OptionError, "'west' is its own neighbour"),
        (pd.DataFrame({"a": ["west"], "b": ["north"], "w": [np.nan]}), NonFiniteError,
         "the weight of 'west' and 'north' is nan"),
        (pd.DataFrame({"a": ["west"], "b": ["north"], "w": ["much"]}), ShapeError, "W: .*text"),
        (pd.DataFrame({"a": ["west"], "b": ["north"], "w": [-1.0]}), OptionError,
         "of 'west' and 'north' is negative; .* standardize=False"),
        (A + np.eye(5), OptionError, "'north' is its own neighbour"),
        (np.zeros((5, 5)), OptionError, "nobody has a neighbour"),
        (1e308 * (A > 0), NonFiniteError, "'north' are too large to be summed"),
        ({"west": "north"}, ArgumentTypeError, "neighbours of 'west' must be a list"),
        ("queen", ArgumentTypeError, "W must be weights of neighbours: .* got 'queen'"),
        (None, ArgumentTypeError, "W must be weights"),
        (7, ArgumentTypeError, "W must be weights"),
        ([["a", "b"], ["c", "d"]], ShapeError, "W .*text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(value, error, said):
    with pytest.raises(error, match=said):
        neighbours(value, UNITS, "W")


def test_negative_weights_stay_where_nothing_is_standardised():
    B = A.copy()
    B[0, 1] = -2.0
    np.testing.assert_array_equal(neighbours(B, UNITS, standardize=False).W.toarray(), B)


def test_standardize_is_a_flag():
    with pytest.raises(ArgumentTypeError, match="standardize must be True or False, got 'no'"):
        neighbours(A, UNITS, standardize="no")


def test_what_was_handed_in_is_not_touched():
    W = scipy.sparse.csr_array(A)
    before = W.copy()
    neighbours(W, UNITS)
    assert (W != before).nnz == 0


def test_graphs_of_networkx_itself():
    networkx = pytest.importorskip("networkx")
    graph = networkx.DiGraph()
    graph.add_nodes_from(SHUFFLED)
    graph.add_weighted_edges_from(triples())
    np.testing.assert_allclose(neighbours(graph, UNITS).W.toarray(), STANDARD, atol=1e-15)
    ring = neighbours(networkx.cycle_graph(5), UNITS).W.toarray()
    np.testing.assert_array_equal(ring, 0.5 * (np.roll(np.eye(5), 1, 0) + np.roll(np.eye(5), 1, 1)))
