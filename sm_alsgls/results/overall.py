"""What tables that compare models ask of one equation: its names, and its overall F test."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats


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


class Overall:
    """Mixin of `EquationResults`."""

    system: Any
    _j: int

    @property
    def model(self) -> LowRankSUREquation:
        """Names: ``endog_names`` (the equation), ``exog_names`` (its regressors)."""
        system = self.system
        columns = list(system.model._system.columns[self._j])
        return LowRankSUREquation(system.model.equations[self._j], columns, self.k_constant)

    @property
    def k_constant(self) -> int:
        """1 where the design spans a constant, explicitly or through dummies, else 0."""
        return int(self.system._spans_constant[self._j])

    @property
    def df_model(self) -> float:
        """Regressors besides the constant, p_j - k_constant."""
        return float(self.system._p[self._j] - self.k_constant)

    @property
    def cov_type(self) -> str:
        """How standard errors were computed."""
        return self.system.cov_type

    @cached_property
    def _wald(self) -> float:
        """Wald statistic of the hypothesis that fitted values are constant (or zero)."""
        R = _restriction(constants(self.system)[self._j], int(self.system._p[self._j]))
        if len(R) == 0:
            return np.nan
        beta = R @ self.system._beta[self._j]
        return float(beta @ np.linalg.solve(R @ self.system._covariance.block(self._j) @ R.T, beta))

    @property
    def fvalue(self) -> float:
        """Overall F statistic of the equation: all slopes are zero.

        The Wald statistic of the coefficient covariance over its number of slopes; where the
        design spans a constant the hypothesis is that fitted values are constant, otherwise that
        they are zero. With rank 0 it is statsmodels' OLS value. NaN without slopes.
        """
        return self._wald / self.df_model if self.df_model else np.nan

    @property
    def f_pvalue(self) -> float:
        """p-value of `fvalue`: F(df_model, df of the t tests), or chi-squared where not use_t."""
        if not self.df_model:
            return np.nan
        if self.system.use_t:
            df = float(self.system._df_t[self._j])
            return float(stats.f.sf(self.fvalue, self.df_model, df))
        return float(stats.chi2.sf(self._wald, self.df_model))


def constants(results: Any) -> list[np.ndarray | None]:
    """For each equation the coefficients a (p_j,) with X_j a = 1, None where there are none."""
    cache = vars(results)
    if "_constants" not in cache:
        known: dict[int, np.ndarray | None] = {}
        for X, spans in zip(results.model.exog, results._spans_constant, strict=True):
            if id(X) not in known:
                known[id(X)] = _ones(X) if spans else None
        cache["_constants"] = [known[id(X)] for X in results.model.exog]
    return cache["_constants"]


def _ones(X: np.ndarray) -> np.ndarray:
    constant = np.flatnonzero((X == X[0]).all(axis=0) & (X[0] != 0.0))
    if len(constant):
        out = np.zeros(X.shape[1])
        out[constant[0]] = 1.0 / X[0, constant[0]]
        return out
    scale = np.abs(X).max(axis=0)
    return np.linalg.lstsq(X / scale, np.ones(len(X)), rcond=None)[0] / scale


def _restriction(a: np.ndarray | None, p: int) -> np.ndarray:
    """Rows R with R beta = 0 where beta is zero or a multiple of a."""
    if a is None:
        return np.eye(p)
    if np.count_nonzero(a) == 1:
        return np.delete(np.eye(p), np.flatnonzero(a)[0], axis=0)
    return np.linalg.svd(a[None, :])[2][1:]
