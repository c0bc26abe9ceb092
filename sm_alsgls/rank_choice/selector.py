"""The number of factors by a named rule: behind `select_rank` and ``LowRankSUR(rank="bic")``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sm_alsgls.border.arguments import choice, count, generator, level, starts
from sm_alsgls.core.errors.words import FULL
from sm_alsgls.core.sigma.factor import auto_rank
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import OptionError
from sm_alsgls.rank_choice.folds import cross_validate, fold_labels
from sm_alsgls.rank_choice.full import with_full, without_full
from sm_alsgls.rank_choice.rules import METHODS, RESIDUAL_RULES, RULES
from sm_alsgls.rank_choice.selection import RankSelection, choose
from sm_alsgls.rank_choice.table import (
    candidate_ranks,
    criteria_table,
    default_notes,
    default_table,
    path_options,
    residual_table,
    robust_column,
    robust_notes,
    sizes,
    under_the_cap,
)
from sm_alsgls.results.row_order import ordered

# These take the fit for the maximum of the likelihood, which a ridge moves.
_LIKELIHOOD = ("bic", "aic", "ebic", "lr")
# These need each row, and why.
_ROWS = {"cv": "refits without some rows", "bic_robust": "weighs each row"}


def is_rule(rank: Any) -> bool:
    """Whether ``rank`` says how to choose it from the data; "rule" looks at K alone."""
    return isinstance(rank, str) and (rank == "auto" or rank in RULES)


def choose_rank(
    system: System, parameters: Parameters, rule: str, time: str | None = None
) -> RankSelection:
    """What ``LowRankSUR(rank=rule)`` does: `select` with its defaults, and no more than it needs.

    Criteria of OLS residuals leave out the fits of every candidate, which cost several times
    more than all of these criteria.
    """
    return select(system, parameters, rule, argument="rank", complete=False, time=time)


def select(
    system: System,
    parameters: Parameters,
    method: str,
    candidates: Any = None,
    rng: Any = None,
    *,
    n_starts: int | str = "auto",
    folds: int = 5,
    blocks: Any = False,
    alpha: float = 0.05,
    fit_options: Mapping[str, Any] | None = None,
    argument: str = "method",
    complete: bool = True,
    time: str | None = None,
) -> RankSelection:
    """Choose a rank; parameters are those of `sm_alsgls.rank.select_rank`.

    Parameters
    ----------
    argument : str
        What the caller's argument is called, for messages.
    complete : bool
        Every criterion (but "cv" and "bic_robust", unless asked for), or those that ``method``
        comes with.
    time : str, optional
        The column of times that rows were sorted by, for "bic_robust".

    Raises
    ------
    OptionError, IllegalRankError, UnknownArgumentError
    """
    check_method(method, argument)
    _check_cells(system, method, argument)
    alpha = level(alpha)
    candidates, full = without_full(candidates, system, method)
    ranks = candidate_ranks(candidates, system)
    count(folds, "folds", 2)
    if method == "auto":
        ranks = under_the_cap(ranks, system, parameters)
    given = {} if fit_options is None else fit_options
    options = path_options(given)
    if method in _LIKELIHOOD and (options.lam_F > 0.0 or options.lam_B > 0.0):
        raise OptionError(
            f"method={method!r} needs the maximum of the likelihood, which lam_F and lam_B move; "
            "use method='cv' or one of OLS residuals (bic_ols, ic1, ..., ed)"
        )
    limit, source = starts(n_starts), generator(rng)
    N, K, p = sizes(system)
    if method in _ROWS and not system.keeps_rows:
        raise OptionError(
            f"{argument}={method!r} {_ROWS[method]}, but the rows of this model were read in "
            f"chunks and not kept; use {argument}='bic_ols'"
        )
    labels = fold_labels(N, folds, blocks, source) if method == "cv" else None
    loose = not {"gtol", "rel_tol"} & set(given)
    robust = None
    if method == "bic_robust":
        in_time = ordered(system.index, time)
        column, robust = robust_column(
            system, parameters, ranks, options, loose=loose, in_time=in_time
        )
    if robust is not None and not complete:
        table = column.to_frame()
    elif method == "auto":
        table = default_table(system, parameters, ranks, options, loose=loose)
    elif not complete and method in RESIDUAL_RULES:
        table = residual_table(system, parameters, ranks, options, loose=loose)
    else:
        table, problem, fits = criteria_table(
            system, parameters, ranks, options, limit, source, loose=loose
        )
        if labels is not None:
            score, error = cross_validate(system, parameters, problem, fits, *labels)
            at = table.columns.get_loc("converged")
            table.insert(at, "cv", score)
            table.insert(at + 1, "cv_se", error)
        if full:
            table = with_full(table, problem, parameters.free, limit)
        if robust is not None:
            table.insert(table.columns.get_loc("bic_ols") + 1, "bic_robust", column)
    choices = pd.Series(
        [choose(name, table[name], alpha) for name in RULES if name in table],
        index=[name for name in RULES if name in table],
        dtype=object if full else "Int64",
        name="rank",
    )
    rank = _chosen(method, choices, ranks, (N, K, p), argument)
    candidates = [*ranks, FULL] if full else ranks
    notes = _notes(rank, candidates, table, method)
    if method == "auto" and isinstance(rank, int):
        notes += default_notes(system, parameters, rank)
    if robust is not None:
        notes += robust_notes(robust)
    return RankSelection(rank, method, table, choices, alpha, N, K, notes, system.least_squares)


def check_method(method: Any, argument: str = "method") -> None:
    """Raise OptionError unless ``method`` names a rule; a near miss is suggested."""
    choice(method, argument, METHODS)


def check_residual_rule(method: str, argument: str) -> None:
    """Raise OptionError where a rule looks at fits of a likelihood, of a model that has none."""
    if method not in ("auto", "rule", "bic_robust", *RESIDUAL_RULES):
        rules = ", ".join(map(repr, ("auto", *RESIDUAL_RULES)))
        raise OptionError(
            f"{argument}={method!r} looks at a likelihood, and 3SLS has none; use one of {rules}, "
            "which look at 2SLS residuals"
        )


def _check_cells(system: System, method: str, argument: str) -> None:
    """Criteria look at residuals of every cell; folds cut rows, which weights do not follow."""
    if not system.cells.complete and method not in ("auto", "rule"):
        raise OptionError(
            f"{argument}={method!r} needs complete rows: criteria look at residuals of every cell; "
            f"use {argument}='auto', or fit the candidates with missing='fiml' and compare res.bic"
        )
    if method == "cv" and system.cells.weighted:
        raise OptionError(f"{argument}='cv' does not go with weights=; use {argument}='bic_ols'")


def _chosen(
    method: str, choices: pd.Series, ranks: list[int], shape: tuple[int, int, int], argument: str
) -> int | str:
    N, K, p = shape
    if method == "rule":
        rule = auto_rank(K, N, p)
        return max((r for r in ranks if r <= rule), default=ranks[0])
    method = "bic_ols" if method == "auto" else method
    if pd.isna(choices[method]):
        raise OptionError(
            f"{argument}={method!r} is not defined for {K} equations, {N} rows and candidates "
            f"{ranks}: it looks at eigenvalues past the largest candidate; use "
            f"{argument}='bic_ols'" + (" or fewer candidates" if argument == "method" else "")
        )
    chosen = choices[method]
    return FULL if chosen == FULL else int(chosen)


def _notes(
    rank: int | str, ranks: Sequence[int | str], table: pd.DataFrame, method: str
) -> list[str]:
    notes = []
    if rank == ranks[-1] and rank != FULL and len(ranks) > 1 and method not in ("auto", "rule"):
        notes.append(
            "The largest candidate was chosen: the criterion may not tell factors from noise here."
        )
    if "converged" not in table:
        return notes
    missed = [str(r) for r in table.index[~table["converged"]]]
    if missed:
        notes.append(
            f"NOT CONVERGED: the fit{'s' * (len(missed) > 1)} of rank {', '.join(missed)}; "
            "criteria of the likelihood are approximate there."
        )
    return notes
