"""What must not change when units, origins or orders do."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sm_alsgls import LowRankSUR
from tests.systems import french, simulate, wide_grunfeld

SYSTEMS = {
    "tall": lambda: simulate(60, 6, 3, 1, seed=11),
    "ragged": lambda: (
        [x[:, : 2 + j % 3] for j, x in enumerate(simulate(50, 9, 4, 1, seed=0)[0])],
        simulate(50, 9, 4, 1, seed=0)[1],
        None,
    ),
    "wide": lambda: simulate(25, 40, 3, 1, seed=12),
}
# Shrinking a failed fit takes minutes and says little.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
SYSTEM = pytest.mark.parametrize("system", list(SYSTEMS))


def fit(Y, X, rank=1):
    return LowRankSUR(Y, X, rank=rank).fit()


def by_variable(res):
    return {name: res.equations[name].params for name in res.equations}


@SYSTEM
@settings(max_examples=8, deadline=None, phases=PHASES)
@given(data=st.data())
def test_units(system, data):
    """Rescale some y and x by powers from 1e-8 to 1e8."""
    X, Y, _ = SYSTEMS[system]()
    K = Y.shape[1]
    powers = st.sampled_from([1e-8, 1e-3, 1.0, 1e5, 1e8])
    c = np.array(data.draw(st.lists(powers, min_size=K, max_size=K)))
    a = [np.array(data.draw(st.lists(powers, min_size=x.shape[1], max_size=x.shape[1])))
         for x in X]  # fmt: skip
    plain, scaled = fit(Y, X), fit(Y * c, [x * s for x, s in zip(X, a, strict=True)])
    # Arrays: a rescaled constant is no longer called one.
    t = [np.asarray(res.tvalues) for res in (scaled, plain)]
    np.testing.assert_allclose(*t, rtol=1e-8, atol=1e-8)
    shift = -Y.shape[0] * np.log(c).sum()
    assert scaled.llf - plain.llf == pytest.approx(shift, abs=1e-8 * max(1.0, abs(plain.llf)))
    per_equation = np.concatenate([ck / ak for ck, ak in zip(c, a, strict=True)])
    params = [np.asarray(res.params) for res in (scaled, plain)]
    np.testing.assert_allclose(params[0], params[1] * per_equation, rtol=1e-7)
    np.testing.assert_allclose(scaled.communalities, plain.communalities, atol=1e-8)


@pytest.mark.parametrize("factor", [1e8, 1e-8])
def test_units_of_real_data(factor):
    system = wide_grunfeld()
    plain = LowRankSUR.from_system(system, rank=2).fit()
    rescaled = {
        k: (y * (factor if i % 2 else 1.0), X.assign(value=X["value"] * factor))
        for i, (k, (y, X)) in enumerate(system.items())
    }
    res = LowRankSUR.from_system(rescaled, rank=2).fit()
    np.testing.assert_allclose(res.tvalues, plain.tvalues, rtol=1e-8, atol=1e-8)
    assert res.llf - plain.llf == pytest.approx(-20 * 5 * np.log(factor), rel=1e-10)


@SYSTEM
def test_origin_of_a_regressor_beside_a_constant(system):
    X, Y, _ = SYSTEMS[system]()
    moved = [x.copy() for x in X]
    for j, x in enumerate(moved):
        if j % 2 == 0:
            x[:, 1] += 1e8
    plain, shifted = fit(Y, X), fit(Y, moved)
    slopes = [n for n in plain.params.index if not n.endswith("const")]
    np.testing.assert_allclose(shifted.params[slopes], plain.params[slopes], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(shifted.bse[slopes], plain.bse[slopes], rtol=1e-6)
    assert shifted.llf == pytest.approx(plain.llf, abs=1e-5)  # 1e8 costs x half its digits


@SYSTEM
@settings(max_examples=6, deadline=None, phases=PHASES)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_rows_equations_and_columns(system, seed):
    X, Y, _ = SYSTEMS[system]()
    rng = np.random.default_rng(seed)
    N, K = Y.shape
    rows, eqs = rng.permutation(N), rng.permutation(K)
    cols = [rng.permutation(x.shape[1]) for x in X]
    plain = fit(Y, X)
    moved = LowRankSUR(
        Y[np.ix_(rows, eqs)], [X[j][np.ix_(rows, cols[j])] for j in eqs], rank=1
    ).fit()
    assert moved.llf == pytest.approx(plain.llf, rel=1e-10)
    original = by_variable(plain)
    for i, j in enumerate(eqs):
        got = moved.equations[f"y{i + 1}"]
        np.testing.assert_allclose(
            got.params.to_numpy(), original[f"y{j + 1}"].to_numpy()[cols[j]], rtol=1e-10, atol=1e-10
        )
        np.testing.assert_allclose(
            got.bse.to_numpy(), plain.equations[f"y{j + 1}"].bse.to_numpy()[cols[j]], rtol=1e-10
        )
    np.testing.assert_allclose(
        np.abs(moved.loadings.to_numpy()), np.abs(plain.loadings.to_numpy()[eqs]), atol=1e-10
    )


def test_order_of_real_portfolios():
    Y, X = french()
    plain = fit(Y, X, rank=2)
    moved = fit(Y.iloc[::-1, ::-1], X.iloc[::-1, ::-1], rank=2)
    assert moved.llf == pytest.approx(plain.llf, rel=1e-10)
    np.testing.assert_allclose(
        moved.uniquenesses[plain.model.equations], plain.uniquenesses, rtol=1e-6
    )


@SYSTEM
def test_adding_regressors_times_anything_to_y_moves_only_coefficients(system):
    X, Y, _ = SYSTEMS[system]()
    rng = np.random.default_rng(1)
    add = [rng.standard_normal(x.shape[1]) for x in X]
    plain = fit(Y, X)
    moved = fit(Y + np.column_stack([x @ b for x, b in zip(X, add, strict=True)]), X)
    np.testing.assert_allclose(moved.params - plain.params, np.concatenate(add), atol=1e-9)
    np.testing.assert_allclose(moved.bse, plain.bse, rtol=1e-8)


@SYSTEM
@pytest.mark.parametrize("rank", [1, 2])
def test_nll_never_rises(system, rank):
    X, Y, _ = SYSTEMS[system]()
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = fit(Y, X, rank)
    trace = res.trace
    scale = max(1.0, abs(res.nll_per_row))
    accepted = trace["nll"][trace["accept_t"] > 0]
    # A d_j on its bound of 1e-8 of s_j costs that equation's residuals four digits.
    rounding = 2e-11 if res.heywood else 1e-12
    assert np.diff(accepted).max(initial=-1.0) <= rounding * scale
    # A beta-step at the old Sigma may rise when it is accelerated; the sweep as a whole may not.
    assert trace["nll"].iloc[-1] <= trace["nll"].iloc[0]
