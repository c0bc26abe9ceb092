"""``FittedLaws``: what the parameters of the laws of the errors were estimated to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sm_alsgls.core.laws.estimated import Estimated
from sm_alsgls.core.laws.row_scale import centred
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.data.error_laws import LAG_NAME, SCALE_NAME, ErrorLaws


@dataclass(frozen=True, eq=False)
class FittedLaws:
    """Estimates of the laws' parameters, in the order of `data.error_laws.ErrorLaws`.

    Attributes
    ----------
    names : tuple of str (m,)
    values : ndarray, shape (m,)
    cov : ndarray, shape (m, m)
        NaN where a value is on a bound, or the curvature is not positive.
    bounds : ndarray, shape (m, 2)
    places : mapping of str to slice
        Where the values of each law are.
    ar : str or None
        "common" or "each".
    cells : bool
        Whether scales are of cells.
    error, lag : SpatialWeights or None
    over_rows : bool
        Whether neighbours are rows.
    how : str
        How the values were estimated.
    row_sigma : Covariance or None
        Of rows whose neighbours' errors reach them; None where that is Sigma.
    slopes : ndarray, shape (P, m), or None
        d b / d values, where the coefficients are not orthogonal to these.
    centre : ndarray, shape (m,), or None
        The means of what explains scales, at which these are 1.
    uncorrected : str
        See `core.laws.estimated.Estimated`.
    """

    names: tuple[str, ...]
    values: np.ndarray
    cov: np.ndarray
    bounds: np.ndarray
    places: Mapping[str, slice]
    ar: str | None
    cells: bool
    error: SpatialWeights | None
    lag: SpatialWeights | None
    over_rows: bool
    how: str
    row_sigma: Covariance | None
    slopes: np.ndarray | None
    centre: np.ndarray | None = None
    uncorrected: str = ""

    @classmethod
    def of(cls, laws: ErrorLaws, made: Estimated, taken: float) -> FittedLaws:
        """Of a fit; ``taken`` are degrees of freedom of Sigma that spatial parameters miss."""
        fit = made.fit
        errors, nuisance = fit.problem.errors, fit.found.best.nuisance
        K, n = fit.problem.K, fit.problem.n_obs
        cov = nuisance.cov
        if laws.spatial and taken > 0.0:
            stretch = np.ones(len(nuisance.values))
            for name, at in laws.places(K).items():
                if name.startswith("spatial"):
                    stretch[at] = np.sqrt(n / (n - taken))
            cov = cov * np.multiply.outer(stretch, stretch)
        return cls(
            nuisance.names,
            nuisance.values,
            cov,
            fit.system.bounds(errors),
            laws.places(K),
            laws.ar,
            laws.cells,
            laws.error,
            laws.lag,
            laws.over_rows,
            made.how,
            None if fit.graded is None else fit.found.best.cov,
            fit.slopes if laws.lag is not None else None,
            None if laws.scale is None else centred(laws.scale, K, fit.system.mask).centre,
            made.uncorrected,
        )

    @property
    def rho(self) -> float:
        """The coefficient of the spatial lag."""
        return float(self.values[self.places[LAG_NAME]][0])

    def scales(self, z: np.ndarray) -> np.ndarray:
        """exp(z'delta) of what explains scales, as the data have it, (..., m)."""
        return np.asarray(np.exp((z - self.centre) @ self.values[self.places[SCALE_NAME]]))


def refused(laws: ErrorLaws | FittedLaws) -> dict[str, str]:
    """Covariance types that laws leave undefined, and why."""
    out = {
        "pcse": "it is of least squares, and the laws of the errors weight rows; fit without them",
    }
    if laws.error is not None and not laws.over_rows:
        out["KH"] = (
            "it corrects for the estimation of factors alone, and these errors reach "
            "neighbours as well"
        )
    return out
