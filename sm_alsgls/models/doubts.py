"""What a fit warns of: no convergence, Heywood cases, ranks that are too high for the rows."""

from __future__ import annotations

import warnings

import numpy as np

from sm_alsgls.border.blame import caller
from sm_alsgls.border.names import listed
from sm_alsgls.core.instruments.three_stage import ThreeStage
from sm_alsgls.core.laws.estimated import Estimated
from sm_alsgls.core.maximise.found import Search
from sm_alsgls.core.maximise.solution import Solution
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rank.excess import LastFactor, spare_factor
from sm_alsgls.exceptions import (
    ConvergenceWarning,
    HeywoodWarning,
    RankWarning,
    RestrictedLikelihoodWarning,
)
from sm_alsgls.models.base import SystemModel
from sm_alsgls.results.maximum import Messages

# Share of the degrees of freedom beyond which K - 1 covariances of an equation are many.
_SPENT = 0.2


def warn(
    model: SystemModel,
    messages: Messages,
    found: Search,
    problem: Problem,
    laws: Estimated | None = None,
) -> None:
    """Say what is doubtful about a fit, to whoever called `fit`.

    Warns
    -----
    ConvergenceWarning, HeywoodWarning, RankWarning, RestrictedLikelihoodWarning
    """
    best = found.best
    K, left = model.neqs, model.system.scarcest[0] - model.system.scarcest[1]
    full = not model.law.has_factors and found.method != "two-step"
    if full and not problem.sigma_alone and K - 1 > _SPENT * left:
        more = 100.0 * (np.sqrt(1.0 + (K - 1.0) / max(left - K, 1.0)) - 1.0)
        warnings.warn(
            f"rank='full' estimates {K * (K + 1) // 2} parameters of Sigma from {left} degrees "
            f"of freedom an equation, which adds up to {more:.0f} % to standard deviations of "
            "coefficients; a low rank (rank='auto') or method='two-step' adds less",
            RankWarning,
            stacklevel=caller(),
        )
    if not best.converged:
        warnings.warn(
            f"{type(model).__name__} did not converge: {best.status} (gradient in log d "
            f"{best.gradient_d:.1e}, score of beta {best.score_beta:.1e})",
            ConvergenceWarning,
            stacklevel=caller(),
        )
    if best.at_bound.any():
        message = messages.heywood(model.equations, best.at_bound)
        warnings.warn(message, HeywoodWarning, stacklevel=caller())
    if not found.bounded:
        warnings.warn(messages.unbounded(), RankWarning, stacklevel=caller())
    if laws is not None and laws.uncorrected:
        warnings.warn(_uncorrected(laws), RestrictedLikelihoodWarning, stacklevel=caller())


def _uncorrected(laws: Estimated) -> str:
    """Whose bias stays, why, and what to do."""
    return (
        f"reml=True: parameters of the laws of the errors are by {laws.how}, not corrected for the "
        f"estimation of coefficients by the restricted likelihood: {laws.uncorrected}. AR "
        "coefficients are then too small and scales too large; say reml=False, which is the "
        "maximum and does not warn"
    )


def warn_of_spare(messages: Messages, last: LastFactor | None) -> bool:
    """Whether there was something to warn of; the line to blame is outside the package."""
    if last is None or not last.is_spare:
        return False
    warnings.warn(messages.spare(last), RankWarning, stacklevel=caller())
    return True


class Spare:
    """The last factor of a search's first solution beside noise, warned of at once.

    Parameters
    ----------
    messages : Messages
    rank : int

    Attributes
    ----------
    warned : bool
        Whether there was something to warn of.
    """

    def __init__(self, messages: Messages, rank: int) -> None:
        self._messages, self._rank, self.warned = messages, rank, False
        self._first: tuple[Solution, LastFactor | None] | None = None

    def look_at(self, problem: Problem, first: Solution) -> None:
        """Compare and warn."""
        self._first = first, spare_factor(problem, first, self._rank)
        self.warned = warn_of_spare(self._messages, self._first[1])

    def of(self, problem: Problem, best: Solution) -> LastFactor | None:
        """The last factor of the best solution, which mostly is the first."""
        if self._first is not None and self._first[0] is best:
            return self._first[1]
        return spare_factor(problem, best, self._rank)


def warn_of_stages(equations: list[str], found: ThreeStage) -> None:
    """Say what is doubtful about estimates by 3SLS or GMM.

    Warns
    -----
    ConvergenceWarning, HeywoodWarning
    """
    if not found.converged:
        warnings.warn(
            f"LowRank3SLS did not converge: {found.status}",
            ConvergenceWarning,
            stacklevel=caller(),
        )
    if found.at_bound.any() and found.method != "2sls":
        named = listed(repr(equations[j]) for j in np.flatnonzero(found.at_bound))
        warnings.warn(
            f"Heywood case: the uniqueness of {named} is at its lower bound, "
            "so the factors fit it exactly; lower the rank"
            + ("; with so few equations use rank='full'" if len(equations) <= 5 else ""),
            HeywoodWarning,
            stacklevel=caller(),
        )
