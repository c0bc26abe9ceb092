"""What must not change with units, origins and orders of a system with instruments, and limits."""

import functools

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sm_alsgls import LowRank3SLS, LowRankSUR
from sm_alsgls.core.beta.gls import gls
from sm_alsgls.core.design.per_equation import Design
from tests.core.instruments.twin import system

pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")

# Shrinking a failed fit takes minutes and says little.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
EXAMPLES = settings(max_examples=12, deadline=None, phases=PHASES)
METHODS = st.sampled_from(["2sls", "iv", "gmm"])
RANKS = st.sampled_from([0, 1, "full"])
POWERS = st.sampled_from([1e-8, 1e-3, 1.0, 1e5, 1e8])
# Over- and exactly identified equations; the last has no endogenous regressor.
K, Q, P = 5, (3, 4, 3, 5, 3), (2, 2, 3, 3, 2)
KINDS = ("HC1", "HC3", "sandwich")


def made(seed=6, N=90):
    X, Z, Y, _, _ = system(np.random.default_rng(seed), N, K, q=Q, p=P)
    X[-1] = Z[-1][:, :2]
    return Y, X, Z


class Seen:
    """A fit, with tables by equation."""

    def __init__(self, Y, X, Z, method="iv", rank=1, **kwds):
        self.res = res = LowRank3SLS(Y, X, Z, rank=rank).fit(method=method, **kwds)
        self.ends = np.cumsum([x.shape[1] for x in X])[:-1]
        self.params = self.split(res.params)
        self.bse = [self.split(res.bse)]
        self.bse += [self.split(res.get_robustcov_results(kind).bse) for kind in KINDS]
        # Of an equation, and of the system: without units.
        self.own = [res.sargan().to_numpy()]
        if rank != "full":
            self.own.append(res.communalities.to_numpy()[:, None])
        self.all = [res.j_test().statistic, res.system_rsquared["mcelroy"]]
        first = res.first_stage.table.to_numpy(dtype=float)
        self.first = first[:, :-1]
        if method != "2sls" and rank != 0 and "weight" not in kwds:
            table = res.hausman().table.to_numpy()
            self.own.append(table[:-1])
            self.all += list(table[-1])

    def split(self, values):
        return np.split(np.asarray(values), self.ends)


@functools.cache
def as_it_is(N=90, method="iv", rank=1, **kwds):
    """The fit of `made`'s system, which others are compared with."""
    Y, X, Z = made(N=N)
    return Seen(Y, X, Z, method, rank, **kwds)


def same(one, other, equations=None, maps=None, rtol=1e-6):
    """``one`` is ``other`` with its equations in an order, and b_j = maps_j b_j of that."""
    order = range(K) if equations is None else equations
    maps = [np.eye(len(b)) for b in other.params] if maps is None else maps
    for i, j in enumerate(order):
        scale = np.abs(maps[j]) @ other.bse[0][j]
        assert_allclose(one.params[i] / scale, maps[j] @ other.params[j] / scale, atol=rtol)
        diagonal = (np.abs(maps[j]) > 0).sum(axis=1) == 1
        for mine, theirs in zip(one.bse, other.bse, strict=True):
            expected = np.abs(maps[j]) @ theirs[j]
            assert_allclose(mine[i][diagonal], expected[diagonal], rtol=rtol)
    for mine, theirs in zip(one.own, other.own, strict=True):
        assert_allclose(mine, theirs[list(order)], rtol=rtol, atol=rtol)
    assert_allclose(one.all, other.all, rtol=rtol, atol=rtol)


@EXAMPLES
@given(data=st.data(), method=METHODS, rank=RANKS)
@pytest.mark.slow
def test_units(data, method, rank):
    """Powers of ten times y, x and z; a constant of 1 is not rescaled with the rest."""
    Y, X, Z = made()

    def drawn(n):
        return np.array(data.draw(st.lists(POWERS, min_size=n, max_size=n)))

    c, a, b = drawn(K), [drawn(p) for p in P], [drawn(q) for q in Q]
    scaled = Seen(
        Y * c,
        [x * s for x, s in zip(X, a, strict=True)],
        [z * s for z, s in zip(Z, b, strict=True)],
        method,
        rank,
    )
    plain = as_it_is(90, method, rank)
    same(scaled, plain, maps=[np.diag(ck / ak) for ck, ak in zip(c, a, strict=True)])
    assert_allclose(scaled.first, plain.first, rtol=1e-6)


@EXAMPLES
@given(data=st.data(), method=METHODS, rank=RANKS)
@pytest.mark.slow
def test_origins(data, method, rank):
    """1e6 more of x or z changes the constant alone."""
    Y, X, Z = made()
    far = st.sampled_from([0.0, 1e6, -1e6])
    moved_x, moved_z, maps = [], [], []
    for x, z in zip(X, Z, strict=True):
        a = np.array(
            [0.0, *data.draw(st.lists(far, min_size=x.shape[1] - 1, max_size=x.shape[1] - 1))]
        )
        b = np.array(
            [0.0, *data.draw(st.lists(far, min_size=z.shape[1] - 1, max_size=z.shape[1] - 1))]
        )
        moved_x.append(x + a)
        moved_z.append(z + b)
        M = np.eye(x.shape[1])
        M[0] -= a
        maps.append(M)
    plain, moved = as_it_is(90, method, rank), Seen(Y, moved_x, moved_z, method, rank)
    same(moved, plain, maps=maps)
    assert_allclose(moved.first, plain.first, rtol=1e-6)


