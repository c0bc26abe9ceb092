"""Is a random effect of a row what its errors share? And is there one at all?

With rows of T_n cells and e the residuals of pooled least squares,

    LM = (sum T)^2 / (2 (sum T^2 - sum T)) ( sum_n (1'e_n)^2 / sum_n |e_n|^2 - 1 )^2 ~ chi2(1)

says whether there is an effect of the row (Breusch and Pagan 1980; unbalanced Baltagi and Li 1990);
and the likelihood ratio of Sigma = s_a 1 1' + s_u I against the fitted Sigma, which contains it,
whether equal loadings and equal variances are all there is. Where errors follow laws, residuals are
those that these leave, and the laws' parameters are estimated anew under each Sigma.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.core.errors.law import law_of
from sm_alsgls.core.errors.words import EXCHANGEABLE
from sm_alsgls.core.laws.estimated import BAYES
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.likelihood_ratio import maximum
from sm_alsgls.core.maximise.search import search
from sm_alsgls.data.panel_layout import PanelLayout
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.likelihood_model import LikelihoodModel
from sm_alsgls.results.shown import ShownText


@dataclass(frozen=True, eq=False)
class RandomEffectsTest(ShownText):
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
    most = estimate.likelihood
    if most.ridged:
        raise NotApplicableError("a fit with ridges is no maximum; fit with lam_F=0 and lam_B=0")
    problem = estimate.sample.problem
    if most.search.method == "two-step":
        raise NotApplicableError("two steps are no maximum of the likelihood; fit method='als'")
    E = estimate.sample.without_neighbours(problem.E_ols)
    rows = {"lm": _multiplier(E, problem.n_obs, estimate.sample.cells.mask)}
    if estimate.laws is None:
        small = search(problem.with_errors(law_of(EXCHANGEABLE).make(problem.rows)), 1).best
        cov, small_nll = small.cov, small.nll
    else:
        found = _with_laws(estimate, EXCHANGEABLE)
        cov, small_nll = found.sigma, found.found.best.nll
    if rank == EXCHANGEABLE:
        free = problem.with_errors(law_of(1).make(problem.rows))
        large = search(free, 1).best.nll if estimate.laws is None else _nll(estimate, 1)
        count = law_of(1).parameters(estimate.neqs)
    elif estimate.laws is not None and estimate.laws.how == BAYES:
        large, count = _nll(estimate, rank), law_of(rank).parameters(estimate.neqs)
    else:
        large, count = most.nll, law_of(rank).parameters(estimate.neqs)
    if rank == EXCHANGEABLE or not estimate.has_factors or estimate.rank > 0:
        statistic, df = 2.0 * problem.n_obs * (small_nll - large), float(count - 2)
        rows["lr"] = (statistic, df, float(stats.chi2.sf(statistic, df)))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["statistic", "df", "pvalue"])
    both = cov.marginal([0, 1]).to_dense()
    variances = pd.Series({"effect": both[0, 1], "error": both[0, 0] - both[0, 1]})
    return RandomEffectsTest(table.rename_axis("test"), variances)


def _with_laws(estimate: Estimate, rank: int | str) -> LawFit:
    """The maximum with the same laws of the errors and another law of what they leave."""
    model = cast(LikelihoodModel, estimate.model)
    law = law_of(rank)
    raw = model.raw_system(estimate.likelihood.options, model.laws, law)
    assert estimate.laws is not None
    return maximum(raw.at(estimate.laws.values), law.order)


def _nll(estimate: Estimate, rank: int | str) -> float:
    return _with_laws(estimate, rank).found.best.nll


def _multiplier(E: np.ndarray, n_obs: int, mask: np.ndarray | None) -> tuple[float, float, float]:
    """Breusch and Pagan's statistic, its degrees of freedom and p-value."""
    T = np.full(n_obs, float(E.shape[1])) if mask is None else mask.sum(axis=1)
    excess = float(np.square(E.sum(axis=1)).sum() / np.square(E).sum()) - 1.0
    total = float(T.sum())
    statistic = 0.5 * total**2 / (float(np.square(T).sum()) - total) * excess**2
    return statistic, 1.0, float(stats.chi2.sf(statistic, 1.0))
