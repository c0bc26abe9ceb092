"""Row compression: the likelihood sees rows only through cross-products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def compress_rows(blocks: Sequence[Array], Y: Array) -> tuple[list[Array], Array]:
    """Replace N rows by as few as the likelihood can tell apart.

    Let M hold the q distinct columns of [X_1 .. X_K] and R be the triangular factor of [M Y].
    Then ``E'E`` of any residual E = Y - [X_j b_j] is unchanged when every column is replaced by
    its column of R, which has q + K rows. One Householder QR, never a Gram matrix: at an offset
    of 1e8 the Gram matrix loses the slope altogether, QR loses 1e-10.

    Parameters
    ----------
    blocks : sequence of ndarray
        K arrays (N, p_j).
    Y : ndarray, shape (N, K)

    Returns
    -------
    blocks, Y
        The arguments themselves when q + K > N / 2, where the factorisation costs as much as it
        saves, else arrays with q + K rows. The number of observations stays N: pass it on
        beside them.
    """
    N, K = Y.shape
    limit = N // 2 - K + 1
    if limit <= 0:
        return list(blocks), Y
    columns, order = _distinct_columns(blocks, limit)
    if columns is None:
        return list(blocks), Y
    q = len(columns)
    R: Array = np.linalg.qr(np.column_stack([*columns, Y]), mode="r")  # type: ignore[assignment]
    return [R[:, index] for index in order], R[:, q:]


def _distinct_columns(
    blocks: Sequence[Array], limit: int
) -> tuple[list[Array] | None, list[Array]]:
    """The distinct columns by value and each block's positions in them; None from ``limit`` on."""
    N = blocks[0].shape[0]
    probe = np.concatenate([X[[0, N // 2, N - 1]] for X in blocks], axis=1)
    # A lower bound of the count from three rows saves the pass over the data when it is hopeless.
    if len(set(map(bytes, np.ascontiguousarray(probe.T)))) >= limit:
        return None, []
    seen: dict[bytes, int] = {}
    columns: list[Array] = []
    order: list[Array] = []
    known: dict[int, Array] = {}
    for X in blocks:
        if id(X) in known:
            order.append(known[id(X)])
            continue
        index = np.empty(X.shape[1], dtype=np.intp)
        for i, column in enumerate(np.ascontiguousarray(X.T)):
            index[i] = seen.setdefault(column.tobytes(), len(columns))
            if index[i] == len(columns):
                columns.append(column)
                if len(columns) >= limit:
                    return None, []
        known[id(X)] = index
        order.append(index)
    return columns, order
