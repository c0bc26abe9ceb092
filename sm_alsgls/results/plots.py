"""Pictures of a fitted system; the drawing is in `sm_alsgls.plotting`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import came, choice, flag, level
from sm_alsgls.border.names import close
from sm_alsgls.core.rank.criteria import leading_eigenvalues
from sm_alsgls.core.sigma.rotation import METHODS, ORTHOGONAL, rotate
from sm_alsgls.exceptions import NoFactorsError, OptionError
from sm_alsgls.plotting.dots import sorted_dots
from sm_alsgls.plotting.heatmap import residual_correlation
from sm_alsgls.plotting.lines import bands, falling, fit, scree
from sm_alsgls.plotting.loadings import loadings_plot
from sm_alsgls.plotting.ordering import by_factor
from sm_alsgls.results.selection import equation as named

_MOST_EIGENVALUES = 30


class Plots:
    """Mixin of `LowRankSURResults`: every method takes ``ax=`` and returns matplotlib Axes.

    Without ``ax`` a figure is made with pyplot, as statsmodels does. matplotlib comes with the
    extra ``plot``; without it every method raises MissingExtraError, an ImportError.

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

    def rotated_loadings(self, method: str = "varimax", standardized: bool = True) -> pd.DataFrame:
        """Loadings after a rotation.

        Parameters
        ----------
        method : {"varimax", "quartimax", "biquartimax", "parsimax", "parsimony", "promax", \
"quartimin", "biquartimin"}
            The last three are oblique: their factors are correlated, ``attrs["correlation"]``.
        standardized : bool
            In standard deviations of the equations' errors, f_j / sigma_jj^1/2, which is what is
            rotated whatever the units of the responses; else in their units.

        Returns
        -------
        DataFrame (K, r)
            Columns ``varimax1``, ...; ``attrs``: method, oblique (bool), and correlation of the
            factors (r lists of r numbers).

        Raises
        ------
        OptionError, NoFactorsError

        Examples
        --------
        >>> from sm_alsgls import LowRankSUR, simulate_sur
        >>> s = simulate_sur(200, 8, 2, 2, rng=0)
        >>> res = LowRankSUR(s.endog, s.exog, rank=2).fit()
        >>> res.rotated_loadings("promax").columns.tolist()
        ['promax1', 'promax2']
        """
        method = choice(method, "method", METHODS)
        standardized = flag(standardized, "standardized")
        _needs_factors(self, "rotate")
        root = np.sqrt(self.sigma.diag())[:, None]
        L, correlation = rotate(self.sigma.loadings / root, method)
        names = [f"{method}{i}" for i in range(1, self.rank + 1)]
        out = pd.DataFrame(
            L if standardized else L * root, index=self.loadings.index, columns=names
        )
        # Lists, not DataFrames: pandas compares attrs when it combines tables.
        out.attrs = {
            "method": method,
            "oblique": method not in ORTHOGONAL,
            "correlation": correlation.tolist(),
        }
        return out

    def plot_trace(self, quantity: str = "nll", ax: Any = None) -> Any:
        """How the winning start converged, on a log scale.

        Parameters
        ----------
        quantity : {"nll", "stationarity"}
            NLL per row above the lowest of the trace; or both measures of stationarity beside
            gtol.
        ax : Axes, optional
        """
        quantity = choice(quantity, "quantity", ("nll", "stationarity"))
        trace = self.trace
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
            bound, ylabel = self._problem.options.gtol, "distance from stationary"
        title = "Convergence" if self.converged else "Convergence: NOT CONVERGED"
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

    def plot_scree(self, ax: Any = None) -> Any:
        """Eigenvalues of the residuals' correlations (about zero), at most 30.

        The dashed line is (1 + (K/N)^1/2)^2, the limit of the largest one if errors were
        independent (Marchenko and Pastur 1967). Missing cells count as zeros.
        """
        E = self._residuals
        E = np.where(np.isfinite(E), E, 0.0)
        values = leading_eigenvalues(E, float(len(E)), min(_MOST_EIGENVALUES, *E.shape))
        edge = (1.0 + np.sqrt(E.shape[1] / E.shape[0])) ** 2
        return scree(values, self.rank, edge, ax)

    def plot_loadings(
        self, rotation: str | None = None, standardized: bool = True, ax: Any = None
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
        _needs_factors(self, "plot")
        standardized = flag(standardized, "standardized")
        if rotation is None:
            root = np.sqrt(self.sigma.diag()) if standardized else 1.0
            L, title = self.loadings.div(root, axis=0), "Loadings"
        else:
            rotation = choice(rotation, "rotation", METHODS)
            L = self.rotated_loadings(rotation, standardized)
            title = f"Loadings, {rotation}" + (" (oblique)" if L.attrs["oblique"] else "")
            if L.attrs["oblique"] and self.rank > 1:
                apart = np.abs(np.array(L.attrs["correlation"]) - np.eye(self.rank)).max()
                title += f"\nlargest |correlation| of factors {apart:.2f}"
        unit = "error s.d." if standardized else "units of the response"
        return loadings_plot(
            L.to_numpy(), L.index, list(L.columns), label=f"loading ({unit})", title=title, ax=ax
        )

    def plot_residual_correlation(self, order: str = "loadings", ax: Any = None) -> Any:
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
        L = self.sigma.loadings / np.sqrt(self.sigma.diag())[:, None]
        at, owner = np.arange(self.neqs), None
        if order == "loadings" and self.rank:
            at, owner = by_factor(rotate(L, "varimax").loadings)
        names = [self.model.equations[j] for j in at]
        owners = [f"varimax{i}" for i in range(1, self.rank + 1)]
        return residual_correlation(self._residuals[:, at], L[at], names, owner, owners, ax)

    def plot_coefficients(self, variable: str, alpha: float = 0.05, ax: Any = None) -> Any:
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
        columns = [str(name) for names in self.model._system.columns for name in names]
        at = np.flatnonzero(np.array(columns, dtype=object) == variable)
        if not at.size:
            known = list(dict.fromkeys(columns))
            some = ", ".join(map(repr, known[:8])) + (", ..." if len(known) > 8 else "")
            raise OptionError(
                f"variable: no equation has {variable!r}{close(variable, known)}; "
                f"variables are {some}"
            )
        equation = np.repeat(np.array(self.model.equations, dtype=object), self._p)
        interval = np.asarray(self.conf_int(alpha, at))
        clear = (interval[:, 0] > 0.0) | (interval[:, 1] < 0.0)
        return sorted_dots(
            np.asarray(self.params)[at],
            equation[at],
            intervals=interval,
            marked=clear,
            marked_label=f"{100.0 * (1.0 - alpha):g}% interval without zero",
            other_label="with zero",
            line=0.0,
            xlabel=f"coefficient of {variable} (response per unit)",
            title=f"Coefficients of {variable}",
            ax=ax,
        )

    def plot_factor_scores(self, ax: Any = None) -> Any:
        """Factor scores by row, a band for each factor.

        Raises
        ------
        NoFactorsError
        """
        _needs_factors(self, "plot")
        return bands(self._rows, self.factor_scores.to_numpy(), self._factor_names, ax)

    def plot_communalities(self, ax: Any = None) -> Any:
        """Share of each equation's error variance that the factors explain, sorted.

        Equations with a uniqueness on its bound (Heywood) are marked.

        Raises
        ------
        NoFactorsError
        """
        _needs_factors(self, "plot")
        heywood = np.isin(np.array(self.model.equations, dtype=object), self.heywood)
        return sorted_dots(
            self.communalities.to_numpy(),
            self.model.equations,
            marked=heywood,
            marked_label="uniqueness on its bound" if heywood.any() else "",
            other_label="others",
            limits=(-0.02, 1.02),
            xlabel="communality (share of the error variance)",
            title="Communalities",
            ax=ax,
        )

    def plot_fit(self, equation: str, alpha: float = 0.05, ax: Any = None) -> Any:
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
        equation = named(equation, self._position)
        one = self.equations[equation]
        mean = one.get_prediction().summary_frame(alpha)
        return fit(
            self._rows,
            self.model.endog[:, self._position[equation]],
            one.fittedvalues.to_numpy(),
            mean[["mean_ci_lower", "mean_ci_upper"]].to_numpy(),
            1.0 - alpha,
            str(equation),
            ax,
        )


def _needs_factors(results: Any, verb: str) -> None:
    if not results.rank:
        raise NoFactorsError(f"no factors to {verb}: the fit has rank 0; fit with rank >= 1")
