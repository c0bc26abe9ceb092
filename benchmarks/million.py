"""A million equations from memory maps: seconds, resident memory, passes.

    python benchmarks/million.py --make /tmp/million      # data, tile by tile: 16 GB
    python benchmarks/million.py /tmp/million             # the fit
    python benchmarks/million.py --make /tmp/small -K 20000

N = 500, p = 3 (a constant and two regressors of its own for each equation), r = 5.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from pathlib import Path

import numpy as np

N, P, R = 500, 3, 5
BETA = 1.0


def make(folder: Path, K: int, tile: int = 5_000) -> None:
    """Write X (K, p, N), Y (K, N), and what they were drawn from."""
    folder.mkdir(parents=True, exist_ok=True)
    Z = np.random.default_rng(0).standard_normal((R, N))
    with open(folder / "X.bin", "wb") as X_file, open(folder / "Y.bin", "wb") as Y_file:
        for start in range(0, K, tile):
            m = min(tile, K - start)
            rng = np.random.default_rng([1, start])
            X = rng.standard_normal((m, P, N))
            X[:, 0] = 1.0
            F, d = rng.standard_normal((m, R)), rng.uniform(0.5, 1.5, m)
            Y = F @ Z + rng.standard_normal((m, N)) * np.sqrt(d)[:, None] + BETA * X.sum(axis=1)
            X.tofile(X_file)
            Y.tofile(Y_file)
    (folder / "shape.json").write_text(json.dumps({"K": K, "N": N, "p": P}))


def arrays(folder: Path) -> tuple[np.memmap, np.memmap]:
    """exog (K, N, p) and endog (N, K) as memory maps."""
    shape = json.loads((folder / "shape.json").read_text())
    K, n, p = shape["K"], shape["N"], shape["p"]
    X = np.memmap(folder / "X.bin", dtype=float, mode="r", shape=(K, p, n))
    Y = np.memmap(folder / "Y.bin", dtype=float, mode="r", shape=(K, n))
    return X.transpose(0, 2, 1), Y.T


class Resident:
    """The largest resident memory of this process while it is open, in GB."""

    def __enter__(self) -> Resident:
        self.peak, self._open = 0.0, True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while self._open:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.peak = max(self.peak, pages * page / 1e9)
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("-K", type=int, default=1_000_000)
    given = parser.parse_args()
    if given.make:
        began = time.perf_counter()
        make(given.folder, given.K)
        print(f"written in {time.perf_counter() - began:.0f} s")
        return
    from sm_alsgls.core.tiles.fit import fit_tiles
    from sm_alsgls.core.tiles.mapped import MappedSource

    source = MappedSource(*arrays(given.folder))
    with Resident() as resident:
        began = time.perf_counter()
        fit = fit_tiles(source, rank=R)
        seconds = time.perf_counter() - began
    print(f"K = {source.K:,}: {seconds:.1f} s, {resident.peak:.2f} GB resident at most")
    print(fit.converged, fit.status, f"nll {fit.nll:.8f}, error of slopes")
    print(np.sqrt(np.mean((fit.beta.reshape(-1, P) - BETA) ** 2, axis=0)))
    for row in fit.trace:
        print(row)


if __name__ == "__main__":
    main()
