"""One equation of a fitted system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from statsmodels.base.wrapper import ResultsWrapper

from sm_alsgls.markup import cut
from sm_alsgls.results import (
    equation_likelihood,
    equation_tables,
    equation_tests,
    factors,
    overall,
)
from sm_alsgls.results.coefficients import bse_of, law_of
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.familiar import FamiliarEquation
from sm_alsgls.results.in_sample import constants, fitted, residuals, rsquared
from sm_alsgls.results.method import of_equation
from sm_alsgls.results.persistence import Savable
from sm_alsgls.results.predict import get_prediction_equation, predict_equation
from sm_alsgls.results.prediction import SystemPrediction
from sm_alsgls.results.shown import Shown, one_line
from sm_alsgls.results.summary import equation_summary
from sm_alsgls.results.summary_text import SystemSummary


class Whole(Protocol):
    """The results of the system that an equation belongs to."""

    estimate: Estimate

    def remove_data(self) -> None:
        """Drop the data."""
        ...


@dataclass(frozen=True)
class LowRankSUREquation:
    """Names of one equation, where statsmodels and others look for them.

    Attributes
    ----------
    endog_names : str
        The equation.
    exog_names : list of str
        Its regressors.
    k_constant : int
        1 where the design spans a constant, else 0.
    """

    endog_names: str
    exog_names: list[str]
    k_constant: int


class EquationResults(Savable, Shown, FamiliarEquation, ResultsWrapper):
    """A view of one equation; coefficients carry the names of their columns.

    It is a ``ResultsWrapper`` of statsmodels because tables of regressions (stargazer) take what
    they know by class; nothing is inherited from it but pickling and ``save``.

    Attributes
    ----------
    system : LowRankSURResults
        The system the equation belongs to.
    position : int
        Its place among the equations.
    """

    # statsmodels' tables look these up.
    _unlisted = frozenset(("estimate", "k_constant", "rsquared_label"))

    def __init__(self, system: Whole, position: int) -> None:
        self.system, self.position = system, position
        self._labels = pd.Index(system.estimate.labels.regressors[position])

    # A wrapper looks up in what it wraps: the system's aic is not the equation's.
    __getattribute__ = object.__getattribute__

    def _absent(self) -> tuple[str, ...]:
        shares = () if self.estimate.has_factors else ("loadings", "uniqueness", "communality")
        alone = equation_likelihood.has_likelihoods(self.estimate)
        return (*shares, *(() if alone else ("llf", "aic", "bic")))

    @property
    def name(self) -> str:
        """What the equation is called."""
        return self.estimate.equations[self.position]

    @property
    def nobs(self) -> int:
        """Rows N_j that the equation has."""
        return int(self.estimate.counts[self.position])

    @property
    def df_resid(self) -> float:
        """Rows less coefficients and factors, N_j - p_j - r."""
        return float(self.estimate.df.equation[self.position])

    @property
    def use_t(self) -> bool:
        """t and F, or normal and chi2."""
        return self.estimate.use_t

    @property
    def estimate(self) -> Estimate:
        """What was estimated of the system."""
        return self.system.estimate

    def __repr__(self) -> str:
        facts = [f"N={self.nobs}", f"p={len(self._labels)}", f"R-squared={self.rsquared:.3f}"]
        return one_line(f"EquationResults {cut(self.name, 48)!r}", facts)

    def _series(self, values: np.ndarray) -> pd.Series:
        return pd.Series(values, index=self._labels, name=self.name)

    @property
    def params(self) -> pd.Series:
        """Coefficients (p_j,)."""
        return self._series(self.estimate.beta[self.position])

    @property
    def bse(self) -> pd.Series:
        """Standard errors (p_j,); only this equation's block of the covariance is computed."""
        return self._series(bse_of(self.estimate, self.position))

    @property
    def tvalues(self) -> pd.Series:
        """Coefficients over standard errors (p_j,); NaN where a restriction fixes one."""
        return self.params / self.bse.where(self.bse > 0.0)

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values (p_j,)."""
        return self._series(2.0 * law_of(self.estimate, self.position).sf(np.abs(self.tvalues)))

    @property
    def resid(self) -> pd.Series:
        """Residuals (N,), NaN in missing cells."""
        values = residuals(self.estimate)[:, self.position]
        return pd.Series(values, index=self.estimate.sample.index, name=self.name)

    @property
    def fittedvalues(self) -> pd.Series:
        """Fitted values (N,)."""
        estimate, j = self.estimate, self.position
        laws = estimate.laws
        if laws is None or laws.lag is None:
            values = estimate.model.exog[j] @ estimate.beta[j]
        else:
            values = fitted(estimate)[:, j]
        return pd.Series(values, index=estimate.sample.index, name=self.name)

    @property
    def rsquared(self) -> float:
        """1 - SSR/SST of the GLS fit; SST about the mean where the design spans a constant."""
        return float(rsquared(self.estimate)[self.position])

    @property
    def rsquared_label(self) -> str:
        """How statsmodels labels it: centered only where the design spans a constant."""
        return "R-squared" if self.k_constant else "R-squared (uncent.)"

    @property
    def rsquared_adj(self) -> float:
        """R-squared with N - p_j degrees of freedom."""
        p = len(self._labels)
        return 1.0 - (self.nobs - self.k_constant) / (self.nobs - p) * (1.0 - self.rsquared)

    @property
    def std_error(self) -> float:
        """Standard error of the regression: the root of sigma_jj, times N / (N - p_j - r) where
        the fit is ``debiased``, so that rank 0 gives OLS's.
        """
        sigma = np.sqrt(self.estimate.sigma.diag()[self.position])
        return float(self.estimate.df.correction[self.position] * sigma)

    @property
    def loadings(self) -> pd.Series:
        """Loadings f_j (r,)."""
        return factors.loadings(self.estimate).loc[self.name]

    @property
    def uniqueness(self) -> float:
        """The variance d_j that the factors leave."""
        return float(factors.factors(self.estimate).uniquenesses[self.position])

    @property
    def communality(self) -> float:
        """Share of the error variance that the factors explain."""
        return float(factors.communalities(self.estimate).iloc[self.position])

    @property
    def llf(self) -> float:
        """Log-likelihood of this equation by itself, at the system's estimates.

        y_j ~ N(X_j b_j, sigma_jj), whatever errors it shares with others; see
        `sm_alsgls.results.equation_likelihood`. The system's is ``system.llf``, which is more than
        the sum of these by what equations say of one another.
        """
        return equation_likelihood.llf(self.estimate, self.position)

    @property
    def aic(self) -> float:
        """-2 llf + 2 (p_j + 1): coefficients that are free, and the variance.

        It compares this equation with others of the same response; which system is better, or of
        what rank, says ``system.aic``.
        """
        return equation_likelihood.aic(self.estimate, self.position)

    @property
    def bic(self) -> float:
        """-2 llf + log(N_j) (p_j + 1); see `aic`."""
        return equation_likelihood.bic(self.estimate, self.position)

    # -- hypotheses ------------------------------------------------------------------------

    cov_params = of_equation(equation_tests.cov_params)
    conf_int = of_equation(equation_tests.conf_int)
    t_test = of_equation(equation_tests.t_test)
    f_test = of_equation(equation_tests.f_test)
    wald_test = of_equation(equation_tests.wald_test)

    @property
    def model(self) -> LowRankSUREquation:
        """Names: ``endog_names`` (the equation), ``exog_names`` (its regressors)."""
        return LowRankSUREquation(self.name, list(self._labels), self.k_constant)

    @property
    def k_constant(self) -> int:
        """1 where the design spans a constant, explicitly or through dummies, else 0."""
        return int(constants(self.estimate)[self.position] is not None)

    @property
    def df_model(self) -> float:
        """Slopes, p_j - k_constant; of those that restrictions tie or fix, the free ones."""
        return float(len(overall.slopes(self.estimate, self.position)))

    @property
    def cov_type(self) -> str:
        """How standard errors were computed."""
        return self.estimate.choice.cov_type

    @property
    def fvalue(self) -> float:
        """Overall F statistic of the equation: all slopes are zero.

        The Wald statistic of the coefficient covariance over its number of slopes; where the
        design spans a constant the hypothesis is that fitted values are constant, otherwise that
        they are zero. With rank 0 it is statsmodels' OLS value. Slopes that restrictions fix are
        not tested, and of slopes that they tie together one is; NaN where none is left.
        """
        return overall.fvalue(self.estimate, self.position)

    @property
    def f_pvalue(self) -> float:
        """p-value of `fvalue`: F(df_model, df of the t tests), or chi-squared where not use_t.

        Robust covariances: that of `wald_test`, which says in its ``note`` how it was made.
        """
        return overall.f_pvalue(self.estimate, self.position)

    # -- prediction, tables ----------------------------------------------------------------

    def predict(self, exog: Any = None, transform: bool = True) -> pd.Series:
        """Fitted values of this equation in every row of ``exog``.

        Parameters
        ----------
        exog : optional
            None for the estimation rows, a DataFrame with the formula's variables (a long
            panel's group column is not looked at), or a design (n, p_j) or one row of it.
        transform : bool
            False takes a design matrix although the model has formulas.
        """
        return predict_equation(self.estimate, self.position, exog, transform)

    def get_prediction(self, exog: Any = None, transform: bool = True) -> SystemPrediction:
        """Fitted values with standard errors and intervals; arguments as those of `predict`."""
        return get_prediction_equation(self.estimate, self.position, exog, transform)

    tidy = of_equation(equation_tables.tidy)
    glance = of_equation(equation_tables.glance)
    augment = of_equation(equation_tables.augment)

    def remove_data(self) -> None:
        """Drop the data of the whole system; see `LowRankSURResults.remove_data`."""
        self.system.remove_data()

    def summary(self, title: str | None = None, alpha: float = 0.05) -> SystemSummary:
        """A statsmodels Summary of this equation."""
        top = [
            ("No. Observations:", f"{self.nobs:d}"),
            ("Df Residuals:", f"{self.df_resid:.0f}"),
            (self.rsquared_label + ":", f"{self.rsquared:.3f}"),
            ("Adj. R-squared:", f"{self.rsquared_adj:.3f}"),
            ("Std. Error of Reg.:", f"{self.std_error:.4g}"),
            *(
                [("Communality:", f"{self.communality:.3f}")]
                if self.estimate.has_factors
                else [("Sigma:", "unrestricted")]
            ),
        ]
        return equation_summary(self.estimate, self.position, top, title, alpha)
