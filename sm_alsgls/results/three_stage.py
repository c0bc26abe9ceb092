"""``LowRank3SLSResults``: estimates of a system with instruments."""

from __future__ import annotations

from typing import Any, NoReturn

import pandas as pd

from sm_alsgls.core.instruments.three_stage import Step
from sm_alsgls.results import anderson_rubin as weak
from sm_alsgls.results import hausman as comparison
from sm_alsgls.results import instrumented_bootstrap, moments, overidentification
from sm_alsgls.results import wild_test as wild
from sm_alsgls.results.factor_results import FactorResults
from sm_alsgls.results.first_stage import FirstStage, first_stage_of
from sm_alsgls.results.labelled import SystemResultsWrapper, present
from sm_alsgls.results.method import method as of_estimate


class LowRank3SLSResults(FactorResults):
    """Results of `LowRank3SLS.fit`: estimates of a system by its instruments.

    Coefficients are named ``equation_variable``. ``sigma`` is the covariance of the residuals
    y - X b, by factor analysis or E'E/N.

    Notes
    -----
    Nothing was maximised: ``llf``, ``aic``, ``bic`` and likelihood ratios raise a
    NoLikelihoodError. `j_test`, `hausman` and `wald_test` are there in their place.
    """

    # Nothing was maximised.
    _unlisted = frozenset(("aic", "bic", "compare_lr", "compare_lr_test", "llf", "nll_per_row"))

    @property
    def method(self) -> str:
        """How it was estimated: "iv", "gmm" or "2sls"."""
        return self.estimate.instrumented.method

    @property
    def converged(self) -> bool:
        """Whether the estimating equations were solved and, iterated, a fixed point was reached."""
        return self.estimate.instrumented.converged

    @property
    def iterations(self) -> pd.DataFrame:
        """A row for every round of Sigma and coefficients.

        Columns: ``change``, the largest change of a coefficient in standard errors of 2SLS;
        ``solver``, steps that solving took (0: factorised); ``residual``, what it left of the
        estimating equations, in their standard errors; ``gradient``, that of the factor analysis
        after it.
        """
        steps = self.estimate.instrumented.steps
        return pd.DataFrame(steps, columns=Step._fields).set_index("round")

    @property
    def first_stage(self) -> FirstStage:
        """How much instruments say of each endogenous regressor: a table, and whose are weak."""
        return first_stage_of(self.estimate)

    glance = of_estimate(moments.glance)
    restriction_tests = of_estimate(moments.restriction_tests)
    j_test = of_estimate(overidentification.j_test)
    sargan = of_estimate(overidentification.sargan)
    hausman = of_estimate(comparison.hausman)
    anderson_rubin = of_estimate(weak.anderson_rubin)
    bootstrap = of_estimate(instrumented_bootstrap.bootstrap)
    wild_test = of_estimate(wild.wild_test)

    def _no_likelihood(self) -> NoReturn:
        _ = self.estimate.likelihood
        raise AssertionError("an estimate with instruments has no maximum of a likelihood")

    @property
    def aic(self) -> float:
        """There is none: NoLikelihoodError."""
        self._no_likelihood()

    @property
    def bic(self) -> float:
        """There is none: NoLikelihoodError."""
        self._no_likelihood()

    @property
    def nll_per_row(self) -> float:
        """There is none: NoLikelihoodError."""
        self._no_likelihood()

    def compare_lr(self, *args: Any, **kwargs: Any) -> NoReturn:
        """There is none: NoLikelihoodError; ``wald_test`` compares nested models."""
        self._no_likelihood()

    compare_lr_test = compare_lr


class LowRank3SLSResultsWrapper(SystemResultsWrapper):
    """Labels arrays of `LowRank3SLSResults` with the names of the coefficients."""


present(LowRank3SLSResultsWrapper, LowRank3SLSResults)
