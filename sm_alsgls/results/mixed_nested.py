"""Likelihood ratios of two fits of mixed models, one of which is a case of the other."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from statsmodels.regression.linear_model import CompareLRTestResult

from sm_alsgls.border.blame import caller
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.likelihood_ratio import Mixture, mixture
from sm_alsgls.core.mixed.structures import Structure
from sm_alsgls.exceptions import ConvergenceWarning, NotApplicableError, OptionError, ShapeError
from sm_alsgls.results.mixed_estimate import MixedEstimate, mixed_estimate_of
from sm_alsgls.results.nested import spans


def compare_lr(estimate: MixedEstimate, restricted: object) -> CompareLRTestResult:
    """Likelihood-ratio test of a smaller model, nested in this one.

    Parameters
    ----------
    restricted : LowRankMixedLMResults
        The fit of the smaller model to the same rows: with fewer fixed effects, random effects,
        or residual variances, or a smaller structure of the random effects' covariance.

    Returns
    -------
    statistic, pvalue, df_diff : float, float, int
        A named tuple. The p-value is of chi2(df_diff), or of the mixture of chi2 that one variance
        of zero under the null makes, see `variance_test`.

    Raises
    ------
    ShapeError
        Other rows.
    OptionError
        Not nested; one fit by REML and the other not; or both by REML with different fixed
        effects, whose restricted likelihoods are those of different data.
    NotApplicableError
        The law of the ratio is not known.

    Warns
    -----
    ConvergenceWarning
        The restricted fit has the higher likelihood.
    """
    small = mixed_estimate_of(restricted)
    if small is None:
        raise OptionError(
            f"restricted must be the results of LowRankMixedLM.fit, got {type(restricted).__name__}"
        )
    _check_rows(estimate, small)
    more = _more_fixed(estimate, small)
    law = _law(estimate.fit, small.fit, more + _more_residual(estimate.fit, small.fit))
    full, other = estimate.llf, small.llf
    statistic = 2.0 * (full - other)
    if statistic < -1e-6 * max(1.0, abs(full)):
        warnings.warn(
            f"the restricted fit has the higher log-likelihood ({other:.6g} against {full:.6g}): "
            "the larger model stopped at a poorer local maximum; refit it with more n_starts",
            ConvergenceWarning,
            stacklevel=caller(),
        )
    df = round(estimate.df_model - small.df_model)
    return CompareLRTestResult(statistic, law.sf(statistic), df)


def _check_rows(full: MixedEstimate, small: MixedEstimate) -> None:
    if full.reml != small.reml:
        raise OptionError(
            "one fit is by REML and the other by maximum likelihood; fit both with reml=False"
        )
    one, other = full.model, small.model
    same = full.nobs == small.nobs and full.groups.equals(small.groups)
    if same and one.has_data and other.has_data:
        pairs = (one.rows.y, other.rows.y), (one.rows.codes, other.rows.codes)
        same = all(np.array_equal(a, b) for a, b in pairs)
        weights = [np.ones(1) if w is None else w for w in (one.rows.weights, other.rows.weights)]
        same = same and np.allclose(weights[0], weights[1])
    if not same:
        raise ShapeError(
            "both fits must have the same responses, rows, groups and weights; fit the restricted "
            "model to the same data (missing='drop' may have removed other rows)"
        )


def _more_fixed(full: MixedEstimate, small: MixedEstimate) -> int:
    """Fixed effects that the restricted model has not."""
    p, q = len(full.params), len(small.params)
    names = full.labels.params, small.labels.params
    if full.model.has_data and small.model.has_data:
        X, part = full.rows.X, small.rows.X
        nested = q <= p and (not q or spans(X, part))
    else:
        nested = set(names[1]) <= set(names[0])
    if not nested:
        raise OptionError(
            "not nested: the restricted model has a fixed effect that is no combination of this "
            "model's"
        )
    if full.reml and (p != q or not nested):
        raise OptionError(
            f"fits by REML with {p} and {q} fixed effects: their restricted likelihoods are of "
            "different contrasts of the data, and are not comparable; fit both with reml=False"
        )
    return p - q


def _more_residual(full: MixedFit, small: MixedFit) -> int:
    """Parameters of the residuals that the restricted model has not."""
    if small.law == full.law:
        return 0
    if small.law.size and small.law not in full.law.within:
        raise OptionError(
            "not nested: the residuals of the restricted model have a law that is not this model's"
        )
    if _at_zero(full) > _at_zero(small):
        raise NotApplicableError(
            "an autoregression of residuals over uneven times is not negative, so that none at all "
            "is at the end of its range: the likelihood ratio has no known law here"
        )
    return full.law.size - small.law.size


def _at_zero(fit: MixedFit) -> int:
    """Parameters of the residuals' law whose range ends at zero."""
    return int((fit.law.bounds[:, 0] == 0.0).sum())


def _shape(structure: Structure) -> tuple[int, int, int, int]:
    """What tells structures apart."""
    free = structure.size - int(np.isfinite(structure.low).sum())
    return structure.q, structure.rank, structure.n_free, free


def _law(full: MixedFit, small: MixedFit, more: int) -> Mixture:
    """The law, with ``more`` parameters that are inside of their range."""
    mine, other = full.structure, small.structure
    if _shape(mine) == _shape(other):
        if not more:
            raise OptionError("both fits are of the same model; there is nothing to test")
        return Mixture((1.0,), (more,))
    law = mixture(small, mine)
    if mine.n_free <= other.n_free or law is None:
        raise NotApplicableError(
            "the law of this likelihood ratio of random effects is no known mixture of chi2, or "
            "the restricted model is no case of this one; use variance_test(), which draws it"
        )
    return replace(law, df=tuple(df + more for df in law.df))
