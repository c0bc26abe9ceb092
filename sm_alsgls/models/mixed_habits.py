"""What statsmodels' models have beside ``fit``: the mean at given coefficients, and refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from sm_alsgls.border.numbers import numbers
from sm_alsgls.exceptions import NotApplicableError, ShapeError

_PROFILED = (
    "fixed effects and the residual variance are profiled out of the likelihood, which is a "
    "function of G / scale alone; the fit's maximum is in llf, its curvature in "
    "mle_retvals['lowest_curvature'] and bse_re, and conf_int_re() profiles it"
)


class MixedHabits:
    """Mixin of `LowRankMixedLM`."""

    if TYPE_CHECKING:
        k_fe: int

        @property
        def exog(self) -> np.ndarray: ...  # noqa: D102

    def predict(self, params: Any, exog: Any = None) -> np.ndarray:
        """The population's mean X b at given coefficients; `predict` of results has groups' own.

        Parameters
        ----------
        params : array_like (p,)
        exog : array_like (n, p), optional
            Default the rows of the model.

        Raises
        ------
        ShapeError, DataRemovedError
        """
        b = numbers(params, "params", ShapeError)
        X = np.atleast_2d(numbers(self.exog if exog is None else exog, "exog", ShapeError))
        if b.shape != (self.k_fe,) or X.ndim != 2 or X.shape[1] != self.k_fe:
            raise ShapeError(
                f"params of shape {b.shape} and exog of shape {X.shape} for {self.k_fe} fixed "
                "effects; results.predict(data) makes regressors of formulas' data"
            )
        return np.asarray(X @ b)

    def loglike(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not a function of the fixed effects here: it is profiled.

        Raises
        ------
        NotApplicableError
            Always; it names what there is.
        """
        raise NotApplicableError(_PROFILED)

    score = hessian = information = loglike

    def fit_regularized(self, *args: Any, **kwargs: Any) -> NoReturn:
        """No penalties.

        Raises
        ------
        NotApplicableError
            Always; it names what there is.
        """
        raise NotApplicableError(
            "fit_regularized: penalties of fixed effects are not what this model has, statsmodels' "
            "MixedLM has them; what is estimated of the random effects is kept small by rank="
        )
