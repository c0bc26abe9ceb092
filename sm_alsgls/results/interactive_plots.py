"""Pictures of interactive effects; the drawing is in `sm_alsgls.plotting`."""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_alsgls.plotting.lines import bands
from sm_alsgls.plotting.loadings import loadings_plot
from sm_alsgls.results.interactive_estimate import InteractiveEstimate
from sm_alsgls.results.interactive_parts import factors, loadings, need_factors


def plot_factors(estimate: InteractiveEstimate, ax: Any = None) -> Any:
    """Factors over the periods, one below the other.

    Parameters
    ----------
    ax : Axes, optional

    Raises
    ------
    NoFactorsError, MissingExtraError
    """
    need_factors(estimate, "plot_factors")
    F = factors(estimate)
    ax = bands(F.index, F.to_numpy(), list(F.columns), ax)
    ax.set_title("Factors")
    ax.set_ylabel("factor (root mean square 1)")
    return ax


def plot_loadings(estimate: InteractiveEstimate, ax: Any = None) -> Any:
    """Loadings of the units, over the deviation of what effects and slopes leave of each.

    Up to 40 units as a table of colours, more as strips of sorted dots.

    Parameters
    ----------
    ax : Axes, optional

    Raises
    ------
    NoFactorsError, MissingExtraError
    """
    need_factors(estimate, "plot_loadings")
    L = loadings(estimate)
    whole = np.sqrt(np.square(L.to_numpy()).sum(axis=1) + estimate.fit.d)
    return loadings_plot(
        L.to_numpy() / whole[:, None],
        list(L.index),
        list(L.columns),
        label="loading (correlation with the factor)",
        title="Loadings of units",
        what=str(L.index.name or "unit"),
        ax=ax,
    )
