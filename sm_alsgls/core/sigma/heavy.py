"""Leading eigenpairs where an equation's uniqueness is next to nothing, and rows are few.

At a Heywood case a column of Z = E D^-1/2 / N^1/2 is 1e4 times as long as the others, and the
eigenvalues of Z Z' (n, n), in which it is everywhere, are wrong by rounding of the largest, 1e-8:
more than a step at the end changes. (Of Z'Z, K <= n, LAPACK finds all to their own rounding: it
has its large elements in a row and a column.) What is heavy (h) and the rest (l) come apart. With

    Z_h = Q R,    X' = R^-1 Q'Z_l,    Y = Z_l - Q Q'Z_l,    N = [-X' ; I],    T = [I ; X]

Z N = Y, so that on the orthonormal bases N (I + XX')^-1/2 and T (I + X'X)^-1/2, G = X'X,

    N'Z'ZN  ->  (I + XX')^-1/2 Y'Y (I + XX')^-1/2                        of the size of the rest
    T'Z'ZT  ->  (I + G)^1/2 R'R (I + G)^1/2 + (I + G)^-1/2 X'Y'YX (I + G)^-1/2           heavy
    T'Z'ZN  ->  (I + G)^-1/2 X'Y'Y (I + XX')^-1/2                        1e-4 where these are 1e8

and the last shifts an eigenvalue by its square over their distance, 1e-16: it is left out. With
G = W diag(g) W',  (I + XX')^-1/2 = I - X K X',  K = W diag(1 / (a (1 + a))) W',  a = (1 + g)^1/2.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.sigma.eigenpairs import leading

Array = np.ndarray

# Share of a heavy column's square that the heavy ones before it must leave.
_DEPENDENT = 1e-8


def pairs_apart(Z: Array, heavy: Array, r: int) -> tuple[Array, Array] | None:
    """The r leading eigenvalues, descending, and eigenvectors, of Z'Z.

    Parameters
    ----------
    Z : ndarray, shape (n, K)
    heavy : ndarray of bool, shape (K,)
        Columns that are 1e3 times as long as the others, and more.
    r : int

    Returns
    -------
    tuple or None
        (r,) and (K, r); None where more than r are heavy, or these depend on one another.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.sigma.heavy import pairs_apart
    >>> Z = np.array([[1e4, 1.0, 2.0], [0.0, 2.0, 1.0]])
    >>> values, _ = pairs_apart(Z, np.array([True, False, False]), 2)
    >>> [float(round(value, 6)) for value in values]
    [100000005.0, 5.0]
    """
    light = ~heavy
    h = int(np.count_nonzero(heavy))
    if h > min(r, len(Z)):
        return None
    Q, R = np.linalg.qr(Z[:, heavy])
    if not (np.square(np.diagonal(R)) > _DEPENDENT * np.square(R).sum(axis=0)).all():
        return None
    seen = Q.T @ Z[:, light]
    Xt = np.linalg.solve(R, seen)
    Y = Z[:, light] - Q @ seen
    g, W = np.linalg.eigh(Xt @ Xt.T)
    a = np.sqrt(1.0 + np.maximum(g, 0.0))
    root, inverse = (W * a) @ W.T, (W / a) @ W.T
    KXt = (W / (a * (1.0 + a))) @ (W.T @ Xt)

    V = np.empty((Z.shape[1], r))
    YX = Y @ Xt.T @ inverse
    B = R @ root
    large, w = np.linalg.eigh(B.T @ B + YX.T @ YX)
    V[heavy, :h] = inverse @ w[:, ::-1]
    V[light, :h] = Xt.T @ V[heavy, :h]

    Y -= (Y @ Xt.T) @ KXt
    small = np.empty(0)
    if r > h:
        small, left = leading(Y @ Y.T, r - h)
        y = (Y.T @ left) / np.sqrt(np.maximum(small, 1e-300))
        V[light, h:] = y - KXt.T @ (Xt @ y)
        V[heavy, h:] = -Xt @ V[light, h:]
    return np.concatenate([large[::-1], small]), V
