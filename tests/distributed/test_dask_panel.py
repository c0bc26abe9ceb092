"""Long panels in frames of dask whose partitions hold whole groups, beside the same in memory."""

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import (
    FormulaError,
    IllegalRankError,
    NonFiniteError,
    OptionError,
    RankDeficientError,
    ShapeError,
    UnbalancedPanelError,
)
from sm_alsgls.models.many_dask import DaskSUR

K, N = 12, 30
FORMULA = "y ~ np.log(x) + C(kind)"
TIGHT = {"gtol": 1e-10, "rel_tol": 1e-14}


def frame(names=None, seed=0):
    rng = np.random.default_rng(seed)
    names = [f"firm {j}" for j in range(K)] if names is None else names
    made = pd.DataFrame(
        {
            "firm": np.repeat(names, N),
            "year": np.tile(np.arange(1990, 1990 + N), len(names)),
            "x": rng.uniform(1.0, 3.0, len(names) * N),
            "unused": "text",
        }
    )
    # The first partition has two of three kinds.
    last = np.arange(len(made)) > 100
    made["kind"] = np.where(last, rng.choice(list("abc"), len(made)), rng.choice(list("ab"), 1))
    made.loc[::3, "kind"] = "b"
    made.loc[1::3, "kind"] = "a"
    made.loc[last & (np.arange(len(made)) % 3 == 2), "kind"] = "c"
    made.loc[~last & (np.arange(len(made)) % 6 == 2), "kind"] = "c"
    factor = np.tile(rng.standard_normal(N), len(names))
    made["y"] = np.log(made["x"]) + factor + rng.standard_normal(len(made))
    return made


def parts_of(data, number=4):
    """Partitions of whole groups, their rows in any order."""
    codes = pd.factorize(data["firm"])[0] * number // data["firm"].nunique()
    return dd.concat(
        [
            dd.from_pandas(data.loc[codes == i].sample(frac=1.0, random_state=i), npartitions=1)
            for i in range(number)
        ]
    )


def gap(expected, found):
    assert found.index.equals(expected.index)
    return float(np.max(np.abs(expected - found)))


@pytest.fixture(params=["here", "on workers"])
def engine(request):
    if request.param == "here":
        yield None
        return
    with request.getfixturevalue("cluster").as_current():
        yield request.param


@pytest.mark.parametrize("time", ["year", None])
@pytest.mark.slow
def test_equations_of_partitions_are_those_of_memory(engine, time):
    data = frame()
    # Rounds of a network for digits that the test of arrays has; without years rows are read
    # otherwise, and what is read is fitted as it is with them.
    rank = 0 if engine and time is None else 1
    options, tol = (TIGHT, 1e-10) if engine is None or rank == 0 else ({}, 1e-4)
    local = LowRankSUR.from_formula(FORMULA, data, groups="firm", time=time, rank=rank).fit(
        n_starts=1, **TIGHT
    )
    parts = parts_of(data)
    if time is None:
        parts = parts.map_partitions(lambda part: part.sort_index())
    model = LowRankSUR.from_formula(FORMULA, parts, groups="firm", time=time, rank=rank)
    assert isinstance(model, DaskSUR)
    assert model.chunks == (3, 3, 3, 3)
    res = model.fit(**options)
    beta = res.params.unstack().loc[local.model.equations]
    for name in local.model.equations:
        expected = local.equations[name].params
        assert list(beta.columns) == list(expected.index)
        assert np.max(np.abs(expected.to_numpy() - beta.loc[name].to_numpy())) < tol
    bse = res.bse.unstack().loc[local.model.equations].to_numpy().reshape(-1)
    np.testing.assert_allclose(bse, local.bse, rtol=max(tol, 1e-7))
    resid = pd.DataFrame(np.asarray(res.resid), columns=model.equations)
    np.testing.assert_allclose(
        resid[local.model.equations].to_numpy(), local.resid.to_numpy(), atol=10 * tol
    )
    assert res.columns("residuals").index.tolist() == local.resid.index.tolist()


@pytest.mark.parametrize("how", ["shuffle", "set_index"])
def test_what_the_error_says_to_do_does_it(how):
    data = frame()
    split = dd.from_pandas(data, npartitions=5)
    with pytest.raises(ShapeError, match=r"group 'firm 2' of 'firm' is in partition 0 .* in part"):
        LowRankSUR.from_formula(FORMULA, split, groups="firm", time="year", rank=1)
    whole = split.shuffle("firm") if how == "shuffle" else split.set_index("firm")
    model = LowRankSUR.from_formula(FORMULA, whole, groups="firm", time="year", rank=1)
    assert sorted(model.equations) == sorted(data["firm"].unique())


@pytest.mark.slow
def test_what_is_wrong_is_named(engine):
    data = frame()

    def made(data, formula=FORMULA, **kwargs):
        keys = {"groups": "firm", "time": "year", "rank": 1, **kwargs}
        return LowRankSUR.from_formula(formula, parts_of(data), **keys)

    gap = data.copy()
    gap.loc[(gap["firm"] == "firm 7") & (gap["year"] == 2001), "x"] = np.nan
    with pytest.raises(
        NonFiniteError, match="partition 2 .*equation 'firm 7' misses .*x.* in year 2001"
    ):
        made(gap)
    with pytest.raises(UnbalancedPanelError, match=r"partition 3 of 0 to 3.*firm 11 \(1 absent"):
        made(data.drop(index=data.index[-1]))
    late = (data["year"] == 2019) & data["firm"].isin(["firm 9", "firm 10", "firm 11"])
    with pytest.raises(UnbalancedPanelError, match="29 periods, and .* 30; year 2019 is not in"):
        made(data.loc[~late])
    with pytest.raises(ShapeError, match="0 rows in 4 partitions"):
        LowRankSUR.from_formula(
            FORMULA, parts_of(data).loc[lambda d: d["x"] > 99.0], groups="firm", rank=1
        )
    with pytest.raises(FormulaError, match="groups='frm' is not a column"):
        made(data, groups="frm")
    with pytest.raises(FormulaError, match=r"lag\(\)"):
        made(data, "y ~ lag(x)")
    with pytest.raises(FormulaError, match="learns from the data"):
        made(data, "y ~ center(x)")
    with pytest.raises(FormulaError, match="one formula"):
        made(data, {"a": "y ~ x"})
    with pytest.raises(FormulaError, match="2 responses"):
        made(data, "y + x ~ 1")
    with pytest.raises(IllegalRankError, match="'auto' or a whole number"):
        made(data, rank="bic")
    with pytest.raises(OptionError, match="common= does not go"):
        made(data, common=["x"])
    with pytest.raises(OptionError, match="missing='fiml'"):
        made(data, missing="fiml")
    with pytest.raises(FormulaError, match="subset="):
        made(data, subset=[1])
    twice = data.assign(twin=2.0 * data["x"])
    with pytest.raises(RankDeficientError, match="equation 'firm 0'.*'twin'"):
        made(twice, "y ~ x + twin").fit()
