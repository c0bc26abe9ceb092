"""How to add an estimate of one equation: least squares whose groups have variances of their own.

Tests, intervals and tables are those of a `Fitted`; degrees of freedom of two means are Welch's.
"""

from functools import partial

import numpy as np
from statsmodels.base.model import Model

from sm_alsgls.border.arguments import choice
from sm_alsgls.data.labels import Labels
from sm_alsgls.results.coefficient import CoefficientResults
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.dense_covariance import DenseCovariance
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.labelled import CoefficientResultsWrapper


class GroupwiseLS(Model):
    def fit(self):
        parts, h = [], 0.0
        for at in (self.groups == g for g in np.unique(self.groups)):
            y, X = self.endog[at], self.exog[at]
            left, nu = y - X @ np.linalg.lstsq(X, y)[0], len(y) - np.linalg.matrix_rank(X)
            parts.append((X.T @ X, left @ left / nu, nu))
            h = h + X.T @ y / parts[-1][1]
        how = {"choice": CovarianceChoice("own", {}, ""), "covariances": partial(covariance, parts)}
        how |= {"labels": Labels.of_one(self.endog_names, self.exog_names), "use_t": True}
        b, N = Satterthwaite(parts).dense() @ h, len(self.endog)
        made = Fitted(model=self, params=b, nobs=N, df_model=len(b), **how)
        return CoefficientResultsWrapper(GroupwiseResults(self, made))

    def remove_data(self):
        self.endog = self.exog = self.groups = None


class Satterthwaite(DenseCovariance):
    def __init__(self, parts):
        super().__init__(np.linalg.inv(sum(XX / s2 for XX, s2, _ in parts)))
        self.parts = parts

    def df(self, R):
        A = self.combinations(R, np.eye(self.shape[0]))
        noise = sum((((A @ XX) * A).sum(1) / s2) ** 2 / nu for XX, s2, nu in self.parts)
        return (A * R).sum(1) ** 2 / noise

    def coefficient_df(self):
        return self.df(np.eye(self.shape[0]))


def covariance(parts, estimate, chosen):
    made = Satterthwaite(parts)
    return made if chosen.cov_type == "own" else DenseCovariance(made.dense())


class GroupwiseResults(CoefficientResults):
    def _chosen(self, cov_type, cov_kwds):
        return CovarianceChoice(choice(cov_type, "cov_type", ("own", "plain")), cov_kwds, "")
