"""The panel jackknife: bias of order 1/T and 1/n removed by fits of halves.

    b_jk = 3 b - (b of the first half of periods + b of the second) / 2
               - (b of half of the units + b of the others) / 2

(Dhaene and Jochmans 2015, Review of Economic Studies 82; Fernandez-Val and Weidner 2016, J. of
Econometrics 192). Halves of periods are runs of neighbours; units have no order, so that the mean
over several random halves is taken. An odd period or unit is in both halves. Halves have the d and
rho of the whole: with weights of their own what errors do to halves does not cancel against what
they do to the whole, and at 20 x 20 in Bai's design the root mean square error is .10 in place of
.067 (60 panels).

b_jk has b's covariance to first order, but halves of a small panel are smaller still. In that
design, where b has next to no bias, its error is .055 at 20 x 20, and at 50 x 50 .0224, where b_jk
has .0220 (40 panels): it costs nothing from there on. Of a lagged y at 20 periods x 100 units it
takes the bias from -.062 to .007 with a root mean square error of .033; the analytic correction,
which knows where that bias comes from, leaves -.014 and .022.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.search import interactive_fit
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.progress import counted

Array = np.ndarray


@on_one_thread
def jackknife(
    fit: InteractiveFit,
    *,
    splits: int = 5,
    rng: np.random.Generator | None = None,
) -> Array:
    """b_jk, shape (p,).

    Parameters
    ----------
    fit : InteractiveFit
    splits : int
        Random halves of units.
    rng : numpy Generator, optional
        Of the halves; default one of a fixed seed.
    """
    rng = rng or np.random.default_rng(0)
    T, n = fit.panel.T, fit.panel.n
    every = slice(None)
    halves: list[tuple[slice | Array, slice | Array]] = [
        (slice(0, (T + 1) // 2), every),
        (slice(T // 2, T), every),
    ]
    orders = [rng.permutation(n) for _ in range(splits)]
    for order in orders:
        halves += [(every, np.sort(order[: (n + 1) // 2])), (every, np.sort(order[n // 2 :]))]
    found = np.array(
        [
            interactive_fit(
                fit.panel.taken(rows, units),
                fit.effects.taken(rows, units),
                fit.rank,
                d=fit.d[units],
                rho=fit.rho,
                beta=fit.beta,
                only_given=True,
            ).beta
            for rows, units in counted(halves, "halves")
        ]
    )
    return np.asarray(3.0 * fit.beta - found[:2].mean(axis=0) - found[2:].mean(axis=0))
