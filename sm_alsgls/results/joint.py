"""F tests of several linear hypotheses, by what the covariance of the coefficients assumes."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import scipy.linalg
from scipy import stats
from statsmodels.stats.contrast import ContrastResults
from statsmodels.tools.sm_exceptions import ValueWarning

from sm_alsgls.border.blame import caller
from sm_alsgls.core.beta.hotelling import JointMoments, System, sandwich_eta
from sm_alsgls.core.beta.robust import WorkingCovariance
from sm_alsgls.core.beta.small_sample import Units
from sm_alsgls.core.design.base import Bread
from sm_alsgls.exceptions import DataRemovedError, InsufficientRowsError, RestrictionError
from sm_alsgls.results.coefficients import bse, df_of, of_combinations
from sm_alsgls.results.covariance import beside_leverage, covariance
from sm_alsgls.results.estimate import Estimate, ParameterCovariance
from sm_alsgls.results.factors import factors_left

# Level of the check that decides whether the rank is to be trusted across equations.
_TRUST = 0.05
# A row of hypotheses follows from the others where less than this is left of it.
_REDUNDANT = 1e-10
# What hypotheses that follow from others may be off, relative to their numbers.
_AGREE = 1e-8


@runtime_checkable
class HasBread(ParameterCovariance, Protocol):
    """A covariance that is a sandwich."""

    bread: Bread


@runtime_checkable
class Jointly(HasBread, Protocol):
    """A covariance of influences of rows or clusters, whose joint law is known."""

    units: Units

    def moments(self, R: np.ndarray) -> JointMoments:
        """Of the estimated covariance of R beta, (m, m)."""
        ...


@runtime_checkable
class OwnLaw(ParameterCovariance, Protocol):
    """A covariance that says how good an estimate it is."""

    def joint_df(self, R: np.ndarray) -> float:
        """Degrees of freedom of the covariance of R beta, taken as a Wishart matrix."""
        ...


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
    """

    method: str
    note: str
    n_hypotheses: int

    @classmethod
    def of(cls, found: _Found, scalar: bool) -> JointTest:
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


class _Found(NamedTuple):
    F: float
    df_num: float
    df_denom: float
    method: str
    note: str
    size: int


def joint_test(estimate: Estimate, R: np.ndarray, q: np.ndarray, scalar: bool = True) -> JointTest:
    """F test of R beta = q with the covariance that the estimate has.

    Raises
    ------
    InsufficientRowsError, DataRemovedError
    """
    with np.errstate(over="ignore"):  # a hypothesis may be as wrong as one likes
        return JointTest.of(_tested(estimate, R, q), scalar)


