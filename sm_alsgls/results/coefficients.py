"""Standard errors, t statistics and intervals of the parameters, whatever the ``cov_type``."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
from scipy import stats

from sm_alsgls.border.alignment import by_coefficient
from sm_alsgls.border.arguments import level
from sm_alsgls.border.blame import caller
from sm_alsgls.border.labels import shown
from sm_alsgls.data.labels import Columns
from sm_alsgls.exceptions import CovarianceWarning, OptionError
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import Fitted, kept, kept_of_equation
from sm_alsgls.results.instrumented_covariance import weighted_covariance
from sm_alsgls.results.parameter_covariance import OwnDegrees
from sm_alsgls.results.selection import combinations as checked
from sm_alsgls.results.selection import positions

# Coefficients whose whole covariance is made: 0.8 GB, and twice that on the way.
LARGEST = 10_000


class Law(Protocol):
    """A distribution of t statistics."""

    def sf(self, x: Any) -> Any:
        """Upper tail."""
        ...

    def ppf(self, q: Any) -> Any:
        """Quantiles."""
        ...


def listed_names(names: np.ndarray) -> str:
    """The first of some coefficients' names."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(shown(name) for name in names[:5]) + more


@kept
def bse(estimate: Fitted) -> np.ndarray:
    """Standard errors (P,); only the diagonal blocks of the covariance are computed."""
    variances = covariance(estimate).variances()
    _doubt_variances(estimate)
    return np.sqrt(np.where(fixed(estimate), 0.0, variances))


def bse_of(estimate: Fitted, j: int) -> np.ndarray:
    """Standard errors of an equation (p_j,); only its block of the covariance is computed."""
    if bse.is_known(estimate):
        return bse(estimate)[estimate.labels.columns(j)]
    return _own_bse(estimate, j)


def bse_at(estimate: Fitted, at: np.ndarray) -> np.ndarray:
    """Standard errors of some parameters (m,); only their block of the covariance is computed."""
    if bse.is_known(estimate):
        return bse(estimate)[at]
    picked = np.zeros((len(at), estimate.labels.P))
    picked[np.arange(len(at)), at] = 1.0
    return np.sqrt(np.diagonal(of_combinations(estimate, picked)))


@kept_of_equation
def _own_bse(estimate: Fitted, j: int) -> np.ndarray:
    variances = np.diagonal(covariance(estimate).block(j))
    return np.sqrt(np.where(fixed(estimate)[estimate.labels.columns(j)], 0.0, variances))


def _doubt_variances(estimate: Fitted) -> None:
    """Say which standard errors small groups leave nothing of."""
    operator, names = covariance(estimate), np.array(estimate.labels.params, dtype=object)
    free = ~fixed(estimate)
    lost = getattr(operator, "lost", None) if estimate.use_t else None
    if lost is not None and (lost & free).any():
        warnings.warn(
            f"single rows or groups alone determine {listed_names(names[lost & free])}: their "
            "robust variance cannot be told, and is far too small; use other standard errors for "
            "them",
            CovarianceWarning,
            stacklevel=caller(),
        )
    negative = getattr(operator, "negative", None)
    if negative is not None and negative.any():
        warnings.warn(
            "the two-way clustered variance V_a + V_b - V_ab is not positive for "
            f"{listed_names(names[negative])}; the larger of V_a and V_b stands for it",
            CovarianceWarning,
            stacklevel=caller(),
        )


def plain_bse(estimate: Estimate) -> np.ndarray:
    """Roots of the diagonal of H^-1, whatever ``cov_type`` is: what the bootstrap divides by.

    The correction for estimating Sigma, nearly the same in every replicate, cancels there. With
    instruments it is the covariance of the form at the Sigma that it was weighted with.
    """
    if estimate.moments is not None:
        variances = weighted_covariance(estimate).variances()
    else:
        sigma = estimate.row_sigma.scaled(estimate.df.correction)
        variances = estimate.sample.problem.covariance(sigma).variances()
    return np.sqrt(np.where(fixed(estimate), 0.0, variances))


@kept
def fixed(estimate: Fitted) -> np.ndarray:
    """Which coefficients the restrictions give a number (P,)."""
    return estimate.freedom.fixed_coefficients(estimate.labels.P)


@kept
def tvalues(estimate: Fitted) -> np.ndarray:
    """Coefficients over their standard errors (P,); NaN where a restriction fixes one."""
    size = bse(estimate)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size > 0.0, estimate.params / size, np.nan)


@kept
def pvalues(estimate: Fitted) -> np.ndarray:
    """Two-sided p-values (P,), t(N - p_j - r) or normal."""
    return 2.0 * law(estimate).sf(np.abs(tvalues(estimate)))


