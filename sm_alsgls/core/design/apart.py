"""Columns that are far from any combination of each other, as their correlations show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sm_alsgls.core.design.bases import least_eigenvalues

Array = np.ndarray

#: Number of a block, and of a column of it.
Place = tuple[int, int]

# Smallest eigenvalue of the Gram matrix of unit columns from which they are apart. Its rounding
# is N eps at most, and sqrt(1e-6) of a column is far more than any rule for spans takes for none.
_APART = 1e-6
# Columns that are looked at: the Gram matrix of more costs as much as the basis it would spare.
_FEW = 32
# Norms of columns whose squares are doubles with all their digits.
_LEAST, _LARGEST = 1e-150, 1e150
# Bytes of Gram matrices that are kept together.
_BYTES = 2**20


def apart(
    blocks: Sequence[Array], designs: Sequence[Array], asked: Sequence[Sequence[Place]]
) -> Array:
    """Which designs have independent columns, and in their span nothing that is asked for, (M,).

    With G the Gram matrix of the columns of [Z, x_1 .. x_c] at unit length, what of any one of them
    is orthogonal to the others has a length of at least sqrt(lambda_min(G)). True needs no basis;
    False says nothing: it is left open. Cost: O(N (q + c)^2), and no copy but one of [Z, x].

    Parameters
    ----------
    blocks : sequence of ndarray
        X_j (N, p_j).
    designs : sequence of ndarray
        M designs Z (N, q).
    asked : sequence of sequence of (int, int)
        Of each design the columns i of X_j that are asked for, (j, i).

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.design.apart import apart
    >>> Z = np.random.default_rng(0).standard_normal((9, 3))
    >>> X = np.column_stack([Z[:, 0] ** 2, Z.sum(axis=1)])
    >>> apart([X], [Z, Z], [[(0, 0)], [(0, 0), (0, 1)]])
    array([ True, False])
    """
    out = np.zeros(len(designs), dtype=bool)
    alike: dict[tuple[int, int], list[int]] = {}
    for m, (Z, places) in enumerate(zip(designs, asked, strict=True)):
        if Z.shape[1] + len(places) <= _FEW:
            alike.setdefault((len(Z), Z.shape[1] + len(places)), []).append(m)
    for (N, s), numbers in alike.items():
        columns = np.empty((s, N))
        at_once = max(1, _BYTES // (8 * s * s))
        for start in range(0, len(numbers), at_once):
            some = numbers[start : start + at_once]
            gram = np.empty((len(some), s, s))
            with np.errstate(over="ignore", invalid="ignore"):  # found out by `_smallest`
                for m, G in zip(some, gram, strict=True):
                    q = designs[m].shape[1]
                    columns[:q] = designs[m].T
                    for row, (j, i) in enumerate(asked[m], start=q):
                        columns[row] = blocks[j][:, i]
                    np.matmul(columns, columns.T, out=G)
            out[some] = _smallest(gram) >= _APART
    return out


def _smallest(gram: Array) -> Array:
    """As `least_eigenvalues` of Gram matrices at unit length, (m,); 0 without digits."""
    norm = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
    sound = ((norm > _LEAST) & (norm < _LARGEST)).all(axis=1)
    out = np.zeros(len(gram))
    unit = norm[sound]
    unit = unit[:, :, None] * unit[:, None, :]
    out[sound] = least_eigenvalues(gram[sound] / unit, _APART)
    return out
