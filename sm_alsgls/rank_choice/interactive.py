"""The number of fixed factors of a panel by a named rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice, count
from sm_alsgls.core.interactive.blocks import block_scores
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.rank import chosen, rank_criteria
from sm_alsgls.core.interactive.search import interactive_fit
from sm_alsgls.exceptions import IllegalRankError, OptionError
from sm_alsgls.rank_choice.selection import RankSelection

WORDS = {
    "ic1": "IC1 (Bai and Ng 2002)",
    "ic2": "IC2 (Bai and Ng 2002)",
    "ic3": "IC3 (Bai and Ng 2002)",
    "pc1": "PC1 (Bai and Ng 2002)",
    "pc2": "PC2 (Bai and Ng 2002)",
    "pc3": "PC3 (Bai and Ng 2002)",
    "er": "eigenvalue ratio (Ahn and Horenstein 2013)",
    "gr": "growth ratio (Ahn and Horenstein 2013)",
    "ed": "eigenvalue differences (Onatski 2010)",
    "cv": "cross-validated squared error by blocks of cells",
}
#: Onatski's, which errors that are correlated in time mislead least: of 25 panels with two factors
#: and correlation .5, 50 x 50, it finds two in 23, ic1 in 20, pc1 in none.
AUTOMATIC = "ed"
_MOST = 8


def is_rule(rank: Any) -> bool:
    """Whether ``rank`` is the name of a rule."""
    return isinstance(rank, str)


def largest(panel: Panel, effects: Effects) -> int:
    """The most factors that leave a degree of freedom."""
    T, n = panel.T - effects.L.shape[1], panel.n - effects.C.shape[1]
    ranks = np.arange(min(T, n))
    left = (T - ranks) * (n - ranks) - panel.p - (panel.Y.size - panel.cells)
    return int(ranks[left > 0].max(initial=0))


def check_rank(rank: Any, panel: Panel, effects: Effects) -> int:
    """A number of factors that the panel can have.

    Raises
    ------
    OptionError, IllegalRankError
    """
    most = largest(panel, effects)
    said = f" (or the name of a rule: 'auto', {', '.join(map(repr, WORDS))})"
    rank = count(rank, "rank", 0, said=said)
    if rank > most:
        raise IllegalRankError(
            f"rank={rank}: {panel.n} units and {panel.T} periods have at most {most} factors "
            "beside the effects and slopes"
        )
    return rank


def select_interactive(
    panel: Panel,
    effects: Effects,
    rule: Any,
    *,
    most: int | None = None,
    folds: int = 5,
    rng: np.random.Generator | None = None,
) -> RankSelection:
    """Choose a rank from a fit with the most factors.

    Parameters
    ----------
    panel : Panel
    effects : Effects
    rule : {"auto", "ic1", "ic2", "ic3", "pc1", "pc2", "pc3", "er", "gr", "ed", "cv"}
    most : int, optional
        The most factors; default 8, or a third of the shorter side.
    folds : int
        Of "cv".
    rng : numpy Generator, optional
        Of the folds.

    Raises
    ------
    OptionError, IllegalRankError
    """
    rule = choice(rule, "rank", ("auto", *WORDS), said=", or a number of factors")
    if most is None:
        side = min(panel.T - effects.L.shape[1], panel.n - effects.C.shape[1])
        most = max(min(_MOST, (side - 1) // 3, largest(panel, effects)), min(1, side - 1))
    most = check_rank(most, panel, effects)
    fit = interactive_fit(panel, effects, most, weighted=False)
    values = rank_criteria(fit)
    table = pd.DataFrame(values, index=pd.Index(range(most + 1), name="rank"))
    best: dict[str, int] = dict(chosen(values))
    if rule == "cv":
        small = min(panel.T, panel.n)
        if small < 2 * folds:
            raise OptionError(
                f"rank='cv' leaves out a block of each of {folds} runs of periods and groups of "
                f"units, and there are {panel.T} periods and {panel.n} units; use rank='ed'"
            )
        scores = block_scores(
            panel, effects, range(most + 1), fit.d, beta=fit.beta, count=folds, rng=rng
        )
        table["cv"] = scores.mean
        table["cv_se"] = scores.losses.std(axis=0, ddof=1) / np.sqrt(folds)
        best["cv"] = scores.best
    choices = pd.Series(best, dtype="Int64", name="rank")
    return RankSelection(
        best[AUTOMATIC if rule == "auto" else rule],
        rule,
        table,
        choices,
        0.05,
        panel.cells,
        panel.n,
        [f"Criteria are of the residuals of a fit with {most} factors."],
        counted="Units",
        words={"auto": WORDS[AUTOMATIC], **WORDS},
        automatic=AUTOMATIC,
    )
