"""Are instruments strong? One table for the endogenous regressors of all equations."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from sm_alsgls.border.names import listed
from sm_alsgls.core.beta.robust import White
from sm_alsgls.core.instruments.effective_f import (
    critical_value,
    effective_f,
    homoscedastic_critical_value,
)
from sm_alsgls.core.instruments.first_stage import strength
from sm_alsgls.core.instruments.partialled import Partialled, partial_out
from sm_alsgls.core.instruments.strengths import strengths
from sm_alsgls.data.instrumented import InstrumentedSystem
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.instrumented_covariance import instruments_of, whole_design
from sm_alsgls.results.summary_text import SystemSummary

# Share of the worst-case bias that instruments are held to, and the level of the test.
_TAU, _LEVEL = 0.10, 0.05
# Lines of a summary; beyond, the weakest.
_MOST = 40

_COLUMNS = (
    "rsquared", "partial_rsquared", "shea_rsquared", "fvalue", "f_pvalue", "effective_f",
    "effective_f_critical", "sanderson_windmeijer", "n_excluded", "df_denom",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class FirstStage:
    """How much the instruments of each equation say of its endogenous regressors.

    Attributes
    ----------
    table : DataFrame
        Indexed by (equation, regressor), a row for each endogenous regressor:

        * ``rsquared``: R2 of the regression on all instruments;
        * ``partial_rsquared``: R2 with the exogenous regressors taken out of both;
        * ``shea_rsquared``: the same with the other endogenous regressors taken out too (Shea
          1997);
        * ``fvalue``, ``f_pvalue``: F of the excluded instruments, on (n_excluded, df_denom), for
          errors of one variance;
        * ``effective_f``: F of Montiel Olea and Pflueger (2013), robust to heteroscedasticity
          (HC1); NaN where an equation has several endogenous regressors;
        * ``effective_f_critical``: beyond which instruments are strong, see ``weak``;
        * ``sanderson_windmeijer``: conditional F (2016), on (n_excluded - m + 1, df_denom) with m
          endogenous regressors; fvalue where m = 1;
        * ``n_excluded``: excluded instruments that are linearly independent;
        * ``df_denom``: N less all instruments.
    weak : list of str
        ``equation_regressor`` of those whose effective F (of several, whose Sanderson-Windmeijer F)
        is below its critical value: at 5 % it cannot be ruled out that the bias of 2SLS exceeds a
        tenth of its worst case. The critical value is the simplified, conservative one with
        Patnaik's degrees of freedom; beside a Sanderson-Windmeijer F it is that of
        n_excluded - m + 1 instruments and errors of one variance.
    nobs : int

    References
    ----------
    Shea (1997), Review of Economics and Statistics 79. Montiel Olea and Pflueger (2013), Journal of
    Business & Economic Statistics 31. Sanderson and Windmeijer (2016), Journal of Econometrics 190.

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
    >>> res.first_stage.weak
    ['y2_x1']
    >>> res.first_stage.table[["effective_f", "effective_f_critical"]].to_numpy().round(1)
    array([[35.1, 23.1],
           [ 0.7, 23.1]])
    """

    table: pd.DataFrame
    weak: list[str] = field(repr=False)
    nobs: int

    @property
    def compared(self) -> pd.Series:
        """The F that is compared with ``effective_f_critical``: effective, or Sanderson's."""
        return _compared(self.table)

    @property
    def margin(self) -> pd.Series:
        """It over its critical value; below 1 instruments are weak."""
        return self.compared / self.table["effective_f_critical"]

    @property
    def warning(self) -> str:
        """What there is to warn of, "" where instruments are strong."""
        return _said(self.weak, len(self.table))

    def __repr__(self) -> str:
        found = f": {listed(self.weak)}" if self.weak else ""
        return f"<FirstStage: {len(self.weak)} of {len(self.table)} have weak instruments{found}>"

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    def summary(self) -> SystemSummary:
        """The table, or of a large system its weakest rows, and what its columns are."""
        table = self.table
        if len(table) > _MOST:
            order = np.argsort(self.margin.to_numpy(float), kind="stable")
            table = table.iloc[order[:_MOST]]
        weak = set(self.weak)
        body = [
            [
                *(f"{row[name]:.4f}" for name in _COLUMNS[:3]),
                f"{row['fvalue']:.4g}",
                f"{row['f_pvalue']:.3f}",
                _number(row["effective_f"]),
                _number(row["sanderson_windmeijer"]),
                _number(row["effective_f_critical"]) + " *" * (f"{equation}_{name}" in weak),
                f"{row['n_excluded']:.0f}",
            ]
            for (equation, name), row in table.iterrows()
        ]
        stubs = [f"{equation}: {name}" for equation, name in table.index]
        width = max(map(len, stubs), default=0)
        header = [
            "R2", "partial R2", "Shea's R2", "F", "P>F", "effective F", "S-W F", "critical",
            "excl.",
        ]  # fmt: skip
        title = f"First Stage: {len(self.table)} Endogenous Regressors, {self.nobs} Observations"
        summary = SystemSummary()
        summary.tables.append(
            SimpleTable(
                body, header, [stub.ljust(width) for stub in stubs], title=title, txt_fmt=fmt_params
            )
        )
        notes = [
            "Effective F (Montiel Olea and Pflueger) is robust to heteroscedasticity; of equations "
            "with several endogenous regressors the F of Sanderson and Windmeijer (S-W) is "
            f"compared. Beyond the critical value a bias of 2SLS above {_TAU:.0%} of its worst "
            f"case is rejected at {_LEVEL:.0%}; * is below it.",
        ]
        if len(table) < len(self.table):
            notes.append(f"The weakest {len(table)} are shown; .table has all.")
        if self.weak:
            notes.append(self.warning[0].upper() + self.warning[1:] + ".")
        lines = ["Notes:"]
        for i, note in enumerate(notes, start=1):
            lines += textwrap.wrap(
                note, 90, initial_indent=f"[{i}] ", subsequent_indent="    ", break_on_hyphens=False
            )
        summary.add_extra_txt(lines)
        return summary


