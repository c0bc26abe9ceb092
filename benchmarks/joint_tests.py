"""Size of joint tests and coverage of slopes under robust covariances, by Monte Carlo.

    python benchmarks/joint_tests.py [--reps 200] [--quick] [--json FILE] [--only WORD]

Parameters are drawn anew in every replication; every null is true, tests are at 5 %. A system
with designs of its own has a constant and two N(0, 1) regressors an equation, F ~ N(0, 1), d ~
U(.5, 1.5) and two factors, which the fit is told. A system with equal designs has a constant and
three N(0, 1) regressors, rank 1 or what ``bic_ols`` chooses, and Sigma an AR(.7) correlation matrix
of the equations, or five blocks of correlation .6; its null is that all constants are zero
("alphas"). Clusters of 4 rows share a part of the first slope's regressor and of their errors.

Slopes of one replication share their errors, so the Monte Carlo standard error of a coverage is
that of the mean over replications; that of a size s is sqrt(s (1 - s) / replications).
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
from scipy import stats

from sm_alsgls import LowRankSUR
from sm_alsgls.results.covariance import covariance

P = 3


def own_designs(N, K, rng, groups=None, by_own_x=False):
    """Designs, responses and coefficients; rows independent, in clusters, or of own variances."""
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, P - 1))]) for _ in range(K)]
    F, d = rng.standard_normal((K, 2)), rng.uniform(0.5, 1.5, K)
    E = rng.standard_normal((N, 2)) @ F.T + rng.standard_normal((N, K)) * np.sqrt(d)
    if groups is not None:
        G = groups.max() + 1
        for x in X:
            x[:, 1] = rng.standard_normal(G)[groups] + 0.5 * rng.standard_normal(N)
        shared = rng.standard_normal((G, 2)) @ F.T + rng.standard_normal((G, K)) * np.sqrt(d)
        E = 0.7 * E + 0.7 * shared[groups]
    if by_own_x:
        E *= np.sqrt(0.3 + 0.7 * np.square(np.column_stack([x[:, 1] for x in X])))
    beta = rng.standard_normal((K, P))
    Y = np.column_stack([x @ b for x, b in zip(X, beta, strict=True)]) + E
    return X, Y, beta


def shared_design(N, K, rng, kind):
    """One design for all equations, and responses with no constants."""
    X = np.column_stack([np.ones(N), rng.standard_normal((N, 3))])
    j = np.arange(K)
    if kind == "AR":
        Sigma = 0.7 ** np.abs(np.subtract.outer(j, j))
    else:
        Sigma = np.where(np.equal.outer(j * 5 // K, j * 5 // K), 0.6, 0.0)
        np.fill_diagonal(Sigma, 1.0)
    beta = rng.standard_normal((4, K))
    beta[0] = 0.0
    Y = X @ beta + rng.standard_normal((N, K)) @ np.linalg.cholesky(Sigma).T
    return X, Y


def quiet_fit(Y, X, rank):
    """One start, warnings off: Heywood cases belong to the experiment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LowRankSUR(Y, X, rank=rank).fit(n_starts=1)


def plain_f(results, gap, R):
    """The F test of before: the Wald statistic over q on (q, df of the t tests)."""
    W = float(gap @ np.linalg.solve(results.cov_params(r_matrix=R), gap)) / len(R)
    return float(stats.f.sf(W, len(R), results.df_resid_inference))


def alphas(N, K, kind, rank, reps, seed):
    """p-values of tests that all K constants are zero."""
    rng = np.random.default_rng([seed, N, K, len(kind)])
    out: dict[str, list[float]] = {}
    for _ in range(reps):
        X, Y = shared_design(N, K, rng, kind)
        res = quiet_fit(Y, X, rank)
        R = np.zeros((K, 4 * K))
        R[np.arange(K), 4 * np.arange(K)] = 1.0
        gap = R @ np.asarray(res.params)
        found = {
            "default, plain F": plain_f(res, gap, R),
            "default": res.f_test(R).pvalue,
        }
        for cov_type in ("sandwich", "HC1"):
            robust = res.get_robustcov_results(cov_type)
            found[f"{cov_type}, plain F"] = plain_f(robust, gap, R)
            found[cov_type] = robust.f_test(R).pvalue
        found["grs_test"] = res.grs_test().pvalue
        found["grs_test, factor"] = res.grs_test(method="factor").pvalue
        for name, p in found.items():
            out.setdefault(name, []).append(float(p))
    return out


