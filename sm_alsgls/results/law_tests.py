"""Is a law of the errors there at all? Likelihood ratios and score tests, the other laws kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import optional_flag
from sm_alsgls.border.neighbours import neighbours
from sm_alsgls.border.numbers import numbers
from sm_alsgls.core.laws.estimated import BAYES, few
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.no_ar import no_ar
from sm_alsgls.core.laws.no_scale import no_scale
from sm_alsgls.core.laws.profile import Profile
from sm_alsgls.core.laws.spatial_tests import SpatialTests, spatial_tests
from sm_alsgls.data.error_laws import AR_NAME, ERROR_NAME, LAG_NAME, SCALE_NAME, ErrorLaws
from sm_alsgls.exceptions import NotApplicableError, OptionError, ShapeError
from sm_alsgls.progress import counted
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.law_profiles import fitted, of_one_ar, profile, small_sample
from sm_alsgls.results.progress import says

_RATIO, _RESTRICTED, _SCORE = "likelihood ratio", "restricted likelihood ratio", "score"


class LawTest(NamedTuple):
    """A row of the table."""

    law: str
    test: str
    statistic: float
    df: int
    pvalue: float


@says
def law_tests(
    estimate: Estimate,
    *,
    ar: bool | None = None,
    row_scale: Any = None,
    spatial: Any = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Tests that errors do not follow a law.

    Without arguments, of each law that the fit has, the others kept: twice the gain in
    log-likelihood by the law, times (N - r) / N, on as many degrees of freedom as it has
    parameters; and, where there is one, the score of its parameters at zero. Where parameters were
    estimated by restricted likelihood, as AR coefficients and scales are by default, the ratio is
    one of these. Of one AR coefficient for each unit it is that of one for all.

    With arguments, score tests of laws that the fit does *not* have; no refit.

    Parameters
    ----------
    ar : bool, optional
        Whether errors of neighbouring rows are correlated, which should be one period apart.
    row_scale : str, Series, DataFrame or array_like, optional
        What might explain the variances of rows: columns of the data, or values. Of whole rows.
    spatial : matrix, graph or frame of neighbours, optional
        As of ``spatial_error=``: spatial errors, a spatial lag, each robust to the other, and both
        (Anselin, Bera, Florax and Yoon 1996), by least squares. Of whole rows whose errors have no
        factors and one variance.
    progress : bool, optional
        Whether to say how far it is: True with a bar from the start (needs tqdm), False never; by
        default after two seconds, where standard error is a terminal or a notebook.

    Returns
    -------
    DataFrame
        Columns ``law``, ``test``, ``statistic``, ``df``, ``pvalue``.

    Raises
    ------
    NotApplicableError
        Errors follow no law and none is asked for; or no score test knows such data.
    NoLikelihoodError, DataRemovedError, OptionError, ShapeError

    Notes
    -----
    Sizes are measured in ``docs/measured/panels.md``. Score tests of AR and scales form the
    information of the coefficients, O(N P^2 + P^3), and are left out of the table where these are
    more than some 1,500.

    Examples
    --------
    >>> from sm_alsgls import LowRankPanel
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> model = LowRankPanel.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), 0, entity="firm", time="year",
    ...     effects="entity", ar="common",
    ... )
    >>> model.fit().law_tests().round(1)
      law                         test  statistic  df  pvalue
    0  ar  restricted likelihood ratio      115.6   1     0.0
    1  ar                        score       87.2   1     0.0
    """
    asked = optional_flag(ar, "ar")
    _ = estimate.likelihood
    if asked or row_scale is not None or spatial is not None:
        rows = list(_asked(estimate, bool(asked), row_scale, spatial))
    elif estimate.laws is None:
        raise NotApplicableError(
            "errors follow no law beside Sigma; say which might be there, law_tests(ar=True), "
            "row_scale= or spatial=, or make the model with ar=, row_scale=, cell_scale=, "
            "spatial_error= or spatial_lag="
        )
    else:
        rows = list(_own(estimate))
    return pd.DataFrame(rows, columns=list(LawTest._fields))


def _own(estimate: Estimate) -> Iterator[LawTest]:
    """Of the laws of the fit."""
    laws, spec = estimate.laws, estimate.sample.model.laws
    assert laws is not None
    assert spec is not None
    around = profile(estimate)
    for name, place in counted(laws.places.items(), "tests of laws", unit="law"):
        called = _called(name, laws.cells)
        null = around.lowest(_zero(around, place))
        if name == AR_NAME and laws.how == BAYES:
            one = of_one_ar(estimate)
            place = spec.places(1)[AR_NAME]
            yield _ratio(estimate, called, one, one.lowest(_zero(one, place)), 1)
        else:
            yield _ratio(estimate, called, around, null, len(laws.values[place]))
        yield from _score(name, called, null, spec)


def _zero(around: Profile, place: slice) -> np.ndarray:
    """Values that are held: zero in one law, NaN in others."""
    held = np.full(len(around.best.found.best.nuisance.values), np.nan)
    held[place] = 0.0
    return held


