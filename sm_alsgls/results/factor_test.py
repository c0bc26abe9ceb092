"""Whether factors may be taken for random, and whether additive effects suffice."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sm_alsgls.core.interactive.contrast import additive, random
from sm_alsgls.core.interactive.covariance import bandwidth
from sm_alsgls.results.interactive_estimate import InteractiveEstimate
from sm_alsgls.results.interactive_parts import need_factors
from sm_alsgls.results.shown import ShownFrame, one_line


@dataclass(frozen=True, eq=False, repr=False)
class FactorTest(ShownFrame):
    """Contrasts of slopes.

    Attributes
    ----------
    table : DataFrame
        Rows "additive" and "random"; statistic (F), df, df_denom, pvalue.
    coefficients : DataFrame (p, columns)
        Slopes beside fixed factors, beside the additive effects alone, and with factors in the
        covariance of the errors, with the standard errors of the differences.
    """

    table: pd.DataFrame
    coefficients: pd.DataFrame = field(repr=False)

    def __repr__(self) -> str:
        said = [f"{name} P={p:.3f}" for name, p in self.table["pvalue"].items()]
        return one_line(type(self).__name__, said)

    def summary_frame(self) -> pd.DataFrame:
        """The table."""
        return self.table


def factor_test(estimate: InteractiveEstimate) -> FactorTest:
    """Whether factors move with the regressors: contrasts of slopes (Hausman 1978).

    "additive": slopes beside the model's additive effects alone have the same limit. A small
    p-value says that they do not suffice: loadings move with the regressors (Kapetanios, Serlenga
    and Shin 2023). A large one does not say that there are no factors, but that slopes do without.
    "random": slopes with the factors in the covariance of the errors, ``factors="random"``, have
    the same limit. A small p-value says that factors must be fixed.

    Returns
    -------
    FactorTest
        ``table``, ``coefficients``.

    Raises
    ------
    NoFactorsError
        The model has rank 0.

    References
    ----------
    Hausman (1978), Econometrica 46; Kapetanios, Serlenga and Shin (2023), Journal of Econometrics
    235.
    """
    need_factors(estimate, "factor_test")
    tests = {
        "additive": additive(estimate.fit, estimate.params),
        "random": random(estimate.fit, estimate.params, bandwidth(estimate.sizes[0])),
    }
    table = pd.DataFrame(
        {
            name: {
                "statistic": test.statistic,
                "df": test.df[0],
                "df_denom": test.df[1],
                "pvalue": test.pvalue,
            }
            for name, test in tests.items()
        }
    ).T.astype({"df": int, "df_denom": int})
    columns = {"fixed": estimate.params}
    for name, test in tests.items():
        columns[name] = test.other
        columns[f"{name}_se_difference"] = np.sqrt(np.diagonal(test.cov))
    return FactorTest(table, pd.DataFrame(columns, index=estimate.labels.params))
