"""What a fit of a mixed model warns of: no convergence, variances of zero, a singular G."""

from __future__ import annotations

import warnings

import numpy as np

from sm_alsgls.border.blame import caller
from sm_alsgls.border.names import listed
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.exceptions import ConvergenceWarning, HeywoodWarning

# Smallest eigenvalue of correlations of random effects that are not dependent.
_SINGULAR = 1e-8


def warn(names: list[str], found: MixedFit) -> None:
    """Say what is doubtful about a fit, to whoever called `fit`.

    Warns
    -----
    ConvergenceWarning, HeywoodWarning
    """
    if not found.converged:
        warnings.warn(
            f"LowRankMixedLM did not converge: {found.message}",
            ConvergenceWarning,
            stacklevel=caller(),
        )
    if found.at_bound.any():
        zero = listed(repr(names[j]) for j in np.flatnonzero(found.at_bound))
        what = "a uniqueness" if found.structure.rank else "the variance"
        warnings.warn(
            f"{what} of the random effects is zero: {zero}; the likelihood would rise below it. "
            + (
                "Factors alone make them differ among groups: take a lower rank"
                if found.structure.rank
                else "Groups do not differ in them: leave them out"
            ),
            HeywoodWarning,
            stacklevel=caller(),
        )
        return
    scale = np.sqrt(np.diagonal(found.G))
    if not (scale > 0.0).all():
        dead = listed(repr(names[j]) for j in np.flatnonzero(~(scale > 0.0)))
        what = f"the variance of {dead} is zero"
    elif (
        not (found.uniquenesses > 0.0).any()
        and found.structure.rank == len(scale)
        and np.linalg.eigvalsh(found.G / np.outer(scale, scale))[0] < _SINGULAR
    ):
        what = "a combination of them has variance zero"
    else:
        return
    warnings.warn(
        f"the covariance of the random effects is singular: {what}. Leave some out, or take "
        "rank='diagonal' or a low rank",
        HeywoodWarning,
        stacklevel=caller(),
    )
