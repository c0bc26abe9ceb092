"""The checks behind `InteractivePanelResults.diagnostics`."""

from __future__ import annotations

import numpy as np

from sm_alsgls.border.arguments import level
from sm_alsgls.core.interactive.residuals import unit_bases
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.results.checks.check import Check, convergence, skipped, verdict
from sm_alsgls.results.checks.panel import (
    Advice,
    Left,
    PanelDiagnostics,
    named,
    report,
    with_errors,
)
from sm_alsgls.results.interactive_estimate import InteractiveEstimate, influence_of
from sm_alsgls.results.interactive_parts import retvals

# Share of a unit in the loadings beyond which a factor is about that unit's residual.
_OWN = 0.9
_ADVICE = Advice(
    "errors of units are correlated: another factor, or effects='both'; or standard errors that "
    "allow for it, fit(cov_type='cluster', cov_kwds={'groups': 'time'})",
    "lags of the response or regressors; or weights that take it out, fit(ar='auto'), where no "
    "cell is missing; standard errors of cov_type='cluster', the default, and 'HAC' allow for it, "
    "and bias terms of fit(serial=3)",
    "estimates and standard errors do without normal errors; see which cells are outlying, take a "
    "response in logarithms; bootstrap('wild')",
    "standard errors allow for it but cov_type='nonrobust'; a response in logarithms may be more "
    "precise",
)


@on_one_thread
def diagnostics(estimate: InteractiveEstimate, alpha: float = 0.05) -> PanelDiagnostics:
    """What is doubtful about this fit, by name, and what to do about it.

    Convergence and curvature; factors that are one unit's; correlation of residuals between units
    (Pesaran's CD less what the fit does to it, and Juodis and Reese's) and in time; normality;
    variances that move with regressors; outlying cells. All allow for what factors, loadings and
    effects take of residuals, and for missing cells. Units that are fitted exactly have no part in
    them.

    Parameters
    ----------
    alpha : float
        Level of each check: that of the smallest p-value among n units or all cells, by Holm.

    Returns
    -------
    PanelDiagnostics
        ``table``, ``units``, ``pairs``, ``cells``, ``across``, ``summary()``.

    Raises
    ------
    DegenerateResponseError
        All units are fitted exactly.

    Notes
    -----
    Checks are of residuals in units of the errors: where cells are weighted by a correlation in
    time, of what each has beyond it. Formulas are in `core.interactive.residuals`. Where there are
    effects of periods residuals add up to about zero in each, and the CD says nothing: then only
    the weighted one is there.

    References
    ----------
    Pesaran (2021), Empirical Economics 60; Juodis and Reese (2022), Journal of Business and
    Economic Statistics 40; Pesaran and Xie (2023), arXiv 2109.00408.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls import LowRankPanel
    >>> from sm_alsgls.datasets import load_cigarettes
    >>> model = LowRankPanel.from_formula(
    ...     "np.log(sales) ~ np.log(price / cpi) + np.log(ndi / cpi)", load_cigarettes(), rank=2,
    ...     entity="state", time="year", effects="both", factors="fixed",
    ... )
    >>> name = "serial correlation, jointly"
    >>> for ar in (0, "auto"):  # residuals, and what they have beyond weights in time
    ...     print(model.fit(ar=ar).diagnostics().table.loc[name, "verdict"])
    look
    ok
    """
    alpha = level(alpha)
    fit, at, seen = estimate.fit, estimate.at, estimate.cells.seen
    told = with_errors(at.E, estimate.cells.panel.Y, seen)
    seen = seen & told
    factors, W = at.at.factors, at.W
    found, T = fit.variances, estimate.sizes[0]
    H = np.column_stack([W.L, factors.U])
    left = Left(
        cells=estimate.cells,
        seen=seen,
        z=np.where(seen, at.at.E, 0.0),
        d=np.where(told, fit.d, np.nan),
        nu=found.nu0 + found.nu,
        bases=unit_bases(H, seen),
        taken=np.column_stack([W.Q, factors.V]),
        freedom=float(T - H.shape[1]),
        advice=_ADVICE,
        rho=fit.rho,
    )
    how = retvals(estimate)
    search = convergence(
        float(how["worst_gap"]), how, estimate.converged, "sum of squares",
        "raise maxiter, or doubt the rank",
    )  # fmt: skip
    return report(left, [search, _curvature(estimate), _own(estimate)], alpha)


def _curvature(estimate: InteractiveEstimate) -> Check:
    curved = influence_of(estimate).curved
    return Check(
        "curvature",
        np.nan,
        np.nan,
        verdict(not curved),
        "the sum of squares is curved as the regressors have it"
        if curved
        else "the sum of squares has little curvature beside what the regressors have",
        "another number of factors, or more starts (n_starts=), may find another minimum",
    )


def _own(estimate: InteractiveEstimate) -> Check:
    name = "factors of one unit"
    if not estimate.rank:
        return skipped(name, "there are no factors")
    share = np.square(estimate.at.at.factors.V).sum(axis=1)
    bad = np.flatnonzero(share > _OWN)
    units = estimate.cells.units
    return Check(
        name,
        float(share.max()),
        np.nan,
        verdict(len(bad) > 0),
        f"{len(bad)} of {len(units)} units{named(units, bad)}; the largest share in the loadings, "
        f"{share.max():.2f}, is that of {str(units[share.argmax()])!r}",
        "a factor is little but what is left of this unit: leave it out, or take fewer factors",
    )
