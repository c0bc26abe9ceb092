"""``LowRankMixedLMResults``: the fit of a mixed model, labelled, tested, and put into tables."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from statsmodels.stats.contrast import MultiCompResult, t_test_multi
from statsmodels.stats.multitest import multitest_alias, multitest_methods_names

from sm_alsgls.border.arguments import choice, level
from sm_alsgls.results import (
    mixed_augment,
    mixed_effects,
    mixed_factors,
    mixed_plots,
    mixed_predict,
    mixed_rows,
    mixed_summary,
    mixed_tables,
)
from sm_alsgls.results.checks import mixed as checks
from sm_alsgls.results.coefficient import CoefficientResults
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.familiar import FamiliarMixed
from sm_alsgls.results.labelled import CoefficientResultsWrapper, present
from sm_alsgls.results.method import method as of_estimate
from sm_alsgls.results.mixed_covariance import choose_mixed
from sm_alsgls.results.mixed_estimate import MixedEstimate, MixedModel
from sm_alsgls.results.mixed_pairwise import pairs_of
from sm_alsgls.results.mixed_variances import MixedVariances


class LowRankMixedLMResults(MixedVariances, FamiliarMixed, CoefficientResults):
    """Results of `LowRankMixedLM.fit`: fixed effects, and the law of the random ones.

    ``params`` has the fixed effects only. MixedLM's have elements of ``cov_re`` over ``scale`` as
    well, which are in `cov_re` here.
    """

    estimate: MixedEstimate

    def __init__(self, model: MixedModel, estimate: MixedEstimate) -> None:
        super().__init__(model, estimate)

    def _facts(self) -> list[str]:
        estimate, q = self.estimate, self.k_re
        return [
            f"{estimate.nobs} rows of {len(estimate.groups)} groups",
            f"{q} random effect{'s' * (q > 1)} ({mixed_tables.structure_name(estimate)})",
            self.method,
            f"llf={estimate.llf:.4f}",
            "converged" if estimate.converged else "NOT CONVERGED",
        ]

    def _absent(self) -> tuple[str, ...]:
        some = not self.estimate.unrestricted and self.estimate.rank > 0
        drawn = () if some else ("plot_loadings", "rotated_loadings")
        shares = ("communalities", "loadings", "uniquenesses")
        pairs = () if self.estimate.model.formula_system else ("t_test_pairwise",)
        return (*drawn, *pairs, *(shares if self.estimate.unrestricted else ()))

    # -- fixed effects -----------------------------------------------------------------------

    @property
    def fe_params(self) -> np.ndarray:
        """Fixed effects (p,), as ``params``."""
        return self.estimate.params

    @property
    def bse_fe(self) -> np.ndarray:
        """Standard errors of the fixed effects (p,), as ``bse``."""
        return self.bse

    @property
    def k_fe(self) -> int:
        """Fixed effects p."""
        return self.estimate.labels.P

    @property
    def k_re(self) -> int:
        """Random effects q of a group."""
        return len(self.estimate.names_re)

    @property
    def n_groups(self) -> int:
        """Groups m."""
        return len(self.estimate.groups)

    def _chosen(self, cov_type: str, cov_kwds: dict[str, Any]) -> CovarianceChoice:
        return choose_mixed(cov_type, cov_kwds, self.estimate.fit)

    def t_test_pairwise(
        self,
        term_name: str,
        method: str = "hs",
        alpha: float = 0.05,
        factor_labels: list[str] | None = None,
    ) -> MultiCompResult:
        """t tests of all pairs of levels of a factor among the fixed effects.

        Parameters
        ----------
        term_name : str
            A term of the formula, "C(kind)", by either engine.
        method : str
            How p-values are corrected for their number: of statsmodels' ``multipletests``.
        alpha : float
        factor_labels : list of str, optional
            Other names for the levels.

        Returns
        -------
        MultiCompResult
            ``result_frame``: a row a pair, "b-a" the mean of b less that of a.

        Raises
        ------
        OptionError, NotApplicableError
        """
        method = choice(method, "method", (*multitest_methods_names, *multitest_alias))
        pairs = pairs_of(self.estimate, term_name, factor_labels)
        table = t_test_multi(
            self, pairs.contrasts, method=method, alpha=level(alpha), ci_method=None,
            contrast_names=pairs.labels,
        )  # fmt: skip
        return MultiCompResult(
            result_frame=table,
            contrasts=pairs.contrasts,
            term=pairs.term,
            contrast_labels=pairs.labels,
            term_encoding_matrix=pairs.encoding,
        )

    # -- variances -----------------------------------------------------------------------------

    @property
    def cov_re(self) -> pd.DataFrame:
        """Covariance G of the random effects (q, q)."""
        names = self.estimate.names_re
        return pd.DataFrame(self.estimate.cov_re, index=names, columns=names)

    @property
    def cov_re_unscaled(self) -> pd.DataFrame:
        """G over ``scale`` (q, q)."""
        return self.cov_re / self.scale

    @property
    def corr_re(self) -> pd.DataFrame:
        """Correlations of the random effects (q, q); NaN of one whose variance is zero."""
        return mixed_factors.correlations(self.estimate)

    @property
    def sd_re(self) -> pd.Series:
        """Standard deviations of the random effects (q,)."""
        return pd.Series(mixed_factors.sd(self.estimate), index=self.estimate.names_re)

    @property
    def bse_re(self) -> pd.Series:
        """Standard errors of the elements of G, by rows of its lower triangle.

        By the delta method from the observed information, whatever the structure. The law of a
        variance is skewed, so that intervals are better made otherwise.
        """
        return mixed_factors.bse_re(self.estimate)

    @property
    def scale(self) -> float:
        """Residual variance s2; of the first level, where levels have their own."""
        return self.estimate.scale

    # statsmodels' constructor sets 1.
    @scale.setter
    def scale(self, value: float) -> None: ...

    @property
    def residual_params(self) -> pd.Series:
        """Parameters of the residuals' law: log ratios of levels' variances, or rho; else empty."""
        law = self.estimate.fit.law
        return pd.Series(self.estimate.theta, index=list(law.names), dtype=float)

    @property
    def rank(self) -> int | str:
        """Factors r of G, or "full" where it is unrestricted."""
        return "full" if self.estimate.unrestricted else self.estimate.rank

    @property
    def re_table(self) -> pd.DataFrame:
        """One row a random effect: variance, sd, uniqueness, communality, heywood.

        The last three of a low rank only.
        """
        return mixed_factors.re_table(self.estimate)

    @property
    def loadings(self) -> pd.DataFrame:
        """Lambda (q, r) in the units of the random effects; canonical, see `MixedFit`."""
        return mixed_factors.loadings(self.estimate)

    @property
    def uniquenesses(self) -> pd.Series:
        """Psi (q,), the variances that the factors leave."""
        return mixed_factors.uniquenesses(self.estimate)

    @property
    def communalities(self) -> pd.Series:
        """Share 1 - psi_j / g_jj of each variance that the factors explain (q,)."""
        return mixed_factors.communalities(self.estimate)

    @property
    def heywood(self) -> list[str]:
        """Random effects whose uniqueness (variance, at rank 0) is zero: Heywood cases."""
        return mixed_factors.heywood(self.estimate)

    rotated_loadings = of_estimate(mixed_factors.rotated_loadings)

    # -- random effects --------------------------------------------------------------------------

    @property
    def random_effects(self) -> dict[Any, pd.Series]:
        """Label of a group to its predicted effects (q,), E[b_i | y_i]."""
        return mixed_effects.random_effects(self.estimate)

    @property
    def random_effects_cov(self) -> dict[Any, pd.DataFrame]:
        """Label of a group to var(b_i | y_i) (q, q), coefficients known, as MixedLM's.

        `random_effects_frame` has standard errors with what their estimation adds.
        """
        return mixed_effects.random_effects_cov(self.estimate)

    random_effects_frame = of_estimate(mixed_effects.random_effects_frame)

    # -- the fit -------------------------------------------------------------------------------

    @property
    def llf(self) -> float:
        """Log-likelihood at the maximum, restricted where ``reml``; lme4's constant."""
        return self.estimate.llf

    @property
    def aic(self) -> float:
        """-2 llf + 2 df_model, as lme4's; of REML too, where MixedLM's is NaN.

        Restricted likelihoods compare covariances of the same regressors, not regressors.
        """
        return mixed_tables.aic(self.estimate)

    @property
    def bic(self) -> float:
        """-2 llf + log(n) df_model, as lme4's; see ``aic``."""
        return mixed_tables.bic(self.estimate)

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self.estimate.reml

    @property
    def method(self) -> str:
        """What was maximised: "REML" or "ML"."""
        return "REML" if self.estimate.reml else "ML"

    @property
    def converged(self) -> bool:
        """Whether the best point is stationary."""
        return self.estimate.converged

    @cached_property
    def mle_retvals(self) -> dict[str, Any]:
        """How the fit went.

        converged, message, iterations (steps of the winning start), decrement (length of the step
        that is left, in standard errors), nll_trace, heywood (positions of random effects), starts
        (DataFrame: start, nll, gap above the best, steps, ended), starts_at_best, worst_gap,
        lowest_curvature (None where it was not part of the fit).
        """
        return mixed_tables.retvals(self.estimate)

    @property
    def trace(self) -> pd.DataFrame:
        """One row per step of the winning start."""
        return mixed_tables.trace(self.estimate)

    @property
    def warnings(self) -> list[str]:
        """What a reader of the estimates must know, as the summary prints it."""
        return mixed_summary.warnings_of(self.estimate)

    summary = of_estimate(mixed_summary.summary)

    # -- rows ------------------------------------------------------------------------------------

    @property
    def fittedvalues(self) -> pd.Series:
        """X b + Z bhat_i (n,), as MixedLM's; ``predict()`` is the population's X b."""
        return mixed_rows.fittedvalues(self.estimate)

    @property
    def resid(self) -> pd.Series:
        """y - X b - Z bhat_i (n,), as MixedLM's."""
        return mixed_rows.resid(self.estimate)

    predict = of_estimate(mixed_predict.predict)
    get_prediction = of_estimate(mixed_predict.get_prediction)
    glance = of_estimate(mixed_tables.glance)
    augment = of_estimate(mixed_augment.augment)
    diagnostics = of_estimate(checks.diagnostics)
    plot_random_effects = of_estimate(mixed_plots.plot_random_effects)
    plot_loadings = of_estimate(mixed_plots.plot_loadings)
    plot_slope_correlations = of_estimate(mixed_plots.plot_slope_correlations)


class LowRankMixedLMResultsWrapper(CoefficientResultsWrapper):
    """Labels arrays of `LowRankMixedLMResults` with the names of the fixed effects."""

    _wrap_attrs: ClassVar[dict[str, str]] = dict.fromkeys(
        ("params", "bse", "tvalues", "pvalues", "fe_params", "bse_fe"), "columns"
    )


present(LowRankMixedLMResultsWrapper, LowRankMixedLMResults)
