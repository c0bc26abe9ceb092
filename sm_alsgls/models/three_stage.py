"""``LowRank3SLS``: systems with endogenous regressors, by 3SLS, GMM or 2SLS."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, cast

import numpy as np

from sm_alsgls.border.arguments import choice, count, flag, mapping, number, optional_flag
from sm_alsgls.border.blame import caller
from sm_alsgls.core.errors.law import law_of
from sm_alsgls.core.errors.words import FULL
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.instruments.three_stage import METHODS, Rows, Step, three_stage
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.data.identified import named
from sm_alsgls.data.instrumented import read_instrumented
from sm_alsgls.data.keywords import guarded, refuse
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.exceptions import NoLikelihoodError, OptionError, WeakInstrumentWarning
from sm_alsgls.formula.build import FormulaSystem
from sm_alsgls.models.base import SystemModel
from sm_alsgls.models.doubts import warn_of_stages
from sm_alsgls.models.instrumented_construction import InstrumentedConstruction
from sm_alsgls.rank_choice.legal import resolve_law, warn_if_no_factor
from sm_alsgls.rank_choice.rules import RESIDUAL_RULES
from sm_alsgls.rank_choice.selection import RankSelection
from sm_alsgls.rank_choice.selector import check_residual_rule, choose_rank, is_rule
from sm_alsgls.results.cov_types import check_instrumented, choose
from sm_alsgls.results.degrees import Degrees
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.first_stage import weak_instruments
from sm_alsgls.results.freedom import Freedom
from sm_alsgls.results.instrumented_covariance import REFUSED, build
from sm_alsgls.results.progress import says
from sm_alsgls.results.sample import Sample, Seen
from sm_alsgls.results.system_joint import system_joint
from sm_alsgls.results.three_stage import LowRank3SLSResults, LowRank3SLSResultsWrapper
from sm_alsgls.results.three_stage_header import ThreeStageHeader


class LowRank3SLS(InstrumentedConstruction, SystemModel):
    """A system with endogenous regressors, whose error covariance is low rank plus diagonal.

    K equations on N rows,

        y_j = X_j beta_j + e_j,    e_n = (e_n1 .. e_nK)' ~ (0, Sigma),    Sigma = F F' + D,

    where columns of X_j may move with the errors, and instruments Z_j do not. Sigma is that of
    two-stage least squares' residuals, and coefficients solve three-stage least squares or GMM with
    it. Both exist at any K, also K >= N, where a Sigma without structure is singular.

    Parameters
    ----------
    endog : array_like (N, K), DataFrame or mapping {equation: vector}
        Responses, as `LowRankSUR` takes them.
    exog : array_like (N, p), list of K designs, or mapping {equation: design}
        Every regressor of an equation, endogenous ones among them. No constant is added.
    instruments : array_like (N, q), list of K arrays, or mapping {equation: array}
        Every instrument of an equation, its exogenous regressors (and constant) among them. A
        single array is shared by all. A regressor that its instruments span is exogenous, any
        other endogenous.
    rank : int, "full", "auto" or the name of a criterion
        Number of factors r of the errors. "full" leaves Sigma unrestricted, for K < N - p: the
        textbook's 3SLS. "auto" chooses it by the BIC of the factor structure of 2SLS residuals,
        among the ranks that N supports, "bic_ols", "aic_ols", "ic1" ... "ed", "bic_robust" by other
        criteria of these; those of a likelihood are not there. 0 makes Sigma diagonal, and every
        method 2SLS.
    missing : {"none", "drop", "raise"}
        "drop" removes every row in which any equation misses a response, a regressor or an
        instrument.
    weights : array_like (N,) or Series, optional
        Analytic weights of rows: the error of a row has variance sigma_jj / w.
    common_instruments : bool
        Every equation gets every instrument of the system: all exogenous variables, as in Stata's
        reg3 and in the textbook.
    common : list of str or True, optional
        Regressors that have one coefficient in all equations that have them.

    Attributes
    ----------
    instruments, endogenous, exogenous, excluded : dict {equation: list of str}
        Names of all instruments, of endogenous and exogenous regressors, and of instruments that
        are no regressors.
    equations, neqs, nobs, rank, rank_method, rank_selection, n_dropped, n_cells
        As `LowRankSUR` has them.
    df_model : float
        Free parameters: coefficients and those of Sigma.
    data : ModelData
        What statsmodels looks names and rows up in; ``data.frame`` is what formulas were given.
    formula : str
        Of a model made from formulas: these.

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, IllegalRankError
    UnderidentifiedError
        An equation has fewer instruments than regressors.
    InstrumentError
        As many instruments as rows, which makes 3SLS SUR, or a response among them.
    RankDeficientError
        Instruments are linearly dependent.

    See Also
    --------
    from_formula : formulas, instruments in brackets or apart.
    from_system : pairs, or linearmodels' mappings.

    Notes
    -----
    **Which method.** With X_j beta_j = Xhat_j beta_j + (what the first stage leaves), "iv" solves
    sum_l s^jl Xhat_j'(y_l - X_l b_l) = 0, which needs every instrument to be exogenous to every
    equation; "gmm" needs E z_j e_j = 0 for an equation's own instruments only, and is less precise
    where those of others would be good too. Where all equations have the same instruments the two
    are one. Exactly identified, "gmm" is 2SLS.

    Where instruments differ, 3SLS as linearmodels' IV3SLS and systemfit's default have it, with
    y - Xhat b in place of y - X b, is inconsistent: .298 for a coefficient of 1 at N=200,000 in
    a system of two equations (docs/theory/instruments).

    **Standard errors** of "iv" are roots of A^-1 B A^-T, A = Xhat'(Sigma^-1 x I)X and
    B = Xhat'(Sigma^-1 x I)Xhat, at the Sigma of 2SLS residuals with N - p_j - r degrees of freedom;
    those of "gmm" are of (G'V^-1 G)^-1. Others: `LowRank3SLSResults.get_robustcov_results`.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls import LowRank3SLS
    >>> rng = np.random.default_rng(0)
    >>> e = rng.standard_normal((200, 1)) + rng.standard_normal((200, 3))
    >>> z = rng.standard_normal((3, 200, 2))
    >>> w = z.sum(axis=2).T + e + rng.standard_normal((200, 3))  # moves with the errors
    >>> one = np.ones((200, 1))
    >>> model = LowRank3SLS(
    ...     w + e,
    ...     [np.hstack([one, w[:, [j]]]) for j in range(3)],
    ...     [np.hstack([one, z[j]]) for j in range(3)],
    ...     rank=1,
    ... )
    >>> model.endogenous["y1"], model.excluded["y1"]
    (['x1'], ['z1', 'z2'])
    >>> model.fit().params["y1_x1"].round(1)
    np.float64(1.0)
    """

    has_likelihood = False

    def __init__(
        self,
        endog: Any,
        exog: Any = None,
        instruments: Any = None,
        rank: int | str = "auto",
        *,
        missing: str = "none",
        weights: Any = None,
        common_instruments: bool = False,
        common: Iterable[str] | bool = False,
        _formula: FormulaSystem | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            refuse(unknown, _of_constructor(), "LowRank3SLS()", "LowRank3SLS")
        system = read_instrumented(endog, exog, instruments, missing, weights, common_instruments)
        rule = rank if isinstance(rank, str) and is_rule(rank) else None
        if rule is not None:
            check_residual_rule(rule, "rank")
        groups = getattr(_formula, "groups", None)
        law = resolve_law(0 if rule else rank, system, groups, RESIDUAL_RULES)
        super().__init__(system, Parameters.of(system.labels, common), law, _formula)
        self.rank: int | str = law.rank
        self.rank_method: str | None = rank if isinstance(rank, str) and rank != FULL else None
        self.rank_selection: RankSelection | None = None
        self.instruments: dict[str, list[str]] = system.instrument_names
        self.endogenous: dict[str, list[str]] = system.endogenous_names
        self.exogenous: dict[str, list[str]] = system.exogenous_names
        self.excluded: dict[str, list[str]] = system.excluded_names
        if rule:
            warn_if_no_factor(rule, system)
            self.rank_selection = named(
                system,
                lambda: choose_rank(
                    system, self.parameters, rule, getattr(self.formula_system, "time_axis", None)
                ),
            )
            self.law = law_of(self.rank_selection.rank)
            self.rank = self.law.rank
            self._count()

    # -- estimation ------------------------------------------------------------------------

    @says
    def fit(
        self,
        method: str = "iv",
        *,
        iterate: bool = False,
        weight: str = "homoskedastic",
        debiased: bool = True,
        cov_type: str = "nonrobust",
        cov_kwds: Mapping[str, Any] | None = None,
        use_t: bool | None = None,
        d_floor: float = 1e-8,
        tol: float = 1e-8,
        maxiter: int = 500,
        callback: Callable[[Step], object] | None = None,
        progress: bool | None = None,
        **unknown: Any,
    ) -> LowRank3SLSResultsWrapper:
        """Two-stage least squares, the Sigma of its residuals, and a solve with that.

        Parameters
        ----------
        method : {"iv", "gmm", "2sls"}
            "iv" is three-stage least squares: every instrument is exogenous to every equation.
            "gmm" is optimal-weight GMM: instruments are exogenous to their own equation. "2sls"
            is equation by equation; Sigma enters standard errors across equations only.
        iterate : bool
            Go on, Sigma of the new residuals and coefficients with it, to the fixed point.
        weight : {"homoskedastic", "heteroskedastic"}
            Of "gmm": Sigma, or the covariance of the moments as the rows have it, which needs more
            rows than instruments in all.
        debiased : bool
            Standard errors with N - p_j - r degrees of freedom and t quantiles, and J with the
            N - p_j of 2SLS; or both with N, and normal quantiles, as systemfit's noDfCor and reg3
            have them.
        cov_type, cov_kwds, use_t : str, mapping, bool
            Standard errors; see `LowRank3SLSResults.get_robustcov_results`.
        d_floor : float
            Lower bound of a uniqueness as a share of its equation's 2SLS residual variance.
        tol, maxiter : float, int
            Of the fixed point: largest change of a coefficient, in standard errors of 2SLS; rounds.
        callback : callable, optional
            Called with every `Step`; a true return value stops.
        progress : bool, optional
            Whether to say how many rounds there were: True with a bar from the start (needs tqdm),
            False never; by default after two seconds, where standard error is a terminal or a
            notebook.

        Returns
        -------
        LowRank3SLSResultsWrapper

        Warns
        -----
        WeakInstrumentWarning
            An effective first-stage F is below its critical value (Montiel Olea and Pflueger 2013).
        ConvergenceWarning
            No fixed point within ``maxiter`` rounds, or estimating equations that were not solved.
        HeywoodWarning
            Some uniqueness ended on its lower bound.

        Raises
        ------
        UnderidentifiedError
            First stages of regressors are linearly dependent.
        RankDeficientError, DegenerateResponseError, DuplicateEquationError, OptionError
        UnknownArgumentError
        """
        if unknown:
            known = list(inspect.signature(LowRank3SLS.fit).parameters)[1:-1]
            refuse(unknown, known, model="LowRank3SLS")
        method = choice(method, "method", METHODS)
        iterate, debiased = flag(iterate, "iterate"), flag(debiased, "debiased")
        use_t, callback = optional_flag(use_t, "use_t"), guarded(callback, "a Step", _where)
        weight = choice(weight, "weight", ("homoskedastic", "heteroskedastic"))
        robust = weight == "heteroskedastic"
        if robust and method != "gmm":
            raise OptionError(
                f"weight='heteroskedastic' is of method='gmm'; method={method!r} weighs by Sigma, "
                "and cov_type='HC1' makes its standard errors robust"
            )
        tol = number(tol, "tol", least=0.0, most=1.0, what="a number between 0 and 1")
        maxiter = count(maxiter, "maxiter", 1)
        given = mapping(cov_kwds, "cov_kwds", "{'groups': labels}")
        chosen = choose(
            cov_type, given, debiased, self.provenance, True, self.law.has_factors, REFUSED
        )
        check_instrumented(chosen, self.parameters.bound)
        problem = self._problem(ALSOptions(d_floor=d_floor))
        design = cast(Instrumented, problem.design.free)
        found = three_stage(
            problem,
            design,
            self.law.order,
            method,
            whole=(lambda: self._rows(design)) if robust else None,
            iterate=iterate,
            tol=tol,
            max_iter=maxiter,
            correction=np.sqrt(self.nobs / (self.nobs - self.labels.p)) if debiased else None,
            callback=callback,
        )
        warn_of_stages(self.equations, found)
        selection = self.rank_selection
        reason = None if selection is None else selection.reason
        system, labels = self.system, self.labels
        usage, bound = system.cells.usage, self.restrictions
        estimate = Estimate(
            model=self,
            labels=labels,
            beta=tuple(problem.design.to_beta(found.g)),
            params=problem.design.to_params(found.g),
            sigma=found.cov.canonical(),
            rank=self.law.order,
            at_bound=found.at_bound,
            usage=usage,
            nobs=self.nobs,
            df=Degrees(
                usage.counts,
                labels.p,
                0.0 if method == "2sls" else problem.errors.taken(self.law.order),
                debiased,
                chosen.df,
            ),
            df_model=self.df_model,
            freedom=Freedom(None if bound is None else bound.R),
            choice=chosen,
            use_t=debiased if use_t is None else use_t,
            covariances=build,
            joint=system_joint,
            sample=Sample(self, Seen(problem, found.E)),
            maximum=None,
            moments=found,
            refused=REFUSED,
            progress=progress,
            describe=ThreeStageHeader(self.rank_method, reason),
        )
        said = weak_instruments(estimate)
        if said:
            warnings.warn(said, WeakInstrumentWarning, stacklevel=caller())
            doubts = (f"{said[0].upper()}{said[1:]}.",)
            header = ThreeStageHeader(self.rank_method, reason, doubts)
            estimate = replace(estimate, describe=header)
        return LowRank3SLSResultsWrapper(LowRank3SLSResults(self, estimate))

    @property
    def endog_names(self) -> str:
        """One name for tables that compare models; `equations` lists the responses."""
        return f"{self.neqs} equations" if self.neqs > 3 else ", ".join(self.equations)

    def _facts(self) -> list[str]:
        total = len({name for names in self.instruments.values() for name in names})
        return [*super()._facts(), f"{total} instruments"]

    def fit_constrained(self, constraints: Any, **kwds: Any) -> LowRank3SLSResultsWrapper:
        """The same under linear restrictions on the coefficients.

        Parameters
        ----------
        constraints : str, list of str, ndarray or tuple
            As `LowRankSUR.fit_constrained` takes them.
        **kwds
            Passed to `fit`.

        Raises
        ------
        RestrictionError
        OptionError
            More than 4,000 coefficients: restricted ones are solved for with dense matrices.
        """
        return self._with(self.parameters.restricted(constraints)).fit(**kwds)

    def _problem(self, options: ALSOptions) -> Problem:
        """As `SystemModel._problem`; equations that are not identified are named."""
        return named(self.system, lambda: super(LowRank3SLS, self)._problem(options))

    def _rows(self, design: Instrumented) -> Rows:
        """All rows, in the coordinates of a design of compressed ones."""
        system = self.system
        whole = cast(Instrumented, system.whole_design(design))
        return Rows(whole, system.cells.used(system.Y))

    # -- what only a likelihood has ------------------------------------------------------------

    def loglike(self, *args: Any, **kwargs: Any) -> NoReturn:
        """There is none.

        Raises
        ------
        NoLikelihoodError
        """
        raise NoLikelihoodError(
            "3SLS and GMM maximise no likelihood, so that there is no loglike, score, hessian or "
            "information; res.j_test() tests the moments, res.wald_test(R) nested models"
        )

    score = hessian = information = score_obs = loglike


def _where(step: Step) -> str:
    return f"round {step.round}"


def _of_constructor() -> list[str]:
    """Keywords of the constructor."""
    parameters = inspect.signature(LowRank3SLS.__init__).parameters
    return [name for name in parameters if name not in ("self", "_formula", "unknown")]
