"""Intervals of variances, correlations and residual laws: by the profile likelihood, and Wald's.

A limit of the profile interval of a function f of x = (phi, theta, log s2) is

    the smallest, or largest, f(x) with  NLL(x) <= NLL(x_hat) + z^2 / 2

(Venzon and Moolgavkar 1988, Applied Statistics 37): one constrained problem a limit, in place of a
curve to be inverted; a variance whose likelihood at zero is high enough has the limit zero. The
profile likelihood in s2 is opened by

    NLL(x, s2) = nll(x) + f/2 ( log(s2 / s2_hat(x)) + s2_hat(x) / s2 - 1 ),

f its degrees of freedom. Steps are in units in which the observed information is I, so that
sequential quadratic programming (SLSQP) begins from Wald's limit with the right curvature.

Of a REML fit it is the restricted likelihood's; lme4 fits by ML before it profiles.

Wald's are symmetric in log sd, in Fisher's z of correlations, in theta of levels.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from sm_alsgls.core.mixed.climb import held
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.satterthwaite import identified, inverse_information
from sm_alsgls.progress import tick

Array = np.ndarray

# How far off the target the likelihood of a limit may be.
_OFF = 1e-5
_SLSQP: Any = {"ftol": 1e-10, "maxiter": 300}
# How many times as far as in a quadratic likelihood limits are looked for.
_FAR = 10.0


class Quantity(NamedTuple):
    """What has an interval: ("sd", j), ("correlation", j, k), ("sigma",), ("theta", l)."""

    kind: str
    j: int = 0
    k: int = 0


class Limits(NamedTuple):
    """Two limits, NaN where one was not found, and why."""

    low: float
    high: float
    note: str = ""


@dataclass(frozen=True, eq=False)
class _Value:
    """A function of (G, theta, log s2) with its slopes: dG symmetric, at fixed other arguments."""

    value: float
    in_G: Array
    in_theta: Array
    in_log_s2: float


class Opened:
    """The likelihood in (phi, theta, log s2) and functions of these, with gradients.

    Parameters
    ----------
    fit : MixedFit
    """

    def __init__(self, fit: MixedFit) -> None:
        self.fit, self.profile = fit, fit.profile
        self.x = np.append(fit.point.x, np.log(fit.s2))
        self.size = fit.structure.size
        self._back = solve_triangular(fit.products.basis.z, fit.profile.mix)
        self.low = np.append(fit.profile.low, -np.inf)
        self.high = np.append(fit.profile.high, np.inf)

    def nll(self, x: Array) -> tuple[float, Array]:
        """NLL and its gradient."""
        tick()
        profile = self.profile
        point = profile.at(np.clip(x, self.low, self.high)[:-1].copy())
        half, share = 0.5 * profile.freedom, float(np.exp(np.log(point.s2) - x[-1]))
        value = point.nll + half * (x[-1] - np.log(point.s2) + share - 1.0)
        # d rss / dGamma = - sum v v', and 1 / s2 stands for 1 / s2_hat there.
        v = point.v @ profile.mix
        change = (1.0 - share) / point.s2
        gradient = point.gradient.copy()
        gradient[: self.size] += 0.5 * change * profile.structure.pull(point.phi, v.T @ v)
        if profile.law.size:
            squares = self._squares(point.phi, point.theta, point.v, point.b)
            gradient[self.size :] -= 0.5 * change * (profile.law.slopes(point.theta) @ squares)
        return float(value), np.append(gradient, half * (1.0 - share))

    def _squares(self, phi: Array, theta: Array, v: Array, b: Array) -> Array:
        """d rss / dw_k, (terms,)."""
        A, C = self.profile.root(phi), self.profile.products.C
        ends = np.broadcast_to(np.append(-b, 1.0), (len(v), len(b) + 1))
        g = np.concatenate([-(v @ A) @ A.T, ends], axis=1)
        return np.asarray(np.einsum("ma,mkab,mb->k", g, C, g, optimize=True))

    def G(self, x: Array) -> Array:
        """In the user's units."""
        root = self._back @ self.profile.structure.root(x[: self.size])
        return np.asarray(np.exp(x[-1]) * (root @ root.T))

    def value(self, quantity: Quantity, x: Array) -> tuple[float, Array]:
        """The variance of an effect, a correlation, log s2 or theta, and its gradient in x."""
        G = self.G(x)
        made = _function(quantity, G, x[self.size : -1], x[-1])
        inner = np.exp(x[-1]) * self._back.T @ made.in_G @ self._back
        in_phi = self.profile.structure.pull(x[: self.size], inner)
        in_s2 = made.in_log_s2 + float(np.sum(made.in_G * G))
        return made.value, np.concatenate([in_phi, made.in_theta, [in_s2]])

    @cached_property
    def singular(self) -> bool:
        """Whether G is on the edge of what it may be, or nearly so."""
        sd = np.sqrt(np.maximum(np.diagonal(self.fit.G), 1e-300))
        return float(np.linalg.eigvalsh(self.fit.G / np.outer(sd, sd))[0]) < 1e-2

    @cached_property
    def moves(self) -> Array:
        """What is not held on a bound, of bool."""
        return np.append(~held(self.fit.profile, self.fit.point), True)

    @cached_property
    def inverse(self) -> Array:
        """Of the observed information of what moves."""
        return inverse_information(self.fit)

    @cached_property
    def units(self) -> Array:
        """Directions of x in which the information is I, beside rotations; and what is held."""
        moves = self.moves
        values, vectors = np.linalg.eigh(self.inverse)
        rank = identified(self.fit).shape[1]
        inner = np.zeros((len(self.x), rank))
        # Near the edge of what G may be the information of a root is nothing: no unit then.
        most = 0.5 * (1.0 + float(np.abs(self.x[: self.size]).max(initial=0.0)))
        inner[moves] = vectors[:, -rank:] * np.minimum(np.sqrt(np.maximum(values[-rank:], 0)), most)
        rest = np.zeros((len(self.x), int((~moves).sum())))
        rest[np.flatnonzero(~moves), np.arange(rest.shape[1])] = 1.0 / self.profile.products.m
        return np.concatenate([inner, rest], axis=1)


