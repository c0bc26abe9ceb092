"""The data behind an estimate: there, gone, or changed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.data.removed import gone
from sm_alsgls.data.system import System
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

    Attributes
    ----------
    model : Model
    seen : Seen or None
        None once `remove_data` was called.

    Raises
    ------
    DataRemovedError
        From everything but ``available``: the data are gone; the message says why.
    DataChangedError
        They are the caller's, too many to be copied, and were written to.
    """

    model: Model
    seen: Seen | None

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
        """The rows with their labels."""
        return self.model.system

    @property
    def cells(self) -> Cells:
        """Which cells are used, and their weights."""
        return self.model.system.cells

    @property
    def index(self) -> pd.Index:
        """Labels of the rows, (N,)."""
        return self.model.system.index

    @property
    def blocks(self) -> Sequence[np.ndarray]:
        """The designs times the roots of the weights, zero where they miss something."""
        return self.model.system.used_blocks

    @property
    def exogenous(self) -> tuple[Sequence[np.ndarray], list[list[str]]]:
        """What errors do not move with, of each equation, times the roots of the weights; names."""
        return self.model.system.exogenous_variables

    @property
    def whole_design(self) -> PerEquation:
        """The design with free coefficients, on all N rows."""
        return self.model.system.whole_design(self.problem.design.free)

    def residuals(self, beta: Sequence[np.ndarray]) -> np.ndarray:
        """Y - X beta on the rows of the data, (N, K) Fortran-ordered; NaN in missing cells."""
        return residuals(self.model.endog, self.model.exog, beta)

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
