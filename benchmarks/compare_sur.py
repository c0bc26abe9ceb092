"""Time, peak memory and likelihood of a low-rank SUR fit next to its peers.

    python benchmarks/compare_sur.py [--sizes 10 50 120 300 1000] [--rounds 3] [--json FILE]

Every (peer, size) runs in a fresh process with one BLAS thread. The first call gives the growth
of peak memory (ru_maxrss after less before, the data and all modules being loaded); the time is
the minimum over further calls. Peers alternate, the whole round is repeated, and minima over
rounds are reported: read ratios.

What is timed, from NumPy arrays to a fitted object, standard errors not included:

    ours        LowRankSUR(Y, Xs, rank=r).fit(n_starts=1)
    default     LowRankSUR(Y, Xs, rank=r).fit()
    alsgls      als_gls(Xs, Y, r), its defaults (ridge 1e-3, at most 8 sweeps)
    linearmodels  SUR(eqs).fit(method="gls", cov_type="unadjusted"); computes its covariance in
                any case. Unrestricted Sigma, one step. Stops at K = 300: from there on it stacks
                dense (N K) x P arrays, two of 32 GB at K = 1000.
    ols         a loop of statsmodels OLS(y, X).fit()
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

import one_thread  # noqa: F401  before NumPy

# No NumPy here: on Linux a child's ru_maxrss starts at its parent's size.

SIZES = {  # K: N, p, r
    10: (100, 3, 1),
    50: (300, 3, 3),
    120: (300, 3, 3),
    300: (600, 4, 5),
    1000: (1000, 4, 5),
}
PEERS = ("ours", "default", "alsgls", "linearmodels", "ols")
LARGEST = {"linearmodels": 300}
TOLERANCE = 1e-6  # NLL per row


# -- one peer, one size, in a process of its own ------------------------------------------------


def fitter(peer: str, blocks, Y, rank: int):
    """A function that fits, and one from what it returns to the NLL per row and a note."""
    import numpy as np

    N, K = Y.shape

    def gaussian(E, Sigma) -> float:
        """NLL per row by dense linear algebra: one convention for every peer."""
        L = np.linalg.cholesky(Sigma)
        white = np.linalg.solve(L, E.T)
        log_det = 2.0 * np.log(np.diag(L)).sum()
        return float(0.5 * (K * np.log(2.0 * np.pi) + log_det + np.sum(white**2) / N))

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
            nll = gaussian(residuals(beta), res.sigma.to_dense())
            starts = res.mle_retvals["starts"]
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
            return gaussian(residuals([b.ravel() for b in B]), F @ F.T + np.diag(D)), {
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
            return gaussian(res.resids.to_numpy(), res.sigma.to_numpy()), {}

    elif peer == "ols":
        from statsmodels.api import OLS

        def fit():
            return [OLS(Y[:, j], X).fit() for j, X in enumerate(blocks)]

        def read(res):
            return -sum(one.llf for one in res) / N, {}

    else:
        raise ValueError(f"peer must be one of {', '.join(PEERS)}, got {peer!r}")
    return fit, read


def measure(peer: str, K: int, N: int, p: int, rank: int, seconds: float = 1.0) -> dict:
    """Time, memory and NLL; repeats for ``seconds``, at least twice unless one call is long."""
    import numpy as np
    from systems import independent

    warnings.simplefilter("ignore")
    # A small fit first: what a peer imports or allocates once is not the fit's memory.
    fitter(peer, *independent(np.random.default_rng(0), 30, 4, 2, 1), 1)[0]()
    blocks, Y = independent(np.random.default_rng([K, N, p, rank]), N, K, p, rank)
    fit, read = fitter(peer, blocks, Y, rank)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    res = fit()
    first = time.perf_counter() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    nll, note = read(res)
    del res
    # The warm-up counts only where it cannot matter and another call would take long.
    times = [first] if first > 5.0 else []
    while (sum(times) < seconds or len(times) < 3) and not (times and first > 5.0):
        began = time.perf_counter()
        fit()
        times.append(time.perf_counter() - began)
    unit = 1024.0 if sys.platform == "darwin" else 1.0  # bytes there, KiB here
    return {
        "peer": peer,
        "K": K,
        "seconds": min(times),
        "calls": len(times),
        "mb": grown / unit / 1024.0,
        "nll": nll,
        **note,
    }


def measure_apart(peer: str, K: int) -> dict:
    """`measure` in a fresh process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", peer, str(K)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{peer} failed at K={K}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


# -- all of them --------------------------------------------------------------------------------


