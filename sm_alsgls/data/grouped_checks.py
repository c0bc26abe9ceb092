"""What must hold of rows of groups before a mixed model is fitted to them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.blame import caller
from sm_alsgls.border.labels import shown
from sm_alsgls.border.names import listed
from sm_alsgls.core.design.bases import DependentColumnsError, TinyColumnsError, bases
from sm_alsgls.data.columns import dependent, tiny
from sm_alsgls.data.grouped import Names
from sm_alsgls.data.validity import LARGEST
from sm_alsgls.exceptions import (
    DegenerateResponseError,
    FewGroupsWarning,
    InsufficientRowsError,
    NonFiniteError,
    ShapeError,
    SystemInputError,
)

Array = np.ndarray

#: Groups from which on a variance of theirs is taken without a word.
ENOUGH = 5
# Of the response, what is rounding after a regression.
_EXACT = 1e-10


def check_finite(names: Names, y: Array, X: Array, Z: Array, index: pd.Index) -> None:
    """Finite numbers whose squares are floats; an error names column and row.

    Raises
    ------
    NonFiniteError, SystemInputError
    """
    for argument, M, columns in (
        ("endog", y[:, None], [names.response]),
        ("exog", X, names.columns),
        ("exog_re", Z, names.columns_re),
    ):
        sizes = np.abs(M).max(axis=0, initial=0.0)
        for j in np.flatnonzero(~(sizes <= LARGEST)):
            bad = ~(np.abs(M[:, j]) <= LARGEST)
            where = f"{argument}: column {columns[j]!r}"
            first, value = shown(index[int(np.argmax(bad))]), M[int(np.argmax(bad)), j]
            if not np.isfinite(sizes[j]):
                raise NonFiniteError(
                    f"{where} has {bad.sum()} infinite or missing values, the first in row "
                    f"{first}; drop or fill such rows"
                )
            raise SystemInputError(
                f"{where} has {bad.sum()} values beyond {LARGEST:g}, the first is {value:g} in row "
                f"{first}; squares leave the range of floats: if it stands for a missing value, "
                "make it NaN, else divide the column by a power of ten"
            )


def check_labels(labels: Any, what: str) -> None:
    """Labels that are told apart by how they are spelt: 1 and "1" are a slip.

    Raises
    ------
    ShapeError
    """
    if getattr(labels, "dtype", None) != np.dtype(object):
        return
    spelt: dict[str, Any] = {}
    for label in labels:
        other = spelt.setdefault(str(label), label)
        if other is not label and type(other) is not type(label):
            raise ShapeError(
                f"{what} {shown(label)} are {type(other).__name__} in some rows and "
                f"{type(label).__name__} in others, which would be two; make them of one type, "
                "as by data[column].astype(str)"
            )


def check_groups(names: Names, m: int, n: int) -> None:
    """Two groups at least, some group with two rows, more rows than regressors.

    Raises
    ------
    InsufficientRowsError
    """
    if m < 2:
        raise InsufficientRowsError(
            f"groups ({names.group!r}) have one value: a variance among groups needs two at the "
            "very least; without random effects take OLS"
        )
    if n <= names.p:
        raise InsufficientRowsError(
            f"{names.response!r} has {names.p} regressors but only {n} rows; it needs at least "
            f"{names.p + 1} rows: drop regressors or add observations"
        )


def check_response(names: Names, y: Array) -> None:
    """A response that is not constant.

    Raises
    ------
    DegenerateResponseError
    """
    if (y == y[0]).all():
        raise DegenerateResponseError(
            f"the response {names.response!r} is constant ({y[0]:g} in all {len(y)} rows)"
        )


def check_regressors(names: Names, y: Array, X: Array) -> None:
    """Regressors that are independent, and do not fit the response exactly.

    Rows may be any that have the Gram matrix of [X, y], such as its triangular factor.

    Raises
    ------
    RankDeficientError, DegenerateResponseError, SystemInputError
    """
    if not names.p:
        return
    try:
        Qt, _ = bases([X], np.zeros(1, dtype=int))
    except DependentColumnsError as error:
        raise dependent(error, names.response, names.columns) from None
    except TinyColumnsError as error:
        raise tiny(error, names.response, names.columns) from None
    scale = float(np.abs(y).max())
    unit = y / scale if scale > 0.0 else y
    left = unit - (Qt[0] @ unit) @ Qt[0]
    if np.linalg.norm(left) <= _EXACT * np.linalg.norm(unit):
        raise DegenerateResponseError(
            f"the regressors fit {names.response!r} exactly, so that nothing is left to groups and "
            "errors; drop the regressor that defines it"
        )


def check_random_effects(names: Names, Z: Array, why: str) -> None:
    """Columns of Z that are independent; ``why`` is said of what they are needed for.

    Raises
    ------
    RankDeficientError, SystemInputError
    """
    try:
        bases([Z], np.zeros(1, dtype=int))
    except DependentColumnsError as error:
        said = dependent(error, names.response, names.columns_re, "the random effects")
        raise type(said)(f"{said}{why}") from None
    except TinyColumnsError as error:
        raise tiny(error, names.response, names.columns_re, "the random effects") from None


def doubt_groups(names: Names, seen: Array, m: int) -> None:
    """Warn of random effects that are zero in all but few groups; ``seen`` (q,) counts those.

    Raises
    ------
    RankDeficientError
        One is zero everywhere.
    """
    zero = np.flatnonzero(seen == 0)
    if len(zero):
        error = DependentColumnsError(0, tuple(int(j) for j in zero), ())
        raise dependent(error, names.response, names.columns_re, "the random effects")
    few = np.flatnonzero((seen < ENOUGH) & (seen < m))
    if len(few):
        said = listed(f"{names.columns_re[j]!r} ({seen[j]})" for j in few)
        warnings.warn(
            f"random effects of columns that are zero in all but a few of {m} groups (how many): "
            f"{said}; a variance among so few groups is hardly known. Leave them out, or give them "
            "a fixed effect",
            FewGroupsWarning,
            stacklevel=caller(),
        )
