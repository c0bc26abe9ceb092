"""F tests of several linear hypotheses, by what the covariance of the coefficients declares."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.linalg
from scipy import stats
from statsmodels.stats.contrast import ContrastResults
from statsmodels.tools.sm_exceptions import ValueWarning

from sm_alsgls.border.blame import caller
from sm_alsgls.exceptions import InsufficientRowsError, RestrictionError
from sm_alsgls.results.coefficients import bse, df_of, of_combinations
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.parameter_covariance import Found, OwnDegrees, OwnLaw, OwnTest

# A row of hypotheses follows from the others where less than this is left of it.
_REDUNDANT = 1e-10
# What hypotheses that follow from others may be off, relative to their numbers.
_AGREE = 1e-8


# Why a covariance that makes joint tests makes none.
_TOO_LITTLE = "F has no variance with so few groups"


class JointTest(ContrastResults):
    """An F test of several hypotheses that says how it was made.

    Attributes
    ----------
    fvalue, pvalue, df_num, df_denom : float
        Of a Bonferroni test the largest squared t statistic with its degrees of freedom, and
        ``n_hypotheses`` times its p-value, at most 1.
    method : str
        "F", "Hotelling", "approximate Hotelling" or "Bonferroni".
    note : str
        What the test takes for granted, or why it is not another; may be empty.
    n_hypotheses : int
    statistic, distribution : float and str
        ``fvalue`` and "F"; ``dist`` is that of SciPy, and ``dist_args`` are its parameters.
    dist, dist_args : scipy.stats.f and tuple
    effect, c_names : None
        What statsmodels has of t tests.
    """

    method: str
    note: str
    n_hypotheses: int

    @classmethod
    def of(cls, found: Found, scalar: bool) -> JointTest:
        """The results of a test."""
        F: Any = found.F if scalar else np.array([[found.F]])
        made = cls(F=F, df_num=found.df_num, df_denom=found.df_denom)
        if found.method == "Bonferroni":
            made.pvalue = np.minimum(1.0, found.size * made.pvalue)
        made.method, made.note, made.n_hypotheses = found.method, found.note, found.size
        return made

    def summary(self, xname: Any = None, alpha: float = 0.05, title: Any = None) -> Any:
        """One line as statsmodels prints it, the method, and the note."""
        line = str(super().summary(xname, alpha, title))
        more = "" if self.method == "F" else f"\n{self.method}, {self.n_hypotheses} hypotheses"
        return line + more + (f"\n{self.note}" if self.note else "")


def joint_test(estimate: Fitted, R: np.ndarray, q: np.ndarray, scalar: bool = True) -> JointTest:
    """F test of R beta = q with the covariance that the estimate has.

    Raises
    ------
    InsufficientRowsError, DataRemovedError
    """
    with np.errstate(over="ignore"):  # a hypothesis may be as wrong as one likes
        return JointTest.of(_tested(estimate, R, q), scalar)


def _tested(estimate: Fitted, R: np.ndarray, q: np.ndarray) -> Found:
    R, q, size = _independent(estimate, R, q)
    m = len(R)
    if m == 1:
        return _single(estimate, R, q)
    V = covariance(estimate)
    if isinstance(V, OwnTest):
        S, s = orthogonal(estimate, R, q)
        own = V.joint(S, gap(estimate, S, s))
        return bonferroni(estimate, R, q, _TOO_LITTLE) if own is None else Found(*own, size=m)
    if isinstance(V, OwnLaw):
        return hotelling(estimate, R, q, V.joint_df(R))
    found = estimate.own_joint(R, q)
    if found is not None:
        return found
    if isinstance(V, OwnDegrees):
        return _satterthwaite(estimate, V, R, q, size)
    return wald_f(estimate, R, q)


def check_hypotheses(R: np.ndarray, q: np.ndarray) -> None:
    """Whether each hypothesis is about coefficients.

    Raises
    ------
    RestrictionError
    """
    empty = ~R.any(axis=1)
    if empty.any():
        k = int(np.argmax(empty))
        raise RestrictionError(
            f"hypothesis {k + 1} of {len(R)} is about no coefficient: it says 0 = {q[k]:g}"
        )


def _independent(
    estimate: Fitted, R: np.ndarray, q: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hypotheses in units of their size, without those that follow from others; and the sizes."""
    unit = _units(estimate)
    size = np.sqrt(np.square(R * unit).sum(axis=1))
    size = np.where(size > 0.0, size, 1.0)
    R, q = R / size[:, None], q / size
    used = R.any(axis=0)
    scaled = R[:, used] * unit[used]
    triangle, order = scipy.linalg.qr(scaled.T, mode="r", pivoting=True)
    left = np.abs(np.diagonal(triangle))
    rank = int((left > _REDUNDANT * max(left[0], 1e-300)).sum()) if left.size else 0
    if rank == len(R):
        return R, q, size
    warnings.warn(
        f"hypotheses follow from others: there are {len(R)}, and {rank} say everything",
        ValueWarning,
        stacklevel=caller(),
    )
    kept = np.sort(order[: max(rank, 1)])
    dropped = np.setdiff1d(np.arange(len(R)), kept)
    by = np.linalg.lstsq(scaled[kept].T, scaled[dropped].T, rcond=None)[0].T
    off = np.abs(q[dropped] - by @ q[kept])
    wrong = off > _AGREE * (np.abs(q[dropped]) + np.abs(by) @ np.abs(q[kept]))
    if wrong.any():
        k = int(dropped[np.argmax(wrong)])
        raise RestrictionError(
            f"hypotheses contradict each other: what number {k + 1} of {len(R)} is about follows "
            "from the others, and has another value by them"
        )
    return R[kept], q[kept], size[kept]


