"""Is the number of factors enough: one more, or an unrestricted Sigma."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
from scipy import stats

from sm_alsgls.border.arguments import choice, flag, generator, optional_count, starts
from sm_alsgls.core.errors.law import law_of
from sm_alsgls.core.errors.words import FULL
from sm_alsgls.core.laws.estimated import BAYES
from sm_alsgls.core.laws.likelihood_ratio import LawRatio, maximum
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.maximise.als import Start
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.rank.saturated import fit_unrestricted, regressor_rank, saturated_nll
from sm_alsgls.covariance.base import factors_of
from sm_alsgls.data.error_laws import ERROR_NAME
from sm_alsgls.exceptions import InsufficientRowsError, OptionError
from sm_alsgls.rank_choice.legal import resolve_rank
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import factors
from sm_alsgls.results.likelihood_model import LikelihoodModel
from sm_alsgls.results.outcome import CovarianceTest
from sm_alsgls.results.progress import says
from sm_alsgls.sigma_tests.draws import draws_of, monte_carlo, ratio_of
from sm_alsgls.sigma_tests.fits import (
    at_maximum,
    need_complete,
    need_unpenalised,
    structure,
    tested,
)

_RANK_NOTE = (
    "The extra factor is not identified under the null: chi2 is a rule of thumb; use reps=."
)


@says
def rank_test(
    results: object,
    *,
    n_starts: int | str = "auto",
    reps: int | None = None,
    rng: np.random.Generator | int | None = None,
    progress: bool | None = None,
) -> CovarianceTest:
    """Likelihood ratio of r factors, the rank of the fit, against r + 1.

        LR = 2 N (nll_r - nll_{r+1}),      df = K - r

    Parameters
    ----------
    results : LowRankSURResults
        The fit of rank r, of which rank r + 1 must still be legal.
    n_starts : int or "auto"
        Starts of the larger fit, as in `LowRankSUR.fit`; the first starts from the smaller one.
    reps : int, optional
        Draws of a parametric bootstrap from the fit of rank r, each refitted at both ranks.
    rng : numpy Generator or int, optional
        Of random starts and draws. Default: fixed seeds.
    progress : bool, optional
        Whether to say how far it is: True with a bar from the start (needs tqdm), False never; by
        default after two seconds, where standard error is a terminal or a notebook.

    Returns
    -------
    CovarianceTest

    Raises
    ------
    IllegalRankError
        Rank r + 1 is not identified.

    Notes
    -----
    **The chi2 is a rule of thumb.** Under the null the loadings of the extra factor are zero and
    not identified, so the statistic behaves like the largest of many (Geweke and Singleton 1980,
    JASA 75; Hayashi, Bentler and Yuan 2007, Structural Equation Modeling 14) and rejects too
    often, the more so the larger K: 27 % of true nulls at 5 % for N=100, K=10, r=2.
    `sufficiency_test` at r = 1, 2, ... in turn is regular under its null; ``reps`` calibrates.
    """
    estimate = tested(results)
    need_unpenalised(estimate)
    _ = factors(estimate)
    r = estimate.rank
    resolve_rank(r + 1, estimate.sample.system)
    limit, reps, source = starts(n_starts), optional_count(reps, "reps"), generator(rng)
    if estimate.laws is None:
        best = estimate.likelihood.search.best
        larger = search(
            estimate.sample.problem,
            r + 1,
            n_starts=limit,
            rng=source,
            first=Start("one more", gamma=best.gamma, d=factors_of(best.cov).uniquenesses),
        ).best
        statistic = 2.0 * estimate.nobs * (estimate.likelihood.nll - larger.nll)
        ratio = None
    else:
        large = maximise(estimate.sample.raw, r + 1, guess=False, n_starts=limit, rng=source)
        ratio = LawRatio(at_maximum(estimate), large, r, r + 1)
        statistic = ratio.statistic
    more = estimate.neqs - r
    df: int | None = more
    distribution, pvalue = "chi2", float(stats.chi2.sf(statistic, more))
    if reps is not None:
        one = ratio.draw if ratio else draws_of(estimate, lambda p: ratio_of(p, r, r + 1), rank=r)
        pvalue = monte_carlo(statistic, one, reps, generator(rng))
        distribution, df = f"parametric bootstrap, {reps} draws", None
    return CovarianceTest(
        "Likelihood-ratio test of the rank",
        structure(r),
        structure(r + 1),
        float(statistic),
        pvalue,
        distribution,
        df,
        _RANK_NOTE if reps is None else "",
    )


@says
def sufficiency_test(
    results: object,
    method: str = "lr",
    *,
    correction: bool = True,
    progress: bool | None = None,
) -> CovarianceTest:
    """Test that r factors plus a diagonal suffice, against an unrestricted Sigma.

        LR = 2 N (nll_r - nll_*),      df = ((K - r)^2 - (K + r)) / 2

    (one less beside ``spatial_error=`` among equations, which an unrestricted Sigma holds) with
    nll_r that of the fit and nll_*, per row,

    * ``method="lr"``: the maximum over coefficients and an unrestricted Sigma, by iterated SUR from
      the fitted coefficients. It exists only while q + K <= N, q the rank of all regressors
      together: beyond, some combination of responses is fitted exactly, |E'E| can reach zero, and
      the likelihood has no maximum even though K < N - p.
    * ``method="residuals"``: the likelihood of S = E'E/N at the coefficients of the low-rank fit,
      so that LR = N (log|Sigma| - log|S| + tr(S Sigma^-1) - K), the statistic of factor
      analysis (Lawley and Maxwell 1971, section 4.4). Needs K <= N - max p. Never above the
      former; equal to it when all equations have the same regressors, and asymptotically anyway,
      as coefficients and Sigma are asymptotically independent.

    Parameters
    ----------
    results : LowRankSURResults
    method : {"lr", "residuals"}
    correction : bool
        Multiply LR by Bartlett's factor (N - p - (2 K + 5)/6 - 2 r/3) / N, where p, the mean
        number of regressors of an equation, replaces the 1 of the mean in Bartlett (1951,
        Biometrika 38). Exact to order 1/N for equal regressors at r = 0; otherwise it leaves out
        what estimating different coefficients under an unrestricted Sigma adds to LR. Rejections
        of a true null at 5 %, N=100, K=10, r=2, p=3: 6.4 % with it, 13.4 % without; of
        "residuals", 4.0 % and 8.4 %.
    progress : bool, optional
        Whether to say how far it is: True with a bar from the start (needs tqdm), False never; by
        default after two seconds, where standard error is a terminal or a notebook.

    Returns
    -------
    CovarianceTest

    Raises
    ------
    InsufficientRowsError
        The unrestricted likelihood has no maximum.
    OptionError
        df is zero: the fitted Sigma is already unrestricted. Or the fit has a ridge.

    Notes
    -----
    The likelihood of SUR itself may have several maxima (Drton and Richardson 2004, Biometrika
    91); the one found is that uphill from the low-rank fit.
    """
    estimate = tested(results)
    need_unpenalised(estimate)
    need_complete(estimate, "sufficiency_test", "rank_test(reps=)")
    method, correction = (
        choice(method, "method", ("lr", "residuals")),
        flag(correction, "correction"),
    )
    _ = factors(estimate)
    N, K, r = estimate.nobs, estimate.neqs, estimate.rank
    model = cast(LikelihoodModel, estimate.model)
    held = model.laws is not None and model.laws.held_by_any_sigma
    df = ((K - r) ** 2 - (K + r)) // 2 - held
    if df <= 0:
        raise OptionError(
            f"with {K} equations rank {r} leaves no degrees of freedom: F F' + D has as many "
            "parameters as an unrestricted Sigma"
        )
    best = estimate.likelihood.search.best
    note = ""
    if method == "lr":
        problem = estimate.sample.problem
        q = regressor_rank(problem)
        if q + K > N:
            raise InsufficientRowsError(
                f"an unrestricted Sigma has no maximum-likelihood estimate here: {K} equations and "
                f"{q} different regressors need {q + K} rows, there are {N}; method='residuals' "
                f"needs {K + int(estimate.p.max())}"
            )
        if estimate.laws is None:
            fit = fit_unrestricted(problem, best.gamma)
            nll, converged = fit.nll, fit.converged
        else:
            assert model.laws is not None
            among, values = model.laws, estimate.laws.values
            if held:
                values = np.delete(values, among.places(K)[ERROR_NAME])
                among = replace(among, error=None)
            raw = model.raw_system(estimate.likelihood.options, among, law_of(FULL))
            made = maximum(raw.at(values), 0).found.best
            nll, converged = made.nll, made.converged
        if not converged:
            note = "Iterated SUR did not converge; the statistic is a lower bound."
    else:
        if K > N - int(estimate.p.max()):
            raise InsufficientRowsError(
                f"the residuals' covariance is singular or nearly so: {K} equations with up to "
                f"{int(estimate.p.max())} regressors need {K + int(estimate.p.max())} rows, there "
                f"are {N}"
            )
        if estimate.laws is None:
            nll = saturated_nll(best.E, N)
        else:
            # At the same laws, whose Jacobians cancel.
            at = at_maximum(estimate)
            E = at.graded.filtered(at.found.best.E) if at.graded else at.found.best.E
            nll = saturated_nll(E, N) - at.found.best.nuisance.log_jacobian
    statistic = 2.0 * N * (_at_maximum_nll(estimate) - nll)
    if correction:
        left = N - float(np.mean(estimate.p)) - (2 * K + 5) / 6 - 2 * r / 3
        if left <= 0.0:
            raise InsufficientRowsError(
                f"Bartlett's factor is negative with {N} rows and {K} equations: the chi2 is no "
                "approximation; correction=False gives the statistic itself"
            )
        statistic *= left / N
    return CovarianceTest(
        "Test of the factor structure" + " (Bartlett-corrected)" * correction,
        structure(r),
        "unrestricted Sigma" + ("" if method == "lr" else ", at the same coefficients"),
        float(statistic),
        float(stats.chi2.sf(statistic, df)),
        "chi2",
        df,
        note,
    )


def _at_maximum_nll(estimate: Estimate) -> float:
    if estimate.laws is None or estimate.laws.how != BAYES:
        return estimate.likelihood.nll
    return at_maximum(estimate).found.best.nll
