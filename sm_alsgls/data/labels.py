"""What equations, regressors and parameters are called, and whose each parameter is."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sm_alsgls.core.design.places import Places

#: Where an equation's coefficients sit in the flat vector of the parameters.
Columns = slice | np.ndarray


@dataclass(frozen=True)
class Labels:
    """Names of K equations, of the regressors of each, and of P parameters.

    Equation j has the coefficients beta_j = params[columns(j)]. A parameter that several equations
    share is there once, and `columns` of each of them holds its place: nothing here takes the
    parameters for K stretches one after another.

    Attributes
    ----------
    equations : list of str (K,)
    regressors : list of list of str
        p_j names an equation.
    params : list of str (P,)
    places : tuple of slice or ndarray of int
        `columns` of each equation.
    named : tuple of bool (K,)
        Whose regressors came with names; others are called const, x1, x2, ...

    Examples
    --------
    >>> from sm_alsgls.data.labels import Labels
    >>> labels = Labels.of_own(["a", "b"], [["const", "x"], ["const"]])
    >>> labels.params, labels.columns(1), labels.p
    (['a_const', 'a_x', 'b_const'], slice(2, 3, None), array([2, 1]))
    """

    equations: list[str]
    regressors: list[list[str]]
    params: list[str]
    places: tuple[Columns, ...] = field(repr=False, compare=False)
    named: tuple[bool, ...] = field(default=(), repr=False)

    @classmethod
    def of_own(
        cls, equations: list[str], regressors: list[list[str]], named: tuple[bool, ...] = ()
    ) -> Labels:
        """Where every equation has coefficients of its own, named ``equation_regressor``."""
        pairs = zip(equations, regressors, strict=True)
        params = [f"{name}_{column}" for name, columns in pairs for column in columns]
        stop = np.cumsum([len(columns) for columns in regressors]).tolist()
        start = [0, *stop[:-1]]
        places = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        return cls(equations, regressors, params, places, named)

    @classmethod
    def of_one(cls, equation: str, params: list[str]) -> Labels:
        """Of one equation, whose coefficients are called as its regressors are.

        Examples
        --------
        >>> from sm_alsgls.data.labels import Labels
        >>> Labels.of_one("y", ["const", "x"]).params
        ['const', 'x']
        """
        return cls([equation], [params], params, (slice(0, len(params)),))

    def shared(self, names: list[str], places: Places) -> Labels:
        """The same equations with common coefficients, which come first and are called ``names``.

        Each equation's own keep their names, ``equation_regressor``.
        """
        of_each = Labels.of_own(self.equations, self.regressors).params
        params = [*names, *(of_each[i] for i in places.first[places.m :])]
        return Labels(self.equations, self.regressors, params, places.columns, self.named)

    @property
    def P(self) -> int:
        """Parameters."""
        return len(self.params)

    @property
    def K(self) -> int:
        """Equations."""
        return len(self.equations)

    @cached_property
    def p(self) -> np.ndarray:
        """Regressors of each equation, (K,)."""
        return np.array([len(columns) for columns in self.regressors])

    @cached_property
    def position(self) -> dict[str, int]:
        """The number of each equation by its name."""
        return {name: j for j, name in enumerate(self.equations)}

    def columns(self, j: int) -> Columns:
        """Where the coefficients of equation j sit in the parameters."""
        return self.places[j]

    @cached_property
    def own(self) -> bool:
        """Whether the parameters are the equations' coefficients one after another."""
        stop = 0
        for place in self.places:
            if not isinstance(place, slice) or place.start != stop:
                return False
            stop = place.stop
        return stop == self.P

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Equation and parameter of every coefficient, (sum p_j,) each."""
        every = np.arange(self.P)
        at = [every[place] for place in self.places]
        return np.repeat(np.arange(self.K), self.p), np.concatenate(at)

    def by_equation(self, params: np.ndarray) -> list[np.ndarray]:
        """Flat parameters (P,) as K vectors (p_j,)."""
        return [params[place] for place in self.places]

    def least(self, values: np.ndarray) -> np.ndarray:
        """One value an equation (K,) as one a parameter (P,): the least of those that share it."""
        if self.own:
            return np.repeat(values, self.p)
        owner, at = self._pairs
        out = np.full(self.P, np.inf)
        np.minimum.at(out, at, values[owner])
        return out.astype(np.asarray(values).dtype)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """One positive value an equation (K,) as one a parameter (P,): the geometric mean."""
        if self.own:
            return np.repeat(values, self.p)
        owner, at = self._pairs
        logs = np.bincount(at, weights=np.log(values)[owner], minlength=self.P)
        return np.asarray(np.exp(logs / np.bincount(at, minlength=self.P)))

    def least_of(self, values: np.ndarray) -> np.ndarray:
        """One value a parameter (P,) as one an equation (K,): the least of its coefficients'."""
        if self.own:
            return np.minimum.reduceat(values, np.cumsum(self.p) - self.p)
        return np.array([values[place].min() for place in self.places])

    def users(self, at: np.ndarray) -> np.ndarray:
        """Numbers of the equations that have any of the parameters at positions ``at``."""
        if self.own:
            return np.unique(np.searchsorted(np.cumsum(self.p), at, side="right"))
        owner, position = self._pairs
        return np.unique(owner[np.isin(position, at)])

    def holder(self, at: np.ndarray) -> int | None:
        """An equation that has all of the parameters at positions ``at``; None where none has."""
        owner, position = self._pairs
        for j in self.users(at[-1:]):
            if np.isin(at, position[owner == j]).all():
                return int(j)
        return None

    def whole(self, j: int, R: np.ndarray) -> np.ndarray:
        """Combinations R (m, p_j) of the coefficients of equation j, of all parameters: (m, P)."""
        out = np.zeros((len(R), self.P))
        out[:, self.places[j]] = R
        return out

    def gather(self, M: np.ndarray) -> np.ndarray:
        """Derivatives in all coefficients (n, sum p_j) as those in the parameters, (n, P)."""
        if self.own:
            return M
        out = np.zeros((len(M), self.P))
        np.add.at(out.T, self._pairs[1], M.T)
        return out

    @cached_property
    def first(self) -> np.ndarray:
        """A place of each parameter among the coefficients of all equations, (P,)."""
        at = self._pairs[1]
        out = np.empty(self.P, dtype=np.intp)
        out[at[::-1]] = np.arange(len(at))[::-1]
        return out

    def of_free(self, R: np.ndarray) -> np.ndarray:
        """Combinations (m, P) as combinations of coefficients that nothing ties, (m, sum p_j)."""
        out = np.zeros((len(R), len(self._pairs[1])))
        out[:, self.first] = R
        return out

    def equalities(self) -> np.ndarray:
        """Rows R of R beta = 0 that make equal what is shared, (sum p_j - P, sum p_j)."""
        at = self._pairs[1]
        others = np.setdiff1d(np.arange(len(at)), self.first)
        others = others[np.argsort(at[others], kind="stable")]
        R = np.zeros((len(others), len(at)))
        R[np.arange(len(others)), self.first[at[others]]] = 1.0
        R[np.arange(len(others)), others] = -1.0
        return R

    def split(self, params: np.ndarray) -> np.ndarray:
        """Parameters as the coefficients of all equations, one after another, (sum p_j,)."""
        return np.asarray(params[self._pairs[1]])

    @cached_property
    def common(self) -> np.ndarray:
        """Positions of the parameters that several equations share."""
        return np.flatnonzero(np.bincount(self._pairs[1], minlength=self.P) > 1)

    @cached_property
    def owners(self) -> list[str]:
        """The equation of each parameter (P,), "" where several share it."""
        owner, at = self._pairs
        shared = np.bincount(at, minlength=self.P) > 1
        first = np.zeros(self.P, dtype=int)
        first[at] = owner
        return ["" if shared[i] else self.equations[first[i]] for i in range(self.P)]

    @cached_property
    def terms(self) -> list[str]:
        """The regressor of each parameter (P,)."""
        out = [""] * self.P
        names = [name for columns in self.regressors for name in columns]
        for i, name in zip(self._pairs[1].tolist(), names, strict=True):
            out[i] = name
        return out

    @cached_property
    def by_variable(self) -> dict[str, np.ndarray]:
        """Positions in the parameters of each regressor's name, over the equations that have it."""
        found: dict[str, dict[int, None]] = {}
        names = [name for columns in self.regressors for name in columns]
        for i, name in zip(self._pairs[1].tolist(), names, strict=True):
            found.setdefault(name, {})[i] = None
        return {name: np.array(list(at)) for name, at in found.items()}
