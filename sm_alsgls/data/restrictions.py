"""Linear restrictions on the coefficients of a system, as its users write them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sm_alsgls.border.arguments import names
from sm_alsgls.border.names import close
from sm_alsgls.core.design import restricted as core
from sm_alsgls.core.design.restricted import InconsistentRestrictionsError
from sm_alsgls.data.constraint_text import read_constraints
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import RestrictionError


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

    def binding(self) -> core.Restrictions:
        """What ties the coefficients of a problem."""
        return core.Restrictions(self.R, self.q)

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
            terms.append(f"{sign} {size}{names[k]}")
        return f"{' '.join(terms).removeprefix('+ ') or '0'} = {self.q[i]:g}"

    def explain(self, error: InconsistentRestrictionsError, names: list[str]) -> str:
        """The message about restrictions that do not go together."""
        listed = "; ".join(f"'{self.text(i, names)}'" for i in error.rows[:5])
        more = f" and {len(error.rows) - 5} more" if len(error.rows) > 5 else ""
        if error.contradictory:
            return f"restrictions contradict the others: {listed}{more}; no coefficients obey all"
        return f"restrictions follow from the others: {listed}{more}; drop them"


def parse_restrictions(constraints: Any, system: System) -> Restrictions:
    """Restrictions from strings, a matrix R, or a pair (R, q), as statsmodels' GLM takes them.

    Raises
    ------
    RestrictionError
    """
    return Restrictions(*read_constraints(constraints, system.param_names))


def common_restrictions(common: Iterable[str] | bool, system: System) -> Restrictions | None:
    """Equal coefficients of the named regressors in all equations that have them.

    True names every regressor that two or more equations share, constants included.

    Raises
    ------
    RestrictionError
        For a name that fewer than two equations have.
    """
    if isinstance(common, (bool, np.bool_)) and not common:
        return None
    places: dict[str, list[int]] = {}
    for position, column in enumerate(c for columns in system.columns for c in columns):
        places.setdefault(column, []).append(position)
    shared = [name for name, at in places.items() if len(at) > 1]
    if isinstance(common, (bool, np.bool_)):
        chosen = shared
    else:
        chosen = names(common, "common", "['x1', 'x2'], or True or False")
        for name in chosen:
            if name not in shared:
                raise RestrictionError(
                    f"common: fewer than two equations have a regressor {name!r}"
                    + (close(name, shared, "shared are") if shared else "; none is shared")
                )
    rows = [(places[name][0], at) for name in chosen for at in places[name][1:]]
    if not rows:
        return None
    R = np.zeros((len(rows), len(system.param_names)))
    R[np.arange(len(rows)), [first for first, _ in rows]] = 1.0
    R[np.arange(len(rows)), [at for _, at in rows]] = -1.0
    return Restrictions(R, np.zeros(len(rows)))
