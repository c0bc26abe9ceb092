"""Functions of the coefficients, their standard errors by the delta method, and tests.

With g the function, G its Jacobian at the estimate b and V the covariance of b,

    g(b-hat) - g(b)  ~  G (b-hat - b),        Cov = G V G',

so an interval or a test of g is that of the linear combinations G b, with whatever small-sample
law the covariance type has. Columns of G are complex steps, Im g(b + i h e_k) / h with h = 1e-20
(Squire and Trapp 1998, SIAM Review 40), which no rounding spoils, where g takes complex numbers
and agrees with a difference quotient; else central differences with steps of
eps^(1/3) max(|b_k|, se_k).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.alignment import by_name, nameless
from sm_alsgls.border.arguments import came, level
from sm_alsgls.border.names import ticked
from sm_alsgls.border.numbers import numbers
from sm_alsgls.exceptions import CallableError, NonFiniteError, OptionError, RestrictionError
from sm_alsgls.results.coefficients import bse, df_of, of_combinations
from sm_alsgls.results.expression import Expression
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.hypotheses import wald_test
from sm_alsgls.results.shown import ShownFrame

_STEP = 1e-20
# Complex steps are taken where they agree with differences to this, relative to their size.
_AGREE = 1e-5


@dataclass(frozen=True, eq=False, repr=False)
class NonlinearCombinations(ShownFrame):
    """Functions of coefficients with the covariance of the delta method.

    Made by `LowRankSURResults.nlcom`.

    Attributes
    ----------
    estimate : Series (m,)
    cov : DataFrame (m, m)
        G V G'.
    gradient : DataFrame (m, P)
        G.
    df : Series (m,) or None
        Degrees of freedom of t; None: normal quantiles.
    """

    estimate: pd.Series
    cov: pd.DataFrame
    gradient: pd.DataFrame
    df: pd.Series | None
    _estimate: Fitted

    @property
    def bse(self) -> pd.Series:
        """Standard errors (m,)."""
        return pd.Series(np.sqrt(np.diag(self.cov)), index=self.estimate.index, name="std err")

    @property
    def _law(self) -> Any:
        return stats.norm if self.df is None else stats.t(self.df.to_numpy())

    @property
    def tvalues(self) -> pd.Series:
        """Estimates over standard errors (m,); NaN where restrictions fix a function."""
        return self.estimate / self.bse.where(self.bse > 0.0)

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values that each function is zero (m,)."""
        p = 2.0 * self._law.sf(np.abs(self.tvalues))
        return pd.Series(p, index=self.estimate.index, name="pvalue")

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Confidence intervals (m, 2) of level 1 - ``alpha``."""
        alpha = level(alpha)
        half = self._law.ppf(1.0 - alpha / 2.0) * self.bse
        return pd.DataFrame({0: self.estimate - half, 1: self.estimate + half})

    def test(self, value: Any = 0.0) -> Any:
        """Joint test that the functions have these values, as `wald_test` of G b.

        Parameters
        ----------
        value : float or array_like (m,)
            A Series goes by its labels.

        Raises
        ------
        OptionError, RestrictionError
            The latter where the gradient of a function is zero.
        """
        labels, m = list(self.estimate.index), len(self.estimate)
        values = numbers(value, "value", OptionError)
        if isinstance(value, pd.Series) and not nameless(value.index):
            values = values[by_name(value.index, labels, "value", OptionError, noun="function")]
        if values.shape not in ((), (1,), (m,)):
            raise OptionError(
                f"value must be a number, or one for each of {m} functions; got {came(value)}"
            )
        if not np.isfinite(values).all():
            raise OptionError(f"value must be finite, got {came(value)}")
        G = self.gradient.to_numpy()
        flat = ~G.any(axis=1)
        if flat.any():
            raise RestrictionError(
                f"{labels[int(np.argmax(flat))]!r} does not move with the coefficients, at the "
                "estimates: there is nothing to test"
            )
        at = G @ self._estimate.params - (self.estimate.to_numpy() - values)
        return wald_test(self._estimate, (G, at), scalar=True)

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Estimates, standard errors, t, p-values and intervals."""
        letter = "z" if self.df is None else "t"
        interval = self.conf_int(alpha)
        return pd.DataFrame(
            {
                "coef": self.estimate,
                "std err": self.bse,
                letter: self.tvalues,
                f"P>|{letter}|": self.pvalues,
                f"[{alpha / 2:g}": interval[0],
                f"{1 - alpha / 2:g}]": interval[1],
            }
        )

    def __repr__(self) -> str:
        return str(self.summary_frame())


