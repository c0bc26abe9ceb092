"""``LowRankPanelResults``: results of a panel."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results import mean_group, panel_effects
from sm_alsgls.results.hypotheses import wald_test
from sm_alsgls.results.labelled import present
from sm_alsgls.results.method import method
from sm_alsgls.results.progress import says
from sm_alsgls.results.random_effects import RandomEffectsTest, random_effects_test
from sm_alsgls.results.sur import LowRankSURResults, LowRankSURResultsWrapper
from sm_alsgls.results.within_hausman import WithinHausman, within_hausman


class LowRankPanelResults(LowRankSURResults):
    """Results of `LowRankPanel.fit`: those of a system, and what only a panel has.

    ``params`` has the common coefficients, named as their regressors, and then those of each
    equation, named ``equation_variable``, effects among them.
    """

    def _absent(self) -> Collection[str]:
        names, layout = set(super()._absent()), self.model.layout
        if not layout.mundlak:
            names.add("mundlak_test")
        if layout.effects is None:
            names.add("effects")
        return names

    @property
    def effects(self) -> pd.Series:
        """Effects by unit or period; of both by ("entity" or "time", label).

        The fitted value of a cell is x'b plus its effects: a constant is in them.
        NotApplicableError where the model has none.
        """
        return panel_effects.effects(self.estimate, self.model.layout)

    mean_group = method(mean_group.mean_group)

    @says
    def random_effects_test(self, *, progress: bool | None = None) -> RandomEffectsTest:
        """Whether rows (units, or periods) have an effect, and whether that is all they share.

        ``lm`` is Breusch and Pagan's multiplier of no effect, from pooled least squares; ``lr``
        the likelihood ratio of the classical random effect, Sigma = s_a 1 1' + s_u I, against the
        Sigma of this fit, which contains it: K r + K - r (r - 1) / 2 - 2 degrees of freedom. Where
        the fit itself is rank="exchangeable" it is against rank=1.

        Parameters
        ----------
        progress : bool, optional
            Whether to say how far it is: True with a bar from the start (needs tqdm), False never;
            by default after two seconds, where standard error is a terminal or a notebook.

        Returns
        -------
        RandomEffectsTest
            ``table``, ``variances``. Of rank=0 there is no ``lr``: it does not contain an effect.

        Raises
        ------
        NotApplicableError
            Effects were swept out, or the fit is no maximum.

        Notes
        -----
        Gaussian errors, as any test of variances; small samples reject too often.

        References
        ----------
        Breusch and Pagan (1980), Review of Economic Studies 47; Baltagi and Li (1990), Econometric
        Reviews 9, for missing cells.

        Examples
        --------
        >>> from sm_alsgls import LowRankPanel
        >>> from sm_alsgls.datasets import load_grunfeld
        >>> data = load_grunfeld()
        >>> data = data[data["firm"] != "American Steel"]
        >>> res = LowRankPanel.from_formula(
        ...     "invest ~ value + capital", data, "exchangeable", entity="firm", time="year",
        ...     independent="entity",
        ... ).fit()
        >>> res.random_effects_test().table.round(2).loc["lm"].to_dict()
        {'statistic': 798.16, 'df': 1.0, 'pvalue': 0.0}
        """
        return random_effects_test(self.estimate, self.model.layout, self.model.rank)

    def hausman(self) -> WithinHausman:
        """Compare common coefficients with the within estimator's.

        A small p-value says that effects of the rows (of units, where these are independent) move
        with the regressors: then use ``effects="entity"`` or ``mundlak=True``.

        Returns
        -------
        WithinHausman
            ``statistic``, ``df``, ``pvalue``, ``coefficients``.

        Raises
        ------
        NotApplicableError
            Effects were swept out, nothing varies within rows, or the system is too large; with a
            spatial lag, an AR coefficient each or scales of cells.

        References
        ----------
        Hausman (1978), Econometrica 46.
        """
        return within_hausman(self.estimate, self.model.layout)

    def mundlak_test(self) -> Any:
        """Wald test that the means over a unit's periods have no coefficients.

        A small p-value says that unit effects move with the regressors (Mundlak 1978, Econometrica
        46), so that coefficients without means are biased.

        Raises
        ------
        NotApplicableError
            The model was made without mundlak=True.
        """
        names = self.model.layout.mundlak
        if not names:
            raise NotApplicableError("make the model with mundlak=True to test the means")
        said = [f"{name} = 0" for name in names]
        return wald_test(self.estimate, said, scalar=True)


class LowRankPanelResultsWrapper(LowRankSURResultsWrapper):
    """Labels arrays of `LowRankPanelResults` with the names of the coefficients."""


present(LowRankPanelResultsWrapper, LowRankPanelResults)
