"""Residuals that are autoregressive within groups, and whose variances are those of levels.

    u_t / s_l is `AR1`, s_l the standard deviation of the row's level:  R = S R(rho) S

(nlme's corAR1 with varIdent). Terms of the autoregression fall into parts, of rows of one level or
of pairs of rows of two, whose weights are its weights over s_l s_l', and elements of R its
elements times that. theta is the levels', then rho.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from sm_alsgls.core.mixed.autoregression import AR1, MOST_GAPS
from sm_alsgls.core.mixed.residual_laws import AtPairs, Levels, Pairs, ResidualLaw
from sm_alsgls.exceptions import OptionError

Array = np.ndarray


@dataclass(frozen=True)
class LevelsAR1:
    """Autoregression within groups of residuals whose variances are those of levels.

    Parameters
    ----------
    levels : Levels
    ar : AR1
    parts : tuple of (int, int, int)
        Of each term: which of the autoregression's it is a part of, and the levels of the pair.
    """

    levels: Levels
    ar: AR1
    parts: tuple[tuple[int, int, int], ...]
    independent = False

    @classmethod
    def of_rows(cls, codes: Array, times: Array, levels: Array, labels: tuple[str, ...]) -> Self:
        """The law of rows of groups ``codes`` (n,) at ``times`` (n,), of numbers of levels (n,).

        Raises
        ------
        OptionError
            As `AR1.of_times`; or more parts than products are kept for.
        """
        ar = AR1.of_times(codes, times)
        found = [
            (k, int(one), int(other))
            for k, pairs in enumerate(ar.pairs(codes, times))
            for one, other in np.unique(_sorted_levels(levels, pairs), axis=0)
        ]
        if len(found) > 1 + 3 * MOST_GAPS:
            raise OptionError(
                f"autoregression within groups of residuals of {len(labels)} levels: rows and the "
                f"rows before them are of {len(found)} kinds, by distance and level, and products "
                f"are kept for {1 + 3 * MOST_GAPS} at most; join levels, or round the times"
            )
        return cls(Levels(labels), ar, tuple(found))

    @property
    def within(self) -> tuple[ResidualLaw, ...]:
        """The levels, and the autoregression."""
        return self.levels, self.ar

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the levels."""
        return self.levels.labels

    @property
    def size(self) -> int:
        """A level less, and rho."""
        return self.levels.size + 1

    @property
    def terms(self) -> int:
        """Parts."""
        return len(self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """Of theta."""
        return (*self.levels.names, *self.ar.names)

    @cached_property
    def _of(self) -> Array:
        """Term of the autoregression of each part."""
        return np.array([part[0] for part in self.parts])

    @cached_property
    def _halves(self) -> Array:
        """How often each level but the first is in a pair, over two, (levels - 1, terms)."""
        pairs = np.array([part[1:] for part in self.parts])
        level = np.arange(1, self.levels.terms)[:, None, None]
        return 0.5 * (pairs == level).sum(axis=2)

    @property
    def once(self) -> list[int]:
        """Parts of the autoregression's."""
        return np.flatnonzero(np.isin(self._of, self.ar.once)).tolist()

    @property
    def sides(self) -> Array:
        """The autoregression's."""
        return self.ar.sides[self._of]

    @property
    def bounds(self) -> Array:
        """Of both."""
        return np.concatenate([self.levels.bounds, self.ar.bounds])

    def guess(self) -> Array:
        """Equal variances, and a little."""
        return np.concatenate([self.levels.guess(), self.ar.guess()])

    def pairs(self, codes: Array, index: Array | None) -> list[Pairs]:
        """Pairs of each part; ``index`` (n, 2) are times and numbers of levels."""
        if index is None:
            raise OptionError(
                "autoregression within groups of residuals of levels needs the time and the level "
                "of each row"
            )
        times, levels = index[:, 0], index[:, 1].astype(int)
        whole = self.ar.pairs(codes, times)
        which = [_sorted_levels(levels, pairs) for pairs in whole]
        out = []
        for k, one, other in self.parts:
            left, right = whole[k]
            at = (which[k] == (one, other)).all(axis=1)
            rows = left[at]
            out.append(Pairs(rows, rows if right is left else right[at]))
        if sum(len(pairs.left) for pairs in out) != sum(len(pairs.left) for pairs in whole):
            raise OptionError(
                "autoregression within groups: a pair of levels that the law does not know"
            )
        return out

    def _scale(self, theta: Array) -> Array:
        """s_l s_l' of each part."""
        return np.exp(theta[:-1] @ self._halves)

    def weights(self, theta: Array) -> Array:
        """The autoregression's over s_l s_l'."""
        return self.ar.weights(theta[-1:])[self._of] / self._scale(theta)

    def slopes(self, theta: Array) -> Array:
        """dw / dtheta, (size, terms)."""
        in_rho = self.ar.slopes(theta[-1:])[:, self._of] / self._scale(theta)
        return np.concatenate([-self._halves * self.weights(theta), in_rho])

    def curves(self, theta: Array) -> Array:
        """d2w / dtheta dtheta', (size, size, terms)."""
        w, slopes = self.weights(theta), self.slopes(theta)[-1]
        bent = self.ar.curves(theta[-1:])[0, 0, self._of] / self._scale(theta)
        return _bordered(-self._halves, w, slopes, bent)

    def at_pairs(self, theta: Array) -> AtPairs:
        """The autoregression's times s_l s_l'."""
        made, scale = self.ar.at_pairs(theta[-1:]), self._scale(theta)
        value, slope = made.value[self._of] * scale, made.slopes[0, self._of] * scale
        slopes = np.concatenate([self._halves * value, slope[None]])
        bent = made.curves[0, 0, self._of] * scale
        return AtPairs(value, slopes, _bordered(self._halves, value, slope, bent))

    def variances(self, theta: Array) -> Array:
        """The levels'."""
        return self.levels.variances(theta[:-1])

    def variance_slopes(self, theta: Array) -> Array:
        """The levels', and nothing of rho."""
        own = self.levels.variance_slopes(theta[:-1])
        return np.concatenate([own, np.zeros((1, self.levels.terms))])

    def _counts(self, counts: Array) -> tuple[Array, Array]:
        """Pairs of the autoregression's terms, and rows of the levels but the first."""
        whole = np.bincount(self._of, weights=counts, minlength=self.ar.terms)
        once = self.once
        return whole, self._halves[:, once] @ counts[once]

    def logdet(self, theta: Array, counts: Array) -> float:
        """The sum of both."""
        whole, rows = self._counts(counts)
        return self.ar.logdet(theta[-1:], whole) + float(rows @ theta[:-1])

    def logdet_slope(self, theta: Array, counts: Array) -> Array:
        """Of each."""
        whole, rows = self._counts(counts)
        return np.append(rows, self.ar.logdet_slope(theta[-1:], whole))

    def information(self, theta: Array, counts: Array) -> Array:
        """Half of tr(R^-1 dR_a R^-1 dR_b), s2 profiled, with the autoregression's ridge."""
        whole, rows = self._counts(counts)
        n, found = float(counts[self.once].sum()), self.at_pairs(theta)
        own = -(self.slopes(theta) * counts * self.sides) @ found.slopes.T
        logs = np.append(rows, self.ar.logdet_slope(theta[-1:], whole))
        out = 0.5 * (own - np.outer(logs, logs) / n)
        out[-1, -1] += 1e-3 * float(whole[1::3].sum()) + 1e-300
        return np.asarray(out)

    def vanished(self, theta: Array, share: float) -> str:
        """The levels'."""
        return self.levels.vanished(theta[:-1], share)


def _sorted_levels(levels: Array, pairs: Pairs) -> Array:
    """Levels of the rows of pairs, the lower first, (pairs, 2)."""
    return np.sort(np.stack([levels[pairs.left], levels[pairs.right]], axis=1), axis=1)


def _bordered(h: Array, value: Array, slope: Array, bent: Array) -> Array:
    """Second derivatives of value exp(h'theta) in (theta, rho), (size, size, terms)."""
    out = np.empty((len(h) + 1, len(h) + 1, len(value)))
    out[:-1, :-1] = h[:, None] * h[None] * value
    out[:-1, -1] = out[-1, :-1] = h * slope
    out[-1, -1] = bent
    return out
