"""Interactive effects in Bai's (2009) design: errors, coverage, seconds, and peers.

    python benchmarks/interactive.py [--draws 500] [--panel 50] [--variance 2] [--speed]
        [--errors normal,equal,serial] [--cells 20x20,50x50] [--peer-python PYTHON]

x_it,j = 1 + lambda_i'f_t + sum lambda_i + sum f_t + eta_it, two factors, b = (1, 3), everything
standard normal but e: variances d_i lognormal (sd of the log .7) with the mean asked for, all
equal ("equal"), or the first with e and eta AR(1) of .5 in time ("serial"). Estimators: least
squares, two-way within, default LowRankPanel in so many draws as --panel says, Bai's, and what
factors="fixed" is by default, weighted by d_i and rho, both bias-corrected as well. Intervals of
"nonrobust", "hetero" and "unit" (the default) are of t as the library has them; their mean length
is beside the coverage, relative to "nonrobust". Starts are those of the library but for random
ones. The jackknife is there with --jackknife.

--speed: seconds of a fit at 100 x 100 and 1,000 x 1,000, five regressors, three factors, beside
pyInteractiveFixedEffects and pyfector where the Python given has them (default this one).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
from scipy import stats

from sm_alsgls.core.interactive.bias import bias
from sm_alsgls.core.interactive.correlated import correlated_fit
from sm_alsgls.core.interactive.covariance import covariance
from sm_alsgls.core.interactive.influence import influence
from sm_alsgls.core.interactive.jackknife import jackknife
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.scaled import scaled
from sm_alsgls.core.interactive.search import interactive_fit

CELLS = ((20, 20), (50, 50), (100, 100), (20, 100), (100, 20))
KINDS = ("nonrobust", "hetero", "unit")
ERRORS = ("normal", "equal", "serial")
SPREAD, RHO = 0.7, 0.5


def autoregressive(rng, T, n, rho):
    u = rng.standard_normal((T, n))
    for t in range(1, T):
        u[t] = rho * u[t - 1] + np.sqrt(1.0 - rho**2) * u[t]
    return u


def draw(rng, T, n, *, p=2, r=2, variance=2.0, errors="normal"):
    """A panel and its b."""
    rho = RHO if errors == "serial" else 0.0
    F, G = rng.standard_normal((T, r)), rng.standard_normal((n, r))
    moved = 1.0 + F @ G.T + F.sum(axis=1)[:, None] + G.sum(axis=1)
    X = np.stack([moved + autoregressive(rng, T, n, rho) for _ in range(p)])
    d = np.ones(n) if errors == "equal" else np.exp(SPREAD * rng.standard_normal(n))
    d *= variance / d.mean()
    b = 1.0 + 2.0 * np.arange(p)
    e = np.sqrt(d) * autoregressive(rng, T, n, rho)
    return Panel(np.tensordot(b, X, 1) + F @ G.T + e, X), b


def default_panel(panel):
    """b and standard errors of LowRankPanel as it is by default, units as equations."""
    import pandas as pd

    from sm_alsgls import LowRankPanel

    T, n = panel.Y.shape
    index = pd.MultiIndex.from_product([range(T), range(n)], names=["time", "unit"])
    columns = {f"x{j}": X.ravel() for j, X in enumerate(panel.X)}
    frame = pd.DataFrame({"y": panel.Y.ravel(), **columns}, index=index).reset_index()
    formula = "y ~ " + " + ".join(columns)
    model = LowRankPanel.from_formula(formula, frame, entity="unit", time="time")
    found = model.fit()
    names = [name for name in found.params.index if name.split(":")[-1].split("[")[0] in columns]
    return found.params[names].to_numpy(), found.bse[names].to_numpy()


def cell(T, n, draws, variance, errors, with_panel=0, with_jackknife=False, seed=0):
    """Errors, coverage and lengths of intervals by estimator, and rmse by Bai's with its error."""
    wrong: dict[str, list] = {}
    inside: dict[str, list] = {}
    length: dict[str, list] = {}
    none, two_way, ones = Effects.of(T, n), Effects.of(T, n, unit=True, time=True), np.ones(n)
    for k in range(draws):
        panel, b = draw(
            np.random.default_rng([seed, T, n, k]), T, n, variance=variance, errors=errors
        )

        def note(name, beta, kinds, b=b):
            wrong.setdefault(name, []).append(beta - b)
            for kind, half in kinds.items():
                inside.setdefault(f"{name} {kind}".strip(), []).append(np.abs(beta - b) <= half)
                length.setdefault(f"{name} {kind}".strip(), []).append(half)

        for name, effects in (("ols", none), ("within", two_way)):
            note(name, scaled(panel, effects, ones).least_squares(), {})
        if k < with_panel:
            beta, se = default_panel(panel)
            note("LowRankPanel", beta, {"": 1.96 * se})
        fit = correlated_fit(panel, none, 2, n_random=0)
        bais = interactive_fit(panel, none, 2, weighted=False, beta=fit.bai, only_given=True)
        for name, found in (("Bai", bais), ("weighted", fit)):
            reach = influence(found)
            kinds = {kind: half_length(found, reach, kind) for kind in KINDS}
            note(name, found.beta, kinds)
            note(f"{name}, corrected", found.beta + bias(found, reach).total, kinds)
            if with_jackknife:
                note(f"{name}, jackknife", jackknife(found), kinds)
    return {
        "rmse": {name: float(np.sqrt(np.square(e).mean())) for name, e in wrong.items()},
        "bias": {name: float(np.mean(e)) for name, e in wrong.items()},
        "covered": {name: float(np.mean(c)) for name, c in inside.items()},
        "length": {name: float(np.mean(c)) for name, c in length.items()},
        "by Bai": beside(np.array(wrong["weighted, corrected"]), np.array(wrong["Bai"])),
    }


