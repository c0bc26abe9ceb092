"""The effective first-stage F of many equations at once.

Of an equation with one endogenous regressor x, which its first stage misses by v, the excluded
instruments, exogenous regressors taken out, span B = [q O]: a direction of its first stage,
q = Q t, and the over-identifying ones (`sm_alsgls.core.instruments.design`). Where h is the row of
x in R^-1, beta = R^-1 gamma, t = h / |h|, as h'R is zero at exogenous regressors. Then
B'x = (q'x, 0 .. 0)', and with u = v / q'x = (Xt - Q) t,

    S = N / (N - q_j) sum_n u_n^2 b_n b_n',        effective F = 1 / tr S

(Montiel Olea and Pflueger 2013), where `sm_alsgls.core.instruments.effective_f` has an equation of
its own. With K degrees of freedom, which the eigenvalues of S give, it is below its critical value
where the distribution of a noncentral chi2 at K F, P(chi2_{K, xK} < K F), is below 1 - level: that
takes a tenth of what the quantile does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from sm_alsgls.core.instruments.design import Instrumented

Array = np.ndarray

# Elements of bases that are weighted at once: new memory would take as long as the work.
_CHUNK = 2**15


class Strengths(NamedTuple):
    """Of the equations with one endogenous regressor, in their order, (m,) each."""

    equations: Array
    effective: Array
    weak: Array


def strengths(design: Instrumented, tau: float = 0.10, level: float = 0.05) -> Strengths:
    """Effective F of every equation with one endogenous regressor, and whether it is too low.

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
    >>> found.effective.round(1), found.weak
    (array([234.7]), array([False]))
    """
    n, K = design.n, design.K
    told = ~np.concatenate(design.exogenous)
    single = np.add.reduceat(told, design.p.cumsum() - design.p, dtype=int) == 1
    effective, weak = np.full(K, np.nan), np.zeros(K, dtype=bool)
    # Columns q and u, (K, n), of the equations that are single; 0 of others.
    h = design.on_flat((told & single.repeat(design.p)).astype(float)[None])[:, 0]
    first, left = design.first_stage(h).T, design.fitted(h).T
    left -= first
    length = np.sqrt(np.vecdot(first, first))[:, None]
    width = int(design.over.p.max()) + 1
    for js, over, _ in design.over.tiles(max(1, _CHUNK // (n * width))):
        some = np.flatnonzero(single[js])
        if not len(some):
            continue
        at = js[some]
        q, u = first[at] / length[at], left[at] / length[at]
        B = np.empty((len(at), over.shape[1] + 1, n))
        np.multiply(q, u, out=B[:, 0])
        np.multiply(over if len(at) == len(js) else over[some], u[:, None, :], out=B[:, 1:])
        S = np.matmul(B, B.transpose(0, 2, 1)) * (n / (n - design.q[at]))[:, None, None]
        trace = np.trace(S, axis1=1, axis2=2)
        values = np.linalg.eigvalsh(S)
        x = 1.0 / tau
        square = np.square(values).sum(axis=1) + 2.0 * x * trace * values[:, -1]
        degrees = trace**2 * (1.0 + 2.0 * x) / square
        effective[at] = 1.0 / trace
        weak[at] = special.chndtr(degrees / trace, degrees, x * degrees) < 1.0 - level
    at = np.flatnonzero(single)
    return Strengths(at, effective[at], weak[at])
