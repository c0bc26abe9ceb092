"""Standard errors of all coefficients, the fit being there."""

import numpy as np

from sm_alsgls import LowRankSUR

from .drawn import SIZES, draw


class StandardErrors:
    """``bse`` by the kind of covariance."""

    params = (tuple(SIZES), ("nonrobust", "HC1", "cluster"))
    param_names = ("K", "cov_type")
    # Results keep what they worked out, so every sample needs results of its own.
    number, warmup_time = 1, 0.0
    timeout = 300.0

    def setup(self, K, cov_type):
        """Fit, and ask for results that have worked out nothing yet."""
        N, _, rank = SIZES[K]
        blocks, Y, _, _ = draw(K)
        kwds = {"groups": np.arange(N) // 5} if cov_type == "cluster" else {}
        self.res = LowRankSUR(Y, blocks, rank=rank).fit(
            n_starts=1, cov_type=cov_type, cov_kwds=kwds
        )

    def time_bse(self, K, cov_type):
        """``res.bse``."""
        _ = self.res.bse
