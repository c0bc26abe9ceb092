"""A system as the loop sees it, and the knobs of the loop."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.rows.compress import compress_rows
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import OptionError

Array = np.ndarray

# Elements of residuals that are kept beside those of the fit.
_KEPT = 4_000_000


@dataclass(frozen=True)
class ALSOptions:
    """Knobs of the loop; validated here, once.

    Attributes
    ----------
    lam_F, lam_B : float
        Ridges per observation on D^-1/2 F, and on slopes in units of (residual standard
        deviation of OLS) / (root mean square of the regressor); constants are not penalised.
        Without units, so that rescaling data never changes a fit. Default 0.
    d_floor : float
        Lower bound of d_j as a share of equation j's OLS residual variance.
    rel_tol : float
        Largest relative fall of the NLL per row in the last sweep.
    gtol : float
        Largest gradient in log d per row, and largest GLS score in its standard errors.
    max_sweeps : int
    cg_tol : float
        Largest relative residual of a beta-step's linear system. The absolute tolerance follows
        gtol, so this sets the cost of early sweeps, not the accuracy of the last.
    cg_maxit : int
        Most CG iterations in one beta-step.
    """

    lam_F: float = 0.0
    lam_B: float = 0.0
    d_floor: float = 1e-8
    rel_tol: float = 1e-6
    gtol: float = 1e-6
    max_sweeps: int = 500
    cg_tol: float = 0.05
    cg_maxit: int = 500

    def __post_init__(self) -> None:
        for knob in fields(self):
            value = getattr(self, knob.name)
            whole = knob.name in ("max_sweeps", "cg_maxit")
            if isinstance(value, bool) or not isinstance(
                value, (int, np.integer) if whole else (int, float, np.integer, np.floating)
            ):
                kind = "a whole number" if whole else "a number"
                raise OptionError(f"{knob.name} must be {kind}, got {value!r}")
        for name in ("lam_F", "lam_B", "rel_tol"):
            # Without units: a ridge of 1e12 leaves nothing of a slope or of a loading.
            if not 0.0 <= getattr(self, name) <= 1e12:
                raise OptionError(
                    f"{name} must be at least 0 and at most 1e12, got {getattr(self, name)!r}"
                )
        for name in ("d_floor", "cg_tol"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise OptionError(f"{name} must lie between 0 and 1, got {getattr(self, name)!r}")
        if not 0.0 < self.gtol <= 1.0:
            raise OptionError(
                f"gtol must be positive and at most 1, one standard error of a score; got "
                f"{self.gtol!r}"
            )
        for name in ("max_sweeps", "cg_maxit"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be at least 1, got {getattr(self, name)!r}")


class Problem:
    """A system as the loop sees it: compressed rows, bases, OLS, bounds and ridges.

    Parameters
    ----------
    blocks : sequence of ndarray
        K designs (N, p_j).
    Y : ndarray, shape (N, K)
    options : ALSOptions

    Attributes
    ----------
    rows : Rows
        What the problem was built from; `with_responses` changes design and Y only.
    design : Design
    Y : ndarray, shape (n, K)
        Responses on n <= N rows, Fortran-ordered.
    n_obs : int
        N.
    gamma_ols : ndarray, shape (P,)
        OLS coefficients.
    s_ols : ndarray, shape (K,)
        OLS residual variances |e_j|^2 / N.
    floor : ndarray, shape (K,)
        Lower bounds of d.
    ridge : Ridge or None
    """

    def __init__(self, blocks: Sequence[Array], Y: Array, options: ALSOptions) -> None:
        self._open(compress_rows(blocks, Y), options)

    @classmethod
    def from_rows(cls, rows: Rows, options: ALSOptions) -> Problem:
        """The problem of rows that were compressed before, or read as a stream."""
        problem = cls.__new__(cls)
        problem._open(rows, options)
        return problem

    def _open(self, rows: Rows, options: ALSOptions) -> None:
        self.options, self.rows = options, rows
        self.n_obs, self.K = rows.n_obs, rows.Y.shape[1]
        self._set(Design(rows.blocks), rows.Y)
        self._weights = self._ridge_weights() if options.lam_B > 0.0 else None
        self.ridge = None if self._weights is None else self.design.ridge(self._weights)

    def with_responses(self, Y: Array, design: Design) -> Problem:
        """The same regressors with other responses, for refits by the thousand.

        Parameters
        ----------
        Y : ndarray, shape (N, K)
        design : Design
            Of the blocks on all N rows: compression would need the responses.
        """
        again = copy.copy(self)
        again._set(design, Y)
        again.ridge = None if self._weights is None else design.ridge(self._weights)
        return again

    def rescaled(self, c: Array) -> Problem:
        """The problem of the responses Y diag(1 / c), c (K,) positive."""
        again = copy.copy(self)
        if self._weights is not None:
            again._weights = [w * v * v for w, v in zip(self._weights, c, strict=True)]
        again._set_scaled(c)
        again.ridge = None if again._weights is None else again.design.ridge(again._weights)
        return again

    def _set_scaled(self, c: Array) -> None:
        self._set(self.design, (self.Y.T / c[:, None]).T)

    @property
    def counts(self) -> Array:
        """Rows of each equation, (K,): N."""
        return np.full(self.K, self.n_obs)

    def observed(self, cov: LowRankDiag) -> LowRankDiag:
        """``cov`` as the rows of this system see it: all of it."""
        return cov

    def full_design(self, blocks: Sequence[Array]) -> Design:
        """What `with_responses` takes, of blocks with all N rows."""
        return Design(blocks)

    def covariance(self, cov: LowRankDiag) -> CoefficientCovariance:
        """Covariance of the coefficients when the errors have covariance ``cov``."""
        return CoefficientCovariance(self.design, cov, self.n_obs, self.ridge)

    def _set(self, design: Design, Y: Array) -> None:
        self.design = design
        self.Y = np.asfortranarray(Y)
        self.gamma_ols = design.project(self.Y)
        E = self.residuals(self.gamma_ols)
        self._E_ols = E if E.size <= _KEPT else None
        self.s_ols = np.einsum("kn,kn->k", E.T, E.T) / self.n_obs
        self.floor = self.options.d_floor * self.s_ols

    def _ridge_weights(self) -> list[Array]:
        return [
            self.options.lam_B / s * varies * np.square(X).sum(axis=0) / self.n_obs
            for X, varies, s in zip(self.rows.blocks, self.rows.varies, self.s_ols, strict=True)
        ]

    def residuals(self, gamma: Array) -> Array:
        """Y minus fitted values, (n, K)."""
        fitted = self.design.fitted(gamma)
        return np.subtract(self.Y, fitted, out=fitted)

    @property
    def free_design(self) -> Design:
        """The design without restrictions."""
        return self.design

    @property
    def E_free(self) -> Array:
        """OLS residuals (n, K) without restrictions."""
        free = self.free_design
        if free is self.design:
            return self.E_ols
        return self.rows.Y - free.fitted(free.project(self.rows.Y))

    @property
    def E_ols(self) -> Array:
        """OLS residuals (n, K); worked out again where they are too many to keep."""
        return self.residuals(self.gamma_ols) if self._E_ols is None else self._E_ols
