"""What a fit with instruments says of itself in a summary."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from sm_alsgls.border.names import listed
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import heywood
from sm_alsgls.results.header import Header
from sm_alsgls.results.low_rank_header import law_line

_METHODS = {"iv": "3SLS", "gmm": "System GMM", "2sls": "2SLS"}
_TITLES = {
    ("iv", True): "Low-Rank Three-Stage Least Squares",
    ("iv", False): "Three-Stage Least Squares",
    ("gmm", True): "Low-Rank System GMM",
    ("gmm", False): "System GMM",
    ("2sls", True): "Two-Stage Least Squares",
    ("2sls", False): "Two-Stage Least Squares",
}
_ASSUMES = {
    "iv": "3SLS takes every instrument as exogenous to every equation; hausman() compares it with "
    "2SLS, which does not.",
    "gmm": "GMM takes instruments as exogenous to their own equation only.",
    "2sls": "2SLS takes instruments as exogenous to their own equation only; Sigma enters standard "
    "errors across equations, not coefficients.",
}


@dataclass(frozen=True)
class ThreeStageHeader:
    """Makes the `Header` of an estimate with instruments.

    Attributes
    ----------
    rank_method : str or None
        The rule that chose the rank.
    reason : str or None
        What chose it, in a sentence.
    doubts : tuple of str
        What was warned of when the model was fitted.
    """

    rank_method: str | None
    reason: str | None
    doubts: tuple[str, ...] = ()

    def __call__(self, estimate: Estimate) -> Header:
        """The header; every number comes from the estimate."""
        found = estimate.instrumented
        method = _METHODS[found.method] + (", iterated" if found.iterated else "")
        method += ", robust weight" if found.robust else ""
        J, p = "none", "none"
        if found.df:
            J = f"{found.J:.4f} ({found.df:d})"
            p = f"{stats.chi2.sf(found.J, found.df):.4g}"
        total = int(estimate.p.sum()) + found.df
        doubts = [] if found.converged else [f"NOT CONVERGED: {found.status}."]
        at_bound = heywood(estimate)
        if at_bound and found.method != "2sls":
            doubts.append(
                f"The uniqueness of {listed(map(repr, at_bound))} is on its lower bound (*): the "
                "factors fit it exactly; lower the rank, or with few equations use rank='full'."
            )
        return Header(
            "LowRank3SLS",
            _TITLES[found.method, estimate.has_factors],
            [
                ("Model:", ["LowRank3SLS"]),
                ("Method:", [method]),
                law_line(estimate, self.rank_method),
                ("Date:", None),
                ("Time:", None),
                ("Rounds:", [f"{len(found.steps):d}"]),
                ("Covariance Type:", [estimate.choice.cov_type]),
            ],
            [
                ("No. Observations N:", [f"{estimate.nobs:d}"]),
                ("No. Equations K:", [f"{estimate.neqs:d}"]),
                ("No. Coefficients P:", [f"{estimate.labels.P:d}"]),
                ("No. Instruments Q:", [f"{total:d}"]),
                ("J (df):", [J]),
                ("Prob (J):", [p]),
                ("Converged:", ["yes" if found.converged else "NO"]),
            ],
            [_ABOUT[estimate.has_factors]],
            [
                *([] if self.reason is None else [self.reason]),
                _ASSUMES[found.method],
                "No likelihood was maximised: there is no log-likelihood, AIC or BIC.",
            ],
            [*doubts, *self.doubts],
        )


_ABOUT = {
    True: "Communality is the share of an equation's error variance that the factors explain. "
    "R-squared is that of residuals y - X b, and may be negative.",
    False: "Sigma is unrestricted (rank='full'). R-squared is that of residuals y - X b, and may "
    "be negative.",
}
