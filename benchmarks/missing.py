"""Missing cells: accuracy next to dropping rows, time next to complete data, and real holes.

    python benchmarks/missing.py [--part NAME] [--reps 400] [--quick] [--json FILE]

accuracy  N = 200 rows, K = 6 equations of a constant and two N(0, 1) regressors, one factor that
          all equations share (loadings U(.6, 1.2)), d ~ U(.4, .8), coefficients N(0, 1); everything
          drawn anew in every replication. The first equation is complete; cells of the others are
          missing completely at random (MCAR) or with a probability that rises with the observed
          response of the first equation (MAR: errors are positively related, so those that remain
          are low). Fits: missing="fiml"; the same model on the rows that miss nothing ("listwise");
          an unrestricted SUR on those (linearmodels, FGLS, debiased); OLS on each equation's own
          rows (rank 0). RMSE and bias of coefficients, coverage of nominal 95 % intervals; Monte
          Carlo standard errors are over replications, whose coefficients share errors.
floor     Half of the cells missing at random from few rows, where some r + 1 equations share so few
          that the likelihood has no bound but that of d_floor: RMSE and coverage by d_floor.
speed     K = 200, N = 500, p = 4, r = 3 with 20 % missing, next to the complete data: one start,
          the default's starts, standard errors; and K = 2,000, N = 1,000, with its memory in a
          process of its own.
real      The French portfolios with a random third of the cells hidden, on three common factors and
          on a constant alone, rank 3: RMSE of conditional and unconditional predictions of the
          hidden returns, coverage of nominal 95 % intervals. Grunfeld's firms cut to random lengths
          of 12 to 20 years: distance of the estimates from those of all data.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_french, load_grunfeld
from sm_alsgls.exceptions import AlsglsWarning

N, K, P = 200, 6, 3
CASES = [("MCAR", 0.1), ("MCAR", 0.3), ("MAR", 0.1), ("MAR", 0.3)]
METHODS = ("fiml", "listwise low rank", "listwise SUR", "OLS, own rows")


def draw(rng: np.random.Generator, n: int = N):
    """Designs, responses and coefficients of one replication."""
    X = [np.column_stack([np.ones(n), rng.standard_normal((n, P - 1))]) for _ in range(K)]
    F, d = rng.uniform(0.6, 1.2, (K, 1)), rng.uniform(0.4, 0.8, K)
    E = rng.standard_normal((n, 1)) @ F.T + rng.standard_normal((n, K)) * np.sqrt(d)
    beta = rng.standard_normal((K, P))
    return X, np.column_stack([x @ b for x, b in zip(X, beta, strict=True)]) + E, beta.ravel()


def hide(Y: np.ndarray, kind: str, share: float, rng: np.random.Generator) -> np.ndarray:
    """Responses with NaN in about ``share`` of the cells of all equations but the first."""
    chance = np.full(len(Y), share)
    if kind == "MAR":
        # Logistic in the first response, its level found so that the mean is the share.
        z = 2.0 * (Y[:, 0] - Y[:, 0].mean()) / Y[:, 0].std()
        low, high = -20.0, 20.0
        for _ in range(60):
            level = 0.5 * (low + high)
            chance = 1.0 / (1.0 + np.exp(-(level + z)))
            low, high = (level, high) if chance.mean() < share else (low, level)
    out = Y.copy()
    out[:, 1:][rng.random((len(Y), K - 1)) < chance[:, None]] = np.nan
    return out


def estimates(method: str, X: list, Y: np.ndarray):
    """Coefficients and half widths of 95 % intervals, or None where there is no fit."""
    whole = np.isfinite(Y).all(axis=1)
    if method.startswith("listwise") and whole.sum() < P + K + 2:
        return None
    if method == "listwise SUR":
        from linearmodels.system import SUR

        pairs = {
            f"y{j}": {"dependent": Y[whole, j], "exog": X[j][whole]} for j in range(Y.shape[1])
        }
        fit = SUR(pairs).fit(method="gls", cov_type="unadjusted", debiased=True)
        half = stats.t.ppf(0.975, whole.sum() - P) * fit.std_errors.to_numpy()
        return fit.params.to_numpy(), half
    rank = 0 if method.startswith("OLS") else 1
    missing = "drop" if method.startswith("listwise") else "fiml"
    res = LowRankSUR(Y, X, rank, missing=missing).fit(n_starts=2)
    interval = res.conf_int().to_numpy()
    return res.params.to_numpy(), 0.5 * (interval[:, 1] - interval[:, 0])


def accuracy(reps: int, seed: int = 0) -> list[dict]:
    """Rows of the table of RMSE, bias and coverage."""
    rows = []
    const = np.tile(np.arange(P) == 0, K) & (np.arange(K * P) >= P)
    for kind, share in CASES:
        rng = np.random.default_rng(seed)
        found = {method: [] for method in METHODS}
        left, cells = [], []
        for _ in range(reps):
            X, Y, beta = draw(rng)
            holes = hide(Y, kind, share, rng)
            left.append(np.isfinite(holes).all(axis=1).sum())
            cells.append(np.isnan(holes).mean())
            for method in METHODS:
                made = estimates(method, X, holes)
                if made is not None:
                    error = made[0] - beta
                    found[method].append((error, np.abs(error) < made[1]))
        for method, drawn in found.items():
            error = np.array([e for e, _ in drawn])
            inside = np.array([i for _, i in drawn]).mean(axis=1)
            square = np.square(error).mean(axis=1)
            bias = error[:, const].mean(axis=1)
            n = np.sqrt(len(drawn))
            rows.append(
                {
                    "holes": f"{kind} {share:.0%}",
                    "cells missing": float(np.mean(cells)),
                    "complete rows": float(np.mean(left)),
                    "fit": method,
                    "fits": len(drawn),
                    "RMSE": float(np.sqrt(square.mean())),
                    "RMSE se": float(square.std() / n / (2.0 * np.sqrt(square.mean()))),
                    "bias of constants": float(bias.mean()),
                    "bias se": float(bias.std() / n),
                    "coverage": float(inside.mean()),
                    "coverage se": float(inside.std() / n),
                }
            )
    return rows


def floors(reps: int) -> list[dict]:
    """RMSE and coverage by d_floor where half of the cells of few rows are missing."""
    rows = []
    for n, k, r in ((40, 8, 1), (60, 10, 2)):
        for floor in (1e-8, 1e-3, 1e-2, 5e-2):
            square, inside, heywood, stuck = [], [], 0, 0
            for seed in range(reps):
                rng = np.random.default_rng(seed)
                X = [np.column_stack([np.ones(n), rng.standard_normal((n, 2))]) for _ in range(k)]
                F, d = rng.standard_normal((k, r)), rng.uniform(0.5, 1.5, k)
                E = rng.standard_normal((n, r)) @ F.T + rng.standard_normal((n, k)) * np.sqrt(d)
                beta = rng.standard_normal((k, 3))
                Y = np.column_stack([x @ b for x, b in zip(X, beta, strict=True)]) + E
                holes = np.where(rng.random(Y.shape) < 0.5, np.nan, Y)
                model = LowRankSUR(holes, X, r, missing="fiml")
                res = model.fit(d_floor=floor, n_starts=3)
                interval = res.conf_int().to_numpy()
                beta = beta.ravel()
                square.append(np.mean(np.square(res.params.to_numpy() - beta)))
                inside.append(np.mean((interval[:, 0] <= beta) & (beta <= interval[:, 1])))
                heywood += bool(res.heywood)
                stuck += not res.converged
            rows.append(
                {
                    "N, K, r": f"{n}, {k}, {r}",
                    "d_floor": floor,
                    "RMSE": float(np.sqrt(np.mean(square))),
                    "coverage": float(np.mean(inside)),
                    "coverage se": float(np.std(inside) / np.sqrt(reps)),
                    "with Heywood cases": heywood,
                    "not converged": stuck,
                    "fits": reps,
                }
            )
    return rows


# -- speed ---------------------------------------------------------------------------------------


def large(n: int, k: int, p: int, r: int, share: float, seed: int = 0):
    """Designs, complete responses, and responses with holes."""
    rng = np.random.default_rng(seed)
    X = [np.column_stack([np.ones(n), rng.standard_normal((n, p - 1))]) for _ in range(k)]
    F = rng.standard_normal((k, r))
    Y = rng.standard_normal((n, r)) @ F.T + rng.standard_normal((n, k))
    Y += np.column_stack([x @ rng.standard_normal(p) for x in X])
    return X, Y, np.where(rng.random(Y.shape) < share, np.nan, Y)


def timed(X: list, Y: np.ndarray, r: int, n_starts, repeats: int) -> dict:
    """Best times of arrays to fit, and of standard errors after it."""
    fit, errors, res = [], [], None
    for _ in range(repeats):
        began = time.perf_counter()
        res = LowRankSUR(Y, X, r, missing="fiml").fit(n_starts=n_starts)
        fit.append(time.perf_counter() - began)
        began = time.perf_counter()
        _ = res.bse
        errors.append(time.perf_counter() - began)
    return {
        "fit, s": min(fit),
        "standard errors, s": min(errors),
        "sweeps": int(res.mle_retvals["iterations"]),
        "converged": bool(res.converged),
    }


def speed(quick: bool) -> list[dict]:
    """Times of complete data and of 20 % missing, and their ratio."""
    n, k = (100, 40) if quick else (500, 200)
    X, Y, holes = large(n, k, 4, 3, 0.2)
    rows = []
    for starts in (1, "auto"):
        a = timed(X, Y, 3, starts, 3 if quick else 5)
        b = timed(X, holes, 3, starts, 3 if quick else 5)
        size = f"K={k}, N={n}, n_starts={starts}"
        rows.append({"system": size, "data": "complete", **a, "ratio": 1.0})
        rows.append(
            {"system": size, "data": "20 % missing", **b, "ratio": b["fit, s"] / a["fit, s"]}
        )
    return rows


def memory(n: int, k: int) -> dict:
    """One large fit; growth of ru_maxrss beyond the data. Runs in a process of its own."""
    X, _, holes = large(n, k, 4, 3, 0.2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    res = LowRankSUR(holes, X, 3, missing="fiml").fit()
    took = time.perf_counter() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    began = time.perf_counter()
    _ = res.bse
    errors = time.perf_counter() - began
    total = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "system": f"K={k}, N={n}, p=4, r=3, 20 % missing",
        "data, MB": 8e-6 * n * k * 6,
        "fit, s": took,
        "converged": bool(res.converged),
        "starts": len(res.mle_retvals["starts"]),
        "fit, MB": grown / 1024,
        "standard errors, s": errors,
        "with them, MB": total / 1024,
    }


def in_a_process(n: int, k: int) -> dict:
    """`memory` in a fresh interpreter."""
    command = [sys.executable, __file__, "--memory", str(n), str(k)]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(made.stdout.splitlines()[-1])


# -- real data -----------------------------------------------------------------------------------


def french(seeds: int, factors: bool, rank: int = 3, rows: int | None = None) -> list[dict]:
    """Hidden returns of the portfolios: conditional next to unconditional predictions.

    The regressors are a constant and, with ``factors``, the three common ones.
    """
    data = load_french().iloc[:rows]
    X = data[["MktRF", "SMB", "HML"] if factors else []].assign(const=1.0)
    Y = data.iloc[:, 5:]
    out = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        hidden = rng.random(Y.shape) < 1.0 / 3.0
        res = LowRankSUR(Y.mask(hidden), X, rank, missing="fiml").fit()
        whole, plain = res.impute(), res.get_prediction()
        error = {
            "unconditional": (Y - plain.predicted_mean).to_numpy()[hidden],
            "conditional": (Y - whole.values).to_numpy()[hidden],
        }
        se = {
            "unconditional": plain.se_obs.to_numpy()[hidden],
            "conditional": whole.se.to_numpy()[hidden],
        }
        row = {f"RMSE, {name}": float(np.sqrt(np.mean(e**2))) for name, e in error.items()}
        for name, e in error.items():
            row[f"coverage, {name}"] = float(np.mean(np.abs(e) < 1.96 * se[name]))
            row[f"mean width, {name}"] = float(2 * 1.96 * se[name].mean())
        out.append(row)
    return out


def grunfeld(seeds: int) -> list[dict]:
    """Distance from the estimates of all data, in their standard errors, of cut panels."""
    data = load_grunfeld()
    formula = "invest ~ value + capital"
    full = LowRankSUR.from_formula(formula, data, 1, groups="firm", time="year").fit()
    slopes = ~full.params.index.str.endswith("Intercept")
    out = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        firms = data["firm"].unique()
        length = dict(zip(firms, rng.integers(12, 21, len(firms)), strict=True))
        short = data[data["year"] - 1935 < data["firm"].map(length)]
        common = data[data["year"] - 1935 < min(length.values())]
        fits = {
            "fiml": LowRankSUR.from_formula(formula, short, 1, groups="firm", time="year"),
            "years of all": LowRankSUR.from_formula(formula, common, 1, groups="firm", time="year"),
            "OLS, own years": LowRankSUR.from_formula(
                formula, short, 0, groups="firm", time="year"
            ),
        }
        row = {"cells": fits["fiml"].n_cells / 220, "years of all": min(length.values())}
        for name, model in fits.items():
            fit = model.fit()
            gap = ((fit.params - full.params) / full.bse)[slopes]
            row[f"distance, {name}"] = float(np.sqrt(np.mean(gap**2)))
            row[f"median bse / full, {name}"] = float((fit.bse / full.bse)[slopes].median())
        out.append(row)
    return out


# -- output --------------------------------------------------------------------------------------


def table(rows: list[dict]) -> str:
    """A Markdown table."""

    def text(value):
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(text(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def means(rows: list[dict]) -> list[dict]:
    """Means over seeds with Monte Carlo standard errors."""
    frame = pd.DataFrame(rows).astype(float)
    se = frame.std(ddof=1) / np.sqrt(len(frame))
    return [
        {"quantity": name, "mean": frame[name].mean(), "se": se[name]} for name in frame.columns
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["accuracy", "floor", "speed", "real"])
    parser.add_argument("--reps", type=int, default=400)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore", AlsglsWarning)
    if args.memory:
        print(json.dumps(memory(*args.memory)))
        return
    made = {}
    if args.part in (None, "accuracy"):
        made["accuracy"] = accuracy(20 if args.quick else args.reps)
    if args.part in (None, "floor"):
        made["floor"] = floors(5 if args.quick else 100)
    if args.part in (None, "speed"):
        made["speed"] = speed(args.quick)
        made["large"] = [in_a_process(*((200, 100) if args.quick else (1000, 2000)))]
    if args.part in (None, "real"):
        for name, factors in (("french, three factors", True), ("french, a constant", False)):
            made[name] = means(french(3 if args.quick else 20, factors))
        made["grunfeld"] = means(grunfeld(5 if args.quick else 50))
    for name, rows in made.items():
        print(f"\n## {name}\n\n{table(rows)}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
