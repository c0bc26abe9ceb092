"""The fit of million.py by two worker processes of dask: seconds, resident memory, bytes a sweep.

    python benchmarks/million.py --make /tmp/million     # data, tile by tile: 16 GB
    python benchmarks/million_dask.py /tmp/million
    python benchmarks/million_dask.py --quick            # 2,000 equations, made and removed

Each worker reads half of the equations from the files; what goes between it and this process are
sums over equations. ``--errors`` adds standard errors.

A million equations, on two cores that two other processes wanted as well, at the lowest priority:
a first look 35 s, a fit of five sweeps 252 s, 1.45 GB resident in a worker at most, 1.32 MB moved
in a sweep, and the log-likelihood of `million.py` to 13 digits. Where workers give memory back as
dask sets them to, which `sm_alsgls.distributed.memory` keeps them from, the fit takes four to six
times as long.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import benchmarks.one_thread  # noqa: F401, I001  (before NumPy)

import numpy as np

from benchmarks import million


def peak() -> float:
    """The largest resident memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def model_of(folder, client, shards):
    """The model of the files in a folder, whose equations are on the workers of a client."""
    from sm_alsgls.data.many.tiled import read_mapped
    from sm_alsgls.distributed.mapped_shards import mapped_shards
    from sm_alsgls.distributed.runner import ShardRunner
    from sm_alsgls.models.many import ManySUR

    exog, endog = million.arrays(folder)
    tiled = read_mapped(endog, exog)
    runner = ShardRunner(mapped_shards(endog, exog, shards), tiled.source, client)
    return ManySUR(tiled, million.R, runner=runner)


def measured(folder, client, errors=False, shards=2):
    """The results, seconds of what was run, and peaks of this process and of the workers in GB."""
    seconds = {}

    def timed(what, make):
        began = time.perf_counter()
        made = make()
        seconds[what] = time.perf_counter() - began
        return made

    model = timed("look", lambda: model_of(folder, client, shards))
    res = timed("fit", model.fit)
    if errors:
        timed("standard errors", lambda: res.bse)
    return res, seconds, peak(), sorted(client.run(peak).values())


def told(res, seconds, here, there):
    """What a reader wants to know, as lines."""
    model = res.model
    traffic, sweeps = model.held.runner.traffic["fit"], len(res.trace) - 1
    moved = traffic.to_workers + traffic.from_workers
    yield f"K = {model.neqs:,}, N = {model.nobs}, r = {model.rank}: {res!r}"
    yield "  ".join(f"{what} {value:.1f} s" for what, value in seconds.items())
    workers = ", ".join(f"{one:.2f}" for one in there)
    yield f"resident at most: workers {workers} GB, this process {here:.2f} GB"
    yield (
        f"{sweeps} sweeps, {traffic.rounds} sums, {moved / 1e6:.1f} MB moved in them: "
        f"{moved / sweeps / 1e6:.2f} MB a sweep; begun with {traffic.begun / 1e3:.0f} kB, "
        f"{traffic.returned / 1e6:.1f} MB came back at the end"
    )
    for (kind, shape), sums in sorted(traffic.sums.items(), key=lambda item: -item[1].received):
        yield f"    {kind} {shape}: {sums.rounds} rounds, {sums.received / 1e6:.3f} MB in"
    slopes = res.estimate.params.reshape(-1, million.P)
    error = np.sqrt(np.mean((slopes - million.BETA) ** 2, axis=0))
    yield f"error of the constants and slopes: {error.round(5).tolist()}"


def main() -> None:
    from distributed import Client, LocalCluster

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--errors", action="store_true")
    given = parser.parse_args()
    if given.folder is None and not given.quick:
        parser.error("give the folder that million.py --make has filled, or --quick")
    with (
        tempfile.TemporaryDirectory() as temporary,
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit="4GB", dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        folder = given.folder or Path(temporary)
        if given.quick:
            million.make(folder, 2_000)
        for line in told(*measured(folder, client, given.errors)):
            print(line)


if __name__ == "__main__":
    main()
