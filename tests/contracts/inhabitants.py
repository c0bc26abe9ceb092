"""Who must keep a protocol: the one list to which a new covariance, design or law is added.

Every entry is a name and a function of a generator. What is made comes with brute force beside it,
which the suites compare with: nothing of the package is in that.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled import Pooling
from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.errors.complete import CompleteErrors
from sm_alsgls.core.errors.equal_variances import EqualVariances
from sm_alsgls.core.errors.exchangeable import Exchangeable
from sm_alsgls.core.errors.exchangeable_observed import ObservedExchangeable
from sm_alsgls.core.errors.unrestricted import UnrestrictedErrors
from sm_alsgls.core.errors.unrestricted_observed import ObservedUnrestrictedErrors
from sm_alsgls.core.laws.spatial_error import SpatialError
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.filtered import Filtered
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.unrestricted import Unrestricted
from tests.core import dense_observed, systems
from tests.core.systems import ring
from tests.worked.covariance import Equicorrelated
from tests.worked.design import OneForAll
from tests.worked.law import SpatialErrors

# -- covariances of the errors: (value, Sigma) ----------------------------------------------------


def neighbours(K):
    """Weights on a ring that are not symmetric: a transpose too few or too many shows."""
    return ring(K) * np.linspace(0.5, 1.5, K)


def _factors(rng, K, r):
    return rng.standard_normal((K, r)), rng.uniform(0.4, 1.5, K)


def diagonal(rng, K=6):
    d = rng.uniform(0.4, 1.5, K)
    return LowRankDiag.diagonal(d), np.diag(d)


def low_rank(rng, K=6):
    F, d = _factors(rng, K, 2)
    return LowRankDiag.from_factors(F, d), F @ F.T + np.diag(d)


def heywood(rng, K=6):
    F, d = _factors(rng, K, 2)
    d[1] = 1e-5
    return LowRankDiag.from_factors(F, d), F @ F.T + np.diag(d)


def filtered(rng, K=6):
    F, d = _factors(rng, K, 1)
    A = np.eye(K) - 0.4 * neighbours(K)
    inverse = np.linalg.inv(A)
    dense = inverse @ (F @ F.T + np.diag(d)) @ inverse.T
    return Filtered(LowRankDiag.from_factors(F, d), A), dense


def equicorrelated(rng, K=6):
    sd = rng.uniform(0.5, 2.0, K)
    return Equicorrelated(sd, 0.3), np.outer(sd, sd) * (0.3 + 0.7 * np.eye(K))


def unrestricted(rng, K=6):
    E = rng.standard_normal((15, K)) @ rng.standard_normal((K, K))
    return Unrestricted.from_residuals(E), E.T @ E / 15


COVARIANCES = {
    "diagonal": diagonal,
    "low rank": low_rank,
    "heywood": heywood,
    "filtered": filtered,
    "equicorrelated": equicorrelated,
    "unrestricted": unrestricted,
}

# -- designs: with the blocks, and what flat parameters make of beta ------------------------------


@dataclass
class Built:
    """A design, its K blocks, and beta = S params + s0, equation by equation.

    ``binding`` is what ties its coefficients, where something does.
    """

    design: Any
    blocks: list
    S: np.ndarray
    s0: np.ndarray
    binding: Any = None


def _blocks(rng, N=24, K=4, p=(2, 3, 2, 3)):
    return [
        np.column_stack([np.ones(N), rng.standard_normal((N, p[j] - 1)) * 10.0**j])
        for j in range(K)
    ]


def per_equation(rng, holes=None):
    blocks = _blocks(rng)
    if holes is not None:
        blocks = [X * m[:, None] for X, m in zip(blocks, holes.T, strict=True)]
    P = sum(X.shape[1] for X in blocks)
    return Built(Design(blocks), blocks, np.eye(P), np.zeros(P))


def equal_designs(rng, holes=None):
    X = _blocks(rng)[1]
    blocks = [X] * 4
    if holes is not None:
        blocks = [X * m[:, None] for X, m in zip(blocks, holes.T, strict=True)]
    return Built(Design(blocks), blocks, np.eye(12), np.zeros(12))


def restricted(rng, holes=None):
    free = per_equation(rng, holes)
    R = np.zeros((2, 10))
    R[0, [1, 3]] = 1.0, -2.0
    R[1, 7] = 1.0
    q = np.array([0.5, -1.0])
    binding = Restrictions(R, q)
    design = binding.bind(free.design)
    # Parameters are beta itself: what obeys is a point and the null space of R.
    N = np.eye(10) - np.linalg.pinv(R) @ R
    return Built(design, free.blocks, N, np.linalg.pinv(R) @ q, binding)


# Of the regressors of `_blocks`: the constants of three equations and two slopes are shared.
SHARES = [[0, 1], [-1, 1, -1], [0, 2], [0, 2, -1]]


def _picks(places):
    S = np.zeros((len(places.flat), places.P))
    S[np.arange(len(S)), places.flat] = 1.0
    return S


def pooled(rng, holes=None):
    free = per_equation(rng, holes)
    places = Places([np.array(share) for share in SHARES])
    S = _picks(places)
    binding = Pooling(places)
    return Built(binding.bind(free.design), free.blocks, S, np.zeros(len(S)), binding)


def all_pooled(rng, holes=None):
    free = equal_designs(rng, holes)
    places = Places([np.arange(3)] * 4)
    S = _picks(places)
    binding = Pooling(places)
    return Built(binding.bind(free.design), free.blocks, S, np.zeros(len(S)), binding)


def restricted_pooled(rng, holes=None):
    free = per_equation(rng, holes)
    places = Places([np.array(share) for share in SHARES])
    R = np.zeros((2, places.P))
    R[0, [1, 3]] = 1.0, -2.0
    R[1, 2] = 1.0
    q = np.array([0.5, -1.0])
    binding = Restrictions(R, q, Pooling(places))
    design = binding.bind(free.design)
    S = _picks(places)
    N = np.eye(places.P) - np.linalg.pinv(R) @ R
    return Built(design, free.blocks, S @ N, S @ np.linalg.pinv(R) @ q, binding)


def one_for_all(rng, holes=None):
    free, binding = equal_designs(rng, holes), OneForAll()
    S = np.tile(np.eye(3), (4, 1))
    return Built(binding.bind(free.design), free.blocks, S, np.zeros(12), binding)


DESIGNS = {
    "per equation": per_equation,
    "equal": equal_designs,
    "restricted": restricted,
    "pooled": pooled,
    "all pooled": all_pooled,
    "restricted pooled": restricted_pooled,
    "one for all": one_for_all,
}

# -- laws of the errors: a problem under the law, and what brute force needs -----------------------


DEFAULT = ALSOptions()


@dataclass
class Lawful:
    """A problem under a law, and its data; ``order`` is the rank it is fitted with.

    ``taken`` are the degrees of freedom that Sigma takes of an equation.
    """

    problem: Problem
    blocks: list
    Y: np.ndarray
    mask: np.ndarray
    order: int
    taken: float = 1.0


def _data(seed=0, N=60, K=5, r=1):
    rng = np.random.default_rng(seed)
    return systems.system(rng, N, K, r, (2, 3, 2, 3, 2))


def complete(options=DEFAULT):
    blocks, Y = _data()
    return Lawful(Problem(blocks, Y, options), blocks, Y, np.ones(Y.shape, bool), 1)


def observed(options=DEFAULT):
    blocks, Y = _data(1)
    mask = dense_observed.holes(np.random.default_rng(2), *Y.shape, 0.7, least=12)
    return Lawful(Problem(blocks, Y, options, mask=mask), blocks, Y, mask, 1)


def spatial(options=DEFAULT):
    blocks, Y = _data(3)
    K = Y.shape[1]
    A = np.eye(K) - 0.4 * neighbours(K)
    Y = Y @ np.linalg.inv(A).T
    problem = Problem(blocks, Y, options)
    law = SpatialErrors(K, len(Y), neighbours(K), 0.4)
    return Lawful(problem.with_errors(law), blocks, Y, np.ones(Y.shape, bool), 1)


def exchangeable_observed(options=DEFAULT, level=True):
    blocks, Y = _data(9)
    Y = Y + 2.0 * np.random.default_rng(9).standard_normal((len(Y), 1))
    mask = dense_observed.holes(np.random.default_rng(10), *Y.shape, 0.7, least=12)
    problem = Problem(blocks, Y, options, mask=mask)
    law = ObservedExchangeable(Patterns(mask), level=level)
    return Lawful(problem.with_errors(law), blocks, Y, mask, 0, 0.0)


def equal_variances_observed(options=DEFAULT):
    return exchangeable_observed(options, level=False)


def full(options=DEFAULT):
    blocks, Y = _data(4)
    problem = Problem(blocks, Y, options)
    law = UnrestrictedErrors(Y.shape[1], len(Y))
    return Lawful(problem.with_errors(law), blocks, Y, np.ones(Y.shape, bool), 0, 0.0)


def full_observed(options=DEFAULT):
    blocks, Y = _data(5)
    mask = dense_observed.holes(np.random.default_rng(6), *Y.shape, 0.7, least=12)
    problem = Problem(blocks, Y, options, mask=mask)
    law = ObservedUnrestrictedErrors(Patterns(mask))
    return Lawful(problem.with_errors(law), blocks, Y, mask, 0, 0.0)


def _tied(law, seed, options):
    blocks, Y = _data(seed)
    Y = Y + 2.0 * np.random.default_rng(seed).standard_normal((len(Y), 1))
    problem = Problem(blocks, Y, options).with_errors(law(Y.shape[1], len(Y)))
    return Lawful(problem, blocks, Y, np.ones(Y.shape, bool), 0, 0.0)


def equal_variances(options=DEFAULT):
    return _tied(EqualVariances, 7, options)


def exchangeable(options=DEFAULT):
    return _tied(Exchangeable, 8, options)


def spatial_error(options=DEFAULT):
    blocks, Y = _data(8)
    K = Y.shape[1]
    Y = Y @ np.linalg.inv(np.eye(K) - 0.4 * neighbours(K)).T
    law = SpatialError(CompleteErrors(K, len(Y)), SpatialWeights(neighbours(K)), 0.4)
    problem = Problem(blocks, Y, options).with_errors(law)
    return Lawful(problem, blocks, Y, np.ones(Y.shape, bool), 1)


def spatial_equal(options=DEFAULT):
    blocks, Y = _data(9)
    K = Y.shape[1]
    law = SpatialError(EqualVariances(K, len(Y)), SpatialWeights(neighbours(K)), -0.3)
    problem = Problem(blocks, Y, options).with_errors(law)
    return Lawful(problem, blocks, Y, np.ones(Y.shape, bool), 0, 0.0)


LAWS = {
    "complete": complete,
    "equal variances": equal_variances,
    "exchangeable": exchangeable,
    "observed": observed,
    "equal variances, observed": equal_variances_observed,
    "exchangeable, observed": exchangeable_observed,
    "spatial": spatial,
    "unrestricted": full,
    "unrestricted, observed": full_observed,
    "spatial error": spatial_error,
    "spatial error, one variance": spatial_equal,
}
