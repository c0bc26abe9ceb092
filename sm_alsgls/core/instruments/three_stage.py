"""Two-stage least squares, the Sigma of its residuals, one solve; or on to the fixed point.

1. gamma of 2SLS, E = Y - X b.
2. Sigma of E by the law of the errors: factor analysis, or E'E/N.
3. gamma given Sigma, by a form (`sm_alsgls.core.instruments.iv`, `gmm`).
4. On request 2 and 3 until no coefficient moves by more than ``tol`` of its 2SLS standard error
   (in gamma, without the first stage's variance). Nothing is maximised on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.instruments.base import Form
from sm_alsgls.core.instruments.covariance import tied_basis
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.instruments.gmm import GMMForm, OverIdentified, RobustGMMForm
from sm_alsgls.core.instruments.iv import IVForm
from sm_alsgls.core.maximise.two_step import sigma_of_residuals
from sm_alsgls.core.maximise.units import units_of
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.progress import counted

Array = np.ndarray

METHODS = ("iv", "gmm", "2sls")
_SIGMA = 1e-9


class Rows(NamedTuple):
    """All rows of a system, where the problem's are compressed."""

    design: Instrumented
    Y: Array


class Step(NamedTuple):
    """A round of Sigma and coefficients.

    ``change`` is the largest change of a coefficient, in standard errors of 2SLS; ``solver`` the
    steps that solving took, ``residual`` what it left of the estimating equations.
    """

    round: int
    change: float
    solver: int
    residual: float
    gradient: float


@dataclass(frozen=True, eq=False)
class ThreeStage:
    """What was found.

    Attributes
    ----------
    method : str
    robust : bool
        The weight is heteroscedastic.
    iterated : bool
    g : ndarray, shape (P,)
        Flat coordinates of the problem's design.
    E : ndarray, shape (n, K)
        Residuals Y - X b on the problem's rows.
    cov : Covariance
        Of E.
    at_bound : ndarray of bool, shape (K,)
    criterion : callable
        Makes J.
    df : int
        Over-identifying moments.
    first_g : ndarray, shape (P,)
        Coordinates whose residuals the Sigma of the last solve, or its weight, were of.
    first_cov : Covariance
        That Sigma.
    steps : tuple of Step
    converged : bool
    status : str
    tol, max_iter : float, int
        What the fixed point was asked to be.
    """

    method: str
    robust: bool
    iterated: bool
    g: Array
    E: Array
    cov: Covariance
    at_bound: Array
    criterion: Callable[[], float]
    df: int
    first_g: Array
    first_cov: Covariance
    steps: tuple[Step, ...]
    converged: bool
    status: str
    tol: float
    max_iter: int

    @cached_property
    def J(self) -> float:
        """The over-identifying moments' criterion, worked out when it is asked for."""
        return self.criterion()

    def without_data(self, E: Array) -> ThreeStage:
        """The same with J, and ``E`` in the place of the residuals."""
        return replace(self, E=E, criterion=partial(float, self.J))


def form_of(
    method: str, design: Instrumented, cov: Covariance, weight: Array | None = None
) -> Form:
    """The form of a method; ``weight`` are residuals (N, K) of a heteroscedastic one."""
    if weight is not None:
        return RobustGMMForm(design, weight)
    if method == "iv":
        return IVForm(design, cov)
    return GMMForm(design, cov, over=method == "gmm")