def slopes(N, K, q, reps, seed, cov_type, per_group=None, by_own_x=False, rank=2):
    """p-values of q true slopes together, and coverage of all slopes, with designs of their own."""
    rng = np.random.default_rng([seed, N, K, q])
    groups = None if per_group is None else np.arange(N) // per_group
    out: dict[str, list[float]] = {}
    for _ in range(reps):
        X, Y, beta = own_designs(N, K, rng, groups, by_own_x)
        res = quiet_fit(Y, X, rank)
        R = np.zeros((q, K * P))
        R[np.arange(q), 1 + P * np.arange(q)] = 1.0
        flat = beta.ravel()
        target = R @ flat
        gap = R @ np.asarray(res.params) - target
        found = {
            "default": float(res.f_test((R, target)).pvalue),
            "sandwich": float(res.get_robustcov_results("sandwich").f_test((R, target)).pvalue),
        }
        kinds = {"HC1": {}, "HC2": {}, "HC3": {}}
        if groups is not None:
            kinds = {c: {"groups": groups, "correction": c} for c in ("CR1", "CR2", "CR3")}
        for name, kwds in kinds.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                kind = name if groups is None else "cluster"
                robust = res.get_robustcov_results(kind, **kwds)
                interval = np.asarray(robust.conf_int())
                inside = (interval[:, 0] <= flat) & (flat <= interval[:, 1])
                found[f"coverage {name}"] = float(inside.reshape(K, P)[:, 1:].mean())
            if name in ("HC1", "CR1"):
                old = N - P - rank if groups is None else groups.max()
                half = stats.t.ppf(0.975, old) * np.asarray(robust.bse)
                inside = np.abs(np.asarray(robust.params) - flat) <= half
                found[f"coverage {name}, df of before"] = float(inside.reshape(K, P)[:, 1:].mean())
                found[f"{name}, plain F"] = plain_f(robust, gap, R)
            if name in ("HC2", "CR2"):
                found[name] = float(robust.f_test((R, target)).pvalue)
        for name, value in found.items():
            out.setdefault(name, []).append(value)
    return out


def two_way(N, K, A, B, reps, seed):
    """Coverage of all slopes with errors that rows of a group share, in two groupings at random."""
    rng = np.random.default_rng([seed, N, A, B])
    out: dict[str, list[float]] = {}
    for _ in range(reps):
        groups = np.column_stack([rng.permutation(np.arange(N) % g) for g in (A, B)])
        X, Y, beta = own_designs(N, K, rng)
        F = rng.standard_normal((K, 2))
        for g, count in zip(groups.T, (A, B), strict=True):
            common = rng.standard_normal(count)[g]
            shift = np.stack([0.7 * common * (j % 2 == 0) for j in range(K)])
            for j, x in enumerate(X):
                Y[:, j] += shift[j] * beta[j, 1]
                x[:, 1] += shift[j]
            Y += 0.5 * (rng.standard_normal((count, 2)) @ F.T)[g]
        res = quiet_fit(Y, X, 2)
        for correction in ("CR1", "CR2"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                robust = res.get_robustcov_results("cluster", groups=groups, correction=correction)
                interval = np.asarray(robust.conf_int())
            inside = (interval[:, 0] <= beta.ravel()) & (beta.ravel() <= interval[:, 1])
            share = float(inside.reshape(K, P)[:, 1:].mean())
            out.setdefault(f"coverage two-way {correction}", []).append(share)
        negative = float(covariance(robust.estimate).negative.mean())
        out.setdefault("coefficients with V_a + V_b - V_ab <= 0", []).append(negative)
    return out


CELLS = {
    "alphas AR(.7), N=60, K=25, rank 1": (alphas, (60, 25, "AR", 1), {}),
    "alphas AR(.7), N=60, K=25, bic_ols": (alphas, (60, 25, "AR", "bic_ols"), {}),
    "alphas 5 blocks, N=240, K=25, rank 1": (alphas, (240, 25, "blocks", 1), {}),
    "alphas 5 blocks, N=240, K=25, bic_ols": (alphas, (240, 25, "blocks", "bic_ols"), {}),
    "clusters G=10, q=5": (slopes, (40, 10, 5), {"cov_type": "cluster", "per_group": 4}),
    "clusters G=20, q=10": (slopes, (80, 10, 10), {"cov_type": "cluster", "per_group": 4}),
    "clusters G=40, q=5": (slopes, (160, 10, 5), {"cov_type": "cluster", "per_group": 4}),
    "rows N=40, q=5, K=10": (slopes, (40, 10, 5), {"cov_type": "HC1"}),
    "rows N=40, q=5, K=10, variance by own x": (
        slopes,
        (40, 10, 5),
        {"cov_type": "HC1", "by_own_x": True},
    ),
    "two groupings, 5 x 4, N=40": (two_way, (40, 10, 5, 4), {}),
    "two groupings, 20 x 20, N=100": (two_way, (100, 10, 20, 20), {}),
}


def measure(reps: int, seed: int = 0, only: str = "") -> dict[str, dict[str, tuple[float, float]]]:
    """For every cell and test the share (rejections, or coverage) and its Monte Carlo error."""
    out = {}
    for name, (what, args, kwds) in CELLS.items():
        if only not in name:
            continue
        start = time.process_time()
        found = what(*args, reps=reps, seed=seed, **kwds)
        out[name] = {test: summarise(test, np.array(v)) for test, v in found.items()}
        print(f"\n{name} ({reps} replications, {time.process_time() - start:.0f} s)", flush=True)
        for test, (share, error) in out[name].items():
            print(f"    {test:32s} {share:.3f} ({error:.3f})", flush=True)
    return out


def summarise(test: str, values: np.ndarray) -> tuple[float, float]:
    """Share and Monte Carlo error: of p-values below .05, or of coverages."""
    if not test.startswith("coverage") and not test.startswith("coefficients"):
        values = np.where(np.isnan(values), np.nan, values < 0.05)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--reps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 replications")
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = measure(20 if args.quick else args.reps, args.seed, args.only)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
