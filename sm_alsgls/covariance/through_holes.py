"""A covariance whose precision is sparse, seen through holes: missing cells are integrated out.

Rows e_n = A y_n - (a mean) ~ N(0, Omega) of which y_n is observed in part: A is I where errors are
what is missing, I - rho W where neighbours' responses are. With Q = A' Omega^-1 A and m the missing
cells of row n, the likelihood of what is observed has

    -2 llf_n = min over y_m of e_n' Omega^-1 e_n + log|Omega| + log|Q_mm| - 2 log|A| + constant

(the log-Jacobian of A is told by whoever has A). The minimum is at

    y_m <- y_m - Q_mm^-1 (A' Omega^-1 e_n)_m,

the mean of what is missing given what is not, of covariance Q_mm^-1, and with e^ the row filled so

    M_n e_n = Omega^-1 e^_n,        M_n = Omega^-1 - Omega^-1 A_m Q_mm^-1 A_m' Omega^-1 ,

which is, for A = I, the inverse of Omega_oo with zeros around. Nothing of the observed cells'
covariance is formed: what Omega makes dense (neighbours of neighbours ..) Omega^-1 need not.

Second moments given what is observed are those of the filled rows and of ``extra`` rows, whose
products sum to that of Q_mm^-1 over rows; so every formula of whole rows that is quadratic in them
holds for both together, gradients of the likelihood included (Fisher's identity).

Cost: Q_mm and its Cholesky factor once a pattern, m^2 numbers; where K <= N from Q (K, K), else
from m columns of A.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.filled_rows import FilledRows
from sm_alsgls.covariance.holes import Group, groups
from sm_alsgls.covariance.observed import Conditional
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray
#: A sparse array of SciPy, whose stubs know too many kinds of them.
Sparse = Any

_CHUNK_BYTES = 2**25


class Holes:
    """Cells that are missing, and A; what does not change with Omega.

    Parameters
    ----------
    patterns : Patterns
    A : sparse array, shape (K, K), optional
        Default I.
    """

    def __init__(self, patterns: Patterns, A: Sparse | None = None) -> None:
        self.patterns, self.A = patterns, None if A is None else A.tocsr()
        self.groups = groups(patterns)
        self.small = patterns.K <= patterns.N
        #: Equations that some row lacks.
        self.lacking = np.flatnonzero(patterns.rows < patterns.N)

    @cached_property
    def stacks(self) -> list[tuple[list[Group], Array]]:
        """Groups that lack equally many equations, and what they lack (G, m): one call for them."""
        alike: dict[int, list[Group]] = {}
        for group in self.groups:
            alike.setdefault(group.missing.shape[1], []).append(group)
        return [(some, np.concatenate([g.missing for g in some])) for some in alike.values()]

    @property
    def counts(self) -> Array:
        """Rows that tell of each equation, (K,): a row that lacks j says nothing where A is I."""
        rows = self.patterns.rows
        return rows if self.A is None else np.full(self.patterns.K, self.patterns.N)

    def seen(self, cov: Covariance) -> ThroughHoles:
        """``cov`` as the observed cells see it."""
        return ThroughHoles(cov, self)

    def back(self, M: Array) -> Array:
        """M A of rows M (n, K): A' of each."""
        return M if self.A is None else np.asarray((self.A.T @ M.T).T)

    def forth(self, D: Array) -> Array:
        """D A' of rows of responses D (n, K)."""
        return D if self.A is None else np.asarray((self.A @ D.T).T)

    def columns(self, equations: Array) -> Array:
        """Some columns of A, as rows (m, K)."""
        if self.A is None:
            out = np.zeros((len(equations), self.patterns.K))
            out[np.arange(len(equations)), equations] = 1.0
            return out
        return np.asarray(self.A[:, equations].toarray()).T

    def masked(self, M: Array) -> Array:
        """Zero in missing cells, where A is I: there it is a rounding error."""
        return self.patterns.masked(M) if self.A is None else M


class _Blocks(NamedTuple):
    """Of a group: Q_mm^-1, and R with R'R = Q_mm^-1, (G, m, m); log|Q_mm| (G,)."""

    group: Group
    inverse: Array
    root: Array
    logdet: Array


