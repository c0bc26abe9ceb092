"""Whether the laws that the errors of one fit follow are a case of those of another."""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.laws.estimated import BAYES
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.data.error_laws import AR_NAME, EACH, ERROR_NAME, LAG_NAME, SCALE_NAME
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.fitted_laws import FittedLaws

_ARGUMENTS = {
    AR_NAME: "ar=",
    SCALE_NAME: "row_scale= or cell_scale=",
    ERROR_NAME: "spatial_error=",
    LAG_NAME: "spatial_lag=",
}


def check_maxima(full: FittedLaws | None, small: FittedLaws | None) -> None:
    """Raise where one of the fits is at no maximum, and its count of parameters not a whole one.

    Raises
    ------
    OptionError
    """
    for which, one in (("this", full), ("the restricted", small)):
        if one is not None and one.how == BAYES:
            raise OptionError(
                f"{which} fit draws AR coefficients to their mean, so its likelihood is not the "
                "maximum a likelihood ratio needs; fit with reml=False"
            )


def check_nested_laws(full: FittedLaws | None, small: FittedLaws | None) -> None:
    """Raise where a likelihood ratio of the two is none.

    Raises
    ------
    OptionError
    """
    if small is None:
        return
    for name in small.places:
        if full is None or name not in full.places:
            raise OptionError(
                f"not nested: the restricted model has {_ARGUMENTS[name]} and this one has not"
            )
    assert full is not None
    if small.ar == EACH and full.ar != EACH:
        raise OptionError("not nested: the restricted model has more AR coefficients than this one")
    if SCALE_NAME in small.places:
        names = set(small.names[small.places[SCALE_NAME]])
        if full.cells is not small.cells or not names <= set(full.names[full.places[SCALE_NAME]]):
            raise OptionError(
                "not nested: the restricted model's scales have variables that this one's have not"
            )
    pairs = {ERROR_NAME: (full.error, small.error), LAG_NAME: (full.lag, small.lag)}
    for name, (larger, smaller) in pairs.items():
        if smaller is not None and not _same(larger, smaller):
            raise OptionError(f"not nested: {_ARGUMENTS[name]} has other neighbours in each model")


def _same(one: SpatialWeights | None, other: SpatialWeights) -> bool:
    if one is other:
        return True
    if one is None or one.K != other.K:
        return False
    return bool(np.abs((one.W - other.W).data).max(initial=0.0) <= 1e-12)
