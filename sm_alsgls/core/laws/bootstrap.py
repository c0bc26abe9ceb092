"""Bootstrap of a fit whose errors follow laws: new innovations, the laws on top, everything again.

What is drawn are rows that filters leave, which are independent of one another (`errors` of
`sm_alsgls.core.maximise.bootstrap`: from N(0, S), rows of residuals, signs, blocks); filters are
undone, T^-1 u, regressors added, and a spatial lag's reduced form taken,

    y* = A^-1 (X b + T^-1 u*).

Cells that are missing stay so. Parametric rows are drawn whole and lose these cells afterwards:
autoregressive errors go through gaps as they do elsewhere. Where the rows drawn are of residuals
an innovation over a gap is one of its last row's, as filters have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sm_alsgls.core.laws.base import RowFilter
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.refit import refitted
from sm_alsgls.core.maximise.bootstrap import Replicate, errors
from sm_alsgls.core.replicates import replicates
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance.base import Covariance

Array = np.ndarray


@dataclass(frozen=True)
class LawParent:
    """What a replicate needs of the fit it imitates; see `Parent`.

    Attributes
    ----------
    fit : LawFit
    fitted : ndarray, shape (N, K)
        X b of rows as they came; zero in missing cells.
    E : ndarray, shape (N, K)
        What filters leave of the residuals, with the errors' variance.
    errors : Covariance
        What parametric rows are drawn from.
    rank : int
    how : str
        How the laws' parameters were estimated.
    each : slice or None
        See `refitted`.
    correction : ndarray, shape (K,)
    method : str
    block_length : int
    statistic : callable or None
    process : RowFilter or None
        In place of the first filter the same one of whole rows, where cells are missing.
    """

    fit: LawFit
    fitted: Array
    E: Array
    errors: Covariance
    rank: int
    how: str
    each: slice | None
    correction: Array
    method: str
    block_length: int
    statistic: Callable[[Replicate], Any] | None = None
    process: RowFilter | None = None


def responses(parent: LawParent, rng: np.random.Generator) -> Array:
    """New responses (N, K) of one replicate; zero in missing cells, which a lag needs not."""
    system = parent.fit.system
    Y = parent.fitted + _unfiltered(parent, errors(parent, rng))
    if system.lag is not None:
        # Anything may stand for responses that are missing.
        return np.asfortranarray(system.lag.inverse(Y))
    return np.asfortranarray(Y if system.mask is None else np.where(system.mask, Y, 0.0))


def _unfiltered(parent: LawParent, U: Array) -> Array:
    """Innovations (N, K) as the errors that laws make of them."""
    system = parent.fit.system
    if parent.process is None or parent.method != "parametric":
        return system.filter.inverse(U)
    scaled = U
    for one in reversed(getattr(system.filter, "filters", ())[1:]):
        scaled = one.inverse(scaled)
    # What a filter knows nothing of is of mean scale.
    return parent.process.inverse(
        scaled if system.mask is None else np.where(system.mask, scaled, U)
    )


@on_one_thread
def law_replicate(parent: LawParent, seed: np.random.SeedSequence) -> tuple[Replicate, Any]:
    """Draw responses, refit from the parent's estimates, and evaluate the statistic."""
    system = replace(parent.fit.system, Y=responses(parent, np.random.default_rng(seed)))
    again = refitted(parent.fit, system, parent.rank, parent.how, parent.each)
    best, problem = again.found.best, again.problem
    one = Replicate(
        problem.design.to_params(best.gamma),
        np.sqrt(problem.covariance(best.cov.scaled(parent.correction)).variances()),
        again.sigma,
        best.nll,
        best.converged,
        best.nuisance.values,
    )
    return one, None if parent.statistic is None else parent.statistic(one)


def bootstrap(
    parent: LawParent, seeds: Sequence[np.random.SeedSequence], n_jobs: int = 1
) -> Iterator[tuple[Replicate, Any]]:
    """Replicates in the order of ``seeds``, on ``n_jobs`` processes."""
    return replicates(law_replicate, parent, seeds, n_jobs)
