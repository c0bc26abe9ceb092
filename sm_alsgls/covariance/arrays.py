"""Arrays of real numbers from what a caller passed, or an error that says what is wrong with it.

K is the number of equations throughout, and ``name`` is what the caller calls the array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sm_alsgls.exceptions import NonFiniteError, OptionError, ShapeError, SystemInputError

Array = npt.NDArray[np.float64]


def float_array(value: Any, name: str) -> Array:
    """Copy ``value`` into a C-ordered float64 array; refuse complex numbers, text and objects."""
    array = _array(value, name)
    if array.dtype.kind not in "fiub":
        raise SystemInputError(
            f"{name} must be an array of real numbers, got dtype {array.dtype} "
            f"from {type(value).__name__}"
        )
    return np.array(array, dtype=np.float64, order="C")


def _array(value: Any, name: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:  # lists of different lengths
        raise SystemInputError(f"{name} must be an array of real numbers ({error})") from error


def real(value: Any, name: str, above: float, below: float) -> float:
    """A number strictly between the two."""
    number = value.item() if isinstance(value, np.generic) else value
    fits = isinstance(number, int | float) and not isinstance(number, bool)
    if not (fits and above < number < below):
        raise OptionError(
            f"{name} must be a number above {above:g} and below {below:g}, got {value!r:.80}"
        )
    return float(number)


def whole(value: Any, name: str, least: int, most: int = 10**9) -> int:
    """A whole number; True is none."""
    number = value.item() if isinstance(value, np.generic) else value
    fits = isinstance(number, int) and not isinstance(number, bool)
    if not (fits and least <= number <= most):
        raise OptionError(
            f"{name} must be a whole number from {least} to {most}, got {value!r:.80}"
        )
    return int(number)


def generator(rng: Any) -> None:
    """Refuse what draws no random numbers."""
    if not isinstance(rng, np.random.Generator):
        raise SystemInputError(
            "rng must be a numpy.random.Generator, such as numpy.random.default_rng(seed), "
            f"got {type(rng).__name__}"
        )


def first(bad: npt.NDArray[np.bool_], array: Array, name: str) -> str:
    """Name the first bad element: "d[3] = -1.0"."""
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    where = f"[{', '.join(map(str, index))}]" if index else ""
    return f"{name}{where} = {float(array[index])!r}"


def factors(F: npt.ArrayLike, d: npt.ArrayLike) -> tuple[Array, Array]:
    """Copies of loadings F (K, r), finite, and uniquenesses d (K,), finite and positive."""
    F = float_array(F, "F")
    d = float_array(d, "d")
    if F.ndim != 2 or d.ndim != 1 or F.shape[0] != d.shape[0] or not d.shape[0]:
        raise ShapeError(
            f"F must have shape (K, r) and d shape (K,) with K >= 1, got {F.shape} and "
            f"{d.shape}; a single factor held as a vector is F[:, None]"
        )
    if not np.isfinite(F).all():
        raise NonFiniteError(f"loadings must be finite, got {first(~np.isfinite(F), F, 'F')}")
    # Ufuncs, not d.min() and d.max(): this is in the loop of every fit.
    if not (np.minimum.reduce(d) > 0.0 and np.maximum.reduce(d) < np.inf):
        if not np.isfinite(d).all():
            raise NonFiniteError(
                f"uniquenesses must be finite, got {first(~np.isfinite(d), d, 'd')}"
            )
        raise SystemInputError(
            f"uniquenesses must be positive, got {first(d <= 0, d, 'd')}; "
            "raise it to a small share of that equation's variance"
        )
    return F, d


def rows(M: npt.ArrayLike, K: int, name: str) -> tuple[Array, bool]:
    """Return M as a float (n, K), contiguous in one of the two orders; and whether it was (K,)."""
    array = M if isinstance(M, np.ndarray) else _array(M, name)
    if array.dtype != np.float64:
        array = float_array(array, name)
    single = array.ndim == 1
    if not (single or array.ndim == 2) or array.shape[-1] != K:
        raise ShapeError(
            f"{name} must have shape (n, {K}) or ({K},), one column per equation, got {array.shape}"
        )
    if single:
        array = array[None, :]
    flags = array.flags
    if not (flags.c_contiguous or flags.f_contiguous):
        array = np.ascontiguousarray(array)
    return array, single


def scales(c: npt.ArrayLike, K: int) -> Array:
    """Return c, a scalar or (K,), as (K,) of positive finite numbers."""
    c = float_array(c, "c")
    if c.shape not in ((), (K,)):
        raise ShapeError(f"c must be a scalar or have shape ({K},), got {c.shape}")
    bad = ~((c > 0.0) & (c < np.inf))
    if bad.any():
        raise SystemInputError(f"scales must be positive and finite, got {first(bad, c, 'c')}")
    return np.broadcast_to(c, (K,))


def chosen(idx: Any, K: int) -> npt.NDArray[np.intp]:
    """Positions (m,), m >= 1, of the equations that the index selects; none of them twice."""
    try:
        positions = np.atleast_1d(np.arange(K)[idx])
    except (IndexError, TypeError, ValueError) as error:
        raise SystemInputError(f"idx must select from the equations 0..{K - 1}: {error}") from error
    if positions.ndim != 1 or not positions.size:
        raise ShapeError(
            f"idx must select one or more equations in one dimension, got shape {positions.shape}"
        )
    counts = np.bincount(positions, minlength=K)
    if counts.max() > 1:
        raise SystemInputError(
            f"idx selects equation {int(counts.argmax())} {int(counts.max())} times; its "
            "covariance would be singular"
        )
    return positions


def run(at: npt.NDArray[np.intp]) -> slice | npt.NDArray[np.intp]:
    """Places, as a slice where they follow one another: what it takes is no copy.

    >>> run(np.array([3, 4, 5])), run(np.array([3, 5, 4]))
    (slice(3, 6, None), array([3, 5, 4]))
    """
    m = len(at)
    if not m:
        return at
    first, last = at.item(0), at.item(-1)
    # m - 1 steps that add up to m - 1, none of them longer than 1.
    if last - first != m - 1 or (m > 1 and np.maximum.reduce(at[1:] - at[:-1]) > 1):
        return at
    return slice(first, last + 1)
