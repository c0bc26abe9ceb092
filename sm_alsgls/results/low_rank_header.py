"""What a fit says of itself in a summary: its rank, how it was found, its likelihood."""

from __future__ import annotations

from dataclasses import dataclass

from sm_alsgls.results.criteria import aic, bic, llf, nll_per_row
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import warnings_of
from sm_alsgls.results.header import Header, Line
from sm_alsgls.results.in_sample import regressors
from sm_alsgls.results.laws import about_laws


@dataclass(frozen=True)
class LowRankHeader:
    """Makes the `Header` of an estimate with factors, or with an unrestricted Sigma.

    Attributes
    ----------
    rank_method : str or None
        The rule that chose the rank.
    reason : str or None
        What chose it, in a sentence.
    """

    rank_method: str | None
    reason: str | None

    def __call__(self, estimate: Estimate) -> Header:
        """The header; every number comes from the estimate."""
        maximum = estimate.likelihood
        fit, method = maximum.retvals(), self.rank_method
        tried, reached = len(fit["starts"]), fit["starts_at_best"]
        return Header(
            "LowRankSUR",
            _TITLES[estimate.has_factors],
            [
                ("Model:", ["LowRankSUR"]),
                ("Method:", [_method(maximum.search.method)]),
                law_line(estimate, method),
                ("Date:", None),
                ("Time:", None),
                ("Converged:", ["yes" if maximum.converged else "NO"]),
                ("Sweeps:", [f"{fit['iterations']:d}"]),
                ("Covariance Type:", [estimate.choice.cov_type]),
            ],
            [
                ("No. Observations N:", [f"{estimate.nobs:d}"]),
                ("No. Equations K:", [f"{estimate.neqs:d}"]),
                ("No. Coefficients P:", [f"{estimate.labels.P:d}"]),
                ("Df Model:", [_counted(regressors(estimate))]),
                (_SIGMA[estimate.laws is not None], [_counted(of_sigma(estimate))]),
                ("Log-Likelihood:", [_fixed(llf(estimate))]),
                ("NLL per Row:", [_fixed(nll_per_row(estimate))]),
                ("AIC:", [_fixed(aic(estimate))]),
                ("BIC:", [_fixed(bic(estimate))]),
                ("Starts at the Best:", [f"{reached} of {tried}"]),
            ],
            [*about_laws(estimate), _ABOUT[estimate.has_factors]],
            [
                *([] if self.reason is None else [self.reason]),
                _starts(estimate, tried, reached, fit["worst_gap"]),
            ],
            warnings_of(estimate),
        )


_SIGMA = {False: "Df of Sigma:", True: "Df of Sigma, Laws:"}
_METHODS = {"ols": "Least squares", "two-step": "Two steps (Zellner)"}
_TITLES = {
    True: "Low-Rank Seemingly Unrelated Regressions",
    False: "Seemingly Unrelated Regressions",
}
_ABOUT = {
    True: "Communality is the share of an equation's error variance that the factors explain.",
    False: "Sigma is unrestricted (rank='full'): a variance or covariance of every pair.",
}


def of_sigma(estimate: Estimate) -> float:
    """Parameters of Sigma, and of laws of the errors: all that are counted less coefficients."""
    bound = estimate.model.restrictions
    return estimate.df_model - estimate.labels.P + (0 if bound is None else len(bound.q))


def law_line(estimate: Estimate, method: str | None) -> Line:
    """What Sigma is: its rank, with the rule that chose it, or unrestricted."""
    if not estimate.has_factors:
        return "Sigma:", ["unrestricted"]
    return "Rank r:", [f"{estimate.rank:d}" + (f" ({method})" if method else "")]


def _method(optimizer: str) -> str:
    return _METHODS.get(optimizer, f"{optimizer.upper()}, max. likelihood")


def _counted(df: float) -> str:
    """Parameters; a decimal where some are drawn to their mean."""
    return f"{df:.0f}" if df == round(df) else f"{df:.1f}"


def _fixed(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 1e4 else f"{value:.4f}"


def _starts(estimate: Estimate, tried: int, reached: int, worst_gap: float) -> str:
    if estimate.likelihood.search.method == "two-step":
        return "Two steps: OLS, and GLS with the Sigma of its residuals; no maximum."
    if estimate.has_factors and estimate.rank == 0:
        each = "" if len(estimate.labels.common) else ", OLS for each"
        return f"Rank 0: errors are uncorrelated between equations{each}."
    if tried == 1:
        return "One start: a better maximum elsewhere would not have been seen."
    if reached == tried:
        every = "Both" if tried == 2 else f"All {tried}"
        return f"{every} starts reached this likelihood."
    return (
        f"{reached} of {tried} starts reached this likelihood; the worst ended "
        f"{estimate.nobs * worst_gap:.4g} log-likelihood units below."
    )
