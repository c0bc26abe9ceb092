"""A system whose rows are partitions of dask: each leaves a triangular factor, and these merge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sm_alsgls.border.dask_inputs import Partitions
from sm_alsgls.border.dask_tree import merged
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.data.parts import Part, StreamedSystem, read_part
from sm_alsgls.data.removed import READ_BY_DASK
from sm_alsgls.data.validity import check_missing
from sm_alsgls.exceptions import OptionError


@on_one_thread
def read_partitions(partitions: Partitions, missing: str, weights: Any) -> StreamedSystem:
    """Read partitions of rows wherever dask computes them; what comes here does not depend on N.

    Parameters
    ----------
    partitions : Partitions
    missing : {"none", "drop", "raise"}
    weights : None

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, OptionError
        Those about a partition begin with its number, as dask counts: from 0.
    CallableError
        A partition could not be computed.
    """
    check_missing(missing)
    if weights is not None:
        raise OptionError(
            "weights do not go with partitions of dask; multiply the responses and regressors (the "
            "constant as well) by the roots of the weights"
        )
    if missing == "fiml":
        raise OptionError(
            "missing='fiml' needs the rows themselves, of which cross-products are kept where "
            "dask reads them; give what .compute() returns, or missing='drop'"
        )
    made = merged(partitions.parts, _Read(partitions.made, missing), "rows")
    return made.system(f"{len(partitions.parts)} partitions", READ_BY_DASK)


@dataclass(frozen=True)
class _Read:
    """The task of a partition, which travels to it."""

    made: Callable[..., tuple[Any, Any, int]]
    missing: str

    def __call__(self, called: str, start: int, *blocks: Any) -> Part:
        return read_part(lambda: self.made(*blocks), self.missing, called, start)
