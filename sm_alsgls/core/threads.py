"""BLAS threads: one where products are thin, all where they are not.

A fit walks through matrices that are a dozen columns wide and bound by memory; a second BLAS
thread makes it 3 to 4 times slower at K = 120 to 3,000 on two cores, and no faster anywhere.
Triangular factors of thousands of rows are the opposite: 1.6 times faster with two. So a fit and
conjugate gradients run on one, whatever the user set, and the rest is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

_P = ParamSpec("_P")
_T = TypeVar("_T")


@cache
def _libraries() -> ThreadpoolController:
    # Finding them takes milliseconds; NumPy's and SciPy's are loaded by now.
    return ThreadpoolController()


def on_one_thread(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """The same function, on one BLAS thread; the caller's number is restored after it."""

    @wraps(function)
    def limited(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with _libraries().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited
