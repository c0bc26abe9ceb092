"""A million equations from memory maps: seconds and memory of the fit and of standard errors.

    python benchmarks/million.py --make /tmp/million      # data, tile by tile: 16 GB
    python benchmarks/million.py /tmp/million --errors
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
    parser.add_argument("--errors", action="store_true", help="standard errors as well")
    given = parser.parse_args()
    if given.make:
        began = time.perf_counter()
        make(given.folder, given.K)
        print(f"written in {time.perf_counter() - began:.0f} s")
        return
    from sm_alsgls import LowRankSUR

    exog, endog = arrays(given.folder)
    with Resident() as resident:
        began = time.perf_counter()
        model = LowRankSUR(endog, exog, rank=R)
        looked = time.perf_counter()
        res = model.fit()
        fitted = time.perf_counter()
        print(f"K = {exog.shape[0]:,}: a first look {looked - began:.1f} s, fit", end=" ")
        print(f"{fitted - looked:.1f} s, {resident.peak:.2f} GB resident at most")
        print(f"converged {res.converged}, NLL per row {-res.llf / N:.6f}")
        print(res.trace[["nll", "cg_iterations", "sigma_iterations", "seconds"]].to_string())
        slopes = res.params.to_numpy().reshape(-1, P)[:, 1:]
        print(f"error of slopes {np.sqrt(np.mean((slopes - BETA) ** 2)):.5f}")
        if not given.errors:
            return
        began = time.perf_counter()
        bse = res.bse.to_numpy().reshape(-1, P)[:, 1:]
        seconds = time.perf_counter() - began
    print(f"standard errors {seconds:.1f} s, {resident.peak:.2f} GB resident at most")
    inside = np.abs(slopes - BETA) < 1.96 * bse
    print(f"mean of slopes' {bse.mean():.5f}, coverage {inside.mean():.5f}")


if __name__ == "__main__":
    main()
