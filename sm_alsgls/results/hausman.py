"""Hausman's comparison of a system estimator with two-stage least squares.

Both are linear in the errors given Sigma, so their difference is, and its covariance needs no
"inefficient less efficient": with A and A_2 the weights on the errors' cells,

    delta = b_2sls - b,     V = (A_2 - A)(S x I)(A_2 - A)',     H = delta' V^+ delta ~ chi2(rank V),

positive semidefinite always, and V_2sls - V of GMM where S is the Sigma that it is weighted with.
Here S = E'E of 2SLS residuals over N - p_j, which needs no rank to be right. 2SLS asks only
E z_j e_j = 0; 3SLS ("iv") asks E z_j e_l = 0 for all j and l, and every equation to be right.

Hausman (1978, Econometrica 46).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.core.instruments.covariance import Combinations
from sm_alsgls.core.instruments.gmm import GMMForm
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.instrumented_covariance import design_of, form_at
from sm_alsgls.results.shown import ShownText

# Directions whose variance is below this share of that of 2SLS have none.
_NONE = 1e-8
# Coefficients up to which all equations are compared together.
_JOINT = 2_000


@dataclass(frozen=True)
class Hausman(ShownText):
    """Two-stage least squares against the system estimator.

    Attributes
    ----------
    table : DataFrame
        A row an equation, and "all" where all are compared together: ``statistic``, ``df``,
        ``pvalue``.
    coefficients : DataFrame
        A row a coefficient: ``2sls``, ``system``, ``difference``, ``std_err`` (of the difference).
    """

    table: pd.DataFrame
    coefficients: pd.DataFrame

    @property
    def pvalue(self) -> float:
        """Of all equations together; NaN where they were not compared."""
        return float(self.table["pvalue"].get("all", np.nan))

    def __str__(self) -> str:
        return "2SLS against the system estimator (Hausman)\n" + self.table.to_string(
            float_format=lambda value: f"{value:.4g}"
        )

    def __repr__(self) -> str:
        return f"<Hausman: {len(self.table)} comparisons, p-value of all {self.pvalue:.4g}>"


def hausman(estimate: Estimate) -> Hausman:
    """Compare with two-stage least squares, equation by equation and all together.

    Returns
    -------
    Hausman
        ``table``, ``coefficients``. A small p-value says that what the system estimator asks
        beyond 2SLS (instruments exogenous to other equations, other equations right) does not
        hold. "all" is there up to 2,000 coefficients and where these are fewer than cells allow.

    Raises
    ------
    NotApplicableError
        The fit is 2SLS, or coefficients are restricted or common.

    References
    ----------
    Hausman (1978), Econometrica 46.
    """
    found = estimate.instrumented
    if found.method == "2sls":
        raise NotApplicableError("this is 2SLS; fit with method='iv' or 'gmm' to compare it with")
    if estimate.sample.problem.design.restricted:
        raise NotApplicableError(
            "with restrictions or common coefficients the estimates differ by more than what "
            "instruments say; compare the fits without them"
        )
    if found.robust:
        raise NotApplicableError(
            "with a heteroscedastic weight the covariance of the difference is not that of Sigma; "
            "compare a fit with weight='homoskedastic'"
        )
    design, sigma, labels = design_of(estimate), found.first_cov, estimate.labels
    system, own = form_at(estimate, sigma), GMMForm(design, sigma, over=False)
    combinations = Combinations(own, design)
    Y = estimate.sample.problem.Y
    first = design.project(Y)
    plain = np.concatenate(design.to_beta(first))
    delta = plain - estimate.params
    E = design.left(Y, first) / np.sqrt(estimate.nobs - estimate.p)
    root = np.asarray(np.linalg.qr(E, mode="r")).T

    def compared(at: np.ndarray) -> tuple[float, int, float, np.ndarray]:
        """Statistic, degrees of freedom, p-value, and variances of differences."""
        rows = np.zeros((len(at), labels.P))
        rows[np.arange(len(at)), at] = 1.0
        B = combinations.of(rows)
        apart = [
            own.carried(b) - system.carried(t) for b, t in zip(B.T, system.pull(B).T, strict=True)
        ]
        flat = np.stack([(a @ root).ravel() for a in apart])
        V = flat @ flat.T
        unit = np.sqrt(np.diagonal(own.cross(B, B)))
        values, vectors = np.linalg.eigh(V / np.multiply.outer(unit, unit))
        there = values > _NONE
        c = vectors[:, there].T @ (delta[at] / unit)
        statistic, df = float(c @ (c / values[there])), int(there.sum())
        pvalue = float(stats.chi2.sf(statistic, df)) if df else np.nan
        return statistic, df, pvalue, np.diagonal(V)

    rows, variances = {}, np.empty(labels.P)
    for j, name in enumerate(estimate.equations):
        at = np.arange(labels.P)[labels.columns(j)]
        *rows[name], variances[at] = compared(at)
    size = labels.P * len(Y) * root.shape[1]
    if estimate.neqs > 1 and labels.P <= _JOINT and size <= 2**27:
        *rows["all"], _ = compared(np.arange(labels.P))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["statistic", "df", "pvalue"])
    coefficients = pd.DataFrame(
        {
            "2sls": plain,
            "system": estimate.params,
            "difference": delta,
            "std_err": np.sqrt(np.maximum(variances, 0.0)),
        },
        index=labels.params,
    )
    return Hausman(table.rename_axis("equation"), coefficients)
