"""Normality of residuals, variances that move, outlying rows and rows of high leverage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.core.residuals.heteroscedasticity import variance_of_equations, variance_of_rows
from sm_alsgls.core.residuals.residual_tests import (
    jarque_bera,
    joint_normality,
    leverages,
    normality,
)
from sm_alsgls.results.checks.check import Check, family, skipped, verdict
from sm_alsgls.results.checks.report import listed
from sm_alsgls.results.checks.tails import tail
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.in_sample import residuals, used_fitted
from sm_alsgls.results.instrumented_covariance import first_stages

# Times the mean leverage of a row that is called high (Hoaglin and Welsch 1978 take two).
_LEVERAGE = 3.0
# Rows below which variances are not asked whether they move.
_FEWEST = 12
NORMALITY = ("normality, jointly", "normality, equations")
VARIANCE = ("heteroscedasticity, equations", "heteroscedasticity, rows")
OUTLYING, LEVERAGE = "outlying rows", "leverage of rows"


def of_normality(
    estimate: Estimate, E: np.ndarray, equations: pd.DataFrame, alpha: float
) -> list[Check]:
    """All equations together, and each."""
    N = len(E)
    equations["jarque_bera"] = jarque_bera(E)
    draws = "bootstrap('wild')" if estimate.moments is None else "bootstrap()"
    advice = (
        f"estimates stay consistent; use get_robustcov_results('HC1') or {draws}, and "
        "see which rows are outlying"
    )
    if N < 8:
        equations["normality"] = np.nan
        return [skipped(name, "too few rows") for name in NORMALITY]
    corrected = tail("normality", N, 0)
    statistic, nominal = normality(E)
    equations["normality"] = corrected(nominal)
    joint, p = joint_normality(estimate.row_sigma.whiten(E), corrected.of_two)
    return [
        Check(
            NORMALITY[0],
            joint,
            p,
            verdict(p < alpha),
            f"sum over {E.shape[1]} whitened residuals (Doornik and Hansen 2008)",
            advice,
        ),
        family(
            NORMALITY[1], statistic, equations["normality"].to_numpy(),
            equations.index, alpha, advice, "equations",
        ),
    ]  # fmt: skip


def of_variance(
    estimate: Estimate, E: np.ndarray, equations: pd.DataFrame, alpha: float
) -> list[Check]:
    """Whether variances move with the regressors: of each equation, and of whole rows.

    Of instrumented regressors with their instruments and first stages: squares of errors move with
    what is endogenous by themselves (Pagan and Hall 1983, Econometric Reviews 2).
    """
    blocks, columns = estimate.sample.exogenous
    N = len(E)
    if N < _FEWEST:
        equations["koenker"] = np.nan
        return [skipped(name, "too few rows") for name in VARIANCE]
    about = used_fitted(estimate)
    if estimate.moments is not None:
        about = first_stages(estimate)
    statistic, _, pvalues = variance_of_equations(E, blocks, about)
    equations["koenker"] = pvalues
    advice = (
        "coefficients stay consistent; get_robustcov_results('HC1'), a response in logarithms, or "
        "weights= where the variance is known up to scale"
    )
    own = family(VARIANCE[0], statistic, pvalues, equations.index, alpha, advice, "equations")
    named, Z = _row_variables(columns, blocks)
    distance = np.einsum("nk,nk->n", estimate.row_sigma.solve(E), E)
    value, df, p = variance_of_rows(distance / (1.0 - leverages(blocks)), Z)
    if not df:
        return [own, skipped(VARIANCE[1], "no regressors that vary")]
    return [
        own,
        Check(
            VARIANCE[1],
            value,
            p,
            verdict(p < alpha),
            f"distances e' Sigma^-1 e of rows on the equations' mean of {listed(named)} and of "
            "squares (Koenker 1981, rows permuted)",
            advice,
        ),
    ]


def _row_variables(
    columns: list[list[str]], blocks: Sequence[np.ndarray]
) -> tuple[list[str], np.ndarray]:
    """Regressors by name, standardised and averaged over the equations, and their squares."""
    sums: dict[str, list[np.ndarray]] = {}
    done: dict[tuple[int, int], np.ndarray] = {}
    for names, X in zip(columns, blocks, strict=True):
        for i, name in enumerate(names):
            if (id(X), i) not in done:
                x = X[:, i] - X[:, i].mean()
                size = np.sqrt(np.mean(x * x))
                flat = size <= 1e-10 * np.abs(X[:, i]).max()
                done[id(X), i] = np.zeros(len(x)) if flat else x / size
            x = done[id(X), i]
            first, second, count = sums.setdefault(
                name, [np.zeros(len(x)), np.zeros(len(x)), np.zeros(1)]
            )
            first += x
            second += x * x
            count += bool(x.any())
    kept = [name for name, (*_, count) in sums.items() if count[0]]
    parts = [part / sums[name][2] for name in kept for part in sums[name][:2]]
    return kept, np.column_stack(parts) if parts else np.empty((len(blocks[0]), 0))


def outlying_rows(estimate: Estimate, E: np.ndarray, alpha: float) -> tuple[Check, pd.DataFrame]:
    """Distances e_n' Sigma_n^-1 e_n of the cells that each row has."""
    index = estimate.sample.index
    sample = estimate.sample
    W = sample.cells.solve(E, estimate.row_sigma)
    distance = np.einsum("nk,nk->n", W, E)
    cells = np.isfinite(residuals(estimate)).sum(axis=1) - sample.problem.errors.swept
    pvalues = stats.chi2.sf(distance, np.maximum(cells, 1))
    rows = pd.DataFrame({"distance": distance, "pvalue": pvalues, "leverage": np.nan}, index=index)
    outlying = family(
        OUTLYING, distance, pvalues, pd.Index(index), alpha,
        "look at these rows: a wrong number, an event that needs a dummy; fit without them and "
        "compare", "rows",
    )  # fmt: skip
    return outlying, rows


def influence(estimate: Estimate, E: np.ndarray, alpha: float) -> tuple[list[Check], pd.DataFrame]:
    """Outlying rows and rows of high leverage."""
    outlying, rows = outlying_rows(estimate, E, alpha)
    index = estimate.sample.index
    leverage = leverages(estimate.sample.system.blocks)
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
        Check(
            LEVERAGE,
            float(leverage.max() / mean),
            np.nan,
            verdict(len(high) > 0),
            found,
            "coefficients lean on these rows' regressors; fit without them and compare",
        ),
    ], rows
