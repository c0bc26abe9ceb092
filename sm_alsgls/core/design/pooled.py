"""Designs whose equations share coefficients, each of them held once.

    y_j = Z_j S_j c + W_j b_j + e_j,

c (m,) the coefficients that several equations share, S_j picks those that equation j has, b_j its
own. The parameters are theta = (c, b_1, .., b_K), P = m + sum_j (own of j), and no restriction ties
anything. Take the QR of each block with its own columns first,

    [W_j  Z_j] = [Q_j  U_j] [ R_j  .   ]
                            [ .    T_j ],

so that U_j spans what Z_j has beside W_j, and the QR of what shared columns have there, stacked,

    [ T_1 S_1 ; .. ; T_K S_K ] = C T,      C'C = I    (sum_j s_j, m).

With u = T c the fitted values of equation j are U_j C_j u + Q_j a_j; the flat coordinates are
g = (u, a_1, .., a_K), and `lift`, g -> (a_j, C_j u)_j, is an isometry into the gamma of the free
design. So the projection of Y is pooled least squares, and every kernel that walks over the
equations of a free design does so here between `lift` and its transpose `drop`: products with H
cost what they cost there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from sm_alsgls.core.design.base import Bread, Linear, PerEquation
from sm_alsgls.core.design.lifted import Lifted
from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled_variance import PooledVariance

Array = np.ndarray

# Own columns lead a basis where they have less than this share of its other directions.
_LEADS = 1e-12


class Pooling:
    """Equations share coefficients, as a `Binding`.

    Parameters
    ----------
    places : Places
    units : ndarray, shape (K,), optional
        c where coefficients are those of Y_j / c_j: shared ones are then of Z_j / c_j.
    """

    ridged = False

    def __init__(self, places: Places, units: Array | None = None) -> None:
        self.places, self._units = places, units

    def bind(self, free: PerEquation) -> PooledDesign:
        """The design in which each shared coefficient is held once."""
        return PooledDesign(free, self.places, self._units)

    def rescaled(self, c: Array, free: PerEquation) -> Pooling:
        """Of Y_j / c_j."""
        return Pooling(self.places, c if self._units is None else self._units * c)

    def units(self, c: Array, p: Array) -> Array:
        """1 of the shared coefficients, c_j of an equation's own."""
        own = c.repeat(self.places.own_counts)
        return np.concatenate([np.ones(self.places.m), own])


