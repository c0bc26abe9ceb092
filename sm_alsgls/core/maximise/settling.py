"""When a run of sweeps is near enough to its end for the last beta-step.

A run ends with GLS at the Sigma that is returned, and a look at both gradients there. That moves
the gradient in log d, so it is tried where that is expected to stay within gtol.
"""

from __future__ import annotations

import math

# What a sweep must be expected to leave to be the last, in units of what the last may leave.
_LAST = 5.0
# Where a sweep leaves more of the score than this, beta and Sigma hang together, and a last
# beta-step that finds so many gtol is taken to move the gradient by one.
_QUICK, _SLOWLY = 0.1, 8.0


class Settling:
    """What to expect of a last beta-step, in one run.

    Parameters
    ----------
    n_obs, K : int
        Rows and equations.
    gtol : float

    Attributes
    ----------
    only_once : bool
        Whether the next attempt ends the run, converged or not. It is made at half of gtol in the
        gradient and one of gtol in the score only.

    Examples
    --------
    >>> settling = Settling(1000, 1000, 1e-6)
    >>> settling.is_near(1e-7, 2e-4, 1e-2), settling.is_near(1e-7, 2e-4, 1e-3)
    (True, False)
    >>> settling.failed()
    >>> settling.is_near(1e-7, 2e-4, 1e-2), settling.is_near(1e-7, 2e-5, 1e-2)
    (False, True)
    """

    def __init__(self, n_obs: int, K: int, gtol: float) -> None:
        self._nearby, self._gtol = near_enough(n_obs, K), gtol

    @property
    def only_once(self) -> bool:  # noqa: D102
        return self._nearby == 1.0

    def is_near(self, gradient: float, score: float, before: float) -> bool:
        """Whether to try, at a gradient in log d and scores, now and before the last sweep."""
        near = self._nearby
        if score > _QUICK * before:
            near = min(near, _SLOWLY)
        expected = max(2.0 * gradient, score) if self.only_once else gradient + score / near
        return expected <= self._gtol

    def failed(self) -> None:
        """An attempt moved the gradient by more than was expected."""
        self._nearby = max(1.0, 0.1 * self._nearby)

    def is_last(self, score: float, before: float) -> bool:
        """Whether the sweep that begins is expected to be the last.

        Sweeps shrink the score by about as much as the one before did.
        """
        if not 0.0 < score <= _QUICK * before:
            return False
        return score * score / before <= _LAST * self._nearby * self._gtol


def near_enough(n_obs: int, K: int) -> float:
    """The score, in units of gtol, of which the last beta-step moves the gradient by gtol.

    It moves beta by that many standard errors, and a row's gradient in log d by sqrt(2 / N) of
    that at most, but by 1 / sqrt(K) of it as a rule: an equation's own residuals are orthogonal to
    its regressors by then, and what others do to the factors averages out. Of 73 attempts after
    quick sweeps half moved it by .93 of that or less, nine of ten by 2.2. Where that is too much,
    what was spent is the beta-step of the next sweep.
    """
    return max(1.0, min(600.0, 0.45 * math.sqrt(n_obs * K / 2.0)))
