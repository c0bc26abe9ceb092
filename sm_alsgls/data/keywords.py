"""Arguments of the model, of `fit` and of the likelihood, read once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from sm_alsgls.border.alignment import by_name, nameless
from sm_alsgls.border.arguments import function, unknown
from sm_alsgls.border.numbers import numbers
from sm_alsgls.core.maximise.als import Sweep
from sm_alsgls.exceptions import CallableError, OptionError

T = TypeVar("T")


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
    values = numbers(params, argument, OptionError).ravel()
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

# The same where moments are solved and nothing is maximised.
_OF_MOMENTS = {
    **{name: said.replace("LowRankSUR", "LowRank3SLS") for name, said in _FAMILIAR.items()},
    **dict.fromkeys(("max_iter", "iter_limit", "maxfun", "max_sweeps"), "maxiter="),
    **dict.fromkeys(("ftol", "xtol", "tolerance", "rel_tol", "gtol", "pgtol", "avextol"), "tol="),
    **dict.fromkeys(
        ("start_params", "n_starts", "rng", "seed", "random_state"),
        "nothing: moments are solved, from no start and without a draw",
    ),
    **dict.fromkeys(("disp", "verbose", "progress", "retall"), "callback=, which sees every Step"),
    "full_output": "nothing: iterations of the results holds every round",
    "instruments": "LowRank3SLS(..., instruments=): the data belong to the model",
}

# What others call our arguments of the constructor.
_FAMILIAR_OF_MODEL = {
    "hasconst": "nothing: whether a design spans a constant is found out",
    **dict.fromkeys(("k_factors", "n_factors", "factors", "k", "r", "n_components"), "rank="),
    **dict.fromkeys(("var_weights", "freq_weights", "aweights"), "weights=, analytic ones"),
    "constraints": "common=, or fit_constrained(constraints)",
    **dict.fromkeys(
        ("formula", "data", "groups", "time", "subset", "eval_env"),
        "LowRankSUR.from_formula(..., {name}=)",
    ),
    **dict.fromkeys(
        (
            "cov_type", "cov_kwds", "use_t", "debiased", "method", "n_starts", "rng", "lam_F",
            "lam_B", "d_floor", "rel_tol", "gtol", "max_sweeps", "callback", "disp", "progress",
        ),
        "fit({name}=): it belongs to the fit",
    ),
    "sigma": "nothing: Sigma is estimated, with the rank that rank= gives it",
    **dict.fromkeys(("names", "equations"), "a DataFrame or a mapping as endog: its keys name"),
    "drop_missing": "missing='drop'",
}  # fmt: skip


def refuse(
    given: Iterable[str],
    known: Iterable[str],
    called: str = "fit()",
    model: str = "LowRankSUR",
) -> None:
    """Say what does the work of a keyword that `fit`, or a way to a ``model``, does not have.

    Raises
    ------
    UnknownArgumentError
        Unless ``given`` is empty.
    """
    given, known = list(given), list(known)
    moments = model == "LowRank3SLS"
    if called == "fit()":
        familiar = _OF_MOMENTS if moments else _FAMILIAR
    else:
        familiar = {k: v.replace("LowRankSUR", model) for k, v in _FAMILIAR_OF_MODEL.items()}
    unknown(given, known, called, {k: v for k, v in familiar.items() if k not in known})


def keywords(method: Callable[..., Any]) -> list[str]:
    """Names that a constructor, a way to a model or ``fit`` takes."""
    names = inspect.signature(method).parameters
    return [name for name in names if name not in ("self", "unknown") and not name.startswith("_")]


def watched(callback: Callable[[Sweep], object] | None) -> Callable[[Sweep], object] | None:
    """A callback whose errors say at which sweep of which start they came.

    Raises
    ------
    OptionError
        It is no function. And, when called, CallableError, chained to what was raised.
    """
    start = 0

    def where(sweep: Sweep) -> str:
        nonlocal start
        start += sweep.sweep == 0  # number 0 opens a start
        return f"sweep {sweep.sweep} of start {start}"

    return guarded(callback, "a Sweep", where)


def guarded(
    callback: Callable[[T], object] | None, takes: str, where: Callable[[T], str]
) -> Callable[[T], object] | None:
    """A callback that ``takes`` something, whose errors say ``where`` of the fit they came.

    Raises
    ------
    OptionError
        It is no function. And, when called, CallableError, chained to what was raised.
    """
    if function(callback, "callback", takes) is None or callback is None:
        return None

    def call(step: T) -> object:
        at = where(step)
        try:
            return callback(step)
        except Exception as error:
            raise CallableError(
                f"callback raised {type(error).__name__} ({error}) at {at}; the fit is lost: "
                "return True to stop with what there is"
            ) from error

    return call
