"""Equations that add up: found and named, and nothing else is."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls import LowRankSUR
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.data import dependence
from sm_alsgls.data.dependence import dependent_set
from sm_alsgls.data.problem import build_problem
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import DuplicateEquationError
from tests.systems import simulate


def check(model):
    build_problem(model.system, ALSOptions(), model.restrictions)


def members(model):
    with pytest.raises(DuplicateEquationError, match="linearly dependent") as caught:
        check(model)
    said = str(caught.value)
    return {name for name in model.equations if repr(name) in said}


def shares(K=6, N=120, seed=0, scale=1.0):
    """Budget shares of K goods, and two regressors."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N, 2))
    b = rng.standard_normal((2, K)) * 0.02
    S = 1.0 / K + x @ (b - b.mean(axis=1, keepdims=True)) + 0.03 * rng.standard_normal((N, K))
    S[:, -1] = 1.0 - S[:, :-1].sum(axis=1)
    return S * scale, np.column_stack([np.ones(N), x])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_any_set_is_found_and_named(seed):
    """y_k = sum of some others, in any units and with any offsets."""
    rng = np.random.default_rng(seed)
    K, N = int(rng.integers(3, 12)), int(rng.integers(30, 80))
    X = np.column_stack([np.ones(N), rng.standard_normal((N, 2))])
    Y = rng.standard_normal((N, K)) @ rng.standard_normal((K, K))
    size = int(rng.integers(2, K))
    order = rng.permutation(K)
    parts, whole = order[:size], order[size]
    Y[:, whole] = Y[:, parts] @ rng.uniform(0.5, 2.0, size) * rng.choice([-1.0, 1.0])
    Y = Y * 10.0 ** rng.integers(-6, 7, K) + rng.standard_normal(K) * 1e3
    names = [f"e{j}" for j in range(K)]
    model = LowRankSUR(pd.DataFrame(Y, columns=names), X, 0)
    assert members(model) == {names[j] for j in [*parts, whole]}
    check(LowRankSUR(np.delete(Y, whole, axis=1), X, 0))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), digits=st.integers(0, 5))
def test_correlation_is_no_dependence(seed, digits):
    """One equation is the sum of others to ``digits`` digits: high correlation, no identity."""
    rng = np.random.default_rng([seed, 1])
    K, N = 6, 60
    X, Y, _ = simulate(N, K, 2, 1, seed)
    Y[:, 5] = Y[:, :3].sum(axis=1) + 10.0**-digits * rng.standard_normal(N)
    check(LowRankSUR(Y, X[0], 0))


class TestShares:
    def test_all_of_them(self):
        S, X = shares()
        assert members(LowRankSUR(S, X, 0)) == {f"y{j}" for j in range(1, 7)}

    def test_fit_refuses_and_without_one_does_not(self):
        S, X = shares()
        with pytest.raises(DuplicateEquationError, match="'y1', 'y2'.*drop one of them.*guide"):
            LowRankSUR(S, X, 1).fit()
        check(LowRankSUR(S[:, 1:], X, 1))

    def test_in_single_precision(self):
        S, X = shares()
        assert len(members(LowRankSUR((1e4 * S).astype(np.float32), X, 0))) == 6

    def test_weights_of_rows(self):
        S, X = shares()
        w = np.random.default_rng(1).uniform(0.5, 2.0, len(S))
        assert len(members(LowRankSUR(S, X, 0, weights=w))) == 6

    @pytest.mark.parametrize("common", [True, ["x1"]])
    def test_restrictions_do_not_hide_it(self, common):
        S, X = shares()
        assert len(members(LowRankSUR(S, X, 0, common=common))) == 6

    def test_a_restriction_that_ols_does_not_keep_adding_up(self):
        """Residuals of restricted OLS do not add up; those at the maximum would."""
        S, X = shares()
        with pytest.raises(DuplicateEquationError, match="linearly dependent"):
            LowRankSUR(S, X, 1).fit_constrained("y1_x1 = 0.3")

    def test_missing_cells_do_not_hide_it(self):
        S, X = shares()
        S[np.random.default_rng(2).random(S.shape) < 0.05] = np.nan
        assert len(members(LowRankSUR(S, X, 0, missing="fiml"))) == 6
        check(LowRankSUR(S[:, 1:], X, 0, missing="fiml"))

    def test_chunks(self):
        S, X = shares()
        model = LowRankSUR.from_chunks(
            [(S[i : i + 30], X[i : i + 30]) for i in range(0, 120, 30)], 0
        )
        assert len(members(model)) == 6

    def test_a_total_beside_its_parts_and_a_spectator(self):
        X, Y, _ = simulate(60, 6, 3, 1)
        Y[:, 4] = Y[:, [0, 2]].sum(axis=1)
        assert members(LowRankSUR(Y, X[0], 0)) == {"y1", "y3", "y5"}

    def test_different_regressors_are_no_identity(self):
        """Residuals do not add up where the regressors differ: the likelihood is bounded."""
        X, Y, _ = simulate(60, 4, 3, 1)
        Y[:, 3] = Y[:, :3].sum(axis=1)
        check(LowRankSUR(Y, X, 0))

    def test_two_identities(self):
        S, X = shares()
        T, _ = shares(4, seed=3)
        model = LowRankSUR(np.hstack([S, T]), X, 0)
        found = members(model)
        assert found in ({f"y{j}" for j in range(1, 7)}, {f"y{j}" for j in range(7, 11)})

    @pytest.mark.parametrize(("K", "N"), [(300, 400), (90, 60)])
    def test_many(self, K, N):
        """Beyond K <= 256, and where K >= N - p, the two identities that occur."""
        S, X = shares(K, N)
        with pytest.raises(DuplicateEquationError, match=f"and {K - 12} more are linearly dep"):
            check(LowRankSUR(S, X, 0))
        check(LowRankSUR(S[:, 1:], X, 0))
        total = S[:, 1:].copy()
        total[:, 5] = total.sum(axis=1) - total[:, 5]
        with pytest.raises(DuplicateEquationError, match="linearly dependent"):
            check(LowRankSUR(total, X, 0))


def test_real_systems_are_not_dependent():
    data = load_grunfeld()
    for variables in ("value", "capital", "value + capital"):
        check(LowRankSUR.from_formula(f"invest ~ {variables}", data, 0, groups="firm", time="year"))


def test_the_screen_agrees_with_eigenvalues():
    """Whether the Cholesky screen lets pass what the eigenvalues would have found."""
    rng = np.random.default_rng(0)
    for trial in range(200):
        K, n = 8, 40
        E = rng.standard_normal((K, n))
        if trial % 2:
            v = rng.standard_normal(K) * 10.0 ** -rng.integers(0, 4, K)
            E[-1] = -(v[:-1] @ E[:-1]) / v[-1]
        E /= np.linalg.norm(E, axis=1)[:, None]
        R = E @ E.T
        found = dependent_set(R) is not None
        assert found == (np.linalg.eigvalsh(R)[0] < dependence._LEAST)
