"""``Grouped``: rows of groups, checked and labelled; what every accepted form of input becomes.

Rows come in any order and are kept in two: the caller's, for residuals and fitted values, and
group by group, by time within groups where there are times, else in the caller's order. Sorting is
stable, so that equal times keep the order in which they came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.provenance import Provenance
from sm_alsgls.core.design.bases import DependentColumnsError
from sm_alsgls.core.mixed.autoregression import AR1
from sm_alsgls.core.mixed.autoregressive_levels import LevelsAR1
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.residual_laws import Common, ResidualLaw
from sm_alsgls.core.mixed.residual_laws import Levels as LevelsLaw
from sm_alsgls.core.mixed.rows import MixedRows
from sm_alsgls.data.columns import dependent

Array = np.ndarray


@dataclass(frozen=True)
class Names:
    """What the parts of a mixed model are called.

    Attributes
    ----------
    response : str
    columns : list of str (p,)
        Regressors, whose coefficients are the fixed effects.
    columns_re : list of str (q,)
        Regressors whose coefficients differ from group to group.
    group, time : str
        What groups and times are called in messages.
    named : tuple of bool
        Whether the regressors, and those of random effects, came with names.
    """

    response: str
    columns: list[str]
    columns_re: list[str]
    group: str = "groups"
    time: str = "time"
    named: tuple[bool, bool] = (True, True)

    @property
    def p(self) -> int:
        """Fixed effects."""
        return len(self.columns)

    @property
    def q(self) -> int:
        """Random effects of a group."""
        return len(self.columns_re)


@dataclass(frozen=True, eq=False)
class Levels:
    """Of which level of the residual variance each row is.

    Attributes
    ----------
    codes : ndarray of int (n,)
    names : list of str (L,)
        Each of which has rows.
    """

    codes: Array
    names: list[str]


@dataclass(frozen=True, eq=False)
class Grouped:
    """n labelled rows of m groups.

    Arrays of rows are in the order of groups; `order` tells where each stood.

    Attributes
    ----------
    names : Names
    labels : Index (m,)
        Groups: in their order where they are numbers or dates, else as they appear.
    y : ndarray (n,)
    X : ndarray (n, p)
    Z : ndarray (n, q)
    codes : ndarray of int (n,)
        Of groups, ascending.
    order : ndarray of int (n,)
        Position of each row in the caller's order of the rows that are used.
    index : Index (n,)
        Labels of the rows in the caller's order.
    weights : ndarray (n,) or None
        Over their mean.
    times : ndarray (n,) or None
        Of time, in steps, ascending within groups.
    levels : Levels or None
    n_dropped : int
        Rows dropped for missing values, or for weights of zero.
    source : Provenance
        Which of the rows that were handed in these are, in the caller's order.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.data.grouped_rows import read_groups
    >>> rows = read_groups([3.0, 1.0, 2.0, 5.0, 4.0], np.ones(5), ["b", "a", "b", "a", "b"])
    >>> rows.labels.tolist(), rows.counts.tolist(), rows.y.tolist()
    (['b', 'a'], [3, 2], [3.0, 2.0, 4.0, 1.0, 5.0])
    >>> rows.restored(rows.y).tolist()
    [3.0, 1.0, 2.0, 5.0, 4.0]
    """

    names: Names
    labels: pd.Index
    y: Array
    X: Array
    Z: Array
    codes: Array
    order: Array
    index: pd.Index
    weights: Array | None = None
    times: Array | None = None
    levels: Levels | None = None
    n_dropped: int = 0
    source: Provenance | None = field(default=None, kw_only=True)

    @property
    def keeps_rows(self) -> bool:
        """Yes; a stream keeps cross-products only."""
        return True

    @property
    def nobs(self) -> int:
        """n."""
        return len(self.y)

    @property
    def m(self) -> int:
        """Number of groups."""
        return len(self.labels)

    @cached_property
    def counts(self) -> Array:
        """Rows T_i of each group (m,)."""
        return np.bincount(self.codes, minlength=self.m)

    @cached_property
    def seen(self) -> Array:
        """Groups in which each column of Z is anything but zero, (q,)."""
        there = np.zeros((self.m, self.names.q), dtype=bool)
        for j in range(self.names.q):
            there[self.codes[self.Z[:, j] != 0.0], j] = True
        return there.sum(axis=0)

    @property
    def provenance(self) -> Provenance:
        """Which of the rows that were handed in these are."""
        return Provenance(self.index) if self.source is None else self.source

    def spans(self) -> tuple[Array, Array]:
        """Rows that have the Gram matrices of [X, y] and of Z: here all."""
        return np.column_stack([self.X, self.y]), self.Z

    def products(self, autoregressive: bool = False) -> tuple[CrossProducts, ResidualLaw]:
        """Products of the rows, group by group, and the law of their errors.

        Cost: O(n c^2), c = p + q + 1, once for each law.

        Raises
        ------
        RankDeficientError
        """
        law: ResidualLaw = Common()
        index = None
        leveled = self.levels if self.levels is not None and len(self.levels.names) > 1 else None
        if autoregressive:
            times, index = np.asarray(self.times), self.mixed().index
            law = AR1.of_times(self.codes, times)
            if leveled is not None:
                names = tuple(leveled.names)
                law = LevelsAR1.of_rows(self.codes, times, leveled.codes, names)
        elif leveled is not None:
            index, law = leveled.codes, LevelsLaw(tuple(leveled.names))
        try:
            made = CrossProducts.of_rows(
                self.Z, self.X, self.y, self.codes, self.m, law, index, self.weights
            )
        except DependentColumnsError as error:
            # Nearer to dependent than products can be made of, where bases of rows still can.
            raise dependent(error, self.names.response, self.names.columns) from None
        return made, law

    def mixed(self) -> MixedRows:
        """The rows, for what is not in products of groups."""
        some = self.levels is not None and len(self.levels.names) > 1
        return MixedRows(
            self.Z,
            self.X,
            self.codes,
            np.asarray(self.times),
            self.weights,
            self.levels.codes if some and self.levels is not None else None,
        )

    def restored(self, values: Any) -> Array:
        """Values of rows (n, ...) in the order of groups, put into the caller's."""
        values = np.asarray(values)
        out = np.empty_like(values)
        out[self.order] = values
        return out

    def sorted(self, values: Any) -> Array:
        """Values of rows (n, ...) in the caller's order, put into that of groups."""
        return np.asarray(values)[self.order]
