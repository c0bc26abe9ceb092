"""Means of responses where laws of the errors are part of them, and their derivatives.

The mean of row t of a table is A^-1 m_t, A = I - rho W where there is a spatial lag among
equations, else the identity, and m_tj is linear in the coefficients of equation j, with the
derivative z_tj:

    predictions   m_tj = x_tj'b_j,                            z_tj = x_tj
    forecasts     m_tj = x_tj'b_j + rho_j^h e_Nj,             z_tj = x_tj - rho_j^h x_Nj

(where neighbours are rows A^-1 acts on the columns of x). With D its derivatives in the laws'
parameters, of covariance C, and G = d b / d parameters, the variance of a combination with the
gradient (g, d) is

    g'V g + 2 g'G C d + d'C d

(V, G C: the covariance of the coefficients and theirs with the parameters). Parameters on a bound
have no covariance and are taken as known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.estimate import Estimate

# Coefficients up to which V is made whole, and elements of gradients at a time.
DENSE, _CHUNK = 4_000, 2**22


@dataclass(frozen=True, eq=False)
class RowMeans:
    """Means of the cells (T, K) of a table, and the variances of their estimates.

    Attributes
    ----------
    estimate : Estimate
    designs : list of ndarray (T, p_j)
        z; NaN in cells of which no mean is known.
    mean : ndarray, shape (T, K)
    mix : ndarray, shape (K, K), or None
        A^-1 where equations are neighbours.
    slopes : ndarray, shape (T, K, m), or None
        D, of the means; None: they are zero.
    """

    estimate: Estimate
    designs: list[np.ndarray]
    mean: np.ndarray
    mix: np.ndarray | None = None
    slopes: np.ndarray | None = None

    def gradient(self, t: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Of the combinations c (n, K) of the means of rows t (n,), in the parameters, (n, P)."""
        weights = c if self.mix is None else c @ self.mix
        flat, owner = self._flat
        return self.estimate.labels.gather(weights[:, owner] * flat[t])

    @cached_property
    def _flat(self) -> tuple[np.ndarray, np.ndarray]:
        """All designs side by side (T, sum p_j), zero where not known, and whose each column is."""
        flat = np.concatenate([np.where(np.isnan(X), 0.0, X) for X in self.designs], axis=1)
        return flat, np.repeat(np.arange(len(self.designs)), [X.shape[1] for X in self.designs])

    @cached_property
    def _whole(self) -> np.ndarray | None:
        """V, (P, P); None where it is too large."""
        if self.estimate.labels.P > DENSE:
            return None
        return covariance(self.estimate).dense()

    def __getstate__(self) -> dict[str, Any]:
        """Without what is soon made again."""
        return {k: v for k, v in vars(self).items() if k not in ("_flat", "_whole")}

    def _of_laws(self, t: np.ndarray, c: np.ndarray) -> np.ndarray | None:
        """d of combinations, (n, m)."""
        if self.slopes is None:
            return None
        D = self.slopes[t]
        return np.einsum("nk,nkm->nm", c, np.where(c[:, :, None] == 0.0, 0.0, D))

    def _known(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """C, zero where it is not known, and G."""
        laws = self.estimate.laws
        if laws is None or self.slopes is None:
            return None, None
        C = np.where(np.isfinite(laws.cov), laws.cov, 0.0)
        # With a covariance that is not known that of b is at given values.
        return C, laws.slopes if np.isfinite(laws.cov).all() else None

    def _more(self, g: np.ndarray, d: np.ndarray | None) -> np.ndarray | float:
        """2 g'G C d + d'C d, (n,)."""
        C, G = self._known()
        if C is None or d is None:
            return 0.0
        own = np.einsum("nm,nm->n", d @ C, d)
        return own if G is None else own + 2.0 * np.einsum("nm,nm->n", (g @ G) @ C, d)

    def of_combinations(self, t: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Variances (n,) of combinations c (n, K) of the means of rows t (n,).

        O(P^2) each with V whole; beyond P = 4,000 a linear solve each.
        """
        operator, P, V = covariance(self.estimate), self.estimate.labels.P, self._whole
        step = max(1, (_CHUNK if V is not None else 128 * P) // P)
        out = np.empty(len(t))
        for start in range(0, len(t), step):
            at = slice(start, start + step)
            g = self.gradient(t[at], c[at])
            if V is not None:
                own = np.einsum("np,np->n", g @ V, g)
            else:
                own = np.diagonal(operator.combinations(g))
            out[at] = own + self._more(g, self._of_laws(t[at], c[at]))
        return out

    def variances(self, wanted: np.ndarray) -> np.ndarray:
        """Of the means of the ``wanted`` cells (T, K), NaN elsewhere."""
        out, labels = np.full(wanted.shape, np.nan), self.estimate.labels
        K = labels.K
        for j in np.flatnonzero(wanted.any(axis=0)).tolist():
            t = np.flatnonzero(wanted[:, j] & np.isfinite(self.mean[:, j]))
            one = np.zeros((len(t), K))
            one[:, j] = 1.0
            if self.mix is not None:
                out[t, j] = self.of_combinations(t, one)
                continue
            # x'Vx by the equation's block; a two-way clustered V can make it negative.
            X = self.designs[j][t]
            own = np.einsum("np,np->n", X @ covariance(self.estimate).block(j), X)
            C, G = self._known()
            d = self._of_laws(t, one)
            if C is not None and d is not None:
                own = own + np.einsum("nm,nm->n", d @ C, d)
                if G is not None:
                    own = own + 2.0 * np.einsum("nm,nm->n", (X @ G[labels.columns(j)]) @ C, d)
            out[t, j] = own
        return out

    def joint(self, t: int, equations: np.ndarray) -> np.ndarray:
        """Covariance (m, m) between the means of some equations in row t; NaN without a mean."""
        m = len(equations)
        c = np.zeros((m, self.estimate.labels.K))
        c[np.arange(m), equations] = 1.0
        at = np.full(m, t)
        there = np.flatnonzero(np.isfinite(self.mean[t, equations]))
        out = np.full((m, m), np.nan)
        g = self.gradient(at[there], c[there])
        value = covariance(self.estimate).combinations(g)
        d, (C, G) = self._of_laws(at[there], c[there]), self._known()
        if C is not None and d is not None:
            value = value + d @ C @ d.T
            if G is not None:
                cross = (g @ G) @ C @ d.T
                value = value + cross + cross.T
        out[np.ix_(there, there)] = value
        return out
