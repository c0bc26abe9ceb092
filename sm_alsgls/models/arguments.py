"""Arguments of `fit` and of the likelihood, read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.alignment import by_name, nameless
from sm_alsgls.exceptions import OptionError, UnknownArgumentError
from sm_alsgls.formula_errors import close
from sm_alsgls.labels import shown


def coefficients(params: Any, names: list[str], argument: str) -> np.ndarray:
    """``params`` as one finite number for each of ``names``.

    A Series or mapping goes by its labels, the names in whatever order.

    Raises
    ------
    OptionError
        It names ``argument`` and the coefficient.
    """
    params = pd.Series(params) if isinstance(params, Mapping) else params
    if isinstance(params, pd.Series) and not nameless(params.index):
        params = params.iloc[
            by_name(params.index, names, argument, OptionError, noun="coefficient")
        ]
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


# What others call our arguments of `fit`.
_FAMILIAR = {
    **dict.fromkeys(("maxiter", "max_iter", "iter_limit", "maxfun"), "max_sweeps="),
    "iterate": "max_sweeps= (every fit iterates to the maximum; 1 stops after one sweep)",
    **dict.fromkeys(
        ("tol", "ftol", "xtol", "tolerance"),
        "rel_tol= (fall of the likelihood) and gtol= (its gradient)",
    ),
    **dict.fromkeys(("pgtol", "avextol"), "gtol="),
    **dict.fromkeys(("seed", "random_state"), "rng="),
    **dict.fromkeys(
        ("groups", "maxlags", "kernel", "use_correction", "dof"), "cov_kwds={{{name!r}: ...}}"
    ),
    "bandwidth": "cov_kwds={{'maxlags': ...}}",
    "cov_config": "cov_kwds=",
    "full_output": "nothing: mle_retvals and trace of the results hold it always",
    "retall": "callback=, which sees every sweep",
    "skip_hessian": "nothing: standard errors are computed when they are asked for",
    "warn_convergence": "warnings.simplefilter('ignore', ConvergenceWarning)",
    "constraints": "fit_constrained(constraints)",
    "alpha": "conf_int(alpha) or summary(alpha=) of the results",
    "rank": "LowRankSUR(..., rank=): the rank belongs to the model",
    "missing": "LowRankSUR(..., missing=)",
    **dict.fromkeys(
        ("weights", "var_weights", "freq_weights"),
        "LowRankSUR(..., weights=), analytic ones: the data belong to the model",
    ),
    "common": "LowRankSUR(..., common=)",
    "verbose": "disp=",
}


def refuse(unknown: Iterable[str], known: Iterable[str]) -> None:
    """Say what does the work of a keyword of `fit` that it does not have.

    Raises
    ------
    UnknownArgumentError
        Unless ``unknown`` is empty.
    """
    said = []
    for name in unknown:
        text = f"fit() has no argument {name!r}"
        if name in _FAMILIAR:
            text += f"; use {_FAMILIAR[name].format(name=name)}"
        else:
            text += close(name, list(known), "it has")
        said.append(text)
    if said:
        raise UnknownArgumentError("; ".join(said))


def number_of_starts(n_starts: int | str) -> int | None:
    """The limit of starts behind ``n_starts``; None is "auto"."""
    if n_starts == "auto":
        return None
    whole = isinstance(n_starts, (int, np.integer)) and not isinstance(n_starts, bool)
    if not whole or n_starts < 1:  # type: ignore[operator]
        raise OptionError(f"n_starts must be 'auto' or a whole number >= 1, got {shown(n_starts)}")
    return int(n_starts)


def generator(rng: np.random.Generator | int | None) -> np.random.Generator | None:
    """The generator behind ``rng``; None keeps the fixed seed."""
    if rng is None or isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        return np.random.default_rng(int(rng))
    raise OptionError(f"rng must be a numpy Generator, a seed or None, got {shown(rng)}")
