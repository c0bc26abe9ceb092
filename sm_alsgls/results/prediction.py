"""Predictions with standard errors of the mean and of an observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import flag, level
from sm_alsgls.data.labels import Labels
from sm_alsgls.results.coefficients import df_of_equations
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.new_rows import NewRows
from sm_alsgls.results.parameter_covariance import ParameterCovariance
from sm_alsgls.results.row_means import RowMeans


def predict_rows(beta: Sequence[np.ndarray], rows: NewRows) -> pd.DataFrame | pd.Series:
    """X_j beta_j, of K coefficient vectors, in the layout of ``rows``."""
    return rows.label(rows.fill(piece.X @ beta[piece.j] for piece in rows.pieces))


def prediction(
    estimate: Estimate, rows: NewRows, resid: Sequence[np.ndarray] | None = None
) -> SystemPrediction:
    """Predictions of ``rows`` with the covariance of the coefficients that the estimate has.

    ``resid`` are variances of observations about their means, piece by piece, as the likelihood
    has them; default Sigma's.
    """
    V = covariance(estimate)
    at = [piece.j for piece in rows.pieces]
    correction = np.square(estimate.df.correction[at])
    if resid is None:
        own: Any = frozen(estimate.sigma.diag()[at] * correction)
    else:
        own = [frozen(v * c) for v, c in zip(resid, correction, strict=True)]

    def variances() -> Any:
        for j, _, X in rows.pieces:
            # x'Vx of every row; a two-way clustered V can make it negative.
            yield np.einsum("np,np->n", X @ V.block(j), X)

    return SystemPrediction(
        rows.kept(estimate.equations),
        frozen(rows.fill(piece.X @ estimate.beta[piece.j] for piece in rows.pieces)),
        frozen(rows.fill(variances())),
        own,
        frozen(df_of_equations(estimate)[at]) if estimate.use_t else None,
        V,
        estimate.labels,
    )


@dataclass(frozen=True, eq=False, repr=False)
class SystemPrediction:
    """Predicted means, their standard errors, and intervals for means and observations.

    Made by `LowRankSURResults.get_prediction` and `EquationResults.get_prediction`.

    Attributes
    ----------
    predicted_mean : DataFrame or Series
        x'beta_j.
    var_pred_mean, se_mean : DataFrame or Series
        x' V_j x with V_j the equation's block of the covariance of the coefficients, of whatever
        ``cov_type`` the results have, and its root.
    var_resid : DataFrame or Series
        Error variance sigma_jj of the equation, times N / (N - p_j - r) where the results are
        debiased. Over the weight of the row where the fit has weights: new rows have that of the
        column that ``weights=`` named, or 1, the mean, where the data lack it. Where errors follow
        laws that of a row by itself: sigma_jj / (1 - rho_j^2) of autoregressive ones, what
        neighbours add, and scales: of the rows that were estimated from, and of new ones whose data
        have what explains scales, by a formula or a column's name (where scales were given as
        values, or designs with ``transform=False``, new rows are of mean scale).
    var_obs, se_obs : DataFrame or Series
        var_pred_mean + var_resid, and its root: a new observation's error is independent of the
        coefficients.

    Notes
    -----
    Three layouts. A system of rows (n x K): DataFrames, rows by equations, and a
    `summary_frame` in long form, indexed by (row, equation). New data of a long panel: Series on
    the rows of the data. One equation: Series on its rows. Predictions are NaN in a row that
    misses something.

    Quantiles are those of the results: t with N - p_j - r degrees of freedom (heteroskedasticity
    and clusters: the fewest among the equation's coefficients), or normal.

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> data = load_grunfeld()
    >>> res = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", data, groups="firm", time="year", rank=2
    ... ).fit()
    >>> new = data[data["year"] == 1954]
    >>> made = res.get_prediction(new, equations=["IBM", "Goodyear"])
    >>> made.summary_frame().round(1)[["mean", "mean_se", "obs_ci_lower", "obs_ci_upper"]]
          mean  mean_se  obs_ci_lower  obs_ci_upper
    119  129.1      5.2         106.4         151.7
    179   62.8      5.1          39.0          86.5
    >>> made.cov_mean(1954).shape
    (2, 2)
    """

    _rows: NewRows
    _mean: np.ndarray
    _variance: np.ndarray
    _resid: Any  # of each piece, a number or one for each of its cells
    _df: np.ndarray | None  # of each piece; None: normal quantiles
    _covariance: ParameterCovariance
    _labels: Labels

    def __repr__(self) -> str:
        what = "equations" if len(self._rows.pieces) > 1 else "equation"
        return f"<SystemPrediction: {len(self._rows.index)} rows, {len(self._rows.pieces)} {what}>"

    @property
    def predicted_mean(self) -> pd.DataFrame | pd.Series:
        """x'beta_j."""
        return self._labelled(self._mean, "predicted_mean")

    @property
    def var_pred_mean(self) -> pd.DataFrame | pd.Series:
        """Variance x' V_j x of the predicted mean."""
        return self._labelled(self._variance, "var_pred_mean")

    @property
    def var_resid(self) -> pd.DataFrame | pd.Series:
        """Variance of an observation about its mean."""
        return self._labelled(self._rows.fill(self._resid), "var_resid")

    @property
    def var_obs(self) -> pd.DataFrame | pd.Series:
        """Variance of a new observation about the predicted mean."""
        return self._labelled(self._variances(obs=True), "var_obs")

    @property
    def se_mean(self) -> pd.DataFrame | pd.Series:
        """Standard error of the predicted mean."""
        return self._labelled(_root(self._variance), "se_mean")

    @property
    def se_obs(self) -> pd.DataFrame | pd.Series:
        """Standard error of a new observation."""
        return self._labelled(_root(self._variances(obs=True)), "se_obs")

    def conf_int(self, obs: bool = False, alpha: float = 0.05) -> pd.DataFrame:
        """Intervals of level 1 - ``alpha`` for the means or, with ``obs``, for new observations.

        Returns
        -------
        DataFrame
            Columns lower, upper; under each equation where equations are columns.

        Raises
        ------
        OptionError
        """
        lower, upper = self._interval(flag(obs, "obs"), alpha)
        if self._rows.columns is None:
            return pd.DataFrame({"lower": lower, "upper": upper}, index=self._rows.index)
        columns = pd.MultiIndex.from_product(
            [self._rows.columns, ["lower", "upper"]], names=["equation", None]
        )
        values = np.stack([lower, upper], axis=2).reshape(len(lower), -1)
        return pd.DataFrame(values, index=self._rows.index, columns=columns)

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Means, standard errors and intervals under statsmodels' column names.

        Returns
        -------
        DataFrame
            mean, mean_se, mean_ci_lower, mean_ci_upper, obs_ci_lower, obs_ci_upper; indexed by
            (row, equation) where equations are columns elsewhere, else by row.
        """
        mean, obs = self._interval(False, alpha), self._interval(True, alpha)
        index = self._rows.index
        if self._rows.columns is not None:
            K = len(self._rows.columns)
            index = pd.MultiIndex.from_arrays(
                [index.to_flat_index().repeat(K), np.tile(self._rows.columns, len(index))],
                names=[index.name if index.nlevels == 1 else None, "equation"],
            )
        return pd.DataFrame(
            {
                "mean": self._mean.ravel(),
                "mean_se": _root(self._variance).ravel(),
                "mean_ci_lower": mean[0].ravel(),
                "mean_ci_upper": mean[1].ravel(),
                "obs_ci_lower": obs[0].ravel(),
                "obs_ci_upper": obs[1].ravel(),
            },
            index=index,
        )

    def cov_mean(self, row: Any) -> pd.DataFrame:
        """Covariance between equations of the predicted means of one row.

        Parameters
        ----------
        row : label
            A label of the rows; of a long panel, a value of its time column.

        Returns
        -------
        DataFrame (m, m)
            x_j' V_jl x_l for the m equations predicted in that row; its diagonal is
            ``var_pred_mean``. Equations that miss something are NaN.

        Raises
        ------
        OptionError
            The label does not exist or is not unique.

        Notes
        -----
        Only m combinations of the coefficients are computed. Add ``res.sigma.to_dense()`` for the
        covariance of the observations, of a row of weight 1.
        """
        cells = self._rows.of_system(row)
        names = [self._labels.equations[j] for j, _ in cells]
        R = np.zeros((len(cells), self._labels.P))
        for line, (j, x) in zip(R, cells, strict=True):
            line[self._labels.columns(j)] = x
        complete = np.flatnonzero(np.isfinite(R).all(axis=1))
        V = np.full((len(cells), len(cells)), np.nan)
        if complete.size:
            V[np.ix_(complete, complete)] = self._covariance.combinations(R[complete])
        return pd.DataFrame(V, index=names, columns=names)

    def _labelled(self, values: np.ndarray, name: str) -> pd.DataFrame | pd.Series:
        return self._rows.label(values.copy(), name)

    def _variances(self, obs: bool) -> np.ndarray:
        return self._variance + self._rows.fill(self._resid) if obs else self._variance

    def _interval(self, obs: bool, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        tail = 1.0 - level(alpha) / 2.0
        if self._df is None:
            quantile: Any = stats.norm.ppf(tail)
        else:
            quantile = self._rows.fill(np.atleast_1d(stats.t.ppf(tail, self._df)))
        half = quantile * _root(self._variances(obs))
        return self._mean - half, self._mean + half


def _root(variance: np.ndarray) -> np.ndarray:
    """Standard errors; NaN where a two-way clustered variance is negative."""
    return np.sqrt(np.where(variance >= 0.0, variance, np.nan))


@dataclass(frozen=True, eq=False, repr=False)
class MeansPrediction(SystemPrediction):
    """A `SystemPrediction` of means that depend on laws of the errors, their parameters with it.

    ``se_mean`` has what estimating the coefficients and the laws' parameters adds, by the delta
    method.
    """

    _means: RowMeans
    _places: Sequence[tuple[int, np.ndarray]]  # equation and rows of the table, piece by piece

    @classmethod
    def of(
        cls,
        estimate: Estimate,
        rows: NewRows,
        places: Sequence[tuple[int, np.ndarray]],
        means: RowMeans,
        resid: np.ndarray,
    ) -> MeansPrediction:
        """Of rows to predict, which are ``places`` of a table with means and variances (T, K)."""
        wanted = np.zeros(means.mean.shape, dtype=bool)
        for j, t in places:
            wanted[t, j] = True
        variance = means.variances(wanted)
        correction = np.square(estimate.df.correction)
        at = [j for j, _ in places]
        return cls(
            rows,
            frozen(rows.fill(means.mean[t, j] for j, t in places)),
            frozen(rows.fill(variance[t, j] for j, t in places)),
            [frozen(resid[t, j] * correction[j]) for j, t in places],
            frozen(df_of_equations(estimate)[at]) if estimate.use_t else None,
            covariance(estimate),
            estimate.labels,
            means,
            places,
        )

    def cov_mean(self, row: Any) -> pd.DataFrame:
        """Covariance between equations of the means of one row, as `SystemPrediction.cov_mean`."""
        cells = [(self._places[i][0], self._places[i][1][n]) for i, n in self._rows.cells_at(row)]
        equations = np.array([j for j, _ in cells])
        names = [self._labels.equations[j] for j in equations]
        value = self._means.joint(cells[0][1], equations)
        return pd.DataFrame(value, index=names, columns=names)


def frozen(values: np.ndarray) -> np.ndarray:
    """A copy that cannot be written to."""
    values = np.array(values)
    values.flags.writeable = False
    return values
