"""What must not change when units, origins or orders do."""

import warnings
from functools import cache

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import SystemInputError
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


@cache
def plain_fit(system, cov_type="nonrobust"):
    """Of a system as it is, which is what most are compared with."""
    X, Y, _ = SYSTEMS[system]()
    return LowRankSUR(Y, X, rank=1).fit(cov_type=cov_type)


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
    plain, scaled = plain_fit(system), fit(Y * c, [x * s for x, s in zip(X, a, strict=True)])
    # Arrays: a rescaled constant is no longer called one.
    t = [np.asarray(res.tvalues) for res in (scaled, plain)]
    np.testing.assert_allclose(*t, rtol=1e-8, atol=1e-8)
    shift = -Y.shape[0] * np.log(c).sum()
    assert scaled.llf - plain.llf == pytest.approx(shift, abs=1e-8 * max(1.0, abs(plain.llf)))
    per_equation = np.concatenate([ck / ak for ck, ak in zip(c, a, strict=True)])
    params = [np.asarray(res.params) for res in (scaled, plain)]
    np.testing.assert_allclose(params[0], params[1] * per_equation, rtol=1e-7)
    np.testing.assert_allclose(scaled.communalities, plain.communalities, atol=1e-8)


EXTREME = [1e-150, 1e-100, 1e-80, 1e-40, 1.0, 1e40, 1e80, 1e100, 1e150]


def holed(N=60, K=6, seed=11):
    X, Y, _ = simulate(N, K, 3, 1, seed=seed)
    Y = Y.copy()
    Y[np.random.default_rng(seed).random(Y.shape) < 0.1] = np.nan
    return X, Y, None


def shared():
    X, Y, _ = simulate(60, 6, 3, 1, seed=11)
    return [X[0]] * 6, Y, None


KINDS = {
    **SYSTEMS,
    "compressed": lambda: simulate(400, 5, 3, 1, seed=2),
    "shared": shared,
    "holes": holed,
    "restricted": SYSTEMS["tall"],
    "ridge": SYSTEMS["tall"],
    "weighted": SYSTEMS["tall"],
    "diagonal": SYSTEMS["tall"],
}


@cache
def fitted(kind, scale):
    X, Y, _ = KINDS[kind]()
    weights = np.linspace(0.5, 2.0, len(Y)) if kind == "weighted" else None
    model = LowRankSUR(
        Y * np.array(scale),
        X,
        rank=0 if kind == "diagonal" else 1,
        missing="fiml" if kind == "holes" else "none",
        weights=weights,
    )
    if kind == "restricted":
        p = [x.shape[1] for x in X]
        R = np.zeros((1, sum(p)))
        R[0, [1, p[0] + 1]] = 1.0, -1.0
        return model.fit_constrained(R)
    return model.fit(**({"lam_B": 0.1, "lam_F": 0.05} if kind == "ridge" else {}))


@pytest.mark.parametrize("kind", list(KINDS))
@settings(max_examples=4, deadline=None, phases=PHASES)
@given(data=st.data())
def test_any_size_of_response(kind, data):
    """Every y times its own power between 1e-150 and 1e150: the same fit, exactly scaled."""
    X, Y, _ = KINDS[kind]()
    K = Y.shape[1]
    c = np.array(data.draw(st.lists(st.sampled_from(EXTREME), min_size=K, max_size=K)))
    if kind == "restricted":
        # Who equates two coefficients has their responses in the same units.
        c[1] = c[0]
    on_params = np.repeat(c, [x.shape[1] for x in X])
    plain, scaled = fitted(kind, (1.0,) * K), fitted(kind, tuple(c))
    assert scaled.converged
    cells = np.isfinite(Y).sum(axis=0)
    assert scaled.llf + cells @ np.log(c) == pytest.approx(plain.llf, rel=1e-9, abs=1e-7)
    np.testing.assert_allclose(np.asarray(scaled.params) / on_params, plain.params, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(scaled.bse) / on_params, plain.bse, rtol=1e-6)
    np.testing.assert_allclose(scaled.communalities, plain.communalities, rtol=1e-5)
    gaps = [res.mle_retvals["starts"]["gap"].to_numpy() for res in (scaled, plain)]
    np.testing.assert_allclose(*gaps, atol=1e-6)
    if kind != "ridge":
        levels = scaled.mle_retvals["starts"]["nll"] - scaled.nll_per_row
        np.testing.assert_allclose(levels, gaps[0], atol=1e-6)


@pytest.mark.parametrize("exponent", [-100, -30, -10, 10, 30, 100])
@pytest.mark.parametrize("cov_type", ["KH", "sandwich", "HC1"])
def test_standard_errors_of_any_type_have_no_units(cov_type, exponent):
    """Kackar-Harville's were 1 to 4 % off from 1e10 on: F and log d shared a threshold."""
    X, Y, _ = SYSTEMS["tall"]()
    c = 10.0**exponent
    plain, scaled = plain_fit("tall", cov_type), LowRankSUR(c * Y, X, rank=1).fit(cov_type=cov_type)
    np.testing.assert_allclose(scaled.bse / c, plain.bse, rtol=1e-8)


@pytest.mark.parametrize("factor", [1e-160, 1e160])
def test_a_size_whose_square_is_no_double_is_refused_by_name(factor):
    X, Y, _ = SYSTEMS["tall"]()
    Y = Y * np.where(np.arange(6) == 3, factor, 1.0)
    with pytest.raises(SystemInputError, match="equation 'y4'.*by a power of ten"):
        LowRankSUR(Y, X, rank=1).fit()


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
    plain, shifted = plain_fit(system), fit(Y, moved)
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
    plain = plain_fit(system)
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
    plain = plain_fit(system)
    moved = fit(Y + np.column_stack([x @ b for x, b in zip(X, add, strict=True)]), X)
    np.testing.assert_allclose(moved.params - plain.params, np.concatenate(add), atol=1e-9)
    np.testing.assert_allclose(moved.bse, plain.bse, rtol=1e-8)


@SYSTEM
@pytest.mark.parametrize("rank", [1, 2])
def test_nll_never_rises(system, rank):
    X, Y, _ = SYSTEMS[system]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = plain_fit(system) if rank == 1 else fit(Y, X, rank)
    trace = res.trace
    scale = max(1.0, abs(res.nll_per_row))
    accepted = trace["nll"][trace["accept_t"] > 0]
    # A d_j on its bound of 1e-8 of s_j costs that equation's residuals four digits.
    rounding = 2e-11 if res.heywood else 1e-12
    assert np.diff(accepted).max(initial=-1.0) <= rounding * scale
    # A beta-step at the old Sigma may rise when it is accelerated; the sweep as a whole may not.
    assert trace["nll"].iloc[-1] <= trace["nll"].iloc[0]