def _tested(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> _Found:
    R, q = _independent(estimate, R, q)
    kind = estimate.choice
    if len(R) == 1:
        return _single(estimate, R, q)
    V = covariance(estimate)
    if isinstance(V, OwnLaw):
        return _hotelling(estimate, R, q, V.joint_df(R))
    if kind.power is not None:
        return _robust(estimate, R, q)
    if kind.cov_type == "pcse":
        return _least_squares(estimate, R, q)
    if kind.cov_type == "sandwich":
        return residual_test(estimate, R, q)
    if kind.cov_type == "HAC":
        return _hac(estimate, R, q)
    return _model_based(estimate, R, q)


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


def _independent(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hypotheses in units of their size, without those that follow from others."""
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
        return R, q
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
    return R[kept], q[kept]


def _units(estimate: Estimate) -> np.ndarray:
    """Standard errors (P,), 1 where there is none."""
    size = bse(estimate)
    return np.where(size > 0.0, size, 1.0)


def _orthogonal(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same hypotheses as combinations that are at right angles in units of standard errors.

    Those that nearly say the same have a covariance that rounding makes singular.
    """
    triangle = np.linalg.qr((R * _units(estimate)).T, mode="r")
    both = scipy.linalg.solve_triangular(triangle, np.column_stack([R, q]), trans="T")
    return both[:, :-1], both[:, -1]


def _gap(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> np.ndarray:
    return R @ estimate.params - q


def _equations(estimate: Estimate, R: np.ndarray) -> np.ndarray:
    """Positions of the equations that hypotheses are about."""
    used = np.flatnonzero(R.any(axis=0))
    return estimate.labels.users(used)


def _single(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> _Found:
    """The square of the t test."""
    variance = float(of_combinations(estimate, R)[0, 0])
    t2 = np.square(_gap(estimate, R, q)[0]) / variance
    return _Found(float(t2), 1.0, float(df_of(estimate, R)[0]), "F", "", 1)


def _bonferroni(estimate: Estimate, R: np.ndarray, q: np.ndarray, note: str) -> _Found:
    """q times the smallest p-value of the t tests of each hypothesis."""
    t = np.abs(_gap(estimate, R, q)) / np.sqrt(np.diagonal(of_combinations(estimate, R)))
    df = df_of(estimate, R)
    k = int(np.argmin(stats.t.logsf(t, df)))
    return _Found(float(t[k] ** 2), 1.0, float(df[k]), "Bonferroni", note, len(R))


def _robust(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> _Found:
    """Approximate Hotelling with bias-reduced influences, of rows or clusters."""
    V, m = covariance(estimate), len(R)
    if not estimate.sample.available:
        raise DataRemovedError(
            f"a joint test with cov_type={estimate.choice.cov_type!r} needs the data; test before "
            "remove_data(), or one hypothesis at a time with t_test"
        )
    if not isinstance(V, Jointly):
        return _bonferroni(estimate, R, q, "two groupings: no joint law is known")
    units = "rows" if V.units.rows else "clusters"
    many = f"{m} hypotheses are many for {V.units.count} {units}"
    if 2 * m > V.units.count:
        return _bonferroni(estimate, R, q, many)
    S, s = _orthogonal(estimate, R, q)
    moments = V.moments(S * beside_leverage(estimate, V.bread))
    eta = moments.eta
    if eta < 2.0 * m or moments.lost:
        return _bonferroni(estimate, R, q, f"{many} (eta {eta:.1f})")
    Q = moments.quadratic(_gap(estimate, S, s))
    name = "HC2" if V.units.rows else "CR2"
    note = f"{name} of all hypotheses together, {V.units.count} {units}, eta {eta:.1f}"
    return _Found(
        Q * (eta - m + 1.0) / (eta * m), float(m), eta - m + 1.0, "approximate Hotelling", note, m
    )


def residual_test(estimate: Estimate, R: np.ndarray, q: np.ndarray, note: str = "") -> _Found:
    """Hotelling's test with the residuals' own covariance S in place of Sigma.

    Where all designs are equal it is exact under normality for hypotheses of the form
    A B c = 0, B (K, p) the coefficients: Gibbons, Ross and Shanken (1989).
    """
    m, sample = len(R), estimate.sample
    if not sample.available:
        raise DataRemovedError(
            "a joint test with the residuals' covariance needs the data; test before remove_data()"
        )
    problem = sample.problem
    E, sigma = estimate.sample.E, estimate.row_sigma
    bread = problem.covariance(sigma)
    plain = problem.ridge is None and not bread.tied.any()
    shared = problem.design.shared and plain
    if shared:
        # GLS is least squares: the factors take no degrees of freedom.
        nu = float(estimate.nobs - estimate.p[0])
        factor = np.full(estimate.neqs, np.sqrt(estimate.nobs / nu))
    else:
        nu = float(estimate.df.equation[_equations(estimate, R)].min())
        factor = np.sqrt(estimate.counts / estimate.df.equation)
    factor = estimate.labels.least(factor)
    system = System(bread, problem.rows.blocks, E, estimate.sample.cells, sigma)
    if 2 * m > nu and not (shared and m <= nu):
        why = f"{m} hypotheses are many for {nu:.0f} degrees of freedom"
        return _bonferroni(estimate, R, q, f"{note}; {why}" if note else why)
    S, s = _orthogonal(estimate, R, q)
    eta = sandwich_eta(system, S * factor, nu)
    exact = shared and abs(eta - nu) < 1e-6 * nu
    if exact:
        eta = nu  # to the last digit
    if eta - m + 1.0 < 1.0 or (eta < 2.0 * m and not exact):
        why = f"{m} hypotheses are many for eta {eta:.1f}"
        return _bonferroni(estimate, R, q, f"{note}; {why}" if note else why)
    W = sigma.solve(E)
    V = WorkingCovariance(bread, W, estimate.nobs, factor).combinations(S)
    gap = _gap(estimate, S, s)
    Q = float(gap @ np.linalg.solve(V, gap))
    left = eta - m + 1.0
    law = "exact under normality" if exact else f"eta {eta:.1f}"
    said = f"{note}; {law}" if note else law
    return _Found(
        Q * left / (eta * m), float(m), left if exact else min(left, nu), "Hotelling", said, m
    )


def _least_squares(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> _Found:
    """Hotelling's test of panel-corrected standard errors."""
    m, sample, V = len(R), estimate.sample, covariance(estimate)
    if not (sample.available and isinstance(V, HasBread)):
        raise DataRemovedError(
            "a joint test with cov_type='pcse' needs the data; test before remove_data()"
        )
    E = sample.E
    nu = float(estimate.df.t[_equations(estimate, R)].min())
    system = System(V.bread, sample.problem.rows.blocks, E, sample.cells, estimate.row_sigma)
    S, s = _orthogonal(estimate, R, q)
    eta = sandwich_eta(system, S, nu, root=E.T / np.sqrt(estimate.nobs))
    if eta < 2.0 * m:
        return _bonferroni(estimate, R, q, f"{m} hypotheses are many for eta {eta:.1f}")
    gap = _gap(estimate, S, s)
    Q = float(gap @ np.linalg.solve(V.combinations(S), gap))
    left = eta - m + 1.0
    return _Found(Q * left / (eta * m), float(m), min(left, nu), "Hotelling", f"eta {eta:.1f}", m)


def _hac(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> _Found:
    """Hotelling's scaling with the degrees of freedom of the t tests."""
    return _hotelling(estimate, R, q, float(estimate.df.t[_equations(estimate, R)].min()))


def _hotelling(estimate: Estimate, R: np.ndarray, q: np.ndarray, nu: float) -> _Found:
    """Hotelling's scaling with ``nu`` degrees of freedom of the covariance."""
    m = len(R)
    if m > nu:
        raise InsufficientRowsError(
            f"{m} hypotheses cannot be tested together with {nu:.0f} degrees of freedom: the "
            f"{estimate.choice.cov_type} covariance of their estimates is singular. Test fewer, "
            "one at a time with t_test, or with another cov_type"
        )
    S, s = _orthogonal(estimate, R, q)
    gap = _gap(estimate, S, s)
    Q = float(gap @ np.linalg.solve(of_combinations(estimate, S), gap))
    left = nu - m + 1.0
    return _Found(Q * left / (nu * m), float(m), left, "Hotelling", "", m)


def _working(estimate: Estimate, R: np.ndarray, q: np.ndarray, note: str) -> _Found:
    """What `residual_test` is to likelihoods, of moments: by cov_type="sandwich"."""
    choice = replace(estimate.choice, cov_type="sandwich", kwds={"dof": "p+r"})
    again = estimate.with_covariance(choice, estimate.use_t)
    m, V = len(R), covariance(again)
    nu = V.joint_df(R) if isinstance(V, OwnLaw) else float(estimate.df.fewest)
    if 2 * m > nu:
        why = f"{m} hypotheses are many for {nu:.0f} degrees of freedom"
        return _bonferroni(again, R, q, f"{note}; {why}")
    return _hotelling(again, R, q, nu)._replace(note=note)


def _model_based(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> _Found:
    """F where Sigma = F F' + D is to be trusted, the residuals' covariance where it is not."""
    m, equations = len(R), _equations(estimate, R)
    note = ""
    if len(equations) > 1:
        left = factors_left(estimate)
        if left is None and not estimate.complete and estimate.has_factors:
            note = f"trusts rank {estimate.rank}: with missing cells that is not checked"
        elif left is not None and left.pvalue < _TRUST:
            why = (
                f"residuals are still correlated after {estimate.rank} factors "
                f"(p-value {left.pvalue:.2g})"
            )
            if estimate.sample.available:
                test = residual_test if estimate.moments is None else _working
                return test(estimate, R, q, f"{why}: their own covariance is used, not Sigma")
            note = f"{why}, and this test trusts the rank; the data to do without it are gone"
    S, s = _orthogonal(estimate, R, q)
    gap = _gap(estimate, S, s)
    Q = float(gap @ np.linalg.solve(of_combinations(estimate, S), gap))
    return _Found(Q / m, float(m), float(estimate.df.fewest), "F", note, m)
