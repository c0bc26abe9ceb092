"""Seemingly unrelated regressions with a low-rank-plus-diagonal error covariance."""

from typing import TYPE_CHECKING

__all__ = [
    "CCEPanel",
    "CCEPanelResults",
    "InteractivePanel",
    "InteractivePanelResults",
    "LowRank3SLS",
    "LowRank3SLSResults",
    "LowRankDiag",
    "LowRankMixedLM",
    "LowRankMixedLMResults",
    "LowRankPanel",
    "LowRankPanelResults",
    "LowRankSUR",
    "LowRankSURResults",
    "RankSelection",
    "Unrestricted",
    "select_rank",
    "simulate_sur",
]
__version__ = "0.1.0"

if TYPE_CHECKING:
    from sm_alsgls import datasets as datasets
    from sm_alsgls import diagnostics as diagnostics
    from sm_alsgls import exceptions as exceptions
    from sm_alsgls.covariance import LowRankDiag, Unrestricted
    from sm_alsgls.models.cce import CCEPanel
    from sm_alsgls.models.interactive import InteractivePanel
    from sm_alsgls.models.mixed import LowRankMixedLM
    from sm_alsgls.models.panel import LowRankPanel
    from sm_alsgls.models.sur import LowRankSUR
    from sm_alsgls.models.three_stage import LowRank3SLS
    from sm_alsgls.rank import RankSelection, select_rank
    from sm_alsgls.results.cce import CCEPanelResults
    from sm_alsgls.results.interactive import InteractivePanelResults
    from sm_alsgls.results.mixed import LowRankMixedLMResults
    from sm_alsgls.results.panel import LowRankPanelResults
    from sm_alsgls.results.sur import LowRankSURResults
    from sm_alsgls.results.three_stage import LowRank3SLSResults
    from sm_alsgls.simulate import simulate_sur
else:
    from sm_alsgls.lazy import on_demand

    # The same names: at once they are 468 modules, of which one model needs three quarters.
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "CCEPanel": "sm_alsgls.models.cce",
            "CCEPanelResults": "sm_alsgls.results.cce",
            "InteractivePanel": "sm_alsgls.models.interactive",
            "InteractivePanelResults": "sm_alsgls.results.interactive",
            "LowRank3SLS": "sm_alsgls.models.three_stage",
            "LowRank3SLSResults": "sm_alsgls.results.three_stage",
            "LowRankDiag": "sm_alsgls.covariance",
            "LowRankMixedLM": "sm_alsgls.models.mixed",
            "LowRankMixedLMResults": "sm_alsgls.results.mixed",
            "LowRankPanel": "sm_alsgls.models.panel",
            "LowRankPanelResults": "sm_alsgls.results.panel",
            "LowRankSUR": "sm_alsgls.models.sur",
            "LowRankSURResults": "sm_alsgls.results.sur",
            "RankSelection": "sm_alsgls.rank",
            "Unrestricted": "sm_alsgls.covariance",
            "select_rank": "sm_alsgls.rank",
            "simulate_sur": "sm_alsgls.simulate",
        },
    )
