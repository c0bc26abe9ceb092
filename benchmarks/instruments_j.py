"""Size of the J test in small samples: weighted with N - p degrees of freedom, and with N.

    python benchmarks/instruments_j.py [--share 1.0]

Equations have a constant, exogenous regressors, one endogenous one and instruments of their own; J
is that of method="2sls", whose Sigma is of the same residuals. --share cuts the draws.
"""

from __future__ import annotations

import argparse
import warnings

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
from scipy import stats

from sm_alsgls import LowRank3SLS

#: N, K, exogenous slopes, instruments, factors, draws.
CELLS = [
    (100, 10, 1, 2, 2, 600),
    (100, 50, 1, 2, 2, 250),
    (100, 50, 1, 4, 2, 200),
    (200, 10, 1, 3, 1, 300),
    (40, 10, 2, 3, 1, 400),
    (30, 46, 3, 2, 1, 200),
    (30, 46, 3, 3, 1, 200),
]


def draw(rng: np.random.Generator, N: int, K: int, slopes: int, surplus: int, r: int):
    """Responses, regressors and instruments of a right system."""
    F = rng.standard_normal((K, r))
    E = rng.standard_normal((N, r)) @ F.T + rng.standard_normal((N, K))
    X, Z, Y = [], [], np.empty((N, K))
    for j in range(K):
        x = np.column_stack([np.ones(N), rng.standard_normal((N, slopes))])
        z = rng.standard_normal((N, surplus))
        w = 0.7 * z.sum(axis=1) + rng.standard_normal(N) + 0.5 * E[:, j]
        X.append(np.column_stack([x, w]))
        Z.append(np.column_stack([x, z]))
        Y[:, j] = x.sum(axis=1) + w + E[:, j]
    return Y, X, Z


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=float, default=1.0)
    share = parser.parse_args().share
    warnings.simplefilter("ignore")
    print("| N, K, p, df (draws) | with N - p | with N |\n|---|---|---|")
    for N, K, slopes, surplus, r, reps in CELLS:
        rng, rejected, reps = np.random.default_rng(3), [], max(2, int(share * reps))
        for _ in range(reps):
            Y, X, Z = draw(rng, N, K, slopes, surplus, r)
            model = LowRank3SLS(Y, X, Z, rank=r)
            tests = [model.fit("2sls", debiased=d).j_test() for d in (True, False)]
            rejected.append([stats.chi2.sf(test.statistic, test.df) < 0.05 for test in tests])
        debiased, plain = np.mean(rejected, axis=0)
        error = np.sqrt(0.05 * 0.95 / reps)
        print(
            f"| {N}, {K}, {slopes + 2}, {tests[0].df} ({reps}) | {debiased:.3f} ({error:.3f}) "
            f"| {plain:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
