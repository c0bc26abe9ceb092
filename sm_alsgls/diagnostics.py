"""Tests of the error covariance of a fitted system.

    diagonality_test    are the equations' errors correlated at all?
    rank_test           r factors against r + 1
    sufficiency_test    r factors plus a diagonal against an unrestricted Sigma

Each takes the results of `LowRankSUR.fit` and returns a `CovarianceTest`. Where errors follow laws
beside Sigma, likelihood ratios estimate these again under each Sigma, and the others look at what
the laws leave.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
from scipy import stats

from sm_alsgls.border.arguments import came, choice, flag, generator, optional_count, starts
from sm_alsgls.core.errors.law import FULL, law_of
from sm_alsgls.core.laws.estimated import BAYES, ML
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.likelihood_ratio import LawRatio, maximum
from sm_alsgls.core.laws.maximise import maximise, maximise_from
from sm_alsgls.core.laws.raw_system import own_parameters
from sm_alsgls.core.maximise.als import Start, als
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rank.saturated import fit_unrestricted, regressor_rank, saturated_nll
from sm_alsgls.core.residuals.correlation import (
    robust_squares,
    standardised_squares,
    sum_of_correlations,
    sum_of_squared_correlations,
    unit_columns,
)
from sm_alsgls.core.residuals.wild_signs import evened, turned
from sm_alsgls.covariance.base import factors_of
from sm_alsgls.exceptions import InsufficientRowsError, NotApplicableError, OptionError
from sm_alsgls.rank_choice.legal import resolve_rank
from sm_alsgls.results.estimate import Estimate, estimate_of
from sm_alsgls.results.factors import factors
from sm_alsgls.results.in_sample import used_fitted
from sm_alsgls.results.likelihood_model import LikelihoodModel
from sm_alsgls.results.outcome import CovarianceTest

__all__ = ["CovarianceTest", "diagonality_test", "rank_test", "sufficiency_test"]


def diagonality_test(
    results: object,
    method: str = "lm",
    *,
    reps: int | None = None,
    errors: str | None = None,
    rng: np.random.Generator | int | None = None,
) -> CovarianceTest:
    """Test that Sigma is diagonal, so that GLS has nothing to gain over OLS.

    With r_jl the correlations (about zero) of the K equations' OLS residuals on N rows,

    =========== ============================================================= =================
    method      statistic                                                     under the null
    =========== ============================================================= =================
    "lm"        N sum_{j<l} r_jl^2                                            chi2(K (K-1) / 2)
    "lm_adj"    sqrt(2 / (K (K-1))) sum_{j<l} (r_jl^2 - mu_jl) / v_jl         N(0, 1), upper tail
    "lm_robust" sum_{j<l} (T_jl - 1) / sqrt(K (K-1))                          wild draws
    "cd"        sqrt(2 N / (K (K-1))) sum_{j<l} r_jl                          N(0, 1), two-sided
    "lr"        2 N (nll_0 - nll_r), r the rank of the fit                    chi2(K r - r(r-1)/2)
    =========== ============================================================= =================

    **All but "lm_robust" take errors of different equations as independent, not only as
    uncorrelated.** Where rows share a scale (a common volatility, multivariate t) squares of
    errors are correlated though errors are not: at a diagonal Sigma and multivariate t(3) errors,
    N=30, K=50, "lm" and "lm_adj" reject always and "cd" 13 % of the time. "lm_robust" divides each
    covariance by its own standard error, T_jl = (e_j'e_l)^2 / sum_n e_nj^2 e_nl^2 (Halunga, Orme
    and Yamagata 2017), and draws its p-value from residuals with their signs turned: 5 % there, 4
    to 8 % in seven more designs (300 draws, docs/measured/checks.md).

    "lm" is Breusch and Pagan's (1980). Its chi2 needs N large against K: at N=30, K=50, p=3 it
    rejects 17 % of true nulls at 5 %. "lm_adj" is that of Pesaran, Ullah and Yamagata (2008), with
    the exact mean mu_jl and variance v_jl^2 of each r_jl^2 under spherical Gaussian errors,
    extended to equations with different numbers of regressors; it is offered rather than the
    scaled LM (Pesaran 2004) because the latter's centring is off by the order of K/N, where "lm"
    fails too. "cd" is Pesaran's (2004): right at any K, with a variance of N / (N - p) rather than
    1 where regressors are equal, and blind to correlations that cancel.

    "lr" sets the diagonal likelihood against the fitted one. **Its chi2 is not to be trusted:**
    where all loadings are zero their sign and scale over the equations are not identified, the
    information matrix is singular and Wilks' theorem does not hold (as for the number of factors,
    Geweke and Singleton 1980). At 5 % it rejects 31 % of true nulls at N=100, K=10, r=1, and all
    at N=30, K=50. Use ``reps``.

    Parameters
    ----------
    results : LowRankSURResults
        Of rank r >= 1 for "lr"; of any rank otherwise, since only OLS residuals matter.
    method : {"lm", "lm_adj", "lm_robust", "cd", "lr"}
    reps : int, optional
        Draws of a Monte Carlo p-value, (1 + #{as extreme}) / (1 + reps) (Dufour and Khalaf 2002).
        99 are enough for 5 %; each costs K OLS fits, and with "lr" a low-rank fit from one start
        (and the statistic is that of the fit at hand, so the test is exact only as far as one
        start finds the maximum).
        With "lm_robust" 199 by default.
    errors : {"gaussian", "wild"}, optional
        What the draws are. "gaussian" (default) draws normal errors: every statistic here then
        depends on nothing unknown, so that the p-value is exact at any N and K if the errors are
        normal. "wild" (default of "lm_robust") keeps the size of every OLS residual and turns its
        sign by a coin, cell by cell: uncorrelated, and with the tails and the scales of rows that
        the data have. It does not save "lm" and "lm_adj", whose value is that of the rows' scales.
    rng : numpy Generator or int, optional
        Of the draws. Default: a fixed seed.

    Returns
    -------
    CovarianceTest

    Notes
    -----
    Cost O(N K min(N, K)) for "lm", O(N K) for "cd", O(N P^2) for "lm_adj" unless the designs are
    equal; no K x K array unless K is below N.

    linearmodels' ``breusch_pagan()`` of ``SUR(...).fit(method="ols")`` has the same value where
    every equation has a constant (it centres residuals); of a GLS fit it uses GLS residuals.
    Its ``likelihood_ratio()`` compares with an unrestricted Sigma at OLS residuals.

    References
    ----------
    Breusch and Pagan (1980), Review of Economic Studies 47. Pesaran (2004), Cambridge Working
    Paper 0435. Pesaran, Ullah and Yamagata (2008), Econometrics Journal 11. Dufour and Khalaf
    (2002), Journal of Econometrics 106. Halunga, Orme and Yamagata (2017), Journal of Econometrics
    198. Geweke and Singleton (1980), JASA 75.

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> model = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=1
    ... )
    >>> diagonality_test(model.fit())
    <Breusch-Pagan LM test: statistic 103.2, chi2(55), p-value 9.045e-05>
    """
    estimate = _estimate(results)
    method = choice(method, "method", _NAMES)
    if errors is None:
        errors = "wild" if method == "lm_robust" else "gaussian"
    errors = choice(errors, "errors", ("wild", "gaussian"))
    reps, draws = optional_count(reps, "reps"), generator(rng)
    if reps is None and method == "lm_robust":
        reps = 199
    K, rank = estimate.neqs, estimate.rank
    ratio: LawRatio | None = None
    if K < 2:
        raise OptionError("the system has one equation, so its Sigma is diagonal by definition")
    if method == "lr":
        _unpenalised(estimate)
        if rank == 0 and estimate.has_factors:
            raise OptionError("the fit has rank 0, which is the null; fit with rank=1 or more")
        if estimate.laws is None:
            gain = _diagonal_nll(estimate.sample.problem) - estimate.likelihood.nll
            statistic = 2.0 * estimate.nobs * gain
        else:
            ratio = LawRatio(maximum(estimate.sample.raw, 0), _at_maximum(estimate), 0, rank)
            statistic = ratio.statistic
        free = _sigma_parameters(estimate) - K
        df: int | None = free
        distribution, pvalue = "chi2", float(stats.chi2.sf(statistic, free))
        note = "" if reps else _LR_NOTE
    else:
        _complete(estimate, f"diagonality_test(method={method!r})", "method='lr' with reps=")
        if estimate.sample.laws is not None and estimate.sample.laws.graded is not None:
            raise NotApplicableError(
                "residuals of least squares are correlated through neighbours (spatial_error=), "
                "whatever Sigma is; use method='lr', which estimates both"
            )
        if estimate.moments is not None and (method == "lm_adj" or (errors == "gaussian" and reps)):
            raise NotApplicableError(
                f"{'lm_adj' if method == 'lm_adj' else 'a Gaussian draw'} has the moments of least "
                "squares' residuals, and those of 2SLS have others; use method='lm_robust', or "
                "'lm' or 'cd' without reps="
            )
        # Rows have scales of their own: compressed ones would not do.
        whole = estimate.sample.problem if method != "lm_robust" else _all_rows(estimate)
        statistic, note = _STATISTICS[method](whole), ""
        pairs = K * (K - 1) // 2
        df = pairs if method == "lm" else None
        if method == "lm":
            distribution, pvalue = "chi2", float(stats.chi2.sf(statistic, pairs))
            if K >= 0.5 * estimate.nobs and not reps:
                note = "K is large against N: use method='lm_adj', or reps=."
        elif method in ("lm_adj", "lm_robust"):
            distribution, pvalue = "normal, upper tail", float(stats.norm.sf(statistic))
        else:
            distribution = "normal, two-sided"
            pvalue = 2.0 * float(stats.norm.sf(abs(statistic)))
    if reps is not None:
        of = _STATISTICS.get(method, lambda p: _lr_of(p, 0, rank))
        if ratio is not None:
            draw: Callable[[np.random.Generator], float] = ratio.draw
        elif errors == "wild":
            draw = _wild_draws(estimate, of)
        else:
            draw = _draws(estimate, of, rank=0)
        signed = abs if method == "cd" else float
        pvalue = _monte_carlo(signed(statistic), lambda g: signed(draw(g)), reps, draws)
        distribution, df = f"{_DRAWN[errors]}, {reps} draws", None
    alternative = _structure(rank, estimate.has_factors) if method == "lr" else "correlated errors"
    return CovarianceTest(
        _NAMES[method],
        "Sigma is diagonal",
        alternative,
        float(statistic),
        pvalue,
        distribution,
        df,
        note,
    )


def rank_test(
    results: object,
    *,
    n_starts: int | str = "auto",
    reps: int | None = None,
    rng: np.random.Generator | int | None = None,
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
    estimate = _estimate(results)
    _unpenalised(estimate)
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
        ratio = LawRatio(_at_maximum(estimate), large, r, r + 1)
        statistic = ratio.statistic
    more = estimate.neqs - r
    df: int | None = more
    distribution, pvalue = "chi2", float(stats.chi2.sf(statistic, more))
    if reps is not None:
        one = ratio.draw if ratio else _draws(estimate, lambda p: _lr_of(p, r, r + 1), rank=r)
        pvalue = _monte_carlo(statistic, one, reps, generator(rng))
        distribution, df = f"parametric bootstrap, {reps} draws", None
    return CovarianceTest(
        "Likelihood-ratio test of the rank",
        _structure(r),
        _structure(r + 1),
        float(statistic),
        pvalue,
        distribution,
        df,
        _RANK_NOTE if reps is None else "",
    )


def sufficiency_test(
    results: object, method: str = "lr", *, correction: bool = True
) -> CovarianceTest:
    """Test that r factors plus a diagonal suffice, against an unrestricted Sigma.

        LR = 2 N (nll_r - nll_*),      df = ((K - r)^2 - (K + r)) / 2

    with nll_r that of the fit and nll_*, per row,

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
    estimate = _estimate(results)
    _unpenalised(estimate)
    _complete(estimate, "sufficiency_test", "rank_test(reps=)")
    method, correction = (
        choice(method, "method", ("lr", "residuals")),
        flag(correction, "correction"),
    )
    _ = factors(estimate)
    N, K, r = estimate.nobs, estimate.neqs, estimate.rank
    df = ((K - r) ** 2 - (K + r)) // 2
    if df == 0:
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
            model = cast(LikelihoodModel, estimate.model)
            raw = model.raw_system(estimate.likelihood.options, model.laws, law_of(FULL))
            made = maximum(raw.at(estimate.laws.values), 0).found.best
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
            at = _at_maximum(estimate)
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
        _structure(r),
        "unrestricted Sigma" + ("" if method == "lr" else ", at the same coefficients"),
        float(statistic),
        float(stats.chi2.sf(statistic, df)),
        "chi2",
        df,
        note,
    )


