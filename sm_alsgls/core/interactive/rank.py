"""How many factors, from the residuals of a fit that has the most of them.

With more factors than there are b stays consistent (Moon and Weidner 2015), so that
Y - X b, effects projected out, of the fit with r_max factors is a panel of factors and noise, to
which the criteria of `core.rank.criteria` apply as their authors have them, on units of equal
length. Not in units of the fit's errors, though noise is even there: of a noisy unit that the most
factors take for one of theirs d is too small, and in its units it looks like a factor (50 x 50,
two factors: ic2 found three or more in 6 of 20 panels).
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.rank.criteria import (
    ED_BEYOND,
    ahn_horenstein,
    bai_ng,
    leading_eigenvalues,
    onatski,
)

Array = np.ndarray

#: Criteria of which the largest value is chosen; of "ed" it is the largest rank above 1.
LARGEST = ("er", "gr")
LEAST = ("ic1", "ic2", "ic3", "pc1", "pc2", "pc3")


def rank_criteria(fit: InteractiveFit) -> dict[str, Array]:
    """Each criterion for 0 .. fit.rank factors.

    ic1 .. ic3 and pc1 .. pc3 of Bai and Ng (2002), er and gr of Ahn and Horenstein (2013), ed of
    Onatski (2010). With V(r) what r factors leave of the sum of squares and K units,

        pc_j = V(r)/K + r g_j V(r_max)/K,      ic_j = log(V(r)/K) + r g_j.
    """
    W = fit.W
    R = W.residual(fit.beta) * np.sqrt(W.d)
    T, K = float(R.shape[0] - W.L.shape[1]), R.shape[1] - W.Q.shape[1]
    ranks = np.arange(fit.rank + 1)
    values = leading_eigenvalues(R, T, fit.rank + ED_BEYOND + 1)
    # They sum to the number of columns; effects have taken some of their dimensions.
    values = values * (K / R.shape[1])
    ic = bai_ng(values, ranks, T, K)
    left = 1.0 - np.concatenate([[0.0], np.cumsum(values[: fit.rank])]) / K
    pc = {
        name.replace("ic", "pc"): left + left[-1] * (value - np.log(left))
        for name, value in ic.items()
    }
    return {**ic, **pc, **ahn_horenstein(values, ranks, T, K), "ed": onatski(values, ranks)}


def chosen(criteria: dict[str, Array]) -> dict[str, int]:
    """The rank that each takes.

    Examples
    --------
    >>> import numpy as np
    >>> chosen({"ic1": np.array([2.0, 1.0, 3.0]), "ed": np.array([np.nan, 4.0, 0.5])})
    {'ic1': 1, 'ed': 1}
    """
    return {name: _chosen(name, values) for name, values in criteria.items()}


def _chosen(name: str, values: Array) -> int:
    if name == "ed":
        above = np.flatnonzero(values > 1.0)
        return int(above[-1]) if len(above) else 0
    known = np.isfinite(values)
    if not known.any():
        return 0
    best = np.where(known, values, -np.inf if name in LARGEST else np.inf)
    return int(best.argmax() if name in LARGEST else best.argmin())
