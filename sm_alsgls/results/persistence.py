"""``remove_data()``: an estimate without the rows it was made from; and ``save()``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn, Self, TypeVar

import numpy as np

from sm_alsgls.border.arguments import flag, path
from sm_alsgls.data.labels import Labels
from sm_alsgls.exceptions import DataRemovedError
from sm_alsgls.results import coefficients, factors, in_sample, system_fit
from sm_alsgls.results.covariance import covariance, sigma_inference
from sm_alsgls.results.equation_likelihood import likelihoods
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.first_stage import first_stage_of
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.overall import joint_of_slopes
from sm_alsgls.results.overidentification import of_equations
from sm_alsgls.results.parameter_covariance import OwnDegrees, ParameterCovariance, Rowless

F = TypeVar("F", bound=Fitted)

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
    def of(cls, covariance: ParameterCovariance, labels: Labels) -> Self:
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


class KeptDegrees(KeptCovariance):
    """The same of a covariance with degrees of freedom of its own, those of coefficients.

    Those of combinations and of joint tests needed the data.
    """

    degrees: np.ndarray
    cov_type: str

    @classmethod
    def with_degrees(cls, covariance: OwnDegrees, labels: Labels, cov_type: str) -> KeptDegrees:
        """Compute what is kept of a covariance."""
        made = cls.of(covariance, labels)
        made.degrees, made.cov_type = covariance.coefficient_df(), cov_type
        return made

    def coefficient_df(self) -> np.ndarray:
        """Of each parameter, (P,)."""
        return self.degrees

    def df(self, R: np.ndarray) -> np.ndarray:
        """Of single coefficients only: of R beta there are none left."""
        raise DataRemovedError(
            f"the degrees of freedom of a combination with cov_type={self.cov_type!r} need the "
            "data; test before remove_data(), or single coefficients, or with use_t=False"
        )

    def joint(self, R: np.ndarray, gap: np.ndarray) -> tuple[float, float, float, str, str]:
        """There is none left."""
        raise DataRemovedError(
            f"a joint test with cov_type={self.cov_type!r} needs the data; test before "
            "remove_data(), or one hypothesis at a time with t_test"
        )


class Savable:
    """Mixin of the wrappers, whose ``save`` is statsmodels'."""

    def save(self, fname: Any, remove_data: bool = False) -> None:
        """Save a pickle of these results.

        Opening a pickle runs code that it holds, so that whoever can write the file can run
        anything as whoever loads it: keep the file where only those whom you trust write.

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
        """Results that `save` wrote.

        The file is a pickle, and a pickle runs code when it is opened, before anything can be
        looked at: load none that you did not write or do not trust. Tables (`tidy`, `to_xarray`)
        are safe to hand on.

        Parameters
        ----------
        fname : str, path or file

        Raises
        ------
        OptionError, OSError
        """
        return super().load(path(fname, "fname", "read"))  # type: ignore[misc]


# Computed before the data go: numbers that have no rows.
_OF_COEFFICIENTS = (
    coefficients.bse, coefficients.tvalues, coefficients.pvalues, coefficients.df_coefficients,
)  # fmt: skip
_OF_SYSTEMS = (
    *_OF_COEFFICIENTS, factors.last_factor, factors.factors_left, sigma_inference,
    in_sample.constants, in_sample.rsquared, system_fit.system_rsquared,
    likelihoods,
)  # fmt: skip
# The same of estimates with instruments.
_OF_INSTRUMENTS = (first_stage_of, of_equations)


def without_data(estimate: F) -> F:
    """The same estimate with what inference about coefficients needs, and no array with N rows."""
    for function in _OF_COEFFICIENTS:
        function(estimate)
    return _without(estimate, estimate.knowing(*_OF_COEFFICIENTS))


def without_system(estimate: Estimate) -> Estimate:
    """The same system with everything that needs no data, and none of them.

    Like the whole covariance, some tests are kept only up to DENSE_LIMIT coefficients: of some
    types they cost as much.
    """
    if not estimate.sample.available:
        return estimate
    needed = (*_OF_SYSTEMS, *(() if estimate.moments is None else _OF_INSTRUMENTS))
    for function in needed:
        function(estimate)
    known = estimate.knowing(*needed)
    if estimate.labels.P <= DENSE_LIMIT:
        system_fit.slopes_test(estimate)
        known |= estimate.knowing(system_fit.slopes_test)
        if estimate.neqs <= _TESTS_KEPT and coefficients.robust(estimate) and estimate.use_t:
            for j in range(estimate.neqs):
                joint_of_slopes(estimate, j)
            known |= estimate.knowing(joint_of_slopes)
    return _without(estimate, known)


def _without(estimate: F, known: dict[str, Any]) -> F:
    """An estimate without data that knows some things, and what is left of its covariance."""
    V, labels = covariance(estimate), estimate.labels
    left: ParameterCovariance
    if isinstance(V, Rowless):
        left = V.without_data()
    elif isinstance(V, OwnDegrees):
        left = KeptDegrees.with_degrees(V, labels, estimate.choice.cov_type)
    else:
        left = KeptCovariance.of(V, labels)
    again = replace(estimate.without_data(), known=known)
    covariance.give(again, left)
    return again
