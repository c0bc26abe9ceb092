"""What only the factorised system shows: dependent columns, exact fits, dependent equations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sm_alsgls.core.design.bases import DependentColumnsError, TinyColumnsError
from sm_alsgls.core.design.restricted import InconsistentRestrictionsError
from sm_alsgls.core.errors.base import Errors
from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.data.columns import dependent, tiny
from sm_alsgls.data.dependence import check_independent
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.data.system import System
from sm_alsgls.data.validity import check_not_exact
from sm_alsgls.exceptions import (
    DuplicateEquationError,
    InsufficientRowsError,
    RestrictionError,
    SystemInputError,
)

# Sizes of responses whose precisions, and lengths whose squares, are doubles.
_LEAST, _MOST = 1e-151, 1e153
# Variances of errors from which those of coefficients are looked at, and powers of ten of these.
_FAR, _POWER = 1e30, 303


@on_one_thread
def build_problem(
    system: System,
    options: ALSOptions,
    parameters: Parameters | None = None,
    law: Callable[[Rows], Errors] = low_rank,
) -> Problem:
    """Factorise the system; errors name equations and columns by their labels.

    ``parameters`` are by default each equation's own; ``law`` makes the law of the errors of its
    rows.

    Raises
    ------
    RankDeficientError, DegenerateResponseError, DuplicateEquationError, SystemInputError
    """
    _sizes(system)
    try:
        binding = None if parameters is None else parameters.binding()
        problem = Problem.from_rows(
            system.rows, options, law=law, binding=binding, free=system.free_design
        )
    except DependentColumnsError as error:
        raise dependent(error, *_of(system, error.equation)) from None
    except TinyColumnsError as error:
        raise tiny(error, *_of(system, error.equation)) from None
    except InconsistentRestrictionsError as error:
        if parameters is None or parameters.restrictions is None:
            raise
        told = parameters.restrictions.explain(error, parameters.labels.params)
        raise RestrictionError(told) from None
    _exact_fits(system, problem)
    _variances(system, problem)
    try:
        check_independent(system, problem)
    except DuplicateEquationError:
        _one_left(system, problem)
        raise
    return problem


def _of(system: System, j: int) -> tuple[str, list[str]]:
    return f"equation {system.names[j]!r}", system.columns[j]


def _sizes(system: System) -> None:
    """Variances must be doubles, and so must their inverses."""
    size, most = system.sizes, _MOST / np.sqrt(system.nobs)
    odd = np.flatnonzero((size < _LEAST) | (size > most))
    if len(odd):
        j = odd[0]
        raise SystemInputError(
            f"the response of equation {system.names[j]!r} is at most {size[j]:.3g} in size, "
            + (f"and {len(odd) - 1} more are as odd, " if len(odd) > 1 else "")
            + f"and its sum of squares is no float; multiply it by a power of ten to bring it "
            f"within {_LEAST:g} and {most:.0g}"
        )


def _variances(system: System, problem: Problem) -> None:
    """Variances of coefficients must be doubles: those of responses over those of regressors.

    Looked at where a response alone takes up a part of the range.
    """
    far = (problem.s_ols < 1.0 / _FAR) | (problem.s_ols > _FAR)
    for j in np.flatnonzero(far):
        with np.errstate(over="ignore", under="ignore"):
            size = np.log10(np.square(problem.design.free.beta_map(int(j))).sum(axis=1))
        power = np.log10(problem.s_ols[j]) + size
        odd = np.flatnonzero(~(np.abs(power) < _POWER))
        if len(odd):
            raise SystemInputError(
                f"equation {system.names[j]!r}: the coefficient of {system.columns[j][odd[0]]!r} "
                f"has a variance of about 1e{power[odd[0]]:.0f}, which is no float; bring response "
                "and regressor closer together, multiplying either by a power of ten"
            )


def _exact_fits(system: System, problem: Problem) -> None:
    Y = problem.Y
    squares = np.vecdot(Y.T, Y.T) / problem.n_obs
    check_not_exact(system.names.__getitem__, problem.s_ols, squares, problem.design.n)


def _one_left(system: System, problem: Problem) -> None:
    """Residuals of equations with one degree of freedom: equal regressors make them twins."""
    rows = np.asarray(problem.counts)
    alone = np.flatnonzero(rows - problem.design.p == 1)
    if len(alone) > 1:
        j, el = alone[:2]
        raise InsufficientRowsError(
            f"{int(rows[j])} rows less {int(problem.design.p[j])} regressors leave one degree of "
            "freedom, in which all equations with the same regressors (the first are "
            f"{system.names[j]!r} and {system.names[el]!r}) have the same residuals up to scale; "
            "add rows, or drop regressors"
        )
