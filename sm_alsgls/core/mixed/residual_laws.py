"""Laws of the residuals within groups: u_i ~ N(0, s2 R_i(theta)), one common variance or not.

Every law here has an inverse that is linear in weights that theta moves,

    R_i^-1 = sum_k w_k(theta) (pairs of rows of term k),     log|R| = sum_k n_k l_k(theta),

so that products of [Z X y] are made once, a term at a time, whatever theta:

    Common   one term, all rows with themselves, w = 1
    Levels   a term a level, w_l = exp(-theta_l), theta_0 = 0: s2 is the variance of level 0, and
             exp(theta_l) that of level l in units of it (nlme's varIdent, squared)

and those of `autoregression`, whose rows depend on the rows before them. Pairs are (left, right)
row numbers; a product is the sum of l r', and of r l' where they differ. All pairs of a term have
the same element of R as well, which is what traces of products of R^-1 and dR need: R^-1 is nothing
but at pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from sm_alsgls.exceptions import OptionError

Array = np.ndarray


class Pairs(NamedTuple):
    """Rows of one term: ``left`` beside ``right``, which are one array where a row is alone."""

    left: Array
    right: Array


class AtPairs(NamedTuple):
    """The element of R that pairs of each term have, with derivatives in theta.

    Attributes
    ----------
    value : ndarray, shape (terms,)
    slopes : ndarray, shape (size, terms)
    curves : ndarray, shape (size, size, terms)
    """

    value: Array
    slopes: Array
    curves: Array


class ResidualLaw(Protocol):
    """What the likelihood asks of a law; a frozen value that knows no data but its levels, gaps.

    Attributes
    ----------
    size : int
        Parameters theta.
    terms : int
        Products a group has.
    names : tuple of str
        Of theta.
    bounds : ndarray, shape (size, 2)
    """

    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def terms(self) -> int: ...  # noqa: D102
    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def bounds(self) -> Array: ...  # noqa: D102

    def guess(self) -> Array:
        """Theta to begin from, (size,)."""
        ...

    def pairs(self, codes: Array, index: Array | None) -> list[Pairs]:
        """Rows of each term, of rows of groups ``codes`` (n,) with levels or times ``index``."""
        ...

    def weights(self, theta: Array) -> Array:
        """w (terms,)."""
        ...

    def slopes(self, theta: Array) -> Array:
        """dw / dtheta, (size, terms)."""
        ...

    def curves(self, theta: Array) -> Array:
        """d2w / dtheta dtheta', (size, size, terms)."""
        ...

    def at_pairs(self, theta: Array) -> AtPairs:
        """R at the pairs of each term."""
        ...

    def logdet(self, theta: Array, counts: Array) -> float:
        """log|R| of ``counts`` (terms,) pairs."""
        ...

    def logdet_slope(self, theta: Array, counts: Array) -> Array:
        """Its gradient (size,)."""
        ...

    def information(self, theta: Array, counts: Array) -> Array:
        """Expected curvature in theta (size, size), s2 profiled, had groups no effects."""
        ...

    def vanished(self, theta: Array, share: float) -> str:
        """A level whose variance is less than a share of the others'; empty if there is none."""
        ...

    def variances(self, theta: Array) -> Array:
        """R's diagonal of each level of rows, (levels,); [1] where they are of one."""
        ...

    def variance_slopes(self, theta: Array) -> Array:
        """Its derivative, (size, levels)."""
        ...

    @property
    def within(self) -> tuple[ResidualLaw, ...]:
        """Laws with parameters that it is at some theta; it is always `Common` there."""
        ...

    @property
    def sides(self) -> Array:
        """Elements of R that a pair of each term is, (terms,): 1 of a row alone, else 2."""
        ...

    @property
    def independent(self) -> bool:
        """Whether rows are independent given effects: R is diagonal, a row has one term."""
        ...

    @property
    def once(self) -> list[int]:
        """Terms that together have every row once, with itself."""
        ...


