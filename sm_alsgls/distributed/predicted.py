"""What a fit on workers sends, predicted from its size and the sums that it makes."""

from __future__ import annotations

from typing import NamedTuple

from sm_alsgls.distributed.traffic import Traffic

# Bytes of a message beside its numbers, and Gram matrices (2 r + 2 square) that a block iteration
# makes of its basis, on average: measured.
_ENVELOPE, _GRAMS = 150.0, 15.0


class Moved(NamedTuple):
    """Bytes to the workers and from them."""

    to_workers: float
    from_workers: float

    @property
    def both(self) -> float:
        """Their sum."""
        return self.to_workers + self.from_workers


def predicted(
    N: int,
    r: int,
    shards: int,
    *,
    steps: float,
    passes: float,
    sums: float = 0.0,
    workers: int | None = None,
) -> Moved:
    """Bytes that sums over equations take.

    Each of ``steps`` (r, N) sums, a step of conjugate gradients for the coefficients, and each of
    ``passes`` (2 r + 2, N) sums, a block iteration for the factors, comes from every shard and
    goes back to every worker, in float64, whatever the number of equations K and of regressors:

        8 N [steps r + passes (2 r + 2)]  +  8 * 15 passes (2 r + 2)^2  +  150 sums

    each way, with the Gram matrices of the block's basis, and an envelope for each of all sums. An
    iteration that extends its block by r + 1 columns only is half a pass.

    Parameters
    ----------
    N, r : int
        Rows and factors.
    shards : int
    steps, passes, sums : float
        Of a fit, or of a sweep; `rounds_of` counts those of a run.
    workers : int, optional
        Default: as many as shards.

    Returns
    -------
    Moved

    Examples
    --------
    >>> round(predicted(500, 5, 2, steps=18, passes=17, sums=367).both / 1e6, 1)
    6.1
    """
    m = 2 * r + 2
    numbers = 8.0 * (N * (steps * r + passes * m) + _GRAMS * passes * m**2) + _ENVELOPE * sums
    return Moved((shards if workers is None else workers) * numbers, shards * numbers)


def rounds_of(traffic: Traffic, N: int, r: int) -> dict[str, float]:
    """``steps``, ``passes`` and ``sums`` of a run, for `predicted`."""
    large = {
        shape[0]: sums.rounds
        for (_, shape), sums in traffic.sums.items()
        if len(shape) == 2 and shape[1] == N and shape[0] != N
    }
    passes = large.get(2 * r + 2, 0) + 0.5 * large.get(r + 1, 0)
    return {"steps": large.get(r, 0), "passes": passes, "sums": traffic.rounds}
