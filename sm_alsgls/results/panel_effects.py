"""Effects of a panel, recovered from what they were fitted by.

Effects of the equations are their constants. Of rows that were swept out, with
r_it = y_it - x_it'b,

    a_i = mean_t r_it,        and with both        g_t = mean_i r_it - mean_it r_it,

the least-squares effects given b; the fitted value of a cell is x_it'b + a_i + g_t. Where cells are
missing g_t are constants of the equations, less their mean, and a_i = mean_t (r_it - g_t).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sm_alsgls.data.panel_layout import PanelLayout
from sm_alsgls.exceptions import DataRemovedError, NotApplicableError
from sm_alsgls.results.estimate import Estimate


def effects(estimate: Estimate, layout: PanelLayout) -> pd.Series:
    """Effects by unit or period; of both by ("entity" or "time", label).

    Raises
    ------
    NotApplicableError
        There are none.
    DataRemovedError
        They were swept out, and the data are gone.
    """
    if layout.effects is None:
        raise NotApplicableError(
            "the model has no effects; make it with effects='entity', 'time' or 'both'"
        )
    labels = estimate.labels
    if not layout.swept:
        at = labels.by_variable[str(layout.constant)]
        index = pd.Index(labels.equations, name=_called(layout, str(layout.equation_effects)))
        return pd.Series(estimate.params[at], index=index, name="effect")
    means = layout.means
    if means is None:
        raise DataRemovedError("the data were removed, and with them the means of the effects")
    found = [labels.params.index(c) if c in labels.params else -1 for c in means.columns]
    b = np.where(np.array(found) >= 0, estimate.params[found], 0.0)
    by_row = means.y_row - means.X_row @ b
    by_column = means.y_column - means.X_column @ b
    if layout.effects == "both":
        if layout.level:
            own = labels.by_variable[str(layout.constant)]
            by_column = np.concatenate([[0.0], estimate.params[own]])
        by_column = by_column - by_column.mean()
        by_row = by_row - means.shares @ by_column
    rows = pd.Series(by_row, index=pd.Index(means.rows, name=_called(layout, layout.independent)))
    if layout.effects != "both":
        return rows.rename("effect")
    columns = pd.Series(by_column, index=means.equations)
    other = str(layout.equation_effects)
    both = {layout.independent: rows, other: columns}
    return pd.concat(both, names=["effects", "label"]).rename("effect")


def _called(layout: PanelLayout, which: str) -> str:
    return layout.entity if which == "entity" else layout.time
