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

# Variances of combinations of random effects that are zero, as shares of s2 that rows have of them.
_ZERO = 1e-10
# Curvatures, in units of the information, of a likelihood that is flat: those of identified
# variances are .1 to 1, of others 1e-8.
_FLAT = 1e-5


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
    elif found.curvature is not None and found.curvature < _FLAT:
        saddle = found.curvature < -_FLAT
        warnings.warn(
            f"LowRankMixedLM ended at a {'saddle' if saddle else 'flat place'} of the likelihood, "
            f"whose least curvature is {found.curvature:.1e} of the information's: "
            + (
                "n_starts= runs more starts"
                if saddle
                else "the data do not tell some of its variances, and those reported are any. "
                "Regressors that take away what differs among groups, such as dummies of groups, "
                "leave nothing of a random effect to the restricted likelihood: leave out one or "
                "the other"
            ),
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
    # In the working columns of Z, which are orthogonal: in others an offset makes correlations 1.
    z = found.products.basis.z
    root = z @ found.A
    own = np.square(np.linalg.norm(found.A, axis=1) * np.linalg.norm(z, axis=0))
    zero = own < _ZERO
    if zero.any():
        dead = listed(repr(names[j]) for j in np.flatnonzero(zero))
        what = f"the variance{f's of {dead} are' if zero.sum() > 1 else f' of {dead} is'} zero"
    elif found.structure.rank == len(z) and np.linalg.eigvalsh(root @ root.T)[0] < _ZERO:
        what = "a combination of them has variance zero"
    else:
        return
    warnings.warn(
        f"the covariance of the random effects is singular: {what}. Leave some out, or take "
        "rank='diagonal' or a low rank",
        HeywoodWarning,
        stacklevel=caller(),
    )
