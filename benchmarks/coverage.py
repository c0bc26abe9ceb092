"""Coverage of nominal 95 % intervals for slopes, and size of joint tests, by Monte Carlo.

    python benchmarks/coverage.py [--reps 400] [--boot 200] [--quick] [--json FILE] [--only PART]

The parts of --only: "small" (N = 20 and 30, and missing cells), "selected" (the rank chosen),
"time" (rows that depend on one another over time, and how many there must be for HAC), "ranks" (too
few and too many factors), "unrestricted" (linearmodels' SUR beside ours, also where Sigma is not of
low rank).

Systems: N rows, K equations, a constant and two N(0, 1) regressors each, F ~ N(0, 1), d ~ U(.5,
1.5), the true rank 2, parameters drawn anew in every replication. A cell of the table is the share
of all slopes of all replications that their interval covers. Slopes of one replication share
their errors, so the Monte Carlo standard error is that of the mean over replications. One start:
these systems have one maximum (benchmarks/global_optimum.py). K = 10 has few slopes a replication,
so three seeds are pooled there: one seed's coverage moves by 0.008 at N = 40.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
from scipy import stats

from sm_alsgls import LowRankSUR, select_rank
from sm_alsgls.core.rank.path import path_gtol
from sm_alsgls.results.covariance import sigma_inference

RANK, P = 2, 3
# Rules of ``rank=`` in the table of inference after selection: the recommended one, and BIC.
SELECTED = ("auto", "bic_ols", "bic")
CELLS = [(40, 10), (40, 50), (100, 10), (100, 50), (100, 200), (300, 10), (300, 50), (300, 200)]
# Few rows, and missing cells: N, K, true rank (also fitted), share missing.
SMALL = [
    (20, 5, 1, 0.0), (20, 5, 2, 0.0), (20, 10, 2, 0.0), (20, 20, 2, 0.0), (20, 50, 2, 0.0),
    (30, 10, 2, 0.0), (30, 50, 2, 0.0), (20, 10, 2, 0.15), (30, 10, 2, 0.15), (40, 10, 2, 0.25),
]  # fmt: skip
# Equations of an unrestricted Sigma on a hundred rows.
WIDE = (5, 10, 25, 50, 75)
# Rows of a time series.
TIMES = (20, 40, 100, 200, 400)


def draw(N: int, K: int, rng: np.random.Generator, rows: str = "iid", rank: int = RANK):
    """Designs, responses and true coefficients; ``rows`` tells how rows depend."""
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, P - 1))]) for _ in range(K)]
    F, d = rng.standard_normal((K, rank)), rng.uniform(0.5, 1.5, K)
    E = rng.standard_normal((N, rank)) @ F.T + rng.standard_normal((N, K)) * np.sqrt(d)
    if rows == "heteroskedastic":
        # Errors grow with a regressor that all equations share in the second column.
        z = rng.standard_normal(N)
        for x in X:
            x[:, 1] = z + 0.3 * rng.standard_normal(N)
        E *= np.sqrt(0.2 + z**2)[:, None]
    elif rows == "clustered":
        group = np.arange(N) // 5
        common = rng.standard_normal(N // 5 + 1)[group]
        for x in X:
            x[:, 1] = common + 0.3 * rng.standard_normal(N)
        G = rng.standard_normal((N // 5 + 1, K))[group]
        E = 0.5 * E + 1.2 * G * np.abs(F).mean()
    elif rows == "autocorrelated":
        for x in X:
            x[:, 1] = _ar(rng, N, 1)[:, 0]
        E = _ar(rng, N, RANK) @ F.T + _ar(rng, N, K) * np.sqrt(d)
    beta = rng.standard_normal((K, P))
    Y = np.column_stack([x @ b for x, b in zip(X, beta, strict=True)]) + E
    return X, Y, beta.ravel()


def _ar(rng: np.random.Generator, N: int, m: int, rho: float = 0.6) -> np.ndarray:
    shocks = rng.standard_normal((N + 50, m)) * np.sqrt(1 - rho**2)
    out = np.zeros((N + 50, m))
    for t in range(1, N + 50):
        out[t] = rho * out[t - 1] + shocks[t]
    return out[50:]


def covered(interval, beta, which) -> float:
    """Share of the chosen coefficients that their interval covers."""
    interval = np.asarray(interval)
    inside = (interval[:, 0] <= beta) & (beta <= interval[:, 1])
    return float(inside.reshape(-1, P)[:, which].mean())


def fit(X, Y, rank=RANK, **kwds):
    """One start, warnings off: Heywood cases belong to the experiment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LowRankSUR(Y, X, rank=rank).fit(n_starts=1, **kwds)


