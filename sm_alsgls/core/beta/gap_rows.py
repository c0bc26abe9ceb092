"""H of cells of which some lie behind gaps: `sm_alsgls.core.beta.seen_rows`, of all rows at once.

With Omega = D + A A' and M = I + A' D^-1 A = L L' (`sm_alsgls.covariance.over_gaps`)

    H = B^-1 - V'V,     V = L^-1 A' D^-1 Q  (N r, P),     B = diag(d_j),

so that the routes are the same, but for V, whose rows hang together.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sm_alsgls.core.beta.kernel import MEMORY
from sm_alsgls.core.beta.seen_rows import SeenRows
from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.over_gaps import GapCovariance

Array = np.ndarray


class GapRows(SeenRows):
    """H of all cells, as a `Kernel`.

    Parameters
    ----------
    design : PerEquation
        Bases, zero in missing cells.
    seen : GapCovariance
    n_obs : int
    ridge : Ridge, optional
    """

    def __init__(
        self, design: PerEquation, seen: GapCovariance, n_obs: int, ridge: Ridge | None = None
    ) -> None:
        self.design, self.d, self._gaps = design, seen.cov.uniquenesses, seen
        self._r = seen.cov.rank
        self.normal = design.normal(seen, n_obs, ridge)
        self.closed = self._r == 0

    def costs(self) -> dict[str, float]:
        """Of the dense route V is formed as well."""
        out = super().costs()
        if 8.0 * self.design.P * self.design.n * self._r > MEMORY:
            out["dense"] = np.inf
        return out

    def matrix(self) -> Array:
        """H, of one V."""
        H = np.diag(self.design.expand(1.0 / self.d))
        V = self.half(slice(0, self.design.n))
        H -= V.T @ V
        return H

    def half(self, rows: slice) -> Array:
        """V, whose rows are those of all n."""
        return self._gaps.half(self._pieces(), self.design.P)

    def _pieces(self) -> Iterator[tuple[int, Array, slice]]:
        for equations, bases, at in self.design.tiles(64):
            p = bases.shape[1]
            for i, (j, Q) in enumerate(zip(equations, bases, strict=True)):
                yield int(j), Q.T, slice(at.start + i * p, at.start + (i + 1) * p)
