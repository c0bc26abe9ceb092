"""The last candidate of a rank selection: an unrestricted Sigma, "full"."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.core.errors.law import law_of
from sm_alsgls.core.errors.words import FULL
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.sigma.unrestricted import on_floor
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import OptionError
from sm_alsgls.rank_choice.legal import check_full


def without_full(candidates: Any, system: System, method: str) -> tuple[Any, bool]:
    """The other candidates, and whether "full" is among them.

    Raises
    ------
    IllegalRankError, OptionError
        "full" is not possible, or not with this method.
    """
    listed = isinstance(candidates, (list, tuple))
    if not listed or not any(isinstance(r, str) and r == FULL for r in candidates):
        return candidates, False
    check_full(system)
    if method in ("auto", "rule", "cv", "bic_robust") or not system.cells.complete:
        raise OptionError(
            f"candidates: {FULL!r} goes with criteria of fits or of OLS residuals of complete "
            "rows, such as method='bic' or 'bic_ols'"
        )
    left = [r for r in candidates if not (isinstance(r, str) and r == FULL)]
    return left or [0], True


def with_full(
    table: pd.DataFrame, problem: Problem, free: int, n_starts: int | None
) -> pd.DataFrame:
    """``table`` with a row "full": its fit's criteria, and those of OLS residuals.

    Of criteria that look at eigenvalues, at the choice of r equations among K, or at held-out
    rows it has none; the test "lr" accepts it.
    """
    N, K, law = problem.n_obs, problem.K, law_of(FULL)
    full = problem.with_errors(law.make(problem.rows))
    found = search(full, law.order, n_starts=n_starts)
    m, n = law.parameters(K), N - free / K
    cov, _ = on_floor(problem.E_ols, N, problem.floor)
    ols = 0.5 * (K * math.log(2.0 * math.pi) + cov.logdet() + K)
    nll = found.best.nll
    row = {
        "nll": nll,
        "llf": -N * nll,
        "parameters": free + m,
        "aic": 2.0 * N * nll + 2.0 * (free + m),
        "bic": 2.0 * N * nll + math.log(N) * (free + m),
        "aic_ols": 2.0 * n * ols + 2.0 * m,
        "bic_ols": 2.0 * n * ols + math.log(n) * m,
        "lr": 1.0,
        "converged": found.best.converged,
        "starts": len(found.runs),
    }
    again = table.astype({name: object for name in table if table[name].dtype == bool})
    again.index = pd.Index([*table.index], dtype=object, name=table.index.name)
    again.loc[FULL] = [row.get(str(name), np.nan) for name in table]
    return again.astype(table.dtypes.to_dict())
