"""Rows: one pass over N of them, and sweeps that do not depend on N.

For K = 20 equations of p = 5 regressors, all columns distinct (c = 121 with the ones), from a
memory-mapped file:

* seconds of the pass (`compress_rows`), its rate in flops 2 N c^2, and what share that is of the
  time that the machine's matrix products, or reading the file from memory, would need, measured
  in the same run: the target is one half;
* memory that the pass allocates;
* seconds of the fit after the pass (of a model that has only read the rows), and of one sweep;
* of the same fit where the model holds the arrays, and sees first that nobody changed them;
* a model read as chunks (`LowRankSUR.from_chunks`), against the same file in memory;
* a loop of K statsmodels OLS fits.

    python benchmarks/rows.py            # N to 1,000,000: a file of 1 GB in the temporary folder
    python benchmarks/rows.py --quick    # N to 100,000

Run on one BLAS thread. Times are the best of some; the pass and the machine's rates are taken in
turns, so that other work on the machine slows both.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import benchmarks.one_thread  # noqa: F401, I001  (before NumPy)

import numpy as np
import statsmodels.api as sm

from sm_alsgls import LowRankSUR
from sm_alsgls.core.rows.compress import compress_rows

K, P_EACH, RANK = 20, 5, 2
TARGET = 0.5
_CHUNK = 50_000


class Line(NamedTuple):
    """What was measured at one N."""

    N: int
    columns: int
    dgemm: float  # flops a second
    bandwidth: float  # bytes a second
    check: float
    seconds: float
    share: float
    bound: str
    megabytes: float
    fit: float
    held: float  # the same, and a look at the data
    sweeps: int
    chunks: float
    ols: float


def best(run: Callable[[], object], repeat: int = 3) -> float:
    """Seconds of the fastest of some runs."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def race(*runs: Callable[[], object], repeat: int = 5) -> list[float]:
    """Seconds of the fastest of some runs of each, taken in turns: they meet the same machine."""
    seconds = [[best(run, 1) for run in runs] for _ in range(repeat)]
    return [min(column) for column in zip(*seconds, strict=True)]


def write(path: Path, N: int, seed: int = 0) -> np.memmap:
    """Rows of 20 x 5 regressors and 20 responses with two factors, written block by block."""
    rng = np.random.default_rng(seed)
    data = np.memmap(path, dtype=float, mode="w+", shape=(N, K * (P_EACH + 1)))
    F = rng.standard_normal((K, RANK))
    beta = rng.standard_normal((K, P_EACH))
    for start in range(0, N, _CHUNK):
        block = rng.standard_normal((min(_CHUNK, N - start), data.shape[1]))
        X = block[:, : K * P_EACH].reshape(len(block), K, P_EACH)
        block[:, K * P_EACH :] += rng.standard_normal((len(block), RANK)) @ F.T
        block[:, K * P_EACH :] += np.einsum("nkp,kp->nk", X, beta)
        data[start : start + len(block)] = block
    data.flush()
    return np.memmap(path, dtype=float, mode="r", shape=data.shape)


