"""The likelihood of `sm_alsgls.core.sigma.unrestricted` where cells lie behind gaps.

With Sigma = F F' + D of K factors (`sm_alsgls.covariance.factored`), f and its derivative in F at
fixed D are those of `sm_alsgls.core.sigma.gap_likelihood`. F being square and invertible, the
derivative G in Sigma, symmetric, follows from d f / d F = 2 G F, and what a root R -> (I + X) R
moves is Gamma = 2 R G R', as in `sm_alsgls.core.sigma.unrestricted`.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.sigma.gap_likelihood import GapObjective
from sm_alsgls.core.sigma.unrestricted import ObservedLikelihood, ObservedPoint
from sm_alsgls.covariance.factored import factored
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.spread import Spread
from sm_alsgls.covariance.unrestricted import Unrestricted

Array = np.ndarray


class GapLikelihood(ObservedLikelihood):
    """f and Gamma of residuals E (N, K) that are zero in missing cells; O(N b^2), b of K factors.

    Examples
    --------
    >>> from sm_alsgls.covariance.spread import Spans
    >>> mask = np.array([[True, True], [True, False], [True, True]])
    >>> spans = Spans(mask, np.array([2]), np.array([1]), np.array([0, 0]), np.array([1, 2]))
    >>> spread = Spread(spans, np.array([0.6, 0.8]), np.zeros(2))
    >>> E = np.array([[1.0, 2.0], [1.0, 0.0], [2.0, 3.0]])
    >>> point = GapLikelihood(E, Patterns(mask), spread)(Unrestricted.from_dense(np.eye(2)))
    >>> round(point.nll, 4)  # a cell over the gap has variance 1 as well: squares alone
    3.1667
    """

    def __init__(self, E: Array, patterns: Patterns, spread: Spread) -> None:
        super().__init__(E, patterns)
        self._factors = GapObjective(E, patterns, spread)

    def __call__(self, cov: Unrestricted) -> ObservedPoint:
        """Evaluate at Sigma."""
        self.evaluations += 1
        made, R = factored(cov), cov.root
        F, d = made.loadings, made.uniquenesses
        point = self._factors(F, np.log(d))
        # Gamma' = R F^-T (d f / d F)' R', the derivative in F from that in D^-1/2 F.
        G = np.linalg.solve(F.T, (point.phi / np.sqrt(d)[:, None]).T)
        Gamma = R @ G @ R.T
        return ObservedPoint(cov, point.nll, 0.5 * (Gamma + Gamma.T), point.rounding)
