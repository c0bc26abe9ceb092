"""Size of `wild_test` beside t where instruments are weak.

    python benchmarks/wild_size.py [--reps 500] [--draws 199] [--strength 0.141] [--method iv gmm]

N = 100, K = 10, one factor, three excluded instruments of each equation's one endogenous regressor,
whose first-stage errors have a correlation of .8 with the equation's: true nulls that are rejected
at 5 and 10 %, with Monte Carlo standard errors in brackets, and milliseconds of a draw.
"""

from __future__ import annotations

import argparse
import time

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
from scipy import stats

from sm_alsgls.core.errors.law import law_of
from sm_alsgls.core.instruments.refit import Way
from sm_alsgls.core.instruments.wild_system import WholeSystem, system_under_null, wild_draws
from sm_alsgls.core.options import ALSOptions

N, K, L = 100, 10, 3


def system(seed: int, strength: float) -> tuple[list, list, np.ndarray]:
    """Regressors (constant, endogenous), instruments, responses; every coefficient is 1."""
    rng = np.random.default_rng([77, seed])
    E = rng.standard_normal((N, 1)) @ np.full((1, K), 0.8) + 0.6 * rng.standard_normal((N, K))
    X, Z = [], []
    for e in E.T:
        z = rng.standard_normal((N, L))
        x = strength * z.sum(axis=1) + 0.8 * e + 0.6 * rng.standard_normal(N)
        X.append(np.column_stack([np.ones(N), x]))
        Z.append(np.column_stack([np.ones(N), z]))
    return X, Z, np.column_stack([x.sum(axis=1) for x in X]) + E


def strength_of(x: np.ndarray, Z: np.ndarray) -> float:
    """First-stage F."""
    left = x - Z @ np.linalg.lstsq(Z, x, rcond=None)[0]
    total = np.square(x - x.mean()).sum()
    return float((total - left @ left) / L / (left @ left) * (N - L - 1))


def main() -> None:
    """Print a line a method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=500)
    parser.add_argument("--draws", type=int, default=199)
    parser.add_argument("--strength", type=float, default=0.141)
    parser.add_argument("--method", nargs="+", default=["iv", "gmm", "2sls"])
    given = parser.parse_args()
    for method in given.method:
        taken = 0 if method == "2sls" else 1
        correction = np.sqrt(np.full(K, N / (N - 2 - taken)))
        way = Way(1, method, False, False, 1e-8, 500, correction)
        rejected, F, spent = [], [], 0.0
        for seed in range(given.reps):
            X, Z, Y = system(seed, given.strength)
            told = [np.array([False, True])] * K
            whole = WholeSystem(X, Z, Y, told, law_of(1).make, ALSOptions(), way)
            null = system_under_null(whole, 1, 1.0)
            t = abs(whole.estimated(X, Y).t(1, 1.0))
            began = time.perf_counter()
            seeds = np.random.SeedSequence(seed).spawn(given.draws)
            draws = np.abs(list(wild_draws(null, seeds)))
            spent += time.perf_counter() - began
            p = (1 + np.sum(draws >= t)) / (1 + given.draws)
            own = 2 * stats.t.sf(t, N - 2 - taken)
            rejected.append([p <= 0.05, p <= 0.1, own <= 0.05, own <= 0.1])
            F.append(strength_of(X[0][:, 1], Z[0]))
        share = np.mean(rejected, axis=0)
        error = np.sqrt(share * (1 - share) / given.reps)
        shown = [f"{a:.3f} ({b:.3f})" for a, b in zip(share, error, strict=True)]
        print(
            f"{method}: F {np.mean(F):.2f}; wild {shown[0]}, {shown[1]}; t {shown[2]}, {shown[3]}; "
            f"{1e3 * spent / given.reps / given.draws:.2f} ms a draw"
        )


if __name__ == "__main__":
    main()