def _function(quantity: Quantity, G: Array, theta: Array, log_s2: float) -> _Value:
    in_G, in_theta, in_s2 = np.zeros_like(G), np.zeros_like(theta), 0.0
    j, k = quantity.j, quantity.k
    if quantity.kind == "sd":
        value = G[j, j]
        in_G[j, j] = 1.0
    elif quantity.kind == "correlation":
        root = np.sqrt(max(G[j, j] * G[k, k], 1e-300))
        value = G[j, k] / root
        in_G[j, k] = in_G[k, j] = 0.5 / root
        for at in (j, k):
            in_G[at, at] = -0.5 * value / max(G[at, at], 1e-300)
    elif quantity.kind == "sigma":
        value, in_s2 = log_s2, 1.0
    else:
        value = theta[j]
        in_theta[j] = 1.0
    return _Value(float(value), in_G, in_theta, in_s2)


def reported(quantity: Quantity, value: float) -> float:
    """The value in the units of its interval: variances as sd, log s2 as sigma."""
    if quantity.kind == "sd":
        return float(np.sqrt(max(value, 0.0)))
    return float(np.exp(0.5 * value)) if quantity.kind == "sigma" else value


def estimate_of(opened: Opened, quantity: Quantity) -> float:
    """The estimate, in the units of its interval."""
    return reported(quantity, opened.value(quantity, opened.x)[0])


def standard_error(opened: Opened, quantity: Quantity) -> float:
    """Of what `Opened.value` gives, by the delta method; 0 where nothing that is free moves it."""
    slope = opened.value(quantity, opened.x)[1][opened.moves]
    return float(np.sqrt(max(slope @ opened.inverse @ slope, 0.0)))


def wald_interval(opened: Opened, quantity: Quantity, z: float) -> Limits:
    """Symmetric in log sd, Fisher's z, log sigma or theta."""
    value, se = opened.value(quantity, opened.x)[0], standard_error(opened, quantity)
    if quantity.kind == "sd":
        if not value > 0.0:
            return Limits(0.0, np.nan, "zero is no place for a standard error")
        sd, spread = float(np.sqrt(value)), float(np.exp(z * se / (2.0 * value)))
        return Limits(sd / spread, sd * spread)
    if quantity.kind == "correlation":
        if not abs(value) < 1.0 - 1e-10:
            return Limits(np.nan, np.nan, "effects are dependent")
        half, middle = z * se / (1.0 - value**2), np.arctanh(value)
        return Limits(float(np.tanh(middle - half)), float(np.tanh(middle + half)))
    return Limits(reported(quantity, value - z * se), reported(quantity, value + z * se))


def profile_interval(opened: Opened, quantity: Quantity, z: float) -> Limits:
    """Where the profile likelihood is z^2 / 2 below its maximum."""
    low, high = (_limit(opened, quantity, z, sign) for sign in (-1.0, 1.0))
    notes = [end[1] for end in (low, high) if end[1]]
    return Limits(low[0], high[0], "; ".join(dict.fromkeys(notes)))


def _limit(opened: Opened, quantity: Quantity, z: float, sign: float) -> tuple[float, str]:
    start, slope = opened.value(quantity, opened.x)
    if quantity.kind == "sd" and sign < 0.0 and start <= 0.0:
        return 0.0, ""
    search = _Search(opened, quantity, z, sign)
    found: list[float] = []
    note = ""
    for direction in _directions(opened, quantity, slope):
        if found and not opened.singular:
            break
        end, note = search.along(direction)
        if not note:
            found.append(end)
    if not found:
        return np.nan, note
    return reported(quantity, sign * max(sign * end for end in found)), ""


