"""``CoefficientResults``: what every estimate of coefficients has to say."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from statsmodels.base.model import LikelihoodModelResults

from sm_alsgls.border.arguments import optional_flag
from sm_alsgls.results import coefficients, hypotheses, tables
from sm_alsgls.results import nlcom as functions
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.familiar import FamiliarCoefficients
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.loading import Loadable
from sm_alsgls.results.method import method
from sm_alsgls.results.model import CoefficientModel
from sm_alsgls.results.parameter_covariance import ParameterCovariance
from sm_alsgls.results.persistence import without_data
from sm_alsgls.results.selection import combinations, positions, square
from sm_alsgls.results.shown import Shown, one_line


class CoefficientResults(Loadable, Shown, FamiliarCoefficients, LikelihoodModelResults):
    """Coefficients, their standard errors, tests and tables, whatever was estimated.

    Every number is a function of ``estimate``; a subclass adds what its estimator has, and
    says in ``_chosen`` which covariance types there are.

    Parameters
    ----------
    model : CoefficientModel
    estimate : Fitted
    """

    #: What `get_robustcov_results` returns results in, statsmodels' wrapper of the class.
    wrapper: ClassVar[type]
    # statsmodels' tables and tests look these up.
    _unlisted = frozenset(
        ("estimate", "initialize", "k_constant", "normalized_cov_params", "wrapper")
    )

    estimate: Fitted

    def __init__(self, model: CoefficientModel, estimate: Fitted) -> None:
        self.estimate = estimate
        super().__init__(model, estimate.params)

    def __repr__(self) -> str:
        return one_line(type(self).__name__, self._facts())

    def _facts(self) -> list[str]:
        """What a prompt says of this."""
        return [f"N={self.nobs}", f"{self.estimate.labels.P} coefficients"]

    # -- what was estimated ----------------------------------------------------------------

    @property
    def model(self) -> Any:
        """The model that was fitted."""
        return vars(self)["model"]

    # statsmodels' constructor sets it.
    @model.setter
    def model(self, value: CoefficientModel) -> None:
        self.__dict__["model"] = value

    @property
    def params(self) -> np.ndarray:
        """Coefficients (P,)."""
        return self.estimate.params

    # statsmodels' constructor sets the same.
    @params.setter
    def params(self, value: np.ndarray) -> None: ...

    @property
    def nobs(self) -> int:
        """Rows N."""
        return self.estimate.nobs

    @property
    def df_model(self) -> float:
        """Free parameters: of the coefficients, and of the covariance.

        AR coefficients that are drawn to their mean count as many as they are: from 1, where all
        are one, to one for each equation.
        """
        return self.estimate.df_model

    @property
    def df_resid(self) -> float:
        """Rows less parameters."""
        return self.estimate.df_resid

    @property
    def df_resid_inference(self) -> float:
        """Degrees of freedom of tests of which the covariance has no other."""
        return self.estimate.df_inference

    @property
    def use_t(self) -> bool:
        """t and F, or normal and chi2."""
        return self.estimate.use_t

    @property
    def cov_type(self) -> str:
        """How standard errors were computed."""
        return self.estimate.choice.cov_type

    @property
    def cov_kwds(self) -> dict[str, Any]:
        """Options of ``cov_type``, with its description."""
        return {"description": self.estimate.choice.description, **self.estimate.choice.kwds}

    # -- coefficients ----------------------------------------------------------------------

    @property
    def normalized_cov_params(self) -> ParameterCovariance:
        """An operator, not an array: statsmodels only asks whether there is one."""
        return covariance(self.estimate)

    @normalized_cov_params.setter
    def normalized_cov_params(self, value: None) -> None:
        """statsmodels' constructor sets None."""

    @property
    def bse(self) -> np.ndarray:
        """Standard errors (P,)."""
        return coefficients.bse(self.estimate)

    @property
    def tvalues(self) -> np.ndarray:
        """Coefficients over their standard errors (P,); NaN where a restriction fixes one."""
        return coefficients.tvalues(self.estimate)

    @property
    def pvalues(self) -> np.ndarray:
        """Two-sided p-values (P,), of t or normal."""
        return coefficients.pvalues(self.estimate)

    conf_int = method(coefficients.conf_int)

    def cov_params(
        self,
        r_matrix: Any = None,
        column: Any = None,
        scale: float | None = None,
        cov_p: Any = None,
        other: Any = None,
    ) -> np.ndarray:
        """Covariance of the coefficients, or of combinations of them.

        Parameters
        ----------
        r_matrix : array_like (m, P), optional
            Combinations; only their covariance is computed.
        column : str, int or list of either, optional
            Coefficients, by names or positions; only their block is computed.
        scale, cov_p : optional
            A factor, and another (P, P) covariance to use, as in statsmodels.
        other : array_like (q, P), optional
            Second set of combinations.
        """
        estimate, names = self.estimate, self.estimate.labels.params
        r_matrix, other = (
            coefficients.ordered(estimate, value, argument)
            for value, argument in ((r_matrix, "r_matrix"), (other, "other"))
        )
        cov_p = coefficients.ordered(estimate, cov_p, "cov_p", rows=True)
        if cov_p is None:
            return coefficients.cov_params(estimate, r_matrix, column, scale, other)
        r_matrix, other, _ = combinations(len(names), r_matrix, column, scale, other)
        at = None if column is None else positions(column, names, "column")
        return hypotheses.of_matrix(square(cov_p, len(names), "cov_p"), r_matrix, at, other)

    def get_robustcov_results(
        self, cov_type: str, use_t: bool | None = None, **cov_kwds: Any
    ) -> Any:
        """The same estimates with other standard errors, without refitting.

        Parameters
        ----------
        cov_type : str
            One of those that the model's ``fit`` takes.
        use_t : bool, optional
            t or normal quantiles; default as the fit.
        **cov_kwds
            Options of the type.

        Raises
        ------
        OptionError
        """
        use_t, estimate = optional_flag(use_t, "use_t"), self.estimate
        choice = self._chosen(cov_type, cov_kwds)
        again = estimate.with_covariance(choice, estimate.use_t if use_t is None else use_t)
        return self.wrapper(type(self)(self.model, again))

    def _chosen(self, cov_type: str, cov_kwds: dict[str, Any]) -> CovarianceChoice:
        """A covariance type with its options, checked."""
        raise NotImplementedError(f"{type(self).__name__} says which covariance types it has")

    # -- hypotheses ------------------------------------------------------------------------

    t_test = method(hypotheses.t_test)
    wald_test = method(hypotheses.wald_test)
    nlcom = method(functions.nlcom)
    delta_method = method(functions.delta_method)
    tidy = method(tables.tidy)

    # -- the data --------------------------------------------------------------------------

    def remove_data(self) -> None:
        """Drop every array with N rows from these results and from their model, in place.

        Coefficients, standard errors, tests of single coefficients and intervals work as before.
        What needs the data raises `DataRemovedError`, an AttributeError.
        """
        self.estimate = without_data(self.estimate)
        self.model.remove_data()
