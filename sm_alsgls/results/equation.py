"""One equation of a fitted system."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.base.wrapper import ResultsWrapper

from sm_alsgls.results.equation_tests import EquationTests
from sm_alsgls.results.familiar import FamiliarEquation
from sm_alsgls.results.new_rows import rows_of_equation
from sm_alsgls.results.overall import Overall
from sm_alsgls.results.persistence import Savable
from sm_alsgls.results.prediction import SystemPrediction, predict_rows, prediction
from sm_alsgls.results.summary import SystemSummary, equation_summary


class EquationResults(Savable, Overall, EquationTests, FamiliarEquation, ResultsWrapper):
    """A view of one equation; coefficients carry the names of their columns.

    It is a ``ResultsWrapper`` of statsmodels because tables of regressions (stargazer) take what
    they know by class; nothing is inherited from it but pickling and ``save``.

    Attributes
    ----------
    name : str
    system : LowRankSURResults
        The system the equation belongs to.
    nobs, df_resid : int
        Rows N_j that the equation has, and N_j - p_j - r.
    """

    def __init__(self, system: Any, position: int) -> None:
        self.system, self._j = system, position
        self.name: str = system.model.equations[position]
        self.nobs = int(system._counts[position])
        self.df_resid = float(system._df_equation[position])
        self.use_t: bool = system.use_t
        self._at = system._columns(self.name)
        self._labels = pd.Index(system.model._system.columns[position])

    # A wrapper looks up in what it wraps: the system's aic is not the equation's.
    __getattribute__ = object.__getattribute__
    __dir__ = object.__dir__

    def __repr__(self) -> str:
        return f"<EquationResults {self.name!r}: {len(self._labels)} coefficients>"

    def _series(self, values: np.ndarray) -> pd.Series:
        return pd.Series(values, index=self._labels, name=self.name)

    @property
    def params(self) -> pd.Series:
        """Coefficients (p_j,)."""
        return self._series(self.system.params[self._at])

    @cached_property
    def bse(self) -> pd.Series:
        """Standard errors (p_j,); only this equation's block of the covariance is computed."""
        if "bse" in self.system.__dict__:
            return self._series(self.system.bse[self._at])
        variances = np.diagonal(self.system._covariance.block(self._j))
        return self._series(np.sqrt(np.where(self.system._fixed[self._at], 0.0, variances)))

    @property
    def tvalues(self) -> pd.Series:
        """Coefficients over standard errors (p_j,); NaN where a restriction fixes one."""
        return self.params / self.bse.where(self.bse > 0.0)

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values (p_j,)."""
        return self._series(2.0 * self._distribution().sf(np.abs(self.tvalues)))

    def _distribution(self) -> Any:
        return self.system._distribution_of(self._j)

    @property
    def resid(self) -> pd.Series:
        """Residuals (N,), NaN in missing cells."""
        return pd.Series(
            self.system._residuals[:, self._j], index=self.system._rows, name=self.name
        )

    @property
    def fittedvalues(self) -> pd.Series:
        """Fitted values (N,)."""
        X = self.system.model.exog[self._j]
        return pd.Series(X @ self.system._beta[self._j], index=self.system._rows, name=self.name)

    @property
    def rsquared(self) -> float:
        """1 - SSR/SST of the GLS fit; SST about the mean where the design spans a constant."""
        return float(self.system._rsquared[self._j])

    @property
    def rsquared_label(self) -> str:
        """How statsmodels labels it: centered only where the design spans a constant."""
        return "R-squared" if self.system._spans_constant[self._j] else "R-squared (uncent.)"

    @property
    def rsquared_adj(self) -> float:
        """R-squared with N - p_j degrees of freedom."""
        p = len(self._labels)
        spans = bool(self.system._spans_constant[self._j])
        return 1.0 - (self.nobs - spans) / (self.nobs - p) * (1.0 - self.rsquared)

    @property
    def std_error(self) -> float:
        """Standard error of the regression: the root of sigma_jj, times N / (N - p_j - r) where
        the fit is ``debiased``, so that rank 0 gives OLS's.
        """
        sigma = np.sqrt(self.system.sigma.diag()[self._j])
        return float(self.system._df_correction[self._j] * sigma)

    @property
    def loadings(self) -> pd.Series:
        """Loadings f_j (r,)."""
        return self.system.loadings.loc[self.name]

    @property
    def uniqueness(self) -> float:
        """The variance d_j that the factors leave."""
        return float(self.system.sigma.uniquenesses[self._j])

    @property
    def communality(self) -> float:
        """Share of the error variance that the factors explain."""
        return float(self.system.communalities.iloc[self._j])

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
        return predict_rows(
            self.system._beta, rows_of_equation(self.system.model, self._j, exog, transform)
        )

    def get_prediction(self, exog: Any = None, transform: bool = True) -> SystemPrediction:
        """Fitted values with standard errors and intervals; arguments as those of `predict`."""
        return prediction(
            self.system, rows_of_equation(self.system.model, self._j, exog, transform)
        )

    def remove_data(self) -> None:
        """Drop the data of the whole system; see `LowRankSURResults.remove_data`."""
        self.system.remove_data()

    def summary(self, title: str | None = None, alpha: float = 0.05) -> SystemSummary:
        """A statsmodels Summary of this equation."""
        return equation_summary(self, title, alpha)
