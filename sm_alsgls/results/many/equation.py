"""One of very many equations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, Protocol

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import level
from sm_alsgls.data.labels import Labels
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.markup import cut
from sm_alsgls.progress import asking
from sm_alsgls.results import coefficients, hypotheses, tables
from sm_alsgls.results import nlcom as functions
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.many import covariance
from sm_alsgls.results.many.columns import EquationColumns
from sm_alsgls.results.many.equation_covariance import of_equation
from sm_alsgls.results.many.estimate import ManyEstimate
from sm_alsgls.results.many.familiar import FamiliarOneOfMany
from sm_alsgls.results.many.summary import equation_summary
from sm_alsgls.results.method import method
from sm_alsgls.results.selection import positions
from sm_alsgls.results.shown import Shown, one_line
from sm_alsgls.results.summary_text import SystemSummary


class Whole(Protocol):
    """The results of the system that an equation belongs to."""

    estimate: ManyEstimate

    def columns(self, what: str) -> EquationColumns:
        """Of all equations, "residuals" or "fitted values"."""
        ...


@dataclass(frozen=True)
class OneOfMany:
    """Names of one equation.

    Attributes
    ----------
    endog_names : str
    exog_names : list of str
    """

    endog_names: str
    exog_names: list[str]

    def remove_data(self) -> NoReturn:
        """The data are the system's."""
        raise NotApplicableError("the data are those of the system; use its remove_data()")


