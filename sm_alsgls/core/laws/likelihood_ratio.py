"""Likelihood ratios of two fits with laws, of which one is a case of the other, and their draws.

Both are maxima over the laws' parameters as well: what a smaller Sigma leaves over, laws may take.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.maximise import maximise, maximise_from
from sm_alsgls.core.laws.raw_system import RawSystem

Array = np.ndarray


@dataclass(frozen=True)
class LawRatio:
    """Two maxima of the likelihood and their ranks, the smaller model first.

    Examples
    --------
    >>> from sm_alsgls.core.laws.ar import AR
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((60, 2)) for _ in range(5)]
    >>> law = AR.of(60, np.array([0.6]), 5)
    >>> U = rng.standard_normal((60, 5)) + rng.standard_normal((60, 1))
    >>> raw = RawSystem(law.inverse(U), X, law, ALSOptions())
    >>> found = LawRatio(maximum(raw, 0), maximum(raw, 1), 0, 1)
    >>> bool(found.statistic > 20.0 > found.draw(rng))
    True
    """

    small: LawFit
    large: LawFit
    low: int
    high: int

    @property
    def statistic(self) -> float:
        """2 N (nll of the smaller model - that of the larger)."""
        return _ratio(self.small, self.large)

    def draw(self, rng: np.random.Generator) -> float:
        """The statistic of data drawn from the smaller model, both estimated again."""
        fit = self.small
        system, best = fit.system, fit.found.best
        E = system.residuals(fit.problem.design, best.gamma)
        U = best.cov.sample(rng, len(E))
        Y = system.responses - E + system.filter.inverse(U)
        if system.lag is not None:
            Y = system.lag.inverse(Y)
        Y = np.asfortranarray(Y if system.mask is None else np.where(system.mask, Y, 0.0))
        pairs = ((self.small, self.low), (self.large, self.high))
        again = [maximise_from(one, replace(one.system, Y=Y), rank) for one, rank in pairs]
        return _ratio(*again)


def maximum(system: RawSystem, rank: int) -> LawFit:
    """The maximum of the likelihood of a system, from the laws' values that it is at."""
    return maximise(system, rank, guess=False)


def _ratio(small: LawFit, large: LawFit) -> float:
    return 2.0 * len(small.system.Y) * (small.found.best.nll - large.found.best.nll)
