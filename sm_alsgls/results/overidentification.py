"""Tests of over-identifying restrictions: J of the system, Sargan's and Hansen's of an equation.

Moments that no coefficient moves, c = O'e (`sm_alsgls.core.instruments.design`), are zero on
average where instruments are exogenous to their own equation, whatever the estimator:

    J = c'C^-1 c ~ chi2(Q - P),     C = O'(Sigma x I)O,  or of a heteroscedastic weight its own.

Of one equation with 2SLS residuals e_j, s = |e_j|^2 / N, and h = sum_n e_nj^2 o_n o_n':

    Sargan (1958)   |O_j'e_j|^2 / s,          Hansen (1982)   (O_j'e_j)' h^-1 (O_j'e_j),

both on q_j - p_j degrees of freedom. (Hansen's weight is that of 2SLS residuals on O_j, whose
coefficients are none; a two-step GMM of the equation has the same statistic.)

Where the fit is debiased J is weighted with Sigma of N - p_j degrees of freedom, as 2SLS residuals
have them. Divided by N it is too large in small samples: at 5 % it rejects 20 % of right systems of
46 equations, 30 rows and 5 regressors (2.5 % so), 7 % of 10 equations and 100 rows (5 %); 200 and
600 draws, docs/measured/instruments.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.instrumented_covariance import whole_design
from sm_alsgls.results.outcome import CovarianceTest


def j_test(estimate: Estimate) -> CovarianceTest:
    """The J test: instruments are exogenous to their own equations.

    Returns
    -------
    CovarianceTest
        ``statistic``, ``pvalue``, ``df`` Q - P: instruments less coefficients. Coefficients that
        are restricted or common do not enter: restrictions have tests of their own.

    Raises
    ------
    NotApplicableError
        Every equation is exactly identified.

    Notes
    -----
    The moments are E z_j e_j = 0 for each equation with the optimal weight of the fit; J is the
    same for "iv", "gmm" and "2sls" but for the Sigma it is weighted with. Where the fit is
    ``debiased`` Sigma has N - p_j degrees of freedom (J is smaller by (N - p) / N than others'),
    which keeps its size in small samples; a heteroscedastic weight is as it is. "iv" asks for more,
    E z_j e_l = 0: `LowRank3SLSResults.hausman` compares it with 2SLS, which does not.

    References
    ----------
    Hansen (1982), Econometrica 50.
    """
    found = estimate.instrumented
    if not found.df:
        raise NotApplicableError(
            "every equation has as many instruments as regressors, so no moment is left to test; "
            "give more instruments than endogenous regressors"
        )
    weight = "heteroscedastic weight" if found.robust else "weight Sigma"
    return CovarianceTest(
        name="J test of over-identifying restrictions",
        null="instruments are exogenous to their own equations",
        alternative="some instrument is not",
        statistic=found.J,
        pvalue=float(stats.chi2.sf(found.J, found.df)),
        distribution="chi2",
        df=found.df,
        note=f"{weight}; {found.df} over-identifying moments, {estimate.nobs} rows.",
    )


def sargan(estimate: Estimate) -> pd.DataFrame:
    """Sargan's and Hansen's tests of each equation alone, from residuals of its own 2SLS.

    They are the same whatever ``method``, and whatever is restricted.

    Returns
    -------
    DataFrame
        A row an equation: ``df`` (q_j - p_j), ``sargan``, ``sargan_pvalue``, ``hansen``,
        ``hansen_pvalue`` (robust to heteroscedasticity). NaN where df is 0, and Hansen's where
        there are as many moments as rows.

    References
    ----------
    Sargan (1958), Econometrica 26; Hansen (1982), Econometrica 50.
    """
    return of_equations(estimate).copy()


@kept
def of_equations(estimate: Estimate) -> pd.DataFrame:
    """What `sargan` returns."""
    _ = estimate.instrumented
    design, Y = whole_design(estimate), estimate.sample.cells.used(estimate.model.endog)
    over, E = design.over, design.least_squares(Y)[1]
    rows = []
    for j in range(estimate.neqs):
        U, e = over.basis(j), E[:, j]
        m = U.shape[1]
        if not m:
            rows.append((0, np.nan, np.nan, np.nan, np.nan))
            continue
        c = U.T @ e
        plain = float(c @ c) / float(e @ e) * len(e)
        scores = U * e[:, None]
        robust = float(c @ np.linalg.solve(scores.T @ scores, c)) if m < len(e) else np.nan
        rows.append((m, plain, stats.chi2.sf(plain, m), robust, stats.chi2.sf(robust, m)))
    index = pd.Index(estimate.equations, name="equation")
    columns = ["df", "sargan", "sargan_pvalue", "hansen", "hansen_pvalue"]
    return pd.DataFrame(rows, index=index, columns=columns)
