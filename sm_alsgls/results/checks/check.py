"""``Check``: one line of the report, and the lines that stand for many tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.core.residuals.residual_tests import holm
from sm_alsgls.results.checks.report import listed, smallest


class Check(NamedTuple):
    """A row of `Diagnostics.table`."""

    check: str
    statistic: float
    pvalue: float
    verdict: str
    found: str
    advice: str


def skipped(name: str, why: str) -> Check:
    """A check that cannot be made."""
    return Check(name, np.nan, np.nan, "-", why, "")


def verdict(bad: bool) -> str:
    """The word for it."""
    return "look" if bad else "ok"


def convergence(
    measure: float, how: Mapping[str, Any], converged: bool, what: str, raised: str
) -> Check:
    """Whether a search ended, and by how many of its starts.

    Parameters
    ----------
    measure : float
    how : mapping
        ``mle_retvals``: message, starts, starts_at_best.
    converged : bool
    what : str
        What starts reached.
    raised : str
        What to do where it did not end.
    """
    tried, reached = len(how["starts"]), how["starts_at_best"]
    alone = tried > 4 and reached == 1
    return Check(
        "convergence",
        measure,
        np.nan,
        verdict(not converged or alone),
        f"{how['message']}; {reached} of {tried} starts reached this {what}",
        f"not converged: {raised}; one start among many at the best: raise n_starts",
    )


def family(
    name: str, statistic: np.ndarray, pvalues: np.ndarray, names: pd.Index, alpha: float,
    advice: str, what: str,
) -> Check:  # fmt: skip
    """One line about K tests: how many stand after Holm, and which are the worst."""
    adjusted = holm(pvalues)
    if not np.isfinite(adjusted).any():
        return Check(name, np.nan, np.nan, "-", "too few rows", "")
    bad = np.flatnonzero(adjusted < alpha)
    bad = bad[np.argsort(pvalues[bad], kind="stable")]
    worst = int(np.nanargmin(pvalues))
    found = f"{len(bad)} of {len(names)} {what} reject"
    if len(bad):
        found += f": {listed(names[bad])}"
    else:
        plain = int(np.sum(pvalues < alpha))
        found += f" ({plain} one by one; the smallest p-value, {pvalues[worst]:.2g}, is that of "
        found += f"{str(names[worst])!r})"
    return Check(
        name,
        float(statistic[worst]),
        smallest(adjusted),
        verdict(len(bad) > 0),
        found,
        advice,
    )
