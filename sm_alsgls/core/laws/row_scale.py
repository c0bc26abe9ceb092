"""Multiplicative heteroscedasticity as a filter: rows, or cells, with scales of their own.

    e_n ~ N(0, h_n Sigma),    h_n = exp(z_n' delta),    T = diag(h_n^-1/2)

(Harvey 1976, Econometrica 44), z centred, so that Sigma is that of a row of mean z. Where z differs
between the cells of a row, T e_n = (e_nj h_nj^-1/2)_j ~ N(0, Sigma). log|det T|, minus half the sum
of log h over cells, is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.laws.row_weights import spread
from sm_alsgls.covariance.base import RowCovariance
from sm_alsgls.exceptions import ShapeError

Array = np.ndarray

# Most that a scale is from 1, in logs: e^40 is the square root of what a sum of squares can hold.
_MOST = 40.0
# log of a chi-square of one degree has this mean.
_LOG_CHI = -1.2703628454614782


class Centred(NamedTuple):
    """z less its mean over the cells there are.

    Attributes
    ----------
    z : ndarray, shape (N, 1, m) or (N, K, m)
    weight : ndarray, shape (N, 1) or (N, K)
        Cells that each of its rows, or cells, stands for.
    centre : ndarray, shape (m,)
        The mean.
    """

    z: Array
    weight: Array
    centre: Array


def centred(z: Array, K: int, mask: Array | None = None) -> Centred:
    """Center z (N, m) of rows or (N, K, m) of cells; ``mask`` says which cells there are.

    Raises
    ------
    ShapeError
    """
    z = np.asarray(z, dtype=float)
    if z.ndim == 2:
        z = z[:, None, :]
    if z.ndim != 3 or z.shape[1] not in (1, K):
        raise ShapeError(f"z must be (N, m) or (N, {K}, m), got {z.shape}")
    weight = np.full((len(z), 1), float(K)) if z.shape[1] == 1 else np.ones((len(z), K))
    if mask is not None:
        weight = mask.sum(axis=1)[:, None].astype(float) if z.shape[1] == 1 else mask * 1.0
        z = np.where(weight[:, :, None] > 0.0, z, 0.0)
    centre = np.einsum("nk,nkm->m", weight, z) / weight.sum()
    return Centred(z - centre, weight, centre)


class RowScale:
    """T of e_n ~ N(0, exp(z_n' delta) Sigma); see `RowFilter`.

    Parameters
    ----------
    z : ndarray, shape (N, m) or (N, K, m)
        Of rows, or of cells. Centred here, over the cells there are.
    K : int
    values : ndarray, shape (m,)
        delta.
    mask : ndarray of bool, shape (N, K), optional
        Cells that there are.
    names : tuple of str, optional

    Raises
    ------
    ShapeError
        z is of other rows or equations.

    Examples
    --------
    >>> import numpy as np
    >>> law = RowScale(np.log([[1.0], [4.0]]), 1, np.array([1.0]))
    >>> law.rows(np.ones((2, 1))).ravel()
    array([1.41421356, 0.70710678])
    """

    def __init__(
        self,
        z: Array,
        K: int,
        values: Array,
        *,
        mask: Array | None = None,
        names: tuple[str, ...] | None = None,
    ) -> None:
        self.K, self._mask = K, mask
        self._z, self._weight, _ = centred(z, K, mask)
        self._set(values, names)

    def _set(self, values: Array, names: tuple[str, ...] | None) -> None:
        self.values = np.array(values, dtype=float)
        self.values.setflags(write=False)
        m = self._z.shape[2]
        if self.values.shape != (m,):
            raise ShapeError(f"delta must have the {m} columns of z, got {self.values.shape}")
        self.names = names or tuple(f"delta[{i}]" for i in range(m))
        far = np.abs(self._z).max(axis=(0, 1))
        most = _MOST / np.where(far > 0.0, far, 1.0)
        self.bounds = np.column_stack([-most, most])
        self._log = self._z @ self.values
        self._root = np.exp(-0.5 * self._log)

    def __repr__(self) -> str:
        return f"RowScale({', '.join(f'{v:.4g}' for v in self.values)})"

    @property
    def z(self) -> Array:
        """z, centred, (N, 1, m) or (N, K, m)."""
        return self._z

    @property
    def scale(self) -> Array:
        """h, (N, 1) or (N, K)."""
        return np.exp(self._log)

    #: Every cell is of its own row.
    spread = None

    def through_spread(self, slope: Array) -> Array:
        """Zero."""
        return np.zeros(len(self.values))

    def at(self, values: Array) -> RowScale:
        """At another delta."""
        again = object.__new__(RowScale)
        again.K, again._mask = self.K, self._mask
        again._weight, again._z = self._weight, self._z
        again._set(values, self.names)
        return again

    def tied(self) -> RowScale:
        """Itself."""
        return self

    def guess(self, E: Array) -> RowScale:
        """By the regression of log e^2 of standardised cells on z, Harvey's two-step."""
        s = np.mean(np.square(E), axis=0)
        scaled = np.square(E) / np.where(s > 0.0, s, 1.0)
        seen = np.ones_like(scaled) if self._mask is None else self._mask * 1.0
        if self._z.shape[1] == 1:
            # A mean over a row before its log has less noise than the mean of logs.
            total = np.maximum(seen.sum(axis=1), 1.0)
            mean = np.sum(seen * scaled, axis=1) / total
            log = np.log(np.maximum(mean, 1e-10))[:, None]
        else:
            log = np.log(np.maximum(scaled, 1e-10)) - _LOG_CHI
        flat = (self._z * np.sqrt(self._weight)[:, :, None]).reshape(-1, len(self.values))
        target = ((log - log.mean()) * np.sqrt(self._weight)).ravel()
        delta = np.linalg.lstsq(flat, target, rcond=None)[0]
        return self.at(np.clip(delta, 0.5 * self.bounds[:, 0], 0.5 * self.bounds[:, 1]))

    # -- the filter ------------------------------------------------------------------------------

    #: Minus half the mean over rows of the sum of log h, which is zero as z is centred.
    log_jacobian = 0.0

    def rows(self, M: Array) -> Array:
        """M h^-1/2."""
        return self._seen(M * self._root)

    def inverse(self, M: Array) -> Array:
        """M h^1/2."""
        return self._seen(M / self._root)

    def variances(self, V: Array, then: Callable[[Array], Array] | None = None) -> Array:
        """V h."""
        scaled = self._seen(V / np.square(self._root))
        return scaled if then is None else spread([then], scaled)

    def covariances(self, C: Array) -> Array:
        """C_jl times the roots of h_j h_l."""
        return C / (self._root[:, :, None] * self._root[:, None, :])

    #: T is diagonal.
    back = rows

    def blocks(self, blocks: Sequence[Array]) -> list[Array]:
        """T_j X_j; one array stays one where rows have the scale."""
        known: dict[int, Array] = {}
        out = []
        for j, X in enumerate(blocks):
            if self._mask is not None:
                X = np.where(self._mask[:, j, None], X, 0.0)
            if self._root.shape[1] > 1:
                out.append(X * self._root[:, j, None])
                continue
            if id(X) not in known:
                known[id(X)] = X * self._root
            out.append(known[id(X)])
        return out

    # -- derivatives -----------------------------------------------------------------------------

    def gradient(self, E: Array, TE: Array, W: Array) -> Array:
        """Minus half the mean over rows of the sum of z w (T e) over cells."""
        own = W * TE
        if self._z.shape[1] == 1:
            own = own.sum(axis=1, keepdims=True)
        return -0.5 * np.einsum("nk,nkm->m", own, self._z) / len(E)

    def information(self, E: Array, cov: RowCovariance) -> Array:
        """Of rows sum z z' K / 2 at the truth: a quarter from the scores' squares, one expected."""
        m, TE = len(self.values), self.rows(E)
        slopes = [self._z[:, :, i] * TE for i in range(m)]
        solved = [cov.solve(A) for A in slopes]
        own = np.array([[np.vdot(A, B) for B in solved] for A in slopes])
        own += np.einsum("nk,nki,nkl->il", self._weight, self._z, self._z)
        return 0.25 * own / len(E)

    def solve(self, E: Array, cov: RowCovariance, v: Array) -> Array:
        """Of the few columns of z."""
        return np.linalg.solve(self.information(E, cov), v)

    def _seen(self, M: Array) -> Array:
        return M if self._mask is None else np.where(self._mask, M, 0.0)
