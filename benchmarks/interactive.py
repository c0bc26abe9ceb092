"""Interactive effects in Bai's (2009) design: errors, coverage, seconds, and peers.

    python benchmarks/interactive.py [--draws 500] [--variance 2] [--errors normal|equal|serial]
                                     [--cells 20x20,50x50] [--speed] [--peer-python PYTHON]

x_it,j = 1 + lambda_i'f_t + sum lambda_i + sum f_t + eta_it, two factors, b = (1, 3), everything
standard normal but e: variances d_i lognormal (sd of the log .7) with the mean asked for, all
equal ("equal"), or the first with e and eta AR(1) of .5 in time ("serial"). Estimators: least
squares, two-way within, default LowRankPanel (with --panel), Bai's, and his weighted by d_i, both
bias-corrected as well, with standard errors "nonrobust", "hetero" and "unit". Starts are those of
the library but for random ones.

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

from sm_alsgls.core.interactive.bias import bias
from sm_alsgls.core.interactive.covariance import covariance
from sm_alsgls.core.interactive.influence import influence
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.scaled import scaled
from sm_alsgls.core.interactive.search import interactive_fit

CELLS = ((20, 20), (50, 50), (100, 100), (20, 100), (100, 20))
KINDS = ("nonrobust", "hetero", "unit")
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


def cell(T, n, draws, variance, errors, with_panel=False, seed=0):
    """Errors and coverage by estimator: a dict of rmse, bias and covered."""
    wrong: dict[str, list] = {}
    inside: dict[str, list] = {}
    none = Effects.of(T, n)
    for k in range(draws):
        panel, b = draw(
            np.random.default_rng([seed, T, n, k]), T, n, variance=variance, errors=errors
        )
        ones = np.ones(n)
        two_way = Effects.of(T, n, unit=True, time=True)
        for name, effects in (("ols", none), ("within", two_way)):
            wrong.setdefault(name, []).append(scaled(panel, effects, ones).least_squares() - b)
        if with_panel:
            beta, se = default_panel(panel)
            wrong.setdefault("LowRankPanel", []).append(beta - b)
            inside.setdefault("LowRankPanel", []).append(np.abs(beta - b) <= 1.96 * se)
        for name, weighted in (("Bai", False), ("weighted", True)):
            fit = interactive_fit(panel, none, 2, weighted=weighted, n_random=0)
            found = influence(fit)
            corrected = fit.beta + bias(fit, found, serial=3 if errors == "serial" else 0).total
            wrong.setdefault(name, []).append(fit.beta - b)
            wrong.setdefault(f"{name}, corrected", []).append(corrected - b)
            for kind in KINDS:
                se = np.sqrt(np.diag(covariance(found, fit.df_resid, kind)))
                inside.setdefault(f"{name} {kind}", []).append(np.abs(fit.beta - b) <= 1.96 * se)
                inside.setdefault(f"{name}, corrected {kind}", []).append(
                    np.abs(corrected - b) <= 1.96 * se
                )
    return {
        "rmse": {name: float(np.sqrt(np.square(e).mean())) for name, e in wrong.items()},
        "bias": {name: float(np.mean(e)) for name, e in wrong.items()},
        "covered": {name: float(np.mean(c)) for name, c in inside.items()},
    }


def show(T, n, found):
    print(f"\n{T} periods x {n} units")
    for name, rmse in found["rmse"].items():
        covered = [
            f"{kind or 'default'} {found['covered'][f'{name} {kind}'.strip()]:.3f}"
            for kind in ("", *KINDS)
            if f"{name} {kind}".strip() in found["covered"]
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
    ask.add_argument("--errors", choices=("normal", "equal", "serial"), default="normal")
    ask.add_argument("--cells", default=",".join(f"{T}x{n}" for T, n in CELLS))
    ask.add_argument("--panel", action="store_true", help="LowRankPanel as well")
    ask.add_argument("--speed", action="store_true")
    ask.add_argument("--peer-python", default=sys.executable)
    asked = ask.parse_args()
    if asked.speed:
        speed(asked.peer_python)
        return
    for one in asked.cells.split(","):
        T, n = map(int, one.split("x"))
        show(T, n, cell(T, n, asked.draws, asked.variance, asked.errors, asked.panel))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
