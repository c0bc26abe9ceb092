"""Peak memory of a process that fits."""

from sm_alsgls import LowRankSUR

from .drawn import SIZES, draw


class Memory:
    """Growth shows against ``peakmem_input``, the same process without the fit."""

    params = tuple(SIZES)
    param_names = ("K",)

    def setup(self, K):
        """Draw the system."""
        self.blocks, self.Y, _, _ = draw(K)

    def peakmem_fit(self, K):
        """The input and one fit."""
        LowRankSUR(self.Y, self.blocks, rank=SIZES[K][2]).fit(n_starts=1)

    def peakmem_input(self, K):
        """The input alone."""
        LowRankSUR(self.Y, self.blocks, rank=SIZES[K][2])
