"""Which variances of a mixed model the data cannot tell apart, whatever the response.

At a point in general position the expected information of (phi, theta, log s2) under ML is looked
at. Where Z_i'Z_i is the same multiple of I in all groups and rows are as many as effects, s2 is a
part of Psi; with one row a level and a group, so is every level's variance. The information is
singular along what can be moved between them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.mixed.climb import rotations
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.law_information import of_independent
from sm_alsgls.core.mixed.likelihood import Profile
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.core.mixed.structures import Structure

Array = np.ndarray

# Information along a direction, in units of the parameters', that is rounding.
_NONE = 1e-9
# Share of a direction's largest change from which a variance takes part.
_PART = 1e-3


class Inseparable(NamedTuple):
    """What cannot be told apart; `number` is 0 where everything can.

    Attributes
    ----------
    number : int
        Directions of (phi, theta, log s2), but rotations, along which the likelihood is flat.
    effects : ndarray of bool, shape (q,)
        Random effects whose variances or covariances move along them.
    terms : ndarray of bool, shape (law.terms,)
        Residual variances that do: of the levels, or the only one.
    """

    number: int
    effects: Array
    terms: Array


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
    >>> found.number, found.effects, found.terms
    (1, array([ True]), array([ True]))
    """
    profile = Profile(products, structure, law, False)
    point = profile.at(_anywhere(profile))
    size = structure.size
    told = law.size if law.independent else 0
    F = np.zeros((size + told + 1, size + told + 1))
    for W in profile.each_W(point):
        F[:size, :size] += structure.information(point.phi, W)
    F[:size, -1] = F[-1, :size] = structure.pull(point.phi, point.total_W)
    F[-1, -1] = profile.n
    if told:
        levels = of_independent(profile, point)
        F[size:-1, :size], F[size:-1, size:-1], F[size:-1, -1] = levels
        F[:size, size:-1], F[-1, size:-1] = levels.with_phi.T, levels.with_s2
    scale = np.sqrt(np.maximum(np.diagonal(F), 1e-300))
    unit = F / np.outer(scale, scale)
    turned = rotations(profile, F, point)
    values, vectors = np.linalg.eigh(unit + turned @ turned.T)
    flat = vectors[:, values < _NONE] / scale[:, None]
    # d log of the residual variances, and dG in units of G.
    residual = np.zeros((law.terms, flat.shape[1]))
    residual[: told + 1] = flat[-1]
    residual[1 : told + 1] += flat[size:-1]
    A = structure.root(point.phi)
    gamma = A @ A.T
    dG = np.tensordot(flat[:size], structure.directions(point.phi), axes=(0, 0))
    dG += flat[-1][:, None, None] * gamma
    width = np.sqrt(np.maximum(np.diagonal(gamma), 1e-300))
    moved = np.abs(dG / np.outer(width, width)).max(axis=2, initial=0.0).T
    # How far a direction goes is arbitrary.
    most = np.maximum(moved.max(axis=0, initial=0.0), np.abs(residual).max(axis=0, initial=0.0))
    parts = [(np.abs(one) > _PART * most).any(axis=1) for one in (moved, residual)]
    return Inseparable(flat.shape[1], parts[0], parts[1])


def _anywhere(profile: Profile) -> Array:
    """(phi, theta) in general position."""
    structure, law, q = profile.structure, profile.law, profile.q
    rng = np.random.default_rng(7)
    drawn = rng.standard_normal((q, q)) / np.sqrt(q)
    phi = structure.nearest(drawn @ drawn.T + np.diag(rng.uniform(0.5, 1.0, q)))
    theta = law.guess() + rng.uniform(-0.1, 0.1, law.size)
    return np.concatenate([phi, theta])
