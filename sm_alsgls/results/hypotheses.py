"""Linear hypotheses about the parameters: statsmodels' tests, with degrees of freedom of ours."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.stats.contrast import ContrastResults

from sm_alsgls.border.arguments import optional_flag
from sm_alsgls.data.constraint_text import read_constraints
from sm_alsgls.results.coefficients import df_of, of_combinations, one_df, ordered
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.freedom import left_to_test
from sm_alsgls.results.joint import check_hypotheses, joint_test
from sm_alsgls.results.selection import square_of, wald_arguments


class Flat(LikelihoodModelResults):
    """A vector of estimates with the covariance of its combinations: statsmodels' tests work on it.

    Parameters
    ----------
    names : list of str (P,)
    params : ndarray, shape (P,)
    combine : callable
        R V R' for R (m, P).
    use_t : bool
    df : float
        Degrees of freedom of t and F.
    """

    def __init__(
        self,
        names: list[str],
        params: np.ndarray,
        combine: Callable[[np.ndarray], np.ndarray],
        use_t: bool,
        df: float,
    ) -> None:
        model = SimpleNamespace(data=SimpleNamespace(cov_names=names))
        super().__init__(model, params, use_t=use_t)
        # statsmodels only asks whether there is one.
        self.normalized_cov_params = self._combine = combine
        self.df_resid = self.df_resid_inference = df

    def cov_params(
        self,
        r_matrix: Any = None,
        column: Any = None,
        scale: float | None = None,
        cov_p: Any = None,
        other: Any = None,
    ) -> Any:
        """R V R', or R cov_p R'."""
        if cov_p is not None:
            return of_matrix(cov_p, r_matrix)
        return self._combine(r_matrix)


def of_matrix(V: np.ndarray, R: Any = None, at: Any = None, other: Any = None) -> Any:
    """V (P, P) itself, its rows and columns ``at``, or R V other'."""
    if at is not None:
        at = np.asarray(at)
        return V[at, at] if at.ndim == 0 else V[at[:, None], at]
    if R is None:
        return V
    return np.dot(R, np.dot(V, np.transpose(R if other is None else other)))


def _flat(estimate: Fitted) -> Flat:
    return Flat(
        estimate.labels.params,
        estimate.params,
        lambda R: of_combinations(estimate, R),
        estimate.use_t,
        estimate.df_inference,
    )


def t_test(estimate: Fitted, r_matrix: Any, cov_p: Any = None, use_t: bool | None = None) -> Any:
    """t tests of linear hypotheses, as in statsmodels.

    A hypothesis about one equation has that equation's degrees of freedom, so that it agrees
    with ``pvalues``; one about several has the fewest among them. Under "HC0" to "HC3" and
    "cluster" every hypothesis has Satterthwaite's degrees of freedom of its own, and so it has
    under any covariance that tells them.
    """
    R, q = read_constraints(r_matrix, estimate.labels.params)
    cov_p = square_of(ordered(estimate, cov_p, "cov_p", rows=True), R.shape[1], "cov_p")
    use_t = optional_flag(use_t, "use_t")
    tested = _flat(estimate).t_test((R, q), cov_p, use_t)
    if tested.distribution != "t" or one_df(estimate):
        return tested
    used = df_of(estimate, R)
    used = used[0] if (used == used[0]).all() else used
    return ContrastResults(effect=tested.effect, t=tested.tvalue, sd=tested.sd, df_denom=used)


def wald_test(
    estimate: Fitted,
    r_matrix: Any,
    cov_p: Any = None,
    invcov: Any = None,
    use_f: bool | None = None,
    df_constraints: int | None = None,
    scalar: bool = True,
) -> Any:
    """Joint Wald test of linear hypotheses, as in statsmodels; F where ``use_t``.

    What the restrictions of a fit fix is not tested, nor what follows under them from other
    hypotheses; degrees of freedom count the rest.

    F tests with q restrictions depend on the covariance (`results.system_joint`): "nonrobust" and
    "KH" divide by q, and across equations where residuals are still correlated after the
    factors take the residuals' own covariance; "sandwich" and "HAC" are scaled as Hotelling's
    T2; "HC0" to "HC3" and "cluster" are the approximate Hotelling test of Pustejovsky and
    Tipton (2018). Where those have too few degrees of freedom, the p-value is Bonferroni's of
    the q t tests. The result's ``method`` and ``note`` say which.

    Raises
    ------
    RestrictionError
        The restrictions leave nothing to test; a hypothesis is about no coefficient; or
        hypotheses contradict each other.
    InsufficientRowsError
        "HAC" with more hypotheses than degrees of freedom.

    Warns
    -----
    ValueWarning
        Hypotheses follow from others; those are left out.
    """
    R, q = read_constraints(r_matrix, estimate.labels.params)
    check_hypotheses(R, q)
    cov_p, invcov = (ordered(estimate, V, "cov_p", rows=True) for V in (cov_p, invcov))
    given = wald_arguments(R, cov_p, invcov, use_f, df_constraints, scalar)
    if cov_p is None and invcov is None:
        R, q = left_to_test(estimate.freedom, R, q)
        by_f, df, scalar = given[2:]
        if (estimate.use_t if by_f is None else by_f) and df is None:
            return joint_test(estimate, R, q, scalar)
    return _flat(estimate).wald_test((R, q), *given)
