"""A law of the errors: what the loop, the tests and the results may ask of it.

The loop (`sm_alsgls.core.maximise`) alternates a beta-step and a Sigma-step and knows neither: a
law has the Sigma-step, says how its Sigma looks to the rows, and counts its parameters. It takes
residuals and a design, and never a problem, so that a problem can be made of it. Which cells a row
has belongs to the law too, as it is part of the likelihood: `CompleteErrors` and `ObservedErrors`
are the low-rank law of whole rows and of rows seen in part.

What only some laws have is an attribute that says so: ``whole``, ``climbs``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from sm_alsgls.core.design.base import (
    Bread,
    CoefficientVariance,
    Linear,
    Normal,
    PerEquation,
)
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.second_order.curvature import Curvature, Operator
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.covariance.base import Covariance, RowCovariance

Array = np.ndarray


class SigmaStep(Protocol):
    """What a Sigma-step returns.

    Attributes
    ----------
    cov : Covariance
    nll : float
        Its objective per row, the law's ``constant`` not included, a ridge on loadings included.
    gradient : float
        Largest gradient in the parameters of Sigma.
    at_bound : ndarray of bool, shape (K,)
        Equations whose variance parameter is on its bound (Heywood cases).
    evaluations : int
    block
        What the next Sigma-step of this law may start with besides; nobody else looks at it.
    scores : ndarray, shape (r, n), optional
        F'D^-1 E', where the step knows it.
    nll_near : float, optional
        The objective at the Sigma that it began near, where the step knows it.
    """

    @property
    def cov(self) -> Covariance: ...  # noqa: D102
    @property
    def nll(self) -> float: ...  # noqa: D102
    @property
    def gradient(self) -> float: ...  # noqa: D102
    @property
    def at_bound(self) -> Array: ...  # noqa: D102
    @property
    def evaluations(self) -> int: ...  # noqa: D102
    @property
    def block(self) -> Any: ...  # noqa: D102
    @property
    def scores(self) -> Array | None: ...  # noqa: D102
    @property
    def nll_near(self) -> float | None: ...  # noqa: D102


class Step(NamedTuple):
    """A `SigmaStep` of a law that has no class of its own for it."""

    cov: Covariance
    nll: float
    gradient: float
    at_bound: Array
    evaluations: int
    block: Any = None
    scores: Array | None = None
    nll_near: float | None = None


class Direction(NamedTuple):
    """Newton's step in gamma (P,), and uniquenesses (K,) to start the next Sigma-step from."""

    gamma: Array
    d: Array


