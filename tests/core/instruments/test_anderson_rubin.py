"""Anderson-Rubin: equal to least squares, sets that are what the test says, and its size."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, stats

from sm_alsgls.core.beta.robust import Clusters, White
from sm_alsgls.core.instruments.anderson_rubin import even_rows, uneven_rows
from sm_alsgls.core.instruments.partialled import partial_out
from tests.core.instruments.draws import equation

VALUES = [-3.0, 0.0, 0.9, 1.0, 25.0]


def least_squares(y, X, Z, endogenous, b, **kwds):
    """The F test of the excluded instruments in a regression of y - Y b on Z."""
    k = int((~endogenous).sum())
    fit = sm.OLS(y - X[:, endogenous] @ np.atleast_1d(b), Z).fit(**kwds)
    return fit.f_test(np.eye(Z.shape[1])[k:])


@pytest.mark.parametrize("L", [1, 4])
@pytest.mark.parametrize("b", VALUES)
def test_even_rows_are_an_f_test(L, b):
    y, X, Z, endogenous = equation(L=L, seed=L)
    got = even_rows(y, partial_out(X, Z, endogenous), 0).test(b)
    want = least_squares(y, X, Z, endogenous, b)
    assert got.statistic == pytest.approx(float(want.fvalue), rel=1e-8)
    assert got.pvalue == pytest.approx(float(want.pvalue), rel=1e-8)


@pytest.mark.parametrize("L", [1, 4])
@pytest.mark.parametrize("b", VALUES)
def test_uneven_rows_are_a_robust_wald_test(L, b):
    y, X, Z, endogenous = equation(L=L, seed=L, uneven=True)
    part = partial_out(X, Z, endogenous)
    got = uneven_rows(y, part, White(), 80 / part.df).test(b)
    want = least_squares(y, X, Z, endogenous, b, cov_type="HC1", use_t=True)
    assert got.statistic == pytest.approx(float(want.fvalue), rel=1e-8)
    assert got.pvalue == pytest.approx(float(want.pvalue), rel=1e-8)
    code = np.arange(80) % 16
    got = uneven_rows(y, part, Clusters(code, debias=True), 79 / part.df).test(b)
    want = least_squares(y, X, Z, endogenous, b, cov_type="cluster", cov_kwds={"groups": code})
    assert got.statistic == pytest.approx(float(want.fvalue), rel=1e-8)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_subset_is_the_least_of_the_joint_tests(at):
    y, X, Z, endogenous = equation(m=3, L=5, seed=2)
    got = even_rows(y, partial_out(X, Z, endogenous), at).test(0.4)

    def joint(others):
        return float(least_squares(y, X, Z, endogenous, np.insert(others, at, 0.4)).fvalue)

    found = optimize.minimize(joint, [1.0, 1.0], method="Nelder-Mead", tol=1e-12,
                              options={"maxiter": 4000, "maxfev": 4000})  # fmt: skip
    assert got.statistic * 3 == pytest.approx(found.fun * 5, rel=1e-6)
    assert (got.num, got.denom) == (3, 80 - 7)
    assert got.pvalue == pytest.approx(stats.f.sf(got.statistic, 3, 73), rel=1e-10)


def one_regressor(kind, seed):
    """A test and its set; strong, weak and irrelevant instruments, and ones that are invalid."""
    y, X, Z, endogenous = equation(
        L=3, seed=seed, strength={"strong": 1.0, "weak": 0.15, "none": 0.0}.get(kind, 1.0),
        uneven=True,
    )  # fmt: skip
    if kind == "invalid":
        y = y + 4.0 * Z[:, -1] - 3.0 * Z[:, -2] + 2.0 * Z[:, -3]
    part = partial_out(X, Z, endogenous)
    return even_rows(y, part, 0), uneven_rows(y, part, White(), 80 / part.df)


def is_inside(intervals, b):
    return any(low <= b <= high for low, high in intervals)


def between(intervals):
    """Points in the middle of pieces and of what parts them, however small, and beside ends."""
    ends = np.ravel(intervals)
    ends = ends[np.isfinite(ends)]
    beside = 1e-3 * np.maximum(1.0, np.abs(ends))
    near = np.min(np.abs(np.subtract.outer(ends, ends)) + np.diag(np.full(len(ends), np.inf)),
                  axis=0, initial=np.inf)  # fmt: skip
    beside = np.minimum(beside, near / 3.0)
    return [*(ends[1:] + ends[:-1]) / 2.0, *(ends - beside), *(ends + beside)]


def shape(intervals):
    if not intervals:
        return "empty"
    low, high = intervals[0][0], intervals[-1][1]
    if len(intervals) == 1:
        return "line" if np.isinf([low, high]).all() else "interval"
    return "rays" if np.isinf([low, high]).all() else "several"


@pytest.mark.parametrize("which", [0, 1])
def test_sets_are_what_the_test_does_not_reject(which):
    seen = set()
    grid = np.concatenate([np.tan(np.linspace(-1.57, 1.57, 101)), [-1e6, 1e6]])
    for kind in ("strong", "weak", "none", "invalid"):
        for seed in range(12):
            test = one_regressor(kind, seed)[which]
            found = test.confidence_set(0.05)
            seen.add(shape(found))
            for b in (*grid, *between(found)):
                assert (test.test(b).pvalue >= 0.05) == is_inside(found, b), (kind, seed, b, found)
            for end in np.ravel(found):
                if np.isfinite(end):
                    assert test.test(end).pvalue == pytest.approx(0.05, rel=1e-6)
    assert {"interval", "rays", "line", "empty"} <= seen


def test_a_set_is_one_piece_where_the_statistic_only_touches_its_critical_value():
    test = one_regressor("weak", 3)[1]
    grid = np.linspace(-60, 60, 2401)
    values = np.array([test.test(b).statistic for b in grid])
    top = 1 + np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] > values[2:]))
    found = optimize.minimize_scalar(
        lambda b: -test.test(b).statistic, bounds=grid[[top[0] - 1, top[0] + 1]], method="bounded",
        options={"xatol": 1e-12},
    )  # fmt: skip
    highest = test.test(found.x).pvalue
    just_above = test.confidence_set(highest * (1 - 1e-11))
    assert any(low < found.x < high for low, high in just_above)
    apart = test.confidence_set(highest * 1.01)
    assert len(apart) == len(just_above) + 1


def test_sets_with_other_endogenous_regressors():
    seen = set()
    grid = np.concatenate([np.tan(np.linspace(-1.57, 1.57, 61)), [-1e6, 1e6]])
    for strength in (0.0, 0.1, 0.3, 1.0):
        for seed in range(10):
            y, X, Z, endogenous = equation(m=2, L=4, seed=seed, strength=strength)
            test = even_rows(y, partial_out(X, Z, endogenous), 1)
            found = test.confidence_set(0.1)
            seen.add(shape(found))
            for b in (*grid, *between(found)):
                assert (test.test(b).pvalue >= 0.1) == is_inside(found, b), (strength, seed, b)
    assert {"interval", "rays", "line"} <= seen


@pytest.mark.parametrize("which", [0, 1])
def test_units(which):
    y, X, Z, endogenous = equation(L=3, seed=4)
    part = partial_out(X, Z, endogenous)
    scaled = partial_out(X * [1.0, 1.0, 1e-8], Z * [1.0, 1e7, 1e3, 1e-5, 1e6], endogenous)

    def set_of(y, part):
        made = even_rows(y, part, 0) if which == 0 else uneven_rows(y, part, White())
        return np.array(made.confidence_set(0.05))

    np.testing.assert_allclose(set_of(1e5 * y, scaled), 1e13 * set_of(y, part), rtol=1e-7)


def test_exactly_identified_never_rejects_the_estimate():
    y, X, Z, endogenous = equation(L=1, seed=5)
    b = np.linalg.solve(Z.T @ X, Z.T @ y)[-1]
    test = even_rows(y, partial_out(X, Z, endogenous), 0)
    assert test.test(b).pvalue == pytest.approx(1.0, abs=1e-6)
    assert is_inside(test.confidence_set(0.999), b)


@pytest.mark.parametrize(
    ("m", "robust", "strength", "low", "high"),
    [
        (1, False, 0.05, 0.031, 0.069),
        # .067 of 10,000 draws: HC1 at N = 60 with rows this uneven.
        (1, True, 0.05, 0.045, 0.09),
        # The subset test is conservative where the others are weak: .004 and .044 of 10,000.
        (2, False, 0.05, 0.0, 0.02),
        (2, False, 1.0, 0.026, 0.065),
    ],
)
@pytest.mark.slow
def test_size(m, robust, strength, low, high):
    """1,200 draws at 5 %, a standard error of .0063."""
    rejected = wald = 0
    for seed in range(100_000, 101_200):
        y, X, Z, endogenous = equation(60, m, 3, seed=seed, strength=strength, uneven=robust)
        part = partial_out(X, Z, endogenous)
        made = uneven_rows(y, part, White(), 60 / part.df) if robust else even_rows(y, part, 0)
        rejected += made.test(1.0).pvalue < 0.05
        hat = part.W @ part.C
        A = np.linalg.inv(hat.T @ hat)
        b = A @ (hat.T @ y)
        e = part.left(y) - part.Y @ b
        wald += abs(b[0] - 1.0) > 1.96 * np.sqrt(A[0, 0] * (e @ e) / part.df)
    assert low < rejected / 1200 < high
    if m == 1:  # what it is for: the t test of 2SLS rejects .29 and .36 here
        assert wald / 1200 > 0.2