def half_length(fit, reach, kind):
    """Half the length of .95 intervals (p,)."""
    df = fit.panel.n - 1 if kind == "unit" else fit.df_resid
    se = np.sqrt(np.diag(covariance(reach, fit.df_resid, kind)))
    return stats.t.ppf(0.975, df) * se


def beside(mine, others):
    """The ratio of root mean squares of paired errors (draws, p), and its standard error."""
    a, b = np.square(mine).mean(axis=1), np.square(others).mean(axis=1)
    ratio = a.mean() / b.mean()
    error = (a - ratio * b).std() / (b.mean() * np.sqrt(len(a)))
    return float(np.sqrt(ratio)), float(error / (2.0 * np.sqrt(ratio)))


def show(T, n, errors, found):
    ratio, error = found["by Bai"]
    print(f"\n{errors}, {T} periods x {n} units; rmse by Bai's {ratio:.3f} ({error:.3f})")
    for name, rmse in found["rmse"].items():
        plain = found["length"].get(f"{name} nonrobust", 0.0)
        covered = [
            f"{kind or 'default'} {found['covered'][key]:.3f}"
            + (f" x {found['length'][key] / plain:.2f}" if plain else "")
            for kind in ("", *KINDS)
            if (key := f"{name} {kind}".strip()) in found["covered"]
        ]
        print(
            f"  {name:20s} rmse {rmse:.4f}  bias {found['bias'][name]:+.4f}  " + "  ".join(covered)
        )


# Each peer in a process of its own, told by its name; least squares is where both begin.
PEER = r"""
import sys, time
import numpy as np
data = np.load(sys.argv[2]); Y, X = data["Y"], data["X"]; T, n = Y.shape; p = len(X)
A = X.reshape(p, -1)
if sys.argv[1] == "pyfector":
    from pyfector.estimators import estimate_ife
    ols = np.linalg.solve(A @ A.T, A @ Y.ravel())
    start = time.process_time()
    Z = np.ascontiguousarray(np.moveaxis(X, 0, 2))
    found = estimate_ife(Y, Z @ ols, Z, np.ones((T, n)), None, ols, 3, 0, 1e-9, 5000).beta
else:
    from bai2009 import InteractiveFixedEffects
    t, i = np.divmod(np.arange(T * n), n)
    start = time.process_time()
    found = InteractiveFixedEffects(3).fit(Y.reshape(-1, 1), A.T.copy(), i[:, None], t[:, None])[0]
print(time.process_time() - start, *np.ravel(found))
"""
PEERS = ("pyInteractiveFixedEffects", "pyfector")
MOST_SECONDS = 300


def speed(python, sizes=(100, 1000)):
    for size in sizes:
        panel, b = draw(np.random.default_rng(1), size, size, p=5, r=3, errors="normal")
        none = Effects.of(size, size)
        print(f"\n{size} x {size}, five regressors, three factors; processor seconds")
        for name, how in (
            ("Bai, one start", {"weighted": False, "beta": np.zeros(5), "only_given": True}),
            ("Bai, all starts", {"weighted": False}),
            ("weighted, all starts", {}),
        ):
            start = time.process_time()
            fit = interactive_fit(panel, none, 3, **how)
            seconds = time.process_time() - start
            print(f"  {name:24s} {seconds:8.3f}  error {np.abs(fit.beta - b).max():.5f}")
        start = time.process_time()
        found = influence(fit)
        for kind in KINDS:
            covariance(found, fit.df_resid, kind)
        print(f"  {'three covariances':24s} {time.process_time() - start:8.3f}")
        with tempfile.TemporaryDirectory() as folder:
            where = Path(folder) / "panel.npz"
            np.savez(where, Y=panel.Y, X=panel.X)
            for name in PEERS:
                said = ask_peer(python, name, where)
                if isinstance(said, str):
                    print(f"  {name:24s} {said}")
                else:
                    print(f"  {name:24s} {said[0]:8.3f}  error {np.abs(said[1:] - b).max():.5f}")


def ask_peer(python, name, where):
    """Seconds and b, or why there are none."""
    try:
        done = subprocess.run(
            [python, "-c", PEER, name, str(where)],
            capture_output=True,
            text=True,
            check=False,
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {MOST_SECONDS} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no answer"])[-1]
    return np.array(done.stdout.split()[-6:], dtype=float)


def main():
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--draws", type=int, default=500)
    ask.add_argument("--variance", type=float, default=2.0)
    ask.add_argument("--errors", default="normal", help=",".join(ERRORS))
    ask.add_argument("--cells", default=",".join(f"{T}x{n}" for T, n in CELLS))
    ask.add_argument("--panel", type=int, default=0, help="draws that have LowRankPanel as well")
    ask.add_argument("--jackknife", action="store_true")
    ask.add_argument("--speed", action="store_true")
    ask.add_argument("--peer-python", default=sys.executable)
    asked = ask.parse_args()
    if asked.speed:
        speed(asked.peer_python)
        return
    for errors in asked.errors.split(","):
        for one in asked.cells.split(","):
            T, n = map(int, one.split("x"))
            found = cell(T, n, asked.draws, asked.variance, errors, asked.panel, asked.jackknife)
            show(T, n, errors, found)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
