"""Smaller models than a fit: without random effects, or without some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sm_alsgls.core.mixed.cross_products import Basis, CrossProducts

Array = np.ndarray


@dataclass(frozen=True)
class NoEffects:
    """G = 0, of q effects that are not there."""

    q: int
    any_basis = True
    rank = 0
    size = 0
    n_free = 0

    @property
    def low(self) -> Array:
        """None, (0,)."""
        return np.empty(0)

    def root(self, phi: Array) -> Array:
        """(q, 0)."""
        return np.zeros((self.q, 0))

    loadings = root

    def uniquenesses(self, phi: Array) -> Array:
        """0."""
        return np.zeros(self.q)

    def pull(self, phi: Array, S: Array) -> Array:
        """(0,)."""
        return np.empty(0)

    def information(self, phi: Array, W: Array) -> Array:
        """(0, 0)."""
        return np.empty((0, 0))

    def second(self, S: Array) -> Array:
        """(0, 0)."""
        return np.empty((0, 0))

    def rotations(self, phi: Array) -> Array:
        """None, (0, 0)."""
        return np.empty((0, 0))

    def contracted(self, w: Array) -> Array:
        """0."""
        return np.zeros((self.q, self.q))

    def directions(self, phi: Array) -> Array:
        """(0, q, q)."""
        return np.empty((0, self.q, self.q))

    def nearest(self, gamma: Array) -> Array:
        """(0,)."""
        return np.empty(0)


def without_effects(products: CrossProducts, kept: Sequence[int]) -> CrossProducts:
    """Products of the rows with some columns of Z only.

    The columns left are Zw Tz[:, kept] = (Zw Q) R: an orthonormal change of what there is, which
    costs no digit.
    """
    z, x = products.basis.z, products.basis.x
    Q, R = np.linalg.qr(z[:, list(kept)])
    q, c = products.q, products.C.shape[-1]
    change = np.zeros((c, len(kept) + c - q))
    change[:q, : len(kept)] = Q
    change[q:, len(kept) :] = np.eye(c - q)
    C = np.matmul(change.T, np.matmul(products.C, change))
    basis = Basis(R, x, products.basis.b0)
    return CrossProducts(C, products.pairs, products.rows, basis, products.log_weights)
