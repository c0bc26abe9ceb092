"""Systems with instruments at the border: alignment, rows, unions, and what is refused."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls.border import held
from sm_alsgls.data.identified import kinds
from sm_alsgls.data.instrumented import read_instrumented
from sm_alsgls.data.read import read_designs
from sm_alsgls.exceptions import (
    DataChangedError,
    DegenerateResponseError,
    InstrumentError,
    InsufficientRowsError,
    NonFiniteError,
    OptionError,
    RankDeficientError,
    ShapeError,
    SystemInputError,
    UnderidentifiedError,
)

N = 30


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    names = ["y", "w", "x", "a", "p", "q", "z", "b", "k"]
    index = [f"r{i}" for i in range(N)]
    data = pd.DataFrame(rng.standard_normal((N, len(names))), index=index, columns=names)
    return data.assign(const=1.0)


def parts(data):
    endog = data[["y", "w"]]
    exog = {"y": data[["const", "x", "p"]], "w": data[["const", "q", "a"]]}
    instruments = {"y": data[["const", "x", "z", "k"]], "w": data[["const", "a", "b"]]}
    return endog, exog, instruments


@pytest.fixture
def data():
    return drawn()


def assert_same(one, other):
    assert one.names == other.names
    assert one.columns == other.columns
    assert one.instrument_columns == other.instrument_columns
    assert one.index.equals(other.index)
    np.testing.assert_array_equal(one.Y, other.Y)
    for a, b in zip((*one.blocks, *one.instruments), (*other.blocks, *other.instruments),
                    strict=True):  # fmt: skip
        np.testing.assert_array_equal(a, b)
    for a, b in zip(one.endogenous, other.endogenous, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- what is what -----------------------------------------------------------------------------


def test_names_say_what_is_endogenous_and_what_is_excluded(data):
    system = read_instrumented(*parts(data))
    assert system.instrument_names == {"y": ["const", "x", "z", "k"], "w": ["const", "a", "b"]}
    assert system.endogenous_names == {"y": ["p"], "w": ["q"]}
    assert system.exogenous_names == {"y": ["const", "x"], "w": ["const", "a"]}
    assert system.excluded_names == {"y": ["z", "k"], "w": ["b"]}
    assert [flags.tolist() for flags in system.endogenous] == [
        [False, False, True],
        [False, True, False],
    ]
    np.testing.assert_array_equal(system.instruments[1], data[["const", "a", "b"]])
    # Also where nobody told the system.
    again = copy.copy(system)
    object.__setattr__(again, "told", None)
    assert again.endogenous_names == system.endogenous_names


def test_rows_carry_the_products_with_instruments(data):
    system = read_instrumented(*parts(data))
    rows = system.rows
    assert len(rows.instruments) == 2
    for X, Z, x, z in zip(rows.blocks, rows.instruments, system.blocks, system.instruments,
                          strict=True):  # fmt: skip
        np.testing.assert_allclose(Z.T @ X, z.T @ x, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(Z.T @ rows.Y, z.T @ system.Y, rtol=1e-10, atol=1e-10)


def test_constants_without_names_are_columns_of_ones(data):
    """Each equation's own: one in the ends only is none, the second is numbered."""
    ones, x = np.ones(N), data["x"].to_numpy()
    ends = np.r_[1.0, x[1:-1], 1.0]
    almost = ones.copy()
    almost[7] = 1.0 + 2**-52
    exog = [np.column_stack(parts) for parts in ([ends, ones], [ones, ends], [x, ones], [almost])]
    made = read_designs(exog, "exog", list("abcd"), N, None)
    assert made.columns == [["x1", "const"], ["const", "x1"], ["x1", "const"], ["x1"]]
    twice = read_designs([np.column_stack([ones, ones, x])], "exog", ["a"], N, None, letter="z")
    assert twice.columns == [["const", "z1", "z2"]]


def test_columns_without_names_are_numbered(data):
    endog, exog, instruments = ([one[k].to_numpy() for k in ("y", "w")] for one in parts(data))
    system = read_instrumented(np.column_stack(endog), exog, instruments)
    assert system.instrument_names == {
        "y1": ["const", "z1", "z2", "z3"],
        "y2": ["const", "z1", "z2"],
    }
    assert system.endogenous_names == {"y1": ["x2"], "y2": ["x1"]}
    shared = read_instrumented(np.column_stack(endog), exog[0], instruments[0])
    assert shared.instruments[0] is shared.instruments[1]


