"""Tests of the error covariance of a fitted system.

    diagonality_test    are the equations' errors correlated at all?
    rank_test           r factors against r + 1
    sufficiency_test    r factors plus a diagonal against an unrestricted Sigma

Each takes the results of `LowRankSUR.fit` and returns a `CovarianceTest`. Where errors follow laws
beside Sigma, likelihood ratios estimate these again under each Sigma, and the others look at what
the laws leave.
"""

from sm_alsgls.results.outcome import CovarianceTest
from sm_alsgls.sigma_tests.diagonality import diagonality_test
from sm_alsgls.sigma_tests.ranks import rank_test, sufficiency_test

__all__ = ["CovarianceTest", "diagonality_test", "rank_test", "sufficiency_test"]
