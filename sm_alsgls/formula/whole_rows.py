"""What must hold of the rows of formulas: numbers where they are meant, and rows that are whole."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sm_alsgls.border.names import listed
from sm_alsgls.exceptions import NonFiniteError
from sm_alsgls.formula.engine import Data, Part, factors
from sm_alsgls.formula.number_text import refuse_number_text, standing
from sm_alsgls.formula.text import mentioned


def check_left(complete: np.ndarray, parts: list[Part], used: Data, lags: bool) -> None:
    """Whether there are rows in which nothing that formulas name is missing.

    Raises
    ------
    NonFiniteError
    """
    if complete.any():
        return
    empty = [repr(part.text) for part in parts if not part.complete.any()]
    gone = used.frame.columns[used.frame.isna().all().to_numpy()]
    columns = mentioned(" ".join(part.text for part in parts), gone)
    raise NonFiniteError(
        f"No row is left; formulas without any complete row: {listed(empty) or 'none'}. "
        + (f"Columns without any value: {listed(map(repr, columns))}. " if columns else "")
        + "In "
        "center(), standardize() and splines one missing value makes all values missing: "
        "remove such rows first, with data.dropna()"
        + (", and lag what they make, lag(center(x))." if lags else ".")
    )


def refuse_texts(formulas: list[str], used: Data, time: str | None) -> None:
    """Text in place of numbers, among the columns that formulas use as they stand.

    Raises
    ------
    NumberTextError
    """
    dtypes = used.frame.dtypes.items()
    texts = [name for name, dtype in dtypes if pd.api.types.is_object_dtype(dtype)]
    names = dict.fromkeys(
        name
        for text in formulas
        if (mine := mentioned(text, texts))  # else it need not be read once more
        for code in factors(text)
        if (name := standing(code.strip("`"))) in mine
    )
    if isinstance(time, str) and time in texts:
        names[time] = time
    refuse_number_text(names, used.frame, used.labels)
