"""Laws of the residuals within groups: u_i ~ N(0, s2 R_i(theta)), one common variance or not.

Every law here has an inverse that is linear in weights that theta moves,

    R_i^-1 = sum_k w_k(theta) (pairs of rows of term k),     log|R| = sum_k n_k l_k(theta),

so that products of [Z X y] are made once, a term at a time, whatever theta:

    Common   one term, all rows with themselves, w = 1
    Levels   a term a level, w_l = exp(-theta_l), theta_0 = 0: s2 is the variance of level 0, and
             exp(theta_l) that of level l in units of it (nlme's varIdent, squared)
    AR1      u_t = rho^g u_{t-g} + ..., with s2 the *marginal* variance (nlme's corAR1 and corCAR1):
             first rows of groups, and for each distance g between a row and the one before it
             (z_t - r z_{t-g})(z_t - r z_{t-g})' / (1 - r^2), r = rho^g, in three terms

Pairs are (left, right) row numbers; a product is the sum of l r', and of r l' where they differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from sm_alsgls.exceptions import OptionError

Array = np.ndarray

# A correlation this close to 1 makes products of neighbours lose all digits of their difference.
_NEAREST = 1.0 - 1e-8
# Of the largest time, what two distances differ by when they are one.
_ROUNDED = 1e-13
# Distances between neighbours, three terms each, that are kept as products.
MOST_GAPS = 24


def _rounding(times: Array) -> float:
    """What distances between times differ by when they are one."""
    return _ROUNDED * max(1.0, float(np.abs(times).max(initial=0.0)))


class Pairs(NamedTuple):
    """Rows of one term: ``left`` beside ``right``, which are one array where a row is alone."""

    left: Array
    right: Array


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


@dataclass(frozen=True)
class AR1:
    """Autoregression of order one within groups, over distances that may differ.

    Parameters
    ----------
    gaps : tuple of float
        Distances between a row and the one before it that there are, increasing.
    """

    gaps: tuple[float, ...]
    size = 1
    names: tuple[str, ...] = ("rho",)
    independent = False

    @classmethod
    def of_times(cls, codes: Array, times: Array) -> AR1:
        """The law with the distances of rows of groups ``codes`` (n,) at ``times`` (n,).

        Raises
        ------
        OptionError
            Two rows of a group at one time, or more distances than `MOST_GAPS`.
        """
        order = np.lexsort((times, codes))
        same = codes[order][1:] == codes[order][:-1]
        values = np.asarray(times, dtype=float)
        gaps = np.unique(np.diff(values[order])[same])
        gaps = gaps[np.diff(gaps, prepend=-np.inf) > _rounding(values)]
        whole = np.round(gaps)
        gaps = np.where(np.abs(gaps - whole) <= _rounding(values), whole, gaps)
        if len(gaps) and gaps[0] <= 0.0:
            raise OptionError("autoregression within groups: two rows of a group have one time")
        if len(gaps) > MOST_GAPS:
            raise OptionError(
                f"autoregression within groups: rows are {len(gaps)} different distances apart, "
                f"and products are kept for {MOST_GAPS} at most; round the times"
            )
        return cls(tuple(gaps.tolist()))

    @property
    def terms(self) -> int:
        """First rows, and three a gap."""
        return 1 + 3 * len(self.gaps)

    @property
    def once(self) -> list[int]:
        """First rows, and rows after each gap."""
        return [0, *range(1, self.terms, 3)]

    @property
    def bounds(self) -> Array:
        """(-1, 1), or (0, 1) where a distance is no whole number."""
        whole = all(gap == round(gap) for gap in self.gaps)
        return np.array([[-_NEAREST if whole else 0.0, _NEAREST]])

    def guess(self) -> Array:
        """A little."""
        return np.array([0.1])

    def pairs(self, codes: Array, index: Array | None) -> list[Pairs]:
        """First rows of groups; then rows, rows before them, and both, for each gap.

        ``index`` (n,) are times.
        """
        if index is None:
            raise OptionError("autoregression within groups needs the time of each row")
        order = np.lexsort((index, codes))
        later, before = order[1:], order[:-1]
        same = codes[later] == codes[before]
        first = np.concatenate([order[:1], later[~same]])
        later, before = later[same], before[same]
        values = np.asarray(index, dtype=float)
        gap = values[later] - values[before]
        found = [Pairs(first, first)]
        for one in self.gaps:
            at = np.abs(gap - one) <= 4.0 * _rounding(values)
            rows, lags = later[at], before[at]
            found += [Pairs(rows, rows), Pairs(lags, lags), Pairs(rows, lags)]
        if sum(len(pairs.left) for pairs in found[1::3]) != len(later):
            raise OptionError("autoregression within groups: a distance that the law does not know")
        return found

    def _powers(self, theta: Array) -> tuple[Array, Array]:
        """r = rho^g and dr / drho, (gaps,) each."""
        rho, gaps = float(theta[0]), np.array(self.gaps)
        return np.power(rho, gaps), gaps * np.power(rho, gaps - 1.0)

    def weights(self, theta: Array) -> Array:
        """1; and 1, r^2, -r over 1 - r^2 for each gap."""
        r, _ = self._powers(theta)
        each = np.stack([np.ones_like(r), r**2, -r], axis=1) / (1.0 - r**2)[:, None]
        return np.concatenate([[1.0], each.ravel()])

    def slopes(self, theta: Array) -> Array:
        """dw / drho, (1, terms)."""
        r, dr = self._powers(theta)
        scale = dr / (1.0 - r**2) ** 2
        each = np.stack([2.0 * r, 2.0 * r, -(1.0 + r**2)], axis=1) * scale[:, None]
        return np.concatenate([[0.0], each.ravel()])[None]

    def logdet(self, theta: Array, counts: Array) -> float:
        """Sum of n_g log(1 - r^2)."""
        r, _ = self._powers(theta)
        return float(counts[1::3] @ np.log1p(-(r**2)))

    def logdet_slope(self, theta: Array, counts: Array) -> Array:
        """(1,)."""
        r, dr = self._powers(theta)
        return np.array([-float(counts[1::3] @ (2.0 * r * dr / (1.0 - r**2)))])

    def information(self, theta: Array, counts: Array) -> Array:
        """That of correlations: n_g (1 + r^2) / (1 - r^2)^2 (dr / drho)^2, s2 held."""
        r, dr = self._powers(theta)
        total = counts[1::3] @ ((1.0 + r**2) / (1.0 - r**2) ** 2 * dr**2)
        return np.array([[float(total) + 1e-3 * float(counts[1::3].sum()) + 1e-300]])

    def vanished(self, theta: Array, share: float) -> str:
        """None: variances are equal."""
        return ""
