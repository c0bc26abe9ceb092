"""``SystemResults``: what every estimator of a system of equations has to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from sm_alsgls.covariance.base import Covariance
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.markup import cut, listed, shown_of, table
from sm_alsgls.results import (
    across,
    coefficients,
    criteria,
    grs,
    imputation,
    in_sample,
    labelled_arrays,
    plots,
    system_fit,
    tables,
)
from sm_alsgls.results import predict as predictions
from sm_alsgls.results import summary as summaries
from sm_alsgls.results.checks import diagnose
from sm_alsgls.results.coefficient import CoefficientResults
from sm_alsgls.results.cov_types import CovarianceChoice, choose
from sm_alsgls.results.covariance import check_fitted, sigma_inference
from sm_alsgls.results.equation import EquationResults
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.familiar import FamiliarSystem
from sm_alsgls.results.method import method
from sm_alsgls.results.model import Model
from sm_alsgls.results.persistence import without_system
from sm_alsgls.results.selection import equation


class SystemResults(FamiliarSystem, CoefficientResults):
    """Coefficients, tests, predictions and tables of an estimate of a system.

    Every number is a function of ``estimate``; a subclass adds what its estimator has.

    Parameters
    ----------
    model : Model
    estimate : Estimate
    """

    estimate: Estimate

    # A system has a variance for each equation, and each equation levels of its own.
    _unlisted = frozenset(("scale", "t_test_pairwise"))

    def __init__(self, model: Model, estimate: Estimate) -> None:
        super().__init__(model, estimate)

    def _facts(self) -> list[str]:
        estimate = self.estimate
        rank = f"r={estimate.rank}" if estimate.has_factors else "Sigma unrestricted"
        facts = [f"N={estimate.nobs}", f"K={estimate.neqs}", rank]
        if estimate.maximum is not None:
            facts.append(f"llf={criteria.llf(estimate):.4f}")
        ended = estimate.maximum or estimate.moments
        if ended is not None:
            facts.append("converged" if ended.converged else "NOT CONVERGED")
        return facts

    # -- what was estimated ----------------------------------------------------------------

    @property
    def neqs(self) -> int:
        """Equations K."""
        return self.estimate.neqs

    @property
    def n_cells(self) -> int:
        """Cells in use, N K where nothing is missing."""
        return self.estimate.n_cells

    @property
    def df_resid(self) -> float:
        """Cells less parameters."""
        return self.estimate.df_resid

    @property
    def df_resid_inference(self) -> float:
        """Degrees of freedom of tests about several equations: the fewest among all."""
        return self.estimate.df.fewest

    @property
    def llf(self) -> float:
        """Log-likelihood of all rows, without ridges; NoLikelihoodError where there is none."""
        return criteria.llf(self.estimate)

    @property
    def debiased(self) -> bool:
        """Whether variances have degrees of freedom, N_j - p_j - r, in place of rows."""
        return self.estimate.debiased

    @property
    def sigma(self) -> Covariance:
        """The error covariance of a row: F F' + D in canonical form, or any with rank="full"."""
        return self.estimate.sigma

    @property
    def sigma_inference(self) -> Covariance:
        """The error covariance behind ``cov_type`` "nonrobust" and "KH".

        ``sigma`` itself where the fit is not debiased. Otherwise its loadings are those under the
        prior that they show (`core.sigma.loading_prior`), which keeps the intervals of small
        samples from being too short, and its element (j, l) is multiplied by the roots of
        N_j / (N_j - p_j - r) and N_l / (N_l - p_l - r).
        """
        return sigma_inference(self.estimate)

    @property
    def counts(self) -> pd.Series:
        """Rows N_j that each equation has (K,)."""
        return in_sample.by_equation(self.estimate, self.estimate.counts, "rows")

    # -- coefficients ----------------------------------------------------------------------

    @property
    def bse(self) -> np.ndarray:
        """Standard errors (P,); only the diagonal blocks of the covariance are computed."""
        return coefficients.bse(self.estimate)

    @property
    def pvalues(self) -> np.ndarray:
        """Two-sided p-values (P,), t(N - p_j - r) or normal."""
        return coefficients.pvalues(self.estimate)

    def get_robustcov_results(
        self, cov_type: str = "HC1", use_t: bool | None = None, **cov_kwds: Any
    ) -> Any:
        """The same estimates with other standard errors, without refitting.

        Parameters
        ----------
        cov_type : str
            * "nonrobust": Sigma correctly specified; where the fit is debiased, at
              ``sigma_inference``, whose loadings are drawn in at small N (`loading_prior`), and
              with what the estimation of Sigma adds in closed form
              (`core.beta.estimated_sigma`);
            * "KH": the same with that addition exactly (Kackar and Harville 1984), at the cost of
              P x P arrays;
            * "sandwich": Sigma as a working covariance;
            * "HC0" to "HC3": heteroscedasticity, and any correlation within a row;
            * "cluster": rows of a group are dependent;
            * "HAC": rows are dependent over time (Driscoll and Kraay 1998);
            * "pcse": least squares (rank=0) with the residuals' own covariance between equations
              (Beck and Katz 1995).
        use_t : bool, optional
            t or normal quantiles; default as the fit.
        **cov_kwds
            * groups, for "cluster": labels of rows, one or two variables: a column of the data by
              its name, a Series or DataFrame (aligned by label), or an array with the rows of the
              data (those that were dropped included) or of the system. Of a long panel the rows of
              the system are times, within which a label must not differ;
            * correction, for "cluster": "CR2" (default; Bell and McCaffrey), "CR0", "CR1" (with
              G / (G - 1)) or "CR3"; use_correction=True is "CR1", False "CR0";
            * maxlags, kernel ("bartlett", "parzen", "quadratic-spectral"), for "HAC": the default
              number of lags is Newey and West's (1994). kernel="cosine" with terms (default
              .4 N^(2/3)) is for short series: t and F have as many degrees of freedom as terms;
            * use_correction (True), for "HAC": small-sample factors N / (N - p_j - r);
            * dof: "p+r" or, as linearmodels' ``debiased``, "p".

        Raises
        ------
        OptionError, ShapeError, NonFiniteError

        Examples
        --------
        >>> from sm_alsgls import LowRankSUR, simulate_sur
        >>> s = simulate_sur(60, 6, 2, 1, rng=0)
        >>> res = LowRankSUR(s.endog, s.exog, rank=1).fit()
        >>> robust = res.get_robustcov_results("HC3")
        >>> robust.cov_type, bool((robust.params == res.params).all())
        ('HC3', True)
        >>> res.get_robustcov_results("cluster", groups=[n // 5 for n in range(60)]).cov_type
        'cluster'
        """
        return super().get_robustcov_results(cov_type, use_t, **cov_kwds)

    def _chosen(self, cov_type: str, cov_kwds: dict[str, Any]) -> CovarianceChoice:
        estimate = self.estimate
        choice = choose(
            cov_type,
            cov_kwds,
            estimate.debiased,
            estimate.model.provenance,
            estimate.complete,
            estimate.has_factors,
            estimate.refused,
        )
        check_fitted(estimate, choice)
        return choice

    # -- hypotheses ------------------------------------------------------------------------

    test_across = method(across.test_across)
    wald_test_terms = method(across.wald_test_terms)
    grs_test = method(grs.grs_test)

    def t_test_pairwise(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not for systems: compares the levels of one factor, of which each equation has its own.

        Raises
        ------
        NotApplicableError
            Always; it names what to use.
        """
        raise NotApplicableError(
            "t_test_pairwise compares the levels of one factor in one equation, and a system has "
            "a coefficient for each in every equation. To compare a variable between equations: "
            'test_across(variable, null="equal"); two coefficients: t_test("a = b") with names '
            "from params.index; levels within an equation: "
            'equations[name].t_test("level1 = level2")'
        )

    # -- fit -------------------------------------------------------------------------------

    @property
    def resid(self) -> pd.DataFrame:
        """Residuals y - X beta (N, K), in the units of y whatever the weights.

        NaN in missing cells.
        """
        return in_sample.by_row(self.estimate, in_sample.residuals(self.estimate))

    @property
    def fittedvalues(self) -> pd.DataFrame:
        """Fitted values X beta (N, K); NaN where a regressor is missing."""
        return in_sample.by_row(self.estimate, in_sample.fitted(self.estimate))

    @property
    def system_rsquared(self) -> pd.Series:
        """R-squared of the system by McElroy, Berndt, Judge and Dhrymes.

        See `sm_alsgls.results.system_fit.system_rsquared` for the formulas.
        """
        return system_fit.system_rsquared(self.estimate)

    @property
    def fvalue(self) -> float:
        """F statistic of the system: every fitted value is constant, that is all slopes are zero.

        The Wald statistic over the number of slopes of all equations; NaN without slopes. That
        of an equation is ``equations[name].fvalue``.
        """
        return system_fit.fvalue(self.estimate)

    @property
    def f_pvalue(self) -> float:
        """p-value of `fvalue`: F with `df_resid_inference`, or chi-squared where not use_t."""
        return float(system_fit.slopes_test(self.estimate).pvalue)

    @cached_property
    def equations(self) -> Mapping[str, EquationResults]:
        """``equations[name]``: the results of one equation; of a panel also by its label."""
        return _Equations(self)

    diagnostics = method(diagnose.diagnostics)

    # -- predictions, tables, pictures -----------------------------------------------------

    predict = method(predictions.predict)
    get_prediction = method(predictions.get_prediction)
    impute = method(imputation.impute)
    leave_one_out = method(imputation.leave_one_out)
    augment = method(tables.augment)
    to_xarray = method(labelled_arrays.to_xarray)
    summary = method(summaries.summary)
    plot_coefficients = method(plots.plot_coefficients)
    plot_fit = method(plots.plot_fit)
    plot_residual_correlation = method(plots.plot_residual_correlation)
    plot_scree = method(plots.plot_scree)

    # -- the data --------------------------------------------------------------------------

    def remove_data(self) -> None:
        """Drop every array with N rows from these results and from their model, in place.

        What needs no data works as before: coefficients with their standard errors, covariance
        (of pairs in different equations up to 2,000 coefficients) and tests (of robust covariances
        those of single coefficients only), likelihood and
        criteria, Sigma, the summary and its R-squared, the trace, predictions for new data. What
        needs data (residuals, fitted values, factor scores, another covariance type, refitting)
        raises `DataRemovedError`, an AttributeError. Other results of the same model lose the
        model's data as well.

        See Also
        --------
        save : ``save(fname, remove_data=True)`` calls this first.

        Examples
        --------
        >>> from sm_alsgls import LowRankSUR
        >>> from sm_alsgls.datasets import load_grunfeld
        >>> res = LowRankSUR.from_formula(
        ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
        ... ).fit()
        >>> res.remove_data()
        >>> res.bse.shape
        (33,)
        >>> hasattr(res, "resid")
        False
        """
        self.estimate = without_system(self.estimate)
        self.model.remove_data()


class _Equations(Mapping[str, EquationResults]):
    """The equations of a system by name, each view made when asked for."""

    def __init__(self, results: SystemResults) -> None:
        self._results = results
        self._position = results.estimate.labels.position

    def __getitem__(self, name: Any) -> EquationResults:
        return EquationResults(self._results, self._position[equation(name, self._position)])

    def __repr__(self) -> str:
        return f"<{len(self)} equations: {listed([cut(name, 32) for name in self._position])}>"

    def _repr_html_(self) -> str:
        estimate = self._results.estimate
        fit, names = in_sample.rsquared(estimate), estimate.equations
        rows = [
            [names[j], f"{estimate.counts[j]}", f"{estimate.p[j]}", f"{fit[j]:.3f}"]
            for j in shown_of(len(names))
        ]
        return table(repr(self), ["equation", "rows", "coefficients", "R-squared"], rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._position)

    def __len__(self) -> int:
        return len(self._position)
