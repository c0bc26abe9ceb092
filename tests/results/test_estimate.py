"""An `Estimate` is all that tests, tables and predictions look at."""

import inspect
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from functools import partial

import numpy as np
import pytest

from sm_alsgls import LowRankSUR, simulate_sur
from sm_alsgls.exceptions import (
    DataRemovedError,
    NoFactorsError,
    NoLikelihoodError,
    OptionError,
    UnrestrictedSigmaError,
)
from sm_alsgls.results import across, coefficients, factors, plots, predict, tables
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.estimate import Estimate, estimate_of
from sm_alsgls.results.hypotheses import wald_test
from sm_alsgls.results.likelihood import LikelihoodResults
from sm_alsgls.results.method import method
from sm_alsgls.results.system import SystemResults


@pytest.fixture(scope="module")
def res():
    made = simulate_sur(120, 6, 3, rank=1, rng=2)
    return LowRankSUR(made.endog, made.exog, rank=1).fit(n_starts=1)


class Unfactored:
    """An unrestricted Sigma, as far as results may ask: a covariance without factors."""

    low_rank = None

    def __init__(self, Sigma):
        self._Sigma = np.asarray(Sigma)

    def diag(self):
        return np.diagonal(self._Sigma)

    def scaled(self, c):
        return Unfactored(self._Sigma * np.outer(c, c))

    def solve(self, M):
        return np.linalg.solve(self._Sigma, M.T).T

    def quad(self, E):
        return float((E * self.solve(E)).sum())

    def logdet(self):
        return float(np.linalg.slogdet(self._Sigma)[1])


def other_law(estimate):
    """The same estimate by an estimator without factors and without a likelihood."""
    return replace(
        estimate, sigma=Unfactored(estimate.sigma.to_dense()), maximum=None, known={}, rank=0
    )


def test_it_is_frozen_and_pickles(res):
    estimate = res.estimate
    with pytest.raises(FrozenInstanceError):
        estimate.params = estimate.params
    again = pickle.loads(pickle.dumps(estimate))
    assert set(vars(again)) == {field.name for field in fields(Estimate)}
    np.testing.assert_array_equal(coefficients.bse(again), coefficients.bse(estimate))
    assert estimate_of(res) is estimate_of(res._results) is estimate_of(estimate) is estimate
    assert estimate_of("results") is None


def test_what_is_kept_is_computed_once(res, monkeypatch):
    estimate = replace(res.estimate, known={})
    assert not coefficients.bse.is_known(estimate)
    first = coefficients.bse(estimate)
    assert coefficients.bse.is_known(estimate)
    assert coefficients.bse(estimate) is first
    with_t = estimate.with_covariance(estimate.choice, not estimate.use_t)
    assert not with_t.known
    assert with_t.use_t is not estimate.use_t


def test_methods_present_the_functions():
    pairs = [
        ("test_across", across.test_across),
        ("predict", predict.predict),
        ("tidy", tables.tidy),
        ("wald_test", wald_test),
    ]
    for name, function in pairs:
        own = getattr(SystemResults, name)
        assert own.__name__ == name
        assert own.__doc__ == function.__doc__
        theirs = list(inspect.signature(function).parameters.values())[1:]
        assert list(inspect.signature(own).parameters.values())[1:] == theirs
        assert next(iter(inspect.signature(own).parameters)) == "self"


def test_a_method_takes_the_estimate():
    class Estimate(str):
        progress = None

    class Results:
        estimate = Estimate("the estimate")
        shout = method(lambda estimate, word, *, times=1: f"{estimate}: {word * times}")

    assert Results().shout("a", times=2) == "the estimate: aa"


def test_without_a_likelihood_the_rest_is_there(res):
    """Tests, tables and predictions ask for no likelihood; what does says that there is none."""
    estimate = replace(res.estimate, maximum=None, known={})
    results = SystemResults(res.model, estimate)
    close = partial(np.testing.assert_allclose, rtol=1e-8)
    close(results.bse, res.bse)
    close(results.conf_int(), res.conf_int())
    R = np.eye(len(res.params))[:2]
    close(results.wald_test(R, scalar=True).pvalue, res.wald_test(R, scalar=True).pvalue)
    close(results.get_prediction().summary_frame(), res.get_prediction().summary_frame())
    close(results.tidy()["p_value"], res.tidy()["p_value"])
    close(results.equations["y1"].fvalue, res.equations["y1"].fvalue)
    for kind in ("sandwich", "HC1", "HAC", "KH"):
        choice = res.get_robustcov_results(kind).estimate.choice
        other = SystemResults(res.model, estimate.with_covariance(choice, True))
        close(other.bse, res.get_robustcov_results(kind).bse)
    with pytest.raises(NoLikelihoodError, match="maximises no likelihood"):
        _ = results.llf
    for name in ("aic", "nll_per_row", "mle_retvals", "trace", "converged"):
        with pytest.raises(NoLikelihoodError):
            getattr(LikelihoodResults(res.model, estimate), name)


def test_without_factors_there_is_one_error(res):
    """Everything about factors of an unrestricted Sigma raises the same."""
    estimate = other_law(res.estimate)
    of_factors = [
        factors.loadings, factors.uniquenesses, factors.communalities, factors.factor_scores,
        factors.rotated_loadings, plots.plot_loadings, plots.plot_factor_scores,
        plots.plot_communalities,
    ]  # fmt: skip
    said = set()
    for function in of_factors:
        with pytest.raises(UnrestrictedSigmaError, match="unrestricted") as error:
            function(estimate)
        assert isinstance(error.value, (OptionError, NoFactorsError))
        said.add(str(error.value))
    assert len(said) == 1
    assert factors.factors_left(estimate) is None


def test_another_covariance_of_the_parameters(res):
    """The estimator says what a cov_type stands for."""

    class Twice:
        def __init__(self, estimate, choice):
            self.V = 2.0 * np.asarray(res.cov_params())
            self.estimate, self.choice = estimate, choice

        def variances(self):
            return np.diagonal(self.V)

        def combinations(self, R, other=None):
            return R @ self.V @ (R if other is None else other).T

    estimate = replace(res.estimate, covariances=Twice, known={})
    assert covariance(estimate).choice is res.estimate.choice
    np.testing.assert_allclose(coefficients.bse(estimate), np.sqrt(2.0) * res.bse)


def test_removed_data_leave_the_numbers(res):
    again = pickle.loads(pickle.dumps(res))
    bse = again.bse.copy()
    full = again.estimate
    again.remove_data()
    assert not again.estimate.sample.available
    assert not again.model.has_data
    assert again.estimate.labels is full.labels
    np.testing.assert_array_equal(again.bse, bse)
    for name in ("problem", "E", "system", "cells", "index", "blocks"):
        with pytest.raises(DataRemovedError):
            getattr(again.estimate.sample, name)
