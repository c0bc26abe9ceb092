"""Pictures of a mixed model; the drawing is in `sm_alsgls.plotting`.

Each takes ``ax=`` and returns matplotlib Axes, as those of `sm_alsgls.results.plots`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_alsgls.border.arguments import choice, flag, level
from sm_alsgls.core.sigma.rotation import METHODS, rotate
from sm_alsgls.exceptions import NoFactorsError, OptionError
from sm_alsgls.plotting.dots import sorted_dots
from sm_alsgls.plotting.heatmap import correlations as matrix
from sm_alsgls.plotting.loadings import loadings_plot
from sm_alsgls.plotting.ordering import by_factor
from sm_alsgls.results.mixed_effects import random_effects_frame
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.mixed_factors import (
    correlations,
    loadings,
    need_lambda,
    rotated_loadings,
    sd,
)


def plot_random_effects(
    estimate: MixedEstimate, effect: str | None = None, alpha: float = 0.05, ax: Any = None
) -> Any:
    """One random effect of all groups, sorted, with intervals: a caterpillar.

    Parameters
    ----------
    effect : str, optional
        Name of the effect; default the first.
    alpha : float
        Level 1 - alpha of the intervals, of prediction errors with b estimated.
    ax : Axes, optional

    Raises
    ------
    OptionError
        There is no such effect.
    """
    alpha, names = level(alpha), estimate.names_re
    effect = choice(names[0] if effect is None else effect, "effect", names)
    table = random_effects_frame(estimate, alpha).xs(effect, level="effect")
    interval = table[["conf_low", "conf_high"]].to_numpy()
    clear = (interval[:, 0] > 0.0) | (interval[:, 1] < 0.0)
    return sorted_dots(
        table["estimate"].to_numpy(),
        list(estimate.groups),
        intervals=interval,
        marked=clear,
        marked_label=f"{100.0 * (1.0 - alpha):g}% interval without zero",
        other_label="with zero",
        line=0.0,
        xlabel=f"effect of the group on {effect} (response per unit)",
        title=f"Random effects: {effect}",
        what="groups",
        ax=ax,
    )


def plot_loadings(
    estimate: MixedEstimate, rotation: str | None = None, standardized: bool = True, ax: Any = None
) -> Any:
    """Loadings of the random effects: a table in colour up to 40; beyond, sorted dots a factor.

    Parameters
    ----------
    rotation : str, optional
        As `rotated_loadings` takes it; None is the canonical form.
    standardized : bool
        In standard deviations of the effects, or in their units.
    ax : Axes, optional

    Raises
    ------
    OptionError, NoFactorsError
    """
    need_lambda(estimate, "plot")
    if not estimate.rank:
        raise NoFactorsError(
            "no factors to plot: the random effects are uncorrelated (rank='diagonal'); "
            "plot_random_effects() draws them"
        )
    standardized = flag(standardized, "standardized")
    if rotation is None:
        root = sd(estimate)
        scale = np.where(root > 0.0, root, 1.0) if standardized else 1.0
        L, title = loadings(estimate).div(scale, axis=0), "Loadings"
    else:
        rotation = choice(rotation, "rotation", METHODS)
        L = rotated_loadings(estimate, rotation, standardized)
        title = f"Loadings, {rotation}" + (" (oblique)" if L.attrs["oblique"] else "")
    unit = "s.d. of the effect" if standardized else "units of the effect"
    return loadings_plot(
        L.to_numpy(), L.index, list(L.columns), label=f"loading ({unit})", title=title,
        what="random effect", ax=ax,
    )  # fmt: skip


def plot_slope_correlations(
    estimate: MixedEstimate, order: str = "loadings", ax: Any = None
) -> Any:
    """Correlations of the random effects in colour.

    Parameters
    ----------
    order : {"loadings", "model"}
        Effects by the varimax factor with the largest loading; or as in the model, which
        is the order where there are no factors.
    ax : Axes, optional

    Raises
    ------
    OptionError
        There is one random effect.
    """
    order = choice(order, "order", ("loadings", "model"))
    names = estimate.names_re
    if len(names) < 2:
        raise OptionError("one random effect has no correlations; plot_random_effects() draws it")
    at = np.arange(len(names))
    if order == "loadings" and estimate.rank and not estimate.unrestricted:
        root = sd(estimate)
        scaled = estimate.loadings / np.where(root > 0.0, root, 1.0)[:, None]
        at, _ = by_factor(rotate(scaled, "varimax").loadings)
    C = correlations(estimate).to_numpy()[np.ix_(at, at)]
    return matrix(
        C, [names[i] for i in at], what="random effects",
        title="Correlations of the random effects", ax=ax,
    )  # fmt: skip
