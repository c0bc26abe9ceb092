"""Coefficients of very many equations as tables: one DataFrame, or a file written in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import file_name, flag, level
from sm_alsgls.exceptions import MissingExtraError, OptionError
from sm_alsgls.progress import counted
from sm_alsgls.results.many.covariance import bse, coefficient_df, law
from sm_alsgls.results.many.estimate import ManyEstimate
from sm_alsgls.results.table_style import GLANCE, TIDY, presented

Array = np.ndarray

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
    of = alpha if with_interval else None
    if path is None:
        made = piece(estimate, slice(0, estimate.neqs)).frame(of)
        return presented(made, TIDY, style, backend)
    target = file_name(path, "path")
    pieces = (presented(made, TIDY, style, "pandas") for made in _pieces(estimate, of))
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


class Piece(NamedTuple):
    """What a table of some equations' coefficients is made of, by whoever needs it.

    Attributes
    ----------
    terms : DataFrame
        Equation and term.
    estimate, errors : ndarray
    df : ndarray or None
        Degrees of freedom of the t statistics; None where these are normal.
    """

    terms: pd.DataFrame
    estimate: Array
    errors: Array
    df: Array | None

    def frame(self, alpha: float | None) -> pd.DataFrame:
        """One row per coefficient, with the interval of level 1 - ``alpha`` unless that is None."""
        b, errors = self.estimate, self.errors
        dist = stats.norm if self.df is None else stats.t(self.df)
        made = self.terms.copy(deep=False)
        made["estimate"], made["std_error"] = b, errors
        made["statistic"] = t = b / errors
        made["p_value"] = 2.0 * dist.sf(np.abs(t))
        if alpha is not None:
            half = dist.ppf(1.0 - alpha / 2.0) * errors
            made["conf_low"], made["conf_high"] = b - half, b + half
        return made


def piece(estimate: ManyEstimate, equations: slice) -> Piece:
    """Of consecutive equations."""
    at = estimate.labels.flat(equations)
    df = coefficient_df(estimate)[at] if estimate.use_t else None
    terms = estimate.labels.some_terms(equations)
    return Piece(terms, estimate.params[at], bse(estimate)[at], df)


def _pieces(estimate: ManyEstimate, alpha: float | None) -> Iterator[pd.DataFrame]:
    for start in counted(range(0, estimate.neqs, _PIECE), "table", unit="piece"):
        yield piece(estimate, slice(start, start + _PIECE)).frame(alpha)


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