class Functions:
    """Functions of the coefficients as the caller gave them: text, callables, or several.

    Raises
    ------
    OptionError
    """

    def __init__(self, what: Any, names: list[str]) -> None:
        self.names = names
        if isinstance(what, str) or callable(what):
            what = [what]
        if isinstance(what, Mapping):
            self.labels: list[str] | None = [str(label) for label in what]
            parts = list(what.values())
        elif isinstance(what, Sequence) and not isinstance(what, (bytes, bytearray)):
            self.labels, parts = None, list(what)
        else:
            parts = []
        if not parts:
            raise OptionError(
                "functions of coefficients are text such as "
                f"'{ticked(names[0])} / {ticked(names[-1])}', a callable, a list of these or a "
                f"mapping from labels; got {came(what)}"
            )
        self._parts: list[Any] = []
        for part in parts:
            if not isinstance(part, str) and not callable(part):
                raise OptionError(f"a function must be text or callable, got {came(part)}")
            self._parts.append(Expression(part, names) if isinstance(part, str) else part)

    def _of(self, i: int, params: np.ndarray) -> np.ndarray:
        """Values of function ``i`` at coefficients (P,), which it cannot write to."""
        part = self._parts[i]
        if isinstance(part, Expression):
            return np.atleast_1d(np.asarray(part(params)))
        try:
            return np.asarray(part(pd.Series(params.copy(), index=self.names))).ravel()
        except Exception as error:
            raise CallableError(
                f"{self._called(i)} raised {type(error).__name__} ({error})"
            ) from error

    def values(self, params: np.ndarray, like: pd.Series) -> np.ndarray:
        """All values at coefficients (P,), as many as at the estimates: ``like`` (m,).

        Raises
        ------
        CallableError, OptionError
        """
        with np.errstate(all="ignore"):  # what is not finite is NaN to the caller
            found = [self._of(i, params) for i in range(len(self._parts))]
        flat = np.concatenate([self._real(i, value) for i, value in enumerate(found)])
        if len(flat) != len(like):
            raise OptionError(
                f"functions returned {len(like)} numbers at the estimates and {len(flat)} elsewhere"
            )
        return flat

    def _real(self, i: int, value: np.ndarray) -> np.ndarray:
        if value.dtype.kind not in "fiu" or not len(value):
            raise OptionError(f"{self._called(i)} must return real numbers, got {came(value)}")
        return value.astype(float)

    def evaluate(self, params: np.ndarray) -> pd.Series:
        """Values with their labels.

        Raises
        ------
        NonFiniteError, OptionError
        """
        labels: list[str] = []
        found: list[np.ndarray] = []
        with np.errstate(all="ignore"):
            for i in range(len(self._parts)):
                value = self._real(i, self._of(i, params))
                if not np.isfinite(value).all():
                    raise NonFiniteError(f"{self._called(i)} is not finite at the estimates")
                label = self._called(i) if self.labels is None else self.labels[i]
                many = len(value) > 1
                labels += [f"{label}[{k}]" for k in range(len(value))] if many else [label]
                found.append(value)
        return pd.Series(np.concatenate(found), index=labels, name="coef")

    def _called(self, i: int) -> str:
        part = self._parts[i]
        if isinstance(part, Expression):
            return part.text
        return getattr(part, "__name__", f"function {i + 1}")

    def jacobian(self, params: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """G (m, P); ``scale`` (P,) are the sizes of coefficients that differences step by."""
        blocks = []
        for i, part in enumerate(self._parts):
            used = part.used if isinstance(part, Expression) else range(len(params))
            block = np.zeros((len(self._of(i, params)), len(params)))
            with np.errstate(all="ignore"):
                steps = _steps(partial(self._of, i), params, scale, used)
            for k, column in zip(used, steps, strict=True):
                if len(column) != len(block):
                    raise OptionError(
                        f"{self._called(i)} returned {len(block)} numbers at the estimates and "
                        f"{len(column)} beside them"
                    )
                block[:, k] = column
            blocks.append(block)
        return np.concatenate(blocks)


def _steps(
    f: Callable[[np.ndarray], np.ndarray],
    params: np.ndarray,
    scale: np.ndarray,
    used: Sequence[int],
) -> list[np.ndarray]:
    """Derivatives of f in each of the coefficients ``used``."""
    h = np.finfo(float).eps ** (1 / 3) * scale

    def difference(k: int) -> np.ndarray:
        up, down = params.copy(), params.copy()
        up[k] += h[k]
        down[k] -= h[k]
        return (f(up) - f(down)) / (up[k] - down[k])

    found = []
    complex_ones = True
    for k in used:
        slope = None
        if complex_ones:
            slope = _complex_step(f, params, k)
            central = difference(k)
            bound = _AGREE * (np.abs(central) + np.abs(f(params)) / scale[k])
            if (
                slope is None
                or slope.shape != central.shape
                or not (np.abs(slope - central) <= bound).all()
            ):
                # |b|, real() and comparisons lose the imaginary part.
                complex_ones, slope = False, central
        found.append(difference(k) if slope is None else slope)
    return found


def _complex_step(
    f: Callable[[np.ndarray], np.ndarray], params: np.ndarray, k: int
) -> np.ndarray | None:
    b = params.astype(complex)
    b[k] += 1j * _STEP
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            value = np.asarray(f(b))
    except CallableError:  # it takes real numbers only: at those it was called before
        return None
    return value.imag / _STEP if value.dtype.kind == "c" else None


def nlcom(estimate: Fitted, functions: Any) -> NonlinearCombinations:
    """Functions of coefficients (ratios, elasticities) by the delta method.

    Parameters
    ----------
    functions : str, callable, list or mapping
        ``"IBM_value / IBM_capital"``: numbers, names of coefficients (in backticks if numbers or
        with operators), ``+ - * / **``, parentheses, log, exp, sqrt. Or a callable of the Series
        of coefficients (complex in complex steps). Several in a list or a mapping from labels.

    Returns
    -------
    NonlinearCombinations
        ``estimate``, ``bse``, ``cov``, ``conf_int()``, ``pvalues``, ``test(value)``,
        ``summary_frame()``; with the covariance, t or normal quantiles and degrees of freedom
        that these results have.

    Raises
    ------
    OptionError
        Unreadable text or an unknown name.
    NonFiniteError
        The function, or its gradient, is not finite at the estimates.

    Notes
    -----
    Formulas are in `sm_alsgls.results.nlcom`. An interval of a ratio whose denominator is not
    many standard errors from zero is rough; `BootstrapResults.nlcom` has percentile ones.

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> res = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=1
    ... ).fit()
    >>> ratio = res.nlcom({"IBM": "IBM_value / IBM_capital"})
    >>> bool(ratio.estimate["IBM"] == res.params["IBM_value"] / res.params["IBM_capital"])
    True
    """
    names = list(estimate.labels.params)
    made = Functions(functions, names)
    params, size = estimate.params, bse(estimate)
    found = made.evaluate(params)
    scale = np.maximum(np.abs(params), np.where(size > 0.0, size, 0.0))
    G = made.jacobian(params, np.where(scale > 0.0, scale, 1.0))
    bad = ~np.isfinite(G).all(axis=1)
    if bad.any():
        raise NonFiniteError(
            f"the derivatives of {found.index[bad][0]!r} are not finite at the estimates"
        )
    labels = list(found.index)
    cov = np.asarray(of_combinations(estimate, G))
    df = pd.Series(df_of(estimate, G), index=labels, name="df") if estimate.use_t else None
    return NonlinearCombinations(
        found,
        pd.DataFrame(0.5 * (cov + cov.T), index=labels, columns=labels),
        pd.DataFrame(G, index=labels, columns=names),
        df,
        estimate,
    )


def delta_method(estimate: Fitted, functions: Any) -> NonlinearCombinations:
    """Another name of `nlcom`."""
    return nlcom(estimate, functions)


@dataclass(frozen=True, eq=False, repr=False)
class BootstrapCombinations(ShownFrame):
    """Functions of the coefficients in every bootstrap replicate.

    Attributes
    ----------
    estimate : Series (m,)
        At the parent's coefficients.
    draws : DataFrame (reps, m)
        At each replicate's; NaN where one is not finite.
    """

    estimate: pd.Series
    draws: pd.DataFrame

    @property
    def std_errors(self) -> pd.Series:
        """Standard deviations over the replicates (m,)."""
        return self.draws.std(ddof=1).rename("std_error")

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Percentile intervals (m, 2), which a ratio's heavy tails leave valid."""
        alpha = level(alpha)
        return self.draws.quantile([alpha / 2, 1 - alpha / 2]).T.set_axis([0, 1], axis=1)

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Estimates, standard deviations over the replicates, and percentile intervals."""
        interval = self.conf_int(alpha)
        return pd.DataFrame(
            {
                "estimate": self.estimate,
                "boot std err": self.std_errors,
                f"[{alpha / 2:g}": interval[0],
                f"{1 - alpha / 2:g}]": interval[1],
            }
        )

    def __repr__(self) -> str:
        return str(self.summary_frame())


def bootstrap_combinations(
    estimate: pd.Series, params: pd.DataFrame, functions: Any
) -> BootstrapCombinations:
    """See `BootstrapResults.nlcom`."""
    made = Functions(functions, list(params.columns))
    value = made.evaluate(estimate.to_numpy(dtype=float))
    draws = np.array([made.values(row, value) for row in params.to_numpy()])
    return BootstrapCombinations(value, pd.DataFrame(draws, columns=value.index))
