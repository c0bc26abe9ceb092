"""What the fit of a mixed model returns: a frozen value in the user's units."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from sm_alsgls.core.mixed.climb import Step
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.likelihood import Point, Profile
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.core.mixed.structures import Structure
from sm_alsgls.covariance.closest import canonical_loadings

Array = np.ndarray


class Run(NamedTuple):
    """One row of the table of starts; ``gap`` is its NLL above the best."""

    start: str
    nll: float
    gap: float
    steps: int
    ended: str


@dataclass(frozen=True, eq=False)
class MixedFit:
    """A fit of a mixed model.

    Attributes
    ----------
    products : CrossProducts
    structure : Structure
    law : ResidualLaw
    reml : bool
    point : Point
        The maximum in working columns.
    converged : bool
    message : str
        Why it stopped and, if not converged, what to do.
    decrement : float
        Length of the Newton step that is left, in standard errors.
    trace : tuple of Step
        Of the best climb.
    runs : tuple of Run
    at_bound : ndarray of bool, shape (q,)
        Uniquenesses that are zero with the likelihood falling beyond: Heywood cases.
    curvature : float or None
        Smallest curvature of the likelihood in units of the information; below -1e-4 a saddle.
        None where it was not computed, see `maximise.lowest_curvature_at`.
    mix : ndarray, shape (q, q)
        Basis of the structure, see `Profile`.
    """

    products: CrossProducts = field(repr=False)
    structure: Structure
    law: ResidualLaw
    reml: bool
    point: Point = field(repr=False)
    converged: bool
    message: str
    decrement: float
    trace: tuple[Step, ...] = field(repr=False)
    runs: tuple[Run, ...]
    at_bound: Array
    curvature: float | None
    mix: Array = field(repr=False)

    @cached_property
    def profile(self) -> Profile:
        """The likelihood it is the maximum of."""
        return Profile(self.products, self.structure, self.law, self.reml, self.mix)

    @property
    def nll(self) -> float:
        """Negative log-likelihood of all rows."""
        return self.point.nll

    @property
    def llf(self) -> float:
        """Log-likelihood of all rows."""
        return -self.point.nll

    @property
    def ties(self) -> int:
        """Climbs that ended where the best did, itself among them."""
        return sum(run.gap <= 1e-5 for run in self.runs)

    @property
    def s2(self) -> float:
        """Residual variance."""
        return self.point.s2

    @property
    def theta(self) -> Array:
        """Parameters of the residual law."""
        return self.point.theta

    @cached_property
    def b(self) -> Array:
        """Coefficients, (p,)."""
        basis = self.products.basis
        moved = solve_triangular(basis.x, self.point.b) if basis.p else self.point.b
        return np.asarray(basis.b0 + moved)

    @cached_property
    def A(self) -> Array:
        """A root of Gamma = G / s2, (q, k)."""
        root = self.profile.root(self.point.phi)
        return np.asarray(solve_triangular(self.products.basis.z, root))

    @cached_property
    def G(self) -> Array:
        """Covariance of the effects, (q, q)."""
        return self.s2 * (self.A @ self.A.T)

    @cached_property
    def uniquenesses(self) -> Array:
        """Psi (q,)."""
        psi = self.structure.uniquenesses(self.point.phi)
        if self.structure.any_basis:
            return psi
        return np.asarray(self.s2 * psi / np.square(np.linalg.norm(self.products.basis.z, axis=0)))

    @cached_property
    def loadings(self) -> Array:
        """Lambda (q, r), canonical: Lambda' D^-1 Lambda diagonal, D = Psi kept off zero."""
        root = self.profile.mix @ self.structure.loadings(self.point.phi)
        Lambda = np.sqrt(self.s2) * solve_triangular(self.products.basis.z, root)
        scale = np.maximum(np.diagonal(self.G), 1e-300)
        psi = self.uniquenesses
        d = np.maximum(psi, 1e-8 * scale) if (psi > 0.0).any() else scale
        return np.asarray(canonical_loadings(Lambda, d))

    @cached_property
    def H(self) -> Array:
        """Sum of X_i'Vbar_i^-1 X_i, (p, p): the covariance of b is s2 H^-1."""
        x = self.products.basis.x
        return np.asarray(x.T @ self.point.H @ x)

    @cached_property
    def cov_b(self) -> Array:
        """s2 H^-1, (p, p)."""
        x = self.products.basis.x
        inverse = solve_triangular(x, np.eye(len(x))) if len(x) else x
        return np.asarray(self.s2 * inverse @ np.linalg.solve(self.point.H, inverse.T))

    @cached_property
    def v(self) -> Array:
        """v_i = Z_i'Vbar_i^-1 (y_i - X_i b), (m, q)."""
        return np.asarray(self.point.v @ self.products.basis.z)

    @cached_property
    def B(self) -> Array:
        """B_i = Z_i'Vbar_i^-1 X_i, (m, q, p)."""
        basis = self.products.basis
        return np.asarray(basis.z.T @ self.point.D[:, :, :-1] @ basis.x)

    @cached_property
    def W(self) -> Array:
        """W_i = Z_i'Vbar_i^-1 Z_i, (m, q, q)."""
        profile, z = self.profile, self.products.basis.z
        back = np.linalg.solve(profile.mix, z)
        return np.concatenate([back.T @ W @ back for W in profile.each_W(self.point)])
