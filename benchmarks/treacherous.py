"""Real systems whose best maximum is easy to miss: short series, near-identities, strong factors.

* macro: nine US series (statsmodels' macrodata) on p lags of all of them, as growth rates and first
  differences, as logs, as levels;
* Holzinger: nine mental tests of 301 pupils (`data/README.md`);
* wages: log wages of 545 men, an equation a year, 1980-87 (linearmodels' wage_panel);
* Cigar: log sales of cigarettes, 46 US states or draws of 15;
* Munnell: draws of 15 of the 48 states.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from systems import Array, Arrays, System, munnell

from sm_alsgls.datasets import load_cigarettes

DATA = Path(__file__).parent / "data"
_GROWING = ("realgdp", "realcons", "realinv", "realgovt", "realdpi", "cpi", "m1")
_RATES = ("tbilrate", "unemp")


def macro(transform: str) -> Array:
    """The nine series (n, 9), as "growth" rates and differences, in "logs" or "levels"."""
    from statsmodels.datasets import macrodata

    m = macrodata.load_pandas().data
    grown, rates = (m[list(names)].to_numpy() for names in (_GROWING, _RATES))
    if transform == "levels":
        return np.column_stack([grown, rates])
    logs = np.log(grown)
    if transform == "logs":
        return np.column_stack([logs, rates])
    return np.column_stack([100.0 * np.diff(logs, axis=0), np.diff(rates, axis=0)])


def var(z: Array, p: int) -> Arrays:
    """A vector autoregression as a system: every series on a constant and p lags of all."""
    n = len(z) - p
    X = np.column_stack([np.ones(n)] + [z[p - k - 1 : len(z) - k - 1] for k in range(p)])
    return [X] * z.shape[1], z[p:]


def holzinger(kind: str) -> Arrays:
    """Nine tests on a constant, on pupils' traits too, or with trait j mod 4 left out."""
    data = pd.read_csv(DATA / "holzinger_swineford.csv")
    Y = data[[f"x{i}" for i in range(1, 10)]].to_numpy()
    age = data["ageyr"] + data["agemo"] / 12.0
    traits = [age, data["sex"] == 2, data["school"] == "Pasteur", data["grade"].fillna(7.0) == 8]
    X = np.column_stack([np.ones(len(data)), *traits]).astype(float)
    if kind == "constant":
        return [X[:, :1]] * 9, Y
    return [X if kind == "traits" else np.delete(X, 1 + j % 4, axis=1) for j in range(9)], Y


def wages(own: bool) -> Arrays:
    """Log wages by year on schooling and descent, and the year's own experience and status."""
    from linearmodels.datasets import wage_panel

    data = wage_panel.load().sort_values(["year", "nr"])
    names = ["educ", "black", "hisp"] + (["exper", "married", "union"] if own else [])
    years = [part for _, part in data.groupby("year")]
    blocks = [np.column_stack([np.ones(len(g)), g[names].to_numpy(float)]) for g in years]
    return blocks, np.column_stack([g["lwage"].to_numpy() for g in years])


def cigar() -> Arrays:
    """46 states, 30 years: log sales on log real price, income and a neighbour's price."""
    parts = [part for _, part in load_cigarettes().groupby("state", sort=False)]
    blocks = [
        np.column_stack([np.ones(len(g)), *(np.log(g[c] / g["cpi"]) for c in _CIGAR)])
        for g in parts
    ]
    return blocks, np.column_stack([np.log(g["sales"]) for g in parts])


_CIGAR = ("price", "ndi", "pimin")


def drawn(arrays: Arrays, seed: int, K: int = 15) -> Arrays:
    """K of the equations, at random."""
    blocks, Y = arrays
    chosen = np.sort(np.random.default_rng(seed).choice(Y.shape[1], K, replace=False))
    return [blocks[j] for j in chosen], Y[:, chosen]


def treacherous() -> Iterator[System]:
    """All of them, at ranks 1 to 3 (few) or 2 (many equations)."""
    cases: list[tuple[str, Arrays, range]] = []
    for transform in ("growth", "logs", "levels"):
        z = macro(transform)
        cases += [(f"macro {transform}, VAR({p})", var(z, p), range(1, 4)) for p in range(1, 6)]
    for kind in ("constant", "traits", "omitted"):
        cases.append((f"Holzinger, {kind}", holzinger(kind), range(1, 4)))
    for own in (False, True):
        name = f"wages, {'own' if own else 'common'} regressors"
        cases.append((name, wages(own), range(1, 4)))
    cases.append(("Cigar, 46 states", cigar(), range(1, 3)))
    for seed in range(3):
        cases.append((f"Cigar, draw {seed} of 15", drawn(cigar(), seed), range(1, 4)))
    for seed in range(5):
        # From rank 3 on the likelihood has no bound (`sm_alsgls.core.sigma.bounded`).
        cases.append((f"Munnell, draw {seed} of 15", drawn(munnell(), seed), range(1, 3)))
    for name, (blocks, Y), ranks in cases:
        for r in ranks:
            yield System(name, r, blocks, Y)
