"""The likelihood of `sm_alsgls.core.sigma.unrestricted` where missing cells are filled.

With u the rows that would be there and S = sum u u' / N expected given what is observed (filled
rows, and what their missing cells vary: `sm_alsgls.covariance.filled_rows`), Fisher's identity has
the gradient in the root R of Sigma = R'R as that of whole rows,

    Gamma = I - R^-T S R^-1 .
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sm_alsgls.core.sigma.unrestricted import ObservedLikelihood, ObservedPoint
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.filled_rows import FilledRows
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.unrestricted import Unrestricted

Array = np.ndarray


class Expecting(Protocol):
    """A likelihood of whole rows, of which some cells are missing."""

    def seen(self, left: Covariance) -> FilledRows:
        """The rows' covariance, with the Sigma ``left``, as the observed cells see it."""
        ...

    def left(self, seen: FilledRows) -> list[Array]:
        """What is left of filled rows, the first (N, K), and of extra ones."""
        ...


class FilledLikelihood(ObservedLikelihood):
    """f and Gamma of filled rows.

    Parameters
    ----------
    E : ndarray, shape (N, K)
        Residuals.
    patterns : Patterns
        Which cells there are.
    expecting : Expecting
        Of these residuals.
    jacobian : float
        Per row, which the covariance's log-determinant has and f has not.
    """

    def __init__(self, E: Array, patterns: Patterns, expecting: Expecting, jacobian: float) -> None:
        super().__init__(E, patterns)
        self._expecting, self._jacobian = expecting, jacobian

    def __call__(self, cov: Unrestricted) -> ObservedPoint:
        """Evaluate at Sigma."""
        self.evaluations += 1
        N, K = self.patterns.N, self.patterns.K
        seen = self._expecting.seen(cov)
        S, R, quad = np.zeros((K, K)), cov.root, 0.0
        for i, U in enumerate(self._expecting.left(seen)):
            white = cov.solve(U) @ R.T
            S += white.T @ white
            quad = float(np.vdot(white, white)) if i == 0 else quad
        logdet = seen.logdet()
        rounding = 1e-15 * (self.patterns.n_cells + abs(logdet) + quad) / N
        nll = 0.5 * (logdet + quad) / N + self._jacobian
        return ObservedPoint(cov, nll, np.eye(K) - S / N, rounding)
