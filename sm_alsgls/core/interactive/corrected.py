"""The slopes less their bias, in the way that was asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sm_alsgls.core.interactive.bias import Bias, bias
from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.influence import Influence, influence
from sm_alsgls.core.interactive.jackknife import jackknife

Array = np.ndarray

KINDS = ("analytic", "jackknife")


@dataclass(frozen=True)
class Correction:
    """How bias is corrected.

    Attributes
    ----------
    kind : {"analytic", "jackknife"} or None
    serial, predetermined : int
        Lags, see `bias`.
    """

    kind: str | None = None
    serial: int = 0
    predetermined: int = 0


@dataclass(frozen=True)
class Corrected:
    """Slopes (p,), the parts of an analytic correction, and the influence they come from."""

    params: Array
    bias: Bias | None
    influence: Influence


def corrected(
    fit: InteractiveFit,
    how: Correction,
    *,
    rng: np.random.Generator | None = None,
) -> Corrected:
    """Correct the slopes of a fit.

    Parameters
    ----------
    fit : InteractiveFit
    how : Correction
    rng : numpy Generator, optional
        Of the jackknife's halves.
    """
    found = influence(fit)
    if how.kind == "analytic":
        parts = bias(fit, found, serial=how.serial, predetermined=how.predetermined)
        return Corrected(fit.beta + parts.total, parts, found)
    if how.kind == "jackknife":
        return Corrected(jackknife(fit, rng=rng), None, found)
    return Corrected(fit.beta, None, found)


def lags_of_response(Y: Array, X: Array, seen: Array, most: int = 4) -> tuple[int, ...]:
    """Which regressors are y of one to ``most`` periods before, in every cell that tells.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.random.default_rng(0).standard_normal((9, 5))
    >>> lags_of_response(y[1:], np.stack([y[1:] ** 2, y[:-1]]), np.ones((8, 5), dtype=bool))
    (1,)
    """
    found = []
    for j, x in enumerate(X):
        for lag in range(1, min(most, len(Y) - 1) + 1):
            both = seen[lag:] & seen[:-lag]
            if both.any() and np.array_equal(x[lag:][both], Y[:-lag][both]):
                found.append(j)
                break
    return tuple(found)
