"""``CovarianceValue``: what follows for a covariance that is a frozen value from its algebra."""

from __future__ import annotations

from typing import Any, NoReturn, Self

import numpy as np
import numpy.typing as npt

from sm_alsgls.covariance.arrays import Array
from sm_alsgls.exceptions import SystemInputError
from sm_alsgls.markup import shown_of, table

_LOG_2PI = float(np.log(2.0 * np.pi))


class CovarianceValue:
    """A covariance matrix of K equations that is never changed; its algebra comes from subclasses.

    Notes
    -----
    A subclass has ``K``, ``diag``, ``logdet``, ``quad`` and ``scaled``; see
    `sm_alsgls.covariance.base.Covariance` for what each must keep. It sets its attributes, when
    it is made and when it remembers something, by ``object.__setattr__``.
    """

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(
            f"{type(self).__name__} is frozen: cannot set {name!r}; make a new one"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot delete {name!r}")

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} does not become a K x K array silently; call to_dense()"
        )

    def _repr_html_(self) -> str:
        variances = self.diag()
        rows = [[f"{j}", f"{variances[j]:.4g}"] for j in shown_of(self.K)]
        return table(repr(self), ["equation", "variance"], rows)

    @property
    def K(self) -> int:
        """Number of equations."""
        raise NotImplementedError

    @property
    def n_equations(self) -> int:
        """Number of equations."""
        return self.K

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (K, K) of Sigma."""
        return self.K, self.K

    def diag(self) -> Array:
        """Diagonal of Sigma, (K,)."""
        raise NotImplementedError

    def logdet(self) -> float:
        """log|Sigma|."""
        raise NotImplementedError

    def quad(self, E: npt.ArrayLike) -> float:
        """tr(E Sigma^-1 E')."""
        raise NotImplementedError

    def scaled(self, c: npt.ArrayLike) -> Self:
        """diag(c) Sigma diag(c)."""
        raise NotImplementedError

    def nll(self, E: npt.ArrayLike, n: float | None = None) -> float:
        """Gaussian negative log-likelihood per observation.

            ( K log 2 pi + log|Sigma| + tr(E Sigma^-1 E') / n ) / 2

        E (m, K) or (K,) holds the n = m residuals or, with another n > 0 given (or
        SystemInputError), any m rows with the same cross-products E'E.

        >>> from scipy.stats import multivariate_normal
        >>> from sm_alsgls.covariance import LowRankDiag
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> E = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> dense = multivariate_normal(cov=cov.to_dense()).logpdf(E)
        >>> bool(np.isclose(cov.nll(E), -dense.mean()))
        True
        """
        quad = self.quad(E)
        if n is None:
            n = np.shape(E)[0] if np.ndim(E) == 2 else 1
        real = isinstance(n, int | float | np.number) and not isinstance(n, bool)
        if not (real and 0 < n < np.inf):
            raise SystemInputError(f"n, the number of observations, must be positive, got {n!r}")
        return 0.5 * (self.K * _LOG_2PI + self.logdet() + quad / n)

    def corr(self) -> Self:
        """Correlation matrix of Sigma, of the same kind."""
        return self.scaled(1.0 / np.sqrt(self.diag()))
