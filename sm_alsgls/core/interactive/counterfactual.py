"""What treated cells would have been, told by units that were never treated.

With y_it(0) = m_it + e_it, m = x'b + effects + f_t' lambda_i, slopes, factors and effects of
periods are those of the units that were never treated, and a treated unit's loadings, constant and
coefficients of known series are of its regression on these before treatment (Xu 2017, Political
Analysis 25). The gap is the effect and an error,

    y_it - m_it^ = effect_it + u_it,      u_it = e_it - (m_it^ - m_it).

Cells of treated units have no part in the factors: with treated cells as holes the sum of squares
may have no minimum, for a factor that is all but zero before treatment fits what noise treated
units have then, with loadings that grow without end, and m with them.

The law of u is that of a bootstrap: responses of everybody are m^ + e*, they are fitted anew with
the same weights, and u* = e* - (m^* - m^). With z_j the residuals of a unit that was never treated
in units of its error variance, enlarged by what its loadings take of it,

    e*_i = d_i*^1/2 (z_j + w sum_k g_k z_k / m^1/2) / (1 + w^2)^1/2,   d_i* = d_i nu_i / chi2(nu_i),

j drawn of the m, whole series, so that correlation in time is kept; g normal, which makes of m
series as many as one likes without a change of their covariance, w = m^-1/5; and d_i* as far from
d_i as nu_i = nu_0 + the degrees of freedom of the unit's periods tell (`variances`; fewer where
errors are correlated in time, Bartlett 1946), for a treated unit may have few of these. What a fit
takes of z_j over time, a combination of factors and effects, is in no gap whatever it is, so that
nothing is added for it but to the mean square of all z, sum z^2 / (T - k). With residuals enlarged
for periods and d_i taken for known nominal .95 of 30 x 40 is .97 of the average of five units and
.93 of single ones; so it is .95 of both.

No effect at all is tested without a law, by residuals of a fit to all cells as if nobody had been
treated: the mean of |e| over the treated cells is compared with the same of the T shifts of time,
moving blocks (Chernozhukov, Wuthrich and Zhu 2021, J. of the American Statistical Association 116).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.interactive.corrected import Correction, corrected
from sm_alsgls.core.interactive.covariance import bandwidth
from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.given import given_slopes
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.search import interactive_fit
from sm_alsgls.core.interactive.weights import Weights
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.progress import counted

Array = np.ndarray

_GTOL = 1e-3
# A unit that a factor has to itself has no residual to enlarge.
_LEAST_LEFT = 0.01
# Of a unit that has as many periods as coefficients.
_LEAST_NU = 0.05
_EVERY = slice(None)


class Untreated(NamedTuple):
    """What responses would be without treatment, and what tells it."""

    fit: InteractiveFit  #: of the units that were never treated
    at: InteractiveFit  #: the same given params
    params: Array  #: (p,), slopes less their bias
    mean: Array  #: (T, n), m
    d: Array  #: (n,), error variances of all units
    nu: Array  #: (n,), their degrees of freedom, the prior's among them


class Refit:
    """Fits to some responses of the cells that are not treated.

    Parameters
    ----------
    panel : Panel
        All cells, treated ones too.
    treated : ndarray of bool, shape (T, n)
    effects : Effects
    rank : int
    weights : Weights
        As asked of the fit to all units; what is estimated of them is so anew.
    how : Correction
    """

    def __init__(
        self,
        panel: Panel,
        treated: Array,
        effects: Effects,
        rank: int,
        weights: Weights,
        how: Correction,
    ) -> None:
        self.panel, self.treated = panel, treated
        seen = np.ones(panel.Y.shape, dtype=bool) if panel.seen is None else panel.seen
        self._told = seen & ~treated
        some = treated.any(axis=0)
        self.units, self.others = np.flatnonzero(some), np.flatnonzero(~some)
        self._never = panel.taken(_EVERY, self.others)
        self._effects = effects.taken(_EVERY, self.others)
        self._rank, self._how = rank, how
        self._weights = weights

    @on_one_thread
    def __call__(self, Y: Array | None = None, near: Untreated | None = None) -> Untreated:
        """Fit to responses (T, n), default those of the panel.

        ``near`` is what responses near these have: the climb begins there, with its weights, and
        ends earlier. Without, weights are of these responses.
        """
        Y = self.panel.Y if Y is None else Y
        mine, gtol = Y[:, self.others], 1e-8 if near is None else _GTOL
        never = replace(self._never, Y=mine)
        if near is None:
            fit = self._weights.fit(never, self._effects, self._rank)
        else:
            fit = interactive_fit(
                never,
                self._effects,
                self._rank,
                d=near.fit.d,
                rho=near.fit.rho,
                beta=near.fit.beta,
                fills=mine,
                only_given=True,
                gtol=gtol,
            )
        params = corrected(fit, self._how).params
        at = given_slopes(fit, params, gtol)
        return self._all(Y, fit, at, params)

    def _all(self, Y: Array, fit: InteractiveFit, at: InteractiveFit, params: Array) -> Untreated:
        """Units that were treated regress on what the others have, by the cells before."""
        H = np.column_stack([self._effects.L, at.F])
        of_periods = at.parts[1] if at.effects.C.shape[1] else np.zeros(at.panel.T)
        slopes = np.tensordot(params, self.panel.X, 1)
        mean = slopes + of_periods[:, None]
        mean[:, self.others] = slopes[:, self.others] + at.common + at.additive
        found = fit.variances
        d, nu = np.empty(Y.shape[1]), np.empty(Y.shape[1])
        d[self.others], nu[self.others] = found.d, found.nu0 + found.nu
        for i in self.units:
            told = self._told[:, i]
            own = np.linalg.lstsq(H[told], (Y[:, i] - mean[:, i])[told], rcond=None)[0]
            mean[:, i] += H @ own
            left = (Y[:, i] - mean[:, i])[told]
            mine = max(float(len(left) - H.shape[1]), _LEAST_NU)
            nu[i], d[i] = found.nu0 + mine, found.d0
            if np.isfinite(found.nu0):
                d[i] = (found.nu0 * found.d0 + float(left @ left)) / nu[i]
        return Untreated(fit, at, params, mean, d, nu)


class Errors:
    """Whole series of errors like those of the units that were never treated.

    Parameters
    ----------
    found : Untreated

    Attributes
    ----------
    series : ndarray, shape (T, m)
        z, of the m units that were never treated.
    """

    def __init__(self, found: Untreated) -> None:
        fit, at = found.fit, found.at
        V, Q, raw = at.at.factors.V, at.W.Q, fit.variances.raw
        kept = 1.0 - np.square(V).sum(axis=1) - np.square(Q).sum(axis=1)
        z = at.E / np.sqrt(np.maximum(kept, _LEAST_LEFT) * fit.d)
        z /= np.sqrt(np.mean(raw / fit.d))
        self.series = z if fit.panel.seen is None else _filled(z, fit.panel.seen)
        self._d = found.d
        # The prior's own degrees of freedom are of the spread between units, whatever the time.
        prior = fit.variances.nu0
        self._nu = prior + (found.nu - prior) / _noise(self.series) if np.isfinite(prior) else None
        self._width = z.shape[1] ** -0.2

    def draw(self, rng: np.random.Generator) -> Array:
        """Errors of all units, (T, n)."""
        m, n = self.series.shape[1], len(self._d)
        whole = self.series[:, rng.integers(m, size=n)]
        near = self.series @ (rng.standard_normal((m, n)) / np.sqrt(m))
        drawn = (whole + self._width * near) / np.sqrt(1.0 + self._width**2)
        d = self._d
        if self._nu is not None:
            d = d * self._nu / rng.chisquare(self._nu)
        return np.asarray(drawn * np.sqrt(d))


def _noise(z: Array) -> float:
    """1 + 2 sum_k rho_k^2, by which correlation in time makes variances of a unit less certain.

    Heavy tails do so too; what they add changes coverage by .005 (chi-square of 3 degrees).
    """
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
    refit: Refit, found: Untreated, seeds: Sequence[np.random.SeedSequence]
) -> Iterator[Array]:
    """u* of the treated cells, one (number of treated cells,) for each seed.

    Parameters
    ----------
    refit : Refit
    found : Untreated
        What it made of the responses.
    seeds : sequence of SeedSequence
    """
    errors = Errors(found)
    for seed in counted(seeds, "replicates"):
        drawn = errors.draw(np.random.default_rng(seed))
        again = refit(found.mean + drawn, found)
        yield (drawn - (again.mean - found.mean))[refit.treated]


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
