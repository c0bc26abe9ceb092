"""What results have where errors follow laws beside Sigma."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from sm_alsgls.results import forecast, law_intervals, law_tests, laws, spatial_effects
from sm_alsgls.results.method import method
from sm_alsgls.results.system import SystemResults

# What errors that follow nothing beside Sigma have not.
_OF_LAWS = (
    "ar", "cell_scale", "law_intervals", "law_params", "row_scale", "spatial", "spatial_effects",
)  # fmt: skip


class LawResults(SystemResults):
    """`SystemResults` of errors that may be autoregressive, scaled or spatial.

    NotApplicableError where they are not.
    """

    def _absent(self) -> Collection[str]:
        names, followed = super()._absent(), self.estimate.laws
        return {*names, *(_OF_LAWS if followed is None else laws.without(followed))}

    @property
    def ar(self) -> pd.DataFrame:
        """Autoregressive coefficients with standard errors, z tests and 95 % intervals."""
        return laws.ar(self.estimate)

    @property
    def row_scale(self) -> pd.DataFrame:
        """delta of the variances exp(z'delta) of rows, likewise."""
        return laws.scale(self.estimate, cells=False)

    @property
    def cell_scale(self) -> pd.DataFrame:
        """delta of the variances exp(z'delta) of cells, likewise."""
        return laws.scale(self.estimate, cells=True)

    @property
    def spatial(self) -> pd.DataFrame:
        """lambda of spatial errors and rho of a spatial lag, likewise."""
        return laws.spatial(self.estimate)

    law_params = method(laws.law_params)
    forecast = method(forecast.forecast)
    law_tests = method(law_tests.law_tests)
    law_intervals = method(law_intervals.law_intervals)
    spatial_effects = method(spatial_effects.spatial_effects)
