"""Seconds of panels with laws of the errors, beside dense FGLS, linearmodels, plm and spreg.

    python benchmarks/panel_speed.py [--spreg-python PYTHON] [--rscript RSCRIPT] [--json FILE]

Processor seconds of `fit()` with all standard errors on one thread, the best of three (large ones:
of two; SURerrorML once); models are made before. Peers estimate less: Parks' FGLS takes two steps
and needs fewer units than periods, plm's pggls has no serial correlation beside an unrestricted
Sigma of units, spreg has no factors, and random effects of linearmodels and plm are those of
`rank="exchangeable"`, by Swamy and Arora. spreg and plm are run by a Python that has it (default
this one) and by Rscript (default the one on the path); peers that are not there are said and left
out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
import pandas as pd
import scipy.sparse
from law_table import long_frame
from panel_laws import ar_draw, panel, parks, pooled_residuals
from spatial import LAM, draw, lattice
from spatial import panel as regions

from sm_alsgls import LowRankPanel
from sm_alsgls.core.laws.spatial_weights import SpatialWeights

HERE = Path(__file__).parent

Size = tuple[int, int]  # periods, units


def seconds(run: Callable[[], object], runs: int = 3) -> float:
    """Processor time of the best run."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def all_of(model: LowRankPanel, **how: object) -> Callable[[], object]:
    """A fit and its standard errors."""
    return lambda: model.fit(**how).bse


def of_plm(name: str, frame: pd.DataFrame, kind: str, rscript: str | None) -> dict[str, float]:
    """Seconds of plm's "random" or "pggls" of ``y ~ x``, from R."""
    if rscript is None:
        print("no Rscript: plm is left out", file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panel.csv"
        frame.to_csv(path, index=False)
        done = _answer([rscript, str(HERE / "panel_peers.R"), str(path), kind], "plm")
    if done is None:
        return {}
    version, taken = done.split()
    return {f"the same, plm {version} {name}": float(taken)}


def of_spreg(
    Y: np.ndarray, X: np.ndarray, weights: SpatialWeights, python: str, periods: int
) -> dict[str, float]:
    """Seconds of spreg, whose regressors have no constant; SURerrorML of the first periods."""
    W = scipy.sparse.csr_matrix(weights.W)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "regions.npz"
        parts = {"data": W.data, "indices": W.indices, "indptr": W.indptr}
        np.savez(path, Y=Y, X=X[:, :, 1:], periods=periods, **parts)
        done = _answer([python, str(HERE / "panel_peers.py"), str(path)], "spreg")
    if done is None:
        return {}
    said = json.loads(done)
    return {
        f"the same, {name.replace('spreg', 'spreg ' + said['version'])}": taken
        for name, taken in said["seconds"].items()
    }


def _answer(command: list[str], peer: str) -> str | None:
    """What a peer's process prints; None, and why, where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        print(f"no {peer}: {error}", file=sys.stderr)
        return None
    if done.returncode:
        print(f"no {peer}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return done.stdout


def autoregressive(
    few: Size = (40, 30), many: Size = (100, 1_000), rscript: str | None = None
) -> dict[str, float]:
    """AR errors, with fewer units than periods and with more."""
    rng, found = np.random.default_rng(0), {}
    Y, x, _, _ = ar_draw(rng, *few)
    frame, E = long_frame(Y, x=x), pooled_residuals(Y, x)
    for ar in ("common", "entity"):
        name = f"{few[1]} units x {few[0]} periods, LowRankPanel, rank 1, ar={ar!r}"
        found[name] = seconds(all_of(panel(frame, 1, ar=ar)))
    found["the same, Parks' dense FGLS (a rho each)"] = seconds(lambda: parks(Y, x, E, False))
    found |= of_plm("pggls (no rho)", frame, "pggls", rscript)
    Y, x, _, _ = ar_draw(rng, *many)
    frame = long_frame(Y, x=x)
    for name, how in (("common", {}), ("common", {"reml": False}), ("entity", {})):
        said = f"{many[1]:,} units x {many[0]} periods, rank 3, ar={name!r}"
        said += ", reml=False" if how else ""
        found[said] = seconds(all_of(panel(frame, 3, ar=name), **how), 2)
    return found


def spatial(
    side: int = 20, periods: int = 40, python: str = sys.executable, sur_periods: int = 40
) -> dict[str, float]:
    """Regions on a square, three factors."""
    weights = lattice(side)
    X, Y = draw(np.random.default_rng(16), weights, periods, 3, LAM, 0.0)
    found = {
        f"{side**2} regions x {periods} periods, LowRankPanel, rank 3, {name}": seconds(
            all_of(regions(X, Y, 3, **{name: weights.W} if name != "no law" else {}))
        )
        for name in ("spatial_error", "spatial_lag", "no law")
    }
    return found | of_spreg(Y, X, weights, python, min(periods, sur_periods))


def random_effects(
    periods: int = 8, units: int = 1_000, rscript: str | None = None
) -> dict[str, float]:
    """Equal loadings and variances."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((periods, units))
    Y = 1.0 + x + rng.standard_normal((periods, units)) + rng.standard_normal(units)
    frame = long_frame(Y, x=x)
    model = LowRankPanel.from_formula(
        "y ~ x", frame, "exchangeable", entity="i", time="t", independent="entity"
    )
    found = {
        f"{units:,} units x {periods} periods, LowRankPanel, rank='exchangeable'": seconds(
            all_of(model)
        ),
        "the same, method='swamy-arora'": seconds(all_of(model, method="swamy-arora")),
    }
    if importlib.util.find_spec("linearmodels"):
        from linearmodels.panel import RandomEffects

        data = frame.set_index(["i", "t"]).assign(one=1.0)
        peer = RandomEffects(data["y"], data[["one", "x"]])
        found["the same, linearmodels RandomEffects"] = seconds(lambda: peer.fit().std_errors)
    return found | of_plm("random (Swamy and Arora)", frame, "random", rscript)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--spreg-python", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--sur-periods", type=int, default=40, help="that SURerrorML gets")
    parser.add_argument("--rscript", default=shutil.which("Rscript"))
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    found = autoregressive(rscript=args.rscript)
    found |= spatial(python=args.spreg_python, sur_periods=args.sur_periods)
    found |= random_effects(rscript=args.rscript)
    print("| | seconds |\n|---|---|")
    for name, value in found.items():
        print(f"| {name} | {value:.3f} |" if value < 1.0 else f"| {name} | {value:.1f} |")
    if args.json is not None:
        args.json.write_text(json.dumps(found, indent=1))
    return found


if __name__ == "__main__":
    main()
