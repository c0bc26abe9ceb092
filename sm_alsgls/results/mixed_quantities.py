"""Standard deviations, correlations and residual laws of a mixed model, by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sm_alsgls.core.mixed.profile_intervals import Quantity
from sm_alsgls.results.mixed_estimate import MixedEstimate

Array = np.ndarray

# Random effects up to which all their correlations are listed.
_FEW = 8
_OF_A_LEVEL = "log variance "


@dataclass(frozen=True)
class Named:
    """A quantity with its name.

    Attributes
    ----------
    name : str
        "sd Days", "corr const, Days", "sigma", "sd Male / Female", "rho".
    quantity : Quantity
    shown : callable
        Of what `core.mixed.profile_intervals` gives: theta of a level as a ratio of sd.
    """

    name: str
    quantity: Quantity
    shown: Callable[[float], float]

    def of(self, G: Array, s2: float, theta: Array) -> float:
        """The value of some variances."""
        kind, j, k = self.quantity
        if kind == "sd":
            return float(np.sqrt(G[j, j]))
        if kind == "correlation":
            size = np.sqrt(G[j, j] * G[k, k])
            return float(G[j, k] / size) if size > 0.0 else np.nan
        return float(np.sqrt(s2)) if kind == "sigma" else self.shown(float(theta[j]))


def _as_it_is(value: float) -> float:
    return value


def _ratio(value: float) -> float:
    return float(np.exp(0.5 * value))


def quantities(estimate: MixedEstimate, every: bool = False) -> list[Named]:
    """What there is; correlations where they are few, or ``every``."""
    names, fit = estimate.names_re, estimate.fit
    q = len(names)
    out = [Named(f"sd {name}", Quantity("sd", j), _as_it_is) for j, name in enumerate(names)]
    if fit.structure.rank and (every or q <= _FEW):
        out += [
            Named(f"corr {names[j]}, {names[k]}", Quantity("correlation", j, k), _as_it_is)
            for j in range(q)
            for k in range(j + 1, q)
        ]
    out.append(Named("sigma", Quantity("sigma"), _as_it_is))
    for j, name in enumerate(fit.law.names):
        of_level = name.startswith(_OF_A_LEVEL)
        said = "sd " + name.removeprefix(_OF_A_LEVEL) if of_level else name
        out.append(Named(said, Quantity("theta", j), _ratio if of_level else _as_it_is))
    return out
