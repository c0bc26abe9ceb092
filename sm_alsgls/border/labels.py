"""Labels of rows, columns and equations: how they are spelt, and how messages print them."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Real
from typing import Any

import numpy as np


def shown(label: Any) -> str:
    """``repr`` of a label, with NumPy's scalars as the plain numbers and strings they hold.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.border.labels import shown
    >>> shown(np.int64(3)), shown("IBM"), shown((np.int64(1), "a"))
    ('3', "'IBM'", "(1, 'a')")
    """
    if isinstance(label, tuple):
        return f"({', '.join(map(shown, label))}{',' * (len(label) == 1)})"
    if isinstance(label, (np.datetime64, np.timedelta64)):
        return str(label)  # item() would be a number of nanoseconds
    return repr(label.item() if isinstance(label, np.generic) else label)


def spell(label: Any, known: Collection[str] = ()) -> str:
    """The name of a column or an equation, as everything that is labelled by it spells it.

    ``str`` of the label; the parts of a tuple, a label of MultiIndex columns, are joined by
    underscores. A whole number is the same as an integer and as a float, which is what pandas
    makes of integers beside a missing value: it is spelt as in ``known`` where that has it.

    Examples
    --------
    >>> from sm_alsgls.border.labels import spell
    >>> spell(("y", 1)), spell(2.0), spell(2.0, ["1", "2"]), spell(2.5, ["1", "2"])
    ('y_1', '2.0', '2', '2.5')
    """
    text = "_".join(map(str, label)) if isinstance(label, tuple) else str(label)
    if text in known or not isinstance(label, Real) or not float(label).is_integer():
        return text
    spellings = (str(int(label)), str(float(label)))
    return next((other for other in spellings if other in known), text)
