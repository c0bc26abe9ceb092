"""BLAS threads: one where products are thin, all where they are not.

A fit walks through matrices that are a dozen columns wide and bound by memory; a second BLAS
thread makes it 3 to 4 times slower at K = 120 to 3,000 on two cores, and no faster anywhere.
Triangular factors of thousands of rows are the opposite: 1.6 times faster with two. So a fit and
conjugate gradients run on one, whatever the user set, and the rest is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

_P = ParamSpec("_P")
_T = TypeVar("_T")


@cache
def _libraries() -> list[Any]:
    # Finding them takes milliseconds; NumPy's and SciPy's are loaded by now.
    found = ThreadpoolController().lib_controllers
    return [library for library in found if library.user_api == "blas"]


def on_one_thread(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """The same function, on one BLAS thread; the caller's number is restored after it."""

    @wraps(function)
    def limited(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        # What `ThreadpoolController.limit` does, without asking for more than the numbers: it
        # takes a twentieth of a small fit.
        before = [(library, library.num_threads) for library in _libraries()]
        many = [(library, number) for library, number in before if number != 1]
        for library, _ in many:
            library.set_num_threads(1)
        try:
            return function(*args, **kwargs)
        finally:
            for library, number in many:
                library.set_num_threads(number)

    return limited
