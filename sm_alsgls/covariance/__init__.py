"""Covariances of the errors as frozen values: linear algebra, no estimation."""

from sm_alsgls.covariance.low_rank_diag import LowRankDiag
from sm_alsgls.covariance.unrestricted import Unrestricted

__all__ = ["LowRankDiag", "Unrestricted"]
