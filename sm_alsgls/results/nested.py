"""Likelihood ratios of two fits, one of which is a case of the other."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats
from statsmodels.regression.linear_model import CompareLRTestResult

from sm_alsgls.border.arguments import optional_flag
from sm_alsgls.border.blame import caller
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.exceptions import ConvergenceWarning, OptionError, ShapeError
from sm_alsgls.results.criteria import llf
from sm_alsgls.results.estimate import Estimate, estimate_of
from sm_alsgls.results.factors import rank_of
from sm_alsgls.results.model import Model
from sm_alsgls.results.nested_laws import check_maxima, check_nested_laws


def compare_lr(
    estimate: Estimate, restricted: object, debiased: bool | None = None
) -> CompareLRTestResult:
    """Likelihood-ratio test of a smaller model, nested in this one.

        LR = 2 c (llf - llf_restricted) ~ chi2(df),    df the difference in parameters

    with c = 1, or where ``debiased`` c = mean_j (N - p_j - r) / N, the correction that
    standard errors and Wald tests have.

    Parameters
    ----------
    restricted : LowRankSURResults
        The fit of the smaller model: same responses, rows and rank; each of its designs
        within the span of this one's, or coefficients constrained.
    debiased : bool, optional
        Default: as the fit. False is the plain statistic of statsmodels.

    Returns
    -------
    statistic, pvalue, df_diff : float, float, int
        A named tuple, as that of statsmodels' ``RegressionResults.compare_lr_test``.

    Raises
    ------
    ShapeError, OptionError
        Other responses, ranks, ridges, more parameters, or regressors or laws of the errors not
        nested: a smaller model may lack some of them, with the same neighbours, or have one AR
        coefficient for all. Of fits whose AR coefficients are drawn to their mean there is no
        maximum; fit them with reml=False.

    Warns
    -----
    ConvergenceWarning
        The restricted fit has the higher likelihood: this one missed its maximum.

    Notes
    -----
    Wilks (1938), Annals of Mathematical Statistics 9. c is Bartlett's idea (1937) with the
    Wald test's degrees of freedom, not his exact factor: at N=100, K=10 and 50, 3 and K
    restrictions, c LR rejects 3.3-6.7 % of true nulls at 5 %, LR 5-9 % (150-300 draws).
    Not robust to heteroskedastic or dependent rows, whatever ``cov_type``.
    """
    debiased = optional_flag(debiased, "debiased")
    _ = estimate.likelihood
    small = estimate_of(restricted)
    if small is None or small.maximum is None:
        raise OptionError(
            f"restricted must be the results of LowRankSUR.fit, got {type(restricted).__name__}"
        )
    _check_nested(estimate, small)
    one, other = llf(estimate), llf(small)
    statistic = 2.0 * (one - other)
    df = round(estimate.df_model - small.df_model)
    if statistic < -1e-6 * max(1.0, abs(one)):
        warnings.warn(
            f"the restricted fit has the higher log-likelihood ({other:.6g} against "
            f"{one:.6g}): the larger model stopped at a poorer local maximum; refit it "
            "with more n_starts, or with start_params from the restricted fit",
            ConvergenceWarning,
            stacklevel=caller(),
        )
    if estimate.debiased if debiased is None else debiased:
        statistic *= float(np.mean(estimate.df.equation)) / estimate.nobs
    return CompareLRTestResult(statistic, float(stats.chi2.sf(statistic, df)), df)


def _check_nested(full: Estimate, restricted: Estimate) -> None:
    for which, one in (("this", full), ("the restricted", restricted)):
        maximum = one.likelihood
        options = maximum.options
        if maximum.ridged:
            raise OptionError(
                f"{which} fit has a ridge (lam_F={options.lam_F}, lam_B={options.lam_B}), so its "
                "likelihood is not the maximum a likelihood ratio needs; fit without"
            )
    same = _same_system(full.model, restricted.model)
    if not same:
        _check_data(full.model, restricted.model)
    ranks = rank_of(full), rank_of(restricted)
    if ranks[0] != ranks[1]:
        raise OptionError(
            f"the fits have ranks {ranks[0]} and {ranks[1]}; fix rank= to compare "
            "coefficients, or test the rank with diagnostics.rank_test"
        )
    check_maxima(full.laws, restricted.laws)
    fewer = full.df_model - restricted.df_model
    if fewer <= 0:
        raise OptionError(
            f"the restricted model has {restricted.df_model:.0f} parameters, this one "
            f"{full.df_model:.0f}; call compare_lr on the larger of the two"
        )
    if not same:
        _check_regressors(full.model, restricted.model)
    check_nested_laws(full.laws, restricted.laws)


def _same_system(one: Model, other: Model) -> bool:
    """Whether two models have one table of data; of data that are gone only one model has."""
    if not (one.has_data and other.has_data):
        return one is other
    return one.system is other.system


def _check_data(full: Model, restricted: Model) -> None:
    one, other = full.endog, restricted.endog
    # Shapes first: removed data say so when asked for theirs.
    if (
        one.shape != other.shape
        or restricted.equations != full.equations
        or not np.array_equal(one, other, equal_nan=True)
        or not same_cells(full.system.cells, restricted.system.cells)
    ):
        raise ShapeError(
            "both fits must have the same responses, rows and order of equations; fit the "
            "restricted model to the same data (missing='drop' may have removed other rows, "
            "missing='fiml' other cells), with the same weights"
        )


def same_cells(one: Cells, other: Cells) -> bool:
    """Whether two fits use the same cells with the same weights."""
    masks = one.mask, other.mask
    weights = one.weights, other.weights
    return all(
        a is b if a is None or b is None else np.array_equal(a, b) for a, b in (masks, weights)
    )


def _check_regressors(full: Model, restricted: Model) -> None:
    for name, X, small in zip(full.equations, full.exog, restricted.exog, strict=True):
        seen = ~(np.isnan(X).any(axis=1) | np.isnan(small).any(axis=1))
        if X is not small and not spans(X[seen], small[seen]):
            raise OptionError(
                f"not nested: equation {name!r} of the restricted model has a regressor that is "
                "no combination of this model's; their likelihoods are not comparable by a chi2"
            )


def spans(X: np.ndarray, small: np.ndarray) -> bool:
    """Whether every column of ``small`` is a combination of X's, to 1e-8 of its length."""
    A, B = X / np.sqrt(np.square(X).sum(axis=0)), small / np.sqrt(np.square(small).sum(axis=0))
    Q = np.linalg.qr(A)[0]
    left = B - Q @ (Q.T @ B)
    return bool(np.sqrt(np.square(left).sum(axis=0)).max() < 1e-8)
