"""When a run among several is ended: it only climbs to where another has been."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sm_alsgls.core.maximise.solution import Solution, Sweep

Array = np.ndarray

# Two runs that end within this NLL per row of one another found the same maximum.
SAME = 1e-6
JOINED = "joined the best"
# Twice the log-likelihood below a maximum from which a run may be seen to lead to it, and how far
# the parabola may be off: in its units, and as a share.
_FAR, _OFF, _OFF_SHARE = 1.0, 0.01, 0.2


def leads_to(known: Solution, gamma: Array, score: Array, nll: float, n_obs: int) -> bool:
    """Whether a parabola goes down from a point to a maximum that is known.

    With psi(gamma) the NLL per row at the best Sigma for gamma, whose gradient is -score / N,
    psi is a parabola on the way from gamma to the maximum at gamma* where

        2 N (psi(gamma) - psi*) = score'(gamma* - gamma).

    The left side, twice a log-likelihood ratio, must be below 1, less than what coefficients
    differ by from sample to sample, and the two within .01 and a fifth of it. A run on its way to
    another maximum has a score that does not point to this one. Of 18,971 sweeps of runs on small
    systems with regressors of their own, simulated and real, whose best was known, 13 were seen to
    lead where they did not, none of them to a lower NLL; half of those that did were seen.

    Parameters
    ----------
    known : Solution
    gamma, score : ndarray, shape (P,)
        Coefficients, and the score there at the best Sigma.
    nll : float
        psi(gamma), ridges included.
    n_obs : int
        N.
    """
    ratio = 2.0 * n_obs * (nll - known.nll)
    if not 0.0 < ratio < _FAR:
        return False
    return abs(float(score @ (known.gamma - gamma)) - ratio) < min(_OFF, _OFF_SHARE * ratio)


class Watch:
    """Passes sweeps to the caller, and ends runs: at its wish, or when they join the best.

    A run has joined when it is within ten times ``SAME`` of the best NLL known (for each hundred
    equations) and hardly falls: finishing it would only find the same maximum again. Where there
    are two starts only (``large`` is N) it also has when all its rows together are within 2 of
    the best log-likelihood and no equation's score is half its standard error.
    """

    def __init__(
        self, callback: Callable[[Sweep], object] | None, K: int, large: int | None = None
    ) -> None:
        self._callback, self.stopped = callback, False
        self._close = 0.0 if large is None else 2.0 / large
        self._near = 10 * SAME * max(1.0, K / 100)
        self.best: float | None = None
        self._previous = np.inf

    def __call__(self, sweep: Sweep) -> str:
        """Why the run ends after this sweep; empty where it goes on."""
        if self._callback is not None and self._callback(sweep):
            self.stopped = True
            return "stopped by the callback"
        fell = self._previous - sweep.nll if sweep.sweep > 0 else np.inf
        self._previous = sweep.nll
        if self.best is None:
            return ""
        # A run below the best is on its way to another maximum, however close.
        above = sweep.nll - self.best
        if -1e-9 < above < self._near and fell < 10 * self._near:
            return JOINED
        if -1e-9 < above < self._close and sweep.score_beta < 0.5:
            return JOINED
        return ""
