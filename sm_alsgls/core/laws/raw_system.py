"""A system before its laws: raw rows, a filter, and the problem of what the filter leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeGuard, cast

import numpy as np

from sm_alsgls.core.design.base import Binding, Linear
from sm_alsgls.core.errors.base import Errors
from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.errors.nuisance import NO_NUISANCE, Nuisance
from sm_alsgls.core.laws.base import RowFilter
from sm_alsgls.core.laws.reach import Probe, Reach
from sm_alsgls.core.laws.spatial_holes import SpatialHoles
from sm_alsgls.core.laws.spatial_lag import SpatialLag
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.cell_rows import CellRows
from sm_alsgls.core.rows.compress import compress_rows
from sm_alsgls.core.rows.filled_cells import SeesHoles
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.spread import Spread
from sm_alsgls.exceptions import OptionError

Array = np.ndarray


class Graded(Errors, Protocol):
    """A law with parameters of its own and the envelope's gradient in them.

    Attributes
    ----------
    nuisance : Nuisance
    bounds : ndarray, shape (m, 2)
    """

    @property
    def nuisance(self) -> Nuisance: ...  # noqa: D102
    @property
    def bounds(self) -> Array: ...  # noqa: D102

    def at(self, values: Array) -> Graded:
        """The same law at other values (m,)."""
        ...

    def gradient(self, E: Array, cov: Covariance) -> Array:
        """d NLL per row / d values, the log-Jacobian with it, at residuals E (n, K) and Sigma."""
        ...

    def filtered(self, E: Array) -> Array:
        """Residuals (n, K) as what is left of them, of covariance ``left_of(cov)``."""
        ...

    def unfiltered(self, E: Array) -> Array:
        """The inverse of ``filtered``."""
        ...

    def left_of(self, cov: Covariance) -> Covariance:
        """The covariance of what is left, of one that this law made."""
        ...


@dataclass(frozen=True, eq=False)
class RawSystem:
    """Rows as they were observed, and the laws that their errors follow.

    Attributes
    ----------
    Y : ndarray, shape (N, K)
        Responses; missing cells may hold anything.
    raw : sequence of ndarray
        K designs (N, p_j).
    filter : RowFilter
        With the values that it is at.
    options : ALSOptions
    law : callable
        Makes the law of what the filter leaves. It may have parameters of its own (`Graded`).
    binding : Binding, optional
        What ties coefficients.
    mask : ndarray of bool, shape (N, K), optional
        Cells that were observed; the filter's must be the same.
    own : ndarray, optional
        Values of the law's own parameters; default those that ``law`` makes it with.
    lag : SpatialLag, optional
        Of the responses, before the filter. Where cells are missing designs are there in every cell
        that reaches an observed one; without ``probe`` it is among equations, and no filter beside.
    held : ndarray, shape (m,), optional
        Values, in the order of `values`, that nothing moves; NaN for those that may move.
    probe : Probe, optional
        Of the filter, which is then one of whole rows though cells are missing: these are
        integrated out all together.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.laws.ar import AR
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((30, 2)) for _ in range(3)]
    >>> raw = RawSystem(rng.standard_normal((30, 3)), X, AR.of(30, np.array([0.4])), ALSOptions())
    >>> raw.problem(compress=False).Y[0] / raw.Y[0]  # (1 - .4^2)^(1/2)
    array([0.91651514, 0.91651514, 0.91651514])
    """

    Y: Array
    raw: Sequence[Array]
    filter: RowFilter
    options: ALSOptions
    law: Callable[[Rows], Errors] = low_rank
    binding: Binding | None = None
    mask: Array | None = None
    own: Array | None = None
    lag: SpatialLag | None = None
    held: Array | None = None
    probe: Probe | None = None

    def __post_init__(self) -> None:
        if self.lag is None or self.probe is not None or not self._has_holes:
            return
        if len(self.filter.values):
            raise OptionError(
                "a spatial lag of responses of which some are missing, beside filters of rows, "
                "needs these filters of whole rows, and their probe"
            )

    @property
    def _has_holes(self) -> bool:
        return self.mask is not None and not self.mask.all()

    @property
    def whole(self) -> bool:
        """Whether residuals are of whole rows, though cells are missing."""
        return (self.lag is not None or self.probe is not None) and self._has_holes

    def at(self, values: Array) -> RawSystem:
        """At other values of the filter's parameters, then the law's, then the lag's."""
        if self.held is not None:
            values = np.where(np.isnan(self.held), values, self.held)
        m, lag = len(self.filter.values), self.lag
        if lag is not None:
            lag, values = lag.at(float(values[-1])), values[:-1]
        own = values[m:] if len(values) > m else self.own
        return replace(self, filter=self.filter.at(values[:m]), own=own, lag=lag)

    def names(self, errors: Errors) -> tuple[str, ...]:
        """Of all values, beside a law of the errors that has some of its own."""
        lag = () if self.lag is None else (self.lag.name,)
        return (*self.filter.names, *own_parameters(errors).names, *lag)

    def values(self, errors: Errors) -> Array:
        """Of the filter, the law and the lag."""
        lag = [] if self.lag is None else [self.lag.rho]
        return np.concatenate([self.filter.values, own_parameters(errors).values, lag])

    def bounds(self, errors: Errors) -> Array:
        """Of the values, (m, 2); of width zero where they are held."""
        out = [self.filter.bounds]
        if len(own_parameters(errors).values):
            out.append(np.asarray(cast(Graded, errors).bounds, dtype=float))
        if self.lag is not None:
            out.append(self.lag.bounds[None, :])
        bounds = np.concatenate(out)
        if self.held is None:
            return bounds
        held = self.held[:, None]
        return np.where(np.isnan(held), bounds, held)

    def holding(self, held: Array) -> RawSystem:
        """With values (m,) held, NaN for those that may move, and at these values."""
        return replace(self, held=np.array(held, dtype=float))

    @property
    def responses(self) -> Array:
        """Y less the lag, (N, K)."""
        return self.Y if self.lag is None else self.lag.responses(self.Y)

    @property
    def beside(self) -> float:
        """log-Jacobians per row that the problem's NLL lacks: the filter's and the lag's."""
        lag = 0.0 if self.lag is None else self.lag.log_jacobian
        return self.filter.log_jacobian + lag

    def problem(self, compress: bool = True) -> Problem:
        """Of what the filter and the lag leave, whose NLL lacks their log-Jacobians."""
        blocks, Y = self.filter.blocks(self.raw), self.filter.rows(self.responses)
        return self._problem(blocks, Y, compress, self._law_over_gaps)

    def unfiltered(self) -> Problem:
        """Of the raw rows, not compressed: to look at least-squares residuals."""
        Y = self.responses
        if self.mask is not None and not self.whole:
            Y = np.where(self.mask, Y, 0.0)
        return self._problem(self.raw, Y, False, self._law)

    def _problem(
        self, blocks: Sequence[Array], Y: Array, compress: bool, law: Callable[[Rows], Errors]
    ) -> Problem:
        if self.whole:
            rows: Rows = Rows.of(blocks, Y)
        elif self.mask is not None and self._has_holes:
            one = self.mask.astype(float)
            rows = CellRows(list(blocks), Y, len(Y), one, mask=self.mask, designs=blocks)
        else:
            rows = compress_rows(blocks, Y) if compress else Rows.of(blocks, Y)
        return Problem.from_rows(rows, self.options, law=law, binding=self.binding)

    def _law(self, rows: Rows) -> Errors:
        made = self.law(rows)
        if self.mask is not None and self.whole:
            patterns, reach = Patterns(self.mask), None
            if self.probe is not None:
                reach = Reach(self.probe, self.filter, self.lag, patterns)
            made = SpatialHoles(made, patterns, self.lag, reach)
        return made if self.own is None else cast(Graded, made).at(self.own)

    def _law_over_gaps(self, rows: Rows) -> Errors:
        """The law of what the filter leaves, cells behind gaps with it where the law can."""
        made, spread = self._law(rows), self.filter.spread
        if spread is not None and fills(made):
            raise OptionError(
                "errors of neighbours and of the rows before, with missing cells, need filters of "
                "whole rows, and their probe"
            )
        if spread is None or not bridges_gaps(made):
            return made
        return made.over_gaps(spread)

    def residuals(self, design: Linear, gamma: Array) -> Array:
        """Y - X beta (N, K) of raw rows, for gamma of any design of the same regressors.

        Zero in missing cells. With a lag A y - X b of whole rows, of whatever stands in the place
        of what is missing; likewise where filters are of whole rows.
        """
        E = np.array(self.responses, dtype=float, order="F")
        for j, (X, b) in enumerate(zip(self.raw, design.to_beta(gamma), strict=True)):
            E[:, j] -= X @ b
        if self.mask is None or self.whole:
            return E
        return np.where(self.mask, E, 0.0)