def _ratio(estimate: Estimate, law: str, around: Profile, null: LawFit, df: int) -> LawTest:
    statistic = small_sample(estimate) * around.ratio(null)
    test = _RATIO if around.best.restricted is None else _RESTRICTED
    return LawTest(law, test, statistic, df, float(stats.chi2.sf(statistic, df)))


def _score(name: str, law: str, null: LawFit, spec: ErrorLaws) -> Iterator[LawTest]:
    """At the fit without the law, where there is such a test."""
    if name == AR_NAME and _regular(null, spec.times) and few(null):
        yield _of_ar(null, law)
    elif name == SCALE_NAME and not spec.cells and _whole(null) and few(null):
        assert spec.scale is not None
        yield _of_scale(null, spec.scale, law)
    one = spec.error is None or spec.lag is None
    if name in (ERROR_NAME, LAG_NAME) and one and _alike(null):
        weights = spec.neighbours(null.problem.K)
        found = spatial_tests(null.system.problem(compress=False), weights)
        yield LawTest(law, _SCORE, *(found.error if name == ERROR_NAME else found.lag))


def _asked(estimate: Estimate, ar: bool, row_scale: Any, spatial: Any) -> Iterator[LawTest]:
    """Of laws that the fit does not have."""
    fit, model = fitted(estimate), estimate.sample.model
    spec = model.laws or ErrorLaws()
    if not _whole(fit):
        raise NotApplicableError(
            "score tests are of whole rows, and cells are missing; fit the law, and law_tests() "
            "has its likelihood ratio"
        )
    if (ar or row_scale is not None) and not few(fit):
        raise NotApplicableError(
            "score tests of AR and scales need the information of the coefficients, and these are "
            "too many; fit the law, and law_tests() has its likelihood ratio"
        )
    if ar:
        if spec.ar is not None:
            raise NotApplicableError("the fit has ar=: law_tests() without arguments tests it")
        if model.rows_are_units:
            raise NotApplicableError("ar=True is of independent='time': here rows are units")
        yield _of_ar(fit, AR_NAME)
    if row_scale is not None:
        source = model.provenance
        found = source.per_row(row_scale, "row_scale", "scales are of rows, the same in all cells")
        if not found:
            raise ShapeError("row_scale holds nothing; give it a column, or leave it out")
        z = np.column_stack([numbers(one, "row_scale") for one in found])
        if np.linalg.matrix_rank(z - z.mean(axis=0)) < z.shape[1]:
            raise OptionError("row_scale: a variable does not vary, or depends on the others")
        yield _of_scale(fit, z, "row_scale")
    if spatial is not None:
        if spec.spatial:
            raise NotApplicableError(
                "the fit has neighbours: law_tests() without arguments tests them"
            )
        if not _alike(fit):
            raise NotApplicableError(
                "these score tests are of errors with one variance and no factors (rank="
                "'spherical'); beside factors fit spatial_error= or spatial_lag=, and law_tests() "
                "has its likelihood ratio"
            )
        units = list(estimate.sample.index) if model.rows_are_units else estimate.equations
        weights = ErrorLaws(
            error=neighbours(spatial, units, "spatial"), over_rows=model.rows_are_units
        ).neighbours(fit.problem.K)
        tests = spatial_tests(fit.system.problem(compress=False), weights)
        for name, one in zip(SpatialTests._fields, tests, strict=True):
            yield LawTest(_SPATIAL[name], _SCORE, *one)


_SPATIAL = {
    "error": "spatial_error",
    "lag": "spatial_lag",
    "robust_error": "spatial_error, lag or not",
    "robust_lag": "spatial_lag, errors or not",
    "both": "spatial_error and spatial_lag",
}


def _of_ar(fit: LawFit, law: str) -> LawTest:
    found = no_ar(fit.system, fit)
    return LawTest(law, _SCORE, found.statistic, 1, found.pvalue)


def _of_scale(fit: LawFit, z: np.ndarray, law: str) -> LawTest:
    found = no_scale(fit, z)
    return LawTest(law, _SCORE, found.statistic, found.df, found.pvalue)


def _called(name: str, cells: bool) -> str:
    """A law as the argument of a model calls it."""
    return ("cell_scale" if cells else "row_scale") if name == SCALE_NAME else name


def _whole(fit: LawFit) -> bool:
    mask = fit.system.mask
    return mask is None or bool(mask.all())


def _regular(fit: LawFit, times: np.ndarray | None) -> bool:
    """Whether whole rows are one period apart."""
    return _whole(fit) and times is not None and bool((np.diff(times) == 1).all())


def _alike(fit: LawFit) -> bool:
    """Whether errors of all cells have one variance, and no factors."""
    cov = fit.sigma.low_rank
    if cov is None or cov.rank or not _whole(fit):
        return False
    return bool(np.ptp(cov.uniquenesses) <= 1e-12 * cov.uniquenesses.max())
