"""Intervals of the parameters of laws by the profile likelihood.

The values v of one parameter at which, everything else at its maximum,

    c 2 (g(v) - g()) <= chi2_1(1 - alpha),        g of `sm_alsgls.core.laws.profile`,

c a factor of small samples. On either side the root of it is found by secants on the signed root
r(v) = (2 c (g(v) - g()))^1/2, which is straight where the likelihood is that of a normal: three to
five warm fits. Near a bound, which normal intervals cross, it bends, and ends on it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.profile import Profile

Array = np.ndarray

# Fits for one end, and how near the root must be, in standard errors.
_STEPS, _TOL = 25, 1e-3
# The longest step, of the last one; and the least that is left to a bound, of its distance.
_LONGEST, _INSIDE = 3.0, 1e-5


class ProfileInterval(NamedTuple):
    """Ends, and whether each is a bound of the parameter, beyond which there is nothing."""

    low: float
    high: float
    low_is_bound: bool
    high_is_bound: bool


def profile_interval(
    profile: Profile, i: int, alpha: float = 0.05, factor: float = 1.0
) -> ProfileInterval:
    """The interval of parameter ``i``.

    Parameters
    ----------
    profile : Profile
    i : int
    alpha : float
    factor : float
        c of the module.

    Examples
    --------
    >>> from sm_alsgls.core.laws.ar import AR
    >>> from sm_alsgls.core.laws.maximise import maximise
    >>> from sm_alsgls.core.laws.raw_system import RawSystem
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> e = rng.standard_normal((60, 1))
    >>> for n in range(1, 60):
    ...     e[n] += 0.9 * e[n - 1]
    >>> raw = RawSystem(e, [np.ones((60, 1))], AR.of(60, np.zeros(1)), ALSOptions())
    >>> found = profile_interval(Profile(maximise(raw, 0), 0, False), 0)
    >>> found.low < 0.9 < found.high < 1.0
    True
    """
    best = profile.best.found.best.nuisance
    system, errors = profile.best.system, profile.best.problem.errors
    bounds = system.bounds(errors)[i]
    target = float(np.sqrt(stats.chi2.ppf(1.0 - alpha, 1) / factor))
    se = np.sqrt(best.cov[i, i])
    if not np.isfinite(se):
        se = _size(profile, i)
    low, low_on = _end(profile, i, float(best.values[i]), float(bounds[0]), -target * se, target)
    high, high_on = _end(profile, i, float(best.values[i]), float(bounds[1]), target * se, target)
    return ProfileInterval(low, high, low_on, high_on)


def _size(profile: Profile, i: int) -> float:
    """A first step where there is no standard error: that of the information, others given."""
    best = profile.best
    m = len(best.system.filter.values)
    if i < m:
        E = best.system.residuals(best.problem.design, best.found.best.gamma)
        sees = best.problem.observed(best.found.best.cov)
        unit = (np.arange(m) == i).astype(float)
        size = float(best.system.filter.solve(E, sees, unit)[i]) / len(E)
        return float(np.sqrt(max(size, 1e-16)))
    low, high = best.system.bounds(best.problem.errors)[i]
    return float(0.02 * (high - low))


def _end(
    profile: Profile, i: int, middle: float, bound: float, step: float, target: float
) -> tuple[float, bool]:
    """Where the signed root is ``target``, and whether that is the bound."""
    m = len(profile.best.found.best.nuisance.values)
    last = bound - _INSIDE * (bound - middle)
    side = 1.0 if step > 0.0 else -1.0
    if side * (last - middle) <= 0.0:
        return bound, True
    near: LawFit | None = None
    # (distance from the middle, signed root): of the best one (0, 0).
    most = side * (last - middle)
    t, before, inside, outside = min(abs(step), most), (0.0, 0.0), 0.0, np.inf
    for _ in range(_STEPS):
        held = np.full(m, np.nan)
        held[i] = middle + side * t
        near = profile.held(held, near)
        gap = 2.0 * (profile.value(near) - profile.value(profile.best))
        root = float(np.sqrt(max(gap, 0.0)))
        if abs(root - target) <= _TOL:
            break
        if root > target:
            outside = min(outside, t)
        elif t >= most:
            return bound, True
        else:
            inside = max(inside, t)
        rise = root - before[1]
        ahead = t + (target - root) * (t - before[0]) / rise if rise != 0.0 else np.inf
        before, t = (t, root), _within(ahead, t, inside, outside, most)
    return middle + side * t, False


def _within(ahead: float, t: float, inside: float, outside: float, most: float) -> float:
    """The next distance: that of the secant, within what is known to hold the root."""
    if not np.isfinite(outside):
        return float(min(max(ahead, inside * 1.001), _LONGEST * t, most))
    edge = 0.001 * (outside - inside)
    if inside + edge < ahead < outside - edge:
        return float(ahead)
    return 0.5 * (inside + outside)
