"""F tests of several linear hypotheses, by what the covariance of the coefficients assumes."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from scipy import stats
from statsmodels.stats.contrast import ContrastResults
from statsmodels.tools.sm_exceptions import ValueWarning

from sm_alsgls.core.beta.bias_reduced import BiasReducedCovariance
from sm_alsgls.core.beta.hotelling import System, sandwich_eta
from sm_alsgls.core.beta.robust import WorkingCovariance
from sm_alsgls.data.removed import Removed
from sm_alsgls.exceptions import DataRemovedError, InsufficientRowsError, RestrictionError
from sm_alsgls.results.covariance import beside_leverage

# Level of the check that decides whether the rank is to be trusted across equations.
_TRUST = 0.05
# A row of hypotheses follows from the others where less than this is left of it.
_REDUNDANT = 1e-10
# What hypotheses that follow from others may be off, relative to their numbers.
_AGREE = 1e-8


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


def joint_test(results: Any, R: np.ndarray, q: np.ndarray, scalar: bool = True) -> JointTest:
    """F test of R beta = q with the covariance that ``results`` have.

    Raises
    ------
    InsufficientRowsError, DataRemovedError
    """
    with np.errstate(over="ignore"):  # a hypothesis may be as wrong as one likes
        return JointTest.of(_tested(results, R, q), scalar)


def _tested(results: Any, R: np.ndarray, q: np.ndarray) -> _Found:
    R, q = _independent(results, R, q)
    kind = results._choice
    if len(R) == 1:
        return _single(results, R, q)
    if kind.power is not None:
        return _robust(results, R, q)
    if kind.cov_type == "pcse":
        return _least_squares(results, R, q)
    if kind.cov_type == "sandwich":
        return residual_test(results, R, q)
    if kind.cov_type == "HAC":
        return _hac(results, R, q)
    return _model_based(results, R, q)


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


def _independent(results: Any, R: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hypotheses in units of their size, without those that follow from others."""
    bse = np.asarray(results.bse)
    size = np.sqrt(np.square(R * np.where(bse > 0.0, bse, 1.0)).sum(axis=1))
    size = np.where(size > 0.0, size, 1.0)
    R, q = R / size[:, None], q / size
    used = R.any(axis=0)
    scaled = R[:, used] * np.where(bse[used] > 0.0, bse[used], 1.0)
    triangle, order = scipy.linalg.qr(scaled.T, mode="r", pivoting=True)
    left = np.abs(np.diagonal(triangle))
    rank = int((left > _REDUNDANT * max(left[0], 1e-300)).sum()) if left.size else 0
    if rank == len(R):
        return R, q
    warnings.warn(
        f"hypotheses follow from others: there are {len(R)}, and {rank} say everything",
        ValueWarning,
        stacklevel=5,
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


def _orthogonal(results: Any, R: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same hypotheses as combinations that are at right angles in units of standard errors.

    Those that nearly say the same have a covariance that rounding makes singular.
    """
    bse = np.asarray(results.bse)
    scale = np.where(bse > 0.0, bse, 1.0)
    triangle = np.linalg.qr((R * scale).T, mode="r")
    both = scipy.linalg.solve_triangular(triangle, np.column_stack([R, q]), trans="T")
    return both[:, :-1], both[:, -1]


def _gap(results: Any, R: np.ndarray, q: np.ndarray) -> np.ndarray:
    return R @ np.asarray(results.params) - q


def _equations(results: Any, R: np.ndarray) -> np.ndarray:
    """Positions of the equations that hypotheses are about."""
    used = np.flatnonzero(R.any(axis=0))
    return np.unique(np.searchsorted(results._stop, used, side="right"))


def _single(results: Any, R: np.ndarray, q: np.ndarray) -> _Found:
    """The square of the t test."""
    variance = float(results._of_combinations(R)[0, 0])
    t2 = np.square(_gap(results, R, q)[0]) / variance
    return _Found(float(t2), 1.0, float(results._df_of(R)[0]), "F", "", 1)


def _bonferroni(results: Any, R: np.ndarray, q: np.ndarray, note: str) -> _Found:
    """q times the smallest p-value of the t tests of each hypothesis."""
    t = np.abs(_gap(results, R, q)) / np.sqrt(np.diagonal(results._of_combinations(R)))
    df = results._df_of(R)
    k = int(np.argmin(stats.t.logsf(t, df)))
    return _Found(float(t[k] ** 2), 1.0, float(df[k]), "Bonferroni", note, len(R))


def _robust(results: Any, R: np.ndarray, q: np.ndarray) -> _Found:
    """Approximate Hotelling with bias-reduced influences, of rows or clusters."""
    covariance, m = results._covariance, len(R)
    if isinstance(results._problem, Removed):
        raise DataRemovedError(
            f"a joint test with cov_type={results.cov_type!r} needs the data; test before "
            "remove_data(), or one hypothesis at a time with t_test"
        )
    if not isinstance(covariance, BiasReducedCovariance):
        return _bonferroni(results, R, q, "two groupings: no joint law is known")
    units = "rows" if covariance.units.rows else "clusters"
    many = f"{m} hypotheses are many for {covariance.units.count} {units}"
    if 2 * m > covariance.units.count:
        return _bonferroni(results, R, q, many)
    S, s = _orthogonal(results, R, q)
    moments = covariance.moments(S * beside_leverage(results, covariance.bread))
    eta = moments.eta
    if eta < 2.0 * m or moments.lost:
        return _bonferroni(results, R, q, f"{many} (eta {eta:.1f})")
    Q = moments.quadratic(_gap(results, S, s))
    name = "HC2" if covariance.units.rows else "CR2"
    note = f"{name} of all hypotheses together, {covariance.units.count} {units}, eta {eta:.1f}"
    return _Found(
        Q * (eta - m + 1.0) / (eta * m), float(m), eta - m + 1.0, "approximate Hotelling", note, m
    )


def residual_test(results: Any, R: np.ndarray, q: np.ndarray, note: str = "") -> _Found:
    """Hotelling's test with the residuals' own covariance S in place of Sigma.

    Where all designs are equal it is exact under normality for hypotheses of the form
    A B c = 0, B (K, p) the coefficients: Gibbons, Ross and Shanken (1989).
    """
    m, problem = len(R), results._problem
    if isinstance(problem, Removed):
        raise DataRemovedError(
            "a joint test with the residuals' covariance needs the data; test before remove_data()"
        )
    E, sigma = results._found.best.E, results.sigma
    bread = problem.covariance(sigma)
    plain = problem.ridge is None and not bread.tied.any()
    shared = problem.design.shared and plain
    if shared:
        # GLS is least squares: the factors take no degrees of freedom.
        nu = float(results.nobs - results._p[0])
        factor = np.full(results.neqs, np.sqrt(results.nobs / nu))
    else:
        nu = float(results._df_equation[_equations(results, R)].min())
        factor = np.sqrt(results._counts / results._df_equation)
    factor = np.repeat(factor, results._p)
    system = System(bread, problem.rows.blocks, E, results.model._system.cells, sigma)
    if 2 * m > nu and not (shared and m <= nu):
        why = f"{m} hypotheses are many for {nu:.0f} degrees of freedom"
        return _bonferroni(results, R, q, f"{note}; {why}" if note else why)
    S, s = _orthogonal(results, R, q)
    eta = sandwich_eta(system, S * factor, nu)
    exact = shared and abs(eta - nu) < 1e-6 * nu
    if exact:
        eta = nu  # to the last digit
    if eta - m + 1.0 < 1.0 or (eta < 2.0 * m and not exact):
        why = f"{m} hypotheses are many for eta {eta:.1f}"
        return _bonferroni(results, R, q, f"{note}; {why}" if note else why)
    W = sigma.solve(E)
    V = WorkingCovariance(bread, W, results.nobs, factor).combinations(S)
    gap = _gap(results, S, s)
    Q = float(gap @ np.linalg.solve(V, gap))
    left = eta - m + 1.0
    law = "exact under normality" if exact else f"eta {eta:.1f}"
    said = f"{note}; {law}" if note else law
    return _Found(
        Q * left / (eta * m), float(m), left if exact else min(left, nu), "Hotelling", said, m
    )


def _least_squares(results: Any, R: np.ndarray, q: np.ndarray) -> _Found:
    """Hotelling's test of panel-corrected standard errors."""
    m, problem, covariance = len(R), results._problem, results._covariance
    if isinstance(problem, Removed):
        raise DataRemovedError(
            "a joint test with cov_type='pcse' needs the data; test before remove_data()"
        )
    E = results._found.best.E
    nu = float(results._df_t[_equations(results, R)].min())
    cells, sigma = results.model._system.cells, results.sigma
    system = System(covariance.bread, problem.rows.blocks, E, cells, sigma)
    S, s = _orthogonal(results, R, q)
    eta = sandwich_eta(system, S, nu, root=E.T / np.sqrt(results.nobs))
    if eta < 2.0 * m:
        return _bonferroni(results, R, q, f"{m} hypotheses are many for eta {eta:.1f}")
    gap = _gap(results, S, s)
    Q = float(gap @ np.linalg.solve(covariance.combinations(S), gap))
    left = eta - m + 1.0
    return _Found(Q * left / (eta * m), float(m), min(left, nu), "Hotelling", f"eta {eta:.1f}", m)


def _hac(results: Any, R: np.ndarray, q: np.ndarray) -> _Found:
    """Hotelling's scaling with the degrees of freedom of the t tests."""
    m, nu = len(R), float(results._df_t[_equations(results, R)].min())
    if m > nu:
        raise InsufficientRowsError(
            f"{m} hypotheses cannot be tested together with {nu:.0f} degrees of freedom: the HAC "
            "covariance of their estimates is singular. Test fewer, one at a time with t_test, or "
            "with another cov_type"
        )
    S, s = _orthogonal(results, R, q)
    gap = _gap(results, S, s)
    Q = float(gap @ np.linalg.solve(results._of_combinations(S), gap))
    left = nu - m + 1.0
    return _Found(Q * left / (nu * m), float(m), left, "Hotelling", "", m)


def _model_based(results: Any, R: np.ndarray, q: np.ndarray) -> _Found:
    """F where Sigma = F F' + D is to be trusted, the residuals' covariance where it is not."""
    m, equations = len(R), _equations(results, R)
    note = ""
    if len(equations) > 1:
        left = results._factors_left
        if left is None and not results._complete:
            note = f"trusts rank {results.rank}: with missing cells that is not checked"
        elif left is not None and left.pvalue < _TRUST:
            why = (
                f"residuals are still correlated after {results.rank} factors "
                f"(p-value {left.pvalue:.2g})"
            )
            if not isinstance(results._problem, Removed):
                return residual_test(
                    results, R, q, f"{why}: their own covariance is used, not Sigma"
                )
            note = f"{why}, and this test trusts the rank; the data to do without it are gone"
    S, s = _orthogonal(results, R, q)
    gap = _gap(results, S, s)
    Q = float(gap @ np.linalg.solve(results._of_combinations(S), gap))
    return _Found(Q / m, float(m), float(results.df_resid_inference), "F", note, m)
