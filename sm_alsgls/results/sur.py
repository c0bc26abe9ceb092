"""``LowRankSURResults``: estimates, standard errors and likelihood of a fitted system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import statsmodels.base.wrapper as wrap
from statsmodels.base.model import LikelihoodModelResults, LikelihoodResultsWrapper

from sm_alsgls.core.beta.dual import Progress
from sm_alsgls.core.maximise.search import Search, curvature_at
from sm_alsgls.core.maximise.solution import Sweep
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rank.excess import LastFactor, spare_factor
from sm_alsgls.core.residuals.factors_left import FactorsLeft, factors_left
from sm_alsgls.core.second_order.curvature import Curvature
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.data.removed import Removed
from sm_alsgls.results.checks.diagnose import diagnose
from sm_alsgls.results.checks.report import Diagnostics
from sm_alsgls.results.coefficients import Coefficients
from sm_alsgls.results.conditional import (
    Conditionals,
    conditional_means,
    conditional_prediction,
)
from sm_alsgls.results.convergence import reader_warnings, retvals
from sm_alsgls.results.covariance import CovarianceChoice
from sm_alsgls.results.equation import EquationResults
from sm_alsgls.results.exogeneity import exogeneity_test
from sm_alsgls.results.familiar import FamiliarSystem
from sm_alsgls.results.hypotheses import Hypotheses
from sm_alsgls.results.loading import Loadable
from sm_alsgls.results.new_rows import rows_of_system
from sm_alsgls.results.outcome import CovarianceTest
from sm_alsgls.results.persistence import Removable, Savable
from sm_alsgls.results.plots import Plots
from sm_alsgls.results.prediction import SystemPrediction, predict_system, prediction
from sm_alsgls.results.restriction_tests import restriction_tests
from sm_alsgls.results.selection import equation, positions
from sm_alsgls.results.summary import system_summary
from sm_alsgls.results.system_fit import SystemFit
from sm_alsgls.results.tables import Tables


class LowRankSURResults(
    Coefficients,
    Tables,
    Plots,
    Hypotheses,
    SystemFit,
    Conditionals,
    Removable,
    Loadable,
    FamiliarSystem,
    LikelihoodModelResults,
):
    """Results of `LowRankSUR.fit`.

    Attributes
    ----------
    params : Series (P,)
        Coefficients, named ``equation_variable``.
    sigma : LowRankDiag
        Error covariance F F' + D in canonical form.
    nll_per_row, llf, aic, bic : float
        Negative log-likelihood per row, log-likelihood, and criteria that count the P
        coefficients and the K r + K - r (r - 1) / 2 parameters of Sigma; bic uses log N.
    nobs, neqs, rank, n_cells : int
        Rows N, equations K, factors r, and cells in use, N K where nothing is missing.
    counts : Series (K,)
        Rows N_j that each equation has.
    df_model, df_resid : float
        Parameters, and cells less parameters.
    debiased, use_t : bool
        Standard errors with N_j - p_j - r degrees of freedom and t quantiles.
    mle_retvals : dict
        converged, message, iterations (sweeps of the winning start), nll_trace, nll_beta_trace,
        accept_t, cg, gradient_d, score_beta, heywood (positions of equations on their bound),
        starts (DataFrame: start, nll, gap above the best, sweeps, ended), starts_at_best,
        worst_gap, lowest_curvature (None where it was not part of the fit).
    """

    def __init__(
        self,
        model: Any,
        problem: Problem,
        found: Search,
        *,
        debiased: bool,
        cov: CovarianceChoice,
        use_t: bool | None = None,
        progress: Progress | None = None,
    ) -> None:
        best = found.best
        beta = problem.design.to_beta(best.gamma)
        super().__init__(model, np.concatenate(beta))
        self._beta = beta
        self.nobs, self.neqs, self.rank = model.nobs, model.neqs, model.rank
        self.converged = best.converged
        self.df_model = model.df_model
        usage = model._usage
        self.n_cells, self._counts = model.n_cells, usage.counts
        self._complete, self._weighted = usage.complete, usage.weighted
        self._log_jacobian, self._sparse = usage.log_jacobian, model._joint_rows()
        self.df_resid = float(self.n_cells) - self.df_model
        self.debiased = debiased
        self.use_t = debiased if use_t is None else use_t
        self._choice = cov
        self.cov_type = cov.cov_type
        self.cov_kwds = {"description": cov.description, **cov.kwds}
        self._p = problem.design.p
        self._stop = np.cumsum(self._p)
        self._df_equation = self._counts - self._p - self.rank
        # t tests over several equations use the fewest degrees of freedom among all.
        self._df_t = self._df_equation if cov.df is None else np.full(self.neqs, cov.df)
        self.df_resid_inference = float(self._df_t.min())
        self._as_fitted, self._found, self._progress = problem, found, progress
        self._nll = (
            best.nll
            if problem.ridge is None and problem.options.lam_F == 0.0
            else problem.nll(best.E, best.cov)
        )
        self.nll_per_row = self._nll - self._log_jacobian / self.nobs
        self.mle_settings = {"optimizer": found.method, **vars(problem.options)}

    def _again(self, cov: CovarianceChoice, use_t: bool) -> LowRankSURResultsWrapper:
        """The same estimates with another covariance."""
        again = LowRankSURResults(
            self.model,
            self._problem,
            self._found,
            debiased=self.debiased,
            cov=cov,
            use_t=use_t,
            progress=self._progress,
        )
        return LowRankSURResultsWrapper(again)

    @property
    def _problem(self) -> Problem:
        """What was fitted; an error where it refers to data that were changed since."""
        if not isinstance(self.model._system, Removed):
            self.model._system.check_rows()
        return self._as_fitted

    @cached_property
    def sigma(self) -> LowRankDiag:
        """The error covariance with canonical loadings."""
        return self._found.best.cov.canonical()

    @cached_property
    def sigma_inference(self) -> LowRankDiag:
        """The error covariance behind ``cov_type`` "nonrobust" and "KH".

        ``sigma`` itself where the fit is not debiased. Otherwise its loadings are those under the
        prior that they show (`core.sigma.loading_prior`), which keeps the intervals of small
        samples from being too short, and its element (j, l) is multiplied by the roots of
        N_j / (N_j - p_j - r) and N_l / (N_l - p_l - r).
        """
        if not self.debiased:
            return self.sigma
        best = self._found.best
        made = self._problem.interval_sigma(best.E, best.cov)
        return made.scaled(self._df_correction)

    # -- likelihood ------------------------------------------------------------------------

    @cached_property
    def mle_retvals(self) -> dict[str, Any]:
        """How the fit went; see the class."""
        return retvals(self._found, self._log_jacobian / self.nobs)

    @property
    def llf(self) -> float:
        """Log-likelihood of all rows, without ridges."""
        return -self.nobs * self.nll_per_row

    @property
    def aic(self) -> float:
        """-2 llf + 2 df_model."""
        return -2.0 * self.llf + 2.0 * self.df_model

    @property
    def bic(self) -> float:
        """-2 llf + log(N) df_model."""
        return -2.0 * self.llf + np.log(self.nobs) * self.df_model

    def restriction_tests(self, unrestricted: Any = None) -> pd.DataFrame:
        """LR, Wald and score tests of a restricted fit's restrictions; see `restriction_tests`.

        ``unrestricted`` saves the fit without them.
        """
        return restriction_tests(self, unrestricted)

    def curvature(self) -> Curvature:
        """Lowest curvature of the likelihood at the estimate; part of the fit on small systems."""
        return self._found.curvature or curvature_at(self._problem, self._found.best)

    def diagnostics(self, alpha: float = 0.05, lags: int | None = None) -> Diagnostics:
        """What is doubtful about this fit, by name, and what to do about it.

        Convergence and curvature; Heywood cases; condition numbers of designs; the rank; what
        correlation the factors leave; whether factors move with the regressors; normality, serial
        correlation, ARCH and heteroscedasticity of every equation, of all together and of the
        factors; outlying rows and rows of high leverage.

        Parameters
        ----------
        alpha : float
            Level of each check: that of the smallest p-value among K equations or N rows, by
            Holm. No allowance is made for there being several checks.
        lags : int, optional
            Of Ljung-Box. Default min(10, N/5).

        Returns
        -------
        Diagnostics
            ``table``, ``equations``, ``factors``, ``rows``, ``pairs``, ``summary()``.

        Notes
        -----
        Formulas are in `core.residuals.residual_tests`; p-values are corrected for small N by
        simulation of white noise with a fixed seed, since with K equations 0.05/K decides, where
        chi2 is wrong. Of clean systems (40 to 200 draws each, N=30..200, K=3..500) a test of
        normality, serial correlation or ARCH looks at 2 to 8 %; "factors left" and "outlying
        rows", whose residuals the fit has bent to itself, at 0 to 3 %. "serial correlation,
        jointly" looks at 1 to 5 % of clean systems (300 draws each of ten designs, N=17..100,
        K=10..50; docs/measured/checks.md) and at 88 % of those with rho=.2 (N=40, K=10);
        "heteroscedasticity, rows" at 3 to 8 %, "equations" at 4 to 9 %, under t(3) rows too. Small
        clean systems do have Heywood cases (15 % at N=30, K=8; 37 % at N=60, K=3), and "last
        factor" looks at 13 % of three equations, 5 % of eight.

        Cost O(N K (K + lags)), no K x K array beyond 256 equations: 0.8 s at N=200, K=500 with
        half a second for the simulation. Of rows read in chunks only the checks that need no rows
        are made.

        Examples
        --------
        >>> from sm_alsgls import LowRankSUR
        >>> from sm_alsgls.datasets import load_grunfeld
        >>> res = LowRankSUR.from_formula(
        ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
        ... ).fit()
        >>> res.diagnostics().table["verdict"].value_counts().to_dict()
        {'ok': 15, 'look': 4}
        """
        return diagnose(self, alpha, lags)

    def exogeneity_test(self) -> CovarianceTest:
        """Score test that the factors are unrelated to the regressors.

        The model takes factors, like all errors, as independent of the regressors. Where they move
        together (Bai 2009), coefficients are biased: in his design, with common slopes on 50
        equations and rows, by +.04 with 95 % intervals that cover 33 %. As in Mundlak (1978), the
        alternative lets the factors have a mean that moves with the regressors',

            f_n = A xbar_n + u_n,      xbar_n the equations' means of each regressor at row n,

        so that y_nj gains the regressors F_j' A xbar_n; the score of A at A = 0 is
        xbar' E Sigma^-1 F, its variance that of GLS with the model's own regressors taken out.

        Returns
        -------
        CovarianceTest
            With ``use_t`` the F form of Pillai's trace, else chi2 with r degrees of freedom for
            each regressor that has a name in several equations and differs between them.

        Raises
        ------
        OptionError
            Rank 0; missing cells; or regressors that are the same in all equations, with which
            nothing tells factors that move from factors that do not.

        Notes
        -----
        Of systems with exogenous regressors 2 to 5 % are rejected at 5 % (300 draws of nine
        designs, docs/measured/checks.md). In Bai's design at (50, 20) it rejects 39 % with slopes
        of each equation's own, and always with common ones.

        References
        ----------
        Mundlak (1978), Econometrica 46. Pesaran (2006), Econometrica 74. Bai (2009), Econometrica
        77.

        Examples
        --------
        >>> from sm_alsgls import LowRankSUR
        >>> from sm_alsgls.datasets import load_grunfeld
        >>> res = LowRankSUR.from_formula(
        ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=1
        ... ).fit()
        >>> print(f"{res.exogeneity_test().pvalue:.3f}")  # the factor moves with the regressors
        0.014
        """
        return exogeneity_test(self)

    # -- covariance of the errors ----------------------------------------------------------

    def _by_equation(self, values: np.ndarray, name: str) -> pd.Series:
        return pd.Series(values, index=pd.Index(self.model.equations, name="equation"), name=name)

    @property
    def loadings(self) -> pd.DataFrame:
        """F (K, r) in the units of the responses; canonical: F' D^-1 F diagonal, descending."""
        return pd.DataFrame(
            self.sigma.loadings,
            index=pd.Index(self.model.equations, name="equation"),
            columns=self._factor_names,
        )

    @property
    def _factor_names(self) -> list[str]:
        return [f"factor{i}" for i in range(1, self.rank + 1)]

    @property
    def uniquenesses(self) -> pd.Series:
        """The variances d (K,) that the factors leave."""
        return self._by_equation(self.sigma.uniquenesses, "uniqueness")

    @property
    def communalities(self) -> pd.Series:
        """Share |f_j|^2 / sigma_jj of each error variance that the factors explain (K,)."""
        return self._by_equation(1.0 - self.sigma.uniquenesses / self.sigma.diag(), "communality")

    @cached_property
    def factor_scores(self) -> pd.DataFrame:
        """Posterior means E Sigma^-1 F of the factors (N, r), given the cells that a row has.

        Residuals of weighted cells are multiplied by the roots of their weights.
        """
        cells = self.model._system.cells
        scores = cells.factors(cells.used(self._residuals), self.sigma)
        return pd.DataFrame(scores, index=self._rows, columns=self._factor_names)

    @property
    def heywood(self) -> list[str]:
        """Equations whose uniqueness is on its lower bound."""
        return [self.model.equations[j] for j in np.flatnonzero(self._found.best.at_bound)]

    # -- fit -------------------------------------------------------------------------------

    @property
    def _rows(self) -> pd.Index:
        return self.model._system.index

    @cached_property
    def _residuals(self) -> np.ndarray:
        return self.model._residuals(self.params)

    @property
    def counts(self) -> pd.Series:
        """Rows N_j that each equation has (K,)."""
        return self._by_equation(self._counts, "rows")

    @property
    def resid(self) -> pd.DataFrame:
        """Residuals y - X beta (N, K), in the units of y whatever the weights.

        NaN in missing cells.
        """
        return pd.DataFrame(self._residuals, index=self._rows, columns=self.model.equations)

    @property
    def _fitted(self) -> np.ndarray:
        if self.model._system.cells.complete:
            return self.model.endog - self._residuals
        pairs = zip(self.model.exog, self._beta, strict=True)
        return np.column_stack([X @ b for X, b in pairs])

    @property
    def fittedvalues(self) -> pd.DataFrame:
        """Fitted values X beta (N, K); NaN where a regressor is missing."""
        return pd.DataFrame(self._fitted, index=self._rows, columns=self.model.equations)

    @property
    def _spans_constant(self) -> np.ndarray:
        """Whether each design spans a constant (K,), explicitly or through dummies."""
        return np.array([a is not None for a in self._constants])

    @cached_property
    def _constants(self) -> list[np.ndarray | None]:
        """For each equation the coefficients a (p_j,) with X_j a = 1, None where there are none."""
        return self._problem.rows.constants

    @cached_property
    def _rsquared(self) -> np.ndarray:
        rows, E = self._problem.rows, self._found.best.E
        about = np.where(self._spans_constant, rows.centred(rows.Y), rows.Y)
        return 1.0 - np.square(E).sum(axis=0) / np.square(about).sum(axis=0)

    @property
    def warnings(self) -> list[str]:
        """What a reader of the estimates must know, as the summary prints it."""
        return reader_warnings(self._found, self.model.equations, self._last_factor)

    @cached_property
    def _last_factor(self) -> LastFactor | None:
        """The last factor beside noise; None without factors, or with rows observed in part."""
        return spare_factor(self._problem, self._found.best, self.rank)

    @cached_property
    def _factors_left(self) -> FactorsLeft | None:
        """Whether the factors leave correlation; None with rows observed in part."""
        if not self._complete:
            return None
        best = self._found.best
        return factors_left(best.E, self.sigma, self._problem.n_obs, len(self.params))

    @property
    def trace(self) -> pd.DataFrame:
        """One row per sweep of the winning start."""
        table = pd.DataFrame(self._found.best.trace, columns=Sweep._fields).set_index("sweep")
        shift = self._log_jacobian / self.nobs
        return table.assign(nll_beta=table["nll_beta"] - shift, nll=table["nll"] - shift)

    @cached_property
    def equations(self) -> Mapping[str, EquationResults]:
        """``equations[name]``: the results of one equation; of a panel also by its label."""
        return _Equations(self)

    def predict(
        self,
        exog: Any = None,
        transform: bool = True,
        equations: Any = None,
        given: Any = None,
    ) -> pd.DataFrame | pd.Series:
        """Fitted values at new regressors.

        Parameters
        ----------
        exog : optional
            None for the estimation rows. For a model made from formulas: a DataFrame with its
            variables (a long panel gives a Series on its rows). Otherwise regressors in any
            form the constructor takes; a list holds one design for each of ``equations``.
        transform : bool
            False takes design matrices although the model has formulas.
        equations : str or list of str, optional
            Only these, in this order; of a long panel's data, only the rows of these groups.
        given : True, list of str, DataFrame, array_like (n, K) or mapping, optional
            Predict every cell given the responses of the other equations in its row,
            E[y_nj | y_nO]. True takes those in the data (of the estimation rows, or of formulas'
            data); names of equations take only theirs; otherwise responses, NaN or left out where
            unknown (of a long panel one for each row of the data). A cell's own response is never
            used for it.

        Raises
        ------
        UnseenLevelError, FormulaError, ShapeError, OptionError
        """
        if given is not None and given is not False:
            return conditional_means(self, exog, transform, equations, given)
        return predict_system(self, exog, transform, equations)

    def get_prediction(
        self,
        exog: Any = None,
        transform: bool = True,
        equations: Any = None,
        given: Any = None,
    ) -> SystemPrediction:
        """Fitted values with standard errors and intervals; arguments as those of `predict`.

        With ``given`` standard errors of observations are those about the conditional mean, and
        take Sigma as known; see `sm_alsgls.results.conditional`.
        """
        if given is not None and given is not False:
            return conditional_prediction(self, exog, transform, equations, given)
        return prediction(self, rows_of_system(self.model, exog, transform, equations))

    # -- tables ----------------------------------------------------------------------------

    def summary(
        self,
        yname: str | None = None,
        xname: list[str] | None = None,
        title: str | None = None,
        alpha: float = 0.05,
        *,
        equations: Any = None,
    ) -> Any:
        """Tables of the system and of its equations.

        Parameters
        ----------
        yname, xname : optional
            Other names for the responses (one string for the header) and the coefficients.
        title : str, optional
        alpha : float
            Level of the intervals.
        equations : list of str, "all" or None
            Equations whose coefficients to print. Default: all up to 20 equations; beyond, one
            compact line per equation.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        return system_summary(self, yname, xname, title, alpha, equations)


class _Equations(Mapping[str, EquationResults]):
    """The equations of a system by name, each view made when asked for."""

    def __init__(self, results: LowRankSURResults) -> None:
        self._results = results
        self._position = results._position

    def __getitem__(self, name: Any) -> EquationResults:
        return EquationResults(self._results, self._position[equation(name, self._position)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._position)

    def __len__(self) -> int:
        return len(self._position)


class LowRankSURResultsWrapper(Loadable, Savable, LikelihoodResultsWrapper):
    """Labels arrays of `LowRankSURResults` with the names of the coefficients."""

    # Everything else comes labelled from the results themselves.
    _wrap_attrs: ClassVar = dict.fromkeys(("params", "bse", "tvalues", "pvalues"), "columns")
    _wrap_methods: ClassVar = {}

    def cov_params(self, *args: Any, **kwargs: Any) -> Any:
        """Covariance of the coefficients; labelled where it is that of coefficients."""
        V = self._results.cov_params(*args, **kwargs)
        names = pd.Index(self._results.model.exog_names)
        column = args[1] if len(args) > 1 else kwargs.get("column")
        if column is not None:
            names = names[np.atleast_1d(positions(column, names, "column"))]
        elif (args and args[0] is not None) or kwargs.get("r_matrix") is not None:
            return V
        return pd.DataFrame(V, index=names, columns=names) if np.ndim(V) == 2 else V

    def conf_int(self, alpha: float = 0.05, cols: Any = None) -> pd.DataFrame:
        """Confidence intervals of level 1 - ``alpha``, labelled; ``cols`` names or positions."""
        names = pd.Index(self._results.model.exog_names)
        names = names if cols is None else names[np.atleast_1d(positions(cols, names, "cols"))]
        interval = self._results.conf_int(alpha, cols)
        return pd.DataFrame(np.atleast_2d(interval), index=names)


wrap.populate_wrapper(LowRankSURResultsWrapper, LowRankSURResults)
