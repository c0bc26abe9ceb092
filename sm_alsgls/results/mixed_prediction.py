"""Predictions of a mixed model, for the population and for groups, with their errors.

Of a row (x, z) the population's mean is x'b. A group's own is x'b + z'b_i, of which the best
predictor is x'bhat + z'bhat_i, and its error

    a'(bhat - b) + z'(bhat_i(b) - b_i),      a = x - B_i G z,

has two uncorrelated parts, since what is left of b_i is uncorrelated with all responses:

    var = a'V a + z' var(b_i | y_i) z        (Henderson 1975; V of the results' ``cov_type``)

A group of which nothing was seen has bhat_i = 0 and the variance G; so has an observation of
the population, which varies by x'V x + z'G z + s2.

t quantiles are Satterthwaite's for the whole variance v: df = 2 v^2 / (g'A g), A the inverse of
the information of (phi, theta, log s2), v with C whatever V is: Kenward and Roger's degrees of
freedom, which the population's mean has, are of C as well. With the predictor's weights held, which
are the best ones,

    dv/dG = C' dG C summed over groups = a' dC/dG a - 2 u'dG k + k'dG k,
    u = B_i C a / s2,  k = (I - W_i Gamma) z;      dv / dlog s2 = v

as G / s2 is a parameter of its own. Parameters of the residual law move v through C and through the
rows of the group (`core.mixed.effects.moved_by_law`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import flag
from sm_alsgls.border.arguments import level as level_of
from sm_alsgls.core.mixed.information import free, slopes_of_b
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.coefficients import df_of
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.mixed_factors import moved_by
from sm_alsgls.results.mixed_placed import Placed
from sm_alsgls.results.prediction import frozen

Array = np.ndarray

#: Whose mean is predicted.
LEVELS = ("population", "group")
# Numbers that are gathered row by row at a time.
_PIECE = 1 << 21


def prediction(estimate: MixedEstimate, at: Placed, wanted: str) -> MixedPrediction:
    """Means, variances and degrees of freedom of placed rows."""
    rows, seen, codes = at.rows, at.seen, at.codes
    n, own = len(rows.X), wanted == "group"
    V, precision = covariance(estimate).dense(), estimate.fit.H / estimate.scale
    mean, of_mean = rows.X @ estimate.params, np.empty(n)
    groups = np.full(n, np.nan) if rows.Z is None else np.empty(n)
    A = rows.X.copy()
    Z = rows.Z
    for piece in _pieces(estimate, n):
        if Z is not None:
            z, which = Z[piece], codes[piece]
            groups[piece] = np.einsum("nq,nqk,nk->n", z, seen.conditional[which], z, optimize=True)
            if own:
                mean[piece] += np.einsum("nq,nq->n", z, seen.mean[which])
                A[piece] += np.einsum("npq,nq->np", seen.with_b[which], z) @ precision
        of_mean[piece] = np.einsum("np,pk,nk->n", A[piece], V, A[piece], optimize=True)
    return MixedPrediction(
        estimate,
        wanted,
        rows.index,
        frozen(mean),
        frozen(of_mean + groups if own else of_mean),
        frozen(np.zeros(n) if own else groups),
        at.resid,
        frozen(A),
        at,
    )


def _pieces(estimate: MixedEstimate, n: int) -> list[slice]:
    q = len(estimate.names_re)
    step = max(1, _PIECE // (q * (q + estimate.labels.P)))
    return [slice(start, start + step) for start in range(0, n, step)]


@kept
def slopes_of_coefficients(estimate: MixedEstimate) -> Array:
    """Slopes of C in what is free of (phi, theta, log s2), (size, p, p)."""
    return slopes_of_b(estimate.fit)[free(estimate.fit)]


@dataclass(frozen=True, eq=False, repr=False)
class MixedPrediction:
    """Predicted means of a mixed model, their standard errors, and intervals.

    Made by `LowRankMixedLMResults.get_prediction`.

    Attributes
    ----------
    level : {"population", "group"}
    predicted_mean : Series (n,)
    var_pred_mean, se_mean : Series (n,)
        Mean squared error of the predicted mean about x'b or, of groups, x'b + z'b_i.
    var_resid : Series (n,)
        Residual variance of the row.
    var_obs, se_obs : Series (n,)
        Of an observation about the predicted mean: of the population, with z'Gz of its group.

    Notes
    -----
    NaN in a row that misses something. Quantiles are t with Satterthwaite's degrees of freedom
    for each variance, or normal where the results do not ``use_t``.
    """

    _estimate: MixedEstimate
    level: str
    _index: pd.Index
    _mean: Array
    _variance: Array
    _between: Array  # z'Gz of an observation of the population
    _resid: Array | None
    _a: Array
    _at: Placed

    def __repr__(self) -> str:
        return f"<MixedPrediction: {len(self._index)} rows, level {self.level!r}>"

    @property
    def groups(self) -> np.ndarray | None:
        """Labels of the rows' groups (n,), of new rows of groups."""
        return self._at.rows.groups

    @property
    def levels_unknown(self) -> bool:
        """Whether residual variances differ and rows do not say of which level they are."""
        return self._resid is None

    @property
    def predicted_mean(self) -> pd.Series:
        """x'b or, of groups, x'b + z'bhat_i."""
        return self._labelled(self._mean.copy(), "predicted_mean")

    @property
    def var_pred_mean(self) -> pd.Series:
        """Mean squared error of the predicted mean."""
        return self._labelled(self._variance.copy(), "var_pred_mean")

    @property
    def var_resid(self) -> pd.Series:
        """Residual variance of each row."""
        return self._labelled(self._residual().copy(), "var_resid")

    @property
    def var_obs(self) -> pd.Series:
        """Variance of an observation about the predicted mean."""
        return self._labelled(self._variances(True), "var_obs")

    @property
    def se_mean(self) -> pd.Series:
        """Root of ``var_pred_mean``."""
        return self._labelled(_root(self._variance), "se_mean")

    @property
    def se_obs(self) -> pd.Series:
        """Root of ``var_obs``."""
        return self._labelled(_root(self._variances(True)), "se_obs")

    def df(self, obs: bool = False) -> pd.Series:
        """Degrees of freedom behind the intervals of means, or of observations.

        Infinite where quantiles are normal.
        """
        return self._labelled(self._df(flag(obs, "obs")), "df")

    def conf_int(self, obs: bool = False, alpha: float = 0.05) -> pd.DataFrame:
        """Intervals of level 1 - ``alpha`` for means or, with ``obs``, for observations.

        Returns
        -------
        DataFrame (n, 2)
            Columns lower, upper.

        Raises
        ------
        OptionError
        """
        lower, upper = self._interval(flag(obs, "obs"), alpha)
        return pd.DataFrame({"lower": lower, "upper": upper}, index=self._index)

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Means, standard errors and intervals under statsmodels' column names.

        Returns
        -------
        DataFrame (n, 6)
            mean, mean_se, mean_ci_lower, mean_ci_upper, obs_ci_lower, obs_ci_upper.
        """
        mean, obs = self._interval(False, alpha), self._interval(True, alpha)
        return pd.DataFrame(
            {
                "mean": self._mean,
                "mean_se": _root(self._variance),
                "mean_ci_lower": mean[0],
                "mean_ci_upper": mean[1],
                "obs_ci_lower": obs[0],
                "obs_ci_upper": obs[1],
            },
            index=self._index,
        )

    def _labelled(self, values: Array, name: str) -> pd.Series:
        return pd.Series(values, index=self._index, name=name)

    def _residual(self) -> Array:
        if self._resid is None:
            labels = list(getattr(self._estimate.fit.law, "labels", []))
            raise OptionError(
                "residual variances differ between levels, and the rows do not say of which they "
                f"are: pass residual= to get_prediction, with labels such as {labels[0]!r}"
            )
        return self._resid

    def _variances(self, obs: bool) -> Array:
        if not obs:
            return self._variance
        if self._at.rows.Z is None:
            raise OptionError(
                "an observation of the population varies with its group: pass exog_re=, the "
                "regressors of the random effects, or data that have the columns of re_formula"
            )
        return self._variance + self._between + self._residual()

    def _interval(self, obs: bool, alpha: float) -> tuple[Array, Array]:
        tail, df = 1.0 - level_of(alpha) / 2.0, self._df(obs)
        quantile = np.where(np.isinf(df), stats.norm.ppf(tail), stats.t.ppf(tail, df))
        half = quantile * _root(self._variances(obs))
        return self._mean - half, self._mean + half

    def _df(self, obs: bool) -> Array:
        n, estimate = len(self._index), self._estimate
        if not estimate.use_t:
            return np.full(n, np.inf)
        there = np.isfinite(self._mean)
        df = np.full(n, np.nan)
        if self.level == "population" and not obs:
            df[there] = df_of(estimate, self._a[there])
            return df
        more = covariance(estimate).dense() - estimate.fit.cov_b
        v = self._variances(obs) - np.einsum("np,pk,nk->n", self._a, more, self._a, optimize=True)
        slopes, information = moved_by(estimate)
        for piece in _pieces(estimate, n):
            g = self._slopes(piece, v, obs, slopes)
            spread = np.einsum("na,ab,nb->n", g, information, g, optimize=True)
            own = v[piece]
            df[piece] = np.divide(
                2.0 * own**2, spread, out=np.full(len(own), np.inf), where=spread > 0.0
            )
        return np.where(there, df, np.nan)

    def _slopes(self, piece: slice, v: Array, obs: bool, slopes: Array) -> Array:
        """dv / d(phi, theta, log s2), (n, size), of what is free; see the module."""
        estimate, at = self._estimate, self._at
        fit, A, Z, codes = estimate.fit, self._a[piece], at.rows.Z, at.codes[piece]
        assert Z is not None
        of_b = slopes_of_coefficients(estimate)
        g = np.einsum("np,apk,nk->na", A, of_b, A, optimize=True)
        k = np.einsum("nqk,nk->nq", at.seen.left[codes], Z[piece])
        if self.level == "group":
            u = np.einsum("nqp,np->nq", at.seen.B[codes], A @ fit.cov_b) / fit.s2
            outer = np.einsum("nq,nk->nqk", k - 2.0 * u, k)
        else:
            outer = np.einsum("nq,nk->nqk", Z[piece], Z[piece])
        g += outer.reshape(len(outer), -1) @ slopes.reshape(len(slopes), -1).T
        g[:, -1] = v[piece]
        moves, size = free(fit), fit.structure.size
        where = np.cumsum(moves) - 1
        if self.level == "group":
            z = Z[piece]
            for t in np.flatnonzero(moves[size:-1]):
                cross, own = at.seen.cross[codes, t], at.seen.own[codes, t]
                moved = 2.0 * np.einsum("np,npq,nq->n", A @ fit.cov_b, cross, z, optimize=True)
                moved += fit.s2 * np.einsum("nq,nqk,nk->n", z, own, z, optimize=True)
                g[:, where[size + t]] += moved
        of_law = fit.law.variance_slopes(fit.theta)
        if obs and of_law.any() and at.rows.levels is not None:
            for t in np.flatnonzero(moves[size:-1]):
                g[:, where[size + t]] += fit.s2 * of_law[t, at.rows.levels[piece]]
        return g


def _root(variance: Array) -> Array:
    return np.sqrt(np.where(variance >= 0.0, variance, np.nan))
