"""``LowRankSURResults``: estimates, standard errors and likelihood of a fitted system."""

from __future__ import annotations

from sm_alsgls.results import exogeneity, factors
from sm_alsgls.results.factor_results import FactorResults
from sm_alsgls.results.labelled import SystemResultsWrapper, present
from sm_alsgls.results.law_results import LawResults
from sm_alsgls.results.likelihood import LikelihoodResults
from sm_alsgls.results.method import method


class LowRankSURResults(LawResults, FactorResults, LikelihoodResults):
    """Results of `LowRankSUR.fit`: estimates of a system by maximum likelihood.

    Coefficients are named ``equation_variable``, in ``params`` and whatever has one number for
    each; `equations` has the results of one equation.
    """

    @property
    def warnings(self) -> list[str]:
        """What a reader of the estimates must know, as the summary prints it."""
        return factors.warnings_of(self.estimate)

    exogeneity_test = method(exogeneity.exogeneity_test)


class LowRankSURResultsWrapper(SystemResultsWrapper):
    """Labels arrays of `LowRankSURResults` with the names of the coefficients."""


present(LowRankSURResultsWrapper, LowRankSURResults)
