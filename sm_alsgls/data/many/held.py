"""``Held``: the data of a system in tiles, which pickles leave behind and copies share."""

from __future__ import annotations

from typing import Any, Self

from sm_alsgls.core.tiles.runner import Runner
from sm_alsgls.data.removed import BY_THE_USER, Reason, gone

#: Why there are none after a pickle.
_PICKLED = Reason(
    "left behind by a pickle",
    "results of equations in tiles are pickled without their data; make the model again and fit "
    "it, or ask for what needs data (bse, resid.to_memmap()) before",
)


class Held:
    """A runner over the data, as long as they are there.

    Parameters
    ----------
    runner : Runner
    arrays : tuple (endog, exog), optional
        Collections of dask that it reads.

    Attributes
    ----------
    there : bool
    """

    def __init__(self, runner: Runner, arrays: tuple[Any, Any] | None = None) -> None:
        self._runner: Runner | None = runner
        self._arrays = arrays
        self._reason = BY_THE_USER

    @property
    def there(self) -> bool:
        """Whether there are data."""
        return self._runner is not None

    @property
    def runner(self) -> Runner:
        """What runs programs on the data.

        Raises
        ------
        DataRemovedError
        """
        return gone("data", self._reason) if self._runner is None else self._runner

    @property
    def arrays(self) -> tuple[Any, Any]:
        """endog and exog, of a model that was made of dask arrays.

        Raises
        ------
        DataRemovedError
        """
        return gone("data", self._reason) if self._arrays is None else self._arrays

    def let_go(self) -> None:
        """No data from now on."""
        self._runner = self._arrays = None

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        reason = BY_THE_USER if self._runner is None else _PICKLED
        return {"_runner": None, "_arrays": None, "_reason": reason}
