"""``DaskSUR``: the model of `LowRankSUR` for equations in chunks of dask arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sm_alsgls.data.many.dasked import Dasked
from sm_alsgls.distributed.traffic import Traffic
from sm_alsgls.models.many import ManySUR
from sm_alsgls.results.many.dask_results import DaskSURResults


class DaskSUR(ManySUR):
    """Seemingly unrelated regressions of dask arrays that are chunked along equations.

    `LowRankSUR` makes it of a dask array ``exog`` (K, N, p) and one ``endog`` (N, K) with the same
    chunks along equations. The workers of dask's client keep what they read; between them go sums
    over equations only. Without a client threads of this process read the chunks.

    Parameters
    ----------
    dasked : Dasked
    rank : int or "auto"
        Number of factors r.
    **kwargs
        As those of `ManySUR`.

    Attributes
    ----------
    chunks : tuple of int
        Equations of each chunk.

    Examples
    --------
    >>> import dask.array as da
    >>> from sm_alsgls import LowRankSUR
    >>> rng = da.random.default_rng(0)
    >>> X = rng.standard_normal((60, 40, 2), chunks=(20, 40, 2))
    >>> Y = X.sum(axis=2).T + rng.standard_normal((40, 1)) + rng.standard_normal((40, 60))
    >>> res = LowRankSUR(Y, X, rank=1).fit()
    >>> res.params["y7"].round(0).tolist(), res.resid.chunks
    ([1.0, 1.0], ((40,), (20, 20, 20)))
    """

    results_class = DaskSURResults

    def __init__(self, dasked: Dasked, rank: int | str = "auto", **kwargs: Any) -> None:
        arrays = dasked.endog, dasked.exog
        super().__init__(dasked.tiled, rank, runner=dasked.runner, arrays=arrays, **kwargs)
        self.chunks = tuple(int(m) for m in dasked.endog.chunks[1])

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        """Bytes of the network by what was run, "fit", "standard errors"; empty in one process."""
        return self.held.runner.traffic