class Bridging(Errors, Protocol):
    """A law of cells that may be made of the innovations of several rows."""

    def over_gaps(self, spread: Spread) -> Errors:
        """The law of cells that are."""
        ...

    def spread_slope(self, E: Array, cov: Covariance) -> Array:
        """d NLL per row / d (the parameter of each equation's spread), (K,)."""
        ...


def bridges_gaps(errors: Errors) -> TypeGuard[Bridging]:
    """Whether a law has `Bridging`'s methods."""
    return hasattr(errors, "over_gaps")


class Filling(Errors, Protocol):
    """A law with neighbours of rows that are observed in part.

    Attributes
    ----------
    holes : SeesHoles
        What is integrated out.
    """

    @property
    def holes(self) -> SeesHoles: ...  # noqa: D102

    def expected(self, E: Array, cov: Covariance) -> Array:
        """Whole rows (N, K) of what neighbours leave, expected given what is observed."""
        ...

    def filtered(self, E: Array) -> Array:
        """The same without a covariance, of the observed cells: to look at."""
        ...

    def responses(self, Y: Array, E: Array, cov: Covariance) -> Array:
        """Responses (N, K) with the mean of what is missing."""
        ...

    def gradient_of_lag(self, Y: Array, E: Array, cov: Covariance) -> float:
        """d psi / d rho at responses Y (N, K) and the raw residuals E that they have."""
        ...

    def gradient_of_filter(self, E: Array, cov: Covariance) -> Array | None:
        """d psi / d values of the filter at raw residuals E (N, K); None where rows are apart."""
        ...


def fills(errors: Errors) -> TypeGuard[Filling]:
    """Whether a law has `Filling`'s methods."""
    return hasattr(errors, "gradient_of_lag")


def graded(errors: Errors) -> Graded | None:
    """The law itself, where it has parameters of its own."""
    return cast(Graded, errors) if len(own_parameters(errors).values) else None


def own_parameters(errors: Errors) -> Nuisance:
    """A law's parameters beside Sigma; `NO_NUISANCE` where it has none."""
    found = getattr(errors, "nuisance", NO_NUISANCE)
    return cast(Nuisance, found)
