"""Grunfeld's ten firms by twenty years, and what nlme makes of them."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

_VALUES = Path(__file__).parents[2] / "reference" / "laws_nlme.csv"


@cache
def grunfeld():
    """Investment, value and capital, (20, 10) each: plm's firms, without American Steel."""
    from statsmodels.datasets import grunfeld as source

    data = source.load_pandas().data
    firms = [firm for firm in data["firm"].unique() if firm != "American Steel"]
    return tuple(
        np.asarray(data.pivot(index="year", columns="firm", values=name)[firms], dtype=float)
        for name in ("invest", "value", "capital")
    )


def blocks():
    """A constant, value and capital of each firm."""
    _, V, C = grunfeld()
    return [np.column_stack([np.ones(20), V[:, j], C[:, j]]) for j in range(10)]


@cache
def references():
    """Of each model a mapping (tests/reference/laws_nlme.R)."""
    table = pd.read_csv(_VALUES)
    return {
        model: dict(zip(rows.what, rows.value, strict=True))
        for model, rows in table.groupby("model")
    }
