"""Predictions of a mixed model, for the population and for groups, with their errors.

Of a row (x, z) the population's mean is x'b. A group's own is x'b + z'b_i, of which the best
predictor is x'bhat + z'bhat_i, and its error

    a'(bhat - b) + z'(bhat_i(b) - b_i),      a = x - B_i G z,

has two uncorrelated parts, since what is left of b_i is uncorrelated with all responses:

    var = a'V a + z' var(b_i | y_i) z        (Henderson 1975; V of the results' ``cov_type``)

A group of which nothing was seen has bhat_i = 0 and the variance G; so has an observation of
the population, which varies by x'V x + z'G z + s2.

t quantiles are Satterthwaite's for the whole variance v: df = 2 v^2 / (g'A g), A the inverse of
the information of (phi, theta, log s2). With the predictor's weights held, which are the best ones,

    dv/dG = C' dG C summed over groups = a' dC/dG a - 2 u'dG k + k'dG k,
    u = B_i C a / s2,  k = (I - W_i Gamma) z;      dv / dlog s2 = v

as G / s2 is a parameter of its own. Parameters of the residual law move v through C only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import choice, flag
from sm_alsgls.border.arguments import level as level_of
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.effects import effects, left_of_change
from sm_alsgls.core.mixed.information import free, slopes_of_b
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.coefficients import df_of
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.mixed_effects import effects_of_groups
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.mixed_factors import moved_by
from sm_alsgls.results.mixed_new_rows import MixedRows, group_codes, read_observed, read_rows
from sm_alsgls.results.mixed_rows import level_ratios, variances
from sm_alsgls.results.prediction import frozen

Array = np.ndarray

#: Whose mean is predicted.
LEVELS = ("population", "group")
# Numbers that are gathered row by row at a time.
_PIECE = 1 << 21


def predict(
    estimate: MixedEstimate,
    exog: Any = None,
    transform: bool = True,
    *,
    groups: Any = None,
    level: str | None = None,
    exog_re: Any = None,
    observed: Any = None,
) -> pd.Series:
    """Means of rows: of the population, x'b, or of groups, x'b + z'bhat_i.

    Parameters
    ----------
    exog : optional
        None for the estimation rows. For a model made from formulas a DataFrame with its
        variables; otherwise regressors as the constructor takes them.
    transform : bool
        False takes design matrices although the model has formulas.
    groups : str, array_like or Series, optional
        Whose each row is: labels, or the name of a column. Default, where groups are asked for:
        the column that the model's groups came from. A group that the model has not seen has
        the population's mean.
    level : {"population", "group"}, optional
        Default: "group" where ``groups`` or ``observed`` is given, else "population", as MixedLM.
    exog_re : array_like (n, q), Series or DataFrame, optional
        Regressors of the random effects, of a model without formulas; default the columns of
        ``exog`` with their names, or the constant.
    observed : DataFrame or mapping, optional
        Rows with responses of groups that the model has not seen: their effects are predicted
        from these, at the estimated coefficients and variances. A DataFrame, or a mapping with
        endog, exog, groups and, as the model has them, exog_re and residual.

    Returns
    -------
    Series (n,)
        NaN in a row that misses something.

    Raises
    ------
    OptionError, ShapeError, FormulaError, UnseenLevelError

    Notes
    -----
    Errors that follow time within groups (``ar``) are taken as zero: nothing is forecast of them.

    Examples
    --------
    >>> from sm_alsgls import LowRankMixedLM
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> data = load_sleepstudy()
    >>> res = LowRankMixedLM.from_formula("Reaction ~ Days", data, "~ Days", groups="Subject").fit()
    >>> new = data.iloc[[9, 19]]
    >>> res.predict(new).round(1).tolist(), res.predict(new, level="group").round(1).tolist()
    ([345.6, 345.6], [430.7, 227.8])
    """
    wanted = _level(level, groups, observed)
    at = _rows(estimate, exog, transform, groups, exog_re, None, wanted, observed, True)
    mean = at.rows.X @ estimate.params
    if wanted == "group":
        assert at.rows.Z is not None
        mean = mean + np.einsum("nq,nq->n", at.rows.Z, at.seen.mean[at.codes])
    return pd.Series(mean, index=at.rows.index)


def get_prediction(
    estimate: MixedEstimate,
    exog: Any = None,
    transform: bool = True,
    *,
    groups: Any = None,
    level: str | None = None,
    exog_re: Any = None,
    residual: Any = None,
    observed: Any = None,
) -> MixedPrediction:
    """Means with standard errors, intervals for them and for observations.

    Parameters
    ----------
    exog, transform, groups, level, exog_re, observed : optional
        As of `predict`.
    residual : str, array_like or Series, optional
        Level of the residual variance of each new row, where the model has levels that formulas
        do not make of the data.

    Returns
    -------
    MixedPrediction

    Raises
    ------
    OptionError, ShapeError, FormulaError, UnseenLevelError

    Notes
    -----
    At level "population" an observation is one of a new group: it varies by x'Vx + z'Gz + s2. At
    level "group" means are x'b + z'b_i, with what is not known of b_i, and an observation is one
    more of that group. New rows have weight 1.

    Examples
    --------
    >>> from sm_alsgls import LowRankMixedLM
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> data = load_sleepstudy()
    >>> res = LowRankMixedLM.from_formula("Reaction ~ Days", data, "~ Days", groups="Subject").fit()
    >>> for level in ("population", "group"):
    ...     made = res.get_prediction(data.iloc[[9]], level=level).summary_frame()
    ...     print(made[["mean", "mean_se", "obs_ci_lower", "obs_ci_upper"]].round(0).to_numpy())
    [[346.  15. 208. 484.]]
    [[431.  14. 372. 489.]]
    """
    wanted = _level(level, groups, observed)
    at = _rows(estimate, exog, transform, groups, exog_re, residual, wanted, observed, False)
    return _prediction(estimate, at, wanted)


def _level(level: str | None, groups: Any, observed: Any) -> str:
    if level is not None:
        level = choice(level, "level", LEVELS)
        if level == "population" and observed is not None:
            raise OptionError(
                "observed= is of groups, whose own means level='group' predicts; leave one out"
            )
        return level
    return "population" if groups is None and observed is None else "group"


class Seen(NamedTuple):
    """Effects of some groups, the last of which nothing is known.

    ``B`` (g, q, p) is zero for a group whose rows b was not estimated from; `left` is K_i.
    """

    mean: Array
    conditional: Array
    with_b: Array
    B: Array
    left: Array


class Placed(NamedTuple):
    """Rows, their groups among those of ``seen``, and their residual variances if known."""

    rows: MixedRows
    codes: Array
    seen: Seen
    resid: Array | None


def _rows(
    estimate: MixedEstimate,
    exog: Any,
    transform: bool,
    groups: Any,
    exog_re: Any,
    residual: Any,
    wanted: str,
    observed: Any,
    means: bool,
) -> Placed:
    """What `predict` was given."""
    own = wanted == "group"
    if exog is None:
        for name, value in (("groups", groups), ("exog_re", exog_re), ("residual", residual)):
            if value is not None:
                raise OptionError(f"{name}= goes with new rows, and exog= is missing")
        kept_rows = estimate.rows
        back = kept_rows.restored
        rows = MixedRows(kept_rows.index, back(kept_rows.X), back(kept_rows.Z), None, None)
        codes = back(kept_rows.codes)
        resid: Array | None = back(variances(estimate))
    else:
        rows = read_rows(
            estimate, exog, transform, groups=groups, exog_re=exog_re, residual=residual,
            random=own, try_random=not means,
        )  # fmt: skip
        codes = np.full(len(rows.X), -1)
        if own:
            assert rows.groups is not None
            codes = group_codes(estimate, rows.groups)
        resid = _residual_variances(estimate, rows)
    if not own:
        codes = np.full(len(rows.X), -1)
    products: CrossProducts | None = None
    places: dict[object, int] = {}
    if observed is not None:
        products, places = _products(estimate, read_observed(estimate, observed))
        assert rows.groups is not None
        new = np.array([places.get(label, -1) for label in rows.groups], dtype=int)
        codes = np.where(new >= 0, new + len(estimate.groups), codes)
    used, inverse = np.unique(codes, return_inverse=True)
    found = _seen(estimate, used[used >= 0], products, means)
    codes = np.where(codes < 0, len(found.mean) - 1, inverse - (used < 0).sum())
    return Placed(rows, codes, found, resid)


def _residual_variances(estimate: MixedEstimate, rows: MixedRows) -> Array | None:
    """Of new rows, of weight 1; None where their levels are not known."""
    ratios = level_ratios(estimate)
    if len(ratios) == 1:
        return np.full(len(rows.X), estimate.scale)
    if rows.levels is None:
        return None
    found = estimate.scale * np.append(ratios, np.nan)[rows.levels]
    return np.asarray(found)


def _products(estimate: MixedEstimate, rows: MixedRows) -> tuple[CrossProducts, dict[object, int]]:
    """Products of rows of new groups, and the number of each."""
    fit = estimate.fit
    if not fit.law.independent:
        raise OptionError(
            "observed: errors follow time within groups, and products of new rows that follow "
            "each other are not made; fit the model with these rows"
        )
    assert rows.groups is not None
    assert rows.Z is not None
    assert rows.y is not None
    codes, labels = pd.factorize(rows.groups)
    made = CrossProducts.of_rows(
        rows.Z, rows.X, rows.y, codes, len(labels), fit.law, rows.levels, None, fit.products.basis
    )
    return made, {label: i for i, label in enumerate(labels)}


def _seen(
    estimate: MixedEstimate, used: Array, products: CrossProducts | None, means: bool
) -> Seen:
    """Effects of the groups that are used, those of ``products`` numbered from m on."""
    fit, m = estimate.fit, len(estimate.groups)
    q, p = len(estimate.names_re), estimate.labels.P
    own, new = used[used < m], used[used >= m] - m
    empty = Seen(
        np.zeros((1, q)), fit.G[None], np.zeros((1, p, q)), np.zeros((1, q, p)), np.eye(q)[None]
    )
    parts = []
    if len(own):
        found = effects_of_groups(estimate)
        parts.append(
            Seen(
                found.mean[own],
                found.conditional[own],
                found.with_b[own],
                np.zeros((len(own), q, p)) if means else fit.B[own],
                np.zeros((len(own), q, q)) if means else left_of_change(fit)[own],
            )
        )
    if len(new) and products is not None:
        found = effects(fit, products)
        parts.append(
            Seen(
                found.mean[new],
                found.conditional[new],
                found.with_b[new],
                np.zeros((len(new), q, p)),
                left_of_change(fit, products)[new],
            )
        )
    return Seen(*(np.concatenate(arrays) for arrays in zip(*parts, empty, strict=True)))


def _prediction(estimate: MixedEstimate, at: Placed, wanted: str) -> MixedPrediction:
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
                "regressors of the random effects"
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
        v = self._variances(obs)
        slopes, information = moved_by(estimate)
        for piece in _pieces(estimate, n):
            g = self._slopes(piece, obs, slopes)
            spread = np.einsum("na,ab,nb->n", g, information, g, optimize=True)
            own = v[piece]
            df[piece] = np.divide(
                2.0 * own**2, spread, out=np.full(len(own), np.inf), where=spread > 0.0
            )
        return np.where(there, df, np.nan)

    def _slopes(self, piece: slice, obs: bool, slopes: Array) -> Array:
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
        g[:, -1] = self._variances(obs)[piece]
        if obs and fit.law.size and fit.law.independent and at.rows.levels is not None:
            moved = -fit.law.slopes(fit.theta) / fit.law.weights(fit.theta) ** 2
            size = fit.structure.size
            where = np.cumsum(free(fit)) - 1
            for t in np.flatnonzero(free(fit)[size:-1]):
                g[:, where[size + t]] += fit.s2 * moved[t, at.rows.levels[piece]]
        return g


def _root(variance: Array) -> Array:
    return np.sqrt(np.where(variance >= 0.0, variance, np.nan))
