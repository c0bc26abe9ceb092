"""``DaskSURResults``: estimates of equations of dask arrays; what is large is lazy."""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np

from sm_alsgls.border.arguments import flag, level
from sm_alsgls.border.dask_inputs import is_dask
from sm_alsgls.exceptions import ShapeError
from sm_alsgls.results.many import tables
from sm_alsgls.results.many.results import ManySURResults
from sm_alsgls.results.table_style import TIDY, presented

Array = np.ndarray


class DaskSURResults(ManySURResults):
    """Results of `LowRankSUR` for dask arrays that are chunked along equations.

    Those of `ManySURResults`; residuals, fitted values and predictions are dask arrays (N, K)
    with the chunks of ``endog``, and `tidy` is a dask frame with a partition for each. Nothing of
    them is computed before it is asked for, and then where the chunks are.
    """

    @property
    def resid(self) -> Any:
        """Residuals y - X beta, a dask array (N, K) with the chunks of ``endog``."""
        endog, exog = self.estimate.held.arrays
        return endog - self._products(exog)

    @property
    def fittedvalues(self) -> Any:
        """Fitted values X beta, a dask array (N, K) with the chunks of ``endog``."""
        return self._products(self.estimate.held.arrays[1])

    def predict(self, exog: Any = None) -> Any:
        """Fitted values of new rows, as a dask array where ``exog`` is one.

        Parameters
        ----------
        exog : dask array (K, M, p), or what `ManySURResults.predict` takes, optional
            Regressors of all equations in M new rows, in the order of the fit's. Default: the
            rows of the fit.

        Returns
        -------
        dask array (M, K), or EquationColumns

        Raises
        ------
        ShapeError, OptionError
        """
        if exog is None:
            return self.fittedvalues
        if not is_dask(exog):
            return super().predict(exog)
        K, p = self.neqs, int(self.estimate.labels.p[0])
        if getattr(exog, "ndim", 0) != 3 or (exog.shape[0], exog.shape[2]) != (K, p):
            raise ShapeError(
                f"exog must be a dask array (K, M, p) of {K} equations and {p} regressors, got "
                f"shape {getattr(exog, 'shape', None)}"
            )
        return self._products(exog)

    def _products(self, exog: Any) -> Any:
        """X_j beta_j of every equation, (M, K), chunk by chunk."""
        da: Any = import_module("dask.array")

        exog = exog.rechunk({2: -1})
        beta = self.estimate.params.reshape(self.neqs, -1)
        coefficients = da.from_array(beta, chunks=(exog.chunks[0], -1))
        return da.blockwise(
            _product, "nk", exog, "knp", coefficients, "kp", dtype=float, concatenate=True
        )

    def tidy(
        self,
        conf_int: bool = True,
        alpha: float = 0.05,
        style: str = "plain",
        backend: str = "dask",
        *,
        path: Any = None,
    ) -> Any:
        """One row per coefficient, as a dask frame with a partition for each chunk of equations.

        Parameters
        ----------
        conf_int, alpha, style, path
            As those of `ManySURResults.tidy`.
        backend : {"dask", "pandas", "polars"}
            Whose frame it is.
        """
        if backend != "dask" or path is not None:
            backend = "pandas" if backend == "dask" else backend
            return super().tidy(conf_int, alpha, style, backend, path=path)
        dd: Any = import_module("dask.dataframe")

        made = _Table(level(alpha) if flag(conf_int, "conf_int") else None, style)
        cuts = np.concatenate([[0], np.cumsum(self.model.chunks)]).tolist()
        pieces = [tables.piece(self.estimate, slice(a, b)) for a, b in pairwise(cuts)]
        return dd.from_map(made, pieces, meta=made(pieces[0]).iloc[:0], enforce_metadata=False)


def _product(X: Array, beta: Array) -> Array:
    """Fitted values (n, k) of regressors (k, n, p) and coefficients (k, p)."""
    return np.asarray(np.matmul(X, beta[:, :, None])[:, :, 0].T)


class _Table:
    """What makes a partition, where it is computed."""

    def __init__(self, alpha: float | None, style: str) -> None:
        self.alpha, self.style = alpha, style

    def __call__(self, piece: tables.Piece) -> Any:
        return presented(piece.frame(self.alpha), TIDY, self.style, "pandas")