def run(sizes: list[int], rounds: int) -> list[dict]:
    """Minima over rounds of every (size, peer)."""
    best: dict[tuple[int, str], dict] = {}
    for i in range(rounds):
        for K in sizes:
            for peer in PEERS:
                if K > LARGEST.get(peer, K):
                    continue
                print(f"round {i + 1}/{rounds}: K={K} {peer}", file=sys.stderr, flush=True)
                row, old = measure_apart(peer, K), best.get((K, peer))
                if old is not None:
                    row["seconds"] = min(row["seconds"], old["seconds"])
                    row["mb"] = min(row["mb"], old["mb"])
                best[K, peer] = row
    return list(best.values())


def table(rows: list[dict]) -> str:
    """Markdown: one line per size and peer, then one line of ratios per size."""
    lines = [
        "| N, K, p, r | fit | seconds | peak memory, MB | NLL per row | sweeps | starts (best) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        N, p, r = SIZES[row["K"]]
        starts = f"{row['starts']} ({row['hits']})" if "starts" in row else ""
        lines.append(
            f"| {N}, {row['K']}, {p}, {r} | {_LABEL[row['peer']]} | {row['seconds']:.4f} "
            f"| +{row['mb']:.0f} | {row['nll']:.6f} | {row.get('sweeps', '')} | {starts} |"
        )
    lines += [
        "",
        "| K | alsgls / ours | linearmodels / ours | ours / OLS loop | default / one start "
        "| NLL: ours - alsgls | NLL: one start - default |",
        "|---|---|---|---|---|---|---|",
    ]
    for K, at in by_size(rows).items():
        lines.append(
            f"| {K} | {_ratio(at, 'alsgls', 'ours')} | {_ratio(at, 'linearmodels', 'ours')} "
            f"| {_ratio(at, 'ours', 'ols')} | {_ratio(at, 'default', 'ours')} "
            f"| {at['ours']['nll'] - at['alsgls']['nll']:+.1e} "
            f"| {at['ours']['nll'] - at['default']['nll']:+.1e} |"
        )
    return "\n".join(lines)


_LABEL = {
    "ours": "**ours, one start**",
    "default": "**ours, default**",
    "alsgls": "alsgls",
    "linearmodels": "linearmodels (unrestricted Sigma)",
    "ols": "loop of OLS (diagonal Sigma)",
}


def by_size(rows: list[dict]) -> dict[int, dict[str, dict]]:
    """Rows by K and peer."""
    sizes: dict[int, dict[str, dict]] = {}
    for row in rows:
        sizes.setdefault(row["K"], {})[row["peer"]] = row
    return sizes


def _ratio(at: dict[str, dict], over: str, under: str) -> str:
    if over not in at or under not in at:
        return ""
    return f"{at[over]['seconds'] / at[under]['seconds']:.2f}"


def verdicts(rows: list[dict]) -> list[tuple[bool, str]]:
    """The requirements that the sizes allow to check."""
    speed = (  # K, numerator, denominator, bound, at least (1) or at most (-1)
        (10, "alsgls", "ours", 2.0, 1),
        (50, "alsgls", "ours", 2.0, 1),
        (300, "alsgls", "ours", 8.0, 1),
        (300, "linearmodels", "ours", 50.0, 1),
        (1000, "alsgls", "ours", 20.0, 1),
        (1000, "ours", "ols", 3.0, -1),
        (1000, "default", "ours", 1.5, -1),
    )
    sizes, found = by_size(rows), []
    for K, over, under, bound, sign in speed:
        at = sizes.get(K, {})
        if over in at and under in at:
            ratio = at[over]["seconds"] / at[under]["seconds"]
            word = "at least" if sign > 0 else "at most"
            found.append(
                (
                    sign * (ratio - bound) >= 0,
                    f"K={K}: {over} / {under} {ratio:.2f}, {word} {bound:g}",
                )
            )
    for K, at in sizes.items():
        for peer in ("ours", "default"):
            if "alsgls" in at and peer in at:
                worse = at[peer]["nll"] - at["alsgls"]["nll"]
                text = f"K={K}: NLL per row, {peer} - alsgls {worse:+.1e}, at most {TOLERANCE:g}"
                found.append((worse <= TOLERANCE, text))
    off = max((abs(row["nll"] - row["own_nll"]) for row in rows if "own_nll" in row), default=0.0)
    found.append((off <= 1e-8, f"NLL by dense algebra against the fits' own: {off:.1e} apart"))
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Low-rank SUR next to its peers.")
    parser.add_argument("--sizes", type=int, nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--worker", nargs=2, metavar=("PEER", "K"), help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.worker:
        peer, K = given.worker[0], int(given.worker[1])
        N, p, r = SIZES[K]
        print(json.dumps(measure(peer, K, N, p, r)))
        return 0
    rows = run(given.sizes, given.rounds)
    found = verdicts(rows)
    print(table(rows), "\n")
    for ok, text in found:
        print("PASS" if ok else "FAIL", text)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0 if all(ok for ok, _ in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
