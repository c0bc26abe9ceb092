"""10^8 rows through dask in bounded memory, at which share of the rate at which they can be read.

K = 20 equations that share p = 5 regressors (the first is ones), 25 columns of float64: 20 GB at
10^8 rows. Each partition is a file of its own, columns one after another as Arrow and Parquet have
them, made once from its number. Every read is from the disk: the pages of a file are dropped
before it is opened.

Two dask graphs on the same cluster of two processes, one thread each, in turns:

* reading: responses and regressors of each partition are read and summed up, which touches every
  byte once;
* the fit: each partition is read and leaves a triangular factor; these merge; the model is fitted.

Printed are seconds, rows a second, their ratio, and the largest resident memory of a worker; with
``--cached`` the pages of the files are left where the system keeps them, so that reading is a copy
from memory and the rate that of the processors (of files that fit).

    nice -n 15 python benchmarks/dask_rows.py --folder /somewhere/with/20/GB
    python benchmarks/dask_rows.py --quick
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import benchmarks.one_thread  # noqa: F401, I001  (before NumPy)

import numpy as np

K, P, RANK = 20, 5, 2
COLUMNS = P + K
REQUIRED = 0.8


def truth():
    """Coefficients (p, K), loadings (K, r) and standard deviations (K,)."""
    rng = np.random.default_rng(19)
    return rng.standard_normal((P, K)), rng.standard_normal((K, RANK)), rng.uniform(0.5, 1.5, K)


def made(number, rows):
    """Partition ``number``: (rows, 25), regressors and then responses; the same each time."""
    B, F, s = truth()
    rng = np.random.default_rng([19, number])
    data = np.empty((COLUMNS, rows))
    data[0] = 1.0
    data[1:P] = rng.standard_normal((P - 1, rows))
    data[P:] = rng.standard_normal((K, rows))
    data[P:] *= s[:, None]
    data[P:] += F @ rng.standard_normal((RANK, rows))
    data[P:] += B.T @ data[:P]
    return data.T


def path(folder, number):
    return Path(folder) / f"part-{number:05d}"


def write(folder, rows, number):
    """Make the file of a partition, unless it is there."""
    target = path(folder, number)
    if not target.exists() or target.stat().st_size != 8 * COLUMNS * rows:
        made(number, rows).T.tofile(target)
        with target.open("rb") as file:
            os.fsync(file.fileno())
    return number


def read(folder, rows, columns, cold, block_info=None):
    """Columns of a partition (rows, k): from the disk, or from pages that the system has kept."""
    number, k = block_info[None]["chunk-location"][0], columns.stop - columns.start
    with path(folder, number).open("rb", buffering=0) as file:
        if cold and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(8 * rows * columns.start)
        return np.fromfile(file, count=k * rows).reshape(k, rows).T


def resident():
    """Largest resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def processor():
    """Seconds of processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def total(*blocks):
    return np.array([[sum(block.sum() for block in blocks)]])


def arrays(folder, partitions, rows, cold=True):
    """Responses (N, 20) and regressors (N, 5) of dask, whose blocks are columns of a file."""
    import dask.array as da

    return [
        da.map_blocks(
            partial(read, str(folder), rows, columns, cold),
            chunks=((rows,) * partitions, (columns.stop - columns.start,)),
            meta=np.empty((0, 0)),
        )
        for columns in (slice(P, COLUMNS), slice(0, P))
    ]


def measured(client, folder, partitions, rows, rounds=1, cold=True):
    """Seconds of reading and of fitting, in turns; those of the last pass alone; the results; and
    the resident memory of a worker before and after, MB.

    Beside seconds of the clock, those of the workers' processors.
    """
    import dask.array as da

    from sm_alsgls import LowRankSUR

    client.gather(client.map(partial(write, folder, rows), range(partitions)))
    endog, exog = arrays(folder, partitions, rows, cold)
    before = max(client.run(resident).values())
    seconds = {"read": [], "fit": [], "read, processors": [], "fit, processors": []}

    def timed(what, work):
        used, start = sum(client.run(processor).values()), time.perf_counter()
        done = work()
        seconds[what].append(time.perf_counter() - start)
        seconds[f"{what}, processors"].append(sum(client.run(processor).values()) - used)
        return done

    def fitted():
        start = time.perf_counter()
        model = LowRankSUR(endog, exog, rank=RANK)
        return time.perf_counter() - start, model.fit()

    sums = da.map_blocks(total, endog, exog, chunks=((1,) * partitions, (1,)), dtype=float)
    for _ in range(rounds):
        timed("read", lambda: client.compute(sums.sum()).result())
        passed, results = timed("fit", fitted)
    return seconds, passed, results, before, max(client.run(resident).values())


def errors(results):
    """Largest distance of a coefficient from the truth, in standard errors."""
    B = truth()[0]
    return float(np.abs((results.params - B.T.ravel()) / results.bse).max())


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--partition", type=int, default=500_000, help="rows of a partition")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", help="default: a temporary one, which is removed")
    parser.add_argument("--cached", action="store_true", help="leave the system the pages")
    parser.add_argument("--quick", action="store_true", help="a million rows")
    args = parser.parse_args(arguments)
    rows = 1_000_000 if args.quick else args.rows
    size = min(args.partition, rows // 10) if args.quick else args.partition
    from distributed import Client, LocalCluster

    folder = args.folder or tempfile.mkdtemp()
    Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        with (
            LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit="2GB"
            ) as cluster,
            Client(cluster) as client,
        ):
            seconds, passed, results, before, after = measured(
                client, folder, rows // size, size, args.rounds, not args.cached
            )
    finally:
        if args.folder is None:
            shutil.rmtree(folder)
    n = results.nobs
    ratio = min(seconds["read"]) / min(seconds["fit"])
    pairs = [one / other for one, other in zip(seconds["read"], seconds["fit"], strict=True)]
    print(f"{n:,.0f} rows, K={K}, p={P}, {rows // size} partitions of {size:,} rows")
    print(f"reading and summing: {', '.join(f'{s:.1f}' for s in seconds['read'])} s, ", end="")
    print(f"{n / min(seconds['read']):.3g} rows a second")
    print(f"model and fit: {', '.join(f'{s:.1f}' for s in seconds['fit'])} s, ", end="")
    print(f"{n / min(seconds['fit']):.3g} rows a second; of the last, the pass {passed:.1f} s")
    spent = [min(seconds[f"{what}, processors"]) / n * 1e9 for what in ("read", "fit")]
    print("processor time of a row: {:.0f} ns to read, {:.0f} ns to fit".format(*spent))
    print(f"rate over that of reading: {ratio:.2f} (pairs {', '.join(f'{p:.2f}' for p in pairs)})")
    print(f"largest resident memory of a worker: {before:.0f} MB before, {after:.0f} MB after")
    print(f"largest of {len(results.bse)} errors of coefficients: {errors(results):.1f} bse")
    good = ratio >= REQUIRED or args.quick or args.cached
    print("PASS" if good else "FAIL")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
