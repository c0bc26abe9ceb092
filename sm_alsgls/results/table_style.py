"""How a table leaves: by whose column names, and as whose frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice
from sm_alsgls.border.labels import spell
from sm_alsgls.exceptions import MissingExtraError

STYLES = ("plain", "broom")
BACKENDS = ("pandas", "polars")

# What R's broom calls the columns of each kind of table; what it has not keeps its name.
TIDY = {
    "std_error": "std.error",
    "p_value": "p.value",
    "conf_low": "conf.low",
    "conf_high": "conf.high",
}
GLANCE = {
    "rsquared": "r.squared",
    "rsquared_adj": "adj.r.squared",
    "std_error": "sigma",
    "fvalue": "statistic",
    "f_pvalue": "p.value",
    "df_model": "df",
    "df_resid": "df.residual",
    "llf": "logLik",
    "aic": "AIC",
    "bic": "BIC",
}
AUGMENT = {
    "row": ".rownames",
    "group": ".group",
    "fitted": ".fitted",
    "resid": ".resid",
    "std_resid": ".std.resid",
    "unique_resid": ".unique.resid",
}


def presented(made: pd.DataFrame, broom: dict[str, str], style: str, backend: str) -> Any:
    """A table with the column names of ``style`` as a frame of ``backend``.

    Parameters
    ----------
    made : DataFrame
    broom : dict
        What broom calls its columns: `TIDY`, `GLANCE` or `AUGMENT`.
    style : {"plain", "broom"}
    backend : {"pandas", "polars"}
        In a frame of polars NaN is null.

    Raises
    ------
    OptionError
    MissingExtraError
        polars is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.results.table_style import TIDY, presented
    >>> presented(pd.DataFrame({"std_error": [0.1]}), TIDY, "broom", "pandas").columns.tolist()
    ['std.error']
    """
    style, backend = choice(style, "style", STYLES), choice(backend, "backend", BACKENDS)
    named = made.rename(columns=broom) if style == "broom" else made
    return _polars(named) if backend == "polars" else named


def _polars(made: pd.DataFrame) -> Any:
    try:
        import polars
    except ImportError as error:
        raise MissingExtraError(
            "backend=\"polars\" needs polars: pip install polars, or 'sm_alsgls[integrations]'"
        ) from error
    columns = {str(name): _values(made[name]) for name in made.columns}
    return polars.DataFrame(columns, nan_to_null=True)


def _values(column: pd.Series) -> Any:
    """Numbers and times as arrays; labels of other kinds as text, where they differ in kind."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufM":
        return column.to_numpy()
    values = column.tolist()
    one_kind = len({type(value) for value in values}) <= 1
    plain = one_kind and isinstance(next(iter(values), ""), (str, int))
    return values if plain else [spell(value) for value in values]