@EXAMPLES
@given(data=st.data(), method=METHODS, rank=RANKS)
def test_orders(data, method, rank):
    """Of rows, equations, regressors and instruments."""
    Y, X, Z = made()
    rows = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(Y))
    order = data.draw(st.permutations(range(K)))
    columns = [data.draw(st.permutations(range(p))) for p in P]
    others = [data.draw(st.permutations(range(q))) for q in Q]
    plain = as_it_is(90, method, rank)
    moved = Seen(
        Y[rows][:, order],
        [X[j][rows][:, columns[j]] for j in order],
        [Z[j][rows][:, others[j]] for j in order],
        method,
        rank,
    )
    same(moved, plain, order, [np.eye(p)[list(at)] for p, at in zip(P, columns, strict=True)])


@EXAMPLES
@given(seed=st.integers(0, 10**6), method=METHODS, rank=RANKS)
def test_instruments_are_a_space(seed, method, rank):
    """Z_j A_j in place of Z_j."""
    Y, X, Z = made()
    rng = np.random.default_rng(seed)
    turned = [
        z @ (np.eye(q) + 0.5 * rng.standard_normal((q, q))) for z, q in zip(Z, Q, strict=True)
    ]
    plain, moved = as_it_is(90, method, rank), Seen(Y, X, turned, method, rank)
    same(moved, plain)


# -- limits ----------------------------------------------------------------------------------


@EXAMPLES
@given(seed=st.integers(0, 10**6), method=st.sampled_from(["iv", "gmm"]))
@pytest.mark.slow
def test_without_factors_all_are_2sls(seed, method):
    Y, X, Z = made(seed)
    one, other = (Seen(Y, X, Z, m, 0) for m in (method, "2sls"))
    same(one, other)


