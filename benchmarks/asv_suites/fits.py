"""Whole fits, from arrays to results."""

from sm_alsgls import LowRankSUR

from .drawn import SIZES, draw


class Fits:
    """One start, and the default search."""

    params = tuple(SIZES)
    param_names = ("K",)

    def setup(self, K):
        """Draw the system."""
        self.rank = SIZES[K][2]
        self.blocks, self.Y, _, _ = draw(K)

    def time_one_start(self, K):
        """The model and ``fit(n_starts=1)``."""
        LowRankSUR(self.Y, self.blocks, rank=self.rank).fit(n_starts=1)

    def time_default(self, K):
        """The model and ``fit()``."""
        LowRankSUR(self.Y, self.blocks, rank=self.rank).fit()

    def track_sweeps(self, K):
        """Sweeps of one start: what no other process on the machine can change."""
        fitted = LowRankSUR(self.Y, self.blocks, rank=self.rank).fit(n_starts=1)
        return fitted.mle_retvals["iterations"]

    track_sweeps.unit = "sweeps"
