"""Variables that a formula without a left side makes of the data, one row for each of theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.exceptions import FormulaError
from sm_alsgls.formula.data import read_data
from sm_alsgls.formula.engine import evaluate_right


def variables(text: str, data: pd.DataFrame, scope: dict[str, Any], argument: str) -> pd.DataFrame:
    """The columns of ``text``, "~ z1 + log(z2)", without its constant; NaN where one is missing.

    Raises
    ------
    FormulaError

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"z": [1.0, 2.0]}, index=["a", "b"])
    >>> variables("~ z", frame, {}, "row_scale")
         z
    a  1.0
    b  2.0
    """
    left, _, right = text.partition("~")
    if left.strip() or not right.strip():
        raise FormulaError(f"{argument}={text!r} must be a formula without a left side, '~ z'")
    read = read_data(data, text, scope)
    made = evaluate_right(argument, text, read, "drop").rhs
    kept = [column for column in made if not _constant(made[column])]
    if not kept:
        raise FormulaError(f"{argument}={text!r} has no variable; '~ z' explains variances by z")
    return made[kept].reindex(pd.RangeIndex(len(data))).set_axis(data.index)


def _constant(column: pd.Series) -> bool:
    return bool((np.asarray(column) == 1.0).all())