def _units(estimate: Fitted) -> np.ndarray:
    """Standard errors (P,), 1 where there is none."""
    size = bse(estimate)
    return np.where(size > 0.0, size, 1.0)


def orthogonal(estimate: Fitted, R: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same hypotheses as combinations that are at right angles in units of standard errors.

    Those that nearly say the same have a covariance that rounding makes singular.
    """
    triangle = np.linalg.qr((R * _units(estimate)).T, mode="r")
    both = scipy.linalg.solve_triangular(triangle, np.column_stack([R, q]), trans="T")
    return both[:, :-1], both[:, -1]


def gap(estimate: Fitted, R: np.ndarray, q: np.ndarray) -> np.ndarray:
    """What R b is off q, (m,)."""
    return R @ estimate.params - q


def _single(estimate: Fitted, R: np.ndarray, q: np.ndarray) -> Found:
    """The square of the t test."""
    variance = float(of_combinations(estimate, R)[0, 0])
    t2 = np.square(gap(estimate, R, q)[0]) / variance
    return Found(float(t2), 1.0, float(df_of(estimate, R)[0]), "F", "", 1)


def bonferroni(estimate: Fitted, R: np.ndarray, q: np.ndarray, note: str) -> Found:
    """q times the smallest p-value of the t tests of each hypothesis."""
    t = np.abs(gap(estimate, R, q)) / np.sqrt(np.diagonal(of_combinations(estimate, R)))
    df = df_of(estimate, R)
    k = int(np.argmin(stats.t.logsf(t, df)))
    return Found(float(t[k] ** 2), 1.0, float(df[k]), "Bonferroni", note, len(R))


def hotelling(estimate: Fitted, R: np.ndarray, q: np.ndarray, nu: float) -> Found:
    """Hotelling's scaling with ``nu`` degrees of freedom of the covariance."""
    m = len(R)
    if m > nu:
        raise InsufficientRowsError(
            f"{m} hypotheses cannot be tested together with {nu:.0f} degrees of freedom: the "
            f"{estimate.choice.cov_type} covariance of their estimates is singular. Test fewer, "
            "one at a time with t_test, or with another cov_type"
        )
    S, s = orthogonal(estimate, R, q)
    off = gap(estimate, S, s)
    Q = float(off @ np.linalg.solve(of_combinations(estimate, S), off))
    left = nu - m + 1.0
    return Found(Q * left / (nu * m), float(m), left, "Hotelling", "", m)


def wald_f(estimate: Fitted, R: np.ndarray, q: np.ndarray, note: str = "") -> Found:
    """The Wald statistic over the number of hypotheses, with the estimate's degrees of freedom."""
    m = len(R)
    S, s = orthogonal(estimate, R, q)
    off = gap(estimate, S, s)
    Q = float(off @ np.linalg.solve(of_combinations(estimate, S), off))
    return Found(Q / m, float(m), float(estimate.df_inference), "F", note, m)


def _satterthwaite(
    estimate: Fitted, V: OwnDegrees, R: np.ndarray, q: np.ndarray, size: np.ndarray
) -> Found:
    """F of a covariance whose combinations have degrees of freedom of their own.

    The Wald statistic is the sum of squares of m uncorrelated t statistics, those of the
    eigenvectors of R V R'. Were they independent t(nu_k) its mean would be
    E = sum nu_k / (nu_k - 2), which m F(m, nu) has at nu = 2 E / (E - m): Fai and Cornelius
    (1996, Journal of Statistical Computation and Simulation 54). There is no mean where a
    nu_k is at most 2: then nu is 2, as in lmerTest, or the least of them where it is less.

    The eigenvectors, and so nu, are those of R as it was written, rows times ``size``: as in
    lmerTest. In units of standard errors uncorrelated estimates would have no eigenvectors of
    their own, and nu any value between theirs.
    """
    m, written = len(R), R * size[:, None]
    found = wald_f(estimate, R, q)
    vectors = np.linalg.eigh(of_combinations(estimate, written))[1]
    nu = V.df(vectors.T @ written)
    if nu.max() - nu.min() < 1e-8 * nu.max() or np.isinf(nu.min()):
        denominator = float(nu.mean())
    elif nu.min() <= 2.0:
        denominator = float(min(2.0, nu.min()))
    else:
        mean = float((1.0 / (1.0 - 2.0 / nu)).sum())
        denominator = 2.0 * mean / (mean - m)
    return found._replace(df_denom=denominator)
