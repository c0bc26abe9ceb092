"""What statsmodels finds under ``model.data`` of a mixed model."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd

from sm_alsgls.border.provenance import Provenance
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.data.grouped import Grouped, Names
from sm_alsgls.data.removed import READ_AS_STREAM, Removed, gone, in_place_of
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.models.one_response import OneResponse

Array = np.ndarray


class Groups(Protocol):
    """Rows of groups, or what a stream kept of them."""

    @property
    def names(self) -> Names: ...  # noqa: D102
    @property
    def labels(self) -> pd.Index: ...  # noqa: D102
    @property
    def counts(self) -> Array: ...  # noqa: D102
    @property
    def seen(self) -> Array: ...  # noqa: D102
    @property
    def n_dropped(self) -> int: ...  # noqa: D102
    @property
    def keeps_rows(self) -> bool: ...  # noqa: D102
    @property
    def nobs(self) -> int: ...  # noqa: D102
    @property
    def m(self) -> int: ...  # noqa: D102

    def spans(self) -> tuple[Array, Array]:
        """Rows that have the Gram matrices of [X, y] and of Z."""
        ...

    def products(self, autoregressive: bool = False) -> tuple[CrossProducts, ResidualLaw]:
        """Products of the rows, and the law of their errors."""
        ...


class MixedData(OneResponse):
    """Response, regressors and labels of rows of groups, in the caller's order.

    Parameters
    ----------
    rows : Grouped
        Or what a stream kept, which has no rows: what needs them raises `DataRemovedError`.
    """

    def __init__(self, rows: Any) -> None:
        self._rows: Grouped | None = rows if rows.keeps_rows else None
        names = rows.names
        self._index = rows.index if rows.keeps_rows else Removed("row labels", READ_AS_STREAM)
        super().__init__(names.response, names.columns)
        self.exog_re_names = list(names.columns_re)
        self._reason = READ_AS_STREAM
        #: What formulas made the regressors, for statsmodels' tests of terms.
        self.recipe: FormulaSystem | None = None

    @property
    def model_spec(self) -> Any:
        """The engine's right-hand side of the fixed effects; none without formulas."""
        if self.recipe is None:
            raise AttributeError("model_spec: the model was not made from formulas")
        return self.recipe.specs[0].rhs

    def _of_rows(self, name: str, what: str) -> Array:
        rows = self._rows
        if rows is None:
            return in_place_of(what, self._reason)
        if name not in self._cache:
            values = rows.restored(getattr(rows, name))
            values.flags.writeable = False
            self._cache[name] = values
        return self._cache[name]

    @property
    def endog(self) -> Array:
        """Responses (n,)."""
        return self._of_rows("y", "responses")

    @property
    def exog(self) -> Array:
        """Regressors (n, p)."""
        return self._of_rows("X", "regressors")

    @property
    def exog_re(self) -> Array:
        """Regressors of the random effects (n, q)."""
        return self._of_rows("Z", "regressors of random effects")

    @property
    def groups(self) -> pd.Series:
        """Group of each row (n,)."""
        rows = self.rows
        codes = rows.restored(rows.codes)
        return pd.Series(rows.labels.take(codes), index=self._index, name=rows.names.group)

    @property
    def row_labels(self) -> pd.Index:
        """Labels of the rows."""
        return self._index

    @property
    def rows(self) -> Grouped:
        """The rows.

        Raises
        ------
        DataRemovedError
        """
        return gone("rows", self._reason) if self._rows is None else self._rows

    @property
    def has_rows(self) -> bool:
        """Whether rows are there."""
        return self._rows is not None

    @property
    def provenance(self) -> Provenance:
        """Which of the rows that were handed in these are."""
        return self.rows.provenance

    def remove(self, reason: Any) -> None:
        """Let go of the rows."""
        self._rows, self._index, self._cache = None, Removed("row labels", reason), {}
        self._reason = reason
        if hasattr(self, "frame"):
            self.frame = Removed("data", reason)
