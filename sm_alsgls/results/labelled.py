"""``CoefficientResultsWrapper``: statsmodels' wrapper, which labels arrays of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodResultsWrapper

from sm_alsgls.results.coefficient import CoefficientResults
from sm_alsgls.results.loading import Loadable
from sm_alsgls.results.persistence import Savable
from sm_alsgls.results.selection import positions
from sm_alsgls.results.system import SystemResults


class CoefficientResultsWrapper(Loadable, Savable, LikelihoodResultsWrapper):
    """Labels arrays of `CoefficientResults` with the names of the coefficients."""

    # Everything else comes labelled from the results themselves.
    _wrap_attrs: ClassVar[dict[str, str]] = dict.fromkeys(
        ("params", "bse", "tvalues", "pvalues"), "columns"
    )
    _wrap_methods: ClassVar[dict[str, str]] = {}

    def __repr__(self) -> str:
        return repr(self._results)

    def cov_params(self, *args: Any, **kwargs: Any) -> Any:
        """Covariance of the coefficients; labelled where it is that of coefficients."""
        V = self._results.cov_params(*args, **kwargs)
        names = pd.Index(self._results.estimate.labels.params)
        column = args[1] if len(args) > 1 else kwargs.get("column")
        if column is not None:
            names = names[np.atleast_1d(positions(column, names, "column"))]
        elif (args and args[0] is not None) or kwargs.get("r_matrix") is not None:
            return V
        return pd.DataFrame(V, index=names, columns=names) if np.ndim(V) == 2 else V

    def conf_int(self, alpha: float = 0.05, cols: Any = None) -> pd.DataFrame:
        """Confidence intervals of level 1 - ``alpha``, labelled; ``cols`` names or positions."""
        names = pd.Index(self._results.estimate.labels.params)
        names = names if cols is None else names[np.atleast_1d(positions(cols, names, "cols"))]
        interval = self._results.conf_int(alpha, cols)
        return pd.DataFrame(np.atleast_2d(interval), index=names)


class SystemResultsWrapper(CoefficientResultsWrapper):
    """Labels arrays of `SystemResults` with the names of the coefficients."""


# Labelled here, or statsmodels' own.
_WRITTEN = ("conf_int", "cov_params", "load", "save")


def present(wrapper: type[CoefficientResultsWrapper], results: type[CoefficientResults]) -> None:
    """Make ``wrapper`` that of the class, with every member of it under its docstring.

    What is passed on is what statsmodels' wrapper passes on of itself; but ``help()`` sees the
    class of an object only, and a wrapper's has nothing to read.
    """
    results.wrapper = wrapper
    wrapper.__doc__ = results.__doc__
    unlisted = {name for kind in results.__mro__ for name in vars(kind).get("_unlisted", ())}
    for name in dir(results):
        if name.startswith("_") or name in unlisted or name in _WRITTEN:
            continue
        member = getattr(results, name)
        if callable(member):
            setattr(wrapper, name, _passed_call(name, member))
        else:
            setattr(wrapper, name, _passed_value(name, member.__doc__))


def _passed_call(name: str, method: Callable[..., object]) -> Callable[..., Any]:
    def call(self: CoefficientResultsWrapper, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._results, name)(*args, **kwargs)

    return update_wrapper(call, method)


def _passed_value(name: str, doc: str | None) -> property:
    def value(self: CoefficientResultsWrapper) -> Any:
        found, how = getattr(self._results, name), self._wrap_attrs.get(name)
        return found if how is None else self._results.model.data.wrap_output(found, how)

    return property(value, doc=doc)


# Of every estimator that has no wrapper of its own.
present(CoefficientResultsWrapper, CoefficientResults)
present(SystemResultsWrapper, SystemResults)
