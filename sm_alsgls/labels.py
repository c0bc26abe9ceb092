"""Labels of rows, columns and equations as messages print them."""

from __future__ import annotations

from typing import Any

import numpy as np


def shown(label: Any) -> str:
    """``repr`` of a label, with NumPy's scalars as the plain numbers and strings they hold.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.labels import shown
    >>> shown(np.int64(3)), shown("IBM"), shown((np.int64(1), "a"))
    ('3', "'IBM'", "(1, 'a')")
    """
    if isinstance(label, tuple):
        return f"({', '.join(map(shown, label))}{',' * (len(label) == 1)})"
    if isinstance(label, (np.datetime64, np.timedelta64)):
        return str(label)  # item() would be a number of nanoseconds
    return repr(label.item() if isinstance(label, np.generic) else label)
