"""``augment``: one line a row, with what a mixed model says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.frames import table, with_levels
from sm_alsgls.formula.replay import replay_responses
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.mixed_predict import get_prediction, predict
from sm_alsgls.results.mixed_rows import by_caller, fitted_rows, variances
from sm_alsgls.results.table_style import AUGMENT, presented


def augment(
    estimate: MixedEstimate,
    data: Any = None,
    groups: Any = None,
    style: str = "plain",
    backend: str = "pandas",
) -> Any:
    """One row per row of the data.

    Parameters
    ----------
    data : optional
        None for the estimation rows; otherwise new data as `predict` takes them. Responses
        are evaluated where the data have their variables.
    groups : optional
        Whose each new row is, as of `predict`.
    style : {"plain", "broom"}
        "broom" names the columns as R's broom does: .rownames, .group, .fitted, .resid, .std.resid.
    backend : {"pandas", "polars"}
        Whose frame it is; polars has null for NaN.

    Returns
    -------
    DataFrame
        Numbered, with columns: row (label), group, observed (NaN where the data lack the response),
        population (x'b), fitted (x'b + z'bhat_i), resid (observed - fitted), std_resid (resid in
        residual standard deviations of its level and weight).

    Raises
    ------
    DataRemovedError, ShapeError, FormulaError
    """
    return presented(_augmented(estimate, data, groups), AUGMENT, style, backend)


def _augmented(estimate: MixedEstimate, data: Any, groups: Any) -> pd.DataFrame:
    if data is None:
        rows = estimate.rows
        population, fitted = fitted_rows(estimate)
        columns = {
            "group": np.asarray(rows.labels.take(rows.codes)),
            "observed": rows.y,
            "population": population,
            "fitted": fitted,
            "resid": rows.y - fitted,
            "std_resid": (rows.y - fitted) / np.sqrt(variances(estimate)),
        }
        made = pd.DataFrame({name: by_caller(estimate, value) for name, value in columns.items()})
        return made.rename_axis("row").reset_index()
    found = get_prediction(estimate, data, groups=groups, level="group")
    fitted = found.predicted_mean
    population = predict(estimate, data, level="population")
    observed = np.full(len(fitted), np.nan)
    formula = estimate.model.formula_system
    if formula is not None:
        frame = with_levels(table(data), (formula.groups, formula.time))
        y = replay_responses(formula.specs[:1], frame, formula.scope)[0]
        observed = observed if y is None else y
    resid = observed - fitted.to_numpy()
    spread = np.full(len(fitted), np.nan) if found.levels_unknown else np.sqrt(found.var_resid)
    return pd.DataFrame(
        {
            "row": fitted.index,
            "group": found.groups,
            "observed": observed,
            "population": population.to_numpy(),
            "fitted": fitted.to_numpy(),
            "resid": resid,
            "std_resid": resid / np.asarray(spread),
        }
    )
