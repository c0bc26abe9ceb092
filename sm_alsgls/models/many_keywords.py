"""What `LowRankSUR` and its `fit` take, and equations in tiles do not: each refused by name."""

from __future__ import annotations

from collections.abc import Iterable

from sm_alsgls.exceptions import OptionError

_WHOLE_ROWS = "a tile has all rows of its equations, and sums over rows are not weighted"
_LAWS = "laws of the errors beside Sigma are fitted to residuals of all equations in memory"
_OF_MODEL = {
    "weights": _WHOLE_ROWS + "; multiply response and regressors by the roots of row weights",
    "common": "coefficients are each equation's own; fit a panel in memory with LowRankPanel",
    **dict.fromkeys(
        ("ar", "row_scale", "cell_scale", "spatial_error", "spatial_lag", "standardize"), _LAWS
    ),
}
_OF_FIT = {
    "start_params": "the start is OLS",
    "method": "the only one is 'als'",
    "rng": "there is one start and it is not drawn",
    "reml": "it is about laws of the errors",
    "lam_F": "ridges are zero in the passes",
    "lam_B": "ridges are zero in the passes",
}


def refuse_of_model(given: Iterable[str]) -> None:
    """Say why a keyword of `LowRankSUR` is not there.

    Raises
    ------
    OptionError
    """
    _refuse(given, _OF_MODEL)


def refuse_of_fit(given: Iterable[str]) -> None:
    """The same of keywords of its `fit`.

    Raises
    ------
    OptionError
    """
    _refuse(given, _OF_FIT)


def _refuse(given: Iterable[str], reasons: dict[str, str]) -> None:
    for name in given:
        if name in reasons:
            raise OptionError(
                f"{name}= does not go with equations that are read in tiles: {reasons[name]}"
            )
