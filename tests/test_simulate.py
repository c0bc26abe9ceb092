import numpy as np
import pytest

from sm_alsgls import LowRankDiag, LowRankSUR, simulate_sur
from sm_alsgls.exceptions import OptionError


def test_a_system_is_what_was_asked_for():
    truth = simulate_sur(50, 4, [1, 3, 2, 4], 2, rng=3)
    assert truth.endog.shape == (50, 4)
    assert [X.shape for X in truth.exog] == [(50, 1), (50, 3), (50, 2), (50, 4)]
    assert [len(b) for b in truth.beta] == [1, 3, 2, 4]
    assert isinstance(truth.sigma, LowRankDiag)
    assert truth.F.shape == (4, 2)
    assert truth.rank == 2
    assert ((truth.d >= 0.5) & (truth.d <= 1.5)).all()
    assert all((X[:, 0] == 1.0).all() for X in truth.exog)
    np.testing.assert_array_equal(truth.params, np.concatenate(truth.beta))
    model = LowRankSUR(truth.endog, truth.exog, rank=1)
    assert len(model.exog_names) == len(truth.params)


def test_a_seed_is_its_generator_and_reproduces():
    one, two = simulate_sur(20, 3, 2, 1, 5), simulate_sur(20, 3, 2, 1, np.random.default_rng(5))
    np.testing.assert_array_equal(one.endog, two.endog)
    assert not np.array_equal(one.endog, simulate_sur(20, 3, 2, 1, 6).endog)


def test_errors_have_the_covariance_they_claim():
    truth = simulate_sur(200_000, 4, 2, 1, rng=0, uniqueness=(0.1, 3.0), strength=2.0)
    Sigma = truth.sigma.to_dense()
    S = truth.errors.T @ truth.errors / 200_000
    # An element of S has a standard error of at most sqrt(2 s_jj s_ll / N); five of them.
    sd = np.sqrt(np.diag(Sigma))
    assert np.abs((S - Sigma) / np.outer(sd, sd)).max() < 5 * np.sqrt(2 / 200_000)


def test_common_is_the_share_and_the_correlation_of_regressors():
    truth = simulate_sur(100_000, 3, 3, 0, rng=0, common=0.8, exog_sd=2.0, constant=False)
    X = np.column_stack([X[:, 1] for X in truth.exog])
    np.testing.assert_allclose(np.corrcoef(X.T)[np.triu_indices(3, 1)], 0.8, atol=0.01)
    np.testing.assert_allclose(X.std(axis=0), 2.0, rtol=0.02)
    assert abs(np.corrcoef(truth.exog[0].T)[0, 1]) < 0.02
    same = simulate_sur(10, 3, [3, 2, 3], 0, rng=0, common=1.0)
    np.testing.assert_array_equal(same.exog[0][:, :2], same.exog[1])
    np.testing.assert_array_equal(same.exog[0], same.exog[2])


def test_signal_and_strength_scale():
    quiet = simulate_sur(30, 4, 3, 2, rng=1, signal=0.0)
    np.testing.assert_array_equal(quiet.params, 0.0)
    np.testing.assert_array_equal(quiet.errors, quiet.endog)
    weak, strong = (simulate_sur(30, 4, 3, 2, rng=1, strength=s) for s in (0.5, 1.0))
    np.testing.assert_allclose(2.0 * weak.F, strong.F)
    np.testing.assert_array_equal(weak.params, strong.params)


def test_a_system_is_read_only():
    truth = simulate_sur(10, 2, 2, 1, rng=0)
    with pytest.raises(AttributeError):
        truth.endog = None
    for array in (truth.endog, truth.exog[1], truth.beta[0], truth.F, truth.d):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"N": 0}, "N must be"),
        ({"K": 2.5}, "K must be"),
        ({"rank": -1}, "rank must be"),
        ({"p": 0}, "p must be"),
        ({"p": [1, 2]}, "one for each of K=3"),
        ({"p": 1.5}, "p must be"),
        ({"rng": "seed"}, "rng must be"),
        ({"rng": None}, "rng must be"),
        ({"signal": -1.0}, "signal must be"),
        ({"strength": np.nan}, "strength must be"),
        ({"uniqueness": (0.0, 1.0)}, "uniqueness"),
        ({"uniqueness": (2.0, 1.0)}, "uniqueness"),
        ({"common": 1.1}, "common must be a number between"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(OptionError, match=message):
        simulate_sur(**({"N": 10, "K": 3, "p": 2, "rank": 1, "rng": 0} | change))
