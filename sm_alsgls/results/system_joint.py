"""Joint F tests of systems, by what each ``cov_type`` assumes of the errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from sm_alsgls.core.beta.hotelling import JointMoments, System, sandwich_eta
from sm_alsgls.core.beta.robust import WorkingCovariance
from sm_alsgls.core.beta.small_sample import Units
from sm_alsgls.core.design.base import Bread
from sm_alsgls.exceptions import DataRemovedError
from sm_alsgls.results.covariance import beside_leverage, covariance
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import factors_left
from sm_alsgls.results.joint import bonferroni, gap, hotelling, orthogonal, wald_f
from sm_alsgls.results.parameter_covariance import Found, OwnLaw, ParameterCovariance

# Level of the check that decides whether the rank is to be trusted across equations.
_TRUST = 0.05


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


def system_joint(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> Found:
    """The F test of independent hypotheses about a system; see `LowRankSURResults.wald_test`.

    Raises
    ------
    InsufficientRowsError, DataRemovedError
    """
    kind = estimate.choice
    if kind.power is not None:
        return _robust(estimate, R, q)
    if kind.cov_type == "pcse":
        return _least_squares(estimate, R, q)
    if kind.cov_type == "sandwich":
        return residual_test(estimate, R, q)
    if kind.cov_type == "HAC":
        return _hac(estimate, R, q)
    return _model_based(estimate, R, q)


def _equations(estimate: Estimate, R: np.ndarray) -> np.ndarray:
    """Positions of the equations that hypotheses are about."""
    used = np.flatnonzero(R.any(axis=0))
    return estimate.labels.users(used)


def _robust(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> Found:
    """Approximate Hotelling with bias-reduced influences, of rows or clusters."""
    V, m = covariance(estimate), len(R)
    if not estimate.sample.available:
        raise DataRemovedError(
            f"a joint test with cov_type={estimate.choice.cov_type!r} needs the data; test before "
            "remove_data(), or one hypothesis at a time with t_test"
        )
    if not isinstance(V, Jointly):
        return bonferroni(estimate, R, q, "two groupings: no joint law is known")
    units = "rows" if V.units.rows else "clusters"
    many = f"{m} hypotheses are many for {V.units.count} {units}"
    if 2 * m > V.units.count:
        return bonferroni(estimate, R, q, many)
    S, s = orthogonal(estimate, R, q)
    moments = V.moments(S * beside_leverage(estimate, V.bread))
    eta = moments.eta
    if eta < 2.0 * m or moments.lost:
        return bonferroni(estimate, R, q, f"{many} (eta {eta:.1f})")
    Q = moments.quadratic(gap(estimate, S, s))
    name = "HC2" if V.units.rows else "CR2"
    note = f"{name} of all hypotheses together, {V.units.count} {units}, eta {eta:.1f}"
    return Found(
        Q * (eta - m + 1.0) / (eta * m), float(m), eta - m + 1.0, "approximate Hotelling", note, m
    )


def residual_test(estimate: Estimate, R: np.ndarray, q: np.ndarray, note: str = "") -> Found:
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
        return bonferroni(estimate, R, q, f"{note}; {why}" if note else why)
    S, s = orthogonal(estimate, R, q)
    eta = sandwich_eta(system, S * factor, nu)
    exact = shared and abs(eta - nu) < 1e-6 * nu
    if exact:
        eta = nu  # to the last digit
    if eta - m + 1.0 < 1.0 or (eta < 2.0 * m and not exact):
        why = f"{m} hypotheses are many for eta {eta:.1f}"
        return bonferroni(estimate, R, q, f"{note}; {why}" if note else why)
    W = sigma.solve(E)
    V = WorkingCovariance(bread, W, estimate.nobs, factor).combinations(S)
    off = gap(estimate, S, s)
    Q = float(off @ np.linalg.solve(V, off))
    left = eta - m + 1.0
    law = "exact under normality" if exact else f"eta {eta:.1f}"
    said = f"{note}; {law}" if note else law
    return Found(
        Q * left / (eta * m), float(m), left if exact else min(left, nu), "Hotelling", said, m
    )


def _least_squares(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> Found:
    """Hotelling's test of panel-corrected standard errors."""
    m, sample, V = len(R), estimate.sample, covariance(estimate)
    if not (sample.available and isinstance(V, HasBread)):
        raise DataRemovedError(
            "a joint test with cov_type='pcse' needs the data; test before remove_data()"
        )
    E = sample.E
    nu = float(estimate.df.t[_equations(estimate, R)].min())
    system = System(V.bread, sample.problem.rows.blocks, E, sample.cells, estimate.row_sigma)
    S, s = orthogonal(estimate, R, q)
    eta = sandwich_eta(system, S, nu, root=E.T / np.sqrt(estimate.nobs))
    if eta < 2.0 * m:
        return bonferroni(estimate, R, q, f"{m} hypotheses are many for eta {eta:.1f}")
    off = gap(estimate, S, s)
    Q = float(off @ np.linalg.solve(V.combinations(S), off))
    left = eta - m + 1.0
    return Found(Q * left / (eta * m), float(m), min(left, nu), "Hotelling", f"eta {eta:.1f}", m)


def _hac(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> Found:
    """Hotelling's scaling with the degrees of freedom of the t tests."""
    return hotelling(estimate, R, q, float(estimate.df.t[_equations(estimate, R)].min()))


def _working(estimate: Estimate, R: np.ndarray, q: np.ndarray, note: str) -> Found:
    """What `residual_test` is to likelihoods, of moments: by cov_type="sandwich"."""
    choice = replace(estimate.choice, cov_type="sandwich", kwds={"dof": "p+r"})
    again = estimate.with_covariance(choice, estimate.use_t)
    m, V = len(R), covariance(again)
    nu = V.joint_df(R) if isinstance(V, OwnLaw) else float(estimate.df.fewest)
    if 2 * m > nu:
        why = f"{m} hypotheses are many for {nu:.0f} degrees of freedom"
        return bonferroni(again, R, q, f"{note}; {why}")
    return hotelling(again, R, q, nu)._replace(note=note)


def _model_based(estimate: Estimate, R: np.ndarray, q: np.ndarray) -> Found:
    """F where Sigma = F F' + D is to be trusted, the residuals' covariance where it is not."""
    equations = _equations(estimate, R)
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
    return wald_f(estimate, R, q, note)
