"""Results with instruments are pickled, saved, and live without their data."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRank3SLS
from sm_alsgls.exceptions import DataRemovedError
from sm_alsgls.results.three_stage import LowRank3SLSResults
from tests.core.instruments.twin import system

pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.WeakInstrumentWarning"),
]
WAYS = [
    {"method": "iv"}, {"method": "iv", "iterate": True}, {"method": "gmm"}, {"method": "2sls"},
    {"method": "gmm", "weight": "heteroskedastic"}, {"method": "iv", "cov_type": "HC1"},
]  # fmt: skip


def data(N=60):
    """A table, and formulas with instruments in brackets."""
    X, Z, Y, *_ = system(
        np.random.default_rng(0), N=N, K=7, q=(3, 4, 3, 5, 3, 3, 4), p=(2, 2, 3, 3, 2, 2, 2)
    )
    table, formulas = {}, {}
    for j in range(7):
        table[f"y{j}"] = Y[:, j]
        table[f"w{j}"] = X[j][:, -1]
        names = [f"z{j}_{i}" for i in range(Z[j].shape[1] - 1)]
        table |= dict(zip(names, Z[j][:, 1:].T, strict=True))
        own = names[: X[j].shape[1] - 2]
        excluded = " + ".join(names[len(own) :])
        formulas[f"y{j}"] = f"y{j} ~ {' + '.join([*own, f'[w{j} ~ {excluded}]'])}"
    return pd.DataFrame(table), formulas


def asked(res):
    """What needs no data."""
    table, _ = data(12)
    test = res.j_test()
    return {
        "summary": "\n".join(
            line for line in str(res.summary()).splitlines() if "Date" not in line
            and "Time" not in line
        ),
        "bse": res.bse.to_numpy(),
        "pvalues": res.pvalues.to_numpy(),
        "conf_int": res.conf_int().to_numpy(),
        "cov": res.cov_params().to_numpy(),
        "j": (test.statistic, test.pvalue, test.df),
        "first_stage": res.first_stage.table.to_numpy(),
        "weak": res.first_stage.summary().as_text(),
        "sargan": res.sargan().to_numpy(),
        "wald": float(np.squeeze(res.wald_test("y1_w1 = 1", scalar=True).statistic)),
        "glance": res.glance().to_string(),
        "iterations": res.iterations.to_numpy(float),
        "predict": res.predict(table).to_numpy(),
        "loadings": res.loadings.to_numpy(),
    }  # fmt: skip


def check(got, want):
    for name, value in want.items():
        if isinstance(value, str):
            assert got[name] == value, name
        else:
            np.testing.assert_allclose(got[name], value, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("kwds", WAYS)
@pytest.mark.slow
def test_round_trips(kwds):
    table, formulas = data()
    res = LowRank3SLS.from_formula(formulas, table, rank=1).fit(**kwds)
    want = asked(res)
    check(asked(pickle.loads(pickle.dumps(res))), want)
    buffer = io.BytesIO()
    res.save(buffer)
    buffer.seek(0)
    again = LowRank3SLSResults.load(buffer)
    check(asked(again), want)
    # With their data they are estimated from again.
    pd.testing.assert_frame_equal(again.bootstrap(3).params, res.bootstrap(3).params)
    assert again.wild_test("y1_w1", 1.0, 9).pvalue == res.wild_test("y1_w1", 1.0, 9).pvalue
    res.remove_data()
    check(asked(res), want)
    check(asked(pickle.loads(pickle.dumps(res))), want)


GONE = {
    "hausman": lambda res: res.hausman(),
    "anderson_rubin": lambda res: res.anderson_rubin("y1_w1"),
    "wild_test": lambda res: res.wild_test("y1_w1"),
    "bootstrap": lambda res: res.bootstrap(3),
    "resid": lambda res: res.resid,
    "factor_scores": lambda res: res.factor_scores,
    "robust": lambda res: res.get_robustcov_results("HC3").bse,
    "diagnostics": lambda res: res.diagnostics(),
    "refit": lambda res: res.model.fit(),
}


@pytest.fixture(scope="module")
def removed():
    table, formulas = data()
    res = LowRank3SLS.from_formula(formulas, table, rank=1).fit()
    res.remove_data()
    return res


@pytest.mark.parametrize("name", list(GONE))
def test_what_needs_data_says_so(removed, name):
    with pytest.raises(DataRemovedError, match="remove_data"):
        GONE[name](removed)


def test_no_rows_are_left(removed):
    def sizes(thing, seen):
        if id(thing) in seen:
            return
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            yield thing.shape
        parts = list(getattr(thing, "__dict__", {}).values())
        if isinstance(thing, dict):
            parts += list(thing.values())
        if isinstance(thing, (list, tuple)):
            parts += list(thing)
        for part in parts:
            yield from sizes(part, seen)

    shapes = list(sizes(removed.estimate, set()))
    assert len(shapes) > 10
    assert not [shape for shape in shapes if 60 in shape]
