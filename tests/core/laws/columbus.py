"""Columbus: crime on income and house values in 49 neighbourhoods, and what spatialreg makes of it.

`tests/reference/spatial_spatialreg.R` made the values.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from sm_alsgls.core.laws.row_weights import RowWeights
from sm_alsgls.core.laws.spatial_weights import SpatialWeights, row_standardised

_FILES = Path(__file__).parents[2] / "reference"


@cache
def reference():
    """Values by name, scalars as numbers."""
    rows = pd.read_csv(_FILES / "spatial_spatialreg.csv")
    found = {name: part["value"].to_numpy() for name, part in rows.groupby("name")}
    return {name: v if len(v) > 1 else float(v[0]) for name, v in found.items()}


@cache
def columbus():
    """y (49, 1), X (49, 3), and weights whose rows sum to one."""
    data = pd.read_csv(_FILES / "columbus.csv")
    A = np.zeros((49, 49))
    A[tuple(pd.read_csv(_FILES / "columbus_neighbours.csv").to_numpy().T - 1)] = 1.0
    X = np.column_stack([np.ones(49), data["INC"], data["HOVAL"]])
    return data[["CRIME"]].to_numpy(), X, SpatialWeights(row_standardised(A))


def of_rows():
    """The same, units being the rows of one equation."""
    Y, X, weights = columbus()
    return Y, X, RowWeights(weights, 1)
