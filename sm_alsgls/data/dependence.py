"""Equations whose errors are linearly dependent, so that their covariance is singular.

Shares that add up to one, a total beside its parts, the same response twice: with the OLS
residuals e_j of length one as rows of E (K, n), some v has v'E = 0.

1. *Pairs* have the same direction in R^n, seen through two random projections: O(nK).
2. *Any set*, where K < N - p and K <= 256 (beyond, residuals are dependent anyway, or their K x K
   correlations cost more than a check should): a Cholesky factor of E E' has no pivot near zero,
   O(n K^2 + K^3/3); where it has, the smallest eigenvalue lambda decides and v names the members.
3. Else the two identities that occur, all equations adding up, and one being the sum of all
   others: O(nK).

Dependent means lambda < 1e-12, that is |v'E| < 1e-6 for |v| = 1: the sum is known to six digits
of the residuals that make it up. High correlations are not: 1 - |rho| of a pair is its lambda.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from sm_alsgls.core.problem import Problem
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import DuplicateEquationError

# Up to how many equations all correlations are looked at for pairs, and for sets.
_FEW, _SETS = 50, 256
# Smallest eigenvalue of correlations of residuals that are not dependent.
_LEAST = 1e-12
# A member of an identity has at least this share of its largest coefficient.
_MEMBER = 1e-5


def check_independent(system: System, problem: Problem) -> None:
    """No equation's OLS residuals are a combination of the others'.

    Raises
    ------
    DuplicateEquationError
        It names the members of one such combination.
    """
    K = problem.K
    if K < 2:
        return
    E, complete = _residuals(system, problem)
    length = np.sqrt(np.vecdot(E, E))
    if not length.all():
        return
    few = K <= _SETS
    # Of many equations no copy is made: what is made of them has lengths divided out.
    E, scale = (E / length[:, None], np.ones(K)) if few else (E, length)
    R = E @ E.T if K <= _FEW else None
    if R is None or np.abs(np.tril(R, -1)).max() >= 0.99:
        _check_pairs(system, E, scale)
    if K < 3 or not complete:
        return
    N, p = system.nobs, max(len(columns) for columns in system.columns)
    if K <= _SETS and K < N - p:
        members = dependent_set(E @ E.T if R is None else R)
    else:
        members = _adding_up(E, length, scale)
    if members is not None:
        names = [system.names[j] for j in members]
        shown = ", ".join(map(repr, names[:12]))
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        raise DuplicateEquationError(
            f"the residuals of equations {shown}{more} are linearly dependent (a combination of "
            "them is zero in every row, as of shares that add up to one or a total beside its "
            "parts), so their covariance is singular; drop one of them: for shares see 'Shares "
            "that add up' in the guide"
        )


def dependent_set(R: np.ndarray) -> np.ndarray | None:
    """Members of a linear dependence among variables with correlations R (K, K), or None.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.data.dependence import dependent_set
    >>> E = np.random.default_rng(0).standard_normal((5, 50))
    >>> E[3] = E[0] - 2 * E[1]
    >>> dependent_set(np.corrcoef(E))
    array([0, 1, 3])
    """
    L, stopped = lapack.dpotrf(R, lower=True, clean=False)
    # The last pivot of a dependent set is lambda / v_j^2, v_j its share of v: most have none.
    if not stopped and np.square(np.diagonal(L)).min() > 1e6 * _LEAST:
        return None
    values, V = np.linalg.eigh(R)
    null = V[:, values < _LEAST]
    if not null.shape[1]:
        return None
    # Of several identities one: eliminate a coefficient of each other.
    while null.shape[1] > 1:
        row, column = divmod(int(np.abs(null).argmax()), null.shape[1])
        pivot = null[:, column] / null[row, column]
        null = np.delete(null - np.outer(pivot, null[row]), column, axis=1)
    weight = np.abs(null[:, 0])
    return np.flatnonzero(weight > _MEMBER * weight.max())


def _residuals(system: System, problem: Problem) -> tuple[np.ndarray, bool]:
    """OLS residuals (K, n) without restrictions, and whether every row has all equations.

    Where cells are missing, those of the complete rows alone, if these are enough: an identity
    holds where all its members are seen.
    """
    rows = problem.rows
    if rows.patterns is None:
        return problem.E_free.T, True
    whole = rows.patterns.mask.all(axis=1)
    p = max(X.shape[1] for X in rows.blocks)
    if problem.K > _SETS or whole.sum() <= problem.K + p:
        return problem.E_ols.T, False
    known: dict[int, np.ndarray] = {}
    E = rows.Y[whole].T.copy()
    for j, X in enumerate(rows.blocks):
        if id(X) not in known:
            known[id(X)] = np.linalg.qr(X[whole])[0]
        Q = known[id(X)]
        E[j] -= Q @ (Q.T @ E[j])
    return E, True


def _check_pairs(system: System, E: np.ndarray, scale: np.ndarray) -> None:
    """Of residuals E (K, n) that are ``scale`` (K,) long."""
    z = np.random.default_rng(7).standard_normal((E.shape[1], 2))
    key = (z.T @ E.T).T / scale[:, None]
    key *= np.where(key[:, :1] < 0, -1.0, 1.0)
    order = np.argsort(key[:, 0], kind="stable")
    close = np.abs(np.diff(key[order], axis=0)).max(axis=1) < 1e-9
    for i in np.flatnonzero(close):
        j, el = sorted((int(order[i]), int(order[i + 1])))
        if 1.0 - abs(float((E[j] / scale[j]) @ (E[el] / scale[el]))) < _LEAST:
            raise DuplicateEquationError(
                f"equations {system.names[j]!r} and {system.names[el]!r} have the same residuals "
                "up to scale (perfectly correlated errors), so their covariance is singular; "
                "drop one of them"
            )


def _adding_up(E: np.ndarray, length: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
    """All equations, where their residuals add up to zero or one is the sum of the others.

    They are ``length`` (K,) long, as E (K, n) has them ``scale``.
    """
    least = np.sqrt(_LEAST) * np.sqrt(np.square(length).sum())
    total = (length / scale) @ E
    if np.sqrt(total @ total) < least:
        return np.arange(len(E))
    # total = e_k + (the others) = 2 e_k
    ahead = np.abs((E @ total) / scale - 2.0 * length)
    k = int(ahead.argmin())
    apart = total - 2.0 * length[k] / scale[k] * E[k]
    return np.arange(len(E)) if np.sqrt(apart @ apart) < least else None
