"""``Fitted``: coefficients and what inference about them needs, of whatever they were estimated.

Standard errors, t and Wald tests, intervals, functions of coefficients and their tables are
functions of a `Fitted`. `Estimate` adds a system of equations; an estimator of one equation adds
what it has, and has these as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import update_wrapper
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from sm_alsgls.data.labels import Labels
from sm_alsgls.progress import asking
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.freedom import Freedom
from sm_alsgls.results.model import CoefficientModel
from sm_alsgls.results.parameter_covariance import Found, ParameterCovariance

R = TypeVar("R")
E = TypeVar("E", bound="Fitted", contravariant=True)


class Covariances(Protocol[E]):
    """Makes the covariance of the parameters that a ``cov_type`` stands for, at an estimate."""

    def __call__(self, estimate: E, choice: CovarianceChoice) -> ParameterCovariance:
        """The covariance, whose parts are computed when they are asked for."""
        ...


class JointMethod(Protocol[E]):
    """Makes the F test of several independent hypotheses that an estimator's covariances call for.

    Of those that make none themselves (`OwnTest`, `OwnLaw`).
    """

    def __call__(self, estimate: E, R: np.ndarray, q: np.ndarray) -> Found:
        """Of R beta = q, R (m, P) with m >= 2."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Fitted:
    """P coefficients, how they are tested, and what they are called.

    What is computed from it and kept is in ``known``, see `kept`.

    Attributes
    ----------
    model : CoefficientModel
    labels : Labels
        What the parameters are called; of one equation `Labels.of_one`.
    params : ndarray, shape (P,)
    nobs : int
        Rows N.
    df_model : float
        Free parameters.
    freedom : Freedom
        What linear restrictions leave of combinations of the parameters; all, by default.
    choice : CovarianceChoice
    use_t : bool
        t and F, or normal and chi2.
    covariances : Covariances
    joint : JointMethod or None
        Joint tests of covariances that make none themselves. None: F, with Fai and Cornelius'
        (1996) denominator where combinations have degrees of freedom of their own.
    refused : mapping of str to str
        Covariance types that mean nothing for such an estimate, and why.
    progress : bool, optional
        What the fit was asked to say of itself, which holds for standard errors as well.
    """

    model: CoefficientModel
    labels: Labels
    params: np.ndarray
    nobs: int
    df_model: float
    freedom: Freedom = field(default_factory=lambda: Freedom(None))
    choice: CovarianceChoice
    use_t: bool
    covariances: Covariances[Self]
    joint: JointMethod[Self] | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    progress: bool | None = None
    known: dict[str, Any] = field(default_factory=dict)

    @property
    def df_resid(self) -> float:
        """Rows less parameters."""
        return float(self.nobs) - self.df_model

    @property
    def df_inference(self) -> float:
        """Of tests about several coefficients, where the covariance has no other."""
        given = self.choice.df
        return self.df_resid if given is None else given

    @property
    def df_t(self) -> np.ndarray:
        """Of the t test of each coefficient (P,), where the covariance has no other."""
        return np.full(self.labels.P, self.df_inference)

    @property
    def identified(self) -> dict[str, Sequence[str] | np.ndarray]:
        """Columns that tell the parameters apart in a table, each of P names."""
        return {"term": self.labels.params}

    def new_covariance(self) -> ParameterCovariance:
        """The covariance of its choice, made now; `results.covariance.covariance` keeps it."""
        make: Covariances[Any] = self.covariances  # mypy reads no Self of frozen fields
        return make(self, self.choice)

    def own_joint(self, R: np.ndarray, q: np.ndarray) -> Found | None:
        """The F test of R beta = q by ``joint``, where there is one."""
        test: JointMethod[Any] | None = self.joint
        return None if test is None else test(self, R, q)

    def with_covariance(self, choice: CovarianceChoice, use_t: bool) -> Self:
        """The same coefficients with another covariance."""
        return replace(self, choice=choice, use_t=use_t, known={})

    def without_data(self) -> Self:
        """The same without arrays that have rows of the data, ``known`` aside.

        Who holds such arrays replaces them; see `results.persistence.without_data`.
        """
        return replace(self, choice=self.choice.without_rows(self.nobs))

    def knowing(self, *functions: Kept[Any, Any] | KeptOfEquation[Any, Any]) -> dict[str, Any]:
        """What is in ``known`` of some functions, to go on with."""
        names = {function.name for function in functions}
        return {key: value for key, value in self.known.items() if key.split(" ")[0] in names}


class Kept(Generic[E, R]):
    """A function of an estimate that is computed once for each, and kept in its ``known``.

    Parameters
    ----------
    function : callable
        Of a `Fitted` or an `Estimate` alone.
    """

    def __init__(self, function: Callable[[E], R]) -> None:
        self._function, self.name = function, _name(function)
        update_wrapper(self, function)

    def __call__(self, estimate: E) -> R:
        """The value, computed now or before."""
        if self.name not in estimate.known:
            with asking(estimate.progress):
                estimate.known[self.name] = self._function(estimate)
        value: R = estimate.known[self.name]
        return value

    def give(self, estimate: E, value: R) -> R:
        """Put a value where it would be kept, and return it."""
        estimate.known[self.name] = value
        return value

    def is_known(self, estimate: E) -> bool:
        """Whether it was computed."""
        return self.name in estimate.known


class KeptOfEquation(Generic[E, R]):
    """The same of a function of an estimate and the number of an equation."""

    def __init__(self, function: Callable[[E, int], R]) -> None:
        self._function, self.name = function, _name(function)
        update_wrapper(self, function)

    def __call__(self, estimate: E, j: int) -> R:
        """The value, computed now or before."""
        key = f"{self.name} {j}"
        if key not in estimate.known:
            with asking(estimate.progress):
                estimate.known[key] = self._function(estimate, j)
        value: R = estimate.known[key]
        return value


def kept(function: Callable[[E], R]) -> Kept[E, R]:
    """See `Kept`."""
    return Kept(function)


def kept_of_equation(function: Callable[[E, int], R]) -> KeptOfEquation[E, R]:
    """See `KeptOfEquation`."""
    return KeptOfEquation(function)


def _name(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
