"""The first-stage table of a system, and what it warns of."""

import numpy as np
import pandas as pd
import pytest
from linearmodels.iv import IV2SLS

from sm_alsgls.core.beta.robust import White
from sm_alsgls.core.instruments.effective_f import (
    critical_value,
    effective_f,
    homoscedastic_critical_value,
)
from sm_alsgls.core.instruments.partialled import partial_out
from sm_alsgls.exceptions import WeakInstrumentWarning
from sm_alsgls.models.three_stage import LowRank3SLS
from sm_alsgls.results.first_stage import first_stage
from tests.core.instruments.draws import equation
from tests.results.instrumented_system import fit, model


@pytest.fixture(scope="module")
def draws():
    return [
        equation(L=3, seed=6, strength=1.0, uneven=True),
        equation(L=3, seed=2, strength=0.0),
        equation(m=2, L=4, seed=3, strength=1.5),
        equation(m=2, L=2, seed=4, strength=0.1),
    ]


def test_table(draws):
    got = first_stage(model(draws).system)
    labels = [("e0", "p0"), ("e1", "p0"), ("e2", "p0"), ("e2", "p1"), ("e3", "p0"), ("e3", "p1")]
    assert list(got.table.index) == labels
    assert got.table.index.names == ["equation", "regressor"]
    assert list(got.table["n_excluded"]) == [3, 3, 4, 4, 2, 2]
    assert list(got.table["df_denom"]) == [75, 75, 74, 74, 76, 76]
    for j, (y, X, Z, _) in enumerate(draws):
        peer = IV2SLS(y, X[:, :2], X[:, 2:], Z[:, 2:]).fit(cov_type="unadjusted", debiased=True)
        want = peer.first_stage.diagnostics
        mine = got.table.loc[f"e{j}"]
        for name, theirs in [
            ("rsquared", "rsquared"), ("partial_rsquared", "partial.rsquared"),
            ("shea_rsquared", "shea.rsquared"), ("fvalue", "f.stat"), ("f_pvalue", "f.pval"),
        ]:  # fmt: skip
            np.testing.assert_allclose(mine[name], want[theirs].to_numpy(float), rtol=1e-8)
    _, X, Z, endogenous = draws[0]
    part = partial_out(X, Z, endogenous)
    value, S = effective_f(part, White(), 80 / part.df)
    assert got.table.loc[("e0", "p0"), "effective_f"] == pytest.approx(value)
    assert got.table.loc[("e0", "p0"), "effective_f_critical"] == pytest.approx(
        critical_value(S, 0.1)[0]
    )
    assert got.table.loc["e2", "effective_f"].isna().all()
    # Three instruments more than are needed for the other regressor, and one.
    for name, K in (("e2", 3.0), ("e3", 1.0)):
        want = homoscedastic_critical_value(K)
        np.testing.assert_allclose(got.table.loc[name, "effective_f_critical"], want)


def test_weak(draws):
    got = first_stage(model(draws).system)
    compared = got.table["effective_f"].fillna(got.table["sanderson_windmeijer"])
    below = compared < got.table["effective_f_critical"]
    assert got.weak == [f"{a}_{b}" for a, b in got.table.index[below]]
    assert {"e1_p0", "e3_p0", "e3_p1"} <= set(got.weak)
    assert "e0_p0" not in got.weak
    assert "'e1_p0'" in got.warning
    assert "anderson_rubin()" in got.warning
    assert "wild_test()" in got.warning
    text = str(got)
    assert "e1: p0" in text
    assert text.count(" *") >= len(got.weak)
    assert repr(got).startswith(f"<FirstStage: {len(got.weak)} of 6 have weak instruments: e1_p0")
    assert "effective F" in got.summary().as_html()


def test_strong_and_exogenous(draws):
    strong = first_stage(model([draws[0]]).system)
    assert strong.weak == []
    assert strong.warning == ""
    assert repr(strong) == "<FirstStage: 0 of 1 have weak instruments>"
    y, X, _, _ = draws[0]
    none = first_stage(model([(y, X, X, None)]).system)
    assert len(none.table) == 0
    assert none.weak == []
    assert "0 Endogenous" in str(none)
    both = first_stage(model([draws[0], (y, X, X, None)]).system)
    pd.testing.assert_frame_equal(both.table, strong.table)


def test_at_most_eight_are_named():
    weak = [equation(L=2, seed=j, strength=0.0) for j in range(60)]
    got = first_stage(model(weak).system)
    assert len(got.weak) > 50
    assert got.warning.count("_p0'") == 8
    assert f"and {len(got.weak) - 8} more" in got.warning
    assert "The weakest 40 are shown" in str(got)


def test_weights_are_those_of_the_weighted_data(draws):
    w = np.random.default_rng(0).uniform(0.2, 2.0, 80)
    w /= w.mean()
    got = first_stage(model(draws[:1], w).system).table.iloc[0]
    y, X, Z, endogenous = draws[0]
    root = np.sqrt(w)[:, None]
    peer = IV2SLS(y, X[:, :2], X[:, 2:], Z[:, 2:], weights=w).fit(
        cov_type="unadjusted", debiased=True
    )
    want = peer.first_stage.diagnostics.iloc[0]
    assert got["fvalue"] == pytest.approx(want["f.stat"], rel=1e-8)
    assert got["rsquared"] == pytest.approx(want["rsquared"], rel=1e-8)
    part = partial_out(root * X, root * Z, endogenous)
    assert got["effective_f"] == pytest.approx(effective_f(part, White(), 80 / part.df)[0])


def test_shared_arrays_are_computed_once(draws, monkeypatch):
    import sm_alsgls.results.first_stage as module

    calls = []
    real = module.partial_out
    monkeypatch.setattr(module, "partial_out", lambda *args: calls.append(1) or real(*args))
    y, X, Z, _ = draws[0]
    shared = LowRank3SLS(np.column_stack([y, y[::-1], 2 * y]), X, Z, rank=0)
    got = first_stage(shared.system)
    assert len(calls) == 1
    np.testing.assert_array_equal(got.table.loc["y1"], got.table.loc["y3"])


def test_results_have_it_and_a_fit_warns(draws):
    with pytest.warns(WeakInstrumentWarning, match=r"2 of 2 .*'e0_p0', 'e0_p1'") as caught:
        res = model([draws[3]]).fit()
    assert caught[0].filename == __file__
    pd.testing.assert_frame_equal(res.first_stage.table, first_stage(res.model.system).table)
    assert res.first_stage is res.first_stage
    strong = fit([draws[0]])
    assert strong.first_stage.weak == []
    robust = strong.get_robustcov_results("HC1")
    pd.testing.assert_frame_equal(robust.first_stage.table, strong.first_stage.table)
