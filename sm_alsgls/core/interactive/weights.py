"""What cells are weighted by, as it was asked for, and the fit with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sm_alsgls.core.interactive.correlated import correlated_fit
from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.search import interactive_fit


@dataclass(frozen=True)
class Weights:
    """What is asked of weights, whatever panel they are of.

    Attributes
    ----------
    by_unit : bool
        1/d_i of the residuals; False is Bai's (2009) estimator.
    rho : float or None
        Correlation in time; None is that of the residuals, where ``by_unit``.
    """

    by_unit: bool = True
    rho: float | None = 0.0

    def fit(self, panel: Panel, effects: Effects, rank: int, **how: Any) -> InteractiveFit:
        """The least sum of squares, with options of `interactive_fit` that both fits have.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((1, 20, 15))
        >>> panel = Panel(X[0] + rng.standard_normal((20, 15)), X)
        >>> Weights(False, 0.5).fit(panel, Effects.of(20, 15), 1).rho
        0.5
        """
        if self.rho is None:
            return correlated_fit(panel, effects, rank, **how)
        return interactive_fit(panel, effects, rank, weighted=self.by_unit, rho=self.rho, **how)
