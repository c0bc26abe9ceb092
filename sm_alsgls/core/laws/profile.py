"""The likelihood of laws with some of their values held, everything else at its maximum.

    g(held) = min over what is not held of  N psi(theta)   or   N psi_R(theta),

psi as in `sm_alsgls.core.laws.maximise`, psi_R the restricted likelihood. Laws whose values are
zero leave errors as they are, so that 2 (g(0) - g()) is the likelihood ratio of a law's absence,
chi-square of as many degrees as it has values; and the values v of one parameter at which
2 (g(v) - g()) is below a quantile of chi-square of one degree are its interval
(`sm_alsgls.core.laws.profile_interval`).
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.maximise import maximise, maximise_from
from sm_alsgls.core.laws.restricted_likelihood import restricted_likelihood
from sm_alsgls.core.threads import on_one_thread

Array = np.ndarray


class Profile:
    """g of the module, around its minimum.

    Parameters
    ----------
    fit : LawFit
        At the maximum or near to it.
    rank : int
    restricted : bool
        Whether the restricted likelihood is meant, O(N P^2 + P^3) at every value.

    Attributes
    ----------
    best : LawFit
        The minimum with nothing held.

    Examples
    --------
    >>> from sm_alsgls.core.laws.ar import AR
    >>> from sm_alsgls.core.laws.maximise import maximise
    >>> from sm_alsgls.core.laws.raw_system import RawSystem
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((60, 2)) for _ in range(3)]
    >>> raw = RawSystem(rng.standard_normal((60, 3)), X, AR.of(60, np.zeros(1), 3), ALSOptions())
    >>> profile = Profile(maximise(raw, 0), 0, False)
    >>> 0.0 < profile.ratio(profile.lowest(np.zeros(1))) < 3.84
    True
    """

    def __init__(self, fit: LawFit, rank: int, restricted: bool) -> None:
        self._rank, self._restricted = rank, restricted
        self._cov = fit.found.best.nuisance.cov
        self.best = self._minimised(fit, None, known=fit)

    def value(self, fit: LawFit) -> float:
        """N psi or N psi_R at a fit, which `held` or ``best`` is."""
        per_row = fit.found.best.nll if fit.restricted is None else fit.restricted
        return len(fit.system.Y) * per_row

    def held(self, held: Array, near: LawFit | None = None) -> LawFit:
        """The minimum with values (m,) held, NaN for those that move.

        ``near`` is where to begin; default the best.
        """
        return self._minimised(self.best if near is None else near, np.asarray(held, dtype=float))

    def lowest(self, held: Array) -> LawFit:
        """The lower of that, and of what a search finds that knows nothing of the best.

        It begins where a fit without the laws that are held begins, at zero: at the best values of
        neighbours it may end on a lower maximum.
        """
        begins = self.best.system.at(np.zeros(len(held)))
        fit = maximise(begins.holding(np.asarray(held, dtype=float)), self._rank)
        if self._restricted:
            fit = restricted_likelihood(fit, self._rank, self._cov)
        return min(self.held(held), fit, key=self.value)

    def ratio(self, there: LawFit) -> float:
        """2 (g(held) - g()) of a fit with values held.

        Not below zero: if g(held) is lower than the best, that was none, and goes there.
        """
        if self.value(there) < self.value(self.best):
            again = self._minimised(there, None)
            self.best = min(self.best, again, key=self.value)
        return max(0.0, 2.0 * (self.value(there) - self.value(self.best)))

    @on_one_thread
    def _minimised(self, near: LawFit, held: Array | None, known: LawFit | None = None) -> LawFit:
        """From a fit; ``known`` is returned as it is where it is what is asked for."""
        m = len(near.found.best.nuisance.values)
        system = near.system.holding(np.full(m, np.nan) if held is None else held)
        if self._restricted:
            if known is not None and known.restricted is not None:
                return known
            if held is not None:
                near = maximise_from(near, system, self._rank)
            return restricted_likelihood(near, self._rank, self._cov)
        return maximise_from(near, system, self._rank)