class ThroughHoles(FilledRows):
    """Omega of rows with holes; see the module.

    Parameters
    ----------
    cov : Covariance
        Omega.
    holes : Holes

    Examples
    --------
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> from sm_alsgls.covariance.filtered import Filtered
    >>> ring = 0.5 * (np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1))
    >>> cov = Filtered(LowRankDiag.diagonal([1.0, 2.0, 1.0, 2.0]), np.eye(4) - 0.5 * ring)
    >>> mask = np.array([[True, True, False, True]])
    >>> seen = ThroughHoles(cov, Holes(Patterns(mask)))
    >>> E = np.array([[1.0, 2.0, 0.0, 3.0]])
    >>> W = np.linalg.solve(cov.to_dense()[np.ix_([0, 1, 3], [0, 1, 3])], [1.0, 2.0, 3.0])
    >>> bool(np.allclose(seen.solve(E)[0, [0, 1, 3]], W))
    True
    """

    def __init__(self, cov: Covariance, holes: Holes) -> None:
        super().__init__(cov, holes.patterns, holes.counts)
        self._holes = holes

    # -- blocks of what is missing ---------------------------------------------------------------

    @cached_property
    def _Q(self) -> Array:
        """A' Omega^-1 A (K, K), where rows are no fewer than equations."""
        half = self._holes.columns(np.arange(self.patterns.K))
        Q = self._holes.back(self.cov.solve(half))
        return 0.5 * (Q + Q.T)

    def _of(self, missing: Array) -> Array:
        """Q_mm (G, m, m) of patterns' missing cells (G, m)."""
        if self._holes.small:
            return self._Q[missing[:, :, None], missing[:, None, :]]
        out = np.empty((*missing.shape, missing.shape[1]))
        for g, at in enumerate(missing):
            T = self._holes.columns(at)
            Q = T @ self.cov.solve(T).T
            out[g] = 0.5 * (Q + Q.T)
        return out

    @cached_property
    def _blocks(self) -> list[_Blocks]:
        out = []
        for these, missing in self._holes.stacks:
            L = np.linalg.cholesky(self._of(missing))
            root = np.linalg.inv(L)
            logdet = 2.0 * np.log(np.einsum("gmm->gm", L)).sum(axis=1)
            inverse, start = root.swapaxes(1, 2) @ root, 0
            for group in these:
                part = slice(start, start + len(group.missing))
                out.append(_Blocks(group, inverse[part], root[part], logdet[part]))
                start = part.stop
        return out

    def missing(self, E: Array) -> Array:
        """What is added to responses in missing cells, (N, K); zero elsewhere."""
        pull, out = self._holes.back(self.cov.solve(E)), np.zeros(E.shape)
        for one in self._blocks:
            rows, at = one.group.rows[:, :, None], one.group.missing[:, None, :]
            out[rows, at] = -(pull[rows, at] @ one.inverse)
        return out

    def filled(self, E: Array) -> Array:
        """Rows e^ of rows E (N, K)."""
        return E + self._holes.forth(self.missing(E))

    def directions(self) -> Iterator[Array]:
        """Rows (n, K) in responses, whose products sum to those of Q_mm^-1 over rows."""
        holes, K = self._holes, self.patterns.K
        size = sum(group.missing.size for group in holes.groups)
        if holes.small and size > len(holes.lacking):
            C = np.zeros(K * K)
            for one in self._blocks:
                at = one.group.missing
                pairs = (at[:, :, None] * K + at[:, None, :]).ravel()
                C += one.group.rows.shape[1] * np.bincount(pairs, one.inverse.ravel(), K * K)
            C, lacking = C.reshape(K, K), holes.lacking
            out = np.zeros((len(lacking), K))
            out[:, lacking] = np.linalg.cholesky(C[np.ix_(lacking, lacking)]).T
            yield out
            return
        for one in self._blocks:
            G, m = one.group.missing.shape
            root = math.sqrt(one.group.rows.shape[1]) * one.root
            step = max(1, _CHUNK_BYTES // (8 * m * K))
            for start in range(0, G, step):
                part = slice(start, min(G, start + step))
                out = np.zeros((part.stop - start, m, K))
                np.put_along_axis(out, one.group.missing[part, None, :], root[part], axis=2)
                yield out.reshape(-1, K)

    def extra(self) -> Iterator[Array]:
        """The same rows as those of e, through A."""
        return map(self._holes.forth, self.directions())

    def solve(self, M: Array) -> Array:
        """Rows M_n m_n, (N, K)."""
        return self._holes.masked(super().solve(M))

    def logdet(self) -> float:
        """Sum over rows of log|Omega| + log|Q_mm|."""
        own = sum(one.group.rows.shape[1] * float(one.logdet.sum()) for one in self._blocks)
        return self.patterns.N * self.cov.logdet() + own

    # -- row by row ------------------------------------------------------------------------------

    def precisions(self) -> Iterator[tuple[Array, Array]]:
        """Rows of a pattern and their M_n (K, K), pattern by pattern."""
        P = self.cov.solve(np.eye(self.patterns.K))
        P = 0.5 * (P + P.T)
        whole = np.flatnonzero(self.patterns.mask.all(axis=1))
        if len(whole):
            yield whole, P
        for one in self._blocks:
            for rows, at, root in zip(*one.group, one.root, strict=True):
                half = root @ (self._holes.columns(at) @ P)
                yield rows, self._cut(P - half.T @ half, at)

    def _cut(self, P: Array, missing: Array) -> Array:
        if self._holes.A is None:
            P[missing], P[:, missing] = 0.0, 0.0
        return P

    def information(self, blocks: Sequence[Array]) -> Array:
        """Sum over rows of x_n M_n x_n', (P, P), of designs (N, p_j) side by side."""
        owner = np.repeat(np.arange(len(blocks)), [X.shape[1] for X in blocks])
        H = np.zeros((len(owner), len(owner)))
        for rows, precision in self.precisions():
            X = np.concatenate([B[rows] for B in blocks], axis=1)
            H += (X.T @ X) * precision[np.ix_(owner, owner)]
        return H

    def conditional(self, E: Array) -> Conditional:
        """Every cell given the other observed cells of its row, for A = I.

        A missing cell has the mean that fills it and its variance in Q_mm^-1; an observed one,
        left out, mean e_nj - w_nj / (M_n)_jj and variance 1 / (M_n)_jj.
        """
        mean, solved = self.filled(E), self.solve(E)
        variance = np.empty(E.shape)
        for rows, precision in self.precisions():
            seen = self.patterns.mask[rows[0]]
            own = np.where(seen, np.diagonal(precision), 1.0)
            variance[rows] = 1.0 / own
            mean[rows] = np.where(seen, E[rows] - solved[rows] / own, mean[rows])
        for one in self._blocks:
            at = one.group.rows[:, :, None], one.group.missing[:, None, :]
            variance[at] = np.einsum("gmm->gm", one.inverse)[:, None, :]
        return Conditional(mean, variance)

    def weights(self, rows: Array, equations: Array) -> Array:
        """What `conditional` multiplies the errors of its row with, for m cells, (m, K)."""
        out, K = np.zeros((len(rows), self.patterns.K)), self.patterns.K
        wanted = {int(n): np.flatnonzero(rows == n) for n in np.unique(rows)}
        for some, precision in self.precisions():
            at = np.concatenate([wanted.pop(int(n), np.empty(0, np.intp)) for n in some])
            if not len(at):
                continue
            seen = self.patterns.mask[some[0]]
            lacking, j = np.flatnonzero(~seen), equations[at]
            own = np.where(seen, np.diagonal(precision), 1.0)
            part = -precision / own[:, None]
            if len(lacking):
                T = np.zeros((len(lacking), K))
                T[np.arange(len(lacking)), lacking] = 1.0
                Q = self.cov.solve(T)
                part[lacking] = -scipy.linalg.solve(Q[:, lacking], Q, assume_a="pos")
                part[:, lacking] = 0.0
            out[at] = part[j]
            out[at, j] = 0.0
        return out
