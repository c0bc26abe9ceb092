"""Results as models of marginaleffects: predictions, comparisons and slopes with our covariances.

marginaleffects knows models by the package that made them, and asks of one its data, coefficients
with their covariance, and fitted values of new rows at any coefficients. A fitted value here is
x_j(row)' b_j.

Standard errors it has by differences in b, with steps of 1.5e-8 of a coefficient. Slopes are
themselves differences over 1e-4 of a range, and what rounding leaves of a difference of both kinds
is noise: of Grunfeld's firms one has .109 for a standard error of .021. Fitted values are linear,
so larger steps are no worse. Since the step is relative to what it takes for the coefficients, it
is given theta = b + c, c so large that steps are `STEP` of each; b is theta less c at its own
point exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.frames import table, with_levels
from sm_alsgls.exceptions import MissingExtraError, NotApplicableError, SystemInputError
from sm_alsgls.formula.replay import replay
from sm_alsgls.formula.text import mentioned
from sm_alsgls.results.estimate import Estimate, estimate_of
from sm_alsgls.results.new_rows import rows_of_system
from sm_alsgls.results.prediction import predict_rows

#: Of a coefficient, or of its standard error where that is larger.
STEP = 1e-3


def adapt(results: Any, data: Any) -> Any:
    """What ``marginaleffects`` takes as a model.

    Parameters
    ----------
    results : LowRankSURResults, LowRankPanelResults, LowRank3SLSResults or LowRankMixedLMResults
        Of a model that formulas made.
    data : DataFrame of pandas, polars or another library
        The rows to average over by default, as they were given to the model: results do not hold
        them. Rows that miss a regressor are left out, as marginaleffects does.

    Returns
    -------
    marginaleffects.classes.ModelAbstract
        For ``predictions``, ``comparisons``, ``slopes`` and their averages. In a long panel every
        row is of its own equation, and ``by="firm"`` averages within equations. Where the
        equations share rows, each row has an estimate in every equation, whose name is in the
        column ``group``. ``vcov=True`` is the covariance of ``results``; a text is a ``cov_type``
        of its `get_robustcov_results`; or a matrix. Intervals take one number of degrees of
        freedom, the fewest among the equations, and none where ``use_t`` is False. Of a mixed
        model these are the population's, X b.

    Raises
    ------
    MissingExtraError
        marginaleffects is not installed.
    NotApplicableError
        Fitted values are not X b of a row: spatial lags, and ``lag()`` in formulas, of which
        counterfactual rows have none.
    SystemInputError
        The model was made from arrays, so that no variables are known.

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.adapters.marginaleffects import adapt
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> data = load_grunfeld()
    >>> res = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", data, groups="firm", time="year", rank=2
    ... ).fit()
    >>> from marginaleffects import avg_slopes  # doctest: +SKIP
    >>> avg_slopes(adapt(res, data), variables="value", by="firm")  # doctest: +SKIP
    """
    model_of, vault_of = _classes()
    formula = results.model.formula_system
    if formula is None:
        raise SystemInputError(
            "marginaleffects varies variables of formulas, and this model was made from arrays; "
            "make it with from_formula"
        )
    if any(spec.key is not None for spec in formula.specs):
        raise NotApplicableError(
            "the formula has lag(), lead() or diff(), and counterfactual rows have no rows before "
            "them; make columns of the lags first"
        )
    frame = with_levels(table(data), (formula.groups, formula.time)).reset_index(drop=True)
    sides = [spec.formula.partition("~") for spec in formula.specs]
    predictors = [
        name
        for name in mentioned(" ".join(right for _, _, right in sides), frame.columns)
        if name != formula.groups
    ]
    response = (mentioned(sides[0][0], frame.columns) or [sides[0][0].strip()])[0]
    frame = frame.dropna(subset=predictors).reset_index(drop=True)
    vault = vault_of(
        coef=_shifted(results),
        coefnames=np.asarray(results.params.index),
        # Called by nobody: a text would be read by another engine than that of the model.
        formula=_read_by_the_model,
        modeldata=_polars(frame),
        package="sm_alsgls",
        variable_names=[response, *predictors],
    )
    made = model_of(results, vault)
    made.labels = {str(name): _labels(frame[name]) for name in frame.columns}
    made.check(frame)
    return made


def _shifted(results: Any) -> np.ndarray:
    """theta, (P,), whose steps of sqrt(eps) theta are `STEP` of b."""
    b = np.asarray(results.params)
    size = np.maximum(np.abs(b), np.asarray(results.bse))
    return np.asarray(b + STEP / np.sqrt(np.finfo(float).eps) * np.where(size > 0.0, size, 1.0))


def _read_by_the_model(*_: Any) -> Any:
    raise NotApplicableError("designs are made by the formulas of the model itself")


@cache
def _classes() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The class of adapted models, and marginaleffects' own of what is known of one."""
    try:
        from marginaleffects.classes import ModelAbstract, ModelVault
    except ImportError as error:
        raise MissingExtraError(
            "marginaleffects is not installed: pip install marginaleffects, or "
            "'sm_alsgls[integrations]'"
        ) from error
    return type("LowRankModel", (_Bridge, ModelAbstract), {}), ModelVault


