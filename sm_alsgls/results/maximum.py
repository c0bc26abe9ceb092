"""How a likelihood was maximised, and what a reader of the estimates must be told of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border.names import listed
from sm_alsgls.core.maximise.found import Search
from sm_alsgls.core.maximise.search import SAME
from sm_alsgls.core.maximise.solution import Sweep
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.rank.excess import LastFactor
from sm_alsgls.core.rows.joint_rows import JointRows
from sm_alsgls.data.removed import in_place_of

# Equations up to which an unrestricted Sigma is recommended in place of a Heywood case.
_FEW = 5


@dataclass(frozen=True, eq=False)
class Maximum:
    """The end of a search, and the likelihood there.

    Attributes
    ----------
    search : Search
        Once the data are gone, without residuals.
    nll : float
        Negative log-likelihood per row, without ridges, of rows times the roots of their weights.
    shift : float
        The weights' log-Jacobian per row, which is taken off every NLL.
    options : ALSOptions
        Of the search.
    sparse : JointRows or None
        Equations that share too few rows for the likelihood to have a bound.
    """

    search: Search
    nll: float
    shift: float
    options: ALSOptions
    sparse: JointRows | None = None

    @property
    def nll_per_row(self) -> float:
        """Negative log-likelihood per row, the weights' Jacobian included."""
        return self.nll - self.shift

    @property
    def ridged(self) -> bool:
        """Whether a ridge moved the maximum."""
        return self.options.lam_F > 0.0 or self.options.lam_B > 0.0

    @property
    def converged(self) -> bool:
        """Whether the best point is stationary."""
        return self.search.best.converged

    @property
    def settings(self) -> dict[str, Any]:
        """What `mle_settings` holds."""
        return {"optimizer": self.search.method, **vars(self.options)}

    def without_data(self) -> Maximum:
        """The same without residuals."""
        best = replace(self.search.best, E=in_place_of("residuals"), block=None)
        return replace(self, search=replace(self.search, best=best))

    def retvals(self) -> dict[str, Any]:
        """The dictionary of `LowRankSURResults.mle_retvals`."""
        found, shift = self.search, self.shift
        best = found.best
        starts = pd.DataFrame(found.runs)
        starts.columns = pd.Index(["start", "nll", "gap", "sweeps", "ended"])
        starts["nll"] -= shift
        return {
            "converged": best.converged,
            "message": best.status,
            "method": found.method,
            "iterations": len(best.trace) - 1,
            "nll_trace": [row.nll - shift for row in best.trace],
            "nll_beta_trace": [row.nll_beta - shift for row in best.trace[1:]],
            "accept_t": [row.accept_t for row in best.trace[1:]],
            "cg": [row.cg_iterations for row in best.trace[1:]],
            "heywood": np.flatnonzero(best.at_bound).tolist(),
            "gradient_d": best.gradient_d,
            "score_beta": best.score_beta,
            "starts": starts,
            "starts_at_best": int((starts["gap"] <= SAME).sum()),
            "worst_gap": float(starts["gap"].max()),
            "lowest_curvature": found.curvature.lowest if found.curvature else None,
        }

    def trace(self) -> pd.DataFrame:
        """One row per sweep of the winning start."""
        table = pd.DataFrame(self.search.best.trace, columns=Sweep._fields).set_index("sweep")
        return table.assign(nll_beta=table["nll_beta"] - self.shift, nll=table["nll"] - self.shift)

    def warnings(
        self, equations: list[str], messages: Messages, last: LastFactor | None
    ) -> list[str]:
        """What a reader of the estimates must know, as the summary prints it.

        ``last`` is the last factor beside noise, where there is one.
        """
        found, notes = self.search, []
        best = found.best
        if not best.converged:
            notes.append(f"NOT CONVERGED: {best.status}.")
        if best.at_bound.any():
            notes.append(messages.heywood(equations, best.at_bound) + " (*).")
        if found.curvature is not None and found.curvature.is_saddle:
            notes.append("The likelihood still rises in some direction: a saddle, not a maximum.")
        if not found.bounded:
            message = messages.unbounded()
            notes.append(message[0].upper() + message[1:] + ".")
        if last is not None and last.is_spare:
            notes.append(messages.spare(last) + ".")
        return notes


class Messages(NamedTuple):
    """What is said of a fit's doubts, in the words of its law of the errors.

    Attributes
    ----------
    rank : int
    has_factors : bool
    """

    rank: int
    has_factors: bool

    def heywood(self, equations: list[str], at_bound: np.ndarray) -> str:
        """Which equations have a variance on its bound, and what to do."""
        named = listed(repr(equations[j]) for j in np.flatnonzero(at_bound))
        if not self.has_factors:
            return (
                f"Sigma is singular: the equations before it determine the errors of {named}, "
                "so the likelihood has no maximum; fit with method='two-step' or a low "
                "rank, or leave the equation out"
            )
        unrestricted = (
            "; with so few equations rank='full', an unrestricted Sigma, has no such cases"
            if len(equations) <= _FEW
            else ""
        )
        return (
            f"Heywood case: the uniqueness of {named} is at its lower bound, so the factors "
            f"fit it exactly; lower the rank, or raise d_floor{unrestricted}"
        )

    def spare(self, last: LastFactor) -> str:
        """That the last factor is noise, and what to do."""
        return (
            f"rank={self.rank} is plainly too high: the last factor is weaker than noise is half "
            f"the time (eigenvalue {last.eigenvalue:.3g}, noise {last.noise:.3g}). Factors that "
            "are noise make intervals too short; lower the rank, or let rank='auto' choose it"
        )

    def unbounded(self) -> str:
        """That there is no maximum to find, and what to do."""
        if not self.has_factors:
            return (
                "the likelihood of rank='full' has no maximum: with so few rows a combination of "
                "all errors can be fitted exactly by the regressors, and this is a local maximum "
                "beside such spikes, from the first start; fit with method='two-step' or a low "
                "rank, or restrict or share regressors"
            )
        return (
            f"the likelihood has no maximum at rank={self.rank}: with so few rows {self.rank + 1} "
            "equations can be fitted exactly by the factors and their own regressors together, and "
            "this is a local maximum beside such spikes, from the first start; lower the rank, or "
            "restrict or share regressors"
        )
