"""The fit of a part of a system, as a program that runs in every part at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sm_alsgls.core.across import ALONE, Across
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.solution import Sweep
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.core.tiles.problem import TiledProblem
from sm_alsgls.core.tiles.source import TileSource
from sm_alsgls.covariance.base import factors_of

Array = np.ndarray


class PartialFit(NamedTuple):
    """What a part of a system knows of the maximum: its own, and what is of all equations.

    Attributes
    ----------
    beta : ndarray, shape (P,)
        Coefficients, equation after equation.
    F, d : ndarray, shapes (K, r), (K,)
    at_bound : ndarray of bool, shape (K,)
    s_ols, lengths : ndarray, shape (K,)
        OLS residual variances, and |y_j|^2.
    squares : ndarray, shape (K,)
        |e_j|^2 of the residuals.
    constant : ndarray of bool, shape (K,)
        Whether a design spans the constant.
    nll : float
        Per row, of the whole system.
    converged : bool
    status : str
    gradient_d, score_beta : float
    trace : tuple of Sweep
    """

    beta: Array
    F: Array
    d: Array
    at_bound: Array
    s_ols: Array
    lengths: Array
    squares: Array
    constant: Array
    nll: float
    converged: bool
    status: str
    gradient_d: float
    score_beta: float
    trace: tuple[Sweep, ...]


@on_one_thread
def fit_tiles(
    source: TileSource,
    across: Across = ALONE,
    *,
    rank: int,
    options: ALSOptions | None = None,
    callback: Callable[[Sweep], object] | None = None,
) -> PartialFit:
    """The maximum from the OLS start, of equations in tiles.

    Parameters
    ----------
    source : TileSource
    across : Across
    rank : int
    options : ALSOptions, optional
    callback : callable, optional
        As that of `als`; in shards it must answer the same in all.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.tiles.source import ArraySource
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((40, 30, 2))
    >>> Y = rng.standard_normal((30, 1)) + rng.standard_normal((30, 40))
    >>> fit = fit_tiles(ArraySource(X, Y, size=7), rank=1)
    >>> fit.converged, fit.beta.shape, fit.F.shape
    (True, (80,), (40, 1))
    """
    problem = TiledProblem(source, options or ALSOptions(), across)
    found: Any = als(problem, rank, callback=callback)
    cov = factors_of(found.cov)
    return PartialFit(
        problem.design.to_beta(found.gamma),
        cov.loadings,
        cov.uniquenesses,
        found.at_bound,
        problem.s_ols,
        problem.design.lengths,
        found.E.squares(),
        problem.design.constant,
        found.nll,
        found.converged,
        found.status,
        found.gradient_d,
        found.score_beta,
        found.trace,
    )


def fit_part(
    source: TileSource,
    across: Across,
    rank: int,
    options: ALSOptions,
    callback: Callable[[Sweep], object] | None = None,
) -> PartialFit:
    """`fit_tiles`, as a program; without a callback its sweeps are told to whoever waits."""
    told = across.tell if callback is None else callback
    return fit_tiles(source, across, rank=rank, options=options, callback=told)