def cell(N: int, K: int, reps: int, seed: int) -> dict[str, np.ndarray]:
    """Coverage and rejections of every replication."""
    rng = np.random.default_rng([seed, N, K])
    names = ("default", "plug-in", "KH", "HC1", "wald", "wald chi2")
    out = {name: np.full(reps, np.nan) for name in names}
    for i in range(reps):
        X, Y, beta = draw(N, K, rng)
        res = fit(X, Y)
        out["default"][i] = covered(res.conf_int(), beta, slice(1, None))
        plain = fit(X, Y, debiased=False)
        out["plug-in"][i] = covered(plain.conf_int(), beta, slice(1, None))
        if K <= 50:
            kh = res.get_robustcov_results("KH")
            out["KH"][i] = covered(kh.conf_int(), beta, slice(1, None))
        hc = res.get_robustcov_results("HC1")
        out["HC1"][i] = covered(hc.conf_int(), beta, slice(1, None))
        # A true joint hypothesis: the first slope of the first five equations.
        R = np.zeros((5, K * P))
        R[np.arange(5), 1 + P * np.arange(5)] = 1.0
        gap = R @ res.params.to_numpy() - R @ beta
        W = float(gap @ np.linalg.solve(res.cov_params(r_matrix=R), gap))
        out["wald"][i] = stats.f.sf(W / 5, 5, res.df_resid_inference) < 0.05
        W = float(gap @ np.linalg.solve(plain.cov_params(r_matrix=R), gap))
        out["wald chi2"][i] = stats.chi2.sf(W, 5) < 0.05
    return out


