"""The parametric bootstrap of a mixed model: coefficients and variances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import count, generator
from sm_alsgls.core.mixed.bootstrap import refits
from sm_alsgls.core.mixed.rows import MixedRows
from sm_alsgls.results.bootstrap import BootstrapResults
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.mixed_quantities import quantities
from sm_alsgls.results.progress import says


@dataclass(frozen=True, repr=False)
class MixedBootstrapResults(BootstrapResults):
    """Refits of a mixed model to responses drawn from it.

    `BootstrapResults` of its coefficients, whose standard errors in replicates are roots of the
    diagonal of s2 H^-1, and of variances: `variances` and `variance_frame`.

    Attributes
    ----------
    params, bse : DataFrame (reps, p)
        Fixed effects of each replicate, and their standard errors.
    estimate, estimate_bse : Series (p,)
        Of the parent.
    law_params, law_estimate : DataFrame (reps, m) and Series (m,)
        Variances of each replicate, and of the parent.
    converged : ndarray of bool (reps,)
    method : str
        "parametric".
    statistics, failed : list and int
        Empty, and 0.
    """

    @property
    def variances(self) -> pd.DataFrame:
        """Standard deviations, correlations and residual parameters of each replicate."""
        assert self.law_params is not None
        return self.law_params

    def variance_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Variances with bootstrap standard errors, biases and percentile intervals."""
        return self.law_frame(alpha)


def rows_of(estimate: MixedEstimate) -> MixedRows:
    """Rows for draws of autoregressive residuals.

    Raises
    ------
    DataRemovedError
        There are none; of a stream there never were.
    """
    return estimate.rows.mixed()


@says
def bootstrap(
    estimate: MixedEstimate,
    reps: int = 999,
    *,
    rng: np.random.Generator | int | None = None,
    progress: bool | None = None,
) -> MixedBootstrapResults:
    """Draw responses from the fit and fit them again.

    Parameters
    ----------
    reps : int
    rng : numpy Generator or int, optional
        Default: a fixed seed.
    progress : bool, optional
        Whether to say how far it is: True with a bar from the start (needs tqdm), False never; by
        default after two seconds, where standard error is a terminal or a notebook.

    Returns
    -------
    MixedBootstrapResults
        ``conf_int`` (percentile-t, or percentile), ``pvalues`` and ``summary_frame`` of
        coefficients, ``variances`` and ``variance_frame`` of variances, every replicate.

    Raises
    ------
    OptionError
    DataRemovedError
        Autoregressive residuals are drawn in rows, and there are none.

    Notes
    -----
    Random effects and residuals are normal draws. Without autoregression products of groups are
    drawn, exactly, without rows: the cost is that of the fits, each from where this one is.
    """
    reps, source = count(reps, "reps"), generator(rng) or np.random.default_rng(0)
    fit = estimate.fit
    made = refits(fit, reps, source, lambda: rows_of(estimate))
    named, names = quantities(estimate), estimate.labels.params
    columns = pd.Index([one.name for one in named], name="parameter")
    each = zip(made.G, made.s2, made.theta, strict=True)
    variances = [[one.of(G, s2, theta) for one in named] for G, s2, theta in each]
    own = [one.of(fit.G, fit.s2, fit.theta) for one in named]
    return MixedBootstrapResults(
        params=pd.DataFrame(made.b, columns=names),
        bse=pd.DataFrame(made.se, columns=names),
        estimate=pd.Series(fit.b, index=names),
        estimate_bse=pd.Series(np.sqrt(np.diagonal(fit.cov_b)), index=names),
        statistics=[],
        converged=made.converged,
        method="parametric",
        law_params=pd.DataFrame(variances, columns=columns, dtype=float),
        law_estimate=pd.Series(own, columns),
    )
