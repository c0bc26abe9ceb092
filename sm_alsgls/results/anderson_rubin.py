"""A test and an interval of one endogenous coefficient that weak instruments leave valid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from statsmodels.iolib.summary import forg
from statsmodels.iolib.table import SimpleTable

from sm_alsgls.border.arguments import level, number
from sm_alsgls.border.names import listed
from sm_alsgls.core.beta.robust import Clusters, RowWeights, White
from sm_alsgls.core.instruments.anderson_rubin import Even, Uneven, even_rows, uneven_rows
from sm_alsgls.core.instruments.partialled import Partialled, partial_out
from sm_alsgls.exceptions import (
    InstrumentError,
    InsufficientRowsError,
    OptionError,
)
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.covariance import weights_of_time
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.instrumented_covariance import instruments_of
from sm_alsgls.results.selection import positions
from sm_alsgls.results.summary_text import SystemSummary

# Values whose squares are floats.
LARGEST_VALUE = 1e100


@dataclass(frozen=True, repr=False)
class AndersonRubinTest:
    """The Anderson-Rubin test of one coefficient, and the values that it does not reject.

    Attributes
    ----------
    param : str or int
        ``equation_regressor``.
    value : float
        Under the null.
    statistic, pvalue : float
    df_num, df_denom : int
        Of F.
    intervals : tuple of (float, float)
        Values that are not rejected at ``alpha``, from left to right; ends may be infinite.
    alpha : float
    coef : float
        The estimate.
    note : str
        What the test takes for granted.
    """

    param: str
    value: float
    statistic: float
    pvalue: float
    df_num: int
    df_denom: int
    intervals: tuple[tuple[float, float], ...]
    alpha: float
    coef: float
    note: str = field(default="")

    @property
    def null(self) -> str:
        """The null hypothesis in words."""
        return f"the coefficient {self.param} is {self.value:g}"

    @property
    def kind(self) -> str:
        """One of "interval", "rays" (two, or one), "line", "empty", "union" of several pieces."""
        if not self.intervals:
            return "empty"
        bounded = np.isfinite(self.intervals).all()
        if len(self.intervals) == 1:
            low, high = self.intervals[0]
            return "interval" if bounded else "line" if low == -np.inf == -high else "rays"
        outer = self.intervals[0][0] == -np.inf and self.intervals[-1][1] == np.inf
        return "rays" if len(self.intervals) == 2 and outer else "union"

    def contains(self, value: float) -> bool:
        """Whether the set has ``value``, which is that the test does not reject it."""
        value = number(value, "value", least=-LARGEST_VALUE, most=LARGEST_VALUE)
        return any(low <= value <= high for low, high in self.intervals)

    @property
    def said(self) -> str:
        """The set in words."""
        if self.kind == "empty":
            return "empty: no value is accepted, as where instruments are not exogenous"
        if self.kind == "line":
            return "every value: the instruments rule out none"
        return " and ".join(f"{_left(low)}, {_right(high)}" for low, high in self.intervals)

    def __repr__(self) -> str:
        return (
            f"<Anderson-Rubin test of {self.param} = {self.value:g}: "
            f"F({self.df_num}, {self.df_denom}) = {self.statistic:.4g}, p-value {self.pvalue:.4g}; "
            f"{1 - self.alpha:.0%} set {self.said}>"
        )

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    def summary(self) -> SystemSummary:
        """A statsmodels Summary."""
        rows = [
            ["Null hypothesis:", self.null],
            ["Statistic:", f"{self.statistic:.6g}"],
            ["Distribution:", f"F({self.df_num}, {self.df_denom})"],
            ["P-value:", f"{self.pvalue:.4g}"],
            ["Estimate:", forg(self.coef, prec=4).strip()],
            [f"{1 - self.alpha:.0%} confidence set:", self.said],
        ]
        summary = SystemSummary()
        summary.tables.append(
            SimpleTable(
                rows, title="Anderson-Rubin test", txt_fmt={"data_aligns": "ll", "colsep": "  "}
            )
        )
        summary.add_extra_txt([self.note])
        return summary


def anderson_rubin(
    estimate: Estimate, param: str | int, value: float = 0.0, alpha: float = 0.05
) -> AndersonRubinTest:
    """Test that an endogenous coefficient has a value, whatever its instruments say of it.

    With the true coefficient b the excluded instruments explain nothing of y - x b beside the
    exogenous regressors: an F test in a regression, exact for normal errors however weak the
    instruments are (Anderson and Rubin 1949). The confidence set is all values that it does not
    reject. Other than intervals of t it may be unbounded, where instruments are so weak that no
    value is ruled out on a side, and empty, where there is no value with which the instruments are
    exogenous.

    Parameters
    ----------
    param : str or int
        ``equation_regressor`` as in ``params``, or its position there.
    value : float
    alpha : float
        1 less the level of the confidence set.

    Returns
    -------
    AndersonRubinTest
        ``statistic``, ``df_num``, ``df_denom``, ``pvalue``, ``intervals``, ``kind``,
        ``contains(b)``, ``summary()``.

    Raises
    ------
    OptionError
        There is no such coefficient, several equations share it, or the covariance type of the
        results has no such test: cluster by two groups; any robust type where the equation has
        several endogenous regressors.
    InstrumentError
        The regressor is exogenous.
    NotApplicableError
        The equations have no instruments.

    Notes
    -----
    The test is of one equation and its own instruments, and does not use the other equations. It
    follows the ``cov_type`` of the results: with HC0 to HC3, "cluster" and "HAC" its covariance is
    robust in that way (for HC2, HC3 and CR2 with HC1's and CR1's factors), and the set is found
    exactly. With several endogenous regressors it is the subset test of Guggenberger, Kleibergen,
    Mavroeidis and Chen (2012), the others minimised over, with n_excluded - m + 1 degrees of
    freedom: its size is at most the level, for errors of one variance.

    References
    ----------
    Anderson and Rubin (1949), Annals of Mathematical Statistics 20. Guggenberger, Kleibergen,
    Mavroeidis and Chen (2012), Econometrica 80, 2649-2666. Chernozhukov and Hansen (2008),
    Economics Letters 100.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls import LowRank3SLS
    >>> rng = np.random.default_rng(0)
    >>> e = rng.standard_normal((100, 2))
    >>> z = rng.standard_normal((100, 2))
    >>> x = z * [1.0, 0.1] + e + rng.standard_normal((100, 2))  # the second's is weak
    >>> model = LowRank3SLS(
    ...     x + e, [x[:, [0]], x[:, [1]]], [z[:, [0]], z[:, [1]]], rank=0
    ... )
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     res = model.fit()
    >>> res.anderson_rubin("y1_x1", 1.0).kind
    'interval'
    >>> res.anderson_rubin("y2_x1", 1.0).kind
    'line'
    """
    value, alpha = number(value, "value", least=-LARGEST_VALUE, most=LARGEST_VALUE), level(alpha)
    robust, system = estimate.instrumented.robust, instruments_of(estimate)
    name, at, owner, j, which = endogenous_at(estimate, param, "anderson_rubin")
    endogenous = system.endogenous[j]
    part = partial_out(system.used_blocks[j], system.used_instruments[j], endogenous)
    y = system.Y[:, j] * system.cells.root[:, 0]
    choice = estimate.choice
    if choice.cov_type == "nonrobust" and robust:
        choice = CovarianceChoice("HC1", {}, "")  # as the weight of its moments is
    test, note = _test_of(choice, y, part, which, owner)
    found = test.test(value)
    return AndersonRubinTest(
        name, value, found.statistic, found.pvalue, found.num, found.denom,
        test.confidence_set(alpha), alpha, float(estimate.params[at]), note,
    )  # fmt: skip


class Endogenous(NamedTuple):
    """An endogenous coefficient: its name and position among parameters, the equation that owns it
    by name and number, and which of the endogenous regressors there.
    """

    name: str
    at: int
    owner: str
    j: int
    which: int


def endogenous_at(estimate: Estimate, param: Any, by: str) -> Endogenous:
    """The endogenous coefficient that ``by``, a test of one, was asked about.

    Raises
    ------
    OptionError
        There is no such coefficient, or several equations share it.
    InstrumentError
        The regressor is exogenous.
    NotApplicableError
        The equations have no instruments.
    """
    labels = estimate.labels
    at = positions(param, labels.params, "param")
    if at.ndim:
        raise OptionError(f"{by} tests one coefficient; param is its name, or its position")
    name, owner = labels.params[int(at)], labels.owners[int(at)]
    _ = estimate.instrumented
    system = instruments_of(estimate)
    if not owner:
        raise OptionError(
            f"param: {name!r} is common to several equations, and {by} tests the coefficient of "
            "one; fit the model without common coefficients"
        )
    j = labels.position[owner]
    i = int(np.flatnonzero(np.arange(labels.P)[labels.columns(j)] == at)[0])
    endogenous = system.endogenous[j]
    if not endogenous[i]:
        own = [f"{owner}_{system.columns[j][c]}" for c in np.flatnonzero(endogenous)]
        there = f"endogenous there: {listed(map(repr, own))}" if own else "there is none endogenous"
        raise InstrumentError(
            f"param: {name!r} is exogenous in equation {owner!r}, its own instrument, so weak "
            f"instruments do not concern its test, wald_test(); {there}"
        )
    return Endogenous(name, int(at), owner, j, int(np.count_nonzero(endogenous[:i])))


def _test_of(
    choice: CovarianceChoice, y: np.ndarray, part: Partialled, which: int, equation: str
) -> tuple[Even | Uneven, str]:
    """The test that a covariance type asks for, and what it takes for granted."""
    found = _weights(choice, part, equation)
    if found is None:
        if part.m == 1:
            return even_rows(y, part, which), "Exact for independent normal errors of one variance."
        return even_rows(y, part, which), (
            f"Subset test: {part.m - 1} other endogenous coefficients are minimised over; of "
            "errors of one variance, its size is at most its level."
        )
    weights, factor, said = found
    if part.m > 1:
        raise OptionError(
            f"anderson_rubin of equation {equation!r} with cov_type={choice.cov_type!r}: of "
            f"{part.m} endogenous regressors the test of one is known for errors of one variance "
            "only; use get_robustcov_results('nonrobust').anderson_rubin(...)"
        )
    return uneven_rows(y, part, weights, factor), said


def _weights(
    choice: CovarianceChoice, part: Partialled, equation: str
) -> tuple[RowWeights, float, str] | None:
    """How rows depend, the factor of small samples, and words; None for rows of one variance."""
    kind, N = choice.cov_type, part.n_obs
    small = N / part.df
    if kind in ("HC0", "HC1", "HC2", "HC3"):
        factor, name = (1.0, "HC0") if kind == "HC0" else (small, "HC1")
        return White(), factor, f"Robust to heteroscedasticity ({name}); rows are independent."
    if kind == "cluster":
        codes = choice.kwds["codes"]
        if len(codes) > 1:
            raise OptionError(
                "anderson_rubin takes one grouping, and these results have two; use "
                "get_robustcov_results('cluster', groups=...) with the coarser one"
            )
        G = int(codes[0].max()) + 1
        _check_rank(G - 1, part, f"{G} clusters", equation)
        debias = choice.kwds["correction"] != "CR0"
        factor = (N - 1.0) / part.df if debias else 1.0
        return Clusters(codes[0], debias), factor, f"Robust to correlation within {G} clusters."
    if kind == "HAC":
        if choice.kwds["kernel"] == "cosine":
            _check_rank(choice.kwds["terms"], part, f"{choice.kwds['terms']} cosines", equation)
        factor = small if choice.kwds["use_correction"] else 1.0
        said = "Robust to heteroscedasticity and autocorrelation."
        return weights_of_time(choice.kwds, N), factor, said
    return None


def _check_rank(rank: int, part: Partialled, what: str, equation: str) -> None:
    """Whether a covariance of so many sums can be that of as many instruments."""
    if rank < part.L:
        raise InsufficientRowsError(
            f"anderson_rubin of equation {equation!r}: {what} are too few for the covariance of "
            f"{part.L} instruments' products; use get_robustcov_results('HC1').anderson_rubin(...)"
        )


def _left(low: float) -> str:
    return "(-inf" if low == -np.inf else f"[{low:.4g}"


def _right(high: float) -> str:
    return "inf)" if high == np.inf else f"{high:.4g}]"
