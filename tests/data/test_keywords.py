"""Arguments of `fit` that other packages have, and coefficients that go by name."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRank3SLS, LowRankSUR
from sm_alsgls.data.keywords import _FAMILIAR, _OF_MOMENTS, coefficients, refuse
from sm_alsgls.exceptions import AlsglsError, OptionError, UnknownArgumentError
from tests.systems import simulate


@pytest.fixture(scope="module")
def model():
    X, Y, _ = simulate(40, 3, 3, 0)
    return LowRankSUR(Y, X, rank=0)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("maxiter", "max_sweeps="),
        ("maxfun", "max_sweeps="),
        ("iter_limit", "max_sweeps="),
        ("iterate", "max_sweeps="),
        ("tol", "rel_tol= .* and gtol="),
        ("full_output", "mle_retvals"),
        ("skip_hessian", "when they are asked for"),
        ("warn_convergence", "ConvergenceWarning"),
        ("groups", r"cov_kwds=\{'groups': \.\.\.\}"),
        ("maxlags", r"cov_kwds=\{'maxlags': \.\.\.\}"),
        ("bandwidth", r"cov_kwds=\{'maxlags': \.\.\.\}"),
        ("constraints", "fit_constrained"),
        ("rank", r"LowRankSUR\(\.\.\., rank=\)"),
        ("seed", "rng="),
        ("n_start", "did you mean 'n_starts'"),
        ("covtype", "did you mean 'cov_type'"),
        ("zzz", "it has 'start_params'"),
    ],
)
def test_foreign_keywords_name_ours(model, name, ours):
    with pytest.raises(TypeError, match=rf"fit\(\) has no argument '{name}'.*{ours}") as caught:
        model.fit(**{name: 3})
    assert caught.type is UnknownArgumentError
    assert issubclass(UnknownArgumentError, (OptionError, ValueError, AlsglsError))


def test_fit_constrained_says_the_same(model):
    with pytest.raises(UnknownArgumentError, match="max_sweeps="):
        model.fit_constrained("y1_x1 = 0", maxiter=3)


def test_each_is_said():
    refuse([], ["rng"])
    with pytest.raises(UnknownArgumentError, match="'maxiter'.*max_sweeps=; .*'tol'"):
        refuse(["maxiter", "tol"], ["rng"])


def test_no_argument_of_ours_is_called_foreign(model):
    for name in _FAMILIAR:
        with pytest.raises(UnknownArgumentError):
            model.fit(**{name: None})


def test_coefficients_go_by_name():
    names = ["a", "b", "c"]
    one = pd.Series([3.0, 1.0, 2.0], index=["c", "a", "b"])
    assert coefficients(one, names, "params").tolist() == [1.0, 2.0, 3.0]
    assert coefficients(one.to_numpy(), names, "params").tolist() == [3.0, 1.0, 2.0]
    assert coefficients(one.reset_index(drop=True), names, "params").tolist() == [3.0, 1.0, 2.0]


def test_likelihood_at_a_shuffled_series(model):
    res = model.fit()
    shuffled = res.params.sample(frac=1.0, random_state=1)
    assert not shuffled.index.equals(res.params.index)
    assert model.loglike(shuffled, res.sigma) == pytest.approx(res.llf)
    np.testing.assert_array_equal(model.predict(shuffled), model.predict(res.params))


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("max_iter", "use maxiter="),
        ("rel_tol", "use tol="),
        ("n_starts", "from no start"),
        ("disp", "callback="),
        ("weights", r"LowRank3SLS\(\.\.\., weights=\)"),
        ("instruments", r"LowRank3SLS\(\.\.\., instruments=\)"),
        ("methd", "did you mean 'method'"),
    ],
)
def test_a_fit_of_moments_names_its_own_arguments(name, ours):
    """It said max_sweeps=, which it does not have."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((40, 2))
    model = LowRank3SLS(z + rng.standard_normal((40, 2)), z[:, :1], z, rank=0)
    with pytest.raises(UnknownArgumentError, match=ours):
        model.fit(**{name: 1})


def test_what_fits_of_moments_are_told_to_use_is_there():
    known = list(inspect.signature(LowRank3SLS.fit).parameters)
    for name, said in _OF_MOMENTS.items():
        for argument in re.findall(r"^(\w+)=", said):
            assert name in known or argument in known


def test_a_model_with_instruments_names_its_own_ways():
    with pytest.raises(UnknownArgumentError, match=r"LowRank3SLS\.from_formula\(\.\.\., data=\)"):
        LowRank3SLS(np.eye(4), data=1)
