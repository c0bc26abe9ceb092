"""A system as the loop sees it: rows, a design, a law of the errors, and the knobs of the loop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from sm_alsgls.core.across import ALONE, Across
from sm_alsgls.core.beta.gls import CGSolution, conjugate_gradients
from sm_alsgls.core.design.base import Binding, Bread, Linear, Normal, PerEquation, Unbound
from sm_alsgls.core.design.per_equation import of_rows
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.base import Direction, Errors, SigmaStep
from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.errors.observed import ObservedErrors
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.rows.cell_rows import CellRows
from sm_alsgls.core.rows.compress import compress_rows
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.core.second_order.curvature import Operator
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.covariance.base import Covariance, RowCovariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import OptionError, ShapeError
from sm_alsgls.progress import tick

__all__ = ["ALSOptions", "Problem"]

Array = np.ndarray
#: Makes the law of the errors of some rows.
Law = Callable[[Rows], Errors]
#: Makes the design of some rows whose coefficients are free.
Free = Callable[[Rows], PerEquation]

# Elements of residuals that are kept beside those of the fit.
_KEPT = 4_000_000


class Problem:
    """A system as the loop sees it: rows, design, errors, options; bases, OLS, bounds and ridges.

    Parameters
    ----------
    blocks : sequence of ndarray
        K designs (N, p_j); rows of missing cells may hold anything, NaN included.
    Y : ndarray, shape (N, K)
        Responses; missing cells may hold anything.
    options : ALSOptions
    mask : ndarray of bool, shape (N, K), optional
        True where a cell is observed; every row has one, every equation more than p_j. Default:
        everywhere, and rows are compressed.
    binding : Binding, optional
        What ties coefficients: `sm_alsgls.core.design.restricted.Restrictions`, for one.

    Attributes
    ----------
    rows : Rows
        What the problem was built from; `with_responses` changes design and Y only.
    design : Linear
    errors : Errors
        The law of the errors.
    Y : ndarray, shape (n, K)
        Responses on n <= N rows, Fortran-ordered, less the fitted values of ``design.origin``;
        zero in missing cells.
    n_obs, K : int
        N and K; every NLL is per row of N.
    gamma_ols : ndarray, shape (P,)
        OLS coefficients.
    s_ols : ndarray, shape (K,)
        OLS residual variances |e_j|^2 / N_j.
    floor : ndarray, shape (K,)
        Lower bounds of d.
    ridge : Ridge or None

    Raises
    ------
    ShapeError
        The mask has not the shape of Y.
    OptionError
        A ridge lam_B on coefficients that are tied.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.maximise.als import als
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((80, 2)) for _ in range(6)]
    >>> Y = rng.standard_normal((80, 1)) + rng.standard_normal((80, 6))
    >>> Y[rng.random(Y.shape) < 0.2] = np.nan
    >>> fit = als(Problem(X, Y, ALSOptions(), mask=np.isfinite(Y)), 1)
    >>> fit.converged, fit.cov
    (True, LowRankDiag(K=6, rank=1))
    """

    def __init__(
        self,
        blocks: Sequence[Array],
        Y: Array,
        options: ALSOptions,
        *,
        mask: Array | None = None,
        binding: Binding | None = None,
    ) -> None:
        if mask is None:
            rows: Rows = compress_rows(blocks, Y)
            errors = low_rank(rows)
        else:
            if Y.shape != mask.shape:
                raise ShapeError(f"the mask must have the shape {Y.shape} of Y, got {mask.shape}")
            patterns = Patterns(mask)
            one = patterns.mask.astype(float)
            rows = CellRows(list(blocks), Y, len(Y), one, mask=patterns.mask, designs=blocks)
            errors = ObservedErrors(patterns)
        self._compose(rows, errors, options, binding, of_rows)

    @classmethod
    def from_rows(
        cls,
        rows: Rows,
        options: ALSOptions,
        *,
        law: Law = low_rank,
        binding: Binding | None = None,
        free: Free = of_rows,
    ) -> Problem:
        """The problem of rows that were compressed, streamed, masked or weighted before.

        ``law`` makes the law of their errors, default that of Sigma = F F' + D; ``free`` makes
        their design, default bases of the regressors.
        """
        problem = cls.__new__(cls)
        problem._compose(rows, law(rows), options, binding, free)
        return problem

    def _compose(
        self,
        rows: Rows,
        errors: Errors,
        options: ALSOptions,
        binding: Binding | None,
        free: Free,
    ) -> None:
        self._binding: Binding = Unbound() if binding is None else binding
        if options.lam_B > 0.0 and not self._binding.ridged:
            raise OptionError("lam_B > 0 cannot be combined with restrictions on coefficients")
        _check(errors, rows)
        self.rows, self.errors, self.options = rows, errors, options
        self.n_obs, self.K = errors.n_obs, rows.Y.shape[1]
        self._set(free(rows), rows.Y)
        self._weights = self._ridge_weights() if options.lam_B > 0.0 else None
        self.ridge: Ridge | None = self._ridge()

    def _set(self, free: PerEquation, Y: Array) -> None:
        self.design: Linear = self._binding.bind(free)
        Y = self.errors.masked(Y)
        if self.design.origin is not None:
            Y = self.design.free.left(Y, self.design.origin)
        self.Y = np.asfortranarray(Y)
        self.gamma_ols, E = self.design.least_squares(self.Y)
        self._E_ols = E if E.size <= _KEPT else None
        self.s_ols = np.vecdot(E.T, E.T) / self.counts
        self.floor = self.options.d_floor * self.s_ols

    def _ridge_weights(self) -> list[Array]:
        # H is multiplied by N: this makes it N_j times the mean over the equation's own rows.
        return [
            self.options.lam_B / s * varies * np.square(X).sum(axis=0) / self.n_obs
            for X, varies, s in zip(
                self.rows.seen_blocks, self.rows.varies, self.s_ols, strict=True
            )
        ]

    def _ridge(self) -> Ridge | None:
        return None if self._weights is None else self.design.free.ridge(self._weights)

    # -- the same system, changed ----------------------------------------------------------------

    def with_responses(self, Y: Array, free: PerEquation | None = None) -> Problem:
        """The same regressors and cells with other responses, for refits by the thousand.

        Parameters
        ----------
        Y : ndarray, shape (N, K)
        free : PerEquation, optional
            Of all N rows: compression would need the responses.
        """
        again = copy.copy(self)
        again._set(self.design.free if free is None else free, Y)
        again.ridge = again._ridge()
        return again

    def with_errors(self, errors: Errors) -> Problem:
        """The same rows and design under another law, which must be of them.

        Raises
        ------
        ShapeError
            Another number of equations, or of rows that the likelihood is of.
        OptionError
            The law needs rows as they are, and these are compressed; or whole rows, and some of
            these lack cells.
        """
        _check(errors, self.rows)
        again = copy.copy(self)
        again.errors = errors
        again._set(self.design.free, self.responses)
        return again

    def with_floor(self, floor: Array) -> Problem:
        """The same with other lower bounds of d, (K,).

        Those of a likelihood that is compared between problems must not move with OLS residuals.
        """
        again = copy.copy(self)
        again.floor = floor
        return again

    @property
    def responses(self) -> Array:
        """Y with the fitted values of the design's origin, (n, K)."""
        origin = self.design.origin
        return self.Y if origin is None else self.Y + self.design.free.fitted(origin)

    def rescaled(self, c: Array) -> Problem:
        """The problem of the responses Y diag(1 / c), c (K,) positive."""
        again, free = copy.copy(self), self.design.free
        if self._weights is not None:
            again._weights = [w * v * v for w, v in zip(self._weights, c, strict=True)]
        again._binding = self._binding.rescaled(c, free)
        again.errors = self.errors.rescaled(c)
        again._set(free, (self.responses.T / c[:, None]).T)
        again.ridge = again._ridge()
        return again

    # -- residuals -------------------------------------------------------------------------------

    @property
    def counts(self) -> Array:
        """Rows of each equation, N_j, (K,)."""
        return self.errors.counts

    def residuals(self, gamma: Array, out: Array | None = None) -> Array:
        """Y minus fitted values, zero in missing cells, (n, K), maybe in the memory of ``out``."""
        return self.design.left(self.Y, gamma, out)

    def moved(self, E: Array, direction: Array, out: Array | None = None) -> Array:
        """Residuals after a step in gamma, (n, K), maybe in the memory of ``out``."""
        return self.design.left(E, direction, out)

    @property
    def E_ols(self) -> Array:
        """OLS residuals (n, K); worked out again where they are too many to keep."""
        return self.residuals(self.gamma_ols) if self._E_ols is None else self._E_ols

    @property
    def E_free(self) -> Array:
        """OLS residuals (n, K) of free coefficients."""
        free = self.design.free
        if free is self.design:
            return self.E_ols
        return free.least_squares(self.responses)[1]

    def own(self, gamma: Array) -> Array | None:
        """Q_j'e_j of residuals at gamma, (P,): the way to OLS. None where coefficients are tied."""
        return self.gamma_ols - gamma if self.design.free is self.design else None

    # -- what the loop asks, of the law at this design --------------------------------------------

    def sigma_step(
        self,
        E: Array,
        rank: int,
        *,
        near: Covariance | None = None,
        d: Array | None = None,
        block: Any = None,
        gtol: float,
        lam_F: float | None = None,
    ) -> SigmaStep:
        """The law's Sigma-step under this problem's bounds; ``lam_F`` replaces the options'."""
        tick()
        return self.errors.sigma(
            E,
            rank,
            floor=self.floor,
            near=near,
            d=d,
            block=block,
            gtol=gtol,
            lam_F=self.options.lam_F if lam_F is None else lam_F,
        )

    def normal(self, cov: Covariance) -> Normal:
        """The normal equations of the beta-step."""
        return self.design.normal(self.errors.seen(cov), self.n_obs, self.ridge)

    #: Nothing of the system is elsewhere.
    across: Across = ALONE

    @property
    def n_coefficients(self) -> int:
        """P."""
        return self.design.P

    def solve(self, normal: Normal, b: Array, *, tol: float, leaves: float = 1.0) -> CGSolution:
        """H x = b by conjugate gradients that may foresee a step; see `conjugate_gradients`."""
        return conjugate_gradients(
            normal.apply,
            b,
            normal.diagonal,
            tol=tol,
            max_iter=self.options.cg_maxit,
            leaves=leaves,
        )

    def nll(self, E: Array, cov: Covariance) -> float:
        """Negative log-likelihood per row, constant included, ridges not."""
        return self.errors.nll(E, cov)

    def penalty(self, gamma: Array, cov: Covariance) -> float:
        """Both ridges, per row."""
        value = 0.0 if self.ridge is None else self.ridge.value(gamma)
        return value + self.errors.penalty(cov, self.options.lam_F)

    def objective(self, gamma: Array, E: Array, cov: Covariance) -> float:
        """What is minimised, per row."""
        return self.nll(E, cov) + self.penalty(gamma, cov)

    def stationarity(
        self, gamma: Array, E: Array, cov: Covariance, at_bound: Array
    ) -> Stationarity:
        """How far a point is from stationary, afresh."""
        normal = self.normal(cov)
        return self.errors.stationarity(normal, gamma, E, cov, at_bound, self.options.lam_F)

    def hessian(self, gamma: Array, E: Array, cov: Covariance) -> Operator | None:
        """The Hessian at a point, where the law has one; what is on its bound does not move."""
        return self.errors.hessian(
            self.design, gamma, E, cov, self.floor, self.ridge, self.options.lam_F
        )

    def newton(self, E: Array, cov: Covariance, score: Array, at_bound: Array) -> Direction | None:
        """Newton's step, where the law has one that is cheap and the Hessian positive."""
        return self.errors.newton(
            self.design, E, cov, score, at_bound, self.s_ols, self.ridge, self.options.lam_F
        )

    def covariance(self, cov: Covariance) -> Bread:
        """Covariance of the parameters when the errors have covariance ``cov``."""
        # Not a closure: variances keep it, and results that have one are pickled.
        return self.design.variance(partial(self.errors.information, cov=cov, ridge=self.ridge))

    def interval_sigma(self, E: Array, cov: Covariance) -> Covariance:
        """The Sigma that standard errors of small samples are of, before degrees of freedom."""
        return self.errors.interval_sigma(
            E, cov, self.design.p, self.floor, self.options.lam_F, lambda: self.E_free
        )

    def observed(self, cov: Covariance) -> RowCovariance:
        """``cov`` as the rows of this system see it."""
        return self.errors.seen(cov)

    @property
    def sigma_alone(self) -> bool:
        """Whether beta is OLS whatever Sigma is."""
        return self.errors.sigma_alone(self.design, self.ridge)

    def bounded(self, rank: int) -> bool:
        """Whether the likelihood has a bound at this rank, or is not known to lack one."""
        return self.errors.bounded(self.design, rank, self.options.lam_F)

    def union(self, rank: int) -> Covariance | None:
        """Sigma of the residuals on every regressor of the system, to start from."""
        return self.errors.union(self.rows.blocks, self.design, self.Y, self.s_ols, rank)


def _check(errors: Errors, rows: Rows) -> None:
    """A law that is of other rows would give likelihoods and standard errors of none."""
    K = rows.Y.shape[1]
    if errors.K != K or errors.n_obs != rows.n_obs:
        raise ShapeError(
            f"the law of the errors is of {errors.n_obs} rows of {errors.K} equations, and the "
            f"system has {rows.n_obs} rows of {K}"
        )
    if errors.whole and rows.patterns is not None:
        raise OptionError("this law of the errors needs whole rows; use missing='drop'")
    if not errors.whole and len(rows.Y) < rows.n_obs:
        raise OptionError(
            f"this law of the errors needs all {rows.n_obs} rows, which were compressed to "
            f"{len(rows.Y)}; make the problem of `Rows.of` the data"
        )
