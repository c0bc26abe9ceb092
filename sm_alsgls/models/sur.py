"""``LowRankSUR``: seemingly unrelated regressions with Sigma = F F' + D, or unrestricted."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from sm_alsgls.border.arguments import (
    choice,
    flag,
    generator,
    mapping,
    optional_flag,
    starts,
)
from sm_alsgls.core.errors.law import FULL, Law, law_of
from sm_alsgls.core.maximise.als import Solution, Sweep
from sm_alsgls.core.maximise.em import em_search
from sm_alsgls.core.maximise.least_squares import least_squares
from sm_alsgls.core.maximise.search import Search, most_starts, search
from sm_alsgls.core.maximise.two_step import two_step
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rank.excess import spare_factor
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.data.keywords import refuse, watched
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.exceptions import (
    OptionError,
)
from sm_alsgls.formula.build import FormulaSystem
from sm_alsgls.formula.stream import FormulaStream
from sm_alsgls.models.base import SystemModel, read
from sm_alsgls.models.construction import Construction
from sm_alsgls.models.doubts import warn, warn_of_spare
from sm_alsgls.models.likelihood import Likelihood
from sm_alsgls.rank_choice.legal import resolve_law, warn_if_no_factor
from sm_alsgls.rank_choice.selection import RankSelection
from sm_alsgls.rank_choice.selector import choose_rank, is_rule
from sm_alsgls.results.cov_types import check_least_squares, choose
from sm_alsgls.results.factors import last_factor
from sm_alsgls.results.low_rank_header import LowRankHeader
from sm_alsgls.results.maximised import maximised
from sm_alsgls.results.maximum import Messages
from sm_alsgls.results.progress import ProgressBars
from sm_alsgls.results.sur import LowRankSURResults, LowRankSURResultsWrapper


class LowRankSUR(Construction, Likelihood, SystemModel):
    """Seemingly unrelated regressions whose error covariance is low rank plus diagonal.

    K equations on N rows,

        y_j = X_j beta_j + e_j,    e_n = (e_n1 .. e_nK)' ~ N(0, Sigma),    Sigma = F F' + D,

    with loadings F (K, r) and uniquenesses D = diag(d) > 0, estimated by maximum likelihood:
    GLS for beta alternates with factor analysis of the residuals for (F, d). The fit exists at
    any K, also K > N, where an unrestricted covariance is singular.

    Parameters
    ----------
    endog : array_like (N, K), DataFrame, mapping {equation: vector}, or iterator
        Responses. Equations are named by the columns or the keys, else y1, y2, ... An iterator
        yields chunks of rows, pairs (endog, exog), see `from_chunks`; ``exog`` is then not given.
    exog : array_like (N, p), list of K designs, or mapping {equation: design}
        Regressors. A single array is shared by all equations; designs may differ in their number
        of columns. No constant is added.
    rank : int, "full", "auto" or the name of a criterion
        Number of factors r. "full" leaves Sigma unrestricted, K (K + 1) / 2 parameters: the
        textbook's iterated SUR, for K < N - p (see the Notes). "auto" chooses it from the data,
        here and not in `fit`: the BIC of the factor structure of OLS residuals, among the ranks
        that N supports, so that intervals keep their level (`sm_alsgls.core.rank.default`);
        missing cells are no obstacle. 0 makes
        Sigma diagonal, so that the fit is OLS equation by equation. "bic_ols" (the same without
        the limit), "bic_robust" (that with rows weighted for heavy tails, where the number of
        factors is what you want to know), "aic_ols", "bic", "aic", "ebic", "ic1", "ic2", "ic3",
        "er", "gr", "ed", "lr" and "cv" choose as `sm_alsgls.select_rank` with its defaults does:
        criteria of OLS residuals (all but bic, aic, ebic, lr, cv) in about the time of one fit,
        the others in that of several. "rule" is max(1, min(8, ceil(K/10))), cut to the largest
        legal rank.
    missing : {"none", "drop", "raise", "fiml"}
        "drop" removes every row in which any equation misses a value. "fiml" (full-information
        maximum likelihood) leaves out only the cells (row, equation) that miss the response or a
        regressor, and maximises the likelihood of all the others; see the Notes. With "none" and
        "raise" a missing value is an error.
    weights : array_like (N,) or (N, K), Series, DataFrame or mapping {equation: vector}, optional
        Analytic weights of rows, or of cells: the error of a cell has variance sigma_jj / w. Only
        ratios matter: they are divided by their mean (of the rows; of the cells of each
        equation). 0 leaves the row or cell out. Labelled weights are aligned with the rows.
    common : list of str or True, optional
        Regressors that have one coefficient in all equations that have them, called as the
        regressor; True is every regressor that equations share. Factors are taken as independent
        of them, see the Notes.

    Attributes
    ----------
    equations : list of str
        Equation names.
    neqs, nobs : int
        K and N.
    rank : int
        r.
    rank_method : str or None
        The rule behind it, "auto", "rule" or a criterion; None where it was given.
    rank_selection : RankSelection or None
        What it was chosen from; None where no data were looked at. Restrictions of
        `fit_constrained` come later: the rank is not chosen again.
    n_dropped : int
        Rows dropped for missing values, or for weights of zero; with "fiml", rows without a cell.
    counts : Series (K,)
        Rows N_j that each equation has.
    n_cells : int
        Cells in use, N K where nothing is missing.

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, IllegalRankError
        All are ValueErrors; each names equation, column and row. Dependent columns, exactly
        fitted responses and twin equations are found, and raised, by `fit`, or here where the
        rank is chosen from the data.

    See Also
    --------
    from_formula : formulas and a DataFrame.
    from_chunks : data that do not fit into memory.
    from_system : pairs of response and design.

    Notes
    -----
    The likelihood has many local maxima on real data (Anderson and Rubin 1956 for factor
    analysis alone); `fit` explores, and says how many of its starts ended where.

    **Factors and regressors.** Factors are errors, taken as independent of the regressors, as in
    random effects. Where they move together coefficients are biased, common ones most: by +.04,
    with 95 % intervals that cover 33 %, in Bai's (2009) design of 50 equations and rows. See
    `LowRankSURResults.exogeneity_test`.

    **An unrestricted Sigma.** With rank="full" Sigma is any positive definite matrix. Two
    equations identify no factor, and three often end in a Heywood case; there, and for shares
    that add up to one, it is what to fit. Its ``sigma`` is an `Unrestricted`, and what is about
    factors raises UnrestrictedSigmaError. Standard errors use the covariance of OLS residuals
    with N - p_j degrees of freedom and Kenward and Roger's correction
    (`sm_alsgls.core.beta.estimated_unrestricted`): 95 % intervals cover .95 to .96 where the
    plug-in covers .75 to .90 (K=5, N=20; K=10, N=50). A RankWarning says when K is large for N,
    where a low rank is the better model.

    **Missing cells.** With "fiml" row n has the covariance Sigma_n = F_O F_O' + D_O of the
    equations O that it has, and the likelihood is exact where cells are missing at random: what
    is missing may depend on what is seen, also on other equations' responses, not on what is not
    (Little and Rubin 2002, chapter 6). Pairs of equations may never meet in a row. Where nothing
    is missing it is the complete-data fit. Where r + 1 equations that meet share so few rows that
    factors and coefficients fit them all, the likelihood has no bound but that of ``d_floor``,
    whose default is then 1e-2, and the summary names them.

    **Weights.** They are those of Stata's aweights and linearmodels: sqrt(w) times response and
    regressors have the covariance Sigma, that of a cell with w = 1, the mean. Integer weights
    give the coefficients of repeated rows of complete data; standard errors are of N rows, not
    of sum(w).

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> data = load_grunfeld()
    >>> model = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", data, groups="firm", time="year", rank=2
    ... )
    >>> res = model.fit()
    >>> res.converged
    True
    >>> res.params[["General Motors_value", "US Steel_value"]].round(3).to_dict()
    {'General Motors_value': 0.107, 'US Steel_value': 0.149}
    """

    def __init__(
        self,
        endog: Any,
        exog: Any = None,
        rank: int | str = "auto",
        *,
        missing: str = "none",
        weights: Any = None,
        common: Iterable[str] | bool = False,
        _formula: FormulaSystem | FormulaStream | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            refuse(unknown, _of_constructor(), "LowRankSUR()")
        system = read(endog, exog, missing, weights)
        rule = rank if isinstance(rank, str) and is_rule(rank) else None
        groups = getattr(_formula, "groups", None)  # a stream has none
        law = resolve_law(0 if rule else rank, system, groups)
        super().__init__(system, Parameters.of(system.labels, common), law, _formula)
        self.rank: int | str = law.rank
        self.rank_method: str | None = rank if isinstance(rank, str) and rank != FULL else None
        self.rank_selection: RankSelection | None = None
        if rule:
            self._choose_rank(rule)

    def _choose_rank(self, rule: str) -> None:
        warn_if_no_factor(rule, self.system, stacklevel=5)
        self.rank_selection = choose_rank(
            self.system, self.parameters, rule, getattr(self.formula_system, "time", None)
        )
        self.law = law_of(self.rank_selection.rank)
        self.rank, self.rank_method = self.law.rank, rule
        self._count()

    # -- estimation ------------------------------------------------------------------------

    def fit(
        self,
        start_params: Any = None,
        *,
        method: str = "als",
        n_starts: int | str = "auto",
        rng: np.random.Generator | int | None = None,
        debiased: bool = True,
        cov_type: str = "nonrobust",
        cov_kwds: Mapping[str, Any] | None = None,
        use_t: bool | None = None,
        lam_F: float = 0.0,
        lam_B: float = 0.0,
        d_floor: float | None = None,
        rel_tol: float = 1e-6,
        gtol: float = 1e-6,
        max_sweeps: int = 500,
        cg_tol: float = 0.05,
        cg_maxit: int = 500,
        callback: Callable[[Sweep], object] | None = None,
        disp: bool = False,
        progress: bool = False,
        **unknown: Any,
    ) -> LowRankSURResultsWrapper:
        """Maximise the likelihood over the coefficients and Sigma.

        Parameters
        ----------
        start_params : array_like (P,), optional
            Coefficients of the first start, in the order of ``exog_names``. Default OLS.
        method : {"als", "two-step", "em"}
            "als" alternates GLS and factor analysis, without a K x K or P x P array. "em" is the
            dense EM of the literature, a baseline to compare with: the same likelihood and the
            same criteria in hundreds or thousands of iterations (``max_sweeps`` counts them) that
            form the K x K inverse and P x P normal equations. It runs one start unless
            ``n_starts`` is a number, and knows no restrictions on coefficients. "two-step"
            (Zellner 1962) maximises nothing: OLS, the Sigma of its residuals, and one GLS with
            it; ``llf`` is that at these. Where equations are many for the rows its coefficients
            vary less than those of rank="full" at the maximum.
        n_starts : int or "auto"
            Starts to run. "auto" runs those that are constructed from the data: OLS, residuals
            on all regressors, coefficients of what equations share, and fits grown factor by
            factor from rank 0 (fewer on large systems). A number runs so many: 1 the first
            alone, then the constructed ones, then random ones.
        rng : numpy Generator or int, optional
            Draws the random starts. Default: a fixed seed, so a fit is reproducible.
        debiased : bool
            Standard errors with N - p_j - r degrees of freedom, a correction for the estimation
            of Sigma and t quantiles (default), or the plain maximum-likelihood plug-in with
            normal quantiles.
        cov_type, cov_kwds, use_t : str, mapping, bool
            Standard errors; see `LowRankSURResults.get_robustcov_results`, which changes them
            without refitting. ``use_t`` defaults to ``debiased``. "pcse" is for rank=0, and makes
            the coefficients of a model with restrictions those of least squares.
        lam_F, lam_B : float
            Ridges on loadings and slopes, per observation, without units. 0 is none.
        d_floor : float, optional
            Lower bound of a uniqueness as a share of its equation's OLS residual variance.
            Default 1e-8; 1e-2 where missing cells leave r + 1 equations too few joint rows.
        rel_tol, gtol : float
            Converged means both: the NLL fell by less than ``rel_tol`` (relative) in the last
            sweep, and gradients are below ``gtol`` (log d per row; coefficients in units of the
            score's standard error).
        max_sweeps : int
            Sweeps of one start.
        cg_tol, cg_maxit : float, int
            Relative residual and most iterations of a beta-step's conjugate gradients.
        callback : callable, optional
            Called with every `Sweep` of every start; a true return value stops the fit.
        disp : bool
            Print how it ended.
        progress : bool
            Show bars of the sweeps and, later, of the standard errors of many equations (needs
            tqdm).

        Returns
        -------
        LowRankSURResultsWrapper

        Warns
        -----
        ConvergenceWarning
            The best point is not stationary; the message says why and what to do.
        HeywoodWarning
            Some uniqueness ended on its lower bound.
        RankWarning
            The likelihood has no bound at this rank (`core.sigma.bounded`), so only the first
            start was run; or the last factor is weaker than noise is half the time. In
            simulations with 50 equations or more and 3 regressors: no fit of the true rank,
            63-98 % of those one too high, 80-100 % two too high; with 10 equations at the true
            rank up to 10 % (strong factors) and 47 % (weak), see benchmarks/rank_recovery.md.

        Raises
        ------
        RankDeficientError, DegenerateResponseError, DuplicateEquationError, OptionError
        UnknownArgumentError
            A keyword of other packages (``maxiter``, ``tol``); the message names ours.
        """
        if unknown:
            refuse(unknown, list(inspect.signature(LowRankSUR.fit).parameters)[1:-1])
        debiased, disp = flag(debiased, "debiased"), flag(disp, "disp")
        progress, use_t = flag(progress, "progress"), optional_flag(use_t, "use_t")
        limit, rng = starts(n_starts), generator(rng)
        given = mapping(cov_kwds, "cov_kwds", "{'groups': labels}")
        callback = watched(callback)
        sparse = self._joint_rows()
        floor = (1e-8 if sparse is None else 1e-2) if d_floor is None else d_floor
        options = ALSOptions(lam_F, lam_B, floor, rel_tol, gtol, max_sweeps, cg_tol, cg_maxit)
        self._check_factors(lam_F)
        maximise = _maximiser(method, self.system.cells, self.law)
        complete = self.system.cells.complete
        choice = choose(cov_type, given, debiased, self.provenance, complete, self.law.has_factors)
        problem = self._problem(options)
        if choice.cov_type == "pcse":
            check_least_squares(self.rank, options.lam_B)
            if self.parameters.bound:
                maximise = _least_squares
        order = self.law.order
        bars = ProgressBars(most_starts(problem, order, limit)) if progress else None
        warned, messages = False, Messages(order, self.law.has_factors)

        def look_at(seen: Problem, first: Solution) -> None:
            # Now, and not after all the other starts.
            nonlocal warned
            warned = warn_of_spare(messages, spare_factor(seen, first, order))

        found = maximise(
            problem,
            order,
            n_starts=limit,
            rng=rng,
            first=self._first_start(problem, start_params),
            callback=callback if bars is None else bars.watching(callback),
            after_first=look_at,
        )
        if bars is not None:
            bars.close()
        warn(self, messages, found, problem)
        selection = self.rank_selection
        estimate = maximised(
            self,
            problem,
            found,
            rank=order,
            df_model=self.df_model,
            debiased=debiased,
            choice=choice,
            use_t=use_t,
            describe=LowRankHeader(
                self.rank_method, None if selection is None else selection.reason
            ),
            sparse=sparse,
            progress=bars,
        )
        results = LowRankSURResults(self, estimate)
        if not warned:
            warn_of_spare(messages, last_factor(estimate))
        if disp:
            print(
                f"{results.mle_retvals['message']}\n"
                f"         Current function value: {results.nll_per_row:.6f} (per row)\n"
                f"         Sweeps: {results.mle_retvals['iterations']}\n"
                f"         Starts: {len(found.runs)}"
            )
        return LowRankSURResultsWrapper(results)

    def fit_constrained(self, constraints: Any, **kwds: Any) -> LowRankSURResultsWrapper:
        """Maximise the likelihood under linear restrictions on the coefficients.

        Parameters
        ----------
        constraints : str, list of str, ndarray or tuple
            ``"GM_value = US_value, GM_capital = 0"``, a matrix R (of R beta = 0), or (R, q), as
            in statsmodels' GLM.
        **kwds
            Passed to `fit`.

        Returns
        -------
        LowRankSURResultsWrapper
            Its ``model`` is a copy that knows the restrictions; its ``restriction_tests``
            tests them.

        Raises
        ------
        RestrictionError
            Unreadable, redundant or contradictory restrictions, which are named.
        """
        return self._with(self.parameters.restricted(constraints)).fit(**kwds)

    def _check_factors(self, lam_F: float) -> None:
        """Raise where a ridge on loadings is asked of a law that has none."""
        if not self.law.has_factors and lam_F != 0.0:
            raise OptionError(
                f"lam_F={lam_F!r} is a ridge on loadings, and rank='full' has none; lam_B is one "
                "on slopes"
            )


def _least_squares(problem: Problem, rank: int, **unused: Any) -> Search:
    """Pooled OLS in place of a search, which Beck and Katz's standard errors are for."""
    return least_squares(problem)


_METHODS: dict[str, Callable[..., Search]] = {
    "als": search,
    "em": em_search,
    "two-step": two_step,
}


def _of_constructor() -> list[str]:
    """Keywords of the constructor."""
    parameters = inspect.signature(LowRankSUR.__init__).parameters
    return [name for name in parameters if name not in ("self", "_formula", "unknown")]


def _maximiser(method: str, cells: Cells, law: Law) -> Callable[..., Search]:
    """The search behind ``method``."""
    method = choice(method, "method", _METHODS)
    if method not in law.methods:
        raise OptionError(
            f"method={method!r} is a baseline for factors, and rank={law.rank!r} has none; use "
            + " or ".join(f"method={name!r}" for name in law.methods)
        )
    if method == "em" and not cells.complete:
        raise OptionError(
            "method='em' is a baseline for complete rows; missing='fiml' needs method='als'"
        )
    return _METHODS[method]
