"""Linear restrictions on the coefficients of a system, as its users write them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sm_alsgls.border.names import ticked
from sm_alsgls.core.design.restricted import InconsistentRestrictionsError


@dataclass(frozen=True)
class Restrictions:
    """R beta = q on the flat coefficients.

    Attributes
    ----------
    R : ndarray, shape (m, P)
    q : ndarray, shape (m,)
    """

    R: np.ndarray
    q: np.ndarray

    def __add__(self, other: Restrictions | None) -> Restrictions:
        if other is None:
            return self
        return Restrictions(np.vstack([self.R, other.R]), np.concatenate([self.q, other.q]))

    def text(self, i: int, names: list[str]) -> str:
        """Restriction i in the names of the coefficients."""
        terms = []
        for k in np.flatnonzero(self.R[i]):
            weight = self.R[i, k]
            sign = "-" if weight < 0 else "+"
            size = "" if abs(weight) == 1.0 else f"{abs(weight):g} "
            terms.append(f"{sign} {size}{ticked(names[k])}")
        return f"{' '.join(terms).removeprefix('+ ') or '0'} = {self.q[i]:g}"

    def explain(self, error: InconsistentRestrictionsError, names: list[str]) -> str:
        """The message about restrictions that do not go together."""
        listed = "; ".join(f"'{self.text(i, names)}'" for i in error.rows[:5])
        more = f" and {len(error.rows) - 5} more" if len(error.rows) > 5 else ""
        if error.contradictory:
            return f"restrictions contradict the others: {listed}{more}; no coefficients obey all"
        return f"restrictions follow from the others: {listed}{more}; drop them"
