"""Effects of a treatment: what treated cells are, less what they would have been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import came, count, generator, level
from sm_alsgls.border.frames import to_pandas
from sm_alsgls.border.names import close
from sm_alsgls.core.interactive.corrected import Correction
from sm_alsgls.core.interactive.counterfactual import (
    Refit,
    bootstrap,
    shifted_pvalue,
)
from sm_alsgls.core.interactive.identified import scarce, unidentified
from sm_alsgls.data.panel_cells import PanelCells, refuse_scarce, refuse_unidentified
from sm_alsgls.exceptions import (
    InsufficientRowsError,
    OptionError,
    RankDeficientError,
    ShapeError,
)
from sm_alsgls.plotting.gap import gap_plot
from sm_alsgls.results.interactive_estimate import InteractiveEstimate
from sm_alsgls.results.progress import says
from sm_alsgls.results.shown import ShownFrame, one_line

Array = np.ndarray

# Units never treated below which a bootstrap of their residuals says little.
_LEAST_DONORS = 5
# P(Z < -1) of a normal variable.
_ONE_SIGMA = 0.15865525393145707


@dataclass(frozen=True, eq=False, repr=False)
class Counterfactual(ShownFrame):
    """Effects on the treated cells.

    Attributes
    ----------
    effect : float
        Mean gap over the treated cells, the average effect on the treated.
    gap : DataFrame (T, treated units)
        Response less what it would have been: the effect in treated cells, a residual before.
    untreated : DataFrame (T, treated units)
        What responses would have been without treatment.
    treated : DataFrame of bool (T, treated units)
    pvalue : float
        Of no effect in any treated cell, by shifts of time: conformal, without a law of errors.
    draws : ndarray, shape (reps, treated cells)
        Bootstrap errors of the gap in the treated cells, by period and then unit.
    params : Series (p,)
        Slopes, of the units that were never treated.
    """

    effect: float
    gap: pd.DataFrame = field(repr=False)
    untreated: pd.DataFrame = field(repr=False)
    treated: pd.DataFrame = field(repr=False)
    pvalue: float
    draws: Array = field(repr=False)
    params: pd.Series = field(repr=False)

    def __repr__(self) -> str:
        cells, units = int(self.treated.to_numpy().sum()), self.treated.shape[1]
        facts = [f"effect {self.effect:.4g} in {cells} cells of {units} units"]
        return one_line(type(self).__name__, [*facts, f"P(no effect) {self.pvalue:.3f}"])

    @property
    def std_error(self) -> float:
        """Bootstrap standard error of ``effect``: half of what the middle .683 of draws span."""
        return _spread(self.draws.mean(axis=1))

    def conf_int(self, alpha: float = 0.05) -> tuple[float, float]:
        """Interval of ``effect``: it less quantiles of its bootstrap errors."""
        low, high = _quantiles(self.draws.mean(axis=1), level(alpha))
        return float(self.effect - high), float(self.effect - low)

    def by_period(self, alpha: float = 0.05) -> pd.DataFrame:
        """Mean effects by periods since a unit's first treated one, with intervals.

        Returns
        -------
        DataFrame
            Index ``since``, from 0; effect, std_error, the ends of the interval, units.
        """
        return self._table(self._since(), "since", alpha)

    def by_unit(self, alpha: float = 0.05) -> pd.DataFrame:
        """Mean effects by unit, with intervals."""
        unit = np.nonzero(self.treated.to_numpy())[1]
        made = self._table(unit, "unit", alpha)
        return made.set_axis(pd.Index(self.treated.columns[made.index], name="unit"))

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """The average effect, and those by periods since treatment."""
        every = self._table(np.zeros(self.draws.shape[1], dtype=int), "since", alpha)
        return pd.concat([every.set_axis(pd.Index(["average"], name="since")),
                          self.by_period(alpha)])  # fmt: skip

    def plot(self, alpha: float = 0.05, ax: Any = None) -> Any:
        """The gap by periods since treatment: residuals before, effects with intervals after.

        Parameters
        ----------
        alpha : float
            Level 1 - alpha of the intervals.
        ax : Axes, optional

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.
        """
        table = self.by_period(alpha)
        first = self.treated.to_numpy().argmax(axis=0)
        since = np.arange(len(self.treated))[:, None] - first
        gap = self.gap.to_numpy()
        before = since < 0
        known = before & np.isfinite(gap)
        times = np.unique(since[known])
        mean = np.array([gap[known & (since == s)].mean() for s in times])
        return gap_plot(
            times,
            mean,
            table.index.to_numpy(),
            table["effect"].to_numpy(),
            table.iloc[:, 2:4].to_numpy(),
            100.0 * (1.0 - level(alpha)),
            ax,
        )

    def _since(self) -> Array:
        at = self.treated.to_numpy()
        row, unit = np.nonzero(at)
        return np.asarray(row - at.argmax(axis=0)[unit])

    def _table(self, groups: Array, name: str, alpha: float) -> pd.DataFrame:
        alpha = level(alpha)
        at = self.treated.to_numpy()
        gaps, unit = self.gap.to_numpy()[at], np.nonzero(at)[1]
        rows = []
        for group in np.unique(groups):
            mine = groups == group
            effect, u = gaps[mine].mean(), self.draws[:, mine].mean(axis=1)
            low, high = _quantiles(u, alpha)
            rows.append(
                (effect, _spread(u), effect - high, effect - low, len(np.unique(unit[mine])))
            )
        columns = ["effect", "std_error", f"[{alpha / 2:g}", f"{1 - alpha / 2:g}]", "units"]
        return pd.DataFrame(rows, pd.Index(np.unique(groups), name=name), columns)


def _quantiles(draws: Array, alpha: float) -> Array:
    """Those of which another draw is outside with probability alpha: of 39, the ends at .05."""
    ends = [alpha / 2, 1 - alpha / 2]
    return np.asarray(np.quantile(draws, ends, method="weibull"))


def _spread(draws: Array) -> float:
    """A standard deviation that few draws of a heavy tail do not make: units have few periods."""
    low, high = np.quantile(draws, [_ONE_SIGMA, 1.0 - _ONE_SIGMA], method="weibull")
    return float(high - low) / 2.0


@says
def counterfactual(
    estimate: InteractiveEstimate,
    treated: Any,
    *,
    reps: int = 199,
    rng: np.random.Generator | int | None = None,
    progress: bool | None = None,
) -> Counterfactual:
    """Effects of a treatment, by what treated cells would have been without it.

    Units that were never treated tell slopes, factors and effects of periods; each treated unit's
    loadings before treatment then predict it (generalised synthetic control, Xu 2017).

    Parameters
    ----------
    treated : mapping, Series or DataFrame
        {unit: first treated period}; or flags, by the pairs (entity, time) of the data, or with a
        row a period and a column a unit.
    reps : int
        Bootstrap replicates, for standard errors and intervals: residual series of units never
        treated, as errors of all.
    rng : numpy Generator or int, optional
        Default: a fixed seed.
    progress : bool, optional
        Whether to say how far it is: True with a bar from the start (needs tqdm), False never; by
        default after two seconds, where standard error is a terminal or a notebook.

    Returns
    -------
    Counterfactual
        ``effect``, ``conf_int()``, ``pvalue``, ``by_period()``, ``by_unit()``, ``gap``, ``plot()``.

    Raises
    ------
    OptionError, ShapeError
        ``treated`` names what is not there.
    InsufficientRowsError
        A treated unit has too few periods before; fewer than five units were never treated.
    RankDeficientError
        A regressor has no slope among the units never treated, as the treatment itself.

    Notes
    -----
    The model must have been made without the treatment among the regressors.

    References
    ----------
    Xu (2017), Political Analysis 25; Chernozhukov, Wuthrich and Zhu (2021), Journal of the American
    Statistical Association 116.
    """
    cells, fit = estimate.cells, estimate.fit
    these = _flags(treated, cells) & cells.seen
    if not these.any():
        raise OptionError("treated: no cell of the panel is treated")
    others = ~these.any(axis=0)
    if int(others.sum()) < _LEAST_DONORS:
        raise InsufficientRowsError(
            f"treated: {int(others.sum())} units were never treated; they tell the factors, and "
            f"intervals need {_LEAST_DONORS} such"
        )
    _refuse_treatment(cells, these)
    left = cells.without(these)
    refuse_scarce(left, scarce(left.panel, fit.effects, estimate.rank), estimate.rank)
    never = cells.of_units(others)
    known = fit.effects.taken(slice(None), others)
    refuse_unidentified(
        never, unidentified(never.panel, known, estimate.rank), "factors of units never treated"
    )
    refuse_scarce(never, scarce(never.panel, known, estimate.rank), estimate.rank)
    reps, source = count(reps, "reps", 2), generator(rng) or np.random.default_rng(0)
    how = Correction(estimate.corrected, estimate.serial, estimate.predetermined)
    refit = Refit(cells.panel, these, fit.effects, estimate.rank, estimate.weights, how)
    found = refit()
    seeds = np.random.SeedSequence(source.integers(0, 2**63, 2).tolist()).spawn(reps)
    draws = np.array(list(bootstrap(refit, found, seeds)))
    made = found.mean
    at = np.flatnonzero(these.any(axis=0))
    gap = np.where(cells.seen, cells.panel.Y - made, np.nan)
    labels: dict[str, Any] = {"index": cells.periods, "columns": cells.units[at]}
    return Counterfactual(
        float(gap[these].mean()),
        pd.DataFrame(gap[:, at], **labels),
        pd.DataFrame(made[:, at], **labels),
        pd.DataFrame(these[:, at], **labels),
        shifted_pvalue(np.where(cells.seen, estimate.at.E, np.nan), these),
        draws,
        pd.Series(found.params, index=estimate.labels.params),
    )


def _refuse_treatment(cells: PanelCells, treated: Array) -> None:
    """Say so where the treatment is a regressor: one value where cells are treated, one elsewhere.

    Raises
    ------
    RankDeficientError
    """
    rest = cells.seen & ~treated
    for name, X in zip(cells.columns, cells.panel.X, strict=True):
        if np.ptp(X[treated]) == np.ptp(X[rest]) == 0.0 and X[treated][0] != X[rest][0]:
            raise RankDeficientError(
                f"treated: regressor {name!r} is the treatment, which units that were never "
                "treated say nothing of: make the model without it"
            )


def _flags(treated: Any, cells: PanelCells) -> Array:
    """Treated cells (T, n), of whatever form they came in."""
    units = [str(unit) for unit in cells.units]
    out = np.zeros(cells.panel.Y.shape, dtype=bool)
    if isinstance(treated, Mapping):
        for unit, first in treated.items():
            out[:, _unit(unit, units)] = _from(first, cells)
        return out
    treated = to_pandas(treated, "treated")
    if isinstance(treated, pd.Series) and treated.index.nlevels == 2:
        names = [cells.units.name, cells.periods.name]
        if set(treated.index.names) == set(names):
            treated = treated.reorder_levels(names)
        treated = treated.unstack(0)
    if not isinstance(treated, pd.DataFrame):
        raise OptionError(
            "treated must be {unit: first treated period}, or flags with the pairs (entity, time) "
            f"as index, or a frame of periods and units; got {came(treated)}"
        )
    values = treated.fillna(False).to_numpy()
    if not np.isin(values, (0, 1)).all():
        raise OptionError("treated: flags are True or False (1 or 0)")
    rows = cells.periods.get_indexer(treated.index)
    if (rows < 0).all():
        raise ShapeError(
            f"treated: no row is a period, such as {cells.periods[0]!r}; rows are periods and "
            "columns units"
        )
    columns = [_unit(unit, units) for unit in treated.columns]
    kept = rows >= 0
    out[np.ix_(rows[kept], columns)] = values[kept].astype(bool)
    return out


def _unit(unit: Any, units: list[str]) -> int:
    if str(unit) not in units:
        raise OptionError(f"treated: there is no unit {unit!r}" + close(str(unit), units))
    return units.index(str(unit))


def _from(first: Any, cells: PanelCells) -> Array:
    try:
        return np.asarray(cells.periods >= first)
    except TypeError as error:
        raise OptionError(
            f"treated: {first!r} does not compare with periods, such as {cells.periods[0]!r}"
        ) from error
