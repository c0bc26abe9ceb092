"""A model with instruments, of drawn equations."""

import warnings

import pandas as pd

from sm_alsgls.exceptions import WeakInstrumentWarning
from sm_alsgls.models.three_stage import LowRank3SLS


def model(draws, weights=None, rank=0):
    """Of draws of `equation`: e0, e1, ... on const, x, p0, p1, ...; instruments z0, z1, ..."""
    y, exog, instruments = {}, {}, {}
    for j, (response, X, Z, _) in enumerate(draws):
        y[f"e{j}"] = response
        names = ["const", "x", *(f"p{i}" for i in range(X.shape[1] - 2))]
        exog[f"e{j}"] = pd.DataFrame(X, columns=names)
        names = ["const", "x", *(f"z{i}" for i in range(Z.shape[1] - 2))]
        instruments[f"e{j}"] = pd.DataFrame(Z, columns=names)
    return LowRank3SLS(y, exog, instruments, rank=rank, weights=weights)


def fit(draws, weights=None, **kwds):
    """Its fit, whatever the strength of the instruments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeakInstrumentWarning)
        return model(draws, weights).fit(**kwds)
