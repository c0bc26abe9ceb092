"""The default number of factors of equations that are read in tiles."""

from __future__ import annotations

import pandas as pd

from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.tiles.ranks import rank_part
from sm_alsgls.core.tiles.runner import Runner
from sm_alsgls.rank_choice.legal import warn_if_none_legal
from sm_alsgls.rank_choice.selection import RankSelection, choose
from sm_alsgls.rank_choice.table import default_ranks, notes_of_cap, supported


def choose_in_tiles(runner: Runner, K: int, N: int, p: int, P: int) -> RankSelection:
    """What ``rank="auto"`` is: bic_ols of the candidates that N rows support.

    Parameters
    ----------
    runner : Runner
    K, N, p, P : int
        Equations, rows, the most regressors of an equation, and all coefficients.

    Warns
    -----
    RankWarning
        No factor is identified.
    """
    two = "rank='full', of the equations in memory, fits an unrestricted Sigma"
    warn_if_none_legal("auto", K, N, p, two=two)
    n = N - P / K
    ranks = supported(default_ranks(K, N, p), n, K)
    found = runner.run(rank_part, ranks, ALSOptions(), what="rank")[0]
    table = pd.DataFrame({"bic_ols": found}, index=pd.Index(list(found), name="rank"))
    choices = pd.Series(
        [choose("bic_ols", table["bic_ols"], 0.05)], index=["bic_ols"], dtype="Int64", name="rank"
    )
    rank = int(choices["bic_ols"])
    notes = notes_of_cap(rank, n, K)
    return RankSelection(rank, "auto", table, choices, 0.05, N, K, notes)
