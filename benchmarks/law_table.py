"""Estimates with intervals of many draws, and the table of RMSE, bias and coverage they make."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd


def long_frame(Y: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    """A row a cell of (T, K), period after period: unit ``i``, period ``t``, ``y`` and others."""
    T, K = Y.shape
    made = {name: np.broadcast_to(M, (T, K)).ravel() for name, M in columns.items()}
    t, i = np.repeat(np.arange(T), K), np.tile(np.arange(K), T)
    return pd.DataFrame({"y": Y.ravel(), "t": t, "i": i, **made})


class Draws:
    """Errors of estimates and whether intervals cover, name by name; then p-values of tests.

    What one draw gives under one name (several slopes) is averaged before standard errors are
    taken: draws are independent, slopes of one are not.
    """

    def __init__(self) -> None:
        self._errors: dict[str, list[list[float]]] = defaultdict(list)
        self._covered: dict[str, list[list[bool]]] = defaultdict(list)
        self._tests: dict[str, list[list[float]]] = defaultdict(list)
        self.failed: dict[str, list[str]] = defaultdict(list)

    def add(self, name: str, estimate, low, high, truth) -> None:
        """One draw: numbers, or arrays of the same length."""
        b, low, high = (np.atleast_1d(np.asarray(v, dtype=float)) for v in (estimate, low, high))
        self._errors[name].append((b - truth).tolist())
        self._covered[name].append(((low <= truth) & (truth <= high)).tolist())

    def test(self, name: str, statistic: float, pvalue: float) -> None:
        """The test of a true hypothesis, or of a false one."""
        self._tests[name].append([float(statistic), float(pvalue)])

    def fitted(self, name: str, draw: int, results) -> None:
        """Take down a fit that did not converge."""
        if not results.converged:
            self.failed[name].append(f"{draw}: {results.mle_retvals['message']}")

    def rows(self) -> dict[str, dict[str, float]]:
        """RMSE, bias and coverage with Monte Carlo standard errors."""
        return {name: self._row(name) for name in self._errors}

    def _row(self, name: str) -> dict[str, float]:
        errors, covered = np.array(self._errors[name]), np.array(self._covered[name])
        n = len(errors)
        square, inside = (errors**2).mean(axis=1), covered.mean(axis=1)
        rmse = float(np.sqrt(square.mean()))
        return {
            "rmse": rmse,
            "rmse se": float(square.std() / np.sqrt(n) / (2.0 * rmse)),
            "bias": float(errors.mean()),
            "coverage": float(inside.mean()),
            "coverage se": float(inside.std() / np.sqrt(n)),
            "draws": n,
        }

    def rejections(self, level: float = 0.05, factor: float = 1.0) -> dict[str, list[float]]:
        """Share of p-values below a level, its standard error, and the mean statistic."""
        out = {}
        for name, tests in self._tests.items():
            statistic, p = np.array(tests).T
            share = float((p < level).mean())
            out[name] = [
                share, float(np.sqrt(share * (1.0 - share) / len(p))), float(statistic.mean())
            ]  # fmt: skip
        return out

    def show(self, title: str) -> None:
        """Print what there is."""
        print(f"\n{title}")
        if self._errors:
            print("| | RMSE | bias | coverage |\n|---|---|---|---|")
        for name, row in self.rows().items():
            print(
                f"| {name} | {row['rmse']:.4f} ({row['rmse se']:.4f}) | {row['bias']:+.4f} | "
                f"{row['coverage']:.3f} ({row['coverage se']:.3f}) |"
            )
        for name, (share, se, mean) in self.rejections().items():
            print(f"{name}: rejects {share:.3f} ({se:.3f}), mean statistic {mean:.3f}")
        for name, said in self.failed.items():
            print(f"{name}: {len(said)} fits did not converge, {said[:3]}")

    def save(self, path: Path) -> None:
        """All draws, as they are."""
        kept = {"errors": self._errors, "covered": self._covered, "tests": self._tests}
        path.write_text(json.dumps({**kept, "failed": self.failed}))