def selected_cell(N: int, K: int, reps: int, seed: int) -> dict[str, np.ndarray]:
    """Coverage (reps, 2) at the true rank and after a criterion chose it: coverage and rank.

    Criteria choose as ``rank=`` does, from one start for each candidate instead of eight.
    """
    rng = np.random.default_rng([seed, N, K])
    out = {str(rank): np.empty((reps, 2)) for rank in (RANK, *SELECTED)}
    for i in range(reps):
        X, Y, beta = draw(N, K, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LowRankSUR(Y, X, rank=0)
            choices = select_rank(model, n_starts=1, gtol=path_gtol(N)).choices
            auto = LowRankSUR(Y, X).rank
        ranks = {str(RANK): RANK, "auto": auto}
        ranks |= {name: int(choices[name]) for name in SELECTED[1:]}
        share = {}
        for rank in set(ranks.values()):
            share[rank] = covered(fit(X, Y, rank).conf_int(), beta, slice(1, None))
        for name, rank in ranks.items():
            out[name][i] = share[rank], rank
    return out


def small_cell(N: int, K: int, rank: int, missing: float, reps: int, seed: int):
    """Coverage (reps,) of slopes: default, at the maximum, plug-in; and of constants by default.

    "at the maximum" is the default without the prior on loadings that small samples get.
    """
    rng = np.random.default_rng([seed, N, K, rank, int(100 * missing)])
    out = {name: np.empty(reps) for name in ("default", "at the maximum", "plug-in", "constants")}
    for i in range(reps):
        X, Y, beta = draw(N, K, rng, rank=rank)
        if missing:
            Y[rng.random(Y.shape) < missing] = np.nan
        kwds = {"missing": "fiml"} if missing else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LowRankSUR(Y, X, rank=rank, **kwds)
            res = model.fit(n_starts=1)
        interval = res.conf_int().to_numpy()
        out["default"][i] = covered(interval, beta, slice(1, None))
        out["constants"][i] = covered(interval, beta, 0)
        bare = res.get_robustcov_results("nonrobust")
        at_maximum = res.sigma.scaled(res.estimate.df.correction)
        sigma_inference.give(bare.estimate, at_maximum)
        out["at the maximum"][i] = covered(bare.conf_int(), beta, slice(1, None))
        plug_in = res.estimate.sample.problem.covariance(res.sigma).variances()
        half = stats.norm.ppf(0.975) * np.sqrt(plug_in)
        plain = np.column_stack([res.params - half, res.params + half])
        out["plug-in"][i] = covered(plain, beta, slice(1, None))
    return out


def small(cells, reps: int, kept: dict[str, dict]) -> list[tuple[bool, str]]:
    """Print the table of few rows and missing cells; its verdicts."""
    names = ("default", "at the maximum", "plug-in", "constants")
    print("| N, K, r, missing | " + " | ".join(names) + " | draws |\n" + "|---" * 6 + "|")
    verdicts = []
    for N, K, rank, missing in cells:
        count = max(10, reps * 10 // max(10, K))
        out = small_cell(N, K, rank, missing, count, 6)
        kept[f"small {N},{K},{rank},{missing}"] = {name: x.tolist() for name, x in out.items()}
        columns = " | ".join(shown(out[name]) for name in names)
        print(f"| {N}, {K}, {rank}, {missing:.0%} | {columns} | {count} |", flush=True)
        mean, least = out["default"].mean(), 0.93 if missing and N == 20 else 0.94
        error = out["default"].std() / np.sqrt(count)
        verdicts.append((mean + error >= least, f"default covers {mean:.3f} at {N}, {K}, {rank}, "
                         f"{missing:.0%} missing"))  # fmt: skip
    return verdicts


def lr_size(N: int, K: int, reps: int, seed: int) -> np.ndarray:
    """Rejections of a true hypothesis about five slopes by the likelihood ratio: default, plain."""
    rng = np.random.default_rng([seed, N, K, 11])
    out = np.empty((reps, 2))
    R = np.zeros((5, K * P))
    R[np.arange(5), 1 + P * np.arange(5)] = 1.0
    for i in range(reps):
        X, Y, beta = draw(N, K, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LowRankSUR(Y, X, rank=RANK)
            free = model.fit(n_starts=1)
            bound = model.fit_constrained((R, R @ beta), n_starts=1)
            out[i, 0] = free.compare_lr(bound)[1] < 0.05
            out[i, 1] = free.compare_lr(bound, debiased=False)[1] < 0.05
    return out


def bootstrap_cell(N: int, K: int, reps: int, boot: int, seed: int) -> np.ndarray:
    """Coverage of parametric bootstrap-t intervals."""
    rng = np.random.default_rng([seed, N, K, 7])
    out = np.empty(reps)
    for i in range(reps):
        X, Y, beta = draw(N, K, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            interval = fit(X, Y).bootstrap(boot, rng=i).conf_int()
        out[i] = covered(interval, beta, slice(1, None))
    return out


def dependent_cell(rows: str, cov_type: str, kwds: dict, reps: int, seed: int, N=200, K=6):
    """Coverage of the slope whose regressor shares the rows' dependence."""
    rng = np.random.default_rng([seed, len(rows)])
    plain, robust = np.empty(reps), np.empty(reps)
    for i in range(reps):
        X, Y, beta = draw(N, K, rng, rows)
        res = fit(X, Y)
        plain[i] = covered(res.conf_int(), beta, 1)
        other = res.get_robustcov_results(cov_type, **kwds)
        robust[i] = covered(other.conf_int(), beta, 1)
    return plain, robust


def over_time(reps: int, kept: dict[str, dict], sizes: Sequence[int] = TIMES):
    """Print coverage where errors and a regressor are AR(.6), and lengths of intervals; verdicts.

    Lengths are medians over those of the default.
    """
    ways = {"default": None, "HAC": {}, "HAC, cosine": {"kernel": "cosine"}}
    names = " | ".join([*ways, "length: HAC", "HAC, cosine"])
    print(f"| N | {names} | draws |\n" + "|---" * 7 + "|")
    verdicts = []
    for N in sizes:
        rng = np.random.default_rng([9, N])
        out, lengths = {name: np.empty(reps) for name in ways}, {name: [] for name in ways}
        for i in range(reps):
            X, Y, beta = draw(N, 6, rng, "autocorrelated")
            res = fit(X, Y)
            for name, kwds in ways.items():
                other = res if kwds is None else res.get_robustcov_results("HAC", **kwds)
                interval = other.conf_int().to_numpy()
                out[name][i] = covered(interval, beta, 1)
                lengths[name].append(np.ptp(interval, axis=1)[1::P])
        kept[f"time {N}"] = {name: x.tolist() for name, x in out.items()}
        length = {name: float(np.median(x)) for name, x in lengths.items()}
        more = " | ".join(f"{length[name] / length['default']:.2f}" for name in list(ways)[1:])
        print(f"| {N} | {' | '.join(map(shown, out.values()))} | {more} | {reps} |", flush=True)
        best = out["HAC, cosine"].mean()
        verdicts.append((best > out["HAC"].mean(), f"cosine covers {best:.3f} at N={N}"))
    return verdicts


def wrong_ranks(reps: int, kept: dict[str, dict], N: int = 100, K: int = 50):
    """Print coverage and RMSE of slopes over that of OLS at ranks 1, 2 (true) and 8; verdicts."""
    rng = np.random.default_rng([10, N, K])
    share, error = (
        {r: np.empty(reps) for r in (1, RANK, 8)},
        {r: np.empty(reps) for r in (1, RANK, 8)},
    )
    slopes = np.tile([False, True, True], K)
    for i in range(reps):
        X, Y, beta = draw(N, K, rng)
        wrong = np.ravel(
            [np.linalg.lstsq(x, y, rcond=None)[0] for x, y in zip(X, Y.T, strict=True)]
        )
        ols = np.linalg.norm((wrong - beta)[slopes])
        for rank in share:
            res = fit(X, Y, rank)
            share[rank][i] = covered(res.conf_int(), beta, slice(1, None))
            error[rank][i] = np.linalg.norm((res.params.to_numpy() - beta)[slopes]) / ols
    print("| rank fitted | coverage | RMSE / OLS | draws |\n|---|---|---|---|")
    for rank in share:
        print(f"| {rank} | {shown(share[rank])} | {shown(error[rank])} | {reps} |", flush=True)
    kept["ranks"] = {str(rank): x.tolist() for rank, x in share.items()}
    least = min(x.mean() for x in share.values())
    return [(least > 0.93, f"covers {least:.3f} at the worst of ranks 1, 2 and 8")]


def unrestricted(
    reps: int, kept: dict[str, dict], N: int = 100, sizes: Sequence[int] = WIDE, least: int = 20
):
    """Print coverage of slopes and RMSE over that of OLS, linearmodels' SUR and ours; verdicts.

    Errors of two factors, the true rank fitted; and errors whose correlation is .8 to the power of
    the distance of two equations, which is not of low rank, the rank left to the default.
    """
    from linearmodels.system import SUR

    print("| errors | N, K | SUR covers | low rank | SUR, RMSE / OLS | low rank | draws |")
    print("|" + "---|" * 7)
    verdicts = []
    for errors, rank in (("two factors", RANK), ("chain", "auto")):
        for K in sizes:
            rng = np.random.default_rng([12, N, K])
            root = np.linalg.cholesky(0.8 ** np.abs(np.subtract.outer(np.arange(K), np.arange(K))))
            slopes, count = np.tile([False, True, True], K), max(least, reps * 10 // K)
            share, error = np.empty((count, 2)), np.empty((count, 2))
            for i in range(count):
                X, Y, beta = draw(N, K, rng)
                if errors == "chain":
                    mean = [x @ b for x, b in zip(X, beta.reshape(K, P), strict=True)]
                    Y = np.column_stack(mean) + rng.standard_normal((N, K)) @ root.T
                ols = np.ravel([np.linalg.lstsq(x, y)[0] for x, y in zip(X, Y.T, strict=True)])
                equations = {
                    f"e{j}": {"dependent": y, "exog": x}
                    for j, (x, y) in enumerate(zip(X, Y.T, strict=True))
                }
                wide = SUR(equations).fit(cov_type="unadjusted", debiased=True)
                for at, res in enumerate((wide, fit(X, Y, rank))):
                    share[i, at] = covered(res.conf_int(), beta, slice(1, None))
                    off = np.linalg.norm((np.asarray(res.params) - beta)[slopes])
                    error[i, at] = off / np.linalg.norm((ols - beta)[slopes])
            columns = " | ".join(shown(x) for x in (*share.T, *error.T))
            print(f"| {errors} | {N}, {K} | {columns} | {count} |", flush=True)
            kept[f"unrestricted {errors} {K}"] = {"share": share.tolist(), "error": error.tolist()}
            ours = share[:, 1].mean()
            verdicts.append((ours > 0.93, f"low rank covers {ours:.3f}, {errors}, K={K}"))
    return verdicts


def shown(x: np.ndarray) -> str:
    """Mean (standard error), or a dash."""
    x = x[np.isfinite(x)]
    return f"{x.mean():.3f} ({x.std() / np.sqrt(len(x)):.3f})" if len(x) else "-"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reps", type=int, default=400)
    parser.add_argument("--boot", type=int, default=199, help="replicates of a bootstrap")
    parser.add_argument("--quick", action="store_true", help="two cells, 40 replications")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--only",
        choices=["small", "selected", "time", "ranks", "unrestricted"],
        help="this table alone: few rows and missing cells; coverage after the rank was chosen; "
        "rows that are a time series; too few and too many factors; beside an unrestricted Sigma",
    )
    options = parser.parse_args(arguments)
    reps, cells = (40, CELLS[:2]) if options.quick else (options.reps, CELLS)
    kept: dict[str, dict] = {}
    verdicts = []
    if options.only == "small":
        return finish(small(SMALL, reps, kept), kept, options.json)
    if options.only == "selected":
        verdicts = selected(cells, reps, kept)
        return finish(verdicts, kept, options.json)
    if options.only == "time":
        return finish(over_time(reps, kept), kept, options.json)
    if options.only == "ranks":
        return finish(wrong_ranks(reps, kept), kept, options.json)
    if options.only == "unrestricted":
        return finish(unrestricted(reps, kept), kept, options.json)
    print("| N, K | default | plug-in, z | Kackar-Harville | HC1 | size F | size chi2 |")
    print("|---|---|---|---|---|---|---|")
    for N, K in cells:
        seeds = (0, 1, 2) if K == 10 and not options.quick else (1,)
        parts = [cell(N, K, reps if K < 200 else max(50, reps // 4), seed) for seed in seeds]
        out = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        kept[f"{N},{K}"] = {name: x.tolist() for name, x in out.items()}
        columns = " | ".join(shown(x) for x in out.values())
        print(f"| {N}, {K} | {columns} |", flush=True)
        low, high = (0.935, 0.965) if N == 40 else (0.94, 0.96)
        mean = out["default"].mean()
        verdicts.append((low <= mean <= high, f"default covers {mean:.3f} at {N}, {K}"))
        if (N, K) in ((100, 10), (100, 50)):
            size = out["wald"].mean()
            verdicts.append((0.035 <= size <= 0.065, f"F test rejects {size:.3f} at {N}, {K}"))
    print("\n| N, K | bootstrap-t |\n|---|---|")
    for N, K in [(40, 10)] if options.quick else [(40, 10), (40, 50)]:
        x = bootstrap_cell(N, K, max(10, reps // 2), options.boot, 2)
        print(f"| {N}, {K} | {shown(x)} |", flush=True)
        verdicts.append(
            (0.94 <= x.mean() <= 0.96, f"bootstrap-t covers {x.mean():.3f} at {N}, {K}")
        )
    print("\n| N, K | size LR | size LR, plain |\n|---|---|---|")
    for N, K in [(100, 10)] if options.quick else [(100, 10), (100, 50)]:
        x = lr_size(N, K, 2 * reps, 4)
        print(f"| {N}, {K} | {shown(x[:, 0])} | {shown(x[:, 1])} |", flush=True)
        if not options.quick:
            size = x[:, 0].mean()
            verdicts.append((0.035 <= size <= 0.065, f"LR rejects {size:.3f} at {N}, {K}"))
    print()
    verdicts += small(SMALL[2:3] if options.quick else SMALL, reps, kept)
    print()
    verdicts += selected(cells, reps, kept)
    print("\n| rows (N=200, K=6) | nonrobust | robust |\n|---|---|---|")
    for rows, cov_type, kwds, N in (
        ("heteroskedastic", "HC1", {}, 200),
        ("clustered", "cluster", {"groups": np.arange(200) // 5}, 200),
        ("autocorrelated", "HAC", {"maxlags": 12}, 200),
        ("autocorrelated", "HAC", {"maxlags": 25}, 800),
    ):
        plain, robust = dependent_cell(rows, cov_type, kwds, reps, 3, N=N)
        print(f"| {rows}, N={N} | {shown(plain)} | {cov_type} {shown(robust)} |", flush=True)
        verdicts.append(
            (robust.mean() > plain.mean() + 0.02, f"{cov_type} repairs {rows} rows, N={N}: "
             f"{plain.mean():.3f} to {robust.mean():.3f}")
        )  # fmt: skip
    print()
    verdicts += over_time(reps, kept, TIMES[:1] if options.quick else TIMES)
    print()
    verdicts += wrong_ranks(5 if options.quick else max(10, reps // 4), kept)
    print(
        f"\n{reps} replications (three times that in the first table at K=10, a quarter at K=200, "
        "half for the bootstrap)."
    )
    return finish(verdicts, kept, options.json)


def selected(cells, reps: int, kept: dict[str, dict]) -> list[tuple[bool, str]]:
    """Print the table of inference after selection; its verdicts."""
    names = (f"rank={RANK}", *(f'rank="{name}"' for name in SELECTED))
    print("| N, K | " + " | ".join(names) + " | ranks chosen |\n" + "|---" * (len(names) + 2) + "|")
    verdicts = []
    for N, K in cells:
        out = selected_cell(N, K, reps if K < 200 else max(50, reps // 4), 5)
        kept[f"selected {N},{K}"] = {name: x.tolist() for name, x in out.items()}
        columns = " | ".join(shown(x[:, 0]) for x in out.values())
        chosen = "; ".join(f"{name} {tally(out[name][:, 1])}" for name in SELECTED)
        print(f"| {N}, {K} | {columns} | {chosen} |", flush=True)
        lost = float((out[str(RANK)][:, 0] - out[SELECTED[0]][:, 0]).mean())
        verdicts.append((lost < 0.01, f"{SELECTED[0]} loses {lost:.3f} of coverage at {N}, {K}"))
    return verdicts


def tally(ranks: np.ndarray) -> str:
    """Shares of the ranks chosen, as ``2: .97, 3: .03``."""
    values, counts = np.unique(ranks.astype(int), return_counts=True)
    shares = (f"{v}: {c / len(ranks):.2f}" for v, c in zip(values, counts, strict=True))
    return ", ".join(shares)


def finish(verdicts: list[tuple[bool, str]], kept: dict[str, dict], file: Path | None) -> int:
    """Print verdicts, keep every replication, exit status."""
    for passed, text in verdicts:
        print("PASS" if passed else "FAIL", text)
    if file:
        file.write_text(json.dumps(kept))
    return 0 if all(passed for passed, _ in verdicts) else 1


if __name__ == "__main__":
    raise SystemExit(main())
