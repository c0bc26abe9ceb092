"""Seconds of panels with laws of the errors, beside dense FGLS, linearmodels, plm's kin and spreg.

    python benchmarks/panel_speed.py

Processor seconds of `fit()` with all standard errors on one thread, the best of three (large ones:
of two); models are made before. Peers estimate less: Parks' FGLS takes two steps and needs fewer
units than periods, spreg has no factors, and linearmodels' random effects are those of
`rank="exchangeable"`, by Swamy and Arora. Peers that are not installed are left out.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
import scipy.sparse
from law_table import long_frame
from panel_laws import ar_draw, panel, parks, pooled_residuals
from spatial import LAM, draw, lattice
from spatial import panel as regions

from sm_alsgls import LowRankPanel

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


def autoregressive(few: Size = (40, 30), many: Size = (100, 1_000)) -> dict[str, float]:
    """AR errors, with fewer units than periods and with more."""
    rng, found = np.random.default_rng(0), {}
    Y, x, _, _ = ar_draw(rng, *few)
    frame, E = long_frame(Y, x=x), pooled_residuals(Y, x)
    for ar in ("common", "entity"):
        name = f"{few[1]} units x {few[0]} periods, LowRankPanel, rank 1, ar={ar!r}"
        found[name] = seconds(all_of(panel(frame, 1, ar=ar)))
    found["the same, Parks' dense FGLS (a rho each)"] = seconds(lambda: parks(Y, x, E, False))
    Y, x, _, _ = ar_draw(rng, *many)
    frame = long_frame(Y, x=x)
    for name, how in (("common", {}), ("common", {"reml": False}), ("entity", {})):
        said = f"{many[1]:,} units x {many[0]} periods, rank 3, ar={name!r}"
        said += ", reml=False" if how else ""
        found[said] = seconds(all_of(panel(frame, 3, ar=name), **how), 2)
    return found


def spatial(side: int = 20, periods: int = 40) -> dict[str, float]:
    """Regions on a square, three factors."""
    weights = lattice(side)
    X, Y = draw(np.random.default_rng(16), weights, periods, 3, LAM, 0.0)
    found = {
        f"{side**2} regions x {periods} periods, LowRankPanel, rank 3, {name}": seconds(
            all_of(regions(X, Y, 3, **{name: weights.W} if name != "no law" else {}))
        )
        for name in ("spatial_error", "spatial_lag", "no law")
    }
    if importlib.util.find_spec("spreg"):
        import libpysal
        import spreg

        w = libpysal.weights.WSP(scipy.sparse.csr_matrix(weights.W)).to_W(silence_warnings=True)
        y, x = Y.reshape(-1, 1), X[:, :, 1:].reshape(-1, 2)
        bigy = {t: Y[t][:, None] for t in range(periods)}
        bigX = {t: X[t] for t in range(periods)}
        found["the same, spreg Panel_FE_Error, one variance"] = seconds(
            lambda: spreg.Panel_FE_Error(y, x, w)
        )
        found["the same, spreg SURerrorML, an equation a period"] = seconds(
            lambda: spreg.SURerrorML(bigy, bigX, w, nonspat_diag=False), 1
        )
    return found


def random_effects(periods: int = 8, units: int = 1_000) -> dict[str, float]:
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
    return found


def main() -> dict[str, float]:
    """Run and print."""
    warnings.simplefilter("ignore")
    found = autoregressive() | spatial() | random_effects()
    print("| | seconds |\n|---|---|")
    for name, value in found.items():
        print(f"| {name} | {value:.3f} |" if value < 1.0 else f"| {name} | {value:.1f} |")
    return found


if __name__ == "__main__":
    main()
