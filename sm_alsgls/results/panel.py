"""``LowRankPanelResults``: results of a panel."""

from __future__ import annotations

from typing import Any

import pandas as pd
import statsmodels.base.wrapper as wrap

from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results import mean_group, panel_effects
from sm_alsgls.results.hypotheses import wald_test
from sm_alsgls.results.method import method
from sm_alsgls.results.sur import LowRankSURResults, LowRankSURResultsWrapper


class LowRankPanelResults(LowRankSURResults):
    """Results of `LowRankPanel.fit`: those of a system, and what only a panel has.

    Attributes
    ----------
    params : Series (P,)
        Common coefficients, named as their regressors; then those of each equation, named
        ``equation_variable``, effects among them.
    """

    @property
    def effects(self) -> pd.Series:
        """Effects by unit or period; of both by ("entity" or "time", label).

        The fitted value of a cell is x'b plus its effects: a constant is in them.
        NotApplicableError where the model has none.
        """
        return panel_effects.effects(self.estimate, self.model.layout)

    mean_group = method(mean_group.mean_group)

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


LowRankPanelResults.wrapper = LowRankPanelResultsWrapper
wrap.populate_wrapper(LowRankPanelResultsWrapper, LowRankPanelResults)
