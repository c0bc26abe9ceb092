"""``MixedVariances``: intervals and tests of a mixed model's results that refit it, and shares."""

from __future__ import annotations

from sm_alsgls.results import (
    mixed_bootstrap,
    mixed_intervals,
    mixed_nested,
    mixed_r_squared,
    variance_test,
)
from sm_alsgls.results.method import method


class MixedVariances:
    """Mixin of `LowRankMixedLMResults`: intervals, tests, draws and shares."""

    conf_int_fe = method(mixed_intervals.conf_int_fe)
    conf_int_re = method(mixed_intervals.conf_int_re)
    variance_test = method(variance_test.variance_test)
    compare_lr = method(mixed_nested.compare_lr)
    bootstrap = method(mixed_bootstrap.bootstrap)
    r2 = method(mixed_r_squared.r2)
    icc = method(mixed_r_squared.icc)
