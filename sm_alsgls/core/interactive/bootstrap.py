"""Refits to responses made of a fit's own means and its residuals times random numbers.

    y*_it = m_it + w_it e_it / ((1 - g_t)(1 - h_i))^1/2,      E w = 0, E w^2 = 1,

m being what slopes, effects and factors explain, and e in units in which errors are taken to be
independent in time (`serial`), turned back after (Wu 1986; Goncalves and Perron 2014, J. of
Econometrics 182, with factors). "wild": w_it = +-1, which keeps every cell's variance.
"dependent": w_it is the mean of M + 1 neighbours of white noise times (M + 1)^1/2, whose
correlation over time is Bartlett's 1 - |t - s| / (M + 1) (Shao 2010, J. of the American Statistical
Association 105), which keeps the correlation of a unit's errors over M periods as well. Regressors
are fixed, lags of y among them (Goncalves and Kilian 2004, J. of Econometrics 123): what these do
to the bias is not in the replicates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.interactive.corrected import Correction, corrected
from sm_alsgls.core.interactive.covariance import covariance
from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.influence import Influence
from sm_alsgls.core.interactive.search import interactive_fit
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.progress import counted

Array = np.ndarray

METHODS = ("wild", "dependent")
_GTOL = 1e-4


class Draw(NamedTuple):
    """A replicate's slopes, their standard errors, and whether it is stationary."""

    params: Array
    bse: Array
    converged: bool


class Parent(NamedTuple):
    """What replicates are made of, and how each is estimated."""

    fit: InteractiveFit
    at: InteractiveFit  #: factors and effects given the slopes that are reported
    params: Array
    found: Influence
    how: Correction
    weighted: bool
    kind: str  #: of the covariance
    lags: int | None


def multipliers(T: int, n: int, method: str, lags: int, rng: np.random.Generator) -> Array:
    """w (T, n).

    Examples
    --------
    >>> import numpy as np
    >>> w = multipliers(40_000, 1, "dependent", 1, np.random.default_rng(0))[:, 0]
    >>> [round(float(np.mean(w[k:] * w[: len(w) - k])), 1) for k in range(3)]
    [1.0, 0.5, 0.0]
    """
    if method == "wild":
        return rng.integers(0, 2, (T, n)) * 2.0 - 1.0
    noise = np.cumsum(rng.standard_normal((T + lags + 1, n)), axis=0)
    return np.asarray((noise[lags + 1 :] - noise[:T]) / np.sqrt(lags + 1.0))


@on_one_thread
def replicate(parent: Parent, method: str, lags: int, rng: np.random.Generator) -> Draw:
    """One refit."""
    fit, at, seen = parent.fit, parent.at, parent.fit.panel.seen
    left = np.maximum(np.outer(1.0 - parent.found.g, 1.0 - parent.found.h), 0.01)
    T, n = fit.panel.Y.shape
    drawn = multipliers(T, n, method, lags, rng) * at.at.E / np.sqrt(left)
    if seen is not None:
        drawn = np.where(seen, drawn, 0.0)
    mean = np.tensordot(parent.params, fit.panel.X, 1) + at.panel.Y - at.in_data(at.at.E)
    panel = replace(fit.panel, Y=mean + at.in_data(drawn), seen=seen)
    again = interactive_fit(
        panel,
        fit.effects,
        fit.rank,
        weighted=parent.weighted,
        rho=fit.rho,
        beta=parent.params,
        only_given=True,
        n_random=0,
        gtol=_GTOL,
    )
    made = corrected(again, parent.how, rng=rng)
    V = covariance(made.influence, again.df_resid, parent.kind, parent.lags)
    return Draw(made.params, np.sqrt(np.diagonal(V)), again.converged)


def bootstrap(
    parent: Parent, method: str, lags: int, seeds: Sequence[np.random.SeedSequence]
) -> Iterator[Draw]:
    """A refit for each seed.

    Parameters
    ----------
    parent : Parent
    method : {"wild", "dependent"}
    lags : int
        M.
    seeds : sequence of SeedSequence
    """
    for seed in counted(seeds, "replicates"):
        yield replicate(parent, method, lags, np.random.default_rng(seed))
