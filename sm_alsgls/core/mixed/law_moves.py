"""What a change of the residual law does to products of a group.

dR_a moves R^-1 by K_a = -R^-1 dR_a R^-1 = sum_k dw_k/da (pairs of term k), so that

    N'K_a N                     first products, N = [Z X y]: of products of rows, whatever the law
    N'K_a R K_b N               second ones
    tr(R^-1 dR_a R^-1 dR_b)     = -tr(K_a dR_b): sums over pairs, where all that K_a is not zero at
                                has one element of dR_b (`residual_laws.AtPairs`)

Where rows are independent, K_a R K_b has the weights dw_k/da dw_k/db / w_k of the same products.
Where a row depends on the one before it, R^-1 and K_a are tridiagonal in the order of rows and
K_a R K_b is full: H_b = R K_b N solves R^-1 H_b = K_b N, O(n (q + p)), and (K_a N)'H_b is summed
within groups. That needs the rows.

A further direction may be T = sum_ab c_ab d2R_ab, of a law whose R is not linear in theta:

    R^-1 T R^-1 = sum_ab c_ab ( K_a R K_b + K_b R K_a - d2(R^-1)_ab ).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.linalg import solveh_banded

from sm_alsgls.core.mixed.cross_products import summed_by_group
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.core.mixed.rows import MixedRows
from sm_alsgls.exceptions import NotApplicableError

Array = np.ndarray


class LawMoves:
    """Products of directions of R: those of theta and, where asked for, T.

    Parameters
    ----------
    fit : MixedFit
    rows : MixedRows, optional
        Of a law whose rows are dependent; without them there are first products alone.
    bent : ndarray, shape (law.size, law.size), optional
        c of the module, symmetric: T is the last direction.
    """

    def __init__(
        self, fit: MixedFit, rows: MixedRows | None = None, bent: Array | None = None
    ) -> None:
        law, theta = fit.law, fit.theta
        self._fit, self._rows, self.bent = fit, rows, bent
        self._w, self._slopes = law.weights(theta), law.slopes(theta)
        at = law.at_pairs(theta)
        moved = at.slopes
        if bent is not None:
            moved = np.concatenate([moved, np.tensordot(bent, at.curves, 2)[None]])
        counts = fit.profile.counts * law.sides
        #: tr(R^-1 dR_a), (number,).
        self.logs = moved @ (counts * self._w)
        #: tr(R^-1 dR_a R^-1 dR_b), (number, number); T with itself only where rows are independent.
        self.traces = np.zeros((len(moved), len(moved)))
        slopes = self._slopes
        if law.independent:
            # R is 1 / w.
            slopes = self._slopes = -(self._w**2) * moved
        self.traces[: len(slopes)] = -(slopes * counts) @ moved.T
        self.traces[:, : len(slopes)] = self.traces[: len(slopes)].T

    @property
    def number(self) -> int:
        """Directions."""
        return len(self.logs)

    def again(self, bent: Array) -> LawMoves:
        """The same with T."""
        return LawMoves(self._fit, self._rows, bent)

    def first(self, at: slice) -> Array:
        """N'K_a N of some groups, (some, number, c, c)."""
        C = self._fit.products.C[at]
        made = np.matmul(self._slopes, C.reshape(*C.shape[:2], -1))
        made = made.reshape(len(C), len(self._slopes), *C.shape[2:])
        if len(self._slopes) == self.number:
            return made
        width = self._chain.bent.shape[-1]
        return np.concatenate([made[:, :, :width, :width], self._chain.bent[at, None]], axis=1)

    def contracted(self, at: slice, w: Array) -> Array:
        """Sum of w_ab N'K_a R K_b N of some groups, (some, c, c), w symmetric."""
        if self._fit.law.independent:
            kept = np.einsum("ak,ab,bk->k", self._slopes, w, self._slopes) / self._w
            return np.tensordot(self._fit.products.C[at], kept, axes=(1, 0))
        return np.einsum("ab,majbk->mjk", w, self._chain.second[at], optimize=True)

    def traced(self, at: slice, M: Array) -> Array:
        """Sum over some groups of tr(M_i N'K_a R K_b N), (number, number), M (some, c, c)."""
        if self._fit.law.independent:
            width = M.shape[1]
            each = np.einsum("mkij,mij->k", self._fit.products.C[at, :, :width, :width], M)
            return np.asarray((self._slopes * each / self._w) @ self._slopes.T)
        width = M.shape[1]
        second = self._chain.second[at, :, :width, :, :width]
        return np.einsum("majbk,mjk->ab", second, M, optimize=True)

    @cached_property
    def _chain(self) -> _Chain:
        if self._rows is None:
            raise NotApplicableError(
                "products of rows do not have what second derivatives of autoregressive residuals "
                "need, which is made of the rows; keep them"
            )
        return _Chain(self._fit, self._rows, self._slopes, self.bent)


class _Chain:
    """Second products of rows that depend on those before them, N = [Z X]."""

    def __init__(self, fit: MixedFit, rows: MixedRows, slopes: Array, bent: Array | None) -> None:
        order = np.lexsort((rows.times, rows.codes))
        codes, index = rows.codes[order], rows.index[order]
        Z, X = rows.Z[order], rows.X[order]
        if rows.weights is not None:
            root = np.sqrt(rows.weights[order])[:, None]
            Z, X = Z * root, X * root
        N = fit.products.basis.working(Z, X, np.zeros(len(Z)))[:, :-1]
        law, theta, m = fit.law, fit.theta, fit.products.m
        pairs = _Tridiagonal(law, codes, index)
        inverse = pairs.of(law.weights(theta))
        moves = [pairs.of(slope) for slope in slopes]
        F = [_times(K, N) for K in moves]
        H = [_solved(inverse, one) for one in F]
        if bent is not None:
            curves = np.tensordot(bent, law.curves(theta), 2)
            T = _times(pairs.of(curves), N)
            for a, K in enumerate(moves):
                T -= 2.0 * _times(K, np.tensordot(bent[a], np.array(H), 1))
            #: N'K N of T's K, (m, q + p, q + p).
            self.bent = summed_by_group(N, T, codes, m)
            F.append(T)
            H.append(_solved(inverse, T))
        both = summed_by_group(np.hstack(F), np.hstack(H), codes, m)
        #: (m, number, q + p, number, q + p).
        self.second = both.reshape(m, len(F), N.shape[1], len(F), N.shape[1])


class _Tridiagonal:
    """Symmetric tridiagonal matrices of a law's weights, over rows in the order of groups."""

    def __init__(self, law: ResidualLaw, codes: Array, index: Array) -> None:
        self._pairs, self._n = law.pairs(codes, index), len(codes)

    def of(self, weights: Array) -> tuple[Array, Array]:
        """Diagonal (n,), and what is beside it (n - 1,)."""
        diagonal, beside = np.zeros(self._n), np.zeros(max(self._n - 1, 0))
        for (left, right), weight in zip(self._pairs, weights, strict=True):
            if left is right:
                diagonal[left] += weight
            else:
                beside[np.minimum(left, right)] += weight
        return diagonal, beside


def _times(K: tuple[Array, Array], N: Array) -> Array:
    """K N."""
    out = K[0][:, None] * N
    out[1:] += K[1][:, None] * N[:-1]
    out[:-1] += K[1][:, None] * N[1:]
    return out


def _solved(K: tuple[Array, Array], F: Array) -> Array:
    """K^-1 F."""
    band = np.zeros((2, len(K[0])))
    band[0], band[1, :-1] = K
    return np.asarray(solveh_banded(band, F, lower=True))
