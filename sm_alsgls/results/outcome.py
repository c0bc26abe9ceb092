"""The outcome of a test of the error covariance."""

from __future__ import annotations

from dataclasses import dataclass

from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable

from sm_alsgls.results.shown import ShownText


@dataclass(frozen=True)
class CovarianceTest(ShownText):
    """A test of Sigma.

    Attributes
    ----------
    name, null, alternative : str
    statistic, pvalue : float
    distribution : str
        "chi2", "normal" (two-sided), "normal, upper tail", or "Monte Carlo, B draws".
    df : int or None
        Of chi2.
    note : str
        What a reader of the p-value must know.
    """

    name: str
    null: str
    alternative: str
    statistic: float
    pvalue: float
    distribution: str
    df: int | None = None
    note: str = ""

    @property
    def reference(self) -> str:
        """The distribution with its degrees of freedom, for printing."""
        return f"chi2({self.df})" if self.distribution == "chi2" else self.distribution

    def __repr__(self) -> str:
        return (
            f"<{self.name}: statistic {self.statistic:.4g}, {self.reference}, "
            f"p-value {self.pvalue:.4g}>"
        )

    def __str__(self) -> str:
        return str(self.summary())

    def summary(self) -> Summary:
        """A statsmodels Summary."""
        rows = [
            ["Null hypothesis:", self.null],
            ["Alternative:", self.alternative],
            ["Statistic:", f"{self.statistic:.6g}"],
            ["Distribution:", self.reference],
            ["P-value:", f"{self.pvalue:.4g}"],
        ]
        summary = Summary()
        summary.tables.append(
            SimpleTable(rows, title=self.name, txt_fmt={"data_aligns": "ll", "colsep": "  "})
        )
        if self.note:
            summary.add_extra_txt([self.note])
        return summary
