"""log|I - lam W| and its slope -tr(W (I - lam W)^-1) in lam, three ways.

    eigenvalues     sum_i log|1 - lam w_i|,  -sum_i Re(w_i / (1 - lam w_i))  (Ord 1975, JASA 70)
    sparse LU       sum_i log|u_ii| of the factors of I - (lam + i h) W: with a step h of 1e-30 into
                    the complex plane the real part is the value, the imaginary part h times the
                    slope, neither of them a difference
    Chebyshev       with lam = 2 g / (1 + g^2),
                    log(1 - lam x) = -log(1 + g^2) - 2 sum_j (g^j / j) T_j(x),     |x| <= 1,
                    so that traces of T_j(W), known once, give the value at every lam (Pace and
                    LeSage 2004, Computational Statistics & Data Analysis 45)

The first costs K^3 once, and K a value; the second the fill of the factors at each value; the
third q products with W and some vectors once. Traces of order 1 and 2 are exact there, those
beyond are means over random signs (Hutchinson 1990), and what is left out after order q is at most
2 K g^(q+1) / ((q + 1) (1 - g)).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from sm_alsgls.exceptions import OptionError

Array = np.ndarray
#: A sparse array of SciPy, whose stubs know too many kinds of them.
Sparse = Any

# Into the complex plane: no difference is taken, so that nothing cancels.
_STEP = 1e-30


class LogDeterminant(NamedTuple):
    """log|det(I - lam W)| and its derivative in lam."""

    value: float
    slope: float


class LogDeterminants(Protocol):
    """log|I - lam W| as a function of lam."""

    def at(self, lam: float) -> LogDeterminant:
        """The value and the slope, at an admissible lam."""
        ...


class Eigenvalues:
    """By the eigenvalues of W (K,), real or complex.

    Examples
    --------
    >>> W = np.array([[0.0, 1.0], [0.5, 0.0]])
    >>> found = Eigenvalues(np.linalg.eigvals(W)).at(0.4)
    >>> bool(np.isclose(found.value, np.log(np.linalg.det(np.eye(2) - 0.4 * W))))
    True
    """

    def __init__(self, values: Array) -> None:
        self.values = values

    def at(self, lam: float) -> LogDeterminant:
        """Cost O(K)."""
        left = 1.0 - lam * self.values
        slope = -float(np.sum((self.values / left).real))
        return LogDeterminant(float(np.sum(np.log(np.abs(left)))), slope)


class SparseLU:
    """By triangular factors of I - lam W at each lam; W (K, K) sparse."""

    def __init__(self, W: Sparse) -> None:
        self._W: Sparse = scipy.sparse.csc_array(W)
        self._eye: Sparse = scipy.sparse.eye_array(W.shape[0], format="csc")

    def at(self, lam: float) -> LogDeterminant:
        """Cost: that of one sparse factorisation.

        Raises
        ------
        OptionError
            I - lam W is singular.
        """
        lu: Sparse = scipy.sparse.linalg.splu(self._eye - complex(lam, _STEP) * self._W)
        u = lu.U.diagonal()
        if (u.real == 0.0).any():
            raise OptionError(f"I - {lam:g} W is singular")
        return LogDeterminant(
            float(np.log(np.abs(u)).sum()), float(np.sum(u.imag / u.real)) / _STEP
        )


class Chebyshev:
    """By traces of Chebyshev polynomials of a symmetric S with the eigenvalues of W.

    Parameters
    ----------
    S : sparse array, shape (K, K)
        Symmetric.
    radius : float
        No eigenvalue is larger in size.
    order : int
        q, the last polynomial, 2 or more.
    probes : int
        Vectors of random signs for the traces beyond order 2.
    rng : numpy Generator
    """

    def __init__(
        self, S: Sparse, radius: float, order: int, probes: int, rng: np.random.Generator
    ) -> None:
        K = S.shape[0]
        self._radius = radius
        S = scipy.sparse.csr_array(S) / radius
        trace = np.zeros(order + 1)
        trace[:3] = K, S.diagonal().sum(), 2.0 * S.multiply(S).sum() - K
        Z = rng.choice([-1.0, 1.0], size=(K, probes))
        before, now = Z, np.asarray(S @ Z)
        # T_2j = 2 T_j^2 - 1 and T_2j+1 = 2 T_j T_j+1 - T_1: half the products with S.
        for j in range(1, (order + 2) // 2 + 1):
            if 3 <= 2 * j <= order:
                trace[2 * j] = 2.0 * np.einsum("kp,kp->", now, now) / probes - K
            after = 2.0 * np.asarray(S @ now) - before
            if 3 <= 2 * j + 1 <= order:
                trace[2 * j + 1] = 2.0 * np.einsum("kp,kp->", now, after) / probes - trace[1]
            before, now = now, after
        self.traces = trace
        self._degrees = np.arange(1.0, order + 1.0)

    def at(self, lam: float) -> LogDeterminant:
        """Cost O(q)."""
        x = lam * self._radius
        root = math.sqrt(1.0 - x * x)
        # x / (1 + root) is (1 - root) / x, without the difference.
        g = x / (1.0 + root)
        slope_g = self._radius / (root * (1.0 + root))
        j, traces, K = self._degrees, self.traces[1:], self.traces[0]
        value = -K * math.log1p(g * g) - 2.0 * float(np.sum(g**j / j * traces))
        slope = -2.0 * K * g / (1.0 + g * g) - 2.0 * float(np.sum(g ** (j - 1.0) * traces))
        return LogDeterminant(float(value), float(slope * slope_g))
