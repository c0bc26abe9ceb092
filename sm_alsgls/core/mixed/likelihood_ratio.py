"""Likelihood ratios of structures of the random effects, whose null is on a boundary.

A variance that is zero lies at the end of its range, and twice the log-likelihood ratio is a
mixture of chi2 (Self and Liang 1987, J. American Statistical Association 82; Stram and Lee 1994,
Biometrics 50). It is known where one effect j is left out of q, what there is without it being
inside of its range: G_jj >= 0 and as many covariances, free, as the structure gives j,

    any G            1/2 chi2(q-1) + 1/2 chi2(q)
    diagonal         1/2 chi2(0) + 1/2 chi2(1)
    rank r, diagonal 1/2 chi2(r) + 1/2 chi2(r+1),   r loadings of j and its uniqueness
    Lambda Lambda'   chi2(r),                        r < q: nothing of j has a range

and a plain chi2 where a structure with positive variances is a smooth part of a larger: diagonal,
or rank r, in any G. Of all else (several effects, rank r in r + 1, where r + 1 loadings are not
identified under the null) the law depends on the design, and is drawn: responses from the smaller
fit, to which both are fitted again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.nested import without_effects
from sm_alsgls.core.mixed.rows import MixedRows
from sm_alsgls.core.mixed.simulation import Draws
from sm_alsgls.core.mixed.structures import Structure
from sm_alsgls.progress import counted

Array = np.ndarray

# Smallest eigenvalue of correlations of effects of a G that is inside of its range.
_SINGULAR = 1e-6


@dataclass(frozen=True)
class Mixture:
    """A mixture of chi2, of which chi2(0) is 0.

    Attributes
    ----------
    weights : tuple of float
        Their sum is 1.
    df : tuple of int

    Examples
    --------
    >>> round(Mixture((0.5, 0.5), (0, 1)).sf(2.705543), 4)
    0.05
    """

    weights: tuple[float, ...]
    df: tuple[int, ...]

    def sf(self, x: float) -> float:
        """P(more than x), and of x = 0 or more where x is 0."""
        parts = [
            w * (float(x <= 0.0) if df == 0 else float(stats.chi2.sf(x, df)))
            for w, df in zip(self.weights, self.df, strict=True)
        ]
        return float(sum(parts))

    def __str__(self) -> str:
        parts = zip(self.weights, self.df, strict=True)
        return " + ".join(f"{w:g} chi2({df})" if w != 1.0 else f"chi2({df})" for w, df in parts)


def mixture(null: MixedFit, full: Structure) -> Mixture | None:
    """The law of 2 (llf - llf_null) under a null fit, where it is known; None where not.

    Parameters
    ----------
    null : MixedFit
        Of some of the effects of ``full``, or of another structure of all of them.
    full : Structure
    """
    small = null.structure
    q, dropped = full.q, full.q - (small.q if small.size else 0)
    if dropped and not small.size:
        return Mixture((0.5, 0.5), (0, 1)) if q == 1 else None
    if not _inside(null):
        return None
    if dropped == 1 and _bare(small) == _bare(full):
        return _one_effect_less(small, full)
    if dropped == 0 and _any(full) and not _any(small) and not _bare(small):
        return Mixture((1.0,), (full.n_free - small.n_free,))
    return None


def _any(structure: Structure) -> bool:
    """Whether G may be any."""
    return structure.n_free == structure.q * (structure.q + 1) // 2 and structure.any_basis


def _bare(structure: Structure) -> bool:
    """Whether it has no uniquenesses."""
    return not np.isfinite(structure.low).any()


def _inside(null: MixedFit) -> bool:
    """Whether nothing of G is on a bound that it may have."""
    if null.at_bound.any():
        return False
    if not _any(null.structure):
        return True
    sd = np.sqrt(np.diagonal(null.G))
    if not sd.min(initial=np.inf) > 0.0:
        return False
    return float(np.linalg.eigvalsh(null.G / np.outer(sd, sd))[0]) > _SINGULAR


def _one_effect_less(small: Structure, full: Structure) -> Mixture | None:
    q = full.q
    if _any(full):
        return Mixture((0.5, 0.5), (q - 1, q)) if _any(small) else None
    if small.rank != full.rank:
        return None
    more = full.n_free - small.n_free
    if not _bare(full):
        return Mixture((0.5, 0.5), (more - 1, more))
    return Mixture((1.0,), (more,))


@dataclass(frozen=True, eq=False)
class Drawn:
    """Likelihood ratios of responses drawn under the null.

    Attributes
    ----------
    statistics : ndarray, shape (reps,)
    pvalue : float
        (1 + number as large) / (1 + reps).
    """

    statistics: Array
    pvalue: float


def drawn(
    null: MixedFit,
    full: MixedFit,
    kept: Sequence[int],
    reps: int,
    rng: np.random.Generator,
    rows: Callable[[], MixedRows] | None = None,
) -> Drawn:
    """The law by a parametric bootstrap from the null.

    Parameters
    ----------
    null, full : MixedFit
        Of the same rows; X and y in one basis.
    kept : sequence of int
        Effects of ``full`` that the null has.
    reps : int
    rng : numpy Generator
    rows : callable, optional
        See `Draws`.
    """
    draws = Draws(null, rows, full.products, kept)
    every = len(kept) == full.products.q
    found = np.empty(reps)
    for k in counted(range(reps), "draws", unit="draw"):
        products = draws.one(rng)
        less = products if every else without_effects(products, kept)
        small = mixed_fit(less, null.structure, null.law, reml=null.reml, n_starts=1, first=null)
        large = mixed_fit(products, full.structure, full.law, reml=full.reml, n_starts=2, rng=rng)
        found[k] = max(0.0, 2.0 * (large.llf - small.llf))
    statistic = max(0.0, 2.0 * (full.llf - null.llf))
    as_large = int((found >= statistic - 1e-9).sum())
    return Drawn(found, (1.0 + as_large) / (1.0 + reps))
