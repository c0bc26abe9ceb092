"""The effective first-stage F of many equations at once.

Of an equation with one endogenous regressor x, which its first stage misses by v, the excluded
instruments, exogenous regressors taken out, span B = [q O]: a direction of its first stage,
q = Q t, and the over-identifying ones (`sm_alsgls.core.instruments.design`). Where h is the row of
x in R^-1, beta = R^-1 gamma, t = h / |h|, as h'R is zero at exogenous regressors. Then
B'x = (q'x, 0 .. 0)', and with u = v / q'x = (Xt - Q) t,

    S = N / (N - q_j) sum_n u_n^2 b_n b_n',        effective F = 1 / tr S

(Montiel Olea and Pflueger 2013), where `sm_alsgls.core.instruments.effective_f` has an equation of
its own. Its critical value takes the eigenvalues of S.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from sm_alsgls.core.instruments.design import Instrumented

Array = np.ndarray

# Elements of bases that are weighted at once.
_CHUNK = 2**22


class Strengths(NamedTuple):
    """Of the equations with one endogenous regressor, in their order, (m,) each."""

    equations: Array
    effective: Array
    critical: Array


def strengths(design: Instrumented, tau: float = 0.10, level: float = 0.05) -> Strengths:
    """Effective F and its critical value, of every equation with one endogenous regressor.

    Parameters
    ----------
    design : Instrumented
        On all N rows.
    tau, level : float
        Share of the worst-case bias, and level.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.instruments.design import Instrumented
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.standard_normal((200, 2))
    >>> design = Instrumented([Z.sum(axis=1)[:, None] + rng.standard_normal((200, 1))], [Z])
    >>> found = strengths(design)
    >>> bool(found.effective[0] > found.critical[0])
    True
    """
    n, K = design.n, design.K
    single = np.array([int((~which).sum()) == 1 for which in design.exogenous])
    effective, critical = np.full(K, np.nan), np.full(K, np.nan)
    width = int(design.over.p.max()) + 1
    for js, over, _ in design.over.tiles(max(1, _CHUNK // (n * width))):
        some = np.flatnonzero(single[js])
        if not len(some):
            continue
        t = [_direction(design, int(j)) for j in js[some]]
        q = np.stack([design.basis(int(j)) @ v for j, v in zip(js[some], t, strict=True)])
        u = np.stack([design.face(int(j)) @ v for j, v in zip(js[some], t, strict=True)]) - q
        B = np.concatenate([q[:, None, :], over[some]], axis=1) * u[:, None, :]
        S = np.matmul(B, B.transpose(0, 2, 1)) * (n / (n - design.q[js[some]]))[:, None, None]
        trace = np.trace(S, axis1=1, axis2=2)
        values = np.linalg.eigvalsh(S)
        x = 1.0 / tau
        square = np.square(values).sum(axis=1) + 2.0 * x * trace * values[:, -1]
        degrees = trace**2 * (1.0 + 2.0 * x) / square
        effective[js[some]] = 1.0 / trace
        critical[js[some]] = special.chndtrix(1.0 - level, degrees, x * degrees) / degrees
    at = np.flatnonzero(single)
    return Strengths(at, effective[at], critical[at])


def _direction(design: Instrumented, j: int) -> Array:
    """t of the module, (p_j,)."""
    h = design.beta_map(j)[~design.exogenous[j]][0]
    return np.asarray(h / np.linalg.norm(h))
