"""A ridge on coefficients, equation by equation, in the coordinates of a design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Ridge:
    """A block-diagonal penalty gamma' A gamma / 2 on the coefficients."""

    blocks: tuple[Array, ...]
    slices: tuple[slice, ...]
    P: int

    def apply(self, g: Array) -> Array:
        """A g, flat (P,)."""
        out = np.empty(self.P)
        for A, where in zip(self.blocks, self.slices, strict=True):
            v = g[where].reshape(A.shape[0], A.shape[1], 1)
            out[where] = np.matmul(A, v).reshape(-1)
        return out

    def diagonal(self) -> Array:
        """Diagonal of A, flat (P,)."""
        return np.concatenate([np.diagonal(A, axis1=1, axis2=2).reshape(-1) for A in self.blocks])

    def value(self, g: Array) -> float:
        """gamma' A gamma / 2."""
        return 0.5 * float(g @ self.apply(g))
