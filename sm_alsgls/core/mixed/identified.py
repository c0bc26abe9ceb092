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
        levels = of_independent(profile, point)
        F[size:-1, :size], F[size:-1, size:-1], F[size:-1, -1] = levels
        F[:size, size:-1], F[-1, size:-1] = levels.with_phi.T, levels.with_s2
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
