"""The checks behind `diagnostics` of panels with fixed factors, and with averages for factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.core.interactive.residuals import Across, across, following
from sm_alsgls.core.residuals.heteroscedasticity import basis, koenker
from sm_alsgls.core.residuals.residual_tests import normality, summed_normality
from sm_alsgls.data.panel_cells import PanelCells
from sm_alsgls.exceptions import DegenerateResponseError
from sm_alsgls.results.checks.check import Check, family, skipped, verdict
from sm_alsgls.results.checks.report import Report, listed
from sm_alsgls.results.checks.tails import tail

Array = np.ndarray

# Share of a unit's mean square that is rounding.
_ROUNDING = 1e-24
# Periods below which a unit is not asked for its law.
_FEWEST = 8
_WORST = 10


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PanelDiagnostics(Report):
    """Outcome of `InteractivePanelResults.diagnostics` and `CCEPanelResults.diagnostics`.

    Attributes
    ----------
    table : DataFrame
        A row for each check: statistic, pvalue (of the whole family of units or cells, by Holm;
        NaN where a check has none), verdict ("ok", "look", or "-" where it cannot be made), found
        (in words) and advice.
    units : DataFrame (n)
        Indexed by unit: cells; variance of its errors; correlation of first order in time, less
        what factors and effects make of it, and its p-value ``serial``; normality (p-value). These
        are of one unit alone.
    pairs : DataFrame
        The largest residual correlations of units: unit, other, correlation.
    cells : DataFrame
        The most outlying cells: unit, period, residual in standard deviations, p-value of one.
    across : dict
        Of correlation between units: mean, mean_absolute, cd (Pesaran's, which factors and effects
        that are taken out make negative), corrected, weighted.
    alpha : float
        Level of each check.
    nobs, n_units : int
        Cells and units.
    """

    units: pd.DataFrame
    pairs: pd.DataFrame
    cells: pd.DataFrame
    across: dict[str, float]
    nobs: int
    n_units: int

    _families: ClassVar[str] = "units or cells"

    def _about(self) -> str:
        return f"{self.n_units} Units, {self.nobs} Observations"


class Advice(NamedTuple):
    """What to do about a kind of doubt, where it is a matter of the model."""

    dependence: str
    serial: str
    normality: str
    variance: str


class Left(NamedTuple):
    """What a fit leaves of a panel.

    Attributes
    ----------
    cells : PanelCells
    seen : ndarray of bool, shape (T, n)
        Cells that were used.
    z : ndarray, shape (T, n)
        Residuals in units of the errors, a correlation in time that the fit was weighted by taken
        out; zero elsewhere.
    d : ndarray, shape (n,)
        Error variances; NaN of a unit that has none.
    nu : ndarray, shape (n,)
        Degrees of freedom of d.
    bases : list of ndarray
        Of each unit's regression over time, see `core.interactive.residuals.following`.
    taken : ndarray, shape (n, k)
        What of the units has been taken out of each period.
    freedom : float
        Periods less what a unit's regression takes.
    advice : Advice
    rho : float
        That correlation.
    """

    cells: PanelCells
    seen: Array
    z: Array
    d: Array
    nu: Array
    bases: Sequence[Array]
    taken: Array
    freedom: float
    advice: Advice
    rho: float = 0.0


def with_errors(E: Array, Y: Array, seen: Array) -> Array:
    """Units whose residuals are more than rounding of their responses, bool (n,).

    Others are fitted exactly: correlations of theirs would be those of rounding.

    Parameters
    ----------
    E, Y : ndarray, shape (T, n)
        Residuals and responses, looked at where cells were used.
    seen : ndarray of bool, shape (T, n)

    Raises
    ------
    DegenerateResponseError
        All are fitted exactly.
    """
    left, whole = (np.square(np.where(seen, M, 0.0)).sum(axis=0) for M in (E, Y))
    told = np.asarray(left > _ROUNDING * whole)
    if not told.any():
        raise DegenerateResponseError(
            "diagnostics: all units are fitted exactly, and there are no residuals to look at; "
            "leave regressors out, or factors"
        )
    return told


def report(left: Left, first: Sequence[Check], alpha: float) -> PanelDiagnostics:
    """The checks of residuals, after ``first``."""
    names = left.cells.units
    units = pd.DataFrame({"cells": left.seen.sum(axis=0), "variance": left.d}, index=names)
    between = across(left.z, left.seen, left.taken, left.freedom, np.random.default_rng(0))
    evened = _evened(left)
    outlying, worst = _outlying(left, evened, alpha)
    checks = [
        *first,
        *_dependence(between, left.advice.dependence, alpha),
        *_serial(left, units, alpha),
        *_normality(left, evened, units, alpha),
        _variance(left, evened, alpha),
        outlying,
    ]
    numbers = between._asdict()
    numbers.pop("correlations")
    return PanelDiagnostics(
        table=pd.DataFrame(checks).set_index("check"),
        units=units,
        pairs=_pairs(between.correlations, names),
        cells=worst,
        across=numbers,
        alpha=alpha,
        nobs=int(left.seen.sum()),
        n_units=len(names),
    )


def _evened(left: Left) -> Array:
    """Residuals of like variance in every period of a unit, (T, n); NaN where there are none."""
    kept = np.stack([1.0 - np.square(B).sum(axis=1) for B in left.bases], axis=1)
    # A cell that its unit's regression has to itself says nothing.
    told = left.seen & (kept > 1e-8)
    return np.where(told, left.z / np.sqrt(np.where(told, kept, 1.0)), np.nan)


def _dependence(found: Across, advice: str, alpha: float) -> list[Check]:
    """Correlation between units, without and with signs."""
    name = "cross-section dependence"
    said = (
        f"mean correlation {found.mean:+.3f}, mean size {found.mean_absolute:.3f}; Pesaran's CD "
        f"{found.cd:+.2f} before what estimated factors and effects do to it"
    )
    p = float(2.0 * stats.norm.sf(abs(found.corrected)))
    plain = (
        Check(name, found.corrected, p, verdict(p < alpha), said, advice)
        if np.isfinite(found.corrected)
        else skipped(name, said + ", which is all of it: residuals add up to next to nothing in "
                     "every period")
    )  # fmt: skip
    p = float(2.0 * stats.norm.sf(abs(found.weighted)))
    return [
        plain,
        Check(
            f"{name}, weighted",
            found.weighted,
            p,
            verdict(p < alpha),
            "units weighed by random signs, and correlations that are too large for chance added "
            "(Juodis and Reese 2022)",
            advice,
        ),
    ]


def _serial(left: Left, units: pd.DataFrame, alpha: float) -> list[Check]:
    found = following(left.z, left.seen, left.bases)
    units["correlation"], units["serial"] = found.of_units, found.pvalues
    names = "serial correlation, jointly", "serial correlation, units"
    if not np.isfinite(found.pvalue):
        return [skipped(name, "too few periods follow each other") for name in names]
    advice = left.advice.serial
    beyond = f" beyond the {left.rho:.2f} that cells are weighted by" if left.rho else ""
    return [
        Check(
            names[0],
            found.statistic,
            found.pvalue,
            verdict(found.pvalue < alpha),
            f"common first-order correlation {found.rho:+.2f}{beyond}, less what factors and "
            f"effects make of it; t with {found.df} degrees of freedom",
            advice,
        ),
        family(
            names[1], np.abs(found.of_units), found.pvalues, units.index, alpha, advice, "units"
        ),
    ]


def _normality(left: Left, evened: Array, units: pd.DataFrame, alpha: float) -> list[Check]:
    names = "normality, jointly", "normality, units"
    statistic, nominal = np.full((2, len(units)), np.nan)
    told = np.isfinite(evened)
    number = told.sum(axis=0)
    for T in np.unique(number[number >= _FEWEST]):
        at = np.flatnonzero(number == T)
        columns = evened.T[at][told.T[at]].reshape(len(at), T).T
        statistic[at], nominal[at] = normality(columns)
    usual = int(np.median(number))
    if usual < _FEWEST:
        units["normality"] = np.nan
        return [skipped(name, "too few periods") for name in names]
    # Units that lack some periods have the correction of the usual number of them.
    corrected = tail("normality", usual, 0)
    units["normality"] = corrected(nominal)
    known = np.isfinite(statistic)
    total, p = summed_normality(statistic[known], corrected.of_two)
    advice = left.advice.normality
    return [
        Check(
            names[0],
            total,
            p,
            verdict(p < alpha),
            f"sum over {int(known.sum())} units (Doornik and Hansen 2008)",
            advice,
        ),
        family(
            names[1], statistic, units["normality"].to_numpy(), units.index, alpha, advice, "units"
        ),
    ]


def _variance(left: Left, evened: Array, alpha: float) -> Check:
    """Squares of residuals within units, on regressors and their squares within units."""
    name, told = "heteroscedasticity", np.isfinite(evened)
    square = np.where(told, np.square(evened), 0.0)
    mean = square.sum(axis=0) / np.maximum(told.sum(axis=0), 1)
    E = np.where(told, evened / np.sqrt(np.maximum(mean, 1e-300)), 0.0)
    number = np.maximum(told.sum(axis=0), 1)
    columns = []
    for X in left.cells.panel.X:
        within = np.where(told, X - np.where(told, X, 0.0).sum(axis=0) / number, 0.0)
        within /= np.sqrt(max(float(np.mean(np.square(within[told]))), 1e-300))
        squares = np.where(told, np.square(within), 0.0)
        columns += [within, np.where(told, squares - squares.sum(axis=0) / number, 0.0)]
    U = basis(np.column_stack([M[told] for M in columns]))
    if not U.shape[1]:
        return skipped(name, "no regressors that vary within units")
    statistic = float(koenker(E[told][:, None], U)[0])
    p = float(stats.chi2.sf(statistic, U.shape[1]))
    return Check(
        name,
        statistic,
        p,
        verdict(p < alpha),
        f"squares of residuals on regressors and their squares, within units, {U.shape[1]} degrees "
        "of freedom (Koenker 1981)",
        left.advice.variance,
    )


def _outlying(left: Left, evened: Array, alpha: float) -> tuple[Check, pd.DataFrame]:
    t, i = np.nonzero(np.isfinite(evened))
    values, nu = evened[t, i], left.nu[i]
    # In units of the variance without the cell itself (Cook and Weisberg 1982, section 2.2).
    finite = np.isfinite(nu)
    many = np.where(finite, nu, 1e300)
    rest = np.maximum(many - np.square(values), 1e-10 * many)
    values = values * np.sqrt(np.maximum(many - 1.0, 0.5) / rest)
    p = np.where(
        finite,
        2.0 * stats.t.sf(np.abs(values), np.maximum(np.where(finite, nu, 2.0) - 1.0, 0.5)),
        2.0 * stats.norm.sf(np.abs(values)),
    )
    units, periods = left.cells.units, left.cells.periods
    names = pd.Index([f"{units[b]}, {periods[a]}" for a, b in zip(t, i, strict=True)])
    check = family(
        "outlying cells", values, p, names, alpha,
        "look at these cells: a wrong number, an event; leave them out (they may be missing) and "
        "compare", "cells",
    )  # fmt: skip
    order = np.argsort(p, kind="stable")[:_WORST]
    worst = pd.DataFrame(
        {
            "unit": units[i[order]],
            "period": periods[t[order]],
            "residual": values[order],
            "pvalue": p[order],
        }
    )
    return check, worst


def _pairs(rho: Array, names: pd.Index) -> pd.DataFrame:
    i, j = np.triu_indices(len(names), 1)
    order = np.argsort(-np.abs(rho[i, j]), kind="stable")[:_WORST]
    return pd.DataFrame(
        {"unit": names[i[order]], "other": names[j[order]], "correlation": rho[i, j][order]}
    )


def named(labels: pd.Index, at: Array) -> str:
    """Which of them, in words."""
    return f": {listed(labels[at])}" if len(at) else ""
