"""``remove_data()``: an estimate without the rows it was made from; and ``save()``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import flag, path
from sm_alsgls.data.labels import Labels
from sm_alsgls.data.removed import Removed, in_place_of
from sm_alsgls.exceptions import DataRemovedError
from sm_alsgls.results import coefficients, factors, in_sample, system_fit
from sm_alsgls.results.covariance import covariance, sigma_inference
from sm_alsgls.results.estimate import Estimate, ParameterCovariance
from sm_alsgls.results.first_stage import first_stage_of
from sm_alsgls.results.overall import joint_of_slopes
from sm_alsgls.results.overidentification import of_equations

# Up to this many coefficients the whole covariance is kept (32 MB), beyond it the block of each
# equation.
DENSE_LIMIT = 2_000
# Equations of which the overall F tests of robust covariances are kept; each is of all rows.
_TESTS_KEPT = 60


class KeptCovariance:
    """A covariance of the coefficients that was computed while there were data.

    Parameters
    ----------
    labels : Labels
        Where each equation's coefficients are.
    blocks : list of ndarray
        K blocks (p_j, p_j).
    whole : ndarray, shape (P, P), optional
    """

    def __init__(self, labels: Labels, blocks: list[np.ndarray], whole: np.ndarray | None) -> None:
        self._labels, self._blocks, self._whole = labels, blocks, whole

    @classmethod
    def of(cls, covariance: ParameterCovariance, labels: Labels) -> KeptCovariance:
        """Compute what is kept of a covariance."""
        if labels.P <= DENSE_LIMIT:
            whole = np.asarray(covariance.dense())
            places = map(np.arange(labels.P).__getitem__, labels.places)
            return cls(labels, [whole[np.ix_(at, at)] for at in places], whole)
        return cls(labels, [np.array(covariance.block(j)) for j in range(labels.K)], None)

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self._labels.P, self._labels.P

    def variances(self) -> np.ndarray:
        """Diagonal, (P,)."""
        out = np.empty(self._labels.P)
        for at, block in zip(self._labels.places, self._blocks, strict=True):
            out[at] = np.diagonal(block)
        return out

    def block(self, j: int) -> np.ndarray:
        """Block of one equation, (p_j, p_j)."""
        return self._blocks[j]

    def combinations(self, R: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """R V other', (m, q).

        Raises
        ------
        DataRemovedError
            Blocks only were kept, and a covariance between two equations is asked for.
        """
        other = R if other is None else other
        if self._whole is not None:
            return R @ self._whole @ other.T
        used = np.flatnonzero(R.any(axis=0) | other.any(axis=0))
        if not len(used):
            return np.zeros((len(R), len(other)))
        j = self._labels.holder(used)
        if j is None:
            self._refuse()
        at = self._labels.columns(j)
        return np.asarray(R[:, at] @ self._blocks[j] @ other[:, at].T)

    def dense(self) -> np.ndarray:
        """The whole, (P, P); DataRemovedError where blocks only were kept."""
        if self._whole is None:
            self._refuse()
        return self._whole.copy()

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return self.dense()

    def _refuse(self) -> NoReturn:
        raise DataRemovedError(
            "covariances between coefficients of different equations need the data, but "
            f"remove_data() was called and, with more than {DENSE_LIMIT} coefficients, kept "
            "those within equations only; take cov_params() before"
        )


class Savable:
    """Mixin of the wrappers, whose ``save`` is statsmodels'."""

    def save(self, fname: Any, remove_data: bool = False) -> None:
        """Save a pickle of these results.

        Parameters
        ----------
        fname : str, path or file
            An open file must be writable in binary mode.
        remove_data : bool
            Call `remove_data` first.

        Raises
        ------
        OptionError, OSError
        """
        path(fname, "fname", "write")
        super().save(fname, flag(remove_data, "remove_data"))  # type: ignore[misc]

    @classmethod
    def load(cls, fname: Any) -> Any:
        """Results that `save` wrote; a pickle is a program: load only what you trust."""
        return super().load(path(fname, "fname", "read"))  # type: ignore[misc]


# Computed before the data go: numbers that have no rows.
_NEEDED = (
    coefficients.bse, coefficients.tvalues, coefficients.pvalues, coefficients.df_coefficients,
    factors.last_factor, factors.factors_left, sigma_inference, in_sample.constants,
    in_sample.rsquared, system_fit.system_rsquared,
)  # fmt: skip
# The same of estimates with instruments.
_OF_INSTRUMENTS = (first_stage_of, of_equations)


def without_data(estimate: Estimate) -> Estimate:
    """The same estimate with everything that needs no data, and none of them.

    Like the whole covariance, some tests are kept only up to DENSE_LIMIT coefficients: of some
    types they cost as much.
    """
    if not estimate.sample.available:
        return estimate
    small = estimate.labels.P <= DENSE_LIMIT
    needed = (*_NEEDED, *(() if estimate.moments is None else _OF_INSTRUMENTS))
    for function in needed:
        function(estimate)
    known = estimate.knowing(*needed)
    if small:
        system_fit.slopes_test(estimate)
        known |= estimate.knowing(system_fit.slopes_test)
        if estimate.neqs <= _TESTS_KEPT and coefficients.robust(estimate) and estimate.use_t:
            for j in range(estimate.neqs):
                joint_of_slopes(estimate, j)
            known |= estimate.knowing(joint_of_slopes)
    kept = KeptCovariance.of(covariance(estimate), estimate.labels)
    kwds = _without_rows(estimate.choice.kwds, estimate.nobs)
    maximum, moments = estimate.maximum, estimate.moments
    again = replace(
        estimate,
        sample=estimate.sample.without_data(),
        choice=replace(estimate.choice, kwds=kwds),
        maximum=None if maximum is None else maximum.without_data(),
        moments=None if moments is None else moments.without_data(in_place_of("residuals")),
        known=known,
    )
    covariance.give(again, kept)
    return again


def _has_rows(value: Any, N: int) -> bool:
    if isinstance(value, (np.ndarray, pd.DataFrame, pd.Series)):
        return value.shape[:1] == (N,)
    if isinstance(value, (list, tuple)):
        return any(_has_rows(item, N) for item in value)
    return False


def _without_rows(kwds: dict[str, Any], N: int) -> dict[str, Any]:
    return {
        name: Removed(name) if _has_rows(value, N) or _is_long(value, N) else value
        for name, value in kwds.items()
    }


def _is_long(value: Any, N: int) -> bool:
    return isinstance(value, (list, tuple, pd.Index)) and len(value) == N
