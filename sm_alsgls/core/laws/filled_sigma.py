"""The Sigma-step where missing cells are filled, for each kind of Sigma.

Sigma of factors, F F' + D, takes quasi-Newton steps in (F, log d), an unrestricted one in its root
(`sm_alsgls.core.sigma`). Of one or two parameters for all equations whole rows have a closed form,
linear in the products of rows, so that EM (Dempster, Laird and Rubin 1977) is that form of the
filled rows and the extra ones,

    Sigma <- Sigma + a (S(Sigma) - Sigma),      a = 1 / share of the cells observed,

S(Sigma) the closed form: where cells are independent of one another the step with that a is the
maximum itself. A step that raises the likelihood's negative is made with a = 1, which never does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeGuard

import numpy as np

from sm_alsgls.core.errors.base import Errors, SigmaStep, Step
from sm_alsgls.core.sigma.filled_likelihood import FilledObjective
from sm_alsgls.core.sigma.filled_unrestricted import FilledLikelihood
from sm_alsgls.core.sigma.observed_factor import fit_observed
from sm_alsgls.core.sigma.observed_start import available_cells
from sm_alsgls.core.sigma.unrestricted import (
    available_pairs,
    fit_observed_unrestricted,
    triangular,
)
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, factors_of
from sm_alsgls.covariance.filled_rows import FilledRows
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

# Steps of EM at most.
_MOST = 500


class ClosedForm(Errors, Protocol):
    """A law of whole rows whose Sigma-step is a closed form of any number of them."""

    def fitted(self, E: Array, floor: Array) -> Step:
        """The Sigma-step of residuals E (n, K), above the bounds ``floor`` of d."""
        ...

    def slope(self, E: Array, cov: Covariance, at_bound: Array) -> float:
        """Largest gradient per row in the logs of Sigma's parameters that may move."""
        ...


def has_closed_form(errors: Errors) -> TypeGuard[ClosedForm]:
    """Whether a law has `ClosedForm`'s methods."""
    return hasattr(errors, "fitted")


class FilledResiduals:
    """Residuals E (N, K) as filled rows of what is left; see `Expecting`.

    Parameters
    ----------
    E : ndarray, shape (N, K)
    seen : callable
        The rows' covariance, with a Sigma, as the observed cells see it.
    through : callable
        Rows of e as rows of what is left.
    """

    def __init__(
        self,
        E: Array,
        seen: Callable[[Covariance], FilledRows],
        through: Callable[[Array], Array],
    ) -> None:
        self.residuals, self.seen, self._through = E, seen, through

    def left(self, seen: FilledRows) -> list[Array]:
        """What is left of filled rows, the first (N, K), and of extra ones."""
        return [self._through(rows) for rows in (seen.filled(self.residuals), *seen.extra())]


def sigma_of_filled(
    law: Errors,
    E: Array,
    patterns: Patterns,
    filling: FilledResiduals,
    jacobian: float,
    rank: int,
    *,
    floor: Array,
    near: Covariance | None,
    d: Array | None,
    block: Any,
    gtol: float,
    lam_F: float,
) -> SigmaStep:
    """The Sigma-step of a law of whole rows, some cells of which are missing.

    Parameters
    ----------
    law : Errors
        Of whole rows of what is left.
    E : ndarray, shape (N, K)
        Residuals, zero in missing cells: what a search begins with.
    patterns : Patterns
    filling : FilledResiduals
        Of the residuals.
    jacobian : float
        Per row, which the covariance's log-determinant has and the objective has not.
    rank, floor, near, d, block, gtol, lam_F
        As in `Errors.sigma`, of what is left.
    """
    if has_closed_form(law):
        return _closed(law, E, patterns, filling, jacobian, floor, near, gtol)
    memory = None if block is None else block.copy()
    if not law.climbs:
        first = available_pairs(E, patterns) if near is None else triangular(near)
        likelihood = FilledLikelihood(E, patterns, filling, jacobian)
        found = fit_observed_unrestricted(
            E, patterns, first, floor, gtol=gtol, memory=memory, likelihood=likelihood
        )
        step = found.cov, found.nll, found.gradient, found.at_bound, found.evaluations
        return Step(*step, found.memory)
    start = None if near is None else factors_of(near)
    if start is None or start.rank != rank:
        start, memory = available_cells(E, patterns, rank, d), None
    objective = FilledObjective(E, patterns, start, filling, jacobian, lam_F)
    return fit_observed(
        E, patterns, start, floor, lam_F=lam_F, gtol=gtol, memory=memory, objective=objective
    )


def gradient_of_filled(
    law: Errors,
    cov: Covariance,
    patterns: Patterns,
    filling: FilledResiduals,
    jacobian: float,
    at_bound: Array,
    lam_F: float,
) -> float:
    """Largest gradient per row in the parameters of a Sigma ``cov`` of what is left."""
    E = filling.residuals
    if has_closed_form(law):
        together = np.concatenate(filling.left(filling.seen(cov)))
        return law.slope(together, cov, at_bound)
    if not law.climbs:
        likelihood = FilledLikelihood(E, patterns, filling, jacobian)
        return likelihood(triangular(cov)).size(at_bound)
    left = factors_of(cov)
    objective = FilledObjective(E, patterns, left, filling, jacobian, lam_F)
    return objective(left.loadings, np.log(left.uniquenesses)).size(at_bound)


def _closed(
    law: ClosedForm,
    E: Array,
    patterns: Patterns,
    filling: FilledResiduals,
    jacobian: float,
    floor: Array,
    near: Covariance | None,
    gtol: float,
) -> Step:
    more = patterns.N * patterns.K / patterns.n_cells
    at: Covariance = law.fitted(np.sqrt(more) * E, floor).cov if near is None else near
    best: _Best | None = None
    plain, evaluations = True, 0
    while evaluations < _MOST:
        seen = filling.seen(at)
        rows = filling.left(seen)
        nll = 0.5 * (seen.logdet() + at.quad(rows[0])) / patterns.N + jacobian
        evaluations += 1
        if best is not None and not plain and nll > best.nll:
            at, plain = best.then, True
            continue
        together = np.concatenate(rows)
        made = law.fitted(together, floor)
        size = law.slope(together, at, made.at_bound)
        best = _Best(at, nll, size, made.at_bound, made.cov)
        if size <= gtol:
            break
        at, plain = _beyond(at, made.cov, more), False
    assert best is not None
    return Step(best.cov, best.nll, best.size, best.at_bound, evaluations)


class _Best(NamedTuple):
    """The lowest point, and where a step of EM goes from it."""

    cov: Covariance
    nll: float
    size: float
    at_bound: Array
    then: Covariance


def _beyond(now: Covariance, then: Covariance, more: float) -> Covariance:
    """``more`` than the way from one Sigma to another, both f f' + D of equal shape."""
    first, second = factors_of(now), factors_of(then)
    d = first.uniquenesses + more * (second.uniquenesses - first.uniquenesses)
    squares = np.square(first.loadings)
    squares = squares + more * (np.square(second.loadings) - squares)
    if (d < 0.5 * second.uniquenesses).any() or (squares < 0.0).any():
        return then
    return LowRankDiag.from_factors(np.sqrt(squares), d)