@dataclass(frozen=True)
class Common:
    """One variance for all rows."""

    size = 0
    terms = 1
    names: tuple[str, ...] = ()
    independent = True
    within: ClassVar[tuple[ResidualLaw, ...]] = ()

    @property
    def once(self) -> list[int]:
        """The only one."""
        return [0]

    @property
    def bounds(self) -> Array:
        """None, (0, 2)."""
        return np.empty((0, 2))

    def guess(self) -> Array:
        """Nothing, (0,)."""
        return np.empty(0)

    def pairs(self, codes: Array, index: Array | None = None) -> list[Pairs]:
        """All rows with themselves."""
        rows = np.arange(len(codes))
        return [Pairs(rows, rows)]

    def weights(self, theta: Array) -> Array:
        """1."""
        return np.ones(1)

    def slopes(self, theta: Array) -> Array:
        """(0, 1)."""
        return np.empty((0, 1))

    def curves(self, theta: Array) -> Array:
        """(0, 0, 1)."""
        return np.empty((0, 0, 1))

    def at_pairs(self, theta: Array) -> AtPairs:
        """1."""
        return AtPairs(np.ones(1), np.empty((0, 1)), np.empty((0, 0, 1)))

    def variances(self, theta: Array) -> Array:
        """[1]."""
        return np.ones(1)

    def variance_slopes(self, theta: Array) -> Array:
        """(0, 1)."""
        return np.empty((0, 1))

    @property
    def sides(self) -> Array:
        """[1]."""
        return np.ones(1)

    def logdet(self, theta: Array, counts: Array) -> float:
        """0."""
        return 0.0

    def logdet_slope(self, theta: Array, counts: Array) -> Array:
        """(0,)."""
        return np.empty(0)

    def information(self, theta: Array, counts: Array) -> Array:
        """(0, 0)."""
        return np.empty((0, 0))

    def vanished(self, theta: Array, share: float) -> str:
        """None."""
        return ""


@dataclass(frozen=True)
class Levels:
    """A variance a level: theta_l = log(variance of level l / that of level 0), l = 1, 2, ...

    Parameters
    ----------
    labels : tuple of str
        Of the levels, the first is the one that s2 belongs to.
    """

    labels: tuple[str, ...]
    independent = True
    within: ClassVar[tuple[ResidualLaw, ...]] = ()

    @property
    def size(self) -> int:
        """A level less."""
        return len(self.labels) - 1

    @property
    def terms(self) -> int:
        """A level each."""
        return len(self.labels)

    @property
    def once(self) -> list[int]:
        """All."""
        return list(range(self.terms))

    @property
    def names(self) -> tuple[str, ...]:
        """Of theta."""
        return tuple(f"log variance {label} / {self.labels[0]}" for label in self.labels[1:])

    @property
    def bounds(self) -> Array:
        """Ratios of variances between exp(-30) and exp(30)."""
        return np.tile([-30.0, 30.0], (self.size, 1))

    def guess(self) -> Array:
        """Equal variances."""
        return np.zeros(self.size)

    def pairs(self, codes: Array, index: Array | None) -> list[Pairs]:
        """Rows of each level; ``index`` (n,) are numbers of levels."""
        if index is None:
            raise OptionError("residual variances of levels need the level of each row")
        rows = [np.flatnonzero(index == level) for level in range(self.terms)]
        return [Pairs(at, at) for at in rows]

    def weights(self, theta: Array) -> Array:
        """exp(-theta), 1 of level 0."""
        return np.exp(-np.concatenate([[0.0], theta]))

    def slopes(self, theta: Array) -> Array:
        """dw / dtheta, (size, terms)."""
        return np.concatenate([np.zeros((self.size, 1)), -np.diag(np.exp(-theta))], axis=1)

    def curves(self, theta: Array) -> Array:
        """exp(-theta_l) of a level with itself, (size, size, terms)."""
        return self._own(np.exp(-theta))

    def _own(self, values: Array) -> Array:
        """Of values (size,), (size, size, terms)."""
        at, out = np.arange(self.size), np.zeros((self.size, self.size, self.terms))
        out[at, at, at + 1] = values
        return out

    def at_pairs(self, theta: Array) -> AtPairs:
        """exp(theta_l)."""
        ratios = np.exp(theta)
        return AtPairs(self.variances(theta), self.variance_slopes(theta), self._own(ratios))

    def variances(self, theta: Array) -> Array:
        """exp(theta_l), 1 of level 0."""
        return np.exp(np.concatenate([[0.0], theta]))

    def variance_slopes(self, theta: Array) -> Array:
        """exp(theta_l) of a level's own, (size, terms)."""
        return np.concatenate([np.zeros((self.size, 1)), np.diag(np.exp(theta))], axis=1)

    @property
    def sides(self) -> Array:
        """1."""
        return np.ones(self.terms)

    def logdet(self, theta: Array, counts: Array) -> float:
        """Sum of n_l theta_l."""
        return float(counts[1:] @ theta)

    def logdet_slope(self, theta: Array, counts: Array) -> Array:
        """n_l."""
        return np.asarray(counts[1:], dtype=float)

    def information(self, theta: Array, counts: Array) -> Array:
        """(diag(n_l) - n_l n_k / n) / 2."""
        some = np.asarray(counts[1:], dtype=float)
        return 0.5 * (np.diag(some) - np.outer(some, some) / counts.sum())

    def vanished(self, theta: Array, share: float) -> str:
        """The level of the smallest variance, where it is less than a share of the next."""
        variances = np.append(0.0, theta)
        lowest, following = np.argsort(variances)[:2]
        gone = variances[following] - variances[lowest] > -np.log(share)
        return self.labels[lowest] if gone else ""
