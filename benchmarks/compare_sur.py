"""Time, peak memory and likelihood of a low-rank SUR fit next to its peers.

    python benchmarks/compare_sur.py [--sizes 5 10 20 50 120 300 1000 10000] [--rounds 3] [--quick]
        [--all] [--memory-backend rss|memray|tracemalloc] [--json FILE] [--plot FILE.png]

Every (peer, size) runs in a fresh process with one BLAS thread, the data and all modules being
loaded and a small system fitted before. Peers alternate, the whole round is repeated, and minima
over rounds are reported: read ratios.

Memory is the growth of the peak during one fit, so what the fit needs beyond the input:

    rss          of ru_maxrss, in the first call of the timed process; comes in steps of pages and
                 of the allocator's, and is 0 where earlier memory is used again
    memray       of all heap allocations (pip install memray), in a process of its own, untimed
    tracemalloc  of what Python and NumPy allocate (LAPACK's workspaces are not seen), likewise

What is timed, from NumPy arrays to a fitted object, standard errors not included:

    ours        LowRankSUR(Y, Xs, rank=r).fit(n_starts=1)
    default     LowRankSUR(Y, Xs, rank=r).fit()
    alsgls      als_gls(Xs, Y, r), its defaults (ridge 1e-3, at most 8 sweeps). At K = 10,000 a
                call takes over a minute (71 s) where ours takes two seconds, so minutes
                over the rounds: only with --all.
    linearmodels  SUR(eqs).fit(method="gls", cov_type="unadjusted"); computes its covariance in
                any case. Unrestricted Sigma, one step. Stops at K = 300: from there on it stacks
                dense (N K) x P arrays, two of 32 GB at K = 1000.
    ols         a loop of statsmodels OLS(y, X).fit()

--quick is one round of short repeats. The plot needs matplotlib.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from pathlib import Path

import one_thread  # noqa: F401  before NumPy

# No NumPy here: on Linux a child's ru_maxrss starts at its parent's size.

SIZES = {  # K: N, p, r
    5: (20, 3, 1),
    10: (100, 3, 1),
    20: (100, 3, 2),
    50: (300, 3, 3),
    120: (300, 3, 3),
    300: (600, 4, 5),
    1000: (1000, 4, 5),
    10000: (1000, 4, 5),
}
LABELS = {
    "ours": "ours, one start",
    "default": "ours, default",
    "alsgls": "alsgls",
    "linearmodels": "linearmodels (unrestricted Sigma)",
    "ols": "loop of OLS (diagonal Sigma)",
}
PEERS = tuple(LABELS)
BACKENDS = ("rss", "memray", "tracemalloc")
TOLERANCE = 1e-6  # NLL per row
_DENSE = 2000  # equations up to which NLLs are worked out with a K x K array


def skipped(peer: str, K: int, everything: bool = False) -> str:
    """Why a peer is not run at a size; empty when it is."""
    N, p, _ = SIZES[K]
    if peer == "linearmodels" and K > 300:
        return f"not run: 2 dense arrays of {8 * N * K * K * p / 1e9:,.0f} GB"
    if peer == "alsgls" and K > 1000 and not everything:
        return "not run: over a minute a call (--all)"
    return ""


# -- one peer, one size, in a process of its own ------------------------------------------------


def fitter(peer: str, blocks, Y, rank: int):
    """A function that fits, and one from what it returns to the NLL per row and a note."""
    import numpy as np

    N, K = Y.shape

    def gaussian(E, log_det: float, quadratic: float) -> float:
        return float(0.5 * (K * np.log(2.0 * np.pi) + log_det + quadratic / N))

    def dense(E, Sigma) -> float:
        """NLL per row by dense linear algebra: one convention for every peer."""
        L = np.linalg.cholesky(Sigma)
        white = np.linalg.solve(L, E.T)
        return gaussian(E, 2.0 * np.log(np.diag(L)).sum(), np.sum(white**2))

    def low_rank(E, F, d) -> float:
        if K <= _DENSE:
            return dense(E, F @ F.T + np.diag(d))
        L = np.linalg.cholesky(np.eye(F.shape[1]) + (F / d[:, None]).T @ F)
        factors = np.linalg.solve(L, (F / d[:, None]).T @ E.T)
        log_det = np.log(d).sum() + 2.0 * np.log(np.diag(L)).sum()
        return gaussian(E, log_det, np.sum(E**2 / d) - np.sum(factors**2))

    def residuals(beta):
        return Y - np.column_stack([X @ b for X, b in zip(blocks, beta, strict=True)])

    if peer in ("ours", "default"):
        from sm_alsgls import LowRankSUR

        n_starts = 1 if peer == "ours" else "auto"

        def fit():
            return LowRankSUR(Y, blocks, rank=rank).fit(n_starts=n_starts)

        def read(res):
            stops = np.cumsum([X.shape[1] for X in blocks])[:-1]
            beta = np.split(np.asarray(res.params), stops)
            starts = res.mle_retvals["starts"]
            nll = low_rank(residuals(beta), res.sigma.loadings, res.sigma.uniquenesses)
            return nll, {
                "own_nll": float(res.nll_per_row),
                "converged": bool(res.converged),
                "sweeps": int(res.mle_retvals["iterations"]),
                "starts": len(starts),
                "hits": int((starts["gap"] <= TOLERANCE).sum()),
            }

    elif peer == "alsgls":
        from alsgls import als_gls

        def fit():
            return als_gls(blocks, Y, rank)

        def read(res):
            B, F, D, _, info = res
            return low_rank(residuals([b.ravel() for b in B]), F, D), {
                "own_nll": float(info["nll_trace"][-1]),
                "sweeps": len(info["nll_beta_trace"]),
            }

    elif peer == "linearmodels":
        from linearmodels.system import SUR

        def fit():
            pairs = enumerate(blocks)
            eqs = {f"y{j}": {"dependent": Y[:, j], "exog": X} for j, X in pairs}
            return SUR(eqs).fit(method="gls", cov_type="unadjusted")

        def read(res):
            return dense(res.resids.to_numpy(), res.sigma.to_numpy()), {}

    elif peer == "ols":
        from statsmodels.api import OLS

        def fit():
            return [OLS(Y[:, j], X).fit() for j, X in enumerate(blocks)]

        def read(res):
            return -sum(one.llf for one in res) / N, {}

    else:
        raise ValueError(f"peer must be one of {', '.join(PEERS)}, got {peer!r}")
    return fit, read


def ready(peer: str, K: int, N: int, p: int, rank: int):
    """`fitter` of a simulated system, and the bytes of its arrays."""
    import numpy as np
    from systems import independent

    warnings.simplefilter("ignore")
    # A small fit first: what a peer imports or allocates once is not the fit's memory.
    fitter(peer, *independent(np.random.default_rng(0), 30, 4, 2, 1), 1)[0]()
    blocks, Y = independent(np.random.default_rng([K, N, p, rank]), N, K, p, rank)
    return *fitter(peer, blocks, Y, rank), Y.nbytes + sum(X.nbytes for X in blocks)


def measure(peer: str, K: int, N: int, p: int, rank: int, seconds: float = 1.0) -> dict:
    """Time, growth of RSS, and NLL; repeats for ``seconds``, fewer times where calls are long."""
    fit, read, given = ready(peer, K, N, p, rank)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    res = fit()
    first = time.perf_counter() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    nll, note = read(res)
    del res
    # The first call counts only where its warming up cannot matter and another takes long.
    times = [first] if first > 2.0 else []
    least = 1 if first > 10.0 else 2 if first > 2.0 else 3
    while len(times) < least or sum(times) < min(seconds, 2.0):
        began = time.perf_counter()
        fit()
        times.append(time.perf_counter() - began)
    unit = 1.0 if sys.platform == "darwin" else 1024.0  # bytes there, KiB here
    return {
        "peer": peer,
        "K": K,
        "seconds": min(times),
        "calls": len(times),
        "mb": grown * unit / 1e6,
        "backend": "rss",
        "input_mb": given / 1e6,
        "nll": nll,
        **note,
    }


def memory(peer: str, K: int, N: int, p: int, rank: int, backend: str) -> dict:
    """Growth of the peak of allocations during one fit, MB, by memray or tracemalloc."""
    fit = ready(peer, K, N, p, rank)[0]
    if backend == "memray":
        import memray

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "fit.bin"
            # Objects one by one: arenas of 1 MB would come and go by chance.
            kind = memray.FileFormat.AGGREGATED_ALLOCATIONS
            with memray.Tracker(path, file_format=kind, trace_python_allocators=True):
                fit()
            peak = memray.FileReader(path).metadata.peak_memory
    else:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        fit()
        peak = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
    return {"mb": peak / 1e6, "backend": backend}


def measure_apart(peer: str, K: int, seconds: float = 1.0, backend: str = "rss") -> dict:
    """`measure` in a fresh process, or `memory` when another backend than rss is asked for."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", peer, str(K)]
    done = subprocess.run(
        [*command, str(seconds), backend], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{peer} failed at K={K}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


# -- all of them --------------------------------------------------------------------------------


def run(
    sizes: list[int],
    rounds: int,
    backend: str = "rss",
    seconds: float = 1.0,
    everything: bool = False,
) -> list[dict]:
    """Minima over rounds of every (size, peer), or why there are none."""
    best: dict[tuple[int, str], dict] = {}
    for i in range(rounds):
        for K in sizes:
            for peer in PEERS:
                old = best.get((K, peer), {})
                why = skipped(peer, K, everything) or old.get("reason")
                if why:
                    best[K, peer] = {"peer": peer, "K": K, "reason": why}
                    continue
                print(f"round {i + 1}/{rounds}: K={K} {peer}", file=sys.stderr, flush=True)
                try:
                    row = measure_apart(peer, K, seconds)
                    if backend != "rss":
                        # Allocations do not depend on the round.
                        used = old or measure_apart(peer, K, seconds, backend)
                        row |= {"mb": used["mb"], "backend": backend}
                except RuntimeError as error:
                    print(error, file=sys.stderr)
                    why = str(error).strip().splitlines()[-1]
                    best[K, peer] = {"peer": peer, "K": K, "reason": f"failed: {why}"}
                    continue
                for key in ("seconds", "mb"):
                    row[key] = min(row[key], old.get(key, row[key]))
                best[K, peer] = row
    return sorted(best.values(), key=lambda row: (row["K"], PEERS.index(row["peer"])))


def table(rows: list[dict]) -> str:
    """Markdown: one line per size and peer, then one line of ratios per size."""
    backend = next((row["backend"] for row in rows if "backend" in row), "rss")
    lines = [
        f"| N, K, p, r | input, MB | fit | seconds | peak memory beyond it, MB ({backend}) "
        "| NLL per row | sweeps | starts (best) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        N, p, r = SIZES[row["K"]]
        label = LABELS[row["peer"]]
        label = f"**{label}**" if row["peer"] in ("ours", "default") else label
        if "reason" in row:
            lines.append(
                f"| {N}, {row['K']}, {p}, {r} |  | {label} | {row['reason']} |  |  |  |  |"
            )
            continue
        starts = f"{row['starts']} ({row['hits']})" if "starts" in row else ""
        lines.append(
            f"| {N}, {row['K']}, {p}, {r} | {row['input_mb']:.3g} | {label} "
            f"| {row['seconds']:.4f} | +{row['mb']:.{1 if row['mb'] < 100 else 0}f} "
            f"| {row['nll']:.6f} | {row.get('sweeps', '')} | {starts} |"
        )
    lines += [
        "",
        "| K | alsgls / ours | linearmodels / ours | ours / OLS loop | default / one start "
        "| memory: alsgls / ours | ours / input | NLL: ours - alsgls | NLL: one start - default |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for K, at in by_size(rows).items():
        memory_of = at["ours"]["mb"] / at["ours"]["input_mb"] if "ours" in at else float("nan")
        lines.append(
            f"| {K} | {_ratio(at, 'alsgls', 'ours')} | {_ratio(at, 'linearmodels', 'ours')} "
            f"| {_ratio(at, 'ours', 'ols')} | {_ratio(at, 'default', 'ours')} "
            f"| {_ratio(at, 'alsgls', 'ours', 'mb')} | {memory_of:.2f} "
            f"| {_gap(at, 'ours', 'alsgls')} | {_gap(at, 'ours', 'default')} |"
        )
    return "\n".join(lines)


def by_size(rows: list[dict]) -> dict[int, dict[str, dict]]:
    """Rows that were measured, by K and peer."""
    sizes: dict[int, dict[str, dict]] = {}
    for row in rows:
        if "reason" not in row:
            sizes.setdefault(row["K"], {})[row["peer"]] = row
    return sizes


def _ratio(at: dict[str, dict], over: str, under: str, key: str = "seconds") -> str:
    if over not in at or under not in at or not at[under][key]:
        return ""
    return f"{at[over][key] / at[under][key]:.2f}"


def _gap(at: dict[str, dict], one: str, other: str) -> str:
    return f"{at[one]['nll'] - at[other]['nll']:+.1e}" if one in at and other in at else ""


def verdicts(rows: list[dict]) -> list[tuple[bool, str]]:
    """The requirements that the sizes allow to check, and that nothing failed."""
    sizes, found = by_size(rows), []

    def check(value: float, bound: float, sign: int, text: str, unit: str = "") -> None:
        word = "at least" if sign > 0 else "at most"
        found.append((sign * (value - bound) >= 0, f"{text} {value:.2f}{unit}, {word} {bound:g}"))

    for K, over, under, bound, sign in (
        (5, "alsgls", "ours", 5.0, 1),
        (10, "alsgls", "ours", 2.0, 1),
        (20, "alsgls", "ours", 5.0, 1),
        (50, "alsgls", "ours", 2.0, 1),
        (300, "alsgls", "ours", 8.0, 1),
        (300, "linearmodels", "ours", 50.0, 1),
        (1000, "alsgls", "ours", 40.0, 1),
        (1000, "ours", "ols", 1.2, -1),
        (1000, "default", "ours", 1.5, -1),
    ):
        at = sizes.get(K, {})
        if over in at and under in at:
            ratio = at[over]["seconds"] / at[under]["seconds"]
            check(ratio, bound, sign, f"K={K}: {over} / {under}")
    large = sizes.get(10000, {}).get("ours")
    if large:
        check(large["seconds"], 8.0, -1, "K=10000: ours", " s")
        needed = large["mb"] / large["input_mb"]
        check(needed, 1.5, -1, "K=10000: ours, peak memory beyond the input / input")
        if "ours" in sizes.get(1000, {}):
            growth = large["seconds"] / sizes[1000]["ours"]["seconds"]
            check(growth, 15.0, -1, "ours, K=10000 / K=1000")
    for K, at in sizes.items():
        for peer in ("ours", "default"):
            if "alsgls" in at and peer in at:
                worse = at[peer]["nll"] - at["alsgls"]["nll"]
                text = f"K={K}: NLL per row, {peer} - alsgls {worse:+.1e}, at most {TOLERANCE:g}"
                found.append((worse <= TOLERANCE, text))
    off = max((abs(row["nll"] - row["own_nll"]) for row in rows if "own_nll" in row), default=0.0)
    found.append((off <= 1e-8, f"NLL by one convention against the fits' own: {off:.1e} apart"))
    found += [
        (False, f"K={row['K']}: {row['peer']} {row['reason']}")
        for row in rows
        if row.get("reason", "").startswith("failed")
    ]
    return found


# -- the picture --------------------------------------------------------------------------------

_STYLES = {  # colours of Okabe and Ito (2008)
    "ours": {"color": "#0072B2", "lw": 2.6, "marker": "o"},
    "default": {"color": "#56B4E9", "lw": 2.0, "marker": "s", "ls": "--"},
    "alsgls": {"color": "#D55E00", "lw": 1.8, "marker": "^"},
    "linearmodels": {"color": "#009E73", "lw": 1.8, "marker": "D"},
    "ols": {"color": "#555555", "lw": 1.8, "marker": "v"},
}


def plot(rows: list[dict], path: Path) -> None:
    """Time and peak memory against K; a cross at the top is a peer that ends, with the reason."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    sizes = by_size(rows)
    for axes, key in ((left, "seconds"), (right, "mb")):
        axes.set_xscale("log")
        axes.set_yscale("log")
        for peer in PEERS:
            points = [(K, at[peer][key]) for K, at in sizes.items() if peer in at]
            points = [(K, y) for K, y in points if y > 0]  # memory that did not show
            axes.plot(
                *zip(*points, strict=True) if points else ((), ()),
                label=LABELS[peer],
                ms=5,
                **_STYLES[peer],
            )
        _mark_ends(axes, rows, key)
        axes.set_xticks(list(sizes), [f"{K:,}" for K in sizes])
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:,.6g}")
        axes.minorticks_off()
        axes.set_xlabel("equations K")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    inputs = {K: next(iter(at.values()))["input_mb"] for K, at in sizes.items()}
    right.plot(inputs.keys(), inputs.values(), color="#999999", ls=":", lw=1.5, label="the input")
    left.set_ylabel("seconds for one fit")
    backend = next((row["backend"] for row in rows if "backend" in row), "rss")
    right.set_ylabel(f"peak memory beyond the input, MB ({backend})")
    if any("reason" in row for row in rows):
        right.plot([], [], "kx", ms=8, mew=2.2, label="not measured (off the scale)")
    handles = right.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)


def _mark_ends(axes, rows: list[dict], key: str) -> None:
    """A cross above everything for each (peer, K) not measured, led to by a dotted line."""
    low, high = axes.get_ylim()
    first = {r["peer"]: r["K"] for r in reversed(rows) if "reason" in r}
    ends = sorted(first, key=first.__getitem__)  # whoever ends first lowest: lines do not cross
    axes.set_ylim(low, high * (high / low) ** (0.04 + 0.1 * len(ends)))
    for i, peer in enumerate(ends):
        color = _STYLES[peer]["color"]
        y = high * (high / low) ** (0.06 + 0.1 * i)
        missing = [(r["K"], r["reason"]) for r in rows if r["peer"] == peer and "reason" in r]
        K = [K for K, _ in missing]
        measured = [r for r in rows if r["peer"] == peer and r.get(key, 0) > 0 and r["K"] < K[0]]
        if measured:
            axes.plot(
                [measured[-1]["K"], K[0]], [measured[-1][key], y], color=color, ls=":", lw=1.2
            )
        axes.plot(K, [y] * len(K), color=color, ls="", marker="x", ms=8, mew=2.2)
        text = missing[0][1].replace("not run: ", "")
        axes.annotate(
            f"{peer}: {text}",
            (K[0], y),
            (-10, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8.5,
            color=color,
        )


# -- command line -------------------------------------------------------------------------------


def require(option: str, package: str) -> None:
    """End with the install command when an optional package is missing; does not import it."""
    if importlib.util.find_spec(package) is None:
        raise SystemExit(f"{option} needs {package}: pip install {package}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Low-rank SUR next to its peers.")
    parser.add_argument("--sizes", type=int, nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of short repeats")
    parser.add_argument("--all", action="store_true", help="alsgls at K = 10,000 too")
    parser.add_argument("--memory-backend", choices=BACKENDS, default="rss")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.worker:
        peer, K, seconds, backend = given.worker
        shape = (int(K), *SIZES[int(K)])
        rss = backend == "rss"
        row = measure(peer, *shape, float(seconds)) if rss else memory(peer, *shape, backend)
        print(json.dumps(row))
        return 0
    if given.memory_backend == "memray":
        require("--memory-backend memray", "memray")
    if given.plot:
        require("--plot", "matplotlib")
    rounds, seconds = (1, 0.2) if given.quick else (given.rounds, 1.0)
    rows = run(sorted(given.sizes), rounds, given.memory_backend, seconds, given.all)
    found = verdicts(rows)
    print(table(rows), "\n")
    for ok, text in found:
        print("PASS" if ok else "FAIL", text)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    if given.plot:
        plot(rows, given.plot)
    return 0 if all(ok for ok, _ in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
