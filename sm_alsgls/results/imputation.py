"""Holes of the estimation rows filled, and cells foretold by the others of their row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import flag
from sm_alsgls.results import row_means
from sm_alsgls.results.conditional import Conditional
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.in_sample import by_row
from sm_alsgls.results.new_rows import rows_of_system


@dataclass(frozen=True, eq=False)
class Imputation:
    """Responses with their holes filled.

    Attributes
    ----------
    values : DataFrame (N, K)
        Responses; E[y_nj | the row's other responses] where one is missing, NaN where its
        regressors are missing too.
    se : DataFrame (N, K)
        Standard errors of the filled responses about their values; 0 where one was observed.
    filled : DataFrame of bool (N, K)
        Which cells were filled.
    """

    values: pd.DataFrame
    se: pd.DataFrame
    filled: pd.DataFrame

    def __repr__(self) -> str:
        return f"<Imputation: {int(self.filled.to_numpy().sum())} cells filled>"


def _of_estimation_rows(estimate: Estimate) -> Conditional:
    rows = rows_of_system(estimate.model, None, True, None)
    return Conditional.of(estimate, rows, None, True, True)


def impute(estimate: Estimate) -> Imputation:
    """The holes of the estimation rows, filled from what their rows have.

    Returns
    -------
    Imputation
        ``values``, ``se`` and ``filled``. A value is known to about ``se`` only: estimates
        from filled data that take it for observed understate theirs. Beyond 4,000
        coefficients ``se`` leaves out what estimating them adds. With ``weights=`` a missing
        response has the weight that was given for its cell, the mean one where none was.
        Where errors are autoregressive the row's other responses are used, not the rows around it.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.simulate import simulate_sur
    >>> made = simulate_sur(100, 8, 2, rank=1, rng=0)
    >>> Y = np.array(made.endog)
    >>> Y[np.random.default_rng(0).random(Y.shape) < 0.2] = np.nan
    >>> res = LowRankSUR(Y, made.exog, 1, missing="fiml").fit()
    >>> whole = res.impute()
    >>> int(np.isnan(Y).sum()), int(whole.values.isna().sum().sum())
    (158, 0)
    """
    made = _of_estimation_rows(estimate)
    mask, Y, mean = estimate.sample.cells.mask, estimate.model.endog, made.mean
    filled = np.zeros(Y.shape, dtype=bool) if mask is None else np.isnan(Y) & np.isfinite(mean)
    variance = made.variance * np.square(estimate.df.correction)
    if filled.any() and estimate.labels.P <= row_means.DENSE:
        variance = variance + made.of_means(filled)
    se = np.sqrt(variance)
    left = np.isnan(Y) & ~filled
    return Imputation(
        by_row(estimate, np.where(filled, mean, Y)),
        by_row(estimate, np.where(filled, se, np.where(left, np.nan, 0.0))),
        by_row(estimate, filled),
    )


def leave_one_out(estimate: Estimate, standardised: bool = False) -> pd.DataFrame:
    """Residuals y_nj - E[y_nj | the row's other responses], (N, K); NaN in missing cells.

    What the equation's own regressors and the rest of the row do not foresee: outliers that
    the factors do not share. Coefficients and Sigma are those of all cells.

    Parameters
    ----------
    standardised : bool
        In units of sqrt(Var[y_nj | the others]), without the estimation of coefficients.
    """
    standardised = flag(standardised, "standardised")
    made = _of_estimation_rows(estimate)
    mask = estimate.sample.cells.mask
    resid = estimate.model.endog - made.mean
    if mask is not None:
        resid = np.where(mask, resid, np.nan)
    if standardised:
        resid = resid / (np.sqrt(made.variance) * estimate.df.correction)
    return by_row(estimate, resid)
