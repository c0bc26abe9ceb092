"""Likelihood-ratio tests of the covariance of random effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sm_alsgls.border.arguments import came, choice, count, generator
from sm_alsgls.border.arguments import names as names_of
from sm_alsgls.border.names import close, listed
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.likelihood_ratio import drawn, mixture
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.nested import NoEffects, without_effects
from sm_alsgls.core.mixed.structures import (
    Diagonal,
    LoadingsOnly,
    LowRank,
    Structure,
    Unstructured,
    largest_rank,
)
from sm_alsgls.exceptions import NotApplicableError, OptionError
from sm_alsgls.results.mixed_bootstrap import rows_of
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.progress import says
from sm_alsgls.results.shown import ShownText, one_line

Array = np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class VarianceTest(ShownText):
    """A test of one covariance of random effects within another.

    Attributes
    ----------
    statistic : float
        2 (llf - llf_null), at least 0.
    pvalue : float
    law : str
        What the statistic is compared with.
    null, alternative : str
    df_diff : int
        Parameters that the null has less.
    llf, llf_null : float
    draws : ndarray or None
        Statistics of responses drawn from the null.
    """

    statistic: float
    pvalue: float
    law: str
    null: str
    alternative: str
    df_diff: int
    llf: float
    llf_null: float
    draws: Array | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return one_line(
            f"VarianceTest of {self.null} within {self.alternative}",
            [f"statistic={self.statistic:.4g}", f"pvalue={self.pvalue:.4g}"],
        )

    def __str__(self) -> str:
        return (
            f"Null: {self.null}; alternative: {self.alternative}\n"
            f"LR {self.statistic:.4f}, p-value {self.pvalue:.4g} by {self.law}"
        )


@says
def variance_test(
    estimate: MixedEstimate,
    drop: Any = None,
    *,
    null: int | str | None = None,
    alternative: int | str | None = None,
    method: str = "auto",
    reps: int = 499,
    rng: np.random.Generator | int | None = None,
    progress: bool | None = None,
) -> VarianceTest:
    """Likelihood-ratio test of variances, ranks or structures of the random effects.

    Parameters
    ----------
    drop : str or list of str, optional
        Random effects whose variances are zero under the null; "all": there are none. That is the
        default, where nothing else is asked.
    null : int, "diagonal" or "full", optional
        Another structure, within this one, that is the null: a lower rank.
    alternative : int, "diagonal" or "full", optional
        Another structure, around this one, which is then the null: a higher rank.
    method : {"auto", "mixture", "bootstrap"}
        "mixture": the law of the statistic where it is known, see Notes; "bootstrap": responses are
        drawn from the null. "auto": the first where it is there.
    reps, rng, progress
        Of the bootstrap: draws, their generator (default a fixed seed), and whether to
        say how far they are (`LowRankMixedLMResults.bootstrap`).

    Returns
    -------
    VarianceTest

    Raises
    ------
    OptionError, IllegalRankError
    NotApplicableError
        method="mixture", and the law is not known.

    Notes
    -----
    A variance of zero is at the end of its range, so that chi2 is not the law: it is
    1/2 chi2(k) + 1/2 chi2(k+1) for one effect with k covariances, 1/2 chi2(0) + 1/2 chi2(1) where
    there are none (Self and Liang 1987; Stram and Lee 1994). "diagonal" or a rank within "full" has
    a plain chi2, if no variance of the null is zero. Of several effects, and of a rank in a higher
    one, whose loadings the null does not identify, the law depends on the design and is drawn. REML
    fits may be tested: fixed effects are the same.

    Examples
    --------
    >>> from sm_alsgls import LowRankMixedLM
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> res = LowRankMixedLM.from_formula(
    ...     "Reaction ~ Days", load_sleepstudy(), groups="Subject", re_formula="~ Days",
    ...     rank="full",
    ... ).fit()
    >>> print(res.variance_test("Days"))
    Null: without Days; alternative: full covariance of Group, Days
    LR 42.8368, p-value 2.793e-10 by 0.5 chi2(1) + 0.5 chi2(2)
    """
    method = choice(method, "method", ("auto", "mixture", "bootstrap"))
    reps, source = count(reps, "reps"), generator(rng) or np.random.default_rng(0)
    small, full, kept, said = _pair(estimate, drop, null, alternative)
    law = None if method == "bootstrap" else mixture(small, full.structure)
    if law is None and method == "mixture":
        raise NotApplicableError(
            f"{said[0]}: the law of this likelihood ratio is no known mixture of chi2; use "
            "method='bootstrap'"
        )
    statistic = max(0.0, 2.0 * (full.llf - small.llf))
    made = VarianceTest(
        statistic=statistic,
        pvalue=np.nan if law is None else law.sf(statistic),
        law=str(law),
        null=said[0],
        alternative=said[1],
        df_diff=full.structure.n_free - small.structure.n_free,
        llf=full.llf,
        llf_null=small.llf,
    )
    if law is not None:
        return made
    found = drawn(small, full, kept, reps, source, lambda: rows_of(estimate))
    by = f"{reps} draws from the null"
    return replace(made, pvalue=found.pvalue, law=by, draws=found.statistics)


def _pair(
    estimate: MixedEstimate, drop: Any, null: Any, alternative: Any
) -> tuple[MixedFit, MixedFit, Sequence[int], tuple[str, str]]:
    """The null's fit, the other's, effects that the null has, and what both are called."""
    asked = [word for word in (drop, null, alternative) if word is not None]
    if len(asked) > 1:
        raise OptionError("drop=, null= and alternative= are three tests; give one")
    fit, names = estimate.fit, estimate.names_re
    every, mine = range(len(names)), _called(fit.structure, names)
    if null is not None:
        structure = _structure(null, fit.structure, "null")
        _check_within(structure, fit.structure)
        other = _again(fit, structure)
        return other, fit, every, (_called(structure, names), mine)
    if alternative is not None:
        structure = _structure(alternative, fit.structure, "alternative")
        _check_within(fit.structure, structure)
        other = _again(fit, structure)
        return fit, other, every, (mine, _called(structure, names))
    gone = _dropped(drop, names)
    kept = [j for j in every if names[j] not in gone]
    if not kept:
        return _again(fit, NoEffects(len(names))), fit, every, ("no random effects", mine)
    products, structure = without_effects(fit.products, kept), _part(fit.structure, len(kept))
    small = mixed_fit(products, structure, fit.law, reml=fit.reml)
    return small, fit, kept, (f"without {listed(gone)}", mine)


def _again(fit: MixedFit, structure: Structure) -> MixedFit:
    return mixed_fit(fit.products, structure, fit.law, reml=fit.reml)


def _dropped(drop: Any, names: list[str]) -> list[str]:
    if drop is None or (isinstance(drop, str) and drop == "all" and "all" not in names):
        return list(names)
    asked = names_of([drop] if isinstance(drop, str) else drop, "drop", "['Days']")
    for name in asked:
        if name not in names:
            raise OptionError(
                f"drop: {name!r} is no random effect" + close(str(name), names, "there are")
            )
    return [str(name) for name in asked]


def _part(structure: Structure, q: int) -> Structure:
    """The same of q of its effects; any covariance where factors of so few are not identified."""
    alone = not np.isfinite(structure.low).any()
    if alone and structure.n_free < structure.q * (structure.q + 1) // 2:
        return LoadingsOnly(q, min(structure.rank, q))
    if alone or structure.rank > largest_rank(q):
        return Unstructured(q)
    return LowRank(q, structure.rank)


def _structure(word: Any, like: Structure, argument: str) -> Structure:
    if isinstance(word, str) and word in ("diagonal", "full"):
        return Diagonal(like.q) if word == "diagonal" else Unstructured(like.q)
    if not isinstance(word, (int, np.integer)) or isinstance(word, bool):
        raise OptionError(f"{argument} must be a rank, 'diagonal' or 'full'; got {came(word)}")
    bare = not np.isfinite(like.low).any() and like.rank < like.q
    return LoadingsOnly(like.q, int(word)) if bare else LowRank(like.q, int(word))


def _check_within(small: Structure, full: Structure) -> None:
    """Whether one structure is a case of the other.

    Raises
    ------
    OptionError
    """
    any_G = full.n_free == full.q * (full.q + 1) // 2 and full.any_basis
    bare = not np.isfinite(small.low).any()
    nested = any_G or (small.rank <= full.rank and (bare or np.isfinite(full.low).any()))
    if not nested or small.n_free >= full.n_free:
        raise OptionError(
            f"not nested: {small.n_free} parameters of the null's covariance (rank {small.rank}) "
            f"are no case of the {full.n_free} of the alternative's (rank {full.rank}); null= is a "
            "smaller structure than the fit's, alternative= a larger"
        )


def _called(structure: Structure, names: list[str]) -> str:
    of = f"covariance of {listed(names)}"
    if not np.isfinite(structure.low).any():
        whole = structure.n_free == structure.q * (structure.q + 1) // 2
        return f"full {of}" if whole else f"rank {structure.rank} {of}"
    if not structure.rank:
        return f"diagonal {of}"
    return f"rank {structure.rank} plus diagonal {of}"