_NAMES = {
    "lm": "Breusch-Pagan LM test",
    "lm_adj": "Bias-adjusted LM test",
    "lm_robust": "Heteroscedasticity-robust LM test",
    "cd": "Pesaran CD test",
    "lr": "Likelihood-ratio test of diagonality",
}
_DRAWN = {"gaussian": "Monte Carlo", "wild": "wild bootstrap"}
_LR_NOTE = "Loadings are not identified under the null: chi2 is a rule of thumb; use reps=."
_RANK_NOTE = (
    "The extra factor is not identified under the null: chi2 is a rule of thumb; use reps=."
)


def _structure(r: int, has_factors: bool = True) -> str:
    if not has_factors:
        return "an unrestricted Sigma"
    return f"{r} factor{'s' * (r != 1)} plus a diagonal"


# -- statistics of a system ----------------------------------------------------------------------


def _lm(problem: Problem) -> float:
    return problem.n_obs * sum_of_squared_correlations(unit_columns(problem.E_ols))


def _lm_adj(problem: Problem) -> float:
    total = standardised_squares(unit_columns(problem.E_ols), problem.design.free, problem.n_obs)
    return math.sqrt(2.0 / (problem.K * (problem.K - 1))) * total


def _cd(problem: Problem) -> float:
    total = sum_of_correlations(unit_columns(problem.E_ols))
    return math.sqrt(2.0 * problem.n_obs / (problem.K * (problem.K - 1))) * total


