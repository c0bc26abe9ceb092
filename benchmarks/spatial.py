"""Spatial errors and lags of panels: accuracy and coverage with and without factors, size, speed.

    python benchmarks/spatial.py [--reps 500] [--processes 1] [--only PART ...] [--json FILE]

The parts of --only: "error" (lam .5) and "lag" (rho .4), RMSE and coverage of nominal 95 %
intervals at 64 regions, 30 periods, two factors; "size", the likelihood-ratio test of lam = 0;
"speed", next to spreg where it is installed.

Regions are a square lattice, rows of W sum to one. The rank is given. Intervals of b are those of
the observed curvature (`core/laws/observed_information.py`), and beside a lag those of the whole
information; of lam and rho they are of the profile likelihood's curvature, times N / (N - r).
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
import scipy.sparse
import scipy.stats

from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled import Pooling
from sm_alsgls.core.errors.equal_variances import equal_variances
from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.maximise import maximise, maximise_from
from sm_alsgls.core.laws.observed_information import observed_covariance
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.spatial_error import SpatialError
from sm_alsgls.core.laws.spatial_lag import SpatialLag
from sm_alsgls.core.laws.spatial_weights import SpatialWeights, row_standardised
from sm_alsgls.core.options import ALSOptions

PARTS = ("error", "lag", "size", "speed")
SIDE, N, RANK = 8, 30, 2
LAM, RHO = 0.5, 0.4
TRUE = np.ones(3)
#: Without factors one variance for all cells, as spreg and splm have it; and factors without space.
WAYS = ("one variance", "factors", "factors, no space")


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


def system(
    X: np.ndarray,
    Y: np.ndarray,
    *,
    error: SpatialWeights | None = None,
    lag: SpatialWeights | None = None,
    left: Callable = low_rank,
) -> RawSystem:
    """Common coefficients, and the laws."""
    K = Y.shape[1]

    def law(rows):
        return left(rows) if error is None else SpatialError(left(rows), error, 0.0)

    blocks = [np.ascontiguousarray(X[:, j]) for j in range(K)]
    of_lag = None if lag is None else SpatialLag(lag)
    binding = Pooling(Places([np.arange(X.shape[2])] * K))
    return RawSystem(Y, blocks, Chain([]), ALSOptions(), law=law, binding=binding, lag=of_lag)


def intervals(fit: LawFit, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Variances of b (3,) and of lam or rho (m,)."""
    cov = fit.found.best.nuisance.cov * (N / (N - rank))
    if fit.system.lag is not None or rank == 0:
        V = fit.problem.covariance(fit.problem.interval_sigma(fit.found.best.E, fit.found.best.cov))
        b = np.diag(V.dense()) * (N / (N - rank))
        if len(cov):
            b = b + np.einsum("pm,mk,pk->p", fit.slopes, cov, fit.slopes)
    else:
        b = np.diag(observed_covariance(fit, np.arange(3), partial(maximise_from, rank=rank)).cov)
    return b, np.diag(cov)


def accuracy_of(kind: str, rep: int) -> dict[str, list[float]]:
    """Errors of (lam or rho, b), and whether intervals cover, way by way."""
    warnings.simplefilter("ignore")
    weights = lattice(SIDE)
    truth = LAM if kind == "error" else RHO
    lam, rho = (LAM, 0.0) if kind == "error" else (0.0, RHO)
    rng = np.random.default_rng([16, PARTS.index(kind), rep])
    X, Y = draw(rng, weights, N, RANK, lam, rho)
    found = {}
    for way in WAYS:
        laws = {} if way == WAYS[2] else {kind: weights}
        rank, left = (0, equal_variances) if way == WAYS[0] else (RANK, low_rank)
        fit = maximise(system(X, Y, left=left, **laws), rank)
        values = fit.found.best.nuisance.values
        b = fit.problem.design.to_params(fit.found.best.gamma) - TRUE
        var_b, var = intervals(fit, rank)
        own = values - truth if len(values) else np.array([np.nan])
        inside = np.abs(own) <= 1.96 * np.sqrt(var) if len(values) else np.array([np.nan])
        covered = np.abs(b) <= 1.96 * np.sqrt(var_b)
        found[way] = [*own, *b, *inside, *covered]
    return found


