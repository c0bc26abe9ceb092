"""Which estimate of the laws' parameters: the maximum, or one without its bias in small samples.

The maximum of the likelihood takes what coefficients take out of residuals for less correlation and
more spread. What is done about it depends on the laws:

    one AR coefficient for each equation    drawn to their mean (`shrunken_ar`), all moved as the
                                            restricted likelihood moves a common one
    scales of whole rows alone              a Gamma regression with leverages (`leverage_scale`)
    other AR coefficients and scales        the restricted likelihood (`restricted_likelihood`)
    spatial parameters alone                the maximum

Restricted likelihoods and leverages form H, O(N P^2 + P^3): up to some 1,500 coefficients. Where
there is none the estimate is the maximum, and says why (`Estimated.uncorrected`). The regression
with leverages is of whole rows; scales of others have the restricted likelihood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.leverage_scale import leverage_scale
from sm_alsgls.core.laws.maximise import DIFFERENCED, maximise
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.restricted_likelihood import restricted_likelihood
from sm_alsgls.core.laws.shrunken_ar import moved_as_common, shrunken_ar
from sm_alsgls.core.maximise.solution import Start, Sweep

# Coefficients, and products of rows with them, up to which H is formed.
_P, _PRODUCTS = 1_500, 4e9


class Kinds(NamedTuple):
    """What decides.

    Attributes
    ----------
    each : slice or None
        The AR coefficients of each equation among the values.
    rows : bool
        Whether scales of rows are all there is.
    corrected : bool
        Whether some of the values are AR coefficients or scales.
    """

    each: slice | None = None
    rows: bool = False
    corrected: bool = True


class Estimated(NamedTuple):
    """The fit at the values that are reported, how they were found, and the largest likelihood.

    Attributes
    ----------
    fit : LawFit
    how : str
        "maximum likelihood", "restricted likelihood", "leverages" or "empirical Bayes".
    nll : float
        Per row, of the maximum; of the fit itself where that was not sought.
    fewer : float
        What drawing values to their mean takes off the number of parameters.
    uncorrected : str
        Why values that are corrected for the estimation of coefficients elsewhere are not, though
        that was asked for; "" where they are, or none is, or the maximum was not found.
    """

    fit: LawFit
    how: str
    nll: float
    fewer: float = 0.0
    uncorrected: str = ""


ML, REML, LEVERAGES, BAYES = (
    "maximum likelihood", "restricted likelihood", "leverages", "empirical Bayes",
)  # fmt: skip


# Why there is no restricted likelihood: its steps have no scale.
_UNKNOWN = "a value is on a bound, or its variance is not known"


def estimated(
    system: RawSystem,
    rank: int,
    kinds: Kinds,
    *,
    reml: bool = True,
    n_starts: int | None = None,
    rng: np.random.Generator | None = None,
    first: Start | None = None,
    callback: Callable[[Sweep], object] | None = None,
) -> Estimated:
    """Estimate (theta, beta, Sigma), as the module says.

    Parameters
    ----------
    system : RawSystem
    rank : int
    kinds : Kinds
    reml : bool
        False: the maximum of the likelihood, whatever the laws.
    n_starts, rng, first, callback
        See `maximise`.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.laws.row_scale import RowScale
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> z, X = rng.standard_normal((30, 1)), [rng.standard_normal((30, 3)) for _ in range(5)]
    >>> Y = np.exp(0.5 * z) * rng.standard_normal((30, 5))
    >>> raw = RawSystem(Y, X, RowScale(z, 5, np.zeros(1)), ALSOptions())
    >>> estimated(raw, 0, Kinds(rows=True)).how, estimated(raw, 0, Kinds(), reml=False).how
    ('leverages', 'maximum likelihood')
    """
    if reml and kinds.each is not None:
        shrunk = shrunken_ar(system, rank, at=kinds.each, n_starts=n_starts, rng=rng)
        why = lacking(shrunk)
        if not why:
            tied = replace(shrunk.system, filter=shrunk.system.filter.tied())
            best, design = shrunk.found.best, tied.problem().design
            gamma = design.from_beta(shrunk.problem.design.to_beta(best.gamma))
            start = Start("shrunken", gamma=gamma, near=best.cov)
            ml = maximise(tied, rank, guess=False, n_starts=1, first=start)
            if _known(ml):
                restricted = restricted_likelihood(ml, rank)
                shrunk = moved_as_common(shrunk, ml, restricted, rank, kinds.each)
        fewer = len(shrunk.prior.values) - shrunk.prior.df
        return Estimated(shrunk, BAYES, shrunk.found.best.nll, fewer, why)
    ml = maximise(system, rank, n_starts=n_starts, rng=rng, first=first, callback=callback)
    nll = ml.found.best.nll
    if not (reml and kinds.corrected and ml.found.best.converged):
        return Estimated(ml, ML, nll)
    why = lacking(ml)
    if why or not _known(ml):
        return Estimated(ml, ML, nll, uncorrected=why or _UNKNOWN)
    if kinds.rows and (system.mask is None or system.mask.all()):
        return Estimated(leverage_scale(ml, rank), LEVERAGES, nll)
    return Estimated(restricted_likelihood(ml, rank), REML, nll)


def _known(fit: LawFit) -> bool:
    """Whether all values have a covariance, so that none is on a bound, and they are few."""
    nuisance = fit.found.best.nuisance
    return len(nuisance.values) <= DIFFERENCED and bool(np.isfinite(nuisance.cov).all())


def few(fit: LawFit) -> bool:
    """Whether H is small enough to be formed."""
    return not lacking(fit)


def lacking(fit: LawFit) -> str:
    """Why H is not formed: it is large; "" where it is."""
    P, N = fit.problem.design.P, fit.problem.n_obs
    if P > _P:
        return f"{P:,} coefficients are more than {_P:,}"
    return f"{P:,} coefficients are too many for {N:,} rows" if N * P**2 > _PRODUCTS else ""
