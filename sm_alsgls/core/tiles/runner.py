"""Who runs a program in all shards of a system that is in tiles: this process, or workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from sm_alsgls.core.across import ALONE
from sm_alsgls.core.tiles.source import TileSource


class Runner(Protocol):
    """The shards of a system, and what is run in them.

    Attributes
    ----------
    equations : sequence of slice
        Of each shard; they follow one another from 0 to K.
    whole : TileSource
        All equations, read in this process.
    here : bool
        Whether programs run in this process, and may be handed functions of the caller.
    traffic : mapping of str
        What went between processes, by ``what`` was run.
    """

    @property
    def equations(self) -> Sequence[slice]: ...  # noqa: D102
    @property
    def whole(self) -> TileSource: ...  # noqa: D102
    @property
    def here(self) -> bool: ...  # noqa: D102
    @property
    def traffic(self) -> Mapping[str, Any]: ...  # noqa: D102

    def run(
        self,
        program: Callable[..., Any],
        *args: Any,
        each: Sequence[tuple[Any, ...]] | None = None,
        what: str = "",
        watch: Callable[[Any], object] | None = None,
    ) -> list[Any]:
        """What ``program(source, across, *args, *each[i])`` of every shard i returns.

        Programs are functions of a module with arguments that can be pickled, the size of what is
        in ``each`` that of a shard's own vectors. ``watch`` is called with what the first shard
        tells on the way (`Across.tell`), where programs run elsewhere.
        """
        ...


class LocalRunner:
    """One shard, in this process.

    Parameters
    ----------
    source : TileSource

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.tiles.source import ArraySource
    >>> runner = LocalRunner(ArraySource(np.ones((3, 5, 1)), np.ones((5, 3))))
    >>> runner.run(lambda source, across, k: across.total(float(k * source.K)), 2)
    [6.0]
    """

    here = True
    traffic: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, source: TileSource) -> None:
        self.whole = source
        self.equations = [slice(0, source.K)]

    def run(
        self,
        program: Callable[..., Any],
        *args: Any,
        each: Sequence[tuple[Any, ...]] | None = None,
        what: str = "",
        watch: Callable[[Any], object] | None = None,
    ) -> list[Any]:
        """The one value."""
        return [program(self.whole, ALONE, *args, *(() if each is None else each[0]))]
