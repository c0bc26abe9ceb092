"""``to_xarray``: what was estimated as arrays of labelled dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_alsgls.exceptions import MissingExtraError, OptionError
from sm_alsgls.results.coefficients import bse
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import rank_of

# Cells of equation x variable: 80 MB an array. Equations whose regressors all have names of their
# own leave nearly all of them empty.
LARGEST = 10_000_000


def to_xarray(estimate: Estimate) -> Any:
    """Coefficients by equation and variable, and loadings by equation and factor.

    Returns
    -------
    xarray.Dataset
        Dimensions ``equation`` (K) and ``variable`` (every regressor's name, in the order in which
        the equations have them), and ``factor`` (r) where Sigma has factors. Variables:

        ==============  ====================  ================================================
        coefficients    (equation, variable)  NaN where an equation lacks the variable; one that
                                              equations have in common stands in each of them
        std_errors      (equation, variable)  by ``cov_type``
        sigma_diag      (equation,)           variances of the errors
        loadings        (equation, factor)    F, canonical; without factors not there
        uniquenesses    (equation,)           d; with an unrestricted Sigma not there
        ==============  ====================  ================================================

        Attributes: nobs, rank, cov_type.

    Raises
    ------
    MissingExtraError
        xarray is not installed.
    OptionError
        Equations x variables are more than ten million, nearly all of them empty; `tidy` has no
        empty ones.

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> res = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
    ... ).fit()
    >>> made = res.to_xarray()
    >>> dict(made.sizes)
    {'equation': 11, 'variable': 3, 'factor': 2}
    >>> round(float(made.coefficients.sel(equation="IBM", variable="value")), 4)
    0.1455
    """
    try:
        import xarray
    except ImportError as error:
        raise MissingExtraError(
            "to_xarray() needs xarray: pip install xarray, or 'sm_alsgls[integrations]'"
        ) from error
    labels = estimate.labels
    variables = list(dict.fromkeys(name for names in labels.regressors for name in names))
    if labels.K * len(variables) > LARGEST:
        raise OptionError(
            f"{labels.K} equations x {len(variables)} variables are more cells than {LARGEST:,}, "
            "nearly all of them empty; tidy() has a row for each coefficient and no empty ones"
        )
    at = {name: i for i, name in enumerate(variables)}
    coefficients = np.full((labels.K, len(variables)), np.nan)
    errors = coefficients.copy()
    size = bse(estimate)
    for j, names in enumerate(labels.regressors):
        columns = [at[name] for name in names]
        coefficients[j, columns] = estimate.beta[j]
        errors[j, columns] = size[labels.columns(j)]
    both, each = ("equation", "variable"), ("equation",)
    held: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        "coefficients": (both, coefficients),
        "std_errors": (both, errors),
        "sigma_diag": (each, np.array(estimate.sigma.diag())),
    }
    coords: dict[str, list[str]] = {"equation": list(estimate.equations), "variable": variables}
    low = estimate.sigma.low_rank
    if low is not None:
        held["uniquenesses"] = (each, np.array(low.uniquenesses))
        if estimate.rank:
            held["loadings"] = (("equation", "factor"), np.array(low.loadings))
            coords["factor"] = [f"factor{i + 1}" for i in range(estimate.rank)]
    told = {"nobs": estimate.nobs, "rank": rank_of(estimate), "cov_type": estimate.choice.cov_type}
    return xarray.Dataset(held, coords, told)
