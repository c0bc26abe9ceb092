"""Results of an estimate whose equations share a parameter that is there once.

The same fit told in two ways: with restrictions, where a common coefficient stands in every
equation, and with labels that hold it once. Everything that is about means must agree.
"""

from dataclasses import replace

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.data.labels import Labels
from sm_alsgls.results.coefficients import bse, df_coefficients, df_of_equations
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.freedom import Freedom
from sm_alsgls.results.persistence import without_system
from sm_alsgls.results.system import SystemResults
from tests.systems import simulate

K = 4


class Once:
    """The covariance of the distinct coefficients, from that of all."""

    def __init__(self, V, labels):
        self.V, self.labels = V, labels

    def variances(self):
        return np.diagonal(self.V)

    def block(self, j):
        at = np.arange(len(self.V))[self.labels.columns(j)]
        return self.V[np.ix_(at, at)]

    def combinations(self, R, other=None):
        return R @ self.V @ (R if other is None else other).T

    def dense(self):
        return self.V


@pytest.fixture(scope="module")
def pair():
    X, Y, _ = simulate(80, K, 3, 1, seed=2)
    equal = [f"y1_x2 = y{j}_x2" for j in range(2, K + 1)]
    tied = LowRankSUR(Y, X, rank=1).fit_constrained(equal, n_starts=1)
    estimate = tied.estimate
    names = [columns.index("x2") for columns in estimate.labels.regressors]
    place = np.empty(sum(estimate.p), dtype=int)
    firsts, params, places = [], [], []
    own = 0
    for j, (name, at) in enumerate(zip(estimate.equations, names, strict=True)):
        start = 3 * j
        here = []
        for i in range(3):
            if i == at:
                here.append(-1)
                continue
            params.append(f"{name}_{estimate.labels.regressors[j][i]}")
            firsts.append(start + i)
            here.append(own)
            own += 1
        place[start : start + 3] = here
        places.append(here)
    # The shared one comes last.
    places = tuple(np.where(np.array(here) < 0, own, here) for here in places)
    firsts.append(names[0])
    labels = Labels(estimate.equations, estimate.labels.regressors, [*params, "x2"], places)
    V = np.asarray(tied.cov_params())[np.ix_(firsts, firsts)]
    once = replace(
        estimate,
        labels=labels,
        params=estimate.params[firsts],
        freedom=Freedom(None),
        covariances=lambda estimate, choice: Once(V, labels),
        known={},
    )
    return tied, SystemResults(tied.model, once), np.array(firsts)


def test_coefficients_are_there_once(pair):
    tied, once, firsts = pair
    assert len(once.params) == 2 * K + 1
    np.testing.assert_allclose(bse(once.estimate), np.asarray(tied.bse)[firsts])
    np.testing.assert_allclose(once.conf_int(), np.asarray(tied.conf_int())[firsts])
    table = once.tidy()
    assert table["term"].tolist().count("x2") == 1
    assert table["equation"].tolist()[-1] == ""
    np.testing.assert_array_equal(
        df_coefficients(once.estimate), np.asarray(df_coefficients(tied.estimate))[firsts]
    )
    np.testing.assert_array_equal(df_of_equations(once.estimate), df_of_equations(tied.estimate))


def test_an_equation_has_its_share(pair):
    tied, once, _ = pair
    for name in tied.model.equations:
        one, other = once.equations[name], tied.equations[name]
        np.testing.assert_allclose(one.params, other.params)
        np.testing.assert_allclose(one.bse, other.bse)
        np.testing.assert_allclose(one.cov_params(), other.cov_params(), atol=1e-14)
        np.testing.assert_allclose(one.conf_int(), other.conf_int())
        R = np.eye(3)[1:]
        np.testing.assert_allclose(one.t_test(R).pvalue, other.t_test(R).pvalue)
        np.testing.assert_allclose(one.fvalue, other.fvalue)


def test_predictions_agree(pair):
    tied, once, _ = pair
    got, expected = once.get_prediction(), tied.get_prediction()
    np.testing.assert_allclose(got.summary_frame(), expected.summary_frame())
    np.testing.assert_allclose(got.cov_mean(3), expected.cov_mean(3), atol=1e-14)
    given = once.get_prediction(given=["y1"]), tied.get_prediction(given=["y1"])
    np.testing.assert_allclose(given[0].summary_frame(), given[1].summary_frame())


def test_tests_count_it_once(pair):
    tied, once, _ = pair
    got, expected = once.test_across("x2"), tied.test_across("x2")
    assert got.df_num == expected.df_num == 1
    np.testing.assert_allclose(got.pvalue, expected.pvalue)
    np.testing.assert_allclose(once.fvalue, tied.fvalue)
    np.testing.assert_allclose(once.f_pvalue, tied.f_pvalue)
    terms = once.wald_test_terms().table
    np.testing.assert_allclose(
        terms.to_numpy(float), tied.wald_test_terms().table.loc[terms.index].to_numpy(float)
    )
    ratio = once.nlcom("x2 / y1_const"), tied.nlcom("y1_x2 / y1_const")
    np.testing.assert_allclose(ratio[0].bse, ratio[1].bse)
    np.testing.assert_allclose(ratio[0].df, ratio[1].df)


def test_without_data(pair):
    _, once, _ = pair
    gone = without_system(once.estimate)
    kept = covariance(gone)
    np.testing.assert_allclose(kept.variances(), bse(once.estimate) ** 2)
    for j in range(K):
        np.testing.assert_allclose(kept.block(j), covariance(once.estimate).block(j))
    assert not gone.sample.available
    assert once.estimate.sample.available