def _directions(opened: Opened, quantity: Quantity, slope: Array) -> Iterator[Array]:
    """Slopes to begin along: of the estimate, and of points beside it.

    On the edge of what G may be a variance, or a correlation, has no slope of its own; a little
    off it has.
    """
    U, rng = opened.units, np.random.default_rng(0)
    own = U.T @ slope
    if float(np.linalg.norm(own)) > 1e-8 * max(abs(opened.value(quantity, opened.x)[0]), 1e-8):
        yield own
    for _ in range(4):
        nudge = U @ (0.3 * rng.standard_normal(U.shape[1]))
        nudge *= min(1.0, 0.1 * float(np.linalg.norm(opened.x) / np.linalg.norm(nudge)))
        yield U.T @ opened.value(quantity, opened.x + nudge)[1]


class _Search:
    """One limit by sequential quadratic programming, in units of the information."""

    def __init__(self, opened: Opened, quantity: Quantity, z: float, sign: float) -> None:
        self._opened, self._quantity, self._z, self._sign = opened, quantity, z, sign
        self._target = opened.fit.nll + 0.5 * z**2
        self._start = opened.value(quantity, opened.x)[0]

    def _x(self, u: Array) -> Array:
        return self._opened.x + self._opened.units @ u

    def _room(self, u: Array) -> float:
        return float(self._target - self._opened.nll(self._x(u))[0])

    def _bounds(self) -> Iterator[dict[str, Any]]:
        """Linear constraints of what is on one side."""
        opened = self._opened
        for bound, of in ((opened.low, 1.0), (opened.high, -1.0)):
            at = np.flatnonzero(np.isfinite(bound))
            if len(at):
                A, c = of * opened.units[at], of * (opened.x[at] - bound[at])
                yield {
                    "type": "ineq",
                    "fun": lambda u, A=A, c=c: A @ u + c,
                    "jac": lambda u, A=A: A,
                }

    def along(self, direction: Array) -> tuple[float, str]:
        """From where the likelihood is about that of the limit; its value, and what failed."""
        opened, quantity, sign, z = self._opened, self._quantity, self._sign, self._z
        U, size = opened.units, max(float(np.linalg.norm(direction)), 1e-300)
        u = direction * (sign * z / size)
        u *= _inside(opened, U @ u)
        # Where the edge is flat a step back to what is likely enough would end on it again.
        short = 0.0 if opened.singular else z**2
        for _ in range(40):
            if self._room(u) > -short:
                break
            u *= 0.5
        constraints: list[Any] = [
            {
                "type": "ineq",
                "fun": self._room,
                "jac": lambda u: -(U.T @ opened.nll(self._x(u))[1]),
            },
            *self._bounds(),
        ]
        search: Any = minimize  # its stubs know no list of constraints
        with warnings.catch_warnings():
            # Older SciPys tell of steps that they clip to the bounds.
            warnings.filterwarnings("ignore", "Values in x", RuntimeWarning)
            found = search(
                lambda u: -sign * (opened.value(quantity, self._x(u))[0] - self._start) / size,
                u,
                jac=lambda u: np.asarray(
                    -sign * (U.T @ opened.value(quantity, self._x(u))[1]) / size
                ),
                constraints=constraints,
                bounds=[(-_FAR * z, _FAR * z)] * len(u),
                method="SLSQP",
                options=_SLSQP,
            )
        x = self._x(found.x)
        end, off = opened.value(quantity, x)[0], self._room(found.x)
        if off > -_OFF and _at_edge(quantity, end, self._start, sign):
            return (0.0 if quantity.kind == "sd" else float(np.sign(end))), ""
        on_bound = off > 0.0 and found.success and _bounded(opened, x)
        if abs(off) <= _OFF * max(1.0, z**2) or on_bound:
            return end, ""
        return end, f"the likelihood was not followed to its limit ({found.message})"


def _inside(opened: Opened, step: Array) -> float:
    """The share of a step that stays within bounds, a little short."""
    with np.errstate(divide="ignore", invalid="ignore"):
        to_low = np.where(step < 0.0, (opened.low - opened.x) / step, np.inf)
        to_high = np.where(step > 0.0, (opened.high - opened.x) / step, np.inf)
    room = np.minimum(to_low, to_high)
    return float(min(1.0, 0.9 * room[room > 0.0].min(initial=np.inf)))


def _at_edge(quantity: Quantity, end: float, start: float, sign: float) -> bool:
    """Whether a variance came to zero, or a correlation to the end of its range on that side."""
    if quantity.kind == "sd":
        return sign < 0.0 and end < 1e-6 * max(start, 1e-300)
    return quantity.kind == "correlation" and sign * end > 1.0 - 1e-5


def _bounded(opened: Opened, x: Array) -> bool:
    """Whether a parameter of the residual law is on its bound."""
    theta = slice(opened.size, -1)
    near = np.minimum(x[theta] - opened.low[theta], opened.high[theta] - x[theta])
    return bool((near < 1e-6).any())
