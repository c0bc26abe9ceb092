"""Smaller models than a fit: without (some) random effects, or with a coefficient held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

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


def with_coefficient(products: CrossProducts, j: int, value: float) -> CrossProducts:
    """Products of y - value x_j, and of X without x_j.

    The columns left of X are Xw Tx[:, others] = (Xw Q) R; of x_j what is at right angles to Q is
    added to the working response, and what is not to what that is the residual of.
    """
    basis, q, p = products.basis, products.q, products.p
    others = [k for k in range(p) if k != j]
    Q, R = np.linalg.qr(basis.x[:, others])
    along = Q.T @ basis.x[:, j]
    away = float(basis.b0[j]) - value
    change = np.zeros((q + p + 1, q + p))
    change[:q, :q] = np.eye(q)
    change[q:-1, q:-1] = Q
    change[q:-1, -1] = away * (basis.x[:, j] - Q @ along)
    change[-1, -1] = 1.0
    C = np.matmul(change.T, np.matmul(products.C, change))
    b0 = basis.b0[others]
    if others:
        b0 = b0 + away * solve_triangular(R, along)
    return CrossProducts(
        C, products.pairs, products.rows, Basis(basis.z, R, b0), products.log_weights
    )
