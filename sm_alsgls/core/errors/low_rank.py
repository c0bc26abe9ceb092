"""Which law a system has whose Sigma is low rank plus diagonal: that of the cells it has."""

from __future__ import annotations

from sm_alsgls.core.errors.base import Errors
from sm_alsgls.core.errors.complete import CompleteErrors
from sm_alsgls.core.errors.observed import ObservedErrors
from sm_alsgls.core.rows.same_products import Rows


def low_rank(rows: Rows) -> Errors:
    """`CompleteErrors` of rows that are whole, else `ObservedErrors`."""
    if rows.patterns is None:
        return CompleteErrors(rows.Y.shape[1], rows.n_obs)
    return ObservedErrors(rows.patterns)
