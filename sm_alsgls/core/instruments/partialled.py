"""An equation's endogenous regressors and instruments, once its exogenous regressors are taken out.

With X = [Y X1], X1 (n, k) the exogenous regressors, which lie in the span of the instruments Z, and
M1 = I - X1 (X1'X1)^-1 X1', every statistic of instruments' strength is one of

    M1 Y (n, m)    and    W (n, L) orthonormal, of the span of M1 Z,

L = rank(Z) - k being the number of excluded instruments. The first stage Y = Z Pi + V has the
fitted values W C, C = W'Y, beside what X1 explains, and the residuals V = M1 Y - W C.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sm_alsgls.core.design.spans import conditions, is_rounding

Array = np.ndarray

# Singular value of unit columns below which there is none, as in `sm_alsgls.core.design.spans`.
_NONE = 1e-11


@dataclass(frozen=True, eq=False)
class Partialled:
    """What the instruments of one equation say of its endogenous regressors.

    Attributes
    ----------
    raw : ndarray, shape (n, m)
        The endogenous regressors as they came.
    basis : ndarray, shape (n, k)
        Orthonormal, of the exogenous regressors.
    Y : ndarray, shape (n, m)
        ``raw`` less what the exogenous regressors explain.
    W : ndarray, shape (n, L)
        Orthonormal, of the instruments less what the exogenous regressors explain.
    n_obs : int
        N, that of the rows which these n have the cross-products of.
    """

    raw: Array
    basis: Array
    Y: Array
    W: Array
    n_obs: int

    @property
    def m(self) -> int:
        """Endogenous regressors."""
        return int(self.Y.shape[1])

    @property
    def L(self) -> int:
        """Excluded instruments that are linearly independent."""
        return int(self.W.shape[1])

    @property
    def df(self) -> int:
        """Degrees of freedom of the first stage, N - k - L."""
        return self.n_obs - int(self.basis.shape[1]) - self.L

    @cached_property
    def C(self) -> Array:
        """First-stage coefficients of ``W``, (L, m)."""
        return np.asarray(self.W.T @ self.Y)

    @cached_property
    def V(self) -> Array:
        """First-stage residuals, (n, m)."""
        return np.asarray(self.Y - self.W @ self.C)

    def left(self, y: Array) -> Array:
        """What the exogenous regressors leave of ``y`` (n,) or (n, c)."""
        return np.asarray(y - self.basis @ (self.basis.T @ y))


def partial_out(X: Array, Z: Array, endogenous: Array, n_obs: int | None = None) -> Partialled:
    """Take the exogenous regressors of an equation out of the others and of its instruments.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Every regressor, of full column rank.
    Z : ndarray, shape (n, q)
        Every instrument; the exogenous regressors lie in their span, as columns or not.
    endogenous : ndarray of bool, shape (p,)
    n_obs : int, optional
        N, where the rows are fewer with the same cross-products. Default: n.

    Returns
    -------
    Partialled

    Notes
    -----
    O(n (p + q)^2). Columns of Z that the exogenous regressors explain, and combinations that other
    instruments do, are left out: `sm_alsgls.core.design.spans` has what counts as explained.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.instruments.partialled import partial_out
    >>> rng = np.random.default_rng(0)
    >>> one, z = np.ones((50, 1)), rng.standard_normal((50, 2))
    >>> x = z.sum(axis=1, keepdims=True) + rng.standard_normal((50, 1))
    >>> part = partial_out(np.hstack([one, x]), np.hstack([one, z]), np.array([False, True]))
    >>> part.L, part.m, part.df, np.allclose(part.W.sum(axis=0), 0.0)
    (2, 1, 47, True)
    """
    raw, own = X[:, endogenous], X[:, ~endogenous]
    length = np.linalg.norm(own, axis=0)
    basis, R = np.linalg.qr(own / np.where(length > 0.0, length, 1.0))
    size = np.linalg.norm(Z, axis=0)
    coordinates = basis.T @ Z
    # Twice: of a column far from zero the first leaves rounding that is not orthogonal.
    left = Z - basis @ coordinates
    left -= basis @ (basis.T @ left)
    rest = np.linalg.norm(left, axis=0)
    explained = is_rounding(rest, size, coordinates, conditions(np.ones(len(R)), np.linalg.pinv(R)))
    Y = raw - basis @ (basis.T @ raw)
    Y -= basis @ (basis.T @ Y)
    W = _orthonormal(left[:, ~explained] / rest[~explained])
    return Partialled(raw, basis, Y, W, len(X) if n_obs is None else n_obs)


def _orthonormal(M: Array) -> Array:
    """A basis of the span of columns of unit length."""
    Q, R = np.linalg.qr(M)
    if np.abs(np.diagonal(R)).min(initial=1.0) > 1e-4:
        return np.asarray(Q)
    U, s, _ = np.linalg.svd(M, full_matrices=False)
    return np.asarray(U[:, s > _NONE])
