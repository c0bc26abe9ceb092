"""``InTiles``: `LowRankSUR` of equations that are not in memory is a class of its own.

Which is imported where such equations are handed in: sixty modules that other fits never need, a
seventh of the time in which `LowRankSUR` is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sm_alsgls.border.dask_inputs import chunked_along
from sm_alsgls.data.many.tiled import is_tiled, read_mapped

if TYPE_CHECKING:
    from sm_alsgls.models.many import ManySUR


class InTiles:
    """Mixin of `LowRankSUR`.

    Its `__new__` is not in the class itself, where it would hide the signature of `__init__`.
    """

    def __new__(cls, endog: Any = None, exog: Any = None, *args: Any, **kwargs: Any) -> Self:
        """The model; `ManySUR` where ``exog`` is a memory map of three dimensions, or of dask."""
        # As of pathlib.Path: what comes back is no instance, so that nothing is initialised again.
        made: Any
        if is_tiled(exog):
            from sm_alsgls.models.many import ManySUR

            made = ManySUR(read_mapped(endog, exog), *args, **kwargs)
        elif chunked_along(endog, exog) == "equations":
            from sm_alsgls.data.many.dasked import read_dask
            from sm_alsgls.models.many_dask import DaskSUR

            made = DaskSUR(read_dask(endog, exog), *args, **kwargs)
        else:
            made = super().__new__(cls)
        return made

    @classmethod
    def from_equations(cls, tiles: Any, rank: int, **kwargs: Any) -> ManySUR:
        """Model of very many equations, from chunks of equations.

        Parameters
        ----------
        tiles : iterable of pairs (endog, exog), or a function that returns an iterator of them
            Chunks of m consecutive equations, all on the same N rows: endog (N, m), and exog
            (m, N, p), or whatever the constructor takes for m equations, as a list of frames
            (N, p_j). A list, a function, or an object whose ``__iter__`` begins anew is read again
            in every pass, some fifty of a fit: it must be the same every time. An iterator is read
            once, into a temporary file (``spooled`` bytes), which goes with the model.
        rank : int
            Number of factors r.
        **kwargs
            ``missing``: "none" or "raise".

        Returns
        -------
        ManySUR
            Its ``fit`` is that of `LowRankSUR` from one start; results hold coefficients, and make
            residuals and predictions a tile at a time.

        Raises
        ------
        ShapeError, NonFiniteError, OptionError, CallableError, IllegalRankError
            And what the constructor raises; each names equation, column and row.

        See Also
        --------
        from_chunks : chunks of rows.

        Examples
        --------
        >>> import numpy as np
        >>> from sm_alsgls import LowRankSUR
        >>> def tiles():
        ...     rng = np.random.default_rng(0)
        ...     factor = rng.standard_normal((60, 1))
        ...     for _ in range(10):
        ...         X = np.ones((20, 60, 2))
        ...         X[:, :, 1] = rng.standard_normal((20, 60))
        ...         yield X.sum(axis=2).T + factor + rng.standard_normal((60, 20)), X
        >>> res = LowRankSUR.from_equations(tiles, rank=1).fit()
        >>> res.params["y7"].index.tolist(), res.equations["y7"].params.round(0).tolist()
        (['const', 'x1'], [1.0, 1.0])
        """
        from sm_alsgls.data.many.chunks import read_chunks
        from sm_alsgls.models.many import ManySUR

        return ManySUR(read_chunks(tiles), rank, **kwargs)


def of_dask_panel(
    formula: Any,
    data: Any,
    rank: Any,
    *,
    groups: str,
    time: str | None,
    scope: dict[str, Any],
    missing: str | None,
    **asked: Any,
) -> Any:
    """`DaskSUR` of a long panel in a frame of dask, whose partitions hold whole groups.

    ``asked`` is what else was asked for, which equations in tiles refuse unless it is the default.

    Raises
    ------
    ShapeError, UnbalancedPanelError, FormulaError, OptionError
    """
    from sm_alsgls.data.many.dasked import read_panel
    from sm_alsgls.formula.dask_panel import panel_chunks
    from sm_alsgls.models.many_dask import DaskSUR
    from sm_alsgls.models.many_keywords import refuse_of_model

    beyond = {name: value for name, value in asked.items() if value not in (None, False)}
    refuse_of_model(beyond)
    panel = panel_chunks(formula, data, groups=groups, time=time, scope=scope)
    return DaskSUR(read_panel(panel), rank, missing="none" if missing is None else missing)
