"""What tests of nested fits ask of a model that has a likelihood."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from sm_alsgls.core.errors.law import Law
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.data.error_laws import ErrorLaws
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.model import Model


class Refitted(Protocol):
    """What a fit returns, as far as tests of nested fits ask."""

    @property
    def estimate(self) -> Estimate:
        """What was estimated."""
        ...


class LikelihoodModel(Model, Protocol):
    """A model with a likelihood, which can be fitted again without its restrictions."""

    def score(self, params: Any, sigma: Any = None) -> np.ndarray:
        """Derivative (P,) of the log-likelihood in the parameters, given Sigma."""
        ...

    def without_restrictions(self) -> LikelihoodModel:
        """The same model with free coefficients."""
        ...

    def raw_system(
        self, options: ALSOptions, laws: ErrorLaws | None, law: Law | None = None
    ) -> RawSystem:
        """The rows as they came with laws of their errors, for another law of what is left."""
        ...

    def fit(self, *, debiased: bool = True, **options: Any) -> Refitted:
        """Maximise the likelihood."""
        ...
