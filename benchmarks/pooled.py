"""Common slopes: a design that holds each once, against free coefficients and against restrictions.

    python benchmarks/pooled.py

T equations on N rows, five regressors each, three factors. Three models of the same data: every
coefficient free; five slopes common to all, nothing own; the slopes common and a constant of each
equation's own. The last column is the second model by (T - 1) 5 restrictions on free coefficients,
which is what ``common=`` was: cubic in T, so for few equations only. Seconds of processor time, the
least of some fits, one start, one thread.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
import warnings
from collections.abc import Callable

import numpy as np

from sm_alsgls import LowRankSUR

SLOPES = np.linspace(0.5, 1.5, 5)
SIZES = ((20, 60), (150, 60), (150, 200), (1_000, 60), (1_000, 300))
MOST_RESTRICTED = 150
FITS = 5


def system(T: int, N: int, seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Responses (N, T) and T designs of a constant and five regressors."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((N, 3)) @ rng.standard_normal((3, T))
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, 5))]) for _ in range(T)]
    Y = np.column_stack([x[:, 1:] @ SLOPES for x in X])
    return Y + factors + rng.standard_normal((N, T)), X


def least(run: Callable[[], object], times: int = FITS) -> float:
    """Processor seconds of the fastest of some runs."""
    best = np.inf
    for _ in range(times):
        began = time.process_time()
        run()
        best = min(best, time.process_time() - began)
    return best


def models(T: int, N: int) -> dict[str, LowRankSUR]:
    """The free model, common slopes, and common slopes beside constants."""
    Y, X = system(T, N)
    slopes = [x[:, 1:] for x in X]
    names = [f"x{i}" for i in range(1, 6)]
    return {
        "free": LowRankSUR(Y, slopes, rank=3),
        "common": LowRankSUR(Y, slopes, rank=3, common=True),
        "common, own constants": LowRankSUR(Y, X, rank=3, common=names),
    }


def restricted(model: LowRankSUR) -> Callable[[], object]:
    """Common slopes by restrictions on free ones."""
    R = _equal(model)
    return lambda: model.fit_constrained(R, n_starts=1)


def _equal(model: LowRankSUR) -> np.ndarray:
    """Rows that set the coefficients of every equation equal to those of the first."""
    T = model.neqs
    R = np.zeros((5 * (T - 1), 5 * T))
    at = np.arange(5 * (T - 1))
    R[at, at % 5], R[at, at + 5] = 1.0, -1.0
    return R


def main() -> None:
    """Print the table of benchmarks/README.md."""
    print("| T | N | free | common | own constants | restrictions | bse free | bse common |")
    print("|---|---|---|---|---|---|---|---|")
    for T, N in SIZES:
        made = models(T, N)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fits = [least(lambda m=m: m.fit(n_starts=1)) for m in made.values()]
            old = "" if T > MOST_RESTRICTED else f"{least(restricted(made['free']), 2):.3f}"
            errors = []
            for name in ("free", "common"):
                res = made[name].fit(n_starts=1)
                began = time.process_time()
                _ = res.bse
                errors.append(time.process_time() - began)
        seconds = " | ".join(f"{s:.3f}" for s in fits)
        print(
            f"| {T:,} | {N} | {seconds} | {old} | {errors[0]:.3f} | {errors[1]:.3f} |", flush=True
        )


if __name__ == "__main__":
    main()
