"""What statsmodels' models have beside ``fit``: the mean at given coefficients, and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from sm_alsgls.border.numbers import numbers
from sm_alsgls.core.mixed.structures import Structure
from sm_alsgls.exceptions import NotApplicableError, ShapeError
from sm_alsgls.markup import listed, table
from sm_alsgls.models.shown import facts
from sm_alsgls.results.mixed_tables import structure_words

_PROFILED = (
    "fixed effects and the residual variance are profiled out of the likelihood, which is a "
    "function of G / scale alone; the fit's maximum is in llf, its curvature in "
    "mle_retvals['lowest_curvature'] and bse_re, and conf_int_re() profiles it"
)


class MixedHabits:
    """Mixin of `LowRankMixedLM`."""

    if TYPE_CHECKING:
        k_fe: int
        k_re: int
        nobs: int
        n_groups: int
        group_labels: Sequence[Any]
        structure: Structure

        @property
        def endog_names(self) -> str: ...  # noqa: D102
        @property
        def exog_names(self) -> list[str]: ...  # noqa: D102
        @property
        def exog_re_names(self) -> list[str]: ...  # noqa: D102

        @property
        def exog(self) -> np.ndarray: ...  # noqa: D102

    def _facts(self) -> list[str]:
        """What a prompt says of this."""
        random = f"{self.k_re} random effect{'s' * (self.k_re > 1)}"
        return [
            f"{self.nobs} rows of {self.n_groups} groups",
            f"{self.k_fe} fixed and {random} ({structure_words(self.structure)})",
        ]

    def __repr__(self) -> str:
        return facts(type(self).__name__, self._facts())

    def _repr_html_(self) -> str:
        parts = [
            ["response", "1", self.endog_names],
            ["fixed effects", f"{self.k_fe}", listed(self.exog_names)],
            ["random effects", f"{self.k_re}", listed(self.exog_re_names)],
            ["groups", f"{self.n_groups}", listed([str(label) for label in self.group_labels])],
        ]
        return table(repr(self), ["", "number", "names"], parts)

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
