"""How a fit went: what `mle_retvals` holds, and what a reader must be told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.core.maximise.search import SAME, Search
from sm_alsgls.core.rank.excess import LastFactor


def retvals(found: Search, shift: float = 0.0) -> dict[str, Any]:
    """The dictionary of `LowRankSURResults.mle_retvals`; ``shift`` is taken off every NLL."""
    best = found.best
    starts = pd.DataFrame(found.runs)
    starts.columns = ["start", "nll", "gap", "sweeps", "ended"]
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


def heywood_message(equations: list[str], at_bound: np.ndarray) -> str:
    """Which equations have a uniqueness on its bound, and what to do."""
    named = [equations[j] for j in np.flatnonzero(at_bound)]
    listed = ", ".join(repr(name) for name in named[:8])
    more = f" and {len(named) - 8} more" if len(named) > 8 else ""
    return (
        f"Heywood case: the uniqueness of {listed}{more} is at its lower bound, so the factors "
        "fit it exactly; lower the rank, or raise d_floor"
    )


def spare_message(rank: int, last: LastFactor) -> str:
    """That the last factor is noise, and what to do."""
    return (
        f"rank={rank} is plainly too high: the last factor is weaker than noise is half the time "
        f"(eigenvalue {last.eigenvalue:.3g}, noise {last.noise:.3g}). Factors that are noise make "
        "intervals too short; lower the rank, or let rank='auto' choose it"
    )


def unbounded_message(rank: int) -> str:
    """That there is no maximum to find, and what to do."""
    return (
        f"the likelihood has no maximum at rank={rank}: with so few rows {rank + 1} equations can "
        "be fitted exactly by the factors and their own regressors together, and this is a local "
        "maximum beside such spikes, from the first start; lower the rank, or restrict or share "
        "regressors"
    )


def reader_warnings(found: Search, equations: list[str], last: LastFactor | None) -> list[str]:
    """What a reader of the estimates must know, as the summary prints it.

    ``last`` is the last factor beside noise, where there is one.
    """
    best, notes = found.best, []
    if not best.converged:
        notes.append(f"NOT CONVERGED: {best.status}.")
    if best.at_bound.any():
        notes.append(heywood_message(equations, best.at_bound) + " (*).")
    if found.curvature is not None and found.curvature.is_saddle:
        notes.append("The likelihood still rises in some direction: a saddle, not a maximum.")
    if not found.bounded:
        message = unbounded_message(best.cov.rank)
        notes.append(message[0].upper() + message[1:] + ".")
    if last is not None and last.is_spare:
        notes.append(spare_message(best.cov.rank, last) + ".")
    return notes
