"""Which cells of an N x K table a fit uses, and how much each of them counts.

A cell (n, j) with weight w_nj (mean 1) has the model

    y_nj = x_nj' beta_j + e_nj / sqrt(w_nj),      rows e_n ~ N(0, Sigma) independent,

so that sqrt(w_nj) times response and regressors make a system without weights, whose likelihood
lacks the Jacobian sum_nj log(w_nj) / 2. A cell that is missing is no part of its row's likelihood
(`sm_alsgls.covariance.observed`); a weight of zero makes it missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

import numpy as np

from sm_alsgls.core.rows.cell_rows import CellRows
from sm_alsgls.core.rows.compress import compress_rows
from sm_alsgls.core.rows.joint_rows import JointRows, fewest_joint_rows
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.covariance.base import Covariance, LowRank, RowCovariance, SeenCells
from sm_alsgls.covariance.observed import ObservedCovariance
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray


class Usage(NamedTuple):
    """What is left to know of cells whose data are gone; see `Cells`."""

    counts: Array
    complete: bool
    weighted: bool
    log_jacobian: float


@dataclass(frozen=True, eq=False)
class Cells:
    """Used cells and their weights.

    Attributes
    ----------
    N, K : int
    mask : ndarray of bool, shape (N, K), optional
        True where a cell is used. Default: everywhere.
    weights : ndarray, shape (N,) or (N, K), optional
        With mean 1 over the rows, or over the used cells of each equation. Default: 1.
    """

    N: int
    K: int
    mask: Array | None = None
    weights: Array | None = None

    @property
    def complete(self) -> bool:
        """Whether no cell is missing."""
        return self.mask is None

    @property
    def weighted(self) -> bool:
        """Whether there are weights."""
        return self.weights is not None

    @cached_property
    def counts(self) -> Array:
        """N_j, used rows of each equation, (K,)."""
        return np.full(self.K, self.N) if self.mask is None else self.mask.sum(axis=0)

    @cached_property
    def n_cells(self) -> int:
        """Used cells."""
        return int(self.counts.sum())

    @cached_property
    def log_jacobian(self) -> float:
        """Sum over used cells of log(w_nj) / 2."""
        if self.weights is None:
            return 0.0
        w = np.broadcast_to(self._columns, (self.N, self.K))
        return 0.5 * float(np.log(w if self.mask is None else w[self.mask]).sum())

    @property
    def usage(self) -> Usage:
        """Numbers that outlive the data."""
        return Usage(self.counts, self.complete, self.weighted, self.log_jacobian)

    @property
    def _columns(self) -> Array:
        """Weights as (N, 1) or (N, K)."""
        if self.weights is None:
            return np.ones((1, 1))
        return self.weights if self.weights.ndim == 2 else self.weights[:, None]

    @cached_property
    def root(self) -> Array:
        """Roots of the weights, (N, 1) or (N, K); (1, 1) without weights."""
        return np.sqrt(self._columns)

    @cached_property
    def patterns(self) -> Patterns:
        """The mask's patterns; for systems that are not complete."""
        return Patterns(np.ones((self.N, self.K), dtype=bool) if self.mask is None else self.mask)

    def joint_rows(self, rank: int, p: Array) -> JointRows | None:
        """Equations whose joint rows are too few for the likelihood to have a bound."""
        return None if self.mask is None else fewest_joint_rows(self.patterns, rank, p)

    # -- data ---------------------------------------------------------------------------------

    def used(self, M: Array) -> Array:
        """Values M (N, K) times the roots of the weights, zero in missing cells."""
        if self.mask is not None:
            M = np.where(self.mask, M, 0.0)
        return M if self.weights is None else M * self.root

    def used_blocks(self, blocks: Sequence[Array]) -> list[Array]:
        """Designs times the roots of the weights, zero where they miss something.

        Equal designs stay one array where weights allow.
        """
        own = self.weights is not None and self.weights.ndim == 2
        known: dict[tuple[int, int], Array] = {}
        filled: dict[int, Array] = {}
        for j, X in enumerate(blocks):
            key = (id(X), j if own else 0)
            if key in known:
                continue
            if id(X) not in filled:
                filled[id(X)] = self._filled(X)
            root = None if self.weights is None else self.root[:, j if own else 0]
            known[key] = filled[id(X)] if root is None else filled[id(X)] * root[:, None]
        return [known[id(X), j if own else 0] for j, X in enumerate(blocks)]

    def _filled(self, X: Array) -> Array:
        if self.mask is None:
            return X
        gaps = np.isnan(X).any(axis=1)
        return np.where(gaps[:, None], 0.0, X) if gaps.any() else X

    def rows(self, blocks: Sequence[Array], Y: Array) -> Rows:
        """What the likelihood sees of the data: compressed where cells do not differ in a row."""
        if self.mask is None and self.weights is None:
            return compress_rows(blocks, Y)
        scaled, own = self.used_blocks(blocks), self.used(Y)
        if self.mask is None and self.weights is not None and self.weights.ndim == 1:
            # The roots take the place of the ones.
            made = compress_rows([*scaled, self.root], own)
            varies = Rows.of(blocks, Y).varies
            return Rows(made.blocks[:-1], made.Y, self.N, made.blocks[-1][:, 0], varies)
        mask = np.ones((self.N, self.K), dtype=bool) if self.mask is None else self.mask
        plain = Cells(self.N, self.K, self.mask).used_blocks(blocks)
        one = np.where(mask, self.root, 0.0)
        return CellRows(scaled, own, self.N, one, mask=mask, designs=plain)

    # -- errors, from residuals times the roots of the weights ---------------------------------

    def _masked(self, E: Array) -> Array:
        return E if self.mask is None else np.where(self.mask, E, 0.0)

    def seen(self, cov: Covariance) -> RowCovariance:
        """``cov`` as the rows see it."""
        return cov if self.mask is None else cov.seen(self.patterns)

    def solve(self, E: Array, cov: Covariance) -> Array:
        """Rows Sigma_n^-1 e_n (N, K), zero in missing cells."""
        return self.seen(cov).solve(self._masked(E))

    def nll(self, E: Array, cov: Covariance) -> float:
        """Negative log-likelihood per row of scaled residuals, without the Jacobian.

        Complete rows may be compressed ones.
        """
        if self.mask is None:
            return cov.nll(E, self.N)
        return cast(SeenCells, self.seen(cov)).nll(self._masked(E))

    def factors(self, E: Array, cov: LowRank) -> Array:
        """Posterior means of the factors, (N, r)."""
        if self.mask is None:
            return cov.solve(E) @ cov.loadings
        return ObservedCovariance(cov, self.patterns).factors(self._masked(E))[0]
