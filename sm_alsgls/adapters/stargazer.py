"""Systems in stargazer's tables.

stargazer looks up how to read a model by its class, and takes whatever is built on statsmodels'
wrapper as one equation: it sums squares of ``resid``, which of a system is a table. Equations
(``res.equations[name]``) need nothing of this; a system is read after `register` was called.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_alsgls.exceptions import MissingExtraError
from sm_alsgls.results.estimate import estimate_of
from sm_alsgls.results.labelled import CoefficientResultsWrapper
from sm_alsgls.results.system_fit import slopes_test, system_rsquared


def read(results: Any) -> dict[str, Any]:
    """What stargazer 0.0.7 asks of a model.

    Coefficients are those of all equations, called as in ``params``. Of a system R-squared is
    McElroy's, and F is the test that all slopes are zero, with its own degrees of freedom. What
    there is not stays empty: a residual standard error of a system, both of a mixed model.
    """
    interval = results.conf_int()
    names = results.params.index
    estimate = estimate_of(results)
    test = None if estimate is None else slopes_test(estimate)
    fit = None if estimate is None else float(system_rsquared(estimate)["mcelroy"])
    return {
        "p_values": results.pvalues,
        "cov_values": results.params,
        "cov_std_err": results.bse,
        "cov_names": np.asarray(names),
        "conf_int_low_values": interval[0],
        "conf_int_high_values": interval[1],
        "dependent_variable": results.model.endog_names,
        "r2": fit,
        "r2_adj": None,
        "pseudo_r2": None,
        "resid_std_err": None,
        "f_statistic": None if test is None else float(results.fvalue),
        "f_p_value": None if test is None else float(test.pvalue),
        # stargazer prints these beside F alone.
        "degree_freedom": float(results.df_model if test is None else test.df_num),
        "degree_freedom_resid": results.df_resid if test is None else results.df_resid_inference,
        "nobs": int(results.nobs),
    }


def register() -> None:
    """Tell stargazer how results of this package are read; once in a session is enough.

    Raises
    ------
    MissingExtraError
        stargazer is not installed.
    """
    try:
        from stargazer.translators import register_class
    except ImportError as error:
        raise MissingExtraError(
            "stargazer is not installed: pip install stargazer, or 'sm_alsgls[integrations]'"
        ) from error
    register_class(CoefficientResultsWrapper, read)
