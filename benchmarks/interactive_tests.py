"""Size and power of ``factor_test``: fixed factors against additive effects, and random factors.

    python benchmarks/interactive_tests.py [replications]

y = x b + a_i + g_t + f_t'lambda_i + e, two factors, error standard deviations
that differ between units by a factor of 3, one regressor, correlation rho of errors and factors in
time. "null": x moves with the effects, and with factors and loadings of its own. "loadings": with
the factors and loadings of y.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd

from sm_alsgls import LowRankPanel

SIZES = ((20, 20), (50, 50), (25, 100), (100, 25))


def panel(T: int, n: int, kind: str, rho: float, seed: int) -> tuple[pd.Series, pd.DataFrame]:
    """A response and regressors, by (unit, period)."""
    rng = np.random.default_rng(seed)
    L = rng.standard_normal((n, 2))
    a, g = rng.standard_normal(n), rng.standard_normal((T, 1))
    e, F = correlated(rng, T, n, rho), correlated(rng, T, 2, rho)
    G = correlated(rng, T, 2, rho) @ rng.standard_normal((n, 2)).T
    moved = F @ L.T if kind == "loadings" else G
    x = a + g + 0.5 * moved + rng.standard_normal((T, n))
    y = x + a + g + F @ L.T + e * rng.uniform(0.5, 1.5, n)
    index = pd.MultiIndex.from_product([range(T), range(n)], names=["t", "i"]).swaplevel()
    return pd.Series(y.ravel(), index), pd.DataFrame({"x": x.ravel()}, index)


def correlated(rng: np.random.Generator, T: int, n: int, rho: float) -> np.ndarray:
    e = rng.standard_normal((T + 20, n))
    for t in range(1, T + 20):
        e[t] = rho * e[t - 1] + np.sqrt(1.0 - rho**2) * e[t]
    return e[20:]


def main(reps: int, holes: float) -> None:
    """Print rejections at the 5 % level."""
    warnings.simplefilter("ignore")
    said = f"; {holes:.0%} of the cells missing" if holes else ""
    print(f"{reps} replications; standard error of .05: {(0.05 * 0.95 / reps) ** 0.5:.3f}{said}")
    for T, n in SIZES:
        for rho in (0.0, 0.5):
            for kind in ("null", "loadings"):
                found = []
                for seed in range(reps):
                    y, X = panel(T, n, kind, rho, seed)
                    y[np.random.default_rng([7, seed]).random(len(y)) < holes] = np.nan
                    model = LowRankPanel(y, X, 2, factors="fixed", effects="both")
                    found.append(model.fit(n_starts=3).factor_test().table["pvalue"])
                rejected = (pd.DataFrame(found) < 0.05).mean()
                said = "  ".join(f"{name} {share:.3f}" for name, share in rejected.items())
                print(f"T={T:3d} n={n:3d} rho={rho} {kind:9s} {said}", flush=True)


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 300,
        float(sys.argv[2]) if len(sys.argv) > 2 else 0.0,
    )
