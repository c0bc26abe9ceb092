"""The checks behind `LowRankSURResults.diagnostics`; numbers come from `core.residual_tests`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.stattools import durbin_watson

from sm_alsgls.core.correlation import sum_of_correlations, unit_columns
from sm_alsgls.core.rank_criteria import largest_root_median, largest_root_pvalue
from sm_alsgls.core.residual_tests import (
    NullTail,
    arch,
    condition_numbers,
    holm,
    jarque_bera,
    joint_normality,
    leverages,
    ljung_box,
    normality,
    residual_correlations,
)
from sm_alsgls.core.spectrum import spectrum
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.exceptions import DataRemovedError, OptionError
from sm_alsgls.labels import shown
from sm_alsgls.results.covariance import check_alpha
from sm_alsgls.results.diagnostics_report import Diagnostics, listed, smallest

# Belsley, Kuh and Welsch (1980): beyond it a coefficient may be mostly its neighbours'.
_CONDITION = 30.0
# Share of an equation's error variance beyond which the factors nearly are that equation.
_NEAR_HEYWOOD = 0.99
# Times the mean leverage of a row that is called high (Hoaglin and Welsch 1978 take two).
_LEVERAGE = 3.0
_PAIRS = 10
_PAIR = ["equation", "other", "correlation"]


class _Check(NamedTuple):
    check: str
    statistic: float
    pvalue: float
    verdict: str
    found: str
    advice: str


@lru_cache(maxsize=16)
def _tail(name: str, n_obs: int, lags: int) -> NullTail:
    tests = {
        "normality": lambda E: normality(E)[1],
        "ljung_box": lambda E: ljung_box(E, lags)[1],
        "arch": lambda E: arch(E, lags)[1],
    }
    return NullTail(tests[name], n_obs)


@on_one_thread
def diagnose(results: Any, alpha: float = 0.05, lags: int | None = None) -> Diagnostics:
    """Every check; see `LowRankSURResults.diagnostics`."""
    check_alpha(alpha)
    N, K, names = results.nobs, results.neqs, pd.Index(results.model.equations, name="equation")
    most = max(1, N // 5)
    lags = min(10, most) if lags is None else lags
    if isinstance(lags, bool) or not isinstance(lags, (int, np.integer)) or not 0 < lags < N // 2:
        raise OptionError(f"lags must be a whole number from 1 to {N // 2 - 1}, got {shown(lags)}")
    equations = pd.DataFrame(index=names)
    checks = [_convergence(results), _curvature(results), *_heywood(results, equations)]
    checks.append(_condition(results, equations))
    why = None if results._complete else "cells are missing; it needs complete rows"
    if why is None:
        left, pairs = _left_over(results, alpha)
        checks += [*_rank(results, alpha), *left]
    else:
        checks += [_skipped(name, why) for name in _OF_SIGMA]
        pairs = pd.DataFrame(columns=_PAIR)
    E = None
    try:
        E = results.model._system.cells.used(results._residuals)
    except DataRemovedError:
        why = "the rows were read in chunks and not kept"
    factors = pd.DataFrame(index=pd.Index(results._factor_names, name="factor"))
    rows = pd.DataFrame(columns=["distance", "pvalue", "leverage"], dtype=float)
    if why is not None:
        checks += [_skipped(name, why) for name in _OF_ROWS if E is None or name != _OUTLYING]
        if E is not None:
            outlying, rows = _outlying(results, E, alpha)
            checks.append(outlying)
    else:
        checks += _normality(results, E, equations, alpha)
        checks += _serial(results, E, equations, factors, alpha, int(lags))
        influence, rows = _influence(results, E, alpha)
        checks += influence
    table = pd.DataFrame(checks).set_index("check")
    return Diagnostics(table, equations, factors, rows, pairs, float(alpha), int(lags), N, K)


_OUTLYING = "outlying rows"
_OF_SIGMA = ("last factor", "factors left", "residual correlation")
_OF_ROWS = (
    "normality, jointly", "normality, equations", "serial correlation, equations",
    "serial correlation, factors", "ARCH, equations", _OUTLYING, "leverage of rows",
)  # fmt: skip


def _skipped(name: str, why: str) -> _Check:
    return _Check(name, np.nan, np.nan, "-", why, "")


def _verdict(bad: bool) -> str:
    return "look" if bad else "ok"


# -- the fit ---------------------------------------------------------------------------------------


def _convergence(results: Any) -> _Check:
    fit = results.mle_retvals
    tried, reached = len(fit["starts"]), fit["starts_at_best"]
    found = f"{fit['message']}; {reached} of {tried} starts reached this likelihood"
    alone = tried > 4 and reached == 1
    return _Check(
        "convergence",
        max(fit["gradient_d"], fit["score_beta"]),
        np.nan,
        _verdict(not results.converged or alone),
        found,
        "not converged: raise max_sweeps, or doubt the rank; one start among many at the best: "
        "raise n_starts",
    )


def _curvature(results: Any) -> _Check:
    if results.rank == 0:
        return _Check("curvature", np.nan, np.nan, "ok", "no factors, no other maximum", "")
    curvature = results.curvature()
    found = "a saddle: the likelihood rises along some direction"
    return _Check(
        "curvature",
        curvature.lowest,
        np.nan,
        _verdict(curvature.is_saddle),
        found if curvature.is_saddle else "no direction found in which the likelihood rises",
        "raise n_starts",
    )


def _heywood(results: Any, equations: pd.DataFrame) -> list[_Check]:
    share = results.communalities.to_numpy()
    on_bound = np.array(results._found.best.at_bound)
    equations["communality"], equations["heywood"] = share, on_bound
    names = equations.index
    near = (share > _NEAR_HEYWOOD) | on_bound
    least, middle, top = np.quantile(share, [0.0, 0.5, 1.0])
    found = f"{near.sum()} of {len(names)} equations above {_NEAR_HEYWOOD:g}"
    if near.any():
        found += f": {listed(names[near])}; {on_bound.sum()} on their bound"
    return [
        _Check(
            "Heywood cases",
            float(near.sum()),
            np.nan,
            _verdict(bool(near.any())),
            found,
            "the factors reproduce these equations' errors: lower the rank, or look for an "
            "equation that is nearly a combination of others",
        ),
        _Check(
            "communalities",
            float(middle),
            np.nan,
            "ok",
            f"from {least:.2f} ({names[share.argmin()]!r}) to {top:.2f} "
            f"({names[share.argmax()]!r}), median {middle:.2f}",
            "",
        ),
    ]


def _condition(results: Any, equations: pd.DataFrame) -> _Check:
    values = condition_numbers(results._problem.rows.blocks)
    equations.insert(0, "condition", values)
    bad = equations.index[values > _CONDITION]
    found = f"largest {values.max():.3g} ({equations.index[values.argmax()]!r})"
    if len(bad):
        found += f"; {len(bad)} of {len(values)} above {_CONDITION:g}: {listed(bad)}"
    return _Check(
        "condition of designs",
        float(values.max()),
        np.nan,
        _verdict(len(bad) > 0),
        found,
        "single coefficients are poorly determined: centre regressors, drop one of those that "
        "move together, or test combinations; fitted values and Sigma are not hurt",
    )


def _rank(results: Any, alpha: float) -> list[_Check]:
    last = results._last_factor
    spare = _Check("last factor", np.nan, np.nan, "-", "there is none", "")
    if last is not None and np.isfinite(last.pvalue):
        spare = _Check(
            "last factor",
            last.eigenvalue,
            np.nan,
            _verdict(last.is_spare),
            f"eigenvalue {last.eigenvalue:.3g}; that of noise is {last.noise:.3g} or more half "
            "the time",
            "the rank is too high, which makes intervals too short: rank='bic_ols'",
        )
    N, K, r = results.nobs, results.neqs, results.rank
    best, problem = results._found.best, results._problem
    n, k = N - len(results.params) / K - r, float(K - r)
    if r + 1 > min(best.E.shape) or n < 1.0 or k < 2.0:
        return [spare, _Check("factors left", np.nan, np.nan, "-", "too few equations", "")]
    d = 0.25 * results.sigma.uniquenesses
    root = 0.25 * float(spectrum(best.E, problem.n_obs, r + 1, None).pairs(d, 1e-2)[0][r])
    p = float(largest_root_pvalue(np.array(root), np.array(n), np.array(k)))
    noise = float(largest_root_median(np.array(n), np.array(k)))
    return [
        spare,
        _Check(
            "factors left",
            root,
            p,
            _verdict(p < alpha),
            f"largest eigenvalue that {r} factors leave {root:.3g}; that of noise is {noise:.3g} "
            "or more half the time (Tracy-Widom)",
            "the rank may be too low, or equations form groups: select_rank(model).table",
        ),
    ]


def _left_over(results: Any, alpha: float) -> tuple[list[_Check], pd.DataFrame]:
    K, names = results.neqs, results.model.equations
    sigma, best, N = results.sigma, results._found.best, results._problem.n_obs
    if K < 2:
        check = _Check("residual correlation", np.nan, np.nan, "-", "one equation", "")
        return [check], pd.DataFrame(columns=_PAIR)
    rms, at, values = residual_correlations(best.E, sigma.loadings, sigma.diag(), N, _PAIRS)
    pairs = pd.DataFrame(
        [(names[j], names[m], v) for (j, m), v in zip(at, values, strict=True)], columns=_PAIR
    )
    # Pesaran's CD of what the factors leave.
    U = best.E - (sigma.solve(best.E) @ sigma.loadings) @ sigma.loadings.T
    scale = np.sqrt(2.0 * N / (K * (K - 1)))
    before = scale * sum_of_correlations(unit_columns(results._problem.E_ols))
    after = scale * sum_of_correlations(unit_columns(U))
    first = pairs.iloc[0]
    found = (
        f"root mean square {rms:.3f}; worst {first.correlation:+.2f}, {first.equation!r} and "
        f"{first.other!r}. CD {before:.1f} of OLS residuals (N(0, 1) without correlation), "
        f"{after:.1f} of what the factors leave (no p-value: its law is another after factors, "
        "Juodis and Reese 2022)"
    )
    return [
        _Check(
            "residual correlation",
            float(rms),
            np.nan,
            _verdict(abs(float(first.correlation)) > 0.5),
            found,
            "a pair above 0.5 shares what no factor carries: a regressor both lack, or a rank "
            "that is too low",
        )
    ], pairs


# -- rows ------------------------------------------------------------------------------------------


def _family(
    name: str, statistic: np.ndarray, pvalues: np.ndarray, names: pd.Index, alpha: float,
    advice: str, what: str,
) -> _Check:  # fmt: skip
    """One line about K tests: how many stand after Holm, and which are the worst."""
    adjusted = holm(pvalues)
    if not np.isfinite(adjusted).any():
        return _Check(name, np.nan, np.nan, "-", "too few rows", "")
    bad = np.flatnonzero(adjusted < alpha)
    bad = bad[np.argsort(pvalues[bad], kind="stable")]
    worst = int(np.nanargmin(pvalues))
    found = f"{len(bad)} of {len(names)} {what} reject"
    if len(bad):
        found += f": {listed(names[bad])}"
    else:
        plain = int(np.sum(pvalues < alpha))
        found += f" ({plain} one by one; the smallest p-value, {pvalues[worst]:.2g}, is that of "
        found += f"{str(names[worst])!r})"
    return _Check(
        name,
        float(statistic[worst]),
        smallest(adjusted),
        _verdict(len(bad) > 0),
        found,
        advice,
    )


def _normality(results: Any, E: np.ndarray, equations: pd.DataFrame, alpha: float) -> list[_Check]:
    N = len(E)
    equations["jarque_bera"] = jarque_bera(E)
    advice = (
        "estimates stay consistent; use get_robustcov_results('HC1') or bootstrap('wild'), and "
        "see which rows are outlying"
    )
    if N < 8:
        equations["normality"] = np.nan
        return [_Check(n, np.nan, np.nan, "-", "too few rows", "") for n in _OF_ROWS[:2]]
    tail = _tail("normality", N, 0)
    statistic, nominal = normality(E)
    equations["normality"] = tail(nominal)
    simulated = stats.chi2.isf(tail.pvalues, 2)
    joint, p = joint_normality(results.sigma.whiten(E), simulated)
    return [
        _Check(
            "normality, jointly",
            joint,
            p,
            _verdict(p < alpha),
            f"sum over {E.shape[1]} whitened residuals (Doornik and Hansen 2008)",
            advice,
        ),
        _family(
            "normality, equations", statistic, equations["normality"].to_numpy(),
            equations.index, alpha, advice, "equations",
        ),
    ]  # fmt: skip


def _serial(
    results: Any, E: np.ndarray, equations: pd.DataFrame, factors: pd.DataFrame,
    alpha: float, lags: int,
) -> list[_Check]:  # fmt: skip
    N = len(E)
    tail, few = _tail("ljung_box", N, lags), min(4, max(1, N // 10))
    statistic, nominal = ljung_box(E, lags)
    equations["durbin_watson"] = durbin_watson(E)
    equations["ljung_box"] = tail(nominal)
    advice = (
        "if rows are in the order of time: get_robustcov_results('HAC', maxlags=...), lagged "
        "regressors, or bootstrap('block')"
    )
    dw = equations["durbin_watson"]
    own = _family(
        "serial correlation, equations", statistic, equations["ljung_box"].to_numpy(),
        equations.index, alpha, advice, "equations",
    )  # fmt: skip
    span = f"; Durbin-Watson from {dw.min():.2f} ({dw.idxmin()!r}) to {dw.max():.2f}"
    checks = [own._replace(found=own.found + f" (Ljung-Box, {lags} lags)" + span)]
    scores = results.factor_scores.to_numpy()
    if scores.shape[1]:
        of_factors, p = ljung_box(scores, lags)
        factors["ljung_box"], factors["durbin_watson"] = tail(p), durbin_watson(scores)
        checks.append(
            _family(
                "serial correlation, factors", of_factors, factors["ljung_box"].to_numpy(),
                factors.index, alpha, advice, "factors",
            )
        )  # fmt: skip
    else:
        checks.append(_Check(_OF_ROWS[3], np.nan, np.nan, "-", "there are no factors", ""))
    if N < 3 * few + 8:
        equations["arch"] = np.nan
        return [*checks, _Check(_OF_ROWS[4], np.nan, np.nan, "-", "too few rows", "")]
    statistic, nominal = arch(E, few)
    equations["arch"] = _tail("arch", N, few)(nominal)
    checks.append(
        _family(
            "ARCH, equations", statistic, equations["arch"].to_numpy(), equations.index, alpha,
            "variances change over rows: get_robustcov_results('HC1') or 'HAC'", "equations",
        )
    )  # fmt: skip
    return checks


def _outlying(results: Any, E: np.ndarray, alpha: float) -> tuple[_Check, pd.DataFrame]:
    """Distances e_n' Sigma_n^-1 e_n of the cells that each row has."""
    index = results._rows
    W = results.model._system.cells.solve(E, results.sigma)
    distance = np.einsum("nk,nk->n", W, E)
    pvalues = stats.chi2.sf(distance, np.isfinite(results._residuals).sum(axis=1))
    rows = pd.DataFrame({"distance": distance, "pvalue": pvalues, "leverage": np.nan}, index=index)
    outlying = _family(
        _OUTLYING, distance, pvalues, pd.Index(index), alpha,
        "look at these rows: a wrong number, an event that needs a dummy; fit without them and "
        "compare", "rows",
    )  # fmt: skip
    return outlying, rows


def _influence(results: Any, E: np.ndarray, alpha: float) -> tuple[list[_Check], pd.DataFrame]:
    outlying, rows = _outlying(results, E, alpha)
    index = results._rows
    leverage = leverages(results.model.exog)
    rows["leverage"] = leverage
    mean = float(leverage.mean())
    high = np.flatnonzero(leverage > _LEVERAGE * mean)
    high = high[np.argsort(-leverage[high], kind="stable")]
    found = (
        f"largest {leverage.max() / mean:.1f} times the mean ({str(index[leverage.argmax()])!r})"
    )
    if len(high):
        found += f"; above {_LEVERAGE:g} times: {listed(pd.Index(index)[high])}"
    return [
        outlying,
        _Check(
            "leverage of rows",
            float(leverage.max() / mean),
            np.nan,
            _verdict(len(high) > 0),
            found,
            "coefficients lean on these rows' regressors; fit without them and compare",
        ),
    ], rows
