"""Cross-validation of the number of factors by blocks of cells.

Units are drawn into B groups, periods cut into B runs of neighbours; fold k is group g in run
(g + k) mod B for all g. So a fold takes a B-th of every unit and of every period, in runs, which
errors that are correlated in time do not bridge. The rest is fitted as a panel with holes, and
predicts

    y_it:  x_it' b + effects + f_t' lambda_i,      loss  sum (y - prediction)^2 / d_i over the fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.search import interactive_fit
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.progress import counted

Array = np.ndarray

# Predictions need no more digits than this of a standard error.
_GTOL = 1e-3


class BlockScores(NamedTuple):
    """Losses, (folds, ranks), a cell, and the number of factors that has the least mean."""

    ranks: tuple[int, ...]
    losses: Array
    best: int

    @property
    def mean(self) -> Array:
        """Over folds, (ranks,)."""
        return np.asarray(self.losses.mean(axis=0))


def folds(T: int, n: int, count: int, rng: np.random.Generator) -> Array:
    """The fold of each cell, (T, n) of int.

    Examples
    --------
    >>> import numpy as np
    >>> fold = folds(10, 15, 5, np.random.default_rng(0))
    >>> bool((np.bincount(fold[0]) == 3).all()), bool((np.bincount(fold[:, 0]) == 2).all())
    (True, True)
    """
    group = np.arange(n) % count
    rng.shuffle(group)
    run = np.arange(T) * count // T
    return np.asarray((run[:, None] - group) % count)


@on_one_thread
def block_scores(
    panel: Panel,
    effects: Effects,
    ranks: Sequence[int],
    d: Array,
    *,
    beta: Array | None = None,
    count: int = 5,
    rng: np.random.Generator | None = None,
) -> BlockScores:
    """Losses of each number of factors.

    Parameters
    ----------
    panel : Panel
    effects : Effects
    ranks : sequence of int
    d : ndarray, shape (n,)
        Error variances, the same of all: of a fit with the most factors. They are the weights of
        the fits as well.
    beta : ndarray, shape (p,), optional
        A start, of a fit to all cells; beside OLS.
    count : int
        B, at least 2.
    rng : numpy Generator, optional
        Of the groups; default one of a fixed seed.
    """
    fold = folds(panel.T, panel.n, count, rng or np.random.default_rng(0))
    seen = np.ones(panel.Y.shape, dtype=bool) if panel.seen is None else panel.seen
    losses = np.empty((count, len(ranks)))
    for k in counted(range(count), "folds"):
        kept, held = seen & (fold != k), seen & (fold == k)
        for c, rank in enumerate(ranks):
            fit = interactive_fit(
                Panel(panel.Y, panel.X, kept),
                effects,
                rank,
                d=d,
                beta=beta,
                only_given=beta is not None,
                n_random=0,
                gtol=_GTOL,
            )
            # In a hole the filled y is what is fitted there, with the filled x.
            fitted = fit.panel.Y + np.tensordot(fit.beta, panel.X - fit.panel.X, 1)
            loss = np.where(held, np.square(panel.Y - fitted) / d, 0.0)
            losses[k, c] = loss.sum() / max(int(held.sum()), 1)
    return BlockScores(tuple(ranks), losses, int(ranks[int(losses.mean(axis=0).argmin())]))
