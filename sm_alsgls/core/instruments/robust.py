"""Robust covariances of instrumented systems: sums over rows, clusters or lags of influences.

An independent unit g moves R theta-hat by v_g = pull(B)' sum_{n in g} s_n, and V = sum v_g v_g',
weighted as `sm_alsgls.core.beta.robust` has it. Small samples: the multipliers (1 - leverage)^-k
and the degrees of freedom of `sm_alsgls.core.beta.small_sample`, with the leverage of first stages,
in which two-stage least squares is least squares.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from sm_alsgls.core.beta.robust import RowWeights
from sm_alsgls.core.beta.small_sample import Moments, Units, own_moments
from sm_alsgls.core.instruments.covariance import Combinations
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.progress import counted

Array = np.ndarray

# Columns whose influences are worked out at once.
_COLUMNS = 512


class InfluenceCovariance:
    """V = A omega A' of the influences A of units, formed only as far as asked.

    Parameters
    ----------
    combinations : Combinations
    design : Instrumented
        On all N rows.
    E : ndarray, shape (N, K)
    weights : RowWeights
    factor : ndarray, shape (P,)
        Small-sample factor of each parameter's standard error.
    units : Units, optional
        What is independent; see `UnitInfluences`.
    power : float
        Of the multipliers: 0, 1/2 (HC2, CR2), 1 (HC3, CR3).
    df : float
        Of combinations of several equations, at most.
    """

    def __init__(
        self,
        combinations: Combinations,
        design: Instrumented,
        E: Array,
        weights: RowWeights,
        factor: Array,
        units: Units | None = None,
        power: float = 0.0,
        df: float = np.inf,
    ) -> None:
        self._of, self._design, self._E = combinations, design, E
        self._weights, self._factor, self._power, self._df = weights, factor, power, df
        self._units = units

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self._of.P, self._of.P

    @cached_property
    def _scores(self) -> Array:
        """Reduced scores, (c, s)."""
        return self._weights.reduce(self._of.form.scores(self._design, self._E))

    def _influence(self, R: Array) -> Array:
        """Influences of combinations on their own, (m, c)."""
        out = np.empty((len(R), len(self._scores)))
        for start in counted(range(0, len(R), _COLUMNS), "standard errors", unit="columns"):
            B = self._of.of(R[start : start + _COLUMNS] * self._factor)
            out[start : start + _COLUMNS] = (self._scores @ self._of.form.pull(B)).T
        return out

    def _of_parameters(self, at: Array) -> Array:
        """Influences of parameters with their multipliers, (m, c)."""
        rows = np.zeros((len(at), self.shape[0]))
        rows[np.arange(len(at)), at] = 1.0
        found = self._influence(rows)
        if self._power:
            for i, k in enumerate(counted(at, "small-sample multipliers", unit="coefficient")):
                found[i] *= self._moments_of(int(k)).multipliers[:, 0]
        return found

    @cached_property
    def _all(self) -> Array:
        """Of all parameters, (P, c)."""
        return self._of_parameters(np.arange(self.shape[0]))

    # -- small samples -------------------------------------------------------------------------

    @cached_property
    def _owner(self) -> Array:
        """The equation of each parameter, -1 where coefficients are tied, (P,)."""
        out = np.full(self.shape[0], -1)
        if not self._of.tied:
            for j in range(self._design.K):
                out[self._of.design.columns(j)] = j
        return out

    def _own(self, j: int, rows: Array) -> Moments:
        """Of combinations (m, p_j) of equation j."""
        units = Units(len(self._E)) if self._units is None else self._units
        weights = self._design.beta_map(j).T @ rows.T
        return own_moments(self._design.basis(j), weights, units, self._power)

    def _moments_of(self, k: int) -> Moments:
        if k not in self._known:
            j = int(self._owner[k])
            at = np.arange(self.shape[0])[self._of.design.columns(j)]
            found = self._own(j, np.eye(len(at)))
            for i, place in enumerate(at):
                self._known[int(place)] = Moments(
                    found.multipliers[:, i : i + 1], found.df[i : i + 1], found.lost[i : i + 1]
                )
        return self._known[k]

    @cached_property
    def _known(self) -> dict[int, Moments]:
        return {}

    def _each(self) -> Iterator[int]:
        return counted(range(self.shape[0]), "degrees of freedom", unit="coefficient")

    def _degrees(self) -> Array:
        """Satterthwaite's degrees of freedom of each parameter, (P,)."""
        if self._of.tied:
            return np.full(self.shape[0], self._df)
        return np.array([self._moments_of(k).df[0] for k in self._each()])

    @property
    def lost(self) -> Array:
        """Parameters that single units determine, of which no variance can be told, (P,)."""
        if self._of.tied:
            return np.zeros(self.shape[0], dtype=bool)
        return np.array([bool(self._moments_of(k).lost[0]) for k in self._each()])

    # -- the covariance -------------------------------------------------------------------------

    def _rows(self, R: Array) -> Array:
        """Influences of combinations, made of those of the parameters where these have multipliers.

        So R V R' is that of V, whatever is asked first.
        """
        if not self._power:
            return self._influence(R)
        touched = np.flatnonzero(R.any(axis=0))
        return np.asarray(R[:, touched] @ self._of_parameters(touched))

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """R V other' for rows R (m, P)."""
        left = self._rows(R)
        return self._weights.inner(left, left if other is None else self._rows(other))

    def block(self, j: int) -> Array:
        """Covariance of beta_j, (p_j, p_j)."""
        at = np.arange(self.shape[0])[self._of.design.columns(j)]
        rows = self._all[at] if "_all" in self.__dict__ else self._of_parameters(at)
        return self._weights.inner(rows, rows)

    def variances(self) -> Array:
        """Diagonal of V, (P,)."""
        return self._weights.diagonal(self._all)

    def dense(self) -> Array:
        """V, (P, P)."""
        return self._weights.inner(self._all, self._all)

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self.dense()


class UnitInfluences(InfluenceCovariance):
    """The same of units that are independent: every combination has degrees of freedom of its own.

    Those of a kernel are of nobody's own.
    """

    def coefficient_df(self) -> Array:
        """Satterthwaite's degrees of freedom of each parameter, (P,)."""
        return self._degrees()

    def df(self, R: Array) -> Array:
        """Degrees of freedom of combinations: the fewest of what they are made of, (m,).

        Of one equation's coefficients those of the combination itself.
        """
        each = self.coefficient_df()
        out = np.where(R != 0.0, each, np.inf).min(axis=1)
        for i, row in enumerate(R):
            touched = np.unique(self._owner[np.flatnonzero(row)])
            if len(touched) == 1 and touched[0] >= 0:
                j = int(touched[0])
                out[i] = self._own(j, row[None, self._of.design.columns(j)]).df[0]
        return out

    def joint_df(self, R: Array) -> float:
        """Of several combinations together, as of a Wishart matrix: the fewest."""
        return float(self._degrees()[R.any(axis=0)].min())
