"""Standard errors after `fit_tiles`, as a program that runs in every part of a system at once."""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.across import ALONE, Across
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.tiles.interval import interval_factors
from sm_alsgls.core.tiles.passes import THREADS
from sm_alsgls.core.tiles.problem import TiledProblem
from sm_alsgls.core.tiles.source import TileSource
from sm_alsgls.core.tiles.variance import TileVariance

Array = np.ndarray


def standard_errors(
    source: TileSource,
    beta: Array,
    F: Array,
    d: Array,
    across: Across = ALONE,
    *,
    debiased: bool = True,
    options: ALSOptions | None = None,
    threads: int = THREADS,
) -> Array:
    """Model-based standard errors (P,) of coefficients, as ``fit().bse`` has them.

    Parameters
    ----------
    source : TileSource
    beta : ndarray, shape (P,)
        Coefficients of the part's equations, as `fit_tiles` returns them.
    F, d : ndarray, shapes (K, r), (K,)
        Sigma of the part's equations.
    across : Across
    debiased : bool
        Whether they are those of small samples (`sm_alsgls.core.tiles.interval`), with what the
        estimation of Sigma adds; else Sigma is taken as known.
    options : ALSOptions, optional
        Of the fit.
    threads : int

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.tiles.fit import fit_tiles
    >>> from sm_alsgls.core.tiles.source import ArraySource
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((40, 30, 2))
    >>> Y = rng.standard_normal((30, 1)) + rng.standard_normal((30, 40))
    >>> source = ArraySource(X, Y, size=7)
    >>> fit = fit_tiles(source, rank=1)
    >>> standard_errors(source, fit.beta, fit.F, fit.d).shape
    (80,)
    """
    if debiased:
        problem = TiledProblem(source, options or ALSOptions(), across)
        E = problem.residuals(problem.design.from_beta(beta))
        F, d = interval_factors(problem, E, F, d)
    made = TileVariance(source, F, d, across, estimated=debiased, threads=threads)
    return np.sqrt(made.variances())
