"""How to add a model: a system whose equations reach their neighbours, by the law of `law.py`.

A model reads what a user hands in, makes a problem, gives it to a maximiser, and wraps what comes
back in an estimate, of which every test, table and prediction is a function.
"""

from sm_alsgls.core.errors.law import law_of
from sm_alsgls.core.maximise.profile import profile
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.models.base import SystemModel, read
from sm_alsgls.models.likelihood import Likelihood
from sm_alsgls.results.cov_types import choose
from sm_alsgls.results.header import Header
from sm_alsgls.results.labelled import SystemResultsWrapper
from sm_alsgls.results.likelihood import LikelihoodResults
from sm_alsgls.results.maximised import maximised
from tests.worked.law import SpatialErrors


class SpatialSUR(Likelihood, SystemModel):
    """y_j = X_j beta_j + e_j, e = lam W e + u, u with ``rank`` factors; W (K, K) is given."""

    def __init__(self, endog, exog, W, rank=0):
        system = read(endog, exog)
        super().__init__(system, Parameters.of(system.labels), law_of(rank))
        self.W = W

    def fit(self, cov_type="nonrobust", **cov_kwds):
        law = SpatialErrors(self.neqs, self.nobs, self.W, 0.0)
        problem, r = self._problem(ALSOptions()), self.law.order
        found = profile(problem, law, r)
        problem = problem.with_errors(law.at(found.best.nuisance.values))
        estimate = maximised(
            self,
            problem,
            found,
            rank=r,
            df_model=self.parameters.free + law.parameters(r),
            debiased=True,
            choice=choose(cov_type, cov_kwds, True, self.provenance),
            use_t=True,
            describe=describe,
        )
        return SystemResultsWrapper(LikelihoodResults(self, estimate))


def describe(estimate):
    """What a summary says of the estimator."""
    found = estimate.likelihood.search.best.nuisance
    said = f"{found.values[0]:.3f} ({found.cov[0, 0] ** 0.5:.3f})"
    left = [("Model:", ["SpatialSUR"]), ("lam (std err):", [said])]
    return Header("SpatialSUR", "Spatial SUR", left, [], [], [], [])
