"""Three-stage least squares and system GMM by linearmodels, and the system that they are of.

    python -m tests.reference.three_stage_linearmodels

writes three_stage_linearmodels.csv and three_stage_simulated.csv. A row of the first is a system, a
method, a quantity, a name and a value: coef, std_err, sigma (which made them, of pairs of
equations), J. IV3SLS is of common instruments only: with instruments of an equation's own its
residuals of the normal equations are y - Xhat b, which is not consistent.
"""

from __future__ import annotations

from pathlib import Path

import linearmodels
import numpy as np
import pandas as pd
from linearmodels.system import IV3SLS, IVSystemGMM

from sm_alsgls.datasets import load_klein

HERE = Path(__file__).parent
PATH = Path(__file__).with_suffix(".csv")
SIMULATED = HERE / "three_stage_simulated.csv"
# Of an equation: response, exogenous, endogenous, excluded instruments.
OWN = {
    "one": ("y1", ["x1"], ["w1"], ["z1", "z2"]),
    "two": ("y2", ["x2"], ["w2"], ["z2", "z3", "z4"]),
    "three": ("y3", ["x1", "x3"], ["w3", "y1"], ["x2", "z1", "z5"]),
}
KLEIN = {
    "consump": ("consump", ["corpProfLag"], ["corpProf", "wages"]),
    "invest": ("invest", ["corpProfLag", "capitalLag"], ["corpProf"]),
    "privWage": ("privWage", ["gnpLag", "trend"], ["gnp"]),
}
KLEIN_EXOGENOUS = ["govExp", "taxes", "govWage", "trend", "capitalLag", "corpProfLag", "gnpLag"]
Equations = dict[str, tuple[str, list[str], list[str], list[str]]]


def simulate(N: int = 60, seed: int = 5) -> pd.DataFrame:
    """Three equations whose errors grow with an instrument, so that robust is not homoskedastic."""
    rng = np.random.default_rng(seed)
    data = {f"x{j}": rng.standard_normal(N) for j in (1, 2, 3)}
    data |= {f"z{j}": rng.standard_normal(N) for j in (1, 2, 3, 4, 5)}
    E = rng.standard_normal((N, 1)) @ [[1.0, 0.8, -0.9]] + 0.7 * rng.standard_normal((N, 3))
    E *= np.sqrt(0.4 + 0.6 * data["z2"] ** 2)[:, None]
    V = 0.6 * E + 0.8 * rng.standard_normal((N, 3))
    data["w1"] = 0.5 * data["z1"] + 0.6 * data["z2"] + 0.3 * data["x1"] + V[:, 0]
    data["w2"] = 0.6 * data["z3"] - 0.5 * data["z4"] + 0.4 * data["z2"] + V[:, 1]
    data["w3"] = 0.7 * data["z5"] + 0.4 * data["z1"] + V[:, 2]
    data["y1"] = 1.0 + 0.5 * data["x1"] + data["w1"] + E[:, 0]
    data["y2"] = -1.0 + 0.7 * data["x2"] + 0.5 * data["w2"] + E[:, 1]
    data["y3"] = 2.0 - data["x1"] + data["x3"] + data["w3"] - 0.5 * data["y1"] + E[:, 2]
    return pd.DataFrame(data).assign(group=np.arange(N) // 4)


def klein() -> pd.DataFrame:
    """Klein's model I; the first year has no lags."""
    return load_klein().iloc[1:].reset_index(drop=True)


def common(equations: Equations) -> Equations:
    """Every exogenous variable of the system for every equation."""
    every = sorted({x for _, exog, _, z in equations.values() for x in (*exog, *z)})
    return {
        name: (y, exog, endog, [x for x in every if x not in exog])
        for name, (y, exog, endog, _) in equations.items()
    }


def klein_equations() -> Equations:
    """Seven exogenous variables for all."""
    return common({name: (*of, KLEIN_EXOGENOUS) for name, of in KLEIN.items()})


def peer(equations: Equations, data: pd.DataFrame) -> dict[str, dict[str, pd.DataFrame]]:
    """linearmodels' mapping."""
    data = data.assign(const=1.0)
    return {
        name: {
            "dependent": data[[y]],
            "exog": data[["const", *exog]],
            "endog": data[endog],
            "instruments": data[z],
        }
        for name, (y, exog, endog, z) in equations.items()
    }


def main() -> None:
    """Write both files."""
    rows: list[tuple[str, str, str, str, float]] = []

    def put(system: str, method: str, fit: object, J: object = None) -> None:
        for name, b in fit.params.items():
            rows.append((system, method, "coef", name, b))
            rows.append((system, method, "std_err", name, fit.std_errors[name]))
        names = list(fit.sigma.index)
        rows.extend(
            (system, method, "sigma", f"{i}:{j}", fit.sigma.loc[i, j])
            for a, i in enumerate(names)
            for j in names[a:]
        )
        if J is not None:
            rows.append((system, method, "J", str(int(J.df)), float(J.stat)))

    # Shortest texts that read back as the same numbers.
    data = simulate()
    data.to_csv(SIMULATED, index=False)
    systems = {
        "simulated_own": (OWN, data),
        "simulated_common": (common(OWN), data),
        "klein": (klein_equations(), klein()),
    }
    for system, (equations, frame) in systems.items():
        mapping = peer(equations, frame)
        if system != "simulated_own":
            model = IV3SLS(mapping)
            put(system, "3sls", model.fit(cov_type="unadjusted"))
            put(
                system,
                "3sls iterated",
                model.fit(cov_type="unadjusted", iterate=True, iter_limit=5000, tol=1e-13),
            )
            put(system, "3sls HC0", model.fit(cov_type="robust"))
            if system != "klein":
                put(system, "3sls CR0", model.fit(cov_type="clustered", clusters=frame[["group"]]))
                put(
                    system,
                    "3sls HAC 3",
                    model.fit(cov_type="kernel", kernel="bartlett", bandwidth=3),
                )
        found = IVSystemGMM(mapping, weight_type="unadjusted").fit(cov_type="unadjusted")
        put(system, "gmm homoskedastic", found, found.j_stat)
        if system != "klein":
            found = IVSystemGMM(mapping, weight_type="robust").fit(cov_type="robust")
            put(system, "gmm heteroskedastic", found, found.j_stat)
    with PATH.open("w", encoding="utf-8") as file:
        file.write(
            f"# linearmodels {linearmodels.__version__}\nsystem,method,quantity,name,value\n"
        )
        file.writelines(f"{s},{m},{q},{n},{float(v)!r}\n" for s, m, q, n, v in rows)


if __name__ == "__main__":
    main()
