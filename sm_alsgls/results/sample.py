"""The data behind an estimate: there, gone, or changed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.raw_system import RawSystem, fills
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.core.rows.swept_cells import SweptCells
from sm_alsgls.data.removed import gone
from sm_alsgls.data.system import System
from sm_alsgls.results.left_by_laws import LeftByLaws
from sm_alsgls.results.model import Model


class Seen(NamedTuple):
    """What the estimator saw, and what it left."""

    problem: Problem
    E: np.ndarray  # (n, K) residuals on the problem's rows


@dataclass(frozen=True, eq=False)
class Sample:
    """The data of an estimate, each part read when it is asked for.

    Two kinds: what the estimator saw (``problem``, ``E``: rows that may be compressed, with the
    same products), and the rows themselves, which belong to the model and may be gone though the
    former are not: those of a stream are.

    Where errors follow laws of their own, ``system`` and what comes of it (``blocks``,
    ``responses``, ``used_residuals``) is what filters leave of the rows, which is independent;
    ``residuals`` are those of the rows as they came.

    Attributes
    ----------
    model : Model
    seen : Seen or None
        None once `remove_data` was called.
    laws : LawFit or None
        How laws of the errors were fitted; None where they have none.

    Raises
    ------
    DataRemovedError
        From everything but ``available``: the data are gone; the message says why.
    DataChangedError
        They are the caller's, too many to be copied, and were written to.
    """

    model: Model
    seen: Seen | None
    laws: LawFit | None = None

    @property
    def available(self) -> bool:
        """Whether what the estimator saw is there."""
        return self.seen is not None

    @property
    def problem(self) -> Problem:
        """What was fitted."""
        if self.model.has_data:
            self.model.system.check_rows()
        return gone("design") if self.seen is None else self.seen.problem

    @property
    def E(self) -> np.ndarray:
        """Residuals of the fit on the problem's rows, (n, K)."""
        return gone("residuals") if self.seen is None else self.seen.E

    @property
    def system(self) -> System:
        """The rows with their labels, through the filters of laws."""
        return self.model.system if self._left is None else self._left.system

    @property
    def cells(self) -> Cells:
        """Which cells are used, and their weights."""
        cells = self.model.system.cells if self._left is None else self._left.cells
        law = None if self.seen is None else self.seen.problem.errors
        if law is None or not law.swept:
            return cells
        return SweptCells(cells.N, cells.K, cells.mask, cells.weights, law=law)

    @property
    def lagged(self) -> np.ndarray | None:
        """What neighbours' responses send, (N, K), where some of these are missing."""
        return None if self._left is None else self._left.lagged

    @property
    def fills(self) -> bool:
        """Whether `innovations` are expected given the cells that a row has, and whole."""
        return self.laws is not None and fills(self.laws.problem.errors)

    @property
    def index(self) -> pd.Index:
        """Labels of the rows, (N,)."""
        return self.model.system.index

    @property
    def raw(self) -> RawSystem:
        """The rows before their laws, at the laws' estimates; of a fit that has some."""
        if self.model.has_data:
            self.model.system.check_rows()
        return self.law_fit.system

    @property
    def law_fit(self) -> LawFit:
        """``laws``, of a fit that has some."""
        return gone("rows") if self.laws is None else self.laws

    def __getstate__(self) -> dict[str, Any]:
        """Without what filters leave, a second copy of the data that is soon made again."""
        return {name: value for name, value in vars(self).items() if name != "_left"}

    @cached_property
    def _left(self) -> LeftByLaws | None:
        return None if self.laws is None else LeftByLaws(self.model.system, self.laws)

    @property
    def blocks(self) -> Sequence[np.ndarray]:
        """The designs times the roots of the weights, zero where they miss something."""
        return self.system.used_blocks

    @property
    def responses(self) -> np.ndarray:
        """The responses likewise, (N, K)."""
        return self.cells.used(self.system.Y)

    @property
    def exogenous(self) -> tuple[Sequence[np.ndarray], list[list[str]]]:
        """What errors do not move with, of each equation, times the roots of the weights; names."""
        return self.system.exogenous_variables

    @property
    def whole_design(self) -> PerEquation:
        """The design with free coefficients, on all N rows."""
        return self.system.whole_design(self.problem.design.free)

    def residuals(self, beta: Sequence[np.ndarray]) -> np.ndarray:
        """Y - X beta on the rows of the data, (N, K) Fortran-ordered; NaN in missing cells.

        Of Y less its spatial lag, where it has one, and less the levels of rows that are swept out.
        """
        if self._left is None:
            E = residuals(self.model.endog, self.model.exog, beta)
            levels = self._levels(E)
            return E if levels is None else E - levels
        E = residuals(self._left.responses, self.model.exog, beta)
        mask = self.cells.mask
        return E if mask is None or self.lagged is None else np.where(mask, E, np.nan)

    def levels(self, beta: Sequence[np.ndarray]) -> np.ndarray | None:
        """What the likelihood is blind to in each row, (N, 1); None where it is to nothing.

        Zero but of rows that miss cells, where constants of the equations are there as well.
        """
        if not self.problem.errors.swept:
            return None
        return self._levels(residuals(self.model.endog, self.model.exog, beta))

    def _levels(self, E: np.ndarray) -> np.ndarray | None:
        if not self.problem.errors.swept:
            return None
        there = np.isfinite(E)
        return np.where(there, E, 0.0).sum(axis=1, keepdims=True) / there.sum(axis=1, keepdims=True)

    def filled_residuals(self, beta: Sequence[np.ndarray]) -> np.ndarray | None:
        """`residuals` with the means of missing cells; None but where rows know of these."""
        return None if self._left is None else self._left.filled_residuals(beta)

    def used_residuals(self, beta: Sequence[np.ndarray]) -> np.ndarray:
        """Those that are independent between rows, times the roots of weights; 0 where missing."""
        return self.cells.used(residuals(self.system.Y, self.system.blocks, beta))

    def innovations(self, beta: Sequence[np.ndarray]) -> np.ndarray:
        """Those of covariance Sigma: without what neighbours sent, if they did."""
        E = self.used_residuals(beta)
        if self.laws is not None and fills(self.laws.problem.errors):
            return self.laws.problem.errors.expected(E, self.laws.found.best.cov)
        return self.without_neighbours(E)

    def without_neighbours(self, E: np.ndarray) -> np.ndarray:
        """Residuals (n, K) without what neighbours sent: of covariance Sigma."""
        graded = None if self.laws is None else self.laws.graded
        return E if graded is None else graded.filtered(E)

    def through_filters(self, M: np.ndarray) -> np.ndarray:
        """Columns M (N, m) as filters leave them, the mean over equations whose filters differ."""
        if self.laws is None:
            return M
        made = self.raw.filter.blocks([M] * len(self.system.names))
        return np.mean(made, axis=0) if any(one is not made[0] for one in made) else made[0]

    def through_neighbours(self, U: np.ndarray) -> np.ndarray:
        """The inverse: rows (n, K) as neighbours pass them on."""
        graded = None if self.laws is None else self.laws.graded
        return U if graded is None else graded.unfiltered(U)

    def without_data(self) -> Sample:
        """The same, and the data let go."""
        return Sample(self.model, None)


def residuals(
    endog: np.ndarray, exog: Sequence[np.ndarray], beta: Sequence[np.ndarray]
) -> np.ndarray:
    """Y - X beta (N, K), Fortran-ordered, of K designs and coefficient vectors."""
    out = np.array(endog.T, order="C")
    for j, (X, b) in enumerate(zip(exog, beta, strict=True)):
        out[j] -= X @ b
    return out.T
