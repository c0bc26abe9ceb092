"""Factors that move with the regressors: a dense twin of the test, its size, and its power."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import InsufficientRowsError, OptionError

pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning"),
]


def drawn(T, K, seed, moves, r=2):
    """Bai's (2009) design where ``moves``: x loads on factors and on loadings; slopes are 1."""
    rng = np.random.default_rng(seed)
    L, f = rng.standard_normal((K, r)) + 1.0, rng.standard_normal((T, r))
    Y, X = {}, {}
    for j in range(K):
        x = rng.standard_normal((T, 2))
        if moves:
            x += 1.0 + (f @ L[j])[:, None] + L[j].sum() + f.sum(axis=1)[:, None]
        X[f"e{j}"] = pd.DataFrame(np.column_stack([np.ones(T), x]), columns=["one", "x", "z"])
        Y[f"e{j}"] = x.sum(axis=1) + f @ L[j] + rng.standard_normal(T)
    return pd.DataFrame(Y), X


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("common", [False, ["x"]])
def test_dense_twin(common, rank):
    Y, X = drawn(30, 5, 1, moves=False)
    res = LowRankSUR(Y, X, rank=rank, common=common).fit(n_starts=1, debiased=False)
    test = res.exogeneity_test()
    N, K = Y.shape
    F, P = res.sigma.loadings, np.linalg.inv(res.sigma.to_dense())
    means = np.column_stack([np.mean([x[c] for x in X.values()], axis=0) for c in ("x", "z")])
    means = (means - means.mean(axis=0)) / (30.0 * means.std(axis=0))
    big = np.zeros((N * K, 3 * K))
    for j, x in enumerate(X.values()):
        big[j * N : (j + 1) * N, 3 * j : 3 * j + 3] = x
    if common:  # one column for all slopes of x
        big = np.column_stack(
            [big[:, [c for c in range(3 * K) if c % 3 != 1]], big[:, 1::3].sum(1)]
        )
    Z = np.column_stack([np.kron(F[:, a], means[:, v]) for v in range(2) for a in range(rank)])
    W = np.kron(P, np.eye(N))
    e = res.resid.to_numpy().T.ravel()
    score = Z.T @ W @ e
    V = Z.T @ W @ Z - Z.T @ W @ big @ np.linalg.solve(big.T @ W @ big, big.T @ W @ Z)
    assert test.statistic == pytest.approx(score @ np.linalg.solve(V, score), rel=1e-6)
    assert test.df == 2 * rank
    assert test.distribution == "chi2"


@pytest.mark.parametrize("common", [False, True])
@pytest.mark.slow
def test_size_and_power(common):
    rejected = {True: 0, False: 0}
    for moves in rejected:
        for seed in range(60 if not moves else 10 * common):
            Y, X = drawn(50, 20, seed, moves)
            shared = ["x", "z"] if common else False
            res = LowRankSUR(Y, X, rank=2, common=shared).fit(n_starts=1, gtol=1e-4)
            rejected[moves] += res.exogeneity_test().pvalue < 0.05
    assert rejected[False] <= 8
    assert not common or rejected[True] == 10


def test_what_cannot_be_told_is_refused():
    Y, X = drawn(30, 5, 1, moves=False)
    with pytest.raises(OptionError, match="rank 0"):
        LowRankSUR(Y, X, rank=0).fit().exogeneity_test()
    same = LowRankSUR(Y, X["e0"], rank=1).fit(n_starts=1)
    with pytest.raises(OptionError, match="no regressor differs"):
        same.exogeneity_test()
    means = sum(X.values()) / 5
    augmented = {name: x.assign(mx=means["x"], mz=means["z"]) for name, x in X.items()}
    with pytest.raises(OptionError, match="combinations of every equation's own"):
        LowRankSUR(Y, augmented, rank=1).fit(n_starts=1).exogeneity_test()
    Y.iloc[3, 1] = np.nan
    with pytest.raises(OptionError, match="missing cells"):
        LowRankSUR(Y, X, rank=1, missing="fiml").fit(n_starts=1).exogeneity_test()


@pytest.mark.parametrize("weights", [None, "rows"])
def test_the_zero_of_a_regressor_does_not_matter(weights):
    Y, X = drawn(30, 5, 1, moves=False)
    w = None if weights is None else np.random.default_rng(3).uniform(0.3, 3.0, 30)
    one = LowRankSUR(Y, X, rank=1, weights=w).fit(n_starts=1).exogeneity_test()
    moved = {name: x.assign(x=x["x"] + 50.0) for name, x in X.items()}
    other = LowRankSUR(Y, moved, rank=1, weights=w).fit(n_starts=1).exogeneity_test()
    assert other.statistic == pytest.approx(one.statistic, rel=1e-5)  # two fits, each converged
    assert other.alternative == one.alternative


def test_weights_of_rows_are_a_system_of_weighted_rows():
    """The score of columns root(w) (xbar - its weighted mean) in the dense twin."""
    Y, X = drawn(30, 5, 1, moves=False)
    w = np.random.default_rng(3).uniform(0.3, 3.0, 30)
    w /= w.mean()
    res = LowRankSUR(Y, X, rank=1, weights=w).fit(n_starts=1, debiased=False)
    N, K = Y.shape
    F, P, root = res.sigma.loadings, np.linalg.inv(res.sigma.to_dense()), np.sqrt(w)
    means = np.column_stack([np.mean([x[c] for x in X.values()], axis=0) for c in ("x", "z")])
    means = (means - np.average(means, axis=0, weights=w)) * root[:, None]
    big = np.zeros((N * K, 3 * K))
    for j, x in enumerate(X.values()):
        big[j * N : (j + 1) * N, 3 * j : 3 * j + 3] = x.to_numpy() * root[:, None]
    Z = np.column_stack([np.kron(F[:, 0], means[:, v]) for v in range(2)])
    W = np.kron(P, np.eye(N))
    e = (res.resid.to_numpy() * root[:, None]).T.ravel()
    score = Z.T @ W @ e
    V = Z.T @ W @ Z - Z.T @ W @ big @ np.linalg.solve(big.T @ W @ big, big.T @ W @ Z)
    expected = score @ np.linalg.solve(V, score)
    assert res.exogeneity_test().statistic == pytest.approx(expected, rel=1e-6)


def test_weights_of_cells_are_refused():
    """They would make even the constants differ between the equations."""
    Y, X = drawn(30, 5, 1, moves=False)
    w = np.random.default_rng(3).uniform(0.3, 3.0, Y.shape)
    res = LowRankSUR(Y, X, rank=1, weights=w).fit(n_starts=1)
    with pytest.raises(OptionError, match="weights of cells"):
        res.exogeneity_test()
    assert res.diagnostics().table.loc["factors and regressors", "verdict"] == "-"


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")
@pytest.mark.slow
def test_rows_that_leave_no_degrees_of_freedom():
    rng = np.random.default_rng(0)
    N, K = 9, 5
    names = ["one", "x", "z", "u", "v"]
    X = {f"e{j}": pd.DataFrame(np.column_stack([np.ones(N), rng.standard_normal((N, 4))]),
                               columns=names) for j in range(K)}  # fmt: skip
    Y = pd.DataFrame(rng.standard_normal((N, K)), columns=list(X))
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    with pytest.raises(InsufficientRowsError, match="9 rows leaves no degrees of freedom"):
        res.exogeneity_test()
    assert res.diagnostics().table.loc["factors and regressors", "verdict"] == "-"
    again = LowRankSUR(Y, X, rank=1).fit(n_starts=1, use_t=False)
    assert 0.0 <= again.exogeneity_test().pvalue <= 1.0
