"""A system with instruments estimated again, in the way that it was: for bootstraps.

What is studentised with is the covariance where Sigma is that of the errors, at the Sigma that the
coefficients were weighted with and in the small-sample scale of the parent's standard errors. What
these add for the estimation of Sigma is nearly the same in every replicate, and cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self, cast

import numpy as np

from sm_alsgls.core.instruments.base import Form
from sm_alsgls.core.instruments.covariance import Combinations, FormCovariance
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.instruments.three_stage import Rows, ThreeStage, form_of, three_stage
from sm_alsgls.core.maximise.bootstrap import Replicate
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance.base import Covariance

Array = np.ndarray


def form_found(
    problem: Problem, found: ThreeStage, cov: Covariance, whole: Callable[[], Rows]
) -> Form:
    """The form of an estimate at a Sigma; a heteroscedastic weight is what it was.

    Parameters
    ----------
    problem : Problem
    found : ThreeStage
        Of the problem.
    cov : Covariance
    whole : callable
        Makes all rows, where the weight needs them.
    """
    if not found.robust:
        return form_of(found.method, cast(Instrumented, problem.design.free), cov)
    rows, gamma = whole(), problem.design.lift(found.first_g)
    if problem.design.origin is not None:
        gamma = gamma + problem.design.origin
    return form_of(found.method, rows.design, cov, rows.design.left(rows.Y, gamma))


@dataclass(frozen=True, eq=False)
class Way:
    """How a system was estimated.

    Attributes
    ----------
    order : int
        Of the law of the errors.
    method : str
    robust, iterated : bool
    tol, max_iter : float, int
    correction : ndarray, shape (K,)
        How standard errors scale the roots of Sigma.
    """

    order: int
    method: str
    robust: bool
    iterated: bool
    tol: float
    max_iter: int
    correction: Array

    @classmethod
    def of(cls, found: ThreeStage, order: int, correction: Array) -> Self:
        """That of an estimate."""
        return cls(
            order, found.method, found.robust, found.iterated, found.tol, found.max_iter, correction
        )

    def again(
        self, problem: Problem, whole: Callable[[], Rows], near: Covariance | None = None
    ) -> Again:
        """Estimate a problem of an `Instrumented` design.

        ``whole`` is as `form_found` has it, ``near`` a Sigma from which the first is looked for.
        """
        found = three_stage(
            problem,
            cast(Instrumented, problem.design.free),
            self.order,
            self.method,
            whole=whole if self.robust else None,
            iterate=self.iterated,
            tol=self.tol,
            max_iter=self.max_iter,
            near=near,
        )
        return Again(problem, found, self.correction, whole)


@dataclass(frozen=True, eq=False)
class Again:
    """An estimate of a problem, and its model-based standard errors.

    Attributes
    ----------
    problem : Problem
    found : ThreeStage
    correction : ndarray, shape (K,)
    whole : callable
    """

    problem: Problem
    found: ThreeStage
    correction: Array
    whole: Callable[[], Rows]

    @cached_property
    def covariance(self) -> FormCovariance:
        """Of the parameters where Sigma is what they were weighted with."""
        cov = self.found.first_cov.scaled(self.correction)
        form = form_found(self.problem, self.found, cov, self.whole)
        return FormCovariance(Combinations(form, self.problem.design))

    @property
    def params(self) -> Array:
        """(P,)."""
        return self.problem.design.to_params(self.found.g)

    def t(self, at: int, value: float) -> float:
        """The t statistic that parameter ``at`` is ``value``."""
        row = np.zeros((1, self.covariance.shape[0]))
        row[0, at] = 1.0
        variance = float(self.covariance.combinations(row)[0, 0])
        return (float(self.params[at]) - value) / np.sqrt(variance)

    @property
    def replicate(self) -> Replicate:
        """As other bootstraps have it; nothing was maximised, so the NLL is NaN."""
        return Replicate(
            self.params,
            np.sqrt(np.maximum(self.covariance.variances(), 0.0)),
            self.found.cov,
            np.nan,
            self.found.converged,
        )
