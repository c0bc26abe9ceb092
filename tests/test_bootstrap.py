"""Bootstrap: what each method draws, and that intervals and p-values follow from the draws."""

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core.maximise.bootstrap import errors
from sm_alsgls.exceptions import OptionError
from tests.systems import simulate


@pytest.fixture(scope="module")
def res():
    X, Y, _ = simulate(60, 8, 3, 1, seed=4)
    return LowRankSUR(Y, [x[:, : 2 + j % 2] for j, x in enumerate(X)], rank=1).fit(n_starts=1)


def largest_loading(one):
    return float(np.abs(one.sigma.loadings).max())


@pytest.mark.parametrize("method", ["parametric", "residual", "wild", "block"])
def test_standard_errors_agree_with_theory(res, method):
    boot = res.bootstrap(120, method, rng=1)
    # The standard deviation of 120 draws has a relative standard error of 6.5 %, the median over
    # 20 coefficients is below that: the band is three of what it may be.
    ratio = boot.std_errors / res.bse
    assert abs(np.log(ratio)).median() < 0.12
    assert boot.params.shape == boot.bse.shape == (120, 20)
    assert boot.converged.mean() > 0.97
    bias = (boot.params.mean() - res.params) / (boot.std_errors / np.sqrt(120))
    assert (bias.abs() < 4.5).all()


def test_intervals_and_pvalues_are_what_they_say(res):
    boot = res.bootstrap(59, rng=2)
    t = (boot.params - res.params) / boot.bse
    np.testing.assert_allclose(boot.tvalues, t)
    half = t.abs().quantile(0.9) * boot.estimate_bse
    np.testing.assert_allclose(boot.conf_int(0.1)[1], res.params + half)
    np.testing.assert_allclose(boot.conf_int(0.1)[0], res.params - half)
    np.testing.assert_allclose(boot.conf_int(0.1, kind="percentile")[0], boot.params.quantile(0.05))
    expected = (1 + (t.abs() >= (res.params / boot.estimate_bse).abs()).sum()) / 60
    np.testing.assert_allclose(boot.pvalues, expected)
    frame = boot.summary_frame()
    assert list(frame.index) == list(res.params.index)
    np.testing.assert_array_equal(frame["boot std err"], boot.std_errors)


def test_the_answer_is_the_same_for_any_number_of_processes(res):
    one = res.bootstrap(12, "wild", rng=3, statistic=largest_loading)
    two = res.bootstrap(12, "wild", rng=3, n_jobs=2, statistic=largest_loading)
    np.testing.assert_array_equal(one.params, two.params)
    assert one.statistics == two.statistics
    assert len(one.statistics) == 12
    other = res.bootstrap(12, "wild", rng=4)
    assert not np.array_equal(one.params, other.params)
    np.testing.assert_array_equal(res.bootstrap(3).params, res.bootstrap(3).params)


def test_what_is_drawn(res, monkeypatch):
    import sm_alsgls.results.bootstrap as module

    seen = []
    monkeypatch.setattr(module, "refits_of", lambda parent, *_: seen.append(parent) or iter(()))
    for method in ("parametric", "residual", "wild", "block"):
        res.bootstrap(2, method, block_length=7)
    rng = np.random.default_rng(0)
    scale = np.sqrt(60 / (60 - np.array([2, 3] * 4)))
    E = res.resid.to_numpy() * scale
    draws = {p.method: errors(p, rng) for p in seen}
    np.testing.assert_allclose(np.abs(draws["wild"]), np.abs(E))
    assert (np.sign(draws["wild"] / E).std(axis=1) == 0).all()
    rows = {tuple(row) for row in np.round(E, 10)}
    assert {tuple(row) for row in np.round(draws["residual"], 10)} < rows
    first = np.flatnonzero((np.round(E, 10) == np.round(draws["block"][0], 10)).all(axis=1))[0]
    np.testing.assert_allclose(draws["block"][:7], E[first : first + 7])
    many = np.concatenate([errors(seen[0], rng) for _ in range(300)])
    c = np.sqrt(60 / (60 - np.array([2, 3] * 4) - 1))
    np.testing.assert_allclose(
        many.std(axis=0), c * np.sqrt(np.diag(res.sigma.to_dense())), rtol=0.03
    )


def test_robust_fits_bootstrap_the_model_errors(res):
    robust = res.get_robustcov_results("HC1")
    plain = res.bootstrap(3).estimate_bse
    np.testing.assert_array_equal(robust.bootstrap(3).estimate_bse, plain)
    # H^-1, by which replicates are divided too; `bse` adds the estimation of Sigma, and has the
    # loadings under their prior, which moves an equation's standard errors by up to 13 % here.
    assert (plain < res.bse).mean() > 0.6
    np.testing.assert_allclose(plain, res.bse, rtol=0.15)


@pytest.mark.parametrize(
    ("kwds", "message"),
    [
        ({"method": "pairs"}, "method must be one of"),
        ({"reps": 1}, "reps"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"block_length": 61}, "block_length"),
    ],
)
def test_options(res, kwds, message):
    with pytest.raises(OptionError, match=message):
        res.bootstrap(**kwds)


def test_percentile_kind(res):
    with pytest.raises(OptionError, match="kind"):
        res.bootstrap(3).conf_int(kind="basic")


def test_blocks_may_be_one_row_or_all_of_them(res):
    with pytest.raises(OptionError, match="block_length must be a whole number from 1 to 60"):
        res.bootstrap(2, "block", block_length=0)
    assert res.bootstrap(2, "block", block_length=1).params.shape == (2, len(res.params))
    # One block of all rows is the rows again, in a circle.
    assert res.bootstrap(2, "block", block_length=60).params.shape == (2, len(res.params))
