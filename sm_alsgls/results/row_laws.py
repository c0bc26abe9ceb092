"""The covariance of a row's responses about their means, of rows whose errors follow laws.

Rows of the estimation have scales of their own, and so have new ones whose data have what explains
scales (`results.new_scales`); others are of mean scale. They are h rows after the last one or,
unless it is said, with nothing known of the rows before, which are taken for those of mean scale.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.laws.marginal import (
    NewRows,
    covariances_of_rows,
    new_row,
    variances_of_rows,
)  # fmt: skip
from sm_alsgls.core.laws.row_weights import RowWeights, spread
from sm_alsgls.core.laws.spatial_lag import SpatialLag
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.unrestricted import Unrestricted
from sm_alsgls.data.error_laws import AR_NAME, EACH, ERROR_NAME
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import kept

# Numbers in covariances of all rows.
_MOST = 2**27


def lag_of(estimate: Estimate) -> SpatialLag | None:
    """The spatial lag of the responses, at its estimate."""
    laws = estimate.laws
    if laws is None or laws.lag is None:
        return None
    return SpatialLag(RowWeights(laws.lag, estimate.neqs) if laws.over_rows else laws.lag, laws.rho)


def autoregression(estimate: Estimate) -> np.ndarray | None:
    """AR coefficients, (1,) or (K,)."""
    laws = estimate.laws
    return None if laws is None or laws.ar is None else laws.values[laws.places[AR_NAME]]


def of_new_row(estimate: Estimate, steps: float = np.inf) -> Covariance:
    """Of a new row of mean scale, ``steps`` after the last one.

    Where neighbours are rows it lacks what these send: see `of_units`.
    """
    laws = estimate.laws
    if laws is None:
        return estimate.sigma
    lag = None if laws.lag is None or laws.over_rows else (laws.lag, laws.rho)
    return new_row(estimate.row_sigma, autoregression(estimate), steps, lag)


def of_units(estimate: Estimate, scale: np.ndarray | None = None) -> np.ndarray | None:
    """What neighbours make of the variance of each unit, (U, 1), where units are rows.

    ``scale`` (U, m) are those of their own, default 1; what they are made of is (U, m) as well.
    """
    laws = estimate.laws
    weights = None if laws is None else laws.error or laws.lag
    if laws is None or weights is None or not laws.over_rows:
        return None
    maps, U = [], weights.K
    if laws.error is not None:
        lam = float(laws.values[laws.places[ERROR_NAME]][0])
        maps.append(SpatialLag(RowWeights(laws.error, 1), lam).inverse)
    lag = lag_of(estimate)
    if lag is not None:
        maps.append(lag.inverse)
    return spread(maps, np.ones((U, 1)) if scale is None else scale)


def of_new_rows(estimate: Estimate, rows: NewRows, covariances: bool = False) -> np.ndarray:
    """Variances (T, K), or ``covariances`` (T, K, K), of new rows with scales of their own.

    Where neighbours are rows it lacks what these send.
    """
    laws = estimate.laws
    lag = None if laws is None or laws.lag is None or laws.over_rows else (laws.lag, laws.rho)
    rho = autoregression(estimate)
    made = rows.covariances if covariances else rows.variances
    return made(estimate.row_sigma, np.zeros(1) if rho is None else rho, lag)


@kept
def of_estimation_rows(estimate: Estimate) -> np.ndarray:
    """Variances (N, K) of the rows that were estimated from."""
    laws = estimate.laws
    if laws is None:
        return np.broadcast_to(estimate.sigma.diag(), (estimate.nobs, estimate.neqs))
    return variances_of_rows(estimate.sample.raw, estimate.row_sigma, laws.over_rows)


def covariances_of_estimation_rows(estimate: Estimate) -> np.ndarray | None:
    """Of each row (N, K, K), where they differ by more than a factor; else None.

    None as well where cells are missing, or they are too many for an array.
    """
    sample = estimate.sample
    if not uneven(estimate, estimate.nobs) or not sample.cells.complete:
        return None
    return covariances_of_rows(sample.raw, estimate.row_sigma)


def uneven(estimate: Estimate, n: int) -> bool:
    """Whether covariances of n rows differ by more than a factor, and are few enough to be made."""
    laws = estimate.laws
    if laws is None or laws.over_rows or n * estimate.neqs**2 > _MOST:
        return False
    return laws.ar == EACH or (laws.cells and (laws.ar is not None or laws.lag is not None))


def seen(cov: Covariance) -> Covariance:
    """A covariance of which rows with holes can be seen: itself, or a dense one, O(K^3)."""
    return cov if cov.holes else Unrestricted.from_dense(cov.to_dense())
