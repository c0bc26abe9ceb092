"""Cross-validation of the number of factors: folds of rows, refits without them, scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import came, count
from sm_alsgls.border.labels import shown
from sm_alsgls.border.numbers import depth
from sm_alsgls.core.maximise.als import Start
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rank.path import RankFit, rank_path
from sm_alsgls.core.sigma.factor import largest_rank
from sm_alsgls.covariance.base import factors_of
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.data.problem import build_problem
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import OptionError, SystemInputError
from sm_alsgls.progress import counted
from sm_alsgls.rank_choice.table import sizes


def fold_labels(
    N: int, folds: Any, blocks: Any, rng: np.random.Generator | None
) -> tuple[np.ndarray, int]:
    """The fold of every row, and their number.

    Raises
    ------
    OptionError
    """
    if isinstance(blocks, (bool, np.bool_)):
        _check_folds(folds, N, "rows")
        labels = np.arange(N) * folds // N
        if not blocks:
            labels = (np.random.default_rng(0) if rng is None else rng).permutation(labels)
        return labels, int(folds)
    groups = np.asarray(blocks) if depth(blocks) == 1 else None
    if groups is None or groups.shape != (N,):
        raise OptionError(
            f"blocks must be True (folds of consecutive rows), False (rows at random) or a label "
            f"for each of {N} rows, got {came(blocks)}"
        )
    codes, names = pd.factorize(groups)
    if (codes < 0).any():
        raise OptionError("blocks: a label is missing")
    _check_folds(folds, len(names), "blocks")
    order = (np.random.default_rng(0) if rng is None else rng).permutation(len(names))
    return (order * folds // len(names))[codes], int(folds)


def _check_folds(folds: Any, most: int, what: str) -> None:
    count(folds, "folds", 2, most, f", the number of {what}")


def cross_validate(
    system: System,
    parameters: Parameters,
    problem: Problem,
    fits: Sequence[RankFit],
    labels: np.ndarray,
    folds: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Held-out NLL per row of every candidate, and its standard error over rows.

    Coefficients and Sigma are refitted without a fold's rows, from the fit of all rows, which
    saves exploring again; NaN where a candidate is not legal with the rows that are left.
    """
    N, K, p = sizes(system)
    score = np.full((N, len(fits)), np.nan)
    beta = [problem.design.to_beta(fit.gamma) for fit in fits]
    for train, test, part in _parts(system, labels, folds):
        legal = [i for i, f in enumerate(fits) if f.rank <= largest_rank(K, len(train), p)]
        try:
            again = build_problem(part, problem.options, parameters)
        except SystemInputError as error:
            raise OptionError(
                f"folds={folds}: without rows {shown(system.index[test[0]])} .. "
                f"{shown(system.index[test[-1]])} the system cannot be fitted ({error}); change "
                "folds or blocks"
            ) from error
        starts = [
            Start(
                "all rows",
                gamma=again.design.from_beta(beta[i]),
                d=factors_of(fits[i].cov).uniquenesses if fits[i].rank > 0 else None,
            )
            for i in legal
        ]
        chosen = [fits[i].rank for i in legal]
        refits = rank_path(again, chosen, n_starts=1, starts=starts)
        for i, fit in zip(legal, refits, strict=True):
            b = again.design.to_beta(fit.gamma)
            E = np.column_stack([X[test] @ bj for X, bj in zip(system.blocks, b, strict=True)])
            E = system.Y[test] - E
            quadratic = np.einsum("nk,nk->n", fit.cov.solve(E), E)
            score[test, i] = 0.5 * (K * np.log(2.0 * np.pi) + fit.cov.logdet() + quadratic)
    return score.mean(axis=0), score.std(axis=0, ddof=1) / np.sqrt(N)


def _parts(
    system: System, labels: np.ndarray, folds: int
) -> Iterator[tuple[np.ndarray, np.ndarray, System]]:
    """Rows to fit, rows to score, and the system of the former, fold by fold."""
    for fold in counted(range(folds), "folds", unit="fold"):
        train, test = np.flatnonzero(labels != fold), np.flatnonzero(labels == fold)
        # Equal designs stay one object, which the beta-step recognises.
        kept = {id(X): X[train] for X in {id(X): X for X in system.blocks}.values()}
        yield (
            train,
            test,
            replace(
                system,
                index=system.index[train],
                Y=np.asfortranarray(system.Y[train]),
                blocks=[kept[id(X)] for X in system.blocks],
            ),
        )