class Errors(Protocol):
    """A law of the errors of n_obs rows of K equations.

    Attributes
    ----------
    K, n_obs : int
        Every NLL is per row of n_obs.
    counts : ndarray of int, shape (K,)
        Rows that have equation j.
    constant : float
        Of the NLL per row: log(2 pi) / 2 for every cell, and minus any log-Jacobian per row.
    whole : bool
        Every row has all equations and one Sigma, so that residuals enter through E'E only, and
        rows may be compressed.
    climbs : bool
        Whether fits of one rank start from those of a lower one: the law has a rank.
    bends : bool
        Whether residuals of the maximum are smaller than those of OLS by more than GLS makes
        them, because they are fitted by Sigma: then `interval_sigma` is that of OLS residuals.
    swept : int
        Cells of each row of which nothing is left: levels that the likelihood is blind to.
    one_variance : bool
        Whether all errors have one, and nothing else.
    """

    K: int
    n_obs: int
    constant: float
    whole: bool
    climbs: bool
    bends: bool
    swept: int
    one_variance: bool

    @property
    def counts(self) -> Array: ...  # noqa: D102

    def parameters(self, rank: int) -> int:
        """Free parameters of Sigma."""
        ...

    def taken(self, rank: int) -> float:
        """Degrees of freedom that Sigma takes of each equation beside its p_j."""
        ...

    def interval_sigma(
        self,
        E: Array,
        cov: Covariance,
        p: Array,
        floor: Array,
        lam_F: float,
        least_squares: Callable[[], Array],
    ) -> Covariance:
        """The Sigma that standard errors of small samples are of, before degrees of freedom.

        ``least_squares`` makes the OLS residuals (n, K) of free coefficients.
        """
        ...

    def stretch(self, design: PerEquation, cov: Covariance) -> Callable[[int], Array] | None:
        """What the estimation of Sigma adds: A_j (p_j, p_j) of V_jj <- A_j V_jj A_j'."""
        ...

    def corrected(
        self, bread: Bread, cov: Covariance, at_bound: Array, debiased: bool
    ) -> CoefficientVariance:
        """Kackar and Harville's covariance of the parameters, ``bread`` being that at ``cov``."""
        ...

    def rescaled(self, c: Array) -> Errors:
        """The law of the errors e_j / c_j, c (K,) positive; itself where no equation knows units.

        Parameters of its own, if any, keep their values, and the log-Jacobian is without log c.
        """
        ...

    def masked(self, M: Array) -> Array:
        """M (n, K), zero in cells that are not there."""
        ...

    def seen(self, cov: Covariance) -> RowCovariance:
        """Sigma as the rows see it."""
        ...

    def nll(self, E: Array, cov: Covariance) -> float:
        """Gaussian negative log-likelihood per row, constant included, ridges not."""
        ...

    def penalty(self, cov: Covariance, lam_F: float) -> float:
        """The ridge on loadings, per row."""
        ...

    def sigma(
        self,
        E: Array,
        rank: int,
        *,
        floor: Array,
        near: Covariance | None,
        d: Array | None,
        block: Any,
        gtol: float,
        lam_F: float = 0.0,
    ) -> SigmaStep:
        """The Sigma-step: the Sigma of residuals E (n, K), in the law's order ``rank``.

        It begins at ``near``, uniquenesses ``d`` and an earlier step's ``block``, as far as it
        begins anywhere. d_j is no lower than ``floor`` (K,), and gradients end below ``gtol``.
        """
        ...

    def information(
        self, design: PerEquation, cov: Covariance, ridge: Ridge | None = None
    ) -> Bread:
        """H^-1 of free coefficients when the errors have the covariance ``cov``."""
        ...

    def stationarity(
        self, normal: Normal, gamma: Array, E: Array, cov: Covariance, at_bound: Array, lam_F: float
    ) -> Stationarity:
        """Both measures at a point, afresh; ``normal`` is H at ``cov``."""
        ...

    def hessian(
        self,
        design: Linear,
        gamma: Array,
        E: Array,
        cov: Covariance,
        floor: Array,
        ridge: Ridge | None = None,
        lam_F: float = 0.0,
    ) -> Operator | None:
        """The Hessian at a point; variance parameters on their ``floor`` do not move.

        None where the law has no second-order check.
        """
        ...

    def along(self, cov: Covariance, curvature: Curvature, sign: float, floor: Array) -> Covariance:
        """A Sigma about one unit along the direction of a curvature."""
        ...

    def newton(
        self,
        design: Linear,
        E: Array,
        cov: Covariance,
        score: Array,
        at_bound: Array,
        s_ols: Array,
        ridge: Ridge | None,
        lam_F: float,
    ) -> Direction | None:
        """Newton's step, where it is cheap and the Hessian positive."""
        ...

    def sigma_alone(self, design: Linear, ridge: Ridge | None) -> bool:
        """Whether beta is that of OLS for any Sigma, so that only Sigma has many maxima."""
        ...

    def bounded(self, design: Linear, rank: int, lam_F: float) -> bool:
        """Whether the likelihood has a bound, or is not known to lack one."""
        ...

    def moments(self, E: Array, equations: Array) -> Array:
        """Mean products of residuals E with those of some equations, (K, len(equations))."""
        ...

    def union(
        self, blocks: Sequence[Array], design: Linear, Y: Array, s_ols: Array, rank: int
    ) -> Covariance | None:
        """Sigma of the residuals on every regressor of the system, to start from.

        ``blocks`` are the K designs of the rows. None where there are too few rows for that, or
        where it would tell nothing new.
        """
        ...

    def elsewhere(self, block: Any) -> Any:
        """What of a step's ``block`` serves a start in another place."""
        ...
