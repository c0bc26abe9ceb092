"""Coefficients of very many equations as tables: one DataFrame, or a file written in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import file_name, flag, level
from sm_alsgls.exceptions import MissingExtraError, OptionError
from sm_alsgls.progress import counted
from sm_alsgls.results.many.covariance import bse, law
from sm_alsgls.results.many.estimate import ManyEstimate
from sm_alsgls.results.table_style import GLANCE, TIDY, presented

# Equations of a piece.
_PIECE = 50_000


def conf_int(estimate: ManyEstimate, alpha: float = 0.05) -> pd.DataFrame:
    """Confidence intervals (P, 2) of level 1 - ``alpha``, labelled by (equation, variable)."""
    alpha = level(alpha)
    half = law(estimate).ppf(1.0 - alpha / 2.0) * bse(estimate)
    low, high = estimate.params - half, estimate.params + half
    return pd.DataFrame({0: low, 1: high}, index=estimate.labels.terms, copy=False)


def tidy(
    estimate: ManyEstimate,
    conf_int: bool = True,
    alpha: float = 0.05,
    style: str = "plain",
    backend: str = "pandas",
    *,
    path: Any = None,
) -> Any:
    """One row per coefficient.

    Parameters
    ----------
    conf_int : bool
        With the interval of level 1 - ``alpha``.
    alpha : float
    style : {"plain", "broom"}
        "broom" names the columns as R's broom does.
    backend : {"pandas", "polars"}
        Whose frame it is.
    path : str or Path, optional
        Of a file, .csv or .parquet (which needs pyarrow), that is written in pieces of 50,000
        equations; None is then returned.

    Returns
    -------
    DataFrame or None
        Columns equation, term, estimate, std_error, statistic, p_value, conf_low, conf_high.
    """
    with_interval, alpha = flag(conf_int, "conf_int"), level(alpha)
    if path is None:
        made = _piece(estimate, slice(0, estimate.neqs), with_interval, alpha)
        return presented(made, TIDY, style, backend)
    target = file_name(path, "path")
    pieces = (
        presented(made, TIDY, style, "pandas") for made in _pieces(estimate, with_interval, alpha)
    )
    write = _WRITERS.get(target.suffix)
    if write is None:
        raise OptionError(f"path must end in {' or '.join(_WRITERS)}, got {target.name!r}")
    write(target, pieces)
    return None


def glance(estimate: ManyEstimate, style: str = "plain", backend: str = "pandas") -> Any:
    """One row for the whole fit, of one start."""
    row = {
        "nobs": estimate.nobs,
        "neqs": estimate.neqs,
        "rank": estimate.rank,
        "n_params": estimate.labels.P,
        "llf": estimate.llf,
        "nll_per_row": estimate.ending.nll,
        "aic": estimate.aic,
        "bic": estimate.bic,
        "df_model": estimate.df_model,
        "df_resid": estimate.df_resid,
        "converged": estimate.ending.converged,
        "sweeps": len(estimate.ending.trace) - 1,
        "starts": 1,
        "starts_at_best": 1,
        "cov_type": estimate.choice.cov_type,
    }
    return presented(pd.DataFrame([row]), GLANCE, style, backend)


def _pieces(estimate: ManyEstimate, intervals: bool, alpha: float) -> Iterator[pd.DataFrame]:
    for start in counted(range(0, estimate.neqs, _PIECE), "table", unit="piece"):
        yield _piece(estimate, slice(start, start + _PIECE), intervals, alpha)


def _piece(estimate: ManyEstimate, equations: slice, intervals: bool, alpha: float) -> pd.DataFrame:
    at = estimate.labels.flat(equations)
    b, errors, dist = estimate.params[at], bse(estimate)[at], law(estimate, at)
    made = estimate.labels.some_terms(equations)
    made["estimate"], made["std_error"] = b, errors
    made["statistic"] = t = b / errors
    made["p_value"] = 2.0 * dist.sf(np.abs(t))
    if intervals:
        half = dist.ppf(1.0 - alpha / 2.0) * errors
        made["conf_low"], made["conf_high"] = b - half, b + half
    return made


def _csv(path: Path, pieces: Iterator[pd.DataFrame]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        for i, piece in enumerate(pieces):
            piece.to_csv(file, index=False, header=i == 0)


def _parquet(path: Path, pieces: Iterator[pd.DataFrame]) -> None:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError as error:
        raise MissingExtraError("a .parquet file needs pyarrow: pip install pyarrow") from error
    writer = None
    try:
        for piece in pieces:
            made = pa.Table.from_pandas(piece, preserve_index=False)
            writer = ParquetWriter(path, made.schema) if writer is None else writer
            writer.write_table(made)
    finally:
        if writer is not None:
            writer.close()


_WRITERS = {".csv": _csv, ".parquet": _parquet}
