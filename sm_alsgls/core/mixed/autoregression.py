"""Residuals that are autoregressive of order one, in time within groups.

    u_t = rho^g u_{t-g} + ...,  s2 the *marginal* variance (nlme's corAR1 and corCAR1): terms are

first rows of groups, and for each distance g between a row and the one before it
(z_t - r z_{t-g})(z_t - r z_{t-g})' / (1 - r^2), r = rho^g, in three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sm_alsgls.core.mixed.residual_laws import AtPairs, Pairs, ResidualLaw
from sm_alsgls.exceptions import OptionError

Array = np.ndarray

# A correlation this close to 1 makes products of neighbours lose all digits of their difference.
_NEAREST = 1.0 - 1e-8
# Of the largest time, what two distances differ by when they are one.
_ROUNDED = 1e-13
#: Distances between neighbours, three terms each, that are kept as products.
MOST_GAPS = 24


def _rounding(times: Array) -> float:
    """What distances between times differ by when they are one."""
    return _ROUNDED * max(1.0, float(np.abs(times).max(initial=0.0)))


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
    within: ClassVar[tuple[ResidualLaw, ...]] = ()

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

    def curves(self, theta: Array) -> Array:
        """d2w / drho^2, (1, 1, terms)."""
        (r, dr), bent = self._powers(theta), self._bent(theta)
        u = 1.0 - r**2
        once = np.stack([2.0 * r, 2.0 * r, -(1.0 + r**2)], axis=1) / u[:, None] ** 2
        twice = np.stack([2.0 + 6.0 * r**2] * 2 + [-(6.0 * r + 2.0 * r**3)], axis=1)
        each = twice * (dr**2 / u**3)[:, None] + once * bent[:, None]
        return np.concatenate([[0.0], each.ravel()])[None, None]

    def _bent(self, theta: Array) -> Array:
        """d2r / drho^2, (gaps,); no power of rho below 0, of which rho = 0 has none."""
        rho, gaps = float(theta[0]), np.array(self.gaps)
        some = gaps * (gaps - 1.0)
        return some * np.power(rho, np.where(some == 0.0, 0.0, gaps - 2.0))

    def at_pairs(self, theta: Array) -> AtPairs:
        """1 of rows alone, r of pairs."""
        (r, dr), bent = self._powers(theta), self._bent(theta)

        def spread(alone: float, paired: Array) -> Array:
            each = np.stack([np.full_like(paired, alone)] * 2 + [paired], axis=1)
            return np.concatenate([[alone], each.ravel()])

        return AtPairs(spread(1.0, r), spread(0.0, dr)[None], spread(0.0, bent)[None, None])

    def variances(self, theta: Array) -> Array:
        """[1]."""
        return np.ones(1)

    def variance_slopes(self, theta: Array) -> Array:
        """(1, 1)."""
        return np.zeros((1, 1))

    @property
    def sides(self) -> Array:
        """2 of cross products."""
        return np.concatenate([[1.0], np.tile([1.0, 1.0, 2.0], len(self.gaps))])

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