class PooledDesign(Lifted):
    """A design with shared coefficients; g and theta as the module says.

    Parameters
    ----------
    free : PerEquation
        The same equations with coefficients of their own.
    places : Places
    units : ndarray, shape (K,), optional
        As of `Pooling`.

    Attributes
    ----------
    free : PerEquation
        The same with bases whose first directions are those of own columns.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.design.per_equation import Design
    >>> rng = np.random.default_rng(0)
    >>> X = [np.column_stack([np.ones(20), rng.standard_normal(20)]) for _ in range(3)]
    >>> design = PooledDesign(Design(X), Places([np.array([-1, 0])] * 3))
    >>> g = design.from_params(np.array([0.5, 1.0, 2.0, 3.0]))
    >>> np.allclose(design.fitted(g)[:, 2], 3.0 + 0.5 * X[2][:, 1])
    True
    """

    def __init__(self, free: PerEquation, places: Places, units: Array | None = None) -> None:
        super().__init__(free if _leads(free, places) else free.turned(places.order), places.P)
        self.places, self.m, self._units = places, places.m, units
        start = np.array([self.free.equation_slice(j).start for j in range(self.K)])
        own = places.own_counts
        self._owner_own = np.arange(self.K).repeat(own)
        self._owner_shared = np.arange(self.K).repeat(self.p - own)
        self._own = start.repeat(own) + _counted(own)
        self._shared = (start + own).repeat(self.p - own) + _counted(self.p - own)
        raw = self._sizes()
        if units is not None:
            raw /= units[self._owner_shared][:, None]
        size = np.sqrt(np.square(raw).sum(axis=0))
        self._C, triangle = np.linalg.qr(raw / size)
        #: d c / d u, (m, m).
        self.shared_map: Array = np.linalg.inv(triangle) / size[:, None]

    def _sizes(self) -> Array:
        """T_j S_j of all equations, (sum_j s_j, m)."""
        out = np.zeros((len(self._shared), self.m))
        widths = self.p - self.places.own_counts
        start = np.cumsum(widths) - widths
        for s in map(int, np.unique(widths[widths > 0])):
            equations = np.flatnonzero(widths == s)
            number = np.stack([self.places.numbers[j] for j in equations])
            maps = np.stack(
                [self.free.beta_map(int(j))[self.places.shared[j], -s:] for j in equations]
            )
            size = np.abs(maps).max(axis=2, keepdims=True)
            rows = start[equations][:, None] + np.arange(s)
            out[rows[:, :, None], number[:, None, :]] = (
                np.linalg.inv(maps / size) / size[:, None, :, 0]
            )
        return out

    # -- as any design ---------------------------------------------------------------------------

    def lift(self, g: Array) -> Array:
        """The free gamma of ``g`` (P,), or of columns (P, k)."""
        out = np.empty((self.free.P, *g.shape[1:]))
        out[self._own], out[self._shared] = g[self.m :], self._C @ g[: self.m]
        return out

    def drop(self, gamma: Array) -> Array:
        """The transpose of `lift`."""
        return np.concatenate([self._C.T @ gamma[self._shared], gamma[self._own]])

    def diagonal(self, own: Array) -> Array:
        """That of H within equations: a shared coordinate has a mean of them, (P,)."""
        shared = np.square(self._C).T @ own[self._owner_shared]
        return np.concatenate([shared, own[self._owner_own]])

    def largest_norm(self, v: Array) -> float:
        """Largest norm of an equation's own part of ``v`` (P,), and of the shared part."""
        parts = np.bincount(self._owner_own, weights=np.square(v[self.m :]), minlength=self.K)
        return float(max(parts.max(initial=0.0), np.square(v[: self.m]).sum())) ** 0.5

    def variance(self, of_free: Callable[[PerEquation], Bread]) -> PooledVariance:
        """That of the own coefficients, bordered by the shared ones."""
        return PooledVariance(self, of_free)

    def carried(self, g: Array, c: Array, other: Linear) -> Array:
        """The g of c_j beta_j, for ``g`` of beta_j in an ``other`` scale of the design."""
        return self.drop(self.free.carried(other.lift(g), c, other.free))

    # -- parameters ------------------------------------------------------------------------------

    def columns(self, j: int) -> Array:
        """Where the p_j coefficients of equation j sit among the parameters."""
        return self.places.columns[j]

    def to_params(self, g: Array) -> Array:
        """theta (P,)."""
        beta = self.free.to_beta(self.lift(g))
        own = [b[at] for b, at in zip(beta, self.places.own, strict=True)]
        return np.concatenate([self.shared_map @ g[: self.m], *own])

    def from_params(self, theta: Array) -> Array:
        """The g of theta (P,)."""
        return self.from_beta([theta[at] for at in self.places.columns])

    def to_beta(self, g: Array) -> list[Array]:
        """The K coefficient vectors (p_j,), shared ones in each, over its unit if it has one."""
        if self._units is not None:
            return self.free.to_beta(self.lift(g))
        theta = self.to_params(g)
        return [theta[at] for at in self.places.columns]

    def from_beta(self, beta: Sequence[Array]) -> Array:
        """The g of coefficients given equation by equation; shared ones that differ are fitted."""
        return self.drop(self.free.from_beta(beta))

    @cached_property
    def slopes(self) -> Array:
        """d b / d u, (P - m, m): what own coefficients give up for shared ones."""
        out = np.empty((self.P - self.m, self.m))
        a = s = 0
        for j, positions in enumerate(self.places.own):
            o = len(positions)
            width = int(self.p[j]) - o
            out[a : a + o] = self.free.beta_map(j)[positions, o:] @ self._C[s : s + width]
            a, s = a + o, s + width
        return out

    def on_flat(self, R: Array) -> Array:
        """Combinations R theta, rows (k, P), as columns on g, (P, k)."""
        own = R[:, self.m :]
        shared = self.shared_map.T @ R[:, : self.m].T + self.slopes.T @ own.T
        out = np.concatenate([shared, np.empty((self.P - self.m, len(R)))])
        for at, corner in self._corners():
            out[self.m :][at] = corner.T @ own[:, at].T
        return out

    def on_own(self, G: Array) -> Array:
        """Combinations G a of the own coordinates, rows (k, P - m), as combinations of b."""
        out = np.empty_like(G)
        for at, corner in self._corners():
            out[:, at] = np.linalg.solve(corner.T, G[:, at].T).T
        return out

    def _corners(self) -> list[tuple[slice, Array]]:
        """Of equations that have own coefficients: where these are among b, and d b_j / d a_j."""
        found, start = [], 0
        for j, positions in enumerate(self.places.own):
            o = len(positions)
            if o:
                at = slice(start, start + o)
                found.append((at, self.free.beta_map(j)[positions, :o]))
            start += o
        return found

    @cached_property
    def own_design(self) -> PerEquation:
        """The own columns of each equation, none in some."""
        return self.free.leading(self.places.own)

    def stretched(self, stretch: Callable[[int], Array]) -> PooledDesign:
        """The design of blocks Q_j A_j^-1 R_j, A_j = ``stretch(j)`` in the gamma of ``free``."""
        return PooledDesign(self.free.stretched(stretch), self.places, self._units)


def _leads(free: PerEquation, places: Places) -> bool:
    """Whether the first directions of each basis are those of its own columns."""
    for j, (own, shared) in enumerate(zip(places.own, places.shared, strict=True)):
        if len(own) and len(shared):
            rows = free.beta_map(j)[shared]
            if np.any(np.abs(rows[:, : len(own)]) > _LEADS * np.abs(rows).max(axis=1)[:, None]):
                return False
    return True


def _counted(widths: Array) -> Array:
    """0, 1, .. within each of some groups."""
    return np.arange(widths.sum()) - (np.cumsum(widths) - widths).repeat(widths)
