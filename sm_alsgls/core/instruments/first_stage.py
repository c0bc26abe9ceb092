"""How much the instruments of an equation say of its endogenous regressors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from sm_alsgls.core.beta.robust import RowWeights
from sm_alsgls.core.instruments.partialled import Partialled
from sm_alsgls.core.instruments.scores import score_covariance

Array = np.ndarray

# What a projection may leave of ones that are spanned, over their length.
_SPANS = 1e-9


@dataclass(frozen=True, eq=False)
class Strength:
    """First-stage statistics of m endogenous regressors, arrays (m,); see `strength`.

    Attributes
    ----------
    rsquared, partial_rsquared, shea_rsquared : ndarray
    fvalue, f_pvalue : ndarray
        On (L, df).
    sanderson_windmeijer, sw_pvalue : ndarray
        On (L - m + 1, df); NaN where the equation is under-identified.
    L, df : int
    """

    rsquared: Array
    partial_rsquared: Array
    shea_rsquared: Array
    fvalue: Array
    f_pvalue: Array
    sanderson_windmeijer: Array
    sw_pvalue: Array
    L: int
    df: int


def strength(part: Partialled, one: Array | None = None) -> Strength:
    """First-stage statistics of one equation, for errors of one variance.

    With Y, W, C = W'Y and V = Y - W C of `Partialled`, exogenous regressors taken out, regressor i
    has

        R2          1 - |v_i|^2 / |x_i - mean|^2  (no mean where Z spans no constant)
        partial R2  |c_i|^2 / |y_i|^2
        Shea's R2   [(Y'Y)^-1]_ii / [(C'C)^-1]_ii
        F           (|c_i|^2 / L) / (|v_i|^2 / df)                          ~ F(L, df)
        SW          (|C d_i|^2 / (L - m + 1)) / (|V d_i|^2 / df)            ~ F(L - m + 1, df)

    d_i = (C'C)^-1 e_i / [(C'C)^-1]_ii takes out of regressor i what 2SLS finds of the other
    endogenous ones in it. Shea's and SW tell whether the instruments tell regressors apart: two
    regressors that the same combination of instruments explains have large F and small SW.

    Parameters
    ----------
    part : Partialled
        Rows may be compressed.
    one : ndarray, shape (n,), optional
        What stands for N ones. Default: ones.

    References
    ----------
    Shea (1997), Review of Economics and Statistics 79; Godfrey (1999), 81. Sanderson and Windmeijer
    (2016), Journal of Econometrics 190, 212-221.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.instruments.first_stage import strength
    >>> from sm_alsgls.core.instruments.partialled import partial_out
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.standard_normal((200, 4))
    >>> shared = Z.sum(axis=1)  # both regressors move with the same combination
    >>> X = np.column_stack([shared, shared]) + rng.standard_normal((200, 2))
    >>> found = strength(partial_out(X, Z, np.array([True, True])))
    >>> found.fvalue.round(1), found.sanderson_windmeijer.round(1)
    (array([245.2, 252.9]), array([1.7, 1.7]))
    """
    C, V, L, df, m = part.C, part.V, part.L, part.df, part.m
    total, rest, explained = _squares(part.Y), _squares(V), _squares(C)
    ones = np.ones(len(part.raw)) if one is None else one
    inside = part.basis @ (part.basis.T @ ones) + part.W @ (part.W.T @ ones)
    spans = np.linalg.norm(ones - inside) <= _SPANS * np.linalg.norm(ones)
    about = part.raw
    if spans:
        about = about - np.multiply.outer(ones, ones @ about / (ones @ ones))
    with np.errstate(divide="ignore", invalid="ignore"):
        F = (explained / L if L else np.full(m, np.nan)) / (rest / df if df > 0 else np.nan)
        rsquared = 1.0 - rest / _squares(about)
        shea, sw = _apart(part)
    return Strength(
        rsquared, explained / total, shea, F, _tail(F, L, df),
        sw, _tail(sw, L - m + 1, df), L, df,
    )  # fmt: skip


def robust_fvalue(part: Partialled, weights: RowWeights, factor: float = 1.0) -> Array:
    """Wald tests of the excluded instruments over L, (m,), for dependent or uneven rows.

    c_i' Cov(c_i)^-1 c_i / L, on F(L, df). Rows are all N of them; `score_covariance` has the rest.
    HC1 has ``factor`` N / df.
    """
    out = np.empty(part.m)
    for i in range(part.m):
        S = score_covariance(part.W, part.V[:, [i]], part.df, weights, factor)[0, 0]
        out[i] = part.C[:, i] @ np.linalg.solve(S, part.C[:, i]) / part.L
    return out


def _apart(part: Partialled) -> tuple[Array, Array]:
    """Shea's R2 and the conditional F, which see whether regressors are told apart."""
    m, L = part.m, part.L
    unknown = np.full(m, np.nan)
    if L < m or m == 0 or part.df < 1:
        return unknown, unknown
    # Of regressors of unit length, so that a small singular value is one of what they share.
    size = np.sqrt(_squares(part.Y))
    s, right = np.linalg.svd(part.C / size, full_matrices=False)[1:]
    if s[-1] == 0.0:
        return np.zeros(m), np.zeros(m)
    G = (right.T / s**2) @ right
    own = np.diagonal(G)
    Y, V = part.Y / size, part.V / size
    D = G / own
    rest = _squares(V @ D)
    return np.diagonal(np.linalg.inv(Y.T @ Y)) / own, part.df / (own * rest * (L - m + 1))


def _squares(M: Array) -> Array:
    return np.asarray(np.einsum("nm,nm->m", M, M))


def _tail(F: Array, num: int, denom: int) -> Array:
    if num < 1 or denom < 1:
        return np.full(len(F), np.nan)
    return np.asarray(special.fdtrc(num, denom, F))
