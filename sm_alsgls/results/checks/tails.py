"""What p-values of tests of white noise are worth at a number of rows, kept between calls."""

from __future__ import annotations

from functools import lru_cache

from sm_alsgls.core.residuals.residual_tests import NullTail, arch, ljung_box, normality


@lru_cache(maxsize=16)
def tail(name: str, n_obs: int, lags: int) -> NullTail:
    """The correction of p-values of a test for ``n_obs`` rows."""
    tests = {
        "normality": lambda E: normality(E)[1],
        "ljung_box": lambda E: ljung_box(E, lags)[1],
        "arch": lambda E: arch(E, lags)[1],
    }
    return NullTail(tests[name], n_obs)
