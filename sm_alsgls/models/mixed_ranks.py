"""Structures of the random effects that a mixed model compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sm_alsgls.border.arguments import count, generator, starts
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.identified import inseparable
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.core.mixed.structures import Structure
from sm_alsgls.models.mixed_keywords import refuse
from sm_alsgls.rank_choice.mixed import Fit, select_structure
from sm_alsgls.rank_choice.selection import RankSelection
from sm_alsgls.results.progress import says


class MixedRanks:
    """Mixin of `LowRankMixedLM`."""

    if TYPE_CHECKING:
        nobs: int
        n_groups: int
        k_fe: int
        k_re: int
        products: CrossProducts
        law: ResidualLaw

    @says
    def select_rank(
        self,
        method: str = "auto",
        candidates: Any = None,
        *,
        progress: bool | None = None,
        **fit_options: Any,
    ) -> RankSelection:
        """Criteria of candidate structures; see `sm_alsgls.select_rank`, which calls this.

        Parameters
        ----------
        method : {"auto", "bic_groups", "bic", "aic"}
        candidates : list of int, "diagonal" and "full", optional
            Default: 0 to min(10, largest identified), and "full" up to twelve random effects.
        progress : bool, optional
            As in `fit`.
        **fit_options
            ``n_starts``, ``rng``, ``maxiter``, as in `fit`.

        Raises
        ------
        OptionError, IllegalRankError, UnknownArgumentError
        """
        known = ("n_starts", "rng", "maxiter")
        refuse([name for name in fit_options if name not in known], known, "select_rank()")
        limit = starts(fit_options.get("n_starts", "auto"))
        seed, most = fit_options.get("rng"), count(fit_options.get("maxiter", 200), "maxiter")
        source = generator(seed)

        def fit(structure: Structure) -> Fit:
            made = mixed_fit(
                self.products,
                structure,
                self.law,
                reml=False,
                n_starts=limit,
                rng=source,
                max_iter=most,
            )
            return Fit(made.llf, made.converged)

        shape = self.nobs, self.n_groups, self.k_re
        others = self.k_fe + self.law.size + 1

        def told(structure: Structure) -> bool:
            return not inseparable(self.products, structure, self.law).number

        return select_structure(fit, shape, others, method, candidates, told=told)