@EXAMPLES
@given(seed=st.integers(0, 10**6), rank=RANKS)
def test_exactly_identified_gmm_is_2sls(seed, rank):
    X, Z, Y, _, _ = system(np.random.default_rng(seed), 60, 4, q=(2, 2, 3, 3), p=(2, 2, 3, 3))
    gmm, plain = (LowRank3SLS(Y, X, Z, rank=rank).fit(method=m, debiased=False)
                  for m in ("gmm", "2sls"))  # fmt: skip
    assert_allclose(gmm.params, plain.params, rtol=1e-9, atol=1e-10)
    assert_allclose(gmm.cov_params(), plain.cov_params(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rank", [1, "full"])
@pytest.mark.parametrize("extra", [False, True])
def test_regressors_as_instruments_are_sur(rank, extra):
    """With no more of them "gmm" is least squares, and with all of the system's it is SUR."""
    _, Z, Y, _, _ = system(np.random.default_rng(5), 80, 4, q=(2, 3, 3, 2))
    sur = LowRankSUR(Y, Z, rank=rank).fit(method="two-step")
    model = LowRank3SLS(Y, Z, Z, rank=rank, common_instruments=extra)
    assert not any(model.endogenous.values())
    scale = np.asarray(sur.bse)
    assert_allclose((model.fit().params - sur.params.to_numpy()) / scale, 0.0, atol=1e-6)
    if extra:
        gmm = model.fit(method="gmm").params
        assert_allclose((gmm - sur.params.to_numpy()) / scale, 0.0, atol=1e-6)
    else:
        assert_allclose(model.fit(method="gmm").params, model.fit(method="2sls").params, atol=1e-9)


@EXAMPLES
@given(seed=st.integers(0, 10**6), rank=st.sampled_from([1, 2, "full"]))
def test_common_instruments_are_gls_of_first_stages(seed, rank):
    """Of "iv" and "gmm" at one Sigma, by the package's own GLS of projected regressors."""
    rng = np.random.default_rng(seed)
    X, _, Y, _, _ = system(rng, 70, 5, q=(2,) * 5, p=(2,) * 5)
    Z = np.column_stack([np.ones(70), *[x[:, 1:] for x in X]]) + 0.5 * rng.standard_normal((70, 6))
    Z[:, 0] = 1.0
    model = LowRank3SLS(Y, X, Z, rank=rank)
    iv, gmm = (model.fit(method=m, debiased=False) for m in ("iv", "gmm"))
    design = Design([Z @ np.linalg.lstsq(Z, x)[0] for x in X])
    cov = iv.estimate.instrumented.first_cov
    expected = design.to_params(gls(design, Y, cov).gamma)
    for res in (iv, gmm):
        assert_allclose((res.params - expected) / res.bse, 0.0, atol=1e-7)
    assert_allclose(iv.cov_params(), gmm.cov_params(), rtol=1e-6, atol=1e-10)


def test_one_equation_is_2sls():
    Y, X, Z = made()
    fits = [LowRank3SLS(Y[:, [1]], [X[1]], [Z[1]], rank=0).fit(method=m, debiased=d)
            for m in ("2sls", "iv", "gmm") for d in (True, False)]  # fmt: skip
    hat = Z[1] @ np.linalg.lstsq(Z[1], X[1])[0]
    b = np.linalg.lstsq(hat, Y[:, 1])[0]
    s = np.square(Y[:, 1] - X[1] @ b).sum()
    V = np.linalg.inv(hat.T @ hat)
    for res in fits:
        assert_allclose(res.params, b, rtol=1e-10)
        df = 88 if res.debiased else 90
        assert_allclose(res.cov_params(), V * s / df, rtol=1e-10)


def test_equal_equations_share_a_design():
    """One X and one Z for all: every method is 2SLS, whatever Sigma."""
    rng = np.random.default_rng(8)
    X, Z, Y, _, _ = system(rng, 60, 5, q=(4,) * 5, p=(3,) * 5)
    Y = Y - Y.mean(axis=0) + X[0].sum(axis=1)[:, None]
    for rank in (1, "full"):
        model = LowRank3SLS(Y, X[0], Z[0], rank=rank)
        iv, gmm, plain = (model.fit(method=m, debiased=False) for m in ("iv", "gmm", "2sls"))
        assert iv.estimate.sample.problem.design.free.shared
        for res in (iv, gmm):
            assert_allclose(res.params, plain.params, rtol=1e-8, atol=1e-9)
            assert_allclose(res.cov_params(), plain.cov_params(), rtol=1e-7, atol=1e-10)
        apart = LowRank3SLS(Y, [X[0]] * 5, [Z[0] + 0.0, *[Z[0][:, ::-1]] * 4], rank=rank)
        again = apart.fit(debiased=False)
        assert_allclose(again.params, iv.params, rtol=1e-8)
        assert_allclose(again.cov_params(), iv.cov_params(), rtol=1e-7, atol=1e-10)


# -- units far from 1 ------------------------------------------------------------------------

FITS = [
    {"method": "2sls"},
    {"method": "iv"},
    {"method": "iv", "rank": "full"},
    {"method": "gmm"},
    {"method": "gmm", "weight": "heteroskedastic"},
    {"method": "iv", "iterate": True, "tol": 1e-10},
]


@pytest.mark.parametrize("fit", FITS, ids=str)
@pytest.mark.parametrize(
    "c",
    [[1e-100] * K, [1e100] * K, [1e-100, 1e100, 1.0, 1e-40, 1e40], [1e-29, 1e29, 1.0, 1e15, 1e-9]],
    ids=str,
)
def test_responses_far_from_1(c, fit):
    """Pivots of 3SLS's matrix were chosen by units: errors of HC1 were 1e34 times as large."""
    Y, X, Z = made(N=150)
    plain, scaled = as_it_is(150, **fit), Seen(Y * c, X, Z, **fit)
    same(scaled, plain, maps=[ck * np.eye(p) for ck, p in zip(c, P, strict=True)])
    assert_allclose(scaled.res.fittedvalues / c, plain.res.fittedvalues, rtol=1e-6)


# Two coefficients of two equations are one.
EQUAL = np.zeros((1, 13))
EQUAL[0, [1, 3]] = 1.0, -1.0


@functools.cache
def tied(unit, rank=1, **fit):
    """Results with the two equal, of responses times ``unit``."""
    Y, X, Z = made(N=150)
    Y = Y * [1.0, 10.0, 100.0, 1000.0, 7.0]
    R = EQUAL[:, : sum(P)]
    return LowRank3SLS(Y * unit, X, Z, rank=rank).fit_constrained((R, [0.0]), **fit)


@pytest.mark.parametrize("fit", FITS, ids=str)
@pytest.mark.parametrize("c", [1e-100, 1e-35, 1e40, 1e100])
def test_one_unit_of_tied_equations(c, fit):
    """Beyond 1e30 each equation got a unit of its own, and restricted 2SLS weights by these.

    Coefficients were off by 47 % (2SLS) and 64 % ("iv").
    """
    plain, scaled = tied(1.0, **fit), tied(c, **fit)
    assert_allclose(scaled.params / c, plain.params, rtol=1e-7, atol=1e-9)
    assert_allclose(scaled.bse / c, plain.bse, rtol=1e-7)


def test_two_steps_of_tied_equations_without_instruments():
    """The same of `LowRankSUR`'s: 65 % at 1e-35."""
    Y, X, _ = made(N=150)
    Y, R = Y * [1.0, 10.0, 100.0, 1000.0, 7.0], EQUAL[:, : sum(P)]
    plain, scaled = (
        LowRankSUR(Y * a, X, rank=1).fit_constrained((R, [0.0]), method="two-step")
        for a in (1.0, 1e-35)
    )
    assert_allclose(scaled.params / 1e-35, plain.params, rtol=1e-7, atol=1e-9)
