"""Fitted values at new regressors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.exceptions import ShapeError
from sm_alsgls.formula import replay, replay_panel


def predict_system(results: Any, exog: Any, transform: bool) -> pd.DataFrame | pd.Series:
    """See `LowRankSURResults.predict`."""
    if exog is None:
        return results.fittedvalues
    formula = results.model.formula_system
    if formula is None or not transform:
        return _from_designs(results, exog)
    if formula.groups is None:
        designs = replay(formula.specs, exog, formula.scope)
        values = [X.to_numpy() @ b for X, b in zip(designs, results._beta, strict=True)]
        return pd.DataFrame(
            dict(zip(results.model.equations, values, strict=True)), index=designs[0].index
        )
    parts = replay_panel(formula.specs, exog, formula.groups, formula.scope)
    position = {name: j for j, name in enumerate(results.model.equations)}
    out = np.full(len(exog), np.nan)
    for name, rows, X in parts:
        out[rows] = X.to_numpy() @ results._beta[position[name]]
    return pd.Series(out, index=exog.index, name="predicted")


def _from_designs(results: Any, exog: Any) -> pd.DataFrame:
    names = results.model.equations
    if isinstance(exog, Mapping):
        given = {str(key): value for key, value in exog.items()}
        lacking = [name for name in names if name not in given]
        if lacking:
            raise ShapeError(f"exog lacks equations {lacking[:5]}")
        values = [given[name] for name in names]
    elif isinstance(exog, (list, tuple)) and len(exog) and np.ndim(exog[0]) > 1:
        values = list(exog)
    else:
        values = [exog] * len(names)
    if len(values) != len(names):
        raise ShapeError(f"exog lists {len(values)} designs for {len(names)} equations")
    fitted: dict[str, np.ndarray] = {}
    columns = results.model._system.columns
    for name, X, beta, labels in zip(names, values, results._beta, columns, strict=True):
        design = np.atleast_2d(np.asarray(X, dtype=float))
        if design.shape[1] != len(beta):
            raise ShapeError(
                f"equation {name!r}: exog has {design.shape[1]} columns, the model has "
                f"{len(beta)} ({', '.join(labels[:8])})"
            )
        fitted[name] = design @ beta
    index = next((X.index for X in values if isinstance(X, pd.DataFrame)), None)
    return pd.DataFrame(fitted, index=index)
