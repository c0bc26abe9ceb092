"""What an estimator says of its fit in a summary."""

from __future__ import annotations

from dataclasses import dataclass

#: A label, and the text beside it; None is filled in: "Date:", "Time:".
Line = tuple[str, list[str] | None]


@dataclass(frozen=True)
class Header:
    """The part of a summary that is about the estimator.

    Attributes
    ----------
    model : str
        What the model is called.
    title : str
        Of the summary.
    left, right : list of (str, list of str or None)
        Lines under the names of the responses, and beside them.
    about : list of str
        Notes on the columns of the table of equations.
    fit : list of str
        Notes on how the fit went.
    doubts : list of str
        What a reader must know of the estimates.
    aside : frozenset of str
        Regressors whose coefficients are printed only where equations are asked for by name.
    """

    model: str
    title: str
    left: list[Line]
    right: list[Line]
    about: list[str]
    fit: list[str]
    doubts: list[str]
    aside: frozenset[str] = frozenset()
