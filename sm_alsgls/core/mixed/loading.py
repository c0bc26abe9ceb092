"""Derivatives of Gamma = A A' in loadings A (q, r), elements of A by rows."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def pull(A: Array, S: Array) -> Array:
    """2 S A, (q, r): tr(S dGamma) with dGamma = dA A' + A dA'."""
    return 2.0 * (S @ A)


def information(A: Array, W: Array) -> Array:
    """Sum of tr(W dG_js W dG_kt) = 2 (W_jk (A'WA)_st + (WA)_jt (WA)_ks), (q r, q r).

    O(m q^2 r^2): W dGamma is never formed.
    """
    m, q, r = len(W), *A.shape
    WA = np.matmul(W, A)
    inner = np.matmul(A.T, WA)
    first = (W.reshape(m, -1).T @ inner.reshape(m, -1)).reshape(q, q, r, r)
    flat = WA.reshape(m, -1)
    second = (flat.T @ flat).reshape(q, r, q, r)
    both = first.transpose(0, 2, 1, 3) + second.transpose(0, 3, 2, 1)
    return 2.0 * both.reshape(q * r, q * r)


def directions(A: Array) -> Array:
    """dGamma/dA_js = e_j a_s' + a_s e_j', (q r, q, q)."""
    q, r = A.shape
    out = np.zeros((q, r, q, q))
    at = np.arange(q)
    for s in range(r):
        out[at, s, at, :] += A[:, s]
        out[at, s, :, at] += A[:, s]
    return out.reshape(q * r, q, q)


def rotations(A: Array) -> Array:
    """A of each plane turned, (q r, r (r - 1) / 2)."""
    q, r = A.shape
    first, second = np.triu_indices(r, 1)
    out, number = np.zeros((q, r, len(first))), np.arange(len(first))
    out[:, first, number] = A[:, second]
    out[:, second, number] = -A[:, first]
    return out.reshape(q * r, len(first))


def contracted(w: Array, q: int, r: int) -> Array:
    """2 sum over s of w_(js)(ks), (q, q)."""
    return np.asarray(2.0 * np.einsum("jsks->jk", w.reshape(q, r, q, r)))
