"""Spatial errors and lags of panels, as users fit them: accuracy, coverage, sizes of tests.

    python benchmarks/spatial.py [--reps 500] [--only PART ...] [--json FOLDER]

The parts of --only: "error" (lam .5) and "lag" (rho .4), RMSE and coverage of nominal 95 %
intervals at 64 regions, 30 periods, two factors, by `LowRankPanel` with default standard errors;
"size", likelihood ratios of lam = 0 and of rho = 0. `panel_speed.py` has the speed.

Regions are a square lattice, rows of W sum to one. The rank is given.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
import scipy.sparse
from law_table import Draws, long_frame

from sm_alsgls import LowRankPanel
from sm_alsgls.core.laws.spatial_weights import SpatialWeights, row_standardised

PARTS = ("error", "lag", "size")
SIDE, N, RANK = 8, 30, 2
LAM, RHO = 0.5, 0.4
TRUE = np.ones(3)


def lattice(side: int) -> SpatialWeights:
    """Neighbours above, below, left and right, rows that sum to one."""
    line = scipy.sparse.diags_array([np.ones(side - 1)] * 2, offsets=[-1, 1], shape=(side, side))
    eye = scipy.sparse.eye_array(side)
    return SpatialWeights(
        row_standardised(scipy.sparse.kron(line, eye) + scipy.sparse.kron(eye, line))
    )


def draw(
    rng: np.random.Generator, weights: SpatialWeights, n: int, r: int, lam: float, rho: float
) -> tuple[np.ndarray, np.ndarray]:
    """X (n, K, 3) with a constant, and Y (n, K)."""
    K = weights.K
    X = rng.standard_normal((n, K, 3))
    X[:, :, 0] = 1.0
    F = 0.8 * rng.standard_normal((K, r))
    d = rng.uniform(0.4, 1.2, K)
    U = rng.standard_normal((n, r)) @ F.T + rng.standard_normal((n, K)) * np.sqrt(d)
    E = scipy.sparse.linalg.spsolve(weights.filter(lam).tocsc(), U.T).T
    mean = (X @ TRUE + E).T
    return X, scipy.sparse.linalg.spsolve(weights.filter(rho).tocsc(), mean).T


def panel(X: np.ndarray, Y: np.ndarray, rank: int | str, **laws: object) -> LowRankPanel:
    """As a user makes it."""
    frame = long_frame(Y, x1=X[:, :, 1], x2=X[:, :, 2])
    return LowRankPanel.from_formula(
        "y ~ x1 + x2", frame, rank, entity="i", time="t", independent="time", **laws
    )


def accuracy(draws: Draws, kind: str, rep: int) -> None:
    """One replication: lam or rho and two slopes, without factors, with them, without the law."""
    weights = lattice(SIDE)
    lam, rho = (LAM, 0.0) if kind == "error" else (0.0, RHO)
    rng = np.random.default_rng([16, PARTS.index(kind), rep])
    X, Y = draw(rng, weights, N, RANK, lam, rho)
    law = {f"spatial_{kind}": weights.W}
    for name, rank, laws in (
        ("one variance, no factors", "spherical", law),
        ("factors", RANK, law),
        ("factors, law switched off", RANK, {}),
    ):
        res = panel(X, Y, rank, **laws).fit()
        draws.fitted(name, rep, res)
        ends = res.conf_int().loc[["x1", "x2"]]
        draws.add(f"slopes, {name}", res.params[ends.index], ends.iloc[:, 0], ends.iloc[:, 1], 1.0)
        if laws:
            truth = LAM if kind == "error" else RHO
            own = next(iter(law))
            draws.add(f"{own}, {name}", *res.spatial.iloc[0, [0, 4, 5]], truth)
            ends = res.law_intervals().iloc[0, :3]
            draws.add(f"{own}, {name}, law_intervals()", *ends, truth)


def sizes(draws: Draws, rep: int) -> None:
    """One replication of what has neither: tests of lam = 0 and of rho = 0."""
    weights = lattice(SIDE)
    X, Y = draw(np.random.default_rng([16, 9, rep]), weights, N, RANK, 0.0, 0.0)
    for law in ("spatial_error", "spatial_lag"):
        res = panel(X, Y, RANK, **{law: weights.W}).fit()
        draws.fitted(law, rep, res)
        for row in res.law_tests().itertuples():
            draws.test(f"{row.law}, {row.test}", row.statistic, row.pvalue)


def run(part: str, reps: int, folder: Path | None) -> Draws:
    """The draws of a part."""
    draws = Draws()
    for rep in range(reps):
        if part == "size":
            sizes(draws, rep)
        else:
            accuracy(draws, part, rep)
        if folder is not None and (rep % 20 == 19 or rep == reps - 1):
            draws.save(folder / f"spatial_{part}.json")
    draws.show(f"spatial {part}, {SIDE * SIDE} regions, {N} periods, {RANK} factors, {reps} draws")
    return draws


def main(argv: Sequence[str] | None = None) -> None:
    """Run the parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reps", type=int, default=500)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path, metavar="FOLDER")
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    for part in args.only:
        run(part, args.reps, args.json)


if __name__ == "__main__":
    main()
