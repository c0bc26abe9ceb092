"""``ParameterCovariance``: a covariance of coefficients, and what some declare beside it.

A covariance that knows more than its numbers says so by a method: degrees of freedom of its own
(`OwnDegrees`), a joint law (`OwnLaw`), a joint test (`OwnTest`), or what is left of it when the
data go (`Rowless`). Results ask for the method, never for a class or a ``cov_type``.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np


class ParameterCovariance(Protocol):
    """A covariance V of the parameters, formed only as far as asked."""

    def variances(self) -> np.ndarray:
        """Diagonal, (P,)."""
        ...

    def block(self, j: int) -> np.ndarray:
        """Block of one equation, (p_j, p_j); the whole where there is one equation."""
        ...

    def combinations(self, R: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """R V other', (m, q)."""
        ...

    def dense(self) -> np.ndarray:
        """The whole, (P, P)."""
        ...


@runtime_checkable
class OwnDegrees(ParameterCovariance, Protocol):
    """A covariance of which every combination has degrees of freedom of its own."""

    def coefficient_df(self) -> np.ndarray:
        """Of each parameter, (P,)."""
        ...

    def df(self, R: np.ndarray) -> np.ndarray:
        """Of R beta, (m,)."""
        ...


@runtime_checkable
class OwnLaw(ParameterCovariance, Protocol):
    """A covariance that says how good an estimate it is."""

    def joint_df(self, R: np.ndarray) -> float:
        """Degrees of freedom of the covariance of R beta, taken as a Wishart matrix."""
        ...


@runtime_checkable
class OwnTest(ParameterCovariance, Protocol):
    """A covariance that makes joint F tests by a rule of its own, as Kenward and Roger's does."""

    def joint(self, R: np.ndarray, gap: np.ndarray) -> tuple[float, float, float, str, str] | None:
        """F, its two degrees of freedom, what the test is called, and a note (may be empty).

        Of independent hypotheses R beta = q, R (m, P) of two rows or more, with ``gap`` (m,) what
        R b is off q. A single hypothesis is the square of its t test, see `OwnDegrees`.
        None where there is too little for a joint test: then it is Bonferroni's.
        """
        ...


@runtime_checkable
class Rowless(ParameterCovariance, Protocol):
    """A covariance that says what of it outlives the data."""

    def without_data(self) -> ParameterCovariance:
        """The same without an array that has rows of the data; itself where it has none."""
        ...


class Found(NamedTuple):
    """What a joint test found."""

    F: float
    df_num: float
    df_denom: float
    method: str
    note: str
    size: int
