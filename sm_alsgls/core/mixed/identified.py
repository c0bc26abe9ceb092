"""Which variances of a mixed model the data cannot tell apart, whatever the response.

At a point in general position (phi, theta, log s2) the expected information of independent rows is

    half of   tr(V^-1 dV_a V^-1 dV_b):   sum tr(W dGamma_a W dGamma_b),   sum tr(W dGamma_a),   n
    level l   dR = R J_l:   sum tr(A_l dGamma_a),   n_l - sum tr(Gamma* N_l),
              delta_lk (n_l - 2 sum tr(Gamma* N_l)) + sum tr(Gamma* N_l Gamma* N_k)

with N_l = w_l Z'J_l Z, A_l = (I - ZZ Gamma*) N_l (I - Gamma* ZZ). Where Z_i'Z_i is the same
multiple of I in all groups and rows are as many as effects, s2 is a part of Psi; with one row a
level and a group, so is every level's variance. The information is singular along what can be
moved between them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.mixed.climb import rotations
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.likelihood import Point, Profile, shrunken
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.core.mixed.structures import Structure

Array = np.ndarray

# Information along a direction, in units of the parameters', that is rounding.
_NONE = 1e-9
# Share of a direction's largest element from which a parameter takes part.
_PART = 1e-3


class Inseparable(NamedTuple):
    """What cannot be told apart; `number` is 0 where everything can.

    Attributes
    ----------
    number : int
        Directions of (phi, theta, log s2), but rotations, along which the likelihood is flat.
    effects : ndarray of bool, shape (q,)
        Random effects whose variances or covariances take part.
    theta : ndarray of bool, shape (law.size,)
    s2 : bool
    """

    number: int
    effects: Array
    theta: Array
    s2: bool


def inseparable(products: CrossProducts, structure: Structure, law: ResidualLaw) -> Inseparable:
    """Look for variances that the design cannot tell apart.

    Of a law whose rows are dependent, theta is left out. O(m q^2 (k + r^2)).

    Examples
    --------
    One row a group: its random intercept is its residual.

    >>> import numpy as np
    >>> from sm_alsgls.core.mixed.residual_laws import Common
    >>> from sm_alsgls.core.mixed.structures import Diagonal
    >>> one = np.ones((5, 1))
    >>> part = CrossProducts.of_rows(one, one, np.arange(5.0), np.arange(5), 5)
    >>> found = inseparable(part, Diagonal(1), Common())
    >>> found.number, found.effects, found.s2
    (1, array([ True]), True)
    """
    profile = Profile(products, structure, law, False)
    point = profile.at(_anywhere(profile))
    size, q = structure.size, profile.q
    told = law.size if law.independent else 0
    F = np.zeros((size + told + 1, size + told + 1))
    for W in profile.each_W(point):
        F[:size, :size] += structure.information(point.phi, W)
    F[:size, -1] = F[-1, :size] = structure.pull(point.phi, point.total_W)
    F[-1, -1] = profile.n
    if told:
        _of_levels(profile, point, F)
    scale = np.sqrt(np.maximum(np.diagonal(F), 1e-300))
    unit = F / np.outer(scale, scale)
    turned = rotations(profile, F, point)
    values, vectors = np.linalg.eigh(unit + turned @ turned.T)
    flat = np.abs(vectors[:, values < _NONE])
    # Where a parameter moves nothing its unit is arbitrary, and the direction is itself.
    part = (flat > _PART * flat.max(axis=0, initial=0.0)).any(axis=1)
    dG = structure.directions(point.phi)[part[:size]]
    effects = np.abs(dG).max(axis=(0, 2), initial=0.0) > 0.0
    theta = np.zeros(law.size, dtype=bool)
    theta[:told] = part[size:-1]
    return Inseparable(flat.shape[1], effects.reshape(q), theta, bool(part[-1]))


def _anywhere(profile: Profile) -> Array:
    """(phi, theta) in general position."""
    structure, law, q = profile.structure, profile.law, profile.q
    rng = np.random.default_rng(7)
    drawn = rng.standard_normal((q, q)) / np.sqrt(q)
    phi = structure.nearest(drawn @ drawn.T + np.diag(rng.uniform(0.5, 1.0, q)))
    theta = law.guess() + rng.uniform(-0.1, 0.1, law.size)
    return np.concatenate([phi, theta])


def _of_levels(profile: Profile, point: Point, F: Array) -> None:
    """Rows and columns of theta, in place."""
    structure, law, C = profile.structure, profile.law, profile.products.C
    q, size = profile.q, structure.size
    A, w = profile.root(point.phi), law.weights(point.theta)
    Zs, _ = profile.weighted(point.theta)
    first = law.terms - law.size
    in_gamma = np.zeros((law.size, q, q))
    traces, both = np.zeros(law.size), np.zeros((law.size, law.size))
    for at in profile.pieces(q):
        shrunk = shrunken(A, Zs[at])
        left = np.eye(q) - np.matmul(Zs[at, :, :q], shrunk)
        N = w[first:, None, None] * C[at, first:, :q, :q]
        GN = np.matmul(shrunk[:, None], N)
        in_gamma += np.einsum("mab,mlbc,mdc->lad", left, N, left, optimize=True)
        traces += np.trace(GN, axis1=2, axis2=3).sum(axis=0)
        both += np.einsum("mlab,mkba->lk", GN, GN, optimize=True)
    counts = profile.counts[first:]
    at = slice(size, size + law.size)
    F[at, at] = np.diag(counts - 2.0 * traces) + both
    F[at, -1] = F[-1, at] = counts - traces
    for level, S in enumerate(in_gamma):
        mixed = structure.pull(point.phi, profile.mix.T @ S @ profile.mix)
        F[size + level, :size] = F[:size, size + level] = mixed
