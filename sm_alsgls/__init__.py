"""Seemingly unrelated regressions with a low-rank-plus-diagonal error covariance."""

from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.models.sur import LowRankSUR
from sm_alsgls.results.sur import LowRankSURResults

__all__ = ["LowRankDiag", "LowRankSUR", "LowRankSURResults"]
__version__ = "0.1.0"
