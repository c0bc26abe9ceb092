"""Formulas of frames of dask: levels are those of all partitions, and fits those of one frame."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import (
    DataRemovedError,
    FormulaError,
    NonFiniteError,
    OptionError,
    ShapeError,
    UnseenLevelError,
)
from sm_alsgls.formula import partitions as module
from tests.data.test_stream import FORMS, frame
from tests.distributed.test_rows import same_fit

dask = pytest.importorskip("dask")
dd = pytest.importorskip("dask.dataframe")

RESPONSES = "y1 + y2 + y3 + y4"
EXPRESSIONS = "levels of expressions"


find_levels = module._find_levels


def scale(values):
    """Named in formulas; workers import it from here."""
    return values / 2.0


SCOPE = {"np": np, "scale": scale}


@pytest.fixture(autouse=True)
def synchronous():
    """Where a test says nothing else."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def sorted_data():
    """Each partition has some of the levels only."""
    data = frame().sort_values("s", ignore_index=True)
    data["year"] = np.arange(len(data)) // 40 + 2000
    return data


# One partition is a frame: of one formula it is enough.
@pytest.mark.parametrize(
    ("form", "npartitions"), [("responses", 1), *((form, 7) for form in [*FORMS, EXPRESSIONS])]
)
def test_formulas(engine, form, npartitions, sorted_data):
    formula = FORMS.get(form, f"{RESPONSES} ~ C(year) + z + C(s.str.upper()) + I(x > 2)")
    expected = LowRankSUR.from_formula(formula, sorted_data, rank=1, eval_env=SCOPE).fit()
    data = dd.from_pandas(sorted_data, npartitions=npartitions)
    model = LowRankSUR.from_formula(formula, data, rank=1, eval_env=SCOPE)
    res = model.fit()
    same_fit(res, expected)
    new = sorted_data[::30]
    pd.testing.assert_frame_equal(
        res.predict(new), expected.predict(new), rtol=1e-8, check_exact=False
    )
    with pytest.raises(DataRemovedError, match="partition by partition"):
        _ = model.data.frame.columns


@pytest.mark.parametrize("where", ["threads", "cluster"])
def test_schedulers(engine, where, request, sorted_data):
    formula = f"{RESPONSES} ~ x + s + scale(z)"
    data = dd.from_pandas(sorted_data, npartitions=7)
    scheduler = request.getfixturevalue("cluster") if where == "cluster" else where
    with dask.config.set(scheduler=scheduler):
        model = LowRankSUR.from_formula(formula, data, rank=1)
    same_fit(model.fit(), LowRankSUR.from_formula(formula, sorted_data, rank=1).fit())


@pytest.mark.parametrize("declared", [True, False])
def test_categories(engine, declared, sorted_data, monkeypatch):
    """Known ones need no pass; of unknown ones each partition has its own."""
    formula = f"{RESPONSES} ~ x + s"
    expected = LowRankSUR.from_formula(formula, sorted_data, rank=1).fit()
    levels = pd.CategoricalDtype(["c", "a", "b"]) if declared else "category"
    data = dd.from_pandas(sorted_data, npartitions=7)
    data["s"] = data["s"].astype(levels)
    assert data["s"].cat.known == declared
    passes = []

    def counted(*args):
        passes.append(1)
        return find_levels(*args)

    monkeypatch.setattr(module, "_find_levels", counted)
    res = LowRankSUR.from_formula(formula, data, rank=1).fit()
    assert len(passes) == 7 * (not declared)
    if declared:  # the first level is the base
        whole = sorted_data.assign(s=sorted_data["s"].astype(levels))
        expected = LowRankSUR.from_formula(formula, whole, rank=1).fit()
        assert "y1_s[T.a]" in res.params.index
    same_fit(res, expected)


def test_too_many_levels_are_not_looked_for(engine, sorted_data, monkeypatch):
    monkeypatch.setattr(module, "_LEVELS", 5)
    data = dd.from_pandas(sorted_data, npartitions=7)
    with pytest.raises(UnseenLevelError, match=r"partition \d of 0 to 6: .*'year' 200"):
        LowRankSUR.from_formula(f"{RESPONSES} ~ C(year)", data, rank=1)


def test_missing_values(engine, sorted_data):
    data = sorted_data.copy()
    data.loc[:49, "x"] = np.nan  # of the first partition no row is whole
    data.loc[[120, 200], "y2"] = np.nan
    formula = f"{RESPONSES} ~ x + s"
    dasked = dd.from_pandas(data, npartitions=7)
    model = LowRankSUR.from_formula(formula, dasked, rank=1)
    expected = LowRankSUR.from_formula(formula, data, rank=1)
    assert model.n_dropped == expected.n_dropped == 52
    same_fit(model.fit(), expected.fit())
    with pytest.raises(NonFiniteError, match=r"partition \d of 0 to 6: .*missing='drop'"):
        LowRankSUR.from_formula(formula, dasked, rank=1, missing="raise")
    with pytest.raises(OptionError, match="missing='fiml' needs the rows"):
        LowRankSUR.from_formula(formula, dasked, rank=1, missing="fiml")
    data["x"] = np.nan
    with pytest.raises(NonFiniteError, match="No row is left"):
        LowRankSUR.from_formula(formula, dd.from_pandas(data, npartitions=3), rank=1)


def test_errors(engine, sorted_data):
    data = dd.from_pandas(sorted_data, npartitions=7)
    with pytest.raises(FormulaError, match=r"center\(x\).* learns from the data"):
        LowRankSUR.from_formula(f"{RESPONSES} ~ center(x)", data)
    with pytest.raises(FormulaError, match=r"unknown variables: 'q' \(the data have .*'year'\)"):
        LowRankSUR.from_formula(f"{RESPONSES} ~ q", data)
    with pytest.raises(FormulaError, match="subset= does not go with a frame of dask: select"):
        LowRankSUR.from_formula(f"{RESPONSES} ~ x", data, subset=[1, 2])
    with pytest.raises(OptionError, match="weights do not go with partitions"):
        LowRankSUR.from_formula(f"{RESPONSES} ~ x", data, weights="z")
    with pytest.raises(ShapeError, match="0 rows in 7 partitions"):
        LowRankSUR.from_formula(f"{RESPONSES} ~ x", data[data["x"] > 99.0])
    wall = sorted_data.copy()
    wall.loc[250, "x"] = np.inf
    with pytest.raises(NonFiniteError, match=r"partition 5 of 0 to 6: exog: column 'x' .* row 250"):
        LowRankSUR.from_formula(f"{RESPONSES} ~ x", dd.from_pandas(wall, npartitions=7))
