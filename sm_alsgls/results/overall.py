"""What tables that compare models ask of one equation: its names, and its overall F test."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats

from sm_alsgls.results.freedom import Freedom
from sm_alsgls.results.joint import joint_test


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
    _at: slice
    _freedom: Freedom

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
        """Slopes, p_j - k_constant; of those that restrictions tie or fix, the free ones."""
        return float(len(self._slopes))

    @property
    def cov_type(self) -> str:
        """How standard errors were computed."""
        return self.system.cov_type

    @cached_property
    def _slopes(self) -> np.ndarray:
        """Rows R (m, p_j) of R beta = 0 where fitted values are constant (or zero)."""
        R = _restriction(self.system._constants[self._j], int(self.system._p[self._j]))
        return R[self._freedom.independent(R)]

    @cached_property
    def _wald(self) -> float:
        R = self._slopes
        return wald(
            R @ self.system._beta[self._j], R @ self.system._covariance.block(self._j) @ R.T
        )

    @cached_property
    def _joint(self) -> Any:
        """The joint test of all slopes where the covariance has a small-sample one, else None."""
        system, R = self.system, self._slopes
        if not (system._robust and system.use_t and len(R)):
            return None
        kept = system.__dict__.get("_equation_tests")
        if kept is not None:
            return kept[self._j]
        whole = np.zeros((len(R), len(system.params)))
        whole[:, self._at] = R
        return joint_test(system, whole, np.zeros(len(R)))

    @property
    def fvalue(self) -> float:
        """Overall F statistic of the equation: all slopes are zero.

        The Wald statistic of the coefficient covariance over its number of slopes; where the
        design spans a constant the hypothesis is that fitted values are constant, otherwise that
        they are zero. With rank 0 it is statsmodels' OLS value. Slopes that restrictions fix are
        not tested, and of slopes that they tie together one is; NaN where none is left.
        """
        if self._joint is not None:
            return float(self._joint.fvalue)
        return self._wald / self.df_model if self.df_model else np.nan

    @property
    def f_pvalue(self) -> float:
        """p-value of `fvalue`: F(df_model, df of the t tests), or chi-squared where not use_t.

        Robust covariances: that of `wald_test`, which says in its ``note`` how it was made.
        """
        if not self.df_model:
            return np.nan
        if self._joint is not None:
            return float(self._joint.pvalue)
        if self.system.use_t:
            df = float(self.system._df_t[self._j])
            return float(stats.f.sf(self.fvalue, self.df_model, df))
        return float(stats.chi2.sf(self._wald, self.df_model))


def _restriction(a: np.ndarray | None, p: int) -> np.ndarray:
    """Rows R with R beta = 0 where beta is zero or a multiple of a."""
    if a is None:
        return np.eye(p)
    if np.count_nonzero(a) == 1:
        return np.delete(np.eye(p), np.flatnonzero(a)[0], axis=0)
    return np.linalg.svd(a[None, :])[2][1:]


def wald(b: np.ndarray, V: np.ndarray) -> float:
    """b' V^+ b for estimates b (m,) of zeros with covariance V (m, m); NaN where m is 0."""
    if not len(b):
        return np.nan
    # In units of standard errors: no equation's units matter. A clustered V can be singular.
    scale = np.sqrt(np.diagonal(V))
    solution = np.linalg.lstsq(V / np.outer(scale, scale), b / scale, rcond=None)[0]
    return float(b / scale @ solution)
