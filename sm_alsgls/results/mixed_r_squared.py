"""R2 and intraclass correlations of a mixed model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.mixed.r_squared import Shares, shares
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.mixed_estimate import MixedEstimate


class RSquared(NamedTuple):
    """Shares of a response's variance.

    Attributes
    ----------
    marginal, conditional : float
        Of the fixed effects; of fixed and random effects.
    """

    marginal: float
    conditional: float


class ICC(NamedTuple):
    """Intraclass correlations.

    Attributes
    ----------
    adjusted, unadjusted : float
        Of what fixed effects leave; of the response.
    """

    adjusted: float
    unadjusted: float


@kept
def variance_shares(estimate: MixedEstimate) -> Shares:
    """Variances of the response's parts over rows."""
    rows, fit = estimate.rows, estimate.fit
    residual = fit.s2 * _relative(fit.law, fit.theta, None if rows.levels is None else rows.levels)
    return shares(rows.X, rows.Z, fit.b, fit.G, residual)


def _relative(law: ResidualLaw, theta: np.ndarray, levels: object) -> np.ndarray:
    """Variances of rows over s2."""
    codes = getattr(levels, "codes", None)
    ratios = law.variances(theta)
    return ratios if codes is None or len(ratios) == 1 else ratios[codes]


def r2(estimate: MixedEstimate) -> RSquared:
    """Nakagawa and Schielzeth's R2, with random slopes.

    Returns
    -------
    marginal, conditional : float
        A named tuple.

    Raises
    ------
    DataRemovedError
        Rows are gone; of a stream they never were.

    Notes
    -----
    ``marginal`` = s2_f / (s2_f + s2_a + s2_e) and ``conditional`` with s2_f + s2_a above, s2_f the
    variance of X b, s2_a the mean of z'G z over rows (Johnson 2014, Methods in Ecology and
    Evolution 5), s2_e the residual variance, of levels its mean over rows; with ``weights`` that of
    a row of weight 1. As R's ``performance::r2_nakagawa``.

    Examples
    --------
    >>> from sm_alsgls import LowRankMixedLM
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> model = LowRankMixedLM.from_formula(
    ...     "Reaction ~ Days", load_sleepstudy(), groups="Subject", re_formula="~ Days",
    ...     rank="full",
    ... )
    >>> [round(share, 3) for share in model.fit().r2()]
    [0.279, 0.799]
    """
    made = variance_shares(estimate)
    return RSquared(made.marginal, made.conditional)


def icc(estimate: MixedEstimate) -> ICC:
    """Intraclass correlations: shares of the random effects in the variance.

    Returns
    -------
    adjusted, unadjusted : float
        A named tuple: s2_a / (s2_a + s2_e), of what fixed effects leave, and
        s2_a / (s2_f + s2_a + s2_e); see `r2`. As R's ``performance::icc``, whose second was called
        conditional.

    Raises
    ------
    DataRemovedError
        Rows are gone; of a stream they never were.
    """
    made = variance_shares(estimate)
    return ICC(made.adjusted, made.unadjusted)
