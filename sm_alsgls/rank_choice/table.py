"""What the numbers of `core.rank.criteria` need from a model: candidates, fits, a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import came, count, unknown
from sm_alsgls.border.numbers import depth
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rank.criteria import (
    ED_BEYOND,
    ahn_horenstein,
    bai_ng,
    largest_root_pvalue,
    leading_eigenvalues,
    onatski,
    penalties,
)
from sm_alsgls.core.rank.default import default_criterion, supported_rank
from sm_alsgls.core.rank.path import (
    PATH_REL_TOL,
    RankFit,
    path_gtol,
    rank_path,
    residual_path,
    searched,
)
from sm_alsgls.core.rank.robust import RobustRank, robust_criterion
from sm_alsgls.core.rank.saturated import fit_unrestricted, regressor_rank
from sm_alsgls.core.sigma.factor import auto_rank, largest_rank, sigma_parameters
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.data.problem import build_problem
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import (
    IllegalRankError,
    OptionError,
)

# Candidates of the default list, and residual rows for each factor of it: with fewer than three
# an equation's factors and regressors leave less than they take.
_MOST, _ROWS = 10, 3
# Up to here an unrestricted Sigma is fitted for "lr": its iterations factorise E each.
_MOST_EQUATIONS = 50


def sizes(system: System) -> tuple[int, int, int]:
    """N, K and the most regressors of an equation, also of a system whose rows are not kept."""
    return system.nobs, len(system.names), max(map(len, system.columns))


def default_ranks(K: int, N: int, p: int) -> list[int]:
    """0 .. min(10, (N - p) / 3, largest legal rank), and up to the rank of rank="rule"."""
    most = min(_MOST, largest_rank(K, N, p), (N - p) // _ROWS)
    return list(range(max(most, auto_rank(K, N, p)) + 1))


def candidate_ranks(candidates: Any, system: System) -> list[int]:
    """The candidates, ascending; None is 0 .. min(10, (N - p) / 3, largest legal rank).

    The rank of rank="rule" is among them.

    Raises
    ------
    OptionError, IllegalRankError
    """
    K = len(system.names)
    N, p, _ = system.scarcest
    largest = largest_rank(K, N, p)
    if candidates is None:
        return default_ranks(K, N, p)
    listed = isinstance(candidates, (list, tuple, set, frozenset, range)) or (
        depth(candidates) == 1
    )
    if isinstance(candidates, Mapping) or not listed or not len(candidates):
        raise OptionError(
            f"candidates must be a list of whole numbers from 0 to {largest}, got "
            f"{came(candidates)}"
        )
    said = f"; candidates are a list of whole numbers from 0 to {largest}"
    values = sorted({count(r, "candidates: each", 0, said=said) for r in candidates})
    if values[-1] > largest:
        raise IllegalRankError(
            f"candidates: rank {values[-1]} is not possible; the largest legal rank of {K} "
            f"equations, {N} rows and {p} regressors is {largest}"
        )
    return [int(r) for r in values]


def path_options(given: Mapping[str, Any]) -> ALSOptions:
    """Options of the fits.

    Raises
    ------
    OptionError, UnknownArgumentError
    """
    known = [knob.name for knob in fields(ALSOptions)]
    unknown([name for name in given if name not in known], known, "select_rank()")
    return ALSOptions(**given)


def residual_criteria(problem: Problem, ranks: Sequence[int], free: int) -> dict[str, np.ndarray]:
    """Criteria that look at OLS residuals only: aic_ols, bic_ols, ic1..3, er, gr, ed.

    Parameters
    ----------
    problem : Problem
    ranks : sequence of int
    free : int
        Free coefficients of the system.
    """
    r, N, K = np.asarray(ranks), problem.n_obs, problem.K
    n = N - free / K
    nll = residual_path(problem, ranks)
    m = np.array([float(sigma_parameters(K, rank)) for rank in ranks])
    cost = penalties(m, r, n, K)
    values = leading_eigenvalues(problem.E_ols, n, int(r.max()) + ED_BEYOND)
    return {
        "aic_ols": 2.0 * n * nll + cost["aic"],
        "bic_ols": 2.0 * n * nll + cost["bic"],
        **bai_ng(values, r, n, K),
        **ahn_horenstein(values, r, n, K),
        "ed": onatski(values, r),
    }


def likelihood_criteria(
    problem: Problem, fits: Sequence[RankFit], free: int
) -> dict[str, np.ndarray]:
    """nll, llf, parameters, aic, bic, ebic, and p-values "lr", of fitted candidates."""
    N, K = problem.n_obs, problem.K
    r = np.array([fit.rank for fit in fits])
    nll = np.array([fit.nll for fit in fits])
    m = np.array([float(free + sigma_parameters(K, fit.rank)) for fit in fits])
    criteria = {name: 2.0 * N * nll + cost for name, cost in penalties(m, r, N, K).items()}
    p = _sufficiency(problem, fits, free)
    p = _largest_root(problem, fits, free) if p is None else p
    return {"nll": nll, "llf": -N * nll, "parameters": m, **criteria, "lr": p}


def _sufficiency(problem: Problem, fits: Sequence[RankFit], free: int) -> np.ndarray | None:
    """p-values of r factors against an unrestricted Sigma, Bartlett-corrected; 1 without df.

    As `diagnostics.sufficiency_test`; regular under its null, which r against r + 1 is not. None
    where the unrestricted likelihood has no maximum or the correction exceeds a half, and for
    large K, where it would cost more than the fits.
    """
    N, K, p = problem.n_obs, problem.K, free / problem.K
    r = np.array([fit.rank for fit in fits])
    left = N - p - (2 * K + 5) / 6 - 2 * r / 3
    few = K < 2 or K > _MOST_EQUATIONS or left.min() < 0.5 * N
    if few or regressor_rank(problem) + K > N:
        return None
    nll = fit_unrestricted(problem, fits[-1].gamma).nll
    lr = 2.0 * left * np.maximum(np.array([fit.nll for fit in fits]) - nll, 0.0)
    df = ((K - r) ** 2 - (K + r)) // 2
    return np.where(df > 0, stats.chi2.sf(lr, np.maximum(df, 1)), 1.0)


def _largest_root(problem: Problem, fits: Sequence[RankFit], free: int) -> np.ndarray:
    """p-values of r factors against r + 1, by the largest eigenvalue that r of them leave.

    With D kept, their likelihood ratio is N (t - 1 - log t), t that eigenvalue of
    D^-1/2 (E'E/N) D^-1/2, so it rejects where t is large; t is as the largest eigenvalue of white
    noise of K - r columns and N - p - r rows (those that r factors leave average 1 exactly, since
    sum_j s_j/d_j = K + sum_{i<=r} (t_i - 1) at the maximum).
    """
    r = np.array([fit.rank for fit in fits])
    root = np.array([fit.root for fit in fits])
    rows, columns = problem.n_obs - free / problem.K - r, problem.K - r.astype(float)
    p = largest_root_pvalue(np.nan_to_num(root), np.maximum(rows, 1.0), np.maximum(columns, 1.0))
    return np.where((rows >= 1.0) & (columns >= 2.0) & np.isfinite(root), p, np.nan)


def criteria_table(
    system: System,
    parameters: Parameters,
    ranks: Sequence[int],
    options: ALSOptions,
    n_starts: int | None,
    rng: np.random.Generator | None,
    *,
    loose: bool,
) -> tuple[pd.DataFrame, Problem, tuple[RankFit, ...]]:
    """Every criterion but "cv" of every candidate, and the fits behind them.

    ``loose`` says that systems too large to be searched may stop at `path_gtol`.
    """
    problem = build_problem(system, options, parameters)
    if loose:
        _loosen(problem)
    free = parameters.free
    fits = rank_path(problem, ranks, n_starts=n_starts, rng=rng)
    columns = likelihood_criteria(problem, fits, free)
    test = columns.pop("lr")
    columns |= residual_criteria(problem, ranks, free)
    columns["lr"] = test
    columns["converged"] = np.array([fit.converged for fit in fits])
    columns["starts"] = np.array([fit.starts for fit in fits])
    columns["parameters"] = columns["parameters"].astype(int)
    return pd.DataFrame(columns, index=pd.Index(list(ranks), name="rank")), problem, fits


def residual_table(
    system: System,
    parameters: Parameters,
    ranks: Sequence[int],
    options: ALSOptions,
    *,
    loose: bool,
) -> pd.DataFrame:
    """The criteria of OLS residuals alone, as `criteria_table` has them; nothing is fitted."""
    problem = build_problem(system, options, parameters)
    if loose:
        _loosen(problem)
    columns = residual_criteria(problem, ranks, parameters.free)
    return pd.DataFrame(columns, index=pd.Index(list(ranks), name="rank"))


def under_the_cap(ranks: Sequence[int], system: System, parameters: Parameters) -> list[int]:
    """The candidates that the rows support, at least the smallest of them."""
    return supported(ranks, _freedom(system, parameters), len(system.names))


def supported(ranks: Sequence[int], n: float, K: int) -> list[int]:
    """Those of the candidates that n degrees of freedom carry, at least the smallest."""
    cap = supported_rank(n, K)
    return [r for r in ranks if r <= cap] or list(ranks[:1])


def default_table(
    system: System,
    parameters: Parameters,
    ranks: Sequence[int],
    options: ALSOptions,
    *,
    loose: bool,
) -> pd.DataFrame:
    """bic_ols of the candidates that the default looks at; also with missing cells."""
    problem = build_problem(system, options, parameters)
    if loose:
        _loosen(problem)
    found = default_criterion(problem, ranks, parameters.free)
    # A dict would be aligned with the index, which takes as long again.
    values = np.fromiter(found.values(), float)
    return pd.DataFrame({"bic_ols": values}, index=pd.Index(list(found), name="rank"))


def robust_column(
    system: System,
    parameters: Parameters,
    ranks: Sequence[int],
    options: ALSOptions,
    *,
    loose: bool,
    in_time: bool,
) -> tuple[pd.Series, RobustRank]:
    """bic_robust of the candidates that it looks at, and what it found about the rows."""
    problem = build_problem(system, options, parameters)
    if loose:
        _loosen(problem)
    # The rows themselves: a problem's may be compressed, which loses their sizes.
    beta = problem.design.to_beta(problem.gamma_ols)
    fitted = (X @ b for X, b in zip(system.used_blocks, beta, strict=True))
    E = system.cells.used(system.Y) - np.column_stack(list(fitted))
    n = E.shape[0] - parameters.free / E.shape[1]
    gtol = min(problem.options.gtol, path_gtol(problem.n_obs))
    found = robust_criterion(E, ranks, n, in_time=in_time, gtol=gtol)
    index = pd.Index(list(found.values), name="rank")
    return pd.Series(found.values, index, dtype=float, name="bic_robust"), found


def robust_notes(found: RobustRank) -> list[str]:
    """What the rows were taken for."""
    notes = []
    if np.isfinite(found.nu):
        notes.append(
            f"Rows have heavy tails (multivariate t with about {found.nu:.0f} degrees of freedom); "
            "far rows were weighted down."
        )
    if found.rho > 0.0:
        notes.append(
            f"Neighbouring rows have correlation {found.rho:.2f}: they counted for "
            f"{(1 - found.rho**2) / (1 + found.rho**2):.0%} of their number."
        )
    return notes


def default_notes(system: System, parameters: Parameters, rank: int) -> list[str]:
    """Where the cap of the default was what decided."""
    return notes_of_cap(rank, _freedom(system, parameters), len(system.names))


def notes_of_cap(rank: int, n: float, K: int) -> list[str]:
    """Where n degrees of freedom of each of K equations were what decided."""
    cap = supported_rank(n, K)
    if rank < cap or cap >= min(_MOST, largest_rank(K)):
        return []
    return [
        f"{n:.0f} rows (less regressors) of {K} equations carry {cap} factor{'s' * (cap > 1)}: "
        "no larger rank was looked at. Intervals may be too short beyond; rank='bic_ols' has no "
        "such limit."
    ]


def _freedom(system: System, parameters: Parameters) -> float:
    counts = system.nobs if system.cells.complete else float(np.mean(system.cells.counts))
    return counts - parameters.free / len(system.names)


def _loosen(problem: Problem) -> None:
    """Tolerances of a path, where the system is too large to be searched."""
    if problem.rows.patterns is None and not searched(problem):
        problem.options = replace(
            problem.options, gtol=path_gtol(problem.n_obs), rel_tol=PATH_REL_TOL
        )
