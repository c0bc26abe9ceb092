"""What to say of columns of a design that cannot be used: dependent ones, and too small ones."""

from __future__ import annotations

from sm_alsgls.border.names import listed
from sm_alsgls.core.design.bases import DependentColumnsError, TinyColumnsError
from sm_alsgls.exceptions import RankDeficientError, SystemInputError


def dependent(
    error: DependentColumnsError, where: str, columns: list[str], argument: str = "exog"
) -> RankDeficientError:
    """The error with labels in place of positions.

    Parameters
    ----------
    error : DependentColumnsError
    where : str
        Of which equation the design is.
    columns : list of str
        Names of its columns.
    argument : str
        What the caller calls the design.

    Examples
    --------
    >>> from sm_alsgls.core.design.bases import DependentColumnsError
    >>> from sm_alsgls.data.columns import dependent
    >>> error = DependentColumnsError(0, (2,), (0, 1))
    >>> print(dependent(error, "equation 'a'", ["c", "x", "z"]))  # doctest: +ELLIPSIS
    equation 'a': the columns of exog are linearly dependent; 'z' is a combination of 'c', 'x': ...
    """
    bad = listed(repr(columns[i]) for i in error.columns)
    if not error.others:
        several = len(error.columns) > 1
        what = f"columns {bad} of {argument} are" if several else f"column {bad} of {argument} is"
        return RankDeficientError(f"{where}: {what} zero in every row; drop what is zero")
    others = listed(repr(columns[i]) for i in error.others)
    return RankDeficientError(
        f"{where}: the columns of {argument} are linearly dependent; {bad} is a combination of "
        f"{others}: drop one of them"
    )


def tiny(
    error: TinyColumnsError, where: str, columns: list[str], argument: str = "exog"
) -> SystemInputError:
    """As `dependent`, of columns whose squares are no floats."""
    bad = listed(repr(columns[i]) for i in error.columns)
    return SystemInputError(
        f"{where}: {bad} of {argument} is below 1e-152 in every row, so that the variance of its "
        "coefficient leaves the range of floats; multiply it by a power of ten"
    )
