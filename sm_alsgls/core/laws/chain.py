"""Filters of rows one after the other: errors that are autoregressive with scaled innovations.

T = T_k .. T_1. At W = (T E) Sigma^-1 the gradient in the values of T_i is that of T_i alone at
residuals T_{i-1} .. T_1 E and weights (T_k .. T_{i+1})' W. Values of different filters are taken
as orthogonal in ``information``, as those of AR and scale are: products of a row's error with
past ones have mean zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sm_alsgls.core.laws.base import RowFilter
from sm_alsgls.core.laws.row_weights import spread
from sm_alsgls.covariance.base import RowCovariance, information
from sm_alsgls.covariance.spread import Spread

Array = np.ndarray


class Chain:
    """Filters in the order in which they are applied; see `RowFilter`. None is the identity.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.laws.ar import AR
    >>> from sm_alsgls.core.laws.row_scale import RowScale
    >>> z = np.array([[0.0], [1.0], [2.0]])
    >>> law = Chain([AR.of(3, np.array([0.5])), RowScale(z, 1, np.array([0.1]))])
    >>> law.names, law.values
    (('rho', 'delta[0]'), array([0.5, 0.1]))
    """

    def __init__(self, filters: Sequence[RowFilter]) -> None:
        self.filters = tuple(filters)
        self.names = tuple(name for one in self.filters for name in one.names)
        self.values = np.concatenate([np.empty(0), *(one.values for one in self.filters)])
        self.values.setflags(write=False)
        self.bounds = np.concatenate([np.empty((0, 2)), *(one.bounds for one in self.filters)])
        self.log_jacobian = float(sum(one.log_jacobian for one in self.filters))

    def __repr__(self) -> str:
        return f"Chain({list(self.filters)!r})"

    def parts(self, values: Array) -> list[Array]:
        """Values (m,), or columns (m, ..), filter by filter."""
        if not self.filters:
            return []
        return np.split(values, np.cumsum([len(one.values) for one in self.filters])[:-1])

    @property
    def spread(self) -> Spread | None:
        """That of the filter which has one: the others leave every row to itself."""
        return next((one.spread for one in self.filters if one.spread is not None), None)

    def through_spread(self, slope: Array) -> Array:
        """Its derivatives in the values of that filter."""
        parts = [one.through_spread(slope) for one in self.filters]
        return np.concatenate([np.empty(0), *parts])

    def at(self, values: Array) -> Chain:
        """At other values."""
        parts = self.parts(values)
        return Chain([one.at(v) for one, v in zip(self.filters, parts, strict=True)])

    def tied(self) -> Chain:
        """Each tied."""
        return Chain([one.tied() for one in self.filters])

    def guess(self, E: Array) -> Chain:
        """Each from what those before it leave."""
        found: list[RowFilter] = []
        for one in self.filters:
            found.append(one.guess(E))
            E = found[-1].rows(E)
        return Chain(found)

    def rows(self, M: Array) -> Array:
        """All of them."""
        for one in self.filters:
            M = one.rows(M)
        return M

    def inverse(self, M: Array) -> Array:
        """All inverses, the last first."""
        for one in reversed(self.filters):
            M = one.inverse(M)
        return M

    def variances(self, V: Array, then: Callable[[Array], Array] | None = None) -> Array:
        """All of them, the last first: right where one of them mixes rows, at most."""
        for i, one in reversed(list(enumerate(self.filters))):
            V = one.variances(V, then if i == 0 else None)
        return spread([then], V) if then is not None and not self.filters else V

    def covariances(self, C: Array) -> Array:
        """All of them, the last first."""
        for one in reversed(self.filters):
            C = one.covariances(C)
        return C

    def back(self, M: Array) -> Array:
        """All transposes, the last first."""
        for one in reversed(self.filters):
            M = one.back(M)
        return M

    def blocks(self, blocks: Sequence[Array]) -> list[Array]:
        """All of them."""
        out = list(blocks)
        for one in self.filters:
            out = one.blocks(out)
        return out

    def gradient(self, E: Array, TE: Array, W: Array) -> Array:
        """As the module says."""
        stages = self._stages(E)
        out = []
        for one, before, after in reversed(
            list(zip(self.filters, stages, stages[1:], strict=False))
        ):
            out.append(one.gradient(before, after, W))
            W = one.back(W)
        return np.concatenate([np.empty(0), *reversed(out)])

    def information(self, E: Array, cov: RowCovariance) -> Array:
        """Block by block."""
        m = len(self.values)
        out, start = np.zeros((m, m)), 0
        for one, before, seen in self._through(E, cov):
            stop = start + len(one.values)
            out[start:stop, start:stop] = one.information(before, seen)
            start = stop
        return out

    def solve(self, E: Array, cov: RowCovariance, v: Array) -> Array:
        """Block by block."""
        triples = zip(self._through(E, cov), self.parts(v), strict=True)
        parts = [one.solve(before, seen, part) for (one, before, seen), part in triples]
        return np.concatenate([np.empty(0), *parts])

    def _stages(self, E: Array) -> list[Array]:
        out = [E]
        for one in self.filters:
            out.append(one.rows(out[-1]))
        return out

    def _through(
        self, E: Array, cov: RowCovariance
    ) -> list[tuple[RowFilter, Array, RowCovariance]]:
        """Each filter, the residuals that it is given, and Sigma as those see it."""
        stages = self._stages(E)
        return [
            (one, stages[i], _Through(Chain(self.filters[i + 1 :]), cov))
            for i, one in enumerate(self.filters)
        ]


class _Through:
    """Sigma as rows see it that are filtered further: M -> S'((S M) Sigma^-1)."""

    def __init__(self, then: Chain, cov: RowCovariance) -> None:
        self._then, self._cov = then, cov

    def solve(self, M: Array) -> Array:
        return self._then.back(self._cov.solve(self._then.rows(M)))

    def information(self, blocks: Sequence[Array]) -> Array:
        """That of the blocks, filtered."""
        return information(self._cov, self._then.blocks(blocks))

    def precision_diag(self) -> Array:
        """Of rows that are not filtered: nearly."""
        return self._cov.precision_diag()

    def piecewise(self, n: int) -> None:
        """None: rows are mixed."""

    #: Rows are mixed.
    precision = None
