"""Both faces of a design with instruments, beside the directions that all equations contain.

Directions C (n, m) with Q_j (Q_j'C) = Xt_j (Q_j'C) = C for all j, such as a constant that each
equation has among its exogenous regressors, part from the rest: with B_j as in
`sm_alsgls.core.design.beside` and Yt_j = Xt_j times the same columns, B_j'Yt_j = I and
C'Yt_j = 0, so that A and B of `sm_alsgls.core.instruments.iv` are Sigma^-1 x I, and the same of the
B_j and Yt_j.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sm_alsgls.core.design.beside import Beside, kept_by, tile_of
from sm_alsgls.core.instruments.design import Instrumented

Array = np.ndarray


class BesideFaces(Beside):
    """`Beside` of both faces of a design with instruments.

    Parameters
    ----------
    design : Instrumented
    """

    def __init__(self, design: Instrumented) -> None:
        def faces() -> Iterator[tuple[Array, Array]]:
            for equations, basis, at in design.tiles(tile_of(design)):
                yield basis, design.faces_at(at, len(equations))

        super().__init__(design, kept_by(faces, design.hat.in_all))
        self._faces = design

    def both(self, size: int) -> Iterator[tuple[Array, Array, Array]]:
        """Equations, B_j' and Yt_j' (k, p_j - m, n)."""
        for equations, basis, at in self._faces.tiles(size):
            face = self._faces.faces_at(at, len(equations))
            yield equations, self.beside(equations, basis), self.beside(equations, face)

    def faces_times(self, M: Array) -> Array:
        """All Yt_j' one upon the other, in the order of `rows`, times M (n, m): (P, m)."""
        out, at = np.empty((self.P, M.shape[1])), 0
        for _, _, face in self.both(tile_of(self._faces)):
            part = face.reshape(face.shape[0] * face.shape[1], self.n)
            np.matmul(part, M, out=out[at : at + len(part)])
            at += len(part)
        return out
