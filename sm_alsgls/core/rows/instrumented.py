"""Rows of a system with instruments, compressed together with these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.core.rows.same_products import Rows

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class InstrumentedRows(Rows):
    """`Rows` whose products with the instruments are kept as well.

    Attributes
    ----------
    instruments : list of ndarray
        K arrays (n, q_j): every instrument of an equation. Equal ones may be one object.
    """

    instruments: list[Array] = field(default_factory=list)


def instrumented_rows(
    cells: Cells, blocks: Sequence[Array], instruments: Sequence[Array], Y: Array
) -> InstrumentedRows:
    """The rows of regressors, instruments and responses, compressed where that saves work.

    Parameters
    ----------
    cells : Cells
        Complete, with weights of rows or none.
    blocks, instruments : sequence of ndarray
        K regressors (N, p_j) and instruments (N, q_j), of whole rows.
    Y : ndarray, shape (N, K)
    """
    K = len(blocks)
    made = cells.rows([*blocks, *instruments], Y)
    varying = None if made.varying is None else made.varying[:K]
    return InstrumentedRows(made.blocks[:K], made.Y, made.n_obs, made.one, varying, made.blocks[K:])
