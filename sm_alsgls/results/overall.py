"""The overall F test of one equation: fitted values are constant."""

from __future__ import annotations

import numpy as np
from scipy import stats

from sm_alsgls.results.coefficients import robust
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import kept_of_equation
from sm_alsgls.results.freedom import Freedom
from sm_alsgls.results.in_sample import constants
from sm_alsgls.results.joint import JointTest, joint_test


def freedom_of(estimate: Estimate, j: int) -> Freedom:
    """What the restrictions leave free of an equation's own coefficients."""
    return estimate.freedom.of(estimate.labels.columns(j))


@kept_of_equation
def slopes(estimate: Estimate, j: int) -> np.ndarray:
    """Rows R (m, p_j) of R beta_j = 0 where fitted values are constant (or zero)."""
    R = restriction(constants(estimate)[j], int(estimate.p[j]))
    return R[freedom_of(estimate, j).independent(R)]


@kept_of_equation
def wald_of_slopes(estimate: Estimate, j: int) -> float:
    """The Wald statistic that all slopes are zero."""
    R = slopes(estimate, j)
    return wald(R @ estimate.beta[j], R @ covariance(estimate).block(j) @ R.T)


@kept_of_equation
def joint_of_slopes(estimate: Estimate, j: int) -> JointTest | None:
    """The joint test of all slopes where the covariance has a small-sample one, else None."""
    R = slopes(estimate, j)
    if not (robust(estimate) and estimate.use_t and len(R)):
        return None
    return joint_test(estimate, estimate.labels.whole(j, R), np.zeros(len(R)))


def fvalue(estimate: Estimate, j: int) -> float:
    """Overall F statistic of an equation; see `EquationResults.fvalue`."""
    joint = joint_of_slopes(estimate, j)
    if joint is not None:
        return float(joint.fvalue)
    m = len(slopes(estimate, j))
    return wald_of_slopes(estimate, j) / m if m else np.nan


def f_pvalue(estimate: Estimate, j: int) -> float:
    """p-value of `fvalue`."""
    m = len(slopes(estimate, j))
    if not m:
        return np.nan
    joint = joint_of_slopes(estimate, j)
    if joint is not None:
        return float(joint.pvalue)
    if estimate.use_t:
        return float(stats.f.sf(fvalue(estimate, j), m, float(estimate.df.t[j])))
    return float(stats.chi2.sf(wald_of_slopes(estimate, j), m))


def restriction(a: np.ndarray | None, p: int) -> np.ndarray:
    """Rows R with R beta = 0 where beta is zero or a multiple of a."""
    if a is None:
        return np.eye(p)
    if np.count_nonzero(a) == 1:
        return np.delete(np.eye(p), np.flatnonzero(a)[0], axis=0)
    return np.linalg.svd(a[None, :])[2][1:]


def wald(b: np.ndarray, V: np.ndarray) -> float:
    """b' V^+ b for estimates b (m,) of zeros with covariance V (m, m); NaN where m is 0."""
    if not len(b):
        return np.nan
    # In units of standard errors: no equation's units matter. A clustered V can be singular.
    scale = np.sqrt(np.diagonal(V))
    solution = np.linalg.lstsq(V / np.outer(scale, scale), b / scale, rcond=None)[0]
    return float(b / scale @ solution)
