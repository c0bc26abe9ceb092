"""Covariance, intervals and hypotheses of one equation's own coefficients.

Only the equation's block of the covariance is computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.alignment import by_coefficient
from sm_alsgls.border.arguments import level, optional_flag
from sm_alsgls.data.constraint_text import read_constraints
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results import hypotheses
from sm_alsgls.results.coefficients import bse_of, fixed, law_of, robust
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.freedom import left_to_test
from sm_alsgls.results.hypotheses import Flat, of_matrix
from sm_alsgls.results.overall import freedom_of
from sm_alsgls.results.selection import combinations, positions, square_of, wald_arguments


def cov_params(
    estimate: Estimate,
    j: int,
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
    labels = pd.Index(estimate.labels.regressors[j])
    r_matrix, other, scale = combinations(len(labels), r_matrix, column, scale, other)
    cov_p = square_of(cov_p, len(labels), "cov_p")
    at = None if column is None else positions(column, list(labels), "column")
    r_matrix, other = (
        _ordered(estimate, j, value, name)
        for value, name in ((r_matrix, "r_matrix"), (other, "other"))
    )
    given = _ordered(estimate, j, cov_p, "cov_p", rows=True)
    if given is not None:
        V = of_matrix(given, r_matrix, at, other)
    else:
        block = _block(estimate, j)
        V = of_matrix(block if scale is None else block * scale, r_matrix, at, other)
        if r_matrix is not None:
            V = _exact(estimate, j, V, r_matrix, other)
    if r_matrix is not None or np.ndim(V) < 2:
        return V
    names = labels if at is None else labels[at]
    return pd.DataFrame(V, index=names, columns=names)


def conf_int(estimate: Estimate, j: int, alpha: float = 0.05, cols: Any = None) -> pd.DataFrame:
    """Confidence intervals (p_j, 2); ``cols`` selects coefficients, by names or positions."""
    alpha = level(alpha)
    labels = pd.Index(estimate.labels.regressors[j])
    half = law_of(estimate, j).ppf(1.0 - alpha / 2.0) * bse_of(estimate, j)
    params = estimate.beta[j]
    interval = pd.DataFrame({0: params - half, 1: params + half}, index=labels)
    if cols is None:
        return interval
    return interval.iloc[np.atleast_1d(positions(cols, list(labels), "cols"))]


def t_test(
    estimate: Estimate, j: int, r_matrix: Any, cov_p: Any = None, use_t: bool | None = None
) -> Any:
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
    R, q = _hypotheses(estimate, j, r_matrix)
    given = square_of(_ordered(estimate, j, cov_p, "cov_p", rows=True), R.shape[1], "cov_p")
    use_t = optional_flag(use_t, "use_t")
    if given is None and estimate.choice.power is not None:
        return hypotheses.t_test(estimate, (estimate.labels.whole(j, R), q), use_t=use_t)
    return _flat(estimate, j).t_test((R, q), given, use_t)


def f_test(estimate: Estimate, j: int, r_matrix: Any, cov_p: Any = None, invcov: Any = None) -> Any:
    """Joint F test of hypotheses about this equation's coefficients; see `wald_test`."""
    return wald_test(estimate, j, r_matrix, cov_p, invcov, use_f=True)


def wald_test(
    estimate: Estimate,
    j: int,
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
    R, q = _hypotheses(estimate, j, r_matrix)
    cov_p, invcov = (_ordered(estimate, j, V, "cov_p", rows=True) for V in (cov_p, invcov))
    given = wald_arguments(R, cov_p, invcov, use_f, df_constraints, scalar)
    if cov_p is None and invcov is None:
        if robust(estimate) and (estimate.use_t if use_f is None else use_f):
            whole = estimate.labels.whole(j, R), q
            return hypotheses.wald_test(
                estimate, whole, use_f=use_f, df_constraints=df_constraints, scalar=scalar
            )
        R, q = left_to_test(freedom_of(estimate, j), R, q)
    return _flat(estimate, j).wald_test((R, q), *given)


def _hypotheses(estimate: Estimate, j: int, r_matrix: Any) -> tuple[np.ndarray, np.ndarray]:
    return read_constraints(
        r_matrix, list(estimate.labels.regressors[j]), "the columns of the equation"
    )


def _ordered(estimate: Estimate, j: int, value: Any, argument: str, rows: bool = False) -> Any:
    """What is labelled by the equation's coefficients in their order."""
    return by_coefficient(value, list(estimate.labels.regressors[j]), argument, OptionError, rows)


def _block(estimate: Estimate, j: int) -> np.ndarray:
    """The equation's block (p_j, p_j), zero for what restrictions fix."""
    V = np.array(covariance(estimate).block(j))
    none = fixed(estimate)[estimate.labels.columns(j)]
    V[none] = V[:, none] = 0.0
    return V


def _exact(
    estimate: Estimate, j: int, V: np.ndarray, R: np.ndarray, other: np.ndarray | None = None
) -> np.ndarray:
    """R V other' with zeros for combinations that restrictions fix."""
    freedom = freedom_of(estimate, j)
    rows = freedom.fixed(np.atleast_2d(R))
    columns = rows if other is None else freedom.fixed(np.atleast_2d(other))
    shape = (len(rows), len(columns))
    exact = np.where(rows[:, None] | columns, 0.0, np.reshape(V, shape))
    return exact.reshape(np.shape(V))


def _flat(estimate: Estimate, j: int) -> Flat:
    V = _block(estimate, j)
    return Flat(
        list(estimate.labels.regressors[j]),
        estimate.beta[j],
        lambda R: _exact(estimate, j, of_matrix(V, R), R),
        estimate.use_t,
        float(estimate.df.t[j]),
    )
