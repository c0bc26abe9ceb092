"""What the laws of the errors leave of the rows of a system: rows with independent errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.data.system import System


@dataclass(frozen=True, eq=False)
class LeftByLaws:
    """The system behind the filters, at the estimates.

    Attributes
    ----------
    before : System
        As it came.
    fit : LawFit
    """

    before: System
    fit: LawFit

    @cached_property
    def responses(self) -> np.ndarray:
        """Y less its spatial lag, (N, K); NaN in missing cells."""
        lag = self.fit.system.lag
        return self.before.Y if lag is None else lag.responses(self.before.Y)

    @cached_property
    def system(self) -> System:
        """Rows through the filters; zeros in missing cells."""
        raw = self.fit.system
        Y, blocks = raw.filter.rows(raw.responses), raw.filter.blocks(raw.raw)
        return replace(self.before, Y=np.asfortranarray(Y), blocks=blocks)
