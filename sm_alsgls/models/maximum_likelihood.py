"""``MaximumLikelihood``: what models do that maximise a likelihood over coefficients and Sigma."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import (
    choice,
    flag,
    generator,
    mapping,
    optional_flag,
    starts,
)
from sm_alsgls.core.errors.law import Law, law_of
from sm_alsgls.core.laws.estimated import Estimated, estimated
from sm_alsgls.core.laws.maximise import maximise as maximum_of_laws
from sm_alsgls.core.maximise.als import Sweep
from sm_alsgls.core.maximise.em import em_search
from sm_alsgls.core.maximise.least_squares import least_squares
from sm_alsgls.core.maximise.search import Search, most_starts, search
from sm_alsgls.core.maximise.solution import Start
from sm_alsgls.core.maximise.swamy_arora import swamy_arora
from sm_alsgls.core.maximise.two_step import two_step
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.data.error_laws import ErrorLaws, guessed, left_of
from sm_alsgls.data.keywords import refuse, watched
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import NotApplicableError, OptionError
from sm_alsgls.formula.build import FormulaSystem
from sm_alsgls.formula.stream import FormulaStream
from sm_alsgls.models.base import SystemModel
from sm_alsgls.models.doubts import Spare, warn, warn_of_spare
from sm_alsgls.models.likelihood import Likelihood
from sm_alsgls.rank_choice.legal import warn_if_no_factor
from sm_alsgls.rank_choice.selection import RankSelection
from sm_alsgls.rank_choice.selector import choose_rank
from sm_alsgls.results.cov_types import check_least_squares, choose
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import last_factor
from sm_alsgls.results.fitted_laws import FittedLaws
from sm_alsgls.results.fitted_laws import refused as refused_types
from sm_alsgls.results.header import Header
from sm_alsgls.results.low_rank_header import LowRankHeader
from sm_alsgls.results.maximised import maximised
from sm_alsgls.results.maximum import Messages
from sm_alsgls.results.progress import StartsOfSweeps, says
from sm_alsgls.results.sur import LowRankSURResults, LowRankSURResultsWrapper


class MaximumLikelihood(Likelihood, SystemModel):
    """Labelled equations, the coefficients and the law of their errors, and how they are fitted.

    A model adds how it is made, and says which results it has.

    Parameters
    ----------
    system, parameters, law, formula
        As of `SystemModel`.
    laws : ErrorLaws, optional
        What errors follow beside Sigma.
    """

    #: What `fit` returns, in its wrapper.
    results_class: ClassVar[type[LowRankSURResults]] = LowRankSURResults

    def __init__(
        self,
        system: System,
        parameters: Parameters,
        law: Law,
        formula: FormulaSystem | FormulaStream | None = None,
        laws: ErrorLaws | None = None,
    ) -> None:
        self.laws = laws
        super().__init__(system, parameters, law, formula)
        self.rank: int | str = law.rank
        self.rank_method: str | None = None
        self.rank_selection: RankSelection | None = None

    def remove_data(self) -> None:
        """Let go of the data, of what the laws of the errors have of them as well."""
        super().remove_data()
        if self.laws is not None:
            self.laws = self.laws.without_rows()

    def _header(self) -> Callable[[Estimate], Header]:
        """What a summary says of a fit."""
        selection = self.rank_selection
        return LowRankHeader(self.rank_method, None if selection is None else selection.reason)

    def _count(self) -> None:
        super()._count()
        if self.laws is not None:
            self.df_model += float(self.laws.count(self.neqs))

    def _choose_rank(self, rule: str) -> None:
        warn_if_no_factor(rule, self.system)
        self.rank_selection = choose_rank(
            self.system_of_ranks,
            self.parameters,
            rule,
            getattr(self.formula_system, "time_axis", None),
        )
        self.law = law_of(self.rank_selection.rank)
        self.rank, self.rank_method = self.law.rank, rule
        self._count()

    @property
    def system_of_ranks(self) -> System:
        """What a rank is chosen from: rows that laws of the errors are nearly taken out of.

        Scales and autoregressions at guesses from residuals. What is spatial must not be guessed:
        without factors it takes them for neighbours, and with more of them than there are it is
        nearly as good as with the right number. So it is fitted beside as many as there seem to be
        without it.
        """
        laws, options = self.laws, ALSOptions()
        if laws is None:
            return self.system
        raw = guessed(self.raw_system(options, laws.without_space, law_of(0)))
        first = left_of(self.system, raw)
        if not laws.spatial:
            return first
        law = law_of(choose_rank(first, self.parameters, "auto").rank)
        raw = guessed(self.raw_system(options, laws, law))
        found = maximum_of_laws(raw, law.order, guess=False, n_starts=1)
        return left_of(self.system, found.system)

    def predict(
        self, params: Any, exog: Any = None, transform: bool = True, equations: Any = None
    ) -> pd.DataFrame | pd.Series:
        """Fitted values at any coefficients, as `SystemModel.predict`.

        Raises
        ------
        NotApplicableError
            With a spatial lag they depend on its coefficient as well.
        """
        if self.laws is not None and self.laws.lag is not None:
            raise NotApplicableError(
                "with spatial_lag= fitted values depend on its coefficient, which is not in "
                "params; use the predict() of results"
            )
        return super().predict(params, exog, transform, equations)

    # -- estimation ------------------------------------------------------------------------

    @says
    def fit(
        self,
        start_params: Any = None,
        *,
        method: str = "als",
        n_starts: int | str = "auto",
        rng: np.random.Generator | int | None = None,
        debiased: bool = True,
        reml: bool = True,
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
        progress: bool | None = None,
        **unknown: Any,
    ) -> LowRankSURResultsWrapper:
        """Maximise the likelihood over the coefficients and Sigma.

        Parameters
        ----------
        start_params : array_like (P,), optional
            Coefficients of the first start, in the order of ``exog_names``. Default OLS.
        method : {"als", "two-step", "em", "swamy-arora"}
            "als" alternates GLS and factor analysis, without a K x K or P x P array. "em" is the
            dense EM of the literature, a baseline to compare with: the same likelihood and the
            same criteria in hundreds or thousands of iterations (``max_sweeps`` counts them) that
            form the K x K inverse and P x P normal equations. It runs one start unless
            ``n_starts`` is a number, and knows no restrictions on coefficients. "two-step"
            (Zellner 1962) maximises nothing: OLS, the Sigma of its residuals, and one GLS with
            it; ``llf`` is that at these. Where equations are many for the rows its coefficients
            vary less than those of rank="full" at the maximum. "swamy-arora" is that of panels
            with rank="exchangeable": variances of the within and between residuals, and one GLS.
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
        reml : bool
            Of laws of the errors (``ar=``, ``row_scale=``, ...), which the maximum of the
            likelihood takes for less than they are: correct their parameters for the estimation
            of coefficients (`sm_alsgls.core.laws.estimated`), with the coefficients and Sigma
            that go with them. ``llf`` is that of the maximum all the same. False: the maximum, as
            it is with a warning where coefficients are more than 1,500.
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
        progress : bool, optional
            Whether to say how far starts and, later, standard errors are: True with a bar from the
            start (needs tqdm), False never; by default after two seconds, where standard error is
            a terminal or a notebook.

        Returns
        -------
        LowRankSURResultsWrapper

        Warns
        -----
        ConvergenceWarning
            The best point is not stationary; the message says why and what to do.
        HeywoodWarning
            Some uniqueness ended on its lower bound.
        RestrictedLikelihoodWarning
            ``reml=True``, and parameters of laws are those of the maximum; it says why.
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
            refuse(unknown, list(inspect.signature(MaximumLikelihood.fit).parameters)[1:-1])
        debiased, disp = flag(debiased, "debiased"), flag(disp, "disp")
        use_t = optional_flag(use_t, "use_t")
        reml = flag(reml, "reml")
        limit, rng = starts(n_starts), generator(rng)
        given = mapping(cov_kwds, "cov_kwds", "{'groups': labels}")
        callback = watched(callback)
        sparse = self._joint_rows()
        floor = (1e-8 if sparse is None else 1e-2) if d_floor is None else d_floor
        options = ALSOptions(lam_F, lam_B, floor, rel_tol, gtol, max_sweeps, cg_tol, cg_maxit)
        self._check_factors(lam_F)
        maximise = _maximiser(method, self.system.cells, self.law)
        complete = self.system.cells.complete
        refused = None if self.laws is None else refused_types(self.laws)
        choice = choose(
            cov_type, given, debiased, self.provenance, complete, self.law.has_factors, refused
        )
        problem = self._problem(options)
        if choice.cov_type == "pcse":
            check_least_squares(self.rank, options.lam_B)
            if self.parameters.bound:
                maximise = _least_squares
        order = self.law.order
        messages = Messages(order, self.law.has_factors)
        spare = Spare(messages, order)
        first, made, laws = self._first_start(problem, start_params), None, None
        with StartsOfSweeps(most_starts(problem, order, limit)) as told:
            watching = told.watching(callback)
            if self.laws is None:
                found = maximise(
                    problem,
                    order,
                    n_starts=limit,
                    rng=rng,
                    first=first,
                    callback=watching,
                    after_first=spare.look_at,  # not after all the other starts
                )
            else:
                made = self._with_laws(options, method, reml, limit, rng, first, watching)
                problem, found = made.fit.problem, made.fit.found
                laws = FittedLaws.of(self.laws, made, problem.errors.taken(order))
        warn(self, messages, found, problem, made)
        estimate = maximised(
            self,
            problem,
            found,
            rank=order,
            df_model=self.df_model - (0.0 if made is None else made.fewer),
            debiased=debiased,
            choice=choice,
            use_t=use_t,
            describe=self._header(),
            sparse=sparse,
            progress=progress,
            laws=laws,
            made=made,
        )
        results = self.results_class(self, estimate)
        if not spare.warned:  # of data that were compared
            warn_of_spare(messages, last_factor.give(estimate, spare.of(problem, found.best)))
        if disp:
            print(
                f"{results.mle_retvals['message']}\n"
                f"         Current function value: {results.nll_per_row:.6f} (per row)\n"
                f"         Sweeps: {results.mle_retvals['iterations']}\n"
                f"         Starts: {len(found.runs)}"
            )
        wrapped: LowRankSURResultsWrapper = self.results_class.wrapper(results)
        return wrapped

    def _with_laws(
        self,
        options: ALSOptions,
        method: str,
        reml: bool,
        n_starts: int | None,
        rng: np.random.Generator | None,
        first: Start | None,
        callback: Callable[[Sweep], object] | None,
    ) -> Estimated:
        """The laws' parameters with coefficients and Sigma."""
        assert self.laws is not None
        if method != "als":
            raise OptionError(
                f"method={method!r} knows no laws of the errors; use method='als', or leave "
                "ar=, row_scale=, cell_scale=, spatial_error= and spatial_lag= out"
            )
        kinds = self.laws.kinds(self.neqs)
        return estimated(
            self.raw_system(options, self.laws), self.law.order, kinds, reml=reml,
            n_starts=n_starts, rng=rng, first=first, callback=callback,
        )  # fmt: skip

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
    "swamy-arora": swamy_arora,
}


def _maximiser(method: str, cells: Cells, law: Law) -> Callable[..., Search]:
    """The search behind ``method``."""
    method = choice(method, "method", _METHODS)
    if method not in law.methods and method == "swamy-arora":
        raise OptionError(
            f"method={method!r} estimates two variances, those of rank='exchangeable'; the law "
            f"of rank={law.rank!r} has others"
        )
    if method not in law.methods:
        raise OptionError(
            f"method={method!r} is a baseline for factors, and rank={law.rank!r} has none; use "
            + " or ".join(f"method={name!r}" for name in law.methods)
        )
    if method == "em" and not cells.complete:
        raise OptionError(
            "method='em' is a baseline for complete rows; missing='fiml' needs method='als'"
        )
    if method == "swamy-arora" and not cells.complete:
        raise OptionError(
            "method='swamy-arora' is of balanced panels; the maximum of the likelihood, "
            "method='als', has no need of balance"
        )
    return _METHODS[method]
