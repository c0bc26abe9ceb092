"""What is asked of results with a likelihood, of estimates whose moments were solved."""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.estimate import Estimate, estimate_of
from sm_alsgls.results.factors import rank_of
from sm_alsgls.results.hypotheses import wald_test
from sm_alsgls.results.restriction_tests import of_free_coefficients
from sm_alsgls.results.table_style import GLANCE, presented


class _Refittable(Protocol):
    """A model that can be fitted again without its restrictions."""

    def without_restrictions(self) -> _Refittable:
        """The same model with free coefficients."""
        ...

    def fit(self, method: str = "iv", **kwds: Any) -> object:
        """Solve the moments."""
        ...


def glance(estimate: Estimate, style: str = "plain", backend: str = "pandas") -> Any:
    """One row for the whole fit.

    Parameters
    ----------
    style : {"plain", "broom"}
        "broom" names the columns as R's broom does: df, df.residual.
    backend : {"pandas", "polars"}
        Whose frame it is; polars has null for NaN.

    Returns
    -------
    DataFrame
        nobs (N), neqs (K), rank (r), n_params (coefficients P), method, n_instruments (Q);
        J, J_df, J_pvalue (NaN where equations are exactly identified); df_model (P and the
        parameters of Sigma), df_resid (N K - df_model); converged (bool), rounds (of Sigma and
        coefficients), cov_type (str).
    """
    found = estimate.instrumented
    row = {
        "nobs": estimate.nobs,
        "neqs": estimate.neqs,
        "rank": rank_of(estimate),
        "n_params": estimate.labels.P,
        "method": found.method,
        "n_instruments": int(estimate.p.sum()) + found.df,
        "J": found.J,
        "J_df": found.df,
        "J_pvalue": float(stats.chi2.sf(found.J, found.df)) if found.df else np.nan,
        "df_model": estimate.df_model,
        "df_resid": estimate.df_resid,
        "converged": found.converged,
        "rounds": len(found.steps),
        "cov_type": estimate.choice.cov_type,
    }
    return presented(pd.DataFrame([row]), GLANCE, style, backend)


def restriction_tests(restricted: Estimate, unrestricted: object = None) -> pd.DataFrame:
    """Wald test that the restrictions of `fit_constrained`, or of ``common=``, hold.

    It asks at the unrestricted estimate how far that is from obeying; there is no likelihood for
    the two other tests.

    Parameters
    ----------
    unrestricted : LowRank3SLSResults, optional
        Of the same data without restrictions; fitted, in the same way, when not given.

    Returns
    -------
    DataFrame
        Row Wald; columns statistic, df, df_denom (NaN for chi2), pvalue.

    Raises
    ------
    OptionError
        Without restrictions there is nothing to test.
    """
    model, found = restricted.model, restricted.instrumented
    if model.restrictions is None and restricted.labels.own:
        raise OptionError("the fit has no restrictions; use fit_constrained or common=")
    if unrestricted is None:
        unrestricted = (
            cast(_Refittable, model)
            .without_restrictions()
            .fit(
                found.method,
                iterate=found.iterated,
                weight="heteroskedastic" if found.robust else "homoskedastic",
                debiased=restricted.debiased,
            )
        )
    free = estimate_of(unrestricted)
    if free is None:
        raise OptionError(
            "unrestricted must be the results of LowRank3SLS.fit, got "
            f"{type(unrestricted).__name__}"
        )
    R, q = of_free_coefficients(restricted.labels, model.restrictions)
    use_f = restricted.use_t
    test = wald_test(free, (R, q), use_f=use_f, scalar=True)
    df = float(test.df_denom) if use_f else np.nan
    row = (float(test.statistic), len(q), df, float(test.pvalue))
    columns = ["statistic", "df", "df_denom", "pvalue"]
    return pd.DataFrame.from_dict({"Wald": row}, orient="index", columns=columns)
