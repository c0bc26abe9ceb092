"""What a mixed model is made of: its sizes, names and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.core.mixed.structures import Structure
from sm_alsgls.data.grouped import Grouped
from sm_alsgls.data.removed import BY_THE_USER
from sm_alsgls.models.mixed_data import MixedData

Array = np.ndarray


class MixedAttributes:
    """Mixin of `LowRankMixedLM`."""

    if TYPE_CHECKING:
        k_fe: int
        group_labels: pd.Index
        structure: Structure
        law: ResidualLaw
        data: MixedData
        _counts: Array

    @property
    def rank(self) -> int:
        """Number of factors of G; all, q, where it is unrestricted."""
        return self.structure.rank

    @property
    def df_model(self) -> float:
        """Free parameters: of the fixed effects, of G, of the residual law, and s2."""
        return float(self.k_fe + self.structure.n_free + self.law.size + 1)

    @property
    def endog_names(self) -> str:
        """The response."""
        return self.data.ynames

    @property
    def exog_names(self) -> list[str]:
        """Names of the fixed effects."""
        return self.data.xnames

    @property
    def exog_re_names(self) -> list[str]:
        """Names of the random effects."""
        return self.data.exog_re_names

    @property
    def endog(self) -> Array:
        """Response (n,), in the caller's order of the rows that are used."""
        return self.data.endog

    # The constructor of statsmodels' models assigns what `data` has, which is the same or nothing.
    @endog.setter
    def endog(self, value: Any) -> None: ...

    @property
    def exog(self) -> Array:
        """Regressors (n, p)."""
        return self.data.exog

    @exog.setter
    def exog(self, value: Any) -> None: ...

    @property
    def exog_re(self) -> Array:
        """Regressors of the random effects (n, q)."""
        return self.data.exog_re

    @property
    def groups(self) -> pd.Series:
        """Group of each row (n,)."""
        return self.data.groups

    @property
    def rows(self) -> Grouped:
        """The checked rows, group by group.

        Raises
        ------
        DataRemovedError
        """
        return self.data.rows

    @property
    def has_data(self) -> bool:
        """Whether the rows are there; a stream has none."""
        return self.data.has_rows

    @property
    def counts(self) -> pd.Series:
        """Rows of each group (m,)."""
        return pd.Series(self._counts, index=self.group_labels, name="rows")

    def remove_data(self) -> None:
        """Let go of the rows; products of groups stay, from which random effects are predicted."""
        self.data.remove(BY_THE_USER)
