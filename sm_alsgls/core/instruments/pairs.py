"""The pairs bootstrap: rows of responses, regressors and instruments are drawn together.

Rows, or clusters of rows, are drawn with replacement and everything is estimated again on them: it
is robust to heteroscedasticity. Where instruments are weak it inherits the faults of the estimate;
see `sm_alsgls.core.instruments.wild_restricted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from sm_alsgls.core.replicates import replicates
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.exceptions import IterationError, SystemInputError

Array = np.ndarray
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Pairs(Generic[T]):
    """What is drawn from, and what is done with a draw.

    Attributes
    ----------
    refit : callable
        Of row numbers (n,), some of them more than once. Picklable where several processes are
        used and not forked.
    n_rows : int
        N.
    code : ndarray of int, shape (N,), optional
        The cluster of each row, from 0, none left out. Default: rows are their own.
    """

    refit: Callable[[Array], T]
    n_rows: int
    code: Array | None = None

    def rows(self, rng: np.random.Generator) -> Array:
        """Numbers of the rows of one draw: N of them, or those of as many clusters as there are."""
        if self.code is None:
            return rng.integers(0, self.n_rows, self.n_rows)
        G = int(self.code.max()) + 1
        order = np.argsort(self.code, kind="stable")
        members = np.split(order, np.cumsum(np.bincount(self.code, minlength=G))[:-1])
        return np.concatenate([members[g] for g in rng.integers(0, G, G)])


@dataclass(frozen=True, eq=False)
class Refit(Generic[T]):
    """One replicate.

    Attributes
    ----------
    values : object or None
        What ``refit`` made; None where the rows drawn do not identify it.
    failure : str
        Why not, or "".
    """

    values: T | None
    failure: str = ""


@on_one_thread
def refit_on_draw(pairs: Pairs[T], seed: np.random.SeedSequence) -> Refit[T]:
    """Draw rows and refit; rows that repeat so often that nothing is identified are a failure."""
    rows = pairs.rows(np.random.default_rng(seed))
    try:
        return Refit(pairs.refit(rows))
    except (SystemInputError, IterationError, np.linalg.LinAlgError) as error:
        return Refit(None, str(error))


def pairs_bootstrap(
    pairs: Pairs[T], seeds: Sequence[np.random.SeedSequence], n_jobs: int = 1
) -> Iterator[Refit[T]]:
    """Replicates in the order of ``seeds``; the same for any number of processes.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.instruments.pairs import Pairs, pairs_bootstrap
    >>> y = np.arange(100.0)
    >>> pairs = Pairs(lambda rows: [y[rows].mean()], 100)
    >>> seeds = np.random.SeedSequence(0).spawn(500)
    >>> means = [one.values[0] for one in pairs_bootstrap(pairs, seeds)]
    >>> round(float(np.std(means)))  # 2.9 is the standard error of the mean
    3
    """
    return replicates(refit_on_draw, pairs, seeds, n_jobs)
