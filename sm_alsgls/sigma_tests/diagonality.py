"""Are the errors of different equations correlated at all: is Sigma diagonal."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from sm_alsgls.border.arguments import choice, generator, optional_count
from sm_alsgls.core.laws.likelihood_ratio import LawRatio, maximum
from sm_alsgls.core.laws.raw_system import own_parameters
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.residuals.correlation import (
    robust_squares,
    standardised_squares,
    sum_of_correlations,
    sum_of_squared_correlations,
    unit_columns,
)
from sm_alsgls.core.residuals.wild_signs import evened, turned
from sm_alsgls.exceptions import NotApplicableError, OptionError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.outcome import CovarianceTest
from sm_alsgls.results.progress import says
from sm_alsgls.sigma_tests.draws import all_rows, diagonal_nll, draws_of, monte_carlo, ratio_of
from sm_alsgls.sigma_tests.fits import (
    at_maximum,
    need_complete,
    need_unpenalised,
    structure,
    tested,
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
_LR_FULL_NOTE = "chi2 is of many rows, and with few rejects true nulls too often; use reps=."


@says
def diagonality_test(
    results: object,
    method: str = "lm",
    *,
    reps: int | None = None,
    errors: str | None = None,
    rng: np.random.Generator | int | None = None,
    progress: bool | None = None,
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

    "lr" sets the diagonal likelihood against the fitted one. Of rank="full" it is the textbooks'
    test, on K (K-1) / 2 degrees of freedom, whose chi2 needs many rows: at N=20, K=5, p=3 it
    rejects 24 % of true nulls at 5 % ("lm" 9 %). **With factors its chi2 is not to be trusted:**
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
    progress : bool, optional
        Whether to say how far it is: True with a bar from the start (needs tqdm), False never; by
        default after two seconds, where standard error is a terminal or a notebook.

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
    estimate = tested(results)
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
        need_unpenalised(estimate)
        if rank == 0 and estimate.has_factors:
            raise OptionError("the fit has rank 0, which is the null; fit with rank=1 or more")
        if estimate.laws is None:
            gain = diagonal_nll(estimate.sample.problem) - estimate.likelihood.nll
            statistic = 2.0 * estimate.nobs * gain
        else:
            ratio = LawRatio(maximum(estimate.sample.raw, 0), at_maximum(estimate), 0, rank)
            statistic = ratio.statistic
        free = _sigma_parameters(estimate) - K
        df: int | None = free
        distribution, pvalue = "chi2", float(stats.chi2.sf(statistic, free))
        # Without factors the null is inside, and Wilks' theorem holds as N grows.
        note = "" if reps else (_LR_NOTE if estimate.has_factors else _LR_FULL_NOTE)
    else:
        need_complete(estimate, f"diagonality_test(method={method!r})", "method='lr' with reps=")
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
        whole = estimate.sample.problem if method != "lm_robust" else all_rows(estimate)
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
        of = _STATISTICS.get(method, lambda p: ratio_of(p, 0, rank))
        if ratio is not None:
            draw: Callable[[np.random.Generator], float] = ratio.draw
        elif errors == "wild":
            draw = _wild_draws(estimate, of)
        else:
            draw = draws_of(estimate, of, rank=0)
        signed = abs if method == "cd" else float
        pvalue = monte_carlo(signed(statistic), lambda g: signed(draw(g)), reps, draws)
        distribution, df = f"{_DRAWN[errors]}, {reps} draws", None
    alternative = structure(rank, estimate.has_factors) if method == "lr" else "correlated errors"
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


def _sigma_parameters(estimate: Estimate) -> int:
    """Free parameters of Sigma."""
    problem = estimate.sample.problem
    return problem.errors.parameters(estimate.rank) - len(own_parameters(problem.errors).values)


def _wild_draws(
    estimate: Estimate, statistic: Callable[[Problem], float]
) -> Callable[[np.random.Generator], float]:
    """The statistic of OLS residuals whose signs are drawn, cell by cell."""
    whole = all_rows(estimate)
    even = evened(whole.E_ols, whole.design.free)
    return lambda rng: statistic(whole.with_responses(turned(even, rng), whole.design.free))