def first_stage(system: InstrumentedSystem) -> FirstStage:
    """First-stage statistics of every endogenous regressor of a system.

    With weights of rows the statistics are of the weighted data. O(N sum (p_j + q_j)^2), half a
    second for 1,000 equations of 1,000 rows; equations that share both arrays are computed once.

    Parameters
    ----------
    system : InstrumentedSystem

    Returns
    -------
    FirstStage
    """
    N = len(system.Y)
    roots = np.broadcast_to(system.cells.root[:, 0], N).astype(float)
    known: dict[tuple[int, int], np.ndarray] = {}
    index, rows = [], []
    pairs = zip(
        system.names,
        system.columns,
        system.used_blocks,
        system.used_instruments,
        system.endogenous,
        strict=True,
    )
    for equation, columns, X, Z, endogenous in pairs:
        key = (id(X), id(Z))
        if key not in known:
            known[key] = _statistics(partial_out(X, Z, endogenous), roots)
        index += [(equation, columns[i]) for i in np.flatnonzero(endogenous)]
        rows.append(known[key])
    table = pd.DataFrame(
        np.concatenate(rows) if rows else np.empty((0, len(_COLUMNS))),
        pd.MultiIndex.from_tuples(index, names=["equation", "regressor"])
        if index
        else pd.MultiIndex.from_arrays([[], []], names=["equation", "regressor"]),
        columns=list(_COLUMNS),
    ).astype({"n_excluded": int, "df_denom": int})
    below = (_compared(table) < table["effective_f_critical"]).to_numpy(bool)
    weak = [f"{equation}_{name}" for equation, name in table.index[below]]
    return FirstStage(table, weak, N)


def weak_instruments(estimate: Estimate) -> str:
    """`FirstStage.warning` of an estimate, without the rest of the table.

    Equations with one endogenous regressor are looked at together; those with several, each.
    """
    system = instruments_of(estimate)
    found = strengths(whole_design(estimate), _TAU, _LEVEL)
    below = set(found.equations[found.weak].tolist())
    roots = np.broadcast_to(system.cells.root[:, 0], estimate.nobs).astype(float)
    weak, total = [], 0
    for j, endogenous in enumerate(system.endogenous):
        m = int(np.count_nonzero(endogenous))
        total += m
        if m < 2 and j not in below:
            continue
        bad = np.ones(m, dtype=bool)
        if m > 1:
            part = partial_out(system.used_blocks[j], system.used_instruments[j], endogenous)
            table = pd.DataFrame(_statistics(part, roots), columns=list(_COLUMNS))
            bad = (_compared(table) < table["effective_f_critical"]).to_numpy(bool)
        weak += [
            f"{system.names[j]}_{system.columns[j][i]}" for i in np.flatnonzero(endogenous)[bad]
        ]
    return _said(weak, total)


@kept
def first_stage_of(estimate: Estimate) -> FirstStage:
    """The same of the system behind an estimate.

    Raises
    ------
    NotApplicableError
        Its equations have no instruments.
    DataRemovedError
    """
    _ = estimate.instrumented
    return first_stage(instruments_of(estimate))


def _said(weak: list[str], total: int) -> str:
    """What there is to say of weak instruments, of ``total`` endogenous regressors."""
    if not weak:
        return ""
    return (
        f"instruments are weak for {len(weak)} of {total} endogenous regressors: "
        f"{listed(map(repr, weak))}: {'their' if len(weak) > 1 else 'its'} effective F is below "
        f"the critical value for a bias of {_TAU:.0%} of the worst case (first_stage has both), so "
        "estimates lean towards OLS and standard errors are too small; use anderson_rubin(), whose "
        "test and interval hold whatever the instruments say, wild_test(), or stronger instruments"
    )


def _statistics(part: Partialled, one: np.ndarray) -> np.ndarray:
    """A row of the table for each endogenous regressor, (m, 10)."""
    found = strength(part, one)
    m = part.m
    effective, critical = np.full(m, np.nan), np.full(m, np.nan)
    if m == 1 and part.L and part.df > 0:
        effective[0], S = effective_f(part, White(), part.n_obs / part.df)
        critical[0] = critical_value(S, _TAU, _LEVEL)[0]
    elif m > 1 and part.L >= m and part.df > 0:
        critical[:] = homoscedastic_critical_value(float(part.L - m + 1), _TAU, _LEVEL)
    return np.column_stack(
        [
            found.rsquared, found.partial_rsquared, found.shea_rsquared, found.fvalue,
            found.f_pvalue, effective, critical, found.sanderson_windmeijer,
            np.full(m, part.L), np.full(m, part.df),
        ]
    )  # fmt: skip


def _compared(table: pd.DataFrame) -> pd.Series:
    return table["effective_f"].fillna(table["sanderson_windmeijer"])


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4g}"
