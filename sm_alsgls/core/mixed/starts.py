"""Where climbs of a mixed model's likelihood begin.

All from the fit with independent effects, Gamma_d = diag(psi), which is climbed first:

    ols       Gamma_d - P (2 S / m) P,   P = (sum W_i / m)^-1: the step of scoring without any
              structure, were all groups alike; of groups with many rows the covariance of their
              least-squares slopes less its noise. Then the structure's nearest (a factor step)
    full      the same, some steps on
    diagonal  Gamma_d with small loadings along the leading directions of what the first step adds
    random    loadings and shares drawn
"""

from __future__ import annotations

from copy import copy
from functools import cached_property

import numpy as np

from sm_alsgls.core.mixed.climb import Climb, climb
from sm_alsgls.core.mixed.likelihood import Point, Profile
from sm_alsgls.core.mixed.structures import Diagonal, Unstructured

Array = np.ndarray

# Steps of the unstructured start.
_STEPS = 3


class Starts:
    """Starts of a profile, made when they are asked for.

    Parameters
    ----------
    profile : Profile
    rng : numpy Generator
        Of random ones.
    """

    def __init__(self, profile: Profile, rng: np.random.Generator) -> None:
        self._profile, self._rng = profile, rng
        self.diagonal = self._independent()
        self._first = self._stepped(self._diagonal_profile, self.diagonal.point)

    def _independent(self) -> Climb:
        """The fit with independent effects, roughly."""
        of = self._profile
        self._diagonal_profile = Profile(of.products, Diagonal(of.q), of.law, of.reml)
        psi = np.full(of.q, 1.0 / of.q)
        start = np.concatenate([psi, of.law.guess()])
        return climb(self._diagonal_profile, start, "diagonal", tolerance=0.3, max_iter=30)

    def _stepped(self, profile: Profile, point: Point) -> Array:
        """Gamma after a step of scoring without structure, groups alike; in working columns."""
        m = profile.products.m
        values, vectors = np.linalg.eigh(point.total_W / m)
        some = values > 1e-12 * values[-1]
        inverse = (vectors[:, some] / values[some]) @ vectors[:, some].T
        A = profile.structure.root(point.phi)
        gamma = A @ A.T - inverse @ (2.0 * point.S / m) @ inverse
        return np.asarray(profile.mix @ gamma @ profile.mix.T)

    def _x(self, gamma: Array) -> Array:
        """(phi, theta) near Gamma of working columns."""
        inverse = np.linalg.inv(self._profile.mix)
        phi = self._profile.structure.nearest(inverse @ gamma @ inverse.T)
        return np.concatenate([phi, self.diagonal.point.theta])

    def ols(self) -> Array:
        """After one step."""
        return self._x(self._first)

    def full(self) -> Array:
        """After some."""
        return self._x(self._full)

    @cached_property
    def axes(self) -> Array:
        """Orthogonal working effects, (q, q): the axes of the start's Gamma, longest first.

        A Cholesky factor in these has what is nearly singular in its last rows; where it is in
        the first, a fit takes 60 steps for 15.
        """
        return np.linalg.eigh(self._full)[1][:, ::-1]

    @cached_property
    def _full(self) -> Array:
        of = self._profile
        kind = Unstructured(of.q)
        profile = Profile(of.products, kind, of.law, of.reml)
        gamma, lowest, best = self._first, np.inf, self._first
        for _ in range(_STEPS):
            point = profile.at(np.concatenate([kind.nearest(gamma), self.diagonal.point.theta]))
            if not point.nll < lowest:
                break
            lowest, best = point.nll, profile.gamma(point.phi)
            gamma = self._stepped(profile, point)
        return best

    def small(self) -> Array:
        """Independent effects, and a little of the directions that are missing."""
        diagonal = self._diagonal_profile.gamma(self.diagonal.point.phi)
        return self._x(0.8 * diagonal + 0.2 * self._first)

    def random(self) -> Array:
        """A covariance of as much variance, its correlations and shares drawn."""
        of, rng = self._profile, self._rng
        diagonal = self._diagonal_profile
        psi = self.diagonal.point.phi[: of.q]
        size = np.sqrt(np.maximum(psi, 1e-3 * psi.max(initial=1e-3)))
        drawn = rng.standard_normal((of.q, max(1, of.structure.rank)))
        drawn *= size[:, None] / np.sqrt(drawn.shape[1])
        gamma = drawn @ drawn.T + np.diag(size**2 * 10.0 ** rng.uniform(-2.0, 0.0, of.q))
        return self._x(diagonal.mix @ gamma @ diagonal.mix.T)

    def along(self, profile: Profile) -> Starts:
        """The same starts of a profile in another basis of its structure."""
        other = copy(self)
        other._profile = profile
        return other
