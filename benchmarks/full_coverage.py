"""Coverage of nominal 95 % intervals for slopes with rank="full", by Monte Carlo.

    python benchmarks/full_coverage.py [--reps 400] [--quick]

N rows of K equations with a constant and two regressors, which are N(0, 1) and each equation's
own, or correlated .9 with those of all others. Sigma is a factor of random sign, a full-rank part
and a diagonal, neither low rank nor near it. A row of the table is a system (regressors and Sigma)
with ``reps`` draws of the errors: the standard deviation of slopes over that of GLS with the true
Sigma, and the share of slopes that intervals cover. "plug-in" is debiased=False.
"""

from __future__ import annotations

import argparse
import warnings

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import AlsglsWarning

CELLS = [(3, 20), (5, 20), (5, 30), (10, 30), (10, 50), (10, 100), (20, 50), (20, 100), (50, 100)]
QUICK = [(3, 20), (5, 30)]
# Share of a regressor's variance that all equations have in common.
SHARED = (0.0, 0.9)
WAYS = {
    "plug-in": ({"debiased": False}, None),
    "default": ({}, None),
    "two-step": ({"method": "two-step"}, None),
    "HC2": ({}, "HC2"),
}


def system(N: int, K: int, shared: float, rng: np.random.Generator):
    """Regressors and Sigma."""
    common = rng.standard_normal((N, 2))
    X = [
        np.column_stack(
            [
                np.ones(N),
                np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.standard_normal((N, 2)),
            ]
        )
        for _ in range(K)
    ]
    f = rng.uniform(0.5, 1.0, K) * rng.choice([-1.0, 1.0], K)
    A = 0.3 * rng.standard_normal((K, K))
    return X, np.outer(f, f) + A @ A.T / np.sqrt(K) + np.diag(rng.uniform(0.2, 0.55, K))


def measured(N: int, K: int, shared: float, reps: int) -> tuple[dict[str, float], dict[str, float]]:
    """Standard deviations over GLS's, and coverages."""
    rng = np.random.default_rng(1)
    X, Sigma = system(N, K, shared, rng)
    root, precision = np.linalg.cholesky(Sigma), np.linalg.inv(Sigma)
    Z = np.concatenate(X, axis=1)
    owner = np.repeat(np.arange(K), 3)
    V = np.linalg.inv(precision[owner[:, None], owner] * (Z.T @ Z))
    slope = np.tile([False, True, True], K)
    found = {way: [] for way in WAYS}
    covered = {way: [] for way in WAYS}
    for _ in range(reps):
        model = LowRankSUR(rng.standard_normal((N, K)) @ root.T, X, rank="full")
        fits = {}
        for way, (options, robust) in WAYS.items():
            key = tuple(options.items())
            if key not in fits:
                fits[key] = model.fit(**options)
            res = fits[key] if robust is None else fits[key].get_robustcov_results(robust)
            b, interval = np.asarray(res.params)[slope], np.asarray(res.conf_int())[slope]
            found[way].append(b)
            covered[way].append((interval[:, 0] <= 0.0) & (interval[:, 1] >= 0.0))
    gls = np.sqrt(np.diag(V))[slope]
    size = {way: np.sqrt(np.mean(np.square(b), axis=0)) for way, b in found.items()}
    spread = {way: float(np.mean(sd / gls)) for way, sd in size.items()}
    return spread, {way: float(np.mean(c)) for way, c in covered.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=400)
    parser.add_argument("--quick", action="store_true", help="two cells, 20 draws")
    args = parser.parse_args()
    warnings.simplefilter("ignore", AlsglsWarning)
    print("| K | N | shared | sd, maximum | sd, two steps | " + " | ".join(WAYS) + " |")
    print("|---|---|---|---|---|" + "---|" * len(WAYS))
    for K, N in QUICK if args.quick else CELLS:
        for shared in SHARED:
            spread, share = measured(N, K, shared, 20 if args.quick else args.reps)
            cells = " | ".join(f"{share[way]:.3f}".lstrip("0") for way in WAYS)
            print(
                f"| {K} | {N} | {shared:g} | {spread['default']:.2f} | {spread['two-step']:.2f} "
                f"| {cells} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
