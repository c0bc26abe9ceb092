"""What reading has seen of designs before anything is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np


class FirstLook(NamedTuple):
    """What was seen of designs in one pass over them (`sm_alsgls.data.first_look`).

    Attributes
    ----------
    sound : bool
        Whether all numbers are known to be finite, with squares that can be summed.
    ones : list of tuple of bool
        Which columns of each array hold 1s.
    prints : mapping of int to (ndarray, int)
        Some arrays by their id, with fingerprints (`held.fingerprints`) where these were asked for.
    """

    sound: bool
    ones: list[tuple[bool, ...]]
    prints: Mapping[int, tuple[np.ndarray, int]] = MappingProxyType({})

    def print_of(self, array: np.ndarray) -> int | None:
        """Its fingerprint, where it was taken."""
        known, taken = self.prints.get(id(array), (None, None))
        return taken if known is array else None