def law(estimate: Fitted) -> Law:
    """The distribution of the t statistics (P,)."""
    return stats.t(df_coefficients(estimate)) if estimate.use_t else stats.norm


def law_of(estimate: Fitted, j: int) -> Law:
    """The distribution of an equation's t statistics (p_j,)."""
    return law_at(estimate, estimate.labels.columns(j))


def law_at(estimate: Fitted, at: Columns) -> Law:
    """The distribution of the t statistics of some parameters."""
    return stats.t(df_coefficients(estimate)[at]) if estimate.use_t else stats.norm


def robust(estimate: Estimate) -> bool:
    """Whether joint tests have a small-sample law of their own in every equation."""
    choice = estimate.choice
    return choice.power is not None or choice.cov_type in ("sandwich", "HAC", "pcse")


@kept
def df_coefficients(estimate: Fitted) -> np.ndarray:
    """Degrees of freedom of each t statistic (P,).

    Those of the covariance where it has its own, as Satterthwaite's of rows and clusters;
    otherwise the estimate's, of a system those of the coefficient's equation.
    """
    operator = covariance(estimate)
    if not isinstance(operator, OwnDegrees):
        return estimate.df_t
    _ = bse(estimate)  # says what is wrong first
    return operator.coefficient_df()


def one_df(estimate: Fitted) -> bool:
    """Whether every combination of coefficients has the same degrees of freedom."""
    if isinstance(covariance(estimate), OwnDegrees):
        return False
    df = df_coefficients(estimate)
    return bool((df == df[:1]).all())


def df_of_equations(estimate: Estimate) -> np.ndarray:
    """The fewest degrees of freedom among each equation's coefficients (K,)."""
    return estimate.labels.least_of(df_coefficients(estimate))


def df_of(estimate: Fitted, R: np.ndarray) -> np.ndarray:
    """Degrees of freedom of t tests of the combinations R beta, (m,).

    The fewest among the coefficients, except where the covariance has those of a combination.
    """
    fewest = np.where(R != 0.0, df_coefficients(estimate), np.inf).min(axis=1)
    operator = covariance(estimate)
    if not isinstance(operator, OwnDegrees) or (np.count_nonzero(R, axis=1) == 1).all():
        return fewest
    return operator.df(R)


def ordered(estimate: Fitted, value: Any, argument: str, rows: bool = False) -> Any:
    """What is labelled by coefficients in their order; see `by_coefficient`."""
    return by_coefficient(value, estimate.labels.params, argument, OptionError, rows)


def of_combinations(estimate: Fitted, R: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
    """R V other' with zeros, not rounding errors, for what restrictions fix."""
    V = covariance(estimate).combinations(R, other)
    freedom = estimate.freedom
    none = freedom.fixed(R)
    V[none] = 0.0
    V[:, none if other is None else freedom.fixed(other)] = 0.0
    return V


def conf_int(estimate: Fitted, alpha: float = 0.05, cols: Any = None) -> np.ndarray:
    """Confidence intervals (P, 2) of level 1 - ``alpha``.

    ``cols`` selects coefficients, by names or positions.
    """
    alpha = level(alpha)
    half = law(estimate).ppf(1.0 - alpha / 2.0) * bse(estimate)
    interval = np.column_stack([estimate.params - half, estimate.params + half])
    return interval if cols is None else interval[positions(cols, estimate.labels.params, "cols")]


def cov_params(
    estimate: Fitted,
    r_matrix: Any = None,
    column: Any = None,
    scale: float | None = None,
    other: Any = None,
) -> np.ndarray:
    """The covariance as `LowRankSURResults.cov_params` has it, with no other in its place."""
    P, names = estimate.labels.P, estimate.labels.params
    r_matrix, other, scale = checked(P, r_matrix, column, scale, other)
    factor = 1.0 if scale is None else scale
    if column is not None:
        at = positions(column, names, "column")
        picked = np.zeros((at.size, P))
        picked[np.arange(at.size), at] = 1.0
        block = factor * of_combinations(estimate, picked)
        return block[0, 0] if at.ndim == 0 else block
    if r_matrix is None:
        if P > LARGEST:
            raise OptionError(
                f"the covariance of {P} coefficients is a {P} x {P} matrix, "
                f"{8e-9 * P * P:.1f} GB; it is made up to {LARGEST} only. Without it: bse and "
                "conf_int() of all, equations[name].cov_params() of an equation, "
                "cov_params(column=[names]) of some coefficients, cov_params(r_matrix=R) of "
                "combinations"
            )
        V = factor * covariance(estimate).dense()
        none = fixed(estimate)
        V[none] = V[:, none] = 0.0
        return V
    second = None if other is None else np.atleast_2d(other)
    V = factor * of_combinations(estimate, np.atleast_2d(r_matrix), second)
    return V[0, 0] if r_matrix.ndim == 1 and second is None else V
