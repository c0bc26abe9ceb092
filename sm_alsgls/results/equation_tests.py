"""Covariance, intervals and hypotheses of one equation's own coefficients."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModelResults

from sm_alsgls.border.alignment import by_coefficient
from sm_alsgls.border.arguments import level, optional_flag
from sm_alsgls.data.constraint_text import read_constraints
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.freedom import Freedom, left_to_test
from sm_alsgls.results.selection import combinations, positions, square_of, wald_arguments


class _OwnResults(LikelihoodModelResults):
    """A flat vector with its covariance, which is zero for what restrictions fix."""

    freedom: Freedom

    def cov_params(
        self,
        r_matrix: Any = None,
        column: Any = None,
        scale: float | None = None,
        cov_p: Any = None,
        other: Any = None,
    ) -> Any:
        V = super().cov_params(r_matrix, column, scale, cov_p, other)
        if r_matrix is None or cov_p is not None:
            return V
        rows = self.freedom.fixed(np.atleast_2d(r_matrix))
        columns = rows if other is None else self.freedom.fixed(np.atleast_2d(other))
        shape = (len(rows), len(columns))
        exact = np.where(rows[:, None] | columns, 0.0, np.reshape(V, shape))
        return exact.reshape(np.shape(V))


class EquationTests:
    """Mixin of `EquationResults`: only the equation's block of the covariance is computed."""

    system: Any
    _j: int
    _at: slice
    _labels: pd.Index

    def cov_params(
        self,
        r_matrix: Any = None,
        column: Any = None,
        scale: float | None = None,
        cov_p: Any = None,
        other: Any = None,
    ) -> Any:
        """Covariance of the equation's coefficients (p_j, p_j), or of combinations of them.

        Parameters
        ----------
        r_matrix, other : array_like (m, p_j), optional
            Combinations.
        column : str, int or list of either, optional
            Coefficients, by the equation's own names or positions.
        scale, cov_p : optional
            A factor, and another (p_j, p_j) covariance to use, as in statsmodels.
        """
        r_matrix, other, scale = combinations(len(self._labels), r_matrix, column, scale, other)
        cov_p = square_of(cov_p, len(self._labels), "cov_p")
        at = None if column is None else positions(column, self._labels, "column")
        r_matrix, other = self._ordered(r_matrix, "r_matrix"), self._ordered(other, "other")
        cov_p = self._ordered(cov_p, "cov_p", rows=True)
        V = self._own_results().cov_params(r_matrix, at, scale, cov_p, other)
        if r_matrix is not None or np.ndim(V) < 2:
            return V
        names = self._labels if at is None else self._labels[at]
        return pd.DataFrame(V, index=names, columns=names)

    def conf_int(self, alpha: float = 0.05, cols: Any = None) -> pd.DataFrame:
        """Confidence intervals (p_j, 2); ``cols`` selects coefficients, by names or positions."""
        alpha = level(alpha)
        params, bse = self.params, self.bse  # type: ignore[attr-defined]
        half = self.system._distribution_of(self._j).ppf(1.0 - alpha / 2.0) * bse
        interval = pd.DataFrame({0: params - half, 1: params + half})
        if cols is None:
            return interval
        return interval.iloc[np.atleast_1d(positions(cols, self._labels, "cols"))]

    def t_test(self, r_matrix: Any, cov_p: Any = None, use_t: bool | None = None) -> Any:
        """t tests of hypotheses about this equation's coefficients, as in statsmodels.

        Parameters
        ----------
        r_matrix : str, list of str, array_like (m, p_j) or tuple
            ``"value = capital"`` in the names of the equation's own columns, a matrix R, or a
            pair (R, q). Hypotheses about several equations are for the system's `t_test`.
        cov_p : array_like (p_j, p_j), optional
        use_t : bool, optional

        Raises
        ------
        RestrictionError
        """
        R, q = self._hypotheses(r_matrix)
        cov_p = square_of(self._ordered(cov_p, "cov_p", rows=True), R.shape[1], "cov_p")
        use_t = optional_flag(use_t, "use_t")
        if cov_p is None and self.system._choice.power is not None:
            return self.system.t_test(self._in_the_system(R, q), use_t=use_t)
        return self._own_results().t_test((R, q), cov_p, use_t)

    def f_test(self, r_matrix: Any, cov_p: Any = None, invcov: Any = None) -> Any:
        """Joint F test of hypotheses about this equation's coefficients; see `wald_test`."""
        return self.wald_test(r_matrix, cov_p, invcov, use_f=True)

    def wald_test(
        self,
        r_matrix: Any,
        cov_p: Any = None,
        invcov: Any = None,
        use_f: bool | None = None,
        df_constraints: int | None = None,
        scalar: bool = True,
    ) -> Any:
        """Joint Wald test of hypotheses about this equation's coefficients, as in statsmodels.

        F with the equation's own degrees of freedom where ``use_t``, else chi2; hypotheses as
        those of `t_test`. Robust covariances have the system's small-sample tests
        (`LowRankSURResults.wald_test`). What the restrictions of a fit fix is not tested.

        Raises
        ------
        RestrictionError
            Unreadable hypotheses, or the restrictions leave nothing to test.
        """
        R, q = self._hypotheses(r_matrix)
        cov_p, invcov = (self._ordered(V, "cov_p", rows=True) for V in (cov_p, invcov))
        given = wald_arguments(R, cov_p, invcov, use_f, df_constraints, scalar)
        if cov_p is None and invcov is None:
            if self.system._robust and (self.system.use_t if use_f is None else use_f):
                whole = self._in_the_system(R, q)
                return self.system.wald_test(
                    whole, use_f=use_f, df_constraints=df_constraints, scalar=scalar
                )
            R, q = left_to_test(self._freedom, R, q)
        return self._own_results().wald_test((R, q), *given)

    def _in_the_system(self, R: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hypotheses about the coefficients of all equations, (m, P)."""
        whole = np.zeros((len(R), len(self.system.params)))
        whole[:, self._at] = R
        return whole, q

    def _hypotheses(self, r_matrix: Any) -> tuple[np.ndarray, np.ndarray]:
        return read_constraints(r_matrix, list(self._labels), "the columns of the equation")

    def _ordered(self, value: Any, argument: str, rows: bool = False) -> Any:
        """What is labelled by the equation's coefficients in their order."""
        return by_coefficient(value, list(self._labels), argument, OptionError, rows)

    @property
    def _freedom(self) -> Freedom:
        """What the system's restrictions leave free of this equation's coefficients."""
        return self.system._freedom.of(self._at)

    def _own_results(self) -> LikelihoodModelResults:
        """The flat vector, covariance and degrees of freedom that statsmodels' tests work on."""
        system = self.system
        V = np.array(system._covariance.block(self._j))
        fixed = system._fixed[self._at]
        V[fixed] = V[:, fixed] = 0.0
        names = SimpleNamespace(cov_names=list(self._labels))
        own = _OwnResults(
            SimpleNamespace(data=names), np.asarray(system.params[self._at]), V, use_t=system.use_t
        )
        own.freedom = self._freedom
        own.df_resid = own.df_resid_inference = float(system._df_t[self._j])
        return own