def size_of(rep: int) -> tuple[float, float]:
    """p values of the likelihood ratio of lam = 0, which is true: as it is, times (N - r) / N."""
    warnings.simplefilter("ignore")
    weights = lattice(SIDE)
    X, Y = draw(np.random.default_rng([16, 9, rep]), weights, N, RANK, 0.0, 0.0)
    with_law = maximise(system(X, Y, error=weights), RANK).found.best.nll
    without = maximise(system(X, Y), RANK).found.best.nll
    ratio = 2.0 * N * (without - with_law)
    return tuple(float(scipy.stats.chi2.sf(c * ratio, 1)) for c in (1.0, (N - RANK) / N))


def table(kind: str, rows: Sequence[dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """RMSE and coverage of lam or rho, and of the two slopes together."""
    out = {}
    name = "lam" if kind == "error" else "rho"
    print(
        f"\nspatial {kind}, {SIDE * SIDE} regions, {N} periods, {RANK} factors, {len(rows)} draws"
    )
    print(f"{'':20}{name + ' bias':>10}{'RMSE':>8}{'cover':>8}{'b RMSE':>9}{'cover':>8}")
    for way in WAYS:
        x = np.array([row[way] for row in rows])
        own, slopes = x[:, 0], x[:, 2:4]
        out[way] = {
            "bias": float(own.mean()),
            "rmse": float(np.sqrt(np.mean(own**2))),
            "cover": float(x[:, 4].mean()),
            "b rmse": float(np.sqrt(np.mean(slopes**2))),
            "b cover": float(x[:, 6:8].mean()),
        }
        v = list(out[way].values())
        print(f"{way:20}{v[0]:10.4f}{v[1]:8.4f}{v[2]:8.3f}{v[3]:9.4f}{v[4]:8.3f}")
    return out


def speed() -> dict[str, float]:
    """Seconds of 400 regions x 40 periods, three factors; the better of two runs."""
    weights = lattice(20)
    X, Y = draw(np.random.default_rng(16), weights, 40, 3, LAM, 0.0)
    laws = {"spatial error": {"error": weights}, "spatial lag": {"lag": weights}}
    laws["both"] = {"error": weights, "lag": weights}
    found = {
        name: _best(lambda kw=kw: maximise(system(X, Y, **kw), 3)) for name, kw in laws.items()
    }
    found |= _spreg(X, Y, weights)
    print("\n400 regions x 40 periods, three factors, seconds")
    for name, seconds in found.items():
        print(f"{name:40}{seconds:8.2f}")
    return found


def _best(run: Callable[[], object]) -> float:
    times = []
    for _ in range(2):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def _spreg(X: np.ndarray, Y: np.ndarray, weights: SpatialWeights) -> dict[str, float]:
    """One lam and one variance, and a regression for each period."""
    try:
        import libpysal
        import spreg
    except ImportError as error:
        print(f"no spreg: {error}")
        return {}
    warnings.simplefilter("ignore")
    w = libpysal.weights.WSP(scipy.sparse.csr_matrix(weights.W)).to_W(silence_warnings=True)
    n = len(Y)
    # Long, period after period.
    y, x = Y.reshape(-1, 1), X[:, :, 1:].reshape(-1, 2)
    bigy = {t: Y[t].reshape(-1, 1) for t in range(n)}
    bigX = {t: X[t] for t in range(n)}
    return {
        "spreg Panel_FE_Error (one variance)": _best(lambda: spreg.Panel_FE_Error(y, x, w)),
        "spreg SURerrorML (an equation a period)": _best(
            lambda: spreg.SURerrorML(bigy, bigX, w, nonspat_diag=False)
        ),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reps", type=int, default=500)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    found: dict[str, object] = {}
    with ProcessPoolExecutor(args.processes) as pool:
        for kind in ("error", "lag"):
            if kind in args.only:
                rows = list(pool.map(partial(accuracy_of, kind), range(args.reps)))
                found[kind] = table(kind, rows)
        if "size" in args.only:
            p = np.array(list(pool.map(size_of, range(args.reps))))
            levels = (0.01, 0.05, 0.1)
            for i, name in enumerate(("LR", "LR (N - r) / N")):
                size = {str(level): float((p[:, i] < level).mean()) for level in levels}
                found[f"size, {name}"] = size
                print(f"\n{name} of lam = 0, {args.reps} draws: {size}")
    if "speed" in args.only:
        found["speed"] = speed()
    if args.json is not None:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
