"""Seeded systems with known truth, for benchmarks, power studies and examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sm_alsgls.border.arguments import came, count, flag, generator, number
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import OptionError

Array = np.ndarray

# Rows, equations, regressors, factors: beyond it no array exists.
_MOST = 10**8

__all__ = ["SimulatedSystem", "simulate_sur"]


@dataclass(frozen=True, eq=False)
class SimulatedSystem:
    """A system and the truth behind it; arrays are read-only.

    Attributes
    ----------
    endog : ndarray, shape (N, K)
        Responses.
    exog : list of ndarray
        K designs (N, p_j).
    beta : list of ndarray
        True coefficients (p_j,), equation by equation; `params` is their concatenation.
    sigma : LowRankDiag
        True covariance F F' + D of the errors.
    """

    endog: Array = field(repr=False)
    exog: list[Array] = field(repr=False)
    beta: list[Array] = field(repr=False)
    sigma: LowRankDiag

    @property
    def params(self) -> Array:
        """True coefficients (P,), in the order of the results' ``params``."""
        return np.concatenate(self.beta)

    @property
    def F(self) -> Array:
        """True loadings (K, r)."""
        return self.sigma.loadings

    @property
    def d(self) -> Array:
        """True uniquenesses (K,)."""
        return self.sigma.uniquenesses

    @property
    def rank(self) -> int:
        """True number of factors r."""
        return self.sigma.rank

    @property
    def errors(self) -> Array:
        """The errors e = y - X beta that were drawn, (N, K)."""
        fitted = [X @ b for X, b in zip(self.exog, self.beta, strict=True)]
        return self.endog - np.column_stack(fitted)


def simulate_sur(
    N: int,
    K: int,
    p: int | Sequence[int],
    rank: int,
    rng: np.random.Generator | int,
    *,
    signal: float = 1.0,
    strength: float = 1.0,
    uniqueness: tuple[float, float] = (0.5, 1.5),
    common: float = 0.0,
    exog_sd: float = 1.0,
    constant: bool = True,
) -> SimulatedSystem:
    """Draw a system of K seemingly unrelated regressions with known truth.

    y_j = X_j beta_j + e_j with rows (e_n1 .. e_nK) ~ N(0, F F' + D), where

        beta_ji ~ signal N(0, 1),    F_jk ~ strength N(0, 1),    d_j ~ U(uniqueness),
        x_nji = exog_sd ( common^1/2 c_ni + (1 - common)^1/2 w_nji ),    c, w ~ N(0, 1).

    Parameters
    ----------
    N, K : int
        Rows and equations.
    p : int or sequence of K ints
        Regressors of every equation, or of each, a constant included.
    rank : int
        Number of factors r; 0 makes Sigma diagonal.
    rng : numpy Generator or int
        Source of every number; a seed makes one. The same seed gives the same system.
    signal : float
        Standard deviation of coefficients; 0 makes responses pure error.
    strength : float
        Standard deviation of loadings.
    uniqueness : (float, float)
        Range of the d_j, 0 < low <= high.
    common : float
        Share, from 0 to 1, of a regressor's variance that the i-th regressors of all equations
        have in common. At 1 they are equal, and GLS is OLS where all p_j are.
    exog_sd : float
        Standard deviation of regressors.
    constant : bool
        Whether the first regressor of every equation is 1.

    Returns
    -------
    SimulatedSystem

    Raises
    ------
    OptionError

    Notes
    -----
    Made equation by equation, so that the peak of memory is the system itself.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls import LowRankSUR, simulate_sur
    >>> truth = simulate_sur(200, 5, p=[2, 3, 3, 2, 4], rank=1, rng=1)
    >>> truth.sigma, len(truth.params)
    (LowRankDiag(K=5, rank=1), 14)
    >>> res = LowRankSUR(truth.endog, truth.exog, rank=1).fit()
    >>> bool(np.abs(res.params - truth.params).max() < 5 * res.bse.max())
    True
    """
    sizes = _check(N, K, p, rank, uniqueness, common)
    drawn = generator(rng)
    if drawn is None:
        raise OptionError("rng must be a numpy Generator or a seed (a whole number >= 0), got None")
    rng = drawn
    constant = flag(constant, "constant")
    signal, strength, exog_sd = (
        number(value, name, least=0.0, most=1e100, what="a number from 0 to 1e100")
        for name, value in (("signal", signal), ("strength", strength), ("exog_sd", exog_sd))
    )
    F = strength * rng.standard_normal((K, rank))
    d = rng.uniform(*uniqueness, K)
    z = rng.standard_normal((N, rank))
    shared = rng.standard_normal((N, max(sizes))) if common > 0.0 else None
    exog, beta, endog = [], [], np.empty((N, K))
    for j, size in enumerate(sizes):
        X = rng.standard_normal((N, size))
        if shared is not None:
            X = np.sqrt(common) * shared[:, :size] + np.sqrt(1.0 - common) * X
        if exog_sd != 1.0:
            X *= exog_sd
        if constant:
            X[:, 0] = 1.0
        b = signal * rng.standard_normal(size)
        endog[:, j] = X @ b + z @ F[j] + np.sqrt(d[j]) * rng.standard_normal(N)
        exog.append(X)
        beta.append(b)
    for array in (endog, *exog, *beta):
        array.setflags(write=False)
    return SimulatedSystem(endog, exog, beta, LowRankDiag.from_factors(F, d))


def _check(
    N: int,
    K: int,
    p: int | Sequence[int],
    rank: int,
    uniqueness: tuple[float, float],
    common: float,
) -> list[int]:
    """The number of regressors of every equation; errors name the argument."""
    for name, value, least in (("N", N, 1), ("K", K, 1), ("rank", rank, 0)):
        count(value, name, least, _MOST)
    single = isinstance(p, int | np.integer | np.ndarray) and np.ndim(p) == 0
    sizes = [count(p, "p", 1, _MOST)] * K if single else p
    if not isinstance(sizes, list | tuple | np.ndarray) or _length(sizes) != K:
        raise OptionError(f"p must be a whole number >= 1, or one for each of K={K}; got {came(p)}")
    sizes = [count(size, f"p[{j}]", 1, _MOST) for j, size in enumerate(sizes)]
    if not isinstance(uniqueness, list | tuple | np.ndarray) or _length(uniqueness) != 2:
        raise OptionError(f"uniqueness must be two numbers (low, high), got {came(uniqueness)}")
    low, high = (
        number(value, f"uniqueness[{i}]", above=0.0, most=1e200, what="a number > 0, at most 1e200")
        for i, value in enumerate(uniqueness)
    )
    if low > high:
        raise OptionError(f"uniqueness must be (low, high) with 0 < low <= high, got {uniqueness}")
    number(common, "common", least=0.0, most=1.0, what="a number between 0 and 1")
    return sizes


def _length(value: Any) -> int:
    return 0 if isinstance(value, np.ndarray) and value.ndim == 0 else len(value)
