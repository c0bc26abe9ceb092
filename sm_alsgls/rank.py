"""Rank selection: how many factors the errors of a system have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.core.factor import auto_rank
from sm_alsgls.exceptions import OptionError
from sm_alsgls.labels import shown
from sm_alsgls.models.arguments import generator, number_of_starts
from sm_alsgls.models.rank_choice import (
    candidate_ranks,
    criteria_table,
    path_options,
    sizes,
)
from sm_alsgls.models.rank_folds import cross_validate, fold_labels
from sm_alsgls.models.stream import StreamedSystem
from sm_alsgls.models.sur import LowRankSUR
from sm_alsgls.results.rank_selection import RULES, RankSelection, choose

__all__ = ["RankSelection", "select_rank"]

METHODS = ("auto", *RULES)
# These take the fit for the maximum of the likelihood, which a ridge moves.
_LIKELIHOOD = ("bic", "aic", "ebic", "lr")


def select_rank(
    model: LowRankSUR,
    method: str = "bic_ols",
    candidates: Any = None,
    rng: np.random.Generator | int | None = None,
    *,
    n_starts: int | str = "auto",
    folds: int = 5,
    blocks: Any = False,
    alpha: float = 0.05,
    **fit_options: Any,
) -> RankSelection:
    """Choose the number of factors r of Sigma = F F' + D.

    Parameters
    ----------
    model : LowRankSUR
        Its rank does not matter; restrictions on coefficients are kept. It is not changed.
    method : str
        ================ ================================================================
        "bic_ols"        BIC of the factor structure of OLS residuals: the default
        "aic_ols"        the same with AIC: more power, and too many factors at times
        "bic" "aic"      2 N nll + (log N or 2) m, m all parameters: `bic`, `aic` of the fit
        "ebic"           bic + 2 log C(K, r) (Chen and Chen 2008, gamma = 1)
        "ic1" .. "ic3"   Bai and Ng (2002), Econometrica 70
        "er" "gr"        Ahn and Horenstein (2013), Econometrica 81, with mock eigenvalue
        "ed"             Onatski (2010), Review of Economics and Statistics 92
        "lr"             the first r that its likelihood-ratio test does not reject at ``alpha``
        "cv"             least held-out NLL per row, coefficients and Sigma refitted
        "auto"           the rule max(1, min(8, ceil(K/10))), which looks at no data
        ================ ================================================================
    candidates : list of int, optional
        Default: 0 .. min(10, (N - p) / 3, largest legal rank).
    rng : numpy Generator or int, optional
        Of random starts and folds. Default: a fixed seed.
    n_starts : int or "auto"
        Starts of every candidate. "auto": 8 up to 10,000 elements of residuals, beyond one, the
        fit before with a factor more.
    folds : int
        Of "cv".
    blocks : bool or array_like (N,)
        How "cv" makes folds: False at random; True of consecutive rows, for time series, where
        neighbours of a held-out row would give it away; labels keep their rows together.
    alpha : float
        Level of "lr".
    **fit_options
        lam_F, lam_B, d_floor, rel_tol, gtol, max_sweeps, cg_tol, cg_maxit, as in `fit`. On
        larger systems gtol defaults to (0.05 / N)^1/2: 2 N nll is then
        within 5 % of AIC's charge for one factor, and all candidates cost about what one fit does
        several times.

    Returns
    -------
    RankSelection

    Raises
    ------
    OptionError, IllegalRankError, UnknownArgumentError
        And what `LowRankSUR.fit` raises.

    Notes
    -----
    Formulas are in `sm_alsgls.core.rank_criteria`. Why not BIC: where residuals have few degrees
    of freedom, the maximum over coefficients and Sigma together over-fits, and bic follows it
    (N=17, K=48, p=5: the largest candidate in every draw, whatever the truth). Too many factors
    cost coverage, too few hardly any (benchmarks/rank_recovery.md), so the default is careful.

    "lr" is the likelihood-ratio test of r factors against an unrestricted Sigma with Bartlett's
    factor (as `diagnostics.sufficiency_test`), where rows allow that and K <= 50. Elsewhere it is
    that of r against r + 1 at the D of rank r, a function of the largest eigenvalue t that r
    factors leave, and t is referred to the Tracy-Widom law of white noise with K - r columns and
    N - p - r rows (Johnstone 2001, Annals of Statistics 29); the chi2 of `diagnostics.rank_test`
    rejects far too often.

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> from sm_alsgls.rank import select_rank
    >>> model = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year"
    ... )
    >>> chosen = select_rank(model)
    >>> chosen
    <RankSelection: rank 1 by 'bic_ols', candidates 0..5>
    >>> chosen.table.loc[:2, ["llf", "parameters", "bic_ols"]].round(1).rename_axis(None)
         llf  parameters  bic_ols
    0 -840.2          44   1459.5
    1 -812.3          55   1450.7
    2 -794.0          65   1457.9
    """
    if not isinstance(model, LowRankSUR):
        raise OptionError(
            f"model must be a LowRankSUR, got {type(model).__name__}"
            + ("; pass results.model" if hasattr(model, "model") else "")
        )
    if method not in METHODS:
        raise OptionError(f"method must be one of {', '.join(METHODS)}; got {shown(method)}")
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0.0 < alpha < 1.0:
        raise OptionError(f"alpha must lie between 0 and 1, got {shown(alpha)}")
    system = model._system
    if not system.cells.complete or (method == "cv" and system.cells.weighted):
        raise OptionError(
            "select_rank needs complete rows"
            + (
                ": criteria look at residuals of every cell; fit the candidates with "
                "missing='fiml' and compare res.bic"
                if not system.cells.complete
                else " without weights for method='cv'; use method='bic_ols'"
            )
        )
    ranks = candidate_ranks(candidates, system)
    options = path_options(fit_options)
    if method in _LIKELIHOOD and (options.lam_F > 0.0 or options.lam_B > 0.0):
        raise OptionError(
            f"method={method!r} needs the maximum of the likelihood, which lam_F and lam_B move; "
            "use method='cv' or one of OLS residuals (bic_ols, ic1, ..., ed)"
        )
    limit, source = number_of_starts(n_starts), generator(rng)
    N, K, p = sizes(system)
    if method == "cv" and isinstance(system, StreamedSystem):
        raise OptionError(
            "method='cv' refits without some rows, but the rows of this model were read in chunks "
            "and not kept; use method='bic_ols'"
        )
    labels = fold_labels(N, folds, blocks, source) if method == "cv" else None
    table, problem, fits = criteria_table(
        system, model.restrictions, ranks, options, limit, source, loose="gtol" not in fit_options
    )
    if labels is not None:
        score, error = cross_validate(system, model.restrictions, problem, fits, *labels)
        at = table.columns.get_loc("converged")
        table.insert(at, "cv", score)
        table.insert(at + 1, "cv_se", error)
    choices = pd.Series(
        [choose(name, table[name], float(alpha)) for name in RULES if name in table],
        index=[name for name in RULES if name in table],
        dtype="Int64",
        name="rank",
    )
    rank = _chosen(method, choices, ranks, (N, K, p))
    notes = _notes(rank, ranks, table, method)
    return RankSelection(rank, method, table, choices, float(alpha), N, K, notes)


def _chosen(method: str, choices: pd.Series, ranks: list[int], shape: tuple[int, int, int]) -> int:
    N, K, p = shape
    if method == "auto":
        rule = auto_rank(K, N, p)
        return max((r for r in ranks if r <= rule), default=ranks[0])
    if pd.isna(choices[method]):
        raise OptionError(
            f"method={method!r} is not defined for {K} equations, {N} rows and candidates {ranks}: "
            "it looks at eigenvalues past the largest candidate; use method='bic_ols' or fewer "
            "candidates"
        )
    return int(choices[method])


def _notes(rank: int, ranks: list[int], table: pd.DataFrame, method: str) -> list[str]:
    notes = []
    if rank == ranks[-1] and len(ranks) > 1 and method != "auto":
        notes.append(
            "The largest candidate was chosen: the criterion may not tell factors from noise here."
        )
    missed = [str(r) for r in table.index[~table["converged"]]]
    if missed:
        notes.append(
            f"NOT CONVERGED: the fit{'s' * (len(missed) > 1)} of rank {', '.join(missed)}; "
            "criteria of the likelihood are approximate there."
        )
    return notes