def test_a_regressor_in_the_span_of_instruments_is_exogenous(data):
    """Dummies of all regions span the constant."""
    dummies = pd.DataFrame(np.eye(3)[np.arange(N) % 3], index=data.index, columns=list("ABC"))
    exog = data[["const", "p"]]
    system = read_instrumented(data["y"], exog, dummies.assign(z=data["z"] * 1e8))
    assert system.endogenous_names == {"y": ["p"]}
    assert system.excluded_names == {"y": ["A", "B", "C", "z"]}


def test_a_regressor_is_exogenous_whatever_the_origin_of_its_instrument(data):
    """Of 1e6 + z the span has z to 1e-10 only."""
    exog, Z = data[["const", "x", "p"]], data[["const", "x", "z"]]
    for offset in (1e6, -1e6, 1e8):
        system = read_instrumented(data["y"], exog, Z.add([0.0, offset, offset]))
        assert system.exogenous_names == {"y": ["const", "x"]}
        # What is estimated with says the same.
        assert system.free_design(system.rows).exogenous[0].tolist() == [True, True, False]


def test_an_endogenous_regressor_is_that_far_from_zero(data):
    exog, Z = data[["const", "x", "p"]].add([0.0, 0.0, 2e9]), data[["const", "x", "z"]]
    system = read_instrumented(data["y"], exog, Z)
    assert system.endogenous_names == {"y": ["p"]}
    assert system.free_design(system.rows).exogenous[0].tolist() == [True, True, False]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_kinds_are_those_of_each_equation_alone(seed, K):
    """Also where equations share regressors, instruments, both or neither."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((N, 6))
    designs = [z[:, rng.permutation(6)[: rng.integers(1, 6)]] for _ in range(3)]
    inside = np.column_stack([z.sum(axis=1), z[:, 0] - z[:, 1], np.zeros(N), z[:, 2]])
    pool = np.hstack([z, inside, rng.standard_normal((N, 2))])
    regressors = [pool[:, rng.permutation(12)[: rng.integers(1, 5)]] for _ in range(3)]
    blocks = [regressors[i] for i in rng.integers(0, 3, K)]
    instruments = [designs[i] for i in rng.integers(0, 3, K)]
    made = kinds(blocks, instruments)
    for X, Z, endogenous, excluded in zip(blocks, instruments, *made, strict=True):
        left = X - Z @ np.linalg.lstsq(Z, X, rcond=None)[0]
        assert endogenous.tolist() == (np.linalg.norm(left, axis=0) > 1e-9).tolist()
        assert excluded.tolist() == [not any((column == x).all() for x in X.T) for column in Z.T]


# ---- labels -----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(2)), st.integers(0, 10**6))
def test_order_of_mappings_and_columns_changes_names_only(order, seed):
    data = drawn(seed % 97)
    endog, exog, instruments = parts(data)
    keys = [["y", "w"][i] for i in order]
    rng = np.random.default_rng(seed)
    shuffled = {k: instruments[k].iloc[:, rng.permutation(instruments[k].shape[1])] for k in keys}
    one = read_instrumented(endog, exog, instruments)
    other = read_instrumented(endog, {k: exog[k] for k in keys}, shuffled)
    assert one.names == other.names
    assert one.endogenous_names == other.endogenous_names
    for name, labels in one.instrument_names.items():
        assert sorted(other.instrument_names[name]) == sorted(labels)
    for j, labels in enumerate(other.instrument_columns):
        np.testing.assert_array_equal(other.instruments[j], data[labels])


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(N)))
def test_permuted_rows_give_the_permuted_system(order):
    data = drawn()
    one = read_instrumented(*parts(data)).kept(np.ones(N, dtype=bool))
    other = read_instrumented(*parts(data.iloc[order]))
    assert_same(other, read_instrumented(*parts(data.iloc[order].copy())))
    np.testing.assert_array_equal(other.Y, one.Y[order])
    np.testing.assert_array_equal(other.instruments[0], one.instruments[0][order])
    assert list(other.index) == [f"r{i}" for i in order]


def test_labels_of_instruments_decide(data):
    endog, exog, instruments = parts(data)
    with pytest.raises(ShapeError, match=r"instruments of equation 'w'.*position 0 \('r29'"):
        read_instrumented(endog, exog, {**instruments, "w": instruments["w"].iloc[::-1]})
    with pytest.raises(ShapeError, match="equation 'w': instruments has 29 rows but endog has 30"):
        read_instrumented(endog, exog, {**instruments, "w": instruments["w"].iloc[1:]})
    # Where only they have labels these are the rows'.
    arrays = endog.to_numpy(), {f"y{i}": X.to_numpy() for i, X in enumerate(exog.values(), 1)}
    labelled = {f"y{i}": Z for i, Z in enumerate(instruments.values(), 1)}
    system = read_instrumented(*arrays, labelled)
    assert list(system.index) == list(data.index)
    assert system.provenance.labelled


# ---- rows -------------------------------------------------------------------------------------


def test_dropped_rows_miss_a_response_a_regressor_or_an_instrument(data):
    data.loc["r3", "y"] = data.loc["r5", "p"] = data.loc["r7", "b"] = np.nan
    with pytest.raises(NonFiniteError, match="endog: equation 'y' has 1 missing value.*'r3'"):
        read_instrumented(*parts(data))
    system = read_instrumented(*parts(data), missing="drop")
    whole = read_instrumented(*parts(data.dropna()))
    assert_same(system, whole)
    assert (system.n_dropped, system.nobs) == (3, 27)
    assert system.provenance.rows.tolist() == [i for i in range(N) if i not in (3, 5, 7)]


@pytest.mark.parametrize("missing", ["none", "raise"])
def test_missing_instruments_are_named(data, missing):
    data.loc["r7", "b"] = np.nan
    with pytest.raises(NonFiniteError) as told:
        read_instrumented(*parts(data), missing=missing)
    assert "instruments: column 'b' of equation 'w' has 1 missing value, the first in row 'r7'" in (
        str(told.value)
    )
    assert "fiml" not in str(told.value)


def test_infinite_and_enormous_instruments_are_named(data):
    with pytest.raises(NonFiniteError, match=r"instruments: column 'z' .* 1 infinite"):
        read_instrumented(*parts(data.assign(z=np.where(np.arange(N) == 4, np.inf, data["z"]))))
    with pytest.raises(SystemInputError, match="instruments: column 'b' of .* 'w'.*9.47081e.199"):
        read_instrumented(*parts(data.assign(b=data["b"] * 1e200)))


def test_weights_are_of_rows(data):
    w = np.arange(N, dtype=float)
    system = read_instrumented(*parts(data), weights=w)
    assert (system.nobs, system.n_dropped, list(system.index)[:1]) == (29, 1, ["r1"])
    np.testing.assert_allclose(system.cells.weights, w[1:] / w[1:].mean(), rtol=1e-14)
    root = np.sqrt(system.cells.weights)[:, None]
    for made, Z in zip(system.used_instruments, system.instruments, strict=True):
        np.testing.assert_allclose(made, Z * root, rtol=1e-14)
    # By labels, and without weights where they are equal.
    shuffled = pd.Series(w, index=data.index).sample(frac=1.0, random_state=1)
    np.testing.assert_array_equal(
        read_instrumented(*parts(data), weights=shuffled).cells.weights, system.cells.weights
    )
    assert read_instrumented(*parts(data), weights=np.full(N, 7.0)).cells.weights is None
    # A row of weight zero may miss something; one that is dropped needs no weight.
    data.loc["r0", "z"] = np.nan
    assert read_instrumented(*parts(data), weights=w).nobs == 29
    w[0] = np.nan
    assert read_instrumented(*parts(data), missing="drop", weights=w).nobs == 29


@pytest.mark.parametrize("weights", [np.ones((N, 2)), {"y": np.ones(N), "w": np.ones(N)}])
def test_weights_of_cells_are_refused(data, weights):
    with pytest.raises(OptionError, match="one weight a row, got 2 columns"):
        read_instrumented(*parts(data), weights=weights)


def test_data_are_the_systems_own(data):
    arrays = [part.to_numpy() for part in (data[["y"]], data[["const", "p"]], data[["const", "z"]])]
    system = read_instrumented(*arrays)
    kept = system.instruments[0].copy()
    arrays[2][:] = 0.0
    np.testing.assert_array_equal(system.instruments[0], kept)
    assert not system.instruments[0].flags.writeable


def test_large_data_are_watched(data, monkeypatch):
    monkeypatch.setattr(held, "COPIED", 10)
    arrays = [part.to_numpy().copy() for part in (data[["y"]], data[["const", "p"]],
                                                  data[["const", "z", "k"]])]  # fmt: skip
    system = read_instrumented(*arrays)
    assert np.shares_memory(system.instruments[0], arrays[2])
    assert system.rows.instruments[0].shape[1] == 3
    again = pickle.loads(pickle.dumps(system))
    assert_same(again, system)
    assert not np.shares_memory(again.instruments[0], arrays[2])
    assert_same(copy.deepcopy(system), system)
    root = np.sqrt(np.arange(1.0, N + 1))
    weighted = read_instrumented(*arrays, weights=root**2)
    scaled = arrays[2] * (root / np.sqrt(np.mean(root**2)))[:, None]
    np.testing.assert_allclose(weighted.used_instruments[0], scaled, rtol=1e-14)
    arrays[2][0, 1] += 1.0
    assert system.blocks[0].shape == (N, 2)  # these are as they were
    with pytest.raises(DataChangedError, match="instruments of equation 'y' was changed"):
        _ = system.instruments[0]


# ---- one list for all ---------------------------------------------------------------------------


def test_common_instruments_are_the_union(data):
    system = read_instrumented(*parts(data), common_instruments=True)
    union = ["const", "x", "z", "k", "a", "b"]
    assert system.instrument_names == {"y": union, "w": union}
    assert system.instruments[0] is system.instruments[1]
    np.testing.assert_array_equal(system.instruments[0], data[union])
    assert system.endogenous_names == {"y": ["p"], "w": ["q"]}
    assert system.excluded_names["w"] == ["x", "z", "k", "b"]


def test_the_union_makes_up_for_an_equation_that_has_too_few(data):
    endog, exog, instruments = parts(data)
    instruments["w"] = data[["const", "a"]]
    with pytest.raises(UnderidentifiedError):
        read_instrumented(endog, exog, instruments)
    system = read_instrumented(endog, exog, instruments, common_instruments=True)
    assert system.excluded_names["w"] == ["x", "z", "k"]


def test_equal_values_count_once_in_the_union(data):
    endog, exog, instruments = parts(data)
    instruments["w"] = instruments["w"].assign(zz=data["z"]).rename(columns={"const": "one"})
    system = read_instrumented(endog, exog, instruments, common_instruments=True)
    assert system.instrument_columns[0] == ["const", "x", "z", "k", "a", "b"]


def test_one_name_for_two_variables_is_refused_in_the_union(data):
    endog, exog, instruments = parts(data)
    instruments["w"] = instruments["w"].rename(columns={"b": "z"})
    read_instrumented(endog, exog, instruments)
    with pytest.raises(InstrumentError, match="'z' of equation 'y' and that of equation 'w'"):
        read_instrumented(endog, exog, instruments, common_instruments=True)


def test_the_union_numbers_what_has_no_name(data):
    endog, exog, instruments = parts(data)
    arrays = {name: Z.to_numpy() for name, Z in instruments.items()}
    system = read_instrumented(endog, exog, arrays, common_instruments=True)
    assert system.instrument_columns[0] == ["const", "z1", "z2", "z3", "z4", "z5"]
    np.testing.assert_array_equal(system.instruments[0], data[["const", "x", "z", "k", "a", "b"]])
    # Beside names: those that are taken are left out.
    mixed = {"y": arrays["y"], "w": instruments["w"].rename(columns={"b": "z1"})}
    system = read_instrumented(endog, exog, mixed, common_instruments=True)
    assert system.instrument_columns[0] == ["const", "z2", "z3", "z4", "a", "z1"]
    # What has a name in any equation is called by it.
    mixed["w"] = mixed["w"].assign(level=data["k"])
    system = read_instrumented(endog, exog, mixed, common_instruments=True)
    assert system.instrument_columns[0] == ["const", "z2", "z3", "level", "a", "z1"]


def test_the_union_may_not_make_an_endogenous_regressor_exogenous(data):
    endog, exog, instruments = parts(data)
    instruments["w"] = instruments["w"].assign(p=data["p"])
    read_instrumented(endog, exog, instruments)
    with pytest.raises(InstrumentError, match="'p' is endogenous in equation 'y', but an instr"):
        read_instrumented(endog, exog, instruments, common_instruments=True)


# ---- what is refused ---------------------------------------------------------------------------


def test_no_instruments(data):
    endog, exog, _ = parts(data)
    with pytest.raises(InstrumentError, match="instruments is missing.*LowRankSUR"):
        read_instrumented(endog, exog, None)
    with pytest.raises(ShapeError, match="equation 'y': instruments has no columns; give every"):
        read_instrumented(endog, exog, np.empty((N, 0)))


def test_too_few_instruments_are_counted(data):
    endog, exog, instruments = parts(data)
    exog["y"] = exog["y"].assign(q=data["q"])
    with pytest.raises(UnderidentifiedError) as told:
        read_instrumented(endog, exog, {**instruments, "y": data[["const", "x", "z"]]})
    assert str(told.value).startswith(
        "equation 'y' has 3 instruments for 4 regressors: 1 that are excluded from it ('z') for 2 "
        "endogenous regressors ('p', 'q'); add 1 or more"
    )


@pytest.mark.parametrize("q", [N - 1, N, N + 3])
@pytest.mark.parametrize("common", [False, True])
def test_as_many_instruments_as_rows(data, q, common):
    endog, exog, instruments = parts(data)
    rng = np.random.default_rng(1)
    half = q // 2
    more = rng.standard_normal((2, N, q))
    if common:
        instruments = [more[0, :, :half], more[1, :, : q - half]]
    else:
        instruments["w"] = more[0]
    if q < N:
        read_instrumented(endog, exog, instruments, common_instruments=common)
        return
    with pytest.raises(InstrumentError, match="P = I, so that 3SLS would be SUR.*LowRankSUR") as e:
        read_instrumented(endog, exog, instruments, common_instruments=common)
    assert ("the union of all instruments" if common else "equation 'w' has") in str(e.value)


def test_dependent_instruments_are_named(data):
    endog, exog, instruments = parts(data)
    instruments["w"] = instruments["w"].assign(s=data["a"] - 2.0 * data["b"])
    with pytest.raises(RankDeficientError, match="equation 'w': the columns of instruments are"):
        read_instrumented(endog, exog, instruments)
    with pytest.raises(RankDeficientError, match="equation 'w': .*'[abs]' is a combination"):
        read_instrumented(endog, exog, instruments, common_instruments=True)
    # Each has no more than it can have, and together they do.
    endog, exog, instruments = parts(data.assign(b=data["z"] + data["k"]))
    read_instrumented(endog, exog, instruments)
    with pytest.raises(RankDeficientError, match="the union of all instruments"):
        read_instrumented(endog, exog, instruments, common_instruments=True)
    with pytest.raises(RankDeficientError, match="column 'z' of instruments is zero in every row"):
        read_instrumented(*parts(data.assign(z=0.0)))
    with pytest.raises(SystemInputError, match="'z' of instruments is below 1e-152"):
        read_instrumented(*parts(data.assign(z=data["z"] * 1e-200)))


def test_a_response_is_no_instrument_of_its_own_equation(data):
    endog, exog, instruments = parts(data)
    instruments["y"] = instruments["y"].assign(own=data["y"])
    with pytest.raises(InstrumentError, match="equation 'y': its instrument 'own' is its own resp"):
        read_instrumented(endog, exog, instruments)
    instruments = parts(data)[2]
    instruments["w"] = instruments["w"].assign(y=data["y"])
    read_instrumented(endog, exog, instruments)
    with pytest.raises(InstrumentError, match="equation 'y': its instrument 'y' is its own resp"):
        read_instrumented(endog, exog, instruments, common_instruments=True)


def test_names_of_instruments(data):
    endog, exog, instruments = parts(data)
    with pytest.raises(ShapeError, match=r"instruments lacks equation 'w'; it has 'W' \(did you"):
        read_instrumented(endog, exog, {"y": instruments["y"], "W": instruments["w"]})
    twice = instruments["y"].set_axis(["const", "x", "z", "z"], axis=1)
    with pytest.raises(ShapeError, match="equation 'y': instruments has two columns named 'z'"):
        read_instrumented(endog, exog, {**instruments, "y": twice})
    with pytest.raises(ShapeError, match="instruments lists 1 designs for 2 equations"):
        read_instrumented(endog, exog, [instruments["y"]])


def test_what_a_system_with_instruments_does_not_know(data):
    with pytest.raises(OptionError, match="missing='fiml' is of a likelihood"):
        read_instrumented(*parts(data), missing="fiml")
    with pytest.raises(OptionError, match="missing"):
        read_instrumented(*parts(data), missing="some")
    with pytest.raises(ShapeError, match="iterator of chunks"):
        read_instrumented(iter([parts(data)[:2]]), None, None)
    with pytest.raises(OptionError, match="common_instruments"):
        read_instrumented(*parts(data), common_instruments="yes")


def test_nothing_is_left(data):
    with pytest.raises(InsufficientRowsError, match="instrument 'z' of equation 'y' has no value"):
        read_instrumented(*parts(data.assign(z=np.nan)), missing="drop")
    with pytest.raises(InsufficientRowsError, match="has weight 0"):
        read_instrumented(*parts(data), weights=np.zeros(N))
    with pytest.raises(ShapeError, match="0 rows"):
        read_instrumented(*parts(data.iloc[:0]))
    with pytest.raises(InsufficientRowsError, match="'y' has 3 regressors but only 3 rows"):
        read_instrumented(*parts(data.iloc[:3]))
    with pytest.raises(DegenerateResponseError, match="'w' is constant"):
        read_instrumented(*parts(data.assign(w=2.0)))
