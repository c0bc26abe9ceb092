"""Seemingly unrelated regressions with a low-rank-plus-diagonal error covariance."""

from sm_alsgls.covariance import LowRankDiag, Unrestricted
from sm_alsgls.models.mixed import LowRankMixedLM
from sm_alsgls.models.panel import LowRankPanel
from sm_alsgls.models.sur import LowRankSUR
from sm_alsgls.models.three_stage import LowRank3SLS
from sm_alsgls.rank import RankSelection, select_rank
from sm_alsgls.results.mixed import LowRankMixedLMResults
from sm_alsgls.results.panel import LowRankPanelResults
from sm_alsgls.results.sur import LowRankSURResults
from sm_alsgls.results.three_stage import LowRank3SLSResults
from sm_alsgls.simulate import simulate_sur

__all__ = [
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
