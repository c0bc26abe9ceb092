"""Pictures of a fitted system; the drawing is in `sm_alsgls.plotting`.

Each takes ``ax=`` and returns matplotlib Axes. Without ``ax`` a figure is made with pyplot, as
statsmodels does. matplotlib comes with the extra ``plot``; without it every one raises
MissingExtraError, an ImportError.

Examples
--------
>>> import matplotlib
>>> matplotlib.use("Agg")
>>> from matplotlib.figure import Figure
>>> from sm_alsgls import LowRankSUR
>>> from sm_alsgls.datasets import load_grunfeld
>>> res = LowRankSUR.from_formula(
...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
... ).fit()
>>> top, bottom = Figure().subplots(2)
>>> _ = res.plot_coefficients("value", ax=top)
>>> res.plot_fit("IBM", ax=bottom).get_xlabel()
'year'
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_alsgls.border.arguments import came, choice, flag, level
from sm_alsgls.border.names import close
from sm_alsgls.core.rank.criteria import leading_eigenvalues
from sm_alsgls.core.sigma.rotation import METHODS, rotate
from sm_alsgls.exceptions import OptionError
from sm_alsgls.plotting.dots import sorted_dots
from sm_alsgls.plotting.heatmap import residual_correlation
from sm_alsgls.plotting.lines import bands, falling, fit, scree
from sm_alsgls.plotting.loadings import loadings_plot
from sm_alsgls.plotting.ordering import by_factor
from sm_alsgls.results.coefficients import conf_int
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import (
    communalities,
    factor_names,
    factor_scores,
    heywood,
    loadings,
    need_factors,
    rotated_loadings,
)
from sm_alsgls.results.in_sample import innovations, residuals
from sm_alsgls.results.predict import get_prediction_equation
from sm_alsgls.results.selection import equation as named

_MOST_EIGENVALUES = 30


def plot_trace(estimate: Estimate, quantity: str = "nll", ax: Any = None) -> Any:
    """How the winning start converged, on a log scale.

    Parameters
    ----------
    quantity : {"nll", "stationarity"}
        NLL per row above the lowest of the trace; or both measures of stationarity beside
        gtol.
    ax : Axes, optional
    """
    quantity = choice(quantity, "quantity", ("nll", "stationarity"))
    trace = estimate.likelihood.trace()
    x, rejected = trace.index.to_numpy(), trace["accept_t"].to_numpy() == 0.0
    rejected = rejected & (x > x[0])
    if quantity == "nll":
        least = np.nanmin(trace["nll"].to_numpy())
        series = {
            "after the Sigma-step": trace["nll"].to_numpy() - least,
            "after the beta-step": trace["nll_beta"].to_numpy() - least,
        }
        bound, ylabel = None, "NLL per row above the lowest"
    else:
        series = {
            "max |d NLL / d log d_j|": trace["gradient_d"].to_numpy(),
            "GLS score in standard errors": trace["score_beta"].to_numpy(),
        }
        bound, ylabel = estimate.likelihood.options.gtol, "distance from stationary"
    title = "Convergence" if estimate.likelihood.converged else "Convergence: NOT CONVERGED"
    return falling(
        x,
        series,
        rejected=rejected,
        bound=bound,
        bound_label="gtol",
        ylabel=ylabel,
        title=title,
        ax=ax,
    )


def plot_scree(estimate: Estimate, ax: Any = None) -> Any:
    """Eigenvalues of the residuals' correlations (about zero), at most 30.

    The dashed line is (1 + (K/N)^1/2)^2, the limit of the largest one if errors were
    independent (Marchenko and Pastur 1967). Missing cells count as zeros.
    """
    E = _seen(estimate)
    E = np.where(np.isfinite(E), E, 0.0)
    values = leading_eigenvalues(E, float(len(E)), min(_MOST_EIGENVALUES, *E.shape))
    edge = (1.0 + np.sqrt(E.shape[1] / E.shape[0])) ** 2
    return scree(values, estimate.rank, edge, ax)


def plot_loadings(
    estimate: Estimate, rotation: str | None = None, standardized: bool = True, ax: Any = None
) -> Any:
    """Loadings: a table in colour up to 40 equations; beyond, sorted dots for each factor.

    Parameters
    ----------
    rotation : str, optional
        As `rotated_loadings` takes it; None is the canonical form.
    standardized : bool
        In standard deviations of the equations' errors, or in units of the responses.
    ax : Axes, optional

    Raises
    ------
    OptionError, NoFactorsError
    """
    need_factors(estimate, "plot")
    standardized = flag(standardized, "standardized")
    if rotation is None:
        root = np.sqrt(estimate.sigma.diag()) if standardized else 1.0
        L, title = loadings(estimate).div(root, axis=0), "Loadings"
    else:
        rotation = choice(rotation, "rotation", METHODS)
        L = rotated_loadings(estimate, rotation, standardized)
        title = f"Loadings, {rotation}" + (" (oblique)" if L.attrs["oblique"] else "")
        if L.attrs["oblique"] and estimate.rank > 1:
            apart = np.abs(np.array(L.attrs["correlation"]) - np.eye(estimate.rank)).max()
            title += f"\nlargest |correlation| of factors {apart:.2f}"
    unit = "error s.d." if standardized else "units of the response"
    return loadings_plot(
        L.to_numpy(), L.index, list(L.columns), label=f"loading ({unit})", title=title, ax=ax
    )


def _seen(estimate: Estimate) -> np.ndarray:
    """Residuals (N, K) of covariance Sigma, NaN in missing cells."""
    E = residuals(estimate)
    return E if estimate.laws is None else np.where(np.isnan(E), np.nan, innovations(estimate))


def plot_residual_correlation(estimate: Estimate, order: str = "loadings", ax: Any = None) -> Any:
    """Correlations of residuals (below the diagonal), and what factors leave of them (above).

    More than 100 equations are averaged in groups of neighbours; no K x K array is made.

    Parameters
    ----------
    order : {"loadings", "system"}
        Equations by the varimax factor with the largest loading, lines between factors; or as
        in the model.
    ax : Axes, optional
    """
    order = choice(order, "order", ("loadings", "system"))
    low = estimate.sigma.low_rank
    F = np.empty((estimate.neqs, 0)) if low is None else low.loadings
    L = F / np.sqrt(estimate.sigma.diag())[:, None]
    at, owner = np.arange(estimate.neqs), None
    if order == "loadings" and estimate.rank:
        at, owner = by_factor(rotate(L, "varimax").loadings)
    names = [estimate.equations[j] for j in at]
    owners = [f"varimax{i}" for i in range(1, estimate.rank + 1)]
    return residual_correlation(_seen(estimate)[:, at], L[at], names, owner, owners, ax)


def plot_coefficients(
    estimate: Estimate, variable: str, alpha: float = 0.05, ax: Any = None
) -> Any:
    """One variable's coefficients in all equations that have it, sorted, with intervals.

    Parameters
    ----------
    variable : str
        A name of a column of designs.
    alpha : float
        Level 1 - alpha of the intervals.
    ax : Axes, optional

    Raises
    ------
    OptionError
        No equation has the variable.
    """
    alpha = level(alpha)
    if not isinstance(variable, str):
        raise OptionError(f"variable must be the name of a regressor, got {came(variable)}")
    labels = estimate.labels
    at = labels.by_variable.get(variable)
    if at is None:
        known = list(labels.by_variable)
        some = ", ".join(map(repr, known[:8])) + (", ..." if len(known) > 8 else "")
        raise OptionError(
            f"variable: no equation has {variable!r}{close(variable, known)}; variables are {some}"
        )
    interval = conf_int(estimate, alpha, at)
    clear = (interval[:, 0] > 0.0) | (interval[:, 1] < 0.0)
    return sorted_dots(
        estimate.params[at],
        np.array(labels.owners, dtype=object)[at],
        intervals=interval,
        marked=clear,
        marked_label=f"{100.0 * (1.0 - alpha):g}% interval without zero",
        other_label="with zero",
        line=0.0,
        xlabel=f"coefficient of {variable} (response per unit)",
        title=f"Coefficients of {variable}",
        ax=ax,
    )


def plot_factor_scores(estimate: Estimate, ax: Any = None) -> Any:
    """Factor scores by row, a band for each factor.

    Raises
    ------
    NoFactorsError
    """
    need_factors(estimate, "plot")
    return bands(
        estimate.sample.index, factor_scores(estimate).to_numpy(), factor_names(estimate), ax
    )


def plot_communalities(estimate: Estimate, ax: Any = None) -> Any:
    """Share of each equation's error variance that the factors explain, sorted.

    Equations with a uniqueness on its bound (Heywood) are marked.

    Raises
    ------
    NoFactorsError
    """
    need_factors(estimate, "plot")
    on_bound = np.isin(np.array(estimate.equations, dtype=object), heywood(estimate))
    return sorted_dots(
        communalities(estimate).to_numpy(),
        estimate.equations,
        marked=on_bound,
        marked_label="uniqueness on its bound" if on_bound.any() else "",
        other_label="others",
        limits=(-0.02, 1.02),
        xlabel="communality (share of the error variance)",
        title="Communalities",
        ax=ax,
    )


def plot_fit(estimate: Estimate, equation: str, alpha: float = 0.05, ax: Any = None) -> Any:
    """Observed and fitted values of an equation by row, with the interval of the mean.

    Parameters
    ----------
    equation : str
    alpha : float
        Level 1 - alpha of the interval x_n'beta +- q (x_n' V x_n)^1/2.
    ax : Axes, optional

    Raises
    ------
    OptionError
        No equation has this name.
    """
    alpha = level(alpha)
    position = estimate.labels.position
    name = named(equation, position)
    j = position[name]
    mean = get_prediction_equation(estimate, j, None, True)
    interval = mean.summary_frame(alpha)
    return fit(
        estimate.sample.index,
        estimate.model.endog[:, j],
        np.asarray(mean.predicted_mean),
        interval[["mean_ci_lower", "mean_ci_upper"]].to_numpy(),
        1.0 - alpha,
        str(name),
        ax,
    )
