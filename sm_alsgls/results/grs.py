"""Are all constants zero? The test of Gibbons, Ross and Shanken, and one for K beyond N."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import came, choice, is_label
from sm_alsgls.border.names import close
from sm_alsgls.exceptions import InsufficientRowsError, NotApplicableError, OptionError
from sm_alsgls.results.covariance import sigma_inference
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import factors, factors_left
from sm_alsgls.results.in_sample import constants
from sm_alsgls.results.shown import ShownText
from sm_alsgls.results.system_joint import residual_test

METHODS = ("auto", "exact", "factor")


@dataclass(frozen=True, eq=False, repr=False)
class GRSTest(ShownText):
    """A joint test that one coefficient of every equation is zero.

    Attributes
    ----------
    statistic, pvalue : float
    df_num, df_denom : float
        Of F.
    method : {"exact", "factor"}
    variable : str
    alphas : Series (K,)
        What is tested.
    note : str
        What the test takes for granted.
    """

    statistic: float
    pvalue: float
    df_num: float
    df_denom: float
    method: str
    variable: str
    alphas: pd.Series = field(repr=False)
    note: str

    def summary(self) -> str:
        """One line about the test, and one about what it assumes."""
        return (
            f"{len(self.alphas)} coefficients of {self.variable!r} are zero: "
            f"F({self.df_num:.0f}, {self.df_denom:.0f}) = {self.statistic:.4g}, "
            f"p-value {self.pvalue:.3g}\n{self.note}"
        )

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<GRSTest: {self.summary()}>"


def grs_test(estimate: Estimate, variable: str | None = None, method: str = "auto") -> GRSTest:
    """Test that the constants of all equations are zero, of equations with equal regressors.

    Parameters
    ----------
    variable : str, optional
        Another coefficient of every equation; default the constant.
    method : {"auto", "exact", "factor"}
        "exact" takes the residuals' own covariance S = E'E / nu, nu = N - p:

            F = (nu - K + 1) / (nu K) a' S^-1 a / ((X'X)^-1)_aa  on  (K, nu - K + 1),

        exact for normal rows (Gibbons, Ross and Shanken 1989). It needs nu >= K, and little
        is left of its power near there. "factor" takes Sigma = F F' + D for S and needs no
        number of rows: F = a' Sigma^-1 a / (K ((X'X)^-1)_aa) on (K, N - p - r). "auto" is
        "exact" where that is possible.

    Returns
    -------
    GRSTest
        ``statistic``, ``pvalue``, ``df_num``, ``df_denom``, ``method``, ``alphas``, ``note``.

    Raises
    ------
    OptionError
        Regressors differ, cells are missing, coefficients are restricted, or there is no such
        variable.
    InsufficientRowsError
        "exact" with fewer than K degrees of freedom.

    References
    ----------
    Gibbons, Ross and Shanken (1989), Econometrica 57, 1121-1152.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls import LowRankSUR
    >>> rng = np.random.default_rng(0)
    >>> X = np.column_stack([np.ones(60), rng.standard_normal((60, 3))])
    >>> Y = X[:, 1:] @ rng.standard_normal((3, 10)) + rng.standard_normal((60, 10))
    >>> test = LowRankSUR(Y, X, rank=0).fit().grs_test()
    >>> test.method, test.df_num, test.df_denom, round(test.pvalue, 3)
    ('exact', 10.0, 47.0, 0.201)
    """
    method = choice(method, "method", METHODS)
    _check_shared(estimate)
    name, at = _position(estimate, variable)
    K, p = estimate.neqs, int(estimate.p[0])
    nu = float(estimate.nobs - p)
    if method == "exact" and nu < K:
        raise InsufficientRowsError(
            f"the exact test of {K} equations needs N - p >= K degrees of freedom, and there are "
            f"{nu:.0f}: the covariance of the residuals is singular; use method='factor'"
        )
    tested = np.array([b[at] for b in estimate.beta])
    alphas = pd.Series(tested, index=estimate.equations, name=name)
    if method == "exact" or (method == "auto" and nu >= K):
        R = np.zeros((K, K * p))
        R[np.arange(K), np.arange(K) * p + at] = 1.0
        found = residual_test(estimate, R, np.zeros(K))
        F, df, chosen = found.F, found.df_denom, "exact"
        note = "exact for independent normal rows, whatever their covariance"
    else:
        _ = factors(estimate)
        # (X'X)^-1 of the variable; Sigma with its degrees of freedom.
        own = float(np.square(estimate.sample.problem.design.free.beta_map(0)[at]).sum())
        df = float(estimate.df.equation[0])
        sigma = sigma_inference(estimate)
        if not estimate.debiased:
            sigma = sigma.scaled(np.sqrt(estimate.counts / estimate.df.equation))
        a = alphas.to_numpy()
        F = float(a @ sigma.solve(a[None, :])[0]) / (own * K)
        chosen = "factor"
        note = f"trusts Sigma = F F' + D with {estimate.rank} factors"
        left = factors_left(estimate)
        if left is not None and left.pvalue < 0.05:
            note += (
                f", and residuals are still correlated after them (p-value {left.pvalue:.2g}): "
                "true nulls are rejected too often"
            )
    return GRSTest(F, float(stats.f.sf(F, K, df)), float(K), df, chosen, name, alphas, note)


def _check_shared(estimate: Estimate) -> None:
    instead = "use test_across(variable)"
    if estimate.moments is not None:
        raise NotApplicableError(
            f"grs_test is that of least squares, and these regressors are instrumented; {instead}"
        )
    if not estimate.complete:
        raise OptionError(f"grs_test needs complete rows, and cells are missing; {instead}")
    if estimate.model.restrictions is not None or not estimate.labels.own:
        raise OptionError(f"grs_test is for fits without restrictions on coefficients; {instead}")
    problem = estimate.sample.problem
    if problem.options.lam_B > 0.0:
        raise OptionError(f"grs_test is for fits without the ridge lam_B; {instead}")
    if not problem.design.shared:
        first = problem.rows.blocks[0]
        other = next(
            name
            for name, X in zip(estimate.equations, problem.rows.blocks, strict=True)
            if X.shape != first.shape or not np.array_equal(X, first)
        )
        raise OptionError(
            f"grs_test needs the same regressors in all equations; those of {other!r} are not "
            f"those of {estimate.equations[0]!r} (weights of cells make them differ too); "
            f"{instead}"
        )


def _position(estimate: Estimate, variable: str | None) -> tuple[str, int]:
    """Name and column of what is tested."""
    columns = list(estimate.labels.regressors[0])
    if variable is not None:
        if not is_label(variable) or variable not in columns:
            raise OptionError(
                f"no regressor {came(variable)}{close(variable, columns, 'there are')}"
            )
        return variable, columns.index(variable)
    constant = constants(estimate)[0]
    if constant is None or np.count_nonzero(constant) != 1:
        raise OptionError(
            "grs_test: no single column is the constant; name the one to test, variable="
        )
    at = int(np.flatnonzero(constant)[0])
    return columns[at], at
