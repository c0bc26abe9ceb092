"""``InteractiveEstimate``: what a fit of interactive effects found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd

from sm_alsgls.core.interactive.bias import Bias
from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.influence import Influence, influence
from sm_alsgls.core.interactive.weights import Weights
from sm_alsgls.data.panel_cells import PanelCells
from sm_alsgls.data.removed import in_place_of
from sm_alsgls.results.fitted import Fitted, kept
from sm_alsgls.results.model import CoefficientModel

Array = np.ndarray


class CellsModel(CoefficientModel, Protocol):
    """A model of the cells of a panel, as far as its results ask.

    Attributes
    ----------
    effects : str or None
    rank_method : str or None
        The rule that chose the rank.
    rank_selection : RankSelection or None
    """

    effects: str | None
    rank_method: str | None
    rank_selection: Any


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class InteractiveEstimate(Fitted):
    """p slopes beside factors, loadings and effects that are parameters.

    Attributes
    ----------
    cells : PanelCells
    fit : InteractiveFit
        The least (weighted) sum of squares.
    at : InteractiveFit
        Factors, loadings and effects given ``params``, bias corrected.
    weights : Weights
        As they were asked for.
    corrected : str or None
        "analytic" or "jackknife".
    bias : Bias or None
        Corrections of "analytic".
    serial, predetermined : int
        Lags in the correction, see `core.interactive.bias`.
    sizes : tuple of int
        Periods T and units n.
    rank : int
    freedom_left : int
        Cells less all that was estimated of means.
    converged : bool
    """

    model: CellsModel
    cells: PanelCells
    fit: InteractiveFit
    at: InteractiveFit
    weights: Weights
    corrected: str | None
    bias: Bias | None
    serial: int
    predetermined: int
    sizes: tuple[int, int]
    rank: int
    freedom_left: int
    converged: bool

    @property
    def df_resid(self) -> float:
        """Cells less slopes, loadings, factors and effects."""
        return float(self.freedom_left)

    @property
    def names(self) -> pd.Index:
        """Of the factors."""
        return pd.Index([f"factor{j + 1}" for j in range(self.rank)])

    def without_data(self) -> Self:
        """The same without the cells, and the fit in which they are."""
        gone = in_place_of("cells of the panel")
        return replace(super().without_data(), cells=gone, fit=gone, at=gone)


@kept
def influence_of(estimate: InteractiveEstimate) -> Influence:
    """What errors do to the slopes."""
    return influence(estimate.fit)