@on_one_thread
def three_stage(
    problem: Problem,
    design: Instrumented,
    rank: int,
    method: str = "iv",
    *,
    whole: Callable[[], Rows] | None = None,
    iterate: bool = False,
    tol: float = 1e-8,
    max_iter: int = 500,
    correction: Array | None = None,
    near: Covariance | None = None,
    callback: Callable[[Step], object] | None = None,
) -> ThreeStage:
    """The steps of the module.

    Parameters
    ----------
    problem : Problem
        Of a design that stands on ``design``.
    design : Instrumented
        Its free design.
    rank : int
        The law's order.
    method : {"iv", "gmm", "2sls"}
    whole : callable, optional
        Makes all rows, for a heteroscedastic weight, which method="gmm" then has.
    iterate : bool
    tol, max_iter : float, int
        Of the fixed point.
    correction : ndarray, shape (K,), optional
        What standard deviations are multiplied by in the weight of J, such as the roots of
        N / (N - p_j); not in one that is heteroscedastic.
    near : Covariance, optional
        Where the first Sigma is looked for, as in a bootstrap. Default: everywhere.
    callback : callable, optional
        Called with every `Step`; a true return value stops.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.options import ALSOptions
    >>> from sm_alsgls.core.rows.cells import Cells
    >>> from sm_alsgls.core.rows.instrumented import instrumented_rows
    >>> rng = np.random.default_rng(0)
    >>> e = rng.standard_normal((80, 1)) + rng.standard_normal((80, 5))
    >>> Z = [rng.standard_normal((80, 2)) for _ in range(5)]
    >>> X = [Z[j].sum(axis=1)[:, None] + e[:, [j]] for j in range(5)]
    >>> rows = instrumented_rows(Cells(80, 5), X, Z, e)
    >>> design = Instrumented(rows.blocks, rows.instruments, rows.n_obs)
    >>> problem = Problem.from_rows(rows, ALSOptions(), free=lambda _: design)
    >>> found = three_stage(problem, design, 1, "gmm")
    >>> found.converged, found.df
    (True, 5)
    """
    c = units_of(problem)
    if c is not None:
        inner = problem.rescaled(c)
        found = three_stage(
            inner, design, rank, method, whole=whole and (lambda: _in_units(whole(), c)),
            iterate=iterate, tol=tol, max_iter=max_iter, correction=correction, callback=callback,
            near=None if near is None else near.scaled(1.0 / c),
        )  # fmt: skip
        return replace(
            found,
            g=problem.design.carried(found.g, c, inner.design),
            E=found.E * c,
            cov=found.cov.scaled(c),
            first_g=problem.design.carried(found.first_g, c, inner.design),
            first_cov=found.first_cov.scaled(c),
        )
    rows = Rows(design, problem.Y) if whole is None else _less_origin(problem, whole())
    L = tied_basis(problem.design)
    g, E = problem.gamma_ols, problem.E_ols
    if near is None:
        step = sigma_of_residuals(problem, rank)
    else:
        step = problem.sigma_step(E, rank, near=near, gtol=_SIGMA)
    scale = np.sqrt(design.expand(problem.s_ols))
    rounds: list[Step] = []
    converged, status = True, _STATUS[method]
    first_g, first_cov = g, step.cov

    def form_at(g: Array, cov: Covariance) -> Form:
        if whole is None:
            return form_of(method, design, cov)
        weight = rows.design.left(rows.Y, problem.design.lift(g))
        return form_of(method, rows.design, cov, weight)

    most = 0 if method == "2sls" else max_iter if iterate else 1
    for number in counted(range(1, 1 + most), "rounds", unit="round"):
        first_g, first_cov = g, step.cov
        form = form_at(g, step.cov)
        solved = form.solve(rows.Y)
        gamma = solved.gamma if L is None else L @ (form.projection(L) @ solved.gamma)
        g = problem.design.drop(gamma)
        E = problem.residuals(g)
        change = float(np.abs(problem.design.lift(g - first_g) / scale).max())
        step = problem.sigma_step(E, rank, near=step.cov, block=step.block, gtol=_SIGMA)
        rounds.append(Step(number, change, solved.iterations, solved.residual, step.gradient))
        converged = solved.converged and (not iterate or change <= tol)
        if not solved.converged:
            status = f"{_STATUS[method]}; the estimating equations were not solved"
        elif iterate:
            status = _ITERATED[converged].format(number)
        stopped = callback is not None and bool(callback(rounds[-1]))
        if stopped and not converged:
            status = f"stopped by the callback after {number} rounds"
        if stopped or (iterate and change <= tol):
            break
    last = form_at(first_g, first_cov)
    weight = first_cov if correction is None else first_cov.scaled(correction)
    over = last if isinstance(last, RobustGMMForm) else OverIdentified(rows.design, weight)
    criterion = partial(over.statistic, rows.Y)
    return ThreeStage(
        method, whole is not None, iterate, g, E, step.cov, step.at_bound, criterion, design.over.P,
        first_g, first_cov, tuple(rounds), converged, status, tol, max_iter,
    )  # fmt: skip


def _in_units(rows: Rows, c: Array) -> Rows:
    return Rows(rows.design, rows.Y / c)


def _less_origin(problem: Problem, rows: Rows) -> Rows:
    """Responses less what coefficients fit at the origin of a restricted design."""
    origin = problem.design.origin
    return rows if origin is None else Rows(rows.design, rows.design.left(rows.Y, origin))


_STATUS = {
    "iv": "three stages: 2SLS, the Sigma of its residuals, 3SLS",
    "gmm": "2SLS, the weight of its residuals, GMM",
    "2sls": "two-stage least squares, and the Sigma of its residuals",
}
_ITERATED = {
    True: "a fixed point after {} rounds",
    False: "no fixed point after {} rounds; raise maxiter or tol, or take the two-step estimate, "
    "iterate=False",
}
