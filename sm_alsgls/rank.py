"""Rank selection: how many factors the errors of a system have."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice
from sm_alsgls.exceptions import OptionError
from sm_alsgls.models.base import SystemModel
from sm_alsgls.rank_choice.rules import METHODS
from sm_alsgls.rank_choice.selection import RankSelection
from sm_alsgls.rank_choice.selector import check_residual_rule, select
from sm_alsgls.results.progress import says

__all__ = ["METHODS", "RankSelection", "select_rank"]


@runtime_checkable
class ChoosesItself(Protocol):
    """A model that compares structures of its own."""

    def select_rank(
        self, method: str = "auto", candidates: Any = None, **fit_options: Any
    ) -> RankSelection:
        """Criteria of candidate structures."""
        ...


@says
def select_rank(
    model: SystemModel | ChoosesItself,
    method: str | None = None,
    candidates: Any = None,
    rng: np.random.Generator | int | None = None,
    *,
    n_starts: int | str = "auto",
    folds: int = 5,
    blocks: Any = False,
    alpha: float = 0.05,
    progress: bool | None = None,
    **fit_options: Any,
) -> RankSelection:
    """Choose the number of factors r of Sigma = F F' + D.

    Parameters
    ----------
    model : LowRankSUR, LowRank3SLS, LowRankPanel or LowRankMixedLM
        Of the second the rules that look at residuals, which are those of 2SLS.
        Its rank does not matter; restrictions on coefficients are kept. It is not changed.
        Of the last "auto", "bic_groups" (which "auto" is, see
        `sm_alsgls.rank_choice.mixed`), "bic" and "aic", all of fits by maximum likelihood.
    method : str, optional
        Default "bic_ols", of mixed models "auto".

        ================ ================================================================
        "bic_ols"        BIC of the factor structure of OLS residuals: the default
        "bic_robust"     the same with rows weighted for heavy tails, and in the order of time
                         counted for less where they are correlated; for finding the number of
                         factors (`sm_alsgls.core.rank.robust`); in the table only when asked
        "aic_ols"        bic_ols with AIC: more power, and too many factors at times
        "bic" "aic"      2 N nll + (log N or 2) m, m all parameters: `bic`, `aic` of the fit
        "ebic"           bic + 2 log C(K, r) (Chen and Chen 2008, gamma = 1)
        "ic1" .. "ic3"   Bai and Ng (2002), Econometrica 70
        "er" "gr"        Ahn and Horenstein (2013), Econometrica 81, with mock eigenvalue
        "ed"             Onatski (2010), Review of Economics and Statistics 92
        "lr"             the first r that its likelihood-ratio test does not reject at ``alpha``
        "cv"             least held-out NLL per row, coefficients and Sigma refitted
        "auto"           what ``rank="auto"`` does: bic_ols, among the ranks that N supports;
                         the only one for missing cells, and no candidate is fitted
        "rule"           max(1, min(8, ceil(K/10))), which looks at no data
        ================ ================================================================
    candidates : list of int and "full", optional
        Default: 0 .. min(10, (N - p) / 3, largest legal rank). "full" may be among them, an
        unrestricted Sigma, where K < N - p: of criteria that need a number of factors it has
        none, ``lr`` accepts it.
    rng : numpy Generator or int, optional
        Of random starts and folds. Default: a fixed seed.
    n_starts : int or "auto"
        Starts of every candidate. "auto": 8 up to 10,000 elements of residuals, beyond one, the
        fit before with a factor more.
    folds : int
        Of "cv".
    blocks : bool, str, Series or array_like
        How "cv" makes folds: False at random; True of consecutive rows, for time series, where
        neighbours of a held-out row would give it away; labels keep their rows together, in any
        form that ``groups`` of clustered standard errors takes.
    alpha : float
        Level of "lr".
    progress : bool, optional
        Whether to say how many candidates are fitted: True with a bar from the start (needs tqdm),
        False never; by default after two seconds, where standard error is a terminal or a notebook.
    **fit_options
        lam_F, lam_B, d_floor, rel_tol, gtol, max_sweeps, cg_tol, cg_maxit, as in `fit`. On
        larger systems gtol defaults to (0.5 / N)^1/2 and rel_tol to 1e-5, unless one of them is
        given: 2 N nll is then within a few per cent of AIC's charge for one factor, and all
        candidates cost a few fits.

    Returns
    -------
    RankSelection

    Raises
    ------
    OptionError, IllegalRankError, UnknownArgumentError
        And what `LowRankSUR.fit` raises.

    Notes
    -----
    Where errors follow laws (``ar=``, ``spatial_error=``, ...) ranks are compared on rows that
    these are nearly taken out of, at values guessed from least-squares residuals.

    ``LowRankSUR(rank="bic_ols")`` does this on construction, with the defaults here.

    Formulas are in `sm_alsgls.core.rank.criteria`. Why not BIC: where residuals have few degrees
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
    if isinstance(model, ChoosesItself):
        _check_unused(folds, blocks, alpha)
        rule = "auto" if method is None else method
        return model.select_rank(rule, candidates, rng=rng, n_starts=n_starts, **fit_options)
    if not isinstance(model, SystemModel):
        raise OptionError(
            f"model must be a LowRankSUR, LowRank3SLS, LowRankPanel or LowRankMixedLM, got "
            f"{type(model).__name__}" + ("; pass results.model" if hasattr(model, "model") else "")
        )
    method = "bic_ols" if method is None else choice(method, "method", METHODS)
    complete = model.has_likelihood
    if not complete:
        check_residual_rule(method, "method")
    if method == "cv" and not isinstance(blocks, (bool, np.bool_)):
        blocks = _block_labels(model, blocks)
    return select(
        model.system_of_ranks,
        model.parameters,
        method,
        candidates,
        rng,
        n_starts=n_starts,
        folds=folds,
        blocks=blocks,
        alpha=alpha,
        fit_options=fit_options,
        complete=complete,
        time=getattr(model.formula_system, "time_axis", None),
    )


def _check_unused(folds: Any, blocks: Any, alpha: Any) -> None:
    """Arguments of criteria that mixed models do not have stay as they are by default."""
    given = [
        name
        for name, value, usual in (
            ("folds", folds, 5), ("blocks", blocks, False), ("alpha", alpha, 0.05)
        )
        if not (type(value) is type(usual) and value == usual)
    ]  # fmt: skip
    if given:
        raise OptionError(
            f"{given[0]}= is of cross-validation and of tests, which do not choose the structure "
            "of random effects; use method='bic_groups', 'bic' or 'aic'"
        )


def _block_labels(model: SystemModel, blocks: Any) -> np.ndarray:
    """A label for each row of the system, as a number (N,)."""
    found = model.provenance.per_row(blocks, "blocks")
    if len(found) != 1:
        raise OptionError(f"blocks must be True, False or one label for each row, got {len(found)}")
    return pd.factorize(found[0])[0]
