"""The parametric bootstrap of a mixed model: what is drawn from a fit and fitted again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.rows import MixedRows
from sm_alsgls.core.mixed.simulation import Draws
from sm_alsgls.progress import counted

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Refits:
    """Fits of drawn responses.

    Attributes
    ----------
    b : ndarray, shape (reps, p)
    se : ndarray, shape (reps, p)
        Roots of the diagonal of each refit's s2 H^-1.
    G : ndarray, shape (reps, q, q)
    uniquenesses : ndarray, shape (reps, q)
    s2 : ndarray, shape (reps,)
    theta : ndarray, shape (reps, size)
    llf : ndarray, shape (reps,)
    converged : ndarray of bool, shape (reps,)
    """

    b: Array
    se: Array = field(repr=False)
    G: Array = field(repr=False)
    uniquenesses: Array = field(repr=False)
    s2: Array = field(repr=False)
    theta: Array = field(repr=False)
    llf: Array = field(repr=False)
    converged: Array = field(repr=False)


def refits(
    fit: MixedFit,
    reps: int,
    rng: np.random.Generator,
    rows: Callable[[], MixedRows] | None = None,
) -> Refits:
    """Draw responses from a fit and fit them again, each from where the fit is.

    Parameters
    ----------
    fit : MixedFit
    reps : int
    rng : numpy Generator
        The draws of a replicate are of a stream of its own, whatever the fits before it took.
    rows : callable, optional
        See `Draws`.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.mixed.cross_products import CrossProducts
    >>> from sm_alsgls.core.mixed.residual_laws import Common
    >>> from sm_alsgls.core.mixed.structures import Diagonal
    >>> rng = np.random.default_rng(0)
    >>> groups, one = np.repeat(np.arange(30), 5), np.ones((150, 1))
    >>> y = rng.standard_normal(30)[groups] + rng.standard_normal(150)
    >>> products = CrossProducts.of_rows(one, one, y, groups, 30)
    >>> made = refits(mixed_fit(products, Diagonal(1), Common()), 20, rng)
    >>> made.b.shape, made.G.shape, bool(made.converged.all())
    ((20, 1), (20, 1, 1), True)
    """
    draws = Draws(fit, rows)
    found = []
    for source in counted(rng.spawn(reps), "bootstrap", unit="draw"):
        again = mixed_fit(
            draws.one(source), fit.structure, fit.law, reml=fit.reml, n_starts=1, first=fit
        )
        found.append(again)
    return Refits(
        np.array([one.b for one in found]),
        np.array([np.sqrt(np.diagonal(one.cov_b)) for one in found]),
        np.array([one.G for one in found]),
        np.array([one.uniquenesses for one in found]),
        np.array([one.s2 for one in found]),
        np.array([one.theta for one in found]),
        np.array([one.llf for one in found]),
        np.array([one.converged for one in found]),
    )
