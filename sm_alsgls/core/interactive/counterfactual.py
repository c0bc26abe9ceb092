"""What treated cells would have been: treated cells are holes, everybody else tells the factors.

With y_it(0) = m_it + e_it, m = x'b + effects + f_t' lambda_i, treated cells are left out of the fit
and their m is predicted by the factors of all and the loadings of the unit before treatment (Xu
2017, Political Analysis 25). The gap is the effect and an error,

    y_it - m_it^ = effect_it + u_it,      u_it = e_it - (m_it^ - m_it),

whose law a bootstrap has: responses of everybody are m^ + e*, they are fitted anew with the same
cells left out and the same weights, and u* = e* - (m^* - m^). With z_j the residuals of a unit that
was never treated in units of its error variance, enlarged by what its loadings take of it,

    e*_i = d_i*^1/2 (z_j + w sum_k g_k z_k / m^1/2) / (1 + w^2)^1/2,   d_i* = d_i nu_i / chi2(nu_i),

j drawn of the m, whole series, so that correlation in time is kept; g normal, which makes of m
series as many as one likes without a change of their covariance, w = m^-1/5; and d_i* as far from
d_i as nu_i = nu_0 + the degrees of freedom of the unit's periods tell (`variances`; fewer where
errors are correlated in time, Bartlett 1946), for a treated unit may have few of these. What a fit
takes of z_j over time, a combination of factors and effects, is in no gap whatever it is, so that
nothing is added for it but to the mean square of all z, sum z^2 / (T - k). With residuals enlarged
for periods and d_i taken for known nominal .95 of 30 x 40 is .97 of the average of five units and
.93 of single ones; so it is .96 and .95.

No effect at all is tested without a law, by residuals of a fit to all cells as if nobody had been
treated: the mean of |e| over the treated cells is compared with the same of the T shifts of time,
moving blocks (Chernozhukov, Wuthrich and Zhu 2021, J. of the American Statistical Association 116).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from sm_alsgls.core.interactive.corrected import Correction, corrected
from sm_alsgls.core.interactive.covariance import bandwidth
from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.given import given_slopes
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.search import interactive_fit
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.progress import counted

Array = np.ndarray

_GTOL = 1e-3
# A unit that a factor has to itself has no residual to enlarge.
_LEAST_LEFT = 0.01


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
        self, Y: Array | None = None, near: InteractiveFit | None = None
    ) -> tuple[InteractiveFit, InteractiveFit, Array]:
        """The least squares fit, that given corrected slopes, and these.

        ``near`` is what responses near ``Y`` have: the climb begins there, with its weights.
        """
        panel = self.panel if Y is None else replace(self.panel, Y=Y)
        if near is None:
            fit = interactive_fit(panel, self._effects, self._rank, weighted=self._weighted)
        else:
            fit = interactive_fit(
                panel,
                self._effects,
                self._rank,
                d=near.d,
                beta=near.beta,
                fills=Y,
                only_given=True,
                gtol=_GTOL,
            )
        params = corrected(fit, self._how, weighted=self._weighted).params
        return fit, given_slopes(fit, params, 1e-8 if near is None else _GTOL), params


class Errors:
    """Whole series of errors like those of the units that were never treated.

    Parameters
    ----------
    fit, at : InteractiveFit
        What the cells that are not treated have, and that given corrected slopes.
    treated : ndarray of bool, shape (T, n)

    Attributes
    ----------
    series : ndarray, shape (T, m)
        z, of the m units that were never treated.
    """

    def __init__(self, fit: InteractiveFit, at: InteractiveFit, treated: Array) -> None:
        seen, found = fit.panel.seen, fit.variances
        assert seen is not None
        donors = np.flatnonzero(~treated.any(axis=0))
        V, Q = at.at.factors.V[donors], at.W.Q[donors]
        kept = 1.0 - np.square(V).sum(axis=1) - np.square(Q).sum(axis=1)
        z = at.E[:, donors] / np.sqrt(np.maximum(kept, _LEAST_LEFT) * fit.d[donors])
        z /= np.sqrt(np.mean(found.raw[donors] / fit.d[donors]))
        self.series = _filled(z, seen[:, donors])
        self._d, self._nu = fit.d, found.nu0 + found.nu / _noise(self.series)
        self._width = len(donors) ** -0.2

    def draw(self, rng: np.random.Generator) -> Array:
        """Errors of all units, (T, n)."""
        m, n = self.series.shape[1], len(self._d)
        whole = self.series[:, rng.integers(m, size=n)]
        near = self.series @ (rng.standard_normal((m, n)) / np.sqrt(m))
        drawn = (whole + self._width * near) / np.sqrt(1.0 + self._width**2)
        d = self._d.copy()
        if np.isfinite(self._nu).all():
            d *= self._nu / rng.chisquare(self._nu)
        return np.asarray(drawn * np.sqrt(d))


def _noise(z: Array) -> float:
    """1 + 2 sum_k rho_k^2, by which correlation in time makes variances of a unit less certain."""
    lags = range(1, bandwidth(len(z)) + 1)
    whole = float(np.vdot(z, z))
    rho = np.array([float(np.vdot(z[k:], z[:-k])) / whole for k in lags])
    return 1.0 + 2.0 * float(rho @ rho)


def _filled(z: Array, seen: Array) -> Array:
    """Cells that a unit lacks are another unit's of the same period."""
    out, rng = z.copy(), np.random.default_rng(0)
    for t in np.flatnonzero(~seen.all(axis=1) & seen.any(axis=1)):
        hole = ~seen[t]
        out[t, hole] = rng.choice(z[t, seen[t]], int(hole.sum()))
    return out


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
    treated, errors = refit.treated, Errors(fit, at, refit.treated)
    mean = untreated(at, params, refit.panel.X)
    for seed in counted(seeds, "replicates"):
        drawn = errors.draw(np.random.default_rng(seed))
        _, at_star, params_star = refit(mean + drawn, fit)
        again = untreated(at_star, params_star, refit.panel.X)
        yield (drawn - (again - mean))[treated]


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