def _labels(column: pd.Series) -> dict[str, Any]:
    """What each text stands for in a column that holds no numbers, in the order of its levels."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return {}
    levels = column.cat.categories if hasattr(column, "cat") else sorted(set(column.dropna()))
    return {str(level): level for level in levels}


def _polars(frame: pd.DataFrame) -> Any:
    """The frame as marginaleffects keeps it, which takes no text but of levels."""
    import polars

    columns = {}
    for name in frame.columns:
        levels, column = _labels(frame[name]), frame[name]
        if levels:
            told = [
                None if missing else str(v)
                for v, missing in zip(column, column.isna(), strict=True)
            ]
            columns[str(name)] = polars.Series(told, dtype=polars.Enum(list(levels)))
        else:
            columns[str(name)] = polars.Series(column.to_numpy(), nan_to_null=True)
    return polars.DataFrame(columns)


class _Rows:
    """New rows, whose designs are made once for all the coefficients that are tried."""

    def __init__(self, results: Any, frame: pd.DataFrame) -> None:
        self._results, self._frame = results, frame

    def __getitem__(self, at: slice) -> _Rows:
        return _Rows(self._results, self._frame.iloc[at].reset_index(drop=True))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the data."""
        return self._frame.shape

    @cached_property
    def _designs(self) -> Callable[[np.ndarray], np.ndarray]:
        model, estimate = self._results.model, estimate_of(self._results)
        if estimate is not None:
            return _of_system(estimate, rows_of_system(model, self._frame, True, None))
        formula = model.formula_system
        X = replay(formula.specs[:1], self._frame, formula.scope)[0].to_numpy()
        return lambda params: np.asarray(X @ params)

    def fitted(self, params: np.ndarray) -> np.ndarray:
        """Fitted values (n,), or (n, K) where equations share rows."""
        return self._designs(params)


def _of_system(estimate: Estimate, rows: Any) -> Callable[[np.ndarray], np.ndarray]:
    labels = estimate.labels
    return lambda params: np.asarray(predict_rows(labels.by_equation(params), rows))


class _Bridge:
    """What marginaleffects asks of a model, answered by ``model``, the results."""

    model: Any
    vault: Any
    labels: dict[str, dict[str, Any]]

    @property
    def df_resid(self) -> float:
        """Degrees of freedom of its intervals; marginaleffects knows one number."""
        if not self.model.use_t:
            return float("inf")
        return float(getattr(self.model, "df_resid_inference", self.model.df_resid))

    def check(self, frame: pd.DataFrame) -> None:
        """Raise NotApplicableError where fitted values are more than X b."""
        found = _Rows(self.model, frame).fitted(np.asarray(self.model.params))
        told = np.asarray(self.model.predict(frame))
        scale = np.nanmax(np.abs(told), initial=1.0)
        if found.shape != told.shape or not np.allclose(found, told, atol=1e-8 * scale):
            raise NotApplicableError(
                "fitted values of this model are more than its regressors times coefficients "
                "(neighbours' responses are part of them), and marginaleffects would vary a part "
                "of them only; use predict(), spatial effects and nlcom()"
            )

    def get_exog(self, newdata: Any) -> _Rows:
        """Designs of new rows."""
        columns = {}
        for name in newdata.columns:
            values, labels = newdata[name].to_list(), self.labels.get(name)
            columns[name] = [labels.get(one, one) for one in values] if labels else values
        return _Rows(self.model, pd.DataFrame(columns))

    def get_predict(self, params: np.ndarray, newdata: Any) -> Any:
        """Columns rowid and estimate; with ``group``, the equation, where equations share rows."""
        import polars

        rows = newdata if isinstance(newdata, _Rows) else self.get_exog(newdata)
        estimates = np.asarray(self.model.params)
        fitted = rows.fitted(estimates + (np.asarray(params) - self.vault.coef))
        n = len(fitted)
        if fitted.ndim == 1:
            made = {"rowid": np.arange(n, dtype=np.int32), "estimate": fitted}
            return polars.DataFrame(made)
        names = self.model.model.equations
        return polars.DataFrame(
            {
                "rowid": np.tile(np.arange(n, dtype=np.int32), len(names)),
                "group": np.repeat(np.array(names, dtype=object), n).tolist(),
                "estimate": fitted.ravel("F"),
            }
        )

    def get_vcov(self, vcov: Any = True) -> np.ndarray | None:
        """Covariance of the coefficients (P, P)."""
        if vcov is False or vcov is None:
            return None
        found = self.model if vcov is True else self.model.get_robustcov_results(vcov)
        return np.asarray(found.cov_params())
