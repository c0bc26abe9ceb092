"""Is a random effect of a row what its errors share? And is there one at all?

With rows of T_n cells and e the residuals of pooled least squares,

    LM = (sum T)^2 / (2 (sum T^2 - sum T)) ( sum_n (1'e_n)^2 / sum_n |e_n|^2 - 1 )^2 ~ chi2(1)

says whether there is an effect of the row (Breusch and Pagan 1980; unbalanced Baltagi and Li 1990);
and the likelihood ratio of Sigma = s_a 1 1' + s_u I against the fitted Sigma, which contains it,
whether equal loadings and equal variances are all there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.core.errors.law import EXCHANGEABLE, law_of
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.problem import Problem
from sm_alsgls.data.panel_layout import PanelLayout
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results.estimate import Estimate


@dataclass(frozen=True, eq=False)
class RandomEffectsTest:
    """Tests of the classical random effect of a row.

    Attributes
    ----------
    table : DataFrame
        Rows ``lm`` (no effect; a small p-value says that there is one) and, where the fit has
        factors, ``lr`` (the effect is all; a small p-value says that loadings or variances
        differ); columns ``statistic``, ``df``, ``pvalue``.
    variances : Series
        ``effect`` and ``error``, s_a and s_u of maximum likelihood.
    """

    table: pd.DataFrame
    variances: pd.Series

    def __str__(self) -> str:
        return (
            "Random effect of a row: lm, there is none; lr, there is nothing else\n"
            + self.table.to_string(float_format=lambda value: f"{value:.4g}")
        )

    def __repr__(self) -> str:
        tests = ", ".join(f"{name} p = {row.pvalue:.4g}" for name, row in self.table.iterrows())
        return f"<RandomEffectsTest: {tests}>"


def random_effects_test(
    estimate: Estimate, layout: PanelLayout, rank: int | str
) -> RandomEffectsTest:
    """See `LowRankPanelResults.random_effects_test`; ``rank`` is the model's."""
    if layout.swept:
        raise NotApplicableError(
            f"effects={layout.effects!r} sweep out a row's effect, so that none is left to test; "
            "make the model with effects=None"
        )
    maximum = estimate.likelihood
    if maximum.ridged:
        raise NotApplicableError("a fit with ridges is no maximum; fit with lam_F=0 and lam_B=0")
    problem = estimate.sample.problem
    rows = {"lm": _multiplier(problem, estimate.sample.cells.mask)}
    small = search(problem.with_errors(law_of(EXCHANGEABLE).make(problem.rows)), 1).best
    if rank == EXCHANGEABLE:
        free = problem.with_errors(law_of(1).make(problem.rows))
        large, count = search(free, 1).best.nll, free.errors.parameters(1)
    else:
        large, count = maximum.search.best.nll, problem.errors.parameters(estimate.rank)
    if maximum.search.method == "two-step":
        raise NotApplicableError("two steps are no maximum of the likelihood; fit method='als'")
    if rank == EXCHANGEABLE or not estimate.has_factors or estimate.rank > 0:
        statistic, df = 2.0 * problem.n_obs * (small.nll - large), float(count - 2)
        rows["lr"] = (statistic, df, float(stats.chi2.sf(statistic, df)))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["statistic", "df", "pvalue"])
    both = small.cov.marginal([0, 1]).to_dense()
    variances = pd.Series({"effect": both[0, 1], "error": both[0, 0] - both[0, 1]})
    return RandomEffectsTest(table.rename_axis("test"), variances)


def _multiplier(problem: Problem, mask: np.ndarray | None) -> tuple[float, float, float]:
    """Breusch and Pagan's statistic, its degrees of freedom and p-value."""
    E = problem.E_ols
    T = np.full(problem.n_obs, float(problem.K)) if mask is None else mask.sum(axis=1)
    excess = float(np.square(E.sum(axis=1)).sum() / np.square(E).sum()) - 1.0
    total = float(T.sum())
    statistic = 0.5 * total**2 / (float(np.square(T).sum()) - total) * excess**2
    return statistic, 1.0, float(stats.chi2.sf(statistic, 1.0))
