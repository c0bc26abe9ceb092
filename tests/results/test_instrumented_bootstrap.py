"""bootstrap() of LowRank3SLS: rows of everything are drawn, and everything estimated again."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRank3SLS, LowRankSUR
from sm_alsgls.core.instruments.pairs import Pairs
from sm_alsgls.exceptions import (
    BootstrapWarning,
    CallableError,
    ConvergenceWarning,
    OptionError,
    ShapeError,
    UnderidentifiedError,
)
from sm_alsgls.results.coefficients import plain_bse
from sm_alsgls.results.instrumented_bootstrap import bootstrap
from tests.core.instruments.twin import Twin, system

pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.WeakInstrumentWarning"),
]
N, K = 60, 7


def drawn(seed=0, q=(3, 4, 3, 5, 3, 3, 4), N=N):
    p = (2, 2, 3, 3, 2, 2, 2)
    return system(np.random.default_rng(seed), N=N, K=K, q=q, p=p)[:3]


def model(rank=1, seed=0, weights=None, **kwds):
    X, Z, Y = drawn(seed)
    return LowRank3SLS(Y, X, Z, rank=rank, weights=weights, **kwds)


@pytest.fixture(scope="module")
def res():
    return model().fit()


def rows_of_draw(reps, draw, code=None):
    """The rows that draw number ``draw`` of the default seed has."""
    entropy = np.random.default_rng(0).integers(0, 2**63, 2).tolist()
    seed = np.random.SeedSequence(entropy).spawn(reps)[draw]
    return Pairs(lambda rows: rows, N, code).rows(np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("method", "weight", "weighted"),
    [
        ("iv", "homoskedastic", False), ("iv", "homoskedastic", True),
        ("gmm", "homoskedastic", True), ("2sls", "homoskedastic", True),
        ("gmm", "heteroskedastic", True),
    ],
)  # fmt: skip
def test_a_replicate_is_a_fit_of_the_rows_drawn(method, weight, weighted):
    w = np.random.default_rng(5).uniform(0.5, 2.0, N) if weighted else None
    made = model(weights=w)
    boot = made.fit(method, weight=weight).bootstrap(3)
    X, Z, Y = drawn()
    for draw in range(3):
        rows = rows_of_draw(3, draw)
        again = LowRank3SLS(
            Y[rows], [x[rows] for x in X], [z[rows] for z in Z], rank=1,
            weights=None if w is None else w[rows],
        ).fit(method, weight=weight)  # fmt: skip
        np.testing.assert_allclose(boot.params.iloc[draw], again.params, rtol=1e-6)
        np.testing.assert_allclose(boot.bse.iloc[draw], plain_bse(again.estimate), rtol=1e-5)


def test_iterated_fits_are_iterated_again():
    boot = model().fit(iterate=True, tol=1e-10).bootstrap(2)
    X, Z, Y = drawn()
    rows = rows_of_draw(2, 1)
    data = Y[rows], [x[rows] for x in X], [z[rows] for z in Z]
    again, two = (LowRank3SLS(*data, rank=1).fit(iterate=i) for i in (True, False))
    np.testing.assert_allclose(boot.params.iloc[1], again.params, rtol=1e-6)
    assert np.abs(again.params - two.params).max() > 1e-4
    with pytest.warns(ConvergenceWarning):
        once = model().fit(iterate=True, tol=1e-10, maxiter=1)
    once = once.bootstrap(2)
    assert not once.converged.any()


@pytest.mark.parametrize("method", ["iv", "gmm", "2sls"])
def test_replicates_are_studentised_at_the_sigma_of_their_weights(method):
    made = model("full")
    estimate = made.fit(method).estimate
    X, Z, Y = drawn()
    first = Twin(X, Z, Y, np.eye(K))
    E = (first.y - first.X @ first.beta("2sls")).reshape(K, N).T
    factor = estimate.df.correction
    S = E.T @ E / N * np.outer(factor, factor)
    want = np.sqrt(np.diagonal(Twin(X, Z, Y, S).cov(method)))
    np.testing.assert_allclose(plain_bse(estimate), want, rtol=1e-9)
    plain = made.fit(method, debiased=False)
    np.testing.assert_allclose(plain_bse(plain.estimate), plain.bse, rtol=1e-10)


@pytest.mark.slow
def test_standard_errors_agree_with_robust_ones(res):
    boot = res.bootstrap(200)
    ratio = boot.std_errors / res.get_robustcov_results("HC1").bse
    # 200 draws: 5 % each, and less their median; N=60 adds its own.
    assert abs(np.log(ratio)).median() < 0.15
    assert boot.failed == 0
    assert boot.method == "pairs"
    interval = boot.conf_int(0.1)
    half = boot.tvalues.abs().quantile(0.9) * boot.estimate_bse
    np.testing.assert_allclose(interval[1], res.params + half)
    assert list(boot.summary_frame().index) == list(res.params.index)


def test_clusters_are_drawn_whole():
    made = model()
    code = np.arange(N) // 5
    boot = made.fit().bootstrap(2, groups=code)
    X, Z, Y = drawn()
    rows = rows_of_draw(2, 0, code)
    again = LowRank3SLS(Y[rows], [x[rows] for x in X], [z[rows] for z in Z], rank=1).fit()
    np.testing.assert_allclose(boot.params.iloc[0], again.params, rtol=1e-6)
    with pytest.raises(ShapeError, match="one grouping"):
        made.fit().bootstrap(2, groups=np.column_stack([code, code]))
    with pytest.raises(OptionError, match="one cluster"):
        made.fit().bootstrap(2, groups=np.zeros(N))


def test_the_answer_is_the_same_for_any_number_of_processes(res):
    one = res.bootstrap(10, rng=3, statistic=largest)
    two = res.bootstrap(10, rng=3, statistic=largest, n_jobs=2)
    pd.testing.assert_frame_equal(one.params, two.params)
    assert one.statistics == two.statistics
    assert len(one.statistics) == 10
    with pytest.raises(CallableError, match="statistic raised ZeroDivisionError"):
        res.bootstrap(3, statistic=lambda one: 1 / 0)


def largest(one):
    assert np.isnan(one.nll)
    return float(one.sigma.diag().max())


def test_restrictions_and_common_coefficients_hold_in_every_replicate():
    held = model(0).fit_constrained("y1_x1 = y2_x1, y3_x1 = 1").bootstrap(20)
    np.testing.assert_allclose(held.params["y1_x1"], held.params["y2_x1"], rtol=1e-10)
    np.testing.assert_allclose(held.params["y3_x1"], 1.0, rtol=1e-10)
    assert held.tvalues["y3_x1"].isna().all()
    assert held.params["y1_x1"].std() > 0.0
    common = model(1, common=["const"])
    boot = common.fit().bootstrap(20)
    assert list(boot.params) == common.exog_names
    assert (boot.bse > 0.0).all(axis=None)


def test_a_weight_of_rows_is_of_coefficients_that_restrictions_hold():
    """Of a coefficient that is 1 as of one that is 0 where the response is without it."""
    X, Z, Y = drawn()
    less = Y.copy()
    less[:, 2] -= X[2][:, 1]
    one, zero = (
        LowRank3SLS(y, X, Z, rank=1)
        .fit_constrained(f"y3_x1 = {value}", method="gmm", weight="heteroskedastic")
        .bootstrap(2)
        for y, value in ((Y, 1), (less, 0))
    )
    np.testing.assert_allclose(one.bse, zero.bse, rtol=1e-8)
    np.testing.assert_allclose(one.estimate_bse, zero.estimate_bse, rtol=1e-8)


def rare(seed=0):
    """A dummy that three rows of 60 have, so that 4 % of the draws are without them."""
    X, Z, Y = drawn(seed)
    dummy = (np.arange(N) < 3).astype(float)[:, None]
    return LowRank3SLS(
        Y, [np.hstack([X[0], dummy]), *X[1:]], [np.hstack([Z[0], dummy]), *Z[1:]], rank=0
    )


def test_draws_that_identify_nothing_are_counted():
    with pytest.warns(BootstrapWarning, match="of 80 draws of rows identify no estimate"):
        boot = rare().fit().bootstrap(80, statistic=largest)
    assert 0 < boot.failed < 15
    assert boot.reps == len(boot.bse) == len(boot.statistics) == 80 - boot.failed
    missing = sorted(set(range(80)) - set(boot.params.index))
    assert len(missing) == boot.failed
    for draw in missing:
        assert rows_of_draw(80, draw).min() > 2
    assert boot.params.notna().all(axis=None)
    assert boot.conf_int().notna().all(axis=None)


def test_too_few_different_rows():
    rng = np.random.default_rng(1)
    Z = [rng.standard_normal((N, 5)) for _ in range(K)]
    X = [z.sum(axis=1)[:, None] + rng.standard_normal((N, 1)) for z in Z]
    made = LowRank3SLS(drawn()[2], X, Z, rank=0)
    # A draw of two groups of three rows has six rows or three.
    few = LowRank3SLS(drawn()[2][:6], [x[:6] for x in X], [z[:6] for z in Z], rank=0).fit()
    with pytest.warns(BootstrapWarning, match=r"draw of 3 different rows .* with 5 instruments"):
        boot = few.bootstrap(20, groups=np.arange(6) // 3)
    assert 3 < boot.failed < 17
    # Seven rows of which a draw has five or fewer.
    with pytest.raises(UnderidentifiedError, match="identify no estimate, most of them because"):
        few.bootstrap(2, groups=[0, 0, 0, 0, 0, 1], rng=8)
    # 35 moments of 60 rows; of 12 groups of five a draw has eight, 40 rows, or fewer.
    robust = made.fit("gmm", weight="heteroskedastic")
    with pytest.warns(BootstrapWarning, match="a weight of 35 moments"):
        assert 0 < robust.bootstrap(20, groups=np.arange(N) // 5).failed < 20


def test_it_is_not_that_of_a_likelihood(res):
    """Whose errors are drawn around regressors that are held."""
    with pytest.raises(TypeError):
        res.bootstrap(3, "parametric")
    assert res.bootstrap.__func__ is not LowRankSUR.__dict__.get("bootstrap")
    assert type(res).__name__ == "LowRank3SLSResultsWrapper"
    pd.testing.assert_frame_equal(res.bootstrap(3).params, bootstrap(res.estimate, 3).params)
