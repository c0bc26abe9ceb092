"""Are instruments strong, do they agree, and does what a system asks beyond 2SLS hold?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sm_alsgls.core.residuals.residual_tests import holm
from sm_alsgls.exceptions import DataRemovedError, IterationError, NotApplicableError
from sm_alsgls.results.checks.check import Check, skipped, verdict
from sm_alsgls.results.checks.report import listed
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.first_stage import first_stage_of
from sm_alsgls.results.hausman import hausman
from sm_alsgls.results.overidentification import j_test, sargan

# Coefficients times cells beyond which the comparison is left to who asks for it.
_LARGEST = 2e10
STRENGTH, OVER, SYSTEM = "weak instruments", "over-identification", "2SLS against the system"


def strength(estimate: Estimate, equations: pd.DataFrame) -> Check:
    """The effective F of each endogenous regressor against its critical value."""
    stage = first_stage_of(estimate)
    if not len(stage.table):
        return skipped(STRENGTH, "no regressor is endogenous")
    margin = stage.margin
    if margin.isna().all():
        return skipped(STRENGTH, "there are as many instruments as rows")
    worst = int(np.nanargmin(margin.to_numpy(float)))
    least = margin.groupby(level="equation").min()
    equations["strength"] = least.reindex(equations.index).to_numpy()
    equation, name = margin.index[worst]
    F = float(stage.compared.iloc[worst])
    critical = float(stage.table["effective_f_critical"].iloc[worst])
    found = f"{len(stage.weak)} of {len(margin)} endogenous regressors"
    found += f": {listed(pd.Index(stage.weak))}" if stage.weak else ""
    found += f"; the least F for its critical value, {F:.3g} of {critical:.3g}, is that of "
    found += repr(f"{equation}_{name}")
    return Check(
        STRENGTH,
        F,
        np.nan,
        verdict(bool(stage.weak)),
        found,
        "estimates lean towards OLS and standard errors are too small: test with anderson_rubin() "
        "or wild_test(), or find stronger instruments (first_stage)",
    )


def over(estimate: Estimate, equations: pd.DataFrame, alpha: float) -> Check:
    """J of the system, and Sargan's test of every equation."""
    try:
        test, own = j_test(estimate), sargan(estimate)
    except NotApplicableError:
        return skipped(OVER, "every equation has as many instruments as regressors")
    equations["sargan"] = own["sargan_pvalue"].to_numpy()
    adjusted = holm(equations["sargan"].to_numpy(float))
    bad = equations.index[adjusted < alpha]
    tested = int((own["df"] > 0).sum())
    found = f"J {test.statistic:.4g} on {test.df} degrees of freedom; Sargan's test rejects in "
    found += f"{len(bad)} of {tested} equations" + (f": {listed(bad)}" if len(bad) else "")
    return Check(
        OVER,
        test.statistic,
        test.pvalue,
        verdict(test.pvalue < alpha or len(bad) > 0),
        found,
        "some instrument moves with the errors of its equation, or belongs among its regressors: "
        "sargan() has every equation, and Hansen's test beside heteroscedasticity",
    )


def system(estimate: Estimate, alpha: float) -> Check:
    """Hausman's comparison with 2SLS."""
    if float(estimate.labels.P) * estimate.nobs * estimate.neqs > _LARGEST:
        return skipped(SYSTEM, "the system is large: hausman() takes minutes")
    try:
        test = hausman(estimate)
    except NotApplicableError as error:
        return skipped(SYSTEM, str(error).partition(";")[0])
    except IterationError as error:
        return skipped(SYSTEM, str(error))
    table = test.table
    if "all" in table.index and np.isfinite(table.loc["all", "pvalue"]):
        statistic, pvalue = table.loc["all", "statistic"], table.loc["all", "pvalue"]
        found = f"they differ by {statistic:.4g} on {table.loc['all', 'df']:.0f} degrees of freedom"
    else:
        own = table.drop(index="all", errors="ignore")
        values = own["pvalue"].to_numpy(float)
        if not np.isfinite(values).any():
            return skipped(SYSTEM, "the two are one")
        adjusted = holm(values)
        statistic, pvalue = own["statistic"].iloc[np.nanargmin(values)], np.nanmin(adjusted)
        bad = own.index[adjusted < alpha]
        found = f"they differ in {len(bad)} of {len(own)} equations"
        found += f": {listed(bad)}" if len(bad) else ""
    return Check(
        SYSTEM,
        float(statistic),
        float(pvalue),
        verdict(bool(pvalue < alpha)),
        found + " (hausman)",
        "what the system estimator asks beyond 2SLS does not hold: an instrument moves with the "
        "errors of another equation, or some equation is wrong; method='gmm' asks less, '2sls' "
        "least",
    )


def checks(estimate: Estimate, equations: pd.DataFrame, alpha: float) -> list[Check]:
    """All three; of data that are gone none."""
    try:
        return [
            strength(estimate, equations),
            over(estimate, equations, alpha),
            system(estimate, alpha),
        ]
    except DataRemovedError:
        return [skipped(name, "the data are gone") for name in (STRENGTH, OVER, SYSTEM)]
