"""``CCEPanelResults``: slopes of a panel beside averages over units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import level, text
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results.across import wald_test_terms
from sm_alsgls.results.cce_estimate import CCEEstimate, choose_cce
from sm_alsgls.results.checks.cce import diagnostics
from sm_alsgls.results.coefficient import CoefficientResults
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.familiar import FamiliarCells
from sm_alsgls.results.interactive_summary import header_of, own_series, table_of
from sm_alsgls.results.labelled import CoefficientResultsWrapper, present
from sm_alsgls.results.method import method
from sm_alsgls.results.no_likelihood import NoLikelihood
from sm_alsgls.results.summary_text import SystemSummary


class CCEPanelResults(NoLikelihood, FamiliarCells, CoefficientResults):
    """Results of ``LowRankPanel(..., factors="cce").fit``.

    ``params`` has the pooled slopes or, of ``heterogeneous=True``, the means of the units' own.
    """

    estimate: CCEEstimate

    def _facts(self) -> list[str]:
        T, n = self.estimate.sizes
        return [f"{n} units x {T} periods", f"common correlated effects, {self._kind}"]

    @property
    def _kind(self) -> str:
        return "mean group" if self.estimate.model.heterogeneous else "pooled"

    def _chosen(self, cov_type: str, cov_kwds: dict[str, Any]) -> CovarianceChoice:
        if cov_kwds:
            raise NotApplicableError(
                f"cov_type={cov_type!r} has no options, got {sorted(cov_kwds)}"
            )
        return choose_cce(cov_type, self.estimate.df_inference)

    @property
    def slopes(self) -> pd.DataFrame:
        """Slopes of each unit (n, p); NaN of units whose rows do not tell them."""
        estimate = self.estimate
        return pd.DataFrame(
            estimate.fit.of_units, index=estimate.cells.units, columns=estimate.labels.params
        )

    @property
    def comparison(self) -> pd.DataFrame:
        """Pooled and mean group estimates with their standard errors (p, 4), before corrections.

        Both are consistent where slopes do not move with the regressors; where they are equal in
        all units the pooled ones are the more precise.
        """
        fit = self.estimate.fit
        return pd.DataFrame(
            {
                "pooled": fit.pooled,
                "pooled_se": np.sqrt(np.diagonal(fit.cov_pooled)),
                "mean_group": fit.mean_group,
                "mean_group_se": np.sqrt(np.diagonal(fit.cov_mean_group)),
            },
            index=self.estimate.labels.params,
        )

    @property
    def lags(self) -> int:
        """Lags of the averages."""
        return self.estimate.fit.lags

    @property
    def resid(self) -> pd.DataFrame:
        """What slopes, constants and averages leave of y (T, n); NaN in cells that are not used.

        Of the units' own slopes where these are heterogeneous, of the pooled ones else.
        """
        fit = self.estimate.fit
        E = fit.E_mean_group if self.estimate.model.heterogeneous else fit.E_pooled
        return self.estimate.cells.frame(np.where(fit.used, E, np.nan))

    @property
    def fittedvalues(self) -> pd.DataFrame:
        """y less ``resid`` (T, n)."""
        return self.estimate.cells.frame(self.estimate.cells.panel.Y) - self.resid

    @property
    def rsquared(self) -> float:
        """Share of the variance of y over all used cells that is no residual."""
        e = self.resid.to_numpy()
        used = np.isfinite(e)
        y = self.estimate.cells.panel.Y[used]
        return float(1.0 - np.sum(np.square(e[used])) / np.sum(np.square(y - y.mean())))

    def predict(self, exog: Any = None) -> pd.DataFrame:
        """Fitted values of the cells of the model (T, n).

        Parameters
        ----------
        exog : None
            New periods have averages that are not known.

        Raises
        ------
        NotApplicableError
            Given new data.
        """
        if exog is not None:
            raise NotApplicableError(
                "predict(exog): averages of new periods, and coefficients of new units, are not "
                "known; exog @ params is the part of the slopes"
            )
        return self.fittedvalues

    def summary(
        self, yname: str | None = None, title: str | None = None, alpha: float = 0.05
    ) -> SystemSummary:
        """Slopes, and what they stand beside.

        Parameters
        ----------
        yname : str, optional
        title : str, optional
        alpha : float
            Level of the intervals.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        estimate, yname, alpha = self.estimate, text(yname, "yname"), level(alpha)
        fit, cells = estimate.fit, estimate.cells
        left, right = header_of(estimate, yname, "Common corr. effects", self._kind)
        left += [
            ("Averages:", [f"{fit.averages.shape[1] - 1 - len(cells.series_names)}"]),
            ("Bias Correction:", [estimate.corrected or "none"]),
        ]
        right += [
            ("Lags of Averages:", [f"{fit.lags}"]),
            ("Df of t:", [f"{estimate.df_inference:.0f}"]),
            ("R-squared:", [f"{self.rsquared:.4f}"]),
            ("Covariance Type:", [estimate.choice.cov_type]),
        ]
        notes = [
            estimate.choice.description,
            "Each unit has a constant, and coefficients of the averages over units of the response "
            "and regressors, which stand for factors (Pesaran 2006).",
        ]
        notes += own_series(cells)
        if fit.singular.any():
            named, n = int(fit.singular.sum()), estimate.sizes[1]
            notes.append(f"{named} of {n} units do not tell slopes of their own: see slopes.")
        if cells.n_dropped:
            notes.append(f"Periods that were left out: {cells.n_dropped}.")
        title = text(title, "title") or "Panel with Common Correlated Effects"
        return table_of(estimate, title, left, right, alpha, notes)

    wald_test_terms = method(wald_test_terms)
    diagnostics = method(diagnostics)


class CCEPanelResultsWrapper(CoefficientResultsWrapper):
    """Labels arrays of `CCEPanelResults` with the names of the coefficients."""


present(CCEPanelResultsWrapper, CCEPanelResults)