def _lm_robust(problem: Problem) -> float:
    return robust_squares(problem.E_ols) / math.sqrt(problem.K * (problem.K - 1))


_STATISTICS: dict[str, Callable[[Problem], float]] = {
    "lm": _lm,
    "lm_adj": _lm_adj,
    "lm_robust": _lm_robust,
    "cd": _cd,
}


def _diagonal_nll(problem: Problem) -> float:
    """NLL per row of rank 0, OLS equation by equation."""
    each = math.log(2.0 * math.pi) + 1.0 + np.log(problem.s_ols)
    return 0.5 * float(problem.counts @ each) / problem.n_obs


def _lr_of(problem: Problem, low: int, high: int) -> float:
    """2 N (nll_low - nll_high), both from one start, the larger from the smaller."""
    if low == 0:
        nll, start = _diagonal_nll(problem), None
    else:
        small = als(problem, low)
        nll = small.nll
        start = Start("one more", gamma=small.gamma, d=factors_of(small.cov).uniquenesses)
    return 2.0 * problem.n_obs * (nll - als(problem, high, start).nll)


# -- fits whose errors follow laws ---------------------------------------------------------------


def _sigma_parameters(estimate: Estimate) -> int:
    """Free parameters of Sigma."""
    problem = estimate.sample.problem
    return problem.errors.parameters(estimate.rank) - len(own_parameters(problem.errors).values)


