"""Fits by an earlier checkout of the package and by this one, in turns.

    git worktree add /tmp/then f9cc484
    python benchmarks/then_and_now.py /tmp/then [--rounds 4]

Seconds of tables from other dates are of other machines, and cannot be set beside today's. So the
earlier version is run again: either has a process of its own and the same arrays. CPU time, minima
over the rounds; f9cc484 (2026-11-22) is what issue 19's figures were measured with.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np

HERE = Path(__file__).parents[1]
# A call that takes less is repeated: the clock is coarse.
_SHORT = 0.2


class Version:
    """A process that fits with one checkout of the package."""

    def __init__(self, checkout: Path, arrays: Path) -> None:
        self._checkout = checkout.resolve()
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(arrays), "--worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(self._checkout)},
        )

    def seconds(self, *asked: object) -> float:
        """What one kind of fit of one system takes."""
        to, back = self._process.stdin, self._process.stdout
        if to is None or back is None:
            raise OSError("the process has no pipes")
        try:
            print(*asked, file=to, flush=True)
            return float(back.readline())
        except (ValueError, BrokenPipeError):
            raise RuntimeError(f"fits of {self._checkout} have ended; see its error") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def work(arrays: Path) -> None:
    """Answer lines of (system, rank, starts) with CPU seconds; the rank "ols" is a loop of OLS."""
    import sm_alsgls

    checkout, found = os.environ["PYTHONPATH"], str(sm_alsgls.__file__)
    if not found.startswith(checkout):  # an installed one, where the checkout has none
        raise SystemExit(f"{checkout} has no package sm_alsgls; found {found}")
    warnings.simplefilter("ignore")
    with np.load(arrays) as kept:
        held = dict(kept)
    for line in sys.stdin:
        name, rank, starts = line.split()
        Y = held[f"{name}_Y"]
        X = [held[f"{name}_{j}"] for j in range(Y.shape[1])]
        print(_least(_fit(Y, X, rank, starts)), flush=True)


def _fit(Y: np.ndarray, X: list[np.ndarray], rank: str, starts: str) -> Callable[[], object]:
    """What is timed."""
    from statsmodels.api import OLS

    from sm_alsgls import LowRankSUR  # of the checkout that PYTHONPATH names

    if rank == "ols":
        return lambda: [OLS(y, A).fit() for y, A in zip(Y.T, X, strict=True)]
    ranked: dict[str, Any] = {} if rank == "auto" else {"rank": int(rank)}
    started: dict[str, Any] = {} if starts == "auto" else {"n_starts": int(starts)}
    return lambda: LowRankSUR(Y, X, **ranked).fit(**started)


def _least(fit: Callable[[], object]) -> float:
    """CPU seconds of a call that is not the first."""
    fit()
    taken, began = [], time.process_time()
    while not taken or time.process_time() - began < _SHORT:
        start = time.process_time()
        fit()
        taken.append(time.process_time() - start)
    return min(taken)


def systems() -> dict[str, tuple[str, int, str, list[np.ndarray], np.ndarray]]:
    """By a short name: what the table calls it, rank, starts, designs and responses."""
    from compare_sur import SIZES
    from systems import grunfeld, independent, munnell

    out = {}
    for K in (5, 20, 1000):
        N, p, r = SIZES[K]
        blocks, Y = independent(np.random.default_rng([K, N, p, r]), N, K, p, r)
        starts = "1" if K == 1000 else "auto"
        out[f"K{K}"] = (f"N={N}, K={K}, p={p}", r, starts, blocks, Y)
    out["grunfeld"] = ("Grunfeld, 11 firms", 1, "auto", *grunfeld())
    out["munnell"] = ("Munnell, 48 states", 1, "auto", *munnell())
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Two checkouts in turns.")
    parser.add_argument("then", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.then)
        return
    known = systems()
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        held = {f"{name}_Y": Y for name, (*_, Y) in known.items()}
        for name, (*_, blocks, _) in known.items():
            held |= {f"{name}_{j}": X for j, X in enumerate(blocks)}
        np.savez(arrays, **held)  # type: ignore[arg-type]
        with Version(given.then, arrays) as then, Version(HERE, arrays) as now:
            print(
                "| system | r | starts | then, ms of CPU | now | now / then | at the default rank "
                "| loop of OLS |"
            )
            print("|---|---|---|---|---|---|---|---|")
            for name, (called, rank, starts, *_) in known.items():
                best = np.full(4, np.inf)
                for _ in range(given.rounds):
                    one = [then.seconds(name, rank, starts)]
                    one += [now.seconds(name, kind, starts) for kind in (rank, "auto", "ols")]
                    best = np.minimum(best, one)
                a, b, c, d = 1e3 * best
                row = f"{a:.1f} | {b:.1f} | {b / a:.3f} | {c:.1f} | {d:.1f}"
                print(f"| {called} | {rank} | {starts} | {row} |", flush=True)


if __name__ == "__main__":
    main()
