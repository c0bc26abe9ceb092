"""Laws of a panel together: a lag of the responses, a filter of rows, spatial errors.

    y*_n = y_n less rho times its neighbours'      a lag changes responses only
    T y*, T X                                      a filter of rows: AR, scales, spatial errors of rows
    rows T e ~ law of spatial errors               a covariance, as it mixes equations

in that order. At the inner optimum, with raw residuals E, T E, and W = (T E) Sigma^-1, each law's
gradient is its own: the filter's at (E, T E, W), the lag's at neighbours' responses under T, the
errors' at T E.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sm_alsgls.core.design.base import Binding, Linear
from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.laws.base import RowFilter
from sm_alsgls.core.laws.spatial_error import SpatialError
from sm_alsgls.core.laws.spatial_lag import Neighbours, SpatialLag
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Law, Problem
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.exceptions import OptionError

Array = np.ndarray


class Laws:
    """Laws as an `Outer`; one of the three at least.

    Parameters
    ----------
    rows : Rows
        Whole ones; of responses as they are. With ``filter`` not compressed.
    options : ALSOptions
    law : callable
        Makes the law of what all filters leave.
    binding : Binding, optional
    lag : SpatialWeights or RowWeights, optional
    filter : RowFilter, optional
    error : SpatialWeights, optional
        Among equations; among rows it is a ``filter``.
    values : array_like, optional
        rho, the filter's, lam, of what there is; default zeros, and the filter's own.

    Raises
    ------
    OptionError
        There is no law, or rows have holes.

    Examples
    --------
    >>> from sm_alsgls.core.laws.outer import maximise_outer
    >>> ring = np.roll(np.eye(8), 1, axis=1)
    >>> weights = SpatialWeights(0.5 * (ring + ring.T))
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((200, 2)) for _ in range(8)]
    >>> mean = np.column_stack([x.sum(axis=1) for x in X]) + rng.standard_normal((200, 8))
    >>> Y = mean @ np.linalg.inv(np.eye(8) - 0.4 * weights.W.toarray()).T
    >>> best = maximise_outer(Laws(Rows.of(X, Y), ALSOptions(), lag=weights), 0)
    >>> best.nuisance.names, bool(abs(best.nuisance.values[0] - 0.4) < 0.05)
    (('rho',), True)
    """

    def __init__(
        self,
        rows: Rows,
        options: ALSOptions,
        *,
        law: Law = low_rank,
        binding: Binding | None = None,
        lag: Neighbours | None = None,
        filter: RowFilter | None = None,  # noqa: A002
        error: SpatialWeights | None = None,
        values: Array | None = None,
    ) -> None:
        if lag is None and filter is None and error is None:
            raise OptionError("there is no law: give a lag, a filter of rows or spatial errors")
        if rows.patterns is not None:
            raise OptionError("spatial models need whole rows; use missing='drop'")
        if filter is not None and len(rows.Y) < rows.n_obs:
            raise OptionError(
                f"a filter of rows needs all {rows.n_obs} of them, which were compressed to "
                f"{len(rows.Y)}; make the problem of `Rows.of` the data"
            )
        self._rows, self._options, self._law, self._binding = rows, options, law, binding
        self._lag = None if lag is None else SpatialLag(lag, rows.Y)
        self._filter = filter
        self._error = None if error is None else SpatialError(law(rows), error, 0.0)
        self._collect()
        if values is not None:
            self._move(np.asarray(values, dtype=float))

    def _move(self, values: Array) -> None:
        at = 0
        if self._lag is not None:
            self._lag, at = self._lag.at(float(values[0])), 1
        if self._filter is not None:
            stop = at + len(self._filter.values)
            self._filter = self._filter.at(values[at:stop])
        if self._error is not None:
            self._error = self._error.at(values[-1:])
        self._collect()

    def _collect(self) -> None:
        lag, rows, error = self._lag, self._filter, self._error
        names: list[str] = [] if lag is None else [lag.name]
        values, bounds = [np.empty(0)], [np.empty((0, 2))]
        self.beside = self.log_jacobian = 0.0
        if lag is not None:
            values.append(np.array([lag.rho]))
            bounds.append(lag.bounds[None, :])
            self.beside += lag.log_jacobian
        if rows is not None:
            names.extend(rows.names)
            values.append(rows.values)
            bounds.append(rows.bounds)
            self.beside += rows.log_jacobian
        self.log_jacobian = self.beside
        if error is not None:
            names.append(error.name)
            values.append(error.nuisance.values)
            bounds.append(error.bounds)
            self.log_jacobian += error.nuisance.log_jacobian
        self.names = tuple(names)
        self.values, self.bounds = np.concatenate(values), np.concatenate(bounds)
        self.values.setflags(write=False)

    def at(self, values: Array) -> Laws:
        """At other values (m,)."""
        again = object.__new__(Laws)
        again._rows, again._options = self._rows, self._options
        again._law, again._binding = self._law, self._binding
        again._lag, again._filter, again._error = self._lag, self._filter, self._error
        again._move(np.asarray(values, dtype=float))
        # What is not of the values is made once.
        again.__dict__["_raw"] = self._raw
        if self._lag is not None:
            again.__dict__["_spread"] = self._spread
        return again

    # -- the problem at the values ---------------------------------------------------------------

    @cached_property
    def _raw(self) -> Problem:
        """Without any law."""
        return Problem.from_rows(self._rows, self._options, law=self._law, binding=self._binding)

    @property
    def _responses(self) -> Array:
        return self._rows.Y if self._lag is None else self._lag.responses

    @cached_property
    def problem(self) -> Problem:
        """Filtered responses and designs, under the law of spatial errors."""
        if self._filter is not None:
            rows = self._filter
            made = Rows.of(rows.blocks(self._rows.blocks), rows.rows(self._responses))
            found = Problem.from_rows(made, self._options, law=self._law, binding=self._binding)
        elif self._lag is not None:
            found = self._raw.with_responses(self._responses)
        else:
            found = self._raw
        return found if self._error is None else found.with_errors(self._error)

    def residuals(self, gamma: Array) -> Array:
        """Raw ones, (n, K): of responses less the lag, before the filter of rows."""
        design: Linear = self._raw.design
        fitted = design.free.fitted(design.free.from_beta(self.problem.design.to_beta(gamma)))
        return self._responses - fitted

    # -- derivatives -----------------------------------------------------------------------------

    def gradient(self, gamma: Array, E: Array, cov: Covariance) -> Array:
        """As the module says, (m,); E are the problem's residuals at gamma."""
        out = [np.empty(0)]
        solved = cov.solve(E) if self._lag is not None or self._filter is not None else E
        if self._lag is not None:
            lagged = self._filtered(self._lag.lagged)
            out.append(np.array([self._lag.gradient(solved, lagged, self._rows.n_obs)]))
        if self._filter is not None:
            out.append(self._filter.gradient(self.residuals(gamma), E, solved))
        if self._error is not None:
            out.append(self._error.gradient(E, cov))
        return np.concatenate(out)

    def _filtered(self, M: Array) -> Array:
        return M if self._filter is None else self._filter.rows(M)

    @cached_property
    def _spread(self) -> Array:
        """Neighbours' responses less what regressors explain: they move with rho, b being free."""
        assert self._lag is not None
        lagged, design = self._lag.lagged, self._raw.design
        return lagged - design.fitted(design.project(lagged))

    def information(self, gamma: Array, E: Array, cov: Covariance) -> Array:
        """About the curvature of psi, (m, m): products of derivatives, and log-Jacobians'.

        A filter of rows is taken as orthogonal to the others.
        """
        own, moves, left = [], [], cov
        if self._lag is not None:
            own.append(self._lag.curvature())
            moves.append(self._filtered(self._spread))
        if self._error is not None:
            left = self._error.left_of(cov)
            moves = [self._error.filtered(M) for M in moves]
            own.append(self._error.weights.curvature(self._error.lam))
            moves.append(self._error.weights.lagged(E))
        solved = [left.solve(M) for M in moves]
        products = np.array([[np.einsum("nk,nk->", M, S) for S in solved] for M in moves])
        m = len(self.values)
        out = np.zeros((m, m))
        if own:
            # The lag is first, the errors are last. Of weights that are far from mutual the trace
            # may be below zero.
            spatial = np.array([0] * (self._lag is not None) + [m - 1] * (self._error is not None))
            place = np.ix_(spatial, spatial)
            out[place] = products / self._rows.n_obs + np.diag(np.maximum(own, 0.0))
        if self._filter is not None:
            at = 0 if self._lag is None else 1
            stop = at + len(self._filter.values)
            out[at:stop, at:stop] = self._filter.information(self.residuals(gamma), cov)
        return out