def _at_maximum(estimate: Estimate) -> LawFit:
    """The fit at the maximum of the likelihood, also where other values are reported."""
    fit, laws = estimate.sample.law_fit, estimate.laws
    assert laws is not None
    return fit if laws.how == ML else maximise_from(fit, estimate.sample.raw, estimate.rank)


def _at_maximum_nll(estimate: Estimate) -> float:
    if estimate.laws is None or estimate.laws.how != BAYES:
        return estimate.likelihood.nll
    return _at_maximum(estimate).found.best.nll


# -- draws under the null ------------------------------------------------------------------------


def _draws(
    estimate: Estimate, statistic: Callable[[Problem], float], rank: int
) -> Callable[[np.random.Generator], float]:
    """The statistic of a system drawn from the null: diagonal (rank 0), or the fitted one."""
    sample, problem = estimate.sample, estimate.sample.problem
    fitted = used_fitted(estimate)
    # Compressed rows know the responses they were made from.
    design = sample.whole_design

    def draw(rng: np.random.Generator) -> float:
        if rank == 0:
            # Pivotal: neither coefficients nor variances matter.
            Y = rng.standard_normal(fitted.shape)
        else:
            Y = fitted + estimate.row_sigma.sample(rng, len(fitted))
        return statistic(problem.with_responses(Y, design))

    return draw


def _all_rows(estimate: Estimate) -> Problem:
    """The system on the rows of its data, not on compressed ones."""
    sample = estimate.sample
    Y, problem = sample.responses, sample.problem
    return problem.with_responses(Y, sample.whole_design)


def _wild_draws(
    estimate: Estimate, statistic: Callable[[Problem], float]
) -> Callable[[np.random.Generator], float]:
    """The statistic of OLS residuals whose signs are drawn, cell by cell."""
    whole = _all_rows(estimate)
    even = evened(whole.E_ols, whole.design.free)
    return lambda rng: statistic(whole.with_responses(turned(even, rng), whole.design.free))


def _monte_carlo(
    statistic: float,
    draw: Callable[[np.random.Generator], float],
    reps: int,
    rng: np.random.Generator | None,
) -> float:
    draws = np.random.default_rng(0) if rng is None else rng
    # The data are one draw of reps + 1 (Barnard 1963); rounding must not break a tie.
    level = statistic - 1e-9 * max(1.0, abs(statistic))
    exceed = sum(draw(draws) >= level for _ in range(reps))
    return (1 + exceed) / (1 + reps)


def _estimate(results: object) -> Estimate:
    found = estimate_of(results)
    if found is None:
        raise OptionError(f"expected the results of LowRankSUR.fit, got {came(results)}")
    return found


def _complete(estimate: Estimate, what: str, instead: str) -> None:
    if not estimate.complete:
        raise OptionError(
            f"{what} needs the residuals of every cell, and this fit has missing ones "
            f"(missing='fiml'); use {instead}"
        )


def _unpenalised(estimate: Estimate) -> None:
    options = estimate.likelihood.options
    if estimate.likelihood.ridged:
        raise OptionError(
            f"the fit has a ridge (lam_F={options.lam_F}, lam_B={options.lam_B}), so its "
            "likelihood is not the maximum a likelihood ratio needs; fit without"
        )
