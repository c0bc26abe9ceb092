"""``ManyEstimate``: what was found of very many equations, in arrays of K and P numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd

from sm_alsgls.core.maximise.solution import Sweep
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.sigma.factor import sigma_parameters
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.data.many.held import Held
from sm_alsgls.data.many.labels import ManyLabels
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.degrees import Degrees

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Ending:
    """How the likelihood's maximum was found.

    Attributes
    ----------
    nll : float
        Negative log-likelihood per row.
    converged : bool
    status : str
    gradient_d, score_beta : float
    trace : tuple of Sweep
    options : ALSOptions
    """

    nll: float
    converged: bool
    status: str
    gradient_d: float
    score_beta: float
    trace: tuple[Sweep, ...]
    options: ALSOptions


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ManyEstimate:
    """Coefficients and Sigma of K equations that are read in tiles.

    Attributes
    ----------
    labels : ManyLabels
    rows : Index (N,) or int
        Labels of the rows; their number once the data are gone.
    labelled : bool
        Whether rows came with labels.
    params : ndarray, shape (P,)
        Coefficients, equation after equation.
    sigma : LowRankDiag
        Canonical.
    at_bound, constant : ndarray of bool, shape (K,)
        Whose d_j is on its bound, and whose design spans the constant.
    squares, total : ndarray, shape (K,)
        Sums of squares of residuals, and of responses, about their means where ``constant``.
    ending : Ending
    df : Degrees
    choice : CovarianceChoice
    use_t : bool
    held : Held
    reason : str, optional
        What chose the rank.
    progress : bool, optional
    known : dict
        What was computed, and is kept.
    """

    labels: ManyLabels
    rows: pd.Index
    labelled: bool
    params: Array
    sigma: LowRankDiag
    at_bound: Array
    constant: Array
    squares: Array
    total: Array
    ending: Ending
    df: Degrees
    choice: CovarianceChoice
    use_t: bool
    held: Held
    reason: str | None = None
    progress: bool | None = None
    known: dict[str, Any] = field(default_factory=dict)

    @property
    def nobs(self) -> int:
        """N."""
        return len(self.rows)

    @property
    def neqs(self) -> int:
        """K."""
        return self.labels.K

    @property
    def rank(self) -> int:
        """r."""
        return self.sigma.rank

    @property
    def df_model(self) -> float:
        """P, and K r + K - r (r - 1) / 2 of Sigma."""
        return float(self.labels.P + sigma_parameters(self.neqs, self.rank))

    @property
    def llf(self) -> float:
        """Log-likelihood of all rows."""
        return -self.nobs * self.ending.nll

    @property
    def aic(self) -> float:
        """-2 llf + 2 df_model."""
        return -2.0 * self.llf + 2.0 * self.df_model

    @property
    def bic(self) -> float:
        """-2 llf + log(N) df_model."""
        return float(-2.0 * self.llf + np.log(self.nobs) * self.df_model)

    @property
    def df_resid(self) -> float:
        """Cells less parameters."""
        return float(self.nobs) * self.neqs - self.df_model

    @cached_property
    def rsquared(self) -> Array:
        """1 - SSR/SST of each equation (K,)."""
        return np.asarray(1.0 - self.squares / self.total)

    def in_shards(self, shards: Sequence[slice]) -> list[tuple[Array, Array, Array]]:
        """Coefficients, loadings and uniquenesses of each shard."""
        F, d = self.sigma.loadings, self.sigma.uniquenesses
        return [(self.params[self.labels.flat(at)], F[at], d[at]) for at in shards]

    def with_covariance(self, choice: CovarianceChoice, use_t: bool) -> Self:
        """The same coefficients with another covariance."""
        kept = {k: v for k, v in self.known.items() if k == "sigma_inference"}
        df = replace(self.df, given=choice.df)
        return replace(self, choice=choice, use_t=use_t, df=df, known=kept)