def parts(rows: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Responses and designs in some rows of the file."""
    return rows[:, K * P_EACH :], [rows[:, P_EACH * j : P_EACH * (j + 1)] for j in range(K)]


def chunks(data: np.ndarray) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """The file in chunks."""
    for start in range(0, len(data), _CHUNK):
        yield parts(data[start : start + _CHUNK])


def allocated(run: Callable[[], object]) -> float:
    """Most megabytes that were allocated at a time; the memory map is not."""
    tracemalloc.start()
    run()
    high = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return high / 1e6


def ols_loop(data: np.ndarray) -> None:
    """An OLS fit and its standard errors, equation by equation."""
    Y, X = parts(data)
    for j in range(K):
        _ = sm.OLS(Y[:, j], X[j]).fit().bse


def measure(data: np.memmap) -> Line:
    """Everything at the N of a file."""
    N = len(data)
    Y, X = parts(data)
    rows = compress_rows(X, Y)  # the first run also reads the file from disk
    A, big = np.random.default_rng(0).standard_normal((1000, 1000)), np.ones(20_000_000)
    seconds, product, total = race(lambda: compress_rows(X, Y), lambda: A @ A, big.sum)
    c = len(rows.Y)
    dgemm, bandwidth = 2e9 / product, big.nbytes / total
    products, reading = 2.0 * N * c**2 / dgemm, data.nbytes / bandwidth
    check = best(lambda: LowRankSUR(Y, X, rank=RANK))
    model = LowRankSUR(Y, X, rank=RANK)
    streamed = LowRankSUR.from_chunks(chunks(data), rank=RANK)
    res, other = model.fit(), streamed.fit()  # the pass is made by the first fit
    np.testing.assert_allclose(other.params, res.params, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other.bse, res.bse, rtol=1e-9)
    return Line(
        N,
        c,
        dgemm,
        bandwidth,
        check,
        seconds,
        max(products, reading) / seconds,
        "dgemm" if products > reading else "memory",
        allocated(lambda: compress_rows(X, Y)),
        best(streamed.fit),
        best(model.fit),
        sum(res.mle_retvals["starts"]["sweeps"]),
        best(lambda: LowRankSUR.from_chunks(chunks(data), rank=RANK)),
        best(lambda: ols_loop(data), 1 if N > 500_000 else 3),
    )


def table(lines: list[Line]) -> str:
    """The measurements in Markdown."""
    columns = [
        "N",
        "pass, s",
        "GFlops",
        "GB/s",
        "dgemm, GFlops",
        "memory, GB/s",
        "share of the bound",
        "MB allocated",
        "checks, s",
        "fit after the pass, s",
        "and unchanged, s",
        "sweeps",
        "one sweep, ms",
        "as chunks: read, s",
        f"{K} OLS, s",
    ]
    lists = [columns, ["---"] * len(columns)]
    for line in lines:
        numbers = (
            f"{line.seconds:.3f}",
            f"{2e-9 * line.N * line.columns**2 / line.seconds:.1f}",
            f"{8e-9 * line.N * K * (P_EACH + 1) / line.seconds:.2f}",
            f"{line.dgemm / 1e9:.1f}",
            f"{line.bandwidth / 1e9:.1f}",
            f"{line.share:.2f} of {line.bound}",
            f"{line.megabytes:.1f}",
            f"{line.check:.3f}",
            f"{line.fit:.3f}",
            f"{line.held:.3f}",
            f"{line.sweeps}",
            f"{1e3 * line.fit / line.sweeps:.2f}",
            f"{line.chunks:.3f}",
            f"{line.ols:.3f}",
        )
        lists.append([f"{line.N:,}", *numbers])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lists)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="N = 10,000 and 100,000 only")
    sizes = [10_000, 100_000] + ([] if parser.parse_args(arguments).quick else [1_000_000])
    with tempfile.TemporaryDirectory() as folder:
        lines = [measure(write(Path(folder) / f"{N}", N)) for N in sizes]
    print(
        f"K = {K}, p = {P_EACH}, r = {RANK}, c = {lines[-1].columns}; {platform.machine()}, "
        f"Python {platform.python_version()}, NumPy {np.__version__}, one BLAS thread.\n"
    )
    print(table(lines))
    last, first = lines[-1], lines[0]
    growth = last.fit / first.fit
    memory = last.megabytes / lines[-2].megabytes
    print()
    for what, passed in (
        (
            f"the pass runs at {last.share:.2f} >= {TARGET} of what binds, {last.bound}",
            last.share >= TARGET,
        ),
        (
            f"the fit after the pass takes {growth:.2f} times as long at N = {last.N:,} as at "
            f"N = {first.N:,}",
            growth < 1.3,
        ),
        (
            f"memory at N = {last.N:,} is {memory:.2f} times that at N = {lines[-2].N:,}",
            memory < 1.1,
        ),
    ):
        print(f"{'PASS' if passed else 'FAIL'}: {what}")
    ratio = (last.check + last.seconds + last.held) / last.ols
    print(f"Checks, pass and fit take {ratio:.2f} times {K} OLS fits.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
