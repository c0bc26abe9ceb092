"""Arguments of `fit` and of the likelihood, read once."""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_alsgls.exceptions import OptionError


def coefficients(params: Any, names: list[str], argument: str) -> np.ndarray:
    """``params`` as one finite number for each of ``names``.

    Raises
    ------
    OptionError
        It names ``argument`` and the coefficient.
    """
    try:
        values = np.asarray(params, dtype=float).ravel()
    except (TypeError, ValueError) as error:
        raise OptionError(f"{argument} must be numbers ({error})") from error
    if values.shape != (len(names),):
        raise OptionError(
            f"{argument} must hold {len(names)} coefficients, one for each of exog_names; got "
            f"{values.size}"
        )
    if not np.isfinite(values).all():
        first = names[int(np.flatnonzero(~np.isfinite(values))[0])]
        raise OptionError(f"{argument} is not finite for {first!r}")
    return values


def number_of_starts(n_starts: int | str) -> int | None:
    """The limit of starts behind ``n_starts``; None is "auto"."""
    if n_starts == "auto":
        return None
    whole = isinstance(n_starts, (int, np.integer)) and not isinstance(n_starts, bool)
    if not whole or n_starts < 1:  # type: ignore[operator]
        raise OptionError(f"n_starts must be 'auto' or a whole number >= 1, got {n_starts!r}")
    return int(n_starts)


def generator(rng: np.random.Generator | int | None) -> np.random.Generator | None:
    """The generator behind ``rng``; None keeps the fixed seed."""
    if rng is None or isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        return np.random.default_rng(int(rng))
    raise OptionError(f"rng must be a numpy Generator, a seed or None, got {rng!r}")
