"""A mixed model's predictions by n x n matrices, from the definition of a mean squared error."""

import numpy as np


def covariance(rows, G, s2):
    """V (n, n) of all rows of `Grouped`, one residual variance."""
    same = rows.codes[:, None] == rows.codes
    return np.where(same, rows.Z @ G @ rows.Z.T, 0.0) + s2 * np.eye(rows.nobs)


def weights(rows, G, s2, x, z, group):
    """The weights L (n,) of the best predictor of x'b + z'b_i; ``group`` None: of x'b."""
    Vi = np.linalg.inv(covariance(rows, G, s2))
    C = np.linalg.inv(rows.X.T @ Vi @ rows.X)
    of_b = C @ rows.X.T @ Vi
    L = x @ of_b
    if group is not None:
        cross = np.where(rows.codes == group, rows.Z @ G @ z, 0.0)
        L = L + cross @ Vi @ (np.eye(rows.nobs) - rows.X @ of_b)
    return L


def error(rows, G, s2, x, z, group):
    """E (L'y - x'b - z'b_i)^2 of these weights."""
    L = weights(rows, G, s2, x, z, group)
    own = L @ covariance(rows, G, s2) @ L
    if group is None:
        return own
    cross = np.where(rows.codes == group, rows.Z @ G @ z, 0.0)
    return own - 2.0 * L @ cross + z @ G @ z


def packed(G, s2):
    """Elements of the lower triangle, by rows, and s2."""
    return np.append(G[np.tril_indices(len(G))], s2)


def unpacked(a, q):
    """G and s2."""
    G = np.zeros((q, q))
    G[np.tril_indices(q)] = a[:-1]
    return G + np.tril(G, -1).T, a[-1]


def slopes(function, a):
    """Central differences of a function of the parameters (d,)."""
    step = 1e-4 * np.maximum(np.abs(a), 1e-2 * np.abs(a).max())
    return np.array(
        [
            (function(a + h * e) - function(a - h * e)) / (2.0 * h)
            for h, e in zip(step, np.eye(len(a)), strict=True)
        ]
    )
