"""One climb of the likelihood of a mixed model: Fisher scoring with secant pairs on top.

In x = (phi, theta), with s2 and b profiled, the expected information of Gamma's part is

    F = ( sum_i tr(W_i dGamma_a W_i dGamma_b) - t_a t_b / n ) / 2 + tr(S+ d2Gamma_ab),
    t_a = sum tr(W_i dGamma_a)

(S+ the positive part of dNLL/dGamma: at a Gamma on the boundary of what its root can say the
first part vanishes with the root, and this is what is left). Its inverse is the middle of a
limited-memory BFGS, which makes steps superlinear. Theta is in F as `law_information` has it where
rows are independent, else roughly.
psi >= 0 is kept by projection: at psi_j = 0 its slope decides, not that of its root.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from sm_alsgls.core.mixed.law_information import of_independent
from sm_alsgls.core.mixed.likelihood import Point, Profile
from sm_alsgls.core.sigma.secant import SecantMemory

Array = np.ndarray

#: Bound on the length of the last Newton step, in standard errors, that `converged` means.
TOLERANCE = 1e-7
# Steps in a row that change the NLL by rounding only.
_MOST_FLAT = 4
# Secant pairs of steps longer than this many standard errors tell of another place, and make 22
# steps of 6; and there the information is made afresh each step, nearer every so many.
_NEAR, _AGE = 0.05, 12
# A residual variance this small a share of the effects' is on its way to zero: whatever the climb
# does; and where it does not become stationary.
_VANISHED, _VANISHING = 1e-13, 1e-4
# Share of a step that takes what it brings to a bound there at once.
_FIRST = 0.1
# Of what a diagonal of F is the difference of.
_ROUNDING = 1e-12
CONVERGED = "converged"
JOINED = "joined the best"
STOPPED = "stopped by the callback"
SATURATED = (
    "the residual variance goes to zero: the random effects fit every row; leave out random "
    "effects, or take a lower rank"
)
LEVEL_SATURATED = (
    "the residual variance of a level, {!r}, goes to zero: the random effects fit every row of it; "
    "join it with another, leave out random effects, or take a lower rank (and bring levels to "
    "units in which their responses are of one size)"
)
_LEVEL_BEGINS = LEVEL_SATURATED.partition("{")[0]
FLAT = (
    "steps change the likelihood by rounding only before it is stationary; scale the columns, or "
    "look at whether some effects can be told apart"
)
TOO_LONG = "not stationary after {} steps; start it again with more (maxiter)"


class Step(NamedTuple):
    """One row of the trace; ``decrement`` is the length of the step to come in standard errors."""

    step: int
    nll: float
    decrement: float
    share: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Climb:
    """Where a climb ended.

    Attributes
    ----------
    label : str
        Of its start.
    point : Point
    decrement : float
        sqrt(g' F^-1 g): the gradient in units of standard errors.
    status : str
    trace : tuple of Step
    nll : float
        Of the point, or of what it joined.
    """

    label: str
    point: Point
    decrement: float
    status: str
    trace: tuple[Step, ...] = field(repr=False)
    nll: float

    @property
    def converged(self) -> bool:
        """Whether it is stationary."""
        return self.status == CONVERGED

    @property
    def unbounded(self) -> bool:
        """Whether the likelihood rises with a residual variance that goes to zero."""
        return self.status == SATURATED or self.status.startswith(_LEVEL_BEGINS)


def scoring(profile: Profile, point: Point, sizes: bool = False) -> Array:
    """F of the module, (size, size); O(m (q^2 k + q^2 r^2)).

    With ``sizes`` the absolute values of S's eigenvalues count, not only the positive ones: a
    column of loadings that is zero has then a unit to look at its curvature in.
    """
    structure, law, phi = profile.structure, profile.law, point.phi
    cut, size = structure.size, structure.size + law.size
    F, t = np.zeros((size, size)), np.zeros(size)
    for W in profile.each_W(point):
        F[:cut, :cut] += structure.information(phi, W)
    t[:cut] = structure.pull(phi, point.total_W)
    parts = np.diagonal(F).copy()
    if law.size and law.independent:
        levels = of_independent(profile, point)
        F[cut:, :cut], F[:cut, cut:] = levels.with_phi, levels.with_phi.T
        F[cut:, cut:], t[cut:] = levels.own, levels.with_s2
        parts[cut:] = profile.counts[law.terms - law.size :]
    unit = np.sqrt(0.5 * np.maximum(np.diagonal(F)[:cut], 0.0))
    F = 0.5 * (F - np.outer(t, t) / profile.freedom)
    # Of a variance on its way to zero what is left of a difference is rounding, of either sign.
    at = np.arange(size)
    F[at, at] = np.maximum(F[at, at], _ROUNDING * parts)
    values, vectors = np.linalg.eigh(point.S)
    positive = (vectors * (np.abs(values) if sizes else np.maximum(values, 0.0))) @ vectors.T
    F[:cut, :cut] += structure.second(positive) + _of_rotations(structure.rotations(phi), unit)
    if not law.independent:
        F[cut:, cut:] = law.information(point.theta, profile.counts)
    return F


def _of_rotations(turned: Array, size: Array) -> Array:
    """What rotations of loadings are given, who have no information: that of what they turn.

    An old F does not know where they point now.
    """
    weighted = turned * np.square(size)[:, None]
    return np.asarray(weighted @ np.linalg.pinv(turned.T @ weighted, hermitian=True) @ weighted.T)


def rotations(profile: Profile, F: Array, point: Point) -> Array:
    """An orthonormal basis of the rotations of loadings in units of F's diagonal, (size, ...)."""
    turned = profile.structure.rotations(point.phi)
    whole = np.zeros((len(F), turned.shape[1]))
    whole[: len(turned)] = turned
    size = np.sqrt(np.maximum(np.diagonal(F), 0.0))
    U, values, _ = np.linalg.svd(whole * size[:, None], full_matrices=False)
    return U[:, values > 1e-10 * values.max(initial=0.0)]


def held(profile: Profile, point: Point) -> Array:
    """Elements of x on a bound that the likelihood falls beyond, (size,) of bool."""
    x, low, high = point.x, profile.low, profile.high
    gradient = point.gradient
    return ((x <= low) & (gradient >= 0.0)) | ((x >= high) & (gradient <= 0.0))


def climb(
    profile: Profile,
    start: Array,
    label: str,
    *,
    tolerance: float = TOLERANCE,
    max_iter: int = 200,
    best: Point | None = None,
    watch: Callable[[str, Step], object] | None = None,
) -> Climb:
    """Maximise from ``start`` (phi, theta).

    Parameters
    ----------
    profile : Profile
    start : ndarray
    label : str
    tolerance : float
    max_iter : int
    best : Point, optional
        A climb that comes as near as makes no difference to this one ends there.
    watch : callable, optional
        Gets every step; a true value ends the climb.

    Returns
    -------
    Climb
    """
    began = time.perf_counter()
    low, high = profile.low, profile.high
    point = profile.at(np.clip(start, low, high))
    trace: list[Step] = []
    memory, flat, age = SecantMemory(8), 0, 0
    factor, share, decrement = None, 0.0, np.inf
    while True:
        free = ~held(profile, point)
        gradient = np.where(free, point.gradient, 0.0)
        if factor is None or age >= (1 if decrement > _NEAR else _AGE):
            factor, age = _Factor(scoring(profile, point), free), 0
        elif (factor.free != free).any():
            factor = _Factor(factor.F, free)
        age += 1
        decrement = float(np.sqrt(max(gradient @ factor(gradient), 0.0)))
        if decrement > _NEAR:
            memory.clear()
        step = Step(len(trace), point.nll, decrement, share, time.perf_counter() - began)
        trace.append(step)
        status = _ended(profile, point, best, trace, flat, tolerance, max_iter)
        if watch is not None and watch(label, step):
            status = status or STOPPED
        if status:
            end = best.nll if best is not None and status == JOINED else point.nll
            return Climb(label, point, decrement, status, tuple(trace), end)
        direction = memory.direction(gradient, factor, free)
        direction = np.where(free, direction, 0.0)
        if not float(direction @ gradient) < 0.0:
            memory.clear()
            direction = -factor(gradient)
        close = _at_once(profile, point, direction)
        if close.any():
            free = free & ~close
            gradient = np.where(free, gradient, 0.0)
            factor = _Factor(factor.F, free)
            bound = np.clip(point.x + direction, low, high)
            direction = np.where(close, bound - point.x, -factor(gradient))
        trial, share = _searched(profile, point, direction, gradient)
        if trial is None:
            if age == 1 and not len(memory):
                status = _flat(profile, point)
                return Climb(label, point, decrement, status, tuple(trace), point.nll)
            memory.clear()
            factor = None
            continue
        rounding = 1e-14 * (abs(point.nll) + profile.n)
        flat = flat + 1 if point.nll - trial.nll <= rounding else 0
        change = trial.gradient - point.gradient
        memory.push(trial.x - point.x, change, float(gradient @ (trial.x - point.x)))
        point = trial


class _Factor:
    """Applies the inverse of F, ridged, among what is free."""

    def __init__(self, F: Array, free: Array) -> None:
        self.F, self.free = F, free
        inner = F[np.ix_(free, free)]
        scale = np.sqrt(np.maximum(np.diagonal(inner), 1e-300))
        self._scale = scale
        scaled = inner / np.outer(scale, scale)
        # Of what the data do not tell at all; more where rounding leaves F indefinite.
        least = float(np.linalg.eigvalsh(scaled)[0]) if len(scaled) else 0.0
        ridge = 1e-7 + 2.0 * max(-least, 0.0)
        self._factor = cho_factor(scaled + ridge * np.eye(len(scale)))

    def __call__(self, gradient: Array) -> Array:
        out = np.zeros_like(gradient)
        part = gradient[self.free] / self._scale
        out[self.free] = cho_solve(self._factor, part) / self._scale
        return out


def _ended(
    profile: Profile,
    point: Point,
    best: Point | None,
    trace: list[Step],
    flat: int,
    tolerance: float,
    max_iter: int,
) -> str:
    """Why to stop here; empty to go on."""
    level = profile.law.vanished(point.theta, _VANISHED)
    if level:
        return LEVEL_SATURATED.format(level)
    if trace[-1].decrement <= tolerance:
        return CONVERGED
    if profile.residual_share(point) < _VANISHED:
        return SATURATED
    if flat >= _MOST_FLAT:
        # The gradient is as small as the products' rounding lets it be.
        return CONVERGED if trace[-1].decrement <= 1e3 * tolerance else _flat(profile, point)
    if len(trace) > max_iter:
        return _vanishing(profile, point) or TOO_LONG.format(max_iter)
    near = trace[-1].decrement
    # What a Newton step would gain is half of its square.
    if best is not None and near < 0.1 and -1e-9 < point.nll - best.nll < near**2 + 1e-6:
        return JOINED if profile.same(point, best) else ""
    return ""


def _flat(profile: Profile, point: Point) -> str:
    """Why no step lowers the likelihood where it is not stationary."""
    return _vanishing(profile, point) or FLAT


def _vanishing(profile: Profile, point: Point) -> str:
    """Which residual variance is on its way to zero; empty if none is."""
    level = profile.law.vanished(point.theta, _VANISHING)
    if level:
        return LEVEL_SATURATED.format(level)
    return SATURATED if profile.residual_share(point) < _VANISHING else ""


def _at_once(profile: Profile, point: Point, direction: Array) -> Array:
    """What a step takes to its bound in the first tenth of its way, and the likelihood too.

    The rest of a step makes up for what these do. Where they are clipped it climbs in vain, and
    shares become so short that they are not: a step takes them a little nearer, for ever (Bertsekas
    1982, SIAM Journal on Control and Optimization 20). So they go to their bounds, and the others
    as if they were there.
    """
    x, to = point.x, point.x + _FIRST * direction
    below = (to < profile.low) & (x > profile.low) & (point.gradient > 0.0)
    return below | ((to > profile.high) & (x < profile.high) & (point.gradient < 0.0))


def _searched(
    profile: Profile, point: Point, direction: Array, gradient: Array
) -> tuple[Point | None, float]:
    """The first of shorter and shorter steps that lowers the NLL enough, and its share."""
    x, share = point.x, 1.0
    rounding = 1e-14 * (abs(point.nll) + profile.n)
    for _ in range(25):
        trial_x = np.clip(x + share * direction, profile.low, profile.high)
        slope = float(point.gradient @ (trial_x - x))
        try:
            trial = profile.at(trial_x)
        except np.linalg.LinAlgError:
            # So far out that products have no digits left; nearer they have.
            share *= 0.1
            continue
        fell = point.nll - trial.nll
        if fell >= -1e-4 * min(slope, 0.0) or (abs(fell) <= rounding and -slope <= 100 * rounding):
            return trial, share
        # The minimum of the parabola through both ends, kept from extremes.
        wanted = -0.5 * slope / max(-fell - slope, 1e-300) if np.isfinite(trial.nll) else 0.1
        share *= min(max(wanted, 0.1), 0.5)
    return None, share
