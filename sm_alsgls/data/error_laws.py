"""The laws that the errors of a system follow beside Sigma, in the order of its rows and equations.

With the errors e_n of row n (a period, or a unit) of K equations, in the order of application:

    spatial_lag      y_n = rho W y_n + X_n b + e_n
    spatial_error    e_n = lam W e_n + u_n
    ar               u_n = diag(rho) u_{n-1} + v_n
    row, cell scale  v_nj has exp(z_nj' delta) times the variance of a mean row

and what is left is N(0, Sigma), row by row. Where units are rows W is among rows, else among
equations; there the filter of the spatial errors is part of the covariance, and is applied last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sm_alsgls.core.design.base import Binding
from sm_alsgls.core.errors.base import Errors
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.base import RowFilter
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.estimated import Kinds
from sm_alsgls.core.laws.raw_system import RawSystem, fills, graded
from sm_alsgls.core.laws.reach import Probe
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.laws.row_weights import RowWeights
from sm_alsgls.core.laws.spatial_error import SpatialError
from sm_alsgls.core.laws.spatial_holes import SpatialHoles
from sm_alsgls.core.laws.spatial_lag import SpatialLag
from sm_alsgls.core.laws.spatial_rows import SpatialRows
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import OptionError
from sm_alsgls.formula.right_side import Variables

Array = np.ndarray

#: What the parameters of each law are called, before the equation or the variable.
AR_NAME, SCALE_NAME = "ar", "scale"
ERROR_NAME, LAG_NAME = "spatial_error", "spatial_lag"
COMMON, EACH = "common", "each"


@dataclass(frozen=True, eq=False)
class ErrorLaws:
    """Which laws there are, and what they need of the data.

    Attributes
    ----------
    ar : str or None
        "common", one coefficient for all equations, or "each".
    times : ndarray, shape (N,), or None
        Periods of the rows, in steps; needed by ``ar``.
    scale : ndarray, shape (N, m) or (N, K, m), or None
        What explains the variances of rows, or of cells.
    scale_names : tuple of str (m,)
    variables : Variables, optional
        What makes ``scale`` of new data.
    error, lag : SpatialWeights or None
        Of spatial errors, and of a spatial lag of the responses.
    over_rows : bool
        Whether neighbours are rows, else equations.
    """

    ar: str | None = None
    times: Array | None = None
    scale: Array | None = None
    scale_names: tuple[str, ...] = ()
    error: SpatialWeights | None = None
    lag: SpatialWeights | None = None
    over_rows: bool = False
    variables: Variables | None = None

    def without_rows(self) -> ErrorLaws:
        """The same with names only where there are values of rows."""
        return replace(self, times=None, scale=None)

    @property
    def cells(self) -> bool:
        """Whether scales are of cells."""
        return self.scale is not None and self.scale.ndim == 3

    @property
    def spatial(self) -> bool:
        """Whether neighbours are part of it."""
        return self.error is not None or self.lag is not None

    @property
    def ties_holes(self) -> bool:
        """Whether a missing cell is part of several rows, or of rows that are filtered."""
        rows = self.over_rows or self.ar is not None
        return self.spatial and (rows or (self.lag is not None and self.scale is not None))

    @property
    def without_space(self) -> ErrorLaws:
        """Those that have nothing to do with neighbours."""
        return replace(self, error=None, lag=None)

    @property
    def held_by_any_sigma(self) -> bool:
        """Whether spatial errors are among equations, where an unrestricted Sigma holds them."""
        return self.error is not None and not self.over_rows

    def count(self, K: int) -> int:
        """Parameters of the laws."""
        ar = 0 if self.ar is None else (1 if self.ar == COMMON else K)
        return ar + len(self.scale_names) + (self.error is not None) + (self.lag is not None)

    def kinds(self, K: int) -> Kinds:
        """What decides how their parameters are estimated."""
        alone = self.ar is None and not self.spatial
        # What draws coefficients together knows no parameters beside the filter's.
        ours = (self.error is None or self.over_rows) and self.lag is None
        places = self.places(K)
        return Kinds(
            places[AR_NAME] if self.ar == EACH and ours else None,
            self.scale is not None and not self.cells and alone,
            AR_NAME in places or SCALE_NAME in places,
        )

    def raw(
        self,
        system: System,
        options: ALSOptions,
        make: Callable[[Rows], Errors],
        binding: Binding | None = None,
    ) -> RawSystem:
        """The rows as they are, with these laws at their first values.

        ``make`` makes the law of what they leave.
        """
        N, K = system.Y.shape
        there = system.cells.mask
        tied = there is not None and self.ties_holes
        # Of whole rows, where missing cells are integrated out all together.
        mask = None if tied else there
        filters: list[RowFilter] = []
        if self.error is not None and self.over_rows:
            filters.append(SpatialRows(RowWeights(self.error, K), 0.0))
        if self.ar is not None:
            m = 1 if self.ar == COMMON else K
            names = (AR_NAME,) if m == 1 else tuple(f"{AR_NAME}_{name}" for name in system.names)
            made = AR.of(N, np.zeros(m), K, times=self.times, mask=mask, names=names)
            filters.append(made)
        if self.scale is not None:
            names = tuple(f"{SCALE_NAME}_{name}" for name in self.scale_names)
            zero = np.zeros(len(names))
            filters.append(RowScale(self.scale, K, zero, mask=mask, names=names))
        law = make
        if self.error is not None and not self.over_rows:
            law = partial(_filtered, make=make, weights=self.error)
        lag = None
        if self.lag is not None:
            lag = SpatialLag(RowWeights(self.lag, K) if self.over_rows else self.lag)
        only = filters[0] if len(filters) == 1 else Chain(filters)
        blocks = system.used_blocks
        Y = system.Y if there is None else np.where(there, system.Y, 0.0)
        if there is not None and (tied or lag is not None):
            Y = _guessed_responses(Y, blocks, there)
        probe = Probe(only, (N, K)) if tied else None
        return RawSystem(Y, blocks, only, options, law, binding, there, lag=lag, probe=probe)

    def neighbours(self, K: int) -> SpatialWeights | RowWeights:
        """Of errors, else of responses, as rows or equations of K have them."""
        weights = self.lag if self.error is None else self.error
        assert weights is not None
        return RowWeights(weights, K) if self.over_rows else weights

    def places(self, K: int) -> dict[str, slice]:
        """Where the values of each law are among all of them, by its name."""
        error = int(self.error is not None)
        ar = 0 if self.ar is None else (1 if self.ar == COMMON else K)
        sizes = [
            (ERROR_NAME, error * self.over_rows),
            (AR_NAME, ar),
            (SCALE_NAME, len(self.scale_names)),
            (ERROR_NAME, error * (not self.over_rows)),
            (LAG_NAME, int(self.lag is not None)),
        ]
        out, start = {}, 0
        for name, size in sizes:
            if size:
                out[name] = slice(start, start + size)
            start += size
        return out


def _filtered(rows: Rows, make: Callable[[Rows], Errors], weights: SpatialWeights) -> Errors:
    """Spatial errors of which a law is left.

    Raises
    ------
    OptionError
        Its Sigma is any, which is what neighbours would make of it.
    """
    # What whole rows would leave.
    left = make(rows if rows.patterns is None else Rows.of(rows.blocks, rows.Y))
    if left.bends:
        raise OptionError(
            "spatial_error= among the equations of rank='full' is not identified: their Sigma is "
            "any, and holds whatever neighbours send; use a number as the rank, or leave out one"
        )
    whole = SpatialError(left, weights, 0.0)
    return whole if rows.patterns is None else SpatialHoles(whole, rows.patterns)


def _guessed_responses(Y: Array, blocks: Sequence[Array], mask: Array) -> Array:
    """Y with fitted values of least squares in missing cells: where a search begins, no more."""
    out = np.array(Y)
    for j, (X, seen) in enumerate(zip(blocks, mask.T, strict=True)):
        b = np.linalg.lstsq(X[seen], Y[seen, j], rcond=None)[0]
        out[~seen, j] = X[~seen] @ b
    return out


def guessed(raw: RawSystem) -> RawSystem:
    """With filters at their guesses from least-squares residuals."""
    return replace(raw, filter=raw.filter.guess(raw.unfiltered().E_ols))


def left_of(system: System, raw: RawSystem) -> System:
    """A system whose least-squares residuals are free of the laws at these values.

    To choose a rank from. Spatial errors among equations are taken out of the residuals, which take
    the place of the responses.
    """
    Y, blocks = raw.filter.rows(raw.responses), raw.filter.blocks(raw.raw)
    problem = raw.problem(compress=False)
    errors = problem.errors
    if fills(errors):
        Y = errors.filtered(problem.E_ols)
    elif (law := graded(errors)) is not None:
        Y = law.filtered(problem.E_ols)
    return replace(system, Y=np.asfortranarray(Y), blocks=blocks)
