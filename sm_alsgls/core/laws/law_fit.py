"""What `sm_alsgls.core.laws.maximise` returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sm_alsgls.core.laws.raw_system import Graded, RawSystem, graded
from sm_alsgls.core.maximise.found import Search
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance.base import Covariance

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class LawFit:
    """The maximum over everything.

    Attributes
    ----------
    found : Search
        Its best solution's ``nuisance`` has the values and their covariance, its NLL the
        log-Jacobians. ``runs`` are those of the search at the first values.
    system : RawSystem
        At the values.
    problem : Problem
        Of what its filter leaves: where ``found`` has its coordinates. Its own NLL lacks
        the filter's log-Jacobian.
    gradient : ndarray, shape (m,)
        Of psi, at the values.
    steps : int
        Outer steps.
    slopes : ndarray, shape (P, m), or None
        G = d b / d values of the parameters b, as `Linear.to_params` has them: beside given values
        their covariance is H^-1, and beside estimated ones H^-1 + G Cov(values) G', Cov(b, values)
        being G Cov(values): the inverse of the partitioned information. None where there is no
        covariance by differences.
    restricted : float or None
        psi_R, per row, where it is the restricted likelihood that was maximised.
    """

    found: Search
    system: RawSystem
    problem: Problem
    gradient: Array
    steps: int
    slopes: Array | None = field(default=None, kw_only=True)
    restricted: float | None = field(default=None, kw_only=True)

    @property
    def graded(self) -> Graded | None:
        """The law of the errors that filters leave, where it has parameters of its own."""
        return graded(self.problem.errors)

    @property
    def sigma(self) -> Covariance:
        """Of the innovations, which nothing is left to be taken out of."""
        cov = self.found.best.cov
        return cov if self.graded is None else self.graded.left_of(cov)
