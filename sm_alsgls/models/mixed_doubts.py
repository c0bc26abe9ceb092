"""What a fit of a mixed model warns of: no convergence, variances of zero, a singular G."""

from __future__ import annotations

import warnings

import numpy as np

from sm_alsgls.border.blame import caller
from sm_alsgls.border.names import listed
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.identified import inseparable
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.core.mixed.structures import Structure
from sm_alsgls.data.grouped import Names
from sm_alsgls.exceptions import ConvergenceWarning, HeywoodWarning, InsufficientRowsError

# Smallest eigenvalue of correlations of random effects that are not dependent.
_SINGULAR = 1e-8


def refuse_inseparable(
    names: Names, products: CrossProducts, structure: Structure, law: ResidualLaw
) -> None:
    """Refuse residual variances that the data do not tell from those of random effects.

    Raises
    ------
    InsufficientRowsError
    """
    found = inseparable(products, structure, law)
    if not found.number:
        return
    most = int(products.rows.max())
    effects = listed(repr(names.columns_re[j]) for j in np.flatnonzero(found.effects))
    if not found.terms.any():
        raise InsufficientRowsError(
            f"variances and covariances of the random effects {effects} cannot be told apart: no "
            "group has rows that do it, as where each group has one level of a factor only. Take "
            "rank='diagonal', a lower rank, or leave some out"
        )
    labels = getattr(law, "labels", ())
    told = listed(repr(label) for label, lost in zip(labels, found.terms, strict=False) if lost)
    whose = f"the residual variances of {told}" if told else "the residual variance"
    raise InsufficientRowsError(
        f"{whose} and those of the random effects {effects} cannot be told apart: groups have "
        f"at most {most} row{'s' * (most > 1)}, and what one adds to the covariance of these the "
        "other can take away. Leave out random effects"
        + (", or Psi, with uniquenesses=False" if (structure.low == 0.0).any() else "")
        + "; where every group has each of K outcomes once, LowRankSUR is the model without a "
        "second error"
    )


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
