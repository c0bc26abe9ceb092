"""Coverage of the intervals of `res.counterfactual`: python benchmarks/counterfactual.py [draws].

y = x + a_i + g_t + f_t' lambda_i + e with two factors, on whose loadings x moves, and error
standard deviations that differ between units by a factor of 3. Treated units are the first ones,
from one period on, and nothing is done to them. Errors are "independent", "serial" (correlated by
.5 in time, as factors are) or "skewed" (chi-square of 3 degrees of freedom). Nominal .95 of the
average effect, of effects by period and of those by unit, where a share is the mean over these.
Intervals of 39 bootstrap draws have the same level as those of 199, and are wider.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
import pandas as pd
from interactive_tests import correlated

from sm_alsgls import LowRankPanel

#: Periods, units, treated units, periods before.
SIZES = (
    (30, 40, 5, 20),
    (30, 40, 1, 20),
    (30, 40, 20, 20),
    (16, 40, 5, 8),
    (20, 20, 5, 14),
    (40, 100, 30, 30),
)
KINDS = ("independent", "serial", "skewed")
REPS = 39


def panel(T: int, n: int, kind: str, seed: list[int]) -> tuple[pd.Series, pd.DataFrame]:
    """A response and a regressor, by (unit, period)."""
    rng = np.random.default_rng(seed)
    rho = 0.5 if kind == "serial" else 0.0
    L, a, g = rng.standard_normal((n, 2)), rng.standard_normal(n), rng.standard_normal((T, 1))
    F, e = correlated(rng, T, 2, rho), correlated(rng, T, n, rho)
    if kind == "skewed":
        e = (rng.chisquare(3.0, (T, n)) - 3.0) / np.sqrt(6.0)
    x = a + g + 0.5 * F @ L.T + rng.standard_normal((T, n))
    y = x + a + g + F @ L.T + e * rng.uniform(0.5, 1.5, n)
    index = pd.MultiIndex.from_product([range(T), range(n)], names=["t", "i"]).swaplevel()
    return pd.Series(y.ravel(), index), pd.DataFrame({"x": x.ravel()}, index)


def covered(T: int, n: int, treated: int, before: int, kind: str, seed: int) -> list[float]:
    """Whether intervals contain 0: of the average, and shares by period and by unit."""
    y, X = panel(T, n, kind, [31, seed])
    res = LowRankPanel(y, X, 2, factors="fixed", effects="both").fit(n_starts=1)
    made = res.counterfactual(dict.fromkeys(range(treated), before), reps=REPS, rng=seed)
    low, high = made.conf_int()
    tables = [made.by_period(), made.by_unit()]
    return [
        float(low <= 0.0 <= high),
        *[float(((t.iloc[:, 2] <= 0.0) & (t.iloc[:, 3] >= 0.0)).mean()) for t in tables],
        made.effect,
        made.std_error,
    ]


def main(draws: int, sizes: tuple[tuple[int, ...], ...] = SIZES, kinds: tuple = KINDS) -> None:
    """Print coverage."""
    warnings.simplefilter("ignore")
    print(f"{draws} draws; standard error of .95: {(0.95 * 0.05 / draws) ** 0.5:.3f}")
    for size in sizes:
        for kind in kinds:
            start = time.process_time()
            found = np.array([covered(*size, kind, seed) for seed in range(draws)])
            average, period, unit = found[:, :3].mean(axis=0)
            # Medians: with few periods before treatment the tails of effects are heavy.
            ratio = np.median(found[:, 4]) / (np.median(np.abs(found[:, 3])) / 0.6745)
            print(
                "T={} n={} treated={} before={} ".format(*size)
                + f"{kind:12s} average {average:.3f}  by period {period:.3f}  by unit {unit:.3f}  "
                f"std error / true {ratio:.2f}  {time.process_time() - start:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
