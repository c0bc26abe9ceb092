"""Linear restrictions R beta = q on the coefficients of a system with missing cells."""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.beta.observed_information import ObservedCoefficientCovariance
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.restricted import RestrictedCovariance, RestrictedDesign
from sm_alsgls.core.errors.observed_problem import ObservedNormalEquations, ObservedProblem
from sm_alsgls.core.problem import ALSOptions
from sm_alsgls.core.rows.cell_rows import CellRows
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import OptionError

Array = np.ndarray


class RestrictedObservedProblem(ObservedProblem):
    """An `ObservedProblem` whose coefficients obey R beta = q; see `core.design.restricted`.

    Attributes
    ----------
    design : RestrictedDesign
    R, q : ndarray, shapes (m, P), (m,)
    """

    design: RestrictedDesign
    R: Array
    q: Array

    @classmethod
    def restricted(
        cls, rows: CellRows, options: ALSOptions, R: Array, q: Array
    ) -> RestrictedObservedProblem:
        """The problem of rows with ridge-free options.

        Raises
        ------
        OptionError, InconsistentRestrictionsError
        """
        if options.lam_B > 0.0:
            raise OptionError("lam_B > 0 cannot be combined with restrictions on coefficients")
        problem = cls.__new__(cls)
        problem.R, problem.q = R, q
        problem._open(rows, options)
        return problem

    @property
    def free_design(self) -> Design:
        """The design without restrictions."""
        return self.design.full

    def _set(self, design: Design, Y: Array) -> None:
        restricted = RestrictedDesign(design, self.R, self.q)
        super()._set(restricted, Y - design.fitted(restricted.origin))

    def _set_scaled(self, c: Array) -> None:
        full, Y = self.design.full, self.Y + self.design.full.fitted(self.design.origin)
        self.R = self.R * np.repeat(c, full.p)
        self._set(full, (Y.T / c[:, None]).T)

    def covariance(self, cov: LowRankDiag) -> RestrictedCovariance:  # type: ignore[override]
        """Covariance of the restricted coefficients."""
        free = ObservedNormalEquations(self.design.full, self.observed(cov), self.n_obs)
        return RestrictedCovariance(ObservedCoefficientCovariance(free), self.R)
