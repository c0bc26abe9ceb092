"""Roots of the weights of rows to predict: sqrt(w) e has the covariance Sigma.

Rows that were estimated from have their own; new ones those of the columns that ``weights=`` named
(`data.new_weights`), where the data have these, else 1. A cell without a weight, or of weight 0,
counts as 1.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.given import Laid
from sm_alsgls.results.new_rows import NewRows


def own_roots(estimate: Estimate) -> np.ndarray | None:
    """Of the rows that were estimated from, (N, K); None where all are 1."""
    cells = estimate.model.system.cells
    if not cells.weighted:
        return None
    root = np.broadcast_to(cells.root, (estimate.nobs, estimate.neqs))
    return np.where(root > 0.0, root, 1.0)


def new_roots(estimate: Estimate, rows: NewRows) -> np.ndarray | None:
    """Of new rows, (n, K), NaN where a weight is missing; None where all are 1.

    Of a long panel's data each of their rows has one, in all K columns.

    Raises
    ------
    NonFiniteError, OptionError
        A weight is infinite, or negative.
    """
    w = _weights(estimate, rows)
    return None if w is None else np.sqrt(np.where(w == 0.0, 1.0, w))


def laid_roots(estimate: Estimate, laid: Laid) -> tuple[np.ndarray, np.ndarray] | None:
    """The same of a table of rows of the system (T, K), and which cells have weight 0.

    A response of weight 0 is left out, as in a fit.
    """
    w = _weights(estimate, laid.everything)
    if w is None:
        return None
    if laid.everything.columns is None:
        out = np.ones(laid.there.shape)
        for piece in laid.everything.pieces:
            out[laid.codes[piece.at], piece.j] = w[piece.at, piece.j]
        w = out
    return np.sqrt(np.where(w == 0.0, 1.0, w)), w == 0.0


def _weights(estimate: Estimate, rows: NewRows) -> np.ndarray | None:
    made = estimate.model.new_weights
    w = None if made is None or rows.data is None else made.of(rows.data)
    return None if w is None else np.broadcast_to(w, (len(rows.index), estimate.neqs))
