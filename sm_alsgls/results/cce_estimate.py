"""``CCEEstimate``: what common correlated effects found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from sm_alsgls.border.arguments import choice as one_of
from sm_alsgls.core.interactive.cce import CCEFit
from sm_alsgls.data.panel_cells import PanelCells
from sm_alsgls.data.removed import in_place_of
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.dense_covariance import DenseCovariance
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.model import CoefficientModel


class CCEModel(CoefficientModel, Protocol):
    """A model of common correlated effects, as far as its results ask.

    Attributes
    ----------
    heterogeneous : bool
        Whether the slopes are the mean of units' own.
    """

    heterogeneous: bool


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class CCEEstimate(Fitted):
    """p slopes beside averages over units.

    Attributes
    ----------
    cells : PanelCells
    fit : CCEFit
    corrected : str or None
        "jackknife".
    sizes : tuple of int
        Periods T and units n.
    """

    model: CCEModel
    cells: PanelCells
    fit: CCEFit
    corrected: str | None
    sizes: tuple[int, int]

    def without_data(self) -> Self:
        """The same without the cells, and the fit in which they are."""
        gone = in_place_of("cells of the panel")
        return replace(super().without_data(), cells=gone, fit=gone)


def choose_cce(cov_type: Any, df: float) -> CovarianceChoice:
    """Check a covariance type.

    Raises
    ------
    OptionError
    """
    cov_type = one_of(
        cov_type,
        "cov_type",
        ("nonparametric",),
        after="; it is robust to any variances and any correlation within units, which HC, HAC and "
        "clusters of units are for",
    )
    return CovarianceChoice(
        cov_type,
        {},
        "Standard errors are of how slopes differ between units (Pesaran 2006); they are robust to "
        "any variances, and correlation within units.",
        df,
    )


def build_cce(estimate: CCEEstimate, choice: CovarianceChoice) -> DenseCovariance:
    """The covariance of the slopes."""
    found = estimate.fit
    return DenseCovariance(
        found.cov_mean_group if estimate.model.heterogeneous else found.cov_pooled
    )
