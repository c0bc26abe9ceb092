"""Simulated and real systems that several test modules share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sm_alsgls.datasets import load_french, load_grunfeld, load_munnell


def simulate(N, K, p, r, seed=0, strength=1.0):
    """K designs (N, p) with a constant, responses (N, K), and the Sigma behind them."""
    rng = np.random.default_rng(seed)
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, p - 1))]) for _ in range(K)]
    F = strength * rng.standard_normal((K, r))
    d = rng.uniform(0.5, 1.5, K)
    E = rng.standard_normal((N, r)) @ F.T + rng.standard_normal((N, K)) * np.sqrt(d)
    Y = np.column_stack([x @ rng.standard_normal(p) for x in X]) + E
    return X, Y, F @ F.T + np.diag(d)


def texts(data):
    """Names of the columns of text, whose dtype pandas 2 calls object and pandas 3 str."""
    return [name for name in data if pd.api.types.is_string_dtype(data[name])]


def wide_grunfeld():
    """Grunfeld's panel as pairs (y, X) by firm, years as rows."""
    data = load_grunfeld()
    return {
        firm: (
            part.set_index("year")["invest"],
            part.set_index("year")[["value", "capital"]].assign(const=1.0),
        )
        for firm, part in data.groupby("firm", sort=False)
    }


def french():
    """30 excess returns on a constant and three factors."""
    data = load_french()
    X = data[["MktRF", "SMB", "HML"]].copy()
    X.insert(0, "const", 1.0)
    return data.iloc[:, 5:], X


def munnell():
    """48 states: log gsp on log p_cap, log pc, log emp, unemp; 17 years."""
    data = load_munnell()
    y, X = {}, {}
    for state, part in data.groupby("state", sort=False):
        part = part.set_index("year")
        y[state] = np.log(part["gsp"])
        X[state] = pd.DataFrame(
            {
                "const": 1.0,
                "p_cap": np.log(part["p_cap"]),
                "pc": np.log(part["pc"]),
                "emp": np.log(part["emp"]),
                "unemp": part["unemp"],
            }
        )
    return y, X
