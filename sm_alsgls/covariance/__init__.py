"""Covariances of the errors as frozen values: linear algebra, no estimation."""

from typing import TYPE_CHECKING

__all__ = ["LowRankDiag", "Unrestricted"]

if TYPE_CHECKING:
    from sm_alsgls.covariance.low_rank_diag import LowRankDiag
    from sm_alsgls.covariance.unrestricted import Unrestricted
else:
    from sm_alsgls.lazy import on_demand

    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "LowRankDiag": "sm_alsgls.covariance.low_rank_diag",
            "Unrestricted": "sm_alsgls.covariance.unrestricted",
        },
    )