class ManyEquationResults(FamiliarOneOfMany, Shown):
    """A view of one of very many equations; coefficients carry the names of their columns.

    Attributes
    ----------
    system : ManySURResults
        The system that it belongs to.
    position : int
        Its place among the equations.
    """

    _unlisted = frozenset(("estimate",))

    def __init__(self, system: Whole, position: int) -> None:
        self.system, self.position = system, position

    @property
    def estimate(self) -> Fitted:
        """Its coefficients, and how they are tested."""
        whole, j = self.system.estimate, self.position
        names = list(whole.labels.regressors(j))
        return Fitted(
            model=OneOfMany(self.name, names),
            labels=Labels.of_one(self.name, names),
            params=whole.params[whole.labels.columns(j)],
            nobs=whole.nobs,
            df_model=float(len(names) + whole.df.taken),
            choice=whole.choice,
            use_t=whole.use_t,
            covariances=partial(of_equation, whole, j),
            progress=whole.progress,
        )

    @property
    def name(self) -> str:
        """What the equation is called."""
        return self.system.estimate.labels.name(self.position)

    @property
    def nobs(self) -> int:
        """Rows N."""
        return self.system.estimate.nobs

    @property
    def df_resid(self) -> float:
        """Rows less coefficients and factors, N - p_j - r."""
        return float(self.system.estimate.df.equation[self.position])

    @property
    def model(self) -> Any:
        """Names: ``endog_names`` (the equation), ``exog_names`` (its regressors)."""
        return self.estimate.model

    def __repr__(self) -> str:
        p = int(self.system.estimate.labels.p[self.position])
        facts = [f"N={self.nobs}", f"p={p}", f"R-squared={self.rsquared:.3f}"]
        return one_line(f"ManyEquationResults {cut(self.name, 48)!r}", facts)

    def _series(self, values: np.ndarray) -> pd.Series:
        index = pd.Index(self.system.estimate.labels.regressors(self.position))
        return pd.Series(values, index=index, name=self.name)

    @property
    def params(self) -> pd.Series:
        """Coefficients (p_j,)."""
        return self._series(self.estimate.params)

    @property
    def bse(self) -> pd.Series:
        """Standard errors (p_j,); the first that is asked for computes those of all equations."""
        whole = self.system.estimate
        at = whole.labels.columns(self.position)
        return self._series(np.sqrt(covariance.variances(whole)[at]))

    @property
    def tvalues(self) -> pd.Series:
        """Coefficients over standard errors (p_j,)."""
        return self.params / self.bse

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values (p_j,)."""
        return self._series(2.0 * self._law.sf(np.abs(self.tvalues)))

    @property
    def _law(self) -> coefficients.Law:
        whole = self.system.estimate
        return covariance.law(whole, whole.labels.columns(self.position))

    @property
    def rsquared(self) -> float:
        """1 - SSR/SST of the GLS fit; SST about the mean where the design spans a constant."""
        return float(self.system.estimate.rsquared[self.position])

    @property
    def rsquared_adj(self) -> float:
        """R-squared with N - p_j degrees of freedom."""
        p, N = int(self.system.estimate.labels.p[self.position]), self.nobs
        return 1.0 - (N - self.k_constant) / (N - p) * (1.0 - self.rsquared)

    @property
    def k_constant(self) -> int:
        """1 where the design spans a constant, else 0."""
        return int(self.system.estimate.constant[self.position])

    @property
    def df_model(self) -> float:
        """Slopes, p_j - k_constant."""
        return float(self.system.estimate.labels.p[self.position] - self.k_constant)

    @property
    def cov_type(self) -> str:
        """How standard errors are computed."""
        return self.system.estimate.choice.cov_type

    @property
    def use_t(self) -> bool:
        """t and F, or normal and chi2."""
        return self.system.estimate.use_t

    @property
    def std_error(self) -> float:
        """Standard error of the regression, sigma_jj^1/2 with the fit's degrees of freedom."""
        whole, j = self.system.estimate, self.position
        F, d = whole.sigma.loadings[j], whole.sigma.uniquenesses[j]
        return float(whole.df.correction[j] * np.sqrt(F @ F + d))

    @property
    def loadings(self) -> pd.Series:
        """Loadings f_j (r,)."""
        F = self.system.estimate.sigma.loadings[self.position]
        names = [f"factor{i}" for i in range(1, len(F) + 1)]
        return pd.Series(F, index=names, name=self.name)

    @property
    def uniqueness(self) -> float:
        """The variance d_j that the factors leave."""
        return float(self.system.estimate.sigma.uniquenesses[self.position])

    @property
    def communality(self) -> float:
        """Share of the error variance that the factors explain."""
        F = self.system.estimate.sigma.loadings[self.position]
        return float(F @ F / (F @ F + self.uniqueness))

    @property
    def resid(self) -> pd.Series:
        """Residuals (N,); its tile is read."""
        return self.system.columns("residuals")[self.name]

    @property
    def fittedvalues(self) -> pd.Series:
        """Fitted values (N,); its tile is read."""
        return self.system.columns("fitted values")[self.name]

    def conf_int(self, alpha: float = 0.05, cols: Any = None) -> pd.DataFrame:
        """Confidence intervals (p_j, 2) of level 1 - ``alpha``."""
        b, half = self.params, self._law.ppf(1.0 - level(alpha) / 2.0) * self.bse
        interval = pd.DataFrame({0: b - half, 1: b + half})
        if cols is None:
            return interval
        return interval.iloc[np.atleast_1d(positions(cols, self._names, "cols"))]

    def cov_params(self, r_matrix: Any = None, column: Any = None) -> Any:
        """Covariance (p_j, p_j) of the coefficients, labelled, or of combinations of them."""
        V = coefficients.cov_params(self.estimate, r_matrix, column)
        if r_matrix is not None or column is not None:
            return V
        return pd.DataFrame(V, index=self._names, columns=self._names)

    @property
    def _names(self) -> list[str]:
        return list(self.system.estimate.labels.regressors(self.position))

    t_test = method(hypotheses.t_test)
    wald_test = method(hypotheses.wald_test)
    nlcom = method(functions.nlcom)
    tidy = method(tables.tidy)

    def summary(self, title: str | None = None, alpha: float = 0.05) -> SystemSummary:
        """A statsmodels Summary of this equation."""
        label = "R-squared:" if self.k_constant else "R-squared (uncent.):"
        top = [
            ("No. Observations:", f"{self.nobs:d}"),
            ("Df Residuals:", f"{self.df_resid:.0f}"),
            (label, f"{self.rsquared:.3f}"),
            ("Adj. R-squared:", f"{self.rsquared_adj:.3f}"),
            ("Std. Error of Reg.:", f"{self.std_error:.4g}"),
            ("Communality:", f"{self.communality:.3f}"),
        ]
        whole = self.system.estimate
        with asking(whole.progress):
            return equation_summary(self, whole, self.position, top, title, alpha)

    def f_test(self, r_matrix: Any) -> Any:
        """`wald_test` with an F statistic, as in statsmodels."""
        return self.wald_test(r_matrix, use_f=True)
