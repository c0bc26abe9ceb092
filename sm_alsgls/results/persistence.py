"""``remove_data()``: results without the rows they were estimated from."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import flag, path
from sm_alsgls.data.removed import Removed
from sm_alsgls.exceptions import DataRemovedError

# Up to this many coefficients the whole covariance is kept (32 MB), beyond it the block of each
# equation.
DENSE_LIMIT = 2_000


class KeptCovariance:
    """A covariance of the coefficients that was computed while there were data.

    Parameters
    ----------
    blocks : list of ndarray
        K blocks (p_j, p_j).
    whole : ndarray, shape (P, P), optional
    """

    def __init__(self, blocks: list[np.ndarray], whole: np.ndarray | None) -> None:
        self._blocks, self._whole = blocks, whole
        self._stop = np.cumsum([len(block) for block in blocks])

    @classmethod
    def of(cls, covariance: Any, p: np.ndarray) -> KeptCovariance:
        """Compute what is kept of a covariance of equations with p_j coefficients."""
        if p.sum() <= DENSE_LIMIT:
            whole = np.asarray(covariance.dense())
            stop = np.cumsum(p)
            return cls([whole[b - n : b, b - n : b] for n, b in zip(p, stop, strict=True)], whole)
        return cls([np.array(covariance.block(j)) for j in range(len(p))], None)

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return int(self._stop[-1]), int(self._stop[-1])

    def variances(self) -> np.ndarray:
        """Diagonal, (P,)."""
        return np.concatenate([np.diagonal(block) for block in self._blocks])

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
        touched = [np.flatnonzero(M.any(axis=0)) for M in (R, other)]
        owners = {int(j) for at in touched for j in np.searchsorted(self._stop, at, side="right")}
        if len(owners) > 1:
            self._refuse()
        out = np.zeros((len(R), len(other)))
        for j in owners:
            at = slice(int(self._stop[j]) - len(self._blocks[j]), int(self._stop[j]))
            out += R[:, at] @ self._blocks[j] @ other[:, at].T
        return out

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


class Removable:
    """Mixin of `LowRankSURResults`."""

    def remove_data(self) -> None:
        """Drop every array with N rows from these results and from their model, in place.

        What needs no data works as before: coefficients with their standard errors, covariance
        (of pairs in different equations up to 2,000 coefficients) and tests (of robust covariances
        those of single coefficients only), likelihood and
        criteria, Sigma, the summary and its R-squared, the trace, predictions for new data. What
        needs data (residuals, fitted values, factor scores, another covariance type, refitting)
        raises `DataRemovedError`, an AttributeError. Other results of the same model lose the
        model's data as well.

        See Also
        --------
        save : ``save(fname, remove_data=True)`` calls this first.

        Examples
        --------
        >>> from sm_alsgls import LowRankSUR
        >>> from sm_alsgls.datasets import load_grunfeld
        >>> res = LowRankSUR.from_formula(
        ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
        ... ).fit()
        >>> res.remove_data()
        >>> res.bse.shape
        (33,)
        >>> hasattr(res, "resid")
        False
        """
        _remove(self)


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
    "bse", "tvalues", "pvalues", "_df_coefficients", "mle_retvals", "_last_factor",
    "_factors_left", "sigma_inference",
)  # fmt: skip
_OF_THE_SYSTEM = ("_constants", "_rsquared", "system_rsquared")
# Like the whole covariance, only up to DENSE_LIMIT coefficients: some types cost as much.
_OF_SMALL_SYSTEMS = ("_slopes_test",)
# Equations of which the overall F tests of robust covariances are kept; each is of all rows.
_TESTS_KEPT = 60


def _remove(results: Any) -> None:
    model, N = results.model, results.nobs
    if isinstance(results._as_fitted, Removed):
        return
    small = len(results.params) <= DENSE_LIMIT
    for name in _NEEDED + _OF_THE_SYSTEM + (_OF_SMALL_SYSTEMS if small else ()):
        getattr(results, name)
    if small and len(model.equations) <= _TESTS_KEPT and results._robust and results.use_t:
        tests = [view._joint for view in results.equations.values()]
        results.__dict__["_equation_tests"] = tests
    kept = KeptCovariance.of(results._covariance, results._p)
    for name in [name for name, value in vars(results).items() if _has_rows(value, N)]:
        cached = isinstance(getattr(type(results), name, None), cached_property)
        if cached and name not in _NEEDED + _OF_THE_SYSTEM:
            del vars(results)[name]
    results.__dict__["_covariance"] = kept
    problem, best = results._problem, results._found.best
    results._as_fitted = Removed(
        "design", options=problem.options, K=problem.K, n_obs=problem.n_obs
    )
    results._found = replace(results._found, best=replace(best, E=Removed("residuals"), block=None))
    results.cov_kwds = _without_rows(results.cov_kwds, N)
    results._choice = replace(results._choice, kwds=_without_rows(results._choice.kwds, N))
    if not isinstance(model._system, Removed):  # by other results of this model
        _remove_from_model(model)


def _remove_from_model(model: Any) -> None:
    system = model._system
    model._system = Removed(
        "data",
        names=system.names,
        columns=system.columns,
        named=system.named,
        param_names=system.param_names,
        Y=Removed("responses"),
        blocks=Removed("regressors"),
    )
    model._source = None
    model.data.remove(model._system)


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
