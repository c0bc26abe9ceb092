"""Names of very many equations, made when somebody asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.labels import shown
from sm_alsgls.exceptions import UnknownEquationError

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class ManyLabels:
    """Names of K equations and of their regressors, without a string for each.

    Attributes
    ----------
    kinds : tuple of tuple of str
        Lists of regressors' names that there are.
    kind : ndarray of int, shape (K,)
        Which of them is each equation's.
    given : Index (K,), optional
        Names of the equations; others are called y1, y2, ...

    Examples
    --------
    >>> import numpy as np
    >>> labels = ManyLabels((("const", "x1"), ("const",)), np.array([0, 1, 0]))
    >>> labels.name(1), labels.position("y3"), labels.columns(2), labels.P
    ('y2', 2, slice(3, 5, None), 5)
    >>> labels.terms[-1]
    ('y3', 'x1')
    """

    kinds: tuple[tuple[str, ...], ...]
    kind: Array
    given: pd.Index | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("kinds", "kind", "given")}

    @property
    def K(self) -> int:
        """Equations."""
        return len(self.kind)

    @cached_property
    def p(self) -> Array:
        """Regressors of each equation, (K,)."""
        return np.array([len(one) for one in self.kinds])[self.kind]

    @cached_property
    def stop(self) -> Array:
        """Where each equation's coefficients end, (K,)."""
        return np.cumsum(self.p)

    @property
    def P(self) -> int:
        """Coefficients."""
        return int(self.stop[-1])

    def columns(self, j: int) -> slice:
        """Where the coefficients of equation j are."""
        return slice(int(self.stop[j] - self.p[j]), int(self.stop[j]))

    def flat(self, equations: slice) -> slice:
        """Where the coefficients of consecutive equations are."""
        first, last, _ = equations.indices(self.K)
        if last <= first:
            return slice(0, 0)
        return slice(self.columns(first).start, self.columns(last - 1).stop)

    def name(self, j: int) -> str:
        """What equation j is called."""
        if self.given is not None:
            return str(self.given[j])
        return f"y{j + 1}" if self.K > 1 else "y"

    def names(self, equations: slice) -> pd.Index:
        """What consecutive equations are called."""
        if self.given is not None:
            made = self.given[equations]
        else:
            made = pd.Index([self.name(j) for j in range(*equations.indices(self.K))])
        return made.rename("equation")

    def regressors(self, j: int) -> tuple[str, ...]:
        """What the regressors of equation j are called."""
        return self.kinds[self.kind[j]]

    def position(self, name: Any) -> int:
        """The number of an equation.

        Raises
        ------
        UnknownEquationError
        """
        j = -1
        if self.given is not None:
            if isinstance(name, str) and name in self.given:
                j = int(self.given.get_loc(name))
        elif isinstance(name, str) and name[1:].isdecimal() and len(name) < 20:
            number = int(name[1:]) - 1
            j = number if 0 <= number < self.K and self.name(number) == name else -1
        elif isinstance(name, str) and name == "y" and self.K == 1:
            j = 0
        if j < 0:
            raise UnknownEquationError(
                f"there is no equation {shown(name)}; the {self.K} equations are called "
                f"{self.name(0)!r} to {self.name(self.K - 1)!r}"
            )
        return j

    @cached_property
    def equations(self) -> pd.Index:
        """Names of all equations (K,)."""
        return self.names(slice(0, self.K))

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Names of all regressors, each once."""
        return tuple(dict.fromkeys(name for kind in self.kinds for name in kind))

    @cached_property
    def _variable(self) -> Array:
        """Which of `variables` each coefficient's is, (P,)."""
        number = {name: i for i, name in enumerate(self.variables)}
        codes = [np.array([number[name] for name in kind], dtype=np.int32) for kind in self.kinds]
        if len(codes) == 1:
            return np.tile(codes[0], self.K)
        out = np.empty(self.P, dtype=np.int32)
        for i, code in enumerate(codes):
            of = np.flatnonzero(self.kind == i)
            places = (self.stop - self.p)[of, None] + np.arange(len(code))
            out[places] = code
        return out

    def of_variable(self, name: str) -> Array:
        """Places of the coefficients of one variable."""
        return np.flatnonzero(self._variable == self.variables.index(name))

    def counts(self) -> dict[str, int]:
        """How many equations have each variable."""
        many = np.bincount(self.kind, minlength=len(self.kinds))
        out = dict.fromkeys(self.variables, 0)
        for kind, number in zip(self.kinds, many.tolist(), strict=True):
            for name in kind:
                out[name] += number
        return out

    @cached_property
    def owner(self) -> Array:
        """The number of each coefficient's equation, (P,)."""
        return np.repeat(np.arange(self.K, dtype=np.int32), self.p)

    @cached_property
    def terms(self) -> pd.MultiIndex:
        """(equation, variable) of each coefficient (P,), from codes."""
        return pd.MultiIndex(
            levels=[self.equations, pd.Index(self.variables)],
            codes=[self.owner, self._variable],
            names=["equation", "variable"],
            verify_integrity=False,
        )

    def some_terms(self, equations: slice) -> pd.DataFrame:
        """Equation and term of the coefficients of consecutive equations."""
        at = self.flat(equations)
        first = equations.indices(self.K)[0]
        names = self.names(equations).to_numpy()
        return pd.DataFrame(
            {
                "equation": names[self.owner[at] - first],
                "term": np.array(self.variables, dtype=object)[self._variable[at]],
            }
        )


def kinds_of(lists: list[tuple[str, ...]]) -> tuple[tuple[tuple[str, ...], ...], Array]:
    """Distinct lists of names, and which of them each is.

    Examples
    --------
    >>> kinds_of([("a",), ("a", "b"), ("a",)])
    ((('a',), ('a', 'b')), array([0, 1, 0], dtype=int32))
    """
    number: dict[tuple[str, ...], int] = {}
    code = np.array([number.setdefault(one, len(number)) for one in lists], dtype=np.int32)
    return tuple(number), code
