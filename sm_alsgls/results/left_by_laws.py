"""What the laws of the errors leave of the rows of a system: rows with independent errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.raw_system import fills
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.core.rows.filled_cells import FilledCells
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
        """Y less its spatial lag, (N, K); NaN in missing cells, unless neighbours need them."""
        lag = self.fit.system.lag
        return self.before.Y if lag is None else lag.responses(self._filled)

    @property
    def lagged(self) -> np.ndarray | None:
        """What neighbours' responses send, (N, K), where some are missing: `responses` less it."""
        if self.fit.system.lag is None or self.cells is self.before.cells:
            return None
        return self._filled - self.responses

    @cached_property
    def cells(self) -> Cells:
        """Which are used; of rows that are whole, though responses are missing, all."""
        before, raw, errors = self.before.cells, self.fit.system, self.fit.problem.errors
        if not raw.whole or not fills(errors):
            return before
        return FilledCells(before.N, before.K, before.mask, holes=errors.holes)

    @cached_property
    def _filled(self) -> np.ndarray:
        """Responses, with the mean of what is missing given what is not."""
        errors, raw, best = self.fit.problem.errors, self.fit.system, self.fit.found.best
        if not fills(errors):
            return self.before.Y
        E = raw.residuals(self.fit.problem.design, best.gamma)
        return errors.responses(raw.Y, E, best.cov)

    def filled_residuals(self, beta: Sequence[np.ndarray]) -> np.ndarray | None:
        """Residuals (N, K) before filters, missing cells at their means given all that is observed.

        None where rows do not know of one another's missing cells.
        """
        raw = self.fit.system
        if raw.probe is None or self.cells is self.before.cells:
            return None
        out = np.array(self._filled if raw.lag is None else self.responses)
        for j, (X, b) in enumerate(zip(raw.raw, beta, strict=True)):
            out[:, j] -= X @ b
        return out

    @cached_property
    def system(self) -> System:
        """Rows through the filters; zeros in missing cells."""
        raw = self.fit.system
        blocks = raw.filter.blocks(raw.raw)
        if self.cells is not self.before.cells:
            Y = self._filled if raw.lag is None else self.responses
            Y = np.asfortranarray(raw.filter.rows(Y))
            return replace(self.before, Y=Y, blocks=blocks, used=self.cells)
        Y = raw.filter.rows(raw.responses)
        return replace(self.before, Y=np.asfortranarray(Y), blocks=blocks)
