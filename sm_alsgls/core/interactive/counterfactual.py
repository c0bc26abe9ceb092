"""What treated cells would have been: treated cells are holes, everybody else tells the factors.

With y_it(0) = m_it + e_it, m = x'b + effects + f_t' lambda_i, treated cells are left out of the fit
and their m is predicted by the factors of all and the loadings of the unit before treatment (Xu
2017, Political Analysis 25). The gap is the effect and an error,

    y_it - m_it^ = effect_it + u_it,      u_it = e_it - (m_it^ - m_it),

whose law a bootstrap has: responses of everybody are m^ + e*, e*_i the residuals of a unit that was
drawn of those never treated, whole series, so that correlation in time is kept, times
(d_i / d_j)^1/2; they are fitted anew with the same cells left out, and u* = e* - (m^* - m^).

No effect at all is tested without a law, by residuals of a fit to all cells as if nobody had been
treated: the mean of |e| over the treated cells is compared with the same of the T shifts of time,
moving blocks (Chernozhukov, Wuthrich and Zhu 2021, J. of the American Statistical Association 116).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from sm_alsgls.core.interactive.corrected import Correction, corrected
from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.given import given_slopes
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.search import interactive_fit
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.progress import counted

Array = np.ndarray

_GTOL = 1e-4


def untreated(at: InteractiveFit, params: Array, X: Array) -> Array:
    """m (T, n): slopes' part of the regressors as they are, and what a fit given slopes has."""
    return np.asarray(np.tensordot(params, X, 1) + at.common + at.additive)


class Refit:
    """Fits to some responses of the cells that are not treated.

    Parameters
    ----------
    panel : Panel
        All cells, treated ones too.
    treated : ndarray of bool, shape (T, n)
    effects : Effects
    rank : int
    weighted : bool
    how : Correction
    """

    def __init__(
        self,
        panel: Panel,
        treated: Array,
        effects: Effects,
        rank: int,
        weighted: bool,
        how: Correction,
    ) -> None:
        seen = np.ones(panel.Y.shape, dtype=bool) if panel.seen is None else panel.seen
        self.panel, self.treated = replace(panel, seen=seen & ~treated), treated
        self._effects, self._rank, self._weighted, self._how = effects, rank, weighted, how

    @on_one_thread
    def __call__(
        self, Y: Array | None = None, beta: Array | None = None
    ) -> tuple[InteractiveFit, InteractiveFit, Array]:
        """The least squares fit, that given corrected slopes, and these; from ``beta`` only."""
        panel = self.panel if Y is None else replace(self.panel, Y=Y)
        fit = interactive_fit(
            panel,
            self._effects,
            self._rank,
            weighted=self._weighted,
            beta=beta,
            only_given=beta is not None,
            gtol=1e-8 if beta is None else _GTOL,
        )
        params = corrected(fit, self._how, weighted=self._weighted).params
        return fit, given_slopes(fit, params), params


def errors(fit: InteractiveFit, at: InteractiveFit) -> Array:
    """Residuals of the cells that were seen, enlarged by what the fit takes of them, (T, n)."""
    U, V, W = at.at.factors.U, at.at.factors.V, at.W
    g = np.square(U).sum(axis=1) + np.square(W.L).sum(axis=1)
    h = np.square(V).sum(axis=1) + np.square(W.Q).sum(axis=1)
    left = np.maximum(np.outer(1.0 - g, 1.0 - h), 0.01)
    return np.asarray(at.E / np.sqrt(left))


def bootstrap(
    refit: Refit,
    found: tuple[InteractiveFit, InteractiveFit, Array],
    seeds: Sequence[np.random.SeedSequence],
) -> Iterator[Array]:
    """u* of the treated cells, one (number of treated cells,) for each seed.

    Parameters
    ----------
    refit : Refit
    found : tuple
        What it made of the responses.
    seeds : sequence of SeedSequence
    """
    fit, at, params = found
    seen, treated = refit.panel.seen, refit.treated
    assert seen is not None
    e, root = errors(fit, at), np.sqrt(fit.d)
    donors = np.flatnonzero(seen.all(axis=0) & ~treated.any(axis=0))
    mean = untreated(at, params, refit.panel.X)
    for seed in counted(seeds, "replicates"):
        rng = np.random.default_rng(seed)
        drawn = rng.choice(donors, len(root))
        e_star = e[:, drawn] / root[drawn] * root
        _, at_star, params_star = refit(mean + e_star, params)
        again = untreated(at_star, params_star, refit.panel.X)
        yield (e_star - (again - mean))[treated]


def shifted_pvalue(E: Array, treated: Array) -> float:
    """The p-value of no effect, of the T shifts in time.

    Parameters
    ----------
    E : ndarray, shape (T, n)
        Residuals of a fit to all cells; NaN where nothing was seen.
    treated : ndarray of bool, shape (T, n)

    Examples
    --------
    >>> import numpy as np
    >>> treated = np.zeros((5, 1), dtype=bool)
    >>> treated[4] = True
    >>> shifted_pvalue(np.array([[0.1], [-0.2], [0.3], [0.1], [2.0]]), treated)
    0.2
    """
    units = treated.any(axis=0)
    e, at = np.abs(E[:, units]), treated[:, units]
    found = [float(np.nanmean(np.roll(e, s, axis=0)[at])) for s in range(len(e))]
    return float(np.mean(np.array(found) >= found[0] * (1.0 - 1e-12)))
