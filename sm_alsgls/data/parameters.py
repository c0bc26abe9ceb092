"""The parameters of a system: what they are called, which equations share them, what binds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sm_alsgls.border.arguments import names as listed_names
from sm_alsgls.border.names import close
from sm_alsgls.core.design import restricted as core
from sm_alsgls.core.design.base import Binding, Unbound
from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled import Pooling
from sm_alsgls.data.constraint_text import read_constraints
from sm_alsgls.data.labels import Labels
from sm_alsgls.data.restrictions import Restrictions
from sm_alsgls.exceptions import RestrictionError, ShapeError


@dataclass(frozen=True)
class Parameters:
    """Coefficients of K equations, each held once.

    Attributes
    ----------
    labels : Labels
        A shared coefficient is called as its variable, another ``equation_variable``.
    places : Places
        Where the coefficients of each equation sit.
    restrictions : Restrictions or None
        On top of that.
    """

    labels: Labels
    places: Places
    restrictions: Restrictions | None = None

    @classmethod
    def of(cls, labels: Labels, common: Iterable[str] | bool = False) -> Parameters:
        """Those of equations that share the regressors named by ``common``.

        True names every regressor that two or more equations have, constants included.

        Raises
        ------
        RestrictionError
            For a name that fewer than two equations have.
        ShapeError
            Two coefficients would have one name.
        """
        chosen = _chosen(common, labels.regressors)
        number = {name: i for i, name in enumerate(chosen)}
        if chosen:
            shares = [np.array([number.get(c, -1) for c in names]) for names in labels.regressors]
        else:
            own = np.full(labels.p.max(initial=0), -1)
            shares = [own[: len(names)] for names in labels.regressors]
        places = Places(shares)
        found = labels.shared(chosen, places) if chosen else labels
        _check_names(found.params, chosen)
        return cls(found, places)

    @property
    def free(self) -> int:
        """Parameters less restrictions."""
        return self.labels.P - (0 if self.restrictions is None else len(self.restrictions.q))

    @property
    def bound(self) -> bool:
        """Whether any equation's coefficients depend on those of another, or are restricted."""
        return self.places.m > 0 or self.restrictions is not None

    def binding(self) -> Binding:
        """What ties the coefficients of a problem."""
        within = Pooling(self.places) if self.places.m else Unbound()
        if self.restrictions is None:
            return within
        return core.Restrictions(self.restrictions.R, self.restrictions.q, within)

    def restricted(self, constraints: Any) -> Parameters:
        """The same with more restrictions, in any form that `read_constraints` takes.

        Raises
        ------
        RestrictionError
        """
        more = Restrictions(*read_constraints(constraints, self.labels.params))
        return replace(self, restrictions=more + self.restrictions)


def _chosen(common: Iterable[str] | bool, columns: Sequence[Sequence[str]]) -> list[str]:
    """Names of the regressors that equations share, as asked for."""
    if isinstance(common, (bool, np.bool_)) and not common:
        return []
    count: dict[str, int] = {}
    for column in (c for names in columns for c in names):
        count[column] = count.get(column, 0) + 1
    shared = [name for name, times in count.items() if times > 1]
    if isinstance(common, (bool, np.bool_)):
        return shared
    asked = listed_names(common, "common", "['x1', 'x2'], or True or False")
    for name in asked:
        if name not in shared:
            raise RestrictionError(
                f"common: fewer than two equations have a regressor {name!r}"
                + (close(name, shared, "shared are") if shared else "; none is shared")
            )
    return [name for name in shared if name in asked]


def _check_names(names: list[str], shared: list[str]) -> None:
    if len(set(names)) == len(names):
        return
    twice = next(name for name in names if names.count(name) > 1)
    if twice in shared:
        raise ShapeError(
            f"the common coefficient {twice!r} would be called as that of an equation "
            "(equation_variable); rename the column, or the equation"
        )
    raise ShapeError(
        f"two coefficients would both be called {twice!r} (equation_variable); "
        "rename an equation or a column"
    )
